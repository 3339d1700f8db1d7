"""Schedules: a learning rate as a function of k completed steps of T, fixed at the first start.

`per: epoch` counts k and T in epochs, so that the rate stays as it is inside one.
A new one need not be listed here: `bpcli.parts` imports every module below it.
"""

from bpcli.parts.schedules.reactive import Plateau, Warmup
from bpcli.parts.schedules.scheduled import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    MultiStep,
    OneCycle,
    Polynomial,
    Step,
)

__all__ = [
    "Constant", "Cosine", "Exponential", "InverseTime", "MultiStep", "OneCycle", "Plateau", "Polynomial", "Step",
    "Warmup",
]  # fmt: skip
