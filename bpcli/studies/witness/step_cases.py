"""The laws of what moves weights: one step of every optimizer, clipper, constraint and schedule, kernel = equations."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Clipper, Frame, GradientOptimizer, Layer, Loss, Regularizer, Sample
from bpcli.notation import compile_equations
from bpcli.notation.syntax import Compare, parse
from bpcli.records.training import Gap
from bpcli.studies.witness.witness import SUM_RTOL, compare, max_abs

TENSORS = ((4, 3), (3,), (3, 3, 2, 5))
"""What a clipper that works per tensor is proven on."""

PENALTY = Regularizer.parse({"type": "l2", "strength": 0.05})
"""What lies on the weights where an optimizer that searches is proven."""


class StepCase:
    """One step of an optimizer or a clipper from a random state: kernel against equations."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0, t: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.part, self.t = sample, sample.part, sample.inputs.get("t", t)
        shape = sample.x
        f = self.frame = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0))
        self.names: Sequence[str]
        if isinstance(self.part, GradientOptimizer):
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
        stops = np.cumsum([math.prod(s) for s in self.tensors])[:-1]
        weights = [np.zeros(s, dtype) + sample.inputs.get("w", rng.normal(size=s)) for s in self.tensors]
        cut = zip(np.split(f.g, stops), self.tensors, weights, strict=True)
        f.pieces = [(g.reshape(s), w.astype(dtype)) for g, s, w in cut]
        self.env: dict[str, Any] = {name: np.array(getattr(f, name)) for name in self.names}
        self.env |= {"g": f.g.copy(), **self.part.consts()}
        if isinstance(self.part, GradientOptimizer):
            f.D = len(f.w) // 2
            self.env |= {"lr": 0.01, "t": self.t, "D": f.D}

    def kernel(self) -> dict[str, Array]:
        if isinstance(self.part, GradientOptimizer):
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
        after = {f"{n}_new": np.shape(self.env[n]) for n in self.names if np.ndim(self.env[n])}
        return compile_equations(self.part.equations(), self.env, after).run(self.env)

    def _by_tensor(self) -> dict[str, Array]:
        """Returns the equations of a clipper that works per tensor, evaluated on each."""
        found, start = {}, 0
        for (g, w), shape in zip(self.frame.pieces, self.tensors, strict=True):
            env = {"g": self.env["g"][start : start + g.size].reshape(shape), "w": w, **self.part.consts()}
            program = compile_equations(self.part.equations(shape), env, {"g_new": shape})
            found[f"g_new {shape}"] = program.run(env)["g_new"]
            start += g.size
        return found

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        return _gaps(kernel, self.equations, 1e-3)


class FullBatchCase:
    """One iteration of an optimizer that searches, on a small random network, after as many as the sample says."""

    def __init__(self, sample: Sample, dtype: Any = np.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sample, self.part = sample, sample.part
        layers = [Layer.parse({"type": "dense", "units": units}) for units in (2, 2)]
        network_plan = plan_network([layers[0], Layer.parse("tanh"), layers[1]], sample.x, PENALTY)
        self.objective = Objective(network_plan, Loss.parse("mean_squared_error"), sample.batch, dtype, seed)
        self.batch = self.objective.batch(sample.batch)
        self.batch.x[...] = rng.normal(size=self.batch.x.shape)
        self.batch.t[...] = rng.normal(size=self.batch.t.shape)
        self.objective.theta += rng.normal(size=len(self.objective.theta)).astype(dtype)
        self.done = sample.inputs["before"]
        self.before: dict[str, Array] = (
            self._before() if dtype == np.float64 else FullBatchCase(sample, np.float64, seed).before
        )

    def _before(self) -> dict[str, Array]:
        """Returns the weights and what is remembered, after the iterations before the one that is proven."""
        search = FullBatchStep(self.objective, self.part, 10)
        for k in range(self.done):
            search.step(self.batch, k)
        return {"w": self.objective.theta.copy(), **{n: a.copy() for n, a in search.slots.items()}}

    def kernel(self) -> dict[str, Array]:
        """Returns what it made of the weights and remembers, and 1 for each condition that its step has to keep."""
        search = FullBatchStep(self.objective, self.part, 10)
        self.objective.theta[...] = self.before["w"]
        for name, slot in search.slots.items():
            slot[...] = self.before[name]
        search.step(self.batch, self.done)
        assert not search.ended, search.ended
        self.reported = {name: np.array(getattr(search.frame, name)) for name in self.part.reported}
        kept = {parse(eq).name: np.asarray(1.0) for eq in self.part.equations() if isinstance(parse(eq).right, Compare)}
        return {f"{n}_new": a.copy() for n, a in {"w": self.objective.theta, **search.slots}.items()} | kept

    def equations(self, w_new: Array) -> dict[str, Array]:
        """Returns every left side, from what the step began with, what it reported, and the objective at `w_new`."""
        env: dict[str, Any] = {**self.before, **self.reported, **self.part.consts()}
        env |= self._objective_at_both_weights(w_new)
        after = {f"{n}_new": np.shape(a) for n, a in self.before.items() if np.ndim(a)}
        return compile_equations(self.part.equations(), env, after).run(env)

    def _objective_at_both_weights(self, w_new: Array) -> dict[str, Any]:
        """Returns the objective before and after the step, and where a Jacobian is asked for, the errors and their
        derivatives: those by differences of the network's outputs, complex steps of its equations being proven
        elsewhere."""
        found: dict[str, Any] = {"t": self.done + 1, "P": len(self.before["w"])}
        for ending, w in (("_new", w_new), ("", self.before["w"])):
            self.objective.theta[...] = w
            found[f"L{ending}"] = self.batch.forward(True) + self.objective.penalty()
            self.batch.backward(True)
            self.objective.add_penalty_gradient()
            found[f"g{ending}"] = self.objective.grad.copy()
        if self.part.row_by_row:
            found |= {
                "e": (self.batch.chain.y - self.batch.t).ravel(),
                "J": jacobian(self.objective, self.batch),
                "bend": self._bend(),
            }
        return found

    def _bend(self) -> Array:
        """Returns the penalty's strength on what it is laid on, in units of a squared error: the mean is over 1 /
        size."""
        found = np.zeros(len(self.before["w"]))
        for _, where in self.objective.network.network_plan.penalties:
            found[where] = PENALTY.consts()["strength"] * self.batch.t.size / 2
        return found

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        found = self.equations(np.asarray(kernel["w_new"]))
        # a condition is kept where every entry is 1
        return _gaps(kernel, {n: a if n.endswith("_new") else np.min(a) for n, a in found.items()}, 1e-3)


def jacobian(objective: Objective, batch: Batch) -> Array:
    """Returns the derivatives of every output of a batch by all weights, (outputs of all rows, weights): each output
    alone, all rows at once."""
    chain, rows = batch.chain, []
    for index in np.ndindex(chain.y.shape):
        chain.forward(True)
        chain.dy.fill(0)
        chain.dy[index] = 1
        chain.backward(True)
        rows.append(objective.grad.copy())
    return np.array(rows)


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
        env = {"w": self.w, **self.part.consts()}
        return compile_equations(self.part.equations(), env, {"w_new": self.w.shape}).run(env)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        w = kernel["w_new"]
        return [compare("w_new", ("kernel", w), ("equations", self.equations["w_new"]), SUM_RTOL * max_abs(self.w))]


class ScheduleCase:
    """A schedule at every step, with a figure after each if it watches one: kernel against equations."""

    def __init__(self, sample: Sample) -> None:
        self.sample, self.part, self.total = sample, sample.part, 17
        self.values = sample.inputs.get("values", ())
        self.lower = sample.inputs.get("lower", True)
        self.states: list[dict[str, float]] = []  # before each step

    def kernel(self) -> dict[str, Array]:
        state = {name: np.array(value) for name, value in self.part.state().items()}
        self.states = []
        rows: list[dict[str, float]] = []
        for k in range(self.total + 1):
            self.states.append({name: float(a) for name, a in state.items()})
            rows.append({"lr": self.part.at(k, self.total, state)})
            if k < len(self.values):
                self.part.observe(state, self.values[k], self.lower)
                rows[-1] |= {f"{name}_new": float(a) for name, a in state.items()}
        return _columns(rows)

    @cached_property
    def equations(self) -> dict[str, Array]:
        self.kernel()
        rows: list[dict[str, float]] = []
        for k, state in enumerate(self.states):
            env: dict[str, Any] = {"k": k, "T": self.total, **state, **self.part.consts()}
            watching = k < len(self.values)
            if self.part.watched():
                env |= {"value": self.values[k] if watching else math.nan, "sense": 1 if self.lower else -1}
            found = compile_equations(self.part.equations(), env).run(env)
            wanted = ["lr", *(f"{name}_new" for name in state if watching)]
            rows.append({name: float(found[name]) for name in wanted})
        return _columns(rows)

    def gaps(self, kernel: Mapping[str, Array]) -> list[Gap]:
        return _gaps(kernel, self.equations)


def _gaps(kernel: Mapping[str, Array], equations: Mapping[str, Any], least: float = 0.0) -> list[Gap]:
    """Returns the gaps between kernel and equations; an array whose entries are all below `least` counts as that
    large."""
    return [
        compare(name, ("kernel", value), ("equations", equations[name]), SUM_RTOL * max(max_abs(value), least))
        for name, value in kernel.items()
    ]


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Returns the values of each name, row after row."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row[name] for row in rows if name in row]) for name in names}
