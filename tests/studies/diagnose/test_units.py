"""From which shares on units are dead or saturated, and what is then offered."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiments_to_diagnose import config, deep, worst
from hand_diagnosis import X, context_of, dense, measured, only, sets_of, stats

from bpcli.records.diagnose import LayerStats
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import dead_units, saturated_units

INIT = {"type": "normal", "std": 9.0}
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


def test_biases_that_close_every_unit(tmp_path: Path) -> None:
    first = {"type": "dense", "units": 3, "activation": "relu", "bias": [-50.0, -50.0, 0.0]}
    file = config(tmp_path, layers=[first, {"type": "dense", "units": 3}])
    dead = worst("dead", file)
    assert dead.level == "warning"
    assert dead.value == pytest.approx(2 / 3)
    assert dead.place == "dense_1.activation"
    assert worst("weights", file).place == "dense_1.b"
    assert worst("dead", config(tmp_path, layers=deep("relu", 1))).level == "ok"
