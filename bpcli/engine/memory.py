"""Who owns which bytes: aligned blocks, and views of them for a batch of any size up to the planned one."""

import math
from typing import Any

import numpy as np

from bpcli.family.plan import WIDTHS, Array, N, Shape, Slot

ALIGN_BYTES = 64  # a cache line, and the widest vector register: NumPy's loops run a fifth faster on aligned arrays


def aligned(n: int, dtype: Any) -> Array:
    """Returns a zeroed vector of n numbers that begins at a multiple of ALIGN_BYTES."""
    width = np.dtype(dtype).itemsize
    raw = np.zeros(n * width + ALIGN_BYTES, np.uint8)
    offset = -raw.ctypes.data % ALIGN_BYTES
    return raw[offset : offset + n * width].view(dtype)


class Memory:
    """Blocks by name, each as large as its largest user planned for `rows` rows asked for.

    A block is shared by giving two users the same name; with `retain` the engine gives every user its own.
    """

    def __init__(self, rows: int, dtype: Any) -> None:
        self.rows = rows
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._blocks: dict[str, Array] = {}

    def reserve(self, name: str, shape: Shape, kind: str = "float") -> None:
        """Makes the block `name` at least as large as this array needs at the full batch."""
        nbytes = math.prod(self.rows if d == N else d for d in shape) * self._type(kind).itemsize
        block = self._blocks.get(name)
        if block is None or len(block) < nbytes:
            self._blocks[name] = aligned(nbytes, np.uint8)

    def view(self, name: str, shape: Shape, batch: int, kind: str = "float") -> Array:
        """Returns a C-contiguous array at the beginning of the block, for a batch of `batch` rows."""
        dtype = self._type(kind)
        shape = tuple(batch if d == N else d for d in shape)
        return self._blocks[name][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def slot(self, name: str, slot: Slot, batch: int) -> Array:
        """Returns the view for a slot of a plan."""
        return self.view(name, slot.shape, batch, slot.dtype)

    @property
    def nbytes(self) -> int:
        return sum(len(b) for b in self._blocks.values())

    def _type(self, kind: str) -> np.dtype[Any]:
        found: np.dtype[Any] = self.dtype if kind == "float" else np.dtype(WIDTHS[kind])
        return found
