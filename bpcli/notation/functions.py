"""The notation's vocabulary: functions of values and reductions over indices, all safe for complex steps.

A complex step puts a tiny imaginary part on one number and reads the derivative off the imaginary part of the result.
So nothing here may drop it (NumPy's abs, sign, max and argmax do, or look at it): comparisons, ties and branches look
at the real part only, and a branch is chosen with `where`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.numeric import stable
from bpcli.numeric.shapes import Array

EXP_LIMIT = 700.0  # exp(709.8) is the largest finite double; exp saturates a little before


def real(a: Any) -> Array:
    """Returns the real part; the array itself where it is real."""
    a = np.asarray(a)
    return np.asarray(a.real) if np.iscomplexobj(a) else a


def exp(z: Any) -> Array:
    """Returns e^z, saturating instead of overflowing, so that 1 / (1 + exp(800)) is 0."""
    z = np.asarray(z)
    limit = EXP_LIMIT + 1j * z.imag if np.iscomplexobj(z) else EXP_LIMIT
    return np.asarray(np.exp(np.where(real(z) > EXP_LIMIT, limit, z)))


def erf(z: Any) -> Array:
    """Returns the error function; off the real axis its first-order continuation, exact for a complex step."""
    z = np.asarray(z)
    if not np.iscomplexobj(z):
        return stable.erf(np.asarray(z, dtype=np.float64))
    slope = 2 / math.sqrt(math.pi) * np.exp(-(z.real**2))
    return np.asarray(stable.erf(z.real) + 1j * (z.imag * slope))


def erfc(z: Any) -> Array:
    """Returns 1 - erf(z), with its right tail; off the real axis to first order."""
    z = np.asarray(z)
    if not np.iscomplexobj(z):
        return stable.erfc(np.asarray(z, dtype=np.float64))
    slope = -2 / math.sqrt(math.pi) * np.exp(-(z.real**2))
    return np.asarray(stable.erfc(z.real) + 1j * (z.imag * slope))


def tanh(z: Any) -> Array:
    """Returns the hyperbolic tangent; off the real axis to first order (NumPy's complex tanh overflows at |z| >
    350)."""
    z = np.asarray(z)
    if not np.iscomplexobj(z):
        return np.asarray(np.tanh(z))
    t = np.tanh(z.real)
    return np.asarray(t + 1j * (z.imag * (1 - t * t)))


def log1p(z: Any) -> Array:
    """Returns log(1 + z); off the real axis to first order (NumPy's complex log1p loses a small real part)."""
    z = np.asarray(z)
    if not np.iscomplexobj(z):
        return np.asarray(np.log1p(z))
    return np.asarray(np.log1p(z.real) + 1j * (z.imag / (1 + z.real)))


def absolute(z: Any) -> Array:
    return np.asarray(np.where(real(z) < 0, np.negative(z), z))


def log1pexp(z: Any) -> Array:
    """Returns log(1 + e^z), neither end overflowing."""
    z = np.asarray(z)
    return np.asarray(np.where(real(z) >= 0, z, 0) + log1p(exp(-absolute(z))))


def sigmoid(z: Any) -> Array:
    """Returns 1 / (1 + e^-z), neither end overflowing."""
    return np.asarray(1 / (1 + exp(np.negative(z))))


def relu(z: Any) -> Array:
    return np.asarray(np.where(real(z) > 0, z, 0))


def clip(z: Any, low: Any, high: Any) -> Array:
    """Returns z between two bounds; where it stands on one, the bound."""
    return minimum(high, maximum(low, z))


def xlogy(a: Any, b: Any) -> Array:
    """Returns a log b, and 0 where a is 0 and log b is no number."""
    zero = (real(a) == 0) & ~((real(b) > 0) & (real(b) < np.inf))
    return np.asarray(np.where(zero, 0, a * np.log(np.where(zero, 1, b))))


def floor_divide(a: Any, b: Any) -> Array:
    """Returns the quotient rounded down, by real parts."""
    return np.asarray(np.floor_divide(real(a), real(b)))


def remainder(a: Any, b: Any) -> Array:
    """Returns what is left of a by whole b, of b's sign: a - b (a // b)."""
    if not (np.iscomplexobj(a) or np.iscomplexobj(b)):
        return np.asarray(np.mod(a, b))
    return np.asarray(np.mod(real(a), real(b)) + 1j * np.imag(a - b * np.floor_divide(real(a), real(b))))


def minimum(a: Any, b: Any) -> Array:
    return np.asarray(np.where(real(a) <= real(b), a, b))


def maximum(a: Any, b: Any) -> Array:
    return np.asarray(np.where(real(a) >= real(b), a, b))


def _fold(a: Array, axes: tuple[int, ...]) -> Array:
    """Returns the reduced axes moved to the end, as one, in the order they were written."""
    a = np.moveaxis(a, axes, range(-len(axes), 0))
    return a.reshape(*a.shape[: a.ndim - len(axes)], -1)


def reduce_max(a: Array, axes: tuple[int, ...]) -> Array:
    """Returns the largest value by real part; of equals, the first."""
    flat = _fold(a, axes)
    winner = real(flat).argmax(-1)
    return np.asarray(np.take_along_axis(flat, winner[..., None], -1)[..., 0])


def reduce_min(a: Array, axes: tuple[int, ...]) -> Array:
    """Returns the smallest value by real part; of equals, the first."""
    return np.asarray(np.negative(reduce_max(np.negative(a), axes)))


def reduce_norm(a: Array, axes: tuple[int, ...]) -> Array:
    """Returns the Euclidean length: the root of the sum of squares."""
    return np.asarray(np.sqrt((a * a).sum(axis=axes)))


def reduce_argmax(a: Array, axes: tuple[int, ...]) -> Array:
    """Returns where the first largest value stands, counted along the indices as written."""
    return np.asarray(real(_fold(a, axes)).argmax(-1))


def reduce_logsumexp(a: Array, axes: tuple[int, ...]) -> Array:
    top = real(a).max(axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    return np.asarray((np.log(np.exp(a - top).sum(axis=axes, keepdims=True)) + top).squeeze(axis=axes))


def reduce_percentile(a: Array, axes: tuple[int, ...], rank: float) -> Array:
    return np.asarray(np.percentile(real(a), rank, axis=axes))


_ONE, _TWO, _THREE = (1, 1), (2, 2), (3, 3)
POINTWISE: dict[str, tuple[Callable[..., Array], tuple[int, int]]] = {
    "exp": (exp, _ONE),
    "log": (np.log, _ONE),
    "log1p": (log1p, _ONE),
    "expm1": (np.expm1, _ONE),
    "sqrt": (np.sqrt, _ONE),
    "abs": (absolute, _ONE),
    "sign": (lambda z: np.sign(real(z)), _ONE),
    "floor": (lambda z: np.floor(real(z)), _ONE),
    "sin": (np.sin, _ONE),
    "cos": (np.cos, _ONE),
    "tanh": (tanh, _ONE),
    "erf": (erf, _ONE),
    "erfc": (erfc, _ONE),
    "min": (minimum, _TWO),
    "max": (maximum, _TWO),
    "log1pexp": (log1pexp, _ONE),
    "xlogy": (xlogy, _TWO),
    "sigmoid": (sigmoid, _ONE),
    "softplus": (log1pexp, _ONE),
    "relu": (relu, _ONE),
    "sinh": (np.sinh, _ONE),
    "cosh": (np.cosh, _ONE),
    "clip": (clip, _THREE),
}
"""Functions of values: the implementation, and how many arguments it takes at least and at most."""

REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": lambda a, axes: a.sum(axis=axes),
    "mean": lambda a, axes: a.mean(axis=axes),
    "prod": lambda a, axes: a.prod(axis=axes),
    "max": reduce_max,
    "min": reduce_min,
    "norm": reduce_norm,
    "argmax": reduce_argmax,
    "logsumexp": reduce_logsumexp,
    "percentile": reduce_percentile,
}
"""Reductions: from the array and the axes to reduce, to the array without them."""
