"""Mistakes people make in losses, and wrong gradients that were published: each is seen by every witness.

The numbers are those of the list of mutations a gradient check must kill (batch mean, factor, sign, softmax, clipping,
smoothing, penalty).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.plan import Array, Frame, Sample
from bpcli.parts.losses import (
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    MulticlassHinge,
    Poisson,
    SoftmaxCrossEntropy,
    SquaredError,
    SquaredHinge,
)
from bpcli.studies.witness.cases import LossCase
from bpcli.studies.witness.witness import central_differences, max_abs

Lie = Callable[[Any, Frame], Array]
WITNESSES = {"equations", "complex step", "differences"}


def softmax(f: Frame) -> Array:
    e = np.exp(f.x - f.x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def log_softmax(f: Frame) -> Array:
    return np.log(softmax(f))


def smoothed(loss: Any, f: Frame) -> Array:
    return (1 - loss.label_smoothing) * f.t + loss.label_smoothing / f.x.shape[1]


def weights(loss: Any, f: Frame) -> Array:
    return np.array([w for _, w in loss.class_weights or ()]) if loss.class_weights else np.ones(f.x.shape[1])


def rows(f: Frame) -> Array:
    """Each row's share in the mean."""
    return np.full((len(f.x), 1), 1 / len(f.x)) if f.w is None else f.w[:, None]


def sides(f: Frame) -> Array:
    return 2 * f.t - 1


def short(f: Frame) -> Array:
    return np.maximum(0, 1 - sides(f) * f.x)


def q(f: Frame) -> Array:
    return (f.t * softmax(f)).sum(1, keepdims=True)


def all_rivals(loss: Any, f: Frame) -> Array:
    """Weston and Watkins' loss: every rival within the margin is pushed, not the best alone."""
    over = (1 + f.x - (f.t * f.x).sum(1, keepdims=True) > 0) * (1 - f.t)
    return rows(f) * (over - f.t * over.sum(1, keepdims=True))


def lead(f: Frame) -> tuple[Array, Array]:
    rival = np.where(f.t == 1, -np.inf, f.x)
    return 1 + rival.max(1, keepdims=True) - (f.t * f.x).sum(1, keepdims=True), np.eye(f.x.shape[1])[rival.argmax(1)]


def last_rival(f: Frame) -> Array:
    rival = np.where(f.t == 1, -np.inf, f.x)[:, ::-1]
    return np.asarray(np.eye(f.x.shape[1])[rival.argmax(1)][:, ::-1])


def keras_categorical_hinge(loss: Any, f: Frame) -> Array:
    """The true class is a rival of its own, with score 0: max(0, 1 + max((1 - t) x) - sum(t x))."""
    rival = (1 - f.t) * f.x
    best = np.eye(f.x.shape[1])[rival.argmax(1)] * (1 - f.t)
    return rows(f) * (1 + rival.max(1, keepdims=True) - (f.t * f.x).sum(1, keepdims=True) > 0) * (best - f.t)


SMOOTH = SoftmaxCrossEntropy(label_smoothing=0.2)
WEIGHED = SoftmaxCrossEntropy(class_weights=(("0", 0.25), ("1", 3.0), ("2", 1.0)))
LIES: list[tuple[str, Loss | type[Loss], Lie]] = [
    # published
    ("scikit-learn 8349: half the squares, mean over outputs, gradient without it", MeanSquaredError,
     lambda s, f: rows(f) * 2 * (f.x - f.t)),
    ("nnfs: the sign of MAE", MeanAbsoluteError, lambda s, f: rows(f) * np.sign(f.t - f.x) / f.x.shape[1]),
    ("Keras: the true class as its own rival", MulticlassHinge, keras_categorical_hinge),
    # 3-6: mean, factor, sign
    ("averaged twice", MeanAbsoluteError, lambda s, f: rows(f) * np.sign(f.x - f.t) / f.x.size),
    ("averaged twice", Huber, lambda s, f: rows(f) * np.clip(f.x - f.t, -s.delta, s.delta) / f.x.size),
    ("averaged twice", WEIGHED, lambda s, f: rows(f) ** 2 * (softmax(f) - f.t) * (f.t @ weights(s, f))[:, None]
     / (rows(f)[:, 0] @ f.t @ weights(s, f))),
    ("mean missing", LogCosh, lambda s, f: np.tanh(f.x - f.t) / f.x.shape[1]),
    ("mean missing", Poisson, lambda s, f: (np.exp(f.x) - f.t) / f.x.shape[1]),
    ("mean missing", CrossEntropy, lambda s, f: -f.t / f.x),
    ("mean missing", KLDivergence, lambda s, f: softmax(f) - f.t),
    ("mean over rows only", MeanAbsoluteError, lambda s, f: rows(f) * np.sign(f.x - f.t)),
    ("mean over rows only", Huber, lambda s, f: rows(f) * np.clip(f.x - f.t, -s.delta, s.delta)),
    ("mean over rows only", LogCosh, lambda s, f: rows(f) * np.tanh(f.x - f.t)),
    ("mean over rows only", Poisson, lambda s, f: rows(f) * (np.exp(f.x) - f.t)),
    ("mean over rows only", Hinge, lambda s, f: -rows(f) * sides(f) * (short(f) > 0)),
    ("mean over classes too", KLDivergence, lambda s, f: rows(f) * (softmax(f) - f.t) / f.x.shape[1]),
    ("1/n instead of 2/n", MeanSquaredError, lambda s, f: rows(f) * (f.x - f.t) / f.x.shape[1]),
    ("the half forgotten", SquaredError(factor=0.5), lambda s, f: rows(f) * 2 * (f.x - f.t)),
    ("the 2 forgotten", SquaredHinge, lambda s, f: -rows(f) * sides(f) * short(f) / f.x.shape[1]),
    ("(t - y), to be added", SquaredError, lambda s, f: rows(f) * 2 * s.factor * (f.t - f.x)),
    ("(t - y), to be added", LogCosh, lambda s, f: rows(f) * np.tanh(f.t - f.x) / f.x.shape[1]),
    ("(t - y), to be added", Poisson, lambda s, f: rows(f) * (f.t - np.exp(f.x)) / f.x.shape[1]),
    ("the sign of a quotient", CrossEntropy, lambda s, f: rows(f) * f.t / f.x),
    ("the sign of a margin", Hinge, lambda s, f: rows(f) * sides(f) * (short(f) > 0) / f.x.shape[1]),
    # 13: softmax
    ("diagonal of the Jacobian only", KLDivergence, lambda s, f: -rows(f) * f.t * (1 - softmax(f))),
    ("softmax over the batch", KLDivergence,
     lambda s, f: rows(f) * (np.exp(f.x - f.x.max(0)) / np.exp(f.x - f.x.max(0)).sum(0) - f.t)),
    ("softmax's slope though its layer has it", CrossEntropy, lambda s, f: rows(f) * (f.x - f.t)),
    ("the reverse divergence", KLDivergence,
     lambda s, f: rows(f) * softmax(f) * (log_softmax(f) - (softmax(f) * log_softmax(f)).sum(1, keepdims=True))),
    ("the diagonal only", Focal(gamma=0.0), lambda s, f: -rows(f) * f.t * (1 - softmax(f))),
    # 14: clipping, smoothing, weights lost on the way back
    ("clipped in backward", CrossEntropy, lambda s, f: -rows(f) * f.t / np.maximum(f.x, 0.3)),
    ("clipped in backward", SMOOTH, lambda s, f: rows(f) * (np.clip(softmax(f), 0.05, 0.3) - smoothed(s, f))),
    ("smoothing lost", SMOOTH, lambda s, f: rows(f) * (softmax(f) - f.t)),
    ("smoothing over the rivals only", SMOOTH,
     lambda s, f: rows(f) * (softmax(f) - (1 - s.label_smoothing) * f.t
                             - s.label_smoothing * (1 - f.t) / (f.x.shape[1] - 1))),
    ("class weights lost", WEIGHED, lambda s, f: rows(f) * (softmax(f) - f.t)),
    ("divided by N, not by the class weights", WEIGHED,
     lambda s, f: rows(f) * (f.t @ weights(s, f))[:, None] * (softmax(f) - f.t)),
    ("each output by its own class's weight", WEIGHED,
     lambda s, f: rows(f) * weights(s, f) * (softmax(f) - f.t) / (rows(f)[:, 0] @ f.t @ weights(s, f))),
    ("no cut", Huber(delta=0.3), lambda s, f: rows(f) * (f.x - f.t) / f.x.shape[1]),
    ("cut at 1", Huber(delta=0.3), lambda s, f: rows(f) * np.clip(f.x - f.t, -1, 1) / f.x.shape[1]),
    ("slope 1 beyond delta", Huber(delta=0.3), lambda s, f: rows(f) / f.x.shape[1] * np.where(
        abs(f.x - f.t) <= s.delta, f.x - f.t, np.sign(f.x - f.t))),
    ("slope of tanh", LogCosh, lambda s, f: rows(f) * (1 - np.tanh(f.x - f.t) ** 2) / f.x.shape[1]),
    ("no link", Poisson, lambda s, f: rows(f) * (f.x - f.t) / f.x.shape[1]),
    ("by the rate, not by its logarithm", Poisson, lambda s, f: rows(f) * (1 - f.t / np.exp(f.x)) / f.x.shape[1]),
    ("easy rows only weighed", Focal, lambda s, f: rows(f) * s.alpha * (1 - q(f)) ** s.gamma * (softmax(f) - f.t)),
    ("alpha lost", Focal(alpha=0.25), lambda s, f: rows(f) * (1 - q(f)) ** s.gamma
     * (s.gamma * q(f) * np.log(q(f)) / (1 - q(f)) - 1) * (f.t - softmax(f))),
    ("gamma - 1 in the first power", Focal, lambda s, f: rows(f) * s.alpha * (1 - q(f)) ** (s.gamma - 1)
     * (s.gamma * q(f) * np.log(q(f)) / (1 - q(f)) - 1) * (f.t - softmax(f))),
    ("beyond the margin too", Hinge, lambda s, f: -rows(f) * sides(f) / f.x.shape[1]),
    ("labels left at 0 and 1", Hinge, lambda s, f: -rows(f) * f.t * (1 - f.t * f.x > 0) / f.x.shape[1]),
    ("beyond the margin too", SquaredHinge, lambda s, f: -2 * rows(f) * sides(f) * (1 - sides(f) * f.x) / f.x.shape[1]),
    ("all rivals", MulticlassHinge, all_rivals),
    ("the true class only", MulticlassHinge, lambda s, f: -rows(f) * (lead(f)[0] > 0) * f.t),
    ("the rival only", MulticlassHinge, lambda s, f: rows(f) * (lead(f)[0] > 0) * lead(f)[1]),
]  # fmt: skip


def points(of: Loss | type[Loss]) -> list[Sample]:
    """The samples of a loss (or of its type, for one that is set up differently) without ties, and a wide one."""
    leaf, part = (of, of()) if isinstance(of, type) else (type(of), of)
    found = [s for s in leaf.samples() if not s.error and not s.kinks and not s.note.startswith("huge")]
    found = [s for s in found if s.part == part]
    rng = np.random.default_rng(1)
    t = {"classes": np.eye(3)[[0, 1, 2, 1, 0]], "values": rng.integers(0, 2, (5, 3)).astype(float)}[part.targets]
    x = rng.uniform(0.05, 0.9, (5, 3)) if part.link == "probabilities" else rng.normal(size=(5, 3)) * 1.5
    if isinstance(part, KLDivergence):
        t = rng.dirichlet(np.ones(3), 5)
    return [*found, Sample(part, (3,), batch=5, inputs={"x": x, "t": t})]


@pytest.mark.parametrize(("of", "lie"), [(p, c) for _, p, c in LIES],
                         ids=[f"{getattr(p, '__name__', type(p).__name__)}: {n}" for n, p, _ in LIES])  # fmt: skip
def test_every_witness_sees_it(of: Loss | type[Loss], lie: Lie) -> None:
    seen: set[str] = set()
    for sample in points(of):
        case = LossCase(sample)
        honest = case.kernel()
        assert all(g.verdict == "ok" for g in case.gaps(honest))
        wrong_result = np.asarray(lie(case.loss, case.frame))
        assert wrong_result.shape == honest["dx"].shape
        seen |= {g.right for g in case.gaps({**honest, "dx": wrong_result}) if g.verdict == "WRONG"}
    assert seen == WITNESSES


def test_a_value_that_is_not_the_one_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    """thinc's CategoricalCrossentropy returns sum((p - t)^2) / n^2 with the gradient of cross-entropy: the equations
    contradict the value, the differences of the value the gradient."""

    def forward(self: SoftmaxCrossEntropy, f: Frame) -> float:
        honest(self, f)  # so that backward finds what it needs
        return float(((softmax(f) - f.t) ** 2).sum()) / len(f.x) ** 2

    honest = SoftmaxCrossEntropy.forward
    monkeypatch.setattr(SoftmaxCrossEntropy, "forward", forward)
    case = LossCase(points(SoftmaxCrossEntropy)[0])
    wrong = {(g.tensor, g.right) for g in case.gaps(case.kernel()) if g.verdict == "WRONG"}
    assert wrong == {("L", "equations"), ("dx", "differences")}


TIES: list[tuple[str, type[Loss], Lie]] = [
    ("slope 1 on the target", MeanAbsoluteError,
     lambda s, f: rows(f) * np.where(f.x >= f.t, 1.0, -1.0) / f.x.shape[1]),
    ("slope at the margin", Hinge, lambda s, f: -rows(f) * sides(f) * (sides(f) * f.x <= 1) / f.x.shape[1]),
    ("slope where the lead is 1", MulticlassHinge, lambda s, f: rows(f) * (lead(f)[0] >= 0) * (lead(f)[1] - f.t)),
    ("the last of equal rivals", MulticlassHinge, lambda s, f: rows(f) * (lead(f)[0] > 0) * (last_rival(f) - f.t)),
]  # fmt: skip


@pytest.mark.parametrize(("leaf", "lie"), [(p, c) for _, p, c in TIES], ids=[n for n, _, _ in TIES])
def test_at_ties_the_equations_judge(leaf: type[Loss], lie: Lie) -> None:
    """Nothing but the definition says which slope a kink has; elsewhere these are right."""
    for sample in leaf.samples():
        if sample.error or sample.note.startswith("huge"):
            continue
        case = LossCase(sample)
        wrong_result = {**case.kernel(), "dx": np.asarray(lie(case.loss, case.frame))}
        wrong = {g.right for g in case.gaps(wrong_result) if g.verdict == "WRONG"}
        assert wrong == ({"equations"} if sample.kinks else set())


# ------------------------------------------------------------------- 15: the penalty, in a whole objective of each loss
def penalised(kind: str) -> Objective:
    layers = [
        Layer.parse({"type": "dense", "units": 3}),
        *([Layer.parse("softmax")] if kind == "cross_entropy" else []),
    ]
    penalty = Regularizer.parse({"type": "l2", "strength": 0.3})
    o = Objective(plan_network(layers, (4,), penalty), Loss.parse(kind), 5, np.float64, 1)
    rng = np.random.default_rng(2)
    o.theta[...] = rng.normal(size=o.theta.shape)
    t = rng.dirichlet(np.ones(3), 5)
    if o.loss.targets == "classes" or "hinge" in kind:
        t = np.eye(3)[t.argmax(1)]
    o.batch(5).load(rng.normal(size=(5, 4)), t, np.arange(5))
    return o


PENALTY_LIES: dict[str, Callable[[Objective], None]] = {
    "factor 2": lambda o: np.add(o.grad[:12], 0.6 * o.theta[:12], out=o.grad[:12]),
    "missing": lambda o: None,
    "divided by N": lambda o: np.add(o.grad[:12], 0.3 / 5 * o.theta[:12], out=o.grad[:12]),
    "on biases in the gradient only": lambda o: np.add(o.grad, 0.3 * o.theta, out=o.grad),
}  # fmt: skip


@pytest.mark.parametrize("lie", PENALTY_LIES.values(), ids=PENALTY_LIES)
@pytest.mark.parametrize("kind", Loss.registry)
def test_a_wrong_penalty_is_seen_behind_every_loss(kind: str, lie: Callable[[Objective], None]) -> None:
    o = penalised(kind)
    batch = o.batch(5)

    def value() -> tuple[float, float]:
        found = batch.forward(True) + o.penalty()
        return found, abs(found) + 1

    d = central_differences(value, o.theta)
    for add, right in ((Objective.add_penalty_gradient, True), (lie, False)):
        batch.forward(True)
        batch.backward(True)
        add(o)
        allowed = 1e-6 * np.abs(o.grad) + d.noise + 1e-9 * max_abs(o.grad)
        assert bool((np.abs(o.grad - d.value) <= allowed).all()) == right
