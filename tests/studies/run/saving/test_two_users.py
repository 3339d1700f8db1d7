"""Two users on one folder: who holds it is said, what the other one left behind is replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import Exit, Failure
from bpcli.studies.run.lock import Lock


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock file that another user made, which can only be read."""
    honest = os.open
    theirs = tmp_path / "train.lock"
    theirs.write_text("123\n")
    first = theirs.stat().st_ino

    def opened(path: Any, flags: int, *mode: int) -> int:
        if str(path) == str(theirs) and flags & os.O_RDWR and theirs.exists() and theirs.stat().st_ino == first:
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path, flags, *mode)

    monkeypatch.setattr(os, "open", opened)
    return tmp_path


def test_a_lock_that_another_user_left_behind_is_replaced(others: Path) -> None:
    theirs = open(others / "train.lock")  # noqa: SIM115  (keeps its number from being used again)
    lock = Lock(others)
    theirs.close()
    assert lock.path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_that_another_user_holds_is_respected(others: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with open(others / "train.lock") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(Failure, match="process 123 is training in"):
            Lock(others)
    assert (others / "train.lock").read_text() == "123\n"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_a_folder_of_another_user_says_whose_it_is(others: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: others.stat().st_uid + 1)
    with pytest.raises(Failure) as caught:
        Lock(others)
    assert int(caught.value.exit) == Exit.CANNOT_CREATE
    text = f"cannot write {others / 'train.lock'}: Permission denied; {others} belongs to the user {others.owner()}"
    assert caught.value.problems[0].text == text
