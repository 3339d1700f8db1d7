"""The range test of learning rates: which rates it takes, where it ends, and what it reads off the losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hand_diagnosis import X, context_of, dense, values_of

from bpcli.studies.diagnose import lr_range_test as module
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.lr_range_test import RateRange, _range_from, lr_range_test

ZERO = {"type": "dense", "units": 1, "init": "zeros"}
FULL = {"epochs": 60, "batch_size": 24}
T = (X @ [[1.0], [-2.0], [0.5], [3.0]]).round(3)


def line(rate: float = 0.1, t: Any = T, **more: Any) -> DiagnosisContext:
    """A regression by one dense layer, all 0 at first, on all rows in each step of SGD."""
    more = {"training": FULL, "optimizer": {"type": "sgd", "learning_rate": rate}, **more}
    return values_of([ZERO], t=t, **more)


def read(start: float, *losses: float, most: float | None = None) -> RateRange | None:
    """What is read off these losses after steps at rates of 1, 2, 3 ..."""
    return _range_from(start, tuple((k + 1.0, loss) for k, loss in enumerate(losses)), most)


# ------------------------------------------------------------------------------------------------- what the losses show
def test_the_loss_falls_from_a_tenth_of_its_fall_on_and_is_least_at_the_best_rate() -> None:
    """From 1 to 0: the loss counts as falling at 0.9, and a rise before that counts as none."""
    found = read(1.0, 1.0, 0.95, 0.9001, 0.8999, 0.5, 0.0, 0.1)
    assert found is not None
    assert (found.low, found.best, found.most) == (4.0, 6.0, None)
    found = read(1.0, 0.85, 0.95, 0.8, 0.0, 0.1)
    assert found is not None
    assert found.low == 3.0
    found = read(1.0, 0.8, 0.0)
    assert found is not None
    assert (found.low, found.best) == (1.0, 2.0)


def test_a_loss_at_a_tenth_of_its_fall_does_not_count_yet() -> None:
    found = read(10.0, 9.0, 5.0, 0.0)
    assert found is not None
    assert found.low == 2.0


@pytest.mark.parametrize(("least", "falls"), [(0.9699, True), (0.9701, False)])
def test_three_percent_of_the_first_loss_have_to_go(least: float, falls: bool) -> None:
    found = read(1.0, 1.0, least, 1.0)
    assert found is not None
    assert math.isnan(found.best) is not falls
    assert math.isnan(found.low) is not falls
    found = read(-1.0, -1.0, -2.0 + least, -1.0)  # of a loss below 0, of its size
    assert found is not None
    assert math.isnan(found.best) is not falls


@pytest.mark.parametrize(
    ("before", "most", "falls"), [(7, 99.0, False), (8, 99.0, True), (7, None, True), (0, None, True)]
)
def test_a_fall_right_before_an_explosion_shows_that_it_began_too_high(before: int, most: Any, falls: bool) -> None:
    found = read(1.0, *[0.9] * before, 0.5, 0.8, most=most)
    assert found is not None
    assert found.most == most
    assert math.isnan(found.best) is not falls


def test_one_step_shows_nothing() -> None:
    assert read(1.0, 0.5) is None
    assert read(1.0, 0.9, 0.5) is not None


@pytest.mark.parametrize(("low", "best", "good"), [(1.0, 1000.0, 10.0), (1.0, 5.0, 1.0), (0.1, 90.0, math.sqrt(0.9))])
def test_a_good_rate_lies_between_the_first_fall_and_a_tenth_of_the_best(low: float, best: float, good: float) -> None:
    assert RateRange((), low, best, None).good == pytest.approx(good, rel=1e-12)
    assert RateRange((), math.nan, math.nan, None).good == math.inf


def test_a_training_is_worse_whose_last_loss_is_above_its_first() -> None:
    assert RateRange(((1, 0.5), (2, 0.1), (3, 0.51)), 1, 2, None).worse
    assert not RateRange(((1, 0.5), (2, 0.9), (3, 0.5)), 1, 2, None).worse


# -------------------------------------------------------------------------------------------------------- which rates
@pytest.mark.parametrize(("rate", "decades"), [(0.1, 6), (1e-4, 8), (0.01, 6), (5.0, 6)])
def test_the_rates_grow_by_16_steps_a_decade_to_1000_times_the_rate_and_to_10(rate: float, decades: int) -> None:
    """Where no step changes anything: the targets are what the network says."""
    found = lr_range_test(line(rate, 0 * T), 1.0)
    assert found is not None
    rates, losses = zip(*found.rates, strict=True)
    assert len(rates) in (16 * decades, 16 * decades + 1)  # as the quotient is rounded
    assert rates == pytest.approx(rate * 1e-3 * 10 ** (np.arange(len(rates)) / 16), rel=1e-12)
    assert set(losses) == {0.0}
    assert (math.isnan(found.best), found.most) == (True, None)


def test_a_small_rate_is_tested_up_to_10_and_no_further() -> None:
    """16 steps a decade from 1.0015e-7 on: 127.99, and to 10.1 128.06."""
    found = lr_range_test(line(1.0015e-4, 0 * T), 1.0)
    assert found is not None
    assert len(found.rates) == 128


def descent(context: DiagnosisContext, constant: float) -> tuple[list[tuple[float, float]], float | None]:
    """The same in NumPy: steps on all rows, the mean of squared errors after each."""
    x, t = context.train.x.astype(float), context.train.t.astype(float)
    w, b = np.zeros((4, 1)), np.zeros(1)
    found: list[tuple[float, float]] = []
    least = float(np.mean(t**2))
    for k in range(200):
        rate = 1e-4 * 10 ** (k / 16)
        error = 2 * (x @ w + b - t) / len(x)
        w, b = w - rate * x.T @ error, b - rate * error.sum(axis=0)
        loss = float(np.mean((x @ w + b - t) ** 2))
        found.append((rate, loss))
        if loss >= 4 * max(least, constant):
            return found, rate
        least = min(least, loss)
    return found, None


@pytest.mark.parametrize("constant", [1.0, 13.0, 200.0])
def test_the_test_ends_at_four_times_the_least_loss_or_that_of_the_constant(constant: float) -> None:
    context = line()
    found = lr_range_test(context, constant)
    rates, most = descent(context, constant)
    assert found is not None
    assert most is not None
    assert found.most == pytest.approx(most, rel=1e-9)
    assert np.array(found.rates) == pytest.approx(np.array(rates), rel=1e-7)  # what explodes loses digits
    assert found.best == pytest.approx(min(rates, key=lambda each: each[1])[0], rel=1e-9)


def test_a_test_that_explodes_at_once_begins_again_a_thousand_times_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts: list[float] = []
    exploding = RateRange(((1.0, 1.0), (2.0, 2.0)), math.nan, math.nan, 2.0)
    answers: list[RateRange | None] = []

    def increase(context: DiagnosisContext, first: float, peak: float, constant: float) -> RateRange | None:
        firsts.append(first)
        return answers.pop(0)

    monkeypatch.setattr(module, "_increase_rate", increase)
    answers[:] = [exploding, exploding, exploding, exploding]
    assert lr_range_test(line(), 1.0) == exploding
    assert firsts == pytest.approx([1e-4, 1e-7, 1e-10])
    flat = RateRange(((1.0, 1.0), (2.0, 1.0)), math.nan, math.nan, None)
    fell = RateRange(((1.0, 1.0), (2.0, 0.1)), 1.0, 2.0, 3.0)
    for good in (flat, fell):
        answers[:] = [None, exploding, good]
        assert lr_range_test(line(), 1.0) == good
        answers[:] = [good, exploding]
        assert lr_range_test(line(), 1.0) == good


def test_an_optimizer_without_a_rate_has_no_range() -> None:
    assert lr_range_test(line(optimizer="lbfgs", training={"batch_size": "full"}), 1.0) is None


def test_a_loss_that_overflows_ends_the_test_and_is_not_among_its_rates() -> None:
    found = lr_range_test(line(1e9), 1e300)  # no finite loss is called an explosion
    assert found is not None
    assert found.most is not None
    assert all(math.isfinite(loss) for _, loss in found.rates)


# ---------------------------------------------------------------------------------------------- which loss is measured
def test_the_loss_is_that_of_evaluation_where_nothing_is_taken_over_the_batch() -> None:
    """Dropout is drawn in steps alone: at rates that change nothing every loss is that without it."""
    layers = [dense(6, "tanh"), {"type": "dropout", "rate": 0.5}, dense(3)]
    tiny = {"type": "sgd", "learning_rate": 1e-12}
    dropped, plain = context_of(layers, optimizer=tiny), context_of([layers[0], layers[2]], optimizer=tiny)
    network = dropped.probe.objective.network
    network.theta[...] = dropped.theta
    dropped.probe.batch.forward(False)
    expected = dropped.probe.batch.forward(False)
    found = lr_range_test(dropped, 9.0)
    assert found is not None
    assert found.rates[0][1] == pytest.approx(expected, rel=1e-9)
    assert dropped.loss != pytest.approx(expected, rel=1e-3)
    assert plain.theta.size == dropped.theta.size


def test_the_loss_is_that_of_training_where_statistics_are_taken_over_the_batch() -> None:
    """The running ones are those of no batch yet."""
    context = context_of([dense(6), "batch_norm", "tanh", dense(3)], x=5 * X + 3,
                         optimizer={"type": "sgd", "learning_rate": 1e-12})  # fmt: skip
    found = lr_range_test(context, 9.0)
    assert found is not None
    assert found.rates[0][1] == pytest.approx(context.loss, rel=1e-9)


def test_with_statistics_the_draws_of_every_step_are_the_same() -> None:
    layers = [dense(6), "batch_norm", "tanh", {"type": "dropout", "rate": 0.5}, dense(3)]
    context = context_of(layers, optimizer={"type": "sgd", "learning_rate": 1e-14})
    found = lr_range_test(context, 9.0)
    assert found is not None
    assert [loss for _, loss in found.rates[:20]] == pytest.approx([context.loss] * 20, rel=1e-6)


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 3e38])
def test_rates_at_the_ends_of_the_numbers_are_tried_within_them(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS_PER_DECADE", 1)
    with np.errstate(all="ignore"):
        found = lr_range_test(line(rate), 1.0)
    assert found is None or all(0 < tried < math.inf for tried, _ in found.rates)
