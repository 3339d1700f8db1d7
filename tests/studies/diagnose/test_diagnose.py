"""Diagnoses of whole experiments: what trains well is not called ill, and what is found and offered fits and stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from experiments_to_diagnose import CLASSES, X, config, deep, values, warned, worst
from paths import CONFIGS

from bpcli.studies.diagnose.diagnose import diagnose
from bpcli.studies.run.setup import set_up


# ------------------------------------------------------------------------------------------------------ no false alarm
@pytest.mark.parametrize(
    "name",
    ["article", "breast_cancer", "diabetes", "diabetes_lbfgs", "digits", "iris", "sine_lm", "spirals", "wine", "xor",
     "classics/encoder", "classics/parity", "classics/symmetry", "classics/xor"],
)  # fmt: skip
def test_what_trains_well_is_not_called_ill(name: str) -> None:
    report = diagnose(CONFIGS / f"{name}.yaml")
    assert not warned(report), [s for s in report.symptoms if s.level == "warning"]


@pytest.mark.parametrize("seed", range(8))
def test_no_seed_makes_a_healthy_network_ill(seed: int, tmp_path: Path) -> None:
    assert not warned(diagnose(config(tmp_path, data={"validation": 0.2}, seed=seed)))
    assert not warned(diagnose(values(tmp_path, seed=seed)))
    assert not warned(diagnose(config(tmp_path, layers=deep("relu", 5), seed=seed)))


# ------------------------------------------------------------------------------------------------------------ symptoms
def test_no_gradient_passes_a_layer_of_zeros(tmp_path: Path) -> None:
    file = config(tmp_path, x=X[:-9], t=CLASSES[:-9], layers=deep("relu", 3, init="zeros"))  # the last bias learns
    assert worst("gradients", file).level == "warning"
    alike = worst("weights", file)
    assert alike.level == "warning"
    assert "same weights" in alike.figure
    assert len(alike.cures[0].sets) == 3


def test_large_inputs_saturate_units(tmp_path: Path) -> None:
    file = config(tmp_path, x=(60 * X).round(2))
    assert worst("inputs", file).level == "warning"
    ill = worst("saturated", file)
    assert ill.level == "warning"
    assert ill.cures[0].sets == ("data.scale=standardize",)
    for check in ("inputs", "saturated"):
        assert worst(check, file, ["data.scale=standardize"]).level == "ok"


# ------------------------------------------------------------------------------------------------------------ remedies
def test_every_remedy_is_a_setting_that_fits(tmp_path: Path) -> None:
    """Whatever is suggested can be typed: every remedy of every ill config loads."""
    ill = [
        (deep("sigmoid"), {"optimizer": {"type": "sgd", "learning_rate": 1e-5}}),
        (deep("relu", init={"type": "normal", "std": 1.5}), {"x": 100 * X}),
        (deep("tanh", 4, init="zeros"), {"optimizer": {"type": "momentum", "learning_rate": 1e3}}),
    ]
    tried = 0
    for layers, more in ill:
        file = config(tmp_path, layers=layers, **more)
        for symptom in diagnose(file).symptoms:
            for remedy in symptom.cures:
                set_up(file, remedy.sets)
                tried += 1
    assert tried > 15


def test_the_same_file_gives_the_same_findings(tmp_path: Path) -> None:
    file = config(tmp_path, layers=deep("sigmoid", 3), optimizer={"type": "sgd", "learning_rate": 30.0})
    first, second = diagnose(file, trying=True), diagnose(file, trying=True)
    assert repr(replace(first, seconds=0)) == repr(replace(second, seconds=0))  # nan too


def test_numbers_that_overflow_are_a_finding_and_no_accident(tmp_path: Path) -> None:
    report = diagnose(config(tmp_path, x=1e30 * X, layers=deep("relu", 2), dtype="float32"))
    assert {"inputs", "start"} <= warned(report)
