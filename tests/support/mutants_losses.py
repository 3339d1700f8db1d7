"""Wrong gradients of losses and penalties, and wrong passes through the whole network."""

from __future__ import annotations

from typing import Any

import numpy as np
from mutants import RATE, mutant
from mutants_layers import BIASES, WEIGHTS, logistic

from bpcli.engine.objective import Batch, Objective
from bpcli.family.plan import Frame
from bpcli.parts.losses import (
    BinaryCrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    SquaredError,
)
from bpcli.parts.regularizers import L1, L2

MSE, SOFTMAX_CE = MeanSquaredError.backward, SoftmaxCrossEntropy.backward


# -------------------------------------------------------------------------------------------------------------- losses
def probabilities(x: Any, axis: int = 1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def share(f: Frame) -> Any:
    """Of each row in the mean."""
    return 1 / len(f.x) if f.w is None else f.w[:, None]


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "not divided by the rows|division by .*count\\(n\\)|w\\[n\\]")
def entropy_not_averaged(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = probabilities(f.x) - f.t


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "divided by the rows once too often")
def entropy_averaged_twice(self: SoftmaxCrossEntropy, f: Frame) -> None:
    SOFTMAX_CE(self, f)
    f.dx /= len(f.x)


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "its own input")
def entropy_diagonal(self: SoftmaxCrossEntropy, f: Frame) -> None:
    p = probabilities(f.x)
    f.dx[...] = -f.t * (1 - p) * share(f)


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "axis")
def entropy_of_the_wrong_axis(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = (probabilities(f.x, 0) - f.t) * share(f)


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "p is cut off below at 0.01")
def entropy_clipped_in_backward(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = (np.clip(probabilities(f.x), 1e-2, 1) - f.t) * share(f)


@mutant("softmax ce", SoftmaxCrossEntropy, "loss.dx", "sign")
def entropy_targets_first(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = (f.t - probabilities(f.x)) * share(f)


@mutant("softmax ce", SoftmaxCrossEntropy, "", "another when computed a second time", "re-entrant")
def probabilities_spoiled_in_place(self: SoftmaxCrossEntropy, f: Frame) -> None:
    np.divide(f.e, f.total, out=f.e)
    f.e -= f.t.T
    f.dx[...] = f.e.T * share(f)


@mutant("smoothed", SoftmaxCrossEntropy, "loss.dx", "s = 0.1 is taken for 0|t is read where smooth")
def smoothing_lost_in_backward(self: SoftmaxCrossEntropy, f: Frame) -> None:
    f.dx[...] = (probabilities(f.x) - f.t) * share(f)


@mutant("bce", BinaryCrossEntropy, "loss.dx", r"p\[n,k\]\*\(1 - p\[n,k\]\)")
def sigmoid_slope_twice(self: BinaryCrossEntropy, f: Frame) -> None:
    p = logistic(f.x)
    f.dx[...] = (p - f.t) * p * (1 - p) * share(f) / f.x.shape[1]


@mutant("tanh", MeanSquaredError, "loss.dx", "1/2|factor 2")
def square_without_its_two(self: MeanSquaredError, f: Frame) -> None:
    MSE(self, f)
    f.dx *= 0.5


@mutant("tanh", MeanSquaredError, "loss.dx", "K|outputs|factor 2")
def square_not_averaged_over_outputs(self: MeanSquaredError, f: Frame) -> None:
    MSE(self, f)
    f.dx *= f.x.shape[1]


@mutant("tanh", MeanSquaredError, "loss.dx", "sign")
def error_turned(self: MeanSquaredError, f: Frame) -> None:
    MSE(self, f)
    f.dx *= -1


@mutant("tanh", MeanSquaredError, "loss.dx", "not divided by the rows|division by count")
def square_not_averaged_over_rows(self: MeanSquaredError, f: Frame) -> None:
    f.dx[...] = 2 * (f.x - f.t) / f.x.shape[1]


@mutant("half", SquaredError, "loss.dx", "factor 2 too many|a 1/2 forgotten")
def half_forgotten(self: SquaredError, f: Frame) -> None:
    f.dx[...] = 2 * (f.x - f.t) * share(f)


@mutant("huber", Huber, "loss.dx", "not cut off")
def huber_never_cut(self: Huber, f: Frame) -> None:
    f.dx[...] = (f.x - f.t) * share(f) / f.x.shape[1]


@mutant("mae", MeanAbsoluteError, "loss.dx", "sign")
def absolute_error_turned(self: MeanAbsoluteError, f: Frame) -> None:
    f.dx[...] = np.sign(f.t - f.x) * share(f) / f.x.shape[1]


# ----------------------------------------------------------------------------------------------------------- penalties
PENALTIES = "l2.dw"


@mutant("l2", L2, PENALTIES, "factor 2 too many", method="add_grad")
def penalty_doubled(self: L2, w: Any, g: Any, scratch: Any) -> None:
    g += 2 * self.strength * w


@mutant("l2", L2, PENALTIES, "all 0", method="add_grad")
def penalty_missing(self: L2, w: Any, g: Any, scratch: Any) -> None:
    pass


@mutant("l2", L2, PENALTIES, "1/N", method="add_grad")
def penalty_divided_by_rows(self: L2, w: Any, g: Any, scratch: Any) -> None:
    g += self.strength * w / 3  # rows of the batch


@mutant("l1", L1, "l1.dw", r"sign\(w\[j\]\) lacks its function", method="add_grad")
def penalty_by_size(self: L1, w: Any, g: Any, scratch: Any) -> None:
    g += self.strength * w


@mutant("l2", L2, PENALTIES, "overwritten", method="add_grad")
def penalty_overwrites(self: L2, w: Any, g: Any, scratch: Any) -> None:
    g[...] = self.strength * w


ADD_PENALTY, PENALTY = Objective.add_penalty_gradient, Objective.penalty


@mutant("l2", Objective, BIASES, r" 0\.1 times the weights dense_[12].b: is a penalty", method="add_penalty_gradient")
def penalty_on_biases_in_the_gradient(self: Objective) -> None:
    ADD_PENALTY(self)
    for path, w in self.network.parameters().items():
        if path.endswith(".b"):
            self.network.gradients()[path][...] += 0.1 * w


@mutant("l2", Objective, BIASES, r"-0\.1 times the weights dense_[12].b: is a penalty", method="penalty")
def penalty_on_biases_in_the_loss(self: Objective) -> float:
    biases = (w for path, w in self.network.parameters().items() if path.endswith(".b"))
    return PENALTY(self) + 0.05 * sum(float(w @ w) for w in biases)


@mutant("l2", Objective, WEIGHTS, r"-0\.1 times the weights dense_[12].W: is a penalty", method="add_penalty_gradient")
def penalty_never_added(self: Objective) -> None:
    pass


BACKWARD = Batch.backward


@mutant("tanh", Batch, f"{WEIGHTS}, {BIASES}", "1/N", "batch")
def batch_averaged_twice(self: Batch, train: bool) -> None:
    BACKWARD(self, train)
    for link in self.chain.layers:
        for name in link.plan.params:
            getattr(link.frame, f"d{name}")[...] /= self.n


@mutant("tanh", Batch, "dense_1.dW, dense_1.db, inputs dx", "pass backward moves", "re-entrant")
def weights_updated_on_the_way(self: Batch, train: bool) -> None:
    self._loss.backward(self.frame)
    for link in reversed(self.chain.layers):
        link.layer.backward(link.frame, train)
        if "W" in link.plan.params:
            link.frame.W[...] -= RATE * link.frame.dW
            link.layer.backward(link.frame, train)


@mutant("tanh", Batch, WEIGHTS, "added to what stood there", "re-entrant")
def gradients_never_zeroed(self: Batch, train: bool) -> None:
    before = [link.frame.dW.copy() for link in self.chain.layers if "W" in link.plan.params]
    BACKWARD(self, train)
    for link in self.chain.layers:
        if "W" in link.plan.params:
            link.frame.dW[...] += before.pop(0)
