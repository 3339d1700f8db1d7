"""Losses by hand: definitions at points worked out on paper, edges, and which targets they take."""

import math
from typing import Any

import numpy as np
import pytest
from loss_by_hand import LN2, LN3, worked
from registry import named_alone

from bpcli.family import Loss
from bpcli.family.plan import Sample
from bpcli.parts.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MulticlassHinge,
    Poisson,
    SoftmaxCrossEntropy,
    SquaredHinge,
)
from bpcli.studies.witness.cases import LossCase

# -------------------------------------------------------------------------------------------------- worked on paper
ERRORS = [[3.0, -0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]  # the errors are 2, -0.5, 0, 1
PAPER: list[tuple[Loss, Any, Any, float, Any]] = [
    (MeanAbsoluteError(), *ERRORS, (2 + 0.5 + 0 + 1) / 4, [[0.25, -0.25], [0, 0.25]]),
    (Huber(), *ERRORS, (1.5 + 0.125 + 0 + 0.5) / 4, [[0.25, -0.125], [0, 0.25]]),
    (Huber(delta=0.5), *ERRORS, (0.875 + 0.125 + 0 + 0.375) / 4, [[0.125, -0.125], [0, 0.125]]),
    (LogCosh(), [[LN2], [-LN3]], [[0], [0]], math.log(1.25 * 5 / 3) / 2, [[0.6 / 2], [-0.8 / 2]]),
    (Poisson(), [[LN2, 0.0]], [[3, 1]], ((2 - 3 * LN2) + 1) / 2, [[-0.5, 0]]),
    (Hinge(), [[0.5, -2], [2, 3]], [[1, 0], [1, 0]], (0.5 + 0 + 0 + 4) / 4, [[-0.25, 0], [0, 0.25]]),
    (SquaredHinge(), [[0.5, -2], [2, 3]], [[1, 0], [1, 0]], (0.25 + 16) / 4, [[-0.25, 0], [0, 2.0]]),
    (MulticlassHinge(), [[1, 2, 0], [5, 1, 2]], np.eye(3)[[0, 0]], (1 + 2 - 1) / 2, [[-0.5, 0.5, 0], [0, 0, 0]]),
    (MulticlassHinge(), [[0.5, -2, -3]], np.eye(3)[[0]], 0.0, [[0, 0, 0]]),  # Keras' categorical_hinge says 0.5
    (CrossEntropy(), [[0.25, 0.75], [0.5, 0.5]], [[1, 0], [0.5, 0.5]], (2 * LN2 + LN2) / 2, [[-2, 0], [-0.5, -0.5]]),
    (KLDivergence(), [[0.0, 0.0]], [[0.25, 0.75]], 0.75 * LN3 - LN2, [[0.25, -0.25]]),
    (KLDivergence(), [[0.0, LN3]], [[0.25, 0.75]], 0.0, [[0, 0]]),
    (KLDivergence(), [[0.0, LN3]], [[0, 1]], math.log(4 / 3), [[0.25, -0.25]]),
    (Focal(), [[0.0, LN3]], [[0, 1]], math.log(4 / 3) / 16,
     np.array([[-0.25, 0.25]]) * (2 * 0.75 * math.log(0.75) / 0.25 - 1) / 16),
    (Focal(gamma=0, alpha=0.5), [[0.0, LN3]], [[0, 1]], math.log(4 / 3) / 2, [[0.125, -0.125]]),
    (SoftmaxCrossEntropy(label_smoothing=0.5), [[0.0, LN3]], [[1, 0]], 2 * LN2 - 0.25 * LN3, [[-0.5, 0.5]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "x", "t", "value", "slope"), PAPER, ids=[f"{i} {p[0].kind}" for i, p in enumerate(PAPER)]
)
def test_worked_on_paper(part: Loss, x: Any, t: Any, value: float, slope: Any) -> None:
    loss, dx = worked(part, x, t)
    assert math.isclose(loss, value, rel_tol=1e-14, abs_tol=1e-15)
    assert np.allclose(dx, slope, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("part", "x", "t", "value", "slope"), PAPER, ids=[f"{i} {p[0].kind}" for i, p in enumerate(PAPER)]
)
def test_a_row_counts_by_its_weight(part: Loss, x: Any, t: Any, value: float, slope: Any) -> None:
    """The same batch and one more row, which weighs next to nothing and then as much as all the others."""
    share = np.append(np.ones(len(x)), 0.0)
    own = [[0.5, 0.25, 0.25], [0.5, 0.5], [0.7]][3 - len(x[0])]
    more = [*x, own], np.concatenate([t, np.eye(len(own))[:1]])
    loss, dx = worked(part, *more, w=share)
    assert math.isclose(loss, value, rel_tol=1e-13, abs_tol=1e-15)
    assert np.allclose(dx[:-1], slope, rtol=1e-13, atol=1e-15)
    assert not dx[-1].any()
    alone, _ = worked(part, [own], np.eye(len(own))[:1])
    share[-1] = len(x)
    assert math.isclose(worked(part, *more, w=share)[0], (value + alone) / 2, rel_tol=1e-13, abs_tol=1e-15)


# --------------------------------------------------------------------------------------------------------------- edges
SURE = [
    (12.0, 6.144193477732805e-06),
    (16.0, 1.125351683871768e-07),
    (40.0, 4.248354255291589e-18),
    (87.0, 1.645811431082274e-38),
]
"""A gap between a class and the other, and log(1 + e^-gap): what it costs to be that sure, and to be right."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("gap", "cost"), SURE)
def test_a_sure_class_keeps_its_digits(gap: float, cost: float, dtype: type) -> None:
    """In the loss, and in its slope but for that of softmax, p - t, which has the digits of p; in one unit and in two.
    The probability of the other class is -expm1(-cost)."""
    for part, x, t in ((BinaryCrossEntropy(), [[gap]], [[1]]), (BinaryCrossEntropy(), [[-gap]], [[0]]),
                       (SoftmaxCrossEntropy(), [[gap, 0]], [[1, 0]]), (SoftmaxCrossEntropy(), [[0, gap]], [[0, 1]]),
                       (Focal(gamma=0), [[gap, 0]], [[1, 0]]), (KLDivergence(), [[gap, 0]], [[1, 0]])):  # fmt: skip
        loss, dx = worked(part, x, t, dtype=dtype)
        assert math.isclose(loss, cost, rel_tol=1e-6 if dtype == np.float32 else 1e-12), part.kind
        off = np.finfo(dtype).eps if isinstance(part, SoftmaxCrossEntropy | KLDivergence) else 0
        assert np.allclose(np.abs(dx), -math.expm1(-cost), rtol=1e-6, atol=off), part.kind


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["mean_squared_error", "binary_cross_entropy", "softmax_cross_entropy", "hinge"])
def test_the_mean_of_many_rows_loses_nothing_in_float32(kind: str, weighted: bool) -> None:
    """Rows are added in float64: the loss of 2^18 is that of its thousands, added without rounding."""
    n, rng = 2**18, np.random.default_rng(2)
    x, t = rng.normal(size=(n, 2)).astype(np.float32) + 3, np.eye(2)[rng.integers(0, 2, n)]
    w = rng.uniform(0.5, 1.5, n).astype(np.float32) if weighted else np.ones(n, np.float32)
    part = Loss.parse(kind)
    share = (w / w.sum(dtype=np.float64)).astype(np.float32)

    def of(rows: slice, weights: Any) -> float:
        inputs = {"x": x[rows], "t": t[rows]} | ({} if weights is None else {"w": weights})
        return float(LossCase(Sample(part, (2,), batch=len(x[rows]), inputs=inputs), np.float32).kernel()["L"])

    pieces = [slice(i, i + 1024) for i in range(0, n, 1024)]
    parts = math.fsum(of(rows, share[rows] if weighted else None) for rows in pieces)
    assert math.isclose(of(slice(None), share if weighted else None), parts / (1 if weighted else len(pieces)),
                        rel_tol=1e-13)  # fmt: skip


@pytest.mark.parametrize("e", [1e-12, 1e-5, 0.3, 1.0, 19.99, 20.01, 700.0, 1e5])
def test_log_cosh_near_0_and_far_out(e: float) -> None:
    series = e * e / 2 - e**4 / 12 + e**6 / 45 if e < 0.01 else math.log(math.cosh(min(e, 600))) + max(e - 600, 0)
    for sign in (1, -1):
        assert math.isclose(worked(LogCosh(), [[sign * e]], [[0]])[0], series, rel_tol=3e-15)


def test_a_class_without_a_share_costs_nothing_at_probability_0() -> None:
    """0 log 0 is 0, and so is its slope; nothing is clipped: a true class of probability 0 costs infinitely much."""
    loss, dx = worked(CrossEntropy(), [[0.0, 1.0], [1.0, 0.0]], [[0, 1], [1, 0]])
    assert loss == 0
    assert dx.tolist() == [[0, -0.5], [-0.5, 0]]
    with np.errstate(all="ignore"):
        loss, dx = worked(CrossEntropy(), [[0.0, 1.0]], [[1, 0]])
    assert loss == math.inf
    assert dx.tolist() == [[-math.inf, 0]]
    tiny = 1e-300
    loss, dx = worked(CrossEntropy(), [[tiny, 1.0]], [[1, 0]])
    assert (loss, dx[0, 0]) == (-math.log(tiny), -1 / tiny)


def test_divergence_of_a_certain_class() -> None:
    assert worked(KLDivergence(), [[5.0, 5.0, 5.0]], [[0, 0, 1]])[0] == pytest.approx(LN3)
    assert worked(KLDivergence(), [[0.0, 900.0]], [[0, 1]])[0] == 0


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("lead", [0.0, 5.0, 30.0, 36.0, 38.0, 60.0, 700.0, 1e4])
def test_focal_as_the_class_becomes_certain(gamma: float, lead: float) -> None:
    """1 - q down to e^-700 and to 0 itself: the quotient tends to -1, and does not jump to 0 where q rounds to 1."""
    loss, dx = worked(Focal(gamma=gamma), [[lead, 0.0]], [[1, 0]])
    rest = math.exp(-lead) / (1 + math.exp(-lead)) if lead < 740 else 0.0
    lnq = math.log1p(-rest)
    quotient = (1 - rest) * lnq / rest if rest else -1.0
    weight = rest**gamma
    assert math.isclose(loss, -weight * lnq, rel_tol=1e-12, abs_tol=0)
    expected = weight * (gamma * quotient - 1) * rest
    assert math.isclose(dx[0, 1], -expected, rel_tol=1e-12)
    assert math.isclose(dx[0, 0], expected, rel_tol=1e-12, abs_tol=1e-15 * weight * (gamma + 1))  # 1 - p rounds to 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_where_the_class_is_out_of_reach(gamma: float) -> None:
    loss, dx = worked(Focal(gamma=gamma), [[-1000.0, 0.0]], [[1, 0]])
    assert loss == 1000
    assert np.allclose(dx, [[-1, 1]])


def test_focal_without_focus_is_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(7, 4)) * 3, np.eye(4)[rng.integers(0, 4, 7)]
    ours, theirs = worked(Focal(gamma=0.0), x, t), worked(SoftmaxCrossEntropy(), x, t)
    assert math.isclose(ours[0], theirs[0], rel_tol=1e-13)
    assert np.allclose(ours[1], theirs[1], rtol=1e-12, atol=1e-16)


def test_of_equal_rivals_the_first_is_pushed() -> None:
    _, dx = worked(MulticlassHinge(), [[1.0, 3.0, 0.0, 3.0]], np.eye(4)[[2]])
    assert dx.tolist() == [[0, 1, -1, 0]]


def test_log_cosh_does_not_overflow_and_does_not_lose_the_small_end() -> None:
    loss, dx = worked(LogCosh(), [[1e5], [1e-4]], [[0], [0]])
    assert math.isclose(loss * 2, 1e5 - LN2 + 1e-8 / 2, rel_tol=1e-15)
    assert np.allclose(dx, [[0.5], [1e-4 / 2]], rtol=1e-8)


def test_a_poisson_rate_beyond_the_largest_number_is_infinite() -> None:
    with np.errstate(all="ignore"):
        loss, dx = worked(Poisson(), [[800.0]], [[1.0]])
    assert loss == math.inf
    assert dx[0, 0] == math.inf


@pytest.mark.parametrize("kind", named_alone(Loss))
def test_the_normaliser_is_named(kind: str) -> None:
    part = Loss.parse(kind)
    for weighted, word in ((False, "over the N rows"), (True, "weights w, which sum to 1")):
        (why,) = (eq.why for eq in part.equations(weighted) if eq.left == "L")
        assert word in why


def test_the_normaliser_of_class_weights_is_named() -> None:
    part = SoftmaxCrossEntropy(class_weights=(("a", 1.0), ("b", 2.0)))
    assert "the sum of the rows' class weights, sum_n c_y" in " ".join(eq.why for eq in part.equations(False))
    assert "sum_n w_n c_y" in " ".join(eq.why for eq in part.equations(True))


# ------------------------------------------------------------------------------------------------------------- targets
CHECKS: list[tuple[Loss, Any, str]] = [
    (BinaryCrossEntropy(), [[0.0, 1.0], [0.5, 0.0]], ""),
    (BinaryCrossEntropy(), [[0.0, 1.5]], "between 0 and 1, and these run from 0 to 1.5"),
    (Hinge(), [[0.0, 1.0]], ""),
    (Hinge(), [[-1.0, 1.0]], "hinge takes targets 0 and 1, and these hold -1: write 0 in its place"),
    (SquaredHinge(), [[2.0, -1.0]], "squared_hinge takes targets 0 and 1, and these hold 2"),
    (Poisson(), [[0.0, 7.0]], ""),
    (Poisson(), [[0.0, -7.0]], "at least 0, and the lowest of these targets is -7"),
    (KLDivergence(), [[0.0, 1.0], [0.333, 0.333 + 0.333]], ""),
    (KLDivergence(), [[0.5, 0.5], [0.2, 0.2]], "the targets [0.2, 0.2] sum to 0.4: divide each row by its sum"),
    (KLDivergence(), [[1.2, -0.2]], "kl_divergence takes probabilities, and the lowest of these targets is -0.2"),
]


@pytest.mark.parametrize(("part", "targets", "expected"), CHECKS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_are_checked(part: Loss, targets: Any, expected: str, dtype: type) -> None:
    found = part.check(np.array(targets, dtype))
    assert expected in found
    assert bool(expected) == bool(found)


def test_many_targets_are_shown_in_part() -> None:
    expected = KLDivergence().check(np.full((1, 40), 0.5))
    assert "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, ...] sum to 20" in expected
