"""Whether a user's own part keeps to the rules that kernels are written by, before anything is trained with it.

The part is run alone on a few rows, several times, with something else standing in its memory each time: what it does
not write, what it adds to, and what it reads too early is then different every time. What breaks a rule is an error; a
part that is right and only asks for memory in every step is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bpcli.config.experiment import Experiment
from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import NetworkPlan
from bpcli.engine.objective import Objective
from bpcli.family import GradientOptimizer, Layer, Loss
from bpcli.family.part import Part
from bpcli.family.plan import Array, Frame, Sample, Shape
from bpcli.notation.syntax import NotationError, parse
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.allocation import Steps, growth
from bpcli.studies.custom.load import loaded_classes
from bpcli.studies.custom.sandbox import POISON, BrokenRuleError, Sandbox, frame_of
from bpcli.studies.custom.source_location import method_spot, own_code_failure, problem_at
from bpcli.studies.witness.cases import LayerCase, LossCase, layer_program

ROWS = 3


def examine(
    part: Part,
    x: Shape,
    batch: int = ROWS,
    dtype: Any = np.float64,
    inputs: Mapping[str, Array] | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with a layer, a loss or a gradient optimizer on rows of shape x: the first rule that it
    breaks, else warnings. `inputs` may hold its x, and a loss's t. Nothing of any other family."""
    given = dict(inputs or {})
    try:
        with np.errstate(all="ignore"):
            if isinstance(part, Layer):
                return _layer(part, x, batch, dtype, given)
            if isinstance(part, Loss):
                return _loss(part, x, batch, dtype, given)
            return _stepper(part, dtype) if isinstance(part, GradientOptimizer) else ()
    except BrokenRuleError as broken:
        return (broken.problem,)


def check_used_parts(
    experiment: Experiment, network_plan: NetworkPlan, loss: Loss, x: Array, t: Array, dtype: Any
) -> tuple[Problem, ...]:
    """Examines every loaded part that an experiment uses, on its own first rows x, t: warnings.

    Does nothing where no file was loaded. Raises Failure with the first layer's errors.
    """
    own = loaded_classes()
    used = {type(node.layer) for node in network_plan.walk()} | {type(loss), type(experiment.optimizer)}
    if not own & used:
        return ()
    objective = Objective(network_plan, loss, ROWS, dtype, experiment.seed, retain=True, need_dx=True)
    batch = objective.batch(ROWS)
    batch.load(x, t, np.arange(ROWS) % len(x))
    found: list[Problem] = []
    seen: set[object] = set()

    def look(part: Part, shape: Shape, path: str, inputs: Mapping[str, Array]) -> None:
        if type(part) not in own or (part, shape) in seen:
            return
        seen.add((part, shape))
        problems = [replace(p, path=(path,)) for p in examine(part, shape, ROWS, dtype, inputs)]
        if any(p.level == "error" for p in problems):
            raise Failure(*problems)
        found.extend(problems)

    def walk(chain: Chain) -> None:
        for link in chain.layers:
            look(link.layer, link.node.x, link.path, {"x": link.frame.x.copy()})
            with np.errstate(all="ignore"):
                _taken(link)
            for inner in link.inside.values():
                walk(inner)

    objective.network.draw(batch.chain, 0)
    walk(batch.chain)
    look(loss, network_plan.y, "loss", {"x": batch.frame.x.copy(), "t": batch.t.copy()})
    look(experiment.optimizer, (), "optimizer", {})
    return tuple(found)


def _taken(link: BoundLayer) -> None:
    """A layer's forward pass in its network, with everything inside it. Raises Failure where own code raises."""
    try:
        link.layer.forward(link.frame, True)
    except Exception as error:
        raise own_code_failure(error, layer=link.path) or error from None


# --------------------------------------------------------------------------------------------------------------- layers
def _layer(layer: Layer, x: Shape, batch: int, dtype: Any, given: Mapping[str, Array]) -> tuple[Problem, ...]:
    warnings: list[Problem] = []
    for train in (True, False):
        case = _case(layer, x, batch, dtype, given, train)
        bench = Sandbox(layer, case.link.frame)
        _draws(bench, case)
        _passes(bench, case, train)
        for problem in (*bench.extras(), *_equations(bench, case, train)):
            if problem not in warnings:
                warnings.append(problem)
    if batch > 1:
        shorter = {name: a[: batch - 1] for name, a in given.items()}
        short = _case(layer, x, batch - 1, dtype, shorter, True)
        _pass(Sandbox(layer, short.link.frame), short, True, POISON[0])
    if not any(p.code == "allocates" for p in warnings):
        warnings += _hungry(layer, partial(_layer_steps, layer, x, dtype, given), x, dtype)
    return tuple(warnings)


def _case(layer: Layer, x: Shape, batch: int, dtype: Any, given: Mapping[str, Array], train: bool) -> LayerCase:
    """The layer alone in a network. Raises BrokenError where own code raises on the way."""
    try:
        return LayerCase(Sample(layer, x, batch, inputs=given), train, dtype)
    except Exception as error:
        failure = error if isinstance(error, Failure) else own_code_failure(error)
        if failure is None:
            raise
        raise BrokenRuleError(failure.problems[0]) from None


def _draws(bench: Sandbox, case: LayerCase) -> None:
    names = tuple(case.link.node.plan.draws)
    results = []
    for poison in POISON if names else ():
        bench.spoil(names, poison)
        rng = np.random.default_rng(0)
        bench.call("draw", lambda rng=rng: case.layer.draw(case.link.frame, rng), ())  # type: ignore[misc]
        results.append({name: np.array(getattr(case.link.frame, name)) for name in names})
    for name in names:
        bench.written("draw", name, (results[0][name], results[1][name]))


def _passes(bench: Sandbox, case: LayerCase, train: bool) -> None:
    """Everything that two passes through the layer can show."""
    plan, f = case.link.node.plan, case.link.frame
    made = [_pass(bench, case, train, poison) for poison in POISON]
    if not _same(made):
        _outlived(bench, case, train)
    for name in ("y", *(f"d{p}" for p in plan.params), "dx"):
        method = "forward" if name == "y" else "backward"
        bench.written(method, name, (made[0][name], made[1][name]), made[0][f"{method} returned"])
    kept = {name: np.array(getattr(f, name)) for name in plan.keep}
    gradients = ("dx", *(f"d{p}" for p in plan.params))
    bench.spoil((*plan.scratch, *gradients), POISON[0])
    bench.call("backward", lambda: case.layer.backward(f, train), ())
    for name in gradients:
        if not np.allclose(getattr(f, name), made[1][name], rtol=1e-4, atol=1e-6):
            changed = [k for k, a in kept.items() if not np.array_equal(a, getattr(f, k), equal_nan=True)]
            text = f"{bench.name('backward')}, called again, gives another f.{name}"
            help = f"it changes f.{(changed or [name])[0]}, which forward kept; gradients are a function of the frame"
            raise bench.broken("backward", text, help)
    if plan.skips_dx and plan.params:  # the engine asks only a layer that learns
        _without_dx(bench, case, train)
    if train and plan.state:
        bench.call("commit", lambda: case.layer.commit(f), ("x", "y", *plan.params))


def _same(made: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two passes came to the same."""
    one, two = made
    arrays = (name for name in one if isinstance(one[name], np.ndarray) and not name.endswith("returned"))
    return all(np.allclose(one[name], two[name], rtol=1e-4, atol=1e-6, equal_nan=True) for name in arrays)


def _outlived(bench: Sandbox, case: LayerCase, train: bool) -> None:
    """Raises BrokenError where backward needs what forward left in scratch."""
    for name in case.link.node.plan.scratch:
        if _same([_pass(bench, case, train, poison, alive=name) for poison in POISON]):
            text = f"{bench.name('backward')} reads what forward left in f.{name}, and scratch is everybody's"
            help = f"other layers write into it between the two passes: ask for `{name}` in keep, not in scratch"
            raise bench.broken("backward", text, help, rf"\b{frame_of(case.layer, 'backward')}\.{name}\b")


def _pass(bench: Sandbox, case: LayerCase, train: bool, poison: float, alive: str = "") -> dict[str, Any]:
    """Forward and backward in memory that holds `poison`; copies of what they wrote. The scratch `alive` is left as it
    is between the two."""
    f, plan = case.link.frame, case.link.node.plan
    gradients = ("dx", *(f"d{p}" for p in plan.params))
    given = (*plan.params, *plan.draws, *plan.state)
    bench.spoil(("y", *gradients, *plan.keep, *plan.scratch), poison)
    returned = bench.call("forward", lambda: case.layer.forward(f, train), ("x", *given))
    found: dict[str, Any] = {"y": f.y.copy(), "forward returned": returned}
    bench.spoil([name for name in plan.scratch if name != alive], poison)
    f.dy[...] = np.random.default_rng(1).normal(size=f.dy.shape)
    found["backward returned"] = bench.call("backward", lambda: case.layer.backward(f, train), ("x", "y", "dy", *given))
    return found | {name: np.array(getattr(f, name)) for name in gradients}


def _without_dx(bench: Sandbox, case: LayerCase, train: bool) -> None:
    """The first layer of a network is not asked for dx, where its plan says so."""
    f = case.link.frame
    dx, f.dx = f.dx, None
    try:
        bench.call("backward", lambda: case.layer.backward(f, train), ())
    except BrokenRuleError as broken:
        help = "plan says skips_dx=True: then f.dx is None in the first layer. Begin with `if f.dx is not None:`"
        raise BrokenRuleError(replace(broken.problem, help=help)) from None
    finally:
        f.dx = dx


def _equations(bench: Sandbox, case: LayerCase, train: bool) -> list[Problem]:
    """Warnings of what has no equation. Raises BrokenError where they cannot be read."""
    plan = case.link.node.plan
    equations = bench.call("equations", lambda: case.layer.equations(train, case.link.node.x), ())
    if not equations:
        return []
    try:
        known = {parse(eq).name for eq in equations}
        layer_program(case.link, train)
    except (NotationError, AttributeError, TypeError) as error:
        help = 'an equation is Eq(left, right, why): Eq("y[n,...]", "g * x[n,...]", "scaled")'
        raise bench.broken("equations", f"{bench.name('equations')} cannot be read: {error}", help) from None
    missing = [name for name in ("y", "dx", *(f"d{p}" for p in plan.params)) if name not in known]
    if not missing:
        return []
    text = f"{type(case.layer).__name__} has no equation of {', '.join(missing)}"
    help = "it is trained and checked all the same, and its derivation cannot be told"
    position = method_spot(type(case.layer), "equations")
    return [problem_at(position, text, code="equations", help=help, level="warning")]


def _layer_steps(layer: Layer, x: Shape, dtype: Any, given: Mapping[str, Array], n: int) -> Steps:
    """What is measured of a layer on n rows, by method."""
    rows = {name: np.resize(a, (n, *a.shape[1:])) for name, a in given.items()}
    case = LayerCase(Sample(layer, x, n, inputs=rows), True, dtype)
    f, network, chain = case.link.frame, case.network, case.chain
    steps: dict[str, Callable[[], Any]] = {"draw": partial(network.draw, chain, 0)} if network.draws else {}
    return steps | {"forward": partial(layer.forward, f, True), "backward": partial(layer.backward, f, True)}


def _hungry(part: Part, make: Callable[[int], Steps], x: Shape, dtype: Any) -> list[Problem]:
    """Warnings of methods that ask for memory in every step."""
    found = []
    help = 'write into the arrays that are there, np.tanh(f.x, out=f.y); ask for others: scratch={"s": Slot((N, *x))}'
    for method, position, rate in growth(make, x, dtype):
        size = f"{rate:,.0f} byte{'s' * (round(rate) != 1)}"
        text = f"{type(part).__name__}.{method} asks for {size} a row in every step: right, but slow"
        where = position or method_spot(type(part), method)
        found.append(problem_at(where, text, code="allocates", help=help, level="warning"))
    return found


# --------------------------------------------------------------------------------------------------------------- losses
def _loss(loss: Loss, x: Shape, batch: int, dtype: Any, given: Mapping[str, Array]) -> tuple[Problem, ...]:
    bench, plan = Sandbox(loss, _loss_frame(loss, x, batch, dtype, given)), loss.plan(x)
    f, made = bench.frame, []
    for poison in POISON:
        bench.spoil(("dx", *plan.keep, *plan.scratch), poison)
        value = bench.call("forward", lambda: loss.forward(f), ("x", "t"))
        if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            text = f"{bench.name('forward')} returns {'nothing' if value is None else type(value).__name__}"
            raise bench.broken("forward", text, "it returns one number: the mean over the rows", r"\breturn\b")
        if not np.isfinite(value):
            help = f"here f.x is {np.shape(f.x)} and f.t {np.shape(f.t)}, all finite"
            raise bench.broken("forward", f"{bench.name('forward')} returns {value}", help, r"\breturn\b")
        bench.spoil(tuple(plan.scratch), poison)
        returned = bench.call("backward", lambda: loss.backward(f), ("x", "t"))
        made.append((value, f.dx.copy()))
    if not np.isclose(made[0][0], made[1][0], rtol=1e-4):
        text = f"what {bench.name('forward')} returns depends on what stood in memory before"
        raise bench.broken("forward", text, "keep and scratch are written before they are read", r"\breturn\b")
    bench.written("backward", "dx", (made[0][1], made[1][1]), returned)
    warnings = bench.extras()
    if not warnings:
        warnings += _hungry(loss, partial(_loss_steps, loss, x, dtype, given), x, dtype)
    return tuple(warnings)


def _loss_frame(loss: Loss, x: Shape, n: int, dtype: Any, given: Mapping[str, Array]) -> Frame:
    """A frame with outputs and targets; where no targets are given, those that most losses take."""
    rows = {name: np.resize(a, (n, *a.shape[1:])) for name, a in given.items()}
    f = LossCase(Sample(loss, x, n, inputs=rows), dtype).frame
    if "t" not in rows and loss.targets == "classes":
        ids = np.arange(n) % max(2, f.t.shape[-1])
        f.t[...] = ids[:, None] if f.t.shape[-1] == 1 else np.eye(f.t.shape[-1])[ids]
    return f


def _loss_steps(loss: Loss, x: Shape, dtype: Any, given: Mapping[str, Array], n: int) -> Steps:
    f = _loss_frame(loss, x, n, dtype, given)
    return {"forward": partial(loss.forward, f), "backward": partial(loss.backward, f)}


# ----------------------------------------------------------------------------------------------------------- optimizers
def _stepper(optimizer: GradientOptimizer, dtype: Any, size: int = 6, steps: int = 3) -> tuple[Problem, ...]:
    made: list[Array] = []
    bench = Sandbox(optimizer, Frame())
    for poison in POISON:
        rng = np.random.default_rng(0)
        f = bench.frame = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0), D=size // 2)
        f.w = rng.normal(size=size).astype(dtype)
        for name in (*optimizer.slots, *optimizer.scratch):
            setattr(f, name, np.zeros(size, dtype))
        before = f.w.copy()
        for t in range(1, steps + 1):
            f.g = rng.normal(size=size).astype(dtype)
            bench.spoil(optimizer.scratch, poison)
            bench.call("update", partial(optimizer.update, f, 0.01, t), ())
        if np.array_equal(before, f.w):
            text = f"{bench.name('update')} leaves f.w as it was, in {steps} steps"
            raise bench.broken("update", text, "write into it: np.subtract(f.w, ..., out=f.w)", r"\bw\b")
        made.append(f.w.copy())
    bench.written("update", "w", (made[0], made[1]))
    return tuple(bench.extras())
