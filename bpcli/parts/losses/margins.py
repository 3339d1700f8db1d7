"""Losses of support vector machines: scores have to clear a margin of 1, and what clears it costs nothing."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Array, Frame, Link, Loss, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.losses.averaging import (
    NOT_ROWS,
    ROWS,
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

HUGE = {"x": [[800.0, -800.0, 800.0], [-800.0, 1e-12, 40.0]], "t": [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]}
TIES = {"x": [[1.0, -1.0, 1.0], [-1.0, 0.0, 2.0]], "t": [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]}


class LabelHinge(Loss):
    """A loss of scores of labels, one or several, from what each falls short of a margin of 1 on its label's side."""

    link: ClassVar[Link] = "margin"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    cost: ClassVar[str]
    slope: ClassVar[Eq]

    def plan(self, x: Shape) -> Plan:
        check_row(x, self.kind)
        slots = {"s": Slot((N, *x)), "m": Slot((N, *x))}
        return Plan(y=x, keep=slots, scratch=row_loss_slots(x))

    def check(self, targets: Array) -> str:
        invalid = targets[(targets != 0) & (targets != 1)]
        if not invalid.size:
            return ""
        text = f"{self.kind} takes targets 0 and 1, and these hold {invalid[0]:g}"
        return f"{text}: write 0 in its place" if (invalid == -1).all() else text

    def shortfall(self, f: Frame) -> None:
        """Writes f.s, the label as -1 or 1, and f.m, by how much its score falls short of the margin."""
        np.multiply(f.t, 2, out=f.s)
        np.subtract(f.s, 1, out=f.s)
        np.multiply(f.s, f.x, out=f.m)
        np.subtract(1, f.m, out=f.m)
        np.maximum(f.m, 0, out=f.m)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f, 1 / f.x.shape[1])

    def equations(self, weighted: bool) -> list[Eq]:
        why = f"mean over outputs, then {over_rows(weighted)}"
        return [
            Eq("s[n,k]", "2 * t[n,k] - 1", "the side of the label: -1 or 1"),
            Eq("L", average(f"mean(k, {self.cost})", weighted), why),
            Eq(self.slope.left, share(self.slope.right, weighted), self.slope.why),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        labels = {"t": [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]}
        yield Sample(cls(), (3,), inputs=labels)
        yield Sample(cls(), (3,), inputs={**labels, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (1,), batch=1, inputs={"x": [[0.3]], "t": [[1.0]]}, note="one row, one output")
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, note="huge")
        yield Sample(cls(), (3,), batch=2, inputs=TIES, kinks=(-1.0, 1.0), note="ties")
        yield Sample(cls(), (2, 2), error=NOT_ROWS)


class Hinge(LabelHinge):
    """By how much scores fall short of a margin of 1 on their label's side; one label or several.

    Shapes   x (scores, positive for label 1), t (0 or 1): n k
    Source   SEMANTICS: max(0, 1 - s x), s = 2 t - 1, mean over outputs; Cortes & Vapnik 1995; the slope at s x = 1 is 0
    """

    type: Literal["hinge"] = "hinge"
    cost: ClassVar[str] = "max(0, 1 - s[n,k] * x[n,k])"
    slope: ClassVar[Eq] = Eq(
        "dx[n,k]",
        "-s[n,k] * (s[n,k] * x[n,k] < 1) / count(k<K)",
        "towards the label's side, until the margin is cleared",
    )

    def forward(self, f: Frame) -> float:
        self.shortfall(f)
        np.copyto(f.e, f.m)
        return mean_cost(f)

    def backward(self, f: Frame) -> None:
        np.sign(f.m, out=f.dx)
        np.multiply(f.dx, f.s, out=f.dx)
        slope(f, -1 / f.x.shape[1])


class SquaredHinge(LabelHinge):
    """The square of what scores fall short of a margin of 1 on their label's side; one label or several.

    Shapes   x (scores, positive for label 1), t (0 or 1): n k
    Source   SEMANTICS: max(0, 1 - s x)^2, s = 2 t - 1, mean over outputs; the L2-SVM of Tang 2013
    """

    type: Literal["squared_hinge"] = "squared_hinge"
    cost: ClassVar[str] = "max(0, 1 - s[n,k] * x[n,k])**2"
    slope: ClassVar[Eq] = Eq(
        "dx[n,k]",
        "-2 * s[n,k] * max(0, 1 - s[n,k] * x[n,k]) / count(k<K)",
        "the square brings down a 2; 0 once the margin is cleared",
    )

    def forward(self, f: Frame) -> float:
        self.shortfall(f)
        np.multiply(f.m, f.m, out=f.e)
        return mean_cost(f)

    def backward(self, f: Frame) -> None:
        np.multiply(f.m, f.s, out=f.dx)
        slope(f, -2 / f.x.shape[1])


class MulticlassHinge(Loss):
    """By how much the true class's score fails to lead the best rival's by 1; of equal rivals the first counts.

    Shapes   x (scores), t (one-hot): n k
    Source   Crammer & Singer 2001, section 3; the slope where the lead is exactly 1 is 0. Keras' categorical_hinge lets
             the true class be its own rival with score 0, which is another loss
    """

    type: Literal["multiclass_hinge"] = "multiclass_hinge"
    targets: ClassVar[Literal["classes", "values"]] = "classes"
    link: ClassVar[Link] = "margin"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        check_several(x, self.kind, "there is no rival", "hinge")
        row = Slot((N,))
        keep = {"xi": row, "rival": Slot((N,), "int")}
        return Plan(y=x, keep=keep, scratch={"e": Slot((N, *x)), "own": Slot((N, *x), "bool"), "rows": ROWS})

    def forward(self, f: Frame) -> float:
        np.equal(f.t, 1, out=f.own)
        np.copyto(f.e, f.x)
        np.copyto(f.e, -np.inf, where=f.own)
        np.argmax(f.e, 1, out=f.rival)
        np.maximum.reduce(f.e, 1, out=f.xi)
        np.multiply(f.x, f.t, out=f.e)
        np.add.reduce(f.e, 1, out=f.rows)
        np.subtract(f.xi, f.rows, out=f.xi)
        np.add(f.xi, 1, out=f.xi)
        np.maximum(f.xi, 0, out=f.xi)
        np.copyto(f.rows, f.xi)
        return mean(f.rows, f.w)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f)

    def backward(self, f: Frame) -> None:
        np.equal(f.rival[:, None], np.arange(f.x.shape[1]), out=f.dx)
        np.subtract(f.dx, f.t, out=f.dx)
        np.sign(f.xi, out=f.rows)
        np.multiply(f.rows, 1 / len(f.x) if f.w is None else f.w, out=f.rows)
        np.multiply(f.dx, f.rows[:, None], out=f.dx)

    def equations(self, weighted: bool) -> list[Eq]:
        rivals = "where(t[n,k] == 1, -inf, x[n,k])"
        slope = "(xi[n] > 0) * ((k == rival[n]) - t[n,k])"
        return [
            Eq("rival[n]", f"argmax(k, {rivals})", "the other class with the highest score"),
            Eq("best[n]", f"max(k, {rivals})", "that score"),
            Eq(
                "xi[n]",
                "max(0, 1 + best[n] - sum(k, t[n,k] * x[n,k]))",
                "what the true class falls short of leading by 1",
            ),
            Eq("L", average("xi[n]", weighted), f"mean {over_rows(weighted)}"),
            Eq("dx[n,k]", share(slope, weighted), "the rival down, the true class up, until it leads by 1"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        one_hot = {"t": np.eye(5)[[1, 4, 0]]}
        yield Sample(cls(), (5,), inputs=one_hot)
        yield Sample(cls(), (5,), inputs={**one_hot, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (2,), batch=1, inputs={"x": [[0.25, 0.5]], "t": [[0.0, 1.0]]}, note="one row")
        huge = {"x": [[800.0, -800.0, 0.0], [1.0, 40.0, 800.0]], "t": [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}
        yield Sample(cls(), (3,), batch=2, inputs=huge, note="huge")
        ties = {"x": [[2.0, 2.0, 2.0], [1.0, 2.0, 1.0], [0.5, 2.0, 2.0]], "t": np.eye(3)[[2, 1, 0]]}
        yield Sample(cls(), (3,), inputs=ties, kinks=(1.0, 2.0), note="ties between rivals, and a lead of exactly 1")
        yield Sample(cls(), (1,), error="there is no rival")
        yield Sample(cls(), (2, 2), error=NOT_ROWS)
