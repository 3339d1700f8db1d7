"""Rows that count differently: in the loss, its gradient and every figure, as rows that stand there several times."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab

ROWS = [(0.1, 1.0, "oak", 1), (0.4, -1.2, "elm", 3), (0.9, 0.3, "oak", 2), (-0.7, 0.8, "elm", 1), (0.2, 0.6, "oak", 3),
        (-1.1, -0.3, "elm", 1), (0.5, 0.5, "ash", 2), (-0.2, 0.1, "ash", 1)]  # fmt: skip
CONFIG = """\
name: w
seed: 3
dtype: float64
data:
  train: {type: csv, path: train.csv, target: kind, WEIGHT}
  validation: {type: csv, path: train.csv, target: kind, WEIGHT}
architecture:
  - {type: dense, units: 4, activation: tanh}
  - {type: dense, units: 3}
loss: LOSS
optimizer: {type: OPTIMIZER}
training: {epochs: 5, batch_size: full, metrics: [accuracy, f1, log_loss]}
"""


def config(lab: Lab, name: str, weight: bool, loss: str = "softmax_cross_entropy", optimizer: str = "adam") -> str:
    text = CONFIG.replace(", WEIGHT", ", weight: w" if weight else "").replace("LOSS", loss)
    text = text.replace("OPTIMIZER", optimizer).replace("train.csv", f"{name}.csv")
    rows = [f"{a},{b},{kind},{w}\n" for a, b, kind, w in ROWS] if weight else [
        f"{a},{b},{kind}\n" for a, b, kind, w in ROWS for _ in range(w)
    ]  # fmt: skip
    lab.write(f"{name}.csv", f"a,b,kind{',w' if weight else ''}\n" + "".join(rows))
    lab.write(f"{name}.yaml", text)
    return f"{name}.yaml"


def history(lab: Lab, run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.path / run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        ("softmax_cross_entropy", "adam"),
        ("{type: softmax_cross_entropy, class_weights: balanced}", "sgd"),
        ("{type: focal}", "sgd"),
        ("multiclass_hinge", "momentum"),
        ("softmax_cross_entropy", "lbfgs"),
    ],
)
def test_a_weight_is_a_row_that_stands_there_so_often(lab: Lab, loss: str, optimizer: str) -> None:
    if "balanced" in loss:  # balanced counts rows: give both the same weights
        loss = loss.replace("balanced", "{oak: 1.0, elm: 2.0, ash: 0.5}")
    probabilities = [] if "hinge" not in loss else ["--set", "training.metrics=[accuracy, f1]"]
    for name, weight in (("once", True), ("often", False)):
        lab.good("train", config(lab, name, weight, loss, optimizer), "--out", name, *probabilities)
    once, often = history(lab, "once"), history(lab, "often")
    assert len(once) == len(often) == 5
    for mine, theirs in zip(once, often, strict=True):
        assert mine.keys() == theirs.keys()
        for key in mine.keys() - {"seconds"}:
            assert mine[key] == pytest.approx(theirs[key], rel=1e-9, abs=1e-12), key
    reports = [json.loads(lab.good("eval", name, "--json").out) for name in ("once", "often")]
    assert reports[0]["rows"] == 8
    assert reports[1]["rows"] == 14
    for key in ("loss", "metrics", "per_class", "averages", "confusion"):
        assert str(_rounded(reports[0][key])) == str(_rounded(reports[1][key])), key


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list) else round(float(value), 9) + 0.0


def test_a_row_of_weight_0_is_no_row(lab: Lab) -> None:
    """Not in the loss, nor in metrics, scaling, categories, splits, batches or folds."""
    rows = [f"{a},{b},{kind},{w},{'ab'[w % 2]}\n" for a, b, kind, w in ROWS]
    head = "a,b,kind,w,text\n"
    lab.write("bare.csv", head + "".join(rows))
    lab.write("full.csv", head + "".join(f"99,-1e6,{kind},{zero},zz\n{row}" for row, kind, zero in zip(
        rows, ["oak", "yew"] * 4, ["0", "0.0", "-0"] * 3, strict=False)))  # fmt: skip
    text = CONFIG.replace("LOSS", "softmax_cross_entropy").replace("OPTIMIZER", "adam")
    text = text.replace("WEIGHT", "weight: w, unseen: ignore").replace("batch_size: full", "batch_size: 2")
    text = text.replace("data:", "data:\n  scale: standardize")
    for name in ("bare", "full"):
        lab.write(f"{name}.yaml", text.replace("train.csv", f"{name}.csv"))
        said = lab.good("train", f"{name}.yaml", "--out", name).err
        assert ("full.csv: 8 rows have the weight 0 and count nothing (column `w`)" in said) is (name == "full")
        lab.good("train", f"{name}.yaml", "--folds", "2", "--out", f"{name}-folds", "--set", "data.validation=null")
    bare, full = ([{**line, "seconds": 0} for line in history(lab, name)] for name in ("bare", "full"))
    assert bare == full
    bare, full = (json.loads((lab.path / f"{name}-folds" / "folds.json").read_text()) for name in ("bare", "full"))
    assert bare["metrics"] == full["metrics"]
    reports = [json.loads(lab.good("eval", "bare", "--data", f"{name}.csv", "--json").out) for name in ("bare", "full")]
    assert reports[0] == reports[1]
    assert len(lab.good("predict", "bare", "--data", "bare.csv").out.splitlines()) == 9, "every row is answered"


def test_what_is_noted_of_figures_counts_rows_and_not_weights(lab: Lab) -> None:
    """Here three rows weigh three in one class alone, and another class has a row too."""
    lab.good("train", config(lab, "once", True), "--out", "run")
    lab.write("few.csv", "a,b,kind,w\n0.1,1,oak,2\n0.4,-1.2,oak,1\n0.9,0.3,elm,0.5\n")
    lab.write("same.csv", "a,b,kind,w\n0.1,1,oak,0.1\n0.4,-1.2,oak,0.2\n0.9,0.3,oak,0.5\n")
    few, same = (lab.good("eval", "run", "--data", f"{name}.csv", "--json").out for name in ("few", "same"))
    assert "every row is" not in few
    assert "roc_auc: undefined: every row is of class oak" in same


def test_without_its_column_a_later_file_counts_every_row_the_same(lab: Lab) -> None:
    lab.good("train", config(lab, "once", True), "--out", "run")
    lab.write("later.csv", "b,kind,a\n1,oak,0.1\n-1.2,elm,0.4\n")
    found = lab.good("eval", "run", "--data", "later.csv", "--json")
    assert "later.csv has no column `w`: every row counts the same" in found.err
    lab.write("weighed.csv", "w,b,kind,a\n1,1,oak,0.1\n3,-1.2,elm,0.4\n")
    weighed = json.loads(lab.good("eval", "run", "--data", "weighed.csv", "--json").out)
    assert json.loads(found.out)["loss"] != weighed["loss"]
    assert sum(map(sum, weighed["confusion"])) == 4
    assert lab.good("predict", "run", "--data", "later.csv").out.count("\n") == 3
    assert "elm" in lab.good("eval", "run", "--data", "weighed.csv").out


def test_who_cannot_weigh_rows_says_so(lab: Lab) -> None:
    text = config(lab, "once", True, "mean_squared_error", "levenberg_marquardt")
    found = lab.run("check", text)
    assert found.code == 65
    assert "levenberg_marquardt takes every row alike, and the data has weights [weighted]" in found.err
    traced = lab.good("trace", config(lab, "once", True), "--detail", "overview")
    assert "in training each row counts by its weight; here every row counts the same" in traced.err


@pytest.mark.peers
def test_figures_are_those_of_scikit_learn(lab: Lab) -> None:
    from sklearn import metrics as peer

    lab.good("train", config(lab, "once", True), "--out", "run")
    lab.write("x.csv", "a,b\n" + "".join(f"{a},{b}\n" for a, b, _, _ in ROWS))
    lines = [line.split(",") for line in lab.good("predict", "run", "--data", "x.csv").out.splitlines()[1:]]
    predicted, p = [line[0] for line in lines], np.array([[float(v) for v in line[1:]] for line in lines])
    truth, w = [kind for _, _, kind, _ in ROWS], [w for *_, w in ROWS]
    found = json.loads(lab.good("eval", "run", "--json").out)
    known = found["metrics"]
    assert known["accuracy"] == pytest.approx(peer.accuracy_score(truth, predicted, sample_weight=w))
    assert known["log_loss"] == pytest.approx(peer.log_loss(truth, p, labels=["ash", "elm", "oak"], sample_weight=w))
    assert known["f1"] == pytest.approx(
        peer.f1_score(truth, predicted, average="macro", sample_weight=w, zero_division=0)
    )
    assert found["confusion"] == peer.confusion_matrix(truth, predicted, sample_weight=w).tolist()


STILL = """\
name: still
seed: SEED
dtype: float64
data:
  train: {type: csv, path: once.csv, target: TARGET, WEIGHT}
  validation: {type: csv, path: once.csv, target: TARGET, WEIGHT}
architecture: [{type: dense, units: 4, activation: tanh}, {type: dense, units: UNITS}]
loss: LOSS
optimizer: {type: sgd, learning_rate: 1e-30}
training: {epochs: 1, batch_size: 3, metrics: METRICS, stop_when: {metric: train.FIRST, at_most: -9}}
"""
"""A training that takes its metrics (for `stop_when` asks for one) and does not move its weights."""
SCORES = ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "matthews", "log_loss", "brier", "roc_auc",
          "average_precision", "top_k"]  # fmt: skip
ERRORS = ["mse", "rmse", "mae", "r2", "explained_variance"]


@pytest.mark.parametrize(
    ("loss", "target", "units", "metrics"),
    [("softmax_cross_entropy", "kind", 3, SCORES), ("mean_squared_error", "b", 1, ERRORS)],
)
def test_figures_of_training_rows_count_them_by_their_weights(
    lab: Lab, loss: str, target: str, units: int, metrics: list[str]
) -> None:
    """Where the network stands still, loss and metrics of an epoch, taken batch by batch, are those of the same rows in
    validation and in evaluation; counted once each, the rows give others."""
    config(lab, "once", True)
    text = STILL.replace("SEED", "2").replace("TARGET", target).replace("UNITS", str(units)).replace("LOSS", loss)
    text = text.replace("METRICS", f"[{', '.join(metrics)}]").replace("FIRST", metrics[0])
    lines = {}
    for name, column in (("weighted", "weight: w"), ("alike", "drop: [w]")):
        lab.write(f"{name}.yaml", text.replace("WEIGHT", column))
        lab.good("train", f"{name}.yaml", "--out", name)
        (lines[name],) = history(lab, name)
        report = json.loads(lab.good("eval", name, "--split", "train", "--json").out)
        for key, expected in {"loss": report["loss"], **report["metrics"]}.items():
            if key == "loss" or key in metrics:
                assert lines[name][f"train.{key}"] == pytest.approx(expected, rel=1e-12), key
                assert lines[name][f"validation.{key}"] == pytest.approx(expected, rel=1e-12), key
    for key in ("loss", *metrics):
        weighted, alike = (lines[name][f"train.{key}"] for name in ("weighted", "alike"))
        assert abs(weighted - alike) > 1e-6, f"{key} would not show it"
