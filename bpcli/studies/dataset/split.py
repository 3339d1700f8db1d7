"""Dividing the rows of one source into train, validation and test, and into folds."""

import math
import re
from collections.abc import Callable

import numpy as np

from bpcli.config.data import Data, Fold
from bpcli.family import Array, CodedText, Table, join_names
from bpcli.numeric.streams import Stream
from bpcli.parts.data.targets import distinct
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.preprocessor import Labels
from bpcli.studies.dataset.row_errors import row_failure

SPLIT_NAMES = {
    "train": "train", "training": "train", "trn": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "publictest": "validation", "test": "test", "testing": "test",
    "tst": "test", "holdout": "test", "privatetest": "test",
}  # fmt: skip
"""What a column may call the splits, in small letters, without spaces and what follows as `set` or `split`."""


def split_name(cell: str) -> str | None:
    """Returns the split that a cell names (`Train`, `public test`, `test_set`); None where it names none."""
    word = re.sub(r"[\W_]+", "", cell.lower())
    return SPLIT_NAMES.get(word) or SPLIT_NAMES.get(re.sub(r"(?:set|split|data)$", "", word))


def split_fractions(data: Data) -> dict[str, float]:
    """Returns the share of the training source's rows that each split takes, of those that are written as one."""
    return {name: share for name in ("test", "validation") if isinstance(share := getattr(data, name), float)}


def divide(keys: Array | CodedText, data: Data, seed: int, within: Fold | None = None) -> dict[str, Array]:
    """Returns the row indices of each split: one fold is test, the others are divided by fractions. `keys` (n,) are the
    class of each row; or, as text, the name of its group, and all rows of a group are in one split. `within`: the rows
    that are test are in no split, and the others are divided anew, so that this fold of them is test. Raises Failure
    where rows are too few."""
    rest, fractions = np.arange(len(keys)), split_fractions(data)
    found: dict[str, Array] = {}
    if data.fold is not None:
        fold = data.fold
        rest, found["test"] = (
            group_k_fold(keys, fold.of, fold.number, seed)
            if isinstance(keys, CodedText)
            else k_fold(keys, fold.of, fold.number, seed)
        )
    inner = {"train": np.arange(len(rest))}
    if fractions:
        left = keys[rest]
        inner = (
            split_by_group(left, fractions, seed)
            if isinstance(left, CodedText)
            else stratified_split(left, fractions, seed)
        )
    found = {**{name: rest[rows] for name, rows in inner.items()}, **found}
    if within is None:
        return found
    rest = not_test(found)
    again = divide(keys[rest], data.model_copy(update={"fold": within, "test": None}), seed)
    return {name: rest[rows] for name, rows in again.items()}


def not_test(splits: dict[str, Array]) -> Array:
    """Returns the rows that are not test, ascending."""
    return np.sort(np.concatenate([rows for name, rows in splits.items() if name != "test"]))


def strata(
    data: Data, labels: Labels, count: int, target: Callable[[], Array], within: Fold | None = None
) -> tuple[Array, tuple[Problem, ...]]:
    """Returns the class of each of `count` rows where the split keeps the share of each class, else zeros; and what to
    warn of.

    `target` gives the targets in one of the three forms of Table, where they are asked for. Raises Failure where the
    share of classes is to be kept and there are none.
    """
    if labels == "none" and data.stratify:
        text = "stratify keeps the share of each class, and the targets are numbers"
        raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
    if labels == "none" or data.stratify is False or not (split_fractions(data) or data.fold or within):
        return np.zeros(count, np.int64), ()
    t = np.argmax(target(), axis=1) if labels == "one-hot" else target()
    if t.dtype == object:
        known = sorted(set(t.tolist()))
        order = {label: i for i, label in enumerate(known)}
        codes = np.fromiter(map(order.__getitem__, t.tolist()), np.int64, len(t))
    else:
        values, codes = distinct(t)
        known = values.tolist()
    single = [str(known[k]) for k in np.flatnonzero(np.bincount(codes) == 1)]
    if not single:
        return codes, ()
    names = join_names([f"`{s}`" for s in single], 10)
    text = f"class {names} has a single row" if len(single) == 1 else f"the classes {names} have a single row each"
    help = "it stays in train, so nothing will judge how well that class is predicted: give it more rows, or join "
    help += "it with another class"
    return codes, (Problem(text, code="single-row", path=("data", "train"), help=help, level="warning"),)


def stratified_split(codes: Array, fractions: dict[str, float], seed: int) -> dict[str, Array]:
    """Returns the row indices of each split, ascending: those of `fractions` (at most two, validation and test) and
    train.

    codes: n, the class of each row (all 0 where classes do not matter). Each split gets its share of every class, by
    the largest remainder, and every class keeps at least one row in train. The order comes from the stream
    (seed, "split"), so the split depends on the seed and the classes alone. Raises Failure where rows are too few.

    Source    stratified sampling, Cochran 1977, chapter 5; Hamilton's method of largest remainders
    """
    count = len(codes)
    wanted = split_sizes(count, fractions)
    _, sizes = np.unique(codes, return_counts=True)
    kept_back = np.minimum(apportion(sum(wanted.values()), sizes), sizes - 1)
    taken = _share_out(kept_back, wanted)
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
            raise too_few(text, name)
    return splits


def k_fold(codes: Array, of: int, number: int, seed: int) -> tuple[Array, Array]:
    """Returns the row indices outside and inside part `number` (from 1) of `of`, ascending.

    codes: n, the class of each row (all 0 where classes do not matter). Each part has its share of every class and of
    all rows, give or take one; a class of a single row is in no part, so that there is always a row to learn from. The
    parts depend on the seed and the classes alone, by the stream (seed, "folds"). Raises Failure where rows are few.

    Source    stratified k-fold cross-validation, Kohavi 1995
    """
    _, inverse, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    dealt = np.flatnonzero(sizes[inverse] > 1) if len(sizes) > 1 else np.arange(len(codes))
    if len(dealt) < of:
        raise _too_few_for_folds(f"{len(dealt)} row{'s' * (len(dealt) != 1)}", of)
    order = dealt[Stream(seed, "folds").permutation(len(dealt))]
    order = order[np.argsort(inverse[order], kind="stable")]  # class after class; within one by chance
    inside = np.sort(order[number - 1 :: of])
    return np.setdiff1d(np.arange(len(codes)), inside, assume_unique=True), inside


def group_k_fold(values: CodedText, of: int, number: int, seed: int) -> tuple[Array, Array]:
    """Divides as `k_fold` does, all rows of a group in one part: the largest groups first, each to the part with the
    fewest rows."""
    codes, count = _group_codes(values)
    if count < of:
        raise _too_few_for_folds(f"{count} group{'s' * (count != 1)}", of)
    sizes = np.bincount(codes)
    order = Stream(seed, "folds").permutation(count)
    rows, part = np.zeros(of, np.int64), np.empty(count, np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        part[group] = np.argmin(rows)
        rows[part[group]] += sizes[group]
    inside = part[codes] == number - 1
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _group_codes(values: CodedText) -> tuple[Array, int]:
    """Returns the number of each row's group, counted from 0 as the groups come, and how many groups there are."""
    known, first, ranks = np.unique(values.codes, return_index=True, return_inverse=True)
    order = np.empty(len(known), np.int64)
    order[np.argsort(first)] = np.arange(len(known))
    return order[ranks], len(known)


def _too_few_for_folds(what: str, of: int) -> Failure:
    text = f"{what} cannot be divided into {of} folds"
    help = f"give more {'groups' if 'group' in what else 'rows'}, or ask for fewer folds"
    return Failure(Problem(text, code="too-few-rows", path=("data", "fold"), help=help))


def split_by_column(table: Table, column: str, seed: int, within: Fold | None = None) -> dict[str, Array]:
    """Returns the row indices of each split that a column names: train, validation and test; with `within`, this fold
    of the train rows takes the place of test. Raises Failure at a row that names none, and where none is train."""
    text = table.aside[column]
    names = list(map(split_name, text.categories))
    splits = {
        name: np.array([known == name for known in names])[text.codes] for name in ("train", "validation", "test")
    }
    unknown = ~np.any(list(splits.values()), axis=0)
    if unknown.any():
        row = int(np.argmax(unknown))
        help = "write train, validation or test; rows of a group are kept together by `split: {group: COLUMN}`"
        raise row_failure(table, row, column, f"column `{column}`: `{text[row]}` names no split", "split-name", help)
    if not splits["train"].any():
        problem = f"column `{column}` names no row `train`"
        raise Failure(
            Problem(problem, code="too-few-rows", path=("data", "split"), help="there is nothing to learn from")
        )
    found = {name: np.flatnonzero(rows) for name, rows in splits.items() if rows.any()}
    if within is not None:
        train = found["train"]
        outside, inside = k_fold(np.zeros(len(train), np.int64), within.of, within.number, seed)
        found |= {"train": train[outside], "test": train[inside]}
    return found


def split_by_group(values: CodedText, fractions: dict[str, float], seed: int) -> dict[str, Array]:
    """Returns the row indices of each split, all rows of a group in one of them.

    Groups come in an order by chance, from the stream (seed, "split"); each split takes them as long as that brings its
    number of rows nearer to its share. Raises Failure where there are fewer groups than splits.
    """
    codes, count = _group_codes(values)
    if count <= len(fractions):
        text = f"{count} group{'s' * (count != 1)} cannot be divided into {len(fractions) + 1} splits"
        raise too_few(text, next(iter(fractions)), "groups")
    sizes, waiting = np.bincount(codes), Stream(seed, "split").permutation(count).tolist()
    names = np.full(count, "train", object)
    for left, (name, rows) in enumerate(split_sizes(len(codes), fractions).items()):
        taken, keep = 0, len(fractions) - left  # a group for each split that is still to come, train too
        while len(waiting) > keep and (not taken or 2 * (rows - taken) > sizes[waiting[0]]):
            names[waiting[0]] = name
            taken += int(sizes[waiting.pop(0)])
    return {name: np.flatnonzero(names[codes] == name) for name in ("train", *fractions)}


def split_sizes(count: int, fractions: dict[str, float]) -> dict[str, int]:
    """Returns how many of `count` rows each split gets. Raises Failure where none is left for train."""
    wanted = {name: max(1, math.floor(count * share + 0.5)) for name, share in fractions.items()}
    if sum(wanted.values()) >= count:
        listed = " and ".join(f"{rows} for {name}" for name, rows in wanted.items())
        text = f"{count} row{'s' * (count != 1)} cannot be divided: {listed} leaves none to learn from"
        raise too_few(text, next(iter(fractions)))
    return wanted


def apportion(total: int, sizes: Array) -> Array:
    """Returns `total` things divided in proportion to `sizes`, whole, by the largest remainder; ties go to the
    first."""
    ideal = total * sizes / max(1, int(sizes.sum()))
    shares = np.floor(ideal).astype(np.int64)
    left = total - int(shares.sum())
    shares[np.argsort(-(ideal - shares), kind="stable")[:left]] += 1
    return shares


def _share_out(kept_back: Array, wanted: dict[str, int]) -> dict[str, Array]:
    """Returns how many rows of each class each split gets of the `kept_back` ones, (classes,)."""
    if len(wanted) < 2:
        return dict.fromkeys(wanted, kept_back)
    first, second = wanted
    share = wanted[first] / (wanted[first] + wanted[second])
    mine = apportion(math.floor(int(kept_back.sum()) * share + 0.5), kept_back)
    return {first: mine, second: kept_back - mine}


def too_few(text: str, split: str, what: str = "rows") -> Failure:
    help = f"give more {what}, a source of its own for validation and test, or leave one of them out"
    return Failure(Problem(text, code="too-few-rows", path=("data", split), help=help))
