"""One iteration of an optimizer that looks at the objective where it likes: the rows, the value with its gradient, and
the Jacobian that it may ask for."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bpcli.engine.divergence import first_non_finite
from bpcli.engine.memory import aligned
from bpcli.engine.objective import Batch, Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Clipper, Constraint, FullBatchOptimizer, GradientOptimizer, Loss, Optimizer
from bpcli.family.plan import Array, Frame, Slot, empty
from bpcli.numeric.vectors import l2_norm


class FullBatchStep:
    """Lowers an objective iteration by iteration, on all training rows. Its interface is that of FirstOrderStep, but
    after a step `loss`, `penalty` and `norm` are those of the new weights, and `rate` is the length of the step.

    It is itself the ObjectiveView that the optimizer sees.
    """

    factor = 1.0  # nothing is clipped

    def __init__(self, objective: Objective, optimizer: FullBatchOptimizer, total: int) -> None:
        self.objective, self.optimizer, self.total = objective, optimizer, total
        self.theta, self.grad = objective.theta, objective.grad
        size = len(self.theta)
        self.slots = {name: _zeros(slot) for name, slot in optimizer.state(size).items()}
        self.clip_state: dict[str, Array] = {}
        self.schedule_state: dict[str, Array] = {}
        work = {name: _zeros(slot) for name, slot in optimizer.work(size).items()}
        vectors = {"w": self.theta, "g": self.grad, **self.slots, **work}
        self.frame = Frame(rate=0.0, **vectors)
        self.loss = self.penalty = self.norm = self.rate = 0.0
        self.ended = ""
        self._batch: Batch | None = None
        self._is_current = False  # whether the objective and its gradient are those of theta as it is
        self._first_row = np.zeros(objective.network.network_plan.x, self.theta.dtype)

    def step(self, batch: Batch, k: int) -> None:
        """Makes the iteration after `k` completed ones, on the rows loaded in `batch`: the same at every step.

        `ended` says why, where nothing is left to do. Raises NonFiniteError where the objective is not finite before
        the step; points that it only tries may be what they are.
        """
        f, self._batch = self.frame, batch
        if not self._is_current and not math.isfinite(self.evaluate(batch)):
            raise first_non_finite(self.objective, batch, self.loss, self.penalty, self.slots, self.clip_state)
        f.value = self.loss + self.penalty
        self.ended = self.optimizer.search(f, self, k + 1)
        self._is_current = True
        self.rate = 0.0 if self.ended else f.rate
        if self.ended:
            self.value()  # of the weights as they were: what was tried is forgotten
        elif self.objective.network.states:
            self.objective.network.commit(batch.chain)

    def rate_at(self, k: int) -> float:
        """Returns the length of the last step: it is known after a step and not before."""
        return self.rate

    def evaluate(self, batch: Batch) -> float:
        """Computes the objective at theta as it is, on the rows loaded in `batch`: what the next step begins with."""
        self._batch, self._is_current = batch, True
        return self.value()

    # ------------------------------------------------------------------------------------------ what the optimizer sees
    def value(self) -> float:
        """Returns the objective at theta; `grad` is then its gradient. Returns inf where one of them is not finite."""
        objective, batch = self.objective, self._current_batch
        self.loss, self.penalty = batch.forward(True), objective.penalty()
        batch.backward(True)
        objective.add_penalty_gradient()
        self.norm = l2_norm(self.grad)
        found = self.loss + self.penalty
        return found if math.isfinite(found) and math.isfinite(self.norm) else math.inf

    def jacobian(self, block: Array) -> Iterator[Array]:
        """Yields the derivatives of every output by theta, row by row of the batch, one output at a time."""
        x, single = self._current_batch.x, self.objective.network.chain(1)
        self._first_row[...] = x[0]  # a batch of one row stands where the first row of every batch stands
        filled = 0
        for i in range(len(x)):
            single.x[...] = x[i]
            single.forward(True)
            for k in range(single.y.shape[-1]):
                single.dy.fill(0)
                single.dy[0, k] = 1
                single.backward(True)
                block[filled] = self.grad
                filled += 1
                if filled == len(block):
                    yield block
                    filled = 0
        x[0] = self._first_row
        if filled:
            yield block[:filled]

    def quadratic(self, curvature: Array) -> float:
        """Returns the `scale` of a loss that is a mean of squares, and what the penalties add to the curvature."""
        scale = slope_of_one(self.objective.loss, self._current_batch.t.shape[-1]) / self._current_batch.n
        curvature.fill(0)
        for penalty, where in self.objective.network.network_plan.penalties:
            w = np.ones(where.stop - where.start)
            penalty.add_grad(w, curvature[where], np.zeros_like(w))
        np.divide(curvature, scale, out=curvature)
        return scale

    @property
    def _current_batch(self) -> Batch:
        assert self._batch is not None, "a surface is looked at within a step"
        return self._batch


def make_step(
    objective: Objective,
    optimizer: Optimizer,
    clipper: Clipper | None,
    total: int,
    *,
    epoch: int = 1,
    constraint: Constraint | None = None,
) -> FirstOrderStep | FullBatchStep:
    """Returns the step that suits this optimizer; the arguments are those of FirstOrderStep."""
    if isinstance(optimizer, FullBatchOptimizer):
        return FullBatchStep(objective, optimizer, total)
    assert isinstance(optimizer, GradientOptimizer), f"{optimizer.kind} neither steps nor searches"
    return FirstOrderStep(objective, optimizer, clipper, total, epoch=epoch, constraint=constraint)


def slope_of_one(loss: Loss, outputs: int) -> float:
    """Returns the slope of the loss of a single row where each error is 1: a sum of squares is half of it times the
    squares."""
    plan = loss.plan((outputs,))
    x, t, dx = np.ones((1, outputs)), np.zeros((1, outputs)), np.zeros((1, outputs))
    slots: dict[str, Any] = {n: empty(slot, 1, np.float64) for n, slot in {**plan.keep, **plan.scratch}.items()}
    f = Frame(x=x, t=t, w=None, dx=dx, **slots)
    loss.forward(f)
    loss.backward(f)
    return float(dx[0, 0])


def _zeros(slot: Slot) -> Array:
    """Returns a zeroed array that begins at a cache line."""
    return aligned(math.prod(slot.shape), np.float64).reshape(slot.shape)
