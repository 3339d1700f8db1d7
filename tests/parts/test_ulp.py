"""The worst places of every activation, loss and metric against numbers of mpmath, recorded by
tests/support/record_ulp.py from the sweep of tests/peers/test_ulp.py: within the same bounds, without mpmath."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ulp_cases import ACTIVATIONS, DTYPES, LOSSES, Place, label, run_activation, run_loss, run_metric

from bpcli.family import Activation, Loss, Metric

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


def test_every_part_is_recorded() -> None:
    """And for each of its results in both types: a new activation, loss or metric has to be recorded."""
    have = {(r["family"], label(r["part"])): {(p["by"], p["output"]) for p in r["places"]} for r in RECORDED}
    wanted = {("activation", label(a)): ("y", "dx") for a in ACTIVATIONS if label(a) != "softmax"}
    wanted |= {("softmax", "softmax"): ("y", "dx")} | {("loss", label(a)): ("L", "dx") for a in LOSSES}
    wanted |= {("metric", kind): ("figure",) for kind in Metric.registry}
    assert have.keys() == wanted.keys()
    assert {a for f, a in wanted if f in ("activation", "softmax")} >= set(Activation.registry)
    assert {a for f, a in wanted if f == "loss"} >= set(Loss.registry)
    for key, outputs in wanted.items():
        assert have[key] >= {(by, output) for by in DTYPES for output in outputs}
