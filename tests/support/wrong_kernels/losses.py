"""Mistakes people make in losses, and wrong gradients that were published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.family import Loss
from bpcli.family.plan import Array, Frame
from bpcli.parts.losses import (
    BinaryCrossEntropy,
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
from wrong_kernels.activations import logistic
from wrong_kernels.catalogue import BOTH_EQUATIONS, EQUATIONS, NOBODY, dx, wrong

Formula = Callable[[Any, Frame], Array]


def softmax(f: Frame, axis: int = 1) -> Array:
    e = np.exp(f.x - f.x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


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
MISTAKES: list[tuple[str, Loss | type[Loss], Formula, *tuple[str, ...]]] = [
    # a mean, a factor or a sign, as gradcheck must name them
    ("not averaged", SoftmaxCrossEntropy, lambda s, f: softmax(f) - f.t, "softmax ce",
     "not divided by the rows|division by .*count\\(n\\)|w\\[n\\]"),
    ("averaged twice", SoftmaxCrossEntropy, lambda s, f: rows(f) * (softmax(f) - f.t) / len(f.x), "softmax ce",
     "divided by the rows once too often"),
    ("diagonal of the Jacobian only", SoftmaxCrossEntropy, lambda s, f: -f.t * (1 - softmax(f)) * rows(f), "softmax ce",
     "its own input"),
    ("softmax over the batch", SoftmaxCrossEntropy, lambda s, f: (softmax(f, 0) - f.t) * rows(f), "softmax ce", "axis"),
    ("clipped in backward", SoftmaxCrossEntropy, lambda s, f: (np.clip(softmax(f), 0.05, 1) - f.t) * rows(f)),
    ("targets first", SoftmaxCrossEntropy, lambda s, f: (f.t - softmax(f)) * rows(f), "softmax ce", "sign"),
    ("smoothing lost", SoftmaxCrossEntropy(label_smoothing=0.1), lambda s, f: (softmax(f) - f.t) * rows(f), "smoothed",
     "s = 0.1 is taken for 0|t is read where smooth"),
    ("the slope of sigmoid twice", BinaryCrossEntropy,
     lambda s, f: (logistic(f.x) - f.t) * logistic(f.x) * (1 - logistic(f.x)) * rows(f) / f.x.shape[1], "bce",
     r"p\[n,k\]\*\(1 - p\[n,k\]\)"),
    ("summed over labels", BinaryCrossEntropy, lambda s, f: (logistic(f.x) - f.t) * rows(f)),
    ("no 2", MeanSquaredError, lambda s, f: rows(f) * (f.x - f.t) / f.x.shape[1], "tanh", "1/2|factor 2"),
    ("not averaged over outputs, as scikit-learn 8349", MeanSquaredError,
     lambda s, f: rows(f) * 2 * (f.x - f.t), "tanh", "K|outputs|factor 2"),
    ("sign", MeanSquaredError, lambda s, f: rows(f) * 2 * (f.t - f.x) / f.x.shape[1], "tanh", "sign"),
    ("not averaged over rows", MeanSquaredError, lambda s, f: 2 * (f.x - f.t) / f.x.shape[1], "tanh",
     "not divided by the rows|division by count"),
    ("mean over outputs", SquaredError, lambda s, f: 2 * s.factor * (f.x - f.t) * rows(f) / f.x.shape[1]),
    ("the half forgotten", SquaredError(factor=0.5), lambda s, f: rows(f) * 2 * (f.x - f.t), "half",
     "factor 2 too many|a 1/2 forgotten"),
    ("never cut", Huber, lambda s, f: rows(f) * (f.x - f.t) / f.x.shape[1], "huber", "not cut off"),
    ("sign, as nnfs", MeanAbsoluteError, lambda s, f: rows(f) * np.sign(f.t - f.x) / f.x.shape[1], "mae", "sign"),
    # published
    ("Keras: the true class as its own rival", MulticlassHinge, keras_categorical_hinge),
    # 3-6: mean, factor, sign
    ("averaged twice", MeanAbsoluteError, lambda s, f: rows(f) * np.sign(f.x - f.t) / f.x.size),
    ("averaged twice", Huber, lambda s, f: rows(f) * np.clip(f.x - f.t, -s.delta, s.delta) / f.x.size),
    ("twice averaged", WEIGHED, lambda s, f: rows(f) ** 2 * (softmax(f) - f.t) * (f.t @ weights(s, f))[:, None]
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
    ("clipped and smoothed", SMOOTH, lambda s, f: rows(f) * (np.clip(softmax(f), 0.05, 0.3) - smoothed(s, f))),
    ("smoothing of 0.2 lost", SMOOTH, lambda s, f: rows(f) * (softmax(f) - f.t)),
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


TIES: list[tuple[str, type[Loss], Formula]] = [
    ("slope 1 on the target", MeanAbsoluteError,
     lambda s, f: rows(f) * np.where(f.x >= f.t, 1.0, -1.0) / f.x.shape[1]),
    ("slope at the margin", Hinge, lambda s, f: -rows(f) * sides(f) * (sides(f) * f.x <= 1) / f.x.shape[1]),
    ("slope where the lead is 1", MulticlassHinge, lambda s, f: rows(f) * (lead(f)[0] >= 0) * (lead(f)[1] - f.t)),
    ("the last of equal rivals", MulticlassHinge, lambda s, f: rows(f) * (lead(f)[0] > 0) * (last_rival(f) - f.t)),
]  # fmt: skip
"""Right everywhere but at a tie: nothing but the definition says which slope a kink has."""

for what, loss, mistake, *net in MISTAKES:
    found = (net[0], "loss.dx", net[1]) if net else ()
    wrong(loss, *found, name=what)(dx(mistake))
for what, leaf, mistake in TIES:
    wrong(leaf, seen_by=BOTH_EQUATIONS, name=what)(dx(mistake))


@wrong(SoftmaxCrossEntropy, "softmax ce", "loss.dx", "p is cut off below at 0.01", seen_by=NOBODY)
def entropy_clipped_in_backward(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = (np.clip(softmax(f), 1e-2, 1) - f.t) * rows(f)


@wrong(SoftmaxCrossEntropy, "softmax ce", "", "another when computed a second time", "re-entrant", seen_by=NOBODY)
def probabilities_spoiled_in_place(self: SoftmaxCrossEntropy, f: Frame) -> None:
    np.divide(f.e, 1 + f.below, out=f.e)
    f.e -= f.t.T
    f.dx[...] = f.e.T * rows(f)


ENTROPY = SoftmaxCrossEntropy.forward


@wrong(SoftmaxCrossEntropy, method="forward", seen_by=EQUATIONS)
def value_that_is_not_differentiated(self: SoftmaxCrossEntropy, f: Frame) -> float:
    """thinc's CategoricalCrossentropy returns sum((p - t)^2) / n^2 with the gradient of cross-entropy: the equations
    contradict the value, the differences of the value the gradient."""
    ENTROPY(self, f)  # so that backward finds what it needs
    return float(((softmax(f) - f.t) ** 2).sum()) / len(f.x) ** 2
