"""What the epochs of a run show: whether it diverged, learned anything, overfitted, or ended too soon."""

import math
from collections.abc import Sequence

from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import symptom
from bpcli.studies.diagnose.short_runs import peak_rate

LITTLE_LEARNED = 0.9  # share of the loss of the best constant: above it hardly anything was learned
MIN_TRAINING_FALL = 0.02  # share of the loss of the first epoch: less is no fall
RISE = 1.5  # times the least loss of training
VALIDATION_RISE = (1.05, 1.2)
"""The last over the least loss of validation, from which on it is a notice, a warning."""
VALIDATION_GAP = (2.0, 5.0)
"""The loss of validation over that of training, from which on it is a notice, a warning."""
STILL_FALLING = 0.05  # share of the loss by which it fell in the last tenth of the epochs
MIN_EPOCHS = 5  # fewer show nothing


def training_history(context: DiagnosisContext) -> list[Symptom]:
    """Returns the symptoms in the epochs of a run (metrics.jsonl)."""
    if not context.history and context.record.get("status") != "diverged":
        return []
    train = [row.metrics.get("train.loss", math.nan) for row in context.history]
    validation = [row.metrics["validation.loss"] for row in context.history if "validation.loss" in row.metrics]
    found = [*_diverged(context), *_learned(context, train), *_risen(context, train)]
    if len(validation) == len(train) >= MIN_EPOCHS:
        found += _overfitting(context, train, validation)
    if not found and len(train) >= MIN_EPOCHS:
        found = _stopped_early(context, train, validation)
    if found:
        return found
    figure = f"the loss of training went from {train[0]:.4g} to {train[-1]:.4g} in {len(train)} epochs"
    return [Symptom("epochs", "train", figure, "ok", value=train[-1], measured="loss of training")]


def _lower_rate(context: DiagnosisContext, share: float) -> list[Remedy]:
    """Returns a learning rate that is this share of the run's, or the one that a range test from the start finds good,
    where that is lower."""
    peak = peak_rate(context)
    if not peak:
        return []
    tested = context.with_settings(()).rate_range if context.with_settings is not None else None
    good = tested.good if tested is not None else math.inf
    return remedies.set_rate(context, min(peak * share, good), "a lower learning rate")


def _diverged(context: DiagnosisContext) -> list[Symptom]:
    if context.record.get("status") != "diverged":
        return []
    why = "a step so long that the next gradient is larger still: weights run away until numbers end"
    figure = str(context.record.get("reason", "training diverged"))
    options = _lower_rate(context, 0.1) + remedies.clip_gradient(context)
    return [Symptom("epochs", "train", figure, "warning", why, tuple(options))]


def _learned(context: DiagnosisContext, train: Sequence[float]) -> list[Symptom]:
    least = min((v for v in train if math.isfinite(v)), default=math.inf)
    if not train or context.constant <= 1e-12:
        return []
    moved = train[0] - least if len(train) >= MIN_EPOCHS else math.inf
    still = moved < MIN_TRAINING_FALL * train[0] and least > MIN_TRAINING_FALL * context.constant
    if least < LITTLE_LEARNED * context.constant and not still:
        return []
    constant = f"{context.constant:.4g}"
    figure = f"the least loss of training is {least:.4g}; saying the same of every row would have {constant}"
    if least < LITTLE_LEARNED * context.constant:
        figure = f"the loss of training went from {train[0]:.4g} to {least:.4g} in {len(train)} epochs"
    why = "the network has learned next to nothing: signals do not pass, the rate is wrong, or the inputs "
    why += "say nothing about the targets"
    options = remedies.replace_activations(context, "relu", "relu has slope 1 where it is open")
    options += remedies.use_adam(context) + _lower_rate(context, 0.1)
    return [Symptom("epochs", "train", figure, "warning", why, tuple(options), least, "least loss of training")]


def _risen(context: DiagnosisContext, train: Sequence[float]) -> list[Symptom]:
    if len(train) < MIN_EPOCHS:
        return []
    least, last = min(train), train[-1]
    if not last > RISE * least or last - least < 0.05 * context.constant:
        return []
    figure = f"the loss of training rose again, from {least:.4g} in epoch {train.index(least) + 1} to {last:.4g}"
    why = "steps are too long for the valley that was found: they jump out of it"
    options = _lower_rate(context, 0.2) + remedies.clip_gradient(context)
    return [Symptom("epochs", "train", figure, "warning", why, tuple(options), last, "loss of training")]


def _overfitting(context: DiagnosisContext, train: Sequence[float], validation: Sequence[float]) -> list[Symptom]:
    """Looks for overfitting: validation gets worse while training gets better, or stays far behind it."""
    least, last = min(validation), validation[-1]
    best = validation.index(least) + 1
    rise = last / least if least > 0 else 1.0
    early = context.experiment.training.early_stopping
    kept = context.record.get("kept")
    rescued = early is not None and early.restore_best and kept == best
    level = "warning" if rise > VALIDATION_RISE[1] else "notice" if rise > VALIDATION_RISE[0] else "ok"
    why = "the network learns its rows by heart instead of what they have in common"
    options: list[Remedy] = []
    if early is None:
        stop = "training.early_stopping={metric: validation.loss, patience: 10, restore_best: true}"
        options.append(Remedy((stop,), "stop where validation is best, and keep those weights"))
    if context.experiment.regularization is None:
        options.append(Remedy(("regularization={type: l2, strength: 0.01}",), "a penalty on large weights"))
    options += remedies.add_dropout(context)
    measured = "loss of validation at the end"
    if level != "ok" and train[-1] < train[best - 1]:
        figure = f"validation was best in epoch {best} with {least:.4g} and ends at {last:.4g}, "
        figure += "while training still fell"
        if rescued:
            figure, level = f"{figure}; the weights of epoch {best} were kept", "ok"
        return [symptom("epochs", "validation", figure, level, why, options, last, measured)]
    at = best if rescued else len(validation)
    train_loss, validation_loss = train[at - 1], validation[at - 1]
    if validation_loss - train_loss < 0.1 * context.constant or validation_loss <= VALIDATION_GAP[0] * train_loss:
        return []
    serious = validation_loss > VALIDATION_GAP[1] * train_loss and validation_loss > 0.5 * context.constant
    level = "warning" if serious else "notice"
    figure = f"the loss is {validation_loss:.4g} in validation and {train_loss:.4g} in training"
    return [Symptom("epochs", "validation", figure, level, why, tuple(options), validation_loss, measured)]


def _stopped_early(context: DiagnosisContext, train: Sequence[float], validation: Sequence[float]) -> list[Symptom]:
    """Looks for a loss that still fell when the epochs were over."""
    watched = validation if len(validation) == len(train) else train
    tenth = max(1, len(watched) // 10)
    before, last = watched[-1 - tenth], watched[-1]
    if context.record.get("status") not in ("epochs", None) or before - last < STILL_FALLING * before:
        return []
    if before - last < 0.01 * context.constant:
        return []
    epochs = context.experiment.training.epochs
    figure = f"the loss still fell when training ended: from {before:.4g} to {last:.4g} in the last "
    figure += "epoch" if tenth == 1 else f"{tenth} epochs"
    remedy = Remedy((f"training.epochs={2 * epochs}",), "twice the epochs")
    why = "it stopped before it had learned what it can"
    return [Symptom("epochs", "train", figure, "notice", why, (remedy,), last, "loss at the end")]
