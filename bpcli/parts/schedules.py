"""Schedules: a learning rate as a function of k completed steps of T."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from bpcli.family import Schedule
from bpcli.numeric.notation import Eq
from bpcli.plan import Sample


class Constant(Schedule):
    """The same at every step; a number alone is short for it.

    Source   plain gradient descent, Cauchy 1847
    """

    type: Literal["constant"] = "constant"
    value: float = Field(gt=0, description="the rate")

    def at(self, k: int, total: int) -> float:
        return self.value

    def equations(self) -> list[Eq]:
        return [Eq("lr", "value", "the same at every step")]

    def consts(self) -> Mapping[str, float]:
        return {"value": self.value}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(value=0.1), inputs={"first": 0.1, "last": 0.1})
        yield Sample({"type": "constant", "value": 0.0}, error="greater than 0")


class Cosine(Schedule):
    """From `start` down to `end` along half a cosine, slowly at both ends.

    Source   Loshchilov & Hutter 2017, eq. 5, without restarts; k counts steps, not epochs
    """

    type: Literal["cosine"] = "cosine"
    start: float = Field(gt=0, description="the rate of the first step")
    end: float = Field(0.0, ge=0, description="the rate it tends to")

    def at(self, k: int, total: int) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * k / total)) / 2

    def equations(self) -> list[Eq]:
        return [Eq("lr", "end + (start - end) * (1 + cos(pi * k / T)) / 2", "half a cosine over the whole training")]

    def consts(self) -> Mapping[str, float]:
        return {"start": self.start, "end": self.end}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1), inputs={"first": 0.1, "last": 0.0})
        yield Sample(cls(start=0.1, end=0.01), inputs={"first": 0.1, "last": 0.01})
        yield Sample({"type": "cosine", "start": -1.0}, error="greater than 0")
