"""The fully connected layer."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Activation, Constraint, Initializer, Layer, Regularizer
from bpcli.family.part import OneOf
from bpcli.family.plan import Frame, Param, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq
from bpcli.parts.initializers import Values


class Dense(Layer):
    """Every unit weighs all inputs and adds a bias: y = x W + b.

    Shapes   x: n i, W: i o, b: o, y: n o (the pre-activation; `activation` is a layer of its own behind it)
    Source   Rumelhart, Hinton & Williams 1986, eq. 1; gradients eqs. 5 and 6
    """

    rows_are_independent: ClassVar[bool] = True
    fully_connected: ClassVar[bool] = True
    type: Literal["dense"] = "dense"
    units: int = Field(gt=0, description="how many outputs")
    activation: Annotated[Activation, OneOf()] | None = Field(None, description="applied to the outputs")
    init: Annotated[Initializer, OneOf()] | None = Field(
        None, description="how the weights start; default as suits the activation that follows"
    )
    weights: tuple[tuple[float, ...], ...] | None = Field(
        None, strict=False, description="the weights by value, one row for each input; in place of init"
    )
    bias: bool | tuple[float, ...] = Field(
        True, union_mode="left_to_right", description="whether a bias is added, or the biases by value"
    )
    regularization: Annotated[Regularizer, OneOf()] | None = Field(
        None, description="the penalty on this layer's weights, in place of the experiment's"
    )
    constraint: Annotated[Constraint, OneOf()] | None = Field(
        None, description="where this layer's weights are put back to after every step, in place of the experiment's"
    )

    @field_validator("weights", "bias", mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        return _frozen(value)

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.weights is not None and self.init is not None:
            raise PydanticCustomError("dense", "the weights are given by value: leave `init` out")
        if self.activation is not None and self.activation.name is not None:
            message = "an activation of a layer is called <layer>.activation: leave its `name` out"
            raise PydanticCustomError("dense", message)
        return self

    def expand(self) -> tuple[tuple[str, Layer], ...]:
        if self.activation is None:
            return (("", self),)
        return (("", self), (".activation", self.activation))

    def plan(self, x: Shape) -> Plan:
        if len(x) != 1:
            raise ShapeError(f"a dense layer takes rows of numbers, not rows of shape {x}", "put a `flatten` before it")
        inputs, units = x[0], self.units
        params = {"W": Param((inputs, units), self._start(inputs), inputs, units, decays=True)}
        if self.bias is not False:
            params["b"] = Param((units,), self._start_bias(), inputs, units)
        return Plan(y=(units,), params=params, skips_dx=True, multiply_adds=inputs * units)

    def _start(self, inputs: int) -> Initializer | None:
        if self.weights is None:
            return self.init
        if len(self.weights) != inputs or any(len(row) != self.units for row in self.weights):
            shape = (len(self.weights), len(self.weights[0]) if self.weights else 0)
            raise ShapeError(
                f"the weights are given as {shape[0]} x {shape[1]} and must be {inputs} x {self.units}",
                "one row for each input, one column for each unit",
            )
        return Values(values=tuple(v for row in self.weights for v in row))

    def _start_bias(self) -> Initializer:
        if isinstance(self.bias, tuple):
            if len(self.bias) != self.units:
                raise ShapeError(
                    f"{len(self.bias)} biases are given for {self.units} units", "one number for each unit, or true"
                )
            return Values(values=self.bias)
        return Values(values=(0.0,))

    def forward(self, f: Frame, train: bool) -> None:
        f.matmul(f.x, f.W, out=f.y)
        if self.bias is not False:
            np.add(f.y, f.b, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        f.matmul(f.x.T, f.dy, out=f.dW)
        if self.bias is not False:
            np.add.reduce(f.dy, 0, out=f.db)
        if f.dx is not None:
            f.matmul(f.dy, f.W.T, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        biased = self.bias is not False
        return [
            Eq("y[n,o]", "sum(i, x[n,i] * W[i,o])" + (" + b[o]" if biased else ""), "each unit weighs its inputs"),
            Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])", "a weight's share is its input; rows add"),
            *([Eq("db[o]", "sum(n, dy[n,o])", "a bias is a weight from a unit fixed at 1")] if biased else []),
            Eq("dx[n,i]", "sum(o, dy[n,o] * W[i,o])", "an input leans on the loss through every unit"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(units=3), (2,), batch=5)
        yield Sample(cls(units=5), (5,), note="square: a transposed gradient would fit")
        yield Sample(cls(units=1), (1,), batch=1, note="smallest")
        yield Sample(cls(units=3, bias=False), (7,))
        yield Sample(cls(units=2, weights=((1.0, -2.0), (0.5, 0.0)), bias=(0.1, 0.2)), (2,), note="weights by value")
        yield Sample(cls(units=3), (4, 4), error="takes rows of numbers, not rows of shape (4, 4)")
        yield Sample(cls(units=1, weights=((1.0,),)), (2,), error="given as 1 x 1 and must be 2 x 1")
        yield Sample(cls(units=2, bias=(1.0,)), (2,), error="1 biases are given for 2 units")
        yield Sample({"type": "dense", "units": 0}, error="greater than 0")
        yield Sample({"type": "dense", "units": 1, "weights": [[1]], "init": "zeros"}, error="leave `init` out")
        named = {"type": "relu", "name": "r"}
        yield Sample({"type": "dense", "units": 1, "activation": named}, error="leave its `name` out")


def _frozen(value: Any) -> Any:
    """Turns lists into tuples and whole numbers in them into floats, so that a layer can be compared and hashed."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
