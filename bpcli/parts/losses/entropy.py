"""Cross-entropy: how surprising the labels are to what the network holds likely. (That of softmax: softmax.py.)"""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Array, Frame, Link, Loss, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.numeric import stable
from bpcli.parts.losses.averaging import (
    ALWAYS_ONE,
    NOT_ROWS,
    average,
    check_row,
    check_several,
    losses,
    mean,
    mean_cost,
    over_rows,
    row_loss_slots,
    share,
    slope,
)


class BinaryCrossEntropy(Loss):
    """How surprising the labels are to probabilities sigmoid(x), for one label or several independent ones.

    Shapes   x (logits), t (0 to 1): n k
    Source   SEMANTICS: log1pexp(x) - x t, that is t log1pexp(-x) + (1 - t) log1pexp(x), mean over outputs; as PyTorch's
             BCEWithLogitsLoss
    Numerics log1p(g) + x h with g = e^-|x| and h = 1 - t where x is positive, else -t: finite at any logit, and nothing
             cancels, as both terms are positive. The slope h -+ g / (1 + g) cancels only where sigmoid(x) is near a t
             between 0 and 1; the equations say p - t, whose digits are those of 1
    """

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    link: ClassVar[Link] = "sigmoid"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        slot = Slot((N, *x))
        return Plan(y=x, keep={"g": slot, "h": slot}, scratch={**row_loss_slots(x), "s": slot})

    def check(self, targets: Array) -> str:
        low, high = float(targets.min()), float(targets.max())
        if low < 0 or high > 1:
            return f"binary_cross_entropy takes targets between 0 and 1, and these run from {low:g} to {high:g}"
        return ""

    def forward(self, f: Frame) -> float:
        stable.exp_minus_abs(f.x, f.g)
        np.signbit(f.x, out=f.h)
        np.subtract(1, f.h, out=f.h)
        np.subtract(f.h, f.t, out=f.h)
        np.log1p(f.g, out=f.e)
        np.multiply(f.x, f.h, out=f.s)
        np.add(f.e, f.s, out=f.e)
        return mean_cost(f)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def backward(self, f: Frame) -> None:
        np.add(f.g, 1, out=f.s)
        np.divide(f.g, f.s, out=f.s)
        np.copysign(f.s, f.x, out=f.s)  # what sigmoid(x) lacks to 1 where x is positive, else less what it is above 0
        np.subtract(f.h, f.s, out=f.dx)
        slope(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"-t log p - (1-t) log(1-p); mean over outputs, then {over_rows(weighted)}"
        cost = "mean(k, t[n,k] * log1pexp(-x[n,k]) + (1 - t[n,k]) * log1pexp(x[n,k]))"
        by_p = "(p[n,k] - t[n,k]) / (p[n,k] * (1 - p[n,k])) / count(k<K)"
        return [
            Eq("p[n,k]", "1 / (1 + exp(-x[n,k]))", "the probability of label k"),
            Eq("L", average(cost, weighted), why),
            Eq("dx[n,k]", share("(p[n,k] - t[n,k]) / count(k<K)", weighted), "sigmoid and cross-entropy together"),
            Eq("dp[n,k]", share(by_p, weighted), "slope of -t log p - (1-t) log(1-p)", detail="path"),
            Eq("dx[n,k]", "dp[n,k] * p[n,k] * (1 - p[n,k])", "times the slope of sigmoid", detail="path"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        labels = {"t": [[0.0, 1.0, 1.0], [1.0, 0.3, 0.0], [0.0, 0.0, 1.0]]}
        yield Sample(cls(), (3,), inputs=labels)
        yield Sample(cls(), (3,), inputs={**labels, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (1,), batch=1, inputs={"t": [[1.0]]}, note="one row, one output")
        huge = {"x": [[-800.0], [800.0], [40.0], [-40.0]], "t": [[0.0], [1.0], [0.0], [1.0]]}
        yield Sample(cls(), (1,), batch=4, inputs=huge, note="huge")
        yield Sample(cls(), (2, 2), error=NOT_ROWS)


class CrossEntropy(Loss):
    """How surprising the class is to probabilities x, as a softmax layer gives them.

    Shapes   x (probabilities), t (one-hot, or a distribution): n k
    Source   SEMANTICS: -sum_k t_k log x_k; Bridle 1990. A class with t = 0 costs nothing and pulls nothing
    Numerics exact: nothing is clipped, so a true class of probability 0 costs infinitely much. On logits,
             softmax_cross_entropy is the same loss and does not get there
    """

    type: Literal["cross_entropy"] = "cross_entropy"
    targets: ClassVar[Literal["classes", "values"]] = "classes"
    link: ClassVar[Link] = "probabilities"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        check_several(x, self.kind, ALWAYS_ONE, "binary_cross_entropy")
        return Plan(y=x, keep={"s": Slot((N, *x))}, scratch=row_loss_slots(x))

    def forward(self, f: Frame) -> float:
        np.equal(f.t, 0, out=f.s)
        np.maximum(f.x, f.s, out=f.s)  # x, and at least 1 where t is 0: neither its log nor its quotient matters there
        np.log(f.s, out=f.e)
        np.multiply(f.e, f.t, out=f.e)
        np.add.reduce(f.e, 1, out=f.rows)
        return -mean(f.rows, f.w)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, -1.0)

    def backward(self, f: Frame) -> None:
        np.divide(f.t, f.s, out=f.dx)
        slope(f, -1)

    def equations(self, weighted: bool) -> list[Eq]:
        pull = "where(t[n,k] == 0, 0, -t[n,k] / x[n,k])"
        return [
            Eq("L", average("-sum(k, xlogy(t[n,k], x[n,k]))", weighted), f"-t log p; mean {over_rows(weighted)}"),
            Eq("dx[n,k]", share(pull, weighted), "the less likely the true class was held, the stronger"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        p = [[0.2, 0.5, 0.3], [0.9, 0.04, 0.06], [0.1, 0.1, 0.8]]
        one_hot = np.eye(3)[[1, 2, 0]]
        yield Sample(cls(), (3,), inputs={"x": p, "t": one_hot})
        yield Sample(cls(), (3,), inputs={"x": p, "t": one_hot, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        mixed = {"x": p[:2], "t": [[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]]}
        yield Sample(cls(), (3,), batch=2, inputs=mixed, note="distributions")
        yield Sample(cls(), (2,), batch=1, inputs={"x": [[0.25, 0.75]], "t": [[1.0, 0.0]]}, note="one row")
        yield Sample(cls(), (1,), error=ALWAYS_ONE)
        yield Sample(cls(), (2, 2), error=NOT_ROWS)
