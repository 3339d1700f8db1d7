"""Learning the rules of the data from the training rows: categories, class names, shifts and scales."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bpcli.family import Scaler, Table
from bpcli.plan import Array
from bpcli.records import Failure, Problem
from bpcli.studies.rules import Column, Labels, Rules, Scaling, not_labels, one_hot_ids

CATEGORIES = 1000  # of a text column; beyond it holds names or identifiers


def labels_of(table: Table, wants: Literal["classes", "values"]) -> Labels:
    """How the targets name classes, for a loss that compares classes or values. Raises Failure where they cannot."""
    target = table.target
    if target is None:
        raise Failure(Problem(f"{table.origin} has no target", code="no-target", help="name its target column"))
    if target.dtype == object:
        return "text"
    if wants == "values":
        return "none"
    if target.ndim == 1:
        return "ids"
    if target.shape[1] == 1:
        raise not_labels(table, np.arange(len(target)))
    one_hot_ids(table, np.arange(len(target)), target.shape[1])
    return "one-hot"


def fit(table: Table, rows: Array, labels: Labels, scale: Scaler, scale_target: Scaler) -> Rules:
    """The rules that these rows teach; no other row of the table is read. Raises Failure: a text column with over
    1,000 categories, a single class, numbers too large to scale."""
    numbers = table.numbers[rows]
    scaling = _fitted(scale, numbers, table.names, "scale")
    columns = tuple(Column(name, _categories(table, name, rows)) for name in table.order)
    shape = (sum(c.width for c in columns),) if columns else numbers.shape[1:]
    target = table.target
    assert target is not None
    known: dict[str, Any] = {"target_names": table.target_names, "labels": labels}
    if labels == "none":
        values = target[rows].astype(np.float64).reshape(len(rows), -1)
        target_scaling = _fitted(scale_target, values, table.target_names, "scale_target")
        return Rules(shape, columns, scaling, outputs=values.shape[1], target_scaling=target_scaling, **known)
    if scale_target.kind != "none":
        help = "leave `scale_target` out"
        raise Failure(Problem("scale_target scales numbers, and the targets are classes",
                              code="scale-target", path=("data", "scale_target"), help=help))  # fmt: skip
    if labels == "one-hot":
        classes = table.target_names or tuple(map(str, range(target.shape[1])))
    else:
        classes = tuple(map(str, sorted(set(target[rows].tolist()))))
        if len(classes) == 1:
            text = f"the training rows hold a single class, `{classes[0]}`"
            raise Failure(Problem(text, code="one-class", help="add rows of another class, or write one-hot targets"))
    return Rules(shape, columns, scaling, classes=classes, **known)


def _fitted(scaler: Scaler, x: Array, names: tuple[str, ...], key: str) -> Scaling | None:
    shift, scale = scaler.fit(x)
    wrong = ~(np.isfinite(shift) & np.isfinite(scale))
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        name = f"column `{names[place[0]]}`" if names else f"input {place}"
        text = f"{name} holds numbers too large to compute its {scaler.kind} scaling"
        raise Failure(Problem(text, code="too-large", path=("data", key), help="write it in a larger unit"))
    identity = not shift.any() and bool((scale == 1).all())
    return None if identity else Scaling(shift, scale)


def _categories(table: Table, name: str, rows: Array) -> tuple[str, ...]:
    if name not in table.texts:
        return ()
    found = sorted(set(table.texts[name][rows].tolist()))
    if len(found) > CATEGORIES:
        text = f"column `{name}` holds {len(found)} different texts: each would become an input of its own"
        raise Failure(Problem(text, code="categories", help=f"leave it out with `drop: [{name}]`"))
    return tuple(found)
