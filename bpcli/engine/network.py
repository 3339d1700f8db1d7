"""The network in memory: flat vectors of parameters and of gradients, and chains of layers bound to frames of views.

The inner chains of a container are bound by the same recursion; nothing here knows what a container does with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.engine import network_plan as planning
from bpcli.engine.fusion import BoundKernel, fused, is_worth_threads
from bpcli.engine.memory import Memory, aligned
from bpcli.engine.network_plan import NetworkPlan, ParamLayout, PlannedLayer
from bpcli.family import Array, Frame, Layer, N, Plan
from bpcli.numeric.blas import fit_threads
from bpcli.numeric.free_memory import require_memory
from bpcli.numeric.products import CutProducts
from bpcli.numeric.streams import Stream


@dataclass(frozen=True)
class BoundLayer:
    """One layer of a chain with the frame it works on, and the chains inside it."""

    planned: PlannedLayer
    frame: Frame
    inside: Mapping[str, Chain]

    @property
    def path(self) -> str:
        return self.planned.path

    @property
    def layer(self) -> Layer:
        return self.planned.layer

    @property
    def plan(self) -> Plan:
        return self.planned.plan


class Chain:
    """Layers in a row, bound to one batch size: `x` in, `y` out, `dy` in, `dx` out (None where it is not needed).

    The first `untrained` layers have no parameters, and no layer before them needs their dx: they take no part in
    backward.
    """

    def __init__(self, layers: Sequence[BoundLayer], x: Array, dx: Array | None, dy: Array, untrained: int) -> None:
        self.layers = tuple(layers)
        self.x, self.dx, self.dy = x, dx, dy
        self.y = layers[-1].frame.y
        ahead = (BoundKernel(k.layer.forward, k.layer, k.plan, k.frame) for k in layers)
        back = (BoundKernel(k.layer.backward, k.layer, k.plan, k.frame) for k in reversed(layers[untrained:]))
        self._forward, self._backward = fused(ahead, len(x)), fused(back, len(x))
        self._untrained = untrained

    def forward(self, train: bool) -> None:
        for kernel, f in self._forward:
            kernel(f, train)

    def backward(self, train: bool) -> None:
        for kernel, f in self._backward:
            kernel(f, train)

    def learning(self) -> Sequence[BoundLayer]:
        """Returns the layers that take part in backward, in its order."""
        return self.layers[self._untrained :][::-1]

    def walk(self) -> Iterator[BoundLayer]:
        """Yields all layers, containers before what is inside them."""
        for bound in self.layers:
            yield bound
            for chain in bound.inside.values():
                yield from chain.walk()


class Network:
    """Owns parameters, gradients, states and working memory of a planned network.

    `rows` is the largest batch it will see. `retain` gives every array its own memory, so that all of them can be read
    after a step (trace, checks); `need_dx` computes the gradient of the inputs too.
    """

    def __init__(
        self,
        network_plan: NetworkPlan,
        rows: int,
        dtype: Any,
        seed: int,
        *,
        retain: bool = False,
        need_dx: bool = False,
    ) -> None:
        self.network_plan, self.rows, self.dtype, self.seed = network_plan, rows, np.dtype(dtype), seed
        self.retain, self.need_dx = retain, need_dx
        needed = planning.network_bytes(network_plan, rows, self.dtype.itemsize, need_dx=need_dx, retain=retain)
        require_memory(needed, f"for this network with {rows:,} rows at a time", "fewer rows, or smaller layers")
        self.theta = aligned(network_plan.size, self.dtype)
        self.grad = aligned(network_plan.size, self.dtype)
        self.memory = Memory(rows, self.dtype)
        self.states: dict[str, Array] = {}
        for planned in network_plan.walk():
            for name, slot in planned.plan.state.items():
                self.memory.reserve(f"{planned.path}.{name}", slot.shape, slot.dtype)
                self.states[f"{planned.path}.{name}"] = self.memory.slot(f"{planned.path}.{name}", slot, rows)
                self.states[f"{planned.path}.{name}"][...] = slot.start
        self._streams = {n.seed_path: Stream(seed, "draw", n.seed_path) for n in network_plan.walk() if n.plan.draws}
        threaded = any(is_worth_threads(n.layer, n.plan, rows) for n in network_plan.walk())
        self._products = CutProducts(self.dtype) if threaded else None
        fit_threads(rows * max((n.plan.multiply_adds for n in network_plan.walk()), default=0))
        self._chains: dict[int, Chain] = {}
        self._params: dict[str, list[ParamLayout]] = {}
        for e in network_plan.layout:
            self._params.setdefault(e.owner.path, []).append(e)
        for block, slot in planning.memory_blocks(network_plan.layers, "net", need_dx, retain):
            self.memory.reserve(block, slot.shape, slot.dtype)
        self.memory.reserve("x", (N, *network_plan.x))
        self.initialize()

    def initialize(self) -> None:
        """Draws every parameter anew from its own stream (float64, then cast)."""
        for e in self.network_plan.layout:
            start = np.zeros(e.shape)
            e.init.fill(start, e.param.fan_in, e.param.fan_out, Stream(self.seed, "init", e.seed_path).at())
            self.theta[e.where].reshape(e.shape)[...] = start

    def parameters(self) -> dict[str, Array]:
        """Returns views of every parameter by path."""
        return {e.path: self.theta[e.where].reshape(e.shape) for e in self.network_plan.layout}

    def gradients(self) -> dict[str, Array]:
        """Returns views of every parameter's gradient by the parameter's path."""
        return {e.path: self.grad[e.where].reshape(e.shape) for e in self.network_plan.layout}

    def chain(self, n: int) -> Chain:
        """Returns the chain bound to a batch of `n` rows, at most `rows`; bound once."""
        chain = self._chains.get(n)
        if chain is None:
            x = self.memory.view("x", (N, *self.network_plan.x), n)
            chain = self._chains[n] = self._bind(self.network_plan.layers, x, "net", n, top=True)
        return chain

    def draw(self, chain: Chain, step: int) -> None:
        """Fills every layer's chance for the training step after `step` completed ones."""
        for bound in chain.walk():
            if bound.plan.draws:
                bound.layer.draw(bound.frame, self._streams[bound.planned.seed_path].at(step))

    def commit(self, chain: Chain) -> None:
        """Carries the step into every layer's state."""
        for bound in chain.walk():
            if bound.plan.state:
                bound.layer.commit(bound.frame)

    @property
    def draws(self) -> bool:
        """Whether any layer takes chance."""
        return bool(self._streams)

    def _bind(self, layers: Sequence[PlannedLayer], x: Array, key: str, n: int, *, top: bool) -> Chain:
        needed = planning.needs_gradient(layers, self.need_dx or not top)
        chain: list[BoundLayer] = []
        for i, planned in enumerate(layers):
            dx = (
                self.memory.view(planning.gradient_block(key, i, self.retain), (N, *planned.x), n)
                if needed[i]
                else None
            )
            dy = (
                self.memory.view(planning.gradient_block(key, i + 1, self.retain), (N, *planned.plan.y), n)
                if needed[i + 1]
                else None
            )
            bound = self._bind_layer(planned, x, dx, dy, key, n)
            chain.append(bound)
            x = bound.frame.y
        untrained = planning.first_trainable(layers) if top and not self.need_dx else 0
        return Chain(chain, chain[0].frame.x, chain[0].frame.dx, chain[-1].frame.dy, untrained)

    def _bind_layer(
        self, planned: PlannedLayer, x: Array, dx: Array | None, dy: Array | None, key: str, n: int
    ) -> BoundLayer:
        plan = planned.plan
        f = Frame(x=x, dx=dx, dy=dy, y=self.memory.view(f"{planned.path}/y", (N, *plan.y), n))
        if self._products is not None:
            f.matmul = self._products.matmul
        for e in self._params.get(planned.path, []):
            setattr(f, e.name, self.theta[e.where].reshape(e.shape))
            setattr(f, f"d{e.name}", self.grad[e.where].reshape(e.shape))
        for block, name, slot in planning.layer_slots(planned, self.retain):
            setattr(f, name, self.memory.slot(block, slot, n))
        for name in plan.state:
            setattr(f, name, self.states[f"{planned.path}.{name}"])
        inside: dict[str, Chain] = {}
        for name, inner in planned.inside.items():
            inside[name] = self._bind(inner, x, planning.inner_key(planned, key, name, self.retain), n, top=False)
            setattr(f, name, inside[name])
        return BoundLayer(planned, f, inside)
