"""Short trainings of copies of a network, which leave the network itself as it is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from bpcli.engine.divergence import NonFiniteError
from bpcli.engine.full_batch import FullBatchStep, make_step
from bpcli.engine.network_plan import NetworkPlan, plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.state import restore
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Activation, Array, Layer, Optimizer
from bpcli.studies.diagnose.training_context import MAX_STEP_ROWS, TrainingContext

MAX_CONSTANT_ROWS = 20_000  # that the best constant is found on
MAX_CONSTANT_STEPS = 200  # iterations of L-BFGS: it takes ten or so
OVERFIT_ROWS = 16  # rows of train
OVERFIT_STEPS = (300, 3000)
"""Steps at least, and at most where a step is cheap: small networks on hard rows (parity) take two thousand."""

OVERFIT_MULTIPLY_ADDS = 2e10  # of the passes of all steps together
OVERFITTED = 0.01  # share of the first loss that is left when a batch is overfitted


class GeometricRateStep(FirstOrderStep):
    """A first-order step at the learning rate `first` * `growth`^k, whatever the schedule says."""

    first, growth = 0.0, 1.0

    def rate_at(self, k: int) -> float:
        return self.first * self.growth**k


def peak_rate(context: TrainingContext) -> float | None:
    """Returns the greatest learning rate of the training, None where its optimizer has none; for a schedule that reacts
    to a figure, the rate that it starts with."""
    if context.gradient_optimizer is None:
        return None
    schedule, total = context.gradient_optimizer.learning_rate, context.total_steps
    if getattr(schedule, "per", "step") == "epoch":
        total = context.experiment.training.epochs
    state = {name: np.array(value) for name, value in schedule.state().items()}
    moments = dict.fromkeys(np.linspace(0, total - 1, 400).astype(int).tolist())
    return max(schedule.at(k, total, state) for k in moments)


def copy_step(
    context: TrainingContext, rows: int, dtype: Any = np.float64, *, network_plan: NetworkPlan | None = None,
    first: float = 0.0, growth: float = 1.0,
) -> FirstOrderStep | FullBatchStep:  # fmt: skip
    """Returns steps on a copy of the network, or on a new one of another plan, at learning rates from `first` on."""
    e = context.experiment
    objective = Objective(network_plan or context.network_plan, e.loss, rows, dtype, e.seed)
    if network_plan is None:
        objective.theta[...] = context.theta
        restore(objective.network.states, context.states)
    if context.gradient_optimizer is None:
        return make_step(objective, e.optimizer, None, context.total_steps)
    optimizer, epoch = context.gradient_optimizer, context.steps_per_epoch
    train_step = GeometricRateStep(
        objective, optimizer, e.clipping, context.total_steps, epoch=epoch, constraint=e.constraint
    )
    train_step.first, train_step.growth = first, growth
    return train_step


def first_step(context: TrainingContext) -> Array | None:
    """Returns what the first step of the training adds to the flat weights, at its greatest learning rate; None where
    it cannot be made."""
    rows = next(context.batches(MAX_STEP_ROWS))
    train_step = copy_step(context, len(rows), first=peak_rate(context) or 0.0)
    try:
        step_on_rows(train_step, context.train.x, context.train.t, rows, 0)
    except NonFiniteError:
        return None
    moved: Array = train_step.theta - context.theta
    return moved


def step_on_rows(train_step: FirstOrderStep | FullBatchStep, x: Array, t: Array, rows: Array, k: int) -> float:
    """Takes step k on these rows; returns the loss before it (after it for a full-batch optimizer)."""
    batch = train_step.objective.batch(len(rows))
    dtype = train_step.theta.dtype
    if x.dtype != dtype:  # a few rows of them
        x, t, rows = x[rows].astype(dtype), t[rows], np.arange(len(rows))
    if t.ndim == 2 and t.dtype != dtype:
        t = t.astype(dtype)
    batch.load(x, t, rows)
    with np.errstate(all="ignore"):  # what overflows is found by the step, and named
        train_step.step(batch, k)
    return train_step.loss


@dataclass(frozen=True, eq=False)
class ShortRun:
    """A network after some steps of its training; where it diverged, the steps before that."""

    objective: Objective
    steps: int
    diverged: bool


def short_run(
    context: TrainingContext, steps: int, on_epoch_end: Callable[[Objective], None] | None = None
) -> ShortRun:
    """Makes the first `steps` steps of the training as `train` does, without augmentation of images."""
    e = context.experiment
    objective = Objective(context.network_plan, e.loss, context.batch_rows, np.dtype(e.dtype), e.seed)
    train_step = make_step(
        objective, e.optimizer, e.clipping, context.total_steps, epoch=context.steps_per_epoch, constraint=e.constraint
    )
    for k, rows in zip(range(steps), context.batches(), strict=False):
        try:
            step_on_rows(train_step, context.train.x, context.train.t, rows, k)
        except NonFiniteError:
            return ShortRun(objective, k, True)
        if on_epoch_end is not None and (k + 1) % context.steps_per_epoch == 0:
            on_epoch_end(objective)
        if train_step.ended:
            return ShortRun(objective, k, False)
    return ShortRun(objective, steps, False)


# ----------------------------------------------------------------------------------------------------- least losses
def best_constant(context: TrainingContext) -> float:
    """Returns the least loss of the training rows where every row gets the same output: what a network has to beat. For
    squared errors it is the variance of the targets, for the cross entropy the entropy of the shares of the classes.

    It is found by training a network whose inputs are all 0 until nothing changes, from the medians of the targets on:
    an absolute error is least there, and its slope does not lead there.
    """
    step = -(-context.rows // MAX_CONSTANT_ROWS)
    t = context.train.t[::step]
    return _lowest_loss(context, np.zeros((len(t), 1)), t, np.median(t, axis=0) if t.ndim == 2 else None)


def least_loss(context: TrainingContext) -> float:
    """Returns the least loss that any network could have on the batch that is overfitted: each row gets an output of
    its own, and equal rows the same. It is 0 for most losses, and more where labels are smoothed or equal rows have
    different targets."""
    rows = next(context.batches(OVERFIT_ROWS))
    x, t = context.train.x[rows], context.train.t[rows]
    kinds, which = np.unique(x.reshape(len(x), -1), axis=0, return_inverse=True)
    return _lowest_loss(context, np.eye(len(kinds))[which.ravel()], t, None)


def _lowest_loss(context: TrainingContext, x: Array, t: Array, start: Array | None) -> float:
    """Returns the least loss of a single dense layer on these inputs, followed by the last activations of the
    network."""
    objective = _dense_objective(context, x.shape[1], len(x))
    if start is not None and len(objective.network.network_plan.layers) == 1:
        objective.network.parameters()["dense_1.b"][...] = start
    train_step = make_step(objective, Optimizer.parse({"type": "lbfgs"}), None, MAX_CONSTANT_STEPS)
    found = math.inf
    for step in range(MAX_CONSTANT_STEPS):
        try:
            found = min(found, step_on_rows(train_step, x, t, np.arange(len(x)), step))
        except NonFiniteError:
            break
        if train_step.ended:
            break
    return found


def loss_at_zero(context: TrainingContext) -> float:
    """Returns the loss of a network that puts out 0 before its last activations: of a softmax over K classes, ln K."""
    rows = context.probe_rows
    batch = _dense_objective(context, 1, len(rows)).batch(len(rows))
    t = context.train.t[rows]
    batch.load(np.zeros((len(rows), 1)), t if t.ndim == 1 else t.astype(np.float64), np.arange(len(rows)))
    return batch.forward(False)


def _dense_objective(context: TrainingContext, inputs: int, rows: int) -> Objective:
    """Returns the loss after a single dense layer, all 0, and the activations after the last layer that learns."""
    backwards = (node.layer for node in reversed(context.network_plan.layers))
    activations = tuple(takewhile(lambda layer: isinstance(layer, Activation), backwards))[::-1]
    dense = Layer.parse({"type": "dense", "units": context.network_plan.y[0], "init": "zeros"})
    return Objective(plan_network((dense, *activations), (inputs,)), context.experiment.loss, rows, np.float64, 0)


# ------------------------------------------------------------------------------------------------------- overfitting
def step_multiply_adds(context: TrainingContext, rows: int) -> float:
    """Returns the multiply-adds of a step: those of a forward pass, and twice as many of the backward pass."""
    return 3.0 * rows * max(1, sum(node.plan.multiply_adds for node in context.network_plan.walk()))


def overfit(context: TrainingContext, least: float) -> tuple[float, ...]:
    """Returns the loss of one small batch, step after step, as the network overfits it: with its own optimizer at its
    greatest rate, without penalties and without layers that draw random numbers.

    It ends near `least`, the least loss that is possible, and with inf where training diverged.
    """
    e = context.experiment
    nodes = context.network_plan.walk()
    chance = [n.layer for n in nodes if n.plan.draws and not n.plan.params and n.plan.y == n.x]
    network_plan = plan_network(_without_chance(e.architecture, chance), context.network_plan.x)
    rows = next(context.batches(min(OVERFIT_ROWS, MAX_STEP_ROWS)))
    train_step = copy_step(context, len(rows), network_plan=network_plan, first=peak_rate(context) or 0.0)
    train_step.objective.penalties = []  # those of single layers
    losses = []
    fewest, most = OVERFIT_STEPS
    for k in range(min(most, max(fewest, int(OVERFIT_MULTIPLY_ADDS / step_multiply_adds(context, len(rows)))))):
        try:
            losses.append(step_on_rows(train_step, context.train.x, context.train.t, rows, k))
        except NonFiniteError:
            return (*losses, math.inf)
        if train_step.ended or losses[-1] - least < OVERFITTED * (losses[0] - least):
            break
    return tuple(losses)


def _without_chance(layers: Sequence[Layer], chance: Sequence[Layer]) -> list[Layer]:
    """Returns the layers without those in `chance`, also inside containers."""
    found: list[Layer] = []
    for layer in layers:
        if layer in chance:
            continue
        changes: dict[str, Any] = {}
        for name in type(layer).model_fields:
            inner = getattr(layer, name)
            if isinstance(inner, tuple) and inner and all(isinstance(i, Layer) for i in inner):
                changes[name] = tuple(_without_chance(inner, chance)) or inner
        found.append(layer.model_copy(update=changes) if changes else layer)
    return found
