from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Eq, Frame, Loss, N, Plan, Sample, Shape, Slot


class LogCosh(Loss):
    """log cosh of the error, summed over outputs: squared where it is small, absolute where it is large."""

    type: Literal["log_cosh_error"] = "log_cosh_error"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae",)

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"e": Slot((N, *x)), "rows": Slot((N,))})

    def forward(self, f: Frame) -> float:
        np.subtract(f.x, f.t, out=f.e)
        np.cosh(f.e, out=f.e)
        np.log(f.e, out=f.e)
        np.add.reduce(f.e, 1, out=f.rows)
        return float(f.rows.mean() if f.w is None else f.rows @ f.w)

    def backward(self, f: Frame) -> None:
        np.subtract(f.x, f.t, out=f.dx)
        np.tanh(f.dx, out=f.dx)
        np.multiply(f.dx, 1 / len(f.x) if f.w is None else f.w[:, None], out=f.dx)

    def equations(self, weighted: bool) -> list[Eq]:
        cost, slope = "sum(k, log((exp(x[n,k] - t[n,k]) + exp(t[n,k] - x[n,k])) / 2))", "tanh(x[n,k] - t[n,k])"
        return [
            Eq("L", f"sum(n, w[n] * {cost})" if weighted else f"mean(n, {cost})", "mean over rows"),
            Eq("dx[n,k]", f"w[n] * {slope}" if weighted else f"{slope} / count(n)", "the slope of log cosh is tanh"),
        ]

    @classmethod
    def samples(cls):
        yield Sample(cls(), (3,), batch=5)
