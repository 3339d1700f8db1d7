"""Laws of the losses of single rows: what a loss says of each, and the mean of them that no row rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
from nets import dense, fill, objective
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Array, Loss, Metric, Scored

ROWS = np.random.default_rng(3).normal(size=(9, 3))
IDS = np.array([2, 0, 1, 1, 2, 0, 0, 2, 1])
VALUES = np.random.default_rng(4).uniform(size=(9, 3))


class OneByOne(Loss):
    """A loss that does not say what each row loses: that of `inner`."""

    type: Literal["one_by_one"] = "one_by_one"
    inner: Any = None

    def plan(self, x: Any) -> Any:
        return self.inner.plan(x)

    def forward(self, f: Any) -> float:
        return float(self.inner.forward(f))

    def mean_weight(self, f: Any) -> float:
        return float(self.inner.mean_weight(f))

    def backward(self, f: Any) -> None:
        self.inner.backward(f)


del Loss.registry["one_by_one"]  # no part: other laws leave it alone
WEIGHED = {"type": "softmax_cross_entropy", "class_weights": {"0": 0.5, "1": 1.0, "2": 4.0}, "label_smoothing": 0.1}
SPELLED: list[Any] = [
    *(kind for kind in named_alone(Loss) if Loss.registry[kind].__module__.startswith("bpcli.")),
    WEIGHED,
    {"type": "squared_error", "factor": 0.5},
]


def law_of_rows_alone(spelled: Any, dtype: Any, count: int = 9) -> None:
    """Losses of rows are those of each row alone, by the loss itself and by the engine, which asks for one row at a
    time; and their mean is the loss."""
    loss, rows = Loss.parse(spelled), np.arange(count)
    ending = ["softmax"] if loss.link == "probabilities" else []
    targets = IDS if loss.targets == "classes" else VALUES.astype(dtype)
    w = np.array([0.5, 1, 2, 5, 1, 3, 0.1, 1, 3])
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-14}
    found = []
    for one in (loss, OneByOne(inner=loss)):
        o = objective(dense(3), *ending, loss=one, rows=9, dtype=dtype)
        fill(o.network)
        batch = o.batch(count)
        batch.load(ROWS.astype(dtype), targets, rows, w.astype(dtype))
        whole, y, t = batch.forward(False), batch.chain.y.copy(), batch.t.copy()
        losses, weights = o.row_losses(batch)
        assert losses.dtype == weights.dtype == np.float64
        assert np.array_equal(batch.chain.y, y)
        assert np.array_equal(batch.t, t)
        assert np.allclose(np.average(losses, weights=weights * w[rows]), whole, **near)
        assert batch.frame.w is not None
        found.append((losses, weights))
    assert np.allclose(found[0][0], found[1][0], **near)
    assert np.allclose(found[0][1], found[1][1], **near)
    assert (found[0][1] == 1).all() == (spelled is not WEIGHED)


def capped(loss: Any, weight: Any = None, share: float = 0.15, cuts: tuple[int, ...] = ()) -> float:
    """The capped loss of these losses, which come in batches."""
    metric = Metric.parse({"type": "capped_loss", "share": share})
    totals = metric.totals(0, 1)
    losses = np.asarray(loss, float)
    weights = np.ones(len(losses)) if weight is None else np.asarray(weight, float)
    for rows in np.split(np.arange(len(losses)), cuts):
        none = np.zeros((len(rows), 1))
        batch = Scored(none, none, None, None, weights[rows], 0, losses=losses[rows], loss_weight=weights[rows])
        metric.add(totals, batch)
    return metric.result(totals)


def by_bisection(loss: Array, weight: Array, share: float) -> float:
    """The same: the largest S with S = sum min(q, share S), which falls short of every larger S."""
    used = weight > 0
    loss, weight = loss[used], weight[used]
    q = weight * (loss - loss.min())
    share = max(share, 2 / len(q))
    low, high = 0.0, float(q.sum())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(q, share * middle).sum() >= middle else (low, middle)
    return float(loss.min() + low / weight.sum())


def law_of_capped_loss(rows: int, share: float) -> None:
    rng = np.random.default_rng([rows, int(100 * share)])
    for power in (1, 3, 8):
        loss = rng.exponential(size=rows) ** power - 0.5
        weight = rng.integers(0, 4, rows) + (np.arange(rows) < 2)
        expected = by_bisection(loss, weight, share)
        assert capped(loss, weight, share, (rows // 3, rows // 2)) == pytest.approx(expected, rel=1e-9), power
    assert np.isnan(capped([]))
    assert np.isinf(capped([1.0, *[np.nan] * 9, np.inf]))


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    for spelled in SPELLED:
        for dtype in (np.float32, np.float64):
            name = f"losses of rows: {spelled}, {np.dtype(dtype).name}"
            yield name, partial(law_of_rows_alone, spelled, dtype)
    yield "the loss of a row", partial(law_of_rows_alone, "huber", np.float64, 1)
    for rows in (1, 2, 3, 7, 50, 300, 5000):
        for share in (0.02, 0.15, 0.3, 0.6):
            yield f"capped_loss of {rows} rows, {share}", partial(law_of_capped_loss, rows, share)
