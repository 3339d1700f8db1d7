"""What a remedy does, measured: the same experiment without and with it, from the same seed, for as many steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpcli.engine.objective import Objective
from bpcli.family import Metric
from bpcli.records.diagnose import LEVELS, Remedy, Symptom
from bpcli.records.training import Failure
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, Reopen
from bpcli.studies.diagnose.short_runs import short_run, step_multiply_adds
from bpcli.studies.run.scoring import Predictor, evaluate_split

Check = Callable[[DiagnosisContext], Sequence[Symptom]]

MAX_STEPS = 300  # training steps of a trial
MAX_STEPS_OF_RUN = 3_000  # of the trial of a run, which overfits late
MAX_MULTIPLY_ADDS = 1e11  # of the passes of one trial: some ten seconds
MIN_TRIAL_STEPS = 10  # whatever they cost
MAX_ROWS = 2_000  # of validation
HELPFUL_RATIO = 0.95  # of the loss with a remedy over that without


@dataclass(frozen=True)
class Outcome:
    """What a short training reached: the loss, that of the best constant, and the recall over all classes."""

    loss: float
    constant: float
    recall: float | None


class RemedyTrial:
    """Trains an experiment without and with remedies, with each only once."""

    def __init__(self, context: DiagnosisContext, reopen: Reopen, checks: Mapping[str, Check]) -> None:
        self.context, self.reopen, self.checks = context, reopen, checks
        self.fresh = reopen(())
        self.steps = trial_steps(context)
        self.before = outcome(self.fresh, self.steps)
        self._known: dict[tuple[str, ...], tuple[DiagnosisContext, Outcome] | str] = {}

    def try_remedy(self, symptom: Symptom, remedy: Remedy) -> Remedy:
        """Returns the remedy with what it did."""
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
        finite = math.isfinite(losses[1])  # nan, where training without the remedy diverged, compares as worse
        if not math.isfinite(losses[0]):
            finite = finite and after.loss < after.constant  # what learns nothing is no help
        lower = finite and not losses[1] > HELPFUL_RATIO * losses[0]
        kept = finite and not losses[1] * HELPFUL_RATIO > losses[0]
        milder = LEVELS.index(level) < LEVELS.index(symptom.level)
        return replace(
            remedy, figure=symptom.measured, before=first, after=value, judged=judged,
            loss_before=losses[0], loss_after=losses[1], helps=lower or (milder and kept),
        )  # fmt: skip

    def _with(self, remedy: Remedy) -> tuple[DiagnosisContext, Outcome] | str:
        try:
            changed = self.reopen(remedy.sets)
        except Failure as failure:
            return f"cannot be tried: {failure.problems[0].text}"
        return changed, outcome(changed, min(self.steps, changed.total_steps))

    def _figure(
        self, changed: DiagnosisContext, symptom: Symptom, after: Outcome
    ) -> tuple[str, float | None, float | None]:
        """Returns how serious the symptom is after the remedy, its figure then, and its figure before."""
        if symptom.check == "classes":  # the rows are what they were: what counts is whether all classes are found
            better = (after.recall or 0) > (self.before.recall or 0) + 0.01
            return ("ok" if better else symptom.level), after.recall, self.before.recall
        if self.context.trained:  # its figures are of weights that were trained for longer
            return symptom.level, None, None
        left = list(self.checks[symptom.check](changed))
        same = [s for s in left if s.place == symptom.place] or [s for s in left if s.measured == symptom.measured]
        if not same:
            return "ok", None, None
        worst = max(same, key=lambda s: LEVELS.index(s.level))
        alike = worst.measured == symptom.measured
        return worst.level, worst.value if alike else None, symptom.value if alike else None


def try_remedies(
    context: DiagnosisContext, symptoms: Sequence[Symptom], checks: Mapping[str, Check]
) -> tuple[list[Symptom], str]:
    """Tries every remedy of a warning. Returns the symptoms with what the remedies did, and in words how they were
    tried."""
    if not any(s.level == "warning" and s.cures for s in symptoms):
        return list(symptoms), "no warning has a remedy to try"
    if context.with_settings is None:
        return list(symptoms), "nothing, as a model file alone cannot be trained anew"
    trial = RemedyTrial(context, context.with_settings, checks)
    found = [
        replace(s, cures=tuple(trial.try_remedy(s, remedy) for remedy in s.cures)) if s.level == "warning" else s
        for s in symptoms
    ]
    noun = "step" if trial.steps == 1 else "steps"
    steps = f"the first {trial.steps:,} {noun} of {context.total_steps:,}"
    return found, f"each remedy alone, from the same seed, against none: {steps}"


def trial_steps(context: DiagnosisContext) -> int:
    """Returns the steps of a trial: at most 300 (3,000 of a run, which overfits late), and fewer where the training has
    fewer or a step is expensive."""
    passes = 1 if context.gradient_optimizer is not None else 3  # a line search evaluates the objective several times
    affordable = int(MAX_MULTIPLY_ADDS / (passes * step_multiply_adds(context, context.batch_rows)))
    most = MAX_STEPS_OF_RUN if context.trained else MAX_STEPS
    return min(most, context.total_steps, max(MIN_TRIAL_STEPS, affordable))


def outcome(context: DiagnosisContext, steps: int) -> Outcome:
    """Returns what a training of this many steps reaches, on the rows of validation where there are any; where early
    stopping restores the best weights, the loss of the best epoch."""
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
