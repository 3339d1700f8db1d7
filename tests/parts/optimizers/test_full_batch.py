"""Optimizers that look at the objective where they like: on valleys known in closed form, and on random networks."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import FullBatchOptimizer, Layer, Loss, Regularizer
from bpcli.family.plan import Array, Frame
from bpcli.notation import Eq
from bpcli.notation.evaluate import compile_equations
from bpcli.parts.optimizers import Lbfgs, LevenbergMarquardt

Valley = Callable[[Array], tuple[Array, Array]]
"""The errors at w, and their derivatives."""


class Squares:
    """The surface |e(w)|^2 / 2, with a count of how often it was looked at."""

    def __init__(self, part: FullBatchOptimizer, valley: Valley, start: Any) -> None:
        w = np.array(start, float)
        arrays = {name: np.zeros(slot.shape) for name, slot in (part.state(len(w)) | part.work(len(w))).items()}
        self.f = Frame(x=w, y=w, dx=None, dy=w, w=w, g=np.zeros_like(w), rate=0.0, **arrays)
        self.part, self.valley, self.looks, self.t = part, valley, 0, 0
        self.f.value = self.value()

    def value(self) -> float:
        self.looks += 1
        e, J = self.valley(self.f.w)
        found = float(e @ e) / 2
        if not math.isfinite(found):
            return math.inf
        self.f.g[...] = e @ J
        return found

    def jacobian(self, block: Array) -> Iterator[Array]:
        _, J = self.valley(self.f.w)
        for row in J:
            block[0] = row
            yield block[:1]

    def quadratic(self, bend: Array) -> float:
        bend.fill(0)
        return 1.0

    def step(self) -> str:
        self.t += 1
        ended = self.part.search(self.f, self, self.t)
        if not ended:
            e, _ = self.valley(self.f.w)
            self.f.value = float(e @ e) / 2
        return ended

    def run(self, steps: int) -> str:
        for _ in range(steps):
            if ended := self.step():
                return ended
        return ""


def parabola(w: Array) -> tuple[Array, Array]:
    J = np.diag(np.sqrt([1.0, 4.0, 0.5]))
    return J @ w, J


def rosenbrock(w: Array) -> tuple[Array, Array]:
    x, y = w
    return np.array([10 * (y - x * x), 1 - x]), np.array([[-20 * x, 10.0], [-1.0, 0.0]])


def cliff(w: Array) -> tuple[Array, Array]:
    """Nothing but overflow from 1.5 on, and the bottom at 1."""
    with np.errstate(over="ignore"):
        wall = np.exp(2000 * max(float(w[0]) - 1.5, 0.0))
    return np.array([w[0] - 1]) * wall, np.array([[1.0]])


PARTS = [Lbfgs(), Lbfgs(pairs=1), Lbfgs(c2=0.1), LevenbergMarquardt()]
ids = pytest.mark.parametrize("part", PARTS, ids=["lbfgs", "one pair", "sharp", "levenberg_marquardt"])


@ids
@pytest.mark.parametrize(("valley", "start", "steps"), [(parabola, (1, -1, 2), 30), (rosenbrock, (-1.2, 1), 60)])
def test_they_come_to_the_bottom(part: FullBatchOptimizer, valley: Valley, start: Any, steps: int) -> None:
    surface = Squares(part, valley, start)
    ended = surface.run(steps)
    assert ended.startswith("no entry of the gradient is larger than 1e-07"), ended
    assert surface.f.value < 1e-12


@ids
def test_a_place_where_nothing_is_finite_is_tried_and_left(part: FullBatchOptimizer) -> None:
    """The first step of one looks beyond the cliff, for the slope there is steep."""
    surface = Squares(part, cliff, [-4.0])
    assert surface.run(20).startswith("no entry")
    assert abs(surface.f.w[0] - 1) < 1e-6


def test_a_line_search_leaves_what_is_not_finite() -> None:
    def steep(w: Array) -> tuple[Array, Array]:
        return (np.array([1e3 * w[0]]), np.array([[1e3]])) if w[0] > -1e-5 else (np.array([np.inf]), np.array([[0.0]]))

    surface = Squares(Lbfgs(), steep, [1.0])
    assert surface.run(20).startswith("no entry")


@ids
def test_at_the_bottom_nothing_moves(part: FullBatchOptimizer) -> None:
    surface = Squares(part, parabola, (0, 0, 0))
    assert surface.step() == "no entry of the gradient is larger than 1e-07"
    assert not surface.f.w.any()


def test_what_no_step_lowers_ends_the_search_with_the_weights_as_they_were() -> None:
    """The slope points the wrong way everywhere: pairs are forgotten, then it is given up."""

    def wrong(w: Array) -> tuple[Array, Array]:
        e, J = parabola(w)
        return e, -J

    for part, words in ((Lbfgs(), "no step against the gradient lowers the loss any more"),
                        (LevenbergMarquardt(), "no step lowers the loss, with a damping of up to 1e+10")):  # fmt: skip
        surface = Squares(part, parabola, (1, -1, 2))
        surface.run(2)
        before = surface.f.w.copy()
        surface.valley = wrong
        surface.value()
        assert surface.step() == words
        assert np.array_equal(surface.f.w, before)
        if isinstance(part, Lbfgs):
            assert surface.f.kept == 0


def test_a_slope_that_overflows_ends_the_search() -> None:
    """The gradient is finite, its square is not: no length of a step could be chosen by it."""
    surface = Squares(Lbfgs(), lambda w: (1e150 * w, 1e150 * np.eye(1)), (1e-100,))
    surface.f.g[...] = 1e200
    before = surface.f.w.copy()
    with np.errstate(all="ignore"):
        assert surface.step() == "no step against the gradient lowers the loss any more"
    assert np.array_equal(surface.f.w, before)


def test_a_direction_that_leads_nowhere_is_forgotten_and_the_gradient_followed() -> None:
    surface = Squares(Lbfgs(), rosenbrock, (-1.2, 1))
    surface.run(4)
    surface.f.Y[...] *= -1  # curvature that never was: d now points uphill
    before = surface.f.value
    assert surface.step() == ""
    assert surface.f.value < before
    assert surface.f.kept == 1


def test_levenberg_raises_its_damping_no_further_than_it_has_to() -> None:
    surface = Squares(LevenbergMarquardt(), rosenbrock, (-1.2, 1))
    found = []
    for _ in range(20):
        w, value, mu = surface.f.w.copy(), surface.f.value, float(surface.f.mu) or 1e-3
        if surface.step():
            break
        found.append(surface.f.tries)
        e, J = rosenbrock(w)
        for tries in range(surface.f.tries + 1):
            d = np.linalg.solve(J.T @ J + mu * 10**tries * np.eye(2), J.T @ e)
            lower = float((rosenbrock(w - d)[0] ** 2).sum()) / 2 < value
            assert lower == (tries == surface.f.tries)
    assert max(found) > 0, "no step needed a second try"


def test_levenberg_solves_a_line_in_one_step() -> None:
    """Without hidden layers the network is linear: one step is the least squares, with an l2 penalty ridge
    regression."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    for strength in (0.0, 0.7):
        penalty = Regularizer.parse({"type": "l2", "strength": strength})
        objective = Objective(
            plan_network([Layer.parse({"type": "dense", "units": 2})], (4,), penalty), MSE, 20, "f8", 0
        )
        batch = objective.batch(20)
        batch.load(x, t, np.arange(20))
        FullBatchStep(objective, LevenbergMarquardt(damping=1e-14), 1).step(batch, 0)
        ones = np.hstack([x, np.ones((20, 1))])
        ridge = np.diag([1.0] * 4 + [0.0]) * strength * 40 / 2  # the mean is over 40 errors
        expected = np.linalg.solve(ones.T @ ones + ridge, ones.T @ t)
        W, b = objective.network.parameters().values()
        assert np.allclose(W, expected[:4], rtol=1e-10, atol=1e-12)
        assert np.allclose(b, expected[4], rtol=1e-10, atol=1e-12)


MSE = Loss.parse("mean_squared_error")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    activation=st.sampled_from(["tanh", "sigmoid", "relu", "softplus", "elu"]),
    loss=st.sampled_from(["mean_squared_error", "softmax_cross_entropy", "huber", "log_cosh"]),
    width=st.integers(1, 7),
    pairs=st.integers(1, 12),
    c2=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_every_step_keeps_the_strong_wolfe_conditions(
    seed: int, activation: str, loss: str, width: int, pairs: int, c2: float
) -> None:
    """25 iterations on a random network, both conditions recomputed from the objective; of relu the first alone: where
    its slope jumps there may be no flat point."""
    rng = np.random.default_rng(seed)
    layers = [{"type": "dense", "units": width, "activation": activation}, {"type": "dense", "units": 3}]
    network_plan = plan_network(
        [Layer.parse(layer) for layer in layers], (4,), Regularizer.parse({"type": "l2", "strength": 0.01})
    )
    objective = Objective(network_plan, Loss.parse(loss), 30, "f8", int(seed % 1000))
    batch = objective.batch(30)
    batch.x[...] = rng.normal(size=batch.x.shape)
    batch.t[...] = np.eye(3)[rng.integers(0, 3, 30)]
    part = Lbfgs(pairs=pairs, c2=c2)
    search = FullBatchStep(objective, part, 25)
    for k in range(25):
        search.step(batch, k)
        if search.ended or k == 24:
            break
        f, new = search.frame, objective.theta.copy()
        before, slope = f.value, -1.0
        objective.theta[...] = new - f.rate * f.d
        old = search.value()
        slope = float(objective.grad @ f.d)
        objective.theta[...] = new
        value = search.value()
        assert math.isclose(old, before, rel_tol=1e-9)
        assert slope < 0
        assert value <= before + part.c1 * f.rate * slope * (1 - 1e-6) + 1e-14 * abs(before)
        if search.norm > 1e-5 and activation != "relu":  # nearer to a minimum the values differ in their last bits
            assert abs(float(objective.grad @ f.d)) <= c2 * abs(slope) * (1 + 1e-6)
    assert f.value <= before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_ends_where_the_numbers_end(dtype: type) -> None:
    """A tolerance of 0 is never reached: the search ends where rounding hides the way down."""
    rng = np.random.default_rng(3)
    layers = [
        Layer.parse({"type": "dense", "units": 3, "activation": "tanh"}),
        Layer.parse({"type": "dense", "units": 1}),
    ]
    for part in (Lbfgs(tolerance=0.0), LevenbergMarquardt(tolerance=0.0)):
        objective = Objective(
            plan_network(layers, (2,), Regularizer.parse({"type": "l2", "strength": 0.01})), MSE, 15, dtype, 0
        )
        batch = objective.batch(15)
        batch.x[...], batch.t[...] = rng.normal(size=(15, 2)), rng.normal(size=(15, 1))
        search = FullBatchStep(objective, part, 1)
        for k in range(2000):
            search.step(batch, k)
            if search.ended:
                break
        assert search.ended.startswith("no step")
        assert search.norm < 10 * math.sqrt(np.finfo(dtype).eps), "values tell no more than that"


SOLVED: dict[str, tuple[dict[str, Any], float]] = {
    "of A d": ({"J": [[0.0, 2.0]], "e": [0.0], "mu": 1e-9, "d": [0.0, 1.0]}, 4.0),
    "of the damping": ({"J": [[0.0, 0.0]], "e": [0.0], "mu": 2.0, "d": [0.0, 1.0]}, 2.0),
    "of J'e": ({"J": [[0.0, 2.0]], "e": [3.0], "mu": 1e-9, "d": [0.0, 0.0]}, 6.0),
    "of the penalty": ({"J": [[0.0, 0.0]], "e": [0.0], "mu": 1e-9, "w": [0.0, 5.0], "bend": [0.0, 0.5],
                        "d": [0.0, 0.0]}, 2.5),
}  # fmt: skip
"""For each term that the bar of the rounding is made of, numbers of which it is the only one; and how large it is."""


@pytest.mark.parametrize("term", SOLVED)
def test_levenbergs_equation_allows_for_the_rounding_of_its_terms_and_no_more(term: str) -> None:
    """At the second weight, where all of the first are 0: d is off by less than the bar, or by more."""
    changes, size = SOLVED[term]
    part = LevenbergMarquardt()
    env = {"w": [0.0, 0.0], "bend": [0.0, 0.0], "tries": 0, "L": 1.0, "L_new": 0.5, **part.consts(), **changes}
    arrays = {name: np.asarray(v, float) if np.ndim(v) else v for name, v in env.items()}
    J, e, w, bend, d = (np.asarray(arrays[name], float) for name in ("J", "e", "w", "bend", "d"))
    system = J.T @ J + np.diag(bend) + arrays["mu"] * np.eye(2)
    gap = system @ d - (J.T @ e + bend * w)
    shapes = {name: np.shape(v) for name, v in arrays.items() if np.ndim(v)}
    scalars = {name: v for name, v in arrays.items() if not np.ndim(v)}
    equation = next(eq for eq in part.equations() if eq.left == "solved[j]").right
    bar = equation.partition("<=")[2]
    both = [Eq("allowed[j]", bar), *part.equations()]
    found = compile_equations(both, scalars, shapes).run(arrays)
    assert found["allowed"][1] == pytest.approx(1e-12 * size, rel=1e-6)
    assert found["allowed"][0] == 0
    assert found["solved"].tolist() == [1.0, float(abs(gap[1]) <= found["allowed"][1])]


def test_levenberg_takes_no_step_where_there_is_none() -> None:
    """The matrix cannot be inverted, or what comes of it is no number."""
    part = LevenbergMarquardt()
    arrays = {name: np.zeros(slot.shape) for name, slot in part.work(2).items()}
    f = Frame(**arrays)
    f.A[...], f.b[...] = np.eye(2), 1.0
    assert part._solve(f, 1.0)
    assert f.d.tolist() == [0.5, 0.5]
    assert not part._solve(f, -1.0)
    f.b[1] = math.inf
    assert not part._solve(f, 1.0)
