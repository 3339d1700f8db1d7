"""Metrics: figures over a whole split from totals that are fed one batch after another.

They equal scikit-learn's of the same name. Everything is summed in float64. A row of weight 0 is not there, also
where scikit-learn would still list its class. The figure of no rows at all is nan.

Precision, recall and F1 come from counts (3, K) per class: `hits` (truly k and guessed k), `guessed` k, and truly k,
the `support`. A class that is never guessed has precision 0, one that never occurs recall 0 (`report.notes` says so).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Metric, Scored
from bpcli.plan import Array
from bpcli.records import Failure, Problem

__all__ = [
    "F1", "MAE", "MSE", "R2", "Accuracy", "LogLoss", "Precision", "Recall",
    "add_confusion", "add_counts", "average_of", "counts_of", "f1_of", "precision_of", "recall_of",
]  # fmt: skip

Totals = dict[str, Array]

EPS = float(np.finfo(np.float64).eps)

Average = Annotated[
    Literal["macro", "micro", "weighted", "binary"] | None,
    Field(
        description="macro: mean over the classes; weighted: the same by support; micro: all classes counted together; "
        "binary: of the second of two classes alone; null: binary for two classes, macro for several"
    ),
]


# Counts of classes


def add_confusion(confusion: Array, batch: Scored) -> None:
    """Adds a batch's rows to a float64 confusion matrix (K, K): rows are the true class, columns the guessed one.

    Only where a row has one label.
    """
    labels, guesses, weight = classes_of(batch)
    np.add.at(confusion, (labels, guesses), weight)


def counts_of(confusion: Array) -> Array:
    """The counts (3, K) that a confusion matrix (K, K) holds: hits, guessed, support."""
    return np.stack([np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)]).astype(np.float64)


def add_counts(counts: Array, batch: Scored) -> None:
    """Adds a batch's rows to counts (3, K): hits, guessed, support."""
    labels, guesses, weight = classes_of(batch)
    if batch.several:
        counts[0] += weight @ (labels * guesses)
        counts[1] += weight @ guesses
        counts[2] += weight @ labels
        return
    size = counts.shape[1]
    counts[0] += np.bincount(labels, weight * (labels == guesses), size)
    counts[1] += np.bincount(guesses, weight, size)
    counts[2] += np.bincount(labels, weight, size)


def classes_of(batch: Scored) -> tuple[Array, Array, Array]:
    """True labels, guesses and weights of a batch. Raises TypeError where its rows have no classes."""
    if batch.labels is None or batch.guesses is None:
        raise TypeError("these rows have values, not classes")
    return batch.labels, batch.guesses, batch.weight.astype(np.float64, copy=False)


def ratio(part: Array, whole: Array) -> Array:
    """part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)


def precision_of(counts: Array) -> Array:
    """Of what was guessed k, the share that is k. Counts (3, ...) to (...)."""
    return ratio(counts[0], counts[1])


def recall_of(counts: Array) -> Array:
    """Of what is k, the share that was guessed. Counts (3, ...) to (...)."""
    return ratio(counts[0], counts[2])


def f1_of(counts: Array) -> Array:
    """The harmonic mean of precision and recall, 2 hits / (guessed + support). Counts (3, ...) to (...)."""
    return ratio(2 * counts[0], counts[1] + counts[2])


def average_of(score: Callable[[Array], Array], counts: Array, average: str, several: bool = False) -> float:
    """The average of a score over classes.

    Classes that are neither guessed nor true do not count, except where a row may have several labels: there every
    label is a question of its own. `binary` is the score of class 1.
    """
    if average == "binary":
        return float(score(counts[:, 1]))
    if average == "micro":
        return float(score(counts.sum(axis=1)))
    if not several:
        counts = counts[:, counts[1] + counts[2] > 0]
    support = counts[2]
    if not support.size:
        return float("nan")
    if average == "weighted" and support.any():
        return float(support @ score(counts) / support.sum())
    return float(score(counts).mean())


# Classification


class Accuracy(Metric):
    """The share of rows whose guess is right; where a row has several labels, all of them.

    Source   scikit-learn, accuracy_score (several labels: subset accuracy)
    """

    type: Literal["accuracy"] = "accuracy"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def totals(self, classes: int, outputs: int) -> Totals:
        return {"right": np.zeros(1), "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        labels, guesses, weight = classes_of(batch)
        right = labels == guesses
        totals["right"] += weight @ (right.all(axis=1) if batch.several else right)
        totals["weight"] += weight.sum()

    def result(self, totals: Mapping[str, Array]) -> float:
        return mean(totals["right"], totals["weight"])


class FromCounts(ABC):
    """What precision, recall and F1 share: they are averages of a score over the counts of classes."""

    average: Average

    @abstractmethod
    def score(self, counts: Array) -> Array:
        """The score of each class, from counts (3, ...)."""

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        """What keeps `average: binary` from being measured."""
        if self.average != "binary" or (classes == 2 and not several):
            return ""
        return "`average: binary` needs two classes, one of them for each row: write macro, micro or weighted"

    def totals(self, classes: int, outputs: int) -> Totals:
        """Raises Failure where `average: binary` meets more or fewer than two classes."""
        if self.average == "binary" and classes != 2:
            raise not_binary(f"there are {classes}")
        return {"counts": np.zeros((3, classes)), "several": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        if self.average == "binary" and batch.several:
            raise not_binary("a row may have several labels here")
        add_counts(totals["counts"], batch)
        totals["several"] += batch.several

    def result(self, totals: Mapping[str, Array]) -> float:
        counts, several = totals["counts"], bool(totals["several"][0])
        if not (several or counts.any()):
            return float("nan")
        default = "binary" if counts.shape[1] == 2 and not several else "macro"
        return average_of(self.score, counts, self.average or default, several)


def not_binary(why: str) -> Failure:
    """What to say where `average: binary` cannot be had."""
    return Failure(
        Problem(
            f"`average: binary` needs two classes, one of them for each row; {why}",
            code="bad-average",
            path=("training", "metrics"),
            help="write `average: macro`, `micro` or `weighted`",
        )
    )


class Precision(FromCounts, Metric):
    """Of the rows guessed to be in a class, the share that is: right guesses / guesses, averaged over classes.

    Source   scikit-learn, precision_score (zero_division=0)
    """

    type: Literal["precision"] = "precision"
    average: Average = None
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def score(self, counts: Array) -> Array:
        return precision_of(counts)


class Recall(FromCounts, Metric):
    """Of the rows that are in a class, the share that was found: right guesses / rows, averaged over classes.

    Source   scikit-learn, recall_score (zero_division=0)
    """

    type: Literal["recall"] = "recall"
    average: Average = None
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def score(self, counts: Array) -> Array:
        return recall_of(counts)


class F1(FromCounts, Metric):
    """The harmonic mean of precision and recall, 2 right guesses / (guesses + rows), averaged over classes.

    Source   scikit-learn, f1_score (zero_division=0)
    """

    type: Literal["f1"] = "f1"
    average: Average = None
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def score(self, counts: Array) -> Array:
        return f1_of(counts)


class LogLoss(Metric):
    """The mean of -log(probability given to the true class); with several labels a row, the mean over labels too.

    Shapes   output: n k, or n 1 for the probability of the second of two classes
    Source   scikit-learn 1.9, log_loss
    Numerics in float64, probabilities clipped to [eps, 1 - eps], eps = 2.2e-16: never infinite, at most 36.04 a row.
             scikit-learn takes eps from the type of the probabilities, so on float32 it clips at 1.2e-7
    """

    type: Literal["log_loss"] = "log_loss"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        if probabilities:
            return ""
        return "log_loss needs probabilities: a loss such as softmax_cross_entropy or binary_cross_entropy gives them"

    def totals(self, classes: int, outputs: int) -> Totals:
        return {"loss": np.zeros(1), "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        labels, _, weight = classes_of(batch)
        output = batch.output
        if batch.several or output.shape[1] == 1:
            p = output.astype(np.float64)
            p = np.where(labels.reshape(p.shape) != 0, p, 1 - p)
        else:
            p = output[np.arange(len(labels)), labels].astype(np.float64)
        loss = np.log(np.minimum(np.maximum(p, EPS), 1 - EPS))
        totals["loss"] -= weight @ (loss.mean(axis=1) if loss.ndim == 2 else loss)
        totals["weight"] += weight.sum()

    def result(self, totals: Mapping[str, Array]) -> float:
        return mean(totals["loss"], totals["weight"])


# Regression


class MSE(Metric):
    """The mean squared error, over rows and outputs, in the target's unit squared.

    Source   scikit-learn, mean_squared_error (multioutput="uniform_average")
    """

    type: Literal["mse"] = "mse"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def totals(self, classes: int, outputs: int) -> Totals:
        return {"error": np.zeros(outputs), "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # a net that diverged has an infinite error, or nan
            error = np.subtract(batch.output, batch.target, dtype=np.float64)
            totals["error"] += batch.weight @ np.square(error, out=error)
        totals["weight"] += batch.weight.sum(dtype=np.float64)

    def result(self, totals: Mapping[str, Array]) -> float:
        return mean(totals["error"], totals["weight"])


class MAE(Metric):
    """The mean absolute error, over rows and outputs, in the target's unit.

    Source   scikit-learn, mean_absolute_error (multioutput="uniform_average")
    """

    type: Literal["mae"] = "mae"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def totals(self, classes: int, outputs: int) -> Totals:
        return {"error": np.zeros(outputs), "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.subtract(batch.output, batch.target, dtype=np.float64)
            totals["error"] += batch.weight @ np.abs(error, out=error)
        totals["weight"] += batch.weight.sum(dtype=np.float64)

    def result(self, totals: Mapping[str, Array]) -> float:
        return mean(totals["error"], totals["weight"])


class R2(Metric):
    """The share of the target's variance that is explained, 1 - sum (y-t)^2 / sum (t - mean t)^2, mean over outputs.

    An output whose target never changes scores 1 if every prediction is exact, else 0. Fewer than two rows: nan.

    Source   scikit-learn, r2_score (multioutput="uniform_average", force_finite=True); the spread: Chan, Golub, LeVeque
             1983, Algorithms for computing the sample variance
    Numerics the spread around the mean is carried from batch to batch with the mean, because sum t^2 - (sum t)^2 / n
             loses every digit of targets far from 0; a constant target has a spread of exactly 0, as it should
    """

    type: Literal["r2"] = "r2"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"

    def totals(self, classes: int, outputs: int) -> Totals:
        names = ("error", "mean", "spread")
        return {**{name: np.zeros(outputs) for name in names}, "weight": np.zeros(1), "rows": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        weight = batch.weight.astype(np.float64)
        new = weight.sum()
        if new == 0:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.subtract(batch.output, batch.target, dtype=np.float64)
            totals["error"] += weight @ np.square(error, out=error)
            first = batch.target[0].astype(np.float64)
            rest = np.subtract(batch.target, first, out=error)
            shift = weight @ rest / new
            rest -= shift
            away = first + shift - totals["mean"]
            old = totals["weight"][0]
            totals["spread"] += weight @ np.square(rest, out=rest) + away**2 * (old * new / (old + new))
            totals["mean"] += away * (new / (old + new))
        totals["weight"] += new
        totals["rows"] += np.count_nonzero(weight)

    def result(self, totals: Mapping[str, Array]) -> float:
        if totals["rows"][0] < 2:
            return float("nan")
        error, spread = totals["error"], totals["spread"]
        score = np.where(error == 0, 1.0, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(1, np.divide(error, spread, where=spread != 0, out=score), where=spread != 0, out=score)
        return float(score.mean())


def mean(total: Array, weight: Array) -> float:
    """The mean over outputs of total / weight; nan where there were no rows."""
    return float(total.mean() / weight[0]) if weight[0] > 0 else float("nan")
