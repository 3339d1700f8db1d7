"""What does not fit together in an experiment, or does not fit its data: each with its place and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.config.compatibility import (
    ROWS_AT_ONCE,
    DataFacts,
    Issue,
    check_inputs,
    check_targets,
    find_bad_token,
    plan_and_check,
    resolve_loss,
)
from bpcli.config.experiment import Experiment

INLINE = {"type": "inline", "inputs": [[0.0, 1.0]], "targets": [[0.0]]}
CLASSES = DataFacts((2,), ("a", "b", "c"), 1, ("train", "validation"), 90, (30, 30, 30))
VALUES = DataFacts((2,), (), 2, ("train", "validation"), 90)


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **more}


def experiment(*layers: Any, loss: Any = "softmax_cross_entropy", data: Any = None, **more: Any) -> Experiment:
    made = {
        "name": "x", "data": {"train": INLINE, **(data or {})},
        "architecture": list(layers or (dense(4, activation="tanh"), dense(3))),
        "loss": loss, "training": {"epochs": 3, "batch_size": 10}, **more,
    }  # fmt: skip
    return Experiment.model_validate(made)


def issues(made: Experiment, facts: DataFacts = CLASSES) -> list[Issue]:
    return plan_and_check(made, facts)[1]


def only(made: Experiment, facts: DataFacts = CLASSES) -> Issue:
    (found,) = issues(made, facts)
    return found


def test_what_fits_has_a_plan_and_no_issue() -> None:
    plan, found = plan_and_check(experiment(), CLASSES)
    assert plan is not None
    assert (plan.y, found) == ((3,), [])
    assert issues(experiment(dense(2), loss="mean_squared_error"), VALUES) == []
    assert (Issue((), "t", "c").help, Issue((), "t", "c").level) == ("", "error")
    assert (VALUES.counts, VALUES.evenly, VALUES.weighted, VALUES.spread) == ((), True, False, {})


def test_a_network_that_cannot_be_planned_has_no_plan() -> None:
    bad = experiment(dense(3, name="a"), dense(3, name="a"))
    plan, (found,) = plan_and_check(bad, CLASSES)
    assert plan is None
    assert (found.loc, found.text, found.code) == (("architecture", 1), "two layers are called a", "shape")
    assert found.help == "give one of them another `name`"
    plan, (found,) = plan_and_check(experiment(dense(1)), replace(CLASSES, classes=("a",)))
    assert plan is None
    assert (found.loc, found.code) == (("loss",), "shape")
    assert "on one output" in found.text
    several = experiment(dense(1), training={"epochs": 3, "batch_size": 100})
    assert [i.code for i in issues(several, CLASSES)] == ["shape", "batch-size"]


def test_a_network_that_learns_nothing_is_said_so() -> None:
    found = issues(experiment("relu"), replace(CLASSES, row=(3,)))
    assert [(i.loc, i.text, i.code, i.help) for i in found] == [
        (("architecture",), "no layer of this network has anything to learn", "no-parameters", "add a `dense` layer")
    ]


@pytest.mark.parametrize(
    ("made", "facts", "loc", "text", "code", "help"),
    [
        (experiment(), VALUES, ("loss",), "softmax_cross_entropy wants class labels, and the targets are numbers",
         "targets", ""),
        (experiment(dense(4), dense(3), loss="mean_squared_error"), VALUES, ("architecture", 1, "units"),
         "the network has 3 outputs and the data has 2 targets", "outputs", "the last layer needs `units: 2`"),
        (experiment(dense(1), loss="mean_squared_error"), VALUES, ("architecture", 0, "units"),
         "the network has 1 output and the data has 2 targets", "outputs", "the last layer needs `units: 2`"),
        (experiment(dense(3), loss="poisson"), CLASSES, ("loss",),
         "poisson wants counts, and the targets are class labels", "targets",
         "for classes there is `softmax_cross_entropy`"),
        (experiment(dense(4)), CLASSES, ("architecture", 0, "units"),
         "the network has 4 outputs and the data has 3 classes", "outputs",
         "the last layer needs `units: 3`, one for each of a, b, c"),
        (experiment(dense(4)), replace(CLASSES, classes=tuple("abcdefghi")), ("architecture", 0, "units"),
         "the network has 4 outputs and the data has 9 classes", "outputs",
         "the last layer needs `units: 9`, one for each of a, b, c, d, e, f, g, h, ..."),
    ],
)  # fmt: skip
def test_outputs_are_as_many_as_the_data_asks_for(
    made: Experiment, facts: DataFacts, loc: Any, text: str, code: str, help: str
) -> None:
    assert only(made, facts) == Issue(loc, text, code, help)


def test_one_output_tells_two_classes_apart_where_the_loss_takes_values() -> None:
    two = replace(CLASSES, classes=("a", "b"))
    assert issues(experiment(dense(1), loss="binary_cross_entropy"), two) == []
    assert only(experiment(dense(1), loss="binary_cross_entropy"), CLASSES).code == "outputs"
    assert issues(experiment(dense(1), loss="cross_entropy"), two)[0].code in ("shape", "outputs")


def test_a_loss_suits_the_last_layer() -> None:
    text = "cross_entropy compares probabilities, and the network does not end in a softmax"
    help = "write `softmax_cross_entropy`, which holds the softmax, or end the architecture with `softmax`"
    assert only(experiment(dense(3), loss="cross_entropy")) == Issue(("loss",), text, "pairing", help)
    assert issues(experiment(dense(3), "softmax", "identity", loss="cross_entropy")) == []
    twice = only(experiment(dense(3, activation="softmax")))
    assert twice == Issue(
        ("architecture", 0, "activation"),
        "softmax_cross_entropy holds a softmax of its own: behind this one no class can reach a probability above 0.58",
        "pairing", "leave this softmax out, or write `loss: cross_entropy`", "warning",
    )  # fmt: skip
    assert only(experiment(dense(3), "softmax")).loc == ("architecture", 1)
    sigmoid = only(experiment(dense(2), "sigmoid", loss="binary_cross_entropy"), VALUES)
    assert sigmoid.text == (
        "binary_cross_entropy holds a sigmoid of its own: behind this one every probability lies between 0.5 and 0.73"
    )
    assert sigmoid.help == "leave this sigmoid out"


@pytest.mark.parametrize(
    ("settings", "facts", "loc", "text", "help"),
    [
        ({"metrics": ["mae"]}, CLASSES, ("training", "metrics", 0),
         "mae is a figure of regressions, and this is a classification", ""),
        ({"metrics": ["f1", "f1"]}, CLASSES, ("training", "metrics"), "a metric is listed twice", ""),
        ({"early_stopping": {"metric": "validation.f1", "patience": 3}}, CLASSES,
         ("training", "early_stopping", "metric"), "validation.f1 is not measured in this training",
         "known: train.loss, train.accuracy, validation.loss, validation.accuracy; other figures have to be in "
         "training.metrics"),
        ({"early_stopping": {"metric": "validation.loss", "patience": 3}}, replace(CLASSES, splits=("train",)),
         ("training", "early_stopping", "metric"),
         "validation.loss is watched, and the data has no validation split",
         "add `validation: 0.15` to the data, or watch train.loss"),
        ({"stop_when": {"metric": "validation.accuracy", "at_least": 0.9}}, replace(CLASSES, splits=("train",)),
         ("training", "stop_when", "metric"), "validation.accuracy is watched, and the data has no validation split",
         "add `validation: 0.15` to the data, or watch train.accuracy"),
    ],
)  # fmt: skip
def test_figures_that_cannot_be_measured(settings: Any, facts: DataFacts, loc: Any, text: str, help: str) -> None:
    made = experiment(training={"epochs": 3, "batch_size": 10, **settings})
    assert only(made, facts) == Issue(loc, text, "metric", help)


def test_a_regression_has_no_figures_of_classes() -> None:
    made = experiment(dense(2), loss="mean_squared_error", training={"epochs": 3, "metrics": ["accuracy"]})
    assert only(made, VALUES).text == "accuracy is a figure of classifications, and this is a regression"


@pytest.mark.parametrize(("size", "said"), [(90, False), (91, True), ("full", False)])
def test_a_batch_that_is_larger_than_the_training_rows_is_a_warning(size: Any, said: bool) -> None:
    found = issues(experiment(training={"epochs": 3, "batch_size": size}))
    text = "a batch of 91 is larger than the 90 training rows: every epoch is one step"
    assert found == ([Issue(("training", "batch_size"), text, "batch-size", "write `full`", "warning")] if said else [])


@pytest.mark.parametrize(
    ("schedule", "size", "loc", "text", "help"),
    [
        ({"type": "warmup", "steps": 27, "then": 0.1}, 10, ("steps",), "27", "the training has 3 epochs of 9 steps; "
         "`per: epoch` counts epochs"),
        ({"type": "warmup", "steps": 3, "then": 0.1}, "full", ("steps",), "3", "the training has 3 epochs of 1 step; "
         "`per: epoch` counts epochs"),
    ],
)  # fmt: skip
def test_a_schedule_that_does_not_end_in_this_training_is_a_warning(
    schedule: Any, size: Any, loc: Any, text: str, help: str
) -> None:
    optimizer = {"type": "sgd", "learning_rate": schedule}
    made = experiment(optimizer=optimizer, training={"epochs": 3, "batch_size": size})
    found = only(made)
    assert (found.loc, found.code, found.level) == (("optimizer", "learning_rate", *loc), "schedule", "warning")
    assert text in found.text
    assert found.help == help
    shorter = {**schedule, "steps": schedule["steps"] - 1}
    assert issues(made.model_copy(update={"optimizer": experiment(optimizer={"type": "sgd", "learning_rate": shorter})
                                          .optimizer})) == []  # fmt: skip


def test_an_optimizer_of_full_batches_says_where_the_size_is_set() -> None:
    written = experiment(optimizer="lbfgs")
    text = "lbfgs needs all 90 training rows in every step, and a batch has 10"
    full = "write `batch_size: full` under `training`"
    assert only(written) == Issue(("training", "batch_size"), text, "full-batch", full)
    default = experiment(optimizer="lbfgs", training={"epochs": 3})
    assert only(default).loc == ("optimizer",)
    for size in ("full", 90, 100):
        made = experiment(optimizer="lbfgs", training={"epochs": 3, "batch_size": size})
        assert all(i.code == "batch-size" for i in issues(made))
    weighted = experiment(dense(2), loss="mean_squared_error", optimizer="levenberg_marquardt",
                          training={"epochs": 3, "batch_size": "full"})  # fmt: skip
    assert only(weighted, replace(VALUES, weighted=True)) == Issue(
        ("optimizer",), "levenberg_marquardt takes every row alike, and the data has weights", "weighted",
        "leave `weight` out, or write `optimizer: lbfgs`",
    )  # fmt: skip


def test_a_loss_is_completed_by_the_classes_of_the_data() -> None:
    made = experiment(loss={"type": "softmax_cross_entropy", "class_weights": "balanced"})
    found, none = resolve_loss(made, CLASSES)
    assert none == []
    assert found.loss != made.loss
    assert found.architecture == made.architecture
    assert resolve_loss(made, VALUES) == (made, [])
    made = experiment(loss={"type": "softmax_cross_entropy", "class_weights": {"a": 1.0, "b": 2.0, "c": 1.0}})
    same, (issue,) = resolve_loss(made, replace(CLASSES, classes=("a", "b")))
    assert same is made
    assert (issue.loc, issue.code, issue.level) == (("loss", "class_weights"), "class-weights", "error")


def test_targets_are_looked_at_where_they_are_values() -> None:
    made = experiment(dense(1), loss="poisson")
    (found,) = check_targets(made, np.array([[1.0], [-1.0]]))
    assert (found.loc, found.code) == (("loss",), "targets")
    assert check_targets(made, np.array([[1.0], [2.0]])) == []
    assert check_targets(made, np.array([1, -1])) == []


# --------------------------------------------------------------------------------------------------------------- tokens
EMBEDDED = ({"type": "embedding", "tokens": 5, "units": 2}, "flatten", dense(3))


@pytest.mark.parametrize(
    ("value", "scaled", "help"),
    [
        (5.0, False, "write `tokens: 6`, or more"), (-1.0, False, "numbers are counted from 0"),
        (0.5, False, "an embedding looks rows up by whole numbers; `dense` takes any"),
        (0.5, True, "leave `scale` out of the data: it makes fractions of whole numbers"),
    ],
)  # fmt: skip
def test_numbers_that_an_embedding_cannot_look_up(value: float, scaled: bool, help: str) -> None:
    x = np.array([[0.0, 4.0], [1.0, value]])
    text = f"takes whole numbers from 0 to 4, and here is {value:g}"
    assert find_bad_token(x, 5, scaled) == ((1, 1), text, help)
    assert find_bad_token(x[:1], 5, scaled) is None
    plan, _ = plan_and_check(experiment(*EMBEDDED), CLASSES)
    assert plan is not None
    many = np.zeros((ROWS_AT_ONCE + 2, 2))
    many[-1, 0] = value
    rows = np.arange(len(many)) + 7
    (found,) = check_inputs(plan, "validation", many, rows, scaled)
    where = f"validation, row {ROWS_AT_ONCE + 8} (counted from 0)"
    assert found == Issue(("architecture", 0), f"{where}: embedding_1 {text}", "tokens", help)
    assert check_inputs(plan, "validation", many[:-1], rows, scaled) == []
    plain, _ = plan_and_check(experiment(), CLASSES)
    assert plain is not None
    assert check_inputs(plain, "train", many, rows, scaled) == []


def test_columns_that_are_no_number_cannot_be_looked_up() -> None:
    spread = replace(CLASSES, spread={"colour": 3, "day": 1})
    first, second = issues(experiment(*EMBEDDED), spread)
    assert first.text == (
        "embedding_1 looks up whole numbers of the data, and the column `colour` becomes 3 inputs of the network"
    )
    assert second.text == "embedding_1 looks up whole numbers of the data, and the column `day` is no number"
    assert first.help == "number what stands in `colour` (0, 1, 2, ...) in the file, or begin with `dense`"
    assert issues(experiment(), spread) == []


# --------------------------------------------------------------------------------------------------------- initializers
def test_weights_that_do_not_start_as_suits_the_activation_behind_them_are_a_warning() -> None:
    """Those of the last layer start as they like."""
    made = experiment(dense(4, init="glorot_uniform", activation="relu"), dense(4, init="he_normal"), "tanh", dense(3))
    shrink, grow = issues(made)
    assert shrink == Issue(
        ("architecture", 0, "init"), "glorot_uniform before relu: signals shrink from layer to layer", "initializer",
        "write `init: he_normal`, or leave `init` out", "warning",
    )  # fmt: skip
    assert grow.text == "he_normal before tanh: signals grow from layer to layer"
    assert grow.loc == ("architecture", 1, "init")
    suited = experiment(dense(4, init="he_uniform", activation="relu"), dense(4, init="lecun_normal"), "tanh", dense(3))
    assert issues(suited) == []
    fixed = experiment(dense(4, init={"type": "normal", "std": 1.0}, activation="relu"), dense(3))
    assert issues(fixed) == [], "its size is the user's wish"
    last = experiment(dense(3, init="he_normal", activation="softmax"), loss="cross_entropy")
    assert issues(last) == []


# --------------------------------------------------------------------------------------------------------- augmentation
SHIFT = {"augment": [{"type": "shift", "pixels": 1}]}


def test_what_is_no_image_is_told_which_layer_makes_one_of_it() -> None:
    for row, size in (((16,), "4, 4, 1"), ((15,), "height, width, 1"), ((4, 5), "4, 5, 1")):
        made = experiment("flatten", dense(3), data=SHIFT)
        found = issues(made, replace(CLASSES, row=row))[-1]
        assert (found.loc, found.code) == (("data", "augment"), "not-images")
        assert found.text == f"augmentation changes images, and a row has the shape {row}"
        assert found.help.endswith(f"such as {{type: reshape, shape: [{size}]}}")


def test_images_are_scaled_alike_and_a_search_has_none_that_change() -> None:
    image = replace(CLASSES, row=(4, 4, 1))
    made = experiment("flatten", dense(3), data=SHIFT)
    assert issues(made, image) == []
    uneven = only(made, replace(image, evenly=False))
    assert (uneven.loc, uneven.code) == (("data", "scale"), "scale")
    assert uneven.help == f"one scale for all: {{type: {made.data.scale.kind}, per: all}}"
    search = experiment("flatten", dense(3), data=SHIFT, optimizer="lbfgs",
                        training={"epochs": 3, "batch_size": "full"})  # fmt: skip
    found = only(search, image)
    assert (found.loc, found.code) == (("data", "augment"), "searching")
    assert found.text == (
        "lbfgs compares the loss of one step with that of the next, and augmentation changes the rows by chance"
    )


# ------------------------------------------------------------------------------------------ what a search can rely on
def searching(*layers: Any, kind: str = "levenberg_marquardt", **more: Any) -> list[Issue]:
    training = {"epochs": 3, "batch_size": "full"}
    made = experiment(*layers or (dense(2),), loss=more.pop("loss", "mean_squared_error"), optimizer=kind,
                      training=training, **more)  # fmt: skip
    return issues(made, VALUES)


def test_what_a_search_cannot_rely_on() -> None:
    assert searching() == []
    assert [i.loc for i in searching(clipping={"type": "value", "limit": 1.0})] == [("clipping",)]
    bound = {"type": "max_norm", "limit": 1.0}
    assert [i.loc for i in searching(constraint=bound)] == [("constraint",)]
    assert [i.loc for i in searching(dense(2, constraint=bound))] == [("architecture", 0, "constraint")]
    (dropped,) = searching({"type": "dropout", "rate": 0.5}, dense(2))
    assert dropped.loc == ("architecture", 0)
    assert dropped.text.endswith("compares the loss at several points, and dropout_1 changes it by chance")
    (norm,) = searching(dense(3), "batch_norm", dense(2))
    assert norm.text.endswith("tells each row's output apart, and in batch_norm_1 every row depends on all others")
    assert searching(dense(3), "batch_norm", dense(2), kind="lbfgs") == []
    (loss,) = searching(loss="huber")
    assert (loss.loc, loss.text) == (
        ("loss",), "levenberg_marquardt lowers sums of squared errors, and huber is none",
    )  # fmt: skip
    assert loss.help == "write `loss: mean_squared_error`, or `optimizer: lbfgs`, which takes any loss"
    l1 = {"type": "l1", "strength": 0.1}
    (whole,) = searching(regularization=l1)
    assert (whole.loc, whole.help) == (("regularization",), "write `type: l2`")
    (own,) = searching(dense(2, regularization=l1))
    assert own.loc == ("architecture",)
    assert searching(regularization={"type": "l2", "strength": 0.1}) == []
