"""A range test of learning rates (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3)."""

import math
from dataclasses import dataclass

import numpy as np

from bpcli.engine.divergence import NonFiniteError
from bpcli.studies.diagnose.short_runs import GeometricRateStep, copy_step, peak_rate, step_on_rows
from bpcli.studies.diagnose.training_context import MAX_STEP_ROWS, TrainingContext

DECADES = 3.0  # below and above the rate of the training
MIN_LAST_RATE = 10.0  # the test goes on at least so far, unless the loss explodes
STEPS_PER_DECADE = 16  # training steps
MAX_STARTS = 3  # each a factor 10^DECADES lower
EXPLOSION = 4.0  # times the least loss so far or that of the best constant, whichever is larger: there the test ends
MIN_FALLING_STEPS = 8  # before the least loss: an explosion right after a fall shows that the test began too high
MIN_TEST_FALL = 0.03  # share of the first loss that has to go for the test to show anything
FALL_BEGINS = 0.1  # share of the fall after which the loss counts as falling


LEAST_SHARE = 1e-300
"""Of the last rate that the first one is at least: their ratio has to be a number."""


@dataclass(frozen=True)
class RateRange:
    """What the range test found: the rates with the loss after the step with each.

    The good ones lie between `low`, where the loss begins to fall, and `best`, where it is least; both are nan where it
    does not fall. At `most` it explodes; None where it does not.
    """

    rates: tuple[tuple[float, float], ...]
    low: float
    best: float
    most: float | None

    @property
    def worse(self) -> bool:
        """Whether the last loss is above the first: a training at that rate ends worse than it began."""
        return self.rates[-1][1] > self.rates[0][1]

    @property
    def good(self) -> float:
        """A rate between where the loss begins to fall and a tenth of where it is least; inf where it does not fall."""
        if math.isnan(self.best):
            return math.inf
        return math.sqrt(self.low * max(self.low, self.best / 10))


def lr_range_test(context: TrainingContext, constant: float) -> RateRange | None:
    """Takes step after step, each at a larger rate, from a thousandth of the training's until the loss explodes; where
    it does so before it has fallen, starts again from a thousandth of that. `constant` is the loss of the best constant
    prediction. None where the optimizer has no rate, or nothing was measured."""
    peak = peak_rate(context)
    if peak is None:
        return None
    found: RateRange | None = None
    for times in range(1, MAX_STARTS + 1):
        found = _increase_rate(context, peak * 10 ** (-DECADES * times), peak, constant)
        if found is not None and (found.most is None or not math.isnan(found.best)):
            break
    return found


def _increase_rate(context: TrainingContext, first: float, peak: float, constant: float) -> RateRange | None:
    """Takes steps in the order of the training, each at a larger rate, and measures the loss after each on the probe
    rows, so that a hard batch does not count as a rise."""
    dtype = np.dtype(context.experiment.dtype)
    last, growth = min(max(peak * 10**DECADES, MIN_LAST_RATE), float(np.finfo(dtype).max)), 10 ** (1 / STEPS_PER_DECADE)
    first = max(first, last * LEAST_SHARE)
    size = max(min(context.batch_rows, MAX_STEP_ROWS), len(context.probe_rows))
    train_step = copy_step(context, size, dtype, first=first, growth=growth)
    assert isinstance(train_step, GeometricRateStep)
    start = least = _probe_loss(context, train_step)
    found: list[tuple[float, float]] = []
    most: float | None = None
    steps = math.ceil(math.log10(last / first) * STEPS_PER_DECADE)
    for k, rows in zip(range(steps), context.batches(MAX_STEP_ROWS), strict=False):
        try:
            step_on_rows(train_step, context.train.x, context.train.t, rows, k)
            loss = _probe_loss(context, train_step)
        except NonFiniteError:
            loss = math.inf
        if math.isfinite(loss):
            found.append((train_step.rate_at(k), loss))
        if not loss < EXPLOSION * max(least, constant):
            most = train_step.rate_at(k)
            break
        least = min(least, loss)
    return _range_from(start, tuple(found), most)


def _probe_loss(context: TrainingContext, train_step: GeometricRateStep) -> float:
    """Returns the loss of the probe rows at the weights as they are now, in evaluation mode; in training mode, with the
    same random draws every time, where a layer takes statistics over the batch, as their running values say little
    yet."""
    network, batch = train_step.objective.network, train_step.objective.batch(len(context.probe_rows))
    batch.load(context.train.x, context.train.t, context.probe_rows)
    batch_statistics = bool(network.states)
    with np.errstate(all="ignore"):
        if batch_statistics:
            network.draw(batch.chain, 0)
        return batch.forward(batch_statistics)


def _range_from(start: float, rates: tuple[tuple[float, float], ...], most: float | None) -> RateRange | None:
    if len(rates) < 2:
        return None
    losses = np.array([loss for _, loss in rates])
    least = int(losses.argmin())
    fall = start - float(losses[least])
    if not fall > MIN_TEST_FALL * abs(start) or (least < MIN_FALLING_STEPS and most is not None):
        return RateRange(rates, math.nan, math.nan, most)
    above = np.flatnonzero(losses[:least] >= start - FALL_BEGINS * fall)
    low = int(above[-1]) + 1 if len(above) else 0
    return RateRange(rates, rates[low][0], rates[least][0], most)
