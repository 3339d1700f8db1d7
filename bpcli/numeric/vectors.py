"""Floor 0: Euclidean lengths, also of vectors whose square cannot be written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_columns", "column_norms", "l2_norm"]

Array = NDArray[Any]


def l2_norm(a: Array) -> float:
    """The length of all entries of a C-contiguous array together."""
    square = float(np.vdot(a, a))  # which, unlike dot, does not complain of an overflow
    return math.sqrt(square) if math.isfinite(square) else float(np.hypot.reduce(a.reshape(-1), dtype=np.float64))


def as_columns(a: Array) -> Array:
    """A C-contiguous tensor as a matrix with one column for each unit (the last axis); a vector is one column."""
    return a.reshape(-1, a.shape[-1] if a.ndim > 1 else 1)


def column_norms(a: Array) -> Array:
    """The length of each column of a matrix: i o -> o."""
    with np.errstate(over="ignore"):
        squares = np.einsum("io,io->o", a, a)
    return np.asarray(np.sqrt(squares) if np.isfinite(squares).all() else np.hypot.reduce(a, 0))
