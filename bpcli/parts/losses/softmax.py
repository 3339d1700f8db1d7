"""Losses on logits that hold a softmax of their own; what they share stands in row_entropies.py."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from bpcli.family import Array, Frame, Link, Loss, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.losses.averaging import (
    ALWAYS_ONE,
    NOT_ROWS,
    average,
    check_several,
    losses,
    mean,
    over_rows,
    share,
)
from bpcli.parts.losses.class_weights import Alpha, ClassWeights, all_weights, weights_by_id
from bpcli.parts.losses.row_entropies import SOFTMAX, THROUGH_SOFTMAX, row_entropies, softmax_slope, softmax_slots

HUGE = {"x": [[800.0, -800.0, 0.0], [1.0, 1.0, 1.0]], "t": [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]}
THREE_CLASSES = (("0", 0.25), ("1", 3.0), ("2", 1.0))


class SoftmaxCrossEntropy(Loss):
    """How surprising the class is to probabilities softmax(x): the softmax is part of the loss.

    Shapes   x (logits), t (one-hot, or a distribution): n k
    Source   SEMANTICS: sum_k c_k t'_k (logsumexp(x) - x_k) with t' = (1-s) t + s/K, over the sum of the rows' class
             weights; Bridle 1990, Szegedy et al. 2016, section 7; as PyTorch's CrossEntropyLoss(weight,
             label_smoothing) for class ids (for distributions it divides by N, we by sum_nk c_k t_nk)
    Numerics the row's maximum is subtracted before exp; worked in k n order, where a maximum over classes is fast.
             Where the true class is sure, log1p of the sum of the others keeps the loss to where it underflows; the
             equation's lse - x has the digits of lse. The slope p - t has those of p. x - max is rounded: a class that
             lies d below the largest may lose d / 2 units of the last place, as its condition number d allows
    """

    type: Literal["softmax_cross_entropy"] = "softmax_cross_entropy"
    behind_link: ClassVar[str] = "cross_entropy"
    targets: ClassVar[Literal["classes", "values"]] = "classes"
    link: ClassVar[Link] = "softmax"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="the share of each label given to all classes alike")
    class_weights: ClassWeights = Field(
        None,
        description="how much a row of each class counts, by name (1 for the others), or balanced: as if equally many",
    )

    def with_classes(self, classes: tuple[str, ...], counts: tuple[int, ...]) -> Self:
        if self.class_weights is None:
            return self
        return self.model_copy(
            update={"class_weights": all_weights("class_weights", self.class_weights, classes, counts)}
        )

    @property
    def _spreads(self) -> bool:
        return bool(self.label_smoothing) or self.class_weights is not None

    def plan(self, x: Shape) -> Plan:
        check_several(x, self.kind, ALWAYS_ONE, "binary_cross_entropy")
        keep, scratch = softmax_slots(x)
        consts: dict[str, Any] = {}
        if self.label_smoothing:
            consts["s"] = self.label_smoothing
        if self._spreads:
            keep["u"] = Slot((N, *x))
        if self.class_weights is not None:
            keep |= {"weights": Slot(x), "norm": Slot(())}
            consts["c"] = np.array(weights_by_id(self.class_weights, x[0]))
        return Plan(y=x, keep=keep, scratch=scratch, consts=consts)

    def _spread(self, f: Frame) -> Array:
        """Returns c_k t'_k: the targets smoothed and weighed."""
        if not self._spreads:
            t: Array = f.t
            return t
        np.multiply(f.t, 1 - self.label_smoothing, out=f.u)
        np.add(f.u, self.label_smoothing / f.x.shape[1], out=f.u)
        if self.class_weights is not None:
            f.weights[...] = weights_by_id(self.class_weights, f.x.shape[1])
            np.matmul(f.t, f.weights, out=f.top)
            np.copyto(f.rows, f.top)
            f.norm[...] = mean(f.rows, f.w)
            np.multiply(f.u, f.weights, out=f.u)
        u: Array = f.u
        return u

    def forward(self, f: Frame) -> float:
        row_entropies(f, self._spread(f))
        loss = mean(f.rows, f.w)
        return loss if self.class_weights is None else loss / float(f.norm)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        if self.class_weights is None:
            return losses(f)
        weights = (f.t @ f.weights).astype(np.float64)
        return f.rows / weights, weights

    def backward(self, f: Frame) -> None:
        spread = f.u if self._spreads else f.t
        if self.class_weights is None:
            softmax_slope(f, spread, 1 / len(f.x) if f.w is None else f.w)
        elif f.w is None:
            softmax_slope(f, spread, 1 / (len(f.x) * float(f.norm)))
        else:
            softmax_slope(f, spread, np.divide(f.w, f.norm, out=f.log))

    def mean_weight(self, f: Frame) -> float:
        return 1.0 if self.class_weights is None else float(f.norm)

    def equations(self, weighted: bool) -> list[Eq]:
        found = list(SOFTMAX)
        target, why = "t", "-log p of the true class"
        if self.label_smoothing:
            found.append(Eq("smooth[n,k]", "(1 - s) * t[n,k] + s / count(k<K)", "a share s for all classes alike"))
            target, why = "smooth", "-log p, mostly of the true class"
        if self.class_weights is not None:
            found.append(Eq("u[n,k]", f"c[k] * {target}[n,k]", "each class counts by its weight"))
            target = "u"
        u = f"{target}[n,k]"
        cost, pull, by_p = f"sum(k, {u} * (lse[n] - x[n,k]))", f"p[n,k] * sum(j, {target}[n,j]) - {u}", f"-{u} / p[n,k]"
        together = "softmax and cross-entropy together"
        if self.class_weights is None:
            over = over_rows(weighted)
            loss = Eq("L", average(cost, weighted), f"{why}; mean {over}")
            slopes = [share(pull, weighted), share(by_p, weighted)]
        else:
            w = "w[n] * " if weighted else ""
            over = "over the sum of the rows' class weights, sum_n " + ("w_n c_y" if weighted else "c_y")
            found.append(
                Eq("norm", f"sum(n, {w}sum(k, c[k] * t[n,k]))", "what the rows weigh: each its class's weight")
            )
            loss = Eq("L", f"sum(n, {w}({cost})) / norm", f"{why}; mean {over}")
            slopes = [f"{w}({g}) / norm" for g in (pull, by_p)]
        return [
            *found,
            loss,
            Eq("dx[n,k]", slopes[0], together),
            Eq("dp[n,k]", slopes[1], "slope of -t log p", detail="path"),
            *THROUGH_SOFTMAX,
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        one_hot = {"t": np.eye(5)[[1, 4, 0]]}
        yield Sample(cls(), (5,), inputs=one_hot)
        yield Sample(cls(), (5,), inputs={**one_hot, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (3,), batch=2, inputs={"t": [[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]]}, note="distributions")
        yield Sample(cls(), (2,), batch=1, inputs={"t": [[0.0, 1.0]]}, note="one row")
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, note="huge, and a tie")
        four = {"t": np.eye(3)[[1, 2, 0, 1]]}
        yield Sample(cls(label_smoothing=0.1), (3,), batch=4, inputs=four, note="smoothed")
        weighed = cls(class_weights=THREE_CLASSES)
        yield Sample(weighed, (3,), batch=4, inputs=four, note="class weights")
        yield Sample(weighed, (3,), batch=2, inputs=HUGE, note="huge, with class weights")
        both = cls(class_weights=THREE_CLASSES, label_smoothing=0.2)
        yield Sample(both, (3,), batch=4, inputs=four, note="smoothed, class weights")
        yield Sample(
            both, (3,), batch=4, inputs={**four, "w": [0.1, 0.2, 0.3, 0.4]}, note="smoothed, weights of both kinds"
        )
        yield Sample(cls(), (1,), error=ALWAYS_ONE)
        yield Sample(cls(), (2, 2), error=NOT_ROWS)
        yield Sample(weighed, (4,), error="weights for 3 classes and 4 outputs")
        yield Sample({"type": "softmax_cross_entropy", "label_smoothing": 1.0}, error="less than 1")
        yield Sample({"type": "softmax_cross_entropy", "label_smoothing": -0.1}, error="greater than or equal to 0")
        zero: Any = {"oak": 0.0}
        yield Sample({"type": "softmax_cross_entropy", "class_weights": zero}, error="must be a number greater than 0")
        yield Sample({"type": "softmax_cross_entropy", "class_weights": [1, 2]}, error="a weight for each class")


class KLDivergence(Loss):
    """How far the distribution softmax(x) is from the one that is wanted; 0 where they are equal.

    Shapes   x (logits), t (distributions: rows of probabilities that sum to 1): n k
    Source   SEMANTICS: sum_k t_k (log t_k - log p_k), 0 log 0 = 0; Kullback & Leibler 1951; as PyTorch's
             KLDivLoss(reduction="batchmean") after log_softmax
    Numerics as softmax_cross_entropy's, and then the sum of t log t, which cancels near 0: there a change of t by one
             unit changes more than that
    """

    type: Literal["kl_divergence"] = "kl_divergence"
    link: ClassVar[Link] = "softmax"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def plan(self, x: Shape) -> Plan:
        check_several(x, self.kind, ALWAYS_ONE, "binary_cross_entropy")
        keep, scratch = softmax_slots(x)
        return Plan(y=x, keep=keep, scratch={**scratch, "h": Slot((N, *x))})

    def check(self, targets: Array) -> str:
        low, sums = float(targets.min()), targets.sum(1, dtype=np.float64)
        if low < 0:
            return f"kl_divergence takes probabilities, and the lowest of these targets is {low:g}"
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) <= 1.5e-3:  # rounding of three decimals
            return ""
        shown = ", ".join(f"{v:.6g}" for v in targets[worst][:6]) + (", ..." if targets.shape[1] > 6 else "")
        text = f"kl_divergence takes distributions, and the targets [{shown}] sum to {sums[worst]:.6g}"
        return f"{text}: divide each row by its sum"

    def forward(self, f: Frame) -> float:
        row_entropies(f, f.t)
        np.equal(f.t, 0, out=f.h)
        np.maximum(f.h, f.t, out=f.h)  # t, and 1 where t is 0
        np.log(f.h, out=f.h)
        np.multiply(f.h, f.t, out=f.h)
        np.add.reduce(f.h, 1, out=f.top)
        np.add(f.rows, f.top, out=f.rows)
        return mean(f.rows, f.w)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f)

    def backward(self, f: Frame) -> None:
        softmax_slope(f, f.t, 1 / len(f.x) if f.w is None else f.w)

    def equations(self, weighted: bool) -> list[Eq]:
        value = "sum(k, xlogy(t[n,k], t[n,k]) + t[n,k] * (lse[n] - x[n,k]))"
        pull = "p[n,k] * sum(j, t[n,j]) - t[n,k]"
        return [
            *SOFTMAX,
            Eq("L", average(value, weighted), f"t log(t / p), 0 log 0 being 0; mean {over_rows(weighted)}"),
            Eq("dx[n,k]", share(pull, weighted), "as of cross-entropy: t log t does not depend on x"),
            Eq("dp[n,k]", share("-t[n,k] / p[n,k]", weighted), "slope of -t log p", detail="path"),
            *THROUGH_SOFTMAX,
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        t = {"t": [[0.2, 0.5, 0.3], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]]}
        yield Sample(cls(), (3,), inputs=t)
        yield Sample(cls(), (3,), inputs={**t, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(), (2,), batch=1, inputs={"t": [[0.25, 0.75]]}, note="one row")
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, note="huge, and a tie")
        yield Sample(cls(), (1,), error=ALWAYS_ONE)
        yield Sample(cls(), (2, 2), error=NOT_ROWS)


class Focal(Loss):
    """Cross-entropy that attends to hard rows: a row whose class was held likely, q near 1, counts (1 - q)^gamma.

    Shapes   x (logits), t (one-hot): n k
    Source   Lin et al. 2017, eq. 5, with softmax in place of sigmoid; alpha one factor, or one for each class. The mean
             is over the N rows, as SEMANTICS says (the paper divides by its number of assigned boxes)
    Numerics 1 - q is the sum of the other probabilities, and log q the loss of softmax_cross_entropy: nothing cancels
             as q nears 1, where the quotient q ln q / (1 - q) is -1. 1 - q comes in gamma + 1 times, and its error with
             it: up to 7 units of the last place in the slope where gamma is 2
    """

    type: Literal["focal"] = "focal"
    targets: ClassVar[Literal["classes", "values"]] = "classes"
    link: ClassVar[Link] = "softmax"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    gamma: float = Field(2.0, ge=0, description="how little easy rows count; 0 is cross-entropy")
    alpha: Alpha = Field(
        1.0, description="a factor for all rows, or for each class by name (1 for the others), or balanced"
    )

    def with_classes(self, classes: tuple[str, ...], counts: tuple[int, ...]) -> Self:
        if isinstance(self.alpha, float):
            return self
        return self.model_copy(update={"alpha": all_weights("alpha", self.alpha, classes, counts)})

    @property
    def weighs_classes(self) -> bool:
        return not isinstance(self.alpha, float)

    def plan(self, x: Shape) -> Plan:
        check_several(x, self.kind, ALWAYS_ONE, "binary_cross_entropy")
        keep, scratch = softmax_slots(x)
        row = Slot((N,))
        keep |= {"others": keep["e"], "rest": row, "lnq": row, "factor": row}
        consts: dict[str, Any] = {"gamma": self.gamma}
        if isinstance(self.alpha, float):
            consts["alpha"] = self.alpha
        else:
            consts["c"] = np.array(weights_by_id(self.alpha, x[0]))
            keep["weights"] = Slot(x)
        return Plan(y=x, keep=keep, scratch={**scratch, "flag": Slot((N,), "bool")}, consts=consts)

    def forward(self, f: Frame) -> float:
        row_entropies(f, f.t)
        np.negative(f.rows, out=f.lnq)
        np.multiply(f.e, f.t.T, out=f.q)
        np.subtract(f.e, f.q, out=f.others)
        np.add(f.below, 1, out=f.top)
        np.divide(f.others, f.top, out=f.others)
        np.add.reduce(f.others, 0, out=f.rest)  # 1 - q
        np.power(f.rest, self.gamma, out=f.factor)
        if isinstance(self.alpha, float):
            np.multiply(f.factor, self.alpha, out=f.factor)
        else:
            f.weights[...] = weights_by_id(self.alpha, f.x.shape[1])
            np.matmul(f.t, f.weights, out=f.top)
            np.multiply(f.factor, f.top, out=f.factor)
        np.multiply(f.rows, f.factor, out=f.rows)
        return mean(f.rows, f.w)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return losses(f)

    def backward(self, f: Frame) -> None:
        np.exp(f.lnq, out=f.top)
        np.multiply(f.top, f.lnq, out=f.top)
        np.equal(f.rest, 0, out=f.flag)
        np.copyto(f.top, -1, where=f.flag)
        np.copyto(f.log, f.rest)
        np.copyto(f.log, 1, where=f.flag)
        np.divide(f.top, f.log, out=f.top)  # q ln q / (1 - q)
        np.multiply(f.top, self.gamma, out=f.top)
        np.subtract(f.top, 1, out=f.top)
        np.multiply(f.top, f.factor, out=f.top)
        np.multiply(f.top, 1 / len(f.x) if f.w is None else f.w, out=f.top)
        np.multiply(f.t.T, f.rest, out=f.q)
        np.subtract(f.q, f.others, out=f.q)  # slope of ln q by x
        np.multiply(f.q, f.top, out=f.dx.T)

    def equations(self, weighted: bool) -> list[Eq]:
        alpha = "alpha" if isinstance(self.alpha, float) else "a[n]"
        found = list(SOFTMAX)
        if alpha == "a[n]":
            found.append(Eq("a[n]", "sum(k, c[k] * t[n,k])", "the factor of the true class"))
        log = "where(rest[n] < 1 / 2, log1p(-rest[n]), sum(k, t[n,k] * (x[n,k] - lse[n])))"
        quotient = "where(rest[n] == 0, -1, exp(lnq[n]) * lnq[n] / rest[n])"
        by_q = f"{alpha} * (gamma * rest[n]**(gamma - 1) * lnq[n] - rest[n]**gamma / exp(lnq[n]))"
        pull = f"{alpha} * rest[n]**gamma * (gamma * quotient[n] - 1) * (t[n,k] - p[n,k])"
        return [
            *found,
            Eq("rest[n]", "sum(k, (1 - t[n,k]) * p[n,k])", "1 - q: the probability of all other classes"),
            Eq("lnq[n]", log, "ln q, the logarithm of the true class's probability"),
            Eq("L", average(f"-{alpha} * rest[n]**gamma * lnq[n]", weighted),
               f"-(1-q)^gamma ln q; mean {over_rows(weighted)}"),
            Eq("quotient[n]", quotient, "q ln q / (1 - q), which is -1 at q = 1"),
            Eq("dx[n,k]", share(pull, weighted), "cross-entropy's pull, times how hard the row is"),
            Eq("dq[n]", share(by_q, weighted), "product rule: slope of -(1-q)^gamma ln q", detail="path"),
            Eq("dx[n,k]", "dq[n] * exp(lnq[n]) * (t[n,k] - p[n,k])", "times the slope of q by x_k", detail="path"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        one_hot = {"t": np.eye(4)[[1, 3, 0]]}
        yield Sample(cls(), (4,), inputs=one_hot)
        yield Sample(cls(gamma=0.5, alpha=0.25), (4,), inputs={**one_hot, "w": [0.5, 0.2, 0.3]}, note="sample weights")
        yield Sample(cls(gamma=0.0), (4,), inputs=one_hot, note="gamma 0, cross-entropy")
        by_name = cls(gamma=1.0, alpha=THREE_CLASSES)
        yield Sample(by_name, (3,), batch=4, inputs={"t": np.eye(3)[[1, 2, 0, 1]]}, note="alpha by class")
        yield Sample(cls(), (2,), batch=1, inputs={"t": [[0.0, 1.0]]}, note="one row")
        sure = {"x": [[38.0, 0.0, -1.0], [900.0, 0.0, 0.0], [0.2, 0.1, 0.0]], "t": np.eye(3)[[0, 0, 0]]}
        yield Sample(cls(gamma=1.5), (3,), inputs=sure, note="huge on the right side: q is 1")
        yield Sample(cls(), (3,), batch=2, inputs=HUGE, note="huge, and a tie")
        yield Sample({"type": "focal", "gamma": -1.0}, error="greater than or equal to 0")
        yield Sample({"type": "focal", "alpha": 0.0}, error="must be a number greater than 0")
        yield Sample(by_name, (4,), error="weights for 3 classes and 4 outputs")
        yield Sample(cls(), (1,), error=ALWAYS_ONE)
        yield Sample(cls(), (2, 2), error=NOT_ROWS)
