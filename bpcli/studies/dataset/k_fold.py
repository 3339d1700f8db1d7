"""Rows in k parts, for cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.streams import Stream
from bpcli.records.training import Failure, Problem


def k_fold(codes: Array, of: int, number: int, seed: int) -> tuple[Array, Array]:
    """Row indices outside and inside part `number` (from 1) of `of`, ascending.

    codes: n, the class of each row (all 0 where classes do not matter). Each part has its share of every class and of
    all rows, give or take one; a class of a single row is in no part, so that there is always a row to learn from. The
    parts depend on the seed and the classes alone, by the stream (seed, "folds"). Raises Failure where rows are few.

    Source    stratified k-fold cross-validation, Kohavi 1995
    """
    _, inverse, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    dealt = np.flatnonzero(sizes[inverse] > 1) if len(sizes) > 1 else np.arange(len(codes))
    if len(dealt) < of:
        raise _too_few(f"{len(dealt)} row{'s' * (len(dealt) != 1)}", of)
    order = dealt[Stream(seed, "folds").permutation(len(dealt))]
    order = order[np.argsort(inverse[order], kind="stable")]  # class after class; within one by chance
    inside = np.sort(order[number - 1 :: of])
    return np.setdiff1d(np.arange(len(codes)), inside, assume_unique=True), inside


def group_k_fold(values: Sequence[str], of: int, number: int, seed: int) -> tuple[Array, Array]:
    """As `k_fold`, all rows of a group in one part: the largest groups first, each to the part with the fewest rows."""
    known = {group: i for i, group in enumerate(dict.fromkeys(values))}
    if len(known) < of:
        raise _too_few(f"{len(known)} group{'s' * (len(known) != 1)}", of)
    codes = np.array([known[group] for group in values])
    sizes = np.bincount(codes)
    order = Stream(seed, "folds").permutation(len(known))
    rows, part = np.zeros(of, np.int64), np.empty(len(known), np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        part[group] = np.argmin(rows)
        rows[part[group]] += sizes[group]
    inside = part[codes] == number - 1
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _too_few(what: str, of: int) -> Failure:
    text = f"{what} cannot be divided into {of} folds"
    help = "give more rows, or ask for fewer folds"
    return Failure(Problem(text, code="too-few-rows", path=("data", "fold"), help=help))
