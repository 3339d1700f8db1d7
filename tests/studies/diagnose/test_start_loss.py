"""From which figures on the loss of a start is a notice or a warning, and what is then offered."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from experiments_to_diagnose import HIDDEN, config, worst
from hand_diagnosis import CLASSES, VALUES, X, context_of, dense, measured, only, sets_of, values_of

from bpcli.studies.diagnose.diagnosis_context import open_context
from bpcli.studies.diagnose.gradients import start_loss
from bpcli.studies.diagnose.short_runs import loss_at_zero

INIT = {"type": "normal", "std": 9.0}
SMALL_LAST = "architecture.1.init={type: normal, std: 0.01}"
BELOW = 1 - 1e-9


@pytest.mark.parametrize(
    ("times", "level"), [(0.5, "ok"), (2 * BELOW, "ok"), (2, "notice"), (4 * BELOW, "notice"), (4, "warning")]
)
def test_classes_start_at_the_loss_of_knowing_nothing(times: float, level: str) -> None:
    context = measured(context_of(), loss=times * math.log(3), constant=0.5)
    found = only(start_loss(context))
    assert (found.level, found.check, found.place) == (level, "start", "")
    assert found.value == pytest.approx(times)
    assert found.figure == f"the loss starts at {times * math.log(3):.4g}; with all outputs 0 it would be 1.09861, ln 3"
    assert sets_of(found) == ([] if level == "ok" else [SMALL_LAST])


@pytest.mark.parametrize(
    ("loss", "level"), [(6 * BELOW, "ok"), (6.0, "notice"), (20 * BELOW, "notice"), (20.0, "warning")]
)
def test_values_start_at_the_loss_of_the_best_constant(loss: float, level: str) -> None:
    context = measured(values_of(t=VALUES + 100), loss=loss, constant=1.0)
    found = only(start_loss(context))
    assert (found.level, found.value) == (level, loss)
    assert found.figure == f"the loss starts at {loss:.4g}; the best constant prediction has 1"
    assert sets_of(found) == ([] if level == "ok" else ["data.scale_target=standardize", SMALL_LAST])


def test_a_better_constant_than_0_is_what_classes_are_judged_by() -> None:
    assert only(start_loss(measured(context_of(), loss=4.0, constant=2.0))).value == 2.0


def test_behind_an_activation_the_start_may_be_as_bad_as_with_outputs_of_0() -> None:
    """A sigmoid says 1/2 before it has learned, whatever the targets."""
    context = values_of([dense(5, "tanh"), dense(1, "sigmoid")], t=0 * VALUES)
    assert only(start_loss(measured(context, loss=0.5, constant=0.01))).value == pytest.approx(2.0)


def test_no_ratio_is_formed_where_no_loss_is_left_to_a_constant() -> None:
    found = only(start_loss(measured(values_of(), loss=7.0, constant=0.0)))
    assert (found.value, found.level) == (1.0, "ok")


def test_a_loss_that_is_not_finite_is_named() -> None:
    found = only(start_loss(measured(context_of(), loss=math.inf, constant=1.0)))
    assert (found.figure, found.level) == ("the loss is inf before the first step", "warning")


def test_one_output_has_no_ln_k() -> None:
    layers = [dense(5, "tanh"), dense(1)]
    context = context_of(layers, t=CLASSES % 2, loss="binary_cross_entropy")
    found = only(start_loss(measured(context, loss=0.7, constant=0.5)))
    assert found.figure == "the loss starts at 0.7; with all outputs 0 it would be 0.693147"


def test_a_loss_that_is_no_entropy_has_no_ln_k() -> None:
    found = only(start_loss(measured(context_of(loss="multiclass_hinge"), loss=1.5, constant=0.5)))
    assert ", ln" not in found.figure


def test_two_classes_have_a_ln_2() -> None:
    found = only(start_loss(measured(context_of([dense(2)], t=CLASSES % 2), loss=0.7, constant=0.5)))
    assert found.figure.endswith("0.693147, ln 2")


def test_what_is_trained_does_not_start() -> None:
    assert start_loss(measured(context_of(), trained=True, loss=9.0, constant=1.0)) == []


@pytest.mark.parametrize(("size", "offered"), [(0.0999, True), (0.1005, False), (4.99, False), (5.0, True)])
def test_inputs_are_scaled_where_they_are_small_or_large(size: float, offered: bool) -> None:
    x = size * np.where(X > 0, 1, -1)
    found = only(start_loss(measured(context_of(x=x), loss=9.0, constant=1.0)))
    assert sets_of(found) == ["data.scale=standardize"] * offered + [SMALL_LAST]


def test_a_start_is_mended_by_default_weights_where_they_are_off() -> None:
    context = context_of([dense(5, "tanh", init=INIT), dense(3)])
    found = only(start_loss(measured(context, loss=9.0, constant=1.0)))
    assert sets_of(found) == ["architecture.0.init=null", SMALL_LAST]


def test_a_network_that_puts_out_nothing_starts_at_ln_k(tmp_path: Path) -> None:
    layers = [HIDDEN[0], {"type": "dense", "units": 3, "init": "zeros"}]
    context = open_context(config(tmp_path, layers=layers))
    assert context.loss == pytest.approx(math.log(3), abs=1e-12)
    assert loss_at_zero(context) == pytest.approx(math.log(3), abs=1e-12)
    assert "ln 3" in worst("start", tmp_path / "net.yaml").figure


def test_a_loss_that_starts_sure_of_something_wrong(tmp_path: Path) -> None:
    last = {"type": "dense", "units": 3, "init": {"type": "normal", "std": 20}}
    file = config(tmp_path, layers=[HIDDEN[0], last])
    assert worst("start", file).level == "warning"
    assert worst("start", config(tmp_path)).level == "ok"
