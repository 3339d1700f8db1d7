"""Floor 0: matrix products in parts, small enough for one core.

OpenBLAS gives products of 2 * 2^18 multiply-adds and more to threads of its own (interface/gemm.c), which afterwards go
on asking for the next one for milliseconds. Where lanes work on the same cores, that costs more than it gains.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["LARGEST", "Cuts", "cuts", "equal_parts", "in_parts", "in_tiles"]

Array = NDArray[Any]

LARGEST = 2 * (1 << 18) - 1
"""Multiply-adds of a product that one core does. (On AVX512 OpenBLAS does not copy the operands of such a product
first, which is a third faster.)"""

LEAST = 16
"""Rows and columns of a part from which on it is worth a product of its own."""


@lru_cache(maxsize=4096)
def equal_parts(rows: int, macs: int) -> int:
    """Into how many equal parts so many rows are cut, `macs` multiply-adds each, so that none has more than LARGEST; as
    near to that as parts of LEAST rows come."""
    ways = [parts for parts in range(1, rows // LEAST + 1) if rows % parts == 0] or [1]
    return next((parts for parts in ways if rows * macs <= parts * LARGEST), ways[-1])


class Cuts(NamedTuple):
    """Into how many equal parts the rows and the columns of a product are cut, and the `terms` of its sums."""

    rows: int
    columns: int
    terms: int


@lru_cache(maxsize=4096)
def cuts(rows: int, terms: int, columns: int, most: int = 1) -> Cuts:
    """How a product of (rows, terms) and (terms, columns) is cut, the terms into at most so many parts, so that none
    has more than LARGEST multiply-adds; not at all where that cannot be."""
    over = equal_parts(rows, terms * columns)
    across = equal_parts(columns, rows // over * terms)
    along = equal_parts(terms, rows // over * (columns // across))
    fit = rows // over * (columns // across) * (terms // along) <= LARGEST
    return Cuts(over, across, along) if fit and along <= most else Cuts(1, 1, 1)


def in_parts(a: Array, parts: int) -> Array:
    """Matrices ... m k as ... parts (m / parts) k; a view."""
    *more, m, k = a.shape
    return a.reshape(*more, parts, m // parts, k)


def in_tiles(a: Array, rows: int, columns: int) -> Array:
    """Matrices ... m k as ... rows columns (m / rows) (k / columns); a view."""
    *more, m, k = a.shape
    return a.reshape(*more, rows, m // rows, columns, k // columns).swapaxes(-3, -2)
