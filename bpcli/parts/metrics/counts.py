"""Counts of classes, the scores of a class that come from them, and what a reader has to know of such a figure.

Counts are (3, K), float64: `hits` (truly k and predicted k), `predicted` k, and truly k, the `support`. A class that is
never predicted has precision 0, one that never occurs recall 0 (`report.notes` says so).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from bpcli.family import Array, Metric, Scored, join_names

Totals = dict[str, Array]
MAX_LISTED = 5  # classes that a note names


def classes_of(batch: Scored) -> tuple[Array, Array, Array]:
    """Returns true labels, predictions and weights of a batch. Raises TypeError where its rows have no classes."""
    if batch.labels is None or batch.predicted is None:
        raise TypeError("these rows have values, not classes")
    return batch.labels, batch.predicted, batch.weight.astype(np.float64, copy=False)


class MeanMetric(Metric):
    """A mean over rows by their weights, and over outputs; nan where there were no rows.

    Numerics float64; the rows of a batch are added in pairs, to the last digits, and the sums of batches one after the
             other: B batches may round B / 2 units of the last place away, and usually do the root of B / 12
    """

    summed: ClassVar[str] = "error"  # what its total is called, in checkpoints too

    @abstractmethod
    def of_rows(self, batch: Scored) -> Array:
        """Returns what each row counts as: n, or n k."""

    def totals(self, classes: int, outputs: int) -> Totals:
        return {self.summed: np.zeros(outputs if self.task == "regression" else 1), "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        weight = batch.weight.astype(np.float64, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):  # a net that diverged has an infinite error, or nan
            totals[self.summed] += weighted_sum(weight, self.of_rows(batch))
        totals["weight"] += weight.sum()

    def result(self, totals: Mapping[str, Array]) -> float:
        weight = totals["weight"][0]
        return float(totals[self.summed].mean() / weight) if weight > 0 else float("nan")


def weighted_sum(weight: Array, values: Array) -> Array:
    """Returns the sums over rows of values (N,) or (N, K) by their weights (N,), added in pairs: (1,) or (K,)."""
    columns = np.atleast_2d(values.T) * weight
    return np.asarray(np.add.reduce(columns, axis=1))


def add_confusion(confusion: Array, batch: Scored) -> None:
    """Adds a batch's rows to a float64 confusion matrix (K, K): rows are the true class, columns the predicted one.

    Only where a row has one label.
    """
    labels, predicted, weight = classes_of(batch)
    np.add.at(confusion, (labels, predicted), weight)


def counts_of(confusion: Array) -> Array:
    """Returns the counts (3, K) that a confusion matrix (K, K) holds: hits, predicted, support."""
    return np.stack([np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)]).astype(np.float64)


def add_counts(counts: Array, batch: Scored) -> None:
    """Adds a batch's rows to counts (3, K): hits, predicted, support."""
    labels, predicted, weight = classes_of(batch)
    if batch.several:
        counts[0] += weight @ (labels * predicted)
        counts[1] += weight @ predicted
        counts[2] += weight @ labels
        return
    size = counts.shape[1]
    counts[0] += np.bincount(labels, weight * (labels == predicted), size)
    counts[1] += np.bincount(predicted, weight, size)
    counts[2] += np.bincount(labels, weight, size)


def ratio(part: Array, whole: Array) -> Array:
    """Returns part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)


def precision_of(counts: Array) -> Array:
    """Returns, of what was predicted k, the share that is k. Counts (3, ...) to (...)."""
    return ratio(counts[0], counts[1])


def recall_of(counts: Array) -> Array:
    """Returns, of what is k, the share that was predicted. Counts (3, ...) to (...)."""
    return ratio(counts[0], counts[2])


def f1_of(counts: Array) -> Array:
    """Returns the harmonic mean of precision and recall, 2 hits / (predicted + support). Counts (3, ...) to (...)."""
    return ratio(2 * counts[0], counts[1] + counts[2])


def average_of(score: Callable[[Array], Array], counts: Array, average: str, several: bool) -> float:
    """Returns the average of a score over classes.

    Classes that are neither predicted nor true do not count, except where a row may have several labels: there every
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


class HasNote(ABC):
    """A metric of classifications that is undefined, or a convention, on some rows."""

    @abstractmethod
    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        """Returns what is to be said of its figure, or nothing, from counts (3, K) over `rows` rows of weight 1."""


def list_classes(chosen: Array, names: Sequence[str], several: bool) -> str:
    """Returns the classes (labels, where a row may have several) that a mask (K,) chooses: `classes b, d and 4
    more`."""
    found = [names[int(k)] for k in chosen.nonzero()[0]]
    noun, nouns = ("label", "labels") if several else ("class", "classes")
    return f"{noun if len(found) == 1 else nouns} {join_names(found, MAX_LISTED)}"
