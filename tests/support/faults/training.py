"""A training with everything that is saved, and what has to hold after an accident: it goes on to the same end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import Failure
from bpcli.studies.evaluation import cross_validate as folds
from bpcli.studies.run import resume as runs
from bpcli.studies.run.runfolder import RunFolder
from faults.disk import Died, Disk

CONFIG = """\
name: line
seed: 3
data:
  train: {type: inline, inputs: [[0], [1], [2], [3], [4], [5], [6]], targets: [[1], [3], [5], [7], [8], [9], [7]]}
  validation: 0.25
architecture: [{type: dense, units: 3, activation: tanh}, {type: dropout, rate: 0.2}, {type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 3, batch_size: 3, early_stopping: {patience: 2}}
"""
FOLDS = 2

Work = Callable[[Path, Path], None]
"""What is done in a folder with the file of an experiment."""


def train(folder: Path, config: Path) -> None:
    """Begins a training, or goes on with it."""
    trainer = runs.resume(folder) if (folder / "run.json").exists() else runs.start(runs.set_up(config), folder)
    trainer.run()


def train_folds(folder: Path, config: Path) -> None:
    """Begins a cross-validation, or goes on with it."""
    begun = (folder / "folds.json").exists()
    study = folds.resume(folder) if begun else folds.start(config, (), FOLDS, folder)
    study.run()


def suffer(work: Callable[[], Any], disk: Disk) -> str:
    """Works with an accident; how that ended."""
    with disk:
        try:
            work()
        except (Died, Failure, OSError) as end:
            return type(end).__name__
    return ""


def differences(found: Path, whole: Path) -> list[str]:
    """What of a run, or of the runs of a cross-validation, is not as in one that nothing happened to. Times may be."""
    if (whole / "folds.json").exists():
        inner = [d for run in sorted(whole.glob("fold-*")) for d in differences(found / run.name, run)]
        figures = [json.loads((p / "folds.json").read_text())["metrics"] for p in (found, whole)]
        return inner + ["folds.json"] * (figures[0] != figures[1]) + _litter(found)
    wrong = _litter(found)
    if (found / "model.safetensors").read_bytes() != (whole / "model.safetensors").read_bytes():
        wrong.append("model.safetensors")
    if _lines(found) != _lines(whole):
        wrong.append("metrics.jsonl")
    ours, theirs = (RunFolder(p).newest_checkpoint()[0] for p in (found, whole))
    wrong += [n for n in ours.keys() | theirs.keys() if n not in ours or n not in theirs or
              ours[n].tobytes() != theirs[n].tobytes()]  # fmt: skip
    records = [json.loads((p / "run.json").read_text()) for p in (found, whole)]
    return wrong + [k for k in ("status", "reason", "epochs", "kept") if records[0].get(k) != records[1].get(k)]


def _litter(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.name.startswith(".bpcli-") or p.name == "train.lock"]


def _lines(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


def wipe(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def cached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Reads an experiment once for all trainings of it: config and data do not change here."""
    known: dict[Any, Any] = {}

    def call(file: Path, sets: Sequence[str] = (), root: Path | None = None, **more: Any) -> Any:
        key = (file.read_bytes(), tuple(sets))
        if key not in known:
            known[key] = function(file, sets, root, **more)
        return known[key]

    return call


def read_once(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = CONFIG) -> Path:
    """Returns the file of an experiment in a folder, the current one, which is read and prepared a single time."""
    monkeypatch.chdir(folder)
    kept = cached(runs.set_up)
    for module in (runs, folds):
        monkeypatch.setattr(module, "set_up", kept)
    (folder / "line.yaml").write_text(text)
    return folder / "line.yaml"
