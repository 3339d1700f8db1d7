"""Callbacks: which hooks are called, in which order, and that nothing is lost where one of them raises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpcli.family import Callback
from bpcli.records.training import EpochRow, TrainReport
from bpcli.studies.run import modelfile
from bpcli.studies.run import resume as runs
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import TrainingState

CONFIG = """\
name: followed
data: {train: {type: inline, inputs: [[0], [1], [2], [3]], targets: [[1], [3], [5], [7]]}}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 2, batch_size: 2}
"""


class Recorder(Callback):
    """Notes every call, with its own name before it."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def on_train_begin(self, state: TrainingState) -> None:
        self.calls.append(f"{self.name} begin {state.progress.step}")

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        self.calls.append(f"{self.name} batch {state.progress.batch}")

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        self.calls.append(f"{self.name} epoch {row.epoch}")

    def on_checkpoint(self, state: TrainingState, file: Path) -> None:
        self.calls.append(f"{self.name} {file.stem}")
        assert modelfile.read(file)[1]["progress"]["step"] == state.progress.step

    def on_train_end(self, state: TrainingState, report: TrainReport | None) -> None:
        if state.history:
            stopped = modelfile.read(state.folder.model)[1]["record"]["stopped"]
            assert stopped == (report.stopped if report is not None else "running")
        self.calls.append(f"{self.name} end {report.stopped if report is not None else None}")


class Raising(Recorder):
    def on_train_end(self, state: TrainingState, report: TrainReport | None) -> None:
        super().on_train_end(state, report)
        raise RuntimeError(self.name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "followed.yaml"
    found.write_text(CONFIG)
    return found


def test_the_order_of_the_hooks(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    runs.start(set_up(file), tmp_path / "run", [Recorder("a", calls), Recorder("b", calls)]).run()
    expected = [
        "begin 0",
        "batch 1",
        "batch 2",
        "epoch 1",
        "batch 1",
        "batch 2",
        "epoch 2",
        "step-00000004",
        "end epochs",
    ]
    assert calls == [f"{name} {call}" for call in expected for name in "ab"]
    calls.clear()
    runs.resume(tmp_path / "run", (), [Recorder("a", calls)]).run()
    assert calls == [], "it was finished before"
    runs.resume(tmp_path / "run", ("training.epochs=3",), [Recorder("a", calls)]).run()
    assert calls == ["a begin 4", "a batch 1", "a batch 2", "a epoch 3", "a step-00000006", "a end epochs"]
    calls.clear()
    monkeypatch.setattr(Checkpointer, "due", True)
    runs.start(set_up(file, ["training.epochs=1"]), tmp_path / "often", [Recorder("a", calls)]).run()
    assert calls[1:-2] == ["a batch 1", "a step-00000001", "a batch 2", "a step-00000002", "a epoch 1"]


def test_who_raises_at_the_end_loses_nothing(file: Path, tmp_path: Path) -> None:
    """Model, record and log are written; all others are called; the run can go on."""
    calls: list[str] = []
    callbacks = [Raising("a", calls), Recorder("b", calls), Raising("c", calls)]
    trainer = runs.start(set_up(file), tmp_path / "run", callbacks)
    with pytest.raises(RuntimeError):
        trainer.run()
    assert calls[-3:] == ["a end epochs", "b end epochs", "c end epochs"]
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "epochs"
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2
    assert runs.resume(tmp_path / "run", ("training.epochs=3",)).run().stopped == "epochs"


def test_only_who_has_begun_hears_of_the_end(file: Path, tmp_path: Path) -> None:
    class NotReady(Recorder):
        def on_train_begin(self, state: TrainingState) -> None:
            raise ZeroDivisionError

    calls: list[str] = []
    callbacks = [Recorder("a", calls), NotReady("b", calls), Recorder("c", calls)]
    with pytest.raises(ZeroDivisionError):
        runs.start(set_up(file), tmp_path / "run", callbacks).run()
    assert calls == ["a begin 0", "a end None"]


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end", "on_checkpoint"])
def test_who_raises_between_steps_loses_nothing(
    file: Path, tmp_path: Path, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights until then are in a checkpoint, and the run that goes on ends with those of one without a pause."""
    monkeypatch.setattr(Checkpointer, "due", hook == "on_checkpoint")
    calls = 0

    def raise_late(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3 - (hook == "on_epoch_end"):
            raise ZeroDivisionError

    failing = Callback()
    monkeypatch.setattr(failing, hook, raise_late)
    setting = ["training.epochs=3"]
    with pytest.raises(ZeroDivisionError):
        runs.start(set_up(file, setting), tmp_path / "run", [failing]).run()
    goes_on = runs.resume(tmp_path / "run")
    assert goes_on.state.progress.step == (4 if hook == "on_epoch_end" else 3)
    goes_on.run()
    runs.start(set_up(file, setting), tmp_path / "whole").run()
    tensors = [modelfile.read(tmp_path / name / "model.safetensors")[0] for name in ("run", "whole")]
    assert {k: a.tobytes() for k, a in tensors[0].items()} == {k: a.tobytes() for k, a in tensors[1].items()}


def test_all_hear_of_an_end_by_an_exception(file: Path, tmp_path: Path) -> None:
    class Failing(Callback):
        def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
            raise ZeroDivisionError

    calls: list[str] = []
    trainer = runs.start(set_up(file), tmp_path / "run", [Failing(), Recorder("a", calls)])
    with pytest.raises(ZeroDivisionError):
        trainer.run()
    assert calls[-1] == "a end None"
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 1, "its line is written before"
    assert len(runs.resume(tmp_path / "run").run().epochs) == 2
