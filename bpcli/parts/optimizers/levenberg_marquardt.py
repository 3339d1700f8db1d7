"""Levenberg and Marquardt's method: Gauss and Newton's step for sums of squares, damped."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, FullBatchOptimizer, ObjectiveView, Sample, Slot
from bpcli.notation import Eq

ROWS_PER_BLOCK = 256
"""Rows of the Jacobian at a time: their products add up, so that it never has to be held as a whole."""

MIN_DAMPING = 1e-20
"""The smallest mu: from there it can still rise."""


class LevenbergMarquardt(FullBatchOptimizer):
    """Takes the network as linear in its weights and solves for the least squares, not trusting that far from here.

    For squared errors and small networks: it solves for all weights at once, and holds matrices of weights x weights.
    The damping mu falls after a step that lowers the loss and rises until one does. It ends where no entry of the
    gradient is larger than `tolerance`, or where mu passes `max_damping`. The rate it reports is 1 / mu: for large mu
    the step is that of gradient descent.

    Shapes   w, g, d, b, bend: j; J: i j, a row for every output of every row; e (outputs less targets): i; A: j k
    Source   Levenberg 1944; Marquardt 1963, section 2, with mu I as Hagan & Menhaj 1994, eqs. 11-15, and MATLAB's
             trainlm (Marquardt scales it by the diagonal of J'J). A penalty l2 is exact: its curvature stands in A
    Numerics J'J is added up in blocks of rows, in float64; a matrix that cannot be solved counts as a step that fails
    """

    type: Literal["levenberg_marquardt"] = "levenberg_marquardt"
    least_squares: ClassVar[bool] = True
    row_by_row: ClassVar[bool] = True
    reported: ClassVar[tuple[str, ...]] = ("d", "tries")
    damping: float = Field(1e-3, gt=0, description="mu of the first try")
    down: float = Field(0.1, gt=0, lt=1, description="what mu is multiplied by after a step that lowers the loss")
    up: float = Field(10.0, gt=1, description="what mu is multiplied by after a try that does not")
    max_damping: float = Field(1e10, gt=0, description="the mu beyond which no step is worth a try")
    tolerance: float = Field(1e-7, ge=0, description="the largest entry of a gradient that counts as 0")

    def state(self, size: int) -> Mapping[str, Slot]:
        return {"mu": Slot(())}

    def work(self, size: int) -> Mapping[str, Slot]:
        vectors = dict.fromkeys(("start", "b", "d", "bend"), Slot((size,)))
        return {"A": Slot((size, size)), "B": Slot((size, size)), "block": Slot((ROWS_PER_BLOCK, size)), **vectors}

    def search(self, f: Frame, objective: ObjectiveView, t: int) -> str:
        np.copyto(f.start, f.w)
        np.divide(f.g, objective.quadratic(f.bend), out=f.b)
        np.abs(f.g, out=f.d)
        if f.d.max() <= self.tolerance:
            return f"no entry of the gradient is larger than {self.tolerance:g}"
        f.A.fill(0)
        for block in objective.jacobian(f.block):
            np.matmul(block.T, block, out=f.B)
            np.add(f.A, f.B, out=f.A)
        diagonal = f.A.reshape(-1)[:: len(f.b) + 1]
        np.add(diagonal, f.bend, out=diagonal)
        mu, f.tries = float(f.mu) or self.damping, 0
        while mu <= self.max_damping:
            if self._solve(f, mu):
                np.subtract(f.start, f.d, out=f.w)
                if objective.value() < f.value:
                    f.rate = 1 / mu
                    f.mu[...] = max(mu * self.down, MIN_DAMPING)
                    return ""
            f.tries += 1
            mu *= self.up
        np.copyto(f.w, f.start)
        return f"no step lowers the loss, with a damping of up to {self.max_damping:g}"

    def _solve(self, f: Frame, mu: float) -> bool:
        """Writes d, of (A + mu I) d = b. Returns whether there is one."""
        np.copyto(f.B, f.A)
        diagonal = f.B.reshape(-1)[:: len(f.b) + 1]
        np.add(diagonal, mu, out=diagonal)
        try:
            f.d[...] = np.linalg.solve(f.B, f.b)
        except np.linalg.LinAlgError:
            return False
        return bool(np.isfinite(f.d).all())

    def equations(self) -> list[Eq]:
        return [
            Eq("A[j,k]", "sum(i, J[i,j] * J[i,k]) + (j == k) * bend[j]", "J'J, and what an l2 penalty bends"),
            Eq("b[j]", "sum(i, J[i,j] * e[i]) + bend[j] * w[j]", "J'e: the gradient, in units of the squares"),
            Eq("damped", "where(mu == 0, damping, mu) * up**tries", "raised until the loss falls"),
            Eq("w_new[j]", "w[j] - d[j]", "the step that"),
            Eq("solved[j]", "abs(sum(k, A[j,k] * d[k]) + damped * d[j] - b[j]) <= "
               "1e-12 * (sum(k, abs(A[j,k] * d[k])) + abs(damped * d[j])"
               " + sum(i, abs(J[i,j] * e[i])) + abs(bend[j] * w[j]))", "solves (A + mu I) d = b, up to rounding"),
            Eq("descends", "L_new < L", "a step that does not is not taken"),
            Eq("mu_new", "max(damped * down, least)", "trusted more next time"),
        ]  # fmt: skip

    def consts(self) -> Mapping[str, float]:
        return {"damping": self.damping, "down": self.down, "up": self.up, "least": MIN_DAMPING}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3,), batch=7, note="the first step", inputs={"before": 0})
        yield Sample(cls(), (3,), batch=11, note="later", inputs={"before": 3})
        yield Sample(cls(damping=1e-9, up=3.0, down=0.3), (3,), batch=2, note="fewer rows than weights, several tries",
                     inputs={"before": 0})  # fmt: skip
        yield Sample({"type": "levenberg_marquardt", "up": 1.0}, error="greater than 1")
        yield Sample({"type": "levenberg_marquardt", "down": 1.0}, error="less than 1")
        yield Sample({"type": "levenberg_marquardt", "damping": 0.0}, error="greater than 0")
        yield Sample({"type": "levenberg_marquardt", "learning_rate": 0.1}, error="Extra inputs")
