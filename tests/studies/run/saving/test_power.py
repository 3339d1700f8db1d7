"""The power fails after any call to the disk: what is left goes on to the same end, and no checkpoint is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
from faults.disk import Disk, Event
from faults.power import POLICIES, Node, replayed, restore
from faults.training import CONFIG, Work, differences, read_once, suffer, train, train_folds

from bpcli.studies.run.runfolder import RunFolder

CHANGING = ("create", "mkdir", "unlink", "rmdir", "replace", "fsync", "write", "truncate", "ftruncate")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an experiment that is read once, with a checkpoint after every second step."""
    return read_once(tmp_path, monkeypatch, CONFIG.rstrip().removesuffix("}") + ", checkpoint: {every: 2 steps}}\n")


def promised(events: list[Event]) -> int:
    """The step of the last checkpoint whose name was brought to the disk; -1 for none."""
    found = written = -1
    for event in events:
        if event.name == "replace" and "/step-" in event.more[0]:
            written = int(event.more[0].rpartition("-")[2].removesuffix(".safetensors"))
        elif event.name == "fsync" and event.path.endswith("checkpoints"):
            found = written
    return found


def wrong_after(
    work: Callable[[Path, Path], None], config: Path, points: slice, policies: tuple[str, ...]
) -> list[Any]:
    """What does not end as it should after a power cut between two calls, each in the next of these ways."""
    whole, live, left = (config.with_name(name) for name in ("whole", "live", "left"))
    assert not suffer(lambda: work(whole, config), Disk(whole))
    live.mkdir()
    disk, wrong, run = Disk(live), [], left / "run"
    assert not suffer(lambda: work(live / "run", config), disk)
    events = [event for event in disk.events if event.name in CHANGING]
    for cut, policy in zip(range(len(events) + 1)[points], cycle(policies), strict=False):
        shutil.rmtree(left, ignore_errors=True)
        restore(replayed(events[:cut], str(live)), left, policy, Random(cut))
        wanted = promised(events[:cut])
        if work is train and wanted >= 0:
            progress = RunFolder(run).newest_checkpoint()[1].get("progress", {"step": -1, "epoch": 0})
            if progress["step"] < wanted or len(RunFolder(run).epochs()) < progress["epoch"]:
                wrong.append((cut, events[cut - 1], policy, wanted, progress))
        if (failed := suffer(lambda: work(run, config), Disk(run))) or (found := differences(run, whole)):
            wrong.append((cut, events[cut - 1 : cut], policy, failed or found))
    return wrong


def test_the_power_fails_after_any_call(config: Path) -> None:
    assert wrong_after(train, config, slice(None, None, 7), POLICIES) == []


def test_what_is_not_brought_to_the_disk_is_lost() -> None:
    """As the model of a disk has it: the name after the folder is synced, the content after the file is."""
    events = [Event("create", "/a/x"), Event("write", "/a/x", (0, b"12")), Event("fsync", "/a/x"),
              Event("write", "/a/x", (2, b"34")), Event("replace", "/a/x", ("/a/y",)),
              Event("fsync", "/a")]  # fmt: skip
    assert replayed(events[:5], "/a").saved_names == {}
    root = replayed(events, "/a")
    assert (root.saved_names["y"].data, root.saved_names["y"].saved) == (b"1234", b"12")
    assert root == Node(True, names=root.names, saved_names=root.names)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("work", [train, train_folds])
def test_the_power_fails_after_every_call(config: Path, work: Work, policy: str) -> None:
    assert wrong_after(work, config, slice(None), (policy,)) == []
