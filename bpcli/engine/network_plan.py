"""The network on paper: every layer with its path, its plan and its shapes, before any memory is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.engine.fusion import GRADIENT_BLOCKS, is_worth_threads
from bpcli.family import WIDTHS, Activation, Initializer, Layer, N, Param, Plan, Regularizer, Shape, ShapeError, Slot
from bpcli.family.part import equations_of
from bpcli.notation.syntax import Reduce, parse, reads, walk
from bpcli.numeric.products import SUM_BLOCK_ENTRIES
from bpcli.numeric.shapes import written

MAX_ENTRIES = 1 << 48
"""Numbers of an array that is larger than any memory."""


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
    inside: Mapping[str, tuple[PlannedLayer, ...]]

    @property
    def trainable(self) -> bool:
        """Whether it or a layer inside it has a parameter."""
        return any(planned.plan.params for planned in self.walk())

    @property
    def needs_several_rows(self) -> bool:
        """Whether it takes statistics over rows alone in training, by the equations that its y comes from."""
        with equations_of(self.layer.kind):
            equations, read = [parse(eq) for eq in self.layer.equations(True, self.x)], {"y"}
        while more := {name for e in equations if e.name in read for name in reads(e)} - read:
            read |= more
        sums = (k for e in equations if e.name in read for k in walk(e.right) if isinstance(k, Reduce))
        return len(self.x) == 1 and any("n" in k.letters for k in sums)

    def walk(self) -> Iterator[PlannedLayer]:
        """Yields this layer and all inside it, in the order they run."""
        yield self
        for planned_layers in self.inside.values():
            for planned in planned_layers:
                yield from planned.walk()


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
    """A planned network: its layers in order, its row shapes, and the layout of its flat vector of parameters.

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
        return min((planned.plan.tokens for planned in self.walk() if planned.plan.tokens), default=0)

    @property
    def decaying(self) -> int:
        """How many parameters decay: they stand first."""
        return sum(e.size for e in self.layout if e.param.decays)

    def walk(self) -> Iterator[PlannedLayer]:
        """Yields all layers, containers before what is inside them."""
        for planned in self.layers:
            yield from planned.walk()

    def entry(self, path: str) -> ParamLayout:
        """Returns the parameter called `path`, say `dense_1.W`. Raises KeyError."""
        return {e.path: e for e in self.layout}[path]


def plan_network(
    layers: Sequence[Layer],
    x: Shape,
    penalty: Regularizer | None = None,
    loc: tuple[str | int, ...] = ("architecture",),
) -> NetworkPlan:
    """Plans every layer for rows of shape `x`. Raises LayerError where a shape cannot enter."""
    planned_layers, y = _plan_chain(layers, x, "", "", loc, "")
    planned = tuple(planned_layers)
    layout, penalties = _lay_out(planned, penalty)
    return NetworkPlan(planned, x, y, layout, penalties)


def _plan_chain(
    layers: Sequence[Layer], x: Shape, path: str, seed_path: str, loc: tuple[str | int, ...], changed: str
) -> tuple[list[PlannedLayer], Shape]:
    """Plans the layers of a chain; also returns the shape of its rows. `changed` is the path of the layer that made
    other numbers of the data's, "" where none stands before."""
    planned_layers: list[PlannedLayer] = []
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
            planned = _plan_layer(part, x, path + name + ending, seed_path + own + ending, (*loc, i), changed)
            planned_layers.append(planned)
            x = planned.plan.y
            changed = changed or ("" if part.moves else planned.path)
    return planned_layers, x


def _plan_layer(
    layer: Layer, x: Shape, path: str, seed_path: str, loc: tuple[str | int, ...], changed: str
) -> PlannedLayer:
    try:
        plan = layer.plan(x)
    except ShapeError as error:
        raise LayerError(f"{path}: {error}", error.help, loc) from None
    _check_sizes(plan, path, loc)
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
        if own and any(planned.path == f"{path}.{name}" for others in inside.values() for planned in others):
            raise LayerError(f"a layer of {path} is called {name}, as its {key} is", "give it another `name`", loc)
        planned_layers, _ = _plan_chain(chain, x, f"{path}.{own}", f"{seed_path}.{own}", (*loc, key), changed)
        inside[name] = tuple(planned_layers)
    return PlannedLayer(path, seed_path, layer, plan, x, loc, inside)


def _check_sizes(plan: Plan, path: str, loc: tuple[str | int, ...]) -> None:
    """Raises LayerError where an array is larger than any memory: no size is too large for what is computed of it."""
    slots = {**plan.keep, **plan.draws, **plan.scratch, **plan.state}
    params = {name: param.shape for name, param in plan.params.items()}
    for name, shape in {"y": plan.y, **params, **{name: slot.shape for name, slot in slots.items()}}.items():
        shape = tuple(d for d in shape if d != N)
        if math.prod(shape) > MAX_ENTRIES:
            text = f"{path}.{name} would have {written(shape)} numbers, more than any memory holds"
            raise LayerError(text, "smaller sizes, here or in the layers before", loc)


def _key(layer: Layer, layers: object, name: str) -> str:
    """Returns the setting of a container that holds an inner chain: what the file calls it."""
    return next((key for key in type(layer).model_fields if getattr(layer, key) is layers), name)


def _lay_out(
    layers: tuple[PlannedLayer, ...], penalty: Regularizer | None
) -> tuple[tuple[ParamLayout, ...], tuple[tuple[Regularizer, slice], ...]]:
    groups: dict[Regularizer | None, list[tuple[PlannedLayer, str, Param, Initializer]]] = {}
    for planned, following in with_following(layers):
        own = getattr(planned.layer, "regularization", None) or penalty
        for name, param in planned.plan.params.items():
            init = param.init or default_initializer(following)
            if not isinstance(init, Initializer):
                raise TypeError(f"{planned.path}.{name}: {init!r} is not an initializer")
            groups.setdefault(own if param.decays else None, []).append((planned, name, param, init))
    layout: list[ParamLayout] = []
    penalties: list[tuple[Regularizer, slice]] = []
    at = 0
    for under in sorted(groups, key=lambda g: g is None):
        start = at
        for planned, name, param, init in sorted(groups[under], key=lambda member: not member[2].decays):
            path, seed_path = f"{planned.path}.{name}", f"{planned.seed_path}.{name}"
            layout.append(ParamLayout(path, seed_path, param.shape, at, param, init, under, planned, name))
            at += math.prod(param.shape)
        if under is not None:
            penalties.append((under, slice(start, at)))
    return tuple(layout), tuple(penalties)


def with_following(planned_layers: Sequence[PlannedLayer]) -> Iterator[tuple[PlannedLayer, Layer | None]]:
    """Yields every layer, containers before what is inside them, with the activation or the learning layer that comes
    next in its chain: what stands between (dropout, flatten) changes nothing of the scale."""
    for i, planned in enumerate(planned_layers):
        ahead = (n for n in planned_layers[i + 1 :] if isinstance(n.layer, Activation) or n.trainable)
        following = next(ahead, None)
        yield planned, following.layer if following else None
        for inner in planned.inside.values():
            yield from with_following(inner)


def default_initializer(following: Layer | None) -> Initializer:
    """Returns how weights start where the file does not say: as suits the activation after them, else
    glorot_uniform."""
    return Initializer.parse(following.default_init if isinstance(following, Activation) else Activation.default_init)


def first_trainable(planned_layers: Sequence[PlannedLayer]) -> int:
    """Returns where the first layer of a chain with a parameter stands; the length of the chain where none has one."""
    return next((i for i, planned in enumerate(planned_layers) if planned.trainable), len(planned_layers))


def needs_gradient(planned_layers: Sequence[PlannedLayer], all_gradients: bool) -> list[bool]:
    """Returns which gradients of a chain are computed: before each of its layers, and behind the last.

    Unless `all_gradients` are needed, the layers before the first parameter have nothing to learn and no layer to pass
    a gradient to, and the layer that has it may skip its own dx.
    """
    first = first_trainable(planned_layers)
    skips = first < len(planned_layers) and planned_layers[first].plan.skips_dx
    return [all_gradients or i > first or (i == first and not skips) for i in range(len(planned_layers))] + [True]


def slot_bytes(slot: Slot, batch: int, width: int) -> int:
    """Returns bytes of a slot for a batch, where a float takes `width`."""
    item = width if slot.dtype == "float" else np.dtype(WIDTHS[slot.dtype]).itemsize
    return math.prod(batch if d == N else d for d in slot.shape) * item


def gradient_block(key: str, i: int, retain: bool) -> str:
    """Returns where the gradient between layer i - 1 and layer i of a chain stands: a few blocks in turn serve a
    chain."""
    return f"{key}/gradient/{i if retain else i % GRADIENT_BLOCKS}"


def inner_key(planned: PlannedLayer, key: str, name: str, retain: bool) -> str:
    """Returns what the blocks of a chain inside a layer are called by, where the layer's own chain is called `key`."""
    return f"{planned.path}/{name}" if retain else f"{key}/{name}"


def layer_slots(planned: PlannedLayer, retain: bool) -> Iterator[tuple[str, str, Slot]]:
    """Yields the slots of a layer, each with its block in memory and its name: layers share the blocks of scratch."""
    for name, slot in {**planned.plan.keep, **planned.plan.draws}.items():
        yield f"{planned.path}/{name}", name, slot
    for name, slot in planned.plan.scratch.items():
        yield f"{planned.path}/{name}" if retain else f"scratch {name}", name, slot


def memory_blocks(
    planned_layers: Sequence[PlannedLayer], key: str, all_gradients: bool, retain: bool = False
) -> Iterator[tuple[str, Slot]]:
    """Yields the blocks of memory that a chain works in, with what stands in each: outputs, gradients and slots.
    `retain` gives every array its own; else a block comes once for each of its users."""
    needed = needs_gradient(planned_layers, all_gradients)
    for i, planned in enumerate(planned_layers):
        y = Slot((N, *planned.plan.y))
        yield f"{planned.path}/y", y
        if needed[i]:
            yield gradient_block(key, i, retain), Slot((N, *planned.x))
        if needed[i + 1]:
            yield gradient_block(key, i + 1, retain), y
        yield from ((block, slot) for block, _, slot in layer_slots(planned, retain))
        for name, chain in planned.inside.items():
            yield from memory_blocks(chain, inner_key(planned, key, name, retain), True, retain)


def working_bytes(
    network_plan: NetworkPlan, batch: int, width: int, *, need_dx: bool = False, retain: bool = False
) -> int:
    """Returns bytes of the arrays of one training step besides parameters: inputs, states, the blocks that layers work
    in, and that of the products beside threads."""
    largest: dict[str, int] = {}
    for block, slot in memory_blocks(network_plan.layers, "net", need_dx, retain):
        largest[block] = max(largest.get(block, 0), slot_bytes(slot, batch, width))
    own = [Slot((N, *network_plan.x)), *(slot for p in network_plan.walk() for slot in p.plan.state.values())]
    threaded = any(is_worth_threads(p.layer, p.plan, batch) for p in network_plan.walk())
    products = SUM_BLOCK_ENTRIES * width if threaded else 0
    return sum(slot_bytes(s, batch, width) for s in own) + sum(largest.values()) + products


def network_bytes(
    network_plan: NetworkPlan, batch: int, width: int, *, need_dx: bool = False, retain: bool = False
) -> int:
    """Returns bytes that a network in memory takes: what it works in, parameters and gradients, and while they are
    drawn, the numbers of the largest tensor in float64."""
    drawn = 8 * max((e.size for e in network_plan.layout), default=0)
    working = working_bytes(network_plan, batch, width, need_dx=need_dx, retain=retain)
    return working + 2 * width * network_plan.size + drawn


def largest_layer(network_plan: NetworkPlan, batch: int, width: int) -> PlannedLayer:
    """Returns the first layer with an array, for a batch, about as large as the largest of all: those behind it are
    large because it is."""
    sizes: list[tuple[int, PlannedLayer]] = []
    for planned in network_plan.walk():
        slots = (Slot((N, *planned.plan.y)), *(slot for _, _, slot in layer_slots(planned, True)))
        sizes.append((max(slot_bytes(slot, batch, width) for slot in slots), planned))
    most = max(size for size, _ in sizes)
    return next(planned for size, planned in sizes if 2 * size >= most)
