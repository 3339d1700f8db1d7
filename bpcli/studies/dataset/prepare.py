"""From the `data` section to arrays: load, divide, learn the rules from the training rows, encode every split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from bpcli.config.data import Data, Division
from bpcli.family import Source, Table
from bpcli.family.plan import Array
from bpcli.numeric.lazy_rows import ComputedRows
from bpcli.parts.data.columns import ColumnSource
from bpcli.parts.data.targets import distinct
from bpcli.records.training import ColumnRow, Failure, Problem, SplitRow
from bpcli.studies.dataset.fit import fit_preprocessor, labels_of
from bpcli.studies.dataset.out_of_core_targets import rows_of_classes
from bpcli.studies.dataset.preprocessor import Labels, Preprocessor
from bpcli.studies.dataset.preview import columns_of, first_rows
from bpcli.studies.dataset.split import (
    group_k_fold,
    k_fold,
    split_by_column,
    split_by_group,
    split_by_time,
    stratified_split,
)

__all__ = ["Prepared", "Preprocessor", "Split", "prepare", "prepare_for"]


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of one split, encoded.

    `x` is (N, *shape) of the run's type, C-contiguous (prepared without inputs, it has its shape and no memory); `t` is
    (N,) int64 class ids, or (N, K) of the run's type; `rows` are their indices in the file order of their source, and
    `names` what the rows of the source are called, where they have names. `w` is (N,), how much each row counts, or
    None where all count the same.
    """

    name: str
    x: Array
    t: Array
    rows: Array
    names: tuple[str, ...] = ()
    w: Array | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """All splits (train always; validation and test where the file asks for them), the rules they were encoded by, and
    what `check` shows of the training source: its columns, and its first rows as they stand in the file."""

    splits: Mapping[str, Split]
    preprocessor: Preprocessor
    columns: tuple[ColumnRow, ...]
    first_header: tuple[str, ...]
    first_rows: tuple[tuple[str, ...], ...]
    files: tuple[Path, ...]
    warnings: tuple[Problem, ...] = ()
    table: Table | None = None  # the training source, where it was prepared without inputs

    def split_rows(self) -> tuple[SplitRow, ...]:
        """How many rows each split has, and how many of each class."""
        found = []
        for split in self.splits.values():
            found.append(SplitRow(split.name, len(split.x), rows_of_classes(self.preprocessor.classes, split.t)))
        return tuple(found)


def prepare(
    data: Data,
    *,
    targets: Literal["classes", "values"],
    seed: int,
    dtype: Any,
    root: Path,
    inputs: bool = True,
    later: Callable[[Preprocessor, Source, Path, Any, bool], tuple[Array, Array | None, Table]] | None = None,
) -> Prepared:
    """The splits of an experiment. `targets` is what the loss compares; paths are relative to `root`. Without `inputs`
    the rows of the training source are not encoded: for a look at a few of them. Other sources are encoded by `later`,
    left out by `prepare_for`.

    Rules are learned from the training rows only, after the split; the split depends on the seed and the classes.
    Raises Failure for everything that is wrong with the data.
    """
    table = _load(data, root, compact=inputs and np.dtype(dtype) == np.float32)
    labels = labels_of(table, targets)
    rows, warnings = _divided(data, table, labels, seed)
    warnings = (*table.warnings, *warnings)
    preprocessor = fit_preprocessor(table, rows["train"], labels, data.scale, data.scale_target)
    header, first = first_rows(table)
    columns = columns_of(table, rows["train"], preprocessor, data.scale)
    splits: dict[str, Split] = {}
    for name in ("validation", "test", "train"):  # train last: its inputs may take the place of the table's numbers
        source = None if name == "train" else getattr(data, name)
        if isinstance(source, Source):
            if name in rows:
                text = f"column `{data.split.by[1] if data.split else ''}` names {name} rows, and {name} has a source"
                raise Failure(Problem(text, code="two-splits", path=("data", name), help=f"leave `{name}` out"))
            x, t, other = (later or prepare_for)(preprocessor, source, root, dtype, True)
            assert t is not None
            warnings = (*warnings, *other.warnings)
            chosen = cast(Array, x.rows) if isinstance(x, ComputedRows) else np.arange(len(x))
            splits[name] = Split(name, x, t, chosen, other.row_names, _weight(other, dtype))
        elif name in rows:
            chosen = rows[name]
            t, w = preprocessor.encode_target(table, dtype, chosen), _weight(table, dtype, chosen)
            x = np.broadcast_to(np.zeros((), dtype), (len(chosen), *preprocessor.shape))
            if inputs:
                warnings = (*warnings, *preprocessor.unseen(table, chosen))
                x = preprocessor.encode_inputs(table, dtype, chosen, reuse=table.pivot is not None and name == "train")
            splits[name] = Split(name, x, t, chosen, table.row_names, w)
    splits = {name: splits[name] for name in ("train", "validation", "test") if name in splits}
    kept = None if inputs else table
    return Prepared(splits, preprocessor, columns, header, first, files_of(data, root), warnings, kept)


def files_of(data: Data, root: Path) -> tuple[Path, ...]:
    """The files of all sources, each once."""
    sources = (source for source in (data.train, data.validation, data.test) if isinstance(source, Source))
    return tuple(dict.fromkeys(file for source in sources for file in source.files(root)))


def prepare_for(
    preprocessor: Preprocessor, source: Source, root: Path, dtype: Any, need_target: bool
) -> tuple[Array, Array | None, Table]:
    """The rows of a source encoded by rules learned before: inputs, targets (None without `need_target`), and the
    table. Columns are matched by name, in any order; others are ignored. Without `need_target` a row with a missing
    value is an error where the model's rule is to leave it out: every row is to be answered."""
    if preprocessor.columns and isinstance(source, ColumnSource):
        kinds, missing = preprocessor.kinds, preprocessor.missing
        if not need_target:
            missing = {name: "error" if rule == "drop" else rule for name, rule in missing.items()}
        elif "drop" in missing.values():
            missing |= dict.fromkeys(source.target, "drop")
        if need_target and preprocessor.labels != "one-hot":
            kinds |= dict.fromkeys(source.target, "text" if preprocessor.labels == "text" else "number")
        compact = np.dtype(dtype) == np.float32
        table = source.load_columns(root, kinds, need_target=need_target, missing=missing, compact=compact)
    else:
        table = source.load(root, need_target=need_target)
    t = preprocessor.encode_target(table, dtype) if need_target else None
    table = replace(table, warnings=(*table.warnings, *preprocessor.unseen(table)))
    return preprocessor.encode_inputs(table, dtype, reuse=table.pivot is not None), t, table


def _load(data: Data, root: Path, *, compact: bool) -> Table:
    """The training source, with the column that its rows are divided by."""
    source, names = data.train, () if data.split is None else (data.split.by[1],)
    if isinstance(source, ColumnSource):
        hidden = () if data.split is None or data.split.time is not None else names
        return source.load_columns(root, {}, aside=names, hidden=hidden, compact=compact)
    if data.split is not None:
        text = f"split goes by a column, and {source.kind} has no named columns"
        raise Failure(Problem(text, code="split", path=("data", "split"), help="leave `split` out"))
    return source.load(root)


def _divided(data: Data, table: Table, labels: Labels, seed: int) -> tuple[dict[str, Array], tuple[Problem, ...]]:
    """The rows of each split that is part of train's source, and what to warn of."""
    fractions = {n: f for n in ("test", "validation") if isinstance(f := getattr(data, n), float)}
    if data.fold is not None:
        return _fold(data, table, labels, fractions, seed)
    if data.split is not None:
        return _by(data.split, table, fractions, seed), ()
    codes, warnings = _strata(data, table, labels, bool(fractions))
    return stratified_split(codes, fractions, seed) if fractions else {"train": np.arange(table.rows)}, warnings


def _fold(
    data: Data, table: Table, labels: Labels, fractions: dict[str, float], seed: int
) -> tuple[dict[str, Array], tuple[Problem, ...]]:
    """One fold is test; validation is a fraction of the other rows."""
    assert data.fold is not None
    of, number = data.fold.of, data.fold.number
    if data.split is not None:
        groups = table.aside[data.split.by[1]].tolist()
        rest, test = group_k_fold(groups, of, number, seed)
        inner = (
            split_by_group([groups[i] for i in rest], fractions, seed) if fractions else {"train": np.arange(len(rest))}
        )
        return {**{name: rest[rows] for name, rows in inner.items()}, "test": test}, ()
    codes, warnings = _strata(data, table, labels, True)
    rest, test = k_fold(codes, of, number, seed)
    inner = stratified_split(codes[rest], fractions, seed) if fractions else {"train": np.arange(len(rest))}
    return {**{name: rest[rows] for name, rows in inner.items()}, "test": test}, warnings


def _by(division: Division, table: Table, fractions: dict[str, float], seed: int) -> dict[str, Array]:
    key, name = division.by
    if key == "column":
        return split_by_column(table, name)
    return (
        split_by_group(table.aside[name].tolist(), fractions, seed)
        if key == "group"
        else split_by_time(table, name, fractions)
    )


def _weight(table: Table, dtype: Any, rows: Array | None = None) -> Array | None:
    """How much each row counts."""
    if table.weight is None:
        return None
    return (table.weight if rows is None else table.weight[rows]).astype(dtype)


def _strata(data: Data, table: Table, labels: Labels, divided: bool) -> tuple[Array, tuple[Problem, ...]]:
    """The class of each row where the split keeps the share of each class, else zeros; and what to warn of."""
    if labels == "none" and data.stratify:
        text = "stratify keeps the share of each class, and the targets are numbers"
        raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
    if labels == "none" or data.stratify is False or not divided:
        return np.zeros(table.rows, np.int64), ()
    assert table.target is not None
    target = np.argmax(table.target, axis=1) if labels == "one-hot" else table.target
    if target.dtype == object:
        known = sorted(set(target.tolist()))
        order = {label: i for i, label in enumerate(known)}
        codes = np.fromiter(map(order.__getitem__, target.tolist()), np.int64, len(target))
    else:
        values, codes = distinct(target)
        known = values.tolist()
    single = [str(known[k]) for k in np.flatnonzero(np.bincount(codes) == 1)]
    if not single:
        return codes, ()
    names = ", ".join(f"`{s}`" for s in single[:10]) + (f" and {len(single) - 10} more" if len(single) > 10 else "")
    text = f"class {names} has a single row" if len(single) == 1 else f"the classes {names} have a single row each"
    help = "it stays in train, so nothing will judge how well that class is predicted: give it more rows, or join "
    help += "it with another class"
    return codes, (Problem(text, code="single-row", path=("data", "train"), help=help, level="warning"),)
