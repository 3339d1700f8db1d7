"""Penalties on weights (not on biases and gains); their value is part of the loss, and so is differentiated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from bpcli.family import Regularizer
from bpcli.numeric.notation import Eq
from bpcli.plan import Array, Sample


class L2(Regularizer):
    """Half the squared size of the weights, (strength / 2) sum w^2; draws every weight towards 0 in proportion to it.

    Shapes   w: j, the weights laid end to end
    Source   SEMANTICS; Krogh & Hertz 1992, eq. 2; PyTorch's weight_decay of the plain optimizers has this gradient
    """

    type: Literal["l2"] = "l2"
    strength: float = Field(ge=0, description="lambda, how strongly weights are drawn to 0")

    def value(self, w: Array) -> float:
        return 0.5 * self.strength * float(np.dot(w, w))

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        np.multiply(w, self.strength, out=scratch)
        np.add(g, scratch, out=g)

    def equations(self) -> list[Eq]:
        return [
            Eq("penalty", "strength / 2 * sum(j, w[j]**2)", "half the squared size"),
            Eq("dw[j]", "strength * w[j]", "the square's 2 cancels the half"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"strength": self.strength}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(strength=0.3), (7,))
        yield Sample(cls(strength=0.0), (3,))
        yield Sample({"type": "l2", "strength": -1.0}, error="greater than or equal to 0")
