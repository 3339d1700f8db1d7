"""Which settings are offered, as they are typed, and to which experiments they are not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from experiments_to_diagnose import config, loaded
from hand_diagnosis import ROWS, X, context_of, dense, values_of
from own_parts import own as own

from bpcli.records.diagnose import Remedy
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.remedies import rounded

LBFGS: dict[str, Any] = {"optimizer": "lbfgs", "training": {"batch_size": "full"}}


def typed(found: list[Remedy]) -> list[str]:
    assert all(remedy.text for remedy in found)
    return ["; ".join(remedy.sets) for remedy in found]


@pytest.mark.parametrize(
    ("value", "nearest"),
    [(1.0, 1.0), (1.414, 1.0), (1.415, 2.0), (3.16, 2.0), (3.17, 5.0), (7.07, 5.0), (7.08, 10.0), (0.01, 0.01),
     (0.0015, 0.002), (0.0071, 0.01), (123.0, 100.0), (9.9e-7, 1e-6)],
)  # fmt: skip
def test_rates_are_rounded_to_1_2_or_5_by_their_ratio(value: float, nearest: float) -> None:
    assert remedies.rounded(value) == nearest


def test_what_is_no_rate_is_not_rounded() -> None:
    assert remedies.rounded(0.0) == 0.0
    assert remedies.rounded(math.inf) == math.inf
    assert math.isnan(remedies.rounded(math.nan))


def with_rate(rate: Any) -> DiagnosisContext:
    return context_of(optimizer={"type": "adam", "learning_rate": rate})


@pytest.mark.parametrize(
    ("rate", "path"),
    [
        (0.3, "optimizer.learning_rate"),
        ({"type": "cosine", "start": 0.3}, "optimizer.learning_rate.start"),
        ({"type": "one_cycle", "peak": 0.3}, "optimizer.learning_rate.peak"),
        ({"type": "constant", "value": 0.3}, "optimizer.learning_rate"),
        ({"type": "warmup", "steps": 3, "then": 0.3}, "optimizer.learning_rate.then"),
        (
            {"type": "warmup", "steps": 3, "then": {"type": "cosine", "start": 0.3}},
            "optimizer.learning_rate.then.start",
        ),
    ],
)
def test_a_rate_is_set_where_the_schedule_has_its_greatest(rate: Any, path: str) -> None:
    (remedy,) = remedies.set_rate(with_rate(rate), 0.0034, "slower")
    assert remedy == Remedy((f"{path}=0.005",), "slower")


def test_what_has_no_rate_gets_none_and_no_bound_on_its_gradient() -> None:
    assert remedies.set_rate(context_of(**LBFGS), 0.1, "slower") == []
    assert remedies.clip_gradient(context_of(**LBFGS)) == []


def test_a_gradient_is_clipped_once() -> None:
    assert typed(remedies.clip_gradient(context_of())) == ["clipping={type: global_norm, max_norm: 1.0}"]
    assert remedies.clip_gradient(context_of(clipping={"type": "value", "limit": 1.0})) == []


@pytest.mark.parametrize(("kind", "offered"), [("sgd", True), ("momentum", True), ("adam", False), ("rmsprop", False)])
def test_adam_in_place_of_an_optimizer_with_one_rate(kind: str, offered: bool) -> None:
    context = context_of(optimizer={"type": kind, "learning_rate": 0.1})
    assert typed(remedies.use_adam(context)) == ["optimizer={type: adam, learning_rate: 0.001}"] * offered
    assert remedies.use_adam(context_of(**LBFGS)) == []


def test_inputs_are_scaled_once_and_images_by_one_scale() -> None:
    assert typed(remedies.scale_inputs(context_of())) == ["data.scale=standardize"]
    assert remedies.scale_inputs(context_of(sets=["data.scale=minmax"])) == []
    image = ["data.scale={type: standardize, per: all}"]
    flat = ["flatten", dense(3)]
    assert typed(remedies.scale_inputs(context_of(flat, x=X.reshape(ROWS, 2, 2)))) == image
    wide = [[float(i + j) for j in range(64)] for i in range(ROWS)]
    assert typed(remedies.scale_inputs(context_of(x=wide))) == image
    assert typed(remedies.scale_inputs(context_of(x=[row[:63] for row in wide]))) == ["data.scale=standardize"]


def test_many_columns_of_a_table_are_no_image(tmp_path: Any) -> None:
    header = ",".join(f"c{j}" for j in range(64))
    lines = [f"{header},kind", *(",".join(str(i * j % 7) for j in range(64)) + f",k{i % 3}" for i in range(ROWS))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    data = {"train": {"type": "csv", "path": str(tmp_path / "rows.csv"), "target": "kind"}}
    assert typed(remedies.scale_inputs(context_of(data=data))) == ["data.scale=standardize"]


def test_targets_are_scaled_once() -> None:
    assert typed(remedies.scale_targets(values_of())) == ["data.scale_target=standardize"]
    assert remedies.scale_targets(values_of(sets=["data.scale_target=minmax"])) == []


def test_initializers_of_the_file_are_left_out() -> None:
    layers = [dense(5, init="he_normal"), dense(5), dense(2, weights=[[0.5, 0.1]] * 5), dense(3, init="zeros")]
    context = context_of(layers)
    nodes = context.network_plan.layers
    sets = "architecture.0.init=null; architecture.2.weights=null; architecture.3.init=null"
    assert typed(remedies.default_initializers(context, nodes)) == [sets]
    assert remedies.default_initializers(context, nodes[1:2]) == []


def test_the_last_layer_that_learns_starts_small() -> None:
    small = "={type: normal, std: 0.01}"
    assert typed(remedies.small_last_layer(context_of())) == [f"architecture.1.init{small}"]
    assert typed(remedies.small_last_layer(context_of([dense(5), dense(3), "relu"]))) == [f"architecture.1.init{small}"]
    assert remedies.small_last_layer(context_of([dense(5), dense(3, weights=[[0.5, 0.1, 0.3]] * 5)])) == []
    assert remedies.small_last_layer(context_of([dense(3), "batch_norm"])) == []


def test_hidden_activations_are_those_before_the_last_layer_that_learns() -> None:
    layers = [dense(4, "tanh"), "relu", {"type": "residual", "layers": [dense(4, "sigmoid")]}, dense(3), "softplus"]
    found = [node.path for node in remedies.hidden_activations(context_of(layers))]
    assert found == ["dense_1.activation", "relu_1", "residual_1.dense_1.activation"]
    assert list(remedies.hidden_activations(context_of([dense(3, "relu")]))) == []


def test_activations_are_replaced_by_how_many_ends_of_theirs_are_flat() -> None:
    layers = [dense(4, "tanh"), "relu", dense(4), "sigmoid", dense(4, "elu"), dense(4, "leaky_relu"), dense(3, "tanh")]
    context = context_of(layers)
    (both,) = remedies.replace_activations(context, "relu", "steep")
    assert both == Remedy(("architecture.0.activation=relu", "architecture.3=relu"), "steep")
    (one,) = remedies.replace_activations(context, "leaky_relu", "open")
    assert one == Remedy(("architecture.1=leaky_relu", "architecture.4.activation=leaky_relu"), "open")
    assert remedies.replace_activations(context_of([dense(4, "leaky_relu"), dense(3)]), "relu", "") == []


@pytest.mark.parametrize(("size", "norm"), [(7, "layer_norm"), (8, "batch_norm"), ("full", "batch_norm")])
def test_a_norm_is_put_before_each_hidden_activation(size: Any, norm: str) -> None:
    context = context_of(
        [dense(4, "tanh"), dense(4), dense(4, "relu"), dense(3, "tanh")], training={"batch_size": size}
    )
    assert typed(remedies.add_norms(context)) == [
        f"architecture=[{{type: dense, units: 4}}, {norm}, tanh, {{type: dense, units: 4}}, "
        f"{{type: dense, units: 4}}, {norm}, relu, {{type: dense, units: 3, activation: tanh}}]"
    ]


def test_a_config_that_says_nothing_of_batches_has_32_rows_in_each() -> None:
    assert "batch_norm" in typed(remedies.add_norms(context_of(training={"epochs": 3})))[0]
    context = context_of(training={"epochs": 3})
    context.data = {name: value for name, value in context.data.items() if name != "training"}
    assert "batch_norm" in typed(remedies.add_norms(context))[0]


@pytest.mark.parametrize("layers", [
    [dense(4), "layer_norm", "tanh", dense(3)],
    [dense(4, "tanh"), {"type": "residual", "layers": [dense(4, "tanh")]}, dense(3)],
    [dense(4), "tanh", dense(3)],
])  # fmt: skip
def test_where_a_norm_is_or_none_can_be_put_none_is_offered(layers: Any) -> None:
    assert remedies.add_norms(context_of(layers)) == []


def test_a_residual_goes_around_hidden_layers_that_keep_the_shape() -> None:
    layers = [dense(5, "tanh"), dense(5, "tanh"), dense(5), dense(5, "tanh"), dense(3)]
    inside = "{type: residual, layers: [{type: dense, units: 5, activation: tanh}]}"
    assert typed(remedies.add_residuals(context_of(layers))) == [
        f"architecture=[{{type: dense, units: 5, activation: tanh}}, {inside}, {{type: dense, units: 5}}, {inside}, "
        "{type: dense, units: 3}]"
    ]
    assert remedies.add_residuals(context_of([dense(5, "tanh"), dense(3)])) == []
    own = {"type": "residual", "layers": [dense(5, "tanh")]}
    assert remedies.add_residuals(context_of([dense(5, "tanh"), dense(5, "tanh"), own, dense(3)])) == []


def test_dropout_goes_behind_every_hidden_layer_once() -> None:
    layers = [dense(5, "tanh"), dense(5), dense(3, "tanh")]
    assert typed(remedies.add_dropout(context_of(layers))) == [
        "architecture=[{type: dense, units: 5, activation: tanh}, {type: dropout, rate: 0.3}, "
        "{type: dense, units: 5}, {type: dense, units: 3, activation: tanh}]"
    ]
    drop = {"type": "dropout", "rate": 0.1}
    assert remedies.add_dropout(context_of([dense(5, "tanh"), drop, dense(3)])) == []
    assert remedies.add_dropout(context_of([dense(5, "tanh"), dense(3)], **LBFGS)) == []


def test_hidden_layers_get_twice_the_units() -> None:
    weights = [[0.1 * i + j for j in range(6)] for i in range(5)]
    layers = [dense(5, "tanh"), dense(6, "tanh", weights=weights), dense(7), "batch_norm", dense(3)]
    assert typed(remedies.widen(context_of(layers))) == ["architecture.0.units=10; architecture.2.units=14"]
    assert remedies.widen(context_of([dense(3)])) == []


@pytest.mark.parametrize(
    ("value", "typed"), [(0.0123, 0.01), (0.0034, 0.005), (0.0018, 0.002), (8.0, 10.0), (1.0, 1.0)]
)
def test_rates_are_such_as_one_types(value: float, typed: float) -> None:
    assert rounded(value) == typed


@pytest.mark.parametrize(("without", "offered"), [("", True), ("fully_connected", False)])
def test_a_dense_layer_of_a_users_own_gets_the_remedies_of_ours(without: str, offered: bool, own: Path) -> None:
    loaded(own, without)
    layers = [{"type": "mixed", "units": 16}, "tanh", {"type": "mixed", "units": 3}]
    context = open_context(config(own, layers=layers))
    found = [remedy.sets for remedy in (*remedies.widen(context), *remedies.small_last_layer(context))]
    sets = [("architecture.0.units=32",), ("architecture.2.init={type: normal, std: 0.01}",)]
    assert found == (sets if offered else [])
