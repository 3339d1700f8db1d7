"""Schedules by hand and against PyTorch's, stepped once a step; a plateau also against its own words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch_schedules import PEERS, TOTAL

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Schedule
from bpcli.family.plan import Array


def parsed(kind: str, **settings: Any) -> Schedule:
    return Schedule.parse({"type": kind, **settings})


def rates(schedule: Schedule, total: int = TOTAL) -> list[float]:
    return [schedule.at(k, total) for k in range(total)]


def memory(schedule: Schedule) -> dict[str, Array]:
    return {name: np.array(value) for name, value in schedule.state().items()}


# ------------------------------------------------------------------------------------------------------------ by hand
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (parsed("step", start=1.0, every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (parsed("multi_step", start=1.0, milestones=[1, 4]), [1, 0.1, 0.1, 0.1, 0.01, 0.01]),
        (parsed("exponential", start=8.0, factor=0.5), [8, 4, 2, 1, 0.5, 0.25]),
        (parsed("inverse_time", start=1.0, decay=1.0), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]),
        (parsed("polynomial", start=0.6), [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        (parsed("polynomial", start=37.0, end=1.0, power=2.0), [37, 26, 17, 10, 5, 2]),
        (parsed("warmup", steps=4, then=1.0), [0.25, 0.5, 0.75, 1, 1, 1]),
        (parsed("warmup", steps=2, then={"type": "polynomial", "start": 0.6}), [0.3, 0.5, 0.4, 0.3, 0.2, 0.1]),
    ],
    ids=lambda v: v.kind if isinstance(v, Schedule) else "",
)
def test_six_steps_by_hand(schedule: Schedule, expected: list[float]) -> None:
    assert rates(schedule, 6) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("total", [1, 2, 3, 10, 37, 1000])
@pytest.mark.parametrize("pct_start", [0.1, 0.3, 0.5, 0.9])
def test_one_cycle_has_one_top(total: int, pct_start: float) -> None:
    schedule = parsed("one_cycle", peak=0.5, pct_start=pct_start)
    found = rates(schedule, total)
    assert max(found) <= 0.5
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)
    top = int(np.argmax(found))
    assert all(np.diff(found[: top + 1]) > 0)
    assert all(np.diff(found[top:]) < 0)
    assert schedule.at(total, total) == found[-1], "past its end it stays there"
    if total > 100:
        assert max(found) == pytest.approx(0.5, rel=1e-3)
        assert top == round(pct_start * total - 1)


# ------------------------------------------------------------------------------------------------------------ plateau
def rates_after(schedule: Schedule, figures: list[float], lower: bool = True) -> list[float]:
    """The rate after each epoch."""
    state = memory(schedule)
    found = []
    for value in figures:
        schedule.observe(state, value, lower)
        found.append(schedule.at(0, 1, state))
    return found


def test_a_plateau_acts_when_bad_epochs_reach_patience() -> None:
    found = rates_after(parsed("plateau", start=1.0, patience=2), [5, 4, 4, 4, 4, 4, 3, 3, 3])
    assert found == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 1e-3])


def test_an_improvement_has_to_be_by_a_share_of_the_best() -> None:
    schedule = parsed("plateau", start=1.0, patience=1, threshold=0.1)
    assert rates_after(schedule, [10.0, 9.01, 8.9, 8.0]) == pytest.approx([1, 0.1, 0.1, 0.1])
    assert rates_after(schedule, [10.0, 10.99, 11.01], lower=False) == pytest.approx([1, 0.1, 0.1])


def test_its_mode_overrides_the_metric() -> None:
    schedule = parsed("plateau", start=1.0, patience=1, mode="max")
    assert rates_after(schedule, [1.0, 2.0, 1.0], lower=True) == pytest.approx([1, 1, 0.1])


def test_what_is_not_a_number_is_no_improvement() -> None:
    schedule = parsed("plateau", start=1.0, patience=2, min_rate=0.05)
    assert rates_after(schedule, [math.nan, math.nan, 3.0, 2.0]) == pytest.approx([1, 0.1, 0.1, 0.1])
    assert rates_after(schedule, [math.nan] * 8)[-1] == 0.05


def test_a_warmup_of_a_plateau() -> None:
    schedule = parsed("warmup", steps=4, then={"type": "plateau", "start": 1.0, "patience": 1, "metric": "train.loss"})
    assert schedule.watched() == "train.loss"
    state = memory(schedule)
    assert schedule.at(1, 9, state) == 0.5
    for value in (1.0, 2.0):
        schedule.observe(state, value, True)
    assert schedule.at(1, 9, state) == pytest.approx(0.05)
    assert schedule.at(7, 9, state) == pytest.approx(0.1)


# --------------------------------------------------------------------------------------------- longer than a training
@pytest.mark.parametrize(
    ("schedule", "path"),
    [
        (parsed("step", start=1.0, every=40), ("every",)),
        (parsed("multi_step", start=1.0, milestones=[2, 40]), ("milestones",)),
        (parsed("warmup", steps=40, then=1.0), ("steps",)),
        (parsed("warmup", steps=4, then={"type": "step", "start": 1.0, "every": 99}), ("then", "every")),
    ],
    ids=lambda v: v.kind if isinstance(v, Schedule) else "",
)
def test_what_a_training_never_comes_to_is_said(schedule: Schedule, path: tuple[str, ...]) -> None:
    ((found, text),) = schedule.check(TOTAL)
    assert found == path
    assert text.endswith(" steps nothing is left of a training of 40")
    assert not schedule.check(1000)
    assert not schedule.check(int(text.split()[1]) + 1)


@pytest.mark.parametrize("kind", Schedule.registry)
def test_only_moments_can_be_missed(kind: str) -> None:
    for sample in Schedule.registry[kind].samples():
        if not sample.error:
            assert not sample.part.check(10_000)


# -------------------------------------------------------------------------------------------------------------- peers


@pytest.mark.peers
@pytest.mark.parametrize(("ours", "theirs"), PEERS, ids=[f"{o['type']} {i}" for i, (o, _) in enumerate(PEERS)])
def test_pytorch(ours: dict[str, Any], theirs: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = theirs(torch.optim.lr_scheduler, optimizer)
    for rate in rates(Schedule.parse(ours)):
        assert math.isclose(rate, optimizer.param_groups[0]["lr"], rel_tol=1e-12, abs_tol=1e-15)
        optimizer.step()
        if schedule.last_epoch < TOTAL - 1 if hasattr(schedule, "last_epoch") else True:
            schedule.step()


@pytest.mark.peers
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(("patience", "factor", "threshold", "least"), [(1, 0.1, 1e-4, 0.0), (4, 0.7, 0.05, 0.06)])
def test_plateau_is_pytorchs_with_one_epoch_less(
    patience: int, factor: float, threshold: float, least: float, lower: bool
) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    figures = [*(np.exp(-np.arange(60) / 20) + 0.1 * rng.normal(size=60)), math.nan, 0.1, -0.3, -0.29, -0.31]
    ours = parsed("plateau", start=0.3, patience=patience, factor=factor, threshold=threshold, min_rate=least)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "min" if lower else "max", factor, patience - 1, threshold, min_lr=least, eps=0
    )
    signed = [v if lower else -v for v in figures]
    for value, rate in zip(signed, rates_after(ours, signed, lower), strict=True):
        optimizer.step()
        theirs.step(value)
        assert math.isclose(rate, optimizer.param_groups[0]["lr"], rel_tol=1e-12)
    assert rate < 0.3
