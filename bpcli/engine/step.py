"""One training step, its order stated once: draw, forward, loss and penalty, backward, penalty gradient, clip, update,
constraint, commit. (Decoupled decay happens inside the update.)"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from bpcli.engine.divergence import check_after_update, first_non_finite
from bpcli.engine.memory import aligned
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Clipper, Constraint, Frame, GradientOptimizer
from bpcli.numeric.vectors import l2_norm

CHUNK_BYTES = 1 << 18
"""Bytes of each flat vector that an update works on at a time, so that Adam's five stay in a level 2 cache between its
twelve operations: from 400,000 parameters on it takes 0.6 of the time it takes on whole vectors."""


def _ignore(phase: str) -> None:
    """Does nothing."""


class FirstOrderStep:
    """Lowers an objective step by step. After a step, `loss`, `penalty`, `norm` (of the gradient, before clipping),
    `factor` (what clipping left of it) and `rate` say what happened."""

    ended = ""  # it can always go on

    def __init__(
        self,
        objective: Objective,
        optimizer: GradientOptimizer,
        clipper: Clipper | None,
        total: int,
        *,
        epoch: int = 1,
        constraint: Constraint | None = None,
    ) -> None:
        """`total` is how many steps the whole training has, `epoch` how many of them make an epoch: what schedules run
        over. `constraint` is laid on the weights of every layer that has none of its own."""
        self.objective, self.optimizer, self.clipper = objective, optimizer, clipper
        self.total, self.epoch = total, epoch
        self.theta, self.grad = objective.theta, objective.grad
        self.slots = {name: aligned(len(self.theta), self.theta.dtype) for name in optimizer.slots}
        self._chunks = tuple(self._cut())
        self.clip_state: dict[str, Array] = {}
        if clipper is not None:
            self.clip_state = {name: np.zeros(slot.shape) for name, slot in clipper.state().items()}
        network = objective.network
        self.schedule_state = {name: np.array(value) for name, value in optimizer.learning_rate.state().items()}
        self._update, self._schedule = optimizer.update, optimizer.learning_rate.at
        self._per_epoch = getattr(optimizer.learning_rate, "per", "step") == "epoch"
        self.constrained = tuple(self._constraints(constraint))
        pieces = [(network.gradients()[path], w) for path, w in network.parameters().items()]
        self._clip_frame = Frame(g=self.grad, pieces=pieces, **self.clip_state)
        self._draws = network.draws
        self._commits = bool(network.states)
        self.loss = self.penalty = self.norm = self.rate = 0.0
        self.factor = 1.0

    def step(self, batch: Batch, k: int, notify: Callable[[str], None] = _ignore) -> None:
        """Takes the step after `k` completed ones, on the rows loaded in `batch`; calls `notify` with the name of each
        phase when it is over.

        Raises NonFiniteError, before any weight is changed, where the loss or the gradient is not finite; after the
        update, where a gradient so large that its square may overflow made what the optimizer remembers not finite.
        """
        objective, network = self.objective, self.objective.network
        if self._draws:
            network.draw(batch.chain, k)
        self.loss = batch.forward(True)
        self.penalty = objective.penalty()
        batch.backward(True)
        notify("backward")
        objective.add_penalty_gradient()
        self.norm = l2_norm(self.grad)
        if not math.isfinite(self.norm) or not math.isfinite(self.loss + self.penalty):
            raise first_non_finite(objective, batch, self.loss, self.penalty, self.slots, self.clip_state)
        notify("gradient")
        if self.clipper is not None:
            self._clip_frame.norm = self.norm
            self.factor = self.clipper.clip(self._clip_frame)
        notify("clipping")
        self.update_weights(k)
        check_after_update(network, self.norm, self.rate, self.slots, self.clip_state)
        notify("optimizer")
        for own, _, w in self.constrained:
            own.apply(w)
        if self._commits:
            network.commit(batch.chain)
        notify("step")

    def update_weights(self, k: int) -> None:
        """Moves the weights by the gradient as it is: the update of the step after `k` completed ones."""
        rate = self.rate = self.rate_at(k)
        for chunk in self._chunks:
            self._update(chunk, rate, k + 1)

    def rate_at(self, k: int) -> float:
        """Returns the learning rate of the step after `k` completed ones."""
        k, total = self.schedule_position(k)
        return self._schedule(k, total, self.schedule_state)

    def schedule_position(self, k: int) -> tuple[int, int]:
        """Returns how many of how many are completed after `k` steps, as the schedule counts: steps, or epochs."""
        k = k if k < self.total else self.total  # in an update of microseconds a call of min counts
        return (k // self.epoch, self.total // self.epoch) if self._per_epoch else (k, self.total)

    def _constraints(self, constraint: Constraint | None) -> Iterator[tuple[Constraint, str, Array]]:
        """Yields every tensor of weights that is put back after a step, with what does it and its path."""
        parameters = self.objective.network.parameters()
        for e in self.objective.network.network_plan.layout:
            own = getattr(e.owner.layer, "constraint", None) or constraint
            if own is not None and e.param.decays:
                yield own, e.path, parameters[e.path]

    def _cut(self) -> Iterator[Frame]:
        """Yields the flat vectors in chunks of CHUNK_BYTES; an update works entry by entry, so cuts do not change
        it."""
        length = CHUNK_BYTES // self.theta.itemsize
        vectors = {"w": self.theta, "g": self.grad, **self.slots}
        scratch = {name: aligned(min(length, len(self.theta)), self.theta.dtype) for name in self.optimizer.scratch}
        decaying = self.objective.network.network_plan.decaying
        for start in range(0, len(self.theta), length):
            views = {name: vector[start : start + length] for name, vector in vectors.items()}
            views |= {name: vector[: len(views["w"])] for name, vector in scratch.items()}
            inside = min(max(decaying - start, 0), len(views["w"]))
            yield Frame(D=inside, **views)
