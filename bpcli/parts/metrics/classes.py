"""Figures of predictions: which class, or which labels, and which they should have been."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Metric, Sample, Scored
from bpcli.parts.metrics.counts import (
    HasNote,
    MeanMetric,
    Totals,
    add_counts,
    average_of,
    classes_of,
    f1_of,
    list_classes,
    precision_of,
    recall_of,
)
from bpcli.records.training import Failure, Problem

Average = Annotated[
    Literal["macro", "micro", "weighted", "binary"] | None,
    Field(
        description="macro: mean over the classes; weighted: the same by support; micro: all classes counted together; "
        "binary: of the second of two classes alone; null: binary for two classes, macro for several"
    ),
]

AVERAGES = "'macro', 'micro', 'weighted' or 'binary'"


class Accuracy(MeanMetric):
    """The share of rows whose prediction is right; where a row has several labels, all of them.

    Source   scikit-learn, accuracy_score (several labels: subset accuracy)
    """

    type: Literal["accuracy"] = "accuracy"
    summed: ClassVar[str] = "right"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def of_rows(self, batch: Scored) -> Array:
        labels, predicted, _ = classes_of(batch)
        right: Array = labels == predicted
        return np.asarray(right.all(axis=1) if batch.several else right)


class TopK(MeanMetric):
    """The share of rows whose class is among the `k` classes with the highest outputs.

    Shapes   output: n k, any scores; n 1 for the second of two classes, where k = 1 is the accuracy
    Source   scikit-learn, top_k_accuracy_score
    Numerics of classes with the same output the later one stands first, as in scikit-learn (argmax takes the first,
             so that with ties k = 1 need not be the accuracy); an output that is nan is never among the best
    """

    type: Literal["top_k"] = "top_k"
    k: int = Field(2, ge=1, description="how many predictions a row has; fewer than there are classes")
    summed: ClassVar[str] = "right"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        if several:
            return only_class("top_k", "accuracy, f1 or average_precision")
        if self.k < classes:
            return ""
        return f"top_k with `k: {self.k}` is always 1 where there are {classes} classes: `k` has to be below {classes}"

    def of_rows(self, batch: Scored) -> Array:
        labels, predicted, _ = single(batch)
        if batch.output.shape[1] == 1:
            return np.asarray((labels == predicted) | (self.k > 1))
        own = batch.output[np.arange(len(labels)), labels][:, None]
        later = np.arange(batch.output.shape[1]) > labels[:, None]
        before = (batch.output > own) | ((batch.output == own) & later)
        return np.asarray((before.sum(axis=1) < self.k) & ~np.isnan(own[:, 0]))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(k=5))
        yield Sample({"type": "top_k", "k": 0}, error="greater than or equal to 1")


class CountMetric(Metric):
    """What precision, recall and F1 share: they are averages of a score over the counts of classes."""

    average: Average = None
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    @abstractmethod
    def score(self, counts: Array) -> Array:
        """Returns the score of each class, from counts (3, ...)."""

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        """Returns what keeps `average: binary` from being measured."""
        if self.average != "binary" or (classes == 2 and not several):
            return ""
        return "`average: binary` needs two classes, one of them for each row: write macro, micro or weighted"

    def totals(self, classes: int, outputs: int) -> Totals:
        """Raises Failure where `average: binary` meets more or fewer than two classes."""
        if self.average == "binary" and classes != 2:
            raise binary_problem(f"there are {classes}")
        return {"counts": np.zeros((3, classes)), "several": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        if self.average == "binary" and batch.several:
            raise binary_problem("a row may have several labels here")
        add_counts(totals["counts"], batch)
        totals["several"] += batch.several and batch.weight.any()  # of no rows it is not known

    def result(self, totals: Mapping[str, Array]) -> float:
        counts, several = totals["counts"], bool(totals["several"][0])
        if not (several or counts.any()):
            return float("nan")
        default = "binary" if counts.shape[1] == 2 and not several else "macro"
        return average_of(self.score, counts, self.average or default, several)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from (Sample(cls(average="macro")), Sample(cls(average="weighted")))
        yield Sample({"type": cls.model_fields["type"].default, "average": "samples"}, error=AVERAGES)


def binary_problem(why: str) -> Failure:
    """Returns what to say where `average: binary` cannot be had."""
    return Failure(
        Problem(
            f"`average: binary` needs two classes, one of them for each row; {why}",
            code="bad-average",
            path=("training", "metrics"),
            help="write `average: macro`, `micro` or `weighted`",
        )
    )


class Precision(CountMetric):
    """Of the rows predicted as a class, the share that is: right predictions / predictions, averaged over classes.

    Source   scikit-learn, precision_score (zero_division=0); a class whose rows and predictions all weigh 0 is left out
             of the average, and scikit-learn counts it as 0
    """

    type: Literal["precision"] = "precision"

    def score(self, counts: Array) -> Array:
        return precision_of(counts)


class Recall(CountMetric):
    """Of the rows that are in a class, the share that was found: right predictions / rows, averaged over classes.

    Source   scikit-learn, recall_score (zero_division=0); a class whose rows and predictions all weigh 0 is left out
             of the average, and scikit-learn counts it as 0
    """

    type: Literal["recall"] = "recall"

    def score(self, counts: Array) -> Array:
        return recall_of(counts)


class F1(CountMetric):
    """The harmonic mean of precision and recall, 2 right predictions / (predictions + rows), averaged over classes.

    Source   scikit-learn, f1_score (zero_division=0); a class whose rows and predictions all weigh 0 is left out
             of the average, and scikit-learn counts it as 0
    """

    type: Literal["f1"] = "f1"

    def score(self, counts: Array) -> Array:
        return f1_of(counts)


class SingleClassMetric(HasNote, Metric):
    """What balanced accuracy and Matthews' correlation share: counts of classes, one for each row."""

    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def totals(self, classes: int, outputs: int) -> Totals:
        return {"counts": np.zeros((3, classes))}

    def add(self, totals: Totals, batch: Scored) -> None:
        single(batch)
        add_counts(totals["counts"], batch)


class BalancedAccuracy(SingleClassMetric):
    """The mean over the classes of the share of their rows that was found; classes without a row are left out.

    A net that always predicts the largest class of two scores 0.5, however large the class is.

    Source   scikit-learn, balanced_accuracy_score (adjusted=False)
    """

    type: Literal["balanced_accuracy"] = "balanced_accuracy"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        return only_class("balanced_accuracy", "recall or f1") if several else ""

    def result(self, totals: Mapping[str, Array]) -> float:
        present = totals["counts"][:, totals["counts"][2] > 0]
        return float(recall_of(present).mean()) if present.size else float("nan")

    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        absent = counts[2] == 0
        return f"no row is of {list_classes(absent, names, several)}: left out" if absent.any() else ""


class Matthews(SingleClassMetric):
    """The correlation of predictions and classes, from -1 over 0, chance, to 1; fair to classes of any size.

    With n rows, c right predictions, t_k rows of class k and p_k predictions of it:
    (c n - sum t_k p_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum t_k^2)), and 0 where that would be 0 / 0.

    Source   Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient;
             scikit-learn, matthews_corrcoef
    Numerics n^2 - sum t_k^2 is summed as sum t_k (n - t_k): it cancels nothing, and is 0 only where it should be. The
             numerator is the sum over classes of a d - b c for a rows found, b predicted wrongly, c not found and d
             neither: c n and sum t_k p_k would cancel
    """

    type: Literal["matthews"] = "matthews"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        return only_class("matthews", "f1 or roc_auc") if several else ""

    def result(self, totals: Mapping[str, Array]) -> float:
        hits, predicted, support = totals["counts"]
        if not support.any():
            return float("nan")
        spread = float(predicted @ (predicted.sum() - predicted)) * float(support @ (support.sum() - support))
        if not spread:
            return 0.0
        neither = support.sum() - predicted - support + hits
        return float(np.sum(hits * neither - (predicted - hits) * (support - hits)) / np.sqrt(spread))

    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        for k, (_, predicted, support) in enumerate(counts.T):
            if support == rows:
                return f"0 by convention: every row is of class {names[k]}"
            if predicted == rows:
                return f"0 by convention: every prediction is class {names[k]}"
        return ""


def only_class(metric: str, instead: str) -> str:
    """Returns what keeps a metric from being measured where a row may have several labels."""
    return f"{metric} needs one class for each row, and here a row may have several labels: write {instead}"


def single(batch: Scored) -> tuple[Array, Array, Array]:
    """Returns true and predicted classes and weights of a batch. Raises TypeError where a row may have several labels,
    or none."""
    if batch.several:
        raise TypeError("these rows may have several labels, not one class")
    return classes_of(batch)
