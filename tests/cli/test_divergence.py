"""Numbers that stop being numbers: exit 3, the first of them named, and a model that can be used."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab, Outcome
from cli_lab import lab as lab

from bpcli.engine.network import Chain
from bpcli.studies.run import modelfile

EXPLODES = ("--set", "architecture.0.activation=relu", "--set", "optimizer={type: sgd, learning_rate: 1e30}")


def diverged(lab: Lab, *words: str) -> Outcome:
    """A training that has to diverge; its run folder says so, and its model can be evaluated."""
    found = lab.run("train", "trees.yaml", "--out", "run", *words)
    assert found.code == 3
    assert found.out == "run\n"
    assert found.err.count("error:") == 1
    assert re.search(r"\[diverged\]\n  help: lower optimizer.learning_rate \(it was [\d.e+-]+\)", found.err)
    record = json.loads((lab.path / "run" / "run.json").read_text())
    assert record["status"] == "diverged"
    assert f"error: {record['reason']} [diverged]" in found.err
    tensors, meta = modelfile.read(lab.path / "run" / "model.safetensors")
    assert all(np.isfinite(a).all() for a in tensors.values())
    assert meta["record"]["stopped"] == "diverged"
    report = json.loads(lab.good("eval", "run", "--json").out)
    assert np.isfinite(report["loss"])
    return found


def test_a_learning_rate_beyond_all_measure(lab: Lab) -> None:
    found = diverged(lab, *EXPLODES)
    assert found.err.splitlines()[1:] == [
        "error: training diverged in epoch 1, batch 2 of 2: dense_2.y (outputs) is not finite [diverged]",
        "  help: lower optimizer.learning_rate (it was 1e+30), or add clipping: {type: global_norm, max_norm: 1.0}",
        "no epoch completed",
        "kept: the first weights",
        "next:   bpcli eval run",
    ]


def test_weights_that_overflow_in_the_last_step_of_all(lab: Lab) -> None:
    """No step follows that would meet them."""
    found = diverged(lab, *EXPLODES, "--set", "training.epochs=1", "--set", "training.batch_size=full")
    assert "training diverged in epoch 1, batch 1 of 1: " in found.err
    assert (lab.path / "run" / "metrics.jsonl").exists() is False


def test_the_last_good_epoch_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A NaN in the forward pass of the third epoch: the weights of the second stay."""
    lab.good("train", "trees.yaml", "--out", "two", "-q", "--set", "training.epochs=2")
    poison(monkeypatch, steps=4)
    found = diverged(lab)
    assert (
        "error: training diverged in epoch 3, batch 1 of 2: dense_1.activation.y (outputs) is not finite" in found.err
    )
    assert "2 epochs in 0.0" in found.err
    assert "kept: the weights of epoch 2\n" in found.err
    assert len((lab.path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    two, kept = (modelfile.read(lab.path / run / "model.safetensors")[0] for run in ("two", "run"))
    assert all(two[name].tobytes() == kept[name].tobytes() for name in two)


def test_the_best_weights_are_kept_where_they_are_watched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.good("train", "trees.yaml", "--out", "one", "-q", "--set", "training.epochs=1")
    poison(monkeypatch, steps=4)
    early = "training.early_stopping={metric: train.loss, mode: max}"
    found = diverged(lab, "--set", early)
    assert "kept: the weights of epoch 1\n" in found.err
    one, kept = (modelfile.read(lab.path / run / "model.safetensors")[0] for run in ("one", "run"))
    assert all(one[name].tobytes() == kept[name].tobytes() for name in one)


def test_a_gradient_that_overflows(lab: Lab) -> None:
    """The loss is still finite in float32, its gradient's square is not; float64 goes on."""
    lab.write("big.csv", "x,y\n" + "".join(f"{i}e14,{i}e15\n" for i in range(1, 9)))
    lab.config(("trees.csv, target: kind", "big.csv, target: y"), ("  scale: standardize\n", ""),
               ("units: 2", "units: 1"), ("softmax_cross_entropy", "mean_squared_error"),
               (", activation: tanh", ""))  # fmt: skip
    found = diverged(lab, "--set", "optimizer=sgd")
    assert re.search(r"batch \d of 2: dense_\d\.(y|dW|W) \((outputs|gradient|weights)\) is not finite", found.err)
    found = lab.run("train", "trees.yaml", "--out", "wide", "--set", "dtype=float64", "--set", "training.epochs=1")
    assert found.code == 0


def test_clipping_is_advised_only_where_there_is_none(lab: Lab) -> None:
    lab.config(("loss:", "clipping: {type: value, limit: 1e30}\nloss:"))
    found = lab.run("train", "trees.yaml", "--out", "run", *EXPLODES)
    assert found.code == 3
    assert "help: lower optimizer.learning_rate (it was 1e+30)\n" in found.err


def test_a_diverged_run_does_not_go_on(lab: Lab) -> None:
    diverged(lab, *EXPLODES)
    found = lab.run("train", "--resume", "run")
    assert (found.code, found.out) == (3, "")
    assert found.err.startswith("error: this run cannot go on: training diverged in epoch 1, batch 2 of 2: ")
    assert found.err.endswith("  help: start a new run, with a lower optimizer.learning_rate or with clipping\n")


def test_json(lab: Lab) -> None:
    found = lab.run("train", "trees.yaml", "--out", "run", "--json", *EXPLODES)
    report = json.loads(found.out)
    assert found.code == 3
    assert (report["stopped"], report["best_epoch"], report["epochs"]) == ("diverged", 0, [])
    assert report["problem"]["code"] == "diverged"


def poison(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Makes outputs NaN in every forward pass of training after so many steps."""
    old, count = Chain.forward, 0

    def forward(chain: Chain, train: bool) -> Any:
        nonlocal count
        count += train
        old(chain, train)
        if train and count > steps:
            chain.layers[1].frame.y[0, 0] = np.nan
            chain.layers[-1].frame.y[0, 0] = np.nan

    monkeypatch.setattr(Chain, "forward", forward)
