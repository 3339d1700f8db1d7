"""Floor 0: several axes of a contiguous array taken as one, without a copy."""

import math

import numpy as np

from bpcli.numeric.shapes import Array


def as_rows(a: Array) -> Array:
    """Takes all axes but the last as one: n ... c becomes (n ...) c."""
    return a.reshape(-1, a.shape[-1])


def as_strips(a: Array) -> Array:
    """Takes n ... w c as strips, (n ...) (w c): NumPy is fast on long rows, and each holds w values of a channel. n c
    stays as it is."""
    return a.reshape(math.prod(a.shape[:-2]), -1) if a.ndim > 2 else a


def spread_over_strip(values: Array, wide: Array) -> None:
    """Repeats the value of each channel, (...) c, w times along strips, (...) (w c)."""
    c = values.shape[-1]
    np.copyto(wide.reshape(*wide.shape[:-1], -1, c), values[..., None, :])


def sum_strip(wide: Array, out: Array) -> None:
    """Sums the w values of each channel in strips, (...) (w c): out is (...) c."""
    np.add.reduce(wide.reshape(*wide.shape[:-1], -1, out.shape[-1]), -2, out=out)


def as_positions(a: Array) -> Array:
    """Takes all axes between the first and the last as one: n ... c becomes n (...) c."""
    return a.reshape(len(a), -1, a.shape[-1])
