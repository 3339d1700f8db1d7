"""Losses by hand: definitions at points worked out on paper, edges, class weights, and what peers say."""

import math
from typing import Annotated, Any

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError

from bpcli.config.schema import json_schema
from bpcli.family import ClassMismatchError, Loss
from bpcli.family.part import OneOf, Settings
from bpcli.family.plan import Array, Frame, Sample, ShapeError
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

LN2, LN3 = math.log(2), math.log(3)


def worked(part: Loss, x: Any, t: Any, w: Any = None, dtype: type = np.float64) -> tuple[float, Array]:
    """The loss of outputs x and targets t (rows), and its gradient."""
    inputs = {"x": x, "t": t} | ({} if w is None else {"w": np.asarray(w) / np.sum(w)})
    found = LossCase(Sample(part, (len(x[0]),), batch=len(x), inputs=inputs), dtype).kernel()
    return float(found["L"]), found["dx"]


def frame(part: Loss, x: Any, t: Any) -> Frame:
    case = LossCase(Sample(part, (len(x[0]),), batch=len(x), inputs={"x": x, "t": t}))
    part.forward(case.frame)
    return case.frame


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


@pytest.mark.parametrize("kind", Loss.registry)
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


# ------------------------------------------------------------------------------------------------------- class weights
def weighed(**weights: float) -> SoftmaxCrossEntropy:
    return SoftmaxCrossEntropy(class_weights=tuple(weights.items()))


def test_class_weights_on_paper() -> None:
    """Rows of classes 0, 1, 1 with weights 1 and 3: (1 L0 + 3 L1 + 3 L1) / 7."""
    part = weighed(a=1.0, b=3.0)
    x = [[0.0, 0.0], [0.0, LN3], [LN3, 0.0]]
    loss, dx = worked(part, x, np.eye(2)[[0, 1, 1]])
    assert math.isclose(loss, (LN2 + 3 * math.log(4 / 3) + 3 * 2 * LN2) / 7, rel_tol=1e-14)
    assert np.allclose(dx, np.array([[-0.5, 0.5], [0.75, -0.75], [2.25, -2.25]]) / 7, rtol=1e-14)


def test_class_weights_all_alike_are_none() -> None:
    x, t = [[0.3, 1.0], [2.0, -1.0]], np.eye(2)[[1, 1]]
    assert np.allclose(worked(weighed(a=7.0, b=7.0), x, t)[1], worked(SoftmaxCrossEntropy(), x, t)[1], rtol=1e-14)


def test_the_mean_weight_of_a_batch() -> None:
    """What the mean was divided by, a row: by it the losses of batches are put together."""
    part = weighed(a=1.0, b=3.0)
    x, t = np.zeros((4, 2)), np.eye(2)[[0, 1, 1, 1]]
    assert part.mean_weight(frame(part, x, t)) == 2.5
    assert SoftmaxCrossEntropy().mean_weight(frame(SoftmaxCrossEntropy(), x, t)) == 1
    whole, _ = worked(part, x + np.array([0, 1]), t)
    first, rest = ((worked(part, x[s] + np.array([0, 1]), t[s])[0], part.mean_weight(frame(part, x[s], t[s])) * n)
                   for s, n in ((slice(0, 1), 1), (slice(1, 4), 3)))  # fmt: skip
    assert math.isclose((first[0] * first[1] + rest[0] * rest[1]) / (first[1] + rest[1]), whole, rel_tol=1e-14)


def test_weights_are_fitted_by_name() -> None:
    part = Loss.parse({"type": "softmax_cross_entropy", "class_weights": {"oak": 3, "ash": 0.5}})
    fitted: Any = part.with_classes(("ash", "elm", "oak"), (4, 5, 6))
    assert fitted.class_weights == (("ash", 0.5), ("elm", 1.0), ("oak", 3.0))
    assert fitted.with_classes(("ash", "elm", "oak"), ()) == fitted, "after loading, without counts"
    assert fitted.model_dump(mode="json")["class_weights"] == {"ash": 0.5, "elm": 1.0, "oak": 3.0}
    assert Loss.parse(fitted.model_dump(mode="json")) == fitted
    with pytest.raises(ShapeError, match="weights for 2 classes and 3 outputs"):
        part.plan((3,))
    with pytest.raises(ShapeError) as caught:
        SoftmaxCrossEntropy(class_weights="balanced").plan((3,))
    assert "call Loss.with_classes first" in caught.value.help
    assert fitted.plan((3,)).consts["c"].tolist() == [0.5, 1.0, 3.0]


def test_whole_numbers_name_classes() -> None:
    part = Loss.parse({"type": "focal", "alpha": {0: 2.0, "1": 4}})
    fitted: Any = part.with_classes(("0", "1"), ())
    assert fitted.alpha == (("0", 2.0), ("1", 4.0))


def test_balanced_classes_weigh_the_same_together() -> None:
    fitted: Any = SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b", "c"), (2, 8, 10))
    weights = [w for _, w in fitted.class_weights]
    assert np.allclose(np.multiply(weights, (2, 8, 10)), 20 / 3)
    with pytest.raises(ClassMismatchError, match="no training row is of class `b`"):
        SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b"), (2, 0))


def test_an_unknown_class_is_refused() -> None:
    for part, setting in ((weighed(oka=2.0), "class_weights"), (Focal(alpha=(("oka", 2.0),)), "alpha")):
        with pytest.raises(ValueError, match="there is no class `oka` to weigh") as caught:
            part.with_classes(("elm", "oak"), (1, 1))
        assert isinstance(caught.value, ClassMismatchError)
        assert caught.value.setting == setting
        assert caught.value.help == "did you mean `oak`? the classes are elm, oak"


def test_losses_without_class_weights_settle_as_they_are() -> None:
    for kind in Loss.registry:
        part = Loss.parse(kind)
        assert part.with_classes(("a", "b"), (1, 2)) is part


@pytest.mark.parametrize("weights", [{}, [1.0], "balance", 2.0, {"a": -1}, {"a": True}, {"a": "2"}, {"a": math.inf},
                                     {"a": math.nan}, {True: 1.0}, {1.5: 1.0}])  # fmt: skip
def test_what_is_no_weight_is_refused(weights: Any) -> None:
    with pytest.raises(ValidationError, match=r"weight for each class|greater than 0|named by"):
        Loss.parse({"type": "softmax_cross_entropy", "class_weights": weights})
    if weights != 2.0:
        with pytest.raises(
            ValidationError, match=r"a positive number, a weight for each class|greater than 0|named by"
        ):
            Loss.parse({"type": "focal", "alpha": weights})


# --------------------------------------------------------------------------------------------------------------- peers
def close(ours: Any, theirs: Any) -> None:
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12 * min(1.0, float(np.abs(theirs).max())))


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_softmax_cross_entropy_as_torch(classes: int, smoothing: float, seed: int) -> None:
    """CrossEntropyLoss(weight, label_smoothing) itself, on class ids, with its own reduction; classes that do not occur
    among them."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng([classes, seed])
    ids, c = rng.integers(0, classes, 17), np.exp(rng.normal(size=classes) * 2)
    if seed:
        ids[ids == 0] = 1
    x = rng.normal(size=(17, classes)) * 10.0 ** rng.uniform(-2, 2)
    z = torch.tensor(x, requires_grad=True)
    peer = torch.nn.CrossEntropyLoss(weight=torch.tensor(c), label_smoothing=smoothing)(z, torch.tensor(ids))
    peer.backward()
    named = tuple((str(k), float(w)) for k, w in enumerate(c))
    ours = worked(SoftmaxCrossEntropy(class_weights=named, label_smoothing=smoothing), x, np.eye(classes)[ids])
    close(ours[0], peer.item())
    close(ours[1], z.grad.numpy())


@pytest.mark.peers
def test_reductions_of_torch() -> None:
    """The means that torch's own classes take, where they are ours."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(11, 4)) * 2, rng.normal(size=(11, 4)) * 2
    counts, p = rng.poisson(2, (11, 4)).astype(float), rng.dirichlet(np.ones(4) / 3, 11)
    p[0] = [0, 1, 0, 0]
    nn, log = torch.nn, torch.log_softmax
    peers = [
        (MeanAbsoluteError(), t, lambda z, u: nn.L1Loss()(z, u)),
        (Huber(delta=0.7), t, lambda z, u: nn.HuberLoss(delta=0.7)(z, u)),
        (Poisson(), counts, lambda z, u: nn.PoissonNLLLoss(log_input=True, full=False)(z, u)),
        (KLDivergence(), p, lambda z, u: nn.KLDivLoss(reduction="batchmean")(log(z, 1), u)),
        (BinaryCrossEntropy(), p, lambda z, u: nn.BCEWithLogitsLoss()(z, u)),
    ]
    for part, targets, peer in peers:
        z = torch.tensor(x, requires_grad=True)
        value = peer(z, torch.tensor(targets))
        value.backward()
        loss, dx = worked(part, x, targets)
        close(loss, value.item())
        close(dx, z.grad.numpy())


@pytest.mark.peers
@pytest.mark.parametrize("weight", [None, np.array([1.0, 2, 0.5, 3, 1, 1, 4])])
def test_values_of_scikit_learn(weight: Array | None) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    ids = np.array([0, 1, 2, 0, 2, 1, 1])
    one_hot = np.eye(3)[ids]
    scores, p = rng.normal(size=(7, 3)) * 2, rng.dirichlet(np.ones(3), 7)
    w: dict[str, Any] = {"sample_weight": weight}
    assert math.isclose(worked(MulticlassHinge(), scores, one_hot, weight)[0],
                        metrics.hinge_loss(ids, scores, **w), rel_tol=1e-12)  # fmt: skip
    assert math.isclose(worked(CrossEntropy(), p, one_hot, weight)[0], metrics.log_loss(ids, p, **w), rel_tol=1e-12)
    sign = (ids == 1).astype(float)
    assert math.isclose(worked(Hinge(), scores[:, :1], sign[:, None], weight)[0],
                        metrics.hinge_loss(2 * sign - 1, scores[:, 0], **w), rel_tol=1e-12)  # fmt: skip
    t = rng.normal(size=(7, 3))
    assert math.isclose(worked(MeanAbsoluteError(), scores, t, weight)[0],
                        metrics.mean_absolute_error(t, scores, **w), rel_tol=1e-12)  # fmt: skip
    counts = np.array([1.0, 3, 2, 5, 1, 4, 2])
    deviance = metrics.mean_poisson_deviance(counts, np.exp(scores[:, 0]), **w)
    least = np.average(counts * np.log(counts) - counts, weights=weight)
    assert math.isclose(2 * (worked(Poisson(), scores[:, :1], counts[:, None], weight)[0] + least), deviance,
                        rel_tol=1e-12)  # fmt: skip


@pytest.mark.peers
def test_balanced_as_scikit_learn() -> None:
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    ids = np.repeat([0, 1, 2], [3, 17, 5])
    fitted: Any = SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b", "c"), (3, 17, 5))
    assert [w for _, w in fitted.class_weights] == pytest.approx(compute("balanced", classes=np.arange(3), y=ids))


class _File(Settings):
    loss: Annotated[Loss, OneOf()]


@pytest.mark.parametrize(
    ("loss", "fits"),
    [
        ({"type": "softmax_cross_entropy", "class_weights": {"oak": 2, "elm": 0.5}}, True),
        ({"type": "softmax_cross_entropy", "class_weights": "balanced"}, True),
        ({"type": "softmax_cross_entropy", "class_weights": None}, True),
        ({"type": "softmax_cross_entropy", "class_weights": {"oak": 0}}, False),
        ({"type": "softmax_cross_entropy", "class_weights": 2.0}, False),
        ({"type": "softmax_cross_entropy", "label_smoothing": 1}, False),
        ({"type": "focal", "alpha": 0.25}, True),
        ({"type": "focal", "alpha": {"oak": 0.25}}, True),
        ({"type": "focal", "alpha": None}, False),
        ("focal", True),
        ("kl_divergence", True),
    ],
)
def test_editors_are_told_what_the_reader_takes(loss: Any, fits: bool) -> None:
    """The JSON Schema accepts what the part accepts."""
    schema = json_schema(_File)
    assert jsonschema.Draft7Validator(schema).is_valid({"loss": loss}) == fits
    if fits:
        _File(loss=loss)
    else:
        with pytest.raises(ValidationError):
            _File(loss=loss)
