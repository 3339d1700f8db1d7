"""What a remedy did: which loss counts, from which figures on it helps, and how long a trial is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import HIDDEN, VALUES, config, deep, values
from hand_diagnosis import CLASSES, X, context_of, dense, measured, values_of, with_rows

from bpcli.records.diagnose import Remedy, Symptom
from bpcli.records.training import Failure, Problem
from bpcli.studies.diagnose import try_remedy as module
from bpcli.studies.diagnose.diagnose import diagnose
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.short_runs import short_run
from bpcli.studies.diagnose.try_remedy import Outcome, RemedyTrial, outcome, trial_steps, try_remedies

REMEDY = Remedy(("seed=1",), "another seed")
FULL = {"epochs": 10, "batch_size": 24}
SGD = {"type": "sgd", "learning_rate": 0.25}


def symptom(
    level: str = "warning", check: str = "start", place: str = "", value: float | None = 5.0, **more: Any
) -> Symptom:
    usual: dict[str, Any] = {"cures": (REMEDY,), "measured": "ratio"}
    return Symptom(check, place, "figure", level, value=value, **(usual | more))


def tried(
    before: Outcome, after: Outcome, ill: Symptom | None = None, left: list[Symptom] | None = None,
    monkeypatch: Any = None, context: DiagnosisContext | None = None,
) -> Remedy:  # fmt: skip
    """The remedy, where trainings without and with it reach these losses and leave these symptoms."""
    context = context or context_of()
    outcomes = [before, after]
    monkeypatch.setattr(module, "outcome", lambda _, steps: outcomes.pop(0))
    trial = RemedyTrial(context, lambda sets: context, {"start": lambda _: left or []})
    return trial.try_remedy(ill or symptom(), REMEDY)


def reached(loss: float, constant: float = 1.0, recall: float | None = None) -> Outcome:
    return Outcome(loss, constant, recall)


@pytest.mark.parametrize(
    ("after", "helps"), [(0.5, True), (0.949, True), (0.951, False), (1.0, False), (9.0, False), (math.nan, False)]
)
def test_a_remedy_helps_that_takes_a_twentieth_of_the_loss(after: float, helps: bool, monkeypatch: Any) -> None:
    """Where the symptom is as bad as it was."""
    found = tried(reached(1.0), reached(after), left=[symptom()], monkeypatch=monkeypatch)
    assert found.helps is helps
    assert (found.sets, found.text, found.judged, found.note) == (("seed=1",), "another seed", "loss of training", "")
    assert (found.figure, found.before, found.after, found.loss_before) == ("ratio", 5.0, 5.0, 1.0)
    assert found.loss_after == after or math.isnan(after)


@pytest.mark.parametrize(
    ("after", "level", "helps"),
    [
        (1.05, "notice", True),
        (1.06, "notice", False),
        (1.05, "ok", True),
        (1.05, "warning", False),
        (0.9, "warning", True),
    ],
)
def test_a_remedy_helps_that_makes_the_symptom_milder_at_about_the_same_loss(
    after: float, level: str, helps: bool, monkeypatch: Any
) -> None:
    left = [symptom(level, value=2.0)]
    found = tried(reached(1.0), reached(after), left=left, monkeypatch=monkeypatch)
    assert (found.helps, found.before, found.after) == (helps, 5.0, 2.0)


def test_a_symptom_that_is_gone_is_milder(monkeypatch: Any) -> None:
    found = tried(reached(1.0), reached(1.0), left=[], monkeypatch=monkeypatch)
    assert (found.helps, found.before, found.after) == (True, None, None)


def test_what_is_left_is_found_by_its_place_or_else_by_what_is_measured(monkeypatch: Any) -> None:
    ill = symptom(place="dense_1")
    there = symptom("notice", place="dense_1", value=1.0)
    worse = symptom("warning", place="dense_2", value=9.0)
    found = tried(reached(1.0), reached(1.0), ill, [worse, there], monkeypatch)
    assert (found.helps, found.after) == (True, 1.0)
    found = tried(reached(1.0), reached(1.0), ill, [worse], monkeypatch)
    assert (found.helps, found.after) == (False, 9.0)
    other = symptom("warning", place="dense_2", measured="something else")
    assert tried(reached(1.0), reached(1.0), ill, [other], monkeypatch).helps
    found = tried(reached(1.0), reached(1.0), ill, [symptom(place="dense_1", measured="something else")], monkeypatch)
    assert (found.helps, found.before, found.after) == (False, None, None)


def test_the_most_serious_of_several_counts(monkeypatch: Any) -> None:
    left = [symptom("ok", value=1.0), symptom("warning", value=7.0), symptom("notice", value=3.0)]
    found = tried(reached(1.0), reached(1.0), left=left, monkeypatch=monkeypatch)
    assert (found.helps, found.after) == (False, 7.0)


@pytest.mark.parametrize(
    ("after", "constant", "helps"), [(0.9, 1.0, True), (1.0, 1.0, False), (2.0, 1.0, False), (math.nan, 1.0, False)]
)
def test_where_training_diverged_a_remedy_helps_that_learns_something(
    after: float, constant: float, helps: bool, monkeypatch: Any
) -> None:
    """Better than the best constant."""
    ill = symptom()
    assert tried(reached(math.nan), reached(after, constant), ill, [ill], monkeypatch).helps is helps


def test_losses_in_other_units_are_compared_by_the_best_constants(monkeypatch: Any) -> None:
    """As where targets are scaled: 30 of 100 before, 0.28 of 1 after."""
    ill = symptom()
    found = tried(reached(30.0, 100.0), reached(0.28, 1.0), ill, [ill], monkeypatch)
    assert (found.loss_before, found.loss_after, found.helps) == (0.3, 0.28, True)
    assert found.judged == "loss of training, over that of a constant"
    found = tried(reached(30.0, 100.0), reached(0.29, 1.0), ill, [ill], monkeypatch)
    assert found.helps is False
    found = tried(reached(1.0, 1.0), reached(0.5, 1.0009), ill, [ill], monkeypatch)
    assert (found.judged, found.loss_after) == ("loss of training", 0.5)
    found = tried(reached(1.0, 1.0), reached(0.5, 1.0011), ill, [ill], monkeypatch)
    assert "constant" in found.judged


def test_the_loss_of_validation_is_named(monkeypatch: Any) -> None:
    context = context_of(data={"validation": 0.25})
    found = tried(reached(1.0), reached(0.5), left=[], monkeypatch=monkeypatch, context=context)
    assert found.judged == "loss of validation"


@pytest.mark.parametrize(("after", "helps"), [(0.61, False), (0.611, True), (0.9, True), (None, False)])
def test_weighing_classes_helps_where_more_of_all_classes_are_found(
    after: float | None, helps: bool, monkeypatch: Any
) -> None:
    ill = symptom(check="classes", measured="recall, over all classes")
    found = tried(reached(1.0, recall=0.6), reached(1.0, recall=after), ill, monkeypatch=monkeypatch)
    assert (found.helps, found.before, found.after) == (helps, 0.6, after)


def test_a_run_is_judged_by_its_loss_alone(monkeypatch: Any) -> None:
    """Its symptoms are of weights that were trained for longer."""
    context = measured(context_of(), trained=True)
    for after, helps in ((1.0, False), (0.5, True)):
        found = tried(reached(1.0), reached(after), left=[], monkeypatch=monkeypatch, context=context)
        assert (found.helps, found.before, found.after) == (helps, None, None)


def test_a_remedy_that_does_not_fit_says_so_and_each_is_tried_once(monkeypatch: Any) -> None:
    opened: list[Any] = []

    def reopen(sets: Any) -> DiagnosisContext:
        opened.append(tuple(sets))
        if sets:
            raise Failure(Problem("no such thing", code="none"))
        return context_of()

    monkeypatch.setattr(module, "outcome", lambda context, steps: reached(1.0))
    trial = RemedyTrial(context_of(), reopen, {})
    found = [trial.try_remedy(symptom(), REMEDY) for _ in range(2)]
    assert found == [Remedy(("seed=1",), "another seed", note="cannot be tried: no such thing")] * 2
    assert opened == [(), ("seed=1",)]


def test_a_remedy_with_fewer_steps_in_all_is_tried_for_as_many(monkeypatch: Any) -> None:
    seen: list[int] = []
    monkeypatch.setattr(module, "outcome", lambda context, steps: seen.append(steps) or reached(1.0))
    context, short = context_of(), context_of(training={"epochs": 2, "batch_size": 8})
    trial = RemedyTrial(context, lambda sets: short if sets else context, {"start": lambda _: []})
    trial.try_remedy(symptom(), REMEDY)
    assert seen == [180, 6]


# ------------------------------------------------------------------------------------------------------ which are tried
def test_every_remedy_of_a_warning_is_tried_and_no_other(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "outcome", lambda context, steps: reached(1.0))
    other = Remedy(("seed=2",), "a third")
    symptoms = [symptom(cures=(REMEDY, other)), symptom("notice"), symptom("ok", cures=()), symptom(cures=())]
    context = context_of()
    context.with_settings = lambda sets: context
    found, words = try_remedies(context, symptoms, {"start": lambda _: []})
    assert [[c.helps for c in s.cures] for s in found] == [[True, True], [None], [], []]
    assert words == "each remedy alone, from the same seed, against none: the first 180 steps of 180"


def test_one_step_is_no_steps(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "outcome", lambda context, steps: reached(1.0))
    context = context_of(training={"epochs": 1, "batch_size": 24})
    assert try_remedies(context, [symptom()], {"start": lambda _: []})[1].endswith("none: the first 1 step of 1")


def test_where_nothing_can_be_tried_it_says_why() -> None:
    context = context_of()
    for harmless in ([symptom("notice")], [symptom(cures=())], []):
        assert try_remedies(context, harmless, {}) == (harmless, "no warning has a remedy to try")
    context.with_settings = None
    ill = [symptom()]
    assert try_remedies(context, ill, {}) == (ill, "nothing, as a model file alone cannot be trained anew")


# ------------------------------------------------------------------------------------------------------------ how long
@pytest.mark.parametrize(
    ("cost", "epochs", "trained", "steps"),
    [(1.0, 20, False, 60), (1.0, 100, False, 300), (1.0, 101, False, 300), (1.0, 999, True, 2997),
     (1.0, 1001, True, 3000), (1e11 / 50.5, 999, False, 50), (1e11 / 50.5, 999, True, 50), (1e11, 999, False, 10),
     (1e11 / 11.5, 999, False, 11)],
)  # fmt: skip
def test_a_trial_is_as_long_as_a_training_and_what_it_costs_allow(
    cost: float, epochs: int, trained: bool, steps: int, monkeypatch: Any
) -> None:
    """Batches of 8 of 24 rows: 3 steps an epoch."""
    asked: list[int] = []
    monkeypatch.setattr(module, "step_multiply_adds", lambda context, rows: asked.append(rows) or cost)
    context = measured(context_of(training={"epochs": epochs, "batch_size": 8}), trained=trained)
    assert trial_steps(context) == steps
    assert asked == [8]


def test_a_full_batch_step_counts_three_times(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "step_multiply_adds", lambda context, rows: 1e11 / 50)
    context = context_of(optimizer="lbfgs", training={"epochs": 99, "batch_size": "full"})
    assert trial_steps(context) == 16


# ------------------------------------------------------------------------------------------------------ what it reached
def test_a_trial_is_judged_on_the_rows_of_validation() -> None:
    context = values_of([dense(1)], optimizer=SGD, training=FULL)
    x, t = X[:6] + 1, np.full((6, 1), 3.0)
    w, b = (short_run(context, 4).objective.theta[e.where] for e in context.network_plan.layout)
    rows = with_rows(context, context.train.x, context.train.t, validation=(x, t))
    found = outcome(rows, 4)
    assert found.loss == pytest.approx(np.mean((x @ w.reshape(4, 1) + b - t) ** 2), rel=1e-9)
    assert found.recall is None
    assert found.constant == rows.constant
    context = values_of([dense(1)], optimizer=SGD, training=FULL)
    expected = np.mean((context.train.x @ w.reshape(4, 1) + b - context.train.t) ** 2)
    assert outcome(context, 4).loss == pytest.approx(expected, rel=1e-9)


def test_at_most_2000_rows_of_validation_are_looked_at() -> None:
    context = values_of([dense(1)], optimizer=SGD, training=FULL)
    x, t = np.zeros((2001, 4)), np.zeros((2001, 1))
    t[2000] = 1e6
    rows = with_rows(context, context.train.x, context.train.t, validation=(x, t))
    assert outcome(rows, 1).loss < 10
    t[1999] = 1e6
    assert outcome(rows, 1).loss > 1e6


def test_the_recall_of_classes_is_that_over_all_classes() -> None:
    context = context_of([dense(3)], optimizer={"type": "sgd", "learning_rate": 1e-12}, training=FULL)
    w, b = (context.theta[e.where] for e in context.network_plan.layout)
    said = (X @ w.reshape(4, 3) + b).argmax(axis=1)
    recalls = [np.mean(k == said[k == CLASSES]) for k in range(3)]
    assert outcome(context, 1).recall == pytest.approx(np.mean(recalls))


def test_a_trial_that_diverges_has_no_loss() -> None:
    found = outcome(values_of([dense(1)], optimizer={"type": "sgd", "learning_rate": 1e30}), 60)
    assert math.isnan(found.loss)
    assert found.recall is None


@pytest.mark.parametrize("restores", [True, False])
def test_the_best_epoch_counts_where_early_stopping_restores_it(restores: bool) -> None:
    """At a rate that throws the weights about the loss of validation rises after the first epoch."""
    stopping = {"metric": "validation.loss", "patience": 5, "restore_best": restores}
    more: dict[str, Any] = {"optimizer": {"type": "sgd", "learning_rate": 0.9}, "data": {"validation": 0.25},
                            "training": {"epochs": 9, "batch_size": 6, "early_stopping": stopping}}  # fmt: skip
    context = values_of([dense(1)], **more)
    validation, losses = context.splits["validation"], list[float]()

    def note(objective: Any) -> None:
        w, b = (objective.theta[e.where] for e in context.network_plan.layout)
        losses.append(float(np.mean((validation.x @ w.reshape(4, 1) + b - validation.t) ** 2)))

    short_run(context, 9, note)
    assert len(losses) == 3
    assert min(losses) < losses[-1]
    assert outcome(context, 9).loss == pytest.approx(min(losses) if restores else losses[-1], rel=1e-9)


def test_a_cure_is_measured_and_may_be_of_no_help(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "learning_rate": 0.1}
    file = config(tmp_path, layers=deep("sigmoid"), optimizer=sgd)
    report = diagnose(file, trying=True)
    ill = next(s for s in report.symptoms if s.check == "gradients")
    relu = next(c for c in ill.cures if "architecture.0.activation=relu" in c.sets)
    assert relu.helps
    assert relu.before == ill.value
    assert relu.after is not None
    assert relu.after > 0.5
    assert relu.loss_after is not None
    assert relu.loss_before is not None
    assert relu.loss_after < 0.95 * relu.loss_before
    assert relu.after == next(s for s in diagnose(file, relu.sets).symptoms if s.check == "gradients").value
    assert any(c.helps is False for s in report.symptoms for c in s.cures)
    assert all(c.helps is None for s in report.symptoms if s.level != "warning" for c in s.cures)
    assert "the first 300 steps of 300" in report.tried


def test_scaled_targets_are_judged_by_shares_of_the_constant(tmp_path: Path) -> None:
    report = diagnose(values(tmp_path, t=500 + 100 * VALUES), trying=True)
    remedy = next(s for s in report.symptoms if s.check == "targets").cures[0]
    assert "over that of a constant" in remedy.judged
    assert remedy.helps
    assert remedy.loss_after is not None
    assert remedy.loss_after < 0.3
    assert remedy.loss_before is not None
    assert 1 < remedy.loss_before < 100


def test_weighing_classes_is_judged_by_recall(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 4)).round(3)
    t = (x[:, 0] + 0.5 * rng.normal(size=300) > 1.9).astype(int)
    file = config(tmp_path, x=x, t=t, layers=[HIDDEN[0], {"type": "dense", "units": 2}])
    remedy = next(s for s in diagnose(file, trying=True).symptoms if s.check == "classes").cures[0]
    assert remedy.before is not None
    assert remedy.after is not None
    assert 0 < remedy.before <= remedy.after <= 1
