"""What the epochs of a run say: whether it diverged, learned anything, learned its rows by heart, or ended too soon."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.diagnose import remedies as cures
from bpcli.studies.diagnose.case import Case
from bpcli.studies.diagnose.short_runs import peak_rate

NOTHING = 0.9  # of the loss of the best constant: less was hardly learned
STILL = 0.02  # of the loss of the first epoch: less is no fall
RISEN = 1.5  # times the least loss of training
WORSE = (1.05, 1.2)
"""Times the least loss of validation, at the end: a notice, a warning."""
APART = (2.0, 5.0)
"""Loss of validation over that of training: a notice, a warning."""
FALLING = 0.05  # of the loss, over the last tenth of the epochs
EPOCHS = 5  # fewer say nothing


def past(case: Case) -> list[Symptom]:
    """The findings of a run's metrics.jsonl."""
    if not case.history and case.record.get("status") != "diverged":
        return []
    train = [row.metrics.get("train.loss", math.nan) for row in case.history]
    held = [row.metrics["validation.loss"] for row in case.history if "validation.loss" in row.metrics]
    found = [*_diverged(case), *_learned(case, train), *_risen(case, train)]
    if len(held) == len(train) >= EPOCHS:
        found += _by_heart(case, train, held)
    if not found and len(train) >= EPOCHS:
        found = _soon(case, train, held)
    if found:
        return found
    figure = f"the loss of training went from {train[0]:.4g} to {train[-1]:.4g} in {len(train)} epochs"
    return [Symptom("epochs", "train", figure, "ok", value=train[-1], measured="loss of training")]


def _slower(case: Case, share: float) -> list[Remedy]:
    """A learning rate that is this share of the run's, or where a range test from the start finds a lower one good,
    that."""
    peak = peak_rate(case)
    if not peak:
        return []
    tested = case.again(()).range if case.again is not None else None
    good = tested.good if tested is not None else math.inf
    cure = cures.rate(case, min(peak * share, good), "a lower learning rate")
    return [cure] if cure else []


def _diverged(case: Case) -> list[Symptom]:
    if case.record.get("status") != "diverged":
        return []
    why = "a step so long that the next gradient is larger still: weights run away until numbers end"
    figure = str(case.record.get("reason", "training diverged"))
    several = _slower(case, 0.1) + cures.clipping(case)
    return [Symptom("epochs", "train", figure, "warning", why, tuple(several))]


def _learned(case: Case, train: Sequence[float]) -> list[Symptom]:
    least = min((v for v in train if math.isfinite(v)), default=math.inf)
    if not train or case.constant <= 1e-12:
        return []
    moved = train[0] - least if len(train) >= EPOCHS else math.inf
    still = moved < STILL * train[0] and least > STILL * case.constant
    if least < NOTHING * case.constant and not still:
        return []
    figure = f"the least loss of training is {least:.4g}; saying the same of every row would have {case.constant:.4g}"
    if least < NOTHING * case.constant:
        figure = f"the loss of training went from {train[0]:.4g} to {least:.4g} in {len(train)} epochs"
    why = "the network has learned next to nothing: signals do not pass, the rate is wrong, or the inputs "
    why += "say nothing about the targets"
    several = [*cures.opened(case, "relu", "relu has slope 1 where it is open"), *cures.adam(case), *_slower(case, 0.1)]
    return [Symptom("epochs", "train", figure, "warning", why, tuple(several), least, "least loss of training")]


def _risen(case: Case, train: Sequence[float]) -> list[Symptom]:
    if len(train) < EPOCHS:
        return []
    least, last = min(train), train[-1]
    if not last > RISEN * least or last - least < 0.05 * case.constant:
        return []
    figure = f"the loss of training rose again, from {least:.4g} in epoch {train.index(least) + 1} to {last:.4g}"
    why = "steps are too long for the valley that was found: they jump out of it"
    several = _slower(case, 0.2) + cures.clipping(case)
    return [Symptom("epochs", "train", figure, "warning", why, tuple(several), last, "loss of training")]


def _by_heart(case: Case, train: Sequence[float], held: Sequence[float]) -> list[Symptom]:
    """Overfitting: validation gets worse while training gets better, or stays far behind it."""
    least, last = min(held), held[-1]
    best = held.index(least) + 1
    rise = last / least if least > 0 else 1.0
    early = case.experiment.training.early_stopping
    kept = case.record.get("kept")
    rescued = early is not None and early.restore_best and kept == best
    level = "warning" if rise > WORSE[1] else "notice" if rise > WORSE[0] else "ok"
    why = "the network learns its rows by heart instead of what they have in common"
    several: list[Remedy] = []
    if early is None:
        stop = "training.early_stopping={metric: validation.loss, patience: 10, restore_best: true}"
        several.append(Remedy((stop,), "stop where validation is best, and keep those weights"))
    if case.experiment.regularization is None:
        several.append(Remedy(("regularization={type: l2, strength: 0.01}",), "a penalty on large weights"))
    several += cures.dropped(case)
    measured = "loss of validation at the end"
    if level != "ok" and train[-1] < train[best - 1]:
        figure = (
            f"validation was best in epoch {best} with {least:.4g} and ends at {last:.4g}, while training still fell"
        )
        if rescued:
            figure, level = f"{figure}; the weights of epoch {best} were kept", "ok"
        if level != "ok":
            return [Symptom("epochs", "validation", figure, level, why, tuple(several), last, measured)]
        return [Symptom("epochs", "validation", figure, level, value=last, measured=measured)]
    at = best if rescued else len(held)
    seen, unseen = train[at - 1], held[at - 1]
    if unseen - seen < 0.1 * case.constant or unseen <= APART[0] * seen:
        return []
    level = "warning" if unseen > APART[1] * seen and unseen > 0.5 * case.constant else "notice"
    figure = f"the loss is {unseen:.4g} in validation and {seen:.4g} in training"
    return [Symptom("epochs", "validation", figure, level, why, tuple(several), unseen, measured)]


def _soon(case: Case, train: Sequence[float], held: Sequence[float]) -> list[Symptom]:
    """Whether the loss still fell when the epochs were over."""
    watched = held if len(held) == len(train) else train
    tenth = max(1, len(watched) // 10)
    before, last = watched[-1 - tenth], watched[-1]
    if case.record.get("status") not in ("epochs", None) or before - last < FALLING * before:
        return []
    if before - last < 0.01 * case.constant:
        return []
    epochs = case.experiment.training.epochs
    figure = f"the loss still fell when training ended: from {before:.4g} to {last:.4g} in the last {tenth} epochs"
    if tenth == 1:
        figure = f"the loss still fell when training ended: from {before:.4g} to {last:.4g} in the last epoch"
    cure = Remedy((f"training.epochs={2 * epochs}",), "twice the epochs")
    why = "it stopped before it had learned what it can"
    return [Symptom("epochs", "train", figure, "notice", why, (cure,), last, "loss at the end")]
