"""Small plots made of characters: braille dots, or asterisks where the encoding has none."""

import sys
from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from bpcli.records.training import Curve
from bpcli.render.console import unicode

WIDTH, HEIGHT = 28, 8  # characters inside the axes: two plots fit side by side into 80 columns
LABEL_WIDTH = 8  # characters of a number beside an axis
MIN_DIP = 0.19  # share of the height above 0 that puts 0 into the last row but one
PLOT_GAP = 3  # characters between two plots
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character's dots, four rows of two."""


def curves(found: Sequence[Curve], columns: int) -> Table:
    """Plots side by side, one below the other where `columns` are too few for that, and narrower where for one."""
    full_width = LABEL_WIDTH + 2 + WIDTH
    braille, width = unicode(sys.stdout), max(WIDTH - max(full_width - columns, 0), 10)
    plots = [Text("\n".join(plot(curve, braille, width)), no_wrap=True, overflow="crop") for curve in found]
    if len(plots) * (full_width + PLOT_GAP) - PLOT_GAP <= columns:
        beside = Table.grid(padding=(0, PLOT_GAP, 0, 0))
        beside.add_row(*plots)
        return beside
    below = Table.grid()
    for i, drawn in enumerate(plots):
        if i:
            below.add_row()
        below.add_row(drawn)
    return below


def plot(curve: Curve, braille: bool, width: int = WIDTH) -> list[str]:
    """Returns the lines of one plot: its name, the curve between 0 and its values furthest from it, and the axis
    below."""
    low, high = min(0.0, *curve.y), max(0.0, *curve.y)
    labels = {HEIGHT - 1: low}
    if 0 < -low < MIN_DIP * high:  # a dip so shallow that the row of 0 would be the last: it gets a row of its own
        low, labels = -MIN_DIP * high, {}
    spread = high - low or 1.0
    canvas = _dots(curve, low, spread, width) if braille else _asterisks(curve, low, spread, width)
    part = 4 if braille else 1
    zero = round(high / spread * (part * HEIGHT - 1)) // part  # the row of 0
    labels |= {zero: 0.0, 0: high}
    side, corner, dash, faint = "│└─┈" if braille else "|+-."
    lines = [" " * (LABEL_WIDTH + 1) + curve.name]
    for i, row in enumerate(canvas):
        label = f"{labels[i]:.3g}" if i in labels else ""
        lines.append(f"{label:>{LABEL_WIDTH}} {side}{row.replace(' ', faint) if label == '0' else row}")
    first, middle, last = (f"{curve.x[i]:g}" for i in (0, len(curve.x) // 2, -1))
    ticks = f"{first}{middle:^{width - len(first) - len(last)}}{last}"
    return [*lines, " " * (LABEL_WIDTH + 1) + corner + dash * width, " " * (LABEL_WIDTH + 2) + ticks,
            " " * (LABEL_WIDTH + 2) + f"{curve.axis:^{width}}"]  # fmt: skip


def _dots(curve: Curve, low: float, spread: float, width: int) -> list[str]:
    cells = [[0x2800] * width for _ in range(HEIGHT)]
    for column, row in _trace(curve, low, spread, 2 * width, 4 * HEIGHT):
        cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    return ["".join(chr(cell) for cell in row).replace("\u2800", " ") for row in cells]


def _asterisks(curve: Curve, low: float, spread: float, width: int) -> list[str]:
    cells = [[" "] * width for _ in range(HEIGHT)]
    for column, row in _trace(curve, low, spread, width, HEIGHT):
        cells[row][column] = "*"
    return ["".join(row) for row in cells]


def _trace(curve: Curve, low: float, spread: float, columns: int, rows: int) -> list[tuple[int, int]]:
    """Returns the places that the curve passes in a field of so many columns and rows, without gaps where it is
    steep."""
    found: list[tuple[int, int]] = []
    before: int | None = None
    count = len(curve.y)
    values = np.interp(np.linspace(0, count - 1, columns), np.arange(count), curve.y)
    for column, value in enumerate(values.tolist()):
        row = round((1 - (value - low) / spread) * (rows - 1))
        steep = range(min(row, before) + 1, max(row, before)) if before is not None else range(0)
        found += [(column, r) for r in (row, *steep)]
        before = row
    return found
