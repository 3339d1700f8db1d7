"""The worst places of every activation, loss and metric against numbers of mpmath, recorded by
tests/support/record_ulp.py from the sweep of tests/peers/test_ulp.py: within the same bounds, without mpmath."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ulp_cases import ACTIVATIONS, DTYPES, LOSSES, Place, label, run_activation, run_loss, run_metric

from bpcli.family import Metric

RECORDED = json.loads((Path(__file__).parent / "ulp.json").read_text())["parts"]


def found(family: str, place: Place) -> float:
    """Returns the result at a place, as it is computed now."""
    case, equations, dtype = place.case, place.by == "equations", DTYPES.get(place.by, np.float64)
    if family == "metric":
        case = {**case, "output": np.asarray(case["output"], dtype)}
        return run_metric(place.spelled, case, case["batches"])
    arrays = {key: np.asarray(value, dtype) for key, value in case.items()}
    if family == "loss":
        return float(run_loss(place.spelled, arrays, equations=equations)[place.index])
    x = arrays["x"].reshape(1, -1)
    both = run_activation(place.spelled, x, arrays.get("dy", np.ones(1)).reshape(1, -1), equations=equations)
    return float(np.concatenate([both["y"], both["dx"]], axis=1)[0, place.index])


@pytest.mark.parametrize("recorded", RECORDED, ids=[f"{r['family']} {label(r['part'])}" for r in RECORDED])
def test_its_worst_places_are_within_their_units(recorded: dict[str, Any]) -> None:
    with np.errstate(all="ignore"):  # as the engine has it: what is too large is infinite
        for entry in recorded["places"]:
            place = Place(recorded["part"], **entry)
            assert place.measured(found(recorded["family"], place)).holds, place


def results(of: dict[str, Any]) -> set[tuple[str, str]]:
    """Returns which results of a part are recorded, each with the type that they are in."""
    return {(place["by"], place["output"]) for place in of["places"]}


@pytest.mark.parametrize("recorded", RECORDED, ids=[f"{r['family']} {label(r['part'])}" for r in RECORDED])
def test_each_result_is_recorded_in_both_types(recorded: dict[str, Any]) -> None:
    outputs = {"loss": ("L", "dx"), "metric": ("figure",)}.get(recorded["family"], ("y", "dx"))
    assert results(recorded) >= {(by, output) for by in DTYPES for output in outputs}


@pytest.mark.peers
def test_every_part_is_recorded() -> None:
    """What is new is recorded where mpmath is installed; elsewhere it is right by the laws."""
    have = {(r["family"], label(r["part"])) for r in RECORDED}
    wanted = {("activation", label(a)) for a in ACTIVATIONS} | {("loss", label(a)) for a in LOSSES}
    wanted |= {("softmax", "softmax")} | {
        ("metric", kind) for kind, leaf in Metric.registry.items() if not leaf.of_losses
    }
    assert have == wanted, "`python tests/support/record_ulp.py` writes tests/parts/ulp.json anew"
