"""Cross-entropies of rows with the softmax of their logits, and the slope of these: what losses with a softmax of their
own share. Arrays are k n, where a maximum over classes is fast."""

from typing import Any

import numpy as np

from bpcli.family import Array, Frame, N, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.losses.averaging import ROWS


def softmax_slots(x: Shape) -> tuple[dict[str, Slot], dict[str, Slot]]:
    """Returns what `row_entropies` and `softmax_slope` need: keep, scratch."""
    (k,) = x
    row, columns = Slot((N,)), Slot((k, N))
    return {"e": columns, "below": row, "mass": row}, {"q": columns, "top": row, "log": row, "rows": ROWS}


def row_entropies(f: Frame, t: Array) -> None:
    """Writes rows = sum_k t_k (logsumexp(x) - x_k), and for the slope e = exp(x - max x), the sum `below` of e over
    all classes but one whose x is the largest, and `mass` = sum_k t_k.

    The sum of all e is 1 + below: its logarithm is log1p(below), to the last digits where a class is sure.
    """
    np.copyto(f.e, f.x.T)
    np.maximum.reduce(f.e, 0, out=f.top)
    np.subtract(f.e, f.top, out=f.e)
    np.vecdot(f.e.T, t, out=f.top)  # sum_k t_k (x_k - max)
    np.exp(f.e, out=f.e)
    np.floor(f.e, out=f.q)  # 1 for the largest, or several alike
    np.add.reduce(f.q, 0, out=f.below, initial=-1)  # the others as large
    np.subtract(f.e, f.q, out=f.q)
    np.add.reduce(f.q, 0, out=f.log)
    np.add(f.below, f.log, out=f.below)
    np.add.reduce(t, 1, out=f.mass)
    np.log1p(f.below, out=f.log)
    np.multiply(f.log, f.mass, out=f.log)
    np.subtract(f.log, f.top, out=f.rows)


def softmax_slope(f: Frame, t: Array, share: Any) -> None:
    """Writes dx = share (p mass - t), with p = e / (1 + below)."""
    np.add(f.below, 1, out=f.top)
    np.divide(f.mass, f.top, out=f.top)
    np.multiply(f.e, f.top, out=f.q)
    np.subtract(f.q, t.T, out=f.q)
    np.multiply(f.q, share, out=f.dx.T)


SOFTMAX = (
    Eq("lse[n]", "logsumexp(j, x[n,j])", "the logarithm of softmax's denominator"),
    Eq("p[n,k]", "exp(x[n,k] - lse[n])", "softmax: the probability of class k"),
)
THROUGH_SOFTMAX = (
    Eq("J[n,j,k]", "p[n,j] * ((j == k) - p[n,k])", "slope of p_j by x_k", detail="path"),
    Eq("dx[n,k]", "sum(j, dp[n,j] * J[n,j,k])", "one path through each probability", detail="path"),
)
