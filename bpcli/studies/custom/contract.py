"""Whether a user's own part keeps to the rules that kernels are written by, before anything is trained with it.

The part is run alone on a few rows, several times, with something else standing in its memory each time: what it does
not write, what it adds to, and what it reads too early is then different every time. What breaks a rule is an error; a
part that is right and only asks for memory in every step is a warning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bpcli.config.experiment import Experiment
from bpcli.engine.full_batch import slope_of_one
from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import NetworkPlan
from bpcli.engine.objective import Objective
from bpcli.family import Array, Frame, GradientOptimizer, Layer, Loss, Part, Regularizer, Sample, Shape
from bpcli.family.part import DeclarationError
from bpcli.notation.syntax import NotationError, parse
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.allocation import Calls, allocation_growth
from bpcli.studies.custom.load import loaded_classes
from bpcli.studies.custom.sandbox import FILL_VALUES, BrokenRuleError, Sandbox, frame_name
from bpcli.studies.custom.source_location import method_position, own_code_failure, problem_at
from bpcli.studies.witness.cases import LayerCase, LossCase, equation_env, layer_program

EXAMINED_ROWS = 3
"""The size of the batches that a part is examined on."""
LARGER_ERRORS = 30
"""How many times as large errors are at which a loss is examined again: small ones of huber are squared, too."""


def examine(
    part: Part,
    x: Shape,
    batch: int = EXAMINED_ROWS,
    dtype: Any = np.float64,
    inputs: Mapping[str, Array] | None = None,
) -> tuple[Problem, ...]:
    """Returns what is wrong with a layer, a loss, a penalty or a gradient optimizer on rows of shape x: the first rule
    that it breaks, else warnings; nothing for a part of another family. `inputs` may hold its x, and a loss's t."""
    inputs = inputs or {}
    try:
        with np.errstate(all="ignore"):
            if isinstance(part, Layer):
                return _layer_problems(part, x, batch, dtype, inputs)
            if isinstance(part, Loss):
                return _loss_problems(part, x, batch, dtype, inputs)
            if isinstance(part, Regularizer):
                return _penalty_problems(part)
            return _optimizer_problems(part, dtype) if isinstance(part, GradientOptimizer) else ()
    except BrokenRuleError as broken_rule:
        return (broken_rule.problem,)


def check_used_parts(
    experiment: Experiment, network_plan: NetworkPlan, loss: Loss, x: Array, t: Array, dtype: Any
) -> tuple[Problem, ...]:
    """Examines every loaded part that an experiment uses, on its own first rows x, t; returns the warnings.

    Does nothing where no file was loaded. Raises Failure with the first layer's errors.
    """
    own = loaded_classes()
    used = {type(node.layer) for node in network_plan.walk()} | {type(loss), type(experiment.optimizer)}
    used |= {type(penalty) for penalty, _ in network_plan.penalties}
    if not own & used:
        return ()
    objective = Objective(network_plan, loss, EXAMINED_ROWS, dtype, experiment.seed, retain=True, need_dx=True)
    batch = objective.batch(EXAMINED_ROWS)
    batch.load(x, t, np.arange(EXAMINED_ROWS) % len(x))
    found: list[Problem] = []
    seen: set[object] = set()

    def examine_once(part: Part, shape: Shape, path: str, inputs: Mapping[str, Array]) -> None:
        if type(part) not in own or (part, shape) in seen:
            return
        seen.add((part, shape))
        problems = [replace(p, path=(path,)) for p in examine(part, shape, EXAMINED_ROWS, dtype, inputs)]
        if any(p.level == "error" for p in problems):
            raise Failure(*problems)
        found.extend(problems)

    def walk(chain: Chain) -> None:
        for bound in chain.layers:
            examine_once(bound.layer, bound.planned.x, bound.path, {"x": bound.frame.x.copy()})
            with np.errstate(all="ignore"):
                _run_forward(bound)
            for inner in bound.inside.values():
                walk(inner)

    objective.network.draw(batch.chain, 0)
    walk(batch.chain)
    examine_once(loss, network_plan.y, "loss", {"x": batch.frame.x.copy(), "t": batch.t.copy()})
    for penalty, _ in network_plan.penalties:
        examine_once(penalty, (), "penalty", {})
    examine_once(experiment.optimizer, (), "optimizer", {})
    return tuple(found)


def _run_forward(bound: BoundLayer) -> None:
    """Runs a layer forward in its network, with everything inside it. Raises Failure where own code raises."""
    try:
        bound.layer.forward(bound.frame, True)
    except Exception as error:
        raise own_code_failure(error, layer=bound.path) or error from None


# --------------------------------------------------------------------------------------------------------------- layers
def _layer_problems(layer: Layer, x: Shape, batch: int, dtype: Any, inputs: Mapping[str, Array]) -> tuple[Problem, ...]:
    warnings: list[Problem] = []
    for train in (True, False):
        case = _layer_case(layer, x, batch, dtype, inputs, train)
        sandbox = Sandbox(layer, case.bound.frame)
        _check_draws(sandbox, case)
        _check_passes(sandbox, case, train)
        for problem in (*sandbox.extra_warnings(), *_equation_warnings(sandbox, case, train)):
            if problem not in warnings:
                warnings.append(problem)
    if batch > 1:
        shorter = {name: a[: batch - 1] for name, a in inputs.items()}
        short = _layer_case(layer, x, batch - 1, dtype, shorter, True)
        _run_passes(Sandbox(layer, short.bound.frame), short, True, FILL_VALUES[0])
    if not any(p.code == "allocates" for p in warnings):
        warnings += _allocation_warnings(layer, partial(_layer_calls, layer, x, dtype, inputs), x, dtype)
    return tuple(warnings)


def _layer_case(layer: Layer, x: Shape, batch: int, dtype: Any, inputs: Mapping[str, Array], train: bool) -> LayerCase:
    """Returns the layer alone in a network. Raises BrokenRuleError where own code raises meanwhile."""
    try:
        return LayerCase(Sample(layer, x, batch, inputs=inputs), train, dtype)
    except Exception as error:
        failure = error if isinstance(error, Failure) else own_code_failure(error)
        if failure is None:
            raise
        raise BrokenRuleError(failure.problems[0]) from None


def _check_draws(sandbox: Sandbox, case: LayerCase) -> None:
    names = tuple(case.bound.plan.draws)
    results = []
    for fill_value in FILL_VALUES if names else ():
        sandbox.fill(names, fill_value)
        rng = np.random.default_rng(0)
        sandbox.call("draw", lambda rng=rng: case.layer.draw(case.bound.frame, rng), ())  # type: ignore[misc]
        results.append({name: np.array(getattr(case.bound.frame, name)) for name in names})
    for name in names:
        sandbox.check_written("draw", name, (results[0][name], results[1][name]))


def _check_passes(sandbox: Sandbox, case: LayerCase, train: bool) -> None:
    """Runs the layer twice, in memory that holds other numbers, and raises BrokenRuleError for what that shows."""
    plan, f = case.bound.plan, case.bound.frame
    results = [_run_passes(sandbox, case, train, fill_value) for fill_value in FILL_VALUES]
    if not _same_results(results):
        _check_scratch(sandbox, case, train)
    for name in ("y", *(f"d{p}" for p in plan.params), "dx"):
        method = "forward" if name == "y" else "backward"
        sandbox.check_written(method, name, (results[0][name], results[1][name]), results[0][f"{method} returned"])
    kept = {name: np.array(getattr(f, name)) for name in plan.keep}
    gradients = ("dx", *(f"d{p}" for p in plan.params))
    sandbox.fill((*plan.scratch, *gradients), FILL_VALUES[0])
    sandbox.call("backward", lambda: case.layer.backward(f, train), ())
    for name in gradients:
        if not np.allclose(getattr(f, name), results[1][name], rtol=1e-4, atol=1e-6):
            changed = [k for k, a in kept.items() if not np.array_equal(a, getattr(f, k), equal_nan=True)]
            text = f"{sandbox.name('backward')}, called again, gives another f.{name}"
            help = f"it changes f.{(changed or [name])[0]}, which forward kept; gradients are a function of the frame"
            raise sandbox.broken_rule("backward", text, help)
    if plan.skips_dx and plan.params:  # the engine asks only a layer that learns
        _check_without_dx(sandbox, case, train)
    if train and plan.state:
        sandbox.call("commit", lambda: case.layer.commit(f), ("x", "y", *plan.params))


def _same_results(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two passes gave the same arrays."""
    one, two = results
    arrays = (name for name in one if isinstance(one[name], np.ndarray) and not name.endswith("returned"))
    return all(np.allclose(one[name], two[name], rtol=1e-4, atol=1e-6, equal_nan=True) for name in arrays)


def _check_scratch(sandbox: Sandbox, case: LayerCase, train: bool) -> None:
    """Raises BrokenRuleError where backward needs what forward left in scratch."""
    for name in case.bound.plan.scratch:
        if _same_results([_run_passes(sandbox, case, train, fill_value, alive=name) for fill_value in FILL_VALUES]):
            text = f"{sandbox.name('backward')} reads what forward left in f.{name}, and scratch is everybody's"
            help = f"other layers write into it between the two passes: ask for `{name}` in keep, not in scratch"
            raise sandbox.broken_rule("backward", text, help, rf"\b{frame_name(case.layer, 'backward')}\.{name}\b")


def _run_passes(sandbox: Sandbox, case: LayerCase, train: bool, fill_value: float, alive: str = "") -> dict[str, Any]:
    """Runs forward and backward in memory that holds `poison`; returns copies of what they wrote. The scratch `alive`
    is left as it is between the two."""
    f, plan = case.bound.frame, case.bound.plan
    gradients = ("dx", *(f"d{p}" for p in plan.params))
    inputs = (*plan.params, *plan.draws, *plan.state)
    sandbox.fill(("y", *gradients, *plan.keep, *plan.scratch), fill_value)
    returned = sandbox.call("forward", lambda: case.layer.forward(f, train), ("x", *inputs))
    found: dict[str, Any] = {"y": f.y.copy(), "forward returned": returned}
    sandbox.fill([name for name in plan.scratch if name != alive], fill_value)
    f.dy[...] = np.random.default_rng(1).normal(size=f.dy.shape)
    reads = ("x", "y", "dy", *inputs)
    found["backward returned"] = sandbox.call("backward", lambda: case.layer.backward(f, train), reads)
    return found | {name: np.array(getattr(f, name)) for name in gradients}


def _check_without_dx(sandbox: Sandbox, case: LayerCase, train: bool) -> None:
    """Runs backward without dx, as in the first layer of a network whose plan allows it."""
    f = case.bound.frame
    dx, f.dx = f.dx, None
    try:
        sandbox.call("backward", lambda: case.layer.backward(f, train), ())
    except BrokenRuleError as broken_rule:
        help = "plan says skips_dx=True: then f.dx is None in the first layer. Begin with `if f.dx is not None:`"
        raise BrokenRuleError(replace(broken_rule.problem, help=help)) from None
    finally:
        f.dx = dx


def _equation_warnings(sandbox: Sandbox, case: LayerCase, train: bool) -> list[Problem]:
    """Warns of arrays that no equation defines. Raises BrokenRuleError where equations cannot be read."""
    plan = case.bound.plan
    equations = sandbox.call("equations", lambda: case.layer.equations(train, case.bound.planned.x), ())
    if not equations:
        return []
    try:
        known = {parse(eq).name for eq in equations}
        program = layer_program(case.bound, train)
        with np.errstate(all="ignore"):
            program.complete(equation_env(case.bound))
    except (NotationError, DeclarationError) as error:
        text = str(error).removeprefix(f"the equations of {case.layer.kind} cannot be read: ")
        raise _unreadable(sandbox, text, error.help) from None
    except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise _unreadable(sandbox, str(error), NotationError("").help) from None
    missing = [name for name in ("y", "dx", *(f"d{p}" for p in plan.params)) if name not in known]
    if not missing:
        return []
    text = f"{type(case.layer).__name__} has no equation of {', '.join(missing)}"
    help = "it is trained and checked all the same, and its derivation cannot be shown"
    position = method_position(type(case.layer), "equations")
    return [problem_at(position, text, code="equations", help=help, level="warning")]


def _unreadable(sandbox: Sandbox, text: str, help: str) -> BrokenRuleError:
    return sandbox.broken_rule("equations", f"{sandbox.name('equations')} cannot be read: {text}", help)


def _layer_calls(layer: Layer, x: Shape, dtype: Any, inputs: Mapping[str, Array], n: int) -> Calls:
    """Returns the methods of a layer whose memory is measured, on n rows."""
    rows = {name: np.resize(a, (n, *a.shape[1:])) for name, a in inputs.items()}
    case = LayerCase(Sample(layer, x, n, inputs=rows), True, dtype)
    f, network, chain = case.bound.frame, case.network, case.chain
    steps: dict[str, Callable[[], Any]] = {"draw": partial(network.draw, chain, 0)} if network.draws else {}
    return steps | {"forward": partial(layer.forward, f, True), "backward": partial(layer.backward, f, True)}


def _allocation_warnings(part: Part, make: Callable[[int], Calls], x: Shape, dtype: Any) -> list[Problem]:
    """Warns of methods that ask for memory in every step."""
    found = []
    help = 'write into the arrays that are there, np.tanh(f.x, out=f.y); ask for others: scratch={"s": Slot((N, *x))}'
    for method, position, rate in allocation_growth(make, x, dtype):
        size = f"{rate:,.0f} byte{'s' * (round(rate) != 1)}"
        text = f"{type(part).__name__}.{method} asks for {size} a row in every step: right, but slow"
        where = position or method_position(type(part), method)
        found.append(problem_at(where, text, code="allocates", help=help, level="warning"))
    return found


# --------------------------------------------------------------------------------------------------------------- losses
def _loss_problems(loss: Loss, x: Shape, batch: int, dtype: Any, inputs: Mapping[str, Array]) -> tuple[Problem, ...]:
    sandbox, plan = Sandbox(loss, _loss_frame(loss, x, batch, dtype, inputs)), loss.plan(x)
    f, results = sandbox.frame, []
    for fill_value in FILL_VALUES:
        sandbox.fill(("dx", *plan.keep, *plan.scratch), fill_value)
        value = sandbox.call("forward", lambda: loss.forward(f), ("x", "t"))
        if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            text = f"{sandbox.name('forward')} returns {'nothing' if value is None else type(value).__name__}"
            raise sandbox.broken_rule("forward", text, "it returns one number: the mean over the rows", r"\breturn\b")
        if not np.isfinite(value):
            help = f"here f.x is {np.shape(f.x)} and f.t {np.shape(f.t)}, all finite"
            raise sandbox.broken_rule("forward", f"{sandbox.name('forward')} returns {value}", help, r"\breturn\b")
        sandbox.fill(tuple(plan.scratch), fill_value)
        returned = sandbox.call("backward", lambda: loss.backward(f), ("x", "t"))
        results.append((value, f.dx.copy()))
    if not np.isclose(results[0][0], results[1][0], rtol=1e-4):
        text = f"what {sandbox.name('forward')} returns depends on what stood in memory before"
        raise sandbox.broken_rule("forward", text, "keep and scratch are written before they are read", r"\breturn\b")
    sandbox.check_written("backward", "dx", (results[0][1], results[1][1]), returned)
    if loss.least_squares:
        _check_least_squares(sandbox, loss)
    warnings = sandbox.extra_warnings()
    if not warnings:
        warnings += _allocation_warnings(loss, partial(_loss_calls, loss, x, dtype, inputs), x, dtype)
    return tuple(warnings)


def _check_least_squares(sandbox: Sandbox, loss: Loss) -> None:
    """Raises BrokenRuleError where a loss that declares itself a sum of squares has another value than that, at errors
    as they are or at larger ones."""
    f = sandbox.frame
    half = sandbox.call("forward", lambda: slope_of_one(loss, f.x.shape[-1]), ()) / 2
    for growth in (1, LARGER_ERRORS):
        if f.x.shape == f.t.shape:
            f.x[...] = f.t + growth * (f.x - f.t)
        value = sandbox.call("forward", lambda: loss.forward(f), ())
        squares = np.square(f.x.astype(np.float64) - f.t).sum() if f.x.shape == f.t.shape else np.nan
        expected = half * float(squares) / len(f.x)
        if not np.isclose(value, expected, rtol=1e-4):
            text = f"{type(loss).__name__} declares least_squares, and forward returns {value:.6g} where squares make "
            help = "it is then a number times the mean over rows of sum_k (x - t)^2; else leave `least_squares` out"
            raise sandbox.broken_rule("forward", text + f"{expected:.6g}", help, r"\breturn\b")


def _loss_frame(loss: Loss, x: Shape, n: int, dtype: Any, inputs: Mapping[str, Array]) -> Frame:
    """Returns a frame with outputs and targets; where `inputs` has no targets, those that most losses take."""
    rows = {name: np.resize(a, (n, *a.shape[1:])) for name, a in inputs.items()}
    f = LossCase(Sample(loss, x, n, inputs=rows), dtype).frame
    if "t" not in rows and loss.targets == "classes":
        ids = np.arange(n) % max(2, f.t.shape[-1])
        f.t[...] = ids[:, None] if f.t.shape[-1] == 1 else np.eye(f.t.shape[-1])[ids]
    return f


def _loss_calls(loss: Loss, x: Shape, dtype: Any, inputs: Mapping[str, Array], n: int) -> Calls:
    f = _loss_frame(loss, x, n, dtype, inputs)
    return {"forward": partial(loss.forward, f), "backward": partial(loss.backward, f)}


# ------------------------------------------------------------------------------------------------------------ penalties
def _penalty_problems(penalty: Regularizer) -> tuple[Problem, ...]:
    """Returns nothing. Raises BrokenRuleError where a penalty that declares itself a sum of squares is another."""
    if not penalty.quadratic:
        return ()
    sandbox = Sandbox(penalty, Frame())
    w = np.random.default_rng(0).normal(size=7)
    slopes = []
    for at in (w, np.ones_like(w)):
        g, scratch = np.zeros_like(w), np.zeros_like(w)
        sandbox.call("add_grad", partial(penalty.add_grad, at, g, scratch), ())
        slopes.append(g)
    value = sandbox.call("value", lambda: penalty.value(w, np.zeros_like(w)), ())
    if not (np.allclose(slopes[0], slopes[1] * w) and np.isclose(value, slopes[0] @ w / 2)):
        text = f"{type(penalty).__name__} declares quadratic, and its gradient does not grow with each weight, or is "
        help = "it is then sum_j c_j w_j^2, with the gradient 2 c_j w_j; else leave `quadratic` out"
        raise sandbox.broken_rule("add_grad", text + "not that of its value", help)
    return ()


# ----------------------------------------------------------------------------------------------------------- optimizers
def _optimizer_problems(optimizer: GradientOptimizer, dtype: Any, size: int = 6, steps: int = 3) -> tuple[Problem, ...]:
    results: list[Array] = []
    sandbox = Sandbox(optimizer, Frame())
    for fill_value in FILL_VALUES:
        rng = np.random.default_rng(0)
        f = sandbox.frame = Frame(D=size // 2)
        f.w = rng.normal(size=size).astype(dtype)
        for name in (*optimizer.slots, *optimizer.scratch):
            setattr(f, name, np.zeros(size, dtype))
        before = f.w.copy()
        for t in range(1, steps + 1):
            f.g = rng.normal(size=size).astype(dtype)
            sandbox.fill(optimizer.scratch, fill_value)
            sandbox.call("update", partial(optimizer.update, f, 0.01, t), ())
        if np.array_equal(before, f.w):
            text = f"{sandbox.name('update')} leaves f.w as it was, in {steps} steps"
            raise sandbox.broken_rule("update", text, "write into it: np.subtract(f.w, ..., out=f.w)", r"\bw\b")
        results.append(f.w.copy())
    sandbox.check_written("update", "w", (results[0], results[1]))
    return tuple(sandbox.extra_warnings())
