"""A run that is stopped, killed or crashes, and goes on, ends as if nothing had happened: to the bit."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab, surroundings
from cli_lab import lab as lab

from bpcli.studies.run import modelfile, runfolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

ROWS = 70
CONFIG = """\
name: stops
seed: 3
data:
  train: {type: csv, path: rows.csv, target: kind}
  validation: 0.2
architecture:
  - {type: dense, units: 8, activation: relu}
  - {type: dropout, rate: 0.3}
  - {type: dense, units: 3}
loss: softmax_cross_entropy
regularization: {type: l2, strength: 1e-3}
clipping: {type: global_norm, max_norm: 0.5}
optimizer: {type: adam, learning_rate: {type: cosine, start: 0.05}}
training:
  epochs: 8
  batch_size: 7
  metrics: [accuracy, f1]
  early_stopping: {patience: 6, restore_best: true}
  stop_when: {metric: train.accuracy, at_least: 1.1}
"""
STEPS = 8  # of an epoch: 56 training rows by 7
STOP_AT = """
import os, signal
from bpcli.studies.run.saving import checkpointer
from bpcli.studies.run import trainer as train
steps, old = 0, train.Trainer._step
def stop(self, rows):
    global steps
    old(self, rows)
    steps += 1
    if steps in {steps!r}:
        os.kill(os.getpid(), signal.{signal})
train.Trainer._step = stop
checkpointer.Checkpointer.due = {every} == 0
"""


def stop_at(steps: tuple[int, ...], which: str, every: float = 1e9) -> str:
    """A program that is sent a signal after some of its own steps, and saves a checkpoint every so many seconds."""
    return STOP_AT.replace("{steps!r}", repr(steps)).replace("{signal}", which).replace("{every}", repr(every))


@pytest.fixture
def stops(lab: Lab) -> Lab:
    """A lab with an experiment that has chance, memory and watchers of every kind, and its unbroken run in `whole`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    kinds = np.array(["red", "green", "blue"])[(x @ [1, -1, 0.5] + rng.normal(size=ROWS) > 0) + 1 * (x[:, 0] > 0.7)]
    rows = (",".join([*(f"{v:.4f}" for v in row), kind]) for row, kind in zip(x, kinds, strict=True))
    lab.write("rows.csv", "a,b,c,kind\n" + "\n".join(rows) + "\n")
    lab.write("stops.yaml", CONFIG)
    lab.good("train", "stops.yaml", "--out", "whole", "-q")
    return lab


def same(lab: Lab, run: str, whole: str = "whole") -> None:
    """Holds a run to the unbroken one: the model byte for byte, the checkpoint and the log but for times."""
    first, second = (lab.path / name for name in (whole, run))
    assert lines(second) == lines(first)
    assert (second / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    (ours, our_meta, _), (theirs, meta, _) = (runfolder.RunFolder(p).newest_checkpoint() for p in (second, first))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].tobytes() == array.tobytes(), name
    assert without_times(our_meta) == without_times(meta)
    assert not [p for p in second.rglob("*") if p.name.startswith(".bpcli-") or p.name == "train.lock"]
    record, reference = (json.loads((p / "run.json").read_text()) for p in (second, first))
    assert {k: record[k] for k in ("status", "reason", "epochs", "kept")} == {
        k: reference[k] for k in ("status", "reason", "epochs", "kept")
    }


def lines(run: Path) -> list[dict[str, Any]]:
    """The log without its times."""
    return [without_times(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_times(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: without_times(v) for k, v in data.items() if k != "seconds"}
    return data


@pytest.mark.parametrize(
    ("which", "code", "step"),
    [("SIGINT", 130, 1), ("SIGTERM", 143, 20), ("SIGHUP", 129, 2 * STEPS), ("SIGINT", 130, 47)],
)
def test_a_signal_stops_after_saving(stops: Lab, which: str, code: int, step: int) -> None:
    found = stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((step,), which))
    assert (found.code, found.out) == (code, "run\n")
    epoch, batch = divmod(step - 1, STEPS)
    assert f"\nstopped by {which} in epoch {epoch + 1}, after {batch + 1} of 8 batches; " in found.err
    assert found.err.endswith("go on:  bpcli train --resume run\n")
    record = json.loads((stops.path / "run" / "run.json").read_text())
    assert (record["status"], record["epochs"]) == ("signal", epoch)
    kept = sorted(p.name for p in (stops.path / "run" / "checkpoints").iterdir())
    assert kept == ["step-00000000.safetensors", f"step-{step:08d}.safetensors"]
    stops.good("eval", "run")  # what there is can be used
    again = stops.good("train", "--resume", "run")
    assert f"goes on in epoch {epoch + 1}, batch {batch + 2}" in again.err
    same(stops, "run")


def test_several_stops(stops: Lab) -> None:
    assert stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((5,), "SIGINT")).code == 130
    assert stops.apart("train", "--resume", "run", program=stop_at((5,), "SIGTERM")).code == 143
    assert stops.apart("train", "--resume", "run", program=stop_at((17,), "SIGINT")).code == 130
    stops.good("train", "--resume", "run")
    same(stops, "run")


def test_totals_that_grow_with_the_rows(stops: Lab) -> None:
    """ROC AUC needs all rows: stopped in the middle of an epoch, those seen so far are in the checkpoint."""
    stops.config(
        ("[accuracy, f1]", "[roc_auc, average_precision, top_k, matthews]"), ("train.accuracy", "train.roc_auc"),
        name="ranks.yaml", text=CONFIG,
    )  # fmt: skip
    stops.good("train", "ranks.yaml", "--out", "ranks", "-q")
    assert all(0.3 < line["train.roc_auc"] < 1 for line in lines(stops.path / "ranks"))
    assert stops.apart("train", "ranks.yaml", "--out", "run", program=stop_at((5,), "SIGINT")).code == 130
    tensors, _, _ = runfolder.RunFolder(stops.path / "run").newest_checkpoint()
    assert tensors["tally.roc_auc.rows"].tolist() == [5 * 7]
    assert len(tensors["tally.roc_auc.score"]) >= 5 * 7
    assert stops.apart("train", "--resume", "run", program=stop_at((14, 16), "SIGTERM")).code == 143
    stops.good("train", "--resume", "run")
    same(stops, "run", "ranks")


@pytest.mark.parametrize(("step", "every"), [(29, 0.0), (3, 1e9)])
def test_kill_9(stops: Lab, step: int, every: float) -> None:
    """With checkpoints at every step, and with none yet but the first."""
    found = stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((step,), "SIGKILL", every))
    assert found.code == -signal.SIGKILL
    assert json.loads((stops.path / "run" / "run.json").read_text())["status"] == "running"
    kept = [p.name for p in (stops.path / "run" / "checkpoints").glob("step-*")]
    assert sorted(kept) == [f"step-{k:08d}.safetensors" for k in ((0,) if every else (27, 28))]
    stops.good("train", "--resume", "run")
    same(stops, "run")


def test_a_second_signal_acts_at_once(stops: Lab) -> None:
    program = stop_at((9,), "SIGINT").replace("old(self, rows)", "old(self, rows)\n    if steps == 8: twice()") + (
        "def twice():\n    os.kill(os.getpid(), signal.SIGINT)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    raise AssertionError('still here')\n"
    )
    found = stops.apart("train", "stops.yaml", "--out", "run", program=program)
    assert found.code == 130
    assert "Traceback" not in found.err
    assert "still here" not in found.err
    unfinished = stops.good("eval", "run").err
    assert unfinished == (
        "warning: run: its training has not come to its end: this is the model of epoch 1 [unfinished]\n"
        "  help: if it was killed, `bpcli train --resume run` goes on\n"
    )
    stops.good("train", "--resume", "run")
    same(stops, "run")


def test_a_signal_from_outside(stops: Lab) -> None:
    slow = "import time\n" + stop_at((), "SIGINT").replace("old(self, rows)", "old(self, rows); time.sleep(0.02)")
    process = subprocess.Popen(
        stops.command("train", "stops.yaml", "--out", "run", program=slow),
        cwd=stops.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(), text=True,
    )  # fmt: skip
    metrics = stops.path / "run" / "metrics.jsonl"
    waited = time.monotonic() + 30
    while not metrics.exists() and time.monotonic() < waited:
        time.sleep(0.01)
    busy = stops.run("train", "--resume", "run")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "stopped by SIGTERM in epoch " in err
    assert busy.code == 73
    assert busy.err == (
        f"error: process {process.pid} is training in run [busy]\n"
        f"  help: wait for it, or stop it with `kill {process.pid}`\n"
    )
    stops.good("train", "--resume", "run")
    same(stops, "run")


def test_a_truncated_checkpoint_falls_back_to_the_one_before(stops: Lab) -> None:
    stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((30,), "SIGKILL", 0.0))
    newest = max((stops.path / "run" / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-9])
    again = stops.good("train", "--resume", "run")
    assert re.match(
        rf"warning: passed over: run/checkpoints/{newest.name} is truncated: it has \d+ bytes of \d+ \[trunc",
        again.err,
    )
    assert "goes on in epoch 4, batch 5" in again.err
    same(stops, "run")


def test_half_written_files_are_taken_away(stops: Lab) -> None:
    stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((30,), "SIGKILL", 0.0))
    stops.write("run/checkpoints/.bpcli-0123456789abcdef.tmp", b"half")
    with open(stops.path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4, "train.lo')
    stops.good("train", "--resume", "run")
    same(stops, "run")


def test_a_finished_run_is_left_alone(stops: Lab) -> None:
    def content() -> dict[Path, tuple[bytes, int]]:
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (stops.path / "whole").rglob("*") if p.is_file()}

    before = content()
    for words in ((), ("--set", "training.epochs=8"), ("--set", "training.epochs=2")):
        found = stops.good("train", "--resume", "whole", *words)
        assert found.err.startswith("this run was finished before: ")
        assert found.out == "whole\n"
        assert content() == before


def test_more_epochs(lab: Lab) -> None:
    """The weights go on from where they were; of a constant rate also as if it had been meant from the beginning."""
    lab.good("train", "trees.yaml", "--out", "long", "-q", "--set", "training.epochs=6")
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    found = lab.good("train", "--resume", "run", "--set", "training.epochs=6")
    assert "warning" not in found.err
    same_weights(lab, "run", "long")
    assert lines(lab.path / "run") == lines(lab.path / "long")
    record = json.loads((lab.path / "run" / "run.json").read_text())
    assert record["sets"] == ["training.epochs=6"]
    assert lab.good("train", "--resume", "run").err.startswith("this run was finished before: all 6 epochs are done")
    fewer = lab.good("train", "--resume", "run", "--set", "training.epochs=2").err
    assert fewer.startswith("this run was finished before: 6 epochs are done, and 2 were asked for")


def test_a_schedule_keeps_the_length_it_began_with(stops: Lab) -> None:
    stops.config(("patience: 6", "patience: 60"), name="stops.yaml", text=CONFIG)
    stops.good("train", "stops.yaml", "--out", "run", "-q")
    found = stops.good("train", "--resume", "run", "--set", "training.epochs=10")
    assert found.err.startswith(
        "warning: the learning rate is 0 after step 64, where its schedule was to end: nothing is learned beyond "
        "[schedule]\n  help: for a longer schedule start a new run with more training.epochs\n"
    )
    rates = [line["learning_rate"] for line in lines(stops.path / "run")]
    assert len(rates) == 10
    assert rates[7] > 0
    assert rates[8:] == [0, 0]


def test_an_extension_that_is_stopped_is_remembered(stops: Lab) -> None:
    stops.config(
        ("patience: 6", "patience: 60"), ("{type: cosine, start: 0.05}", "0.01"), name="stops.yaml", text=CONFIG
    )
    stops.good("train", "stops.yaml", "--out", "long", "-q", "--set", "training.epochs=12")
    stops.good("train", "stops.yaml", "--out", "run", "-q")
    words = ("train", "--resume", "run", "--set", "training.epochs=12")
    assert stops.apart(*words, program=stop_at((11,), "SIGINT")).code == 130
    stops.good("train", "--resume", "run")
    same(stops, "run", "long")


def test_another_environment_is_said(stops: Lab) -> None:
    stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((11,), "SIGINT"))
    file = stops.path / "run" / "run.json"
    file.write_text(file.read_text().replace(f'"numpy": "{np.__version__}"', '"numpy": "1.0"'))
    found = stops.good("train", "--resume", "run")
    assert found.err.startswith(
        f"warning: this run began elsewhere: NumPy 1.0 then, {np.__version__} now: its weights may differ in their last"
    )


def test_a_checkpoint_of_another_network_is_refused(stops: Lab) -> None:
    stops.apart("train", "stops.yaml", "--out", "run", program=stop_at((11,), "SIGINT"))
    stops.good("train", "trees.yaml", "--out", "other", "-q")
    checkpoint = next((stops.path / "other" / "checkpoints").iterdir())
    shutil.copy(checkpoint, stops.path / "run" / "checkpoints" / "step-00000099.safetensors")
    found = stops.run("train", "--resume", "run")
    assert found.code == 65
    assert found.err.startswith("error: the checkpoint does not fit this experiment: ")
    assert not (stops.path / "run" / "train.lock").exists()


def same_weights(lab: Lab, *runs: str) -> None:
    first, second = (modelfile.read(lab.path / run / "model.safetensors")[0] for run in runs)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert second[name].tobytes() == array.tobytes(), name
