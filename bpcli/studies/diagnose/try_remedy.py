"""What a cure does, measured: the same experiment without and with it, from the same seed, for as many steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpcli.engine.objective import Objective
from bpcli.family import Metric
from bpcli.records.diagnose import Remedy, Symptom
from bpcli.records.training import Failure
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.short_runs import short_run, step_multiply_adds
from bpcli.studies.run.scoring import Predictor, evaluate_split

Check = Callable[[DiagnosisContext], Sequence[Symptom]]

TRIAL_STEPS = 300
TRIAL_STEPS_OF_RUN = 3_000
MAX_MULTIPLY_ADDS = 1e11  # multiply-adds of the passes of one trial, at most: some ten seconds
MIN_STEPS = 10  # steps, whatever they cost
MAX_ROWS = 2_000  # rows, at most
HELPFUL_RATIO = 0.95  # of the loss without it
SEVERITY = {"ok": 0, "notice": 1, "warning": 2}


@dataclass(frozen=True)
class Outcome:
    """What a short training reached: the loss, that of the best constant, and the recall over all classes."""

    loss: float
    constant: float
    recall: float | None


class Trial:
    """Trains an experiment without and with cures, each only once."""

    def __init__(
        self, context: DiagnosisContext, again: Callable[[Sequence[str]], DiagnosisContext], checks: Mapping[str, Check]
    ) -> None:
        self.context, self.again, self.checks = context, again, checks
        self.fresh = again(())
        self.steps = trial_steps(context)
        self.before = outcome(self.fresh, self.steps)
        self._known: dict[tuple[str, ...], tuple[DiagnosisContext, Outcome] | str] = {}

    def try_remedy(self, symptom: Symptom, remedy: Remedy) -> Remedy:
        """The cure with what it did."""
        if remedy.sets not in self._known:
            self._known[remedy.sets] = self._with(remedy)
        found = self._known[remedy.sets]
        if isinstance(found, str):
            return replace(remedy, note=found)
        (changed, after), before = found, self.before
        level, value, first = self._figure(changed, symptom, after)
        same = math.isclose(before.constant, after.constant, rel_tol=1e-3)
        unit = (1.0, 1.0) if same else (before.constant, after.constant)
        where = "validation" if "validation" in self.fresh.splits else "training"
        judged = f"loss of {where}" if same else f"loss of {where}, over that of a constant"
        losses = before.loss / unit[0], after.loss / unit[1]
        finite = math.isfinite(losses[1])  # and does not diverge; nan, without the cure, compares as worse
        if not math.isfinite(losses[0]):
            finite = finite and after.loss < after.constant  # what learns nothing is no help
        lower, kept = (
            finite and not losses[1] > HELPFUL_RATIO * losses[0],
            finite and not losses[1] * HELPFUL_RATIO > losses[0],
        )
        milder = SEVERITY[level] < SEVERITY[symptom.level]
        return replace(
            remedy, figure=symptom.measured, before=first, after=value, judged=judged,
            loss_before=losses[0], loss_after=losses[1], helps=lower or (milder and kept),
        )  # fmt: skip

    def _with(self, remedy: Remedy) -> tuple[DiagnosisContext, Outcome] | str:
        try:
            changed = self.again(remedy.sets)
        except Failure as failure:
            return f"cannot be tried: {failure.problems[0].text}"
        return changed, outcome(changed, min(self.steps, changed.total))

    def _figure(
        self, changed: DiagnosisContext, symptom: Symptom, after: Outcome
    ) -> tuple[str, float | None, float | None]:
        """How serious the symptom is after the cure, its figure then, and before."""
        if symptom.check == "classes":  # the rows are what they were: what counts is whether all classes are found
            better = (after.recall or 0) > (self.before.recall or 0) + 0.01
            return ("ok" if better else symptom.level), after.recall, self.before.recall
        if self.context.trained:  # its figures are of weights that were trained for longer
            return symptom.level, None, None
        left = list(self.checks[symptom.check](changed))
        same = [s for s in left if s.place == symptom.place] or [s for s in left if s.measured == symptom.measured]
        if not same:
            return "ok", None, None
        worst = max(same, key=lambda s: SEVERITY[s.level])
        alike = worst.measured == symptom.measured
        return worst.level, worst.value if alike else None, symptom.value if alike else None


def try_remedies(
    context: DiagnosisContext, symptoms: Sequence[Symptom], checks: Mapping[str, Check]
) -> tuple[list[Symptom], str]:
    """The symptoms with every cure of a warning tried, and in words how."""
    if not any(s.level == "warning" and s.cures for s in symptoms):
        return list(symptoms), "no warning has a cure to try"
    if context.again is None:
        return list(symptoms), "nothing, as a model file alone cannot be trained anew"
    trial = Trial(context, context.again, checks)
    found = [
        replace(s, cures=tuple(trial.try_remedy(s, remedy) for remedy in s.cures)) if s.level == "warning" else s
        for s in symptoms
    ]
    noun = "step" if trial.steps == 1 else "steps"
    words = f"each cure alone, from the same seed, against none: the first {trial.steps:,} {noun} of {context.total:,}"
    return found, words


def trial_steps(context: DiagnosisContext) -> int:
    """Steps of a trial: 300 (of a run 3,000, where it learned its rows by heart), fewer where the training has fewer or
    a step is dear."""
    per = step_multiply_adds(context, context.size) * (
        1 if context.gradient_optimizer is not None else 3
    )  # who searches looks around
    return min(
        TRIAL_STEPS_OF_RUN if context.trained else TRIAL_STEPS,
        context.total,
        max(MIN_STEPS, int(MAX_MULTIPLY_ADDS / per)),
    )


def outcome(context: DiagnosisContext, steps: int) -> Outcome:
    """What a training of so many steps reaches, on the rows of validation where there are any. Where the best weights
    are restored (early stopping) it is the loss of the best epoch."""
    split = context.splits.get("validation", context.train)
    predictor = Predictor(context.experiment.loss, context.preprocessor, context.network_plan.y[0])
    metrics = (Metric.parse("recall"),) if predictor.classified else ()
    early, losses = context.experiment.training.early_stopping, list[float]()

    def metrics_now(objective: Objective) -> dict[str, float]:
        return evaluate_split(objective, predictor, metrics, split.x[:MAX_ROWS], split.t[:MAX_ROWS])

    restores = early is not None and early.restore_best
    run = short_run(context, steps, (lambda o: losses.append(metrics_now(o)["loss"])) if restores else None)
    if run.diverged:
        return Outcome(math.nan, context.constant, None)
    found = metrics_now(run.objective)
    return Outcome(min([found["loss"], *losses]), context.constant, found.get("recall"))
