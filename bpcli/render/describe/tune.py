"""Settings that are compared, as it goes: on a terminal a line for each, and under them how far the next one is;
elsewhere nothing. And what came of it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from bpcli.family import Callback
from bpcli.records.search import Comparison, TrialScores
from bpcli.records.training import EpochRow
from bpcli.render.console import can_redraw, console, say
from bpcli.render.numbers import duration, short
from bpcli.studies.init.tune import Tuning, words
from bpcli.studies.run.state import TrainingState


class _TrialStatus(Callback):
    """Says under the lines which training is at which epoch."""

    def __init__(self, status: Any, what: str) -> None:
        self._status, self._what = status, what

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        self._status.update(f"{self._what}, epoch {row.epoch}/{state.experiment.training.epochs}")


class _TuningLines:
    """Shows the trials on a terminal."""

    def __init__(self, status: Any) -> None:
        self._status, self._settings, self._folds, self._figure = status, 0, 0, ""

    def start(self, settings: int, folds: int, figure: str) -> None:
        """Says what is about to be done."""
        self._settings, self._folds, self._figure = settings, folds, figure
        say(f"comparing {settings} settings by {folds} folds of the rows that are not test")

    def callbacks(self, place: int, fold: int) -> list[Callback]:
        what = f"setting {place} of {self._settings}, fold {fold} of {self._folds}"
        return [_TrialStatus(self._status, what)]

    def line(self, place: int, scores: TrialScores) -> None:
        """Prints how a trial went."""
        number = str(place).rjust(len(str(self._settings)))
        figure = f"{self._figure} {short(scores.mean(self._figure))} +- {short(scores.error(self._figure))}"
        found = "diverged" if scores.diverged else figure
        say(f"{number}/{self._settings}  {found}  {words(scores.sets)}  ({duration(scores.seconds)})")


@contextmanager
def tuning_status(seconds: float | None) -> Iterator[Tuning]:
    """Gives how settings are compared within so many seconds, so that it can be followed on a terminal."""
    if not can_redraw(sys.stderr):
        yield Tuning(seconds)
        return
    with console(sys.stderr).status("looking at the data", spinner="line") as status:
        lines = _TuningLines(status)
        yield Tuning(seconds, lines.start, lines.callbacks, lines.line)


def stopped(number: int) -> Text:
    """Returns what to say where a signal ended it."""
    text = f"stopped by {signal.Signals(number).name}: nothing is written\n"
    return Text(text).append("--budget 60s takes what is found by then; without --tune the first guess is written")


def taken(found: Comparison) -> Text:
    """Returns which settings were taken, and what that changed."""
    count = len(found.tried)
    if not count:
        return Text("there was no time to compare settings: the first guess is written as it is")
    first, best = found.tried[0], found.tried[found.chosen]
    text = "1 setting was tried" if count == 1 else f"{count} settings were compared"
    text += f", and {len(found.left)} {'was' if len(found.left) == 1 else 'were'} not tried" if found.left else ""
    if found.chosen == 0:
        return Text(f"{text}: none is better than the first guess by more than its standard error")
    figures = [short(scores.mean(found.figure)) for scores in (best, first)]
    better = f"{found.figure} {figures[0]} where the first guess has {figures[1]}"
    return Text(f"{text}; taken: {words(best.sets)} ({better}, by folds)")
