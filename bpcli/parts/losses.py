"""Losses: the mean over the batch of what each row costs. With sample weights w[n], which sum to 1, every 1/N is w[n].

The loss that is reported is the function that is differentiated; nothing is clipped on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from bpcli.family import Loss
from bpcli.numeric import stable
from bpcli.numeric.notation import Eq
from bpcli.plan import Array, Frame, N, Plan, Sample, Shape, ShapeError, Slot


def _row(x: Shape, loss: str) -> None:
    if len(x) != 1:
        raise ShapeError(
            f"{loss} compares rows of numbers, and the network ends in rows of shape {x}",
            "end the architecture with a `flatten` or a `dense` layer",
        )


def _mean(rows: Array, w: Array | None) -> float:
    """The mean of the rows' costs, or their weighted mean."""
    return float(np.add.reduce(rows)) / len(rows) if w is None else float(np.dot(w, rows))


def _average(body: str, weighted: bool) -> str:
    """The mean over the batch, as the equations write it."""
    return f"sum(n, w[n] * ({body}))" if weighted else f"mean(n, {body})"


def _share(slope: str, weighted: bool) -> str:
    """A row's slope times its share in the mean."""
    return f"w[n] * ({slope})" if weighted else f"({slope}) / count(n)"


def _values(part: Loss, **more: Any) -> Iterator[Sample]:
    """Samples for a loss on values: the laws draw targets where none are given."""
    yield Sample(part, (3,), batch=5, **more)
    yield Sample(part, (1,), batch=1, **more, note="one row, one output")
    yield Sample(part, (2,), inputs={"w": [0.5, 0.2, 0.3]}, **more, note="sample weights")
    yield Sample(part, (2, 2), error="compares rows of numbers, and the network ends in rows of shape (2, 2)")


class MeanSquaredError(Loss):
    """The squared error, averaged over outputs and rows.

    Shapes   x, t: n k
    Source   SEMANTICS: (1/K) sum_k (x - t)^2; as PyTorch's MSELoss
    """

    type: Literal["mean_squared_error"] = "mean_squared_error"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def plan(self, x: Shape) -> Plan:
        _row(x, self.kind)
        return Plan(y=x, scratch={"e": Slot((N, *x)), "rows": Slot((N,))})

    def forward(self, f: Frame) -> float:
        outputs: int = f.x.shape[1]
        return _squares(f) / outputs

    def backward(self, f: Frame) -> None:
        _square_slopes(f, 2 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        return [
            Eq("L", _average("mean(k, (x[n,k] - t[n,k])**2)", weighted), "mean over outputs, then over rows"),
            Eq("dx[n,k]", _share("2 * (x[n,k] - t[n,k]) / count(k<K)", weighted), "the square brings down a 2"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _values(cls())


class SquaredError(Loss):
    """The squared error, summed over outputs and averaged over rows; `factor` 0.5 is the textbooks' one half.

    Shapes   x, t: n k
    Source   SEMANTICS: factor sum_k (x - t)^2; Rumelhart, Hinton & Williams 1986, eq. 3, with factor 0.5
    """

    type: Literal["squared_error"] = "squared_error"
    factor: float = Field(1.0, description="what the squares are multiplied by: 1, or the textbooks' 0.5")
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")

    @field_validator("factor")
    @classmethod
    def _one_or_half(cls, value: float) -> float:
        if value not in (1, 0.5):
            raise ValueError("must be 1 or 0.5")
        return value

    def plan(self, x: Shape) -> Plan:
        _row(x, self.kind)
        consts = {"factor": self.factor}
        return Plan(y=x, scratch={"e": Slot((N, *x)), "rows": Slot((N,))}, consts=consts)

    def forward(self, f: Frame) -> float:
        return self.factor * _squares(f)

    def backward(self, f: Frame) -> None:
        _square_slopes(f, 2 * self.factor)

    def equations(self, weighted: bool) -> list[Eq]:
        return [
            Eq("L", _average("factor * sum(k, (x[n,k] - t[n,k])**2)", weighted), "sum over outputs, mean over rows"),
            Eq("dx[n,k]", _share("2 * factor * (x[n,k] - t[n,k])", weighted), "the square brings down a 2"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _values(cls())
        yield from _values(cls(factor=0.5))
        yield Sample({"type": "squared_error", "factor": 2}, error="1 or 0.5")


def _squares(f: Frame) -> float:
    """The mean over rows of the sum of squared errors."""
    np.subtract(f.x, f.t, out=f.e)
    np.multiply(f.e, f.e, out=f.e)
    np.add.reduce(f.e, 1, out=f.rows)
    return _mean(f.rows, f.w)


def _square_slopes(f: Frame, factor: float) -> None:
    """dx = factor (x - t), times each row's share in the mean."""
    np.subtract(f.x, f.t, out=f.dx)
    if f.w is None:
        np.multiply(f.dx, factor / len(f.x), out=f.dx)
    else:
        np.multiply(f.dx, factor, out=f.dx)
        np.multiply(f.dx, f.w[:, None], out=f.dx)


class BinaryCrossEntropy(Loss):
    """How surprising the labels are to probabilities sigmoid(x), for one label or several independent ones.

    Shapes   x (logits), t (0 to 1): n k
    Source   SEMANTICS: log1pexp(x) - x t, mean over outputs; as PyTorch's BCEWithLogitsLoss
    Numerics max(x, 0) - x t + log1p(e^-|x|): finite at any logit, exact where prediction and label agree
    """

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    link: ClassVar[Literal["identity", "sigmoid", "softmax"]] = "sigmoid"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        _row(x, self.kind)
        return Plan(y=x, scratch={"e": Slot((N, *x)), "s": Slot((N, *x)), "rows": Slot((N,))})

    def check(self, targets: Array) -> str:
        low, high = float(targets.min()), float(targets.max())
        if low < 0 or high > 1:
            return f"binary_cross_entropy takes targets between 0 and 1, and these run from {low:g} to {high:g}"
        return ""

    def forward(self, f: Frame) -> float:
        np.abs(f.x, out=f.e)
        np.negative(f.e, out=f.e)
        np.exp(f.e, out=f.e)
        np.log1p(f.e, out=f.e)
        np.maximum(f.x, 0, out=f.s)
        np.add(f.e, f.s, out=f.e)
        np.multiply(f.x, f.t, out=f.s)
        np.subtract(f.e, f.s, out=f.e)
        np.add.reduce(f.e, 1, out=f.rows)
        outputs: int = f.x.shape[1]
        return _mean(f.rows, f.w) / outputs

    def backward(self, f: Frame) -> None:
        stable.sigmoid(f.x, f.dx)
        np.subtract(f.dx, f.t, out=f.dx)
        if f.w is None:
            np.multiply(f.dx, 1 / f.x.size, out=f.dx)
        else:
            np.multiply(f.dx, 1 / f.x.shape[1], out=f.dx)
            np.multiply(f.dx, f.w[:, None], out=f.dx)

    def equations(self, weighted: bool) -> list[Eq]:
        return [
            Eq("p[n,k]", "1 / (1 + exp(-x[n,k]))", "the probability of label k"),
            Eq("L", _average("mean(k, log1pexp(x[n,k]) - x[n,k] * t[n,k])", weighted), "-t log p - (1-t) log(1-p)"),
            Eq("dx[n,k]", _share("(p[n,k] - t[n,k]) / count(k<K)", weighted), "sigmoid and cross-entropy together"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        labels = {"t": [[0.0, 1.0, 1.0], [1.0, 0.3, 0.0], [0.0, 0.0, 1.0]]}
        yield Sample(cls(), (3,), inputs=labels)
        yield Sample(cls(), (3,), inputs={**labels, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (1,), batch=1, inputs={"t": [[1.0]]}, note="one row, one output")
        huge = {"x": [[-800.0], [800.0], [40.0], [-40.0]], "t": [[0.0], [1.0], [0.0], [1.0]]}
        yield Sample(cls(), (1,), batch=4, inputs=huge, note="huge")
        yield Sample(cls(), (2, 2), error="compares rows of numbers, and the network ends in rows of shape (2, 2)")


class SoftmaxCrossEntropy(Loss):
    """How surprising the class is to probabilities softmax(x): the softmax is part of the loss.

    Shapes   x (logits), t (one-hot, or a distribution): n k
    Source   SEMANTICS: sum_k t_k (logsumexp(x) - x_k); Bridle 1990; as PyTorch's CrossEntropyLoss
    Numerics the row's maximum is subtracted before exp; worked in k n order, where a maximum over classes is fast
    """

    type: Literal["softmax_cross_entropy"] = "softmax_cross_entropy"
    targets: ClassVar[Literal["classes", "values"]] = "classes"
    link: ClassVar[Literal["identity", "sigmoid", "softmax"]] = "softmax"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        _row(x, self.kind)
        if x[0] == 1:
            raise ShapeError(
                "softmax_cross_entropy on one output: its softmax is always 1 and nothing can be learned",
                "end with one unit for each class, or use binary_cross_entropy",
            )
        (k,) = x
        row = Slot((N,))
        return Plan(
            y=x,
            keep={"e": Slot((k, N)), "total": row, "mass": row},
            scratch={"q": Slot((k, N)), "top": row, "rows": row},
        )

    def forward(self, f: Frame) -> float:
        np.copyto(f.e, f.x.T)
        np.maximum.reduce(f.e, 0, out=f.top)
        np.subtract(f.e, f.top, out=f.e)
        np.vecdot(f.e.T, f.t, out=f.top)  # sum_k t_k (x_k - max)
        np.exp(f.e, out=f.e)
        np.add.reduce(f.e, 0, out=f.total)
        np.add.reduce(f.t, 1, out=f.mass)
        np.log(f.total, out=f.rows)
        np.multiply(f.rows, f.mass, out=f.rows)
        np.subtract(f.rows, f.top, out=f.rows)
        return _mean(f.rows, f.w)

    def backward(self, f: Frame) -> None:
        np.divide(f.mass, f.total, out=f.top)
        np.multiply(f.e, f.top, out=f.q)
        np.subtract(f.q, f.t.T, out=f.q)
        np.multiply(f.q, 1 / len(f.x) if f.w is None else f.w, out=f.dx.T)

    def equations(self, weighted: bool) -> list[Eq]:
        return [
            Eq("lse[n]", "logsumexp(j, x[n,j])", "the logarithm of softmax's denominator"),
            Eq("p[n,k]", "exp(x[n,k] - lse[n])", "softmax: the probability of class k"),
            Eq("L", _average("sum(k, t[n,k] * (lse[n] - x[n,k]))", weighted), "-log p of the true class"),
            Eq("dx[n,k]", _share("p[n,k] * sum(j, t[n,j]) - t[n,k]", weighted), "softmax and cross-entropy together"),
            Eq("dp[n,k]", _share("-t[n,k] / p[n,k]", weighted), "slope of -t log p", detail="path"),
            Eq("J[n,j,k]", "p[n,j] * ((j == k) - p[n,k])", "slope of p_j by x_k", detail="path"),
            Eq("dx[n,k]", "sum(j, dp[n,j] * J[n,j,k])", "one path through each probability", detail="path"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        one_hot = {"t": np.eye(5)[[1, 4, 0]]}
        yield Sample(cls(), (5,), inputs=one_hot)
        yield Sample(cls(), (5,), inputs={**one_hot, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (3,), batch=2, inputs={"t": [[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]]}, note="distributions")
        yield Sample(cls(), (2,), batch=1, inputs={"t": [[0.0, 1.0]]}, note="one row")
        huge = {"x": [[800.0, -800.0, 0.0], [1.0, 1.0, 1.0]], "t": [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]}
        yield Sample(cls(), (3,), batch=2, inputs=huge, note="huge, and a tie")
        yield Sample(cls(), (1,), error="its softmax is always 1")
        yield Sample(cls(), (2, 2), error="compares rows of numbers, and the network ends in rows of shape (2, 2)")
