from typing import Literal

from bpcli.custom import Eq, Field, Schedule


class Hyperbola(Schedule):
    """Falls as 1 / k."""

    type: Literal["hyperbola"] = "hyperbola"
    start: float = Field(0.1, gt=0, description="the rate of the first step")

    def at(self, k, total, state=None):
        return self.start / (1 + k)

    def equations(self):
        return [Eq("lr", "start / (1 + k)", "a hyperbola")]

    def consts(self):
        return {"start": self.start}
