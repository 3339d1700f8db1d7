"""Initializers: how the weights of one tensor start. Drawn in float64, then cast to the type of the run."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Initializer, Sample, Shape


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

    def shape_problem(self, shape: Shape) -> str:
        size, count = math.prod(shape), len(self.values)
        return "" if count in (1, size) else f"{count} values are given for a tensor of {size}"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        if problem := self.shape_problem(out.shape):
            raise ValueError(problem)
        out[...] = self.values[0] if len(self.values) == 1 else np.reshape(self.values, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(values=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)), (2, 3))
        yield Sample(cls(values=(1.0, 2.0)), (2, 3), error="2 values are given for a tensor of 6")


class GlorotUniform(Initializer):
    """Evenly within +-sqrt(6 / (fan_in + fan_out)): signals keep their size both ways through tanh-like units.

    Source   Glorot & Bengio 2010, eq. 16; of a convolution in groups fan_out counts the filters of one group, as fan_in
             does its channels (PyTorch counts those of all)
    """

    type: Literal["glorot_uniform"] = "glorot_uniform"
    signal_gain: ClassVar[float] = 1.0
    both_fans: ClassVar[bool] = True

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        bound = math.sqrt(6 / (fan_in + fan_out))
        out[...] = rng.uniform(-bound, bound, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 90), "bound": math.sqrt(6 / 90)})


class GlorotNormal(Initializer):
    """Normal with deviation sqrt(2 / (fan_in + fan_out)); plain, not truncated.

    Source   Glorot & Bengio 2010, eq. 12; the fans as of glorot_uniform
    """

    type: Literal["glorot_normal"] = "glorot_normal"
    signal_gain: ClassVar[float] = 1.0
    both_fans: ClassVar[bool] = True

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, math.sqrt(self.variance(fan_in, fan_out)), out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 90)})


class HeUniform(Initializer):
    """Evenly within +-sqrt(6 / fan_in): signals keep their size through relu.

    Source   He et al. 2015, eq. 10, as a uniform of that variance
    """

    type: Literal["he_uniform"] = "he_uniform"
    signal_gain: ClassVar[float] = 2.0

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
    signal_gain: ClassVar[float] = 2.0

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, math.sqrt(self.variance(fan_in, fan_out)), out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(2 / 40)})


class LecunUniform(Initializer):
    """Evenly within +-sqrt(3 / fan_in): units of variance 1 stay so as long as they are nearly linear.

    Source   LeCun, Bottou, Orr & Mueller 1998, eq. 16, as a uniform of that variance
    """

    type: Literal["lecun_uniform"] = "lecun_uniform"
    signal_gain: ClassVar[float] = 1.0

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        bound = math.sqrt(3 / fan_in)
        out[...] = rng.uniform(-bound, bound, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(1 / 40), "bound": math.sqrt(3 / 40)})


class LecunNormal(Initializer):
    """Normal with deviation sqrt(1 / fan_in); plain, not truncated. What selu normalizes itself from.

    Source   LeCun, Bottou, Orr & Mueller 1998, eq. 16; Klambauer et al. 2017, section 2
    """

    type: Literal["lecun_normal"] = "lecun_normal"
    signal_gain: ClassVar[float] = 1.0

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, math.sqrt(self.variance(fan_in, fan_out)), out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": math.sqrt(1 / 40)})


class Uniform(Initializer):
    """Evenly between `low` and `high`, whatever the fans.

    Source   none needed
    """

    type: Literal["uniform"] = "uniform"
    low: float = Field(-0.05, description="the least weight")
    high: float = Field(0.05, description="the greatest weight")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.high:
            raise PydanticCustomError("uniform", "`low` has to be less than `high`")
        if not math.isfinite(self.high - self.low):
            raise PydanticCustomError("uniform", "`high` is farther from `low` than any number is large")
        return self

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.uniform(self.low, self.high, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": 0.05 / math.sqrt(3), "bound": 0.05})
        yield Sample(
            cls(low=1.0, high=3.0), (40, 50), inputs={"mean": 2.0, "deviation": 1 / math.sqrt(3), "bound": 1.0}
        )
        yield Sample({"type": "uniform", "low": 0.1, "high": 0.1}, error="less than `high`")
        yield Sample({"type": "uniform", "low": -1e308, "high": 1e308}, error="farther from `low`")


class Normal(Initializer):
    """Normal with a mean and a deviation of its own, whatever the fans.

    Source   none needed
    """

    type: Literal["normal"] = "normal"
    mean: float = Field(0.0, description="the mean of the weights")
    std: float = Field(0.05, gt=0, description="their standard deviation")

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(self.mean, self.std, out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (40, 50), inputs={"deviation": 0.05})
        yield Sample(cls(mean=-1.0, std=0.5), (40, 50), inputs={"mean": -1.0, "deviation": 0.5})
        yield Sample({"type": "normal", "std": 0.0}, error="greater than 0")


class TruncatedNormal(Initializer):
    """Normal around 0; what lies beyond two deviations is drawn again.

    `std` is the deviation before that; what is left has 0.8796 of it.

    Source   as Keras's TruncatedNormal
    """

    type: Literal["truncated_normal"] = "truncated_normal"
    std: float = Field(0.05, gt=0, description="the standard deviation before the cut at twice as much")

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.normal(0, self.std, out.shape)
        while (beyond := np.abs(out) > 2 * self.std).any():
            out[beyond] = rng.normal(0, self.std, int(beyond.sum()))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        kept = 0.879625661034239  # sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))
        yield Sample(cls(), (40, 50), inputs={"deviation": 0.05 * kept, "bound": 0.1})
        yield Sample(cls(std=2.0), (40, 50), inputs={"deviation": 2 * kept, "bound": 4.0})
        yield Sample({"type": "truncated_normal", "std": 0.0}, error="greater than 0")


class Orthogonal(Initializer):
    """A random rotation times `gain`: no direction grows or shrinks, however many layers follow.

    Of a tensor with more than two axes the last are columns and the others, laid end to end, rows. Where there are more
    columns than rows the rows are orthonormal, else the columns.

    Source   Saxe, McClelland & Ganguli 2014, section 3; uniform by the signs of R's diagonal, Mezzadri 2007, section 5
    """

    type: Literal["orthogonal"] = "orthogonal"
    gain: float = Field(1.0, gt=0, description="what the rotation is multiplied by: sqrt(2) before relu")

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        columns = out.shape[-1] if out.ndim else 1
        rows = out.size // columns
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.where(np.diagonal(r) < 0, -self.gain, self.gain)
        out[...] = (q if rows >= columns else q.T).reshape(out.shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (7, 5))
        yield Sample(cls(gain=1.5), (5, 7))
        yield Sample(cls(), (6, 6))
        yield Sample(cls(gain=2.0), (3, 3, 2, 5), note="kernels")
        yield Sample({"type": "orthogonal", "gain": 0.0}, error="greater than 0")
