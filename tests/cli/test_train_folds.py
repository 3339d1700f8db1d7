"""`train --folds` as it is typed."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from cli_lab import Lab, Outcome, lab

from bpcli.cli import folds
from bpcli.records.training import Exit, FoldsReport, Problem
from bpcli.studies.evaluation import cross_validate
from bpcli.studies.run.atomic import unwritable

__all__ = ["lab"]


def test_the_table_the_record_and_going_on(lab: Lab) -> None:
    done = lab.good("train", "trees.yaml", "--folds", "4", "--out", "f")
    lines = done.err.splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["fold 1/4", "fold 2/4", "fold 3/4", "fold 4/4"]
    assert lines[-1] == "the runs are f/fold-1 to fold-4, their figures in f/folds.json"
    first, _, header, _, *rows = done.out.splitlines()
    assert first == "trees: 4 folds, each judged on rows it did not see; std is over the folds"
    assert header.split() == ["metric", "mean", "std", "least", "most", "1", "2", "3", "4"]
    assert [row.split()[0] for row in rows[:2]] == ["loss", "accuracy"]
    assert {"f/folds.json", "f/config.yaml", "f/fold-4/model.safetensors"} <= lab.files()
    again = json.loads(lab.good("train", "--resume", "f", "--json").out)
    known = json.loads(lab.path.joinpath("f/folds.json").read_text())
    assert again["metrics"] == known["metrics"]
    assert lab.good("train", "--resume", "f", "-q").out == "f\n"
    assert "test: 2 rows" in lab.good("eval", "f/fold-2").out


def test_words_that_do_not_go_together(lab: Lab) -> None:
    assert lab.run("train", "trees.yaml", "--folds", "1").code == 2
    assert "knows how many they are" in lab.run("train", "--resume", "f", "--folds", "3").err
    lab.good("train", "trees.yaml", "--folds", "2", "--out", "f")
    assert "of the experiment they began with" in lab.run("train", "--resume", "f", "--set", "seed=2").err
    taken = lab.run("train", "trees.yaml", "--folds", "2", "--out", "f")
    assert taken.code == 73
    assert "go on with `bpcli train --resume f`" in taken.err


def test_a_divergence_is_a_bad_result(lab: Lab) -> None:
    rate = ("--set", "optimizer={type: sgd, learning_rate: 1e30}", "--set", "architecture.0.activation=relu")
    done = lab.run("train", "trees.yaml", "--folds", "2", "--out", "f", *rate)
    assert done.code == 3
    assert "training diverged" in done.err


def test_quiet_says_where_the_folds_are_and_nothing_else(lab: Lab) -> None:
    assert lab.good("train", "trees.yaml", "--folds", "2", "--out", "f", "-q") == Outcome(0, "f\n", "")
    done = json.loads(lab.good("train", "--resume", "f", "-q", "--json").out)
    assert (done["run"], len(done["folds"])) == ("f", 2)


@pytest.mark.parametrize(
    ("changed", "quiet", "code", "out", "said"),
    [
        ({}, False, 0, "", "the runs are f/fold-1 to fold-3"),
        ({}, True, 0, "f\n", ""),
        ({"stopped": "fold 1 diverged"}, False, 3, "", "fold 1 diverged\n"),
        ({"stopped": "fold 1 diverged", "problem": Problem("too steep")}, True, 3, "f\n", "error: too steep\n"),
        ({"stopped": "stopped by a signal", "signal": 15}, False, 143, "", "stopped by a signal\ngo on:  bpcli train"),
        ({"stopped": "stopped by Ctrl-C", "signal": 2}, True, 130, "f\n", ""),
        ({"warnings": (Problem("few rows", level="warning"),)}, True, 0, "f\n", "warning: few rows\n"),
    ],
)
def test_how_folds_end(
    changed: dict[str, Any], quiet: bool, code: int, out: str, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without a fold there is no table; a signal has a code of its own, before that of a bad result."""
    report = replace(FoldsReport("f", "trees", 3, (), {}), **changed)
    study = SimpleNamespace(remark="", count=3, run=lambda callbacks, on_fold_end: report)
    monkeypatch.setattr("bpcli.studies.evaluation.cross_validate.resume", lambda folder: study)
    found = 0
    try:
        folds.cross_validate(None, Path("f"), (), 0, None, json=False, quiet=quiet)
    except typer.Exit as end:
        found = end.exit_code
    shown = capsys.readouterr()
    assert (found, shown.out) == (code, out)
    assert shown.err.startswith(said)
    assert bool(shown.err) == bool(said)


@pytest.mark.parametrize(
    ("file", "kept", "help"),
    [
        (
            "f/fold-2/model.safetensors",
            "f-fold-2",
            "the run is kept in {place}, and its model too: `bpcli eval {place}`",
        ),
        ("f/folds.json", "f", "the figures are kept in {place}/folds.json"),
    ],
)
def test_what_folds_cannot_write_at_an_end_is_kept_elsewhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, file: str, kept: str, help: str
) -> None:
    """The run of a fold, or the figures of all; the folder of the folds is what goes on."""
    words = ("trees.yaml", "--folds", "2", "--set", "training.epochs=1", "-q")
    lab.good("train", *words, "--out", "whole")
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.path / "cache"))
    honest, full, tried = os.replace, OSError(errno.ENOSPC, "No space left on device"), []

    def refuse(beside: Path, target: Path) -> None:
        if str(target).endswith(file) and "/cache/" not in str(target):
            tried.append(target)
            if len(tried) > 1:  # the first is of a beginning
                raise full
        honest(beside, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        found = lab.run("train", *words, "--out", "f")
    assert found.code == Exit.IO_ERROR
    place = lab.path / "cache/bpcli/runs" / kept
    said = " ".join(found.err.split())
    assert f"error: cannot write {file}: No space left on device" in said
    assert help.format(place=place) in said
    assert "once f can be written, `bpcli train --resume f` writes" in said
    whole = json.loads((lab.path / "whole/folds.json").read_text())["metrics"]
    if kept == "f":
        assert json.loads((place / "folds.json").read_text())["metrics"] == whole
    else:
        assert "test: 4 rows" in lab.good("eval", str(place)).out
    lab.good("train", "--resume", "f", "-q")
    assert json.loads((lab.path / "f/folds.json").read_text())["metrics"] == whole


def test_where_the_figures_of_folds_can_be_written_nowhere_both_places_are_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.write("cache", "").absolute()))
    tried = []

    def refuse(path: Path, *words: Any, **more: Any) -> None:
        tried.append(path)
        raise unwritable(path, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(cross_validate, "atomic_text", refuse)
    found = lab.run("train", "trees.yaml", "--folds", "2", "--set", "training.epochs=1", "-q", "--out", "f")
    assert (found.code, len(tried)) == (Exit.IO_ERROR, 1)
    said = " ".join(found.err.split())
    assert "error: cannot write f/folds.json: No space left on device" in said
    assert "error: nor could it be kept elsewhere: cannot create the folder" in said
    assert "help: once f can be written, `bpcli train --resume f` writes them there" in said
