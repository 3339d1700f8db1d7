"""Clipping: what tames an exploding gradient. Penalty included, before the optimizer sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from bpcli.family import Clipper
from bpcli.numeric.notation import Eq
from bpcli.plan import Frame, Sample


class Value(Clipper):
    """Cuts every entry of the gradient to [-limit, limit]; the direction may change.

    Shapes   g: j
    Source   Mikolov 2012, section 3.2.2; as PyTorch's clip_grad_value_
    """

    type: Literal["value"] = "value"
    limit: float = Field(gt=0, description="the largest size of an entry")

    def clip(self, f: Frame) -> float:
        np.clip(f.g, -self.limit, self.limit, out=f.g)
        after = math.sqrt(float(np.dot(f.g, f.g)))
        return after / f.norm if after < f.norm * (1 - 1e-7) else 1.0

    def equations(self) -> list[Eq]:
        return [Eq("g_new[j]", "min(max(g[j], -limit), limit)", "each entry on its own")]

    def consts(self) -> Mapping[str, float]:
        return {"limit": self.limit}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(limit=0.5), (11,))
        yield Sample(cls(limit=100.0), (5,), note="clips nothing")
        yield Sample({"type": "value", "limit": 0.0}, error="greater than 0")


class GlobalNorm(Clipper):
    """Shortens the whole gradient to `max_norm` where it is longer; the direction stays.

    Shapes   g: j, all parameters together
    Source   Pascanu, Mikolov & Bengio 2013, algorithm 1; no 1e-6 in the divisor (PyTorch adds one)
    """

    type: Literal["global_norm"] = "global_norm"
    max_norm: float = Field(gt=0, description="the largest length of the gradient of all parameters together")

    def clip(self, f: Frame) -> float:
        if f.norm <= self.max_norm:
            return 1.0
        factor = self.max_norm / f.norm
        np.multiply(f.g, factor, out=f.g)
        return float(factor)

    def equations(self) -> list[Eq]:
        return [
            Eq("norm", "sqrt(sum(j, g[j]**2))", "the length of the gradient"),
            Eq("factor", "where(norm > max_norm, max_norm / norm, 1)", "1 where it is short enough"),
            Eq("g_new[j]", "factor * g[j]", "the same direction"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"max_norm": self.max_norm}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(max_norm=0.5), (11,))
        yield Sample(cls(max_norm=100.0), (5,), note="clips nothing")
        yield Sample(cls(max_norm=1.0), (4,), inputs={"g": [0.0, 0.0, 0.0, 0.0]}, note="norm 0 is factor 1")
        yield Sample({"type": "global_norm", "max_norm": -1.0}, error="greater than 0")
