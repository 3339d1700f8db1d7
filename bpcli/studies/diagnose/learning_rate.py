"""Whether the network learns at its learning rate: where that lies in the range test, and whether it can overfit one
batch."""

import math

from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import severity
from bpcli.studies.diagnose.short_runs import OVERFIT_ROWS, peak_rate

TOO_LOW = 0.1  # share of the rate at which the loss begins to fall
REMAINING_SHARE = (0.1, 0.5)
"""What is left of the way from the first loss of the batch to the least possible, from which on it is a notice, a
warning."""


def learning_rate(context: DiagnosisContext) -> list[Symptom]:
    """Returns where the learning rate of the training lies in the range test."""
    peak, found = peak_rate(context), context.rate_range
    if peak is None or context.trained:
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
        options = remedies.set_rate(context, found.good, text) + remedies.clip_gradient(context)
        level = "warning" if found.worse else "notice"
        return [Symptom("rates", "", figure, level, why, tuple(options), value, measured)]
    if peak < TOO_LOW * found.low:
        why = "at this rate a step changes next to nothing: training takes many times as long as it could"
        text = "between where the loss begins to fall and a tenth of where it is least"
        level = "notice" if remaining_loss(context) < REMAINING_SHARE[0] else "warning"  # it can overfit one batch
        options = remedies.set_rate(context, found.good, text)
        return [Symptom("rates", "", figure, level, why, tuple(options), value, measured)]
    return [Symptom("rates", "", figure, "ok", value=value, measured=measured)]


def remaining_loss(context: DiagnosisContext) -> float:
    """Returns the share that is left, after overfitting one batch, of the way from its first loss to the least
    possible."""
    losses, least = context.overfit, context.least_loss
    start = max(losses[0], context.constant)
    return (losses[-1] - least) / (start - least) if start > least else 0.0


def overfit_one_batch(context: DiagnosisContext) -> list[Symptom]:
    """Whether the network can overfit one small batch: if it cannot, it will not learn all rows."""
    if context.trained:
        return []
    losses, least, left = context.overfit, context.least_loss, remaining_loss(context)
    rows = next(context.batches(OVERFIT_ROWS))
    end = losses[-1]
    level = severity(left, *REMAINING_SHARE)
    what = f"{len(rows)} rows" if len(rows) > 1 else "one row"
    figure = f"in {len(losses)} steps the loss of {what} goes from {losses[0]:.4g} to {end:.3g}"
    figure += f", and {least:.3g} is the least there is" if least > 1e-3 else ""
    if level == "ok":
        return [Symptom("by heart", "", figure, level, value=left, measured="what is left of the loss of one batch")]
    why = "any network that works can learn a few rows by heart: this one is too small, too slow, or its gradient does "
    why += "not arrive"
    measured = "what is left of one batch's loss"
    return [Symptom("by heart", "", figure, level, why, tuple(_faster(context)), left, measured)]


def _faster(context: DiagnosisContext) -> list[Remedy]:
    """Returns remedies that may make it learn: the rate of the range test, adam, more units."""
    found, options = context.rate_range, list[Remedy]()
    peak = peak_rate(context)
    if found is not None and peak and not math.isnan(found.best) and not 1 / 3 < found.good / peak < 3:
        options = remedies.set_rate(context, found.good, "a rate that the range test found good")
    return options + remedies.use_adam(context) + remedies.widen(context)
