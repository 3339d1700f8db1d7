"""How weights and biases start: their size over the right one, units that are all equal, biases that outweigh rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import config, deep, worst
from hand_diagnosis import X, context_of, dense, measured, only, sets_of, values_of

from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.weights import initial_weights, off_scale, weight_scales

THREE = [dense(5, "tanh"), dense(6, "relu"), dense(3)]
RIGHT = {"dense_1.W": math.sqrt(2 / (4 + 5)), "dense_2.W": math.sqrt(2 / 5)}
"""Deviations that keep signals at their size: before tanh that of Glorot and Bengio, before relu that of He et al."""


def set_to(context: DiagnosisContext, **tensors: Any) -> DiagnosisContext:
    """The context with these weights, by path with _ for the dot; others stay."""
    context.theta = context.theta.copy()
    for name, value in tensors.items():
        path = name[::-1].replace("_", ".", 1)[::-1]
        entry = context.network_plan.entry(path)
        context.theta[entry.where] = np.broadcast_to(value, entry.shape).ravel()
    return context


def sized(first: float = 1.0, second: float = 1.0, last: float = 1.0, layers: Any = THREE) -> DiagnosisContext:
    """Weights of these sizes, over the right ones, of both signs."""
    signs = [
        np.where(np.random.default_rng(k).normal(size=s) > 0, 1, -1) for k, s in enumerate([(4, 5), (5, 6), (6, 3)])
    ]
    weights = first * RIGHT["dense_1.W"], second * RIGHT["dense_2.W"], last
    return set_to(
        context_of(layers), **{f"dense_{k + 1}_W": w * s for k, (w, s) in enumerate(zip(weights, signs, strict=True))}
    )


def test_the_size_of_weights_is_that_over_what_keeps_signals_at_theirs() -> None:
    """Of the last layer none is right or wrong: nothing comes after it."""
    scales = {entry.path: ratio for entry, ratio in weight_scales(sized(0.7, 1.6, 99.0))}
    assert scales == pytest.approx({"dense_1.W": 0.7, "dense_2.W": 1.6})
    found = only(initial_weights(sized(0.7, 1.6)))
    assert (found.level, found.check, found.place) == ("ok", "weights", "")
    assert found.figure == "weights start at 0.7 to 1.6 times the size that keeps signals at theirs"


def test_a_single_layer_has_a_size() -> None:
    context = set_to(context_of([dense(3)]), dense_1_W=0.5 * math.sqrt(2 / 7) * np.array([1, -1, 1]))
    assert only(initial_weights(context)).figure == "weights start at 0.5 times the size that keeps signals at theirs"


def test_the_last_weights_are_those_of_the_last_layer_and_not_of_the_last_branch() -> None:
    layers = [dense(4, "tanh"), {"type": "residual", "layers": [dense(4, "tanh"), dense(4)]}, dense(3)]
    paths = [entry.path for entry, _ in weight_scales(context_of(layers))]
    assert paths == ["dense_1.W", "residual_1.dense_1.W", "residual_1.dense_2.W"]


@pytest.mark.parametrize(("ratio", "off"), [(0.332, True), (0.3335, False), (1.0, False), (2.99, False), (3.01, True)])
def test_weights_a_factor_of_three_off(ratio: float, off: bool) -> None:
    assert [node.path for node in off_scale(sized(1.0, ratio))] == ["dense_2"] * off
    found = only(initial_weights(sized(1.0, ratio)))
    assert found.level == ("warning" if off else "ok")
    if off:
        assert (found.place, found.measured) == ("dense_2.W", "size of the weights, over the right one")
        assert found.value == pytest.approx(ratio)
        assert found.figure == f"dense_2.W starts {ratio:.3g} times as large as keeps signals at their size (he_normal)"
        assert ("die away" in found.why) is (ratio < 1)
        assert ("saturate" in found.why) is (ratio > 1)


def test_the_weights_farthest_off_are_shown_and_how_many_others_are() -> None:
    layers = [dense(5, "tanh", init="he_uniform"), dense(6, "relu"), dense(3)]
    found = only(initial_weights(sized(9.0, 0.1, layers=layers)))
    assert found.place == "dense_2.W"
    assert found.figure.endswith("(he_normal), and 1 more is off")
    assert sets_of(found) == ["architecture.0.init=null"]
    assert only(initial_weights(sized(11.0, 0.1, layers=layers))).place == "dense_1.W"


def test_trained_weights_do_not_start() -> None:
    assert initial_weights(measured(sized(9.0), trained=True)) == []


def test_a_network_without_matrices_has_no_size() -> None:
    assert initial_weights(values_of(["batch_norm"], t=X)) == []


# --------------------------------------------------------------------------------------------------------- equal units
EQUAL = np.array([[0.3], [-0.4], [0.5], [0.1]])  # every column alike


def test_units_that_start_with_the_same_weights() -> None:
    found = only(initial_weights(set_to(sized(), dense_1_W=EQUAL)))
    assert (found.level, found.place, found.value) == ("warning", "dense_1.W", 1.0)
    assert found.measured == "layers whose units start alike"
    assert found.figure == "all 5 units of dense_1 start with the same weights (glorot_uniform)"
    nearly = np.repeat(EQUAL, 5, axis=1)
    nearly[3, 4] += 1e-9
    assert "same" not in only(initial_weights(set_to(sized(), dense_1_W=nearly))).figure


def test_equal_filters_are_equal_units() -> None:
    conv = {"type": "conv2d", "filters": 3, "kernel": 2, "init": {"type": "constant", "value": 0.5}}
    layers = [conv, "relu", "flatten", dense(3)]
    x = np.random.default_rng(0).normal(size=(24, 3, 3, 2))
    figure = initial_weights(context_of(layers, x=x))[0].figure
    assert figure == "all 3 units of conv2d_1 start with the same weights (constant)"
    assert only(initial_weights(context_of([{**conv, "init": "he_normal"}, *layers[1:]], x=x))).level == "ok"


def test_equal_rows_are_no_equal_units() -> None:
    assert only(initial_weights(set_to(sized(), dense_1_W=0.4 * np.array([1, -1, 1, -1, 0.5])))).level == "ok"


def test_how_many_layers_have_equal_units() -> None:
    init = {"type": "constant", "value": 0.3}
    layers = [
        dense(5, "tanh", init=init),
        dense(6, "relu", init=init),
        dense(4, "tanh", init=init),
        dense(3, init=init),
    ]
    context = context_of(layers)
    found = initial_weights(set_to(context, dense_3_W=0.1 * np.arange(4)))[0]
    assert found.figure == (
        "all 5 units of dense_1 start with the same weights (constant), and so do those of 1 more layer"
    )
    assert found.value == 2.0
    assert sets_of(found) == ["architecture.0.init=null; architecture.1.init=null"]
    assert initial_weights(context_of(layers))[0].figure.endswith(", and so do those of 2 more layers")


def test_a_single_unit_and_the_last_layer_may_be_what_they_are() -> None:
    assert only(initial_weights(context_of([dense(1, "tanh"), dense(3, init="zeros")]))).level == "ok"


# -------------------------------------------------------------------------------------------------------------- biases
def moved(context: DiagnosisContext) -> float:
    """By how much the rows move the input of the first layer's units."""
    w = context.theta[context.network_plan.entry("dense_1.W").where].reshape(4, 5)
    return math.sqrt(float((context.train.x @ w).var(axis=0).mean()))


@pytest.mark.parametrize(("times", "outweighs"), [(3 - 1e-6, False), (3 + 1e-6, True), (-4, True), (0, False)])
def test_biases_that_outweigh_the_rows(times: float, outweighs: bool) -> None:
    context = sized()
    bias = times * moved(context)
    found = only(initial_weights(set_to(context, dense_1_b=bias)))
    assert found.level == ("warning" if outweighs else "ok")
    if outweighs:
        assert (found.place, found.measured, found.cures) == ("dense_1.b", "size of the biases", ())
        assert found.value == pytest.approx(abs(bias))
        words = f"dense_1.b starts at {abs(bias):.3g}, and rows move these units by {moved(context):.2g}"
        assert found.figure == words
        assert "the bias decides alone" in found.why


def test_the_size_of_biases_is_their_root_mean_square() -> None:
    context = sized()
    one = np.array([5.0, 0, 0, 0, 0]) * 3 * moved(context)
    assert only(initial_weights(set_to(context, dense_1_b=0.44 * one))).level == "ok"  # times the root of 5: 0.984
    assert only(initial_weights(set_to(context, dense_1_b=0.46 * one))).level == "warning"


def test_biases_of_the_file_can_be_left_out() -> None:
    layers = [dense(3, "relu", bias=[-50.0, -50.0, 0.0]), dense(3)]
    found = only(initial_weights(context_of(layers)))
    assert sets_of(found) == ["architecture.0.bias=true"]


def test_the_bias_of_the_last_layer_may_be_large() -> None:
    context = context_of([dense(5, "tanh"), dense(3, bias=[9.0, 9.0, 0.0])])
    assert only(initial_weights(context)).level == "ok"


def test_gains_are_no_biases() -> None:
    """Nor are those of a norm, which has no matrix of its own."""
    context = context_of([dense(5), "batch_norm", "tanh", dense(3)])
    assert only(initial_weights(set_to(context, batch_norm_1_beta=90.0))).level == "ok"


@pytest.mark.parametrize(("std", "words"), [(1.5, "saturate"), (0.01, "die away")])
def test_weights_off_their_scale(std: float, words: str, tmp_path: Path) -> None:
    layers = deep("tanh", 3, init={"type": "normal", "std": std})
    ill = worst("weights", config(tmp_path, layers=layers))
    assert ill.level == "warning"
    assert words in ill.why
    context = open_context(tmp_path / "net.yaml")
    e = context.network_plan.entry(ill.place)
    right = math.sqrt(2 / (e.param.fan_in + e.param.fan_out))
    assert ill.value == pytest.approx(np.sqrt(np.mean(context.theta[e.where] ** 2)) / right, rel=1e-12)
    assert worst("weights", config(tmp_path, layers=deep("tanh", 3))).level == "ok"
