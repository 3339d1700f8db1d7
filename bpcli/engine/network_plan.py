"""The network on paper: every layer with its path, its plan and its shapes, before any memory is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bpcli.engine.fusion import GRADIENT_BLOCKS
from bpcli.family import Activation, Initializer, Layer, Regularizer
from bpcli.family.plan import WIDTHS, N, Param, Plan, Shape, ShapeError, Slot


class LayerError(ShapeError):
    """A shape that cannot enter a layer, with where that layer stands in the architecture."""

    def __init__(self, text: str, help: str, loc: tuple[str | int, ...]) -> None:
        super().__init__(text, help)
        self.loc = loc


@dataclass(frozen=True)
class PlannedLayer:
    """One layer in its place.

    `path` is what reports call it (its name, or `<type>_<count>`, after its container's path); `seed_path` is the path
    without names, which seeds its chance, so that naming a layer does not reseed it. `loc` is where it stands in the
    file.
    """

    path: str
    seed_path: str
    layer: Layer
    plan: Plan
    x: Shape
    loc: tuple[str | int, ...]
    inside: Mapping[str, tuple[PlannedLayer, ...]] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether it or a layer inside it has a parameter."""
        return any(node.plan.params for node in self.walk())

    def walk(self) -> Iterator[PlannedLayer]:
        """This node and all inside it, in the order they run."""
        yield self
        for nodes in self.inside.values():
            for node in nodes:
                yield from node.walk()


@dataclass(frozen=True)
class ParamLayout:
    """One parameter tensor and its place in the flat vector. `penalty` is what is laid on it, or None."""

    path: str
    seed_path: str
    shape: Shape
    start: int
    param: Param
    init: Initializer
    penalty: Regularizer | None
    owner: PlannedLayer
    name: str

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def where(self) -> slice:
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class NetworkPlan:
    """A planned network: its nodes in order, its row shapes, and the layout of its flat vector of parameters.

    Weights under one penalty stand together, so that the penalty is laid on one slice; then those under none, and what
    does not decay (biases, gains) comes last.
    """

    layers: tuple[PlannedLayer, ...]
    x: Shape
    y: Shape
    layout: tuple[ParamLayout, ...]
    penalties: tuple[tuple[Regularizer, slice], ...]

    @property
    def size(self) -> int:
        """How many parameters."""
        return sum(e.size for e in self.layout)

    @property
    def tokens(self) -> int:
        """The rows have to hold whole numbers below this; 0 where any numbers will do."""
        return min((node.plan.tokens for node in self.walk() if node.plan.tokens), default=0)

    @property
    def decaying(self) -> int:
        """How many parameters decay: they stand first."""
        return sum(e.size for e in self.layout if e.param.decays)

    def walk(self) -> Iterator[PlannedLayer]:
        """All nodes, containers before what is inside them."""
        for node in self.layers:
            yield from node.walk()

    def entry(self, path: str) -> ParamLayout:
        """The parameter called `path`, say `dense_1.W`. Raises KeyError."""
        for e in self.layout:
            if e.path == path:
                return e
        raise KeyError(path)


def plan_network(
    layers: Sequence[Layer],
    x: Shape,
    penalty: Regularizer | None = None,
    loc: tuple[str | int, ...] = ("architecture",),
) -> NetworkPlan:
    """Plans every layer for rows of shape `x`. Raises LayerError where a shape cannot enter."""
    nodes, y = _chain(layers, x, "", "", loc, "")
    planned = tuple(nodes)
    layout, penalties = _lay_out(planned, penalty)
    return NetworkPlan(planned, x, y, layout, penalties)


def _chain(
    layers: Sequence[Layer], x: Shape, path: str, seed_path: str, loc: tuple[str | int, ...], changed: str
) -> tuple[list[PlannedLayer], Shape]:
    """The nodes of a chain and the shape of its rows; `changed` is the layer that made other numbers of the data's, ""
    where none stands before."""
    nodes: list[PlannedLayer] = []
    counts: dict[str, int] = {}
    taken: set[str] = set()
    for i, layer in enumerate(layers):
        counts[layer.kind] = counts.get(layer.kind, 0) + 1
        own = f"{layer.kind}_{counts[layer.kind]}"
        name = layer.name or own
        if name in taken:
            raise LayerError(f"two layers are called {name}", "give one of them another `name`", (*loc, i))
        taken.add(name)
        for ending, part in layer.expand():
            node = _node(part, x, path + name + ending, seed_path + own + ending, (*loc, i), changed)
            nodes.append(node)
            x = node.plan.y
            changed = changed or ("" if part.moves else node.path)
    return nodes, x


def _node(layer: Layer, x: Shape, path: str, seed_path: str, loc: tuple[str | int, ...], changed: str) -> PlannedLayer:
    try:
        plan = layer.plan(x)
    except LayerError:
        raise
    except ShapeError as error:
        raise LayerError(f"{path}: {error}", error.help, loc) from None
    if plan.tokens and changed:
        text = f"{path} takes the whole numbers of the data, and {changed} before it makes others of them"
        raise LayerError(text, f"put {path} first", loc)
    inside: dict[str, tuple[PlannedLayer, ...]] = {}
    for name, layers in plan.inside.items():
        own = f"{name}." if inside else ""  # the first chain goes without its name
        chain = [inner for inner in layers if isinstance(inner, Layer)]
        if len(chain) != len(layers):
            raise TypeError(f"{path}.{name}: a chain is made of layers")
        key = _key(layer, layers, name)
        if own and any(node.path == f"{path}.{name}" for nodes in inside.values() for node in nodes):
            raise LayerError(f"a layer of {path} is called {name}, as its {key} is", "give it another `name`", loc)
        nodes, _ = _chain(chain, x, f"{path}.{own}", f"{seed_path}.{own}", (*loc, key), changed)
        inside[name] = tuple(nodes)
    return PlannedLayer(path, seed_path, layer, plan, x, loc, inside)


def _key(layer: Layer, layers: object, name: str) -> str:
    """The setting of a container that holds an inner chain: what the file calls it."""
    return next((key for key in type(layer).model_fields if getattr(layer, key) is layers), name)


def _lay_out(
    layers: tuple[PlannedLayer, ...], penalty: Regularizer | None
) -> tuple[tuple[ParamLayout, ...], tuple[tuple[Regularizer, slice], ...]]:
    groups: dict[Regularizer | None, list[tuple[PlannedLayer, str, Param, Initializer]]] = {}
    for node, following in followed(layers):
        own = getattr(node.layer, "regularization", None) or penalty
        for name, param in node.plan.params.items():
            init = param.init or default_initializer(following)
            if not isinstance(init, Initializer):
                raise TypeError(f"{node.path}.{name}: {init!r} is not an initializer")
            groups.setdefault(own if param.decays else None, []).append((node, name, param, init))
    layout: list[ParamLayout] = []
    penalties: list[tuple[Regularizer, slice]] = []
    at = 0
    for under in sorted(groups, key=lambda g: g is None):
        begin = at
        for node, name, param, init in sorted(groups[under], key=lambda member: not member[2].decays):
            path, seed_path = f"{node.path}.{name}", f"{node.seed_path}.{name}"
            layout.append(ParamLayout(path, seed_path, param.shape, at, param, init, under, node, name))
            at += math.prod(param.shape)
        if under is not None:
            penalties.append((under, slice(begin, at)))
    return tuple(layout), tuple(penalties)


def followed(nodes: Sequence[PlannedLayer]) -> Iterator[tuple[PlannedLayer, Layer | None]]:
    """Every node, containers before what is inside them, with the activation or the learning layer that comes next in
    its chain: what stands between (dropout, flatten) changes nothing of the scale."""
    for i, node in enumerate(nodes):
        ahead = (n for n in nodes[i + 1 :] if isinstance(n.layer, Activation) or n.learns)
        following = next(ahead, None)
        yield node, following.layer if following else None
        for inner in node.inside.values():
            yield from followed(inner)


def default_initializer(following: Layer | None) -> Initializer:
    """How weights start where the file does not say: as suits the activation after them, else glorot_uniform."""
    return Initializer.parse(following.default_init if isinstance(following, Activation) else "glorot_uniform")


def first_learning(nodes: Sequence[PlannedLayer]) -> int:
    """Where the first layer of a chain with a parameter stands; the length of the chain where none has one."""
    return next((i for i, node in enumerate(nodes) if node.learns), len(nodes))


def needs_gradient(nodes: Sequence[PlannedLayer], everything: bool) -> list[bool]:
    """Which gradients of a chain are computed: before each of its layers, and behind the last.

    Unless `everything` is asked for, the layers before the first parameter have nothing to learn and nobody to tell,
    and the layer that has it may skip its own dx.
    """
    first = first_learning(nodes)
    skips = first < len(nodes) and nodes[first].plan.skips_dx
    return [everything or i > first or (i == first and not skips) for i in range(len(nodes))] + [True]


def slot_bytes(slot: Slot, batch: int, width: int) -> int:
    """Bytes of a slot for a batch, where a float takes `width`."""
    item = width if slot.dtype == "float" else np.dtype(WIDTHS[slot.dtype]).itemsize
    return math.prod(batch if d == N else d for d in slot.shape) * item


def working_bytes(network_plan: NetworkPlan, batch: int, width: int) -> int:
    """Bytes of the arrays of one training step besides parameters: inputs, outputs, kept slots and states, each in its
    own block, and the blocks that layers use in turn (gradients, GRADIENT_BLOCKS for a chain, and scratch)."""
    own = [Slot((N, *network_plan.x))]
    in_turn: dict[str, int] = {}

    def visit(nodes: Sequence[PlannedLayer], key: str, inner: bool) -> None:
        asked = needs_gradient(nodes, inner)
        for i, node in enumerate(nodes):
            plan = node.plan
            own.extend((Slot((N, *plan.y)), *plan.keep.values(), *plan.draws.values(), *plan.state.values()))
            gradients = {f"{key}/{i % GRADIENT_BLOCKS}": Slot((N, *node.x))} if asked[i] else {}
            gradients |= {f"{key}/{(i + 1) % GRADIENT_BLOCKS}": Slot((N, *plan.y))} if asked[i + 1] else {}
            for name, slot in (gradients | {f"scratch {n}": s for n, s in plan.scratch.items()}).items():
                in_turn[name] = max(in_turn.get(name, 0), slot_bytes(slot, batch, width))
            for name, chain in node.inside.items():
                visit(chain, f"{key}/{name}", True)

    visit(network_plan.layers, "net", False)
    return sum(slot_bytes(s, batch, width) for s in own) + sum(in_turn.values())
