"""Configs and tables changed at random: whatever comes of it, the program says so in its own words."""

from __future__ import annotations

import functools
import gzip
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
import typer.main
from hypothesis import HealthCheck, given, settings

from bpcli.cli.app import run

TABLE = """\
width,height,colour,day,felled,w,fold,kind
1.0,2.0,red,2024-01-01,yes,1,train,oak
2.0,,blue,2024-01-02,no,2,train,elm
3.0,5.0,red,2024-02-03T12:30,yes,1,val,oak
4.0,3.5,?,2024-02-04,no,0.5,train,elm
5.0,9.0,"red",2024-03-05,,1,test,oak
6.0,2.5,blue,,no,3,train,elm
7.0,8.0,green,2024-04-07,yes,1,train,oak
8.0,4.5,"light, blue",2024-04-08,no,1,val,elm
"""
CONFIGS = (
    """\
name: trees
seed: 1
data:
  train: {type: csv, path: t.csv, target: kind, drop: [fold, w], missing: median, indicator: true, unseen: ignore}
  validation: 0.25
  scale: standardize
architecture:
  - {type: dense, units: 4, activation: tanh}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
regularization: {type: l2, strength: 1e-4}
training: {epochs: 1, batch_size: 4, metrics: [accuracy, f1]}
""",
    """\
data:
  train:
    type: csv
    path: t.csv
    target: [width, height]
    weight: w
    missing: drop
    unseen: ignore
    columns: {day: {parts: [month, hour], scale: minmax}, colour: text, felled: {kind: boolean}}
  split: {column: fold}
  scale: {type: robust, per: all}
  scale_target: minmax
architecture:
  - {type: dense, units: 3}
  - relu
  - {type: dense, units: 2}
loss: huber
optimizer: {type: adam, learning_rate: 1e-3}
training: {epochs: 1}
""",
    """\
data:
  train: {type: csv, path: t.csv, target: kind, drop: [w, fold], missing: mode, unseen: ignore,
          columns: {height: {missing: drop}}}
  split: {time: width}
  test: 0.2
  validation: {type: csv, path: t.csv, target: kind, missing: drop}
architecture: [{type: dense, units: 1}]
loss: binary_cross_entropy
training: {epochs: 1, batch_size: full}
""",
)
WORDS = (
    "", "0", "-1", "1e400", ".nan", "null", "true", "no", "~", "[]", "{}", "[1, [2]]", "{a: 1}", "x", "kind",
    "csv", "9" * 30, "1_0", "0x1", "'", '"', "*a", "&a b", "!!python/object/apply:os.system [ls]", "# c", "%",
    "@", "- -", "? :", "text", "number", "date", "drop", "mean", "train", "test", "2024-02-30", "../t.csv",
    "t.csv", "/", "\xe9", "\u202e", "\x00", "\t", "\ufeff", "---", "...", "<<: {a: 1}", "standardize", "width",
    "none", "yes", ",", ";", "|", "\n", "\r", "\r\n", '""', " ", "?", "NA", "1,5", "inf", "1e-320",
    "2024-01-01T25:00", "t: {u: [", "z" * 300,
)  # fmt: skip
CODES = {0, 2, 3, 65, 66}

places = st.floats(0, 1, allow_nan=False)


def replaced(text: str, at: float, word: str) -> str:
    """A word of the text (what stands between spaces, commas, brackets...) becomes another."""
    marks = [i for i, c in enumerate(text) if c in " ,:[]{}\n"]
    k = min(int(at * len(marks)), len(marks) - 1)
    end = marks[k + 1] if k + 1 < len(marks) else len(text)
    return text[: marks[k] + 1] + word + text[end:] if marks else word


def inserted(text: str, at: float, word: str) -> str:
    i = int(at * len(text))
    return text[:i] + word + text[i:]


def cut(text: str, at: float, word: str) -> str:
    i = int(at * len(text))
    return text[:i] + text[i + 1 + len(word) :]


def line_twice(text: str, at: float, word: str) -> str:
    lines = text.splitlines(keepends=True)
    i = min(int(at * len(lines)), len(lines) - 1)
    return "".join([*lines[: i + 1], word if len(word) % 2 else "", *lines[i:]]) if lines else text


def line_gone(text: str, at: float, word: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: int(at * len(lines))] + lines[int(at * len(lines)) + 1 :])


def swapped(text: str, at: float, word: str) -> str:
    """Every one of a character becomes another: the delimiter, the line end."""
    old = text[min(int(at * len(text)), len(text) - 1)] if text else ""
    return text.replace(old, word[:1]) if old else text


CHANGES: tuple[Callable[[str, float, str], str], ...] = (replaced, inserted, cut, line_twice, line_gone, swapped)
changes = st.lists(st.tuples(st.sampled_from(CHANGES), places, st.sampled_from(WORDS)), min_size=1, max_size=3)
encodings = st.sampled_from(["utf-8"] * 8 + ["utf-16", "utf-16-le", "latin-1", "utf-8-sig", "gzip"])


def changed(text: str, steps: list[tuple[Callable[[str, float, str], str], float, str]]) -> str:
    for change, at, word in steps:
        text = change(text, at, word)
    return text


def ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a command; it has to end with a code of its own and, where it fails, with one diagnostic or several."""
    with patch.object(sys, "argv", ["bpcli", *words]):
        code = run()
    out, err = capsys.readouterr()
    assert code in CODES, (code, err)
    assert "Traceback" not in out + err
    assert "[internal]" not in err
    assert ("error:" in err) == (code != 0), err
    if code:
        assert out == ""


def attempt(capsys: pytest.CaptureFixture[str], config: str, table: bytes, command: str) -> None:
    Path("c.yaml").write_bytes(config.encode("utf-8", "replace"))
    Path("t.csv").write_bytes(table)
    ended([command, "c.yaml", *(["--out", "run"] if command == "train" else [])], capsys)
    if command == "train" and os.path.isdir("run"):
        shutil.rmtree("run")


def encode(text: str, encoding: str) -> bytes:
    return gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding, "replace")


@pytest.fixture
def _built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree of commands is built once and not for each call, which would be half of the time."""
    monkeypatch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))


@pytest.mark.usefixtures("_built_once")
@pytest.mark.parametrize("times", [200, pytest.param(15_000, marks=pytest.mark.slow)])
class TestChanged:
    """Twice as many in all: half of them configs, half of them tables."""

    def test_configs(
        self, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)

        @settings(
            max_examples=times, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
        )
        @given(st.sampled_from(CONFIGS), changes)
        def changed_config(config: str, steps: list[tuple[Callable[[str, float, str], str], float, str]]) -> None:
            attempt(capsys, changed(config, steps), TABLE.encode(), "check")

        changed_config()

    def test_tables(
        self, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)

        @settings(
            max_examples=times, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
        )
        @given(st.sampled_from(CONFIGS), changes, encodings, st.sampled_from(["check", "check", "train"]))
        def changed_table(
            config: str, steps: list[tuple[Callable[[str, float, str], str], float, str]], encoding: str, command: str
        ) -> None:
            attempt(capsys, config, encode(changed(TABLE, steps), encoding), command)

        changed_table()


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_changed_is_good(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(config)
    Path("t.csv").write_text(TABLE)
    for words in (["check", "c.yaml"], ["train", "c.yaml"]):
        with patch.object(sys, "argv", ["bpcli", *words]):
            assert run() == 0, capsys.readouterr().err
