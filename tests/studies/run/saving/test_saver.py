"""What a training saves while the disk fails for a while, from some moment on, or at once."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.config.experiment import Checkpoint
from bpcli.numeric.free_memory import NotEnoughMemoryError
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run import modelfile, runfolder
from bpcli.studies.run.atomic import unwritable
from bpcli.studies.run.saving import retry
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.saving.retry import Retry
from bpcli.studies.run.trainer import Trainer

EVERY_STEP = "training.checkpoint={every: 1 step, keep: 3}"
FULL = OSError(28, "No space left on device")


class Times:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(retry, "time", times)
    return times


# -------------------------------------------------------------------------------------------------------------- retries
def test_it_rests_longer_and_longer_and_says_what_is_new(clock: Times) -> None:
    said: list[Problem] = []
    tries: list[float] = []
    errors: list[OSError | None] = [FULL] * 4 + [OSError(5, "Input/output error")] * 12 + [None, FULL]

    def write() -> None:
        tries.append(clock.now)
        if error := errors[len(tries) - 1]:
            raise unwritable(Path("run/a"), error)

    work = Retry("lines", said.append)
    while len(tries) < len(errors):
        work.do(write)
        clock.now += 0.5
    pauses = [b - a for a, b in itertools.pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 7, 0.5]
    assert [p.code for p in said] == ["not-saved", "not-saved", "saved-again", "not-saved"]
    assert said[0].text == "cannot write run/a: No space left on device; training goes on"
    assert said[0].help.startswith("lines are tried again after 1 s, then ever more seldom, and at the end; free some")
    assert said[1].text == "cannot write run/a: Input/output error; training goes on"
    assert {p.level for p in said} == {"warning"}


def test_what_is_not_the_disks_fault_is_raised(clock: Times) -> None:
    def write() -> None:
        raise Failure(Problem("not finite"), exit=Exit.BAD_RESULT)

    with pytest.raises(Failure, match="not finite"):
        Retry("lines", lambda _: None).do(write)


def test_want_of_memory_is_said_once_and_tried_again(clock: Times) -> None:
    """Other programs took it, and may give it back: the numbers in the message are others each time."""
    said: list[Problem] = []
    free = iter([5, 6, 7])

    def write() -> None:
        if left := next(free, 0):
            raise NotEnoughMemoryError(f"9 MB of memory are needed, and {left} MB are free", "less beside it")

    work = Retry("checkpoints", said.append)
    for _ in range(4):
        work.do(write)
        clock.now += 1000
    assert [p.code for p in said] == ["not-saved", "saved-again"]
    assert "5 MB are free; training goes on" in said[0].text


def test_whoever_is_told_may_write_too(clock: Times) -> None:
    """What a warning is handed to may itself be a log that this work writes."""
    said: list[str] = []
    errors = iter([FULL, None, None, OSError(5, "Input/output error"), FULL])

    def write() -> None:
        if error := next(errors, None):
            raise unwritable(Path("run/a"), error)

    def warn(problem: Problem) -> None:
        said.append(problem.code)
        assert len(said) < 9
        work.do(write)

    work = Retry("lines", warn)
    for _ in range(6):
        work.do(write)
        clock.now += 1000
    assert said == ["not-saved", "saved-again", "not-saved", "not-saved", "saved-again"]


def test_an_error_of_the_system_is_one_of_the_disk(clock: Times) -> None:
    said: list[Problem] = []

    def write() -> None:
        raise OSError(28, "No space left on device", "epochs.txt")

    Retry("lines", said.append).do(write)
    assert said[0].text == "cannot write epochs.txt: No space left on device; training goes on"


# ------------------------------------------------------------------------------------------------------------ intervals
@pytest.mark.parametrize(
    ("every", "interval"),
    [
        ("30s", (30, "seconds")), ("1.5 min", (90, "seconds")), ("2m", (120, "seconds")), ("1h", (3600, "seconds")),
        ("1 epoch", (1, "epochs")), ("3epochs", (3, "epochs")), ("1000 steps", (1000, "steps")),
        ("1 step", (1, "steps")),
    ],
)  # fmt: skip
def test_an_interval(every: str, interval: tuple[float, str]) -> None:
    assert Checkpoint(every=every).interval == interval


@pytest.mark.parametrize(
    "every",
    ["0s", "0.0 min", "0 epochs", "5 bananas", "s", "-3s", "1.5 epochs", "1e3 steps", "30", "", "٣s", "3s 4s", 30],
)
def test_no_interval(every: Any) -> None:
    with pytest.raises(ValueError, match="30s"):
        Checkpoint(every=every)


def test_an_interval_that_is_too_long_or_stands_alone_says_so() -> None:
    for every in ("99999999999999999999 steps", "9999999999s", "1.0000000001 min"):
        with pytest.raises(ValueError, match="an interval has at most 9 digits"):
            Checkpoint(every=every)
    for alone in ("30s", 30, "1 epoch"):
        with pytest.raises(ValueError, match=r"expected a mapping of settings: write \{every: 30s\}"):
            Checkpoint.model_validate(alone)


def test_checkpoints_come_when_they_were_asked_for() -> None:
    def due(every: str, step: int, epoch: int) -> tuple[bool, bool]:
        state: Any = SimpleNamespace(progress=SimpleNamespace(step=step, epoch=epoch), experiment=SimpleNamespace(
            training=SimpleNamespace(checkpoint=Checkpoint(every=every))))  # fmt: skip
        checkpointer = Checkpointer(state)
        return checkpointer.due, checkpointer.due_after_epoch

    assert [due("3 steps", k, k)[0] for k in range(1, 7)] == [False, False, True] * 2
    assert not any(due("3 steps", 3, k)[1] for k in range(1, 7))
    assert [due("2 epochs", k, k)[1] for k in range(1, 5)] == [False, True] * 2
    assert not any(due("2 epochs", k, 2)[0] for k in range(1, 5))
    assert due("1h", 3, 3) == (False, False)


def test_the_bits_do_not_depend_on_the_interval(lab: Lab) -> None:
    weights = []
    for every in ("30s", "1 epoch", "1 step", "4 steps"):
        name = every.replace(" ", "")
        lab.good(
            "train", "trees.yaml", "--out", name, "-q", "--set", f"training.checkpoint={{every: {every}, keep: 9}}"
        )
        steps = sorted(int(p.stem[5:]) for p in (lab.path / name / "checkpoints").iterdir())
        assert steps == {"30s": [0, 6], "1 epoch": [0, 2, 4, 6], "1 step": [*range(7)], "4 steps": [0, 4, 6]}[every]
        tensors, _ = modelfile.read(lab.path / name / "model.safetensors")
        weights.append({k: a.tobytes() for k, a in tensors.items()})
    assert weights == weights[:1] * 4


# ------------------------------------------------------------------------------------------------- a disk that fails
def failing(monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[[int], bool]) -> list[int]:
    """Makes writing of files of this name fail as a full disk does, at some of the times it is tried."""
    tried: list[int] = []

    def wrapped(module: Any, function: str) -> None:
        honest = getattr(module, function)

        def write(path: Path, *words: Any, **more: Any) -> None:
            if re.search(name, str(path)):
                tried.append(len(tried))
                if when(len(tried)):
                    raise unwritable(path, FULL)
            honest(path, *words, **more)

        monkeypatch.setattr(module, function, write)

    wrapped(modelfile, "atomic_bytes")
    wrapped(runfolder, "atomic_text")
    return tried


def test_periodic_checkpoints_may_fail(lab: Lab, monkeypatch: pytest.MonkeyPatch, clock: Times) -> None:
    lab.good("train", "trees.yaml", "--out", "whole", "-q", "--set", EVERY_STEP)
    failing(monkeypatch, "/step-", lambda k: 3 <= k <= 5)
    honest = Trainer._step

    def step(self: Trainer, rows: Any) -> None:
        clock.now += 10
        honest(self, rows)

    monkeypatch.setattr(Trainer, "_step", step)
    found = lab.good("train", "trees.yaml", "--out", "run", "--json", "--set", EVERY_STEP)
    first = "warning: cannot write run/checkpoints/step-00000002.safetensors: No space left on device; training goes on"
    assert found.err.count(first) == found.err.count("; training goes on") == 1
    assert found.err.index(first) < found.err.index("epoch 2/3") < found.err.index("checkpoints can be written again")
    assert [w["code"] for w in json.loads(found.out)["warnings"]] == ["not-saved", "saved-again"]
    assert (lab.path / "run/model.safetensors").read_bytes() == (lab.path / "whole/model.safetensors").read_bytes()
    assert "not-saved" in failing_quietly(lab, monkeypatch)


def failing_quietly(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "/step-", lambda k: k == 2)
    return lab.good("train", "trees.yaml", "--out", "quiet", "-q", "--set", EVERY_STEP).err


def test_lines_that_could_not_be_written_are_written_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, tried = open, []

    def refuse(file: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
        if "a" in mode and str(file).endswith("metrics.jsonl"):
            tried.append(file)
            if len(tried) == 2:
                with honest(file, mode) as half:
                    half.write(b'{"epoch": 2, "tr')
                raise FULL
        return honest(file, mode, *words, **more)

    monkeypatch.setattr("builtins.open", refuse)
    found = lab.good("train", "trees.yaml", "--out", "run", "--set", "training.checkpoint.every=1h")
    assert "warning: cannot write run/metrics.jsonl: No space left on device; training goes on [not-saved]" in found.err
    lines = (lab.path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.parametrize("name", ["metrics.jsonl", "model.safetensors", "step-0000000[2-4]"])
def test_a_disk_that_is_full_for_a_moment_is_told_once_and_nothing_is_lost(
    name: str, lab: Lab, monkeypatch: pytest.MonkeyPatch, clock: Times
) -> None:
    """The clock goes on, so that each is tried again while training goes on, and by nobody who writes nothing."""
    honest, honest_step, refused = open, Trainer._step, []

    def refuse(file: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
        if "a" in mode and re.search(name, str(file)) and not refused:
            refused.append(file)
            raise FULL
        return honest(file, mode, *words, **more)

    def step(self: Trainer, rows: Any) -> None:
        clock.now += 0.7
        honest_step(self, rows)

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Trainer, "_step", step)
    failing(monkeypatch, name, lambda k: k <= 2 and name != "metrics.jsonl")
    found = lab.good("train", "trees.yaml", "--out", "run", "--json", "--set", "training.epochs=5", "--set", EVERY_STEP)
    assert [w["code"] for w in json.loads(found.out)["warnings"]] == ["not-saved", "saved-again"]
    lines = (lab.path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_log_that_somebody_else_changed_is_written_anew(tmp_path: Path) -> None:
    from bpcli.records.training import EpochRow
    from bpcli.studies.run.runfolder import RunFolder

    rows = [EpochRow(k, {}, 0.0, 0.0, 0.0, 1.0, 0.1, 2, 0.0) for k in (1, 2, 3, 4)]
    folder = RunFolder(tmp_path)
    folder.log_epochs(rows[:2])
    folder.metrics.unlink()
    folder.log_epochs(rows[:3])
    assert [r.epoch for r in folder.epochs()] == [1, 2, 3]
    folder.metrics.write_text(folder.metrics.read_text() + "odd\n")
    folder.log_epochs(rows)
    assert [r.epoch for r in folder.epochs()] == [1, 2, 3, 4]


def test_a_disk_that_cannot_take_a_checkpoint_is_found_before_the_first_step(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "/step-", lambda k: k == 1)
    monkeypatch.setattr(Trainer, "_step", None)
    found = lab.run("train", "trees.yaml", "--out", "run")
    assert found.code == Exit.IO_ERROR
    assert found.err.startswith(
        "error: cannot write run/checkpoints/step-00000000.safetensors: No space left on device"
    )


# ------------------------------------------------------------------------------------------------------ a second place
@pytest.mark.parametrize("name", ["run/model.safetensors", "run/checkpoints/step-00000006", "run/run.json"])
def test_what_cannot_be_written_at_the_end_is_kept_elsewhere(
    name: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.good("train", "trees.yaml", "--out", "whole", "-q")
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.path / "cache"))
    with monkeypatch.context() as patch:
        failing(patch, f"^{name}", lambda k: k > ("model" in name))
        found = lab.run("train", "trees.yaml", "--out", "run", "-q")
    place = lab.path / "cache" / "bpcli" / "runs" / "run"
    assert found.code == Exit.IO_ERROR
    words = " ".join(found.err.split())
    assert words.startswith(f"error: cannot write {name}")
    assert f"help: the run is kept in {place}, and its model too: `bpcli eval {place}`; once run can be" in words
    assert "`bpcli train --resume run` writes it there" in words
    for run in (place, lab.path / "run"):
        if run != place:
            lab.good("train", "--resume", "run")
        assert (run / "model.safetensors").read_bytes() == (lab.path / "whole/model.safetensors").read_bytes()
        assert "warning" not in lab.good("eval", str(run)).err
        assert "this run was finished before" in lab.good("train", "--resume", str(run)).err
        assert len((run / "metrics.jsonl").read_text().splitlines()) == 3
    assert lab.good("predict", str(place / "model.safetensors"), "--data", "trees.csv").out


@pytest.mark.parametrize(
    "error", [MemoryError(), NotEnoughMemoryError("9 GB of memory are needed", "less beside it"), FULL]
)
def test_nothing_that_a_save_raises_ends_the_training_before_its_time(
    error: Exception, lab: Lab, monkeypatch: pytest.MonkeyPatch, clock: Times
) -> None:
    """Of memory as of the disk, where it is wanting in the midst and at the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.path / "cache"))
    honest, saved = modelfile.atomic_bytes, []

    def write(path: Path, *words: Any, **more: Any) -> None:
        saved.append(path)
        if len(saved) >= 3 and "cache" not in str(path):
            raise error
        honest(path, *words, **more)

    monkeypatch.setattr(modelfile, "atomic_bytes", write)
    found = lab.run("train", "trees.yaml", "--out", "run", "-q", "--set", EVERY_STEP)
    words = " ".join(found.err.split())
    assert found.code == Exit.IO_ERROR
    assert words.count("; training goes on [not-saved]") == 1
    assert "help: the run is kept in " in words
    assert ("once there is memory for it, `bpcli train --resume run`" in words) == isinstance(error, MemoryError)
    assert lab.good("eval", str(lab.path / "cache/bpcli/runs/run")).out


def test_where_nothing_can_be_written_both_places_are_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.path / "cache"))
    failing(monkeypatch, "model.safetensors", lambda k: k > 1)
    found = lab.run("train", "trees.yaml", "--out", "run", "-q")
    assert found.code == Exit.IO_ERROR
    words = " ".join(found.err.split())
    assert "error: cannot write run/model.safetensors: No space left on device" in words
    assert f"error: nor could it be kept elsewhere: cannot write {lab.path}/cache/bpcli/runs/run/model" in words
    assert not list((lab.path / "cache/bpcli/runs").iterdir())
    assert "model of epoch 1 " in lab.good("eval", "run").err


def test_the_cache_folder_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bpcli.studies.run.saving.second_place import cache_folder

    monkeypatch.setenv("HOME", str(tmp_path))
    for named, expected in ((str(tmp_path / "c"), tmp_path / "c/bpcli"), ("relative", tmp_path / ".cache/bpcli")):
        monkeypatch.setenv("XDG_CACHE_HOME", named)
        assert cache_folder() == expected


# ----------------------------------------------------------------------------------------------------- the model so far
def test_the_model_of_the_best_epoch_so_far_stands_there_from_the_first_one_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = [1.0, 3.0, 0.5, 2.0, 4.0]
    seen = []

    def improved(self: Any, figures: Any) -> bool:
        p = self.state.progress
        if best[p.epoch - 1] <= min(best[: p.epoch]):
            p.best_epoch, self.state.best_weights = (
                p.epoch,
                {k: a.copy() for k, a in self.state.best_so_far()[1].items()},
            )
            return True
        return False

    honest = Trainer._close_epoch

    def close(self: Trainer) -> None:
        honest(self)
        if self.state.progress.epoch > 0:
            said = lab.good("eval", "run").err
            seen.append(said.partition("this is the model of epoch ")[2].partition(" ")[0])

    monkeypatch.setattr("bpcli.studies.run.early_stopping.EarlyStopper.improved", improved)
    monkeypatch.setattr(Trainer, "_close_epoch", close)
    early = ("--set", "training.early_stopping={metric: train.loss}", "--set", "training.epochs=5")
    lab.good("train", "trees.yaml", "--out", "run", "-q", "--set", EVERY_STEP, *early)
    assert seen == ["1", "1", "1", "3", "3"], "at once, then with the checkpoint after each step"
    assert "warning" not in lab.good("eval", "run").err
