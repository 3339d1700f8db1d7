"""A folder with a small experiment in it, and the command line run in it, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from count_calls import Work
from paths import ROOT

from bpcli.cli.app import run

DATA = """\
width,height,kind
1.0,2.0,oak
2.0,1.5,elm
3.0,5.0,oak
4.0,3.5,elm
5.0,9.0,oak
6.0,2.5,elm
7.0,8.0,oak
8.0,4.5,elm
"""
CONFIG = """\
name: trees
seed: 1
data:
  train: {type: csv, path: trees.csv, target: kind}
  scale: standardize
architecture:
  - {type: dense, units: 4, activation: tanh}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
training: {epochs: 3, batch_size: 4}
"""


WOKEN = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
"""Undoes what a shell does to what it runs in the background: that it ignores some signals."""

LITTLE = 2_000_000
"""Calls of functions that no refusal needs: most make 60,000, the first of a process 700,000 to load what it uses."""


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Lab:
    """A working directory with `trees.csv` and `trees.yaml`."""

    path: Path
    capture: pytest.CaptureFixture[str]

    def write(self, name: str, text: str | bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def config(self, *changes: tuple[str, str], name: str = "trees.yaml", text: str = CONFIG) -> Path:
        """The config with texts replaced by others."""
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return self.write(name, text)

    def run(self, *words: str) -> Outcome:
        """`bpcli WORDS` in this process."""
        self.capture.readouterr()
        with patch.object(sys, "argv", ["bpcli", *words]):
            code = run()
        out, err = self.capture.readouterr()
        assert "Traceback" not in out + err
        return Outcome(code, out, err)

    def soon(self, *words: str) -> Outcome:
        """`run`, where little is to be done."""
        with Work() as done:
            found = self.run(*words)
        assert done.calls < LITTLE
        return found

    def good(self, *words: str) -> Outcome:
        """`run`, where all should go well."""
        found = self.run(*words)
        assert found.code == 0, found.err
        return found

    def apart(self, *words: str, program: str = "", **environment: str) -> Outcome:
        """`bpcli WORDS` in a process of its own; `program` is Python to run before it."""
        found = subprocess.run(
            self.command(*words, program=program),
            cwd=self.path, capture_output=True, encoding="utf-8", env=surroundings(environment), timeout=60,
        )  # fmt: skip
        return Outcome(found.returncode, found.stdout, found.stderr)

    def command(self, *words: str, program: str = "") -> list[str]:
        """The words that start `bpcli WORDS` in a process of its own."""
        if not program:
            return [sys.executable, "-m", "bpcli", *words]
        main = f"{WOKEN}\n{program}\nimport sys; from bpcli.__main__ import main; sys.argv[0] = 'bpcli'; main()"
        return [sys.executable, "-c", main, *words]

    def files(self) -> set[str]:
        """All files and folders there are."""
        return {str(p.relative_to(self.path)) for p in self.path.rglob("*")}


def surroundings(added: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without what colours, widens or hurries output."""
    unwanted = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "PYTHONIOENCODING", "PYTHONUNBUFFERED")
    kept = {k: v for k, v in os.environ.items() if k not in unwanted}
    root = ROOT
    return {**kept, "PYTHONPATH": str(root), "PYTHONWARNINGS": "error", **(added or {})}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    lab = Lab(tmp_path, capsys)
    lab.write("trees.csv", DATA)
    lab.write("trees.yaml", CONFIG)
    return lab


@dataclass(frozen=True)
class Case:
    """A command on bad input: all that it has to say on stderr, and how it ends. `changes` are made to the config,
    `files` are written. `<FREE>` stands for an amount of memory."""

    name: str
    text: str
    code: int = 65
    words: str = "check trees.yaml"
    changes: Sequence[tuple[str, str]] = ()
    files: Mapping[str, str | bytes] = field(default_factory=dict)
