"""Initializers: how the weights of one tensor start. Drawn in float64, then cast to the type of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from bpcli.family import Initializer
from bpcli.plan import Array, Sample


class Zeros(Initializer):
    """All 0; right for biases, and for weights it makes all units of a layer learn the same.

    Source   none needed
    """

    type: Literal["zeros"] = "zeros"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3, 5))


class ConstantValue(Initializer):
    """All the same number.

    Source   none needed
    """

    type: Literal["constant"] = "constant"
    value: float = Field(description="the number")

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = self.value

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(value=0.1), (3, 5))
        yield Sample({"type": "constant"}, error="required")


class Values(Initializer):
    """Given numbers, row by row; what `weights:` and `bias:` by value stand for.

    Source   none needed
    """

    type: Literal["values"] = "values"
    values: tuple[float, ...] = Field(strict=False, min_length=1, description="the numbers, or one for all entries")

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        if len(self.values) not in (1, out.size):
            raise ValueError(f"{len(self.values)} values are given for a tensor of {out.size}")
        out[...] = self.values[0] if len(self.values) == 1 else np.reshape(self.values, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(values=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)), (2, 3))
        yield Sample(cls(values=(1.0, 2.0)), (2, 3), error="2 values are given for a tensor of 6")


class GlorotUniform(Initializer):
    """Evenly within +-sqrt(6 / (fan_in + fan_out)): signals keep their size both ways through tanh-like units.

    Source   Glorot & Bengio 2010, eq. 16
    """

    type: Literal["glorot_uniform"] = "glorot_uniform"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        bound = math.sqrt(6 / (fan_in + fan_out))
        out[...] = rng.uniform(-bound, bound, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 90), "bound": math.sqrt(6 / 90)})


class GlorotNormal(Initializer):
    """Normal with deviation sqrt(2 / (fan_in + fan_out)); plain, not truncated.

    Source   Glorot & Bengio 2010, eq. 12
    """

    type: Literal["glorot_normal"] = "glorot_normal"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, math.sqrt(2 / (fan_in + fan_out)), out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 90)})


class HeUniform(Initializer):
    """Evenly within +-sqrt(6 / fan_in): signals keep their size through relu.

    Source   He et al. 2015, eq. 10, as a uniform of that variance
    """

    type: Literal["he_uniform"] = "he_uniform"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        bound = math.sqrt(6 / fan_in)
        out[...] = rng.uniform(-bound, bound, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 40), "bound": math.sqrt(6 / 40)})


class HeNormal(Initializer):
    """Normal with deviation sqrt(2 / fan_in); plain, not truncated.

    Source   He et al. 2015, eq. 10
    """

    type: Literal["he_normal"] = "he_normal"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, math.sqrt(2 / fan_in), out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 40)})
