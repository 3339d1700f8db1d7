"""Targets that stay in their file: what they are, and what stands for some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.lazy_rows import LazyRows, RowBlocks
from bpcli.parts.data.targets import EXACT, labels
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.columns import Scaling
from bpcli.studies.dataset.preprocessor import Labels
from bpcli.studies.dataset.row_errors import join_names

MAX_CLASSES = 10_000
"""A target of more different values is no class."""

TARGETS_PER_READ = 1 << 18


class FileTargets:
    """Targets in their file: what they are, and what stands for some of them."""

    def __init__(self, t: Array | LazyRows, found: Labels, origin: str) -> None:
        self.t, self.labels, self.origin = t, found, origin
        self.several = t.ndim == 2 and (t.shape[1] > 1 or found == "none")
        self.width = t.shape[1] if t.ndim == 2 else 1
        self.shape = (self.width,) if self.several or found == "none" else ()
        self.plain_type = np.dtype(object if found == "text" else np.int64 if found == "ids" else np.float64)
        self.encoded = (self.width,) if found == "none" else ()

    def encoded_type(self, dtype: Any) -> Any:
        """The type of encoded targets, in a run of type `dtype`."""
        return dtype if self.labels == "none" else np.int64

    def read(self, rows: Array) -> Array:
        """The targets of some rows as they stand: (n,), or (n, K) where a row has several or they are values."""
        found: Array = self.t[rows]
        return found.reshape(len(rows), *self.shape)

    def plain(self, rows: Array) -> Array:
        """The targets of some rows in one of the three forms of Table."""
        found = self.read(rows)
        return labels(found.tolist()) if self.labels == "text" else found.astype(self.plain_type)

    def blocks(self, rows: Array | RowBlocks) -> Iterator[Array]:
        """The targets of some rows as they stand, TARGETS_PER_READ numbers at a time."""
        step = max(1, TARGETS_PER_READ // self.width)
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step])

    def encoder(self, classes: tuple[str, ...], scaling: Scaling | None, dtype: Any) -> Callable[[Array], Array]:
        """A function from places of rows to their encoded targets: class ids (n,), or scaled values (n, K)."""
        if self.labels == "none":
            return lambda at: (self.read(at) if scaling is None else scaling.apply(self.read(at))).astype(dtype)
        if self.labels == "one-hot":
            return lambda at: np.argmax(self.read(at), axis=1)
        known = np.array(classes) if self.labels == "text" else np.array([int(c) for c in classes])
        order = np.argsort(known, kind="stable")
        known = known[order]

        def ids(at: Array) -> Array:
            values = self.read(at)
            places = np.searchsorted(known, values).clip(max=len(known) - 1)
            wrong = known[places] != values
            if wrong.any():
                i = int(np.argmax(wrong))
                name = str(values[i]) if isinstance(values[i], str) else f"{float(values[i]):.15g}"
                text = f"{self.origin}, row {int(at[i])} (counted from 0): "
                text += f"class `{name}` does not occur in the training rows"
                raise Failure(Problem(text, code="unknown-class", help=f"the classes are {join_names(classes)}"))
            found: Array = order[places]
            return found

        return ids


def open_targets(t: Any, wants: Literal["classes", "values"], origin: str) -> FileTargets:
    """What the targets are, for a loss that compares classes or values."""
    if t.dtype.kind == "U":
        return FileTargets(t, "text", origin)
    if wants == "values":
        return FileTargets(t, "none", origin)
    if t.ndim == 1 or t.shape[1] == 1:
        return FileTargets(t, "ids", origin)
    return FileTargets(t, "one-hot", origin)


def count_classes(target: FileTargets, rows: Array | RowBlocks) -> dict[Any, int]:
    """How many rows have each label (text or whole number). Raises Failure where they are no classes."""
    found: dict[Any, int] = {}
    start = 0
    for block in target.blocks(rows):
        if target.labels == "one-hot":
            right = ((block == 0) | (block == 1)).all(axis=1) & (block.sum(axis=1) == 1)
            if not right.all():
                i = int(np.argmin(right))
                values = ", ".join(f"{v:g}" for v in block[i][:10])
                text = f"the targets [{values}] are not one 1 among {block.shape[1] - 1} zeros"
                raise _not_classes(target, rows[start + i], text, "not-one-hot")
            block = np.argmax(block, axis=1)
        elif block.dtype.kind == "f":
            wrong = (np.floor(block) != block) | (np.abs(block) >= EXACT)
            if wrong.any():
                i = int(np.argmax(wrong))
                text = f"the target holds {block[i]:.15g}; this loss compares classes"
                raise _not_classes(target, rows[start + i], text, "not-classes")
        each, counts = np.unique(block, return_counts=True)
        for value, count in zip(each.tolist(), counts.tolist(), strict=True):
            key = value if isinstance(value, str) else int(value)
            found[key] = found.get(key, 0) + count
        if len(found) > MAX_CLASSES:
            text = f"the target has more than {MAX_CLASSES:,} different values; this loss compares classes"
            raise _not_classes(target, rows[start], text, "not-classes")
        start += len(block)
    return found


def _not_classes(target: FileTargets, row: Any, text: str, code: str) -> Failure:
    help = "class labels are text or whole numbers; for numeric targets use a loss such as mean_squared_error"
    return Failure(Problem(f"{target.origin}, row {int(row)} (counted from 0): {text}", code=code, help=help))
