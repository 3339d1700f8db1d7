"""The loss on outputs alone, penalties on weights alone, and the whole network: what is checked there, by equations of
all its layers, and how far rounding takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Frame, Layer, Loss, Regularizer
from bpcli.notation import Eq, compile_equations
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.parts.regularizers import L2
from bpcli.studies.gradcheck.forward_equations import (
    ForwardEquations,
    ObjectiveEquations,
    has_equations,
    loss_program,
    states_all,
)
from bpcli.studies.gradcheck.layer_point import DATA, RANDOM, TIES
from bpcli.studies.gradcheck.loss_point import (
    LARGE_TARGETS,
    WEIGHTED,
    WHOLE_TARGETS,
    LossPoint,
    PenaltyPoint,
    penalties,
)
from bpcli.studies.gradcheck.network_point import NetworkPoint, perturb_weights
from bpcli.studies.gradcheck.rounding import (
    COARSE_EPS,
    MAX_COUNT,
    MAX_NOISY_ENTRIES,
    TO_FLOAT64,
    NetworkRounding,
    layer_rounding_scale,
    rounding_scale,
    with_noise,
)

RNG = np.random.default_rng(7)
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
LAYERS: tuple[Any, ...] = ({"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 2})
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 3, "activation": "tanh"}]}
PENALTY = Regularizer.parse({"type": "l2", "strength": 0.3})


def loaded(
    *layers: Any, loss: str = "squared_error", penalty: Regularizer | None = None, x: Array = X, t: Array = T
) -> tuple[Objective, Batch]:
    network_plan = plan_network([Layer.parse(layer) for layer in layers or LAYERS], x.shape[1:], penalty)
    objective = Objective(network_plan, Loss.parse(loss), len(x), np.float64, 0, retain=True, need_dx=True)
    batch = objective.batch(len(x))
    batch.load(x, t, np.arange(len(x)))
    batch.forward(True)
    return objective, batch


def without_equations(monkeypatch: pytest.MonkeyPatch, part: type) -> None:
    monkeypatch.setattr(part, "equations", lambda self, *args: ())


def of_step(value: Any, at: Array, index: tuple[int, ...]) -> float:
    """A derivative by a complex step."""
    z = at.astype(complex)
    z[index] += 1e-30j
    return float(np.imag(value(z))) / 1e-30


# ------------------------------------------------------------------------------------------------------------- the loss
def loss_point(name: str = DATA, loss: str = "squared_error", seed: int = 0, **more: Any) -> LossPoint:
    return LossPoint(*loaded(loss=loss, **more), name, seed)


@pytest.mark.parametrize(
    ("loss", "name", "meaningless"),
    [
        ("hinge", LARGE_TARGETS, True),  # takes targets of 0 and 1 only
        ("hinge", WHOLE_TARGETS, False),
        ("hinge", DATA, False),  # what the data holds is looked at whatever the loss thinks of it
        ("squared_error", LARGE_TARGETS, False),
    ],
)
def test_a_loss_is_not_judged_at_targets_that_it_does_not_take(loss: str, name: str, meaningless: bool) -> None:
    assert loss_point(name, loss).meaningless is meaningless


def test_the_loss_at_the_outputs_of_the_network() -> None:
    point = loss_point()
    e = point.frame.x - T
    assert float(point.kernel["L"]) == pytest.approx((e**2).sum() / 6, rel=1e-14)
    np.testing.assert_allclose(point.kernel["dx"], 2 * e / 6)
    np.testing.assert_allclose(point.equations["dx"], 2 * e / 6)
    assert float(point.equations["L"]) == pytest.approx((e**2).sum() / 6, rel=1e-14)
    assert point.frame.w is None
    assert not point.overflows
    assert point.forward_mismatch() is None


def test_ties_of_a_loss_of_values_are_targets_that_are_met() -> None:
    x = RNG.normal(size=(200, 3))
    point = loss_point(TIES, x=x, t=np.resize(T, (200, 2)))
    met = point.frame.t == point.frame.x
    assert 0.4 < met.mean() < 0.6
    np.testing.assert_array_equal(point.frame.t[~met], np.resize(T, (200, 2))[~met])
    np.testing.assert_allclose(point.kernel["dx"], 2 * (point.frame.x - point.frame.t) / 200)


def test_ties_of_a_loss_of_classes_are_outputs_that_are_whole_numbers() -> None:
    point = loss_point(TIES, "multiclass_hinge", t=np.eye(2)[[0, 1, 1, 0, 1, 0]])
    assert (point.frame.x == np.rint(point.frame.x)).all()
    assert set(np.unique(point.frame.t)) == {0, 1}


def test_weights_of_rows_differ_and_add_up_to_1() -> None:
    point = loss_point(WEIGHTED)
    w = point.frame.w
    assert w is not None
    assert w.sum() == pytest.approx(1, rel=1e-14)
    assert w[0] == 0, "the first weighs nothing"
    assert 0.5 / 1.5 / 6 < w[1:].min() < w.max() < 1.5 / 0.5 / 5
    assert len(np.unique(w)) == 6
    np.testing.assert_allclose(point.kernel["dx"], 2 * (point.frame.x - T) * w[:, None])
    np.testing.assert_allclose(point.equations["dx"], point.kernel["dx"])
    gradient = point.gradient()
    assert gradient.reach == max(np.abs(point.kernel["dx"]).max(), w.max())


@pytest.mark.parametrize(
    ("loss", "points"),
    [
        ("squared_error", (WEIGHTED, TIES, WHOLE_TARGETS, LARGE_TARGETS)),
        ("poisson", (WEIGHTED, TIES, WHOLE_TARGETS)), ("hinge", (WEIGHTED, TIES, WHOLE_TARGETS)),
        ("softmax_cross_entropy", (WEIGHTED,)), ("cross_entropy", (WEIGHTED,)),
        ("binary_cross_entropy", (WEIGHTED, WHOLE_TARGETS)),
    ],
)  # fmt: skip
def test_the_points_of_a_loss(loss: str, points: tuple[str, ...]) -> None:
    network_plan = plan_network([Layer.parse(LAYERS[1])], (3,))
    assert LossPoint.points(Objective(network_plan, Loss.parse(loss), 3, np.float64, 0)) == points


def test_what_overflows_is_infinite_by_kernel_and_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = RNG.normal(size=(6, 2)) * 1e80
    point = loss_point(t=huge)
    assert point.overflows
    assert point.forward_mismatch() is None
    assert not loss_point(t=huge / 1e6).overflows
    monkeypatch.setattr(SquaredError, "forward", lambda self, f: 1e200)
    assert not loss_point().overflows, "by the kernel alone: that is a mistake"
    without_equations(monkeypatch, SquaredError)
    assert loss_point().overflows


def test_a_loss_that_is_another_than_that_of_its_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SquaredError.forward
    for off, wrong in ((1e-9, True), (1e-14, False)):
        monkeypatch.setattr(SquaredError, "forward", lambda self, f, off=off: right(self, f) * (1 + off))
        found = loss_point().forward_mismatch()
        assert (found is not None) == wrong
        if found is not None:
            assert (found.name, found.index, found.entries) == ("L", (), 1)
            assert found.share == pytest.approx(off, rel=1e-3)
    without_equations(monkeypatch, SquaredError)
    point = loss_point()
    assert (point.equations, point.env, point.rounding) == ({}, {}, {})
    assert point.forward_mismatch() is None


def test_the_gradient_of_a_loss_is_handed_on() -> None:
    point = loss_point()
    gradient = point.gradient()
    assert (gradient.scope, gradient.tensor, gradient.point) == ("loss", "loss.dx", DATA)
    assert gradient.at is point.frame.x
    assert gradient.kernel is point.kernel["dx"]
    assert gradient.reach == max(np.abs(gradient.kernel).max(), 1 / 6)
    assert gradient.rounding == TO_FLOAT64 * point.rounding["dx"] > 0
    assert gradient.differences
    assert gradient.equations is point.equations["dx"]
    step = of_step(gradient.complex_value, gradient.at, (2, 1))
    assert step == pytest.approx(gradient.kernel[2, 1], rel=1e-12)
    value, mass = gradient.value()
    assert value == float(point.kernel["L"])
    expected = value + np.abs(point.frame.x).max() + point.rounding["L"] / COARSE_EPS
    assert mass == pytest.approx(expected, rel=1e-14)
    small = loss_point(t=np.array(loaded()[1].chain.y))
    assert small.gradient().reach == 1 / 6, "where all is met, what one row may weigh"


def test_at_ties_of_a_loss_differences_are_asked_only_without_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not loss_point(TIES).gradient().differences
    without_equations(monkeypatch, SquaredError)
    gradient = loss_point(TIES).gradient()
    assert gradient.differences
    assert (gradient.equations, gradient.complex_value) == (None, None)


def test_outputs_that_were_moved_are_put_back() -> None:
    point = loss_point()
    x = point.frame.x.copy()
    np.testing.assert_allclose(point.gradient_for(x + 1), point.kernel["dx"] + 2 / 6)
    kept = loss_point(loss="softmax_cross_entropy", t=np.eye(2)[[0, 1, 1, 0, 1, 0]])
    other = kept.frame.x * np.array([[2.0, -1.0]])
    shares = np.exp(other) / np.exp(other).sum(1, keepdims=True)
    np.testing.assert_allclose(kept.gradient_for(other), (shares - kept.frame.t) / 6, err_msg="forward runs before it")
    np.testing.assert_array_equal(point.frame.x, x)
    moved = point.gradient().moved
    assert moved is not None
    for share in (1e-3, 1e-6):
        with moved(share) as gradient:
            off = np.abs(gradient - point.kernel["dx"]).max()
            assert share / 20 < off < 5 * share
        np.testing.assert_array_equal(point.frame.x, x)


# ------------------------------------------------------------------------------------------------------------ a penalty
def test_a_penalty_on_some_weights() -> None:
    point = PenaltyPoint(PENALTY, 20, "l2.dw", 0)
    assert point.w.shape == (20,)
    assert point.w[0] == 0
    assert (point.w[1:] != 0).all()
    np.testing.assert_allclose(point.kernel["dw"], 0.3 * point.w, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(point.equations["dw"], 0.3 * point.w, rtol=1e-14)
    assert float(point.kernel["penalty"]) == pytest.approx(0.15 * (point.w**2).sum(), rel=1e-14)
    assert point.forward_mismatch() is None
    gradient = point.gradient()
    assert (gradient.scope, gradient.tensor, gradient.point, gradient.at is point.w) == (
        "penalty",
        "l2.dw",
        "random",
        True,
    )
    assert gradient.reach == max(np.abs(point.before).max(), np.abs(point.kernel["dw"]).max())
    assert of_step(gradient.complex_value, point.w, (3,)) == pytest.approx(0.3 * point.w[3], rel=1e-12)
    assert gradient.value() == (float(point.kernel["penalty"]),) * 2


@pytest.mark.parametrize(("size", "taken"), [(1, 2), (2, 2), (3, 3), (200, 200), (5000, 200)])
def test_how_many_weights_a_penalty_is_tried_on(size: int, taken: int) -> None:
    assert PenaltyPoint(PENALTY, size, "l2.dw", 0).w.shape == (taken,)


def test_a_penalty_that_is_another_than_that_of_its_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    right = L2.value
    monkeypatch.setattr(L2, "value", lambda self, w, scratch: right(self, w, scratch) * (1 + 1e-10))
    found = PenaltyPoint(PENALTY, 20, "l2.dw", 0).forward_mismatch()
    assert found is not None
    assert found.name == "penalty"
    assert found.bar == pytest.approx(1e-12, rel=1e-3)
    without_equations(monkeypatch, L2)
    point = PenaltyPoint(PENALTY, 20, "l2.dw", 0)
    assert point.forward_mismatch() is None
    assert (point.gradient().equations, point.gradient().complex_value) == (None, None)


def test_each_penalty_is_named_where_there_are_several() -> None:
    objective, _ = loaded(penalty=PENALTY)
    assert [(p.tensor, p.w.shape) for p in penalties(objective, 0)] == [("l2.dw", (20,))]
    own = [{**LAYERS[0], "regularization": {"type": "l1", "strength": 0.1}}, LAYERS[1]]
    objective, _ = loaded(*own, penalty=PENALTY)
    assert [(p.tensor, p.w.shape) for p in penalties(objective, 0)] == [
        ("l1.dw on dense_1.W", (12,)), ("l2.dw on dense_2.W", (8,)),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- the whole network
def test_the_whole_network_at_a_point() -> None:
    objective, batch = loaded(penalty=PENALTY)
    point = NetworkPoint(objective, batch, DATA)
    w = {path: a.copy() for path, a in objective.network.parameters().items()}
    a = np.tanh(X @ w["dense_1.W"] + w["dense_1.b"])
    dy = 2 * (a @ w["dense_2.W"] + w["dense_2.b"] - T) / 6
    squares = sum((w[f"dense_{k}.W"] ** 2).sum() for k in (1, 2))
    assert point.loss == pytest.approx(6 / 4 * (dy**2).sum() + 0.15 * squares, rel=1e-12)
    np.testing.assert_allclose(point.kernel["dense_2.W"], a.T @ dy + 0.3 * w["dense_2.W"])
    np.testing.assert_allclose(point.kernel["dense_2.b"], dy.sum(0))
    dz = dy @ w["dense_2.W"].T * (1 - a * a)
    np.testing.assert_allclose(point.dx, dz @ w["dense_1.W"].T)
    assert point.reach == max(np.abs(g).max() for g in point.kernel.values())
    assert point.finite
    assert point.moved_weights == ()
    assert point.equations is not None


def test_every_gradient_of_a_network_is_handed_on() -> None:
    objective, batch = loaded(RESIDUAL, *LAYERS, penalty=PENALTY)
    point = NetworkPoint(objective, batch, DATA)
    theta = objective.theta.copy()
    gradients = list(point.gradients())
    assert [g.tensor for g in gradients] == [
        "residual_1.dense_1.dW", "residual_1.dense_1.db", "dense_1.dW", "dense_1.db", "dense_2.dW", "dense_2.db",
        "inputs dx",
    ]  # fmt: skip
    for gradient in gradients:
        assert (gradient.scope, gradient.point, gradient.reach) == ("network", DATA, point.reach)
        assert not gradient.always_zero
        assert gradient.equations is None
        assert gradient.rounding > 0
        index = (1,) * gradient.kernel.ndim
        step = of_step(gradient.complex_value, gradient.at, index)
        assert step == pytest.approx(gradient.kernel[index], rel=1e-9, abs=1e-14), gradient.tensor
        value, mass = gradient.value()
        assert value == pytest.approx(point.loss, rel=1e-14)
        assert mass > abs(value)
        old = gradient.at[index]
        gradient.at[index] = old + 1e-6
        above = gradient.value()[0]
        gradient.at[index] = old - 1e-6
        below = gradient.value()[0]
        gradient.at[index] = old
        assert (above - below) / 2e-6 == pytest.approx(gradient.kernel[index], rel=1e-5, abs=1e-8), gradient.tensor
        assert gradient.moved is not None
        with gradient.moved(1e-6) as moved:
            assert 0 < np.abs(moved - gradient.kernel).max() < 1e-3
        np.testing.assert_array_equal(objective.theta, theta)
        np.testing.assert_array_equal(batch.x, X)
        assert gradient.outputs is not None
    first, last = gradients[0].outputs, gradients[-2].outputs
    assert first is not None
    assert last is not None
    every = [bound.frame.y.size for bound in batch.chain.walk()]
    assert first.read().size == sum(every)
    assert last.read().size == 12, "of the layers that may have changed"
    assert gradients[0].value()[1] == pytest.approx(
        batch.forward(True) + objective.penalty() + np.abs(batch.frame.x).max() + point.rounding.loss / COARSE_EPS,
        rel=1e-12,
    )


@pytest.mark.parametrize("part", [Tanh, SquaredError, L2])
def test_without_equations_of_one_part_the_whole_network_has_none(part: type, monkeypatch: pytest.MonkeyPatch) -> None:
    without_equations(monkeypatch, part)
    point = NetworkPoint(*loaded(penalty=PENALTY), DATA)
    assert point.equations is None
    assert next(point.gradients()).complex_value is None


def test_a_network_whose_loss_is_infinite_shows_nothing() -> None:
    with np.errstate(all="ignore"):
        assert not NetworkPoint(*loaded(t=T * 1e200), DATA).finite
        assert NetworkPoint(*loaded(t=T * 1e150), DATA).finite


def test_a_gradient_is_computed_again_from_the_rows_as_they_are() -> None:
    objective, batch = loaded()
    point = NetworkPoint(objective, batch, DATA)
    batch.x += 1
    other = NetworkPoint(objective, batch, DATA)
    batch.x -= 1
    point.evaluate()
    batch.x += 1
    np.testing.assert_array_equal(point.gradient_again("dense_1.b"), other.kernel["dense_1.b"])


def test_a_network_without_parameters_has_the_gradient_of_its_inputs() -> None:
    point = NetworkPoint(*loaded("tanh", t=RNG.normal(size=(6, 3))), DATA)
    assert [g.tensor for g in point.gradients()] == ["inputs dx"]
    assert (point.kernel, point.reach) == ({}, 0.0)


def test_weights_that_a_pass_moves_are_named_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        f.W -= 0.1

    monkeypatch.setattr(Dense, "backward", wrong)
    objective, batch = loaded()
    theta = objective.theta.copy()
    point = NetworkPoint(objective, batch, DATA)
    assert point.moved_weights == ("dense_1.W", "dense_2.W")
    np.testing.assert_array_equal(objective.theta, theta)
    np.testing.assert_array_equal(point.gradient_again("dense_1.W"), point.kernel["dense_1.W"])
    np.testing.assert_array_equal(point.gradient_again("x"), point.dx)


def test_numbers_that_stand_for_things_are_not_moved() -> None:
    x = np.arange(18.0).reshape(6, 3) % 5
    layers = [{"type": "embedding", "tokens": 5, "units": 2}, "flatten", LAYERS[1]]
    point = NetworkPoint(*loaded(*layers, x=x), DATA)
    gradients = {g.tensor: g for g in point.gradients()}
    assert {tensor: g.always_zero for tensor, g in gradients.items()} == {
        "embedding_1.dW": False, "dense_1.dW": False, "dense_1.db": False, "inputs dx": True,
    }  # fmt: skip
    moved = gradients["dense_1.dW"].moved
    assert moved is not None
    with moved(1e-3):
        np.testing.assert_array_equal(point.batch.x, x)


def test_noise_on_weights_keeps_the_scale_of_what_is_computed() -> None:
    layers = [{"type": "dense", "units": 50}, {"type": "dense", "units": 2}]
    objective, _ = loaded(*layers, x=RNG.normal(size=(6, 100)))
    before = {path: w.copy() for path, w in objective.network.parameters().items()}
    perturb_weights(objective, np.random.default_rng(0), 1.0)
    after = objective.network.parameters()
    for path, size in (("dense_1.W", 0.05), ("dense_2.W", 0.5 / np.sqrt(50)), ("dense_1.b", 0.5 / np.sqrt(100))):
        spread = float(np.std(after[path] - before[path]))
        assert spread == pytest.approx(size, rel=0.35), path
    far = after["dense_1.W"].copy()
    objective, _ = loaded(*layers, x=RNG.normal(size=(6, 100)))
    perturb_weights(objective, np.random.default_rng(0), 8.0)
    np.testing.assert_allclose(objective.network.parameters()["dense_1.W"], 8 * far)


# ----------------------------------------------------------------------------------------------------- by the equations
def test_layers_in_a_row_by_their_equations() -> None:
    _, batch = loaded(RESIDUAL, *LAYERS)
    equations = ForwardEquations(batch.chain.layers, True)
    np.testing.assert_allclose(equations.outputs(X, {}), batch.chain.y, rtol=1e-13)
    first = equations.outputs(X, {}, batch.chain.layers[:1])
    np.testing.assert_allclose(first, batch.chain.layers[0].frame.y, rtol=1e-13)
    other = {"dense_2.b": np.array([1.0, 2.0]), "residual_1.dense_1.b": np.array([0.5, 0.0, -0.5])}
    b = batch.chain.layers[-1].frame.b
    np.testing.assert_allclose(
        equations.outputs(X, {"dense_2.b": other["dense_2.b"]}), batch.chain.y - b + other["dense_2.b"], rtol=1e-12
    )
    inner = next(k for k in batch.chain.walk() if k.path == "residual_1.dense_1")
    inner.frame.b[...] = other["residual_1.dense_1.b"]
    batch.forward(True)
    expected = batch.chain.y.copy()
    inner.frame.b[...] = 0
    np.testing.assert_allclose(
        equations.outputs(X, {"residual_1.dense_1.b": other["residual_1.dense_1.b"]}), expected, rtol=1e-12
    )


def test_a_container_is_stated_where_all_inside_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _, batch = loaded(RESIDUAL, *LAYERS)
    container, dense, *_ = batch.chain.layers
    assert states_all(container.planned, True)
    assert has_equations(dense, False)
    without_equations(monkeypatch, Tanh)
    assert not states_all(container.planned, True)
    assert states_all(batch.chain.layers[-1].planned, True)


def test_the_objective_by_equations() -> None:
    objective, batch = loaded(penalty=PENALTY)
    equations = ObjectiveEquations(objective, batch, True)
    loss = batch.forward(True)
    assert float(np.real(equations.value({}))) == pytest.approx(loss, rel=1e-13), "penalties of nothing that varies"
    w = objective.network.parameters()["dense_1.W"].copy()
    whole = 0.15 * sum((objective.network.parameters()[f"dense_{k}.W"] ** 2).sum() for k in (1, 2))
    assert float(np.real(equations.value({"dense_1.W": w}))) == pytest.approx(loss + whole, rel=1e-13)
    assert float(np.real(equations.value({"dense_1.b": np.zeros(4)}))) == pytest.approx(loss, rel=1e-13)
    twice = float(np.real(equations.value({"x": X * 2})))
    np.multiply(X, 2, out=batch.x)
    assert twice == pytest.approx(batch.forward(True), rel=1e-13)


def test_a_penalty_on_several_tensors_sees_those_that_stay() -> None:
    objective, batch = loaded(penalty=PENALTY)
    equations = ObjectiveEquations(objective, batch, True)
    w = objective.network.parameters()["dense_2.W"]
    step = of_step(lambda z: equations.value({"dense_2.W": z}), w, (1, 1))
    batch.forward(True)
    batch.backward(True)
    objective.add_penalty_gradient()
    assert step == pytest.approx(objective.network.gradients()["dense_2.W"][1, 1], rel=1e-12)


def test_what_a_loss_reads_is_copied() -> None:
    objective, batch = loaded()
    env, program = loss_program(objective, batch)
    batch.frame.x += 1
    assert (env["x"] != batch.frame.x).all()
    assert env["K"] == 2
    assert set(program.names) >= {"L", "dx"}


# ------------------------------------------------------------------------------------------------------------- rounding
def test_noise_is_a_rounding_of_float32() -> None:
    rng = np.random.default_rng(0)
    a = np.array([1.5, -200.25, 0.0, 1e-12])
    moved = np.array([with_noise(a, rng) for _ in range(200)])
    off = np.abs(moved - a).max(0) / np.where(a == 0, 1, np.abs(a))
    assert off[2] == 0
    for k in (0, 1, 3):
        assert 0.9 * COARSE_EPS < off[k] <= COARSE_EPS
    assert 0.4 < (moved[:, 0] > 1.5).mean() < 0.6
    scaled = np.array([with_noise(a, rng, 4.0) for _ in range(200)])
    assert 3.6 * COARSE_EPS < np.abs(scaled - a).max() <= 4.1 * COARSE_EPS


def test_what_counts_or_is_very_large_is_left_as_it_is() -> None:
    rng = np.random.default_rng(0)
    counts, ids, half = np.array([3.0, -7.0]), np.array([1, 2]), np.array([0.5])
    for a in (counts, ids, 2.5, np.full(MAX_NOISY_ENTRIES + 1, 0.5)):
        assert with_noise(a, rng) is a
    assert with_noise(half, rng) != half
    assert (with_noise(np.full(MAX_NOISY_ENTRIES, 0.5), rng) != 0.5).any()
    assert (with_noise(np.full(3, MAX_COUNT), rng) != MAX_COUNT).all(), "beyond, every number is whole"
    assert (with_noise(np.full(3, MAX_COUNT - 1), rng) == MAX_COUNT - 1).all()


def scales(equations: list[Eq], env: Mapping[str, Array]) -> Mapping[str, float]:
    program = compile_equations(equations, env, {})
    return rounding_scale(program, env, np.random.default_rng(0))


def test_how_far_rounding_takes_each_left_side() -> None:
    x = np.array([0.3, -0.7, 0.9])
    found = scales([Eq("y[i]", "x[i] * x[i]", ""), Eq("z[i]", "(1e6 + y[i]) - 1e6", "")], {"x": x})
    assert 0.3 * COARSE_EPS < found["y"] <= 2.1 * 0.81 * COARSE_EPS
    assert found["y"] / 3 < found["z"] < 3 * found["y"], "noise is put on what stands between equations, and not within"
    cancels = scales([Eq("h[i]", "x[i] + 1e6", ""), Eq("z[i]", "h[i] - 1e6", "")], {"x": x})
    assert 1e5 * COARSE_EPS < cancels["z"] < 2e6 * COARSE_EPS


def bound_of(*layers: Any) -> Any:
    _, batch = loaded(*layers)
    batch.backward(True)
    return batch.chain.layers[0]


def test_how_far_rounding_takes_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    found = layer_rounding_scale(bound_of(LAYERS[1]), True, rng)
    assert set(found) >= {"y", "dx", "dW", "db"}
    assert all(0 < found[name] < 100 * COARSE_EPS for name in ("y", "dx", "dW"))
    assert "inside" not in found
    container = layer_rounding_scale(bound_of(RESIDUAL, *LAYERS), True, rng)
    assert 0 < container["inside"] < container["y"] + container["dx"]
    without_equations(monkeypatch, Dense)
    bound = bound_of(LAYERS[1])
    before = {name: np.array(getattr(bound.frame, name)) for name in ("x", "dy", "W", "b", "y")}
    kernels = layer_rounding_scale(bound, True, rng)
    assert {"y", "dx", "dW", "db"} <= kernels.keys()
    assert COARSE_EPS * np.abs(before["dy"]).max() <= kernels["dx"] < 100 * COARSE_EPS
    assert 0.01 * COARSE_EPS < kernels["dW"] < 100 * COARSE_EPS
    for name, a in before.items():
        np.testing.assert_array_equal(getattr(bound.frame, name), a)


def test_how_far_rounding_takes_a_whole_network() -> None:
    objective, batch = loaded(RESIDUAL, *LAYERS)
    batch.backward(True)
    theta, x, y = objective.theta.copy(), batch.x.copy(), batch.chain.y.copy()
    found = NetworkRounding(objective, batch, np.random.default_rng(0))
    np.testing.assert_array_equal(objective.theta, theta)
    np.testing.assert_array_equal(batch.x, x)
    np.testing.assert_array_equal(batch.chain.y, y)
    assert found.gradient.keys() == {*objective.network.parameters(), "x"}
    rng = np.random.default_rng(0)
    inner = next(k for k in batch.chain.walk() if k.path == "residual_1.dense_1")
    own = min(layer_rounding_scale(inner, True, rng)["dW"] for _ in range(20))
    assert found.gradient["residual_1.dense_1.W"] > own / 2, "what the layer inside adds by itself"
    assert all(1e-3 * COARSE_EPS < size < 1e3 * COARSE_EPS for size in found.gradient.values())
    assert 1e-3 * COARSE_EPS < found.loss < 1e3 * COARSE_EPS
    moved = NetworkRounding(objective, batch, np.random.default_rng(0), weights=True)
    assert moved.gradient != found.gradient
    np.testing.assert_array_equal(objective.theta, theta)


def test_without_equations_of_a_loss_its_slopes_are_terms_of_size_1(monkeypatch: pytest.MonkeyPatch) -> None:
    without_equations(monkeypatch, SquaredError)
    objective, batch = loaded()
    batch.backward(True)
    found = NetworkRounding(objective, batch, np.random.default_rng(0))
    assert found.of_loss == {"dx": COARSE_EPS / 6}
    batch.w[...] = np.array([0.1, 0.1, 0.3, 0.2, 0.2, 0.1])
    batch.frame.w = batch.w
    assert NetworkRounding(objective, batch, np.random.default_rng(0)).of_loss == {"dx": COARSE_EPS * 0.3}


def test_a_random_point_of_the_network_is_drawn_by_its_name() -> None:
    names = [NetworkPoint(*loaded(), name).rng.normal() for name in (DATA, RANDOM, DATA)]
    assert names[0] == names[2] != names[1]
