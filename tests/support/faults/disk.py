"""The calls of this process to a folder, counted and logged: one of them can fail, be cut short, or be the last."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bpcli.studies.run.atomic import open_own

ERRORS = ("ENOSPC", "EIO", "EACCES", "EDQUOT")
WAYS = (*ERRORS, "short")
"""How a call fails: by an error, or (of a write) by writing half of what it was given."""
WRITING = ("open w", "write", "fsync", "replace", "unlink", "mkdir", "rmdir", "chmod", "ftruncate")
PATH_CALLS = ("open", "unlink", "mkdir", "rmdir", "chmod", "replace", "rename", "stat", "lstat", "listdir", "scandir")
NUMBER_CALLS = ("fsync", "write", "read", "ftruncate", "close")
UNFAILING = ("close",)  # not counted


class Died(BaseException):
    """The end of the process, as far as it can be had inside: from here on no call does anything."""


@dataclass
class Event:
    """What a call did: its name, the file or folder, and what else it takes to do it again."""

    name: str
    path: str
    more: tuple[Any, ...] = ()


@dataclass
class Disk:
    """While entered, calls below `root` are counted. The one of number `at` (from 1) fails in this `way`: one of WAYS,
    `before` or `after` (the process ends there). With `forever`, so do all later calls of these `names`."""

    root: Path
    at: int = 0
    way: str = ""
    forever: bool = False
    names: tuple[str, ...] = WRITING
    calls: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    struck: str = ""
    dead: bool = False
    _open: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> Disk:
        self.start, self._patch = os.path.abspath(self.root) + os.sep, pytest.MonkeyPatch()
        self._real = {name: getattr(os, name) for name in (*PATH_CALLS, *NUMBER_CALLS)}
        for name in PATH_CALLS:
            self._patch.setattr(os, name, self._by_path(name))
        for name in NUMBER_CALLS:
            self._patch.setattr(os, name, self._by_number(name))
        opened = self._opened(io.open)
        self._patch.setattr(io, "open", opened)
        self._patch.setattr(builtins, "open", opened)
        return self

    def __exit__(self, *_: object) -> None:
        """Puts the calls back, and lets go of what the end of the process would."""
        self._patch.undo()
        for number in self._open:
            os.close(number)

    def inside(self, path: Any) -> str:
        """The absolute path where it is below the root, else nothing."""
        if not isinstance(path, str | os.PathLike):
            return ""
        found = os.path.normpath(os.path.join(os.getcwd(), os.fspath(path)))
        return found if (found + os.sep).startswith(self.start) else ""

    def call(self, name: str, path: str, do: Callable[[], Any], short: Callable[[], Any] | None = None) -> Any:
        """Does a call, or what is to become of it."""
        if self.dead:
            raise Died
        self.calls.append(name)
        number = len(self.calls)
        hit = number == self.at or (self.forever and number > self.at > 0 and name in self.names)
        if not hit or not self.way:
            return do()
        self.struck = self.struck or f"{number}: {name} {path.removeprefix(self.start)}"
        if self.way == "short":
            return (short or do)()
        if self.way in ("before", "after"):
            if self.way == "after":
                do()
            self.dead = True
            raise Died
        code = getattr(errno, self.way)
        raise OSError(code, os.strerror(code), path)

    def _by_path(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def called(path: Any = ".", *words: Any, **more: Any) -> Any:
            inside = self.inside(path)
            if not inside:
                return real(path, *words, **more)
            new = name == "open" and words[0] & os.O_CREAT and not os.path.lexists(inside)

            def do() -> Any:
                found = real(path, *words, **more)
                if name == "open":
                    self._open[found] = inside
                to = tuple(self.inside(w) for w in words if name in ("replace", "rename"))
                self.events.append(Event("create" if new else name, inside, to))
                return found

            label = "open w" if name == "open" and words[0] & (os.O_WRONLY | os.O_RDWR) else name
            return self.call(label, inside, do)

        return called

    def _by_number(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def called(number: int, *words: Any) -> Any:
            path = self._open.get(number, "")
            if not path:
                return real(number, *words)
            if name == "close":
                del self._open[number]
            if name in UNFAILING:
                return real(number, *words)

            def do() -> Any:
                self.events.append(Event(name, path, words))
                return None if name == "fsync" else real(number, *words)  # no power is cut here, and it takes long

            return self.call(name, path, do)

        return called

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", buffering: int = -1, *words: Any, **more: Any) -> Any:
            path = self.inside(file)
            if more.get("opener") is open_own:  # which opens as usual where there are no links
                del more["opener"]
            if not path or "opener" in more:
                return real(file, mode, buffering, *words, **more)
            writes = any(c in mode for c in "wax+")

            def do() -> RawFile:
                new = writes and not os.path.lexists(path)
                raw = RawFile(self, path, "".join(c for c in mode if c not in "bt"))
                self.events.append(Event("create" if new else "truncate" if "w" in mode else "open", path))
                return raw

            raw = self.call("open w" if writes else "open", path, do)
            kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if writes else io.BufferedReader
            buffered = kind(raw)
            if "b" in mode:
                return buffered
            return io.TextIOWrapper(buffered, *words, **more)

        return opened


class RawFile(io.FileIO):
    """A file whose reads and writes are calls of a disk."""

    def __init__(self, disk: Disk, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self.disk, self.path = disk, path
        disk._open[self.fileno()] = path

    def write(self, data: Any) -> int:
        if self.disk.dead:
            return len(data)  # a buffer that is let go of
        place = os.fstat(self.fileno()).st_size if "a" in self.mode or "x" in self.mode else self.tell()

        def do(size: int = len(data)) -> int:
            kept = bytes(data[:size])
            self.disk.events.append(Event("write", self.path, (place, kept)))
            return super(RawFile, self).write(kept)

        return int(self.disk.call("write", self.path, do, lambda: do(max(1, len(data) // 2))))

    def readall(self) -> bytes:
        return bytes(self.disk.call("read", self.path, super().readall))

    def readinto(self, into: Any) -> int:
        return int(self.disk.call("read", self.path, lambda: super(RawFile, self).readinto(into)))

    def close(self) -> None:
        if not self.closed:
            self.disk._open.pop(self.fileno(), None)
        super().close()
