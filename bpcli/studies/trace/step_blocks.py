"""One training step, taken apart: every part at work in it, with its equations, what they read, and what the engine
made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import ParamLayout
from bpcli.engine.objective import CHANGE_EQUATIONS, OBJECTIVE_EQUATIONS, Batch
from bpcli.engine.step import FirstOrderStep
from bpcli.family.part import equations_of
from bpcli.family.plan import Array
from bpcli.notation import Eq, Program, compile_equations
from bpcli.notation.evaluate import Grid
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import Compare, parse, reads
from bpcli.records.trace import Stage
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.cases import engine_arrays, equation_env, layer_program
from bpcli.studies.witness.step_cases import jacobian
from bpcli.studies.witness.witness import max_abs

MAX_SEARCH_WEIGHTS = 200
"""Weights of the largest network whose search is worked out: its equations hold square matrices of that size."""

TensorShapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class StepBlock:
    """Equations of one part at one place. `env` is what they read, `engine` what the kernels computed, by the same
    names.

    `tensors` are the tensors that a flat index runs over, in order; `tensor` the one that the equations are of.
    """

    part: str
    layer: str
    kind: str
    program: Program
    env: Mapping[str, Any]
    engine: Mapping[str, Array]
    tensors: TensorShapes = ()
    tensor: str = ""

    @property
    def without_equation(self) -> tuple[str, ...]:
        """What the kernels computed and no equation gives: nothing for a part of this package."""
        gradients = (name for name in self.engine if name[:1] == "d" and name[1:] in self.env)
        wanted = {"layer": ("y", "dx", *gradients), "loss": ("L", "dx"), "penalty": ("penalty", "dw")}
        return tuple(dict.fromkeys(n for n in wanted.get(self.part, ()) if n not in self.program.names))

    @cached_property
    def known(self) -> frozenset[str]:
        """What has a gradient: arrays and left sides. The slope of a penalty is not that of the loss."""
        found = frozenset({*self.env, *self.engine, *self.program.names})
        return found - {"w"} if self.part == "penalty" else found

    @cached_property
    def largest(self) -> float:
        """The largest number read or computed: rounding in its sums is of this size."""
        return max((max_abs(a) for a in (*self.env.values(), *self.engine.values()) if np.ndim(a)), default=1.0)

    @cached_property
    def backward(self) -> frozenset[str]:
        """The left sides of the backward pass: gradients, and what is computed from them."""
        found = {name for name in self.env if gradient_of(name, self.known) or name.endswith("_dx")}
        for grid in self.program.grids:
            if gradient_of(grid.name, self.known) or reads(grid.equation) & found:
                found.add(grid.name)
        return frozenset(found)


BlockEquation = tuple[StepBlock, Grid, Stage]
"""One left side of a block, and the step of the algorithm that it belongs to."""


@dataclass(eq=False)
class TakenStep:
    """A training step that was made: its parts in order, and the flat vectors at its stations."""

    blocks: list[BlockEquation]
    makers: Mapping[tuple[str, str], tuple[str, str]]  # where what a layer reads was made: (layer, x or dy)
    theta: Array  # before the step
    data: Array  # the gradient of the data term
    gradient: Array  # with penalties, before clipping
    clipped: Array
    updated: Array
    loss: float
    penalty: float
    factor: float
    rate: float
    after: float
    outputs: Array
    outputs_of: str  # what the loss reads: dense_2.y
    layers: tuple[StepBlock, ...]  # each layer once, in the order in which their outputs are complete


@np.errstate(all="ignore")  # what overflows is found by the step, and named
def take_step(target: TraceTarget) -> TakenStep:
    """Makes the next training step of the target, and records all of it. Raises NonFiniteError, as training does."""
    objective, train_step = target.objective, target.train_step
    batch = objective.batch(len(target.x))
    batch.load(target.x, target.t, np.arange(len(target.x)))
    recorder = _Recorder(target, batch)
    if isinstance(train_step, FirstOrderStep):
        train_step.step(batch, target.done, recorder.record)
        loss, penalty = train_step.loss, train_step.penalty
        blocks = [*recorder.pass_equations, *_gradient_equations(target, train_step, recorder)]
    else:
        loss, penalty = _first_pass(train_step, batch, recorder)
        train_step.step(batch, target.done)
        recorder.record("optimizer")
        recorder.record("step")
        blocks = [*recorder.pass_equations, *_penalties(target, loss, penalty, recorder)]
        blocks += [*_full_batch_equations(target, train_step, batch, recorder), *_change(target, recorder)]
    outputs = recorder.outputs
    after = batch.forward(True) + objective.penalty()
    target.done += 1
    return TakenStep(
        blocks=blocks, makers=_makers(batch.chain), theta=recorder.theta, data=recorder.flat["backward"],
        gradient=recorder.flat["gradient"], clipped=recorder.flat["clipping"], updated=train_step.theta.copy(),
        loss=loss, penalty=penalty, factor=train_step.factor, rate=train_step.rate, after=after, outputs=outputs,
        outputs_of=f"{batch.chain.layers[-1].path}.y", layers=recorder.layers,
    )  # fmt: skip


def _first_pass(train_step: FullBatchStep, batch: Batch, recorder: _Recorder) -> tuple[float, float]:
    """Returns the pass that a search begins with; loss and penalty."""
    loss = batch.forward(True)
    recorder.loss = lambda: loss
    batch.backward(True)
    recorder.record("backward")
    train_step.evaluate(batch)
    for phase in ("gradient", "clipping"):
        recorder.record(phase)
    recorder.start_value = train_step.loss + train_step.penalty
    return train_step.loss, train_step.penalty


class _Recorder:
    """Copies what a step leaves behind at each of its phases."""

    def __init__(self, target: TraceTarget, batch: Batch) -> None:
        self.target, self.batch = target, batch
        train_step, objective = target.train_step, target.objective
        self.theta = objective.theta.copy()
        self.slots = {name: a.copy() for name, a in train_step.slots.items()}
        self.clip = {name: a.copy() for name, a in train_step.clip_state.items()}
        self.flat: dict[str, Array] = {}
        self.weights: dict[str, Array] = {}
        self.pass_equations: list[BlockEquation] = []
        self.layers: tuple[StepBlock, ...] = ()
        self.start_value = 0.0  # the objective that a search begins with
        self.loss: Callable[[], float] = lambda: train_step.loss
        self.outputs = np.zeros(0)

    def record(self, phase: str) -> None:
        """Copies gradient and weights after a phase; the engine calls it."""
        objective = self.target.objective
        self.flat[phase] = objective.grad.copy()
        self.weights[phase] = objective.theta.copy()
        if phase == "backward":
            self.outputs = self.batch.chain.y.copy()
            self.layers = tuple(_layer_blocks(self.batch.chain))
            self.pass_equations = [
                *_forward(self.layers), *_loss(self.target, self.batch, self.loss()),
                *_backward(self.batch.chain),
            ]  # fmt: skip


def _layer_block(bound: BoundLayer) -> StepBlock:
    program, env = layer_program(bound, True), equation_env(bound)
    return StepBlock("layer", bound.path, bound.layer.kind, program, env, engine_arrays(bound))


def _layer_blocks(chain: Chain) -> Iterator[StepBlock]:
    for bound in chain.layers:
        for inner in bound.inside.values():
            yield from _layer_blocks(inner)
        yield _layer_block(bound)


def _forward(blocks: Sequence[StepBlock]) -> Iterator[BlockEquation]:
    for block in blocks:
        for grid in block.program.grids:
            if grid.name not in block.backward and not grid.name.endswith("_new"):
                yield block, grid, Stage.FORWARD


def _backward(chain: Chain) -> Iterator[BlockEquation]:
    """Yields errors from the last layer to the first, then the gradients of the weights, as the algorithm counts its
    steps."""
    parts = list(_errors(chain))
    yield from (p for p in parts if p[2] is Stage.HIDDEN)
    yield from (p for p in parts if p[2] is Stage.WEIGHTS)


def _errors(chain: Chain) -> Iterator[BlockEquation]:
    for bound in reversed(chain.layers):
        block = _layer_block(bound)
        inside = {f"{name}_dx" for name in bound.inside}
        lines = [g for g in block.program.grids if g.name in block.backward and not g.name.endswith("_new")]
        late = [g for g in lines if reads(g.equation) & inside]
        weights = {f"d{p}" for p in bound.plan.params}
        for grid in lines:
            if grid not in late:
                yield block, grid, Stage.WEIGHTS if grid.name in weights else Stage.HIDDEN
        for inner in bound.inside.values():
            yield from _errors(inner)
        yield from ((block, grid, Stage.HIDDEN) for grid in late)


def _loss(target: TraceTarget, batch: Batch, value: float) -> Iterator[BlockEquation]:
    f, loss = batch.frame, target.objective.loss
    env: dict[str, Any] = {"x": f.x.copy(), "t": f.t.copy(), "K": f.t.shape[-1], **target.objective.plan.consts}
    engine = {"L": np.asarray(value), "dx": f.dx.copy()}
    yield from _block_equations(Stage.LOSS, "loss", loss.kind, loss.equations(False), env, engine)


def _block_equations(
    stage: Stage, part: str, kind: str, equations: Sequence[Eq], env: Mapping[str, Any], engine: Mapping[str, Array],
    *, layer: str = "", tensors: TensorShapes = (), tensor: str = "",
) -> Iterator[BlockEquation]:  # fmt: skip
    """Yields the equations of one part, compiled for the arrays at hand."""
    with equations_of(kind):
        program = compile_equations(equations, env, {name: np.shape(a) for name, a in engine.items() if np.ndim(a)})
    block = StepBlock(part, layer, kind, program, env, engine, tensors, tensor)
    yield from ((block, grid, stage) for grid in program.grids)


def _tensor_shapes(entries: Sequence[ParamLayout]) -> TensorShapes:
    return tuple((e.path, e.shape) for e in entries)


def _gradient_equations(
    target: TraceTarget, train_step: FirstOrderStep, recorder: _Recorder
) -> Iterator[BlockEquation]:
    """Yields all that happens to the gradient, and to the weights by it."""
    yield from _penalties(target, train_step.loss, train_step.penalty, recorder)
    yield from _clipping(target, train_step, recorder)
    yield from _schedule(target, train_step)
    more = {"lr": train_step.rate, "D": target.network_plan.decaying}
    yield from _optimizer(target, recorder, more, {})
    yield from _constraints(target, train_step, recorder)
    yield from _states(recorder)
    yield from _change(target, recorder)


def _penalties(target: TraceTarget, loss: float, total: float, recorder: _Recorder) -> Iterator[BlockEquation]:
    network_plan = target.network_plan
    own = np.zeros_like(recorder.theta)
    for i, (penalty, where) in enumerate(network_plan.penalties):
        w = recorder.theta[where]
        before = np.zeros_like(w)
        penalty.add_grad(w, before, np.empty_like(w))
        own[where] = before
        env = {"w": w, **penalty.consts()}
        engine = {"penalty": np.asarray(penalty.value(w, np.empty_like(w))), "dw": before}
        tensors = _tensor_shapes([e for e in network_plan.layout if where.start <= e.start < where.stop])
        name = f"penalty_{i + 1}" if len(network_plan.penalties) > 1 else "penalty"
        equations = penalty.equations()
        yield from _block_equations(
            Stage.WEIGHTS, "penalty", penalty.kind, equations, env, engine, layer=name, tensors=tensors
        )
    if network_plan.penalties:
        env = {"L": loss, "penalty": total, "data": recorder.flat["backward"], "own": own}
        engine = {"E": np.asarray(loss + total), "g": recorder.flat["gradient"]}
        tensors = _tensor_shapes(network_plan.layout)
        yield from _block_equations(Stage.WEIGHTS, "gradient", "sum", OBJECTIVE_EQUATIONS, env, engine, tensors=tensors)


def _clipping(target: TraceTarget, train_step: FirstOrderStep, recorder: _Recorder) -> Iterator[BlockEquation]:
    clipper = train_step.clipper
    if clipper is None:
        return
    before, after = recorder.flat["gradient"], recorder.flat["clipping"]
    layout = target.network_plan.layout
    if clipper.per_tensor:
        for e in layout:
            g, w = before[e.where].reshape(e.shape), recorder.theta[e.where].reshape(e.shape)
            env = {"g": g, "w": w, **clipper.consts()}
            engine = {"g_new": after[e.where].reshape(e.shape)}
            equations = clipper.equations(e.shape)
            yield from _block_equations(Stage.UPDATE, "clipping", clipper.kind, equations, env, engine, tensor=e.path)
        return
    env = {"g": before, **recorder.clip, **clipper.consts()}
    engine = {"g_new": after, **{f"{n}_new": a.copy() for n, a in train_step.clip_state.items()}}
    equations, tensors = clipper.equations(), _tensor_shapes(layout)
    yield from _block_equations(Stage.UPDATE, "clipping", clipper.kind, equations, env, engine, tensors=tensors)


def _schedule(target: TraceTarget, train_step: FirstOrderStep) -> Iterator[BlockEquation]:
    schedule = train_step.optimizer.learning_rate
    k, total = train_step.schedule_position(target.done)
    env = {"k": k, "T": total, **{n: float(a) for n, a in train_step.schedule_state.items()}, **schedule.consts()}
    wanted = [eq for eq in schedule.equations() if not eq.left.endswith("_new")]
    if schedule.watched():
        env |= {"value": np.nan, "sense": 1}
    with equations_of(schedule.kind):
        program = compile_equations(wanted, env)
    block = StepBlock("schedule", "", schedule.kind, program, env, {"lr": np.asarray(train_step.rate)})
    needed = program.needed(["lr"])
    yield from ((block, grid, Stage.UPDATE) for grid in program.grids if grid.name in needed)


def _optimizer(
    target: TraceTarget, recorder: _Recorder, env: Mapping[str, Any], engine: Mapping[str, Array]
) -> Iterator[BlockEquation]:
    """Yields the optimizer's equations, with what they read (`env`) and what was computed besides weights and
    memory."""
    train_step, own = target.train_step, target.train_step.optimizer
    env = {"w": recorder.theta, "g": recorder.flat["clipping"], **recorder.slots, **own.consts(), **env}
    env["t"] = target.done + 1
    after = {f"{n}_new": a.copy() for n, a in train_step.slots.items()}
    engine = {"w_new": recorder.weights["optimizer"], **after, **engine}
    equations, tensors = own.equations(), _tensor_shapes(target.network_plan.layout)
    yield from _block_equations(Stage.UPDATE, "optimizer", own.kind, equations, env, engine, tensors=tensors)


def _full_batch_equations(
    target: TraceTarget, train_step: FullBatchStep, batch: Batch, recorder: _Recorder
) -> Iterator[BlockEquation]:
    """Yields an iteration of an optimizer that searches. Yields nothing for a network that is too large for the
    equations."""
    optimizer, objective = train_step.optimizer, target.objective
    size = len(recorder.theta)
    if train_step.ended or size > MAX_SEARCH_WEIGHTS:
        return
    after = objective.grad.copy()
    env: dict[str, Any] = {
        "L": recorder.start_value,
        "L_new": train_step.loss + train_step.penalty,
        "g_new": after,
        "P": size,
    }
    env |= {name: np.array(getattr(train_step.frame, name)) for name in optimizer.reported}
    if optimizer.row_by_row:
        objective.theta[...] = recorder.theta
        env |= {"e": (recorder.outputs - batch.t).ravel(), "J": jacobian(objective, batch)}
        env["bend"] = train_step.frame.bend.copy()
        objective.theta[...] = recorder.weights["step"]
        objective.grad[...] = after
    parsed = map(parse, optimizer.equations())
    conditions = {e.name: np.asarray(1.0) for e in parsed if isinstance(e.right, Compare) and not e.free}
    yield from _optimizer(target, recorder, env, conditions)


def _constraints(target: TraceTarget, train_step: FirstOrderStep, recorder: _Recorder) -> Iterator[BlockEquation]:
    for own, path, _ in train_step.constrained:
        e = target.network_plan.entry(path)
        w, after = (recorder.weights[phase][e.where].reshape(e.shape) for phase in ("optimizer", "step"))
        env, equations = {"w": w, **own.consts()}, own.equations()
        yield from _block_equations(Stage.UPDATE, "constraint", own.kind, equations, env, {"w_new": after}, tensor=path)


def _states(recorder: _Recorder) -> Iterator[BlockEquation]:
    """Yields the running statistics that layers carry to the next step. The pass kept what they were before."""
    bound_layers = {bound.path: bound for bound in recorder.batch.chain.walk()}
    for block, grid, stage in recorder.pass_equations:
        if stage is Stage.FORWARD and grid is block.program.grids[0]:
            bound = bound_layers[block.layer]
            engine = {f"{name}_new": np.array(getattr(bound.frame, name)) for name in bound.plan.state}
            after = replace(block, engine=engine)
            yield from ((after, g, Stage.UPDATE) for g in block.program.grids if g.name in engine)


def _change(target: TraceTarget, recorder: _Recorder) -> Iterator[BlockEquation]:
    """Yields what the step should do to the loss, to first order."""
    env = {"g": recorder.flat["gradient"], "w": recorder.theta, "w_new": recorder.weights["step"]}
    tensors = _tensor_shapes(target.network_plan.layout)
    yield from _block_equations(Stage.REPEAT, "change", "first order", CHANGE_EQUATIONS, env, {}, tensors=tensors)


def _makers(chain: Chain) -> dict[tuple[str, str], tuple[str, str]]:
    """Returns where what a layer reads was made: (layer, x or dy) to (layer, y, dx or a branch's dy)."""
    made = {_at(chain.dy): ("loss", "dx")}
    for bound in chain.walk():
        made[_at(bound.frame.y)] = (bound.path, "y")
    for bound in chain.walk():
        if bound.frame.dx is not None:
            made.setdefault(_at(bound.frame.dx), (bound.path, "dx"))
        for name, inner in bound.inside.items():
            made.setdefault(_at(inner.dy), (bound.path, f"{name}_dy"))
    found = {}
    for bound in chain.walk():
        for name in ("x", "dy"):
            if (maker := made.get(_at(getattr(bound.frame, name)))) is not None:
                found[bound.path, name] = maker
    return found


def _at(array: Array) -> int:
    return int(np.asarray(array).__array_interface__["data"][0])
