"""Rows that would not fit into memory: they stay in their file, what is to be learned of them is found block by block,
and they are encoded when a step asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from bpcli.config.data import Data
from bpcli.family import Scaler, Source, Table
from bpcli.family.plan import Array
from bpcli.numeric.lazy_rows import MAX_BYTES_IN_MEMORY, ComputedRows, LazyRows, MappedRows, RowBlocks
from bpcli.numeric.order import rows_per_block
from bpcli.parts.data.arrays import MAPPED, check_finite
from bpcli.parts.data.files import display_path
from bpcli.parts.scalers import Robust
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.columns import Scaling
from bpcli.studies.dataset.fit import class_names, fit_scaling, refuse_scaled_classes
from bpcli.studies.dataset.out_of_core_targets import FileTargets, count_classes, open_targets
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.dataset.split import divide, strata

NUMBERS_SORTED = 1 << 23
"""Quartiles are taken of all rows, or of as many, evenly apart, as hold this many numbers."""


@runtime_checkable
class _InFile(Protocol):
    """A source whose arrays can stay in their files."""

    def left_in_file(self, root: Path) -> tuple[Any, Any, tuple[Path, str]]:
        """Inputs and targets, neither read nor checked, the file of the inputs, and the name of their array."""
        ...


class OutOfCoreRows:
    """The rows of a source, all in their file.

    Rows that follow each other in the file stay together in blocks where there are more than 2^17, so that no array
    with a number for each row is needed; else each split gets its share of every class.
    """

    def __init__(self, x: MappedRows, targets: FileTargets, called: tuple[Path, str]) -> None:
        """`called` is the file of the inputs, and what messages call the array in it."""
        self.x, self.targets, self.called = x, targets, called
        self.block = rows_per_block(len(x))
        plain = ComputedRows(targets.plain, len(x), targets.shape, targets.plain_type)
        self.table = Table(cast(Array, x), {}, (), (), cast(Array, plain), (), targets.origin)

    @classmethod
    def open(cls, source: Source, wants: Literal["classes", "values"], root: Path, dtype: Any) -> OutOfCoreRows | None:
        """The rows of a source whose inputs, encoded as `dtype`, are larger than is kept in memory; else None."""
        if not isinstance(source, _InFile) or not _bytes(source.files(root)) > MAPPED:
            return None
        x, t, called = source.left_in_file(root)
        if not isinstance(x, MappedRows) or x.size * np.dtype(dtype).itemsize <= MAX_BYTES_IN_MEMORY:
            return None
        return cls(x, open_targets(t, wants, display_path(called[0])), called)

    def all(self) -> Array:
        """The places of all rows."""
        return self._blocks(np.arange(-(-len(self.x) // self.block)))

    def _blocks(self, places: Array) -> Array:
        return cast(Array, RowBlocks(places, self.block, len(self.x)))

    def check_finite(self, rows: Array) -> None:
        """Raises Failure at the first number of these rows that is not finite."""
        check_finite(self.x.select(rows), *self.called, rows)

    def divide(self, data: Data, seed: int) -> tuple[dict[str, Array], tuple[Problem, ...]]:
        """The rows of each split that is part of this source, and what to warn of."""
        warnings: tuple[Problem, ...] = ()
        codes = np.zeros(-(-len(self.x) // self.block), np.int64)
        if self.block == 1 or self.targets.labels == "none":
            codes, warnings = strata(data, self.targets.labels, len(codes), self._classes)
        elif data.stratify:
            text = f"{len(self.x):,} rows in a file are divided in stretches of {self.block}, without regard to classes"
            raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
        found = {name: self._blocks(places) for name, places in divide(codes, data, seed).items()}
        for rows in found.values():
            self.check_finite(rows)
        return found, warnings

    def _classes(self) -> Array:
        """The targets of all rows in memory. Raises Failure where they are no classes."""
        count_classes(self.targets, self.all())
        return self.targets.plain(np.arange(len(self.x)))

    def fit(self, data: Data, rows: Array) -> tuple[Preprocessor, tuple[Problem, ...]]:
        """What these rows teach, and what to warn of."""
        targets, x = self.targets, self.x.select(rows)
        scaling, warnings = _scaling(data.scale, x, "scale"), tuple[Problem, ...]()
        if isinstance(data.scale, Robust) and (step := len(x) // len(_sample(x))) > 1:
            text = f"scale: the quartiles are those of 1 in {step} training rows: the file is too large to sort"
            warnings = (Problem(text, code="sampled", path=("data", "scale"), level="warning"),)
        shape, labels = x.shape[1:], targets.labels
        if labels == "none":
            scaled = _scaling(data.scale_target, _Values(targets, rows), "scale_target")
            return Preprocessor(shape, (), scaling, outputs=targets.width, target_scaling=scaled), warnings
        refuse_scaled_classes(data.scale_target)
        found = count_classes(targets, rows)
        one_hot = tuple(map(str, range(targets.width))) if labels == "one-hot" else None
        classes = one_hot or class_names(found, self.table)
        return Preprocessor(shape, (), scaling, classes=classes, labels=labels), warnings

    def encode(
        self, preprocessor: Preprocessor, rows: Array, dtype: Any, *, inputs: bool = True, last: bool = False
    ) -> tuple[Array, Array, tuple[Problem, ...]]:
        """Inputs and targets of these rows, computed when they are asked for, and nothing to warn of."""
        table, targets = self.table, self.targets
        x = ComputedRows(
            lambda at: preprocessor.encode_inputs(table, dtype, at), len(rows), preprocessor.shape, dtype, rows
        )
        encoder = targets.encoder(preprocessor.classes, preprocessor.target_scaling, dtype)
        t = ComputedRows(encoder, len(rows), targets.encoded, targets.encoded_type(dtype), rows)
        return cast(Array, x), np.asarray(t) if t.nbytes <= MAPPED else cast(Array, t), ()


class _Values(ComputedRows):
    """Numeric targets in float64, computed when they are asked for; their limits can be asked for, as scalers do."""

    def __init__(self, targets: FileTargets, rows: Array) -> None:
        super().__init__(lambda at: targets.read(at).astype(np.float64), len(rows), (targets.width,), np.float64, rows)

    def _limit(self, which: Any) -> Array:
        found: Array = which.reduce([which.reduce(block, axis=0) for _, block in self.blocks()])
        return found

    def min(self, axis: int | None = None) -> Any:
        return self._limit(np.minimum) if axis == 0 else self._limit(np.minimum).min()

    def max(self, axis: int | None = None) -> Any:
        return self._limit(np.maximum) if axis == 0 else self._limit(np.maximum).max()


def _scaling(scaler: Scaler, x: LazyRows, key: str) -> Scaling | None:
    return fit_scaling(scaler, cast(Array, x[_sample(x)] if isinstance(scaler, Robust) else x), (), key)


def _sample(x: LazyRows) -> Array:
    """Rows evenly apart, as many as can be sorted in memory."""
    count = max(1, NUMBERS_SORTED // max(1, x.size // len(x)))
    return np.arange(len(x)) if count >= len(x) else np.linspace(0, len(x) - 1, count).astype(np.intp)


def _bytes(files: tuple[Path, ...]) -> int:
    """Bytes of these files; 0 where one cannot be read."""
    try:
        return sum(f.stat().st_size for f in files)
    except OSError:
        return 0
