"""A derivative by differences of many steps, and how far rounding takes it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bpcli.family.plan import Array
from bpcli.studies.witness.witness import DIFFERENCE_STEP, differences, max_abs

Value = Callable[[], tuple[float, float]]
Index = tuple[int, ...]


def ridders(value: Value, x: Array, index: Index, shrink: float = 64.0) -> tuple[float, float, float]:
    """Returns a derivative by Ridders' extrapolation of central differences (Ridders 1982), the first with steps
    `shrink` times the usual ones: the number, its own estimate of its error, and the rounding of its smallest step."""
    factor, table = 1.6, np.full((10, 10), np.nan)
    best, error, noise = math.nan, math.inf, 0.0
    for i in range(10):
        d = differences(value, x, [index], shrink)
        table[0, i], noise = d.value[0], float(d.noise[0])
        scale = 1.0
        for j in range(1, i + 1):
            scale *= factor**2
            table[j, i] = (table[j - 1, i] * scale - table[j - 1, i - 1]) / (scale - 1)
            far = max(abs(table[j, i] - table[j - 1, i]), abs(table[j, i] - table[j - 1, i - 1]))
            if far <= error:
                best, error = float(table[j, i]), float(far)
        shrink /= factor
    return best, error, noise


def scatter(value: Value, x: Array, index: Index) -> float:
    """Estimates how far rounding takes a difference of the usual step.

    It shows in how far values at points that nearly coincide stand off a straight line (after Moré & Wild 2011).
    """
    old = float(x[index])
    steps = 1e-10 * max(1.0, abs(old)) * np.arange(-4, 5)
    found = np.zeros(len(steps))
    for k, step in enumerate(steps):
        x[index] = old + step
        found[k] = value()[0]
    x[index] = old
    if not np.isfinite(found).all():
        return 0.0
    line = np.polynomial.Polynomial.fit(steps, found, 1)
    off = max_abs(found - line(steps))
    return float(4 * off / (DIFFERENCE_STEP * max(1.0, abs(old))))
