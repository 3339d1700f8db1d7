"""What all convolutions have in common: the settings of their filters, their initializers and constraints."""

import math
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Activation, Constraint, Initializer, Layer, OneOf, Param, Plan, Regularizer, Shape, ShapeError
from bpcli.numeric.shapes import written
from bpcli.parts.initializers import Values
from bpcli.parts.layers.conv.axes import FilterAxis
from bpcli.parts.layers.conv.passes import Passes, passes
from bpcli.parts.layers.conv.writing import consts
from bpcli.parts.layers.windows import Margin, as_tuples

SINGLE_PIXEL = FilterAxis(1, 1)


def _nested(value: Any) -> Any:
    """Returns lists as tuples and whole numbers in them as floats, so that the layer can be compared and hashed."""
    if isinstance(value, list | tuple):
        return tuple(_nested(v) for v in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("weights", "nested lists of numbers are expected")
    return float(value)


Nested = Annotated[
    tuple[Any, ...], BeforeValidator(_nested), WithJsonSchema({"type": "array", "items": {"type": ["number", "array"]}})
]
AxisPadding = Literal["valid", "same"] | Margin
Padding = Literal["valid", "same"] | Annotated[Margin | tuple[Margin, Margin], BeforeValidator(as_tuples)]
PADDING_DESCRIPTION = (
    "zeros put around the input: none (valid), as many as give in / stride outputs (same), or a number"
)


def split(channels: int, groups: int) -> int:
    """Returns how many channels a group has. Raises ShapeError where they cannot be split so."""
    if channels % groups:
        raise ShapeError(
            f"{channels} channels cannot be split into {groups} groups of the same size",
            "set `groups` to a divisor of the input's channels",
        )
    return channels // groups


class Filters(Layer):
    """What is learned, how it starts and what holds it; and the activation behind it."""

    filters: int = Field(gt=0, description="how many filters: channels of the output")
    activation: Annotated[Activation, OneOf()] | None = Field(None, description="applied to the outputs")
    init: Annotated[Initializer, OneOf()] | None = Field(
        None, description="how the weights start; default as suits the activation that follows"
    )
    weights: Nested | None = Field(
        None, strict=False, description="the weights by value, nested as W is; in place of init"
    )
    bias: Annotated[bool | tuple[float, ...], BeforeValidator(as_tuples)] = Field(
        True, union_mode="left_to_right", description="whether a bias is added, or the biases by value"
    )
    regularization: Annotated[Regularizer, OneOf()] | None = Field(
        None, description="the penalty on this layer's weights, in place of the experiment's"
    )
    constraint: Annotated[Constraint, OneOf()] | None = Field(
        None, description="where this layer's weights are put back to after every step, in place of the experiment's"
    )

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.weights is not None and self.init is not None:
            raise PydanticCustomError("filters", "the weights are given by value: leave `init` out")
        if self.activation is not None and self.activation.name is not None:
            message = "an activation of a layer is called <layer>.activation: leave its `name` out"
            raise PydanticCustomError("filters", message)
        groups = getattr(self, "groups", 1)  # a transposed convolution has none
        if self.filters % groups:
            message = "{filters} filters cannot be split into {groups} groups of the same size"
            raise PydanticCustomError("groups", message, {"filters": self.filters, "groups": groups})
        return self

    def expand(self) -> tuple[tuple[str, Layer], ...]:
        return (("", self),) if self.activation is None else (("", self), (".activation", self.activation))

    def plan_windows(self, axes: tuple[FilterAxis, ...], channels: int, groups: int) -> Plan:
        """Returns the plan of filters that move along these axes of inputs with so many channels, in groups. Raises
        ShapeError where channels, weights or biases do not fit."""
        own, filters = split(channels, groups), self.filters // groups
        kernel, outputs = tuple(a.kernel for a in axes), tuple(a.out for a in axes)
        entries = math.prod(kernel)
        letters = {"Cg": float(own), "Fg": float(filters)} if groups > 1 else {}
        return Plan(
            y=(*outputs, self.filters),
            params=self.params((*kernel, own, self.filters), entries * own, entries * filters),
            scratch=self.window_passes(axes, channels, groups).scratch(),
            consts={**consts(axes), **letters},
            skips_dx=True,
            multiply_adds=math.prod(outputs) * entries * own * self.filters,
        )

    def window_passes(self, axes: tuple[FilterAxis, ...], channels: int, groups: int) -> Passes:
        """Returns the passes of the same filters; a series is an image one pixel wide."""
        h, w = axes if len(axes) == 2 else (*axes, SINGLE_PIXEL)
        biased = "there" if self.bias is not False else ""
        return passes(h, w, groups, channels // groups, self.filters // groups, biased)

    def params(self, shape: Shape, fan_in: int, fan_out: int) -> dict[str, Param]:
        """Returns W of this shape, and b. Raises ShapeError where those given by value do not fit."""
        params = {"W": Param(shape, self._start(shape), fan_in, fan_out, decays=True)}
        if self.bias is not False:
            params["b"] = Param((self.filters,), self._start_bias(), fan_in, fan_out)
        return params

    def _start(self, shape: Shape) -> Initializer | None:
        if self.weights is None:
            return self.init
        try:
            values = np.array(self.weights)
        except ValueError:
            values = np.zeros(0)
        if values.shape != shape:
            form = f"as {written(values.shape)}" if values.size else "in rows of different lengths"
            raise ShapeError(f"the weights are given {form} and must be {written(shape)}", "nested as W is")
        return Values(values=tuple(values.ravel().tolist()))

    def _start_bias(self) -> Initializer:
        if not isinstance(self.bias, tuple):
            return Values(values=(0.0,))
        if len(self.bias) != self.filters:
            text = f"{len(self.bias)} biases are given for {self.filters} filters"
            raise ShapeError(text, "one number for each filter, or true")
        return Values(values=self.bias)
