"""Wrong passes through a whole network, and penalties that mistake where they should not; only gradcheck sees these."""

from __future__ import annotations

from bpcli.engine.objective import Batch, Objective
from wrong_kernels.catalogue import wrong
from wrong_kernels.layers import BIASES, RATE, WEIGHTS

ADD_PENALTY, PENALTY = Objective.add_penalty_gradient, Objective.penalty


@wrong(Objective, "l2", BIASES, r" 0\.1 times the weights dense_[12].b: is a penalty", method="add_penalty_gradient")
def penalty_on_biases_in_the_gradient(self: Objective) -> None:
    ADD_PENALTY(self)
    for path, w in self.network.parameters().items():
        if path.endswith(".b"):
            self.network.gradients()[path][...] += 0.1 * w


@wrong(Objective, "l2", BIASES, r"-0\.1 times the weights dense_[12].b: is a penalty", method="penalty")
def penalty_on_biases_in_the_loss(self: Objective) -> float:
    biases = (w for path, w in self.network.parameters().items() if path.endswith(".b"))
    return PENALTY(self) + 0.05 * sum(float(w @ w) for w in biases)


@wrong(Objective, "l2", WEIGHTS, r"-0\.1 times the weights dense_[12].W: is a penalty", method="add_penalty_gradient")
def penalty_never_added(self: Objective) -> None:
    pass


BACKWARD = Batch.backward


@wrong(Batch, "tanh", f"{WEIGHTS}, {BIASES}", "1/N", "batch")
def batch_averaged_twice(self: Batch, train: bool) -> None:
    BACKWARD(self, train)
    for bound in self.chain.layers:
        for name in bound.plan.params:
            getattr(bound.frame, f"d{name}")[...] /= self.n


@wrong(Batch, "tanh", "dense_1.dW, dense_1.db, inputs dx", "pass backward moves", "re-entrant")
def weights_updated_on_the_way(self: Batch, train: bool) -> None:
    self._loss.backward(self.frame)
    for bound in reversed(self.chain.layers):
        bound.layer.backward(bound.frame, train)
        if "W" in bound.plan.params:
            bound.frame.W[...] -= RATE * bound.frame.dW
            bound.layer.backward(bound.frame, train)


@wrong(Batch, "tanh", WEIGHTS, "added to what stood there", "re-entrant")
def gradients_never_zeroed(self: Batch, train: bool) -> None:
    before = [bound.frame.dW.copy() for bound in self.chain.layers if "W" in bound.plan.params]
    BACKWARD(self, train)
    for bound in self.chain.layers:
        if "W" in bound.plan.params:
            bound.frame.dW[...] += before.pop(0)
