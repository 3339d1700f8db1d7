from typing import Literal

import numpy as np

from bpcli.custom import Array, Eq, Field, Regularizer


class Quartic(Regularizer):
    """Draws large weights to 0 far more than small ones: strength * sum w^4."""

    type: Literal["quartic"] = "quartic"
    strength: float = Field(0.01, ge=0, description="how strongly")

    def value(self, w: Array, scratch: Array) -> float:
        np.multiply(w, w, out=scratch)
        return self.strength * float(scratch @ scratch)

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        np.power(w, 3, out=scratch)
        np.multiply(scratch, 4 * self.strength, out=scratch)
        np.add(g, scratch, out=g)

    def equations(self):
        return [
            Eq("penalty", "strength * sum(j, w[j]**4)", "the fourth powers"),
            Eq("dw[j]", "4 * strength * w[j]**3", "their slope"),
        ]

    def consts(self):
        return {"strength": self.strength}
