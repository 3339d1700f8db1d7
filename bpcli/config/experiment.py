"""The whole file as one frozen model."""

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

import bpcli.parts  # noqa: F401  (declares every part)
from bpcli.config.data import Data
from bpcli.family import Clipper, Constraint, Layer, Loss, Metric, OneOf, Optimizer, Regularizer, Settings


class EarlyStopping(Settings):
    """Ends training when a metric has not improved for `patience` epochs."""

    metric: str = Field("validation.loss", description="what has to improve: validation.loss, train.accuracy, ...")
    patience: int = Field(10, gt=0, description="how many epochs without improvement end the training")
    min_delta: float = Field(0.0, ge=0, description="an improvement smaller than this does not count")
    mode: Literal["min", "max"] | None = Field(None, description="which way is better; left out: the metric knows")
    restore_best: bool = Field(True, description="whether the weights of the best epoch are kept")


class StopWhen(Settings):
    """Ends training when a metric reaches its goal."""

    metric: str = Field(description="what has to reach the goal: validation.accuracy, train.loss, ...")
    at_least: float | None = Field(None, description="the goal of a metric that should be high")
    at_most: float | None = Field(None, description="the goal of a metric that should be low")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise PydanticCustomError("goal", "give one goal: `at_least` or `at_most`")
        return self

    def reached(self, value: float) -> bool:
        """Whether this value meets the goal; what is not finite never does."""
        if not math.isfinite(value):
            return False
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)

    @property
    def goal(self) -> str:
        """The goal in words."""
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


INTERVAL = re.compile(r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(s|min|m|h)|([0-9]{1,9}) ?(epoch|step)s?)")
"""A time, or a number of epochs or steps."""
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600}
"""Seconds of a unit of time."""


class Checkpoint(Settings):
    """How often the state of a training is written down, and how many of these states are kept."""

    every: str = Field(
        "30s",
        description="a time (30s, 5min, 1h), or a number of epochs or steps: 1 epoch, 1000 steps",
        json_schema_extra={"pattern": f"^({INTERVAL.pattern})$"},
    )
    keep: int = Field(2, ge=1, description="how many of the newest stay")

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise PydanticCustomError("interval", "expected a mapping of settings: write {every: 30s}")
        return value

    @field_validator("every", mode="before")
    @classmethod
    def _every(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise PydanticCustomError("interval", "a number of what? write 30s, 5min, 1h, 1 epoch or 1000 steps")
        if isinstance(value, str):
            found = INTERVAL.fullmatch(value)
            if found is None and INTERVAL.fullmatch(re.sub(r"[0-9]{9,}", "9", value)):
                raise PydanticCustomError("interval", "an interval has at most 9 digits: 30s, 1 epoch or 1000 steps")
            if found is None:
                raise PydanticCustomError("interval", "no interval: write 30s, 5min, 1h, 1 epoch or 1000 steps")
            if not float(found[1] or found[3]):
                raise PydanticCustomError("interval", "an interval is more than 0: 30s, 1 epoch or 1000 steps")
        return value

    @property
    def interval(self) -> tuple[float, Literal["seconds", "epochs", "steps"]]:
        """How many of which unit are between two checkpoints."""
        found = INTERVAL.fullmatch(self.every)
        assert found is not None
        if found[2]:
            return float(found[1]) * UNITS[found[2]], "seconds"
        return int(found[3]), "epochs" if found[4] == "epoch" else "steps"


class Training(Settings):
    """How long, in what batches, judged by what."""

    epochs: int = Field(100, gt=0, le=1_000_000_000, description="passes over the training rows")
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(
        32, description="rows a step learns from: a number, or full for all rows"
    )
    metrics: tuple[Annotated[Metric, OneOf()], ...] = Field(
        (), strict=False, description="figures beside the loss; left out: those that suit the loss"
    )
    early_stopping: EarlyStopping | None = Field(None, description="ends training when a metric stops improving")
    stop_when: StopWhen | None = Field(None, description="ends training when a metric reaches its goal")
    checkpoint: Checkpoint = Field(
        Checkpoint(), description="how often a state is written from which training can go on, and how many are kept"
    )
    watch: bool = Field(
        False,
        description="whether each layer's gradient, update, dead and saturated share are measured once an epoch",
    )


class Experiment(Settings):
    """A network, its data, and how it learns: everything a file says."""

    name: str = Field("experiment", description="what the run folder is called")
    seed: int = Field(0, ge=0, description="where all chance comes from: weights, split, order of rows, masks")
    dtype: Literal["float32", "float64"] = Field("float32", description="the type of weights and activations")
    data: Data = Field(description="where rows come from, how they are divided and scaled")
    architecture: tuple[Annotated[Layer, OneOf()], ...] = Field(
        strict=False, min_length=1, max_length=1000, description="the layers, from the inputs to the outputs"
    )
    loss: Annotated[Loss, OneOf()] = Field(description="what training lowers")
    regularization: Annotated[Regularizer, OneOf()] | None = Field(None, description="a penalty on all weights")
    constraint: Annotated[Constraint, OneOf()] | None = Field(
        None, description="where all weights are put back to after every step"
    )
    clipping: Annotated[Clipper, OneOf()] | None = Field(None, description="what tames a large gradient")
    optimizer: Annotated[Optimizer, OneOf()] = Field(Optimizer.parse("adam"), description="how a step is made")
    training: Training = Field(Training(), description="how long, in what batches, judged by what")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise PydanticCustomError("name", "a name becomes a folder: up to 64 letters, digits, `.`, `_` and `-`")
        return value

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The chosen metrics, or those that suit the loss."""
        return self.training.metrics or tuple(Metric.parse(name) for name in self.loss.default_metrics)


def label(metric: Metric) -> str:
    """Returns how a metric is called in tables and files: its type, and its settings where they are not the usual
    ones."""
    data = metric.model_dump(exclude_defaults=True, exclude={"type"})
    return "_".join([metric.kind, *(str(v) for v in data.values())])
