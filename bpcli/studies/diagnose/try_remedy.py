"""What a cure does, measured: the same experiment without and with it, from the same seed, for as many steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bpcli.engine.objective import Objective
from bpcli.family import Metric
from bpcli.records.diagnose import Remedy, Symptom
from bpcli.records.training import Failure
from bpcli.studies.diagnose.case import Case
from bpcli.studies.diagnose.short_runs import practise, work
from bpcli.studies.run.scoring import Predictor, evaluate_split

Check = Callable[[Case], Sequence[Symptom]]

STEPS = 300
LONG = 3_000
WORK = 1e11  # multiply-adds of the passes of one trial, at most: some ten seconds
FEWEST = 10  # steps, whatever they cost
JUDGED = 2_000  # rows, at most
HELPS = 0.95  # of the loss without it
SERIOUS = {"ok": 0, "notice": 1, "warning": 2}


@dataclass(frozen=True)
class Outcome:
    """What a short training reached: the loss, that of the best constant, and the recall over all classes."""

    loss: float
    constant: float
    recall: float | None


class Trial:
    """Trains an experiment without and with cures, each only once."""

    def __init__(self, case: Case, again: Callable[[Sequence[str]], Case], checks: Mapping[str, Check]) -> None:
        self.case, self.again, self.checks = case, again, checks
        self.fresh = again(())
        self.steps = budget(case)
        self.before = outcome(self.fresh, self.steps)
        self._known: dict[tuple[str, ...], tuple[Case, Outcome] | str] = {}

    def tried(self, symptom: Symptom, cure: Remedy) -> Remedy:
        """The cure with what it did."""
        if cure.sets not in self._known:
            self._known[cure.sets] = self._with(cure)
        found = self._known[cure.sets]
        if isinstance(found, str):
            return replace(cure, note=found)
        (cured, after), before = found, self.before
        level, value, first = self._figure(cured, symptom, after)
        same = math.isclose(before.constant, after.constant, rel_tol=1e-3)
        unit = (1.0, 1.0) if same else (before.constant, after.constant)
        where = "validation" if "validation" in self.fresh.splits else "training"
        judged = f"loss of {where}" if same else f"loss of {where}, over that of a constant"
        losses = before.loss / unit[0], after.loss / unit[1]
        ends = math.isfinite(losses[1])  # and does not diverge; nan, without the cure, compares as worse
        if not math.isfinite(losses[0]):
            ends = ends and after.loss < after.constant  # what learns nothing is no help
        lower, kept = ends and not losses[1] > HELPS * losses[0], ends and not losses[1] * HELPS > losses[0]
        milder = SERIOUS[level] < SERIOUS[symptom.level]
        return replace(
            cure, figure=symptom.measured, before=first, after=value, judged=judged,
            loss_before=losses[0], loss_after=losses[1], helps=lower or (milder and kept),
        )  # fmt: skip

    def _with(self, cure: Remedy) -> tuple[Case, Outcome] | str:
        try:
            cured = self.again(cure.sets)
        except Failure as failure:
            return f"cannot be tried: {failure.problems[0].text}"
        return cured, outcome(cured, min(self.steps, cured.total))

    def _figure(self, cured: Case, symptom: Symptom, after: Outcome) -> tuple[str, float | None, float | None]:
        """How serious the symptom is after the cure, its figure then, and before."""
        if symptom.check == "classes":  # the rows are what they were: what counts is whether all classes are found
            better = (after.recall or 0) > (self.before.recall or 0) + 0.01
            return ("ok" if better else symptom.level), after.recall, self.before.recall
        if self.case.trained:  # its figures are of weights that were trained for longer
            return symptom.level, None, None
        left = list(self.checks[symptom.check](cured))
        same = [s for s in left if s.place == symptom.place] or [s for s in left if s.measured == symptom.measured]
        if not same:
            return "ok", None, None
        worst = max(same, key=lambda s: SERIOUS[s.level])
        alike = worst.measured == symptom.measured
        return worst.level, worst.value if alike else None, symptom.value if alike else None


def try_all(case: Case, symptoms: Sequence[Symptom], checks: Mapping[str, Check]) -> tuple[list[Symptom], str]:
    """The symptoms with every cure of a warning tried, and in words how."""
    if not any(s.level == "warning" and s.cures for s in symptoms):
        return list(symptoms), "no warning has a cure to try"
    if case.again is None:
        return list(symptoms), "nothing, as a model file alone cannot be trained anew"
    trial = Trial(case, case.again, checks)
    found = [
        replace(s, cures=tuple(trial.tried(s, cure) for cure in s.cures)) if s.level == "warning" else s
        for s in symptoms
    ]
    noun = "step" if trial.steps == 1 else "steps"
    words = f"each cure alone, from the same seed, against none: the first {trial.steps:,} {noun} of {case.total:,}"
    return found, words


def budget(case: Case) -> int:
    """Steps of a trial: 300 (of a run 3,000, where it learned its rows by heart), fewer where the training has fewer or
    a step is dear."""
    per = work(case, case.size) * (1 if case.gradient_optimizer is not None else 3)  # who searches looks around
    return min(LONG if case.trained else STEPS, case.total, max(FEWEST, int(WORK / per)))


def outcome(case: Case, steps: int) -> Outcome:
    """What a training of so many steps reaches, on the rows of validation where there are any. Where the best weights
    are restored (early stopping) it is the loss of the best epoch."""
    split = case.splits.get("validation", case.train)
    predictor = Predictor(case.experiment.loss, case.preprocessor, case.network_plan.y[0])
    metrics = (Metric.parse("recall"),) if predictor.classified else ()
    early, losses = case.experiment.training.early_stopping, list[float]()

    def figures(objective: Objective) -> dict[str, float]:
        return evaluate_split(objective, predictor, metrics, split.x[:JUDGED], split.t[:JUDGED])

    restores = early is not None and early.restore_best
    practised = practise(case, steps, (lambda o: losses.append(figures(o)["loss"])) if restores else None)
    if practised.diverged:
        return Outcome(math.nan, case.constant, None)
    found = figures(practised.objective)
    return Outcome(min([found["loss"], *losses]), case.constant, found.get("recall"))
