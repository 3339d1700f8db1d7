"""What a cross-validation looks like: the line of a fold, the table of all, and what to type next."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bpcli.records.training import EpochRow, FoldRow, FoldsReport, Problem, Spread
from bpcli.render.console import show
from bpcli.render.evaluation.cross_validate import MAX_FOLD_COLUMNS, fold_line, fold_status, folds_closing, table_of

METRICS = {"loss": 0.25, "accuracy": 0.9, "auc": 0.99, "f1": 0.8}
FOLDS = tuple(FoldRow(i, f"runs/x/fold-{i}", "x", {"train": 1200, "test": 40}, 7, 1.25, METRICS) for i in (1, 2))
REPORT = FoldsReport("runs/a b", "iris", 2, FOLDS, {"loss": Spread(0.25, 0.125, 0.0, 0.5)})


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_fold_is_one_line_of_its_chief_figures() -> None:
    """Numbers of folds stand under each other; figures that are not chief stand in the table alone."""
    assert fold_line(FOLDS[1], 10) == (
        "fold  2/10  loss 0.2500  accuracy 0.9000  f1 0.8000  (1,200 rows train, 40 test; epoch 7 kept, 1.2 s)"
    )


def test_the_table_has_a_column_for_each_fold(capsys: pytest.CaptureFixture[str]) -> None:
    show(*table_of(REPORT))
    assert capsys.readouterr().out.splitlines() == [
        "iris: 2 folds, each judged on rows it did not see; std is over the folds",
        "",
        "metric    mean     std   least    most       1       2",
        "──────────────────────────────────────────────────────",
        "loss    0.2500  0.1250  0.0000  0.5000  0.2500  0.2500",
    ]


@pytest.mark.parametrize("more", [0, 1])
def test_of_many_folds_the_table_has_no_columns(more: int, capsys: pytest.CaptureFixture[str]) -> None:
    count = MAX_FOLD_COLUMNS + more
    folds = tuple(replace(FOLDS[0], number=i + 1) for i in range(count))
    show(*table_of(replace(REPORT, folds=folds, count=count + 2)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"iris: {count} of {count + 2} folds,")
    numbers = [] if more else [str(i + 1) for i in range(count)]
    assert lines[2].split() == ["metric", "mean", "std", "least", "most", *numbers]


def test_the_last_lines_say_where_everything_is_or_how_to_go_on() -> None:
    assert folds_closing(REPORT).plain == (
        "the runs are 'runs/a b'/fold-1 to fold-2, their figures in 'runs/a b'/folds.json"
    )
    assert folds_closing(replace(REPORT, stopped="fold 2 diverged")).plain == "fold 2 diverged"
    stopped = replace(REPORT, stopped="stopped by Ctrl-C", signal=2)
    assert folds_closing(stopped).plain == "stopped by Ctrl-C\ngo on:  bpcli train --resume 'runs/a b'"


def test_nothing_is_drawn_where_there_is_no_terminal_or_silence_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for quiet, stream in ((True, Terminal()), (False, io.StringIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        shown: list[Problem] = []
        with fold_status(quiet, shown) as make:
            (callback,) = make(1, 3)
            assert stream.getvalue() == ""
            callback.on_warning(None, problem := Problem("the disk is full", level="warning"))
        assert "the disk is full" in stream.getvalue()
        assert shown == [problem]


def test_a_terminal_shows_which_epoch_of_which_fold_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    state: Any = SimpleNamespace(experiment=SimpleNamespace(training=SimpleNamespace(epochs=60)))
    said: list[str] = []
    with fold_status(False, []) as make:
        _, callback = make(2, 5)
        monkeypatch.setattr(callback, "_status", SimpleNamespace(update=said.append))  # it draws in a thread
        callback.on_epoch_end(state, EpochRow(7, {}, 0, 0, 0, 1, 0.1, 1, 0.1))
    assert said == ["fold 2 of 5, epoch 7/60"]
    assert "training" in terminal.getvalue()
