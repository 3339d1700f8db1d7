"""A run folder: what it says and what it is refused for, its checkpoints, its lines, its lock."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bpcli.config.experiment import Training
from bpcli.engine.step import FirstOrderStep
from bpcli.records.training import EpochRow, Exit, Failure
from bpcli.studies.run import lock as locking
from bpcli.studies.run import modelfile
from bpcli.studies.run.fingerprints import fingerprint
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.runfolder import RunFolder, check_unchanged, environment, new_record
from bpcli.studies.run.saving import checkpointer as checkpointing
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.state import EpochSums, Progress

RECORD = {"root": "/data", "data": [], "sets": ["seed=2"], "steps": 9, "kept": 3}
ROW = EpochRow(1, {"train.loss": 0.5, "validation.loss": math.nan}, 0.1, 2.0, 0.25, 0.9, 0.01, 7, 1.5, True,
               {"watch.dense_1.gradient": 0.5})  # fmt: skip


def failure(call: Any, *arguments: Any) -> tuple[str, str, int]:
    """Code, text and exit of the one problem that a call fails with."""
    with pytest.raises(Failure) as caught:
        call(*arguments)
    (problem,) = caught.value.problems
    return problem.code, problem.text, int(caught.value.exit)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps(RECORD))
    return RunFolder(tmp_path / "run")


# ----------------------------------------------------------------------------------------------------------- run.json
def test_what_run_json_says_is_read_back(folder: RunFolder) -> None:
    assert folder.record() == RECORD
    folder.write_record(RECORD | {"name": "é"})
    assert folder.record() == RECORD | {"name": "é"}
    assert '"name": "é"\n}\n' in (folder.path / "run.json").read_text(encoding="utf-8")


def test_what_is_no_run_folder_says_what_it_is(folder: RunFolder, tmp_path: Path) -> None:
    no_run = Exit.NO_INPUT
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    for name, text in (("none", "there is no folder {}"), ("file", "{} is a file, not a run folder"),
                       ("other", "{} is not a run folder: it has no run.json")):  # fmt: skip
        path = tmp_path / name
        assert failure(RunFolder(path).record) == ("not-a-run", text.format(path), no_run)


def test_a_record_that_cannot_be_read_says_why(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, why in ((PermissionError(13, "Permission denied"), "Permission denied"), (OSError("odd"), "odd")):

        def refuse(*_: Any, error: OSError = error, **__: Any) -> str:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", refuse)
            text = f"{folder.path / 'run.json'} cannot be read: {why}"
            assert failure(folder.record) == ("bad-run", text, Exit.NO_INPUT)


@pytest.mark.parametrize(
    "changed",
    [
        "{", "[]", "3", {"root": 3}, {"root": None}, {"data": {}}, {"data": None}, {"sets": None}, {"sets": "a"},
        {"sets": ["a", 3]}, {"steps": "9"}, {"kept": 1.5}, {"steps": None},
    ],
)  # fmt: skip
def test_a_record_of_other_types_is_damaged(changed: Any, folder: RunFolder) -> None:
    text = changed if isinstance(changed, str) else json.dumps(RECORD | changed)
    (folder.path / "run.json").write_text(text)
    code, said, exit = failure(folder.record)
    assert (code, exit) == ("bad-run", Exit.BAD_INPUT)
    assert said.startswith(f"{folder.path / 'run.json'} is damaged: it does not say how the run began")


def test_a_record_needs_no_steps(folder: RunFolder) -> None:
    """Runs of the first version have none."""
    old = {k: v for k, v in RECORD.items() if k not in ("steps", "kept")}
    folder.write_record(old)
    assert folder.record() == old


def test_a_new_record_says_when_and_by_what_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bpcli", "train", "x"])
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = new_record()
    assert (found["status"], found["command"]) == ("running", ["bpcli", "train", "x"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found["started"])) < timedelta(seconds=60)
    assert "." not in found["started"]
    assert found["environment"] == environment()
    assert found["environment"]["threads"]["OMP_NUM_THREADS"] == "3"
    assert found["environment"]["numpy"] == np.__version__
    assert found["environment"]["processors"] == os.cpu_count()
    assert set(found["environment"]["blas"]) == {"name", "version", "kernel", "threads"}


# ------------------------------------------------------------------------------------------------------ metrics.jsonl
def test_lines_are_read_back_as_they_were_written(folder: RunFolder) -> None:
    """What JSON has no word for is null, and of a figure nan again."""
    assert folder.epochs() == []
    rows = [ROW, replace(ROW, epoch=2, metrics={"train.loss": 0.25}, watch={})]
    folder.log_epochs(rows[:1])
    folder.log_epochs(rows)
    line = json.loads(folder.metrics.read_text().splitlines()[0])
    assert (line["epoch"], line["train.loss"], line["validation.loss"]) == (1, 0.5, None)
    assert line["watch.dense_1.gradient"] == 0.5
    first, second = folder.epochs()
    assert math.isnan(first.metrics["validation.loss"])
    assert replace(first, metrics={}) == replace(ROW, metrics={})
    assert second == replace(ROW, epoch=2, metrics={"train.loss": 0.25}, watch={})
    folder.write_epochs([second])
    assert folder.epochs() == [second]


@pytest.mark.parametrize("epoch", ["0", "-2", "1.5", "1e400", "1" + "0" * 400, '"two"'])
def test_an_epoch_is_a_whole_number(epoch: str, folder: RunFolder) -> None:
    folder.log_epochs([replace(ROW, metrics={}, epoch=1234)])
    folder.metrics.write_text(folder.metrics.read_text().replace("1234", epoch))
    lines = folder.lines()
    assert (len(lines.rows), lines.damaged) == (0, [1])


# -------------------------------------------------------------------------------------------------------- checkpoints
def steps(folder: RunFolder) -> list[int]:
    return sorted(int(file.stem.removeprefix("step-")) for file in folder.checkpoints.glob("step-*.safetensors"))


def save(folder: RunFolder, step: int, kind: str = "checkpoint") -> Path:
    return folder.save_checkpoint(step, {"a": np.full(2, float(step))}, {"kind": kind})


def test_the_newest_two_checkpoints_are_kept_and_those_of_a_given_up_future_go(folder: RunFolder) -> None:
    kept = []
    for step in (3, 12, 100_000_007, 20, 21):
        assert save(folder, step).name == f"step-{step:08d}.safetensors"
        kept.append(steps(folder))
    assert kept == [[3], [3, 12], [12, 100_000_007], [12, 20], [20, 21]]


def test_other_files_beside_checkpoints_are_left_alone(folder: RunFolder) -> None:
    for name in ("notes.txt", "step-7.safetensors", "step-00000001.safetensors.bak"):
        (folder.checkpoints / name).write_text("")
    for step in (1, 2, 3):
        save(folder, step)
    assert {p.name for p in folder.checkpoints.iterdir()} == {
        "notes.txt", "step-7.safetensors", "step-00000001.safetensors.bak",
        "step-00000002.safetensors", "step-00000003.safetensors",
    }  # fmt: skip


def test_the_newest_checkpoint_that_is_whole_is_gone_on_from(folder: RunFolder) -> None:
    save(folder, 3)
    save(folder, 4)
    tensors, meta, warnings = folder.newest_checkpoint()
    assert (tensors["a"].tolist(), meta["kind"], warnings) == ([4.0, 4.0], "checkpoint", ())
    modelfile.write(folder.checkpoints / "step-00000005.safetensors", {}, {"kind": "model"})
    (folder.checkpoints / "step-00000006.safetensors").write_text("")
    tensors, _, warnings = folder.newest_checkpoint()
    assert tensors["a"].tolist() == [4.0, 4.0]
    assert [w.level for w in warnings] == ["warning", "warning"]
    assert all(w.text.startswith("passed over: ") for w in warnings)
    assert warnings[1].text.endswith("step-00000005.safetensors is not a checkpoint")
    assert warnings[1].code == "not-a-checkpoint"


def test_without_checkpoints_there_is_nothing_to_go_on_from(folder: RunFolder) -> None:
    assert folder.newest_checkpoint() == ({}, {}, ())
    folder.checkpoints.rmdir()
    assert folder.newest_checkpoint() == ({}, {}, ())


def test_what_a_crash_left_half_written_is_taken_away(folder: RunFolder) -> None:
    (folder.checkpoints / ".bpcli-1.tmp").write_text("")
    (folder.path / ".bpcli-2.tmp").write_text("")
    (folder.path / "mine.tmp").write_text("")
    folder.tidy()
    assert {p.name for p in folder.path.rglob("*")} == {"checkpoints", "run.json", "mine.tmp"}
    folder.checkpoints.rmdir()
    folder.tidy()
    assert folder.checkpoints.is_dir()


def test_a_checkpoint_is_due_half_a_minute_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpointing, "training_state", lambda _: {})
    progress = Progress()
    saved: list[int] = []

    folder = SimpleNamespace(save_checkpoint=lambda step, tensors, meta, keep: saved.append(step))
    state: Any = SimpleNamespace(train_step=None, train_metrics=None, best_weights={}, progress=progress, folder=folder,
                                 experiment=SimpleNamespace(training=Training()))  # fmt: skip
    checkpointer = Checkpointer(state)
    for after, due in ((0.0, False), (30.0, False), (30.5, True)):
        now = 1000.0 + after
        assert checkpointer.due == due
    checkpointer.save()
    assert saved == [0]
    assert not checkpointer.due
    now += 30.5
    assert checkpointer.due


# ------------------------------------------------------------------------------------------------- config and data
def test_config_and_data_are_what_they_were_when_the_run_began(folder: RunFolder, tmp_path: Path) -> None:
    data = tmp_path / "a.csv"
    data.write_text("1")
    folder.config.write_text("c")
    (config,) = fingerprint([folder.config])
    record: dict[str, Any] = {"config": config["sha256"], "data": fingerprint([data])}
    check_unchanged(record, folder)
    check_unchanged({"data": ["odd", {"file": "gone.csv", "sha256": ""}]}, folder)
    data.write_text("2")
    assert failure(check_unchanged, record, folder)[:2] == ("changed", f"{data} has changed since the run began")
    data.unlink()
    assert failure(check_unchanged, record, folder) == (
        "missing-file", f"{data}, which the run began with, is gone", Exit.NO_INPUT,
    )  # fmt: skip
    folder.config.write_text("d")
    assert failure(check_unchanged, record, folder)[1] == f"{folder.config} has changed since the run began"


# ---------------------------------------------------------------------------------------------------------------- lock
HOLD = "import sys, time; from pathlib import Path; from bpcli.studies.run.lock import Lock; Lock(Path(sys.argv[1]))"


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    file = tmp_path / "train.lock"
    assert file.read_text() == f"{os.getpid()}\n"
    code, text, exit = failure(Lock, tmp_path)
    assert (code, exit) == ("busy", Exit.CANNOT_CREATE)
    assert text == f"process {os.getpid()} is training in {tmp_path}"
    lock.release()
    assert not file.exists()
    lock.release()
    Lock(tmp_path).release()


def test_who_holds_it_is_named_where_the_file_says_so(tmp_path: Path) -> None:
    known = ("process 123", "wait for it, or stop it with `kill 123`")
    unknown = ("another process", "wait for it")
    for says, (who, help) in (("123\n", known), ("", unknown), ("x1", unknown)):
        lock = Lock(tmp_path)
        lock.path.write_text(says)
        with pytest.raises(Failure) as caught:
            Lock(tmp_path)
        (problem,) = caught.value.problems
        assert (problem.text, problem.help) == (f"{who} is training in {tmp_path}", help)
        lock.release()


def test_the_number_in_a_lock_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.lock").write_text("123456789012\n")
    lock = Lock(tmp_path)
    assert lock.path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_that_its_holder_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking the file: what is locked then is no file of the folder any more."""
    honest, opened = locking.try_lock, []

    def locked(number: int) -> bool:
        opened.append(number)
        if len(opened) == 1:
            (tmp_path / "train.lock").unlink()
        if len(opened) == 2:
            (tmp_path / "train.lock").unlink()
            (tmp_path / "train.lock").write_text("")
        return honest(number)

    monkeypatch.setattr(locking, "try_lock", locked)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    lock = Lock(tmp_path)
    assert len(opened) == 3
    assert os.path.samestat(os.fstat(opened[2]), lock.path.stat())
    assert lock.path.read_text() == f"{os.getpid()}\n"
    if before:
        assert len(os.listdir("/proc/self/fd")) == before + 1, "what was opened in vain is closed"
    lock.release()


def test_where_there_are_no_locks_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def none(number: int, how: int) -> None:
        raise OSError("no locks here")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", none)
        locks = [Lock(tmp_path), Lock(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        locks += [Lock(tmp_path), Lock(tmp_path)]
    for lock in locks:
        lock.release()


def test_a_lock_in_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    code, text, _ = failure(Lock, tmp_path / "gone")
    assert str(tmp_path / "gone") in text
    assert code != "busy"


def test_the_end_of_a_process_releases_its_lock(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], check=True, env={**os.environ})
    assert (tmp_path / "train.lock").exists()
    Lock(tmp_path).release()


# ----------------------------------------------------------------------------------------------------- sums of an epoch
def test_the_line_of_an_epoch_is_made_of_its_steps() -> None:
    """Means over the steps; the loss is summed by the weight of the rows; the rate is that of the last step."""
    sums = EpochSums()
    step = FirstOrderStep.__new__(FirstOrderStep)
    for loss, penalty, norm, factor, rate, weight in ((1.0, 0.5, 4.0, 1.0, 0.3, 8.0), (3.0, 0.25, 2.0, 0.5, 0.1, 2.0),
                                                      (0.0, 0.0, 0.0, 0.3, 0.2, 2.0)):  # fmt: skip
        step.loss, step.penalty, step.norm, step.factor, step.rate = loss, penalty, norm, factor, rate
        sums.add(step, weight)
    assert (sums.loss, sums.weight, sums.steps, sums.clipped) == (14.0, 12.0, 3, 2)
    sums.seconds, sums.watch = 1.5, {"watch.a.dead": 1.0}
    assert sums.row(7, {"train.loss": 2.0}, best=True) == EpochRow(
        7, {"train.loss": 2.0}, 0.25, 2.0, 2 / 3, 0.6, 0.2, 3, 1.5, True, {"watch.a.dead": 1.0}
    )


def test_a_training_begins_with_nothing_done() -> None:
    progress = vars(Progress())
    sums = progress.pop("sums")
    assert math.isnan(progress.pop("best"))
    assert progress == {"epoch": 0, "step": 0, "batch": 0, "best_epoch": 0, "bad_epochs": 0, "seconds": 0.0,
                        "ended": ""}  # fmt: skip
    assert all(not value for value in vars(sums).values())
