from typing import Literal

import numpy as np

from bpcli.custom import Array, Constraint, Eq, Field


class Boxed(Constraint):
    """Every weight stays between -limit and limit."""

    type: Literal["boxed"] = "boxed"
    limit: float = Field(0.5, gt=0, description="the largest weight")

    def apply(self, w: Array) -> None:
        np.clip(w, -self.limit, self.limit, out=w)

    def equations(self):
        return [Eq("w_new[...,o]", "min(max(w[...,o], -limit), limit)", "put back into the box")]

    def consts(self):
        return {"limit": self.limit}
