"""Constraints: regions that weights (not biases and gains) are put back into after every step. They are no part of the
loss, so no gradient knows of them."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Constraint, Sample
from bpcli.notation import Eq
from bpcli.numeric.vectors import column_norms


class MaxNorm(Constraint):
    """Shortens the weights into a unit to `limit` where they are longer; beside dropout it allows large rates.

    Shapes   w: ... o, one unit for each o
    Source   Srebro, Rennie & Jaakkola 2005; for networks, Srivastava et al. 2014, section 5.1
    """

    type: Literal["max_norm"] = "max_norm"
    limit: float = Field(gt=0, description="the greatest length of the weights into one unit")

    def apply(self, w: Array) -> None:
        w = w.reshape(-1, w.shape[-1])  # a vector has one weight for each unit
        lengths = column_norms(w)
        if (lengths > self.limit).any():
            np.multiply(w, self.limit / np.maximum(lengths, self.limit), out=w)

    def equations(self) -> list[Eq]:
        return [
            Eq("length[o]", "sqrt(sum(..., w[...,o]**2))", "of the weights into a unit"),
            Eq("w_new[...,o]", "where(length[o] > limit, limit / length[o], 1) * w[...,o]", "the same direction"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(limit=1.5), (4, 3))
        yield Sample(cls(limit=3.0), (3, 3, 2, 5), note="kernels")
        yield Sample(cls(limit=0.5), (7,), note="a vector: each weight is its unit's only one")
        yield Sample(cls(limit=100.0), (4, 3), note="within its limit")
        yield Sample(cls(limit=1.0), (4, 3), inputs={"w": 0.0}, note="weights of 0")
        yield Sample({"type": "max_norm", "limit": 0.0}, error="greater than 0")
