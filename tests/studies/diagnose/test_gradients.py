"""From which figures on a gradient or a first step is a notice or a warning, and what is then offered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import config, deep, worst
from hand_diagnosis import X, context_of, dense, measured, only, sets_of, stats

from bpcli.records.diagnose import Symptom
from bpcli.studies.diagnose.diagnosis_context import open_context
from bpcli.studies.diagnose.gradients import first_step_size, gradient_flow, learning_layers, severity

INIT = {"type": "normal", "std": 9.0}
CLIP = "clipping={type: global_norm, max_norm: 1.0}"
ADAM = "optimizer={type: adam, learning_rate: 0.001}"


def test_a_figure_is_judged_from_its_bounds_on() -> None:
    levels = [severity(v, 1.0, 2.0) for v in (-5.0, 0.999, 1.0, 1.999, 2.0, math.inf, math.nan)]
    assert levels == ["ok", "ok", "notice", "notice", "warning", "warning", "warning"]


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


RELU = [dense(4, "relu"), dense(4, "relu"), dense(4, "relu"), dense(3)]


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


def test_the_first_step_of_sgd_is_rate_times_gradient(tmp_path: Path) -> None:
    file = config(tmp_path, optimizer={"type": "sgd", "learning_rate": 0.25}, training={"batch_size": "full"})
    rows = {row.layer: row for row in open_context(file).layer_stats}
    context = open_context(file)
    probe = context.probe
    probe.measure(context.theta, context.states)
    gradients, weights = probe.objective.network.gradients(), probe.objective.network.parameters()
    for layer in ("dense_1", "dense_2"):
        expected = 0.25 * np.linalg.norm(gradients[f"{layer}.W"]) / np.linalg.norm(weights[f"{layer}.W"])
        assert rows[layer].update == pytest.approx(expected, rel=1e-9)


def test_the_factor_a_layer_is_that_of_the_norms(tmp_path: Path) -> None:
    file = config(tmp_path, layers=deep("sigmoid"))
    context = open_context(file)
    norms = [row.gradient for row in context.layer_stats if row.kind == "dense"]
    assert norms[0] is not None
    assert norms[-1] is not None
    assert worst("gradients", file).value == pytest.approx((norms[0] / norms[-1]) ** (1 / 9), rel=1e-12)


def test_gradients_vanish_in_a_deep_sigmoid_net(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "learning_rate": 0.1}
    ill = worst("gradients", config(tmp_path, layers=deep("sigmoid"), optimizer=sgd))
    assert ill.level == "warning"
    assert "vanishes" in ill.why
    assert ill.value is not None
    assert ill.value < 0.35
    assert any("architecture.0.activation=relu" in remedy.sets for remedy in ill.cures)
    assert worst("gradients", config(tmp_path, layers=deep("relu"), optimizer=sgd)).level == "ok"


def test_adam_evens_out_a_gradient_that_vanishes(tmp_path: Path) -> None:
    found = worst("gradients", config(tmp_path, layers=deep("sigmoid", 6)))
    assert found.level == "notice"
    assert "adam evens it out" in found.why


def test_gradients_explode_where_weights_are_large(tmp_path: Path) -> None:
    ill = worst("gradients", config(tmp_path, layers=deep("relu", init={"type": "normal", "std": 1.5})))
    assert ill.level == "warning"
    assert "explodes" in ill.why
    assert ill.cures[0].sets == tuple(f"architecture.{i}.init=null" for i in range(1, 9))  # the first has 4 inputs


def test_no_gradient_reaches_a_network_of_zeros(tmp_path: Path) -> None:
    hidden = {"type": "dense", "units": 4, "activation": "tanh", "init": "zeros"}
    layers = [hidden, {"type": "dense", "units": 1, "init": "zeros"}]
    file = config(tmp_path, t=[[-1.0], [1.0]] * 45, layers=layers, loss="mean_squared_error", data={})
    symptom = worst("gradients", file)
    assert (symptom.level, symptom.figure) == ("warning", "no gradient at all reaches any layer")


def test_steps_longer_than_the_weights(tmp_path: Path) -> None:
    ill = worst("steps", config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e3}))
    assert ill.level == "warning"
    assert ill.value is not None
    assert ill.value > 10
    still = worst("steps", config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e-7}))
    assert still.level == "warning"
    assert still.value is not None
    assert still.value < 1e-6
    assert worst("steps", config(tmp_path)).level == "ok"
