"""What the first version wrote loads and goes on: a finished model, and a run that Ctrl-C stopped in its third epoch.

Both were made by commit 357563e from `rows.csv` and `interrupted/config.yaml`; only the paths in run.json were made
relative. `finished.safetensors` is what that version came to, with the run stopped and gone on with as with the run
uninterrupted; `predictions.json` is what its `predict` said of all rows. Bits of predictions are compared where
`processor.json` names the processor's kind, and 1e-6 elsewhere. The end of training agrees to 1e-12 in float64 (1e-6 in
float32): since the first version slopes of tanh and of losses have got their last digits.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import processor_kind

from bpcli.config.experiment import Experiment
from bpcli.family.plan import Array
from bpcli.studies.evaluation.predict import predict
from bpcli.studies.run import modelfile
from bpcli.studies.run.resume import resume

HERE = Path(__file__).parent / "fixtures" / "first_version"
SAME_BITS = processor_kind() == json.loads((HERE / "processor.json").read_text())
CLASSES = ("p(elm)", "p(oak)")


@pytest.fixture(autouse=True)
def _in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def agree(found: Array, expected: Array, *, trained: bool = False) -> None:
    assert found.dtype == expected.dtype
    off = 1e-12 if trained and found.dtype == np.float64 and SAME_BITS else 1e-6
    assert found == pytest.approx(expected, rel=off, abs=off)
    if SAME_BITS and not trained:
        assert found.tobytes() == expected.tobytes()


def test_a_model_predicts_what_it_predicted() -> None:
    found = predict(Path("finished.safetensors"), "rows.csv", Path())
    expected = json.loads(Path("predictions.json").read_text())
    assert found.columns == ("kind", *CLASSES)
    assert [row[0] for row in found.rows] == [row["kind"] for row in expected]
    agree(np.array([row[1:] for row in found.rows]), np.array([[row[c] for c in CLASSES] for row in expected]))


def settings(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment as this version writes it: settings that are younger than the file have their defaults."""
    return Experiment.model_validate(experiment).model_dump(mode="json")


def test_an_interrupted_run_goes_on_to_the_same_end() -> None:
    report = resume(Path("interrupted")).run()
    assert (report.stopped, len(report.epochs)) == ("epochs", 6)
    (found, meta), (expected, known) = (modelfile.read(Path(f)) for f in (report.model, "finished.safetensors"))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        agree(found[name], array, trained=True)
    assert settings(meta["experiment"]) == settings(known["experiment"])
    for column in meta["rules"]["columns"]:
        column.pop("limits", None)  # what a later version adds
    assert meta["rules"] == known["rules"]
    assert meta["record"]["metrics"] == pytest.approx(known["record"]["metrics"], rel=1e-6)
