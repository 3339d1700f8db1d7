"""Rows that are not in memory: read from a file, or computed, when they are asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bpcli.numeric.file_state import file_state, stale
from bpcli.numeric.shapes import Array, Shape

MAX_BYTES_IN_MEMORY = 256 << 20
"""Bytes of the largest array that is read into memory; a larger one stays in its file."""

BYTES_PER_READ = 1 << 20  # of one block of rows, where all rows are gone through
NUMBERS_PER_BLOCK = 1 << 18  # of rows in memory that are read, converted or encoded at a time


class RowIndices(Protocol):
    """The places of some rows: an array, or an object that computes them."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class LazyRows:
    """Rows that are read or computed when they are asked for; it can be used like an array in most ways.

    `shape` is (N, ...).
    """

    shape: Shape
    dtype: np.dtype[Any]

    def read(self, rows: Array) -> Array:
        """Returns these rows, in memory."""
        raise TypeError(f"{type(self).__name__} reads nothing")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def take(self, rows: Array, axis: int = 0, out: Array | None = None, mode: str = "raise") -> Array:
        """Returns rows like np.take(axis=0); indices are not checked."""
        found = self.read(rows)
        if out is None:
            return found
        out[...] = found
        return out

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            found = self.read(np.arange(*first.indices(len(self))))
        else:
            rows = np.asarray(first)
            if rows.dtype == bool:
                rows = np.flatnonzero(rows)
            found = self.read(rows.reshape(-1))
            found = found[0] if rows.ndim == 0 else found
            return found[tuple(rest)] if rows.ndim == 0 and rest else found[(slice(None), *rest)] if rest else found
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Returns all rows in memory. Raises MemoryError where they do not fit."""
        out = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for start, block in self.blocks():
            out[start : start + len(block)] = block
        return out

    def astype(self, dtype: Any, **_: Any) -> Array:
        """Returns all rows in memory, as another type."""
        return self.__array__(dtype)

    def reshape(self, *shape: Any) -> Array:
        """Returns all rows in memory, in another shape."""
        return self.__array__().reshape(*shape)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yields all rows, some at a time: the place of the first, and the rows."""
        step = max(1, BYTES_PER_READ // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))
        for start in range(0, len(self), step):
            yield start, self.read(np.arange(start, min(start + step, len(self))))


STATE = b"state of the file"  # a key of `seen`


class MappedRows(LazyRows):
    """Some rows of an array in a file. `base` (N, ...) is memory-mapped; `rows` of it are taken (None: all) and, along
    its second axis, `columns` (None: all). `seen` is shared by all that have one base.

    The least and the largest numbers are looked for once and remembered.
    """

    def __init__(
        self,
        base: Array,
        rows: RowIndices | None = None,
        columns: Array | None = None,
        seen: dict[bytes, Any] | None = None,
    ) -> None:
        self.base, self.rows, self.columns = base, rows, columns
        count = len(base) if rows is None else len(rows)
        inner = base.shape[1:] if columns is None else (len(columns), *base.shape[2:])
        self.shape = (count, *inner)
        self.dtype = base.dtype.newbyteorder("=")
        self.seen: dict[bytes, Any] = {} if seen is None else seen
        self._file = str(getattr(base, "filename", ""))
        if self._file:
            self.seen.setdefault(STATE, file_state(Path(self._file)))

    def read(self, rows: Array) -> Array:
        """Raises OSError where the file has changed: its numbers belong to other rows, or to none."""
        if self._file and (error := stale(self._file, self.seen[STATE])) is not None:
            raise error
        chosen = rows if self.rows is None else self.rows[rows]
        columns = self.columns
        if len(chosen) and chosen[-1] - chosen[0] == len(chosen) - 1 and (np.diff(chosen) == 1).all():
            found = self.base[chosen[0] : chosen[-1] + 1]  # one run of the file
            found = found if columns is None else found[:, columns]
        else:
            found = self.base[chosen] if columns is None else self.base[chosen[:, None], columns]
        return np.array(found, self.dtype, order="C")

    def select(self, rows: RowIndices) -> MappedRows:
        """Returns some of its rows, ascending and each once; itself where these are all."""
        return self if len(rows) == len(self) else MappedRows(self.base, rows, self.columns, self.seen)

    def limits(self) -> tuple[Array, Array]:
        """Returns the least and the largest of each place in a row, over all rows; NaN where one is NaN."""
        name = self._name()
        if name not in self.seen:
            low = high = None
            for _, block in self.blocks():
                lowest, highest = block.min(axis=0), block.max(axis=0)
                low = lowest if low is None else np.minimum(low, lowest)
                high = highest if high is None else np.maximum(high, highest)
            self.seen[name] = (low, high)
        found: tuple[Array, Array] = self.seen[name]
        return found

    def _name(self) -> bytes:
        """Returns the key under which the limits of these rows are remembered."""
        digest = hashlib.sha256()
        for part in (self.rows, self.columns):
            digest.update(b"all" if part is None else np.ascontiguousarray(getattr(part, "blocks", part)).tobytes())
        return digest.digest()

    def min(self, axis: int | None = None) -> Any:
        low, _ = self.limits()
        return low if axis == 0 else low.min()

    def max(self, axis: int | None = None) -> Any:
        _, high = self.limits()
        return high if axis == 0 else high.max()


class ComputedRows(LazyRows):
    """Rows (count, *shape) that are computed from their places by `compute`, which gives them for an array of places in
    `rows` (None: of all rows there are)."""

    def __init__(
        self, compute: Callable[[Array], Array], count: int, shape: Shape, dtype: Any, rows: RowIndices | None = None
    ) -> None:
        self.compute, self.rows = compute, rows
        self.shape, self.dtype = (count, *shape), np.dtype(dtype)

    def read(self, rows: Array) -> Array:
        return self.compute(rows if self.rows is None else self.rows[rows])


class RowBlocks:
    """Places of rows in a file of `count` rows, which is cut into blocks of `length` rows that follow each other: the
    rows of the blocks whose numbers are `blocks`, ascending. The last block of the file may be shorter."""

    def __init__(self, blocks: Array, length: int, count: int) -> None:
        self.blocks, self.length, self.count = blocks, length, count
        last = -(-count // length) - 1
        missing = (last + 1) * length - count if len(blocks) and blocks[-1] == last else 0
        self._len = len(blocks) * length - missing

    def __len__(self) -> int:
        return self._len

    def __getitem__(self, key: Any) -> Any:
        at = np.arange(*key.indices(len(self))) if isinstance(key, slice) else np.asarray(key)
        return self.blocks[at // self.length] * self.length + at % self.length
