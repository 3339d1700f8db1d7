"""One training step, taken apart: every part at work in it, with its equations, what they read, and what the engine
made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import ParamLayout
from bpcli.engine.objective import CHANGE, TOTAL, Batch
from bpcli.engine.step import FirstOrderStep
from bpcli.family.plan import Array
from bpcli.notation import Eq, Program, compile_equations
from bpcli.notation.evaluate import Grid
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import Compare, parse, reads
from bpcli.records.trace import Stage
from bpcli.studies.trace.open import Subject
from bpcli.studies.witness.cases import engine_arrays, equation_env, layer_program
from bpcli.studies.witness.step_cases import jacobian
from bpcli.studies.witness.witness import max_abs

TOLD = 200
"""Weights of the largest network whose search is told: its textbook holds matrices of that many rows and columns."""

Places = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Equations of one part at one place. `env` is what they read, `engine` what the kernels computed, by the same
    names.

    `places` are the tensors that a flat index runs over, in order; `tensor` the one that the equations are of.
    """

    part: str
    layer: str
    kind: str
    program: Program
    env: Mapping[str, Any]
    engine: Mapping[str, Array]
    places: Places = ()
    tensor: str = ""

    @property
    def untold(self) -> tuple[str, ...]:
        """What the kernels computed and no equation gives: nothing, of a part of this package."""
        gradients = (name for name in self.engine if name[:1] == "d" and name[1:] in self.env)
        wanted = {"layer": ("y", "dx", *gradients), "loss": ("L", "dx"), "penalty": ("penalty", "dw")}
        return tuple(dict.fromkeys(n for n in wanted.get(self.part, ()) if n not in self.program.names))

    @cached_property
    def known(self) -> frozenset[str]:
        """What has a gradient: arrays and left sides. The slope of a penalty is not that of the loss."""
        found = frozenset({*self.env, *self.engine, *self.program.names})
        return found - {"w"} if self.part == "penalty" else found

    @cached_property
    def reach(self) -> float:
        """The largest number at work: rounding in its sums is of this size."""
        return max((max_abs(a) for a in (*self.env.values(), *self.engine.values()) if np.ndim(a)), default=1.0)

    @cached_property
    def backward(self) -> frozenset[str]:
        """The left sides of the backward pass: gradients, and what is computed from them."""
        found = {name for name in self.env if gradient_of(name, self.known)} | {
            n for n in self.env if n.endswith("_dx")
        }
        for grid in self.program.grids:
            if gradient_of(grid.name, self.known) or reads(grid.equation) & found:
                found.add(grid.name)
        return frozenset(found)


Part = tuple[Block, Grid, Stage]
"""One left side of a block, and the step of the algorithm that it belongs to."""


@dataclass(eq=False)
class Taken:
    """A training step that was made: its parts in order, and the flat vectors at its stations."""

    blocks: list[Part]
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
    layers: tuple[Block, ...]  # each layer once, in the order in which their outputs are complete


@np.errstate(all="ignore")  # what overflows is found by the step, and named
def take_step(subject: Subject) -> Taken:
    """Makes the next training step of the subject, and tells all of it. Raises NonFiniteError, as training does."""
    objective, stepper = subject.objective, subject.stepper
    batch = objective.batch(len(subject.x))
    batch.load(subject.x, subject.t, np.arange(len(subject.x)))
    watch = _Watch(subject, batch)
    if isinstance(stepper, FirstOrderStep):
        stepper.step(batch, subject.done, watch.seen)
        loss, penalty = stepper.loss, stepper.penalty
        blocks = [*watch.pass_, *_descent(subject, stepper, watch)]
    else:
        loss, penalty = _look(stepper, batch, watch)
        stepper.step(batch, subject.done)
        watch.seen("optimizer")
        watch.seen("step")
        blocks = [*watch.pass_, *_penalties(subject, loss, penalty, watch), *_search(subject, stepper, batch, watch)]
        blocks += _change(subject, watch)
    outputs = watch.outputs
    after = batch.forward(True) + objective.penalty()
    subject.done += 1
    return Taken(
        blocks=blocks, makers=_makers(batch.chain), theta=watch.theta, data=watch.flat["backward"],
        gradient=watch.flat["gradient"], clipped=watch.flat["clipping"], updated=stepper.theta.copy(), loss=loss,
        penalty=penalty, factor=stepper.factor, rate=stepper.rate, after=after, outputs=outputs,
        outputs_of=f"{batch.chain.layers[-1].path}.y", layers=watch.layers,
    )  # fmt: skip


def _look(search: FullBatchStep, batch: Batch, watch: _Watch) -> tuple[float, float]:
    """The pass that a search begins with; loss and penalty."""
    loss = batch.forward(True)
    watch.loss = lambda: loss
    batch.backward(True)
    watch.seen("backward")
    search.look(batch)
    for phase in ("gradient", "clipping"):
        watch.seen(phase)
    watch.begun = search.loss + search.penalty
    return search.loss, search.penalty


class _Watch:
    """Copies what a step leaves behind at each of its phases."""

    def __init__(self, subject: Subject, batch: Batch) -> None:
        self.subject, self.batch = subject, batch
        stepper, objective = subject.stepper, subject.objective
        self.theta = objective.theta.copy()
        self.slots = {name: a.copy() for name, a in stepper.slots.items()}
        self.clip = {name: a.copy() for name, a in stepper.clip_state.items()}
        self.flat: dict[str, Array] = {}
        self.weights: dict[str, Array] = {}
        self.pass_: list[Part] = []
        self.layers: tuple[Block, ...] = ()
        self.begun = 0.0  # the objective that a search begins with
        self.loss: Callable[[], float] = lambda: stepper.loss
        self.outputs = np.zeros(0)

    def seen(self, phase: str) -> None:
        """Called by the engine after each phase."""
        objective = self.subject.objective
        self.flat[phase] = objective.grad.copy()
        self.weights[phase] = objective.theta.copy()
        if phase == "backward":
            self.outputs = self.batch.chain.y.copy()
            self.layers = tuple(_layer_blocks(self.batch.chain))
            self.pass_ = [
                *_forward(self.layers), *_loss(self.subject, self.batch, self.loss()),
                *_backward(self.batch.chain),
            ]  # fmt: skip


def _layer_block(link: BoundLayer) -> Block:
    engine = engine_arrays(link)
    states = {name: np.array(getattr(link.frame, name)) for name in link.node.plan.state}
    return Block("layer", link.path, link.layer.kind, layer_program(link, True), equation_env(link) | states, engine)


def _layer_blocks(chain: Chain) -> Iterator[Block]:
    for link in chain.layers:
        for inner in link.inside.values():
            yield from _layer_blocks(inner)
        yield _layer_block(link)


def _forward(blocks: Sequence[Block]) -> Iterator[Part]:
    for block in blocks:
        for grid in block.program.grids:
            if grid.name not in block.backward and not grid.name.endswith("_new"):
                yield block, grid, Stage.FORWARD


def _backward(chain: Chain) -> Iterator[Part]:
    """Errors from the last layer to the first, then the gradients of the weights, as the algorithm counts its steps."""
    parts = list(_errors(chain))
    yield from (p for p in parts if p[2] is Stage.HIDDEN)
    yield from (p for p in parts if p[2] is Stage.WEIGHTS)


def _errors(chain: Chain) -> Iterator[Part]:
    for link in reversed(chain.layers):
        block = _layer_block(link)
        inside = {f"{name}_dx" for name in link.inside}
        lines = [g for g in block.program.grids if g.name in block.backward and not g.name.endswith("_new")]
        late = [g for g in lines if reads(g.equation) & inside]
        weights = {f"d{p}" for p in link.node.plan.params}
        for grid in lines:
            if grid not in late:
                yield block, grid, Stage.WEIGHTS if grid.name in weights else Stage.HIDDEN
        for inner in link.inside.values():
            yield from _errors(inner)
        yield from ((block, grid, Stage.HIDDEN) for grid in late)


def _loss(subject: Subject, batch: Batch, value: float) -> Iterator[Part]:
    f, loss = batch.frame, subject.objective.loss
    env: dict[str, Any] = {"x": f.x.copy(), "t": f.t.copy(), "K": f.t.shape[-1], **subject.objective.plan.consts}
    engine = {"L": np.asarray(value), "dx": f.dx.copy()}
    block = Block("loss", "", loss.kind, _program(loss.equations(False), env, {"dx": f.dx.shape}), env, engine)
    yield from ((block, grid, Stage.LOSS) for grid in block.program.grids)


def _program(equations: Sequence[Eq], env: Mapping[str, Any], results: Mapping[str, tuple[int, ...]]) -> Program:
    shapes = {name: np.shape(value) for name, value in env.items() if np.ndim(value)} | dict(results)
    return compile_equations(equations, shapes, {name: v for name, v in env.items() if np.ndim(v) == 0})


def _places(entries: Sequence[ParamLayout]) -> Places:
    return tuple((e.path, e.shape) for e in entries)


def _descent(subject: Subject, stepper: FirstOrderStep, watch: _Watch) -> Iterator[Part]:
    """All that happens to the gradient, and to the weights by it."""
    yield from _penalties(subject, stepper.loss, stepper.penalty, watch)
    yield from _clipping(subject, stepper, watch)
    yield from _schedule(subject, stepper)
    yield from _update(subject, stepper, watch)
    yield from _constraints(subject, stepper, watch)
    yield from _states(watch)
    yield from _change(subject, watch)


def _penalties(subject: Subject, loss: float, total: float, watch: _Watch) -> Iterator[Part]:
    network_plan = subject.network_plan
    own = np.zeros_like(watch.theta)
    for i, (penalty, where) in enumerate(network_plan.penalties):
        w = watch.theta[where]
        before = np.zeros_like(w)
        penalty.add_grad(w, before, np.empty_like(w))
        own[where] = before
        env = {"w": w, **penalty.consts()}
        engine = {"penalty": np.asarray(penalty.value(w, np.empty_like(w))), "dw": before}
        program = _program(penalty.equations(), env, {"dw": w.shape})
        places = _places([e for e in network_plan.layout if where.start <= e.start < where.stop])
        name = f"penalty_{i + 1}" if len(network_plan.penalties) > 1 else "penalty"
        block = Block("penalty", name, penalty.kind, program, env, engine, places)
        yield from ((block, grid, Stage.WEIGHTS) for grid in program.grids)
    if network_plan.penalties:
        env = {"L": loss, "penalty": total, "data": watch.flat["backward"], "own": own}
        engine = {"E": np.asarray(loss + total), "g": watch.flat["gradient"]}
        block = Block(
            "gradient", "", "sum", _program(TOTAL, env, {"g": own.shape}), env, engine, _places(network_plan.layout)
        )
        yield from ((block, grid, Stage.WEIGHTS) for grid in block.program.grids)


def _clipping(subject: Subject, stepper: FirstOrderStep, watch: _Watch) -> Iterator[Part]:
    clipper = stepper.clipper
    if clipper is None:
        return
    before, after = watch.flat["gradient"], watch.flat["clipping"]
    layout = subject.network_plan.layout
    if clipper.per_tensor:
        for e in layout:
            g, w = before[e.where].reshape(e.shape), watch.theta[e.where].reshape(e.shape)
            env = {"g": g, "w": w, **clipper.consts()}
            engine = {"g_new": after[e.where].reshape(e.shape)}
            program = _program(clipper.equations(e.shape), env, {"g_new": e.shape})
            block = Block("clipping", "", clipper.kind, program, env, engine, tensor=e.path)
            yield from ((block, grid, Stage.UPDATE) for grid in program.grids)
        return
    env = {"g": before, **watch.clip, **clipper.consts()}
    engine = {"g_new": after, **{f"{n}_new": a.copy() for n, a in stepper.clip_state.items()}}
    program = _program(clipper.equations(), env, {n: np.shape(a) for n, a in engine.items() if np.ndim(a)})
    block = Block("clipping", "", clipper.kind, program, env, engine, _places(layout))
    yield from ((block, grid, Stage.UPDATE) for grid in program.grids)


def _schedule(subject: Subject, stepper: FirstOrderStep) -> Iterator[Part]:
    schedule = stepper.optimizer.learning_rate
    k, total = stepper.clock(subject.done)
    env = {"k": k, "T": total, **{n: float(a) for n, a in stepper.schedule_state.items()}, **schedule.consts()}
    wanted = [eq for eq in schedule.equations() if not eq.left.endswith("_new")]
    if schedule.watched():
        env |= {"value": np.nan, "sense": 1}
    program = compile_equations(wanted, {}, env)
    block = Block("schedule", "", schedule.kind, program, env, {"lr": np.asarray(stepper.rate)})
    needed = program.needed(["lr"])
    yield from ((block, grid, Stage.UPDATE) for grid in program.grids if grid.name in needed)


def _update(subject: Subject, stepper: FirstOrderStep, watch: _Watch) -> Iterator[Part]:
    optimizer, layout = stepper.optimizer, subject.network_plan.layout
    env: dict[str, Any] = {"w": watch.theta, "g": watch.flat["clipping"], **watch.slots, **optimizer.consts()}
    env |= {"lr": stepper.rate, "t": subject.done + 1, "D": subject.network_plan.decaying}
    engine = {"w_new": watch.weights["optimizer"], **{f"{n}_new": a.copy() for n, a in stepper.slots.items()}}
    program = _program(optimizer.equations(), env, {n: np.shape(a) for n, a in engine.items()})
    block = Block("optimizer", "", optimizer.kind, program, env, engine, _places(layout))
    yield from ((block, grid, Stage.UPDATE) for grid in program.grids)


def _search(subject: Subject, search: FullBatchStep, batch: Batch, watch: _Watch) -> Iterator[Part]:
    """An iteration of an optimizer that searches. Of a network too large for its textbook, nothing is told."""
    optimizer, objective = search.optimizer, subject.objective
    size = len(watch.theta)
    if search.ended or size > TOLD:
        return
    after = objective.grad.copy()
    env: dict[str, Any] = {"w": watch.theta, "g": watch.flat["gradient"], **watch.slots, **optimizer.consts()}
    env |= {"L": watch.begun, "L_new": search.loss + search.penalty, "g_new": after, "t": subject.done + 1, "P": size}
    env |= {name: np.array(getattr(search.frame, name)) for name in optimizer.told}
    if optimizer.row_by_row:
        objective.theta[...] = watch.theta
        env |= {
            "e": (watch.outputs - batch.t).ravel(),
            "J": jacobian(objective, batch),
            "bend": search.frame.bend.copy(),
        }
        objective.theta[...] = watch.weights["step"]
        objective.grad[...] = after
    engine = {"w_new": watch.weights["step"], **{f"{n}_new": a.copy() for n, a in search.slots.items()}}
    parsed = map(parse, optimizer.equations())
    engine |= {e.name: np.asarray(1.0) for e in parsed if isinstance(e.right, Compare) and not e.free}
    program = _program(optimizer.equations(), env, {n: np.shape(a) for n, a in engine.items() if np.ndim(a)})
    block = Block("optimizer", "", optimizer.kind, program, env, engine, _places(subject.network_plan.layout))
    yield from ((block, grid, Stage.UPDATE) for grid in program.grids)


def _constraints(subject: Subject, stepper: FirstOrderStep, watch: _Watch) -> Iterator[Part]:
    for own, path, _ in stepper.constrained:
        e = subject.network_plan.entry(path)
        w, after = (watch.weights[phase][e.where].reshape(e.shape) for phase in ("optimizer", "step"))
        env = {"w": w, **own.consts()}
        program = _program(own.equations(), env, {"w_new": e.shape})
        block = Block("constraint", "", own.kind, program, env, {"w_new": after}, tensor=path)
        yield from ((block, grid, Stage.UPDATE) for grid in program.grids)


def _states(watch: _Watch) -> Iterator[Part]:
    """What layers carry to the next step: running statistics. The pass kept what they were before."""
    for block, grid, stage in list(watch.pass_):
        if stage is Stage.FORWARD and grid is block.program.grids[0]:
            engine = _committed(watch.batch.chain, block.layer)
            if engine:
                after = Block(block.part, block.layer, block.kind, block.program, block.env, engine)
                yield from ((after, g, Stage.UPDATE) for g in block.program.grids if g.name in engine)


def _committed(chain: Chain, path: str) -> dict[str, Array]:
    link = next(k for k in chain.walk() if k.path == path)
    return {f"{name}_new": np.array(getattr(link.frame, name)) for name in link.node.plan.state}


def _change(subject: Subject, watch: _Watch) -> Iterator[Part]:
    """What the step should do to the loss, to first order."""
    env = {"g": watch.flat["gradient"], "w": watch.theta, "w_new": watch.weights["step"]}
    block = Block("change", "", "first order", _program(CHANGE, env, {}), env, {}, _places(subject.network_plan.layout))
    yield from ((block, grid, Stage.REPEAT) for grid in block.program.grids)


def _makers(chain: Chain) -> dict[tuple[str, str], tuple[str, str]]:
    """Where what a layer reads was made: (layer, x or dy) to (layer, y, dx or a branch's dy)."""
    made = {_at(chain.dy): ("loss", "dx")}
    for link in chain.walk():
        made[_at(link.frame.y)] = (link.path, "y")
    for link in chain.walk():
        if link.frame.dx is not None:
            made.setdefault(_at(link.frame.dx), (link.path, "dx"))
        for name, inner in link.inside.items():
            made.setdefault(_at(inner.dy), (link.path, f"{name}_dy"))
    found = {}
    for link in chain.walk():
        for name in ("x", "dy"):
            if (maker := made.get(_at(getattr(link.frame, name)))) is not None:
                found[link.path, name] = maker
    return found


def _at(array: Array) -> int:
    return int(np.asarray(array).__array_interface__["data"][0])
