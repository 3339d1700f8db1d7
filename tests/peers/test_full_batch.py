"""L-BFGS and Levenberg-Marquardt beside SciPy and scikit-learn."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from paths import CONFIGS

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.plan import Array
from bpcli.parts.optimizers import Lbfgs, LevenbergMarquardt
from bpcli.studies.run.setup import set_up

pytestmark = pytest.mark.peers


def dense(units: int, **more: Any) -> Layer:
    return Layer.parse({"type": "dense", "units": units, **more})


def searching(
    part: Any, layers: list[Layer], x: Array, t: Array, loss: Any, penalty: Any = None, seed: int = 0
) -> FullBatchStep:
    objective = Objective(plan_network(layers, x.shape[1:], penalty), Loss.parse(loss), len(x), np.float64, seed)
    objective.batch(len(x)).load(x, t, np.arange(len(x)))
    return FullBatchStep(objective, part, 1)


@pytest.mark.parametrize("pairs", [1, 3, 10])
def test_each_direction_is_that_of_scipys_product_form(pairs: int) -> None:
    """LbfgsInvHessProduct of the same pairs; its first matrix is I, so the pairs are handed to it scaled by gamma."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    search = searching(Lbfgs(pairs=pairs), [dense(4, activation="tanh"), dense(2)], x, t, "mean_squared_error")
    batch, f = search.objective.batch(40), search.frame
    for k in range(25):
        kept, S, Y = int(f.kept), f.S.copy(), f.Y.copy()
        before, gradient = search.theta.copy(), search.grad.copy()
        search.step(batch, k)
        if kept:
            S, Y = S[-kept:], Y[-kept:]
            root = math.sqrt((S[-1] @ Y[-1]) / (Y[-1] @ Y[-1]))
            scaled = optimize.LbfgsInvHessProduct(S / root, Y * root)  # H = root * scaled * root
            assert np.allclose(f.d, -(root**2) * scaled.matvec(gradient), rtol=1e-9, atol=1e-12)
        assert np.allclose(search.theta, before + f.rate * f.d, rtol=1e-14)


@pytest.mark.parametrize("c2", [0.1, 0.9])
def test_scipy_finds_the_lengths_good(c2: float) -> None:
    """Its own line search, asked from the same point along the same direction, finds a step no lower by much; and ours
    passes both conditions, evaluated by it."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    layers = [dense(4, activation="tanh"), dense(2)]
    search = searching(Lbfgs(c2=c2), layers, x, t, "mean_squared_error")
    twin = searching(Lbfgs(), layers, x, t, "mean_squared_error")
    twin._batch = twin.objective.batch(40)

    def at(w: Array) -> tuple[float, Array]:
        twin.theta[...] = w
        return twin.value(), twin.grad.copy()

    lower = 0
    for k in range(30):
        w = search.theta.copy()
        search.step(search.objective.batch(40), k)
        d, alpha = search.frame.d.copy(), search.frame.rate
        value, gradient = at(w)
        new, new_gradient = at(w + alpha * d)
        assert new <= value + 1e-4 * alpha * (gradient @ d) * (1 - 1e-9)
        assert abs(new_gradient @ d) <= c2 * abs(gradient @ d) * (1 + 1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optimize.line_search(lambda v: at(v)[0], lambda v: at(v)[1], w, d, gradient, value, c2=c2)
        lower += found[0] is None or new <= found[3] + 0.05 * (value - found[3])
    assert lower >= 24


def beside_scikit_learn(name: str, seed: int, alpha: float) -> tuple[float, float, int, int]:
    """The final objective of ours and of scikit-learn's `solver=lbfgs` on a config's training rows, from its start, and
    how many iterations each made."""
    neural = pytest.importorskip("sklearn.neural_network")
    train = set_up(CONFIGS / f"{name}.yaml", ["dtype=float64"]).prepared.splits["train"]
    x, t, classes = train.x, train.t, train.t.ndim == 1
    kind = neural.MLPClassifier if classes else neural.MLPRegressor
    theirs = kind(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", alpha=alpha, tol=1e-5, max_iter=3000,
                  max_fun=10**6, random_state=seed)  # fmt: skip
    n, outputs = len(x), 3 if classes else 1
    penalty = Regularizer.parse({"type": "l2", "strength": alpha / n})  # theirs is alpha / (2 n) sum w^2
    loss: Any = "softmax_cross_entropy" if classes else {"type": "squared_error", "factor": 0.5}
    ours = searching(Lbfgs(tolerance=1e-5), [dense(8, activation="tanh"), dense(outputs)], x, t, loss, penalty)
    parameters = ours.objective.network.parameters()

    start: list[Array] = []
    honest = kind._init_coef

    def init(self: Any, *args: Any) -> Any:
        found = honest(self, *args)
        start.extend(a.copy() for a in found)
        return found

    kind._init_coef = init
    try:
        theirs.fit(x, t if classes else t.ravel())
    finally:
        kind._init_coef = honest
    for name_, value in zip(("dense_1.W", "dense_1.b", "dense_2.W", "dense_2.b"), start, strict=True):
        parameters[name_][...] = value
    for k in range(3000):
        ours.step(ours.objective.batch(n), k)
        if ours.ended:
            break
    return ours.loss + ours.penalty, float(theirs.loss_), k, int(theirs.n_iter_)


@pytest.mark.parametrize(("name", "alpha"), [("diabetes", 30.0), ("diabetes", 3.0), ("iris", 1.0), ("iris", 0.1)])
def test_it_reaches_scikit_learns_loss(name: str, alpha: float) -> None:
    """From the same start on the same rows, each seed within 1 % of it or below."""
    found = [beside_scikit_learn(name, seed, alpha) for seed in range(5)]
    listed = "  ".join(f"{ours:.6f}/{theirs:.6f} ({k}/{their_k})" for ours, theirs, k, their_k in found)
    sys.stdout.write(f"\n{name}, alpha {alpha:g}: ours/theirs (iterations) {listed}\n")
    assert all(ours <= 1.01 * theirs for ours, theirs, *_ in found)


def test_levenberg_finds_what_scipys_least_squares_finds() -> None:
    """On a curve that both can fit: method `lm` is MINPACK's Levenberg-Marquardt, on the same errors."""
    optimize = pytest.importorskip("scipy.optimize")
    x = np.linspace(-1, 1, 40)[:, None]
    t = np.sin(3 * x)
    search = searching(LevenbergMarquardt(), [dense(3, activation="tanh"), dense(1)], x, t, "mean_squared_error")
    batch = search.objective.batch(40)
    start = search.theta.copy()

    def errors(w: Array) -> Array:
        search.theta[...] = w
        batch.forward(True)
        return np.asarray((batch.chain.y - t).ravel().copy())

    theirs = optimize.least_squares(errors, start, method="lm", max_nfev=20000)
    search.theta[...] = start
    for k in range(300):
        search.step(batch, k)
        if search.ended:
            break
    sys.stdout.write(f"\nsine: ours {search.loss:.3e}, MINPACK's {2 * theirs.cost / 40:.3e}\n")
    assert search.loss <= 1.01 * 2 * theirs.cost / 40 + 1e-9
