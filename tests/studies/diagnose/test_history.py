"""What the losses of a run's epochs show, from which figures on, and what is then offered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import HIDDEN, config, trained, values, warned
from hand_diagnosis import context_of, dense, epochs, measured, sets_of

from bpcli.records.diagnose import Symptom
from bpcli.studies.diagnose.diagnose import diagnose
from bpcli.studies.diagnose.history import training_history

CLIP = "clipping={type: global_norm, max_norm: 1.0}"
ADAM = "optimizer={type: adam, learning_rate: 0.001}"
STOP = "training.early_stopping={metric: validation.loss, patience: 10, restore_best: true}"
PENALTY = "regularization={type: l2, strength: 0.01}"
DROPOUT = (
    "architecture=[{type: dense, units: 5, activation: tanh}, {type: dropout, rate: 0.3}, {type: dense, units: 3}]"
)
STOPPING = {"metric": "validation.loss", "patience": 3, "restore_best": True}


def history(
    train: Sequence[float], validation: Sequence[float] = (), *, constant: float = 1.0, record: Any = None,
    good: float | None = None, **more: Any,
) -> list[Symptom]:  # fmt: skip
    """The symptoms of a run with these losses; a range test from its start finds the rate `good`."""
    context = measured(context_of(**more), trained=True, constant=constant)
    context.history, context.record = epochs(train, validation), record or {}
    tested = SimpleNamespace(rate_range=None if good is None else SimpleNamespace(good=good))
    context.with_settings = lambda sets: tested  # type: ignore[assignment,return-value]
    return training_history(context)


def only(found: list[Symptom]) -> Symptom:
    (symptom,) = found
    assert symptom.check == "epochs"
    return symptom


def test_without_a_history_nothing_is_said() -> None:
    assert history([]) == []


def test_a_run_that_went_well() -> None:
    found = only(history([1.0, 0.5, 0.3, 0.2, 0.2, 0.2]))
    assert (found.level, found.place, found.value, found.measured) == ("ok", "train", 0.2, "loss of training")
    assert found.figure == "the loss of training went from 1 to 0.2 in 6 epochs"


# ------------------------------------------------------------------------------------------------------------- diverged
@pytest.mark.parametrize(("good", "rate"), [(None, 0.01), (0.5, 0.01), (0.002, 0.002), (math.inf, 0.01)])
def test_a_run_that_diverged_gets_a_tenth_of_its_rate_or_what_the_range_test_found(good: Any, rate: float) -> None:
    found = only(history([], record={"status": "diverged", "reason": "loss is nan"}, good=good))
    assert (found.level, found.place, found.figure) == ("warning", "train", "loss is nan")
    assert sets_of(found) == [f"optimizer.learning_rate={rate}", CLIP]
    assert only(history([], record={"status": "diverged"})).figure == "training diverged"


def test_lower_rates_are_a_tenth_and_a_fifth_of_the_run_s() -> None:
    """Rounded to 1, 2 or 5: 0.01414 is nearer to 0.01, and what is larger by a hundredth to 0.02."""

    def sgd(rate: float) -> dict[str, Any]:
        return {"optimizer": {"type": "sgd", "learning_rate": rate}}

    diverged = only(history([], record={"status": "diverged"}, **sgd(0.1414)))
    assert "optimizer.learning_rate=0.01" in sets_of(diverged)
    nothing = only(history([2.0, 2.0, 2.0], **sgd(0.1414)))
    assert "optimizer.learning_rate=0.01" in sets_of(nothing)
    risen = only(history([1.0, 0.5, 0.2, 0.25, 0.9], **sgd(0.0707)))
    assert "optimizer.learning_rate=0.01" in sets_of(risen)


def test_a_diverged_run_without_a_rate_gets_none() -> None:
    more = {"optimizer": "lbfgs", "training": {"batch_size": "full"}}
    assert sets_of(only(history([], record={"status": "diverged"}, **more))) == []


def test_of_a_model_that_cannot_start_anew_no_range_is_tested() -> None:
    context = measured(context_of(), trained=True, constant=1.0)
    context.record, context.with_settings = {"status": "diverged"}, None
    assert sets_of(only(training_history(context)))[0] == "optimizer.learning_rate=0.01"


# -------------------------------------------------------------------------------------------------------------- learned
@pytest.mark.parametrize(("least", "level"), [(0.899, "ok"), (0.9, "warning"), (2.0, "warning")])
def test_a_loss_near_that_of_the_best_constant(least: float, level: str) -> None:
    found = only(history([4.0, 3.0, least, least, least, least]))
    assert found.level == level
    if level != "ok":
        assert (found.value, found.measured) == (least, "least loss of training")
        assert found.figure == f"the least loss of training is {least:.4g}; saying the same of every row would have 1"
        assert sets_of(found) == ["architecture.0.activation=relu", ADAM, "optimizer.learning_rate=0.01"]


@pytest.mark.parametrize(
    ("train", "constant", "level"),
    [([0.5, 0.4901, 0.4901, 0.4901, 0.4901], 1.0, "warning"), ([0.5, 0.4899, 0.4899, 0.4899, 0.4899], 1.0, "ok"),
     ([0.5, 0.5, 0.5, 0.5], 1.0, "ok"), ([0.021] * 5, 1.0, "warning"), ([0.02] * 5, 1.0, "ok")],
)  # fmt: skip
def test_a_loss_that_stands_still(train: list[float], constant: float, level: str) -> None:
    """It fell by less than 2 % of the first epoch's, in five epochs or more, and is not near 0 already."""
    found = only(history(train, constant=constant))
    assert found.level == level
    if level != "ok":
        figure = f"the loss of training went from {train[0]:.4g} to {min(train):.4g} in {len(train)} epochs"
        assert found.figure == figure


def test_the_least_loss_is_that_of_the_numbers() -> None:
    assert "training is 0.95;" in only(history([2.0, 0.95, math.nan, math.inf])).figure
    assert "training is 0.95;" in only(history([math.nan, 2.0, 0.95])).figure


def test_where_a_constant_is_perfect_nothing_can_be_learned() -> None:
    assert only(history([0.5] * 6, constant=1e-12)).level == "ok"


# ---------------------------------------------------------------------------------------------------------------- risen
@pytest.mark.parametrize(
    ("last", "constant", "level"),
    [(0.3001, 1.0, "warning"), (0.2999, 1.0, "ok"), (0.3001, 2.01, "ok"), (0.3001, 2.0, "warning")],
)
def test_a_loss_of_training_that_rose_again(last: float, constant: float, level: str) -> None:
    """By half of its least, and by a twentieth of what the best constant has."""
    found = only(history([1.0, 0.5, 0.2, 0.25, last], constant=constant))
    assert found.level == level
    if level != "ok":
        assert found.figure == f"the loss of training rose again, from 0.2 in epoch 3 to {last:.4g}"
        assert sets_of(found) == ["optimizer.learning_rate=0.02", CLIP]
        assert (found.value, found.measured) == (last, "loss of training")


def test_four_epochs_show_no_rise() -> None:
    assert only(history([1.0, 0.2, 0.25, 0.9])).level == "ok"


def test_a_run_may_have_several_faults() -> None:
    found = history([1.0, 0.95, 1.6, 1.7, 1.9], record={"status": "diverged"})
    assert [s.level for s in found] == ["warning"] * 3
    assert "diverged" in found[0].figure
    assert "least loss" in found[1].figure
    assert "rose again" in found[2].figure


# ---------------------------------------------------------------------------------------------------------- overfitting
FALLING = [1.0, 0.6, 0.4, 0.35, 0.34, 0.33]


@pytest.mark.parametrize(("last", "level"), [(0.524, "ok"), (0.526, "notice"), (0.599, "notice"), (0.601, "warning")])
def test_validation_that_gets_worse_while_training_falls(last: float, level: str) -> None:
    """The last over the least: 0.5, in epoch 3."""
    found = only(history(FALLING, [0.9, 0.7, 0.5, 0.51, 0.52, last]))
    assert found.level == level
    if level != "ok":
        assert found.place == "validation"
        assert found.figure == (
            f"validation was best in epoch 3 with 0.5 and ends at {last:.4g}, while training still fell"
        )
        assert sets_of(found) == [STOP, PENALTY, DROPOUT]
        assert (found.value, found.measured) == (last, "loss of validation at the end")


def test_where_training_does_not_fall_either_it_is_not_overfitting() -> None:
    validation = [0.9, 0.7, 0.5, 0.55, 0.6, 0.65]
    assert only(history([1.0, 0.6, 0.4, 0.4, 0.4, 0.4], validation)).level == "ok"
    assert only(history([1.0, 0.6, 0.4, 0.4, 0.4, 0.399], validation)).level == "warning"


def test_a_remedy_is_left_out_that_the_run_had() -> None:
    layers = [dense(5, "tanh"), {"type": "dropout", "rate": 0.1}, dense(3)]
    validation = [0.9, 0.7, 0.5, 0.55, 0.6, 0.65]
    found = only(history(FALLING, validation, layers=layers, regularization={"type": "l2", "strength": 0.1}))
    assert sets_of(found) == [STOP]
    stopping = {"epochs": 60, "batch_size": 8, "early_stopping": STOPPING}
    found = only(history(FALLING, validation, training=stopping, data={"validation": 0.2}))
    assert sets_of(found) == [PENALTY, DROPOUT]


@pytest.mark.parametrize(
    ("kept", "restores", "rescued"), [(3, True, True), (2, True, False), (3, False, False), (None, True, False)]
)
def test_the_best_weights_were_kept(kept: int | None, restores: bool, rescued: bool) -> None:
    stopping = {"epochs": 60, "batch_size": 8, "early_stopping": {**STOPPING, "restore_best": restores}}
    more: dict[str, Any] = {"training": stopping, "data": {"validation": 0.2}, "record": {"kept": kept}}
    found = only(history(FALLING, [0.9, 0.7, 0.5, 0.55, 0.6, 0.65], **more))
    assert found.level == ("ok" if rescued else "warning")
    assert found.figure.endswith("; the weights of epoch 3 were kept") is rescued
    assert found.cures == () if rescued else found.cures
    assert found.value == 0.65


@pytest.mark.parametrize(
    ("validation", "level"), [(0.399, "ok"), (0.401, "notice"), (0.999, "notice"), (1.001, "warning")]
)
def test_validation_far_behind_training(validation: float, level: str) -> None:
    """Twice, and five times the 0.2 of training."""
    found = only(history([1.0, 0.5, 0.3, 0.2, 0.2], [validation] * 5))
    assert found.level == level
    if level != "ok":
        assert found.place == "validation"
        assert found.figure == f"the loss is {validation:.4g} in validation and 0.2 in training"
        assert sets_of(found) == [STOP, PENALTY, DROPOUT]
        assert (found.value, found.measured) == (validation, "loss of validation at the end")


@pytest.mark.parametrize(("constant", "level"), [(2.01, "warning"), (2.03, "notice"), (8.09, "notice"), (8.11, "ok")])
def test_how_far_behind_is_measured_by_the_best_constant_too(constant: float, level: str) -> None:
    """A loss of 1.01 and one of 0.2: serious above half of the constant's, and a gap from a tenth of it on."""
    assert only(history([3.0, 0.5, 0.3, 0.2, 0.2], [1.01] * 5, constant=constant)).level == level
    assert only(history([3.0, 0.5, 0.3, 0.2, 0.2], [1.25] * 5, constant=2.5)).level == "notice"  # half of it


def test_of_weights_that_were_kept_the_gap_is_that_of_their_epoch() -> None:
    stopping = {"epochs": 60, "batch_size": 8, "early_stopping": STOPPING}
    more: dict[str, Any] = {"training": stopping, "data": {"validation": 0.2}, "record": {"kept": 2}}
    assert only(history([1.0, 0.5, 0.3, 0.2, 0.1], [0.9, 0.5, 0.51, 0.51, 0.51], **more)).level == "ok"
    figure = only(history([1.0, 0.2, 0.15, 0.12, 0.1], [0.9, 0.5, 0.51, 0.51, 0.51], **more)).figure
    assert figure == "the loss is 0.5 in validation and 0.2 in training"
    more["record"] = {"kept": 3}
    figure = only(history([1.0, 0.2, 0.15, 0.12, 0.1], [0.9, 0.5, 0.51, 0.51, 0.51], **more)).figure
    assert figure == "the loss is 0.51 in validation and 0.1 in training"


def test_a_validation_loss_of_0_has_not_risen() -> None:
    assert only(history([1.0, 0.5, 0.3, 0.2, 0.1], [0.5, 0.0, 0.0, 0.0, 0.0])).level == "ok"


def test_overfitting_is_looked_for_from_five_epochs_on_that_were_all_judged() -> None:
    assert only(history([1.0, 0.5, 0.3, 0.2], [0.5, 0.6, 0.9, 2.0])).level == "ok"
    context = measured(context_of(), trained=True, constant=1.0)
    rows = epochs([1.0, 0.5, 0.3, 0.2, 0.1, 0.1], [0.5, 0.6, 0.9, 2.0, 2.0, 2.0])
    del rows[0].metrics["validation.loss"]  # type: ignore[attr-defined]
    context.history = rows
    assert only(training_history(context)).level == "ok"


# -------------------------------------------------------------------------------------------------------- stopped early
@pytest.mark.parametrize(("last", "level"), [(0.4749, "notice"), (0.4751, "ok")])
def test_a_loss_that_still_fell_at_the_end(last: float, level: str) -> None:
    """By 5 % in the last tenth of the epochs: here one."""
    found = only(history([1.0, 0.8, 0.7, 0.6, 0.5, last]))
    assert found.level == level
    if level != "ok":
        assert found.figure == f"the loss still fell when training ended: from 0.5 to {last:.4g} in the last epoch"
        assert (found.place, found.value, found.measured) == ("train", last, "loss at the end")
        assert sets_of(found) == ["training.epochs=120"]


def test_the_last_tenth_of_many_epochs() -> None:
    train = [1.0] * 15 + [0.8, 0.6, 0.5, 0.45, 0.4]
    assert only(history(train)).figure.endswith("from 0.5 to 0.4 in the last 2 epochs")


def test_of_validation_where_it_is_judged() -> None:
    train = [1.0, 0.9, 0.8, 0.7, 0.6, 0.59]
    assert only(history(train, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5])).figure.endswith("from 0.6 to 0.5 in the last epoch")
    assert only(history([*train[:-1], 0.5], [1.0, 0.9, 0.8, 0.7, 0.6, 0.59])).level == "ok"


@pytest.mark.parametrize(
    ("status", "level"), [("epochs", "notice"), (None, "notice"), ("early stopping", "ok"), ("signal", "ok")]
)
def test_a_run_that_something_else_ended_did_not_end_too_soon(status: str | None, level: str) -> None:
    assert only(history([1.0, 0.8, 0.7, 0.6, 0.5, 0.4], record={"status": status})).level == level


@pytest.mark.parametrize(("constant", "level"), [(9.9, "notice"), (10.1, "ok")])
def test_a_fall_that_is_small_beside_the_best_constant_is_over(constant: float, level: str) -> None:
    assert only(history([9.0, 8.0, 2.0, 0.6, 0.5, 0.4], constant=constant)).level == level
    assert only(history([9.0, 8.0, 2.0, 0.6, 0.5, 0.375], constant=12.5)).level == "notice"  # a hundredth of it


def test_four_epochs_do_not_show_an_early_end() -> None:
    assert only(history([1.0, 0.8, 0.6, 0.4])).level == "ok"
    assert only(history([1.0, 0.8, 0.6, 0.5, 0.4])).level == "notice"


def test_a_run_that_learned_its_rows_by_heart(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 3, 90)
    run = trained(tmp_path, config(tmp_path, t=noise, data={"validation": 0.3}), "training.epochs=150")
    report = diagnose(run, trying=True)
    (ill,) = [s for s in report.symptoms if s.check == "epochs"]
    assert ill.level == "warning"
    assert ill.place == "validation"
    assert "best in epoch" in ill.figure
    stop = next(remedy for remedy in ill.cures if "early_stopping" in remedy.sets[0])
    assert stop.helps
    assert stop.loss_after is not None
    assert stop.loss_before is not None
    assert stop.loss_after < stop.loss_before
    assert report.overfit == ()
    assert report.rates == ()
    assert all(row.update is None for row in report.layers)


def test_a_run_that_went_well_and_its_model_file(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path, layers=[HIDDEN[0], HIDDEN[1]]))
    report = diagnose(run)
    assert not warned(report)
    assert report.loss < 0.5 * report.constant
    assert diagnose(run / "model.safetensors").symptoms == report.symptoms


def test_a_run_that_diverged(tmp_path: Path) -> None:
    file = values(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e4})
    report = diagnose(trained(tmp_path, file), trying=True)
    ill = next(s for s in report.symptoms if s.check == "epochs")
    assert ill.level == "warning"
    assert "diverged" in ill.figure
    slower = ill.cures[0]
    assert slower.sets[0].startswith("optimizer.learning_rate=")
    assert slower.helps
    assert slower.loss_before is not None
    assert math.isnan(slower.loss_before)


def test_a_run_that_learned_nothing(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e-6}))
    assert "learned next to nothing" in next(s for s in diagnose(run).symptoms if s.check == "epochs").why
