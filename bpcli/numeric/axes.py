"""Axes of a contiguous array taken as one, without a copy."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def rows(a: Array) -> Array:
    """All axes but the last as one: n ... c becomes (n ...) c."""
    return a.reshape(-1, a.shape[-1])


def places(a: Array) -> Array:
    """All axes between the first and the last as one: n ... c becomes n (...) c."""
    return a.reshape(len(a), -1, a.shape[-1])
