"""The three forms a table's targets may have, class labels, class ids and values; and what each row weighs."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bpcli.family import Array, Table
from bpcli.parts.data.files import data_error
from bpcli.records.training import Failure, Problem

EXACT = 2.0**53
"""Whole numbers from here on are not all exact in float64."""

MAX_ID_RANGE = 1 << 16  # between the least and the greatest id, to be counted without sorting


MIN_WEIGHT, MAX_WEIGHT = 1e-30, 1e30
"""What a row may weigh, where it is not 0: sums of weights, and a row's share in them, are numbers in float32 too."""


def labels(texts: Iterable[str]) -> Array:
    """Returns class labels (N,) as Python strings: one long label does not widen all the others."""
    texts = list(texts)
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


def numeric_target(values: Array) -> Array:
    """Returns class ids (N,) int64 where one column holds whole numbers only, else values (N, K) float64.

    values: n or n k, any real type.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        if values.dtype.kind in "iub":
            if values.dtype.kind != "u" or not (values > np.iinfo(np.int64).max).any():
                return values.astype(np.int64)
        elif bool(((np.floor(values) == values) & (np.abs(values) < EXACT)).all()):
            return values.astype(np.int64)
        values = values[:, None]
    return values.astype(np.float64)


def distinct(ids: Array) -> tuple[Array, Array]:
    """Returns the different whole numbers of ids (N,), ascending, and for each row which of them it is; without sorting
    where they lie close together, as class ids do."""
    low = int(ids.min()) if len(ids) else 0
    if not len(ids) or int(ids.max()) - low > MAX_ID_RANGE:
        return np.unique(ids, return_inverse=True)
    shifted = ids - low
    values = np.flatnonzero(np.bincount(shifted))
    ranks = np.zeros(int(values[-1]) + 1, np.intp)
    ranks[values] = np.arange(len(values))
    return values + low, ranks[shifted]


def weigh_rows(table: Table, weight: Array, column: str, path: Path) -> Table:
    """Returns the table with a weight for each row, (N,) float64, of this column, and without the rows that weigh 0:
    they count nothing, wherever rows count. Raises Failure at what is no weight, and where no row is left."""
    table = replace(table, weight=weight)
    good = (weight == 0) | ((weight >= MIN_WEIGHT) & (weight <= MAX_WEIGHT))
    if not good.all():
        raise _bad_weight(table, int(np.argmin(good)), float(weight[np.argmin(good)]), column, path)
    kept = np.flatnonzero(weight)
    if len(kept) == len(weight):
        return table
    if not len(kept):
        text = f"column `{column}`: every row has the weight 0 and counts nothing"
        raise data_error(text, path, code="weight", help="give the rows that shall count a weight above 0")
    count = len(weight) - len(kept)
    rows = "1 row has the weight 0 and counts" if count == 1 else f"{count:,} rows have the weight 0 and count"
    warning = Problem(f"{table.origin}: {rows} nothing (column `{column}`)", code="weight-0", level="warning")
    return replace(table.select(kept), warnings=(*table.warnings, warning))


def _bad_weight(table: Table, row: int, weight: float, column: str, path: Path) -> Failure:
    text, help = f"a weight is 0 or more, and here is {weight:g}", "a row that shall not count has the weight 0"
    if weight > 0:
        text = f"a weight is 0, or from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, and here is {weight:g}"
        help = "weights are compared with each other: multiply all of them by one number"
    if table.locate is None:
        text = f"row {row} (counted from 0), column `{column}`: {text}"
        return data_error(text, path, code="weight", help=help)
    return Failure(table.locate(Problem(f"column `{column}`: {text}", code="weight", help=help), row, column))
