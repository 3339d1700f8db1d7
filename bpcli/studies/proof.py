"""The laws of parts: for every sample of every part, kernel = equations = complex step = central differences.

Each family says once what must hold; a new part is proven the moment it is declared. A case computes its numerical
derivatives once (they look at the forward pass only), so that any number of wrong backwards can be held against them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.engine.blueprint import draw_up
from bpcli.engine.network import Link, Network
from bpcli.family import Clipper, Constraint, Layer, Loss, Regularizer, Schedule, Stepper
from bpcli.numeric.notation import Program, compile_equations
from bpcli.plan import Array, Frame, Sample, empty
from bpcli.records import Gap
from bpcli.studies.witness import EPS, central_differences, compare, complex_step, size

TIGHT = 1e-12  # of a tensor's largest entry: sums in another order
TENSORS = ((4, 3), (3,), (3, 3, 2, 5))
"""What a clipper that works per tensor is proven on."""
STEPPED = 1e-10  # of an entry: a complex step through a few hundred operations
DIFFERENCED = 1e-6  # of an entry: truncation of a central difference, h^2 times a third derivative


def equation_env(link: Link) -> dict[str, Any]:
    """What a layer's equations may read: inputs, parameters, chance, state, constants and the chains inside.

    Not what the kernel kept for itself: the equations have to come to it on their own.
    """
    f, plan = link.frame, link.node.plan
    names = ["x", "dy", *plan.params, *plan.draws, *plan.state]
    env: dict[str, Any] = {name: np.array(getattr(f, name)) for name in names}
    for name, chain in link.inside.items():
        env[f"{name}_y"], env[f"{name}_dx"] = np.array(chain.y), np.array(chain.dx)
    return env | dict(plan.consts)


def engine_arrays(link: Link) -> dict[str, Array]:
    """What the kernels computed, by the names the equations use."""
    f, plan = link.frame, link.node.plan
    found = {name: np.array(getattr(f, name)) for name in ("y", "dx", *plan.keep, *(f"d{p}" for p in plan.params))}
    for name, chain in link.inside.items():
        found[f"{name}_dy"] = np.array(chain.dy)
    return found


def layer_program(link: Link, train: bool, detail: str = "") -> Program:
    """A layer's equations, compiled for its frame."""
    env = equation_env(link)
    shapes = {k: np.shape(v) for k, v in (env | engine_arrays(link)).items() if np.ndim(v)}
    numbers = {k: v for k, v in env.items() if np.ndim(v) == 0}
    return compile_equations(link.layer.equations(train, link.node.x), shapes, numbers, detail=detail)


class LayerCase:
    """One layer alone in a network, at one point, under a random upstream gradient."""

    def __init__(self, sample: Sample, train: bool, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.train, self.layer = sample, train, sample.part
        blueprint = draw_up([sample.part], sample.x)
        self.network = Network(blueprint, sample.batch, dtype, seed, retain=True, need_dx=True)
        self.chain = self.network.chain(sample.batch)
        self.theta = self.network.theta
        self.theta += rng.normal(size=self.theta.shape).astype(self.theta.dtype) * 0.5  # biases off 0, gains off 1
        self.chain.x[...] = sample.inputs.get("x", rng.normal(size=self.chain.x.shape) * sample.scale)
        for name, value in sample.inputs.items():
            if name != "x":
                self.network.parameters()[f"{self.chain.links[0].path}.{name}"][...] = value
        for state in self.network.states.values():
            state[...] = rng.uniform(0.5, 1.5, state.shape)
        self.upstream = rng.normal(size=self.chain.y.shape)
        self.network.draw(self.chain, 3)

    @property
    def link(self) -> Link:
        return self.chain.links[0]

    def forward(self) -> None:
        self.chain.forward(self.train)

    def kernel(self) -> dict[str, Array]:
        """One forward and backward pass, in training with its commit; what it computed."""
        self.forward()
        self.chain.dy[...] = self.upstream
        self.chain.backward(self.train)
        found = engine_arrays(self.link)
        return found | self._committed() if self.train else found

    def _committed(self) -> dict[str, Array]:
        """The state after the step, as `<state>_new`; the state itself is put back."""
        f, names = self.link.frame, tuple(self.link.node.plan.state)
        before = {name: np.array(getattr(f, name)) for name in names}
        if names:
            self.layer.commit(f)
        after = {f"{name}_new": np.array(getattr(f, name)) for name in names}
        for name, value in before.items():
            getattr(f, name)[...] = value
        return after

    @property
    def tensors(self) -> dict[str, Array]:
        """What is differentiated by: the input and every parameter, as the arrays themselves."""
        return {"x": self.chain.x, **{p: getattr(self.link.frame, p) for p in self.link.node.plan.params}}

    @cached_property
    def equations(self) -> dict[str, Array]:
        """Every left side, from the equations alone."""
        self.kernel()
        return layer_program(self.link, self.train).run(equation_env(self.link))

    @cached_property
    def stepped(self) -> dict[str, Array]:
        """Every gradient by complex steps through the forward equations; of a container's branch, only what it adds."""
        self.kernel()
        program, env = layer_program(self.link, self.train), equation_env(self.link)
        return {f"d{name}": complex_step(program, env, name, "y", self.upstream) for name in self.tensors}

    @cached_property
    def differences(self) -> dict[str, Any]:
        """Every gradient by central differences through the kernels."""

        def objective() -> tuple[float, float]:
            self.forward()
            terms = self.chain.y * self.upstream
            return math.fsum(terms.ravel()), float(np.abs(terms).sum())

        tensors = dict(self.tensors)
        if self.link.inside:  # everything learned inside counts too
            tensors |= {path: p for path, p in self.network.parameters().items() if "." in path.partition(".")[2]}
        return {f"d{name}": central_differences(objective, a) for name, a in tensors.items()}

    def inner(self) -> dict[str, Array]:
        """Gradients of what is learned inside a container, by path, after `kernel`."""
        return {f"d{p}": g.copy() for p, g in self.network.gradients().items() if "." in p.partition(".")[2]}

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        """The kernel's arrays against the three other witnesses."""
        gradients = {name: a for name, a in kernel.items() if name == "dx" or name[1:] in self.link.node.plan.params}
        largest = max(size(self.upstream), *(size(g) for g in gradients.values()))  # what may cancel in a sum
        reach = max(size(self.chain.x), 1.0)
        found = []
        for name, value in self.equations.items():
            if name in kernel:
                floor = largest if name in gradients else reach
                near = TIGHT * size(value) + 64 * EPS * floor
                found.append(compare(name, ("kernel", kernel[name]), ("equations", value), near))
        for name, value in gradients.items():
            if not self.link.inside:
                step = self.stepped[name]
                allowed = STEPPED * np.maximum(np.abs(value), np.abs(step)) + TIGHT * size(step) + 64 * EPS * largest
                found.append(compare(name, ("kernel", value), ("complex step", step), allowed))
            found.append(self.difference_gap(name, value, largest))
        return found

    def difference_gap(self, name: str, value: Array, largest: float) -> Gap:
        """A gradient against the differences; an input within a step of a kink is excused."""
        d = self.differences[name]
        allowed = DIFFERENCED * np.maximum(np.abs(value), np.abs(d.value)) + d.noise + 1e-9 * largest
        excused = near_kinks(self.chain.x, self.sample.kinks) if name == "dx" and self.sample.kinks else None
        return compare(name, ("kernel", value), ("differences", d.value), allowed, excused)


def near_kinks(x: Array, kinks: Sequence[float]) -> Array:
    """Which inputs stand so near to a kink that a difference may step over it."""
    found: Array = np.any([np.abs(x - k) <= 1e-5 * np.maximum(1, np.abs(x)) for k in kinks], axis=0)
    return found


class LossCase:
    """A loss at one batch of outputs and targets."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.loss = sample, sample.part
        plan = self.loss.plan(sample.x)
        n, shape = sample.batch, (sample.batch, *sample.x)
        f = self.frame = Frame(x=np.zeros(shape, dtype), y=np.zeros(0), dx=np.zeros(shape, dtype), dy=np.zeros(0))
        f.t = np.zeros((n, *plan.y), dtype)
        f.w = None
        for name, slot in {**plan.keep, **plan.scratch}.items():
            setattr(f, name, empty(slot, n, dtype))
        f.x[...] = sample.inputs.get("x", rng.normal(size=shape) * sample.scale)
        f.t[...] = sample.inputs.get("t", rng.normal(size=f.t.shape))
        if "w" in sample.inputs:
            f.w = np.asarray(sample.inputs["w"], dtype=dtype)
        self.consts = dict(plan.consts)

    @property
    def env(self) -> dict[str, Any]:
        f = self.frame
        env: dict[str, Any] = {"x": f.x, "t": f.t, "K": f.t.shape[-1], **self.consts}
        return env | ({"w": f.w} if f.w is not None else {})

    def program(self, detail: str = "") -> Program:
        shapes = {k: np.shape(v) for k, v in self.env.items() if np.ndim(v)} | {"dx": self.frame.dx.shape}
        numbers = {k: v for k, v in self.env.items() if np.ndim(v) == 0}
        return compile_equations(self.loss.equations(self.frame.w is not None), shapes, numbers, detail=detail)

    def kernel(self) -> dict[str, Array]:
        value = self.loss.forward(self.frame)
        self.loss.backward(self.frame)
        return {"L": np.asarray(value), "dx": self.frame.dx.copy()}

    @cached_property
    def equations(self) -> dict[str, Array]:
        return self.program().run(self.env)

    @cached_property
    def stepped(self) -> Array:
        return complex_step(self.program(), self.env, "x", "L", np.asarray(1.0))

    @cached_property
    def differences(self) -> Any:
        def objective() -> tuple[float, float]:
            value = self.loss.forward(self.frame)
            return value, abs(value) + size(self.frame.x)

        return central_differences(objective, self.frame.x)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        f, dx = self.frame, kernel["dx"]
        share = 1 / len(f.x) if f.w is None else size(f.w)
        floor = 64 * EPS * max(size(dx), share)
        value = self.equations["L"]
        loss_allowed = TIGHT * size(value) + 64 * EPS * max(size(f.x), 1.0)
        near = TIGHT * size(dx) + floor
        d = self.differences
        far = DIFFERENCED * np.maximum(np.abs(dx), np.abs(d.value)) + d.noise + 1e-9 * size(dx)
        tie = near_kinks(f.x, self.sample.kinks) if self.sample.kinks else None  # a step takes one side of |e|
        return [
            compare("L", ("kernel", kernel["L"]), ("equations", value), loss_allowed),
            compare("dx", ("kernel", dx), ("equations", self.equations["dx"]), near),
            compare("dx", ("kernel", dx), ("complex step", self.stepped), STEPPED * np.abs(dx) + near, tie),
            compare("dx", ("kernel", dx), ("differences", d.value), far, tie),
        ]


class PenaltyCase:
    """A penalty at random weights, one of them exactly 0."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.part = sample, sample.part
        self.w = np.asarray(sample.inputs.get("w", rng.normal(size=sample.x)), dtype=dtype)
        self.before = rng.normal(size=sample.x).astype(dtype)

    @property
    def env(self) -> dict[str, Any]:
        return {"w": self.w, **self.part.consts()}

    def program(self) -> Program:
        return compile_equations(self.part.equations(), {"w": self.w.shape, "dw": self.w.shape}, self.part.consts())

    def kernel(self) -> dict[str, Array]:
        g = self.before.copy()
        self.part.add_grad(self.w, g, np.empty_like(g))
        return {"penalty": np.asarray(self.value()), "dw": g - self.before}

    def value(self) -> float:
        return float(self.part.value(self.w, np.empty_like(self.w)))

    @cached_property
    def equations(self) -> dict[str, Array]:
        return self.program().run(self.env)

    @cached_property
    def stepped(self) -> Array:
        return complex_step(self.program(), self.env, "w", "penalty", np.asarray(1.0))

    @cached_property
    def differences(self) -> Any:
        return central_differences(lambda: (self.value(),) * 2, self.w)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        dw, value = kernel["dw"], self.equations["penalty"]
        floor = TIGHT * size(dw) + 64 * EPS * max(size(self.before), size(dw))
        d = self.differences
        allowed = DIFFERENCED * np.abs(dw) + d.noise + 1e-9 * size(dw) + floor
        tie = near_kinks(self.w, self.sample.kinks) if self.sample.kinks else None
        return [
            compare("penalty", ("kernel", kernel["penalty"]), ("equations", value), TIGHT * size(value)),
            compare("dw", ("kernel", dw), ("equations", self.equations["dw"]), floor),
            compare("dw", ("kernel", dw), ("complex step", self.stepped), STEPPED * np.abs(dw) + floor, tie),
            compare("dw", ("kernel", dw), ("differences", d.value), allowed, tie),
        ]


class StepCase:
    """One step of an optimizer or a clipper from a random state: kernel against equations."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0, t: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.part, self.t = sample, sample.part, sample.inputs.get("t", t)
        shape = sample.x
        f = self.frame = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0))
        self.names: Sequence[str]
        if isinstance(self.part, Stepper):
            f.w = rng.normal(size=shape).astype(dtype)
            self.names = ("w", *self.part.slots)
            for slot in self.part.slots:
                start = sample.inputs.get(slot, rng.uniform(0.1, 1.0, shape))
                setattr(f, slot, np.array(start, dtype=dtype))
            for scratch in self.part.scratch:
                setattr(f, scratch, np.zeros(shape, dtype))
        else:
            self.names = ("g", *self.part.state())
            for name, slot in self.part.state().items():
                setattr(f, name, np.array(np.broadcast_to(sample.inputs.get(name, 0.0), slot.shape), np.float64))
        apart = isinstance(self.part, Clipper) and self.part.per_tensor
        self.tensors = TENSORS if apart else (shape,)
        f.g = np.zeros(sum(map(math.prod, self.tensors)), dtype)
        f.g[...] = sample.inputs.get("g", rng.normal(size=f.g.shape))
        f.norm = float(np.sqrt(np.dot(f.g, f.g)))
        ends = np.cumsum([math.prod(s) for s in self.tensors])[:-1]
        weights = [np.zeros(s, dtype) + sample.inputs.get("w", rng.normal(size=s)) for s in self.tensors]
        cut = zip(np.split(f.g, ends), self.tensors, weights, strict=True)
        f.pieces = [(g.reshape(s), w.astype(dtype)) for g, s, w in cut]
        self.env: dict[str, Any] = {name: np.array(getattr(f, name)) for name in self.names}
        self.env |= {"g": f.g.copy(), **self.part.consts()}
        if isinstance(self.part, Stepper):
            f.D = len(f.w) // 2
            self.env |= {"lr": 0.01, "t": self.t, "D": f.D}

    def kernel(self) -> dict[str, Array]:
        if isinstance(self.part, Stepper):
            self.part.update(self.frame, 0.01, self.t)
        else:
            self.part.clip(self.frame)
            if self.part.per_tensor:
                return {f"g_new {g.shape}": g.copy() for g, _ in self.frame.pieces}
        return {f"{name}_new": np.array(getattr(self.frame, name)) for name in self.names}

    @cached_property
    def equations(self) -> dict[str, Array]:
        if len(self.tensors) > 1:
            return self._by_tensor()
        shapes = {k: np.shape(v) for k, v in self.env.items() if np.ndim(v)}
        shapes |= {f"{n}_new": np.shape(self.env[n]) for n in self.names if np.ndim(self.env[n])}
        numbers = {k: v for k, v in self.env.items() if np.ndim(v) == 0}
        return compile_equations(self.part.equations(), shapes, numbers).run(self.env)

    def _by_tensor(self) -> dict[str, Array]:
        """The equations of a clipper that works per tensor, evaluated on each."""
        found, start = {}, 0
        for (g, w), shape in zip(self.frame.pieces, self.tensors, strict=True):
            env = {"g": self.env["g"][start : start + g.size].reshape(shape), "w": w, **self.part.consts()}
            shapes = {"g": shape, "w": shape, "g_new": shape}
            found[f"g_new {shape}"] = compile_equations(self.part.equations(shape), shapes).run(env)["g_new"]
            start += g.size
        return found

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        return [
            compare(name, ("kernel", value), ("equations", self.equations[name]), TIGHT * max(size(value), 1e-3))
            for name, value in kernel.items()
        ]


class ConstraintCase:
    """A constraint laid on one tensor of random weights: kernel against equations."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.part = sample, sample.part
        self.w = (np.zeros(sample.x) + sample.inputs.get("w", rng.normal(size=sample.x))).astype(dtype)

    def kernel(self) -> dict[str, Array]:
        w = self.w.copy()
        self.part.apply(w)
        return {"w_new": w}

    @cached_property
    def equations(self) -> dict[str, Array]:
        shapes = {"w": self.w.shape, "w_new": self.w.shape}
        return compile_equations(self.part.equations(), shapes).run({"w": self.w, **self.part.consts()})

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        w = kernel["w_new"]
        return [compare("w_new", ("kernel", w), ("equations", self.equations["w_new"]), TIGHT * size(self.w))]


class ScheduleCase:
    """A schedule at its ends and between, told a figure after each step if it watches one: kernel against equations."""

    def __init__(self, sample: Sample) -> None:
        self.sample, self.part, self.total = sample, sample.part, 17
        self.values = sample.inputs.get("values", ())
        self.lower = sample.inputs.get("lower", True)
        self.states: list[dict[str, float]] = []  # before each step

    def kernel(self) -> dict[str, Array]:
        state = {name: np.array(value) for name, value in self.part.state().items()}
        self.states = []
        told: list[dict[str, float]] = []
        for k in range(self.total + 1):
            self.states.append({name: float(a) for name, a in state.items()})
            told.append({"lr": self.part.at(k, self.total, state)})
            if k < len(self.values):
                self.part.observe(state, self.values[k], self.lower)
                told[-1] |= {f"{name}_new": float(a) for name, a in state.items()}
        return _columns(told)

    @cached_property
    def equations(self) -> dict[str, Array]:
        self.kernel()
        told: list[dict[str, float]] = []
        for k, state in enumerate(self.states):
            env: dict[str, Any] = {"k": k, "T": self.total, **state, **self.part.consts()}
            watching = k < len(self.values)
            if self.part.watched():
                env |= {"value": self.values[k] if watching else math.nan, "sense": 1 if self.lower else -1}
            found = compile_equations(self.part.equations(), {}, env).run(env)
            wanted = ["lr", *(f"{name}_new" for name in state if watching)]
            told.append({name: float(found[name]) for name in wanted})
        return _columns(told)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        return [
            compare(name, ("kernel", value), ("equations", self.equations[name]), TIGHT * size(value))
            for name, value in kernel.items()
        ]


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """The values of each name, row after row."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row[name] for row in rows if name in row]) for name in names}


Case = LayerCase | LossCase | PenaltyCase | StepCase | ConstraintCase | ScheduleCase


def cases(sample: Sample, dtype: Any = np.float64, seed: int = 0) -> list[Case]:
    """The cases of a good sample: a layer in training and at evaluation, everything else once. None for families that
    have no equations."""
    part = sample.part
    if isinstance(part, Layer):
        return [LayerCase(sample, train, dtype, seed) for train in (True, False)]
    if isinstance(part, Loss):
        return [LossCase(sample, dtype, seed)]
    if isinstance(part, Regularizer):
        return [PenaltyCase(sample, dtype, seed)]
    if isinstance(part, Stepper | Clipper):
        return [StepCase(sample, dtype, seed)]
    if isinstance(part, Constraint):
        return [ConstraintCase(sample, dtype, seed)]
    if isinstance(part, Schedule):
        return [ScheduleCase(sample)]
    return []
