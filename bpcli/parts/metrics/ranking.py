"""Figures of how well the outputs rank rows, whatever the threshold between the classes.

They need all rows at once: their totals grow by 9 bytes a row and output and 8 a row (10,000 rows of 10 classes: 1 MB),
and up to twice that, because they grow by doubling, so that adding costs the same at every size.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Metric, Sample, Scored
from bpcli.parts.metrics.counts import HasNote, Totals, classes_of, list_classes
from bpcli.parts.metrics.probabilities import needs_probabilities

OneVsRest = Annotated[
    Literal["macro", "weighted"],
    Field(
        description="over more than two classes, each against the rest, or over labels: macro: their mean; weighted: "
        "the mean by how many rows are of them; two classes need none: the figure is that of the second one"
    ),
]


class RankMetric(HasNote, Metric):
    """What the figures of ranking share: they are averages of a score over outputs, each against the rest."""

    average: OneVsRest = "macro"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    @abstractmethod
    def score(self, hits: Array, others: Array) -> float:
        """Returns the score of one output, from `curve`."""

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        """Returns what keeps it from being measured: outputs that are no probabilities."""
        return "" if probabilities else needs_probabilities(self.kind)

    def totals(self, classes: int, outputs: int) -> Totals:
        """Returns empty totals: `score`, `truth` and `weight` grow; the first `rows` of them are in use."""
        return {
            "score": np.zeros((0, outputs)),
            "truth": np.zeros((0, outputs), np.uint8),
            "weight": np.zeros(0),
            "rows": np.zeros(1, np.int64),
            "several": np.zeros(1),
        }

    def add(self, totals: Totals, batch: Scored) -> None:
        labels, _, weight = classes_of(batch)
        seen = weight > 0
        if batch.several or batch.output.shape[1] == 1:
            truth = labels.reshape(batch.output.shape) != 0
        else:
            truth = labels[:, None] == np.arange(batch.output.shape[1])
        append(totals, score=batch.output[seen], truth=truth[seen], weight=weight[seen])
        totals["several"] += batch.several

    def result(self, totals: Mapping[str, Array]) -> float:
        n = int(totals["rows"][0])
        score, truth, weight = (totals[name][:n] for name in ("score", "truth", "weight"))
        if not n or not np.isfinite(score).all():  # a net that diverged ranks nothing
            return float("nan")
        if binary(score.shape[1], bool(totals["several"][0])):
            return self.score(*curve(score[:, -1], truth[:, -1], weight))
        found = np.array([self.score(*curve(score[:, k], truth[:, k], weight)) for k in range(score.shape[1])])
        if self.average == "macro":
            return float(found.mean())
        support = weight @ truth
        present = support > 0
        return float(support[present] @ found[present] / support.sum()) if present.any() else 0.0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(average="weighted"))
        yield Sample({"type": cls.model_fields["type"].default, "average": "micro"}, error="'macro' or 'weighted'")


def binary(outputs: int, several: bool) -> bool:
    """Whether the last output alone says which of two classes a row is of."""
    return outputs <= 2 and not several


def append(totals: Totals, **rows: Array) -> None:
    """Adds rows to totals that grow: where an array is full, it is moved to one of twice its length."""
    start = int(totals["rows"][0])
    end = start + len(rows["weight"])
    for name, new in rows.items():
        old = totals[name]
        if end > len(old):
            totals[name] = np.zeros((max(end, 2 * len(old)), *old.shape[1:]), old.dtype)
            totals[name][:start] = old[:start]
        totals[name][start:end] = new
    totals["rows"][0] = end


def curve(score: Array, truth: Array, weight: Array) -> tuple[Array, Array]:
    """Returns the weight of the rows that are of a class (`hits`) and that are not (`others`), summed from the highest
    score down, with one entry for each different score: rows of the same score count together."""
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.append(falling[1:] != falling[:-1], True)
    hits, others = np.cumsum((weight * truth)[order]), np.cumsum((weight * (truth == 0))[order])
    return hits[last], others[last]


class RocAuc(RankMetric):
    """The area under the ROC curve: how likely a row of the class ranks above one that is not (a tie counts half).

    Undefined, nan: for two classes where one of them has no row; for several with macro where any class has none, with
    weighted only where one has all of them.

    Shapes   output: n k, or n 1 for the probability of the second of two classes
    Source   Fawcett 2006, An introduction to ROC analysis, algorithms 1 and 2; scikit-learn, roc_auc_score
             (several classes: multi_class="ovr"; with weighted and no label in any row, its 0)
    Memory   9 k + 8 bytes a row, and up to twice that while it grows
    """

    type: Literal["roc_auc"] = "roc_auc"

    def score(self, hits: Array, others: Array) -> float:
        if not hits[-1] or not others[-1]:
            return float("nan")
        true, false = (np.append(0.0, found) for found in (hits, others))
        return float(np.trapezoid(true, false) / (hits[-1] * others[-1]))  # divided once: whole weights are exact

    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        support = counts[2]
        for chosen, what in ((support == rows, "every row is"), (support == 0, "no row is")):
            counted = self.average == "macro" or what == "every row is" or binary(len(support), several)
            if chosen.any() and counted:
                return f"undefined: {what} of {list_classes(chosen, names, several)}"
        return ""


class AveragePrecision(RankMetric):
    """The precision at each score that occurs, averaged by the recall that it adds.

    It is the area under the steps of precision over recall. A class without a row counts as 0.

    Shapes   output: n k, or n 1 for the probability of the second of two classes
    Source   scikit-learn, average_precision_score (not interpolated; several classes: each against the rest, also those
             that have no row, as it does with labels)
    Memory   9 k + 8 bytes a row, and up to twice that while it grows
    """

    type: Literal["average_precision"] = "average_precision"

    def score(self, hits: Array, others: Array) -> float:
        if not hits[-1]:
            return 0.0
        return float(np.add.reduce(np.diff(hits, prepend=0.0) * (hits / (hits + others))) / hits[-1])

    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        absent = counts[2] == 0
        if binary(len(absent), several):
            absent[0] = False
        if not absent.any() or (self.average == "weighted" and not absent.all()):
            return ""
        return f"no row is of {list_classes(absent, names, several)}: counted as 0"
