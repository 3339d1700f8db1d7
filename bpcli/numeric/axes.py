"""Axes of a contiguous array taken as one, without a copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def as_rows(a: Array) -> Array:
    """All axes but the last as one: n ... c becomes (n ...) c."""
    return a.reshape(-1, a.shape[-1])


def as_strips(a: Array) -> Array:
    """n ... w c as (n ...) (w c): NumPy works on long rows, and a channel's values stand w at a time in each. n c as it
    is."""
    return a.reshape(math.prod(a.shape[:-2]), -1) if a.ndim > 2 else a


def spread_over_strip(values: Array, wide: Array) -> None:
    """Writes a value for each channel, (...) c, into every place of a strip, (...) (w c)."""
    c = values.shape[-1]
    np.copyto(wide.reshape(*wide.shape[:-1], -1, c), values[..., None, :])


def sum_strip(wide: Array, out: Array) -> None:
    """Adds up what stands for each place of a strip, (...) (w c), by channels: out is (...) c."""
    np.add.reduce(wide.reshape(*wide.shape[:-1], -1, out.shape[-1]), -2, out=out)


def as_places(a: Array) -> Array:
    """All axes between the first and the last as one: n ... c becomes n (...) c."""
    return a.reshape(len(a), -1, a.shape[-1])
