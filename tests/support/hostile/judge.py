"""Runs the real commands on a hostile file, in this process, and says what is wrong with how they ended."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from bpcli.cli.app import run

DOCUMENTED = (0, 2, 3, 65, 66, 73, 74)
"""Exit codes of a command that nobody interrupts, but for 1."""
SECONDS = 10.0  # of processor time, of one command


class HungError(BaseException):
    """A command did not come back; no part of bpcli catches it."""


@dataclass(frozen=True)
class Verdict:
    """How a command ended; `fault` is empty where it ended as documented."""

    code: int
    fault: str
    said: str


def judge(words: Sequence[str], seconds: float = SECONDS) -> Verdict:
    """Runs `bpcli WORDS` and returns how it ended."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=e) for e in ("strict", "backslashreplace"))
    old = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = out, err
        with patch.object(sys, "argv", ["bpcli", *words]), alarm(seconds):
            code = run()
        out.flush(), err.flush()
    except HungError:
        return Verdict(-1, f"hung for more than {seconds:g} s", "")
    except BaseException as error:  # nothing may leave `run`
        return Verdict(-1, f"traceback: {type(error).__name__}: {error}"[:300], "")
    finally:
        sys.stdout, sys.stderr = old
    said = (err.buffer.getvalue() + out.buffer.getvalue()).decode("utf-8", "replace")  # type: ignore[attr-defined]
    return Verdict(code, fault(code, said), said)


def fault(code: int, said: str) -> str:
    """Returns what is wrong with an end; empty where nothing is."""
    if code == 1:
        return "exit 1: " + (re.findall(r"mistake of its own: .*", said) or ["?"])[0][:300]
    if code not in DOCUMENTED:
        return f"exit {code}"
    if "Traceback (most recent" in said:
        return f"exit {code} with a traceback"
    return "" if code in (0, 3) or "error" in said else f"exit {code} without a word"


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises HungError in what takes longer, by the processor's time: another program's load is no hang."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise HungError

    old = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)


class Folder:
    """A folder that is as it was after each case."""

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        """`copy` holds what should be in it, by default it does itself."""
        self.path, source = path, copy or path
        entries = [(path / p.relative_to(source), p) for p in source.rglob("*")]
        self.kept = {to: p.read_bytes() for to, p in entries if p.is_file()}
        self.folders = {to for to, p in entries if p.is_dir()}

    def restore(self) -> None:
        """Takes away what was made, and puts back what was changed."""
        for entry in sorted(self.path.rglob("*"), reverse=True):
            if entry.is_symlink() or (entry.is_file() and entry not in self.kept):
                entry.unlink()
            elif entry.is_dir() and entry not in self.folders:
                shutil.rmtree(entry)
        for file, data in self.kept.items():
            if not file.exists() or file.stat().st_size != len(data) or file.read_bytes() != data:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)


@contextmanager
def inside(path: Path) -> Iterator[None]:
    """Works in a folder."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
