"""Dividing the rows of one source into train, validation and test."""

from __future__ import annotations

import math

import numpy as np

from bpcli.numeric.streams import Stream
from bpcli.plan import Array
from bpcli.records import Failure, Problem


def divide(codes: Array, fractions: dict[str, float], seed: int) -> dict[str, Array]:
    """Row indices of each split, ascending: those of `fractions` (at most two, validation and test) and train.

    codes: n, the class of each row (all 0 where classes do not matter). Each split gets its share of every class, by
    the largest remainder, and every class keeps at least one row in train. The order comes from the stream
    (seed, "split"), so the split depends on the seed and the classes alone. Raises Failure where rows are too few.

    Source    stratified sampling, Cochran 1977, chapter 5; Hamilton's method of largest remainders
    """
    count = len(codes)
    wanted = {name: max(1, math.floor(count * share + 0.5)) for name, share in fractions.items()}
    if sum(wanted.values()) >= count:
        listed = " and ".join(f"{rows} for {name}" for name, rows in wanted.items())
        text = f"{count} row{'s' * (count != 1)} cannot be divided: {listed} leaves none to learn from"
        raise _too_few(text, next(iter(fractions)))
    _, sizes = np.unique(codes, return_counts=True)
    held = np.minimum(apportion(sum(wanted.values()), sizes), sizes - 1)
    taken = _between(held, wanted)
    order = Stream(seed, "split").permutation(count)
    found: dict[str, list[Array]] = {name: [] for name in ("train", *fractions)}
    by_class = order[np.argsort(codes[order], kind="stable")]
    for k, rows in enumerate(np.split(by_class, np.cumsum(sizes)[:-1])):
        start = 0
        for name in fractions:
            stop = start + int(taken[name][k])
            found[name].append(rows[start:stop])
            start = stop
        found["train"].append(rows[start:])
    splits = {name: np.sort(np.concatenate(parts)) for name, parts in found.items()}
    for name, rows in splits.items():
        if not len(rows):
            text = f"no rows are left for {name}: every class keeps a row in train, and classes are that small"
            raise _too_few(text, name)
    return splits


def apportion(total: int, sizes: Array) -> Array:
    """`total` things divided in proportion to `sizes`, whole, by the largest remainder; ties go to the first."""
    ideal = total * sizes / max(1, int(sizes.sum()))
    shares = np.floor(ideal).astype(np.int64)
    left = total - int(shares.sum())
    shares[np.argsort(-(ideal - shares), kind="stable")[:left]] += 1
    return shares


def _between(held: Array, wanted: dict[str, int]) -> dict[str, Array]:
    """The rows held back of each class, divided between the splits that want them."""
    if len(wanted) < 2:
        return dict.fromkeys(wanted, held)
    first, second = wanted
    share = wanted[first] / (wanted[first] + wanted[second])
    mine = apportion(math.floor(int(held.sum()) * share + 0.5), held)
    return {first: mine, second: held - mine}


def _too_few(text: str, split: str) -> Failure:
    help = "give more rows, a source of its own for validation and test, or leave one of them out"
    return Failure(Problem(text, code="too-few-rows", path=("data", split), help=help))
