"""Rows of numbers of which it is not known before how many there are."""

from typing import Any

import numpy as np

from bpcli.family import Array


class RowBuffer:
    """Rows put below each other in one array, which grows where it stands."""

    def __init__(self, width: int, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._array, self.count = np.empty((0, width), dtype), 0

    def reserve(self, rows: int) -> None:
        """Makes room for so many rows; memory that is never written costs nothing."""
        self._array = np.empty((rows, self._array.shape[1]), self._array.dtype)

    def add(self, rows: Array) -> None:
        end = self.count + len(rows)
        if end > len(self._array):
            self._array.resize((end + end // 8, self._array.shape[1]), refcheck=False)
        self._array[self.count : end] = rows
        self.count = end

    def done(self) -> Array:
        """Returns the rows, in no more memory than they need."""
        self._array.resize((self.count, self._array.shape[1]), refcheck=False)
        return self._array
