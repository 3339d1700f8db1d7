"""The three forms a table's targets may have: class labels, class ids, values."""

from collections.abc import Iterable

import numpy as np

from bpcli.family.plan import Array

EXACT = 2.0**53
"""Whole numbers from here on are not all exact in float64."""

MAX_ID_RANGE = 1 << 16  # between the least and the greatest id, to be counted without sorting


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
