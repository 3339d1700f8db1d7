from collections.abc import Mapping
from typing import Literal

import numpy as np

from bpcli.custom import Field, Frame, FullBatchOptimizer, ObjectiveView, Slot


class Backtracking(FullBatchOptimizer):
    """A step against the gradient, halved until it lowers the objective."""

    type: Literal["backtracking"] = "backtracking"
    first: float = Field(1.0, gt=0, description="the length that is tried first")

    def state(self, size: int) -> Mapping[str, Slot]:
        return {}

    def work(self, size: int) -> Mapping[str, Slot]:
        return {"start": Slot((size,)), "slope": Slot((size,))}

    def search(self, f: Frame, objective: ObjectiveView, t: int) -> str:
        np.copyto(f.start, f.w)
        np.copyto(f.slope, f.g)
        f.rate = self.first
        while f.rate > 1e-12:
            f.w[...] = f.start - f.rate * f.slope
            if objective.value() < f.value:
                return ""
            f.rate /= 2
        np.copyto(f.w, f.start)
        return "no step lowers the objective"
