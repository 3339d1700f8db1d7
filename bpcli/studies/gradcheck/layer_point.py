"""Each layer alone, in the memory of its own network: at random, saturated and tied points, under random upstreams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bpcli.engine.network import BoundLayer, Chain, Network
from bpcli.family import Layer
from bpcli.family.plan import Array
from bpcli.notation.derive.backward import derived_gradients, most_cells
from bpcli.numeric.streams import Stream
from bpcli.numeric.vectors import EPS
from bpcli.studies.gradcheck.forward_equations import ForwardEquations, has_equations
from bpcli.studies.gradcheck.rounding import layer_rounding_scale
from bpcli.studies.witness.cases import engine_arrays, equation_views, layer_program
from bpcli.studies.witness.evidence import CheckedGradient
from bpcli.studies.witness.kinks import Outputs
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64
from bpcli.studies.witness.witness import SUM_RTOL, max_abs

DATA, RANDOM, SATURATED, TIES, EVALUATION = "data", "random", "saturated", "ties", "evaluation"
POINTS = (DATA, RANDOM, SATURATED, TIES)
SMALL, LARGE, ZEROS = "small", "large", "zeros"
OWN_POINTS = (LARGE, ZEROS)
PART_POINTS = (SMALL, *OWN_POINTS)
"""Points at which a layer of one's own is looked at besides, in a network and as a part; at `zeros` only for numbers
that are not finite."""
WHOLE_INPUTS = (0.0, 1.0, -1.0)  # whole numbers among the tied inputs of a layer of one's own, in any case
INPUT_FACTORS = {SATURATED: 8.0, SMALL: 1e-3, LARGE: 64.0}
"""How much larger inputs are there than at the random point; units saturate at 8."""


class LayerPoint:
    """A layer with inputs, weights, chance and an upstream gradient, after one pass of its kernels.

    The layer's arrays in the network are those of this point until another is made.
    """

    def __init__(
        self,
        network: Network,
        chain: Chain,
        bound: BoundLayer,
        name: str,
        x: Array | None,
        seed: int,
        train: bool | None = None,
    ) -> None:
        self.network, self.bound, self.name = network, bound, name
        self.train = name != EVALUATION if train is None else train
        self.rng = rng = Stream(seed, "gradcheck", f"{bound.path} {name}").at()
        self._set_up(rng, x)
        network.draw(chain, 0)
        f = bound.frame
        self.upstream = rng.normal(size=f.y.shape)
        self.forward()
        self._backward(self.upstream)
        self.kernel = engine_arrays(bound)
        self.inner = {path: g.copy() for path, g in self._inside(network.gradients()).items()}
        self.rounding = layer_rounding_scale(bound, self.train, rng)

    def _set_up(self, rng: np.random.Generator, x: Array | None) -> None:
        f, plan = self.bound.frame, self.bound.plan
        tensors = [getattr(f, name) for name in plan.params] + [*self._inside(self.network.parameters()).values()]
        tokens = tokens_of(self.bound)
        if x is not None:
            np.copyto(f.x, x)
        elif tokens:
            f.x[...] = rng.integers(0, tokens, f.x.shape)
        else:
            f.x[...] = rng.normal(size=f.x.shape)
        if self.name in (RANDOM, SATURATED, EVALUATION, *PART_POINTS):  # biases off 0, gains off 1
            for w in tensors:
                w += 0.5 * rng.normal(size=w.shape)
            for name in plan.state:
                state = getattr(f, name)
                state[...] = rng.uniform(0.5, 1.5, state.shape)
        if not tokens:
            f.x *= INPUT_FACTORS.get(self.name, 1.0)
        if self.name == ZEROS:
            f.x[0] = 0.0
        if self.name == TIES:
            for a in tensors if tokens else (f.x, *tensors):
                np.rint(2 * rng.normal(size=a.shape), out=a)
            if is_own(self.bound.layer) and not tokens and f.x.size >= len(WHOLE_INPUTS):
                f.x.flat[: len(WHOLE_INPUTS)] = WHOLE_INPUTS

    def _inside(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Returns those of `arrays` that belong to layers inside a container, by path."""
        mine = {f"{k.path}." for chain in self.bound.inside.values() for k in chain.walk()}
        return {path: a for path, a in arrays.items() if path[: path.rindex(".") + 1] in mine}

    def forward(self) -> None:
        self.bound.layer.forward(self.bound.frame, self.train)

    def _backward(self, dy: Array) -> None:
        """Runs the kernel's backward pass. What it must not change is put back: the law of re-entrance reports that,
        and the gradients are judged for what they are."""
        f, plan = self.bound.frame, self.bound.plan
        np.copyto(f.dy, dy)
        reads = [getattr(f, name) for name in ("x", "dy", *plan.params, *plan.draws, *plan.state)]
        reads += self._inside(self.network.parameters()).values()
        before = [a.copy() for a in reads]
        self.bound.layer.backward(f, self.train)
        for a, value in zip(reads, before, strict=True):
            np.copyto(a, value)

    def gradient_for(self, name: str, dy: Array) -> Array:
        """Returns the gradient `name` that the kernels give for another error."""
        self.forward()
        self._backward(dy)
        found = np.array(getattr(self.bound.frame, name))
        np.copyto(self.bound.frame.dy, self.upstream)
        return found

    @contextmanager
    def moved(self, path: str, share: float) -> Iterator[Array]:
        """Moves inputs and parameters by chance, by a share of their sizes, and puts them back; yields the kernel's
        gradient there, by x or by a parameter."""
        f, plan = self.bound.frame, self.bound.plan
        tensors = [getattr(f, name) for name in plan.params] + [*self._inside(self.network.parameters()).values()]
        if not tokens_of(self.bound):
            tensors.append(f.x)
        before = [a.copy() for a in tensors]
        for a in tensors:
            a += share * np.maximum(1, np.abs(a)) * self.rng.normal(size=a.shape)
        self.forward()
        self._backward(self.upstream)
        yield np.array(f.dx if path == "x" else self.network.gradients()[path])
        for a, value in zip(tensors, before, strict=True):
            np.copyto(a, value)

    def _inner_rounding_scale(self, path: str) -> float:
        """Returns how far a gradient inside moves where inputs, weights and error are off; and what the layers inside
        add."""
        layer, _, name = path.rpartition(".")
        inner = next(k for chain in self.bound.inside.values() for k in chain.walk() if k.path == layer)
        with self.moved(path, COARSE_EPS) as gradient:
            moved = max_abs(gradient - self.inner[path])
        own = layer_rounding_scale(inner, self.train, self.rng).get(f"d{name}", 0.0)
        return moved + own + len(self.upstream) * max(1.0, max_abs(inner.frame.x)) * self.rounding.get("inside", 0.0)

    def value(self) -> tuple[float, float]:
        """Returns the outputs weighed by the upstream gradient, through the kernels, and the sum of the sizes of its
        terms."""
        self.forward()
        return float(np.vdot(self.bound.frame.y, self.upstream)), self._mass

    @cached_property
    def _mass(self) -> float:
        size_ = float(np.abs(self.upstream).sum())
        return float(np.abs(self.kernel["y"] * self.upstream).sum()) + size_ * self.rounding.get("y", 0.0) / COARSE_EPS

    @cached_property
    def all_stated(self) -> bool:
        """Whether the layer and all inside it have equations."""
        return has_equations(self.bound, self.train)

    @cached_property
    def equations(self) -> Mapping[str, Array]:
        """Returns the array of every left side by the layer's own equations; nothing where it has none."""
        if not self.bound.layer.equations(self.train, self.bound.planned.x):
            return {}
        return layer_program(self.bound, self.train).run(equation_views(self.bound))

    @cached_property
    def derived(self) -> Mapping[str, Array]:
        """Returns the layer's own gradients by equations derived from its forward ones; nothing where it has none, or
        where they are far more work than the equations that its author states."""
        if not self.equations or self.bound.inside:
            return {}
        program = layer_program(self.bound, self.train)
        by = {"x": self.bound.frame.x.shape} | {p: getattr(self.bound.frame, p).shape for p in self.bound.plan.params}
        return derived_gradients(program, equation_views(self.bound), "y", by, most_cells(program))

    def forward_mismatch(self) -> ForwardMismatch | None:
        """Returns what the kernel's forward pass computes otherwise than the equations, first of all its output."""
        reach = max(max_abs(self.kernel["y"]), max_abs(self.bound.frame.x), 1.0)
        backward = {"dx", *(f"d{p}" for p in self.bound.plan.params)}
        names = [n for n in self.equations if n in self.kernel and n not in backward and not n.endswith("_dy")]
        for name in sorted(names, key=lambda n: n != "y"):
            allowed = SUM_RTOL * max_abs(self.equations[name]) + 64 * EPS * reach + TO_FLOAT64 * self.rounding[name]
            if (found := mismatch(name, self.kernel, self.equations, allowed)) is not None:
                return found
        return None

    def _outputs(self, name: str, own: bool) -> Outputs:
        """Returns what shows a kink: the layer's outputs; of a container those of the layers inside, too."""
        bound_layers = [self.bound, *(k for chain in self.bound.inside.values() for k in chain.walk())]
        if len(bound_layers) > 1 or not own:
            return Outputs(lambda: np.concatenate([np.ravel(k.frame.y) for k in bound_layers]))
        return Outputs(lambda: self.bound.frame.y, self.upstream, partial(self.gradient_for, f"d{name}"))

    def gradients(self) -> Iterator[CheckedGradient]:
        """Yields the gradient by the inputs, by each parameter, and by all that is learned inside."""
        forward_equations = ForwardEquations([self.bound], self.train) if self.all_stated else None
        f, path = self.bound.frame, self.bound.path
        parameters = {f"{path}.{name}": getattr(f, name) for name in self.bound.plan.params}
        own = {"x": self.kernel["dx"]} | {f"{path}.{p}": self.kernel[f"d{p}"] for p in self.bound.plan.params}
        gradients = own | self.inner
        reach = max([max_abs(self.upstream), *map(max_abs, gradients.values())])
        x = f.x.copy()

        def complex_value(name: str, z: Array) -> object:
            assert forward_equations is not None
            y = forward_equations.outputs(z if name == "x" else x, {} if name == "x" else {name: z})
            return np.sum(y * self.upstream)

        for label, at in ({"x": f.x} | parameters | self._inside(self.network.parameters())).items():
            layer, _, name = label.rpartition(".")
            scale = self.rounding.get(f"d{name}", 0.0) if label in own else self._inner_rounding_scale(label)
            yield CheckedGradient(
                "layer", f"{layer or path}.d{name}", self.name, at, gradients[label], self.value,
                self.equations.get(f"d{name}") if label in own else None,
                partial(complex_value, label) if forward_equations else None, reach, partial(self.moved, label),
                TO_FLOAT64 * scale, always_zero=label == "x" and bool(tokens_of(self.bound)),
                differences=self.name != TIES or not self.all_stated, outputs=self._outputs(name, label in own),
                derived=self.derived.get(f"d{name}") if label in own else None,
            )  # fmt: skip


def is_own(layer: Layer) -> bool:
    """Whether a layer is none of this package."""
    return not type(layer).__module__.startswith("bpcli.")


def tokens_of(bound: BoundLayer) -> int:
    """Returns how many different whole numbers a layer takes, or a layer inside it; 0 where it takes any numbers."""
    inside = (k.plan.tokens for chain in bound.inside.values() for k in chain.walk())
    return min((t for t in (bound.plan.tokens, *inside) if t), default=0)


@dataclass(frozen=True)
class ForwardMismatch:
    """A forward pass where kernel and equations disagree."""

    name: str
    index: tuple[int, ...]
    kernel: float
    equations: float
    entries: int
    allowed: float

    @property
    def bar(self) -> float:
        """Returns how far they may differ, as a share of the larger one."""
        return self.allowed / max(abs(self.kernel), abs(self.equations), 1e-300)

    @property
    def share(self) -> float:
        """Returns how far they differ, as a share of the larger one."""
        return abs(self.kernel - self.equations) / max(abs(self.kernel), abs(self.equations), 1e-300)


def mismatch(
    name: str, kernel: Mapping[str, Array], equations: Mapping[str, Array], allowed: float
) -> ForwardMismatch | None:
    """Returns where a left side is farther apart than is allowed; None where it is not, or the equations lack it."""
    ours, theirs = kernel[name], equations.get(name)
    if theirs is None or ours.shape != theirs.shape:
        return None
    gap = np.where(ours == theirs, 0.0, np.abs(ours - theirs))
    if (gap <= allowed).all():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(np.where(np.isnan(gap), np.inf, gap).argmax()), gap.shape))
    return ForwardMismatch(name, index, float(ours[index]), float(theirs[index]), ours.size, allowed)
