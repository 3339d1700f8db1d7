"""The network of a derivation as columns of units, from left to right, and what feeds what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bpcli.derivation import Array, Derivation, Entry, LayerLine, Quantity, Stage, StepLine
from bpcli.numeric.notation.syntax import Bind, Reduce, walk

INPUTS = ""  # the path of the column of inputs
ALL = 6  # units of a column that are all drawn
SOME = 5  # units that are drawn of a longer one


@dataclass(frozen=True)
class Column:
    """The inputs, or a layer with the activation that belongs to it. `y` (N, units...) is what goes out, `dy` its error;
    `z` and `dz` the same before the activation, None where there is none."""

    path: str
    layers: tuple[LayerLine, ...]
    units: tuple[int, ...]
    y: Array
    dy: Array | None
    z: Array | None = None
    dz: Array | None = None
    shown: tuple[int, ...] = ()  # units of a vector that are drawn; none of an image
    sources: tuple[str, ...] = ()
    parent: str = ""  # the container it stands in
    mixes: bool = True  # whether a unit depends on more than one unit before it

    @property
    def vector(self) -> bool:
        """Whether it is a row of units."""
        return len(self.units) == 1

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of its layers."""
        return tuple(line.layer for line in self.layers)


@dataclass(frozen=True)
class Table:
    """The parameters of a network in one step, and what belongs to which column."""

    columns: tuple[Column, ...]
    quantities: tuple[Quantity, ...]  # of the step
    numbers: Mapping[int, int]  # of a quantity (by identity) among those of the derivation
    weights: Mapping[str, Array]
    line: StepLine

    def column(self, path: str) -> Column:
        return next(c for c in self.columns if c.path == path)

    def parameters(self, column: Column) -> Iterator[tuple[str, Array]]:
        """Path and values of the parameters of a column."""
        for path, value in self.weights.items():
            if path.rpartition(".")[0] in column.names:
                yield path, value

    def entry_id(self, q: Quantity, e: Entry) -> str:
        """The name of a worked entry in the page."""
        return f"e{self.numbers[id(q)]}-{q.entries.index(e)}"

    # ------------------------------------------------------------------------------------------- what belongs to what
    def of_unit(self, column: Column, unit: int) -> Iterator[str]:
        """The worked lines of a unit: how its number comes about, and its error."""
        for q in self.quantities:
            if q.stage not in (Stage.FORWARD, Stage.LOSS, Stage.HIDDEN):
                continue
            axis = self._axis(column, q)
            for e in q.entries:
                if axis is not None and (axis < 0 or e.at[axis] == unit):
                    yield self.entry_id(q, e)

    def of_column(self, column: Column) -> Iterator[str]:
        """The worked lines of a layer as a whole."""
        for q in self.quantities:
            if q.layer in column.names or q.tensor.rpartition(".")[0] in column.names:
                yield from (self.entry_id(q, e) for e in q.entries)

    def of_weight(self, path: str, at: Sequence[int]) -> Iterator[str]:
        """The worked lines of a weight: its gradient, and all that becomes of it."""
        layer, _, name = path.rpartition(".")
        rank = len(at)
        for q in self.quantities:
            own = q.tensor == path or (q.part == "layer" and q.layer == layer and q.name == f"d{name}")
            shared = not q.tensor and q.stage is Stage.UPDATE and q.part in ("clipping", "schedule", "optimizer")
            for e in q.entries:
                whole = e.at == tuple(at) or not e.at or (len(e.at) < rank and e.at == tuple(at)[-len(e.at) :])
                if (own and whole) or (shared and not e.at):
                    yield self.entry_id(q, e)

    def of_loss(self) -> Iterator[str]:
        """The worked lines of the loss, of the penalty, and of what the step does to both."""
        for q in self.quantities:
            total = q.part == "gradient" and not q.tensor
            if q.part in ("loss", "change") or total or (q.part == "penalty" and not q.tensor):
                yield from (self.entry_id(q, e) for e in q.entries)

    def _axis(self, column: Column, q: Quantity) -> int | None:
        """Where in the quantity's index the unit of a column stands; -1: it is of all units; None: it is of another."""
        letters = _letters(q)
        if q.part == "loss" and q.name == "dx":
            return len(letters) - 1 if column is self._last else None
        if q.part != "layer":
            return None
        if q.name == "dx" and (q.layer not in column.names or q.layer == column.path):
            source = q.sources.get("x") or self._feeds(q.layer)
            return len(letters) - 1 if _layer_of(source) == (column.names or (INPUTS,))[-1] else None
        if q.layer not in column.names:
            return None
        letter = _unit_letter(self.quantities, q.layer)
        return letters.index(letter) if letter in letters else -1

    @property
    def _last(self) -> Column:
        return self.columns[-1]

    def _feeds(self, layer: str) -> str:
        return next((q.sources["x"] for q in self.quantities if q.layer == layer and "x" in q.sources), "")


def table(d: Derivation, line: StepLine) -> Table:
    """The network of one training step."""
    numbers = {id(q): i for i, q in enumerate(d.quantities)}
    own = tuple(q for q in d.quantities if q.step == line.step)
    weights = {g.path: g.value for g in d.given if g.step == line.step and g.path in line.gradients}
    wanted = _wanted(own, weights)
    lines = {layer.layer: layer for layer in line.layers}
    inputs = next(g.value for g in d.given if g.path == "x")
    outer = next((layer for layer in line.layers if "." not in layer.layer), None)
    columns = [
        Column(
            INPUTS, (), inputs.shape[1:], inputs, outer.dx if outer else None,
            shown=_shown(inputs.shape[1:], _fed(own, weights, INPUTS, wanted)),
        )  # fmt: skip
    ]
    for path, layer in lines.items():
        if _is_activation(path, lines):
            continue
        after = lines.get(f"{path}.activation") if _is_activation(f"{path}.activation", lines) else None
        last = after or layer
        columns.append(
            Column(
                path, (layer, after) if after else (layer,), last.units, last.y, last.dy,
                z=layer.y if after else None, dz=layer.dy if after else None,
                shown=_shown(last.units, wanted.get(path, set()) | _fed(own, weights, last.layer, wanted)),
                sources=tuple(_sources(own, path, lines)), parent=_parent(path, lines), mixes=_mixes(own, path),
            )  # fmt: skip
        )
    return Table(tuple(columns), own, numbers, weights, line)


def _is_activation(path: str, lines: Mapping[str, LayerLine]) -> bool:
    """Whether it is the `activation:` of the layer that its path begins with; a container comes after what is in it."""
    layer, _, name = path.rpartition(".")
    order = list(lines)
    return name == "activation" and path in lines and layer in lines and order.index(layer) < order.index(path)


def _parent(path: str, lines: Mapping[str, LayerLine]) -> str:
    outer = path.rpartition(".")[0]
    return outer if not outer or outer in lines else _parent(outer, lines)


def _layer_of(source: str) -> str:
    """`dense_1` of `dense_1.y`; the inputs where it is no layer's."""
    return source.removesuffix(".y") if source.endswith(".y") else INPUTS


def _column_of(layer: str, lines: Mapping[str, LayerLine]) -> str:
    return layer.rpartition(".")[0] if _is_activation(layer, lines) else layer


def _sources(own: Sequence[Quantity], path: str, lines: Mapping[str, LayerLine]) -> Iterator[str]:
    """The columns that a layer takes its input from: that of its x, and of a container the ends of its branches."""
    found = next((q.sources["x"] for q in own if q.layer == path and "x" in q.sources), "")
    yield _column_of(_layer_of(found), lines)
    inside = [p for p in lines if not _is_activation(p, lines) and _parent(p, lines) == path]
    read = {
        _column_of(_layer_of(q.sources["x"]), lines)
        for q in own if q.layer in inside and "x" in q.sources
    }  # fmt: skip
    yield from (p for p in inside if p not in read)


def _letters(q: Quantity) -> list[str]:
    return [b.letter if isinstance(b, Bind) else "" for b in q.equation.free]


def _unit_letter(own: Sequence[Quantity], layer: str) -> str:
    """The letter of a unit in a layer's equations: the last of its y."""
    return next((_letters(q)[-1] for q in own if q.layer == layer and q.name == "y" and q.equation.free), "")


def _mixes(own: Sequence[Quantity], path: str) -> bool:
    """Whether an equation of the forward pass runs over more than the rows."""
    for q in own:
        if q.layer == path and q.stage is Stage.FORWARD:
            for node in walk(q.equation.right):
                if isinstance(node, Reduce) and any(getattr(b, "letter", "") != "n" for b in node.over):
                    return True
    return False


def _wanted(own: Sequence[Quantity], weights: Mapping[str, Array]) -> dict[str, set[int]]:
    """The units of each layer that something is worked out of."""
    found: dict[str, set[int]] = {}
    for q in own:
        path = f"{q.layer}.{q.name[1:]}"
        for e in q.entries if q.part == "layer" else ():
            if e.at and (q.name == "y" or path in weights):
                found.setdefault(q.layer, set()).add(e.at[-1])
    return found


def _fed(
    own: Sequence[Quantity], weights: Mapping[str, Array], source: str, wanted: Mapping[str, set[int]]
) -> set[int]:
    """The units of a layer that a worked weight comes from."""
    found = set(wanted.get(source, set()))
    for q in own:
        if q.part == "layer" and q.value.ndim == 2 and f"{q.layer}.{q.name[1:]}" in weights:
            feeds = next((r.sources["x"] for r in own if r.layer == q.layer and "x" in r.sources), "")
            if _layer_of(feeds) == source:
                found |= {e.at[0] for e in q.entries}
    return found


def _shown(units: tuple[int, ...], wanted: set[int]) -> tuple[int, ...]:
    """The units that are drawn: those that are worked out, then the first, and the last."""
    if len(units) != 1:
        return ()
    count = units[0]
    if count <= ALL:
        return tuple(range(count))
    first = sorted(k for k in wanted if k < count)
    order = [*first[: SOME - 1], *(k for k in range(SOME - 1) if k not in first)]
    return tuple(sorted({*order[: SOME - 1], count - 1}))
