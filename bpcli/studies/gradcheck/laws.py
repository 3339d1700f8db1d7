"""What the gradients of any network obey, whatever its layers compute: the algebra of a backward pass."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.objective import Batch, Objective
from bpcli.engine.state import network_state, restore
from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.numeric.streams import Stream
from bpcli.numeric.vectors import EPS
from bpcli.records.gradcheck import LawRow
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.forward_equations import loss_program
from bpcli.studies.gradcheck.loss_point import penalties
from bpcli.studies.gradcheck.rounding import NetworkRounding
from bpcli.studies.witness.cases import engine_arrays, equation_env, layer_program
from bpcli.studies.witness.same_function import function_gaps
from bpcli.studies.witness.witness import max_abs

_Stated = tuple[str, Program, dict[str, Any], str, tuple[str, ...], tuple[str, ...]]

FLOAT32_ROUNDINGS = 30  # times as far as one rounding of every number takes a gradient may float32 be off
FLOAT32_ROUNDED = 5e-9, 5e-6  # of a gradient, that what was float32 on the way may be off by
FLOAT32_RTOL = 1e-4  # of a tensor's largest entry, between float32 and float64


def laws(objective: Objective, batch: Batch, x: Array, t: Array, seed: int) -> tuple[LawRow, ...]:
    """Checks all of them, on the rows `x`, `t` with the weights as they are. Leaves the batch loaded with these
    rows."""
    return (
        _passes(objective, batch, seed),
        _linear(objective, batch, seed),
        _batch(objective, batch, x, t),
        _permutation(objective, batch, x, t),
        _float32(objective, batch, x, t, seed),
        _derived(objective, batch, seed),
    )


def _row(law: str, holds: bool, worst: float, *sentences: str, **details: object) -> LawRow:
    """Returns the row of a law: where it does not hold, with the sentences of these keys."""
    text = "".join(sentence(f"law {key}", **details)[1] for key in sentences if key and not holds)
    return LawRow(law, holds, worst, text)


def _gradient(objective: Objective, batch: Batch, train: bool) -> Array:
    """Returns the flat gradient of the data term. Weights that a pass moves are put back."""
    theta = objective.theta.copy()
    batch.forward(train)
    batch.backward(train)
    np.copyto(objective.theta, theta)
    return objective.grad.copy()


def _written_backward(bound: BoundLayer) -> dict[str, Array]:
    """Returns what a layer's backward writes, by name."""
    names = ("dx", *(f"d{p}" for p in bound.plan.params))
    return {name: np.array(getattr(bound.frame, name)) for name in names if getattr(bound.frame, name) is not None}


def _layers(batch: Batch, seed: int) -> Iterator[tuple[BoundLayer, np.random.Generator]]:
    """Yields every layer with something to weigh its outputs by, after a forward pass."""
    for bound in batch.chain.walk():
        yield bound, Stream(seed, "gradcheck", f"law {bound.path}").at()


def _passes(objective: Objective, batch: Batch, seed: int) -> LawRow:
    """Checks that forward and backward, each twice, give the same bits and leave what they read as it was."""
    objective.network.draw(batch.chain, 0)
    batch.forward(True)
    for bound, rng in _layers(batch, seed):
        f, plan = bound.frame, bound.plan
        reads = ("x", *plan.params, *plan.draws, *plan.state)
        np.copyto(f.dy, rng.normal(size=f.dy.shape))
        before = {name: np.array(getattr(f, name)) for name in (*reads, "dy")}
        found: list[dict[str, Array]] = []
        for _ in range(2):
            bound.layer.forward(f, True)
            bound.layer.backward(f, True)
            found.append(engine_arrays(bound))
        bound.layer.backward(f, True)
        found.append(found[0] | _written_backward(bound))
        changed = [n for n, v in before.items() if not np.array_equal(getattr(f, n), v, equal_nan=True)]
        for name in changed:
            np.copyto(getattr(f, name), before[name])
        if changed:
            return _row("re-entrant", False, math.inf, "changes", layer=bound.path, arrays=", ".join(changed))
        for again in found[1:]:
            for name, value in found[0].items():
                if not np.array_equal(value, again[name], equal_nan=True):
                    worst = max_abs(value - again[name])
                    return _row("re-entrant", False, worst, "again", layer=bound.path, array=name)
        batch.forward(True)
    loss = objective.loss
    batch.forward(True)
    loss.backward(batch.frame)
    first, outputs, targets = batch.frame.dx.copy(), batch.frame.x.copy(), batch.frame.t.copy()
    loss.backward(batch.frame)
    if not np.array_equal(first, batch.frame.dx, equal_nan=True):
        return _row("re-entrant", False, max_abs(first - batch.frame.dx), "again", layer="loss", array="dx")
    batch.frame.w, batch.w[...] = batch.w, 1 / batch.n
    loss.forward(batch.frame)
    loss.backward(batch.frame)
    batch.frame.w = None
    same = np.array_equal(outputs, batch.frame.x) and np.array_equal(targets, batch.frame.t)
    if not (same and (batch.w == 1 / batch.n).all()):
        return _row("re-entrant", False, math.inf, "loss changes")
    return _passes_of_network(objective, batch)


def _passes_of_network(objective: Objective, batch: Batch) -> LawRow:
    """Returns all layers together, in the order of a training step, as each of them alone."""
    before = {path: w.copy() for path, w in objective.network.parameters().items()}
    gradients = []
    for _ in range(3):
        batch.forward(True)
        batch.backward(True)
        gradients.append(objective.grad.copy())
        moved = [path for path, w in objective.network.parameters().items() if not np.array_equal(w, before[path])]
        for path in moved:
            np.copyto(objective.network.parameters()[path], before[path])
        if moved:
            return _row("re-entrant", False, math.inf, "moves", weights=", ".join(moved))
    one, two, three = gradients
    gap = max_abs(two - one)
    grows = max_abs((three - two) - (two - one)) <= 1e-9 * gap
    return _row("re-entrant", not gap, gap, "network again", "grows" if grows else "")


def _linear(objective: Objective, batch: Batch, seed: int) -> LawRow:
    """Checks that backward is linear in the error that arrives: B(d1 + 2 d2) = B(d1) + 2 B(d2), and B(0) = 0."""
    objective.network.draw(batch.chain, 0)
    batch.forward(True)
    worst = 0.0
    for bound, rng in _layers(batch, seed):
        f = bound.frame
        one, two = rng.normal(size=f.dy.shape), rng.normal(size=f.dy.shape)
        parts = []
        for d in (one, two, one + 2 * two, np.zeros_like(one)):
            bound.layer.forward(f, True)
            np.copyto(f.dy, d)
            bound.layer.backward(f, True)
            parts.append(_written_backward(bound))
        for name, whole in parts[2].items():
            allowed = 1e-11 * max(max_abs(parts[0][name]), max_abs(parts[1][name]), max_abs(one)) + 64 * EPS
            gap = max(max_abs(whole - parts[0][name] - 2 * parts[1][name]), max_abs(parts[3][name]))
            worst = max(worst, gap / max(max_abs(whole), max_abs(one), 1e-300))
            if not gap <= allowed:
                rounded = "rounded" if FLOAT32_ROUNDED[0] < worst < FLOAT32_ROUNDED[1] else ""
                return _row("linear", False, worst, "linear", rounded, layer=bound.path, array=name, gap=worst)
        batch.forward(True)
    return LawRow("linear", True, worst)


def _batch(objective: Objective, batch: Batch, x: Array, t: Array) -> LawRow:
    """Returns the gradient of a batch is the mean of its rows' gradients; at evaluation, where no row leans on
    another."""
    n = batch.n
    if n == 1:
        return LawRow("batch", None, 0.0, "there is one row")
    batch.load(x, t, np.arange(n))
    whole = _gradient(objective, batch, False)
    single, total = objective.batch(1), np.zeros_like(whole)
    weights = []
    for i in range(n):
        single.load(x, t, np.array([i]))
        one = _gradient(objective, single, False)
        weights.append(single.weight())
        total += weights[-1] * one
    total /= sum(weights)
    batch.load(x, t, np.arange(n))
    gap, largest = max_abs(whole - total), max(max_abs(whole), max_abs(total))
    worst = gap / largest if largest else 0.0
    ratio = float(np.vdot(whole, total) / np.vdot(total, total)) if total.any() else 0.0
    constant = max_abs(whole - ratio * total) <= 1e-9 * largest
    holds = gap <= 1e-10 * largest + 64 * EPS
    apart = "" if holds else _forward_apart(objective, batch, x, t)
    if apart == "rows":
        return LawRow("batch", None, worst, "rows see each other at evaluation")
    more = "batch loss" if apart else "batch ratio" if constant else ""
    return _row("batch", holds, worst, "batch", more, ratio=ratio, rows=n)


def _forward_apart(objective: Objective, batch: Batch, x: Array, t: Array) -> str:
    """Returns what forward makes of a batch at evaluation, and not of its rows alone: "rows" where the outputs are
    others, "loss" where the loss is not the mean of theirs; else ""."""
    value = batch.forward(False)
    outputs, single = batch.frame.x.copy(), objective.batch(1)
    values, weights, gap = [], [], 0.0
    for i in range(batch.n):
        single.load(x, t, np.array([i]))
        values.append(single.forward(False))
        weights.append(single.weight())
        gap = max(gap, max_abs(single.frame.x[0] - outputs[i]))
    if gap > 1e-10 * max(max_abs(outputs), 1.0):
        return "rows"
    mean = float(np.average(values, weights=weights))
    return "loss" if abs(value - mean) > 1e-10 * max(abs(mean), 1.0) else ""


def _permutation(objective: Objective, batch: Batch, x: Array, t: Array) -> LawRow:
    """Returns the order of the rows does not matter."""
    n = batch.n
    if n == 1:
        return LawRow("permutation", None, 0.0, "there is one row")
    train = not objective.network.draws
    turn, values, gradients = np.roll(np.arange(n), 1), [], []
    for order in (turn, np.arange(n)):
        batch.load(x, t, order)
        values.append(batch.forward(train))
        gradients.append(_gradient(objective, batch, train))
    turned, straight = gradients
    gap, largest = max_abs(straight - turned), max_abs(straight)
    worst = gap / largest if largest else 0.0
    holds = gap <= 1e-9 * largest + 64 * EPS
    if not holds and abs(values[0] - values[1]) > 1e-9 * max(map(abs, values)):  # so does the loss
        return LawRow("permutation", None, worst, "the objective depends on the order of the rows")
    return _row("permutation", holds, worst, "permutation")


def _float32(objective: Objective, batch: Batch, x: Array, t: Array, seed: int) -> LawRow:
    """Checks that training's float32 gives the same gradients, of weights and inputs, up to what rounding between the
    layers does to them."""
    network = objective.network
    narrow = Objective(network.network_plan, objective.loss, batch.n, np.float32, network.seed, need_dx=True)
    restore(network_state(narrow.network), network_state(objective.network))
    few = narrow.batch(batch.n)
    few.load(x, t, np.arange(batch.n))
    batch.load(x, t, np.arange(batch.n))
    objective.network.draw(batch.chain, 0)
    narrow.network.draw(few.chain, 0)
    if not np.isfinite(few.forward(True)) or not np.isfinite(narrow.theta).all():
        return LawRow("float32", None, 0.0, "the loss is beyond the numbers of float32")
    wide, thin = _gradient(objective, batch, True), _gradient(narrow, few, True)
    pairs = {e.path: (wide[e.where], thin[e.where]) for e in network.network_plan.layout}
    if batch.chain.dx is not None and not network.network_plan.tokens:
        pairs["x"] = batch.chain.dx.copy(), np.array(few.chain.dx)
    if not pairs:
        return LawRow("float32", None, 0.0, "there is no gradient to compare")
    rounding = NetworkRounding(objective, batch, Stream(seed, "gradcheck", "rounding").at(), weights=True)
    worst, excess, where = 0.0, 0.0, ""
    largest = max_abs(wide)
    for path, (a, b) in pairs.items():
        if not np.isfinite(b).all():
            return _row("float32", False, math.inf, "not finite", weights=path)
        gap, scale = max_abs(a - b), max(max_abs(a), 0.0 if path == "x" else 1e-3 * largest, 1e-300)
        worst = max(worst, gap / scale)
        if (gap - FLOAT32_ROUNDINGS * rounding.gradient[path]) / scale > excess:  # of what rounding does not explain
            excess, where = (gap - FLOAT32_ROUNDINGS * rounding.gradient[path]) / scale, path
    return _row("float32", excess <= FLOAT32_RTOL, worst, "float32", weights=where, gap=worst)


def _derived(objective: Objective, batch: Batch, seed: int) -> LawRow:
    """Checks that every stated gradient is the function that follows from the stated forward equations, at many points
    besides those of the kernels."""
    worst, seen = 0.0, False
    for path, program, env, output, by, fixed in _stated(objective, batch, seed):
        rng = Stream(seed, "gradcheck", f"law {path} derived").at()
        for gap in function_gaps(program, env, output, by, rng, fixed):
            seen, worst = True, max(worst, gap.relative)
            if gap.wrong:
                key = "derived slope" if gap.slope else "derived"
                at = f"[{','.join(map(str, gap.index))}]" if gap.index else ""
                return _row(
                    "derived", False, gap.relative, key, tensor=f"{path}.{gap.name}", entry=f"{gap.name}{at}",
                    size=gap.size, stated=gap.stated, derived=gap.derived,
                )  # fmt: skip
    return LawRow("derived", True, worst) if seen else LawRow("derived", None, 0.0, "no gradient is stated")


def _stated(objective: Objective, batch: Batch, seed: int) -> Iterator[_Stated]:
    """Yields the equations of each layer, of the loss and of the penalties, with what they read, what they give, by
    what, and what of it is no number to differentiate by."""
    for bound in batch.chain.walk():
        for train in (True, False):
            if not bound.inside and bound.layer.equations(train, bound.planned.x):
                fixed = ("x",) if bound.plan.tokens else ()
                yield (
                    bound.path,
                    layer_program(bound, train),
                    equation_env(bound),
                    "y",
                    ("x", *bound.plan.params),
                    fixed,
                )
    if objective.loss.equations(False):
        env, program = loss_program(objective, batch)
        yield "loss", program, env, "L", ("x",), ()
    for point in penalties(objective, seed):
        if point.equations:
            yield point.part.kind, point.program, point.env, "penalty", ("w",), ()
