"""What trying settings gives: the scores of a trial by its folds, and a comparison of trials."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FoldScore:
    """How a network that learned from the other rows judged those of one fold."""

    number: int  # from 1
    figures: Mapping[str, float]  # the loss and the metrics; {} where training diverged
    epochs: int  # whose weights were kept
    seconds: float
    diverged: str = ""  # what happened


@dataclass(frozen=True)
class TrialScores:
    """The scores of an experiment with some settings, one for each fold."""

    sets: tuple[str, ...]  # as behind `--set`; () are the experiment's own
    folds: tuple[FoldScore, ...]

    @property
    def seconds(self) -> float:
        return sum(fold.seconds for fold in self.folds)

    @property
    def diverged(self) -> bool:
        """Whether any of its trainings diverged."""
        return any(fold.diverged for fold in self.folds)

    def values(self, figure: str) -> tuple[float, ...]:
        """Returns a figure by folds; nan where training diverged."""
        return tuple(fold.figures.get(figure, math.nan) for fold in self.folds)

    def mean(self, figure: str) -> float:
        """Returns the mean of a figure over the folds."""
        return statistics.fmean(self.values(figure))

    def error(self, figure: str) -> float:
        """Returns the standard error of this mean; nan of a single fold."""
        return standard_error(self.values(figure))


@dataclass(frozen=True)
class Comparison:
    """Settings that were tried, in their order, and the one that is to be taken by a figure."""

    figure: str
    tried: tuple[TrialScores, ...]
    chosen: int  # place in `tried`
    left: tuple[tuple[str, ...], ...]  # settings for which there was no time
    folds: int
    kept: str = ""  # a figure that is to be high, and must not be lower than that of the first


def standard_error(values: Sequence[float]) -> float:
    """Returns the standard error of the mean of these values; nan of fewer than two, or where one is not finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values) / math.sqrt(len(values))
