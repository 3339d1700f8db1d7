"""What moves weights, on vectors that fill several chunks, and many rows: optimizers, clippers, whole steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from parts_at_size import TIGHT, compare_arrays
from registry import good

from bpcli.engine.full_batch import make_step
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.state import restore, snapshot, training_state
from bpcli.engine.step import FirstOrderStep
from bpcli.family import (
    Clipper,
    Constraint,
    GradientOptimizer,
    Layer,
    Loss,
    Optimizer,
    Regularizer,
)
from bpcli.family.plan import Array, Sample
from bpcli.notation import compile_equations
from bpcli.numeric.vectors import as_columns, column_norms, l2_norm
from bpcli.studies.witness.step_cases import StepCase

NETWORKS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "one chunk or two, full": ([{"type": "dense", "units": 256}], (255,)),
    "two chunks or three": ([{"type": "dense", "units": 250}], (300,)),
    "most does not decay": (["layer_norm", {"type": "dense", "units": 1}], (40_000,)),
    "less than a chunk": ([{"type": "dense", "units": 3}], (7,)),
}
"""Of 65,536, 75,250 and 120,001 weights; chunks have 65,536 in float32 and 32,768 in float64."""

LIMITS = {"value": "limit", "norm": "max_norm", "global_norm": "max_norm", "adaptive": "clipping"}
"""Clippers with a bound that is set, and what it is called."""

STEPS = (0, 2, 127, 383)
"""Completed steps: before the first, a few, and where subnormal numbers are swept."""


def objective_of(layers: list[Any], x: tuple[int, ...], rows: int, dtype: str, loss: Any, **more: Any) -> Objective:
    plan = plan_network([Layer.parse(layer) for layer in layers], x, **more)
    return Objective(plan, Loss.parse(loss), rows, dtype, 1)


def law_of_optimizer(part: GradientOptimizer, network: str) -> None:
    """Weights and what is remembered, after an update of all chunks, are what the equations say of whole vectors."""
    layers, x = NETWORKS[network]
    for dtype in ("float64", "float32"):
        step = FirstOrderStep(objective_of(layers, x, 2, dtype, "mean_squared_error"), part, None, 1000)
        for k in STEPS if network == "less than a chunk" else STEPS[2:3]:
            rng = np.random.default_rng(k)
            vectors = {"w": step.theta, "g": step.grad, **step.slots}
            for name, vector in vectors.items():
                signs, positive = rng.integers(-1, 2, len(vector)), rng.uniform(0.1, 1.0, len(vector))
                vector[...] = rng.normal(size=len(vector)) if name in "wg" else signs if name == "p" else positive
            env: dict[str, Any] = {name: vector.astype("float64") for name, vector in vectors.items()}
            env |= {
                "t": k + 1,
                "D": step.objective.network.network_plan.decaying,
                "lr": step.rate_at(k),
                **part.consts(),
            }
            step.update_weights(k)
            after = {f"{name}_new": vector.shape for name, vector in vectors.items() if name != "g"}
            found = {f"{name}_new": vector for name, vector in vectors.items() if name != "g"}
            compare_arrays(compile_equations(part.equations(), env, after).run(env), found, dtype)


def _clipped(part: Clipper, dtype: str, g: Callable[[Any], Array], inputs: dict[str, Any], scale: float) -> None:
    """Holds a clipper on a gradient of two large tensors and a vector against its equations, which are evaluated on
    numbers of ordinary size: `scale`, a power of two, is taken off before, and put on again."""
    tensors = ((400, 251), (3, 3, 65, 33), (70_003,))
    size = sum(map(math.prod, tensors))
    case = StepCase(Sample(part, (size,), inputs={"g": 1.0, **inputs}), dtype)
    f, rng = case.frame, np.random.default_rng(8)
    values, weights = g(rng.normal(size=size)).astype(dtype), rng.normal(size=size).astype(dtype)
    f.g = values * np.asarray(scale, dtype)
    f.norm = float(np.sqrt(np.square(values.astype(float)).sum())) * scale
    stops = np.cumsum([math.prod(shape) for shape in tensors])[:-1]
    pieces = [a.reshape(shape) for a, shape in zip(np.split(weights, stops), tensors, strict=True)]
    f.pieces = [(a.reshape(s), w) for a, s, w in zip(np.split(f.g, stops), tensors, pieces, strict=True)]
    before = values.astype(float)
    factor = part.clip(f)
    state = {name: np.array(getattr(f, name)) for name in part.state()}
    if part.per_tensor:
        found = []
        for shape, a, w in zip(tensors, np.split(before, stops), pieces, strict=True):
            env = {"g": a.reshape(shape), "w": w.astype(float), **part.consts()}
            if scale != 1:
                env |= {name: value / scale for name, value in env.items() if name in ("max_norm", "clipping")}
            found.append(compile_equations(part.equations(shape), env, {"g_new": shape}).run(env)["g_new"].ravel())
        right = {"g_new": np.concatenate(found)}
    else:
        env = {**case.env, "g": before}
        if scale != 1:
            env |= {name: value / scale for name, value in env.items() if name in ("max_norm", "limit")}
        after = {"g_new": before.shape, **{f"{name}_new": a.shape for name, a in state.items() if a.ndim}}
        right = compile_equations(part.equations(), env, after).run(env)
    g_new = f.g.astype(float) / scale
    compared = {"g_new": g_new} | ({f"{name}_new": a for name, a in state.items()} if scale == 1 else {})
    for name, value in compared.items():
        assert np.allclose(value, right[name], rtol=0, atol=TIGHT[dtype] * max(1e-9, np.abs(right[name]).max())), name
    cut = not np.array_equal(f.g, values * np.asarray(scale, dtype))
    share = np.sqrt(np.square(g_new).sum() / np.square(before).sum()) if before.any() else 1.0
    assert abs(factor - share) <= 1e-6, "what is left of the norm"
    assert (factor < 1) == cut


def law_of_clipper(part: Clipper, inputs: dict[str, Any]) -> None:
    """Gradient, factor and what is remembered are what the equations say, whatever side the gradient is on."""
    for dtype in ("float64", "float32"):
        _clipped(part, dtype, lambda a: a, inputs, 1.0)
        _clipped(part, dtype, lambda a: -np.abs(a), inputs, 1.0)


def _one_stands_out(a: Array) -> Array:
    """All but one of 1/2 at most, and that one a little over 1."""
    a = np.clip(a, -0.5, 0.5)
    a[len(a) // 2] = 1 + 1e-6
    return a


def law_of_a_hair(kind: str) -> None:
    """Where less is cut than a norm can show, the factor still says that something was."""
    case = StepCase(Sample(Clipper.parse({"type": "norm", "max_norm": 1.0})), "float64")
    f, (tensor, w) = case.frame, case.frame.pieces[-1]
    if kind == "value":
        limit = math.nextafter(np.abs(f.g).max(), 0)
    elif kind == "norm":
        for g, _ in f.pieces:
            g /= l2_norm(g)
        f.norm, limit = l2_norm(f.g), math.nextafter(max(l2_norm(g) for g, _ in f.pieces), 0)
    else:
        f.pieces, f.norm = f.pieces[-1:], l2_norm(tensor)
        lengths, weights = column_norms(as_columns(tensor)), column_norms(as_columns(w))
        limit = math.nextafter((lengths / weights).max(), 0)
    part, before = Clipper.parse({"type": kind, LIMITS[kind]: limit}), f.g.copy()
    assert 1 - 1e-15 < part.clip(f) < 1
    assert not np.array_equal(f.g, before)
    assert np.allclose(f.g, before, rtol=1e-15)


def law_of_huge_gradients(kind: str, dtype: str) -> None:
    """A gradient whose square overflows is cut as one of ordinary size is."""
    scale = 2.0**600 if dtype == "float64" else 2.0**90
    part = Clipper.parse({"type": kind, LIMITS[kind]: scale})
    _clipped(part, dtype, lambda a: a * 2.0**3, {}, scale)


def law_of_rows(loss: Any, outputs: int, weighed: bool) -> None:
    """Loss, penalty apart, and gradient of a batch are the means of those of its groups, by what their rows weigh."""
    rng, rows = np.random.default_rng(outputs), 517
    layers = [{"type": "dense", "units": 33, "activation": "tanh"}, {"type": "dense", "units": outputs}]
    objective = objective_of(layers, (65,), rows, "float64", loss)
    x, w = rng.normal(size=(rows, 65)), rng.uniform(0, 2, rows) if weighed else None
    t = rng.integers(0, max(2, outputs), rows) if objective.loss.targets == "classes" or outputs == 1 else (
        rng.integers(0, 2, (rows, outputs)).astype(float))  # fmt: skip

    def passed(own: Array) -> tuple[float, float, Array]:
        batch = objective.batch(len(own))
        batch.load(x, t, own, w)
        value = batch.forward(True)
        batch.backward(True)
        return value, batch.weight(), objective.grad.copy()

    order = rng.permutation(rows)
    whole, weight, grad = passed(order)
    parts = [passed(own) for own in np.split(order, [1, 33, 163, 419])]
    assert math.isclose(weight, sum(share for _, share, _ in parts), rel_tol=1e-12)
    classes = np.array([2.0, 1.0, 0.5])[t] if isinstance(loss, dict) else 1.0
    assert math.isclose(weight, (np.ones(rows) * classes if w is None else w * classes).sum(), rel_tol=1e-12)
    assert math.isclose(whole, sum(value * share for value, share, _ in parts) / weight, rel_tol=1e-12)
    together = sum(share * g for _, share, g in parts) / weight
    assert np.allclose(grad, together, rtol=0, atol=1e-12 * np.abs(grad).max())


STEP: list[Any] = [
    {"type": "dense", "units": 300, "activation": "relu", "constraint": {"type": "max_norm", "limit": 0.9}},
    {"type": "dense", "units": 200, "regularization": {"type": "l1", "strength": 0.01}},
    {"type": "dense", "units": 3, "bias": False},
]
CHANCE: list[Any] = ["batch_norm", {"type": "dropout", "rate": 0.25}]


def law_of_step(clipping: Any, constraint: Any, per: str) -> None:
    """A whole step is its parts, one after the other: the gradient with its penalties, clipped; the update, at the rate
    of the schedule; the constraint of each layer's weights, its own or that of all."""
    schedule = {"type": "cosine", "start": 0.5, "per": per} if per else {"type": "cosine", "start": 0.5}
    optimizer: Any = GradientOptimizer.parse({"type": "momentum", "learning_rate": schedule})
    clipper = None if clipping is None else Clipper.parse(clipping)
    everywhere = None if constraint is None else Constraint.parse(constraint)
    penalty = Regularizer.parse({"type": "l2", "strength": 0.03})
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=(140, 120)), rng.integers(0, 3, 140)
    objective, other = (
        objective_of([STEP[0], *(CHANCE if constraint else []), *STEP[1:]], (120,), 131, "float64",
                     "softmax_cross_entropy", penalty=penalty)
        for _ in range(2)
    )  # fmt: skip
    step = FirstOrderStep(objective, optimizer, clipper, 40, epoch=8, constraint=everywhere)
    v, names = np.zeros(len(step.theta)), []
    for k, rows in enumerate((131, 33, 131), start=38):
        own = rng.permutation(140)[:rows]
        for o in (objective, other):
            o.batch(rows).load(x, t, own)
        other.theta[...] = objective.theta
        step.step(objective.batch(rows), k, names.append)
        batch, network = other.batch(rows), other.network
        network.draw(batch.chain, k)
        loss = batch.forward(True)
        batch.backward(True)
        w, g = other.theta.copy(), other.grad.copy()
        penalties = 0.0
        for e in network.network_plan.layout:
            if e.param.decays:
                own_w = w[e.where]
                l1 = e.path == "dense_2.W"
                g[e.where] += 0.01 * np.sign(own_w) if l1 else 0.03 * own_w
                penalties += 0.01 * np.abs(own_w).sum() if l1 else 0.015 * np.square(own_w).sum()
        assert math.isclose(step.loss, loss, rel_tol=1e-12)
        assert math.isclose(step.penalty, penalties, rel_tol=1e-12)
        assert math.isclose(step.norm, np.linalg.norm(g), rel_tol=1e-12)
        if clipper is not None:
            g *= min(1.0, clipping["max_norm"] / np.linalg.norm(g))
        done, total = (min(k, 40) // 8, 5) if per == "epoch" else (min(k, 40), 40)
        v = 0.9 * v + g
        w -= 0.25 * (1 + math.cos(math.pi * done / total)) * v
        for e in network.network_plan.layout:
            limit = 0.9 if e.path == "dense_1.W" else None if constraint is None else constraint["limit"]
            if e.param.decays and limit is not None:
                units = w[e.where].reshape(e.shape)
                w[e.where] = (units * np.minimum(1, limit / np.linalg.norm(units, axis=0))).ravel()
        assert np.allclose(step.theta, w, rtol=0, atol=1e-12 * np.abs(w).max())
        network.commit(batch.chain)
        for path, state in network.states.items():
            assert np.allclose(objective.network.states[path], state, rtol=1e-12)
    assert names == ["backward", "gradient", "clipping", "optimizer", "step"] * 3


def law_of_what_is_remembered(kind: str) -> None:
    """A training that is put back to an earlier step takes the same steps again, to the last bit."""
    layers = [STEP[0], *CHANCE, {"type": "dense", "units": 2}]
    objective = objective_of(layers, (120,), 65, "float32", "mean_squared_error")
    step = make_step(objective, Optimizer.parse(kind), Clipper.parse("zscore"), 40)
    rng = np.random.default_rng(0)
    batch = objective.batch(65)
    batch.load(rng.normal(size=(65, 120)).astype("f4"), rng.normal(size=(65, 2)).astype("f4"), np.arange(65))
    for k in range(28):
        step.step(batch, k)
        if k == 20:
            saved = snapshot(training_state(step))
    there = snapshot(training_state(step))
    restore(training_state(step), saved)
    for k in range(21, 28):
        step.step(batch, k)
    for name, value in training_state(step).items():
        assert np.array_equal(value, there[name]), name


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every law of this module, by what it is about."""
    for name, sample in good():
        if isinstance(sample.part, GradientOptimizer):
            for network in NETWORKS:
                yield f"{name} on {network}", partial(law_of_optimizer, sample.part, network)
        elif isinstance(sample.part, Clipper):
            yield f"{name}, wide", partial(law_of_clipper, sample.part, dict(sample.inputs))
    for kind in LIMITS:
        for dtype in ("float64", "float32"):
            yield f"{kind} of a huge gradient, {dtype}", partial(law_of_huge_gradients, kind, dtype)
    for kind in ("value", "norm", "adaptive"):
        yield f"{kind}, by a hair", partial(law_of_a_hair, kind)
    norms = {"h": [900.0, 1.0, 2.0, 500.0, 3.0], "held": 5.0, "place": 2.0}
    for percentile in (0.0, 60.0, 100.0):
        part = Clipper.parse({"type": "percentile", "percentile": percentile, "window": 5})
        yield f"percentile {percentile}", partial(law_of_clipper, part, norms)
    named = {"type": "softmax_cross_entropy", "class_weights": {"a": 2.0, "b": 1.0, "c": 0.5}}
    losses = (("mean_squared_error", 1), ("binary_cross_entropy", 5), ("softmax_cross_entropy", 17), (named, 3))
    for loss, outputs in losses:
        for weighed in (True, False):
            yield f"rows of {loss}, weighed {weighed}", partial(law_of_rows, loss, outputs, weighed)
    for clipping in (None, {"type": "global_norm", "max_norm": 0.3}):
        for constraint in (None, {"type": "max_norm", "limit": 0.7}):
            for per in ("", "epoch"):
                yield f"step {clipping} {constraint} {per}", partial(law_of_step, clipping, constraint, per)
    for kind in ("adam", "momentum"):
        yield f"what is remembered of {kind}", partial(law_of_what_is_remembered, kind)
