"""Iterations on all rows: what the optimizer is shown is the objective, and what it leaves is what is reported."""

import math
from typing import Any

import numpy as np
import pytest
from nets import dense

from bpcli.engine.divergence import NonFiniteError
from bpcli.engine.full_batch import FullBatchStep, make_step, slope_of_one
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Clipper, Constraint, FullBatchOptimizer, Layer, Loss, Optimizer, Regularizer
from bpcli.family.plan import Array
from bpcli.studies.witness.witness import central_differences

RNG = np.random.default_rng(4)
X, T = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
L2 = Regularizer.parse({"type": "l2", "strength": 0.02})
KINDS = ["lbfgs", "levenberg_marquardt"]
each = pytest.mark.parametrize("kind", KINDS)


def searching(
    kind: Any, *layers: Any, dtype: Any = "f8", penalty: Any = L2, loss: Any = "mean_squared_error"
) -> FullBatchStep:
    spelled = [Layer.parse(layer) for layer in layers or (dense(4), "tanh", dense(2))]
    objective = Objective(plan_network(spelled, (3,), penalty), Loss.parse(loss), 9, dtype, 0)
    part = Optimizer.parse(kind)
    assert isinstance(part, FullBatchOptimizer)
    objective.batch(9).load(X.astype(dtype), T.astype(dtype), np.arange(9))
    return FullBatchStep(objective, part, 10)


@pytest.mark.parametrize("rows", [1, 2, 5, 18, 100])
@pytest.mark.parametrize(
    "layers", [(dense(4), "tanh", dense(2)), ("tanh", "flatten", dense(2), "layer_norm"), (dense(2),)]
)
def test_the_jacobian_is_that_of_the_outputs(layers: Any, rows: int) -> None:
    """Row after row, output after output, whatever the size of a block; and the batch stands as it did."""
    search = searching("levenberg_marquardt", *layers)
    batch = search._batch = search.objective.batch(9)
    found = np.vstack([block.copy() for block in search.jacobian(np.zeros((rows, len(search.theta))))])
    assert np.array_equal(batch.x, X)
    for i in range(9):
        for k in range(2):

            def output(i: int = i, k: int = k) -> tuple[float, float]:
                batch.chain.forward(True)
                return float(batch.chain.y[i, k]), float(abs(batch.chain.y[i, k])) + 1

            d = central_differences(output, search.theta)
            assert np.allclose(found[2 * i + k], d.value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", ["mean_squared_error", {"type": "squared_error", "factor": 0.5}, "squared_error"])
def test_the_objective_is_the_squares_that_it_says(loss: Any) -> None:
    search = searching("levenberg_marquardt", loss=loss)
    search._batch = search.objective.batch(9)
    value, w, bend = search.value(), search.theta, np.zeros_like(search.theta)
    e = search._batch.chain.y - T
    scale = search.quadratic(bend)
    assert math.isclose(value, scale / 2 * (float((e * e).sum()) + float((bend * w * w).sum())), rel_tol=1e-13)
    gradient = search.grad.copy()
    J = np.vstack([block.copy() for block in search.jacobian(np.zeros((4, len(w))))])
    assert np.allclose(gradient, scale * (e.ravel() @ J + bend * w), rtol=1e-12, atol=1e-15)
    assert slope_of_one(search.objective.loss, 2) == scale * 9


@each
def test_what_is_reported_is_that_of_the_weights_after_the_step(kind: str) -> None:
    search = searching(kind)
    batch = search.objective.batch(9)
    for k in range(5):
        before = search.theta.copy()
        search.step(batch, k)
        y = batch.chain.y.copy()
        assert not np.array_equal(search.theta, before)
        again = searching(kind)
        again.theta[...], again._batch = search.theta, again.objective.batch(9)
        assert math.isclose(again.value(), search.loss + search.penalty, rel_tol=1e-14)
        assert math.isclose(again.norm, search.norm, rel_tol=1e-12)
        assert np.array_equal(again._batch.chain.y, y), "metrics are taken from there"
        assert search.rate > 0
        assert search.rate_at(k) == search.rate


@each
def test_it_looks_anew_only_where_it_has_to(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of one iteration is the beginning of the next; one that is picked up anew gives the same bits."""
    search = searching(kind)
    batch = search.objective.batch(9)
    looks = 0
    honest = FullBatchStep.value

    def value(self: FullBatchStep) -> float:
        nonlocal looks
        looks += 1
        return honest(self)

    monkeypatch.setattr(FullBatchStep, "value", value)
    for k in range(3):
        search.step(batch, k)
    picked = searching(kind)
    picked.theta[...] = search.theta
    for name, slot in search.slots.items():
        picked.slots[name][...] = slot
    looks = 0
    search.step(batch, 3)
    once, looks = looks, 0
    picked.step(picked.objective.batch(9), 3)
    assert looks == once + 1
    assert np.array_equal(picked.theta, search.theta)
    assert all(np.array_equal(picked.slots[n], a) for n, a in search.slots.items())


@each
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_its_memory_is_float64(kind: str, dtype: str) -> None:
    search = searching(kind, dtype=dtype)
    search.step(search.objective.batch(9), 0)
    assert search.theta.dtype == dtype
    assert {a.dtype.name for a in search.slots.values()} == {"float64"}
    assert {search.frame.start.dtype.name, search.frame.d.dtype.name} == {"float64"}


@each
def test_at_the_end_nothing_moves_and_the_figures_hold(kind: str) -> None:
    search = searching({"type": kind, "tolerance": 1e3})
    assert search.ended == ""
    batch = search.objective.batch(9)
    before = search.theta.copy()
    search.frame.rate = 0.5  # of an earlier step
    search.step(batch, 0)
    assert search.ended == "no entry of the gradient is larger than 1000"
    assert search.rate == search.rate_at(0) == 0
    assert np.array_equal(search.theta, before)
    assert (search.rate, search.factor) == (0.0, 1.0)
    assert math.isclose(search.loss, float(np.square(batch.chain.y - T).mean()), rel_tol=1e-14)


@each
def test_an_objective_that_is_not_finite_is_named_and_no_weight_changed(kind: str) -> None:
    search = searching(kind)
    search.theta[...] = 1e200
    before = search.theta.copy()
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        search.step(search.objective.batch(9), 0)
    assert str(caught.value) == "loss"
    assert np.array_equal(search.theta, before)


def test_running_statistics_are_those_of_the_weights_that_were_kept() -> None:
    """The line search looks several times, the statistics move once."""
    search = searching("lbfgs", dense(4), "batch_norm", "tanh", dense(2))
    network, batch = search.objective.network, search.objective.batch(9)
    for k in range(3):
        before = {n: a.copy() for n, a in network.states.items()}
        search.step(batch, k)
        z: Array = X @ network.parameters()["dense_1.W"] + network.parameters()["dense_1.b"]
        for name, expected in (("rmean", z.mean(0)), ("rvar", z.var(0, ddof=1))):
            path = next(n for n in before if n.endswith(name))
            assert np.allclose(network.states[path], 0.9 * before[path] + 0.1 * expected, rtol=1e-12)


@each
def test_its_gradient_is_that_of_training(kind: str) -> None:
    """With the statistics of the batch, not with the running ones."""
    search = searching(kind, dense(4), "batch_norm", "tanh", dense(2))
    search._batch = search.objective.batch(9)
    search.objective.network.states["batch_norm_1.rmean"][...] = 7.0
    search.value()
    gradient = search.grad.copy()

    def value() -> tuple[float, float]:
        found = search.value()
        return found, abs(found)

    d = central_differences(value, search.theta)
    assert np.allclose(gradient, d.value, rtol=1e-6, atol=1e-8)


@each
def test_iterations_are_counted_from_1(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    search, seen = searching(kind), []
    monkeypatch.setattr(type(search.optimizer), "search", lambda self, f, surface, t: seen.append(t) or "")
    for k in (0, 1, 7):
        search.step(search.objective.batch(9), k)
    assert seen == [1, 2, 8]


def test_a_step_is_made_as_suits_the_optimizer_with_all_that_it_is_asked_for() -> None:
    o = searching("lbfgs").objective
    lbfgs = make_step(o, Optimizer.parse("lbfgs"), None, 12)
    assert isinstance(lbfgs, FullBatchStep)
    assert lbfgs.total == 12
    rate = {"type": "cosine", "start": 1.0, "per": "epoch"}
    clipper, bound = (
        Clipper.parse({"type": "value", "limit": 0.5}),
        Constraint.parse({"type": "max_norm", "limit": 1.0}),
    )
    step = make_step(o, Optimizer.parse({"type": "sgd", "learning_rate": rate}), clipper, 12, epoch=3, constraint=bound)
    assert isinstance(step, FirstOrderStep)
    assert (step.total, step.epoch, step.clipper) == (12, 3, clipper)
    assert [step.rate_at(k) for k in range(4)] == [1.0, 1.0, 1.0, step.rate_at(5)]
    assert {own for own, _, _ in step.constrained} == {bound}
    plain = make_step(o, Optimizer.parse("sgd"), None, 12)
    assert isinstance(plain, FirstOrderStep)
    assert (plain.epoch, plain.constrained) == (1, ())
