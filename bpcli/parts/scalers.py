"""Scaling: columns shifted and scaled so that training starts well. Fitted on the training rows only.

All of them are computed in float64 a few rows at a time: images stay bytes, whatever their number.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Sample, Scaler
from bpcli.numeric.lazy_rows import NUMBERS_PER_BLOCK

PER: Any = Field(
    "column", description="column: each its own shift and scale; all: one for the whole array, as for images"
)


def _blocks(x: Array) -> Iterator[Array]:
    step = max(1, NUMBERS_PER_BLOCK // max(1, math.prod(x.shape[1:])))
    for row in range(0, len(x), step):
        yield x[row : row + step].astype(np.float64)


def _mean(x: Array, shift: Array | float, axis: int | None, power: int) -> Array:
    """Returns the mean of x (power 1) or of (x - shift)^power over the rows, or over everything; inf where it
    overflows."""
    total = np.zeros(x.shape[1:] if axis == 0 else ())
    for block in _blocks(x):
        if power == 2:
            block -= shift
            block *= block
        total += np.sum(block, axis=axis)
    return total / (len(x) if axis == 0 else max(1, x.size))


def _quartiles(x: Array) -> Array:
    """Returns quartiles (3, ...) of x: n ..., as float64."""
    if not x.size:
        return np.zeros((3, *x.shape[1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = np.percentile(x if x.dtype.kind in "ui" else x.astype(np.float64), (25, 50, 75), axis=0)
    return found.astype(np.float64)


def _limits(x: Array, per: Literal["column", "all"]) -> tuple[Array, Array]:
    low, high = x.min(axis=0), x.max(axis=0)
    if per == "all" and x.size:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    return low.astype(np.float64), high.astype(np.float64)


class Standardize(Scaler):
    """Mean 0 and standard deviation 1: (x - mean) / std.

    Shapes    x: n ...; mean and std: of a row
    Source    LeCun et al. 1998, "Efficient BackProp", section 4.3; std with the divisor N, as scikit-learn's
              StandardScaler
    Numerics  the variance is the mean square about the mean, in a second pass: nothing cancels. A constant column is
              only shifted (scale 1): equal numbers are found by their limits, not by a variance that rounding spoils;
              so is one whose variance underflows
    """

    type: Literal["standardize"] = "standardize"
    per: Literal["column", "all"] = PER

    def fit(self, x: Array) -> tuple[Array, Array]:
        low, high = _limits(x, self.per)
        axis = 0 if self.per == "column" else None
        with np.errstate(over="ignore", invalid="ignore"):
            mean = _mean(x, 0.0, axis, 1)
            std = np.sqrt(_mean(x, mean, axis, 2))
        return np.where(low == high, low, mean), np.where((low == high) | (std == 0), 1.0, std)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), x=(3,))
        yield Sample(cls(per="all"), x=(3, 2))
        yield Sample({"type": "standardize", "per": "row"}, error="Input should be 'column' or 'all'")


class MinMax(Scaler):
    """From 0 to 1: (x - min) / (max - min).

    Shapes    x: n ...; min and max: of a row
    Source    Han, Kamber, Pei 2011, "Data Mining", section 3.5.2; as scikit-learn's MinMaxScaler. Rows outside the
              training rows' limits go beyond 0 and 1
    Numerics  a constant column is only shifted (scale 1), so it becomes 0
    """

    type: Literal["minmax"] = "minmax"
    per: Literal["column", "all"] = PER

    def fit(self, x: Array) -> tuple[Array, Array]:
        low, high = _limits(x, self.per)
        with np.errstate(over="ignore"):
            return low, np.where(low == high, 1.0, high - low)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), x=(3,))
        yield Sample(cls(per="all"), x=(3, 2))
        yield Sample({"type": "minmax", "range": [0, 1]}, error="Extra inputs are not permitted")


class Robust(Scaler):
    """Median 0 and quartiles 1 apart: (x - median) / (q75 - q25). What few large values there are changes neither.

    Shapes    x: n ...; median and quartiles: of a row
    Source    Huber 1981, "Robust Statistics", chapter 5; quartiles by linear interpolation (Hyndman, Fan 1996, type 7),
              as scikit-learn's RobustScaler
    Numerics  a column whose quartiles are equal is only shifted (scale 1), as scikit-learn does
    """

    type: Literal["robust"] = "robust"
    sorts: ClassVar[bool] = True
    per: Literal["column", "all"] = PER

    def fit(self, x: Array) -> tuple[Array, Array]:
        if self.per == "all":
            low, middle, high = (np.full(x.shape[1:], v, np.float64) for v in _quartiles(x.reshape(-1)))
        else:
            flat = x.reshape(len(x), -1)
            step = max(1, NUMBERS_PER_BLOCK // max(1, len(x)))
            parts = [_quartiles(flat[:, j : j + step]) for j in range(0, flat.shape[1], step)]
            found = np.concatenate([np.empty((3, 0)), *parts], axis=1)
            low, middle, high = (row.reshape(x.shape[1:]) for row in found)
        with np.errstate(over="ignore"):
            return middle, np.where(low == high, 1.0, high - low)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), x=(3,))
        yield Sample(cls(per="all"), x=(3, 2))
        yield Sample({"type": "robust", "quartiles": [0.1, 0.9]}, error="Extra inputs are not permitted")


class NoScaling(Scaler):
    """Numbers as they are.

    Source    the identity: shift 0, scale 1
    """

    type: Literal["none"] = "none"
    identity: ClassVar[bool] = True

    def fit(self, x: Array) -> tuple[Array, Array]:
        return np.zeros(x.shape[1:]), np.ones(x.shape[1:])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), x=(3,))
