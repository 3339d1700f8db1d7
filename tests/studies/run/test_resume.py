"""What clippers and schedules remember is saved: a run that was stopped goes on as if it had not been, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.studies.run import modelfile
from bpcli.studies.run import resume as runs
from bpcli.studies.run import trainer as train
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.setup import set_up

ROWS = np.round(np.random.default_rng(2).normal(size=(30, 2)), 3)
CONFIG = """\
name: remembered
data:
  train: {{type: inline, inputs: {inputs}, targets: {targets}}}
  validation: 0.3
architecture: [{{type: dense, units: 5, activation: tanh}}, {{type: dense, units: 1}}]
loss: mean_squared_error
constraint: {{type: max_norm, limit: 2.0}}
clipping: {clipping}
optimizer: {{type: momentum, learning_rate: {rate}}}
training: {{epochs: 12, batch_size: 6, metrics: [r2]}}
"""
PLATEAU = "{type: plateau, start: 0.3, patience: 1, factor: 0.5, threshold: 0.05, metric: METRIC}"
RATES = {
    "plateau": PLATEAU.replace("METRIC", "validation.loss"),
    "plateau of a metric": PLATEAU.replace("METRIC", "train.r2"),
    "warmup of a plateau": f"{{type: warmup, steps: 5, then: {PLATEAU.replace('METRIC', 'validation.r2')}}}",
    "epochs": "{type: multi_step, start: 0.1, milestones: [3, 7], per: epoch}",
    "one_cycle": "{type: one_cycle, peak: 0.1}",
}
CLIPPING = {
    "percentile": "{type: percentile, percentile: 40.0, window: 7}",
    "zscore": "{type: zscore, z_thr: 0.5, max_norm: 3.0}",
    "adaptive": "{type: adaptive, clipping: 0.1}",
}
STEPS = 4  # of an epoch


class StoppedError(Exception):
    """The end of the process."""


def written(folder: Path, clipping: str, rate: str) -> Path:
    inputs = ROWS.tolist()
    targets = [[round(float(a * b + a), 3)] for a, b in ROWS]
    file = folder / "remembered.yaml"
    file.write_text(CONFIG.format(inputs=inputs, targets=targets, clipping=clipping, rate=rate))
    return file


def last_checkpoint(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    tensors, meta, _ = RunFolder(run).newest_checkpoint()
    return tensors, meta


@pytest.mark.parametrize("stop", [3, 4 * STEPS, 7 * STEPS + 1])
@pytest.mark.parametrize(
    ("clipping", "rate"),
    [
        ("percentile", "plateau"), ("zscore", "plateau of a metric"), ("adaptive", "warmup of a plateau"),
        ("percentile", "epochs"), ("zscore", "one_cycle"),
    ],
)  # fmt: skip
def test_a_run_goes_on_as_if_nothing_had_happened(
    clipping: str, rate: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, CLIPPING[clipping], RATES[rate])
    runs.start(set_up(file), tmp_path / "whole").run()
    honest, steps = train.Trainer._step, 0

    def step(self: train.Trainer, rows: Any) -> None:
        nonlocal steps
        if steps == stop:
            raise StoppedError
        steps += 1
        Checkpointer.due = steps == stop  # type: ignore[assignment,method-assign]  # saves after this step alone
        honest(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "due", False)
        patch.setattr(train.Trainer, "_step", step)
        with pytest.raises(StoppedError):
            runs.start(set_up(file), tmp_path / "run").run()
    runs.resume(tmp_path / "run").run()
    ours, theirs = (tmp_path / name for name in ("run", "whole"))
    assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
    (found, _), (expected, _) = last_checkpoint(ours), last_checkpoint(theirs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].tobytes() == array.tobytes(), name
    lines = [
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in (p / "metrics.jsonl").read_text().splitlines()
        ]
        for p in (ours, theirs)
    ]
    assert lines[0] == lines[1]


def test_the_state_is_in_the_checkpoint(tmp_path: Path) -> None:
    file = written(tmp_path, CLIPPING["zscore"], RATES["plateau"])
    report = runs.start(set_up(file), tmp_path / "run").run()
    tensors, _ = last_checkpoint(tmp_path / "run")
    assert {n: tensors[f"clip.{n}"].shape for n in ("h", "held", "mu", "var")} == {
        "h": (25,), "held": (), "mu": (), "var": (),
    }  # fmt: skip
    assert float(tensors["clip.held"]) == 25
    losses = [row.metrics["validation.loss"] for row in report.epochs]
    assert float(tensors["schedule.best"]) in losses
    rate = float(tensors["schedule.rate"])
    falls = np.log(0.3 / rate) / np.log(2)
    assert falls == pytest.approx(round(falls), abs=1e-9)
    assert falls >= 1
    assert modelfile.read(tmp_path / "run" / "model.safetensors")[0].keys().isdisjoint({"clip.h", "schedule.rate"})


def test_the_rate_of_each_epoch_follows_the_figure(tmp_path: Path) -> None:
    """It falls from the epoch on that comes after one without improvement."""
    file = written(tmp_path, CLIPPING["adaptive"], RATES["plateau"])
    report = runs.start(set_up(file), tmp_path / "run").run()
    best, rate, rates = np.inf, 0.3, []
    for row in report.epochs:
        rates.append(rate)
        value = row.metrics["validation.loss"]
        if value < best * 0.95:
            best = value
        else:
            rate /= 2
    assert [row.learning_rate for row in report.epochs] == pytest.approx(rates, rel=1e-12)
    assert rates[-1] < 0.3


def test_the_share_and_the_factor_are_of_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the rows and in metrics.jsonl: how many steps were clipped, and the mean factor over all of them."""
    factors: list[float] = []
    honest = train.Trainer._step

    def step(self: train.Trainer, rows: Any) -> None:
        honest(self, rows)
        factors.append(self.state.train_step.factor)

    monkeypatch.setattr(train.Trainer, "_step", step)
    file = written(tmp_path, CLIPPING["percentile"], "0.05")
    report = runs.start(set_up(file), tmp_path / "run").run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == len(report.epochs) == 12
    for k, (row, line) in enumerate(zip(report.epochs, lines, strict=True)):
        own = factors[k * STEPS : (k + 1) * STEPS]
        assert row.clipped == line["clipped"] == sum(f < 1 for f in own) / STEPS
        assert row.clip_factor == pytest.approx(sum(own) / STEPS)
        assert line["clip_factor"] == row.clip_factor
    assert 0 < np.mean([row.clipped for row in report.epochs]) < 1
