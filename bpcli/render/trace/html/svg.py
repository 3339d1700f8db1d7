"""The network as a picture: units, weights between them, the loss. Each can be chosen to see how it is worked out.

It shows three things at a time, by the view that is chosen on the page: class f is the forward pass (values and
weights), b the way back (errors and gradients), u the update (new weights).
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from bpcli.notation.symbols import symbol_of
from bpcli.notation.text import Text
from bpcli.numeric.shapes import Array, entry_name
from bpcli.records.trace import Derivation
from bpcli.render.trace.html.layout import (
    CHIP_HEIGHT,
    ELLIPSIS_HEIGHT,
    HEADING_HEIGHT,
    LOSS_WIDTH,
    TAG_HEIGHT,
    UNIT_WIDTH,
    PictureLayout,
    UnitPosition,
    shown_units,
    wire,
)
from bpcli.render.trace.html.network import INPUTS, NetworkPicture, UnitColumn
from bpcli.render.trace.html.page import escaped, number, tag

MAX_DIGITS = 4  # significant digits of a number in the picture
MAX_TARGET_CHARACTERS = 14  # characters of a target beside the loss, at most
HALF_LABEL_WIDTH = 36.0  # CSS pixels of a number on a wire
MIN_STROKE, MAX_STROKE = 1.0, 5.0  # CSS pixels of a wire
MIN_WIDTH_RATIO = 0.85  # share of its full width to which a picture may shrink; then it scrolls
MAX_NAME_CHARACTERS = 27  # characters of a name above a column, at most


class Picture:
    """Draws one training step of a network."""

    def __init__(self, d: Derivation, network: NetworkPicture) -> None:
        self.d, self.network, self.layout = d, network, PictureLayout(network)
        self.brief = partial(number, digits=min(MAX_DIGITS, d.digits))
        self.full = partial(number, digits=d.digits)
        self.labels: list[str] = []  # numbers on wires, drawn above all of them

    def draw(self, title: str) -> str:
        """Returns the svg element."""
        columns = self.network.columns
        inside = [
            *(self._frame(c) for c in columns if c.path and any(inner.parent == c.path for inner in columns)),
            *(part for c in columns for part in self._feeding(c)),
            *self._to_loss(),
            *self.labels,
            *(part for c in columns for part in self._column(c)),
            self._loss(),
        ]
        width, height = self.layout.width, self.layout.height
        return tag(
            "svg", "\n".join(inside), viewBox=f"0 0 {width:g} {height:g}", width=width, height=height,
            style=f"min-width: {MIN_WIDTH_RATIO * width:.0f}px", role="group", aria_label=title,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------- edges
    def _feeding(self, column: UnitColumn) -> Iterator[str]:
        by_path = {c.path: c for c in self.network.columns}
        for source in column.sources:
            if (column, source) in self.layout.ways:
                yield self._way_around(column, by_path[source])
            elif not (column.vector and by_path[source].vector):
                yield self._band(by_path[source], column)
            else:
                yield from self._wires(by_path[source], column)

    def _wires(self, source: UnitColumn, column: UnitColumn) -> Iterator[str]:
        found = self.layout.matrix(column, source)
        starts, end_points = self.layout.spots[source.path], self.layout.spots[column.path]
        pairs = [(i, o) for i in starts for o in end_points if found or column.mixes or i == o]
        if not found:
            for i, o in pairs:
                x1, y1, x2, y2 = wire(starts[i], end_points[o])
                yield f'<path class="plain" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'
            return
        line = self.network.line
        arrays = self.network.weights[found], line.gradients[found], line.updated[found]
        most = [float(np.abs(a).max()) or 1.0 for a in arrays]
        roomy = self.layout.roomy(column)
        for i, o in pairs:
            drawn, label = self._wire(found, (i, o), wire(starts[i], end_points[o]), most, len(end_points))
            if roomy:
                self.labels.append(f'<g class="label">{label}</g>')
            else:
                drawn += f'<g class="label quiet">{label}</g>'
            yield self._choice("edge", drawn, found, (i, o))

    def _wire(
        self, path: str, at: tuple[int, int], end_points: tuple[float, ...], most: list[float], fan: int
    ) -> tuple[str, str]:
        """Returns one weight: a line as thick as it is large, dashed where it is negative; and its number, near the
        source (where no two of one pair of columns stand in one place)."""
        x1, y1, x2, y2 = end_points
        values = self._weight(path, at)
        style = "".join(
            f"--{view}:{MIN_STROKE + (MAX_STROKE - MIN_STROKE) * abs(value) / top:.3g}px;"
            for (view, value), top in zip(values.items(), most, strict=True)
        )
        signs = " ".join(f"{view}{'n' if value < 0 else 'p'}" for view, value in values.items() if value)
        t = 1 / (fan + 1)
        x, y = x1 + max(t * (x2 - x1), HALF_LABEL_WIDTH), y1 + t * (y2 - y1)
        shape = f"M{x1:g} {y1:g}L{x2:g} {y2:g}"
        label = "".join(self._view(view, self.brief(v), x=x, y=y + 4) for view, v in values.items())
        return f'<path class="reach" d="{shape}"/><path class="wire {signs}" style="{style}" d="{shape}"/>', label

    def _band(self, source: UnitColumn, column: UnitColumn) -> str:
        """Returns the connection of layers that are no rows of units: one reads all of the other."""
        a, b = self.layout.spots[source.path], self.layout.spots[column.path]
        left, right = self.layout.left[source.path] + UNIT_WIDTH, self.layout.left[column.path]
        up = [min(s.y for s in group.values()) - 12 for group in (a, b)]
        down = [max(s.y for s in group.values()) + 12 for group in (a, b)]
        return f'<path class="band" d="M{left:g} {up[0]:g}L{right:g} {up[1]:g}V{down[1]:g}L{left:g} {down[0]:g}Z"/>'

    def _way_around(self, column: UnitColumn, source: UnitColumn) -> str:
        """Returns what a residual layer adds to its branch, below all that is between."""
        level = self.layout.bottom - 14 - 26 * self.layout.ways.index((column, source.path))
        start, end = self.layout.left[source.path] + UNIT_WIDTH / 2, self.layout.left[column.path] + UNIT_WIDTH / 2
        low = [max(s.y for s in self.layout.spots[c.path].values()) + self.layout.under(c) for c in (source, column)]
        text = tag(
            "text",
            f"{escaped(column.path)} adds its x unchanged",
            class_="note middle",
            x=(start + end) / 2,
            y=level - 6,
        )
        shape = (
            f"M{start:g} {low[0]:g}V{level - 10:g}Q{start:g} {level:g} {start + 10:g} {level:g}"
            f"H{end - 10:g}Q{end:g} {level:g} {end:g} {level - 10:g}V{low[1]:g}"
        )
        arrow = f'<path class="head" d="M{end - 5:g} {low[1] + 8:g}L{end:g} {low[1]:g}L{end + 5:g} {low[1] + 8:g}"/>'
        return f'<path class="around" d="{shape}"/>{arrow}{text}'

    def _to_loss(self) -> Iterator[str]:
        last = self.network.columns[-1]
        for spot in self.layout.spots[last.path].values():
            end = UnitPosition(self.layout.right, self.layout.middle)
            x1, y1, x2, y2 = wire(spot, end)
            yield f'<path class="plain" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'

    # ----------------------------------------------------------------------------------------------------------- units
    def _column(self, column: UnitColumn) -> Iterator[str]:
        yield from self._heading(column)
        if not column.vector:
            yield self._box(column)
            return
        for unit, skipped in shown_units(column):
            spot = self.layout.spots[column.path][unit]
            if skipped:
                y = spot.y - self.layout.tall(column) / 2 - TAG_HEIGHT - ELLIPSIS_HEIGHT / 2 + 2
                text = f'⋮ <tspan dx="4">{skipped:,} more</tspan>'
                yield tag("text", text, class_="note middle", x=spot.x + UNIT_WIDTH / 2, y=y)
            yield self._unit(column, unit, spot)
            for row, (path, values) in enumerate(self.layout.chips[column.path]):
                yield self._chip(path, unit, values, spot.x, spot.y + self.layout.tall(column) / 2 + CHIP_HEIGHT * row)

    def _heading(self, column: UnitColumn) -> Iterator[str]:
        middle = self.layout.left[column.path] + UNIT_WIDTH / 2
        if column.path == INPUTS:
            names = ["x", "the inputs", ""]
        else:
            kinds = ", then ".join(line.kind for line in column.layers)
            names = [column.path, kinds, "; ".join(line.note for line in column.layers if line.note)]
        for row, text in enumerate(names):
            if text:
                whole = f"<title>{escaped(text)}</title>" if len(text) > MAX_NAME_CHARACTERS else ""
                class_ = "name middle" if row == 0 else "note middle"
                yield tag("text", escaped(_cut(text)) + whole, class_=class_, x=middle, y=16 + 16 * row)

    def _unit(self, column: UnitColumn, unit: int, spot: UnitPosition) -> str:
        numbers = self._numbers(column, unit)
        tall = self.layout.tall(column)
        parts = [
            tag("rect", "", class_="body", x=spot.x, y=spot.y - tall / 2, width=UNIT_WIDTH, height=tall, rx=9),
            tag("text", f"unit {unit}", class_="note", x=spot.x + 2, y=spot.y - tall / 2 - 4),
        ]
        for view in ("f", "b"):
            rows = [(name, value) for name, value in numbers.items() if name.startswith("d") == (view == "b")]
            for row, (name, value) in enumerate(rows):
                y = spot.y + 4.5 + 18 * (row - (len(rows) - 1) / 2)
                shown = f'<tspan class="key">{escaped(_derivative(name))}</tspan> {self.brief(value)}'
                parts.append(self._view("fu" if view == "f" else view, shown, x=spot.x + UNIT_WIDTH / 2, y=y))
        facts = "; ".join(f"{_derivative(name)} = {self.full(value)}" for name, value in numbers.items())
        title = f"{column.path or 'x'}, unit {unit}" if column.path else f"input x[{unit}]"
        return self._button(
            "unit", "".join(parts), title, facts, self.network.of_unit(column, unit), self._ask(column, unit)
        )

    def _numbers(self, column: UnitColumn, unit: int) -> Mapping[str, float]:
        """Returns the value of a unit in the first row, and its error."""
        out = "a" if column.z is not None else "x" if column.path == INPUTS else "y"
        found = {"z": column.z, out: column.y, f"d{out}": column.dy, "dz": column.dz}
        return {name: float(a[0, unit]) for name, a in found.items() if a is not None}

    def _box(self, column: UnitColumn) -> str:
        """Returns a layer that is no row of units."""
        spot = self.layout.spots[column.path][0]
        size = "×".join(map(str, column.units)) or "1"
        inside = tag("rect", "", class_="body", x=spot.x, y=spot.y - 35, width=UNIT_WIDTH, height=70, rx=4)
        inside += tag("text", size, class_="value middle", x=spot.x + UNIT_WIDTH / 2, y=spot.y + 4)
        ask = f"--layer {column.path} --detail neuron" if column.path else ""
        facts = f"{size} numbers"
        return self._button("unit", inside, column.path or "x, the inputs", facts, self.network.of_column(column), ask)

    def _chip(self, path: str, unit: int, values: Array, x: float, y: float) -> str:
        """Returns a bias, or another weight that belongs to one unit."""
        name = Text().letters(symbol_of(path.rpartition(".")[2]))
        inside = tag("rect", "", class_="chip", x=x + 6, y=y, width=UNIT_WIDTH - 12, height=CHIP_HEIGHT - 1, rx=4)
        for view, value in self._weight(path, (unit,)).items():
            symbol = {"f": name, "b": f"∂L/∂{name}", "u": f"{name}⁺"}[view]
            shown = f'<tspan class="key">{escaped(symbol)}</tspan> {self.brief(value)}'
            inside += self._view(view, shown, x=x + UNIT_WIDTH / 2, y=y + 13, small=True)
        return self._choice("bias", inside, path, (unit,))

    def _weight(self, path: str, at: tuple[int, ...]) -> Mapping[str, float]:
        line = self.network.line
        found = {"f": self.network.weights[path], "b": line.gradients[path], "u": line.updated[path]}
        return {view: float(a[at]) for view, a in found.items()}

    def _loss(self) -> str:
        line, d = self.network.line, self.d
        y = self.layout.middle
        rows = [("L", self.brief(line.data_loss))]
        if line.penalty:
            rows = [("data", rows[0][1]), ("penalty", self.brief(line.penalty)), ("L", self.brief(line.loss))]
        target = next(g for g in d.start_values if g.path == "t")
        first = ", ".join(self.brief(v.item()) for v in np.ravel(target.value[0]))
        if len(first) <= MAX_TARGET_CHARACTERS:
            rows.append(("t", first))
        tall = 16 + 18 * len(rows)
        inside = tag(
            "rect", "", class_="body", x=self.layout.right, y=y - tall / 2, width=LOSS_WIDTH, height=tall, rx=4
        )
        inside += tag("text", "loss", class_="name middle", x=self.layout.right + LOSS_WIDTH / 2, y=y - tall / 2 - 6)
        for row, (name, shown) in enumerate(rows):
            at = y - tall / 2 + 21 + 18 * row
            text = f'<tspan class="key">{name}</tspan> {shown}'
            inside += tag("text", text, class_="value middle", x=self.layout.right + LOSS_WIDTH / 2, y=at)
        facts = f"L = {self.full(line.loss)}; after the step {self.full(line.after)}; {target.note}"
        return self._button("unit loss", inside, "the loss", facts, self.network.of_loss(), "--detail neuron")

    # ------------------------------------------------------------------------------------------------------- elements
    def _view(self, views: str, inside: str, *, x: float, y: float, small: bool = False) -> str:
        return tag("text", inside, class_=f"value middle{' small' if small else ''} {' '.join(views)}", x=x, y=y)

    def _choice(self, kind: str, inside: str, path: str, at: tuple[int, ...]) -> str:
        """Returns a weight that can be chosen."""
        name = entry_name(path, at)
        symbol = Text().letters(symbol_of(path.rpartition(".")[2]))
        words = {"f": f"OLD {symbol}", "b": f"∂L/∂{symbol}", "u": f"new {symbol}"}
        facts = "; ".join(f"{words[view]} = {self.full(v)}" for view, v in self._weight(path, at).items())
        return self._button(kind, inside, name, facts, self.network.of_weight(path, at), f"--param {name}")

    def _button(self, kind: str, inside: str, title: str, facts: str, lines: Iterator[str], ask: str) -> str:
        """Returns what can be chosen: its worked lines by name, and the options that show what is not worked out
        here."""
        return tag(
            "g", inside, class_=kind, role="button", tabindex="0", aria_label=f"{title}: {facts}", aria_pressed="false",
            data_title=title, data_facts=facts, data_lines=" ".join(lines), data_ask=ask,
        )  # fmt: skip

    def _ask(self, column: UnitColumn, unit: int) -> str:
        """Returns the options that show a unit's lines."""
        for path, values in self.network.parameters(column):
            if values.ndim and values.shape[-1] == column.units[0]:
                return f"--param {path}[{','.join([*['0'] * (values.ndim - 1), str(unit)])}]"
        return f"--layer {column.path} --detail neuron --elide none" if column.path else ""

    def _frame(self, column: UnitColumn) -> str:
        """Returns the frame around the branch of a container."""
        inner = [
            c.path for c in self.network.columns if c.parent == column.path or c.parent.startswith(f"{column.path}.")
        ]
        left, right = self.layout.left[inner[0]] - 34, self.layout.left[inner[-1]] + UNIT_WIDTH + 34
        depth = column.path.count(".")
        return tag(
            "rect", "", class_="frame", x=left + 6 * depth, y=1 + 4 * depth, width=right - left - 12 * depth,
            height=HEADING_HEIGHT + self.layout.body + 12 - 6 * depth, rx=10,
        )  # fmt: skip


def _derivative(name: str) -> str:
    return f"∂L/∂{name[1:]}" if name.startswith("d") else name


def _cut(text: str) -> str:
    return text if len(text) <= MAX_NAME_CHARACTERS else text[: MAX_NAME_CHARACTERS - 1] + "…"
