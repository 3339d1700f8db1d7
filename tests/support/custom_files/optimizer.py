from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Eq, Field, Frame, GradientOptimizer


class Heavy(GradientOptimizer):
    """Gradient descent with a velocity: v = mu v + g, w = w - lr v."""

    type: Literal["heavy"] = "heavy"
    slots: ClassVar[tuple[str, ...]] = ("v",)
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    mu: float = Field(0.5, ge=0, lt=1, description="how much of the velocity stays")

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.v, self.mu, out=f.v)
        np.add(f.v, f.g, out=f.v)
        np.multiply(f.v, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self):
        return [
            Eq("v_new[j]", "mu * v[j] + g[j]", "the velocity"),
            Eq("w_new[j]", "w[j] - lr * v_new[j]", "downhill"),
        ]

    def consts(self):
        return {"mu": self.mu}
