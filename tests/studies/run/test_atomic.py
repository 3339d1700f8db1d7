"""Atomic writing: an error, an interrupt or a crash at any call leaves the old content or the new one, whole."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import Exit, Failure
from bpcli.studies.run import atomic
from bpcli.studies.run.atomic import NewFile, atomic_bytes, atomic_files, atomic_text

OLD, NEW = b"old", b"new content"
CALLS = [(atomic, "open"), (os, "fsync"), (os, "chmod"), (os, "replace"), (os, "open"), (os, "close")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def watch(patch: pytest.MonkeyPatch, act: Callable[[int, str], None]) -> list[str]:
    """Calls `act(count, name)` before each call of the system that a write makes; returns the names so far."""
    seen: list[str] = []

    def spied(name: str, original: Any) -> Any:
        def call(*args: Any, **settings: Any) -> Any:
            seen.append(name)
            act(len(seen), name)
            return original(*args, **settings)

        return call

    for module, name in CALLS:
        original = getattr(module, name, open)
        patch.setattr(module, name, spied(f"{module.__name__}.{name}", original), raising=False)
    return seen


def test_new_and_replaced(file: Path) -> None:
    atomic_bytes(file, NEW)
    atomic_text(file.with_name("text"), "é\n")
    assert file.read_bytes() == NEW
    assert file.with_name("text").read_bytes() == b"\xc3\xa9\n"
    assert sorted(os.listdir(file.parent)) == ["model", "text"]


def test_a_write_is_flushed_before_it_is_named_and_the_folder_after(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch, lambda count, name: None)
    atomic_bytes(file, NEW)
    assert seen == [
        "bpcli.studies.run.atomic.open",
        "os.fsync",
        "os.chmod",
        "os.replace",
        "os.open",
        "os.fsync",
        "os.close",
    ]


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt(), MemoryError()])
def test_an_error_at_each_call(file: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    def fail(count: int, name: str) -> None:
        if count == at:
            raise error

    watch(monkeypatch, fail)
    with pytest.raises(Failure if isinstance(error, OSError) else type(error)) as caught:
        atomic_bytes(file, NEW)
    monkeypatch.undo()
    assert file.read_bytes() == (OLD if at <= 4 else NEW)  # the renaming is the fourth call
    assert os.listdir(file.parent) == ["model"]
    if isinstance(caught.value, Failure):
        assert caught.value.exit == Exit.IO_ERROR
        assert caught.value.problems[0].text == f"cannot write {file}: Input/output error"


CRASH = """
import os, sys
from pathlib import Path
import bpcli.studies.run.atomic as atomic
path, at, after = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "after"
count = 0
def spied(original):
    def call(*args, **settings):
        global count
        count += 1
        if count == at and not after:
            os._exit(9)
        found = original(*args, **settings)
        if count == at:
            os._exit(9)
        return found
    return call
for module, name in ((atomic, "open"), (os, "fsync"), (os, "replace"), (os, "open")):
    setattr(module, name, spied(getattr(module, name, open)))
atomic.atomic_bytes(path, b"new content")
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_crash_at_each_call(file: Path, at: int, moment: str) -> None:
    child = subprocess.run([sys.executable, "-c", CRASH, str(file), str(at), moment], capture_output=True, text=True)
    assert child.returncode == 9, child.stderr
    renamed = at > 3 or (at == 3 and moment == "after")
    assert file.read_bytes() == (NEW if renamed else OLD)
    atomic_bytes(file.with_name("other"), b"")
    assert sorted(os.listdir(file.parent)) == ["model", "other"]


def test_what_a_process_is_writing_stays_and_what_one_left_goes(file: Path) -> None:
    left = file.with_name(".bpcli-0123456789abcdef.tmp")
    left.write_bytes(b"half")
    others = {".bpcli-notes", "a.tmp", "model"}
    for name in others:
        file.with_name(name).write_bytes(OLD)
    with NewFile(file) as first:
        first.write(NEW)
        assert not left.exists()
        with NewFile(file) as second:
            assert len(os.listdir(file.parent)) == len(others) + 2
            second.write(OLD)
        assert file.read_bytes() == OLD
    assert file.read_bytes() == NEW
    assert set(os.listdir(file.parent)) == others


def test_a_file_that_another_process_took_for_abandoned_is_begun_anew(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its locking."""
    honest, numbers = atomic.try_lock, []

    def locked(number: int) -> bool | None:
        numbers.append(number)
        beside = [p for p in file.parent.iterdir() if p != file]
        if len(numbers) == 1:
            beside[0].unlink()
        return False if len(numbers) == 2 and not beside[0].unlink() else honest(number)

    monkeypatch.setattr(atomic, "try_lock", locked)
    atomic_bytes(file, NEW)
    assert len(numbers) == 3
    assert (file.read_bytes(), os.listdir(file.parent)) == (NEW, ["model"])


def test_files_that_belong_together_are_all_written_before_one_takes_its_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = file.with_name("other")
    other.write_bytes(OLD)

    def fail(count: int, name: str) -> None:
        if count == 4:  # the second fsync
            raise OSError(errno.ENOSPC, "No space left on device")

    watch(monkeypatch, fail)
    with pytest.raises(Failure):
        atomic_files({file: NEW, other: NEW})
    assert (file.read_bytes(), other.read_bytes()) == (OLD, OLD)
    assert sorted(os.listdir(file.parent)) == ["model", "other"]


def test_a_disk_that_is_full(file: Path) -> None:
    """The limit on the size of a file stops a write half-way, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(Failure) as caught:
            atomic_bytes(file, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit == Exit.IO_ERROR
    assert file.read_bytes() == OLD
    assert os.listdir(file.parent) == ["model"]


@pytest.mark.parametrize(
    ("number", "exit", "help"),
    [
        (errno.ENOSPC, Exit.IO_ERROR, "free some space, or write to another disk"),
        (errno.EDQUOT, Exit.IO_ERROR, "free some space, or write to another disk"),
        (errno.EACCES, Exit.CANNOT_CREATE, "choose another place, or change the permissions"),
        (errno.EROFS, Exit.CANNOT_CREATE, "choose another place, or change the permissions"),
        (errno.ENAMETOOLONG, Exit.CANNOT_CREATE, "choose another place, or change the permissions"),
        (errno.EMFILE, Exit.IO_ERROR, ""),
    ],
)
def test_what_an_error_means(file: Path, monkeypatch: pytest.MonkeyPatch, number: int, exit: Exit, help: str) -> None:
    def fail(count: int, name: str) -> None:
        raise OSError(number, os.strerror(number))

    watch(monkeypatch, fail)
    with pytest.raises(Failure) as caught:
        atomic_bytes(file, NEW)
    (problem,) = caught.value.problems
    assert (caught.value.exit, problem.help, problem.file) == (exit, help, str(file))
    assert problem.text == f"cannot write {file}: {os.strerror(number)}"


def test_a_folder_that_cannot_be_flushed_is_no_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(count: int, name: str) -> None:
        if name == "os.open":
            raise OSError(errno.EACCES, "Permission denied")

    watch(monkeypatch, fail)
    atomic_bytes(file, NEW)
    assert file.read_bytes() == NEW


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "no" / "model"
    with pytest.raises(Failure, match=f"cannot write {path}: the folder {path.parent} does not exist") as caught:
        atomic_bytes(path, NEW)
    assert caught.value.exit == Exit.CANNOT_CREATE


def test_a_file_is_no_folder(file: Path) -> None:
    with pytest.raises(Failure, match="Not a directory") as caught:
        atomic_bytes(file / "model", NEW)
    assert caught.value.exit == Exit.CANNOT_CREATE


def test_what_is_not_a_file_is_not_replaced(tmp_path: Path) -> None:
    folder, pipe, link = tmp_path / "folder", tmp_path / "pipe", tmp_path / "link"
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to(folder)
    for path, what in ((folder, "a folder"), (pipe, "a pipe"), (link, "a folder"), (Path("/dev/null"), "a device")):
        with pytest.raises(Failure, match=f"{path} is {what}, not a file that could be replaced") as caught:
            atomic_bytes(path, NEW)
        assert caught.value.exit == Exit.CANNOT_CREATE
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_what_leads_to_a_pipe_is_one() -> None:
    """As /dev/stdout does, whose other name is no path."""
    reading, writing = os.pipe()
    try:
        with pytest.raises(Failure, match=f"/dev/fd/{writing} is a pipe, not a file that could be replaced"):
            atomic_bytes(Path(f"/dev/fd/{writing}"), NEW)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "model"
    link.symlink_to(target)
    for content in (OLD, NEW):  # the first one into nothing
        atomic_bytes(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["link", "there"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(Failure, match="symbolic links"):
        atomic_bytes(loop, NEW)


def test_modes(tmp_path: Path, umask: Callable[[int], int]) -> None:
    path = tmp_path / "model"
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        umask(mask)
        atomic_bytes(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.unlink()
    path.touch(0o600)
    umask(0o022)
    atomic_bytes(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # what was private stays private


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(Failure, match="Permission denied") as caught:
        atomic_bytes(tmp_path / "model", NEW)
    tmp_path.chmod(0o755)
    assert caught.value.exit == Exit.CANNOT_CREATE
