"""Settings one after another, by the same folds from the same seed; and which of them is to be taken."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from bpcli.family import Callback
from bpcli.records.search import Comparison, FoldScore, TrialScores, standard_error
from bpcli.studies.run.state import TrainingState
from bpcli.studies.search.trial import FoldCache, Trial, run_fold

TrialCallbacks = Callable[[int, int], Iterable[Callback]]
"""What makes the callbacks of a training, from the place of its trial in the list and its fold, both from 1."""


class OutOfTimeError(Exception):
    """The time for a comparison is over."""


class _Deadline(Callback):
    """Ends a training when the time is over."""

    def __init__(self, end: float) -> None:
        self.end = end

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        if time.monotonic() >= self.end:
            raise OutOfTimeError


def compare(
    trial: Trial,
    settings: Sequence[tuple[str, ...]],
    seconds: float | None = None,
    callbacks: TrialCallbacks = lambda place, fold: (),
    on_trial_end: Callable[[int, TrialScores], None] = lambda place, scores: None,
    figure: str = "loss",
    kept: str = "",
) -> Comparison:
    """Tries an experiment with each of these settings, and returns their scores and the one that is to be taken (see
    `choose`), judged by the loss without the penalty, or another figure that is to be low. `seconds` only cut the list
    short: what is not finished by then is as if it had not been tried.

    Raises Failure where the experiment does not fit its data, StoppedBySignalError where a signal comes.
    """
    cache, tried = FoldCache(), list[TrialScores]()
    deadline = _Deadline(math.inf if seconds is None else time.monotonic() + seconds)
    for place, sets in enumerate(settings, start=1):
        one = replace(trial, sets=(*trial.sets, *sets))
        try:
            scores = TrialScores(sets, tuple(_folds(one, cache, deadline, partial(callbacks, place))))
        except OutOfTimeError:
            break
        tried.append(scores)
        on_trial_end(place, scores)
    chosen = choose(tried, figure, kept)
    return Comparison(figure, tuple(tried), chosen, tuple(settings[len(tried) :]), trial.folds, kept)


def _folds(
    trial: Trial, cache: FoldCache, deadline: _Deadline, callbacks: Callable[[int], Iterable[Callback]]
) -> Iterable[FoldScore]:
    for number in range(1, trial.folds + 1):
        if time.monotonic() >= deadline.end:
            raise OutOfTimeError
        score = run_fold(trial, number, cache, (*callbacks(number), deadline))
        yield score
        if score.diverged:
            return  # it is out


def choose(tried: Sequence[TrialScores], figure: str, kept: str = "") -> int:
    """Returns the place of the settings that are to be taken: the first ones, unless the least figure is lower by more
    than one standard error; then the first of those within one standard error of the least that are themselves better
    than the first ones by more than one. The error is that of the differences fold by fold: what makes a fold hard
    makes it so for all settings. Settings with which a training diverged are out; where all did, the first are taken.
    Out are also those whose figure `kept`, which is to be high, is lower than that of the first ones.

    Source    the one-standard-error rule, Breiman et al. 1984, "Classification and Regression Trees", 3.4.3
    """
    able = [k for k, scores in enumerate(tried) if math.isfinite(scores.mean(figure))]
    if not able:
        return 0
    if kept and able[0] == 0:
        able = [k for k in able if tried[k].mean(kept) >= tried[0].mean(kept)]
    best = min(able, key=lambda k: tried[k].mean(figure))
    near = [k for k in able if not _worse(tried[k].values(figure), tried[best].values(figure))]
    if able[0] > 0 or near[0] == 0:
        return near[0]
    return next(k for k in near if _worse(tried[0].values(figure), tried[k].values(figure)))


def _worse(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the mean of `values` is above that of `others` by more than the standard error of the differences."""
    apart = [a - b for a, b in zip(values, others, strict=True)]
    error = standard_error(apart)
    return sum(apart) / len(apart) > (0.0 if math.isnan(error) else error)
