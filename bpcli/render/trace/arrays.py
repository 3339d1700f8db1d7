"""Arrays as rows of printed numbers."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from rich.cells import cell_len

from bpcli.notation.symbols import format_number
from bpcli.notation.text import Ascii, Text

EDGE_ITEMS = 3  # rows and columns that are shown at each end of a large array
ROUND_TRIP_DIGITS = 17  # digits that give a double back
MAX_WHOLE_ITEMS = 8  # rows and columns that are all shown


PLANE_AXES = ({"h", "w"}, {"p", "q"}, {"u", "v"})
"""Letters of axes that belong together: of an image going in, of one coming out, of a filter."""
KERNEL_NAMES = ("W", "dW", "W_new")  # (height, width, channels, filters)


def first_plane(value: Any, path: str, letters: Sequence[str] = ()) -> tuple[str, Any]:
    """Returns of an array of more than two axes its first picture, with the address of that: `conv2d_1.y[0,:,:,0]`; any
    other array as it is, without.

    `letters` are those of its axes in its equation, where it has one; else images are (row, height, width, channel).
    """
    array = np.asarray(value)
    if array.ndim < 3:
        return "", array
    pairs = [tuple(i for i, letter in enumerate(letters) if letter in p) for p in PLANE_AXES]
    usual = (0, 1) if path.rpartition(".")[2] in KERNEL_NAMES else (1, 2)
    pair = next((p for p in pairs if len(p) == 2 and len(letters) == array.ndim), usual if array.ndim == 4 else ())
    pair = pair or (array.ndim - 2, array.ndim - 1)
    index = tuple(slice(None) if i in pair else 0 for i in range(array.ndim))
    return f"{path}[{','.join(':' if i in pair else '0' for i in range(array.ndim))}]", array[index]


def matrix_rows(value: Any, digits: int, reader: type[Text], width: int = 80) -> list[str]:
    """Returns a number, a vector or a matrix in aligned rows, the middle of a large one left out."""
    array = np.asarray(value)
    if array.ndim == 0:
        return [_figure(array[()], digits, reader)]
    rows = array[None] if array.ndim == 1 else array
    dots = "..." if issubclass(reader, Ascii) else "…"

    def drawn(columns: list[int | None]) -> list[list[str]]:
        return [
            [dots if i is None or j is None else _figure(rows[i, j], digits, reader) for j in columns]
            for i in shown_positions(len(rows))
        ]

    cells = drawn(shown_positions(rows.shape[1]))
    if cells and sum(max(map(cell_len, column)) + 2 for column in zip(*cells, strict=True)) + 4 > width:
        cells = drawn(shown_positions(rows.shape[1], most=4, edge=1))
    wide = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(" " * (w - cell_len(c)) + c for c, w in zip(row, wide, strict=True)) for row in cells]
    if array.ndim == 1:
        return [f"[{line}]" for line in lines]
    return [f"{'[' if i == 0 else ' '}[{line}]{']' if i == len(lines) - 1 else ''}" for i, line in enumerate(lines)]


def shown_positions(count: int, most: int = MAX_WHOLE_ITEMS, edge: int = EDGE_ITEMS) -> list[int | None]:
    """Returns which of `count` places are shown: all up to `most`, else some at either edge; None: those left out."""
    return list(range(count)) if count <= most else [*range(edge), None, *range(count - edge, count)]


def _figure(value: Any, digits: int, reader: type[Text]) -> str:
    number = int(value) if np.asarray(value).dtype.kind in "iub" else float(value)
    return reader(digits=digits).number(number).text


def digits_to_close(values: Sequence[float], value: float, digits: int, *, times: bool = False) -> int:
    """Returns in how many digits the values have to be printed so that their sum or product is `value` as printed
    in `digits`; 0 where even all of theirs are not enough."""
    found = format_number(value, digits)
    for more in range(digits, ROUND_TRIP_DIGITS + 1):
        printed = [Decimal(format_number(v, more)) for v in values]
        if format_number(float(math.prod(printed) if times else sum(printed)), digits) == found:
            return more
    return 0


def summary(value: Any) -> str:
    """Returns the shape of an array, and of a large one how its numbers lie."""
    array = np.asarray(value, np.float64)
    shape = " x ".join(map(str, array.shape)) or "a number"
    if array.size <= MAX_WHOLE_ITEMS:
        return shape
    zeros = float((array == 0).mean())
    text = f"{shape}; from {array.min():.3g} to {array.max():.3g}, mean {array.mean():.3g}"
    return text + (f", {zeros:.0%} zero" if zeros else "")
