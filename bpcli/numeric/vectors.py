"""Floor 0: Euclidean norms, also of vectors whose square overflows, and whether all entries are finite."""

import math

import numpy as np

from bpcli.numeric.shapes import Array

EPS = float(np.finfo(np.float64).eps)
"""Machine epsilon: the gap between 1 and the next float64."""


def all_finite(x: Array) -> bool:
    """Whether no entry is inf or NaN. What is not finite shows in the sum, so most arrays are read once and no mask is
    made."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(x.sum())) or bool(np.isfinite(x).all())


def l2_norm(a: Array) -> float:
    """Returns the Euclidean norm of all entries of a C-contiguous array."""
    square = float(np.vdot(a, a))  # which, unlike dot, does not complain of an overflow
    return math.sqrt(square) if math.isfinite(square) else float(np.hypot.reduce(a.reshape(-1), dtype=np.float64))


def as_columns(a: Array) -> Array:
    """Takes a C-contiguous tensor as a matrix with one column for each unit (the last axis); a vector is one column."""
    return a.reshape(-1, a.shape[-1] if a.ndim > 1 else 1)


def column_norms(a: Array) -> Array:
    """Returns the Euclidean norm of each column of a matrix: i o -> o."""
    with np.errstate(over="ignore"):
        squares = np.einsum("io,io->o", a, a)
    return np.asarray(np.sqrt(squares) if np.isfinite(squares).all() else np.hypot.reduce(a, 0))
