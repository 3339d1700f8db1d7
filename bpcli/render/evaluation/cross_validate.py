"""A cross-validation on the terminal: a line for each fold as it ends, then mean and spread of each figure."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from bpcli.family import Callback
from bpcli.records.printable import shell_word
from bpcli.records.training import EpochRow, FoldRow, FoldsReport, Problem
from bpcli.render.console import can_redraw, clipped, console, show_problems, table
from bpcli.render.numbers import duration, short
from bpcli.studies.run.state import TrainingState

LINE_FIGURES = ("loss", "accuracy", "f1", "r2", "rmse")
"""Figures that stand in the line of a fold, as far as it has them; all are in the table."""
MAX_FOLD_COLUMNS = 10  # folds that have columns of their own


class _FoldWarnings(Callback):
    """Shows what goes wrong on the way, and remembers it in a list."""

    def __init__(self, shown: list[Problem]) -> None:
        self._shown = shown

    def on_warning(self, state: TrainingState, problem: Problem) -> None:
        show_problems([problem])
        self._shown.append(problem)


class _FoldStatus(Callback):
    """Says under the lines which fold is at which epoch."""

    def __init__(self, status: Any, number: int, of: int) -> None:
        self._status, self._of = status, f"fold {number} of {of}"

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        self._status.update(f"{self._of}, epoch {row.epoch}/{state.experiment.training.epochs}")


@contextmanager
def fold_status(quiet: bool, shown: list[Problem]) -> Iterator[Callable[[int, int], list[Callback]]]:
    """Gives what makes the callbacks of a fold, by its number and how many there are: one that shows what goes wrong,
    and adds it to what is `shown`; and one that says on the terminal how far it is, unless it is to be quiet, or there
    is no terminal."""
    warnings = _FoldWarnings(shown)
    if quiet or not can_redraw(sys.stderr):
        yield lambda number, of: [warnings]
        return
    with console(sys.stderr).status("training", spinner="line") as status:
        yield lambda number, of: [warnings, _FoldStatus(status, number, of)]


def fold_line(row: FoldRow, count: int) -> str:
    """Returns how a fold went."""
    number = str(row.number).rjust(len(str(count)))
    figures = "  ".join(f"{name} {short(row.metrics[name])}" for name in LINE_FIGURES if name in row.metrics)
    rows = f"{row.rows['train']:,} rows train, {row.rows['test']:,} test"
    return f"fold {number}/{count}  {figures}  ({rows}; epoch {row.epochs} kept, {duration(row.seconds)})"


def table_of(report: FoldsReport) -> list[RenderableType]:
    """Returns the mean and the spread of each figure, and the figures themselves where there are not too many folds."""
    shown = report.folds if len(report.folds) <= MAX_FOLD_COLUMNS else ()
    found = table("metric", ">mean", ">std", ">least", ">most", *(f">{row.number}" for row in shown))
    for name, s in report.metrics.items():
        values = (short(row.metrics[name]) for row in shown)
        found.add_row(clipped(name), Text(short(s.mean), "bold"), short(s.std), short(s.low), short(s.high), *values)
    trained = f"{len(report.folds)} of {report.count}" if len(report.folds) < report.count else str(report.count)
    title = f"{report.name}: {trained} folds, each judged on rows it did not see; std is over the folds"
    return [Text(title), Text(), found]


def folds_closing(report: FoldsReport) -> Text:
    """Returns where everything is, what to type next."""
    folder = shell_word(report.run)
    if report.signal:
        return Text(f"{report.stopped}\n").append(f"go on:  bpcli train --resume {folder}", "bold")
    if report.stopped:
        return Text(report.stopped)
    return Text(f"the runs are {folder}/fold-1 to fold-{report.count}, their figures in {folder}/folds.json")
