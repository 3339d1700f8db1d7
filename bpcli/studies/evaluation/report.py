"""The classification report: precision, recall and F1 of each class and their averages, from counts of classes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bpcli.family import Array, Metric
from bpcli.parts.metrics import HasNote, average_of, f1_of, precision_of, recall_of
from bpcli.records.training import ClassRow

ClassRows = tuple[ClassRow, ...]

NONE: Mapping[str, Metric] = MappingProxyType({})


def classification_report(counts: Array, names: Sequence[str], *, several: bool = False) -> tuple[ClassRows, ClassRows]:
    """Returns the rows of the classes and the rows of the averages.

    counts    (3, K): hits, predicted, support (`metrics.counts_of` makes them from a confusion matrix)
    names     of the K classes
    several   a row may have several labels

    Reported are the classes that are true or predicted somewhere (with `several`, all). The first average is `accuracy`
    where every row has one label, else `micro avg`; then `macro avg` and `weighted avg`. A score that would be 0 / 0 is
    0; a weighted support is rounded.

    Source    scikit-learn, classification_report (zero_division=0), without its `samples avg`
    """
    labels = [k for k in range(len(names)) if several or counts[1, k] + counts[2, k] > 0]
    chosen = counts[:, labels]
    scores = zip(labels, precision_of(chosen), recall_of(chosen), f1_of(chosen), chosen[2], strict=True)
    classes = tuple(ClassRow(names[k], float(p), float(r), float(f), round(float(s))) for k, p, r, f, s in scores)
    kinds = (("micro avg" if several else "accuracy", "micro"), ("macro avg", "macro"), ("weighted avg", "weighted"))
    return classes, tuple(average_row(name, chosen, kind) for name, kind in kinds)


def average_row(name: str, counts: Array, average: str) -> ClassRow:
    """Returns one average over the classes in counts (3, k); all of them count."""
    precision, recall, f1 = (average_of(score, counts, average, True) for score in (precision_of, recall_of, f1_of))
    return ClassRow(name, precision, recall, f1, round(float(counts[2].sum())))


def notes(
    counts: Array, names: Sequence[str], *, several: bool = False, rows: int = 0, metrics: Mapping[str, Metric] = NONE
) -> tuple[str, ...]:
    """Returns where a score is 0 because nothing could be counted, from counts (3, K) over `rows` rows of weight 1; and
    what there is to say of these metrics, by the names they are shown with."""
    neither = "its scores count as 0" if several else "macro averages leave it out"
    found = []
    for name, (_, predicted, support) in zip(names, counts.T, strict=True):
        if not predicted and not support:
            found.append(f"class {name}: neither present nor predicted; {neither}")
        elif not predicted:
            found.append(f"class {name}: never predicted; its precision counts as 0")
        elif not support:
            found.append(f"class {name}: not present; its recall counts as 0")
    for label, metric in metrics.items():
        if isinstance(metric, HasNote) and (note := metric.note(counts, names, rows, several)):
            found.append(f"{label}: {note}")
    return tuple(found)
