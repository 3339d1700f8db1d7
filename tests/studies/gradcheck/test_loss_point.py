"""The loss on outputs alone and penalties on weights alone: what is checked there, at which targets and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loaded_objectives import LAYERS, PENALTY, T, loaded, of_step, without_equations

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss
from bpcli.parts.losses import SquaredError
from bpcli.parts.regularizers import L2
from bpcli.studies.gradcheck.layer_point import DATA, TIES
from bpcli.studies.gradcheck.loss_point import (
    LARGE_TARGETS,
    WEIGHTED,
    WHOLE_TARGETS,
    LossPoint,
    PenaltyPoint,
    penalties,
)
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64

RNG = np.random.default_rng(8)


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
