"""The cases of samples: what stands in them, what is put back, and how far two witnesses may be apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.family import Clipper, Constraint, Layer, Loss, Metric, Optimizer, Regularizer, Schedule
from bpcli.family.plan import Sample
from bpcli.numeric.vectors import EPS
from bpcli.records.training import Gap
from bpcli.studies.witness.cases import (
    LayerCase,
    LossCase,
    PenaltyCase,
    cases,
    near_kinks,
    states_equations,
)
from bpcli.studies.witness.step_cases import ConstraintCase, FullBatchCase, ScheduleCase, StepCase, jacobian
from bpcli.studies.witness.witness import max_abs


def same_as(value: Any, rel: float = 1e-6) -> Any:
    """The same but for rounding, however small it is."""
    return pytest.approx(value, rel=rel, abs=0)


DENSE = Layer.parse({"type": "dense", "units": 2})
NORM = Layer.parse("batch_norm")
W = np.array([[1.0, -2.0], [0.5, 3.0], [0.25, -1.0]])


def dense(**more: Any) -> LayerCase:
    return LayerCase(Sample(DENSE, x=(3,), batch=4, **more), True)


def gap_of(case: Any, kernel: Any, name: str, witness: str) -> Gap:
    (found,) = [g for g in case.gaps(kernel) if (g.tensor, g.right) == (name, witness)]
    return found


# ------------------------------------------------------------------------------------------------------------- layers
def test_the_inputs_of_a_sample_stand_in_its_layer() -> None:
    x = np.arange(12.0).reshape(4, 3)
    case = dense(inputs={"x": x, "W": W})
    assert np.array_equal(case.tensors["x"], x)
    assert np.array_equal(case.tensors["W"], W)
    assert np.allclose(case.kernel()["y"], x @ W + case.tensors["b"])
    assert list(case.tensors) == ["x", "W", "b"]


def test_without_inputs_a_layer_is_at_a_random_point_that_its_seed_decides() -> None:
    one, again = dense(), dense()
    other = LayerCase(Sample(DENSE, x=(3,), batch=4), True, seed=1)
    assert np.array_equal(one.tensors["W"], again.tensors["W"])
    assert not np.allclose(one.tensors["W"], other.tensors["W"])
    assert (one.tensors["b"] != 0).all(), "biases are off 0"
    wide = dense(scale=100.0)
    assert np.array_equal(wide.tensors["x"], 100 * one.tensors["x"])


def test_gradients_are_those_of_the_upstream() -> None:
    case = dense()
    found, x, dy = case.kernel(), case.tensors["x"], case.upstream
    assert np.allclose(found["dW"], x.T @ dy)
    assert np.allclose(found["db"], dy.sum(0))
    assert np.allclose(found["dx"], dy @ case.tensors["W"].T)
    for name in ("dW", "db", "dx"):
        assert np.allclose(case.equations[name], found[name])
        assert np.allclose(case.complex_steps[name], found[name])
        assert np.allclose(case.differences[name].value, found[name], rtol=1e-6)


def test_running_statistics_are_committed_and_put_back() -> None:
    case = LayerCase(Sample(NORM, x=(3,), batch=4), True)
    names = tuple(case.bound.plan.state)
    before = {name: np.array(getattr(case.bound.frame, name)) for name in names}
    assert all(((a >= 0.5) & (a <= 1.5)).all() for a in before.values())
    found = case.kernel()
    for name in names:
        assert not np.allclose(found[f"{name}_new"], before[name])
        assert np.array_equal(getattr(case.bound.frame, name), before[name])
    at_evaluation = LayerCase(Sample(NORM, x=(3,), batch=4), False).kernel()
    assert not any(name.endswith("_new") for name in at_evaluation)


def test_gradients_of_what_is_learned_inside_a_container() -> None:
    residual = Layer.parse({"type": "residual", "layers": [{"type": "dense", "units": 3}]})
    case = LayerCase(Sample(residual, x=(3,), batch=4), True)
    case.kernel()
    found, x, dy = case.inner(), case.tensors["x"], case.upstream
    assert np.allclose(found["dresidual_1.dense_1.W"], x.T @ dy)
    assert np.allclose(case.differences["dresidual_1.dense_1.W"].value, x.T @ dy, rtol=1e-6)


def test_how_far_a_layer_may_be_from_its_witnesses() -> None:
    """Sums in another order: a trillionth of the largest entry, and 64 roundings of what may cancel."""
    case = dense(inputs={"x": 100 * np.random.default_rng(0).normal(size=(4, 3))})
    kernel = case.kernel()
    largest = max(max_abs(case.upstream), *(max_abs(kernel[name]) for name in ("dx", "dW", "db")))
    near = 1e-12 * max_abs(kernel["db"]) + 64 * EPS * largest
    assert gap_of(case, kernel, "db", "equations").allowed == same_as(near)
    reach = max_abs(case.chain.x)
    assert gap_of(case, kernel, "y", "equations").allowed == same_as(1e-12 * max_abs(kernel["y"]) + 64 * EPS * reach)
    found = gap_of(case, kernel, "db", "complex step")
    entry = abs(kernel["db"][found.index])
    assert found.allowed == same_as(1e-10 * entry + near, rel=1e-6)
    found = gap_of(case, kernel, "db", "differences")
    entry, noise = abs(kernel["db"][found.index]), case.differences["db"].noise[found.index]
    assert found.allowed == same_as(1e-6 * entry + noise + 1e-9 * largest, rel=1e-6)
    assert {g.verdict for g in case.gaps(kernel)} == {"ok"}
    for factor, verdict in ((0.9, "ok"), (1.1, "WRONG")):
        off = {**kernel, "db": kernel["db"] + factor * near}
        assert gap_of(case, off, "db", "equations").verdict == verdict


def test_small_inputs_may_be_off_by_roundings_of_1() -> None:
    case = dense(inputs={"x": np.full((4, 3), 1e-9), "W": 1e-9 * W})
    case.tensors["b"][...] = 0
    kernel = case.kernel()
    assert gap_of(case, kernel, "y", "equations").allowed == same_as(64 * EPS, rel=1e-3)


@pytest.mark.parametrize(
    ("x", "near"), [(1.0, True), (1.0 + 0.9e-5, True), (1.0 + 1.1e-5, False), (-1.0, True), (50.0 + 4e-4, True),
                    (50.0 + 6e-4, False), (0.0, False)],
)  # fmt: skip
def test_what_stands_near_a_kink(x: float, near: bool) -> None:
    assert near_kinks(np.array([x]), (1.0, -1.0, 50.0)).tolist() == [near]


def test_at_a_kink_a_difference_is_excused() -> None:
    relu = Layer.parse("relu")
    x = np.array([[0.0, 1.0, -1.0]])
    case = LayerCase(Sample(relu, x=(3,), batch=1, inputs={"x": x}, kinks=(0.0,)), True)
    kernel = case.kernel()
    assert gap_of(case, kernel, "dx", "differences").verdict == "kink"
    bare = LayerCase(Sample(relu, x=(3,), batch=1, inputs={"x": x}), True)
    assert gap_of(bare, bare.kernel(), "dx", "differences").verdict == "WRONG"


# ------------------------------------------------------------------------------------------------------------- losses
def loss(**inputs: Any) -> LossCase:
    return LossCase(Sample(Loss.parse("mean_squared_error"), x=(2,), batch=3, inputs=inputs))


def test_a_loss_is_proven_at_its_inputs() -> None:
    x, t, w = np.arange(6.0).reshape(3, 2), np.ones((3, 2)), np.array([0.5, 0.25, 0.25])
    case = loss(x=x, t=t)
    assert case.kernel()["L"] == same_as(np.mean((x - t) ** 2))
    assert case.kernel()["dx"] == same_as((x - t) * 2 / 6)
    weighed = loss(x=x, t=t, w=w)
    assert weighed.kernel()["L"] == same_as(np.sum(w * np.mean((x - t) ** 2, axis=1)))
    assert {g.verdict for g in (*case.gaps(case.kernel()), *weighed.gaps(weighed.kernel()))} == {"ok"}
    assert [(g.tensor, g.right) for g in case.gaps(case.kernel())] == [
        ("L", "equations"), ("dx", "equations"), ("dx", "derived"), ("dx", "complex step"), ("dx", "differences"),
    ]  # fmt: skip


def test_how_far_a_loss_may_be_from_its_witnesses() -> None:
    rng = np.random.default_rng(0)
    case = loss(x=1e4 * rng.normal(size=(3, 2)), t=rng.normal(size=(3, 2)))
    kernel = case.kernel()
    value, dx = float(kernel["L"]), kernel["dx"]
    assert gap_of(case, kernel, "L", "equations").allowed == same_as(1e-12 * value + 64 * EPS * max_abs(case.frame.x))
    near = 1e-12 * max_abs(dx) + 64 * EPS * max_abs(dx)
    assert gap_of(case, kernel, "dx", "equations").allowed == same_as(near)
    found = gap_of(case, kernel, "dx", "complex step")
    assert found.allowed == same_as(1e-10 * abs(dx[found.index]) + near, rel=1e-6)
    found = gap_of(case, kernel, "dx", "differences")
    noise = case.differences.noise[found.index]
    assert found.allowed == same_as(1e-6 * abs(dx[found.index]) + noise + 1e-9 * max_abs(dx), rel=1e-5)
    for factor, verdict in ((0.9, "ok"), (1.1, "WRONG")):
        off = {"L": np.asarray(value * (1 + factor * 1e-12)), "dx": dx}
        assert gap_of(case, off, "L", "equations").verdict == verdict
    small = loss(x=np.zeros((3, 2)), t=np.zeros((3, 2)))
    assert gap_of(small, small.kernel(), "dx", "equations").allowed == same_as(64 * EPS / 3)
    weighed = loss(x=np.zeros((3, 2)), t=np.zeros((3, 2)), w=np.array([0.7, 0.2, 0.1]))
    assert gap_of(weighed, weighed.kernel(), "dx", "equations").allowed == same_as(64 * EPS * 0.7)
    assert gap_of(small, small.kernel(), "L", "equations").allowed == same_as(64 * EPS)


# ------------------------------------------------------------------------------------------------------------ penalties
def test_how_far_a_penalty_may_be_from_its_witnesses() -> None:
    part = Regularizer.parse({"type": "l2", "strength": 0.5})
    w = np.array([1000.0, -3.0, 0.5])
    case = PenaltyCase(Sample(part, x=(3,), inputs={"w": w}))
    kernel = case.kernel()
    assert kernel["dw"] == same_as(0.5 * w)
    assert kernel["penalty"] == same_as(0.25 * np.sum(w**2))
    assert gap_of(case, kernel, "penalty", "equations").allowed == same_as(1e-12 * float(kernel["penalty"]))
    floor = 1e-12 * 500 + 64 * EPS * 500
    assert gap_of(case, kernel, "dw", "equations").allowed == same_as(floor)
    found = gap_of(case, kernel, "dw", "complex step")
    assert found.allowed == same_as(1e-10 * abs(kernel["dw"][found.index]) + floor, rel=1e-6)
    found = gap_of(case, kernel, "dw", "differences")
    noise = case.differences.noise[found.index]
    expected = 1e-6 * abs(kernel["dw"][found.index]) + noise + 1e-9 * 500 + floor
    assert found.allowed == same_as(expected, rel=1e-6)
    assert {g.verdict for g in case.gaps(kernel)} == {"ok"}
    weak = PenaltyCase(Sample(Regularizer.parse({"type": "l2", "strength": 1e-12}), x=(3,)))
    before = max_abs(weak.before)
    assert gap_of(weak, weak.kernel(), "dw", "equations").allowed == same_as(64 * EPS * before, rel=1e-3)


# ---------------------------------------------------------------------------------------------------------------- steps
def test_an_optimizer_takes_its_third_step_unless_its_sample_says_another() -> None:
    adam = Optimizer.parse("adam")
    case = StepCase(Sample(adam, x=(4,)))
    assert (case.t, case.env["t"], case.env["lr"], case.env["D"]) == (3, 3, 0.01, 2)
    assert all(len(set(case.env[name].tolist())) == 4 for name in ("g", "w", "m", "v"))
    assert StepCase(Sample(adam, x=(4,), inputs={"t": 7})).env["t"] == 7
    large = StepCase(Sample(adam, x=(2000,))).env["v"]
    assert (large.min() >= 0.1, large.max() <= 1.0, np.ptp(large) > 0.88) == (True, True, True)
    before = {name: case.env[name].copy() for name in ("w", "m", "v", "g")}
    found = case.kernel()
    m = 0.9 * before["m"] + 0.1 * before["g"]
    v = 0.999 * before["v"] + 0.001 * before["g"] ** 2
    assert found["m_new"] == same_as(m)
    step = 0.01 * (m / (1 - 0.9**3)) / (np.sqrt(v / (1 - 0.999**3)) + 1e-8)
    assert found["w_new"] == same_as(before["w"] - step)
    assert {g.verdict for g in case.gaps(found)} == {"ok"}
    assert gap_of(case, found, "m_new", "equations").allowed == same_as(1e-12 * max_abs(found["m_new"]))


def test_the_derivatives_of_all_outputs_by_all_weights() -> None:
    sample = Sample(Optimizer.parse("lbfgs"), x=(2,), batch=3, inputs={"before": 0})
    case = FullBatchCase(sample)
    found = jacobian(case.objective, case.batch)
    theta = case.objective.theta
    assert found.shape == (6, len(theta))
    for k in range(len(theta)):
        kept, sides = theta[k], []
        for sign in (1, -1):
            theta[k] = kept + sign * 1e-6
            case.batch.chain.forward(True)
            sides.append(case.batch.chain.y.ravel().copy())
        theta[k] = kept
        assert found[:, k] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_the_objective_of_a_search_is_the_loss_with_its_penalty() -> None:
    case = FullBatchCase(Sample(Optimizer.parse("lbfgs"), x=(2,), batch=3, inputs={"before": 0}))
    w_new = case.before["w"] + 0.25
    found = case._objective_at_both_weights(w_new)
    plan = case.objective.network.network_plan
    for name, w in (("L_new", w_new), ("L", case.before["w"])):
        p = {e.path: w[e.where].reshape(e.shape) for e in plan.layout}
        y = np.tanh(case.batch.x @ p["dense_1.W"] + p["dense_1.b"]) @ p["dense_2.W"] + p["dense_2.b"]
        squares = sum(np.sum(p[f"dense_{k}.W"] ** 2) for k in (1, 2))
        assert found[name] == same_as(np.mean((y - case.batch.t) ** 2) + 0.025 * squares)
    assert found["t"] == 1
    assert found["P"] == len(w_new)


def test_a_penalty_bends_the_weights_that_it_is_laid_on() -> None:
    """By its strength, in units of a squared error: the mean is over six outputs."""
    case = FullBatchCase(Sample(Optimizer.parse("levenberg_marquardt"), x=(2,), batch=3, inputs={"before": 0}))
    plan = case.objective.network.network_plan
    expected = np.zeros(len(case.before["w"]))
    for e in plan.layout:
        expected[e.where] = 0.05 * 6 / 2 if e.path.endswith(".W") else 0.0
    assert case._bend() == same_as(expected)
    assert {g.verdict for g in case.gaps(case.kernel())} == {"ok"}


def test_a_search_begins_each_time_where_it_was_left() -> None:
    case = FullBatchCase(Sample(Optimizer.parse("lbfgs"), x=(2,), batch=3, inputs={"before": 2}))
    first, again = case.kernel(), case.kernel()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["w_new"], case.before["w"])
    assert {g.verdict for g in case.gaps(first)} == {"ok"}


def test_a_constraint_leaves_the_weights_of_its_case_as_they_are() -> None:
    case = ConstraintCase(Sample(Constraint.parse({"type": "max_norm", "limit": 0.5}), x=(3, 2), inputs={"w": W}))
    found = case.kernel()
    assert np.array_equal(case.w, W)
    assert (np.linalg.norm(found["w_new"], axis=0) <= 0.5 + 1e-12).all()
    assert gap_of(case, found, "w_new", "equations").allowed == same_as(1e-12 * 3.0)


def test_a_schedule_is_asked_before_every_step_and_after_the_last() -> None:
    case = ScheduleCase(Sample(Schedule.parse({"type": "cosine", "start": 0.1})))
    rates = case.kernel()["lr"]
    assert len(rates) == 18
    assert np.allclose(case.equations["lr"], rates, rtol=1e-12)
    values = [1.0, 0.5, 0.6, 0.7, 0.8]
    plateau = ScheduleCase(
        Sample(Schedule.parse({"type": "plateau", "start": 0.1, "patience": 2}), inputs={"values": values})
    )
    found = plateau.kernel()
    assert len(found["lr"]) == 18
    assert {len(a) for name, a in found.items() if name != "lr"} == {5}
    assert found["lr"][0] == 0.1
    assert found["lr"][-1] == same_as(0.01)
    assert {g.verdict for g in plateau.gaps(found)} == {"ok"}


# ------------------------------------------------------------------------------------------------------------ families
@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        (Layer.parse("tanh"), [LayerCase, LayerCase]),
        (Loss.parse("mean_squared_error"), [LossCase]),
        (Regularizer.parse({"type": "l2", "strength": 0.1}), [PenaltyCase]),
        (Optimizer.parse("sgd"), [StepCase]),
        (Clipper.parse({"type": "global_norm", "max_norm": 1.0}), [StepCase]),
        (Constraint.parse({"type": "max_norm", "limit": 0.5}), [ConstraintCase]),
        (Schedule.parse({"type": "cosine", "start": 0.1}), [ScheduleCase]),
        (Optimizer.parse("lbfgs"), [FullBatchCase]),
        (Metric.parse("accuracy"), []),
    ],
)
def test_the_cases_of_a_part_are_those_of_its_family(part: Any, kinds: Any) -> None:
    found = cases(Sample(part, x=(3,), batch=2, inputs={"before": 0} if kinds == [FullBatchCase] else {}))
    assert [type(case) for case in found] == kinds
    if kinds == [LayerCase, LayerCase]:
        assert [case.train for case in found] == [True, False]  # type: ignore[union-attr]
    if kinds:
        assert states_equations(Sample(part, x=(3,), batch=2))


def test_a_loss_states_equations_where_rows_have_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Loss.parse("mean_squared_error")
    sample = Sample(part, x=(3,), batch=2)
    for of_weights, stated in ((True, False), (False, True)):
        monkeypatch.setattr(type(part), "equations", lambda self, weighted, only=of_weights: [1] * (weighted is only))
        assert states_equations(sample) is stated
    layer = Layer.parse("tanh")
    monkeypatch.setattr(type(layer), "equations", lambda self, train, x: [1] * train)
    assert states_equations(Sample(layer, x=(3,), batch=2))
