from typing import Literal

import numpy as np

from bpcli.custom import Activation, Eq, Field


class SoftTanh(Activation):
    """tanh with a gentler slope: y = tanh(x / width)."""

    type: Literal["soft_tanh"] = "soft_tanh"
    width: float = Field(2.0, gt=0, description="what x is divided by")

    def forward(self, f, train):
        np.divide(f.x, self.width, out=f.y)
        np.tanh(f.y, out=f.y)

    def backward(self, f, train):
        np.multiply(f.y, f.y, out=f.dx)
        np.subtract(1, f.dx, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)
        np.divide(f.dx, self.width, out=f.dx)

    def equations(self, train, x):
        return [
            Eq("y[n,o]", f"tanh(x[n,o] / {self.width})", "definition"),
            Eq("dx[n,o]", f"dy[n,o] * (1 - y[n,o]**2) / {self.width}", "the slope of tanh"),
        ]
