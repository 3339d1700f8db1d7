"""Schedules of time alone, the simplest first; and what schedules have in common."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import NOTHING, Array, Sample, Schedule
from bpcli.notation import Eq

Per = Literal["step", "epoch"]
Unreached = Sequence[tuple[tuple[str, ...], str]]


def start_rate() -> Any:
    return Field(gt=0, allow_inf_nan=False, description="the rate of the first step")


def per_setting() -> Any:
    return Field("step", description="what k, T and numbers of steps count")


def unreached(key: str, moment: int, total: int, per: Per) -> Unreached:
    """Returns what to say of a setting of as many steps (epochs) as the training has, or more."""
    if moment < total:
        return ()
    return [((key,), f"after {moment:,} {per}s nothing is left of a training of {total:,}")]


class Constant(Schedule):
    """The same at every step; a number alone is short for it.

    Source   plain gradient descent, Cauchy 1847
    """

    type: Literal["constant"] = "constant"
    value: float = Field(gt=0, allow_inf_nan=False, description="the rate")

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.value

    def equations(self) -> list[Eq]:
        return [Eq("lr", "value", "the same at every step")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(value=0.1), inputs={"first": 0.1, "last": 0.1})
        yield Sample({"type": "constant", "value": 0.0}, error="greater than 0")
        yield Sample({"type": "constant", "value": float("inf")}, error="finite number")


class Step(Schedule):
    """Falls by `factor` at regular intervals.

    Source   the usual recipe of He et al. 2016, section 3.4, at fixed intervals; as PyTorch's StepLR
    """

    type: Literal["step"] = "step"
    start: float = start_rate()
    every: int = Field(gt=0, description="how long it stays before it falls")
    factor: float = Field(0.1, gt=0, lt=1, description="what it is multiplied by each time")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.start * self.factor ** (k // self.every)

    def equations(self) -> list[Eq]:
        return [Eq("lr", "start * factor**(k // every)", "a stair")]

    def check(self, total: int) -> Unreached:
        return unreached("every", self.every, total, self.per)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1, every=30), inputs={"first": 0.1, "last": 0.1 * 0.1**3})
        yield Sample(cls(start=0.8, every=5, factor=0.5, per="epoch"), inputs={"first": 0.8, "last": 0.8 * 0.5**20})
        yield Sample({"type": "step", "start": 0.1, "every": 0}, error="greater than 0")
        yield Sample({"type": "step", "start": 0.1, "every": 5, "factor": 1.0}, error="less than 1")


class MultiStep(Schedule):
    """Falls by `factor` at each milestone.

    Source   He et al. 2016, section 4.2; as PyTorch's MultiStepLR
    """

    type: Literal["multi_step"] = "multi_step"
    start: float = start_rate()
    milestones: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        strict=False, min_length=1, description="after how many steps it falls, one after the other"
    )
    factor: float = Field(0.1, gt=0, lt=1, description="what it is multiplied by each time")
    per: Per = per_setting()

    @model_validator(mode="after")
    def _one_after_the_other(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise PydanticCustomError("milestones", "milestones grow: each comes after the one before it")
        return self

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.start * self.factor ** sum(k >= m for m in self.milestones)

    def equations(self) -> list[Eq]:
        passed = " + ".join(f"(k >= {m})" for m in self.milestones)
        return [Eq("passed", passed, "how many milestones lie behind"), Eq("lr", "start * factor**passed", "a stair")]

    def check(self, total: int) -> Unreached:
        return unreached("milestones", self.milestones[-1], total, self.per)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1, milestones=(50, 80)), inputs={"first": 0.1, "last": 0.1 * 0.1**2})
        yield Sample(cls(start=0.1, milestones=(4, 13)), inputs={"first": 0.1, "last": 0.1 * 0.1**2})
        yield Sample(cls(start=0.1, milestones=(1,), factor=0.5), inputs={"first": 0.1, "last": 0.05})
        yield Sample({"type": "multi_step", "start": 0.1, "milestones": []}, error="at least 1 item")
        yield Sample({"type": "multi_step", "start": 0.1, "milestones": [0]}, error="greater than 0")
        yield Sample({"type": "multi_step", "start": 0.1, "milestones": [5, 5]}, error="milestones grow")
        yield Sample({"type": "multi_step", "start": 0.1, "milestones": [5], "factor": 1.0}, error="less than 1")


class Exponential(Schedule):
    """Falls by the same factor at every step.

    Source   as PyTorch's ExponentialLR
    """

    type: Literal["exponential"] = "exponential"
    start: float = start_rate()
    factor: float = Field(gt=0, lt=1, description="what it is multiplied by after every step")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.start * self.factor**k

    def equations(self) -> list[Eq]:
        return [Eq("lr", "start * factor**k", "a share is lost with every step")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1, factor=0.95), inputs={"first": 0.1, "last": 0.1 * 0.95**100})
        yield Sample({"type": "exponential", "start": 0.1, "factor": 1.0}, error="less than 1")


class InverseTime(Schedule):
    """Falls as 1 / (1 + decay k): ever more slowly, never to 0, and far enough in all to reach any minimum.

    Source   Robbins & Monro 1951, whose conditions it meets; Darken & Moody 1990, "search then converge"
    """

    type: Literal["inverse_time"] = "inverse_time"
    start: float = start_rate()
    decay: float = Field(gt=0, description="how soon it falls: after 1/decay steps it is half")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.start / (1 + self.decay * k)

    def equations(self) -> list[Eq]:
        return [Eq("lr", "start / (1 + decay * k)", "a hyperbola")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1, decay=0.01), inputs={"first": 0.1, "last": 0.05})
        yield Sample({"type": "inverse_time", "start": 0.1, "decay": 0.0}, error="greater than 0")


class Polynomial(Schedule):
    """From `start` down to `end`; with power 1 along a straight line, above it ever more slowly.

    Source   Chen et al. 2018 (DeepLab), section 4.1.1, "poly"; as PyTorch's PolynomialLR where `end` is 0
    """

    type: Literal["polynomial"] = "polynomial"
    start: float = start_rate()
    end: float = Field(0.0, ge=0, description="the rate it comes to")
    power: float = Field(1.0, gt=0, description="1 falls evenly; more falls early")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.end + (self.start - self.end) * math.pow(1 - k / total, self.power)

    def equations(self) -> list[Eq]:
        return [Eq("lr", "end + (start - end) * (1 - k / T)**power", "by what is left of the training")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1), inputs={"first": 0.1, "last": 0.0})
        yield Sample(cls(start=0.1, end=0.01, power=2.5), inputs={"first": 0.1, "last": 0.01})
        yield Sample({"type": "polynomial", "start": 0.1, "power": 0.0}, error="greater than 0")


class Cosine(Schedule):
    """From `start` down to `end` along half a cosine, slowly at both ends.

    Source   Loshchilov & Hutter 2017, eq. 5, without restarts; k counts steps, not epochs
    """

    type: Literal["cosine"] = "cosine"
    start: float = start_rate()
    end: float = Field(0.0, ge=0, description="the rate it tends to")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * k / total)) / 2

    def equations(self) -> list[Eq]:
        return [Eq("lr", "end + (start - end) * (1 + cos(pi * k / T)) / 2", "half a cosine over the whole training")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(start=0.1), inputs={"first": 0.1, "last": 0.0})
        yield Sample(cls(start=0.1, end=0.01), inputs={"first": 0.1, "last": 0.01})
        yield Sample({"type": "cosine", "start": -1.0}, error="greater than 0")


class OneCycle(Schedule):
    """Up to `peak` and down to nearly nothing, along half a cosine each.

    The rate is `peak` / div_factor at first, and at the last step that / final_div_factor. Momentum is left alone.

    Source   Smith & Topin 2018, section 3; in the form of PyTorch's OneCycleLR, whose last step is k = T - 1
    """

    type: Literal["one_cycle"] = "one_cycle"
    peak: float = Field(gt=0, allow_inf_nan=False, description="the greatest rate")
    pct_start: float = Field(0.3, gt=0, lt=1, description="the share of the training on the way up")
    div_factor: float = Field(25.0, ge=1, description="how much smaller the first rate is")
    final_div_factor: float = Field(1e4, ge=1, description="how much smaller than the first the last rate is")
    per: Per = per_setting()

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        first = self.peak / self.div_factor
        last = first / self.final_div_factor
        k, up = min(k, total - 1), self.pct_start * total - 1
        if k < up:
            return self.peak + (first - self.peak) * (1 + math.cos(math.pi * k / up)) / 2
        return last + (self.peak - last) * (1 + math.cos(math.pi * (k - up) / (total - 1 - up))) / 2

    def equations(self) -> list[Eq]:
        rise = "peak + (first - peak) * (1 + cos(pi * x / up)) / 2"
        fall = "last + (peak - last) * (1 + cos(pi * (x - up) / (T - 1 - up))) / 2"
        return [
            Eq("first", "peak / div_factor", "where it begins"),
            Eq("last", "first / final_div_factor", "where it ends"),
            Eq("x", "min(k, T - 1)", "the last step is T - 1"),
            Eq("up", "pct_start * T - 1", "the step with the greatest rate"),
            Eq("lr", f"where(x < up, {rise}, {fall})", "half a cosine up, half a cosine down"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(peak=0.1), inputs={"first": 0.1 / 25, "last": 0.1 / 25 / 1e4})
        part = cls(peak=0.5, pct_start=0.5, div_factor=10.0, final_div_factor=2.0)
        yield Sample(part, inputs={"first": 0.05, "last": 0.025})
        yield Sample({"type": "one_cycle", "peak": 0.1, "pct_start": 1.0}, error="less than 1")
        yield Sample({"type": "one_cycle", "peak": 0.1, "div_factor": 0.5}, error="greater than or equal to 1")
