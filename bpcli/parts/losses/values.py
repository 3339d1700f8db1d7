"""Losses of a regression: what an error x - t costs."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from bpcli.family import Array, Frame, Link, Loss, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.losses.averaging import (
    NOT_ROWS,
    average,
    check_row,
    losses,
    mean,
    mean_cost,
    over_rows,
    row_loss_slots,
    samples,
    share,
    slope,
)

HUGE = {"x": [[800.0, -800.0, 1e-12], [-800.0, 40.0, 800.0]], "t": [[0.0, 0.0, 0.0], [800.0, 39.0, 800.0]]}
"""Errors at which a careless formula overflows, or loses the small end."""


class MeanSquaredError(Loss):
    """The squared error, averaged over outputs and rows.

    Shapes   x, t: n k
    Source   SEMANTICS: (1/K) sum_k (x - t)^2; as PyTorch's MSELoss
    """

    type: Literal["mean_squared_error"] = "mean_squared_error"
    least_squares: ClassVar[bool] = True
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        return Plan(y=x, scratch=row_loss_slots(x))

    def forward(self, f: Frame) -> float:
        outputs: int = f.x.shape[1]
        return _squares(f) / outputs

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        slope(f, 2 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("L", average("mean(k, (x[n,k] - t[n,k])**2)", weighted), why),
            Eq("dx[n,k]", share("2 * (x[n,k] - t[n,k]) / count(k<K)", weighted), "the square brings down a 2"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from samples(cls())


class SquaredError(Loss):
    """The squared error, summed over outputs and averaged over rows; `factor` 0.5 is the textbooks' one half.

    Shapes   x, t: n k
    Source   SEMANTICS: factor sum_k (x - t)^2; Rumelhart, Hinton & Williams 1986, eq. 3, with factor 0.5
    """

    type: Literal["squared_error"] = "squared_error"
    factor: float = Field(1.0, description="what the squares are multiplied by: 1, or the textbooks' 0.5")
    least_squares: ClassVar[bool] = True
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    @field_validator("factor")
    @classmethod
    def _one_or_half(cls, value: float) -> float:
        if value not in (1, 0.5):
            raise ValueError("must be 1 or 0.5")
        return value

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        consts = {"factor": self.factor}
        return Plan(y=x, scratch=row_loss_slots(x), consts=consts)

    def forward(self, f: Frame) -> float:
        return self.factor * _squares(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, self.factor)

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        slope(f, 2 * self.factor)

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"sum over outputs, mean {over_rows(weighted)}"
        return [
            Eq("L", average("factor * sum(k, (x[n,k] - t[n,k])**2)", weighted), why),
            Eq("dx[n,k]", share("2 * factor * (x[n,k] - t[n,k])", weighted), "the square brings down a 2"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from samples(cls())
        yield from samples(cls(factor=0.5))
        yield Sample({"type": "squared_error", "factor": 2}, error="1 or 0.5")


def _squares(f: Frame) -> float:
    """Returns the mean over rows of the sum of squared errors."""
    np.subtract(f.x, f.t, out=f.e)
    np.multiply(f.e, f.e, out=f.e)
    np.add.reduce(f.e, 1, out=f.rows)
    return mean(f.rows, f.w)


class MeanAbsoluteError(Loss):
    """The size of the error, averaged over outputs and rows; its slope at 0 is taken as 0.

    Shapes   x, t: n k
    Source   SEMANTICS: (1/K) sum_k |x - t|; Boscovich 1757, Laplace 1793; as PyTorch's L1Loss
    """

    type: Literal["mean_absolute_error"] = "mean_absolute_error"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        return Plan(y=x, scratch=row_loss_slots(x))

    def forward(self, f: Frame) -> float:
        np.subtract(f.x, f.t, out=f.e)
        np.abs(f.e, out=f.e)
        return mean_cost(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        np.sign(f.dx, out=f.dx)
        slope(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("L", average("mean(k, abs(x[n,k] - t[n,k]))", weighted), why),
            Eq("dx[n,k]", share("sign(x[n,k] - t[n,k]) / count(k<K)", weighted), "up or down; 0 on the target"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from samples(cls())
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, kinks=(1e-12, 800.0), note="huge")
        ties = {"x": [[0.0, 1.0], [-2.0, 0.0]], "t": [[0.0, 0.0], [0.0, 0.0]]}
        yield Sample(cls(), (2,), batch=2, inputs=ties, kinks=(0.0,), note="ties")


class Huber(Loss):
    """Half the squared error where it is small, its size where it is larger than `delta`: outliers pull no harder.

    Shapes   x, t: n k
    Source   Huber 1964; as PyTorch's HuberLoss
    Numerics c (|e| - c/2) with c = min(|e|, delta) is both branches at once: e^2/2, and delta |e| - delta^2/2
    """

    type: Literal["huber"] = "huber"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")
    delta: float = Field(1.0, gt=0, description="the error from which on the loss grows in a straight line")

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        slot = Slot((N, *x), "float64")
        scratch = {**row_loss_slots(x), "c": slot, "s": slot}
        return Plan(y=x, scratch=scratch, consts={"delta": self.delta})

    def forward(self, f: Frame) -> float:
        np.subtract(f.x, f.t, out=f.e)
        np.abs(f.e, out=f.e)
        np.minimum(f.e, self.delta, out=f.c)
        np.multiply(f.c, 0.5, out=f.s)
        np.subtract(f.e, f.s, out=f.e)
        np.multiply(f.e, f.c, out=f.e)
        return mean_cost(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        np.minimum(f.dx, self.delta, out=f.dx)
        np.maximum(f.dx, -self.delta, out=f.dx)
        slope(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        value = "where(abs(e[n,k]) <= delta, e[n,k]**2 / 2, delta * abs(e[n,k]) - delta**2 / 2)"
        why = f"a parabola that goes on as straight lines; mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("e[n,k]", "x[n,k] - t[n,k]", "the error"),
            Eq("L", average(f"mean(k, {value})", weighted), why),
            Eq("dx[n,k]", share("min(max(e[n,k], -delta), delta) / count(k<K)", weighted), "the error, cut at delta"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from samples(cls())
        yield from samples(cls(delta=0.3))
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, kinks=(40.0,), note="huge")
        ties = {"x": [[0.5, -0.5], [0.0, 0.75]], "t": [[0.0, 0.0], [0.0, 0.0]]}
        yield Sample(cls(delta=0.5), (2,), batch=2, inputs=ties, kinks=(0.5, -0.5), note="ties")
        yield Sample({"type": "huber", "delta": 0.0}, error="greater than 0")


class LogCosh(Loss):
    """The logarithm of the error's hyperbolic cosine: half its square where small, its size less ln 2 where large.

    Shapes   x, t: n k
    Source   SEMANTICS: e + log1pexp(-2 e) - ln 2; Green 1990, "Bayesian reconstructions from emission tomography data"
    Numerics log1p(h^2 / (2 (1 + h))) with h = e^c - 1, c = |e| up to 20, where cosh would overflow from 711 on and
             |e| - ln 2 + log1p(e^(-2|e|)) cancels near 0; beyond 20 it grows as |e|, to the last digit. In float64
    """

    type: Literal["log_cosh"] = "log_cosh"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        slot = Slot((N, *x), "float64")
        return Plan(y=x, scratch={**row_loss_slots(x), "s": slot, "c": slot})

    def forward(self, f: Frame) -> float:
        np.subtract(f.x, f.t, out=f.e)
        np.abs(f.e, out=f.e)
        np.minimum(f.e, 20, out=f.c)
        np.subtract(f.e, f.c, out=f.e)  # what lies beyond 20
        np.expm1(f.c, out=f.c)
        np.add(f.c, 1, out=f.s)
        np.multiply(f.s, 2, out=f.s)
        np.multiply(f.c, f.c, out=f.c)
        np.divide(f.c, f.s, out=f.c)  # cosh - 1
        np.log1p(f.c, out=f.c)
        np.add(f.e, f.c, out=f.e)
        return mean_cost(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        np.tanh(f.dx, out=f.dx)
        slope(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        small, large = "-log1p(-tanh(e[n,k])**2) / 2", "abs(e[n,k]) + log1pexp(-2 * abs(e[n,k])) - log(2)"
        value = f"mean(k, where(abs(e[n,k]) < 1, {small}, {large}))"
        why = f"log cosh e; cosh^2 e is 1 / (1 - tanh^2 e); mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("e[n,k]", "x[n,k] - t[n,k]", "the error"),
            Eq("L", average(value, weighted), why),
            Eq("dx[n,k]", share("tanh(e[n,k]) / count(k<K)", weighted), "the error where small, its sign where large"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from samples(cls())
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, note="huge")


class Poisson(Loss):
    """How surprising counts are to rates exp(x), up to what does not depend on x: for counts of events.

    Shapes   x (logarithms of rates), t (counts, at least 0): n k
    Source   SEMANTICS: exp(x) - t x, mean over outputs; as PyTorch's PoissonNLLLoss(log_input=True, full=False)
    Numerics exp(x) itself: a rate beyond the largest number is infinite, as it should be. Where e^x is near t, or near
             t x, slope and loss have the digits of these, as their condition number |x| e^x + t over |e^x - t| allows
    """

    type: Literal["poisson"] = "poisson"
    link: ClassVar[Link] = "exp"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        return Plan(y=x, scratch={**row_loss_slots(x), "s": Slot((N, *x))})

    def check(self, targets: Array) -> str:
        low = float(targets.min())
        return f"poisson takes counts, at least 0, and the lowest of these targets is {low:g}" if low < 0 else ""

    def forward(self, f: Frame) -> float:
        np.exp(f.x, out=f.e)
        np.multiply(f.t, f.x, out=f.s)
        np.subtract(f.e, f.s, out=f.e)
        return mean_cost(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.exp(f.x, out=f.dx)
        np.subtract(f.dx, f.t, out=f.dx)
        slope(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"-log of Poisson's probability, less log t!; mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("rate[n,k]", "exp(x[n,k])", "the expected count"),
            Eq("L", average("mean(k, rate[n,k] - t[n,k] * x[n,k])", weighted), why),
            Eq("dx[n,k]", share("(rate[n,k] - t[n,k]) / count(k<K)", weighted), "expected less counted"),
            Eq("drate[n,k]", share("(1 - t[n,k] / rate[n,k]) / count(k<K)", weighted), "slope by rate", detail="path"),
            Eq("dx[n,k]", "drate[n,k] * rate[n,k]", "exp is its own slope", detail="path"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        counts = {"t": [[0.0, 3.0], [1.0, 0.0], [7.0, 2.5]]}
        yield Sample(cls(), (2,), inputs=counts)
        yield Sample(cls(), (2,), inputs={**counts, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (1,), batch=1, inputs={"t": [[4.0]]}, note="one row, one output")
        small = {"x": [[-800.0, -40.0, 20.0]], "t": [[0.0, 2.0, 5e8]]}
        yield Sample(cls(), (3,), batch=1, inputs=small, note="huge on the side that does not overflow")
        yield Sample(cls(), (2, 2), error=NOT_ROWS)
