"""What `check` says of a schedule that is longer than the training, of what it watches, and of how weights start."""

from __future__ import annotations

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

TRAINING = "training: {epochs: 3, batch_size: 4}"  # of the 8 rows: 2 steps an epoch


def rate(lab: Lab, schedule: str) -> None:
    lab.config(("loss:", f"optimizer: {{type: adam, learning_rate: {schedule}}}\nloss:"))


@pytest.mark.parametrize(
    ("schedule", "path", "text"),
    [
        ("{type: multi_step, start: 0.1, milestones: [3, 6]}", "milestones", "after 6 steps nothing is left of"),
        ("{type: step, start: 0.1, every: 6000}", "every", "after 6,000 steps nothing is left of"),
        ("{type: warmup, steps: 6, then: 0.1}", "steps", "after 6 steps nothing is left of"),
        (
            "{type: warmup, steps: 2, then: {type: step, start: 0.1, every: 7}}",
            "then.every",
            "after 7 steps nothing is left of",
        ),
        ("{type: multi_step, start: 0.1, milestones: [3], per: epoch}", "milestones", "after 3 epochs nothing is left"),
    ],
)
def test_a_schedule_longer_than_the_training(lab: Lab, schedule: str, path: str, text: str) -> None:
    """A warning at the setting; the training can run."""
    rate(lab, schedule)
    found = lab.good("check", "trees.yaml")
    assert found.err.startswith(f"warning: optimizer.learning_rate.{path}: {text}")
    assert "--> trees.yaml:9:" in found.err
    help = "the training has 3 epochs of 2 steps"
    assert found.err.rstrip().endswith(help if "epoch}" in schedule else f"{help}; `per: epoch` counts epochs")
    assert found.err.count("warning") == 1
    assert lab.good("train", "trees.yaml", "--out", "run").err.startswith(found.err.splitlines()[0])


@pytest.mark.parametrize(
    "schedule",
    [
        "{type: multi_step, start: 0.1, milestones: [3, 5]}",
        "{type: multi_step, start: 0.1, milestones: [1, 2], per: epoch}",
        "{type: warmup, steps: 5, then: {type: cosine, start: 0.1}}",
        "{type: plateau, start: 0.1, metric: train.accuracy}",
        "{type: one_cycle, peak: 0.1}",
    ],
)
def test_one_that_fits_is_let_pass(lab: Lab, schedule: str) -> None:
    rate(lab, schedule)
    assert lab.good("check", "trees.yaml").err == ""
    lab.good("train", "trees.yaml", "--out", "run", "-q")


def test_batches_count(lab: Lab) -> None:
    """Full batches are one step an epoch; half a batch is a step too."""
    for size, steps in (("full", 1), ("3", 3), ("8", 1)):
        rate(lab, "{type: step, start: 0.1, every: 99}")
        lab.config((TRAINING, TRAINING.replace("4", size)), text=(lab.path / "trees.yaml").read_text())
        plural = "s" * (steps != 1)
        assert f"the training has 3 epochs of {steps} step{plural};" in lab.good("check", "trees.yaml").err


@pytest.mark.parametrize(
    ("schedule", "text", "help"),
    [
        (
            "{type: plateau, start: 0.1}",
            "error: optimizer.learning_rate.metric: validation.loss is watched, and the data has no validation split",
            "add `validation: 0.15` to the data, or watch train.loss",
        ),
        (
            "{type: warmup, steps: 2, then: {type: plateau, start: 0.1, metric: train.f2}}",
            "error: optimizer.learning_rate.then.metric: train.f2 is not measured in this training",
            "known: train.loss, train.accuracy; other figures have to be in training.metrics",
        ),
    ],
)
def test_what_a_plateau_watches_is_measured(lab: Lab, schedule: str, text: str, help: str) -> None:
    rate(lab, schedule)
    found = lab.run("check", "trees.yaml")
    assert found.code == 65
    assert found.err.startswith(text)
    assert found.err.rstrip().endswith(help)


def starts(lab: Lab, activation: str, init: str, behind: str = "") -> str:
    layer = f"{{type: dense, units: 4, activation: {activation}, init: {init}}}"
    lab.config(("{type: dense, units: 4, activation: tanh}", f"{layer}{behind}"))
    return lab.good("check", "trees.yaml").err


@pytest.mark.parametrize(
    ("activation", "init", "suited", "what"),
    [
        ("tanh", "he_normal", "glorot_uniform", "grow"),
        ("sigmoid", "he_uniform", "glorot_uniform", "grow"),
        ("selu", "he_normal", "lecun_normal", "grow"),
        ("relu", "glorot_uniform", "he_normal", "shrink"),
        ("gelu", "lecun_normal", "he_normal", "shrink"),
    ],
)
def test_weights_that_do_not_suit_the_activation(lab: Lab, activation: str, init: str, suited: str, what: str) -> None:
    found = starts(lab, activation, init)
    text = f"warning: architecture.0.init: {init} before {activation}: signals {what} from layer to layer [initializer]"
    assert found.startswith(text)
    assert found.rstrip().endswith(f"help: write `init: {suited}`, or leave `init` out")


@pytest.mark.parametrize(
    ("activation", "init"),
    [
        ("tanh", "glorot_normal"), ("tanh", "lecun_uniform"), ("relu", "he_uniform"), ("selu", "lecun_normal"),
        ("relu", "orthogonal"), ("tanh", "{type: normal, std: 0.1}"), ("relu", "zeros"),
    ],
)  # fmt: skip
def test_weights_that_do(lab: Lab, activation: str, init: str) -> None:
    assert starts(lab, activation, init) == ""


def test_dropout_between_changes_nothing_and_the_last_layer_is_free(lab: Lab) -> None:
    """What scale the outputs begin with does not add up."""
    between = "\n  - {type: dense, units: 4, init: he_normal}\n  - {type: dropout, rate: 0.5}\n  - tanh"
    assert "architecture.1.init: he_normal before tanh" in starts(lab, "relu", "he_normal", between)
    lab.config(("{type: dense, units: 2}", "{type: dense, units: 2, init: he_normal, activation: tanh}"))
    assert lab.good("check", "trees.yaml").err == ""


def test_a_constraint_needs_its_limit(lab: Lab) -> None:
    lab.config(("loss:", "constraint: max_norm\nloss:"))
    found = lab.run("check", "trees.yaml")
    assert found.code == 65
    assert found.err.startswith("error: constraint.limit: this key is required [missing-key]")
    lab.config(("loss:", "constraint: {type: max_norm, limit: 3}\nloss:"))
    lab.good("train", "trees.yaml", "--out", "run", "-q")
