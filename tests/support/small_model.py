"""A small experiment of its own, so that messages are tested apart from what the real one says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family.part import OneOf, Part, Settings


class Brick(Part):
    """A layer."""

    family = "layer"


class Bend(Brick):
    """An activation."""

    family = "activation"


class Pace(Part):
    """A number, or how it changes."""

    family = "schedule"

    @classmethod
    def shorthand(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"type": "constant", "value": value}
        return super().shorthand(value)

    @classmethod
    def short_schemas(cls) -> list[dict[str, Any]]:
        return [{"type": "number"}, *super().short_schemas()]


class Mover(Part):
    """An optimizer."""

    family = "optimizer"


class Rectify(Bend):
    """max(x, 0)."""

    type: Literal["relu"] = "relu"


class Leak(Bend):
    """Relu with a slope.

    More about it.
    """

    type: Literal["leaky"] = "leaky"
    slope: float = Field(0.01, gt=0, description="the slope below zero")


class Full(Brick):
    """x W + b."""

    type: Literal["dense"] = "dense"
    units: int = Field(gt=0, le=1_000_000, description="how many outputs")
    activation: Annotated[Bend, OneOf()] | None = Field(None, description="what follows")
    weights: Annotated[Bend, OneOf()] | list[list[float]] | None = Field(None, description="a start by value")


class Omit(Brick):
    """Zeroes some."""

    type: Literal["dropout"] = "dropout"
    rate: float = Field(0.5, ge=0, lt=1, description="the share that is zeroed")


class Around(Brick):
    """x + f(x)."""

    type: Literal["residual"] = "residual"
    layers: list[Annotated[Brick, OneOf()]] = Field(min_length=1, description="f")


class Still(Pace):
    """Always the same."""

    type: Literal["constant"] = "constant"
    value: float = Field(gt=0, description="the number")


class Wave(Pace):
    """Half a cosine."""

    type: Literal["cosine"] = "cosine"
    start: float = Field(gt=0, description="the first number")
    end: float = Field(0.0, ge=0, description="the last number")


class Plain(Mover):
    """Down the slope."""

    type: Literal["sgd"] = "sgd"
    learning_rate: Annotated[Pace, OneOf()] = Field(Pace.parse(0.01), description="the size of a step")


class Ball(Mover):
    """With a memory."""

    type: Literal["momentum"] = "momentum"
    learning_rate: Annotated[Pace, OneOf()] = Field(Pace.parse(0.01), description="the size of a step")
    momentum: float = Field(0.9, ge=0, lt=1, description="how long the memory is")


class Training(Settings):
    """How long."""

    epochs: int = Field(100, gt=0, description="passes over the data")
    batch_size: Annotated[int, Field(gt=0)] | Literal["full"] = Field(32, description="rows of a step")
    shuffle: bool = Field(True, description="a new order in each epoch")
    betas: tuple[float, float] = Field((0.9, 0.999), strict=False, description="two numbers")
    tags: dict[str, int] = Field({}, description="numbers by name")
    at_least: float | None = Field(None, allow_inf_nan=False, description="the goal")
    at_most: float | None = Field(None, description="the goal")

    @model_validator(mode="after")
    def _goal(self) -> Training:
        if self.at_least is not None and self.at_most is not None:
            raise PydanticCustomError("goal", "give one goal: `at_least` or `at_most`")
        return self


class Study(Settings):
    """Everything."""

    name: str = Field("study", pattern="^[a-z]+$", min_length=1, description="what it is called")
    seed: int = Field(0, ge=0, description="where chance comes from")
    architecture: list[Annotated[Brick, OneOf()]] = Field(min_length=1, description="the layers")
    loss: Literal["squared", "cross_entropy"] = Field(description="what is lowered")
    optimizer: Annotated[Mover, OneOf()] = Field(Mover.parse("sgd"), description="how a step is made")
    validation: Annotated[float, Field(gt=0, lt=1)] | Annotated[Brick, OneOf()] | None = Field(
        None, description="a fraction, or rows of its own"
    )
    training: Training = Field(Training(), description="how long")


GOOD = """\
name: iris
seed: 7
architecture:
  - {type: dense, units: 16, activation: relu}
  - residual
  - type: dropout
    rate: 0.1
  - {type: dense, units: 3}
loss: cross_entropy
optimizer: {type: sgd, learning_rate: {type: cosine, start: 3e-3}}
training:
  epochs: 100
  batch_size: full
""".replace("  - residual\n", "  - {type: residual, layers: [{type: dense, units: 16}, relu]}\n")
