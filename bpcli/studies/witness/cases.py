"""The laws of parts: for every sample of every part, kernel = equations = derived = complex step = central differences.

Each family says once what must hold; a new part is proven the moment it is declared. A case computes its numerical
derivatives once (they look at the forward pass only), so that any number of wrong backwards can be held against them.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer, Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Clipper, Constraint, FullBatchOptimizer, GradientOptimizer, Layer, Loss, Regularizer, Schedule
from bpcli.family.part import equations_of
from bpcli.family.plan import Array, Frame, Sample, empty
from bpcli.notation import Program, compile_equations
from bpcli.notation.derive.backward import derived_gradients
from bpcli.numeric.vectors import EPS
from bpcli.records.training import Gap
from bpcli.studies.witness.same_function import function_gaps
from bpcli.studies.witness.step_cases import ConstraintCase, FullBatchCase, ScheduleCase, StepCase
from bpcli.studies.witness.witness import DIFFERENCE_RTOL, SUM_RTOL, central_differences, compare, complex_step, max_abs

CASE_RTOL = 1e-10  # of an entry: a complex step through a few hundred operations


def equation_env(bound: BoundLayer) -> dict[str, Any]:
    """Returns copies of what a layer's equations may read: inputs, parameters, chance, state, constants, chains inside.

    Not what the kernel kept for itself: the equations have to come to it on their own.
    """
    return {name: np.array(a)[()] if isinstance(a, np.ndarray) else a for name, a in equation_views(bound).items()}


def equation_views(bound: BoundLayer) -> dict[str, Any]:
    """Returns the same without copies: as long as no kernel runs."""
    f, plan = bound.frame, bound.plan
    env: dict[str, Any] = {n: getattr(f, n) for n in ("x", "dy", *plan.params, *plan.draws, *plan.state)}
    for name, chain in bound.inside.items():
        env |= {f"{name}_y": chain.y, f"{name}_dx": chain.dx}
    return env | dict(plan.consts)


def engine_arrays(bound: BoundLayer) -> dict[str, Array]:
    """Returns what the kernels computed, by the names the equations use."""
    f, plan = bound.frame, bound.plan
    found = {name: np.array(getattr(f, name)) for name in ("y", "dx", *plan.keep, *(f"d{p}" for p in plan.params))}
    for name, chain in bound.inside.items():
        found[f"{name}_dy"] = np.array(chain.dy)
    return found


def layer_program(bound: BoundLayer, train: bool, detail: str = "") -> Program:
    """Compiles a layer's equations for its frame."""
    f, plan = bound.frame, bound.plan
    names = ("x", "y", "dx", "dy", *plan.params, *(f"d{p}" for p in plan.params), *plan.keep, *plan.draws, *plan.state)
    arrays: dict[str, Any] = {name: getattr(f, name) for name in names}
    for name, chain in bound.inside.items():
        arrays |= {f"{name}_y": chain.y, f"{name}_dx": chain.dx, f"{name}_dy": chain.dy}
    shapes = {k: np.shape(v) for k, v in arrays.items() if np.ndim(v)}
    with equations_of(bound.layer.kind):
        return compile_equations(bound.layer.equations(train, bound.planned.x), plan.consts, shapes, detail=detail)


class LayerCase:
    """One layer alone in a network, at one point, under a random upstream gradient."""

    def __init__(self, sample: Sample, train: bool, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.train, self.layer = sample, train, sample.part
        network_plan = plan_network([sample.part], sample.x)
        self.network = Network(network_plan, sample.batch, dtype, seed, retain=True, need_dx=True)
        self.chain = self.network.chain(sample.batch)
        self.theta = self.network.theta
        self.theta += rng.normal(size=self.theta.shape).astype(self.theta.dtype) * 0.5  # biases off 0, gains off 1
        self.chain.x[...] = sample.inputs.get("x", rng.normal(size=self.chain.x.shape) * sample.scale)
        for name, value in sample.inputs.items():
            if name != "x":
                self.network.parameters()[f"{self.chain.layers[0].path}.{name}"][...] = value
        for state in self.network.states.values():
            state[...] = rng.uniform(0.5, 1.5, state.shape)
        self.upstream = rng.normal(size=self.chain.y.shape)
        self.network.draw(self.chain, 3)

    @property
    def bound(self) -> BoundLayer:
        return self.chain.layers[0]

    def forward(self) -> None:
        self.chain.forward(self.train)

    def kernel(self) -> dict[str, Array]:
        """Runs one forward and backward pass, in training with its commit; returns what it computed."""
        self.forward()
        self.chain.dy[...] = self.upstream
        self.chain.backward(self.train)
        found = engine_arrays(self.bound)
        return found | self._committed() if self.train else found

    def _committed(self) -> dict[str, Array]:
        """Returns the state after the step, as `<state>_new`; the state itself is put back."""
        f, names = self.bound.frame, tuple(self.bound.plan.state)
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
        return {"x": self.chain.x, **{p: getattr(self.bound.frame, p) for p in self.bound.plan.params}}

    @cached_property
    def equations(self) -> dict[str, Array]:
        """Every left side, from the equations alone."""
        self.kernel()
        return layer_program(self.bound, self.train).run(equation_env(self.bound))

    @cached_property
    def derived(self) -> dict[str, Array]:
        """Every gradient, from equations derived from the forward ones; nothing of a container, whose chains are no
        equations."""
        self.kernel()
        if self.bound.inside or not self.equations:
            return {}
        by = {name: a.shape for name, a in self.tensors.items()}
        return derived_gradients(layer_program(self.bound, self.train), equation_env(self.bound), "y", by)

    def functions(self, seed: int = 0) -> list[Gap]:
        """Returns every stated gradient beside the derived one, as functions."""
        self.kernel()
        if self.bound.inside or not self.equations:
            return []
        fixed = ("x",) if self.bound.plan.tokens else ()
        program = layer_program(self.bound, self.train)
        return _functions(program, equation_env(self.bound), "y", tuple(self.tensors), seed, fixed)

    @cached_property
    def complex_steps(self) -> dict[str, Array]:
        """Every gradient by complex steps through the forward equations; of a container's branch, only what it adds."""
        self.kernel()
        program, env = layer_program(self.bound, self.train), equation_env(self.bound)
        return {f"d{name}": complex_step(program, env, name, "y", self.upstream) for name in self.tensors}

    @cached_property
    def differences(self) -> dict[str, Any]:
        """Every gradient by central differences through the kernels."""

        def objective() -> tuple[float, float]:
            self.forward()
            terms = self.chain.y * self.upstream
            return math.fsum(terms.ravel()), float(np.abs(terms).sum())

        tensors = dict(self.tensors)
        if self.bound.inside:  # everything learned inside counts too
            tensors |= {path: p for path, p in self.network.parameters().items() if "." in path.partition(".")[2]}
        return {f"d{name}": central_differences(objective, a) for name, a in tensors.items()}

    def inner(self) -> dict[str, Array]:
        """Returns the gradients of what is learned inside a container, by path, after `kernel`."""
        return {f"d{p}": g.copy() for p, g in self.network.gradients().items() if "." in p.partition(".")[2]}

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        """Compares the kernel's arrays with the other witnesses."""
        gradients = {name: a for name, a in kernel.items() if name == "dx" or name[1:] in self.bound.plan.params}
        largest = max(max_abs(self.upstream), *(max_abs(g) for g in gradients.values()))  # what may cancel in a sum
        reach = max(max_abs(self.chain.x), 1.0)
        found = []
        for name, value in self.equations.items():
            if name in kernel:
                floor = largest if name in gradients else reach
                near = SUM_RTOL * max_abs(value) + 64 * EPS * floor
                found.append(compare(name, ("kernel", kernel[name]), ("equations", value), near))
        for name, value in gradients.items():
            if name in self.derived:
                near = SUM_RTOL * max_abs(value) + 64 * EPS * largest
                found.append(compare(name, ("kernel", value), ("derived", self.derived[name]), near))
            if not self.bound.inside and self.equations:
                step = self.complex_steps[name]
                allowed = CASE_RTOL * np.maximum(np.abs(value), np.abs(step)) + SUM_RTOL * max_abs(step)
                allowed += 64 * EPS * largest
                found.append(compare(name, ("kernel", value), ("complex step", step), allowed))
            found.append(self.difference_gap(name, value, largest))
        return found

    def difference_gap(self, name: str, value: Array, largest: float) -> Gap:
        """Compares a gradient with the differences; an input within a step of a kink is excused."""
        d = self.differences[name]
        allowed = DIFFERENCE_RTOL * np.maximum(np.abs(value), np.abs(d.value)) + d.noise + 1e-9 * largest
        excused = near_kinks(self.chain.x, self.sample.kinks) if name == "dx" and self.sample.kinks else None
        return compare(name, ("kernel", value), ("differences", d.value), allowed, excused)


def near_kinks(x: Array, kinks: Sequence[float]) -> Array:
    """Returns which inputs stand so near to a kink that a difference may step over it."""
    return np.asarray(np.any([np.abs(x - k) <= 1e-5 * np.maximum(1, np.abs(x)) for k in kinks], axis=0))


def _functions(
    program: Program, env: Mapping[str, Any], output: str, by: Sequence[str], seed: int, fixed: Sequence[str] = ()
) -> list[Gap]:
    """Returns the worst gap of each stated gradient to the derived one, at many points where no kernel is run."""
    worst: dict[str, Gap] = {}
    for gap in function_gaps(program, env, output, by, np.random.default_rng(seed), fixed):
        values, verdict = (gap.stated, gap.derived), "WRONG" if gap.wrong else "ok"
        found = Gap(gap.name, "equations", "derived", gap.worst, gap.allowed, gap.index, values, verdict)
        share = found.worst / found.allowed
        if gap.name not in worst or share > worst[gap.name].worst / worst[gap.name].allowed:
            worst[gap.name] = found
    return list(worst.values())


def loss_views(f: Frame, consts: Mapping[str, float]) -> dict[str, Any]:
    """Returns what a loss's equations may read, without copies."""
    weights = {} if f.w is None else {"w": f.w}
    return {"x": f.x, "t": f.t, "K": f.t.shape[-1], **consts, **weights}


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
        return loss_views(self.frame, self.consts)

    def program(self, detail: str = "") -> Program:
        f = self.frame
        with equations_of(self.loss.kind):
            return compile_equations(self.loss.equations(f.w is not None), self.env, {"dx": f.dx.shape}, detail=detail)

    def kernel(self) -> dict[str, Array]:
        value = self.loss.forward(self.frame)
        self.loss.backward(self.frame)
        return {"L": np.asarray(value), "dx": self.frame.dx.copy()}

    @cached_property
    def equations(self) -> dict[str, Array]:
        return self.program().run(self.env)

    @cached_property
    def derived(self) -> Array:
        return derived_gradients(self.program(), self.env, "L", {"x": self.frame.x.shape})["dx"]

    def functions(self, seed: int = 0) -> list[Gap]:
        return _functions(self.program(), self.env, "L", ("x",), seed)

    @cached_property
    def complex_steps(self) -> Array:
        return complex_step(self.program(), self.env, "x", "L", np.asarray(1.0))

    @cached_property
    def differences(self) -> Any:
        def objective() -> tuple[float, float]:
            value = self.loss.forward(self.frame)
            return value, abs(value) + max_abs(self.frame.x)

        return central_differences(objective, self.frame.x)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        f, dx = self.frame, kernel["dx"]
        share = 1 / len(f.x) if f.w is None else max_abs(f.w)
        floor = 64 * EPS * max(max_abs(dx), share)
        value = self.equations["L"]
        loss_allowed = SUM_RTOL * max_abs(value) + 64 * EPS * max(max_abs(f.x), 1.0)
        near = SUM_RTOL * max_abs(dx) + floor
        d = self.differences
        far = DIFFERENCE_RTOL * np.maximum(np.abs(dx), np.abs(d.value)) + d.noise + 1e-9 * max_abs(dx)
        tie = near_kinks(f.x, self.sample.kinks) if self.sample.kinks else None  # a step takes one side of |e|
        return [
            compare("L", ("kernel", kernel["L"]), ("equations", value), loss_allowed),
            compare("dx", ("kernel", dx), ("equations", self.equations["dx"]), near),
            compare("dx", ("kernel", dx), ("derived", self.derived), near),
            compare("dx", ("kernel", dx), ("complex step", self.complex_steps), CASE_RTOL * np.abs(dx) + near, tie),
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
        return compile_equations(self.part.equations(), self.env, {"dw": self.w.shape})

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
    def derived(self) -> Array:
        return derived_gradients(self.program(), self.env, "penalty", {"w": self.w.shape})["dw"]

    def functions(self, seed: int = 0) -> list[Gap]:
        return _functions(self.program(), self.env, "penalty", ("w",), seed)

    @cached_property
    def complex_steps(self) -> Array:
        return complex_step(self.program(), self.env, "w", "penalty", np.asarray(1.0))

    @cached_property
    def differences(self) -> Any:
        return central_differences(lambda: (self.value(),) * 2, self.w)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        dw, value = kernel["dw"], self.equations["penalty"]
        floor = SUM_RTOL * max_abs(dw) + 64 * EPS * max(max_abs(self.before), max_abs(dw))
        d = self.differences
        allowed = DIFFERENCE_RTOL * np.abs(dw) + d.noise + 1e-9 * max_abs(dw) + floor
        tie = near_kinks(self.w, self.sample.kinks) if self.sample.kinks else None
        return [
            compare("penalty", ("kernel", kernel["penalty"]), ("equations", value), SUM_RTOL * max_abs(value)),
            compare("dw", ("kernel", dw), ("equations", self.equations["dw"]), floor),
            compare("dw", ("kernel", dw), ("derived", self.derived), floor),
            compare("dw", ("kernel", dw), ("complex step", self.complex_steps), CASE_RTOL * np.abs(dw) + floor, tie),
            compare("dw", ("kernel", dw), ("differences", d.value), allowed, tie),
        ]


DifferentiableCase = LayerCase | LossCase | PenaltyCase
Case = DifferentiableCase | StepCase | FullBatchCase | ConstraintCase | ScheduleCase


def cases(sample: Sample, dtype: Any = np.float64, seed: int = 0) -> list[Case]:
    """Returns the cases of a good sample: a layer in training and at evaluation, everything else once. None for
    families that have no equations."""
    part = sample.part
    if isinstance(part, Layer):
        return [LayerCase(sample, train, dtype, seed) for train in (True, False)]
    if isinstance(part, Loss):
        return [LossCase(sample, dtype, seed)]
    if isinstance(part, Regularizer):
        return [PenaltyCase(sample, dtype, seed)]
    if isinstance(part, GradientOptimizer | Clipper):
        return [StepCase(sample, dtype, seed)]
    if isinstance(part, FullBatchOptimizer):
        return [FullBatchCase(sample, dtype, seed)]
    if isinstance(part, Constraint):
        return [ConstraintCase(sample, dtype, seed)]
    if isinstance(part, Schedule):
        return [ScheduleCase(sample)]
    return []


def states_equations(sample: Sample) -> bool:
    """Whether the part of a sample, of a family that can, states equations."""
    part = sample.part
    if isinstance(part, Layer):
        return bool(part.equations(True, sample.x))
    return bool(part.equations(False) if isinstance(part, Loss) else part.equations())
