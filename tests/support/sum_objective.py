"""The sum of a function of each entry of a tensor, whose gradient is put before witnesses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.ask_witnesses import ask_witnesses
from bpcli.studies.witness.evidence import CheckedGradient, Effort, Evidence

X = np.array([[0.3, -0.7, 1.1], [0.9, -0.2, 0.5]])

ONLY_DIFFERENCES = {"equations": None, "complex_value": None}
EVERYTHING = Effort(2000, 25_000, 500, 3)


class Objective:
    """The sum of a function of each entry of a tensor, with what is asked of it counted."""

    def __init__(self, f: Callable[[Any], Any] = np.sin, x: Array = X) -> None:
        self.f, self.x, self.calls, self.steps = f, x.copy(), 0, 0

    def value(self) -> tuple[float, float]:
        self.calls += 1
        terms = self.f(self.x)
        return math.fsum(terms.ravel()), float(np.abs(terms).sum())

    def complex_value(self, z: Array) -> object:
        self.steps += 1
        return np.sum(self.f(z))

    def gradient(self, kernel: Array, slope: Array | None = None, **more: Any) -> CheckedGradient:
        expected = np.cos(self.x) if slope is None else slope
        settings = {"equations": expected, "complex_value": self.complex_value, "reach": 1.0} | more
        return CheckedGradient("layer", "dense_1.dW", "random", self.x, kernel, self.value, **settings)

    def ask(self, kernel: Array, slope: Array | None = None, effort: Effort = EVERYTHING, **more: Any) -> Evidence:
        with np.errstate(all="ignore"):
            return ask_witnesses(self.gradient(kernel, slope, **more), effort, np.random.default_rng(0))


def but(a: Array, index: tuple[int, ...], value: float) -> Array:
    out = a.copy()
    out[index] = value
    return out


RIGHT = np.cos(X)
