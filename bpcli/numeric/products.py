"""Floor 0: matrix products in parts, small enough for one core.

OpenBLAS gives products of 2 * 2^18 multiply-adds and more to threads of its own (interface/gemm.c), which afterwards go
on asking for the next one for milliseconds. Where other threads work on the same cores, that costs more than it gains.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bpcli.numeric.shapes import Array

MAX_MACS = 2 * (1 << 18) - 1
"""Multiply-adds of a product that one core does. (On AVX512 OpenBLAS does not copy the operands of such a product
first, which is a third faster.)"""

MIN_PART = 16
"""Rows and columns of a part from which on it is worth a product of its own."""

MIN_WEIGHTS = 1 << 13
"""Weights of a layer from which on its products are cut."""

MAX_ROWS = 1 << 32
"""Rows of a product from which on nobody asks how it is cut."""

SUM_BLOCK_ENTRIES = 1 << 13
"""Outputs, at least those of one row, whose sums are made of parts at a time."""


@lru_cache(maxsize=4096)
def equal_parts(rows: int, macs: int) -> int:
    """Returns into how many equal parts so many rows are cut, `macs` multiply-adds each, so that none has more than
    MAX_MACS, as near to that as parts of MIN_PART rows come."""
    ways = [parts for parts in _divisors(rows) if parts <= rows // MIN_PART] or [1]
    return next((parts for parts in ways if rows * macs <= parts * MAX_MACS), ways[-1])


def _divisors(n: int) -> list[int]:
    """Returns what divides n, upwards; of a number of rows that no memory holds only 1."""
    if n > MAX_ROWS:
        return [1]
    small = [k for k in range(1, math.isqrt(n) + 1) if n % k == 0]
    return [*small, *(n // k for k in reversed(small) if k * k != n)]


class Cuts(NamedTuple):
    """Into how many equal parts the rows and the columns of a product are cut, and the `terms` of its sums."""

    rows: int
    columns: int
    terms: int


@lru_cache(maxsize=4096)
def cuts(rows: int, terms: int, columns: int, most: int = 1) -> Cuts:
    """Returns how a product of (rows, terms) and (terms, columns) is cut, the terms into at most so many parts, so that
    none has more than MAX_MACS multiply-adds; not at all where that cannot be."""
    over = equal_parts(rows, terms * columns)
    across = equal_parts(columns, rows // over * terms)
    along = equal_parts(terms, rows // over * (columns // across))
    fit = rows // over * (columns // across) * (terms // along) <= MAX_MACS
    return Cuts(over, across, along) if fit and along <= most else Cuts(1, 1, 1)


def in_parts(a: Array, parts: int) -> Array:
    """Returns matrices ... m k as ... parts (m / parts) k; a view."""
    *more, m, k = a.shape
    return a.reshape(*more, parts, m // parts, k)


def in_tiles(a: Array, rows: int, columns: int) -> Array:
    """Returns matrices ... m k as ... rows columns (m / rows) (k / columns); a view."""
    *more, m, k = a.shape
    return a.reshape(*more, rows, m // rows, columns, k // columns).swapaxes(-3, -2)


class CutProducts:
    """Products of layers, cut by their inputs into parts that one core does: y = x W is summed up from parts; of
    x^T dy, the gradient of W, and of dy W^T, that of x, each part is for some of the inputs."""

    def __init__(self, dtype: Any) -> None:
        self._part = np.empty(SUM_BLOCK_ENTRIES, dtype)

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """Writes a b into out, as np.matmul; which of the products of a layer it is shows in what lies in memory
        transposed. Products that cannot be cut so are made at once."""
        if a.ndim != 2 or b.ndim != 2:
            np.matmul(a, b, out=out)
        elif a.strides[0] <= a.strides[1]:  # x^T dy
            if (parts := _parts(len(a), a.shape[1], b.shape[1])) > 1:
                a, out = in_parts(a, parts), in_parts(out, parts)
            np.matmul(a, b, out=out)
        elif b.strides[0] < b.strides[1]:  # dy W^T
            if (parts := _parts(b.shape[1], len(a), len(b))) > 1:
                b, out = in_parts(b.T, parts).swapaxes(1, 2), in_parts(out.T, parts).swapaxes(1, 2)
            np.matmul(a, b, out=out)
        elif (parts := _parts(len(b), len(a), b.shape[1])) > 1:
            self._add_up(a, b, out, parts)
        else:
            np.matmul(a, b, out=out)

    def _add_up(self, x: Array, W: Array, out: Array, parts: int) -> None:
        """Adds up x W from one part of the inputs after another, a few rows at a time."""
        inputs, weights = in_parts(x.T, parts).swapaxes(1, 2), in_parts(W, parts)
        rows = SUM_BLOCK_ENTRIES // W.shape[1]
        for start in range(0, len(out), rows):
            y, some = out[start : start + rows], inputs[:, start : start + rows]
            part = self._part[: y.size].reshape(y.shape)
            np.matmul(some[0], weights[0], out=y)
            for x_part, w_part in zip(some[1:], weights[1:], strict=True):
                np.matmul(x_part, w_part, out=part)
                np.add(y, part, out=y)


def _parts(inputs: int, rows: int, units: int) -> int:
    """Returns into how many parts, by inputs, the products of a layer are cut for so many rows."""
    if inputs * units < MIN_WEIGHTS or units > SUM_BLOCK_ENTRIES:
        return 1
    cut = cuts(inputs, rows, units)
    return cut.rows if cut.columns == 1 else 1
