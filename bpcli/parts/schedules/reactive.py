"""A schedule that reacts to a reported metric, and one that is put around another."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import NOTHING, Array, OneOf, Sample, Schedule
from bpcli.notation import Eq
from bpcli.parts.schedules.scheduled import Constant, Cosine, Per, Unreached, per_setting, start_rate, unreached


class Plateau(Schedule):
    """Falls by `factor` where a figure has not improved for `patience` epochs.

    An improvement is one by more than `threshold` of the best so far.

    Source   PyTorch's ReduceLROnPlateau, which waits one epoch more: here it acts when bad epochs >= patience
    """

    type: Literal["plateau"] = "plateau"
    start: float = start_rate()
    metric: str = Field("validation.loss", description="what has to improve: validation.loss, train.accuracy, ...")
    mode: Literal["min", "max"] | None = Field(None, description="which way is better; left out: the metric knows")
    factor: float = Field(0.1, gt=0, lt=1, description="what it is multiplied by each time")
    patience: int = Field(10, gt=0, description="how many epochs without improvement make it fall")
    threshold: float = Field(1e-4, ge=0, lt=1, description="an improvement by a smaller share does not count")
    min_rate: float = Field(0.0, ge=0, description="where it stops falling")

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.min_rate > self.start:
            raise PydanticCustomError("min_rate", "the rate cannot fall to `min_rate`: it starts below it")
        return self

    def watched(self) -> str:
        return self.metric

    def state(self) -> Mapping[str, float]:
        return {"best": math.inf, "bad": 0.0, "rate": self.start}

    def observe(self, state: Mapping[str, Array], value: float, lower: bool) -> None:
        sense = {"min": 1, "max": -1}[self.mode] if self.mode else 1 if lower else -1
        if sense * value < float(state["best"]) * (1 - sense * self.threshold):
            state["best"][...], state["bad"][...] = sense * value, 0
            return
        state["bad"][...] += 1
        if state["bad"] >= self.patience:
            state["bad"][...] = 0
            state["rate"][...] = max(float(state["rate"]) * self.factor, self.min_rate)

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return float(state["rate"]) if state else self.start

    def equations(self) -> list[Eq]:
        return [
            Eq("lr", "rate", "the same until it falls"),
            Eq("better", "sense * value < best * (1 - sense * threshold)", "by more than a small share of the best"),
            Eq("best_new", "where(better, sense * value, best)", "negated where higher is better"),
            Eq("waited", "where(better, 0, bad + 1)", "epochs without improvement"),
            Eq("bad_new", "where(waited >= patience, 0, waited)", "counted anew after a fall"),
            Eq("rate_new", "where(waited >= patience, max(rate * factor, min_rate), rate)", "it falls"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        values = (1.0, 0.9, 0.9, 0.89999, 0.95, 0.8, math.nan, 0.85, 0.81, 0.9, 0.9, 0.9, 0.9, -0.5, -0.4, -0.49999)
        data = {"first": 0.1, "last": 0.1, "values": values}
        turned = {**data, "lower": False}
        yield Sample(cls(start=0.1, patience=20, factor=0.5), inputs=data, note="patient")
        yield Sample(cls(start=0.1, patience=2), inputs=data)
        yield Sample(cls(start=0.1, patience=1, factor=0.5, min_rate=0.02), inputs=data, note="down to its least rate")
        yield Sample(
            cls(start=0.1, patience=2, threshold=0.0), inputs={**data, "lower": False}, note="higher is better"
        )
        yield Sample(cls(start=0.1, patience=2, threshold=0.1, mode="max"), inputs=turned, note="the direction is set")
        yield Sample({"type": "plateau", "start": 0.1, "patience": 0}, error="greater than 0")
        yield Sample({"type": "plateau", "start": 0.1, "factor": 1.0}, error="less than 1")
        yield Sample({"type": "plateau", "start": 0.1, "min_rate": 0.2}, error="it starts below it")


class Warmup(Schedule):
    """Another schedule, during its first steps multiplied by a factor that grows evenly to 1.

    The other's time runs from the first step on: after the warm-up it is where it would be without.

    Source   Goyal et al. 2017, section 2.2; as PyTorch's LinearLR from 1/steps on, chained with the other
    """

    type: Literal["warmup"] = "warmup"
    steps: int = Field(gt=0, description="the step that is the first with the whole rate, counted from 1")
    then: Annotated[Schedule, OneOf()] = Field(description="what is warmed up: a number, or another schedule")
    per: Per = per_setting()

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if isinstance(self.then, Warmup):
            raise PydanticCustomError("warmup", "a warmup cannot wrap another")
        if getattr(self.then, "per", self.per) != self.per:
            message = "a warmup and what it wraps count the same: write `per: epoch` on both or on neither"
            raise PydanticCustomError("warmup", message)
        return self

    def watched(self) -> str:
        return self.then.watched()

    def state(self) -> Mapping[str, float]:
        return self.then.state()

    def observe(self, state: Mapping[str, Array], value: float, lower: bool) -> None:
        self.then.observe(state, value, lower)

    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        return min((k + 1) / self.steps, 1.0) * self.then.at(k, total, state)

    def equations(self) -> list[Eq]:
        inner = [Eq("full" if eq.left == "lr" else eq.left, eq.right, eq.why) for eq in self.then.equations()]
        return [*inner, Eq("lr", "min((k + 1) / steps, 1) * full", "evenly up to the whole rate")]

    def consts(self) -> Mapping[str, float]:
        return {**self.then.consts(), "steps": self.steps}

    def check(self, total: int) -> Unreached:
        inner = [(("then", *path), text) for path, text in self.then.check(total)]
        return [*unreached("steps", self.steps, total, self.per), *inner]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(steps=10, then=Cosine(start=0.1)), inputs={"first": 0.01, "last": 0.0})
        yield Sample(cls(steps=4, then=Constant(value=0.1)), inputs={"first": 0.025, "last": 0.1})
        yield Sample(cls(steps=1, then=Cosine(start=0.1, end=0.02)), inputs={"first": 0.1, "last": 0.02})
        data = {"first": 0.02, "last": 0.1, "values": (1.0, 2.0, 2.0, 0.5, 0.6, 0.7, 0.8, 0.9)}
        yield Sample(cls(steps=5, then=Plateau(start=0.1, patience=2)), inputs=data, note="of a plateau")
        yield Sample({"type": "warmup", "steps": 0, "then": 0.1}, error="greater than 0")
        epochs = {"type": "cosine", "start": 0.1, "per": "epoch"}
        yield Sample({"type": "warmup", "steps": 5, "then": epochs}, error="count the same")
        inner = {"type": "warmup", "steps": 2, "then": 0.1}
        yield Sample({"type": "warmup", "steps": 5, "then": inner}, error="a warmup cannot wrap another")
