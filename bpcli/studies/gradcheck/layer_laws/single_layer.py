"""A layer alone in the engine's memory: run on any of its rows, in memory that holds nothing of an earlier run."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer, Chain, Network
from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.family import Array, N
from bpcli.numeric.streams import Stream

ROW_FACTORS = (1.0, 8.0, 0.125)
"""Rows are larger or smaller than others by these, so that none is lost beside another."""
MAX_COMPARED_ENTRIES = 1 << 20
"""Entries of a gradient of a parameter, from which on its first axis is summed up, each index by a factor of its own,
before two gradients are compared: an entry that is wrong still shows."""

Results = Mapping[str, Array]
"""What a pass computed: y, dx, and the gradients of parameters, `dW`; of layers inside, `dense_1.dW`."""


@dataclass(frozen=True, eq=False)
class LayerInputs:
    """What a layer is run on, in float64 numbers that are float32 numbers too: rows `x` (R, ...), errors `dy` (R, ...),
    the flat weights, and by path and name its state and what it draws."""

    x: Array
    dy: Array
    theta: Array
    states: Mapping[str, Array]
    draws: Mapping[tuple[str, str], Array]
    rounded: Callable[[Array], Array] | None = None  # what rounding may make of what forward leaves for backward

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.x)


class SingleLayer:
    """A layer alone in a network of its own, for at most `rows` rows."""

    def __init__(self, planned: PlannedLayer, rows: int, dtype: Any, need_dx: bool = True) -> None:
        self.planned = planned
        self.dtype = np.dtype(dtype)
        layer = planned.layer
        self.network = Network(plan_network([layer], planned.x), rows, dtype, 0, retain=True, need_dx=need_dx)
        self.own = self.network.network_plan.layers[0].path

    def inputs(self, rows: int, seed: int, x: Array | None = None) -> LayerInputs:
        """Draws what it is run on; `x` may hold its rows, which are repeated where they are too few."""
        rng = Stream(seed, "gradcheck", f"{self.planned.path} at size").at()
        chain, network = self.network.chain(rows), self.network
        factors = np.resize(ROW_FACTORS, rows).reshape(rows, *(1,) * len(self.planned.x))
        tokens = network.network_plan.tokens
        if x is not None:
            x = np.resize(x, (rows, *self.planned.x))
        elif tokens:
            x = rng.integers(0, tokens, chain.x.shape).astype(np.float64)
        else:
            x = rng.normal(size=chain.x.shape) * factors
        fan_ins = np.ones(network.theta.shape, np.float32)
        for e in network.network_plan.layout:
            fan_ins[e.where] = max(1, e.param.fan_in)
        network.theta += 0.5 * rng.standard_normal(len(fan_ins), np.float32) / np.sqrt(fan_ins)
        for state in network.states.values():
            if state.dtype.kind == "f":
                state[...] = rng.uniform(0.5, 1.5, state.shape)
        network.draw(chain, 0)
        bound_layers = list(chain.walk())
        draws = {(k.path, name): np.array(getattr(k.frame, name)) for k in bound_layers for name in k.plan.draws}
        dy = rng.normal(size=chain.y.shape) * np.resize((1.0, 0.125, 8.0), rows).reshape(
            rows, *(1,) * (chain.y.ndim - 1)
        )
        states = {path: _float32_numbers(a) for path, a in network.states.items()}
        return LayerInputs(_float32_numbers(x), _float32_numbers(dy), _float32_numbers(network.theta), states, draws)

    def take_weights(self, inputs: LayerInputs) -> None:
        """Takes weights and state over."""
        np.copyto(self.network.theta, inputs.theta, casting="same_kind")
        for path, state in self.network.states.items():
            np.copyto(state, inputs.states[path], casting="same_kind")

    def load(self, inputs: LayerInputs, start: int, stop: int) -> Chain:
        """Returns the chain of rows start to stop with these rows in it, and all that it writes filled with NaN."""
        chain = self.network.chain(stop - start)
        for bound in chain.walk():
            fill_with_nan(bound)
            for name, slot in bound.plan.draws.items():
                drawn = inputs.draws[bound.path, name]
                np.copyto(getattr(bound.frame, name), drawn[start:stop] if slot.shape[:1] == (N,) else drawn)
        self.network.grad.fill(np.nan)
        np.copyto(chain.x, inputs.x[start:stop], casting="same_kind")
        return chain

    def run(self, inputs: LayerInputs, start: int, stop: int, train: bool, dy: Array | None = None) -> Results:
        """Runs forward and backward on the rows from start to stop, and returns what they compute; `dy` may take the
        place of the errors."""
        chain = self.load(inputs, start, stop)
        chain.forward(train)
        y = chain.y.copy()
        if inputs.rounded is not None:
            for bound in chain.walk():
                for a in (getattr(bound.frame, name) for name in ("y", *bound.plan.keep)):
                    if a.dtype.kind == "f" and not (a == np.rint(a)).all():  # whole numbers may be places
                        a[...] = inputs.rounded(a)
        np.copyto(chain.dy, (inputs.dy if dy is None else dy)[start:stop], casting="same_kind")
        chain.backward(train)
        return {"y": y} | self.gradients(chain)

    def arrays_read(self, chain: Chain) -> dict[str, Array]:
        """Returns the arrays that the kernels may only read, by name."""
        found = {"x": chain.x, "dy": chain.dy}
        for bound in chain.walk():
            inner = bound.path[len(self.own) + 1 :]
            for name in (*bound.plan.params, *bound.plan.draws, *bound.plan.state):
                found[f"{inner}.{name}".lstrip(".")] = getattr(bound.frame, name)
        return found

    def changed(self, inputs: LayerInputs, n: int, train: bool) -> Iterator[tuple[str, Array, Array]]:
        """Yields what kernels change of the arrays that they may only read, on n rows: its name, what it holds then and
        what it held before. Puts weights and state back."""
        chain = self.load(inputs, 0, n)
        np.copyto(chain.dy, inputs.dy[:n], casting="same_kind")
        before = {name: a.copy() for name, a in self.arrays_read(chain).items()}
        chain.forward(train)
        chain.backward(train)
        for name, a in self.arrays_read(chain).items():
            if not np.array_equal(a, before[name], equal_nan=a.dtype.kind == "f"):
                yield name, a.copy(), before[name]
        self.take_weights(inputs)

    def forward(self, inputs: LayerInputs, start: int, stop: int, train: bool) -> Array:
        """Runs forward alone; returns y."""
        chain = self.load(inputs, start, stop)
        chain.forward(train)
        return chain.y.copy()

    def gradients(self, chain: Chain) -> dict[str, Array]:
        """Returns copies of what a backward pass wrote."""
        found = {} if chain.dx is None else {"dx": np.array(chain.dx)}
        for path, g in self.network.gradients().items():
            layer, _, name = path.rpartition(".")
            found[f"{layer[len(self.own) + 1 :]}.d{name}".lstrip(".")] = comparable_copy(g)
        return found


def fill_with_nan(bound: BoundLayer) -> None:
    """Fills all that a layer writes with NaN; whole numbers with 1."""
    f = bound.frame
    for name in ("y", "dx", *bound.plan.keep, *bound.plan.scratch):
        a = getattr(f, name)
        if a is not None:
            a[...] = np.nan if a.dtype.kind == "f" else 1


def comparable_copy(gradient: Array) -> Array:
    """Returns a copy of a gradient; of a very large one the sums along its first axis, each index by a factor of its
    own."""
    if gradient.size <= MAX_COMPARED_ENTRIES or gradient.ndim < 2:
        return gradient.copy()
    factors = np.linspace(0.5, 1.5, len(gradient), dtype=gradient.dtype)
    return np.asarray(factors @ gradient.reshape(len(gradient), -1)).reshape(gradient.shape[1:])


def entries_a_row(planned: PlannedLayer) -> int:
    """Returns how many numbers a layer's arrays hold for each row."""
    found = 2 * (math.prod(planned.x) + math.prod(planned.plan.y))
    for slot in (*planned.plan.keep.values(), *planned.plan.scratch.values(), *planned.plan.draws.values()):
        if slot.shape[:1] == (N,):
            found += math.prod(slot.shape[1:])
    return found + sum(entries_a_row(inner) for chain in planned.inside.values() for inner in chain)


def _float32_numbers(a: Array) -> Array:
    return np.asarray(a, np.float32).astype(np.float64) if a.dtype.kind == "f" else a
