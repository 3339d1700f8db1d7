"""L-BFGS: Newton's direction from the last few steps, and a line search along it."""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Frame, FullBatchOptimizer, ObjectiveView, Sample, Slot
from bpcli.notation import Eq
from bpcli.numeric.vectors import EPS


class LinePoint(NamedTuple):
    """A point of a line: how far along, the objective there, and its slope along the line."""

    at: float
    value: float
    slope: float


class Lbfgs(FullBatchOptimizer):
    """Newton's step without second derivatives: the curvature is read off the last `pairs` steps, the length is sought.

    All rows make one iteration, which looks at the objective once or twice. It ends where no entry of the gradient is
    larger than `tolerance`, or where no step against the gradient lowers the objective any more.

    Shapes   w, g, d: j; S (steps) and Y (changes of the gradient): i j, the newest pair last, 0 where there is none yet
    Source   Nocedal & Wright 2006: direction algorithm 7.4, first matrix eq. 7.20, lengths algorithms 3.5 and 3.6. The
             first step is tried at length 1 at most; a pair with s.y <= eps y.y is left out. As SciPy's L-BFGS-B
             (without bounds), which scikit-learn's solver lbfgs is
    Numerics the next point of a line is the minimum of the cubic through two points, kept off both ends; where the
             objective is not finite the line is halved. Where the direction leads nowhere the pairs are forgotten once
    """

    type: Literal["lbfgs"] = "lbfgs"
    reported: ClassVar[tuple[str, ...]] = ("alpha",)
    pairs: int = Field(10, ge=1, le=100, description="how many steps it remembers")
    c1: float = Field(1e-4, gt=0, lt=1, description="the share of the promised descent that a step has to bring")
    c2: float = Field(0.9, gt=0, lt=1, description="the share of the slope that may be left where a step ends")
    max_evaluations: int = Field(25, ge=1, description="how often a step may look at the objective")
    tolerance: float = Field(1e-7, ge=0, description="the largest entry of a gradient that counts as 0")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.c1 >= self.c2:
            raise PydanticCustomError("wolfe", "`c1` has to be smaller than `c2`: else no length may satisfy both")
        return self

    def state(self, size: int) -> Mapping[str, Slot]:
        return {
            "S": Slot((self.pairs, size)),
            "Y": Slot((self.pairs, size)),
            "kept": Slot((), limits=(0, self.pairs), whole=True),
        }

    def work(self, size: int) -> Mapping[str, Slot]:
        return {**dict.fromkeys(("d", "start", "slope", "u"), Slot((size,))), "share": Slot((self.pairs,))}

    def search(self, f: Frame, objective: ObjectiveView, t: int) -> str:
        np.copyto(f.start, f.w)
        np.copyto(f.slope, f.g)
        np.abs(f.slope, out=f.u)
        if f.u.max() <= self.tolerance:
            return f"no entry of the gradient is larger than {self.tolerance:g}"
        for _ in range(2 if f.kept else 1):
            self._descent_direction(f)
            if self._line_search(f, objective):
                self._store_pair(f)
                return ""
            for slot in (f.S, f.Y, f.kept):
                slot.fill(0)
        np.copyto(f.w, f.start)
        return "no step against the gradient lowers the loss any more"

    def _descent_direction(self, f: Frame) -> None:
        """Computes d = -H g, by the two loops."""
        np.negative(f.slope, out=f.d)
        newest, oldest = self.pairs - 1, self.pairs - int(f.kept)
        for i in range(newest, oldest - 1, -1):
            f.share[i] = np.dot(f.S[i], f.d) / np.dot(f.S[i], f.Y[i])
            np.multiply(f.Y[i], f.share[i], out=f.u)
            np.subtract(f.d, f.u, out=f.d)
        if f.kept:
            np.multiply(f.d, np.dot(f.S[newest], f.Y[newest]) / np.dot(f.Y[newest], f.Y[newest]), out=f.d)
        for i in range(oldest, newest + 1):
            again = np.dot(f.Y[i], f.d) / np.dot(f.S[i], f.Y[i])
            np.multiply(f.S[i], f.share[i] - again, out=f.u)
            np.add(f.d, f.u, out=f.d)

    def _line_search(self, f: Frame, objective: ObjectiveView) -> bool:
        """Moves along d to a point that satisfies both conditions or, after many evaluations, to the lowest that
        satisfies the first. Returns whether there was any."""
        start = low = LinePoint(0.0, f.value, float(np.dot(f.slope, f.d)))
        if not -math.inf < start.slope < 0:
            return False
        high: LinePoint | None = None  # no such point lies beyond it
        at = 1.0 if f.kept else min(1.0, 1 / math.sqrt(-start.slope))
        for _ in range(self.max_evaluations):
            here = self._evaluate(f, objective, at)
            bound = start.value + self.c1 * at * start.slope
            if not here.value <= bound or (here.value >= low.value and low.at > 0):
                high = here
            elif abs(here.slope) <= -self.c2 * start.slope:
                return self._accept(f, here)
            else:
                if here.slope * (1.0 if high is None else high.at - low.at) >= 0:
                    high = low
                low = here
            at = _next_length(low, high, start)
            if at == low.at or (high is not None and at == high.at):
                break  # there is no number between them
        if low.value < start.value:
            return self._accept(f, self._evaluate(f, objective, low.at))
        return False

    def _evaluate(self, f: Frame, objective: ObjectiveView, at: float) -> LinePoint:
        """Moves the weights to a point of the line. Returns the objective and its slope there."""
        np.multiply(f.d, at, out=f.u)
        np.add(f.start, f.u, out=f.w)
        value = objective.value()
        if value == math.inf:
            return LinePoint(at, value, math.nan)
        np.copyto(f.u, f.g)
        return LinePoint(at, value, float(np.dot(f.u, f.d)))

    def _accept(self, f: Frame, here: LinePoint) -> bool:
        f.rate = f.alpha = here.at
        return True

    def _store_pair(self, f: Frame) -> None:
        """Stores the pair of this step in place of the oldest; overwrites start and slope."""
        np.subtract(f.w, f.start, out=f.start)
        np.subtract(f.g, f.slope, out=f.slope)
        if not np.dot(f.start, f.slope) > EPS * np.dot(f.slope, f.slope):
            return
        for rows, newest in ((f.S, f.start), (f.Y, f.slope)):
            for i in range(self.pairs - 1):
                rows[i] = rows[i + 1]
            rows[-1] = newest
        f.kept[...] = min(int(f.kept) + 1, self.pairs)

    def equations(self) -> list[Eq]:
        m, last = self.pairs, self.pairs - 1
        found = [
            Eq(f"rho[i<{m}]", "where(sum(j, S[i,j] * Y[i,j]) > 0, 1 / sum(j, S[i,j] * Y[i,j]), 0)", "0: no pair"),
            Eq("gamma", f"where(rho[{last}] > 0, 1 / (rho[{last}] * sum(j, Y[{last},j]**2)), 1)", "eq. 7.20"),
            Eq("H0[j<P,k<P]", "gamma * (j == k)", "the first guess of the inverse of the second derivatives"),
        ]
        for i in range(m):
            found += [
                Eq(f"V{i}[j,k]", f"(j == k) - rho[{i}] * Y[{i},j] * S[{i},k]", "eq. 7.17"),
                Eq(f"H{i + 1}[j,k]", f"sum(a, b, V{i}[a,j] * H{i}[a,b] * V{i}[b,k]) + rho[{i}] * S[{i},j]"
                   f" * S[{i},k]", f"eq. 7.16: what pair {i} says of it"),
            ]  # fmt: skip
        return [
            *found,
            Eq("d[j]", f"-sum(k, H{m}[j,k] * g[k])", "Newton's direction"),
            Eq("w_new[j]", "w[j] + alpha * d[j]", "alpha: what the line search found"),
            Eq("descends", "L_new <= L + c1 * alpha * sum(j, g[j] * d[j])", "eq. 3.7a: lower by a share of the slope"),
            Eq("flattens", "abs(sum(j, g_new[j] * d[j])) <= c2 * abs(sum(j, g[j] * d[j]))", "eq. 3.7b: near a minimum"),
            Eq("s[j]", "w_new[j] - w[j]", "the step"),
            Eq("y[j]", "g_new[j] - g[j]", "what it did to the gradient"),
            Eq("fits", "where(sum(j, s[j] * y[j]) > eps * sum(j, y[j]**2), 1, 0)", "curved upwards: worth remembering"),
            Eq("S_new[i,j]", f"where(fits, where(i < {last}, pad(S[i + 1,j]), s[j]), S[i,j])", "the oldest goes"),
            Eq("Y_new[i,j]", f"where(fits, where(i < {last}, pad(Y[i + 1,j]), y[j]), Y[i,j])", "the oldest goes"),
            Eq("kept_new", f"where(fits, min(kept + 1, {m}), kept)", "how many pairs there are"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"c1": self.c1, "c2": self.c2, "eps": EPS}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(pairs=3), (3,), note="the first step", inputs={"before": 0})
        yield Sample(cls(pairs=3), (3,), note="pairs and room", inputs={"before": 2})
        yield Sample(cls(pairs=2), (3,), note="the oldest pair goes", inputs={"before": 5})
        yield Sample(cls(pairs=4, c2=0.1), (3,), note="a sharp line search", inputs={"before": 6})
        yield Sample({"type": "lbfgs", "pairs": 0}, error="greater than or equal to 1")
        yield Sample({"type": "lbfgs", "c1": 0.5, "c2": 0.4}, error="`c1` has to be smaller than `c2`")
        yield Sample({"type": "lbfgs", "c2": 1.0}, error="less than 1")
        yield Sample({"type": "lbfgs", "learning_rate": 0.1}, error="Extra inputs")


def _next_length(low: LinePoint, high: LinePoint | None, start: LinePoint) -> float:
    """Returns where on the line to look next: beyond `low` where nothing bounds it, else between the two."""
    if high is None:
        guess = _cubic_minimum(start, low)
        return min(max(guess, 2 * low.at), 10 * low.at) if math.isfinite(guess) else 10 * low.at
    width = high.at - low.at
    guess = _cubic_minimum(low, high)
    near, far = sorted((low.at + width / 10, high.at - width / 10))
    return min(max(guess, near), far) if math.isfinite(guess) else low.at + width / 2


def _cubic_minimum(a: LinePoint, b: LinePoint) -> float:
    """Returns the minimum of the cubic through two points with their slopes (Nocedal & Wright, eq. 3.59); nan where it
    has none."""
    one = a.slope + b.slope - 3 * (a.value - b.value) / (a.at - b.at)
    square = one * one - a.slope * b.slope
    if not square >= 0:
        return math.nan
    two = math.copysign(math.sqrt(square), b.at - a.at)
    below = b.slope - a.slope + 2 * two
    return b.at - (b.at - a.at) * (b.slope + two - one) / below if below else math.nan
