"""The classes that targets name: by labels, by whole numbers, by rows with a single 1."""

from collections.abc import Iterable, Sequence

import numpy as np

from bpcli.family import Array, Table
from bpcli.parts.data.cells import number_of
from bpcli.parts.data.cells.plain import TRUTH_VALUES
from bpcli.parts.data.targets import distinct
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.row_errors import row_name, values_text


def distinct_labels(target: Array) -> tuple[list[str], Array]:
    """Returns the different labels of a target (N,) of texts or whole numbers, as text, and for each row which of them
    it has."""
    if target.dtype == object:
        known: dict[str, int] = {}
        ranks = np.fromiter((known.setdefault(label, len(known)) for label in target.tolist()), np.intp, len(target))
        return list(known), ranks
    values, ranks = distinct(target)
    return list(map(str, values.tolist())), ranks


def match_labels(labels: Sequence[str], classes: Sequence[str]) -> Array:
    """Returns the class (n,) of each label: that of the same name, or the only one that is the same number, or the same
    word for yes or no (a program that has written the file anew makes `1.0` of `1`, and `True` of `TRUE`); -1 where
    there is none."""
    known = {name: i for i, name in enumerate(classes)}
    alike: dict[float | str | None, list[int]] = {}
    if any(label not in known for label in labels):
        for i, name in enumerate(classes):
            alike.setdefault(_meaning(name), []).append(i)
    found = []
    for label in labels:
        meaning = _meaning(label) if label not in known else None
        equal = alike.get(meaning, []) if meaning is not None else []
        found.append(known.get(label, equal[0] if len(equal) == 1 else -1))
    return np.array(found, np.int64)


def _meaning(label: str) -> float | str | None:
    """Returns the number of a label, or the word for yes or no in small letters; None of any other."""
    word = label.lower()
    return word if word.isalpha() and word in TRUTH_VALUES else number_of(label)


def lost_zeros(cells: Iterable[str], categories: Sequence[str]) -> str:
    """Returns a sentence on the first cell that is the same number as a category, by another name: `1003` for `01003`;
    "" where there is none."""
    for cell in cells:
        if (place := int(match_labels([cell], categories)[0])) >= 0 and number_of(cell) is not None:
            return f"`{cell}` is `{categories[place]}` as a number, as programs rewrite it: write it as in training; "
    return ""


def one_hot_ids(table: Table, rows: Array, classes: int) -> Array:
    """Returns the class ids (N,) of targets (N, K) with a single 1 a row. Raises Failure at the first other row."""
    assert table.target is not None
    target = table.target[rows]
    good = ((target == 0) | (target == 1)).all(axis=1) & (target.sum(axis=1) == 1)
    if not good.all() or target.shape[1] != classes:
        i = int(np.argmin(good))
        text = (
            f"{row_name(table, rows[i])}: the targets {values_text(target[i])} are not one 1 among {classes - 1} zeros"
        )
        raise Failure(Problem(text, code="not-one-hot", help="this loss compares classes: name one target column"))
    ids: Array = np.argmax(target, axis=1).astype(np.int64)
    return ids


def not_classes(table: Table, rows: Array) -> Failure:
    """Returns the Failure for a loss that compares classes and a target of numbers."""
    assert table.target is not None
    target = table.target[rows]
    odd = np.argwhere(np.floor(target) != target)
    i, k = odd[0] if len(odd) else np.unravel_index(int(np.abs(target).argmax()), target.shape)
    name = f"target column `{table.target_names[k]}`" if table.target_names else "the target"
    text = f"{row_name(table, rows[i])}: {name} holds {target[i, k]:.15g}; this loss compares classes"
    help = "class labels are text or whole numbers; for numeric targets use a loss such as mean_squared_error"
    if not len(odd):
        help = "whole numbers this large are not exact: read the column as text"
    return Failure(Problem(text, code="not-classes", help=help))
