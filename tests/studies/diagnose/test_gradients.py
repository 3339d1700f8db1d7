"""From which figures on a start, a gradient, a unit or a step is a notice or a warning, and what is then offered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hand_diagnosis import CLASSES, VALUES, X, context_of, dense, measured, sets_of, stats, values_of

from bpcli.records.diagnose import LayerStats, Symptom
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import (
    dead_units,
    first_step_size,
    gradient_flow,
    learning_layers,
    saturated_units,
    severity,
    start_loss,
)

INIT = {"type": "normal", "std": 9.0}
CLIP = "clipping={type: global_norm, max_norm: 1.0}"
ADAM = "optimizer={type: adam, learning_rate: 0.001}"
SMALL_LAST = "architecture.1.init={type: normal, std: 0.01}"
BELOW = 1 - 1e-9


def only(found: list[Symptom]) -> Symptom:
    (symptom,) = found
    return symptom


def test_a_figure_is_judged_from_its_bounds_on() -> None:
    levels = [severity(v, 1.0, 2.0) for v in (-5.0, 0.999, 1.0, 1.999, 2.0, math.inf, math.nan)]
    assert levels == ["ok", "ok", "notice", "notice", "warning", "warning", "warning"]


# --------------------------------------------------------------------------------------------------------------- start
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


# ------------------------------------------------------------------------------------------------------------ gradient
FOUR = [dense(4, "sigmoid"), dense(4, "sigmoid"), dense(4, "sigmoid"), dense(3)]


def flow(first: float | None, last: float | None, *, layers: Any = FOUR, errors: tuple[float, float] =
         (1.0, 1.0), updates: tuple[Any, Any] = (None, None), trained: bool = False, loss: float = 9.0,
         middle: Any = 1.0, **more: Any) -> Symptom:  # fmt: skip
    """Of a net whose first and last dense layer have these norms of gradient, errors and updates."""
    context = context_of(layers, **more)
    count = len(layers)
    rows = [stats(f"dense_{k}", middle) for k in range(2, count)]
    outer = [stats(f"dense_{k}", g, error=e, update=u) for k, g, e, u in
            zip((1, count), (first, last), errors, updates, strict=True)]  # fmt: skip
    rows = [outer[0], *rows, outer[1]]
    return only(gradient_flow(measured(context, trained=trained, loss=loss, constant=2.0, layer_stats=tuple(rows))))


REMEDIES_OF_VANISHING = [
    "architecture.0.activation=relu; architecture.1.activation=relu; architecture.2.activation=relu",
    "architecture=[{type: dense, units: 4}, batch_norm, sigmoid, {type: dense, units: 4}, batch_norm, sigmoid, "
    "{type: dense, units: 4}, batch_norm, sigmoid, {type: dense, units: 3}]",
    "architecture=[" + "{type: residual, layers: [{type: dense, units: 4, activation: sigmoid}]}, " * 3
    + "{type: dense, units: 3}]",
    ADAM,
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "level"),
    [(0.101, "ok"), (0.0999, "notice"), (0.01001, "notice"), (0.00999, "warning")],
)
def test_a_gradient_that_vanishes(first: float, level: str) -> None:
    found = flow(first, 1.0)
    assert (found.level, found.place) == (level, "dense_1 to dense_4")
    assert found.value == pytest.approx(first ** (1 / 3), rel=1e-12)
    assert found.figure == (
        f"from dense_4 back to dense_1 the gradient goes from 1 to {first:.3g}, a factor of {first ** (1 / 3):.3g} a "
        "layer"
    )
    assert sets_of(found) == ([] if level == "ok" else REMEDIES_OF_VANISHING)
    assert ("vanishes" in found.why) is (level != "ok")


def test_a_small_loss_in_each_of_many_layers_does_not_vanish() -> None:
    layers = [*[dense(4, "sigmoid")] * 7, dense(3)]
    assert flow(0.005, 1.0, layers=layers).level == "warning"  # 0.47 a layer
    assert flow(0.009, 1.0, layers=layers).level == "ok"  # 0.51 a layer
    assert flow(0.0625, 1.0, layers=[*[dense(4, "sigmoid")] * 4, dense(3)]).level == "ok"  # 0.5 a layer


def test_only_the_first_over_the_last_gradient_counts() -> None:
    assert flow(0.5, 5.0 - 1e-9).level == "ok"
    assert flow(0.5, 5.0 + 1e-9).level == "notice"


@pytest.mark.parametrize(
    ("updates", "evened"),
    [((1e-3, 1e-3), True), ((1e-4, 1e-3), True), ((0.99e-4, 1e-3), False), ((1e-6, 1e-6), True),
     ((0.9e-6, 1e-6), False), ((1e-3, 1e-5), True), ((None, 1e-3), False), ((1e-3, None), False), ((0.0, 0.0), False)],
)  # fmt: skip
def test_steps_of_about_one_length_even_a_vanishing_gradient_out(updates: Any, evened: bool) -> None:
    found = flow(1e-5, 1.0, updates=updates, optimizer="adam")
    assert found.level == ("notice" if evened else "warning")
    assert ("adam evens it out, as its steps say (" in found.why) is evened
    if evened:
        assert found.why.endswith(f"({updates[0]:.1g} and {updates[1]:.1g} of the weights)")


def test_what_is_no_warning_is_not_evened_out() -> None:
    found = flow(0.05, 1.0, updates=(1e-3, 1e-3))
    assert found.level == "notice"
    assert "evens" not in found.why


@pytest.mark.parametrize(("first", "level"), [(9.99, "ok"), (10.01, "notice"), (99.9, "notice"), (100.1, "warning")])
def test_a_gradient_that_explodes(first: float, level: str) -> None:
    layers = [dense(4, "tanh", init=INIT), dense(4, "tanh"), dense(4, "tanh"), dense(3)]
    found = flow(first, 1.0, layers=layers)
    assert found.level == level
    assert found.value == pytest.approx(first ** (1 / 3), rel=1e-12)
    assert ("explodes" in found.why) is (level != "ok")
    if level != "ok":
        init, norms, clip = sets_of(found)
        assert (init, clip) == ("architecture.0.init=null", CLIP)
        assert norms.count("batch_norm") == 3
        assert found.figure.startswith("from dense_4 back to dense_1 the gradient goes from 1 to ")


def test_a_small_growth_in_each_of_many_layers_does_not_explode() -> None:
    layers = [*[dense(4, "tanh")] * 7, dense(3)]
    assert flow(2.01**7, 1.0, layers=layers).level == "warning"
    assert flow(1.99**7, 1.0, layers=layers).level == "ok"
    assert flow(16.0, 1.0, layers=layers[-5:]).level == "ok"  # 2 a layer


@pytest.mark.parametrize(("error", "level"), [(9.9, "ok"), (10.1, "notice"), (99.0, "notice"), (101.0, "warning")])
def test_an_error_that_explodes_where_the_gradients_of_weights_do_not(error: float, level: str) -> None:
    """The norm of dL/dy of a row: its root mean square times the root of the units, 16 in the first and 4 in the
    last."""
    layers = [dense(16, "relu"), dense(4, "relu"), dense(4)]
    context = {"layers": layers, "t": np.arange(len(X)) % 4}
    found = flow(1.0, 1.0, errors=(error * 3 / 2, 3.0), **context)
    assert found.level == level
    rate = error ** (1 / 2) if level != "ok" else 1.0
    assert found.value == pytest.approx(rate, rel=1e-9)
    if level != "ok":
        assert found.figure == f"from dense_3 back to dense_1 dL/dy grows by a factor of {rate:.3g} a layer"


def test_the_larger_growth_is_shown_of_error_and_gradient() -> None:
    found = flow(1e6, 1.0, errors=(1e3, 1.0))
    assert found.value == pytest.approx(100.0)
    assert "the gradient goes from 1 to 1e+06" in found.figure
    found = flow(256.0, 1.0, errors=(256.0, 1.0), layers=[*[dense(3, "tanh")] * 4, dense(3)])
    assert "the gradient goes from 1 to 256" in found.figure


@pytest.mark.parametrize(("loss", "trained", "level"), [
    (0.999, True, "notice"), (1.0, True, "warning"), (1.2, True, "warning"), (0.1, False, "warning"),
])  # fmt: skip
def test_what_has_learned_all_the_same_is_a_notice(loss: float, trained: bool, level: str) -> None:
    assert flow(1e-4, 1.0, loss=loss, trained=trained).level == level
    assert flow(1e-4**-1, 1.0, loss=loss, trained=trained).level == level
    assert flow(1.0, 1.0, loss=loss, trained=trained).level == "ok"


def test_the_layers_a_gradient_has_to_reach_are_those_with_weights() -> None:
    layers = [dense(4), "batch_norm", "relu", {"type": "residual", "layers": [dense(4, "relu")]}, dense(3)]
    context = context_of(layers)
    names = [row.layer for row in learning_layers(context)]
    assert names == ["dense_1", "residual_1.dense_1", "dense_2"]


def reach(*norms: float | None, loss: float = 9.0, constant: float = 2.0) -> Symptom:
    layers = [dense(4, "relu", init=INIT), *[dense(4, "relu")] * (len(norms) - 2), dense(3)][-len(norms) :]
    rows = tuple(stats(f"dense_{k + 1}", norm) for k, norm in enumerate(norms))
    return only(gradient_flow(measured(context_of(layers), loss=loss, layer_stats=rows, constant=constant)))


def test_of_two_layers_no_factor_is_formed() -> None:
    found = reach(1e-6, 3.0)
    assert (found.figure, found.level, found.place) == ("gradients of 1e-06 to 3", "ok", "")
    assert reach(3.0, 1e-6).figure == "gradients of 1e-06 to 3"


def test_of_one_layer_its_gradient_is_shown() -> None:
    assert reach(0.25).figure == "a gradient of 0.25"


def test_a_network_without_weights_has_no_gradient() -> None:
    assert only(gradient_flow(measured(context_of(), layer_stats=()))).figure == "a gradient of 0"


def test_no_gradient_anywhere_is_right_where_all_is_learned() -> None:
    found = reach(0.0, 0.0, 0.0, loss=0.99)
    assert (found.level, found.figure) == ("ok", "gradients of 0 to 0")
    found = reach(0.0, 0.0, 0.0, loss=1.0)
    assert (found.level, found.figure, found.place) == ("warning", "no gradient at all reaches any layer", "dense_1")
    assert reach(0.0, 0.0, 1.0, loss=0.1).figure == "no gradient at all reaches dense_1, dense_2"


def test_layers_that_no_gradient_reaches_are_named() -> None:
    found = reach(0.0, None, 2.0)
    assert found.figure == "no gradient at all reaches dense_1, dense_2"
    assert (found.level, found.place) == ("warning", "dense_1")
    assert sets_of(found) == ["architecture.0.activation=leaky_relu; architecture.1.activation=leaky_relu",
                              "architecture.0.init=null"]  # fmt: skip
    assert reach(0.0, 1.0, 2.0).place == "dense_1"
    assert reach(2.0, 2.0, 0.0).place == "dense_3"


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite(bad: float) -> None:
    found = reach(2.0, bad, bad)
    assert found.figure == "the gradient is not finite in dense_2, dense_3"
    assert (found.level, found.place) == ("warning", "dense_2")
    assert sets_of(found) == ["architecture.0.init=null", "data.scale=standardize"]


# --------------------------------------------------------------------------------------------------------------- units
RELU = [dense(4, "relu"), dense(4, "relu"), dense(4, "relu"), dense(3)]
TANH = [dense(4, "tanh"), dense(4, "tanh"), dense(4, "tanh"), dense(3, "sigmoid")]


def units(context: DiagnosisContext, figure: str, *shares: float | None) -> DiagnosisContext:
    rows: list[LayerStats] = []
    for k, share in enumerate(shares):
        kind = "tanh" if figure == "saturated" else "relu"
        rows.append(stats(f"dense_{k + 1}.activation", None, kind=kind, **{figure: share}))
    return measured(context, layer_stats=tuple(rows))


@pytest.mark.parametrize(
    ("share", "level"), [(0.0, "ok"), (0.199, "ok"), (0.2, "notice"), (0.399, "notice"), (0.4, "warning")]
)
def test_units_that_no_row_opens(share: float, level: str) -> None:
    found = only(dead_units(units(context_of(RELU), "dead", share)))
    assert (found.level, found.value, found.place) == (level, share, "dense_1.activation")
    if level == "ok":
        assert found.figure == f"at most {share:.0%} of a layer's units are closed for all 24 rows"
        assert (found.why, found.cures) == ("", ())
    else:
        assert found.figure == f"{share:.0%} of its units are closed for all 24 rows"
        assert sets_of(found)[0].split("; ")[2] == "architecture.2.activation=leaky_relu"
        assert "batch_norm" in sets_of(found)[1]
        assert len(found.cures) == 2


def test_the_layer_with_most_dead_units_is_shown_and_how_many_others_have_many() -> None:
    context = context_of(RELU)
    found = only(dead_units(units(context, "dead", 0.2, 0.9, 0.199)))
    assert found.place == "dense_2.activation"
    assert found.figure.endswith("rows; over 20% in dense_1.activation too")
    found = only(dead_units(units(context, "dead", 0.2, 0.9, 0.3)))
    assert found.figure.endswith("rows; over 20% in 2 more layers too")


def test_only_hidden_units_can_be_dead() -> None:
    context = context_of([dense(4, "relu"), dense(3, "relu")])
    assert only(dead_units(units(context, "dead", 0.1, 0.9))).place == "dense_1.activation"
    assert dead_units(units(context, "dead", None, 0.9)) == []


def test_units_are_opened_by_scaled_inputs_and_default_weights_where_these_are_off() -> None:
    layers = [dense(4, "relu", init=INIT), dense(3)]
    context = context_of(layers, x=9 * X)
    for figure, check in (("dead", dead_units), ("saturated", saturated_units)):
        sets = sets_of(only(check(units(context, figure, 0.9))))
        assert "data.scale=standardize" in sets
        assert "architecture.0.init=null" in sets


@pytest.mark.parametrize(
    ("share", "trained", "level"),
    [(0.249, False, "ok"), (0.25, False, "notice"), (0.499, False, "notice"), (0.5, False, "warning"),
     (0.5, True, "notice"), (0.3, True, "notice"), (0.1, True, "ok")],
)  # fmt: skip
def test_outputs_near_the_ends_of_their_range(share: float, trained: bool, level: str) -> None:
    context = measured(context_of(TANH), trained=trained)
    found = only(saturated_units(units(context, "saturated", share)))
    assert (found.level, found.value, found.place) == (level, share, "dense_1.activation")
    if level == "ok":
        assert found.figure == f"at most {share:.0%} of a layer's outputs are at the ends of its range"
        assert (found.why, found.cures) == ("", ())
    else:
        assert found.figure == f"{share:.0%} of its outputs are at the ends of tanh"
        assert "batch_norm" in sets_of(found)[0]
        assert sets_of(found)[1].startswith("architecture.0.activation=relu; architecture.1.activation=relu")
        assert len(found.cures) == 2


def test_the_most_saturated_layer_is_shown_and_how_many_others_are_so() -> None:
    context = context_of(TANH)
    assert only(saturated_units(units(context, "saturated", 0.0, 0.7, 0.1))).place == "dense_2.activation"
    found = only(saturated_units(units(context, "saturated", 0.25, 0.9, 0.249)))
    assert found.figure.endswith("of tanh; over 25% in dense_1.activation too")


def test_the_last_layer_is_meant_to_saturate_once_it_has_learned() -> None:
    context = context_of(TANH)
    assert only(saturated_units(units(context, "saturated", 0.1, 0.1, 0.1, 0.9))).place == "dense_4.activation"
    measured(context, trained=True)
    assert only(saturated_units(units(context, "saturated", 0.1, 0.2, 0.1, 0.9))).place == "dense_2.activation"
    assert saturated_units(units(context, "saturated", None, None, None, 0.9)) == []


# --------------------------------------------------------------------------------------------------------------- steps
def first_steps(*updates: float | None, **more: Any) -> list[Symptom]:
    context = context_of(RELU, **more)
    rows = tuple(stats(f"dense_{k + 1}", update=update) for k, update in enumerate(updates))
    return first_step_size(measured(context, layer_stats=rows))


@pytest.mark.parametrize(("high", "level"), [(0.999, "ok"), (1.0, "notice"), (9.99, "notice"), (10.0, "warning")])
def test_a_first_step_that_is_longer_than_the_weights(high: float, level: str) -> None:
    found = only(first_steps(1e-3, high, 1e-4))
    assert (found.level, found.place, found.value) == (level, "dense_2", high)
    if level != "ok":
        assert found.figure == f"the first step moves its weights by {high:.2g} of their size"
    else:
        assert found.figure == "the first step moves weights by 0.0001 to 1 of their size"


def test_a_long_step_is_shortened_to_a_twentieth_of_the_weights() -> None:
    """At the rate 0.1, from a step of five times the weights to one of 0.05: 0.001."""
    assert sets_of(only(first_steps(5.0))) == ["optimizer.learning_rate=0.001", CLIP]
    assert sets_of(only(first_steps(2.5))) == ["optimizer.learning_rate=0.002", CLIP]
    assert sets_of(only(first_steps(5.0, optimizer="lbfgs", training={"batch_size": "full"}))) == []


@pytest.mark.parametrize(("low", "level"), [(1.01e-6, "ok"), (1e-6, "ok"), (0.99e-6, "warning"), (0.0, "warning")])
def test_a_first_step_that_changes_nothing(low: float, level: str) -> None:
    found = only(first_steps(1e-3, low, 1e-2))
    assert found.level == level
    if level == "ok":
        assert found.value == 1e-2
        assert found.place == "dense_3"
    else:
        assert (found.value, found.place) == (low, "dense_2")
        assert found.figure == f"the first step moves its weights by {low:.2g} of their size, and about 0.001 is usual"
        assert sets_of(found) == [ADAM]


@pytest.mark.parametrize(
    ("high", "sets"),
    [(0.5e-6, ["optimizer.learning_rate=200.0", ADAM]), (0.99e-9, [ADAM]),
     (1.1e-9, ["optimizer.learning_rate=100000.0", ADAM]),
     (9.9e-6, ["optimizer.learning_rate=10.0", ADAM]), (1.01e-5, [ADAM])],
)  # fmt: skip
def test_a_short_step_is_lengthened_to_a_thousandth_where_all_layers_are_slow(high: float, sets: list[str]) -> None:
    assert sets_of(only(first_steps(high, min(high, 1e-8)))) == sets


def test_one_length_of_all_layers_is_no_span() -> None:
    assert only(first_steps(0.02, 0.02)).figure == "the first step moves weights by 0.02 of their size"


def test_where_no_step_was_measured_nothing_is_said() -> None:
    assert first_steps(None, None) == []
    assert only(first_steps(None, 0.02)).place == "dense_2"
