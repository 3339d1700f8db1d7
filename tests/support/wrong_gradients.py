"""A gradient as it should be, and the mistake that is named where a kernel gives other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.find_mistake import Clues, find_mistake

RNG = np.random.default_rng(1)
N = RNG.normal(size=(4, 3))
W, V = RNG.normal(size=(4, 3)), np.array([2.0, 5.0, 0.5])
NONE = Clues({})
COUNTS = Clues({"N": 7, "K": 5})


def said(a: Any, n: Any = N, clues: Clues = NONE) -> str:
    return find_mistake("dense_1.dW", np.asarray(a, np.float64), np.asarray(n), clues).text


def but(a: Array, index: Any, value: Any) -> Array:
    out = a.copy()
    out[index] = value
    return out


def unknown(share: str) -> str:
    return (
        f"{share} of the entries are wrong, and their numbers show no known mistake; equations beside the kernel would "
        "tell more"
    )


X, DY = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 3))
