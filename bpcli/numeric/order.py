"""Floor 0: the order in which rows are learned from, also where they are too many to number them all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpcli.numeric.lazy_rows import ComputedRows
from bpcli.numeric.streams import Stream

MAX_ROWS_NUMBERED = 1 << 22
"""Rows of a file that stays on the disk; of more than these no array with a number for each row is made."""

MAX_BLOCKS = 1 << 17  # of a file whose rows are divided or shuffled
ROWS_PER_WINDOW = 1 << 20  # which are shuffled with each other


def rows_per_block(count: int) -> int:
    """Returns how many rows that follow each other in the file stay together where `count` of them are divided or
    shuffled."""
    return -(-count // MAX_BLOCKS)


class ShuffledOrder:
    """A random order of `count` rows, of which a slice is computed when it is asked for.

    The file is cut into blocks of rows. The blocks are shuffled, and then the rows of as many blocks as make a window
    (2^20 rows): what is read lies together, and the memory needed does not depend on `count`. Each row comes once.
    """

    def __init__(self, stream: Stream, count: int, epoch: int) -> None:
        self._stream, self._count, self._epoch = stream, count, epoch
        self._length = rows_per_block(count)
        self._blocks = stream.permutation(-(-count // self._length), epoch)
        sizes = np.full(len(self._blocks), self._length)
        sizes[self._blocks == len(self._blocks) - 1] = count - (len(self._blocks) - 1) * self._length
        blocks = max(1, ROWS_PER_WINDOW // self._length)
        self._first_blocks = np.arange(0, len(self._blocks), blocks)  # the first block of each window
        self._starts = np.append(np.concatenate([[0], np.cumsum(sizes)])[self._first_blocks], count)
        self._blocks_per_window, self._window, self._rows = blocks, -1, np.empty(0, np.intp)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: slice) -> NDArray[np.intp]:
        start, stop, _ = key.indices(self._count)
        found = []
        while start < stop:
            window = int(np.searchsorted(self._starts, start, side="right")) - 1
            first, end = int(self._starts[window]), min(stop, int(self._starts[window + 1]))
            found.append(self._shuffled(window)[start - first : end - first])
            start = end
        return found[0] if len(found) == 1 else np.concatenate(found) if found else self._rows[:0]

    def _shuffled(self, window: int) -> NDArray[np.intp]:
        if window != self._window:
            first = int(self._first_blocks[window])
            blocks = self._blocks[first : first + self._blocks_per_window]
            rows = (blocks[:, None] * self._length + np.arange(self._length)).ravel()
            rows = rows[rows < self._count]
            self._rows = rows[self._stream.permutation(len(rows), self._epoch, window + 1)]
            self._window = window
        return self._rows


class SequentialOrder:
    """The order in which rows stand, of which a slice is computed when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __getitem__(self, key: slice) -> NDArray[np.intp]:
        return np.arange(*key.indices(self._count))


def row_order(stream: Stream | None, x: Any, epoch: int) -> Any:
    """Returns the order of the rows of x in an epoch, random or (no stream) as they stand: an array, or an object that
    computes slices of one."""
    n = len(x)
    if n > MAX_ROWS_NUMBERED and isinstance(x, ComputedRows):
        return SequentialOrder(n) if stream is None else ShuffledOrder(stream, n, epoch)
    return np.arange(n) if stream is None else stream.permutation(n, epoch)
