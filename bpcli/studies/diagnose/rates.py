"""Whether the network learns at its learning rate: one batch by heart, and a range test of rates (Smith 2017,
"Cyclical learning rates for training neural networks", section 3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bpcli.engine.descent import NonFiniteError
from bpcli.plan import Array
from bpcli.studies.diagnose import cures
from bpcli.studies.diagnose.case import MOST, Case
from bpcli.studies.diagnose.practice import (
    OVERFIT_ROWS,
    Paced,
    copy_of,
    peak_rate,
    step_on,
)
from bpcli.verdicts import Cure, Symptom

DECADES = 3.0  # below the rate of the training and above it
FAR = 10.0  # where the test ends at the earliest, unless the loss explodes
PER_DECADE = 16  # steps
RETREATS = 3
EXPLODED = 4.0  # times the least loss so far, or that of the best constant: the test ends
SOONEST = 8  # steps: an explosion right behind a fall says that the test began too high
SEEN = 0.03  # of the loss at first: what has to go for the test to say anything
FALLEN = 0.1  # of the way down: where the loss begins to fall
TOO_LOW = 0.1  # of where the loss begins to fall
LEARNED = (0.1, 0.5)
"""Of the way from what the batch starts with to its least loss, what may be left: a notice, a warning."""


@dataclass(frozen=True)
class Range:
    """What the range test found: the rates with the loss after the step with each; between `low` (the loss begins to
    fall) and `best` (it is least) lie the good ones; at `most` it explodes, None where it does not."""

    rates: tuple[tuple[float, float], ...]
    low: float
    best: float
    most: float | None

    @property
    def worse(self) -> bool:
        """Whether the loss at the end is above that at first: a training at that rate ends worse than it began."""
        return self.rates[-1][1] > self.rates[0][1]

    @property
    def good(self) -> float:
        """A rate between where the loss begins to fall and a tenth of where it is least; inf where it does not fall."""
        if math.isnan(self.best):
            return math.inf
        return math.sqrt(self.low * max(self.low, self.best / 10))


def range_test(case: Case) -> Range | None:
    """One step after another, each with a larger rate, from a thousandth of the training's to where the loss explodes;
    where it does so before it falls, from a thousandth of that, and so on. None where the optimizer has no rate."""
    peak = peak_rate(case)
    if peak is None:
        return None
    found: Range | None = None
    for times in range(1, RETREATS + 1):
        found = _ramp(case, peak * 10 ** (-DECADES * times), peak)
        if found is not None and (found.most is None or not math.isnan(found.best)):
            break
    return found


def _ramp(case: Case, first: float, peak: float) -> Range | None:
    """Steps in the order of the training, each at a rate larger than the last; after each the loss of the rows that
    layers are measured on, so that no batch is taken for a rise or a fall."""
    last, growth = max(peak * 10**DECADES, FAR), 10 ** (1 / PER_DECADE)
    dtype = np.dtype(case.experiment.dtype)
    size = max(min(case.size, MOST), len(case.probed))
    descent = copy_of(case, size, dtype, first=first, growth=growth)
    assert isinstance(descent, Paced)
    start = least = _judged(case, descent)
    found: list[tuple[float, float]] = []
    most: float | None = None
    for k, rows in zip(range(math.ceil(math.log10(last / first) * PER_DECADE)), case.batches(MOST), strict=False):
        try:
            step_on(descent, case.train.x, case.train.t, rows, k)
            loss = _judged(case, descent)
        except NonFiniteError:
            loss = math.inf
        if math.isfinite(loss):
            found.append((descent.rate_at(k), loss))
        if not loss < EXPLODED * max(least, case.constant):
            most = descent.rate_at(k)
            break
        least = min(least, loss)
    return _read(start, tuple(found), most)


def _judged(case: Case, descent: Paced) -> float:
    """The loss of the probed rows as the weights are now. Chance is off, or where a layer takes statistics over the
    rows, which it has hardly begun to, always the same."""
    network, batch = descent.objective.network, descent.objective.batch(len(case.probed))
    batch.load(case.train.x, case.train.t, case.probed)
    taught = bool(network.states)
    with np.errstate(all="ignore"):
        if taught:
            network.draw(batch.chain, 0)
        return batch.forward(taught)


def _read(start: float, rates: tuple[tuple[float, float], ...], most: float | None) -> Range | None:
    if len(rates) < 2:
        return None
    losses = np.array([loss for _, loss in rates])
    least = int(losses.argmin())
    fall = start - float(losses[least])
    if not fall > SEEN * abs(start) or (least < SOONEST and most is not None):
        return Range(rates, math.nan, math.nan, most)
    above = np.flatnonzero(losses[:least] >= start - FALLEN * fall)
    low = int(above[-1]) + 1 if len(above) else 0
    return Range(rates, rates[low][0], rates[least][0], most)


def rates(case: Case) -> list[Symptom]:
    """Where the learning rate of the training stands in the range test."""
    peak, found = peak_rate(case), case.range
    if peak is None or case.trained:
        return []
    measured = "learning rate, over the best of the range test"
    if found is None or math.isnan(found.best):
        first = found.rates[0][0] if found is not None else peak
        figure = f"no rate from {first:.2g} on lowers the loss"
        why = "where no step of any size helps, the fault is not the rate: look at the other findings"
        level = "notice" if found is not None and found.most is None else "warning"
        return [Symptom("rates", "", figure, level, why)]
    value = peak / found.best
    good = f"the loss falls from a rate of {found.low:.2g} on and is least at {found.best:.2g}"
    if found.most is not None:
        good += f"; at {found.most:.2g} it explodes"
    figure = f"{good}; the training has {peak:.2g}"
    if found.most is not None and peak >= found.most:
        why = "each step goes so far beyond the valley that it comes out higher than it went in"
        text = "between where the loss begins to fall and a tenth of where it is least"
        several = [c for c in [cures.rate(case, found.good, text)] if c] + cures.clipping(case)
        level = "warning" if found.worse else "notice"
        return [Symptom("rates", "", figure, level, why, tuple(several), value, measured)]
    if peak < TOO_LOW * found.low:
        why = "at this rate a step changes next to nothing: training takes many times as long as it could"
        text = "between where the loss begins to fall and a tenth of where it is least"
        cure = cures.rate(case, found.good, text)
        several = [cure] if cure else []
        quick = remaining(case) < LEARNED[0]  # at this rate it learns one batch in good time
        return [Symptom("rates", "", figure, "notice" if quick else "warning", why, tuple(several), value, measured)]
    return [Symptom("rates", "", figure, "ok", value=value, measured=measured)]


def remaining(case: Case) -> float:
    """What is left, after learning one batch by heart, of the way from the loss at first to the least there is."""
    losses, least = case.overfit, case.least
    start = max(losses[0], case.constant)
    return (losses[-1] - least) / (start - least) if start > least else 0.0


def by_heart(case: Case) -> list[Symptom]:
    """Whether the network can learn one small batch by heart: if it cannot, it will not learn all rows."""
    if case.trained:
        return []
    losses, least, left = case.overfit, case.least, remaining(case)
    rows = next(case.batches(OVERFIT_ROWS))
    end = losses[-1]
    level = "warning" if not left < LEARNED[1] else "notice" if not left < LEARNED[0] else "ok"
    what = f"{len(rows)} rows" if len(rows) > 1 else "one row"
    figure = f"in {len(losses)} steps the loss of {what} goes from {losses[0]:.4g} to {end:.3g}"
    figure += f", and {least:.3g} is the least there is" if least > 1e-3 else ""
    if level == "ok":
        return [Symptom("by heart", "", figure, level, value=left, measured="what is left of the loss of one batch")]
    why = "any network that works can learn a few rows by heart: this one is too small, too slow, or its gradient does "
    why += "not arrive"
    return [Symptom("by heart", "", figure, level, why, tuple(_faster(case)), left, "what is left of one batch's loss")]


def _faster(case: Case) -> list[Cure]:
    """What may make it learn: the rate of the range test, adam, more units."""
    found, several = case.range, list[Cure]()
    peak = peak_rate(case)
    if found is not None and peak and not math.isnan(found.best):
        cure = cures.rate(case, found.good, "a rate that the range test found good")
        several += [cure] if cure and not 1 / 3 < found.good / peak < 3 else []
    return several + cures.adam(case) + cures.wider(case)
