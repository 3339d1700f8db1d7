"""Floor 0: matrix products in parts, small enough for one core.

OpenBLAS gives products of 2 * 2^18 multiply-adds and more to threads of its own (interface/gemm.c), which afterwards go
on asking for the next one for milliseconds. Where lanes work on the same cores, that costs more than it gains.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

__all__ = ["LARGEST", "equal_parts", "in_parts"]

Array = NDArray[Any]

LARGEST = 2 * (1 << 18) - 1
"""Multiply-adds of a product that one core does. (On AVX512 OpenBLAS does not copy the operands of such a product
first, which is a third faster.)"""

LEAST = 16
"""Rows of a part from which on it is worth a product of its own."""


@lru_cache(maxsize=4096)
def equal_parts(rows: int, macs: int) -> int:
    """Into how many equal parts so many rows are cut, `macs` multiply-adds each, so that no product has more than
    LARGEST; 1 where that would take parts too small to be worth it."""
    parts = -(-rows * macs // LARGEST)
    while parts < rows and rows % parts:
        parts += 1
    return parts if rows // parts >= LEAST else 1


def in_parts(a: Array, parts: int) -> Array:
    """Matrices ... m k as ... parts (m / parts) k; a view."""
    *more, m, k = a.shape
    return a.reshape(*more, parts, m // parts, k)
