"""What training lowers: the loss of a network over a batch plus the penalties on its weights, and its flat gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bpcli.engine.memory import aligned
from bpcli.engine.network import Chain, Network
from bpcli.engine.network_plan import NetworkPlan
from bpcli.family import Array, Frame, Loss, N, Slot
from bpcli.notation import Eq

OBJECTIVE_EQUATIONS = (
    Eq("E", "L + penalty", "what training lowers"),
    Eq("g[j]", "data[j] + own[j]", "the slopes add: that of the loss, and the penalty's own"),
)
"""The objective and its flat gradient, as Objective adds them up."""

CHANGE_EQUATIONS = (
    Eq("change", "sum(j, g[j] * (w_new[j] - w[j]))", "each weight moves the loss by its slope, to first order"),
)
"""What a step from w to w_new does to the objective, as far as its gradient shows."""


class Batch:
    """The network and its loss bound to `n` rows: load rows, then forward, then backward."""

    def __init__(self, objective: Objective, n: int) -> None:
        network, loss = objective.network, objective.loss
        self.n = n
        self.chain: Chain = network.chain(n)
        self.x = self.chain.x
        memory = network.memory
        plan = objective.plan
        self.t = memory.view("loss/t", (N, *plan.y), n)
        self._ids = memory.view("loss/ids", (N,), n, "int")
        self._classes = np.arange(plan.y[-1])
        self.w = memory.view("loss/w", (N,), n)
        slots = {**plan.keep, **plan.scratch}
        views = {name: memory.slot(f"loss/{name}", slot, n) for name, slot in slots.items()}
        self.frame = Frame(x=self.chain.y, t=self.t, w=None, dx=self.chain.dy, **views)
        self._loss, self._rows_weigh = loss, float(n)

    def load(self, x: Array, t: Array, rows: Array, w: Array | None = None) -> None:
        """Copies the rows `rows` of the data in: x (R, ...), t (R, K) values or (R,) class ids, w (R,) weights."""
        x.take(rows, 0, out=self.x, mode="clip")
        if t.ndim == 1:
            t.take(rows, 0, out=self._ids, mode="clip")
            if len(self._classes) == 1:
                self.t[:, 0] = self._ids
            else:
                np.equal(self._ids[:, None], self._classes, out=self.t)
        else:
            t.take(rows, 0, out=self.t, mode="clip")
        self.frame.w = None
        self._rows_weigh = float(self.n)
        if w is not None:
            w.take(rows, 0, out=self.w, mode="clip")
            self._rows_weigh = float(self.w.sum())
            self.w /= self._rows_weigh
            self.frame.w = self.w

    def forward(self, train: bool) -> float:
        """Runs the network; returns the data term of the loss."""
        self.chain.forward(train)
        return self._loss.forward(self.frame)

    def weight(self) -> float:
        """Returns what the rows weigh, after `forward`: their number, or the sum of their sample and class weights. By
        it the losses of batches become the loss of all rows."""
        return self._rows_weigh * self._loss.mean_weight(self.frame)

    def backward(self, train: bool) -> None:
        """Writes the gradient of the data term into every parameter's gradient."""
        self._loss.backward(self.frame)
        self.chain.backward(train)

    def gradients(self) -> Iterator[tuple[str, str, Array]]:
        """Does what `backward` does in training, layer by layer; yields every gradient when it is computed, with its
        layer and its name. (What is inside a container has been computed when the container comes.)"""
        self._loss.backward(self.frame)
        yield "loss", "dx", self.chain.dy
        for bound in self.chain.learning():
            bound.layer.backward(bound.frame, True)
            for inner in (bound, *reversed([b for chain in bound.inside.values() for b in chain.walk()])):
                for name in inner.plan.params:
                    yield inner.path, f"d{name}", getattr(inner.frame, f"d{name}")
            if bound.frame.dx is not None:
                yield bound.path, "dx", bound.frame.dx


class Objective:
    """A network in memory, the loss at its end and the penalties on its weights.

    The flat vectors `theta` and `grad` are the network's. `rows` is the largest batch.
    """

    def __init__(
        self,
        network_plan: NetworkPlan,
        loss: Loss,
        rows: int,
        dtype: Any,
        seed: int,
        *,
        retain: bool = False,
        need_dx: bool = False,
    ) -> None:
        self.network = Network(network_plan, rows, dtype, seed, retain=retain, need_dx=need_dx)
        self.loss = loss
        self.plan = loss.plan(network_plan.y)
        self.theta, self.grad = self.network.theta, self.network.grad
        memory = self.network.memory
        for name, slot in loss_slots(loss, network_plan.y).items():
            memory.reserve(f"loss/{name}", slot.shape, slot.dtype)
        self.penalties = [(p, self.theta[where], self.grad[where]) for p, where in network_plan.penalties]
        longest = max((len(w) for _, w, _ in self.penalties), default=0)
        self._scratch = aligned(longest, self.network.dtype)
        self._batches: dict[int, Batch] = {}

    def batch(self, n: int) -> Batch:
        """Returns the objective bound to `n` rows; bound once."""
        batch = self._batches.get(n)
        if batch is None:
            batch = self._batches[n] = Batch(self, n)
        return batch

    def row_losses(self, batch: Batch) -> tuple[Array, Array]:
        """Returns, after the batch's `forward`, what each row loses, (N,) float64, and how much it weighs by its class,
        (N,); sample weights, which the caller has, are left out. What the loss keeps for `backward` is written anew."""
        weights, batch.frame.w = batch.frame.w, None
        self.loss.forward(batch.frame)
        found = self.loss.row_losses(batch.frame) or self._one_by_one(batch)
        batch.frame.w = weights
        return found

    def _one_by_one(self, batch: Batch) -> tuple[Array, Array]:
        """Returns the same of a loss that tells it of a row alone: outputs and targets come through the memory of a
        batch of one, which is that of the first row."""
        y, t, single = batch.chain.y.copy(), batch.t.copy(), self.batch(1)
        single.frame.w = None
        losses, weights = np.empty(batch.n), np.empty(batch.n)
        for i in range(batch.n):
            single.chain.y[0], single.t[0] = y[i], t[i]
            losses[i] = self.loss.forward(single.frame)
            weights[i] = self.loss.mean_weight(single.frame)
        batch.chain.y[...], batch.t[...] = y, t
        return losses, weights

    def penalty(self) -> float:
        """Returns the penalties of the weights as they are."""
        return sum(p.value(w, self._scratch[: len(w)]) for p, w, _ in self.penalties)

    def add_penalty_gradient(self) -> None:
        """Adds the penalties' gradients to the flat gradient."""
        for p, w, g in self.penalties:
            p.add_grad(w, g, self._scratch[: len(w)])


def loss_slots(loss: Loss, y: tuple[int, ...]) -> dict[str, Slot]:
    """Returns every slot a loss asks for at outputs of shape `y`, its targets included."""
    plan = loss.plan(y)
    return {"t": Slot((N, *plan.y)), "ids": Slot((N,), "int"), "w": Slot((N,)), **plan.keep, **plan.scratch}
