"""Data larger than memory: arrays that stay in their files. What `prepare` does in memory is done here in passes over
the file: the rules, the splits and the classes are found block by block, and rows are encoded when a step asks for
them. Data that is small, or not in such a file, goes to `prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from bpcli.config.data import Data
from bpcli.family import Scaler, Source, Table
from bpcli.family.plan import Array
from bpcli.numeric.lazy_rows import MAX_BYTES_IN_MEMORY, ComputedRows, LazyRows, MappedRows, RowBlocks
from bpcli.numeric.order import rows_per_block
from bpcli.parts.data.arrays import MAPPED, all_finite
from bpcli.parts.data.files import display_path
from bpcli.parts.scalers import Robust
from bpcli.records.training import ColumnRow, Failure, Problem, SplitRow
from bpcli.studies.dataset import prepare as held
from bpcli.studies.dataset.columns import Scaling
from bpcli.studies.dataset.out_of_core_targets import FileTargets, counted, rows_of_classes, target_of
from bpcli.studies.dataset.prepare import Prepared, Split
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.dataset.split import k_fold, stratified_split

FIRST = 5  # rows shown by `check`
SORTED = 1 << 23
"""Numbers that quartiles are taken of: those of all rows, or of this many evenly apart."""


@runtime_checkable
class _InFile(Protocol):
    """A source whose arrays can stay in their files."""

    def left_in_file(self, root: Path) -> tuple[Any, Any, tuple[Path, str]]: ...


@dataclass(frozen=True, eq=False)
class Vast(Prepared):
    """Prepared data whose rows were counted in passing."""

    counted: tuple[SplitRow, ...] = ()

    def split_rows(self) -> tuple[SplitRow, ...]:
        return self.counted


def prepare(
    data: Data, *, targets: Literal["classes", "values"], seed: int, dtype: Any, root: Path, inputs: bool = True
) -> Prepared:
    """As `prepare.prepare`; data that would not fit into memory stays in its file.

    Splits by fractions take stretches of rows that follow each other (single rows up to 2^17, where each split gets its
    share of every class). Raises Failure for everything that is wrong with the data.
    """
    found = _found(data.train, root, dtype)
    if found is None:
        return held.prepare(data, targets=targets, seed=seed, dtype=dtype, root=root, inputs=inputs, later=prepare_for)
    x, t, called = found
    origin = display_path(called[0])
    target = target_of(t, targets, origin)
    rows = _divided(data, target, len(x), seed)
    for places in rows.values():
        all_finite(_some(x, places), *called, places)
    preprocessor = _rules(data, x, target, rows["train"], origin)
    splits: dict[str, Split] = {}
    counts: list[SplitRow] = []
    files, warnings = list(data.train.files(root)), tuple[Problem, ...]()
    table = _table(x, target, origin)
    for name in ("train", "validation", "test"):
        source = None if name == "train" else getattr(data, name)
        if isinstance(source, Source):
            other_x, other_t, other = prepare_for(preprocessor, source, root, dtype, True)
            splits[name] = Split(name, other_x, cast(Array, other_t), cast(Array, _all(len(other_x))), other.row_names)
            warnings = (*warnings, *other.warnings)
            files += source.files(root)
        elif name in rows:
            splits[name] = Split(
                name, *_encoded(preprocessor, table, target, dtype, rows[name]), cast(Array, rows[name])
            )
        else:
            continue
        counts.append(SplitRow(name, len(splits[name].x), rows_of_classes(preprocessor.classes, splits[name].t)))
    if isinstance(data.scale, Robust) and (step := len(splits["train"].x) // len(_sample(_some(x, rows["train"])))) > 1:
        text = f"scale: the quartiles are those of 1 in {step} training rows: the file is too large to sort"
        warnings = (*warnings, Problem(text, code="sampled", path=("data", "scale"), level="warning"))
    return Vast(
        splits=splits,
        preprocessor=preprocessor,
        columns=_columns(_some(x, rows["train"]), preprocessor, data.scale),
        first_header=(*(("x",) if x.ndim > 2 else map(str, range(x.shape[1]))), "target"),
        first_rows=tuple(_shown(x[i], target.plain(np.arange(i, i + 1))) for i in range(min(FIRST, len(x)))),
        files=tuple(dict.fromkeys(files)),
        warnings=warnings,
        table=None if inputs else table,
        counted=tuple(counts),
    )


def prepare_for(
    preprocessor: Preprocessor, source: Source, root: Path, dtype: Any, need_target: bool
) -> tuple[Array, Array | None, Table]:
    """As `prepare.prepare_for`; data that would not fit into memory stays in its file."""
    found = _found(source, root, dtype) if need_target else None
    if found is None:
        return held.prepare_for(preprocessor, source, root, dtype, need_target)
    x, t, called = found
    all_finite(x, *called)
    origin = display_path(called[0])
    target = target_of(t, "values" if preprocessor.labels == "none" else "classes", origin)
    table = _table(x, target, origin)
    preprocessor.encode_inputs(table, dtype, np.arange(min(1, len(x))))  # raises where rows have another shape
    return (*_encoded(preprocessor, table, target, dtype, _all(len(x))), table)


def _found(source: Source, root: Path, dtype: Any) -> tuple[MappedRows, Any, tuple[Path, str]] | None:
    """Inputs, targets and name of a source whose encoded inputs are larger than is kept in memory."""
    if not isinstance(source, _InFile) or not _size(source.files(root)) > MAPPED:
        return None
    x, t, called = source.left_in_file(root)
    if not isinstance(x, MappedRows) or x.size * np.dtype(dtype).itemsize <= MAX_BYTES_IN_MEMORY:
        return None
    return x, t, called


def _size(files: tuple[Path, ...]) -> int:
    try:
        return sum(f.stat().st_size for f in files)
    except OSError:
        return 0


def _all(count: int) -> RowBlocks:
    length = rows_per_block(count)
    return RowBlocks(np.arange(-(-count // length)), length, count)


def _some(x: MappedRows, rows: RowBlocks) -> MappedRows:
    """Some rows, or (where these are all) the same."""
    return x if len(rows) == len(x) else MappedRows(x.base, rows, x.columns, x.seen)


def _table(x: MappedRows, target: FileTargets, origin: str) -> Table:
    plain = ComputedRows(target.plain, len(x), target.shape, object if target.labels == "text" else target.dtype)
    return Table(cast(Array, x), {}, (), (), cast(Array, plain), (), origin)


def _encoded(
    preprocessor: Preprocessor, table: Table, target: FileTargets, dtype: Any, rows: RowBlocks
) -> tuple[Array, Array]:
    """Inputs and targets of a split, computed when they are asked for."""
    count = len(rows)
    x = ComputedRows(lambda at: preprocessor.encode_inputs(table, dtype, at), count, preprocessor.shape, dtype, rows)
    encoder = target.encoder(preprocessor.classes, preprocessor.target_scaling, dtype)
    t = ComputedRows(encoder, count, target.encoded, target.encoded_type(dtype), rows)
    small = t.nbytes <= MAPPED
    return cast(Array, x), np.asarray(t) if small else cast(Array, t)


# Splits and rules


def _divided(data: Data, target: FileTargets, count: int, seed: int) -> dict[str, RowBlocks]:
    """The rows of each split that is a part of the training source."""
    fractions = {n: f for n in ("test", "validation") if isinstance(f := getattr(data, n), float)}
    length = rows_per_block(count)
    if target.labels == "none" and data.stratify:
        text = "stratify keeps the share of each class, and the targets are numbers"
        raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
    if data.stratify and length > 1:
        text = f"{count:,} rows in a file are divided in stretches of {length}, without regard to classes"
        raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
    if not fractions and data.fold is None:
        return {"train": _all(count)}
    codes = np.zeros(-(-count // length), np.int64)
    if length == 1 and target.labels != "none" and data.stratify is not False:
        counted(target, _all(count))  # raises where they are no classes
        whole = np.concatenate(list(target.blocks(_all(count))))
        whole = np.argmax(whole, axis=1) if target.labels == "one-hot" else whole
        codes = np.unique(whole, return_inverse=True)[1]
    if data.fold is None:
        places = stratified_split(codes, fractions, seed)
    else:
        rest, test = k_fold(codes, data.fold.of, data.fold.number, seed)
        inner = stratified_split(codes[rest], fractions, seed) if fractions else {"train": np.arange(len(rest))}
        places = {**{name: rest[found] for name, found in inner.items()}, "test": test}
    return {name: RowBlocks(found, length, count) for name, found in places.items()}


def _rules(data: Data, x: MappedRows, target: FileTargets, rows: RowBlocks, origin: str) -> Preprocessor:
    """What the training rows teach."""
    train = _some(x, rows)
    scaling = _fitted(data.scale, train, "scale")
    if target.labels == "none":
        values = ComputedRows(
            lambda at: target.read(at).astype(np.float64), len(rows), (target.width,), np.float64, rows
        )
        fits = _fitted(data.scale_target, _Limited(values), "scale_target")
        return Preprocessor(x.shape[1:], (), scaling, outputs=target.width, target_scaling=fits, labels="none")
    if data.scale_target.kind != "none":
        text = "scale_target scales numbers, and the targets are classes"
        raise Failure(
            Problem(text, code="scale-target", path=("data", "scale_target"), help="leave `scale_target` out")
        )
    found = counted(target, rows)
    if target.labels == "one-hot":
        classes = tuple(map(str, range(target.width)))
    else:
        classes = tuple(map(str, sorted(found)))
        if len(classes) == 1:
            text = f"the training rows hold a single class, `{classes[0]}`"
            help = "add rows of another class, or write one-hot targets"
            raise Failure(Problem(text, code="one-class", file=origin, help=help))
    return Preprocessor(x.shape[1:], (), scaling, classes=classes, labels=target.labels)


class _Limited(ComputedRows):
    """Computed rows whose limits can be asked for, as scalers do."""

    def __init__(self, of: ComputedRows) -> None:
        super().__init__(of.compute, len(of), of.shape[1:], of.dtype, of.rows)

    def _limit(self, which: Any) -> Array:
        found: Array = which.reduce([which.reduce(block, axis=0) for _, block in self.blocks()])
        return found

    def min(self, axis: int | None = None) -> Any:
        return self._limit(np.minimum) if axis == 0 else self._limit(np.minimum).min()

    def max(self, axis: int | None = None) -> Any:
        return self._limit(np.maximum) if axis == 0 else self._limit(np.maximum).max()


def _fitted(scaler: Scaler, x: LazyRows, key: str) -> Scaling | None:
    fitted = x[_sample(x)] if isinstance(scaler, Robust) else x
    shift, scale = scaler.fit(cast(Array, fitted))
    wrong = ~(np.isfinite(shift) & np.isfinite(scale))
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        text = f"input {place} holds numbers too large to compute its {scaler.kind} scaling"
        raise Failure(Problem(text, code="too-large", path=("data", key), help="write it in a larger unit"))
    return None if not shift.any() and bool((scale == 1).all()) else Scaling(shift, scale)


def _sample(x: LazyRows) -> Array:
    """Rows evenly apart, as many as can be sorted in memory."""
    count = max(1, SORTED // max(1, x.size // len(x)))
    return np.arange(len(x)) if count >= len(x) else np.linspace(0, len(x) - 1, count).astype(np.intp)


# What `check` shows


def _columns(x: MappedRows, preprocessor: Preprocessor, scale: Scaler) -> tuple[ColumnRow, ...]:
    treatment = "as it is" if preprocessor.scaling is None else scale.kind
    if x.ndim > 2:
        shape = " x ".join(map(str, x.shape[1:]))
        return (ColumnRow(shape, x.dtype.name, float(x.min()), float(x.max()), 0, treatment),)
    low, high = x.limits()
    return tuple(ColumnRow(str(i), "number", float(low[i]), float(high[i]), 0, treatment) for i in range(x.shape[1]))


def _shown(x: Array, t: Array) -> tuple[str, ...]:
    """A row as text, with its target."""
    inputs = [f"{x.shape} {x.dtype.name}, {x.min():g} to {x.max():g}"] if x.ndim > 1 else [f"{v:g}" for v in x]
    target = t[0]
    said = " ".join(f"{v:g}" for v in target) if isinstance(target, np.ndarray) else str(target)
    return (*inputs, said)
