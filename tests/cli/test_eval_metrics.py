"""What `eval` says of figures that rank rows, and of those that are undefined."""

from __future__ import annotations

import json

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

ROWS = "a,b,kind\n1,0,x\n2,1,y\n3,0,x\n4,1,z\n5,1,y\n6,0,x\n7,1,z\n8,0,z\n"
CONFIG = """\
name: kinds
data:
  train: {type: csv, path: rows.csv, target: kind}
architecture:
  - {type: dense, units: 3, weights: [[0.0, 0.1, 0.2], [0.0, 1.0, 0.0]]}
loss: softmax_cross_entropy
optimizer: {type: sgd, learning_rate: 1e-12}
training: {epochs: 1, metrics: [balanced_accuracy, average_precision, matthews, top_k, brier]}
"""


@pytest.fixture
def run(lab: Lab) -> Lab:
    lab.write("rows.csv", ROWS)
    lab.write("kinds.yaml", CONFIG)
    lab.good("train", "kinds.yaml", "--out", "run", "-q")
    return lab


def test_usual_figures_and_chosen_ones(run: Lab) -> None:
    report = json.loads(run.good("eval", "run", "--json").out)
    usual = ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]
    chosen = ["balanced_accuracy", "average_precision", "matthews", "top_k", "brier"]
    assert list(report["metrics"]) == [*usual, *chosen]
    assert all(0 < value < 1.5 for value in report["metrics"].values())
    assert report["notes"] == ["class x: never predicted; its precision counts as 0"]


def test_a_class_without_a_row(run: Lab) -> None:
    run.write("few.csv", "a,b,kind\n1,0,x\n2,1,y\n3,0,x\n")
    report = json.loads(run.good("eval", "run", "--data", "few.csv", "--json").out)
    assert report["metrics"]["roc_auc"] is None
    found = run.good("eval", "run", "--data", "few.csv").out
    assert "\nroc_auc               nan\n" in found
    assert found.endswith(
        "note: class x: never predicted; its precision counts as 0\n"
        "note: class z: not present; its recall counts as 0\n"
        "note: roc_auc: undefined: no row is of class z\n"
        "note: balanced_accuracy: no row is of class z: left out\n"
        "note: average_precision: no row is of class z: counted as 0\n"
    )


def test_values_for_classes_are_no_probabilities(lab: Lab) -> None:
    """What needs probabilities is left out where the loss gives none."""
    lab.config(("softmax_cross_entropy", "mean_squared_error"))
    lab.good("train", "trees.yaml", "--out", "run", "-q", "--set", "training.metrics=[accuracy]")
    report = json.loads(lab.good("eval", "run", "--json").out)
    assert list(report["metrics"]) == ["accuracy", "precision", "recall", "f1"]


def test_several_labels(lab: Lab) -> None:
    lab.write("tags.csv", "x,red,round\n" + "".join(f"{i},{i % 2},{int(i > 4)}\n" for i in range(9)))
    lab.config(("trees.csv, target: kind", "tags.csv, target: [red, round]"), ("softmax_", "binary_"))
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    assert 0 <= json.loads(lab.good("eval", "run", "--json").out)["metrics"]["roc_auc"] <= 1
    lab.write("few.csv", "x,red,round\n1,1,0\n2,1,1\n")
    found = lab.good("eval", "run", "--data", "few.csv").out
    assert "note: roc_auc: undefined: every row is of label red\n" in found
