"""Losses from the command line: what they refuse and warn of, and what eval and predict make of their outputs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from bad_losses import CASES, SOFTMAX, WARNINGS, inline
from cli_lab import Case, Lab
from cli_lab import lab as lab

from bpcli.records.training import Failure
from bpcli.studies.run import model, modelfile

UNEVEN = "width,height,kind\n" + "".join(f"{i},{i % 3},{'oak' if i % 4 == 0 else 'elm'}\n" for i in range(11))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_bad_losses(lab: Lab, case: Case) -> None:
    lab.config(*case.changes)
    for command in ("check", "train"):
        found = lab.run(command, "trees.yaml")
        assert found.err == case.text
        assert (found.code, found.out) == (case.code, "")


@pytest.mark.parametrize("case", WARNINGS, ids=lambda c: c.name)
def test_losses_warn(lab: Lab, case: Case) -> None:
    lab.config(*case.changes)
    assert lab.good("check", "trees.yaml").err == case.text
    assert case.text in lab.good("train", "trees.yaml").err


@pytest.mark.parametrize(
    ("loss", "last_layer"), [("softmax_cross_entropy", ""), ("cross_entropy", "  - softmax\n"), ("kl_divergence", "")]
)
def test_a_right_ending_says_nothing(lab: Lab, loss: str, last_layer: str) -> None:
    lab.config((SOFTMAX, f"{last_layer}loss: {loss}"))
    assert lab.good("check", "trees.yaml").err == ""


def test_cross_entropy_after_softmax_is_softmax_cross_entropy(lab: Lab) -> None:
    """The same losses on the way, the same probabilities at the end."""
    lab.config(name="a.yaml")
    lab.config((SOFTMAX, "  - softmax\nloss: cross_entropy"), name="b.yaml")
    for name in "ab":
        lab.good("train", f"{name}.yaml", "--out", name, "--set", "dtype=float64", "--set", "training.epochs=20")
    ours, theirs = (json.loads(lab.good("eval", name, "--json").out) for name in "ab")
    assert math.isclose(ours["loss"], theirs["loss"], rel_tol=1e-9)
    assert lab.good("predict", "a", "--data", "trees.csv").out.count("p(") == 2
    rows = [json.loads(lab.good("predict", name, "--data", "trees.csv", "--json").out) for name in "ab"]
    for one, other in zip(*rows, strict=True):
        assert math.isclose(one["p(oak)"], other["p(oak)"], rel_tol=1e-9)


# ----------------------------------------------------------------------------------------------------- class weights
def test_balanced_weights_are_fitted_once_and_saved(lab: Lab) -> None:
    """Numbers in the resolved config and in the model, so that the training rows are not needed again."""
    lab.write("trees.csv", UNEVEN)  # 3 oaks, 8 elms
    lab.config((SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: balanced}"))
    lab.good("train", "trees.yaml", "--out", "run")
    expected = {"elm": 11 / (2 * 8), "oak": 11 / (2 * 3)}
    loaded = model.load(lab.path / "run")
    assert dict(loaded.experiment.loss.class_weights) == expected
    assert loaded.objective.loss == loaded.experiment.loss
    assert "class_weights: balanced" not in (lab.path / "run" / "config.resolved.yaml").read_text()
    (lab.path / "trees.csv").write_text("width,height,kind\n1,2,oak\n")
    lab.good("eval", "run/model.safetensors", "--data", "trees.csv")


def test_the_loss_of_a_split_does_not_depend_on_the_batches(lab: Lab) -> None:
    """With class weights each row weighs what its class does, over all batches: in eval, and epoch by epoch."""
    lab.write("trees.csv", UNEVEN)
    lab.config(
        (SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: {oak: 5.0}, label_smoothing: 0.1}"),
        ("  scale:", "  validation: {type: csv, path: trees.csv, target: kind}\n  scale:"),
    )
    still = ["--set", "optimizer={type: sgd, learning_rate: 1e-300}", "--set", "dtype=float64"]
    losses = []
    for size in ("1", "3", "full"):
        lab.good("train", "trees.yaml", "--out", size, *still, "--set", f"training.batch_size={size}")
        lines = (lab.path / size / "metrics.jsonl").read_text().splitlines()
        losses += [json.loads(line)[name] for line in lines for name in ("train.loss", "validation.loss")]
        losses.append(json.loads(lab.good("eval", size, "--json").out)["loss"])
    assert np.allclose(losses, losses[0], rtol=1e-12)


def test_weights_in_any_order_are_those_of_their_classes(lab: Lab) -> None:
    for name, weights in (("a", "{oak: 4, elm: 0.5}"), ("b", "{elm: 0.5, oak: 4}")):
        lab.config((SOFTMAX, f"loss: {{type: softmax_cross_entropy, class_weights: {weights}}}"), name=f"{name}.yaml")
        lab.good("train", f"{name}.yaml", "--out", name)
    assert (model.load(lab.path / "a").objective.theta == model.load(lab.path / "b").objective.theta).all()


def test_a_run_with_balanced_weights_resumes(lab: Lab) -> None:
    lab.write("trees.csv", UNEVEN)
    lab.config((SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: balanced}"))
    lab.good("train", "trees.yaml", "--out", "long", "--set", "training.epochs=6")
    lab.good("train", "trees.yaml", "--out", "short", "--set", "training.epochs=3")
    lab.good("train", "--resume", "short", "--set", "training.epochs=6")
    assert (model.load(lab.path / "long").objective.theta == model.load(lab.path / "short").objective.theta).all()


def test_a_model_with_a_foreign_class_weight_is_damaged(lab: Lab) -> None:
    lab.config((SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: {oak: 2}}"))
    lab.good("train", "trees.yaml", "--out", "run")
    file = lab.path / "run" / "model.safetensors"
    tensors, meta = modelfile.read(file)
    meta["experiment"]["loss"]["class_weights"] = {"ash": 2.0}
    modelfile.write(file, tensors, meta)
    with pytest.raises(Failure, match="does not fit together: there is no class `ash`"):
        model.load(file)


# ------------------------------------------------------------------------------------------------------- predictions
@pytest.mark.parametrize(("loss", "units"), [("hinge", 2), ("hinge", 1), ("squared_hinge", 1), ("multiclass_hinge", 2)])
def test_margins_name_classes_and_no_probabilities(lab: Lab, loss: str, units: int) -> None:
    lab.config((SOFTMAX, f"loss: {loss}"), ("units: 2}", f"units: {units}}}"))
    lab.good("train", "trees.yaml", "--out", "run", "--set", "training.epochs=200", "--set", "optimizer=adam")
    header, *rows = lab.good("predict", "run", "--data", "trees.csv").out.splitlines()
    assert header == "kind"
    trained = model.load(lab.path / "run")
    y = np.array([[-0.1], [0.4], [0.0]]) if units == 1 else np.array([[-3.0, -4.0], [-2.0, -1.0]])
    assert trained.predictor.classify(trained.predictor.predict(y)).tolist() == ([0, 1, 0] if units == 1 else [0, 1])
    found = json.loads(lab.good("eval", "run", "--json").out)
    assert "log_loss" not in found["metrics"]
    assert set(rows) <= {"oak", "elm"}


def test_several_labels_by_their_margins(lab: Lab) -> None:
    lab.config((SOFTMAX, "loss: hinge"), inline("[0, 1]", "[1, 0]", "[1, 1]", "[0, 0]"))
    lab.good("train", "trees.yaml", "--out", "run")
    lab.write("x.csv", "a\n0\n1\n")
    predictor = model.load(lab.path / "run").predictor
    assert predictor.several
    assert predictor.classify(predictor.predict(np.array([[0.3, -0.2], [-0.6, 0.6]]))).tolist() == [[1, 0], [0, 1]]
    assert lab.good("predict", "run", "--data", "x.csv").out.startswith("0,1\n")


def test_poisson_predicts_rates(lab: Lab) -> None:
    lab.config((SOFTMAX, "loss: poisson"), inline("[0, 4]", "[2, 1]", "[3, 0]", "[1, 5]"))
    lab.good("train", "trees.yaml", "--out", "run")
    trained = model.load(lab.path / "run")
    assert not trained.predictor.classified
    assert np.allclose(trained.predictor.predict(np.array([[0.0, math.log(3)]])), [[1.0, 3.0]])
    found = json.loads(lab.good("eval", "run", "--json").out)
    assert {"mae", "r2"} <= set(found["metrics"])


def test_kl_divergence_predicts_a_distribution(lab: Lab) -> None:
    lab.config((SOFTMAX, "loss: kl_divergence"), inline("[0.2, 0.8]", "[0.333, 0.666]", "[1, 0]", "[0.5, 0.5]"))
    lab.good("train", "trees.yaml", "--out", "run")
    y = model.load(lab.path / "run").predictor.predict(np.array([[1.0, 2.0]]))
    assert np.isclose(y.sum(), 1)
