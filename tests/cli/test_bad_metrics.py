"""A metric that cannot be measured is refused before anything is trained, with a caret under it."""

from __future__ import annotations

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

KINDS = "width,height,kind\n" + "".join(f"{i},{i * i % 7},{'abc'[i % 3]}\n" for i in range(9))
TAGS = "x,red,round\n" + "".join(f"{i},{i % 2},{int(i > 4)}\n" for i in range(9))
NEED = "needs probabilities: a loss such as softmax_cross_entropy or binary_cross_entropy gives them"
ONE = "needs one class for each row, and here a row may have several labels: write"

VALUES = (("softmax_cross_entropy", "mean_squared_error"),)
REGRESSION = (*VALUES, ("target: kind", "target: width, drop: kind"), ("units: 2", "units: 1"))
THREE = (("trees.csv", "kinds.csv"), ("units: 2", "units: 3"))
SEVERAL = (("trees.csv, target: kind", "tags.csv, target: [red, round]"), ("softmax_", "binary_"))


@pytest.mark.parametrize(
    ("metric", "text", "changes"),
    [
        ("roc_auc", f"roc_auc {NEED}", VALUES),
        ("average_precision", f"average_precision {NEED}", VALUES),
        ("brier", f"brier {NEED}", VALUES),
        ("roc_auc", "roc_auc is a figure of classifications, and this is a regression", REGRESSION),
        ("top_k", "top_k is a figure of classifications, and this is a regression", REGRESSION),
        ("rmse", "rmse is a figure of regressions, and this is a classification", ()),
        ("explained_variance", "explained_variance is a figure of regressions, and this is a classification", ()),
        ("top_k", "top_k with `k: 2` is always 1 where there are 2 classes: `k` has to be below 2", ()),
        (
            "{type: top_k, k: 3}",
            "top_k with `k: 3` is always 1 where there are 3 classes: `k` has to be below 3",
            THREE,
        ),
        (
            "{type: top_k, k: 9}",
            "top_k with `k: 9` is always 1 where there are 3 classes: `k` has to be below 3",
            THREE,
        ),
        ("top_k", f"top_k {ONE} accuracy, f1 or average_precision", SEVERAL),
        ("matthews", f"matthews {ONE} f1 or roc_auc", SEVERAL),
        ("balanced_accuracy", f"balanced_accuracy {ONE} recall or f1", SEVERAL),
    ],
)
def test_a_metric_that_cannot_be_measured(
    lab: Lab, metric: str, text: str, changes: tuple[tuple[str, str], ...]
) -> None:
    lab.write("kinds.csv", KINDS)
    lab.write("tags.csv", TAGS)
    lab.config(*changes, ("batch_size: 4", f"batch_size: 4, metrics: [{metric}]"))
    for command in ("check", "train"):
        found = lab.run(command, "trees.yaml")
        assert (found.code, found.out) == (65, "")
        lines = found.err.splitlines()
        assert lines[0] == f"error: training.metrics.0: {text} [metric]"
        assert lines[1] == " --> trees.yaml:10:48"
        assert lines[-1].split("|")[1].rstrip().endswith("^" * len(metric))
        assert lines[-1].count("^") == len(metric)
        assert len(lines) == 6


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("{type: top_k, k: 0}", "training.metrics.0.k: must be at least 1, got 0 [out-of-range]"),
        ("{type: roc_auc, average: micro}", "training.metrics.0.average: "),
        ("roc_auk", "training.metrics.0: unknown metric `roc_auk` [unknown-type]"),
    ],
)
def test_a_metric_that_cannot_be_written(lab: Lab, metric: str, text: str) -> None:
    lab.config(("batch_size: 4", f"batch_size: 4, metrics: [{metric}]"))
    found = lab.run("check", "trees.yaml")
    assert found.code == 65
    assert found.err.startswith(f"error: {text}")
    assert "^" in found.err


def test_the_same_metrics_where_they_can_be(lab: Lab) -> None:
    lab.write("kinds.csv", KINDS)
    metrics = "accuracy, top_k, roc_auc, {type: roc_auc, average: weighted}, brier, matthews"
    lab.config(*THREE, ("batch_size: 4", f"batch_size: 4, metrics: [{metrics}]"))
    found = lab.good("train", "trees.yaml", "--out", "run", "--json").out
    for name in ("top_k", "roc_auc", "roc_auc_weighted", "brier", "matthews"):
        assert f'"train.{name}"' in found
