"""Short trainings: which rates, rows, steps and weights they take, and the least losses, against NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import config
from hand_diagnosis import ROWS, VALUES, X, context_of, dense, values_of, with_rows

from bpcli.engine.full_batch import FullBatchStep
from bpcli.studies.diagnose import short_runs as module
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.short_runs import (
    GeometricRateStep,
    best_constant,
    copy_step,
    first_step,
    least_loss,
    loss_at_zero,
    overfit,
    peak_rate,
    short_run,
    step_multiply_adds,
)

LBFGS: dict[str, Any] = {"optimizer": "lbfgs", "training": {"batch_size": "full"}}
SGD = {"type": "sgd", "learning_rate": 0.25}
FULL = {"epochs": 10, "batch_size": 24}


# ------------------------------------------------------------------------------------------------------------- context
def test_a_context_counts_rows_steps_and_batches() -> None:
    context = context_of(training={"epochs": 7, "batch_size": 10})
    assert (context.rows, context.batch_rows, context.steps_per_epoch, context.total_steps) == (24, 10, 3, 21)
    batches = context.batches()
    epoch = [next(batches) for _ in range(3)]
    assert [len(rows) for rows in epoch] == [10, 10, 4]
    assert sorted(np.concatenate(epoch)) == list(range(24))
    assert not np.array_equal(next(batches), epoch[0])  # another order in the second epoch
    limited = context.batches(6)
    assert [next(limited).tolist() for _ in range(3)] == [rows[:6].tolist() for rows in epoch]
    assert np.array_equal(context.probe_rows, np.concatenate(epoch))


def test_a_full_batch_optimizer_takes_the_rows_in_their_order() -> None:
    batches = context_of(**LBFGS).batches()
    assert [next(batches).tolist() for _ in range(2)] == [list(range(24))] * 2


def test_layers_are_measured_on_256_rows() -> None:
    context = with_rows(context_of(), np.zeros((300, 4)), np.zeros(300, int))
    assert len(context.probe_rows) == 256
    assert np.array_equal(context.probe_rows[:8], next(context.batches()))


# -------------------------------------------------------------------------------------------------------------- rates
def test_rates_of_a_range_test_grow_geometrically() -> None:
    step = copy_step(context_of(), 8, first=0.5, growth=3.0)
    assert isinstance(step, GeometricRateStep)
    assert [step.rate_at(k) for k in (0, 1, 4)] == [0.5, 1.5, 40.5]
    assert copy_step(context_of(), 8).rate_at(3) == 0.0  # type: ignore[union-attr]
    assert isinstance(copy_step(context_of(**LBFGS), 24), FullBatchStep)


@pytest.mark.parametrize(
    ("schedule", "peak"),
    [
        ({"type": "warmup", "steps": 20, "then": 0.5}, 0.5),
        ({"type": "one_cycle", "peak": 0.5}, 0.5),
        ({"type": "cosine", "start": 0.5}, 0.5),
        ({"type": "plateau", "metric": "train.loss", "start": 0.5}, 0.5),
    ],
)
def test_the_greatest_rate_is_looked_for_over_the_whole_training(schedule: Any, peak: float) -> None:
    context = context_of(optimizer={"type": "adam", "learning_rate": schedule})
    assert peak_rate(context) == pytest.approx(peak, rel=0.02 if schedule["type"] == "one_cycle" else 1e-12)


def test_a_schedule_of_epochs_is_looked_at_epoch_by_epoch() -> None:
    schedule = {"type": "one_cycle", "peak": 0.5, "pct_start": 0.3, "per": "epoch"}
    context = context_of(optimizer={"type": "adam", "learning_rate": schedule}, training={"epochs": 4, "batch_size": 8})
    assert context.gradient_optimizer is not None
    rates = [context.gradient_optimizer.learning_rate.at(k, 4, {}) for k in range(4)]
    assert peak_rate(context) == max(rates) < 0.5
    steps = context_of(optimizer={"type": "adam", "learning_rate": {**schedule, "per": "step"}},
                       training={"epochs": 1, "batch_size": 8})  # fmt: skip
    assert peak_rate(steps) == max(context.gradient_optimizer.learning_rate.at(k, 3, {}) for k in range(3))


def test_an_optimizer_without_a_rate_has_no_greatest() -> None:
    assert peak_rate(context_of(**LBFGS)) is None


# -------------------------------------------------------------------------------------------------------------- steps
def test_the_first_step_is_one_of_the_training_on_its_first_batch() -> None:
    context = values_of([dense(1)], optimizer=SGD)
    rows = next(context.batches())
    x, t = context.train.x[rows], context.train.t[rows]
    parameters = {e.path: context.theta[e.where] for e in context.network_plan.layout}
    weight, bias = parameters["dense_1.W"].reshape(4, 1), parameters["dense_1.b"]
    error = 2 * (x @ weight + bias - t) / len(rows)
    expected = {"dense_1.W": -0.25 * (x.T @ error).ravel(), "dense_1.b": -0.25 * error.sum(axis=0)}
    found = first_step(context)
    assert found is not None
    for e in context.network_plan.layout:
        assert found[e.where] == pytest.approx(expected[e.path], rel=1e-9)
    assert np.array_equal(context.theta, values_of([dense(1)], optimizer=SGD).theta), "it stays as it was"


def test_a_first_step_takes_the_greatest_rate_and_512_rows() -> None:
    slow = {"type": "sgd", "learning_rate": {"type": "warmup", "steps": 10, "then": 0.25}}
    first, other = first_step(values_of(optimizer=slow)), first_step(values_of(optimizer=SGD))
    assert first is not None
    assert other is not None
    assert first == pytest.approx(other, rel=1e-9)
    many = {"training": {"epochs": 9, "batch_size": 600}, "optimizer": SGD}
    x = np.random.default_rng(3).normal(size=(600, 4))
    context = with_rows(values_of([dense(1)], **many), x, x[:, :1])
    rows = next(context.batches())[:512]
    first = first_step(context)
    small = with_rows(values_of([dense(1)], training={"batch_size": 512}, optimizer=SGD), x[rows], x[rows, :1])
    other = first_step(small)
    assert first is not None
    assert other is not None
    assert first == pytest.approx(other, rel=1e-9)


def test_a_first_step_that_cannot_be_taken() -> None:
    context = values_of([dense(1)])
    context.theta = context.theta * 1e300
    assert first_step(context) is None


def test_a_short_run_is_the_beginning_of_the_training() -> None:
    """Three epochs of full batches, in NumPy."""
    context = values_of([dense(1)], optimizer=SGD, training=FULL)
    w, b = (context.theta[e.where] for e in context.network_plan.layout)
    w, b = w.reshape(4, 1).copy(), b.copy()
    for _ in range(3):
        error = 2 * (X @ w + b - VALUES) / ROWS
        w, b = w - 0.25 * X.T @ error, b - 0.25 * error.sum(axis=0)
    run = short_run(context, 3)
    assert (run.steps, run.diverged) == (3, False)
    assert run.objective.theta == pytest.approx(np.concatenate([w.ravel(), b]), rel=1e-9)


def test_a_short_run_tells_the_end_of_each_epoch() -> None:
    seen: list[float] = []
    context = values_of(training={"epochs": 9, "batch_size": 10})  # 3 steps each
    short_run(context, 7, lambda objective: seen.append(float(objective.theta[0])))
    assert len(seen) == 2
    assert seen[0] == pytest.approx(float(short_run(context, 3).objective.theta[0]), rel=1e-12)
    assert seen[1] == pytest.approx(float(short_run(context, 6).objective.theta[0]), rel=1e-12)


def test_a_short_run_may_diverge() -> None:
    run = short_run(values_of([dense(1)], optimizer={"type": "sgd", "learning_rate": 1e30}), 50)
    assert run.diverged
    assert 0 < run.steps < 50


def test_a_short_run_of_a_full_batch_optimizer_may_end_by_itself() -> None:
    run = short_run(values_of([dense(1)], **LBFGS), 60)
    assert (run.diverged, 0 < run.steps < 59) == (False, True)


# ------------------------------------------------------------------------------------------------------- least losses
def test_the_best_constant_is_found_on_20000_rows_spread_evenly() -> None:
    """Of 20,002 rows, where every second has another target than those that are looked at."""
    t = np.where(np.arange(20_002) % 2 == 0, (np.arange(20_002) // 2 % 2).astype(float), 50.0)[:, None]
    x = np.zeros((20_002, 4))
    context = values_of([dense(1)])
    assert best_constant(with_rows(context, x, t)) == pytest.approx(0.25, rel=1e-3)
    assert best_constant(with_rows(context, x[:-2], t[:-2])) == pytest.approx(t[:-2].var(), rel=1e-6)


def test_the_best_constant_of_absolute_errors_begins_at_the_median() -> None:
    t = np.array([[100.0], [100.0], [100.0], [0.0], [7.0]])
    context = with_rows(values_of([dense(1)], loss="mean_absolute_error"), np.zeros((5, 4)), t)
    assert best_constant(context) == pytest.approx(193 / 5, rel=1e-12)
    t = np.random.default_rng(0).normal(size=(25, 2)) * [1, 100] + [3, 1000]
    two = with_rows(values_of([dense(2)], t=t[:24], loss="mean_absolute_error"), np.zeros((25, 4)), t)
    assert best_constant(two) == pytest.approx(np.mean(np.abs(t - np.median(t, axis=0))), rel=1e-12)
    t = np.array([[0.2], [0.2], [0.2], [0.9], [0.3]])  # behind an activation outputs are no medians
    context = with_rows(values_of([dense(1, "sigmoid")], loss="mean_absolute_error"), np.zeros((5, 4)), t)
    assert best_constant(context) < 0.17


def test_equal_rows_with_other_targets_have_a_least_loss() -> None:
    x, t = X.copy(), VALUES.copy()
    context = values_of(training={"epochs": 3, "batch_size": 8})
    first, second, *_ = next(context.batches())
    x[second] = x[first]
    t[first], t[second] = 0.0, 1.0
    assert least_loss(with_rows(context, x, t)) == pytest.approx(2 * 0.25 / 8, rel=1e-4)
    assert least_loss(values_of()) == pytest.approx(0.0, abs=1e-9)


def test_the_least_loss_is_that_of_sixteen_rows() -> None:
    context = values_of(training={"epochs": 3, "batch_size": 24})
    rows = next(context.batches())
    x, t = X.copy(), VALUES.copy()
    x[rows[16]] = x[rows[0]]  # the seventeenth does not count
    t[rows[16]] = t[rows[0]] + 9
    assert least_loss(with_rows(context, x, t)) == pytest.approx(0.0, abs=1e-9)
    x[rows[15]], t[rows[15]] = x[rows[0]], t[rows[0]] + 8
    assert least_loss(with_rows(context, x, t)) == pytest.approx(2 * 16 / 16, rel=1e-4)


@pytest.mark.parametrize(("layers", "expected"), [
    ([dense(5, "tanh"), dense(1)], lambda t: np.mean(t**2)),
    ([dense(5, "tanh"), dense(1, "sigmoid")], lambda t: np.mean((0.5 - t) ** 2)),
    ([dense(1), "sigmoid", "softplus"], lambda t: np.mean((np.log1p(np.exp(0.5)) - t) ** 2)),
])  # fmt: skip
def test_the_loss_with_outputs_of_0_is_behind_the_last_activations(layers: Any, expected: Any) -> None:
    context = values_of(layers)
    assert loss_at_zero(context) == pytest.approx(float(expected(VALUES)), rel=1e-9)


# ------------------------------------------------------------------------------------------------------- overfitting
def test_a_step_multiplies_and_adds_three_times_as_often_as_a_forward_pass() -> None:
    assert step_multiply_adds(context_of([dense(5), dense(3)]), 10) == 3 * 10 * (4 * 5 + 5 * 3)
    assert step_multiply_adds(values_of(["batch_norm"], t=X), 10) >= 30


def still() -> DiagnosisContext:
    """A network that learns nothing: at a rate of 1e-30 its loss stays."""
    return values_of([dense(1)], optimizer={"type": "sgd", "learning_rate": 1e-30})


@pytest.mark.parametrize(("cost", "steps"), [(2e10 / 1000, 1000), (1.0, 3000), (1e12, 300), (2e10 / 300.5, 300)])
def test_a_batch_is_overfitted_for_as_many_steps_as_are_cheap(
    cost: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "step_multiply_adds", lambda context, rows: cost)
    assert len(overfit(still(), 0.0)) == steps


def test_it_ends_where_a_hundredth_of_the_way_is_left() -> None:
    """The way from the first loss to the least possible."""
    context = values_of([dense(1)], t=X @ [[1.0], [-2.0], [0.5], [3.0]], optimizer=SGD, training=FULL)
    ended = []
    for least in (0.0, 0.5, 1.0):
        losses = overfit(context, least)
        left = [(loss - least) / (losses[0] - least) for loss in losses]
        assert left[-1] < 0.01 <= left[-2]
        ended.append(len(losses))
    assert ended == sorted(set(ended), reverse=True)
    losses = overfit(context, 0.0)
    for share, later in ((0.01005, 1), (0.00995, 0)):  # the least loss at which so much is left after ten steps
        least = (losses[10] - share * losses[0]) / (1 - share)
        assert (len(overfit(context, least)) > 11) == later


def test_the_batch_has_sixteen_rows_at_most_and_its_own_rate() -> None:
    """The first losses, in NumPy."""
    context = values_of([dense(1)], optimizer={"type": "sgd", "learning_rate": {"type": "cosine", "start": 0.25}},
                        training=FULL)  # fmt: skip
    rows = next(context.batches())[:16]
    x, t = X[rows], VALUES[rows]
    w, b = (context.theta[e.where] for e in context.network_plan.layout)
    w, b, expected = w.reshape(4, 1).copy(), b.copy(), []
    for _ in range(40):
        error = x @ w + b - t
        expected.append(float(np.mean(error**2)))
        w, b = w - 0.25 * x.T @ error * 2 / 16, b - 0.25 * 2 * error.mean(axis=0)
    assert overfit(context, -9.0)[:40] == pytest.approx(expected, rel=1e-9)


def test_a_batch_that_diverges_ends_with_inf() -> None:
    losses = overfit(values_of([dense(1)], optimizer={"type": "sgd", "learning_rate": 1e30}), 0.0)
    assert losses[-1] == math.inf
    assert all(math.isfinite(loss) for loss in losses[:-1])


def test_layers_of_chance_are_left_out_inside_branches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OVERFIT_STEPS", (40, 40))
    drop = {"type": "dropout", "rate": 0.9}
    plain = [dense(4, "tanh"), {"type": "residual", "layers": [dense(4, "tanh")]}, dense(3)]
    dropped = [plain[0], drop, {"type": "residual", "layers": [dense(4, "tanh"), drop]}, dense(3)]
    more = {"optimizer": SGD, "training": FULL}
    without = overfit(context_of(plain, **more), 0.0)
    assert len(without) > 20
    assert overfit(context_of(dropped, **more), 0.0) == without
    alone = [plain[0], {"type": "residual", "layers": [drop]}, dense(3)]  # a branch is never empty
    assert len(overfit(context_of(alone, **more), 0.0)) > 20


def test_penalties_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OVERFIT_STEPS", (40, 40))
    strong = {"type": "l2", "strength": 5.0}
    layers = [dense(5, "tanh"), dense(3)]
    plain = overfit(context_of(layers, optimizer=SGD, training=FULL), 0.0)
    layers = [dense(5, "tanh", regularization=strong), dense(3)]
    assert overfit(context_of(layers, optimizer=SGD, training=FULL, regularization=strong), 0.0) == plain


@pytest.mark.parametrize(
    ("rate", "peak"),
    [(0.02, 0.02), ({"type": "cosine", "start": 0.03}, 0.03), ({"type": "warmup", "steps": 9, "then": 0.01}, 0.01),
     ({"type": "one_cycle", "peak": 0.5}, 0.5)],
)  # fmt: skip
def test_the_greatest_rate_of_a_schedule(rate: Any, peak: float, tmp_path: Path) -> None:
    context = open_context(config(tmp_path, optimizer={"type": "adam", "learning_rate": rate}))
    assert peak_rate(context) == pytest.approx(peak, rel=1e-3)
