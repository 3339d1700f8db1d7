from typing import Literal

import numpy as np

from bpcli.custom import Clipper, Eq, Field, Frame


class Halved(Clipper):
    """Halves a gradient that is longer than `limit`."""

    type: Literal["halved"] = "halved"
    limit: float = Field(0.1, gt=0, description="the length from which on it is halved")

    def clip(self, f: Frame) -> float:
        if f.norm <= self.limit:
            return 1.0
        np.multiply(f.g, 0.5, out=f.g)
        return 0.5

    def equations(self, tensor=(2, 2)):
        return [
            Eq("norm", "sqrt(sum(j, g[j]**2))", "the length of the gradient"),
            Eq("g_new[j]", "where(norm > limit, 1 / 2, 1) * g[j]", "halved where it is long"),
        ]

    def consts(self):
        return {"limit": self.limit}
