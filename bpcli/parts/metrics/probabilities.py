"""Figures of how right the probabilities are that a network gives."""

from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Array, Scored
from bpcli.numeric.vectors import EPS
from bpcli.parts.metrics.counts import MeanMetric, classes_of


def needs_probabilities(metric: str) -> str:
    """Returns what keeps a metric from being measured where the network puts out no probabilities."""
    return f"{metric} needs probabilities: a loss such as softmax_cross_entropy or binary_cross_entropy gives them"


class LogLoss(MeanMetric):
    """The mean of -log(probability given to the true class); with several labels a row, the mean over labels too.

    Shapes   output: n k, or n 1 for the probability of the second of two classes
    Source   scikit-learn 1.9, log_loss
    Numerics in float64, probabilities clipped to [eps, 1 - eps], eps = 2.2e-16: never infinite, at most 36.04 a row.
             scikit-learn takes eps from the type of the probabilities, so on float32 it clips at 1.2e-7
    """

    type: Literal["log_loss"] = "log_loss"
    summed: ClassVar[str] = "loss"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        return "" if probabilities else needs_probabilities("log_loss")

    def of_rows(self, batch: Scored) -> Array:
        labels = classes_of(batch)[0]
        output = batch.output
        if batch.several or output.shape[1] == 1:
            p = np.minimum(np.maximum(output.astype(np.float64), EPS), 1 - EPS)
            loss = np.where(labels.reshape(p.shape) != 0, np.log(p), np.log1p(-p))
            return np.asarray(-loss.mean(axis=1))
        p = output[np.arange(len(labels)), labels].astype(np.float64)
        return -np.log(np.minimum(np.maximum(p, EPS), 1 - EPS))


class Brier(MeanMetric):
    """The mean squared error of the probabilities, 0 to 1 for two classes, 0 to 2 for several.

    For two classes (p - t)^2, p the probability of the second one and t 1 where a row is of it, else 0; for several
    classes sum_k (p_k - t_k)^2, which is not halved; with several labels a row, the mean of (p_k - t_k)^2 over labels.

    Shapes   output: n k, or n 1 for the probability of the second of two classes
    Source   Brier 1950, eq. 2 (which for two classes too is the sum, twice the figure here);
             scikit-learn 1.9, brier_score_loss (scale_by_half="auto"), which knows no several labels
    """

    type: Literal["brier"] = "brier"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        return "" if probabilities else needs_probabilities("brier")

    def of_rows(self, batch: Scored) -> Array:
        labels = classes_of(batch)[0]
        error = batch.output.astype(np.float64)
        k = error.shape[1]
        if batch.several or k == 1:
            error -= labels.reshape(error.shape)
        else:
            error[np.arange(len(labels)), labels] -= 1
        np.square(error, out=error)
        return np.asarray(error.mean(axis=1) if batch.several or k <= 2 else error.sum(axis=1))
