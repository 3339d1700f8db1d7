"""Whatever call to the disk fails, or is the last one of the process: what is left goes on to the same end."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from faults.disk import WAYS, WRITING, Disk
from faults.training import Work, differences, read_once, suffer, train, train_folds, wipe


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an experiment that is read once."""
    return read_once(tmp_path, monkeypatch)


def wrong_after(work: Work, config: Path, points: slice, ways: tuple[str, ...], names: tuple[str, ...]) -> list[Any]:
    """What does not end as it should where one of the calls of these names fails, each in the next of these ways."""
    whole, run = config.with_name("whole"), config.with_name("run")
    assert not suffer(lambda: work(whole, config), Disk(whole))
    calm = Disk(run)
    assert not suffer(lambda: work(run, config), calm)
    numbers = [k for k, name in enumerate(calm.calls, 1) if name in names or not names]
    assert len(numbers) > 40
    wrong = []
    for at, way in zip(numbers[points], cycle(ways), strict=False):
        wipe(run)
        disk = Disk(run, at, way)
        ended = suffer(lambda: work(run, config), disk)
        again = suffer(lambda: work(run, config), Disk(run))
        if again or (found := differences(run, whole)):
            wrong.append((disk.struck, way, ended, again or found))
    return wrong


def test_a_process_that_ends_at_any_call(config: Path) -> None:
    assert wrong_after(train, config, slice(0, None, 2), ("before",), WRITING) == []


def test_any_call_that_fails(config: Path) -> None:
    assert wrong_after(train, config, slice(0, None, 5), WAYS, ()) == []


def test_folds_that_end_at_any_call(config: Path) -> None:
    assert wrong_after(train_folds, config, slice(3, None, 17), ("before",), WRITING) == []


def lost_after(config: Path, names: tuple[str, ...], per_name: int, ways: tuple[str, ...]) -> list[Any]:
    """What is neither in the run folder nor in the user's cache folder after a training during which the calls of one
    name begin to fail, and fail to the end."""
    whole, run, cache = (config.with_name(name) for name in ("whole", "run", "cache"))
    train(whole, config)
    calm = Disk(run)
    assert not suffer(lambda: train(run, config), calm)
    first = max(k for k, event in enumerate(calm.calls) if event == "replace") // 2  # the folder was made long ago
    lost = []
    for name in names:
        numbers = [k for k, called in enumerate(calm.calls, 1) if called == name and k > first]
        apart = max(1, len(numbers) // per_name)
        for at, way in zip(numbers[apart // 2 :: apart], cycle(ways), strict=False):
            wipe(run)
            wipe(cache)
            disk = Disk(run, at, way, forever=True, names=(name,))
            ended = suffer(lambda: train(run, config), disk)
            kept = cache / "bpcli" / "runs" / "run"
            found = kept if (kept / "model.safetensors").exists() else run
            if not (found / "metrics.jsonl").exists():
                assert ended == "Failure", "no step was taken"
            elif ended not in ("", "Failure") or (ended and found == run):
                lost.append((disk.struck, way, ended, "not kept"))
            elif gone := differences(found, whole):
                lost.append((disk.struck, way, ended, gone))
    return lost


DISK_CALLS = ("stat", "listdir", "scandir", "open", "open w", "write", "fsync", "replace", "chmod", "lstat")


def test_what_a_disk_that_fails_to_the_end_cannot_take_is_kept_elsewhere(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(config.with_name("cache")))
    assert lost_after(config, DISK_CALLS, 1, ("EIO",)) == []


@pytest.mark.slow
def test_every_call_that_fails_to_the_end(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(config.with_name("cache")))
    assert lost_after(config, DISK_CALLS, 20, ("EIO", "ENOSPC", "ESTALE", "EACCES", "EMFILE")) == []


@pytest.mark.slow
@pytest.mark.parametrize("way", ["before", *WAYS])
@pytest.mark.parametrize("work", [train, train_folds])
def test_every_call_in_every_way(config: Path, work: Work, way: str) -> None:
    assert wrong_after(work, config, slice(None), (way,), ()) == []
