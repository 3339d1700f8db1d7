"""Rows that would not fit into memory: they stay in their file, what is to be learned of them is found block by block,
and they are encoded when a step asks for them."""

from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np

from bpcli.config.data import Data, Fold
from bpcli.family import Array, Scaler, Source, Table
from bpcli.numeric.lazy_rows import MAX_BYTES_IN_MEMORY, ComputedRows, LazyRows, MappedRows, RowBlocks
from bpcli.numeric.order import rows_per_block
from bpcli.parts.data.arrays import MAPPED, ArraySource, check_finite
from bpcli.parts.data.files import display_path
from bpcli.parts.data.targets import distinct, numeric_target
from bpcli.parts.data.targets import labels as text_labels
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.class_labels import not_classes, one_hot_ids
from bpcli.studies.dataset.columns import Scaling
from bpcli.studies.dataset.fit import class_names, fit_scaling, refuse_scaled_classes
from bpcli.studies.dataset.preprocessor import Labels, Preprocessor
from bpcli.studies.dataset.row_errors import row_name
from bpcli.studies.dataset.split import divide, strata

MAX_LABELS = 10_000
"""A target of more different values is no class."""

TARGETS_PER_READ = 1 << 18  # numbers

NUMBERS_SORTED = 1 << 23
"""Quartiles are taken of all rows, or of as many, evenly apart, as hold this many numbers."""


class OutOfCoreRows:
    """The rows of a source, all in their file.

    Rows that follow each other in the file stay together in blocks where there are more than 2^17, so that no array
    with a number for each row is needed; else each split gets its share of every class.
    """

    def __init__(self, x: MappedRows, t: Array | LazyRows, labels: Labels, called: tuple[Path, str]) -> None:
        """`t` (N,) or (N, K) are the targets as they stand, `labels` says how they name classes; `called` is the file
        of the inputs, and what messages call the array in it."""
        self.x, self.t, self.labels, self.called = x, t, labels, called
        self.block, self.width = rows_per_block(len(x)), t.shape[1] if t.ndim == 2 else 1
        self.row_shape = (self.width,) if labels in ("none", "one-hot") else ()  # of targets
        kind = {"text": object, "ids": np.int64}.get(labels, np.float64)
        target = ComputedRows(self._targets, len(x), self.row_shape, kind)
        self.table = Table(cast(Array, x), {}, (), (), cast(Array, target), (), display_path(called[0]))

    @classmethod
    def open(cls, source: Source, targets: Literal["classes", "values"], root: Path, dtype: Any) -> Self | None:
        """Returns the rows of a source whose inputs, encoded as `dtype`, are larger than is kept in memory; else
        None."""
        if not isinstance(source, ArraySource) or not _bytes(source.files(root)) > MAPPED:
            return None
        x, t, called = source.left_in_file(root)
        if not isinstance(x, MappedRows) or x.size * np.dtype(dtype).itemsize <= MAX_BYTES_IN_MEMORY:
            return None
        labels: Labels = "ids" if t.ndim == 1 or t.shape[1] == 1 else "one-hot"
        return cls(x, t, "text" if t.dtype.kind == "U" else "none" if targets == "values" else labels, called)

    def _targets(self, rows: Array) -> Array:
        """Returns the targets of some rows in one of the three forms of Table."""
        found: Array = self.t[rows].reshape(len(rows), *self.row_shape)
        if self.labels == "text":
            return text_labels(found.tolist())
        return numeric_target(found) if self.labels == "ids" else found.astype(np.float64)

    def all(self) -> Array:
        """Returns the places of all rows."""
        return self._blocks(np.arange(-(-len(self.x) // self.block)))

    def _blocks(self, blocks: Array) -> Array:
        return cast(Array, RowBlocks(blocks, self.block, len(self.x)))

    def check_finite(self, rows: Array) -> None:
        """Raises Failure at the first number of these rows that is not finite."""
        check_finite(self.x.select(rows), *self.called, rows)

    def divide(self, data: Data, seed: int, within: Fold | None) -> tuple[dict[str, Array], tuple[Problem, ...]]:
        """Returns the rows of each split that is part of this source, and what to warn of (see `prepare`)."""
        warnings: tuple[Problem, ...] = ()
        codes = np.zeros(-(-len(self.x) // self.block), np.int64)
        if self.block == 1 or self.labels == "none":
            codes, warnings = strata(data, self.labels, len(codes), self._all_targets, within)
        elif data.stratify:
            text = f"{len(self.x):,} rows in a file are divided in blocks of {self.block}, without regard to classes"
            raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
        found = {name: self._blocks(blocks) for name, blocks in divide(codes, data, seed, within).items()}
        for rows in found.values():
            self.check_finite(rows)
        return found, warnings

    def _all_targets(self) -> Array:
        """Returns the targets of all rows in memory. Raises Failure where they are no classes."""
        self._classes(self.all())
        return self._targets(np.arange(len(self.x)))

    def _classes(self, rows: Array) -> set[Any]:
        """Returns the different labels (text or whole numbers) of these rows. Raises Failure where they are no
        classes."""
        found: set[Any] = set()
        step = max(1, TARGETS_PER_READ // self.width)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            t = self._targets(some)
            if self.labels == "one-hot":
                t = one_hot_ids(self.table, some, self.width)
            elif t.ndim == 2:
                raise not_classes(self.table, some)
            found |= set(t.tolist()) if t.dtype == object else set(distinct(t)[0].tolist())
            if len(found) > MAX_LABELS:
                text = f"{row_name(self.table, some[0])}: the target has more than {MAX_LABELS:,} different values"
                help = "for numeric targets use a loss such as mean_squared_error"
                raise Failure(Problem(f"{text}; this loss compares classes", code="not-classes", help=help))
        return found

    def fit(self, data: Data, rows: Array) -> tuple[Preprocessor, tuple[Problem, ...]]:
        """Returns what these rows teach, and what to warn of."""
        x, warnings = self.x.select(rows), tuple[Problem, ...]()
        scaling, shape, labels = _scaling(data.scale, x, "scale"), x.shape[1:], self.labels
        if data.scale.sorts and (step := len(x) // len(_sample(x))) > 1:
            text = f"scale: the quartiles are those of 1 in {step} training rows: the file is too large to sort"
            warnings = (Problem(text, code="sampled", path=("data", "scale"), level="warning"),)
        if labels == "none":
            values = _Values(self._targets, len(rows), self.row_shape, np.float64, rows)
            scaled = _scaling(data.scale_target, values, "scale_target")
            return Preprocessor(shape, (), scaling, outputs=self.width, target_scaling=scaled), warnings
        refuse_scaled_classes(data.scale_target)
        found = self._classes(rows)
        classes = tuple(map(str, range(self.width))) if labels == "one-hot" else class_names(found, self.table)
        return Preprocessor(shape, (), scaling, classes=classes, labels=labels), warnings

    def encode(
        self, preprocessor: Preprocessor, rows: Array, dtype: Any, *, inputs: bool = True, last: bool = False
    ) -> tuple[Array, Array, tuple[Problem, ...]]:
        """Returns inputs and targets of these rows, computed when they are asked for, and nothing to warn of."""
        p, table, count = preprocessor, self.table, len(rows)
        x = ComputedRows(lambda at: p.encode_inputs(table, dtype, at), count, p.shape, dtype, rows)
        shape, kind = (self.row_shape, dtype) if self.labels == "none" else ((), np.int64)
        t = ComputedRows(lambda at: p.encode_target(table, dtype, at), count, shape, kind, rows)
        return cast(Array, x), np.asarray(t) if t.nbytes <= MAPPED else cast(Array, t), ()


class _Values(ComputedRows):
    """Computed rows whose limits can be asked for, as scalers do."""

    def _limit(self, which: Any) -> Array:
        found: Array = which.reduce([which.reduce(block, axis=0) for _, block in self.blocks()])
        return found

    def min(self, axis: int | None = None) -> Any:
        return self._limit(np.minimum) if axis == 0 else self._limit(np.minimum).min()

    def max(self, axis: int | None = None) -> Any:
        return self._limit(np.maximum) if axis == 0 else self._limit(np.maximum).max()


def _scaling(scaler: Scaler, x: LazyRows, key: str) -> Scaling | None:
    return fit_scaling(scaler, cast(Array, x[_sample(x)] if scaler.sorts else x), (), key)


def _sample(x: LazyRows) -> Array:
    """Returns indices of rows evenly apart, as many as can be sorted in memory."""
    count = max(1, NUMBERS_SORTED // max(1, x.size // len(x)))
    return np.arange(len(x)) if count >= len(x) else np.linspace(0, len(x) - 1, count).astype(np.intp)


def _bytes(files: tuple[Path, ...]) -> int:
    """Returns bytes of these files; 0 where one cannot be read."""
    try:
        return sum(f.stat().st_size for f in files)
    except OSError:
        return 0
