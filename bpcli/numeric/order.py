"""The order in which rows are learned from, where they are too many to number them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpcli.numeric.lazy_rows import ComputedRows
from bpcli.numeric.streams import Stream

MAX_ROWS_NUMBERED = 1 << 22
"""Rows of a file that stays on the disk; of more than these no array with a number for each row is made."""

MAX_BLOCKS = 1 << 17  # into which so many rows are cut
ROWS_PER_WINDOW = 1 << 20  # rows that are mixed with each other


def rows_per_block(count: int) -> int:
    """How many rows that follow each other in the file stay together where `count` of them are divided or mixed."""
    return -(-count // MAX_BLOCKS)


class ShuffledOrder:
    """An order of `count` rows, a slice of it computed when it is asked for.

    Stretches of the file come in an order by chance, and the rows of as many as make a window (2^20 rows) are mixed:
    what is read lies together, and the memory needed does not depend on the number of rows. Each row comes once.
    """

    def __init__(self, stream: Stream, count: int, epoch: int) -> None:
        self._stream, self._count, self._epoch = stream, count, epoch
        self._length = rows_per_block(count)
        self._places = stream.permutation(-(-count // self._length), epoch)
        sizes = np.full(len(self._places), self._length)
        sizes[self._places == len(self._places) - 1] = count - (len(self._places) - 1) * self._length
        together = max(1, ROWS_PER_WINDOW // self._length)
        self._cut = np.arange(0, len(self._places), together)  # the first stretch of each window
        self._starts = np.append(np.concatenate([[0], np.cumsum(sizes)])[self._cut], count)
        self._together, self._window, self._rows = together, -1, np.empty(0, np.intp)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: slice) -> NDArray[np.intp]:
        start, stop, _ = key.indices(self._count)
        found = []
        while start < stop:
            window = int(np.searchsorted(self._starts, start, side="right")) - 1
            first, end = int(self._starts[window]), min(stop, int(self._starts[window + 1]))
            found.append(self._mixed(window)[start - first : end - first])
            start = end
        return found[0] if len(found) == 1 else np.concatenate(found) if found else self._rows[:0]

    def _mixed(self, window: int) -> NDArray[np.intp]:
        if window != self._window:
            first = int(self._cut[window])
            places = self._places[first : first + self._together]
            rows = (places[:, None] * self._length + np.arange(self._length)).ravel()
            rows = rows[rows < self._count]
            self._rows = rows[self._stream.permutation(len(rows), self._epoch, window + 1)]
            self._window = window
        return self._rows


class SequentialOrder:
    """Rows one after the other."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __getitem__(self, key: slice) -> NDArray[np.intp]:
        return np.arange(*key.indices(self._count))


def row_order(stream: Stream | None, x: Any, epoch: int) -> Any:
    """The order of the rows of x in an epoch, by chance or (no stream) as they stand: an array, or what gives slices of
    one."""
    n = len(x)
    if n > MAX_ROWS_NUMBERED and isinstance(x, ComputedRows):
        return SequentialOrder(n) if stream is None else ShuffledOrder(stream, n, epoch)
    return np.arange(n) if stream is None else stream.permutation(n, epoch)
