"""The network of a derivation as columns of units, from left to right, and what feeds what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bpcli.notation.syntax import Reduce, walk
from bpcli.numeric.shapes import Array
from bpcli.records.trace import Derivation, LayerLine, Quantity, Stage, StepLine

INPUTS = ""  # the path of the column of inputs
MAX_UNITS_ALL_DRAWN = 6  # units of a column that are all drawn
UNITS_DRAWN_OF_MORE = 5  # units that are drawn of a longer one


@dataclass(frozen=True)
class UnitColumn:
    """The inputs, or a layer with the activation that belongs to it.

    `y` (N, units...) is what goes out, `dy` its error; `z` and `dz` the same before the activation, None where there is
    none."""

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
class NetworkPicture:
    """The columns of one training step, and which worked lines of the page belong to what in them."""

    columns: tuple[UnitColumn, ...]
    line: StepLine
    weights: Mapping[str, Array]
    quantities: tuple[Quantity, ...]
    ids: tuple[Mapping[tuple[int, ...], str], ...]  # of the worked lines of each, by their place in its array
    feeds: Mapping[str, str]  # where the x of a layer comes from

    def parameters(self, column: UnitColumn) -> Iterator[tuple[str, Array]]:
        """Yields the path and the values of the parameters of a column."""
        for path, value in self.weights.items():
            if path.rpartition(".")[0] in column.names:
                yield path, value

    def of_unit(self, column: UnitColumn, unit: int) -> Iterator[str]:
        """Yields the worked lines of the number of a unit and of its error."""
        for q, ids in zip(self.quantities, self.ids, strict=True):
            if q.stage in (Stage.FORWARD, Stage.LOSS, Stage.HIDDEN):
                yield from self._within(column, unit, q, ids)

    def of_column(self, column: UnitColumn) -> Iterator[str]:
        """Yields the worked lines of a layer."""
        for q, ids in zip(self.quantities, self.ids, strict=True):
            if q.layer in column.names or (q.tensor and q.tensor.rpartition(".")[0] in column.names):
                yield from ids.values()

    def of_weight(self, path: str, at: tuple[int, ...]) -> Iterator[str]:
        """Yields the worked lines of the error at the unit that a weight leads to, of its gradient, and of what
        follows."""
        layer, _, name = path.rpartition(".")
        column = next(c for c in self.columns if layer in c.names)
        for q, ids in zip(self.quantities, self.ids, strict=True):
            if q.tensor == path or (q.part == "layer" and q.layer == layer and q.name == f"d{name}"):
                indices = dict.fromkeys((at, at[-1:], ()))  # itself, its unit, its tensor
                yield from (ids[index] for index in indices if len(index) == q.value.ndim and index in ids)
            elif q.stage in (Stage.LOSS, Stage.HIDDEN) and column.vector and at:
                yield from self._within(column, at[-1], q, ids)
            elif not q.tensor and q.stage is Stage.UPDATE and q.part in ("clipping", "schedule", "optimizer"):
                yield from (name for index, name in ids.items() if not index)

    def of_loss(self) -> Iterator[str]:
        """Yields the worked lines of the loss, the penalty, and what the step does to both."""
        for q, ids in zip(self.quantities, self.ids, strict=True):
            if q.part in ("loss", "change") or (q.part in ("gradient", "penalty") and not q.tensor):
                yield from ids.values()

    def _within(self, column: UnitColumn, unit: int, q: Quantity, ids: Mapping[tuple[int, ...], str]) -> Iterator[str]:
        axis = self._axis(column, q)
        if axis is not None:
            yield from (name for at, name in ids.items() if axis < 0 or at[axis] == unit)

    def _axis(self, column: UnitColumn, q: Quantity) -> int | None:
        """Returns where in the quantity's index the unit of a column stands; -1: it is of all units; None: it is of
        another."""
        letters = q.equation.letters
        if q.part == "loss" and q.name == "dx":
            return len(letters) - 1 if column is self.columns[-1] else None
        if q.part != "layer":
            return None
        if q.name == "dx" and q.layer not in column.names[1:]:  # the error of what the layer reads
            source = _layer_of(self.feeds.get(q.layer, ""))
            return len(letters) - 1 if source == (column.names or (INPUTS,))[-1] else None
        if q.layer not in column.names:
            return None
        outputs = (r.equation.letters for r in self.quantities if r.layer == q.layer and r.name == "y")
        letter = next((of[-1] for of in outputs if of), "")
        return letters.index(letter) if letter in letters else -1


def network(d: Derivation, line: StepLine) -> NetworkPicture:
    """Returns the network of one training step."""
    numbered = [(i, q) for i, q in enumerate(d.quantities) if q.step == line.step]
    own = tuple(q for _, q in numbered)
    ids = tuple({e.at: entry_id(i, k) for k, e in enumerate(q.entries)} for i, q in numbered)
    feeds = {q.layer: q.sources["x"] for q in reversed(own) if "x" in q.sources}
    weights = {g.path: g.value for g in d.start_values if g.step == line.step and g.path in line.gradients}
    wanted = _wanted(own, weights)
    lines = {layer.layer: layer for layer in line.layers}
    inputs = next(g.value for g in d.start_values if g.path == "x")
    outer = next((layer for layer in line.layers if "." not in layer.layer), None)
    columns = [
        UnitColumn(
            INPUTS,
            (),
            inputs.shape[1:],
            inputs,
            outer.dx if outer else None,
            shown=_shown(inputs.shape[1:], _fed(own, feeds, INPUTS)),
        )
    ]
    for path, layer in lines.items():
        if _is_activation(path, lines):
            continue
        after = lines.get(f"{path}.activation") if _is_activation(f"{path}.activation", lines) else None
        last = after or layer
        columns.append(
            UnitColumn(
                path,
                (layer, after) if after else (layer,),
                last.units,
                last.y,
                last.dy,
                z=layer.y if after else None,
                dz=layer.dy if after else None,
                shown=_shown(last.units, wanted.get(path, set()) | _fed(own, feeds, last.layer)),
                sources=tuple(_sources(feeds, path, lines)),
                parent=_parent(path, lines),
                mixes=_mixes(own, path),
            )
        )
    return NetworkPicture(tuple(columns), line, weights, own, ids, feeds)


def entry_id(quantity: int, entry: int) -> str:
    """Returns the id of a worked line in the page."""
    return f"e{quantity}-{entry}"


def _is_activation(path: str, lines: Mapping[str, LayerLine]) -> bool:
    """Whether it is the `activation:` of the layer that its path begins with; a container comes after what is in it."""
    layer, _, name = path.rpartition(".")
    order = list(lines)
    return name == "activation" and path in lines and layer in lines and order.index(layer) < order.index(path)


def _parent(path: str, lines: Mapping[str, LayerLine]) -> str:
    outer = path.rpartition(".")[0]
    return outer if not outer or outer in lines else _parent(outer, lines)


def _layer_of(source: str) -> str:
    """Returns `dense_1` of `dense_1.y`; the inputs where it is no layer's."""
    return source.removesuffix(".y") if source.endswith(".y") else INPUTS


def _column_of(layer: str, lines: Mapping[str, LayerLine]) -> str:
    return layer.rpartition(".")[0] if _is_activation(layer, lines) else layer


def _sources(feeds: Mapping[str, str], path: str, lines: Mapping[str, LayerLine]) -> Iterator[str]:
    """Yields the columns that a layer takes its input from: that of its x, and of a container the ends of its
    branches."""
    yield _column_of(_layer_of(feeds.get(path, "")), lines)
    inside = [p for p in lines if not _is_activation(p, lines) and _parent(p, lines) == path]
    read = {_column_of(_layer_of(feeds[p]), lines) for p in inside if p in feeds}
    yield from (p for p in inside if p not in read)


def _mixes(own: Sequence[Quantity], path: str) -> bool:
    """Whether an equation of the forward pass runs over more than the rows."""
    nodes = (node for q in own if q.layer == path and q.stage is Stage.FORWARD for node in walk(q.equation.right))
    return any(set(node.letters) - {"n"} for node in nodes if isinstance(node, Reduce))


def _wanted(own: Sequence[Quantity], weights: Mapping[str, Array]) -> dict[str, set[int]]:
    """Returns the units of each layer that have a worked line, or a weight that has one."""
    found: dict[str, set[int]] = {}
    for q in own:
        if q.part == "layer" and (q.name == "y" or f"{q.layer}.{q.name[1:]}" in weights):
            found.setdefault(q.layer, set()).update(e.at[-1] for e in q.entries if e.at)
    return found


def _fed(own: Sequence[Quantity], feeds: Mapping[str, str], source: str) -> set[int]:
    """Returns the units of a layer from which a worked weight comes."""
    after = [layer for layer, found in feeds.items() if _layer_of(found) == source]
    gradients = [q for q in own if q.part == "layer" and q.layer in after and q.name == "dW" and q.value.ndim == 2]
    return {e.at[0] for q in gradients for e in q.entries}


def _shown(units: tuple[int, ...], wanted: set[int]) -> tuple[int, ...]:
    """Returns the units that are drawn: those that are worked out, then the first, and the last."""
    if len(units) != 1:
        return ()
    count = units[0]
    if count <= MAX_UNITS_ALL_DRAWN:
        return tuple(range(count))
    first = sorted(k for k in wanted if k < count)
    order = [*first[: UNITS_DRAWN_OF_MORE - 1], *(k for k in range(UNITS_DRAWN_OF_MORE - 1) if k not in first)]
    return tuple(sorted({*order[: UNITS_DRAWN_OF_MORE - 1], count - 1}))
