"""Diagnosis: each symptom in a config that shows it and one that does not, figures against NumPy, tried remedies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import own as own
from paths import CONFIGS

from bpcli.records.diagnose import DiagnoseReport, Symptom
from bpcli.records.training import Exit, Failure
from bpcli.studies.custom import load as custom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnose import CHECKS, diagnose
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.remedies import rounded
from bpcli.studies.diagnose.short_runs import loss_at_zero, peak_rate
from bpcli.studies.run import resume as runs
from bpcli.studies.run.setup import set_up

RNG = np.random.default_rng(11)
X = RNG.normal(size=(90, 4)).round(3)
CLASSES = np.argsort(np.argsort(X @ RNG.normal(size=4))) // 30
VALUES = np.tanh(X @ RNG.normal(size=(4, 1))).round(3)
HIDDEN = [{"type": "dense", "units": 16, "activation": "tanh"}, {"type": "dense", "units": 3}]


def deep(activation: str, depth: int = 9, **more: Any) -> list[Any]:
    hidden = [{"type": "dense", "units": 16, "activation": activation, **more} for _ in range(depth)]
    return [*hidden, {"type": "dense", "units": 3}]


def config(folder: Path, *, x: Any = X, t: Any = CLASSES, layers: Any = HIDDEN, **more: Any) -> Path:
    """An experiment of classes, or of values where the loss says so; JSON is YAML."""
    import json

    data = {"train": {"type": "inline", "inputs": np.asarray(x).tolist(), "targets": np.asarray(t).tolist()}}
    data |= more.pop("data", {"validation": 0.2})
    found = {
        "name": "net", "data": data, "architecture": layers, "loss": "softmax_cross_entropy", "seed": 3,
        "optimizer": {"type": "adam", "learning_rate": 0.01}, "training": {"epochs": 60, "batch_size": 16}, **more,
    }  # fmt: skip
    file = folder / "net.yaml"
    file.write_text(json.dumps(found))
    return file


def values(folder: Path, *, t: Any = VALUES, last: str | None = None, **more: Any) -> Path:
    end = {"type": "dense", "units": 1, **({"activation": last} if last else {})}
    return config(folder, t=t, layers=[HIDDEN[0], end], loss="mean_squared_error", **more)


def found_by(check: str, context: DiagnosisContext) -> list[Symptom]:
    return list(CHECKS[check](context))


def worst(check: str, file: Path, sets: Sequence[str] = ()) -> Symptom:
    rank = {"ok": 0, "notice": 1, "warning": 2}
    return max(found_by(check, open_context(file, sets)), key=lambda s: rank[s.level])


def warned(report: DiagnoseReport) -> set[str]:
    return {s.check for s in report.symptoms if s.level == "warning"}


# ------------------------------------------------------------------------------------------------------ no false alarm
@pytest.mark.parametrize(
    "name",
    ["article", "breast_cancer", "diabetes", "diabetes_lbfgs", "digits", "iris", "sine_lm", "spirals", "wine", "xor",
     "classics/encoder", "classics/parity", "classics/symmetry", "classics/xor"],
)  # fmt: skip
def test_what_trains_well_is_not_called_ill(name: str) -> None:
    report = diagnose(CONFIGS / f"{name}.yaml")
    assert not warned(report), [s for s in report.symptoms if s.level == "warning"]


@pytest.mark.parametrize("seed", range(8))
def test_no_seed_makes_a_healthy_network_ill(seed: int, tmp_path: Path) -> None:
    assert not warned(diagnose(config(tmp_path, data={"validation": 0.2}, seed=seed)))
    assert not warned(diagnose(values(tmp_path, seed=seed)))
    assert not warned(diagnose(config(tmp_path, layers=deep("relu", 5), seed=seed)))


# ------------------------------------------------------------------------------------------------------------- figures
def test_a_network_that_puts_out_nothing_starts_at_ln_k(tmp_path: Path) -> None:
    layers = [HIDDEN[0], {"type": "dense", "units": 3, "init": "zeros"}]
    context = open_context(config(tmp_path, layers=layers))
    assert context.loss == pytest.approx(math.log(3), abs=1e-12)
    assert loss_at_zero(context) == pytest.approx(math.log(3), abs=1e-12)
    assert "ln 3" in worst("start", tmp_path / "net.yaml").figure


def test_the_best_constant_of_classes_is_the_entropy_of_their_shares(tmp_path: Path) -> None:
    context = open_context(config(tmp_path))
    shares = np.bincount(context.train.t) / len(context.train.t)
    assert context.constant == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-7)


@pytest.mark.parametrize(
    ("loss", "least"),
    [("mean_squared_error", lambda t: t.var()), ("mean_absolute_error", lambda t: np.abs(t - np.median(t)).mean())],
)
def test_the_best_constant_of_values(loss: str, least: Any, tmp_path: Path) -> None:
    context = open_context(config(tmp_path, t=VALUES, layers=[HIDDEN[0], {"type": "dense", "units": 1}], loss=loss))
    assert context.constant == pytest.approx(least(context.train.t.astype(float)), rel=1e-6)


def test_the_best_constant_behind_a_sigmoid(tmp_path: Path) -> None:
    context = open_context(values(tmp_path, t=(VALUES > 0.3).astype(float), last="sigmoid"))
    assert context.constant == pytest.approx(context.train.t.var(), rel=1e-5)


def test_smoothed_labels_have_a_least_loss(tmp_path: Path) -> None:
    context = open_context(config(tmp_path, loss={"type": "softmax_cross_entropy", "label_smoothing": 0.3}))
    shares = np.array([0.8, 0.1, 0.1])
    assert context.least_loss == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-6)
    assert worst("by heart", tmp_path / "net.yaml").level == "ok"


def test_the_first_step_of_sgd_is_rate_times_gradient(tmp_path: Path) -> None:
    file = config(tmp_path, optimizer={"type": "sgd", "learning_rate": 0.25}, training={"batch_size": "full"})
    rows = {row.layer: row for row in open_context(file).layer_stats}
    context = open_context(file)
    probe = context.probe
    probe.measure(context.theta, context.states)
    gradients, weights = probe.objective.network.gradients(), probe.objective.network.parameters()
    for layer in ("dense_1", "dense_2"):
        expected = 0.25 * np.linalg.norm(gradients[f"{layer}.W"]) / np.linalg.norm(weights[f"{layer}.W"])
        assert rows[layer].update == pytest.approx(expected, rel=1e-9)


def test_the_factor_a_layer_is_that_of_the_norms(tmp_path: Path) -> None:
    file = config(tmp_path, layers=deep("sigmoid"))
    context = open_context(file)
    norms = [row.gradient for row in context.layer_stats if row.kind == "dense"]
    assert norms[0] is not None
    assert norms[-1] is not None
    assert worst("gradients", file).value == pytest.approx((norms[0] / norms[-1]) ** (1 / 9), rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "peak"),
    [(0.02, 0.02), ({"type": "cosine", "start": 0.03}, 0.03), ({"type": "warmup", "steps": 9, "then": 0.01}, 0.01),
     ({"type": "one_cycle", "peak": 0.5}, 0.5)],
)  # fmt: skip
def test_the_greatest_rate_of_a_schedule(rate: Any, peak: float, tmp_path: Path) -> None:
    context = open_context(config(tmp_path, optimizer={"type": "adam", "learning_rate": rate}))
    assert peak_rate(context) == pytest.approx(peak, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "typed"), [(0.0123, 0.01), (0.0034, 0.005), (0.0018, 0.002), (8.0, 10.0), (1.0, 1.0)]
)
def test_rates_are_such_as_one_types(value: float, typed: float) -> None:
    assert rounded(value) == typed


# ------------------------------------------------------------------------------------------------------------ symptoms
def test_gradients_vanish_in_a_deep_sigmoid_net(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "learning_rate": 0.1}
    ill = worst("gradients", config(tmp_path, layers=deep("sigmoid"), optimizer=sgd))
    assert ill.level == "warning"
    assert "vanishes" in ill.why
    assert ill.value is not None
    assert ill.value < 0.35
    assert any("architecture.0.activation=relu" in remedy.sets for remedy in ill.cures)
    assert worst("gradients", config(tmp_path, layers=deep("relu"), optimizer=sgd)).level == "ok"


def test_adam_evens_out_a_gradient_that_vanishes(tmp_path: Path) -> None:
    found = worst("gradients", config(tmp_path, layers=deep("sigmoid", 6)))
    assert found.level == "notice"
    assert "adam evens it out" in found.why


def test_gradients_explode_where_weights_are_large(tmp_path: Path) -> None:
    ill = worst("gradients", config(tmp_path, layers=deep("relu", init={"type": "normal", "std": 1.5})))
    assert ill.level == "warning"
    assert "explodes" in ill.why
    assert ill.cures[0].sets == tuple(f"architecture.{i}.init=null" for i in range(1, 9))  # the first has 4 inputs


def test_no_gradient_passes_a_layer_of_zeros(tmp_path: Path) -> None:
    file = config(tmp_path, x=X[:-9], t=CLASSES[:-9], layers=deep("relu", 3, init="zeros"))  # the last bias learns
    assert worst("gradients", file).level == "warning"
    alike = worst("weights", file)
    assert alike.level == "warning"
    assert "same weights" in alike.figure
    assert len(alike.cures[0].sets) == 3


def test_no_gradient_reaches_a_network_of_zeros(tmp_path: Path) -> None:
    hidden = {"type": "dense", "units": 4, "activation": "tanh", "init": "zeros"}
    layers = [hidden, {"type": "dense", "units": 1, "init": "zeros"}]
    file = config(tmp_path, t=[[-1.0], [1.0]] * 45, layers=layers, loss="mean_squared_error", data={})
    symptom = worst("gradients", file)
    assert (symptom.level, symptom.figure) == ("warning", "no gradient at all reaches any layer")


@pytest.mark.parametrize(("std", "words"), [(1.5, "saturate"), (0.01, "die away")])
def test_weights_off_their_scale(std: float, words: str, tmp_path: Path) -> None:
    layers = deep("tanh", 3, init={"type": "normal", "std": std})
    ill = worst("weights", config(tmp_path, layers=layers))
    assert ill.level == "warning"
    assert words in ill.why
    context = open_context(tmp_path / "net.yaml")
    e = context.network_plan.entry(ill.place)
    right = math.sqrt(2 / (e.param.fan_in + e.param.fan_out))
    assert ill.value == pytest.approx(np.sqrt(np.mean(context.theta[e.where] ** 2)) / right, rel=1e-12)
    assert worst("weights", config(tmp_path, layers=deep("tanh", 3))).level == "ok"


def test_biases_that_close_every_unit(tmp_path: Path) -> None:
    first = {"type": "dense", "units": 3, "activation": "relu", "bias": [-50.0, -50.0, 0.0]}
    file = config(tmp_path, layers=[first, {"type": "dense", "units": 3}])
    dead = worst("dead", file)
    assert dead.level == "warning"
    assert dead.value == pytest.approx(2 / 3)
    assert dead.place == "dense_1.activation"
    assert worst("weights", file).place == "dense_1.b"
    assert worst("dead", config(tmp_path, layers=deep("relu", 1))).level == "ok"


def test_large_inputs_saturate_units(tmp_path: Path) -> None:
    file = config(tmp_path, x=(60 * X).round(2))
    assert worst("inputs", file).level == "warning"
    ill = worst("saturated", file)
    assert ill.level == "warning"
    assert ill.cures[0].sets == ("data.scale=standardize",)
    for check in ("inputs", "saturated"):
        assert worst(check, file, ["data.scale=standardize"]).level == "ok"


def test_a_loss_that_starts_sure_of_something_wrong(tmp_path: Path) -> None:
    last = {"type": "dense", "units": 3, "init": {"type": "normal", "std": 20}}
    file = config(tmp_path, layers=[HIDDEN[0], last])
    assert worst("start", file).level == "warning"
    assert worst("start", config(tmp_path)).level == "ok"


def test_a_column_that_dwarfs_the_others(tmp_path: Path) -> None:
    x = X * [1e-3, 1e-3, 1e-3, 2.0]
    ill = worst("inputs", config(tmp_path, x=x))
    assert ill.level == "warning"
    assert "input 3" in ill.place
    assert "deviation" in ill.figure


def test_a_norm_in_front_takes_inputs_as_they_are(tmp_path: Path) -> None:
    assert worst("inputs", config(tmp_path, x=60 * X, layers=["batch_norm", *HIDDEN])).level == "ok"


OWN = """
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Initializer, Layer, N, Param, Plan, Slot


class Unit(Layer):
    type: Literal["unit"] = "unit"
    normalizes: ClassVar[bool] = True

    def plan(self, x):
        return Plan(y=x, keep={"s": Slot((N, 1))})

    def forward(self, f, train):
        f.s[...] = np.sqrt(np.mean(f.x * f.x, axis=1, keepdims=True)) + 1e-9
        np.divide(f.x, f.s, out=f.y)

    def backward(self, f, train):
        f.dx[...] = (f.dy - f.y * np.mean(f.y * f.dy, axis=1, keepdims=True)) / f.s


class Mixed(Layer):
    type: Literal["mixed"] = "mixed"
    fully_connected: ClassVar[bool] = True
    units: int
    init: object = None

    def plan(self, x):
        return Plan(y=(self.units,), params={"W": Param((x[0], self.units), None, x[0], self.units, decays=True)})

    def forward(self, f, train):
        np.matmul(f.x, f.W, out=f.y)

    def backward(self, f, train):
        np.matmul(f.x.T, f.dy, out=f.dW)
        np.matmul(f.dy, f.W.T, out=f.dx)
"""
"""A norm and a dense layer of a user's own, which say what they are."""


def loaded(folder: Path, without: str = "") -> None:
    (folder / "mine.py").write_text(OWN.replace(f"    {without}: ClassVar[bool] = True\n", ""))
    custom.load([folder / "mine.py"])


@pytest.mark.parametrize(("without", "level"), [("", "ok"), ("normalizes", "warning")])
def test_a_norm_of_a_users_own_in_front(without: str, level: str, own: Path) -> None:
    loaded(own, without)
    assert worst("inputs", config(own, x=60 * X, layers=["unit", *HIDDEN])).level == level


def test_a_norm_without_gains_in_front_is_one(tmp_path: Path) -> None:
    layers = [{"type": "batch_norm", "affine": False}, *HIDDEN]
    assert worst("inputs", config(tmp_path, x=60 * X, layers=layers)).level == "ok"


@pytest.mark.parametrize(("without", "offered"), [("", True), ("fully_connected", False)])
def test_a_dense_layer_of_a_users_own_gets_the_remedies_of_ours(without: str, offered: bool, own: Path) -> None:
    loaded(own, without)
    layers = [{"type": "mixed", "units": 16}, "tanh", {"type": "mixed", "units": 3}]
    context = open_context(config(own, layers=layers))
    found = [remedy.sets for remedy in (*remedies.widen(context), *remedies.small_last_layer(context))]
    sets = [("architecture.0.units=32",), ("architecture.2.init={type: normal, std: 0.01}",)]
    assert found == (sets if offered else [])


def test_targets_far_from_where_outputs_start(tmp_path: Path) -> None:
    file = values(tmp_path, t=(500 + 100 * VALUES))
    ill = worst("targets", file)
    assert ill.level == "warning"
    assert ill.cures[0].sets == ("data.scale_target=standardize",)
    assert worst("targets", file, ["data.scale_target=standardize"]).level == "ok"


def test_targets_that_the_last_activation_cannot_reach(tmp_path: Path) -> None:
    ill = worst("targets", values(tmp_path, t=3 * VALUES, last="sigmoid"))
    assert ill.level == "warning"
    assert "from 0 to 1" in ill.figure
    assert ill.cures[0].sets == ("architecture.1.activation=null",)
    assert not found_by("targets", open_context(values(tmp_path, t=(VALUES + 1) / 2, last="sigmoid")))


@pytest.mark.parametrize(
    ("rate", "level", "low"), [(30.0, "warning", False), (1e-6, "warning", True), (0.01, "ok", False)]
)
def test_the_range_test_knows_a_wrong_rate(rate: float, level: str, low: bool, tmp_path: Path) -> None:
    found = worst("rates", config(tmp_path, optimizer={"type": "adam", "learning_rate": rate}))
    assert found.level == level
    if level != "ok":
        better = float(found.cures[0].sets[0].partition("=")[2])
        assert 1e-4 < better < 0.3
        assert (better > rate) is low
        assert worst("rates", tmp_path / "net.yaml", found.cures[0].sets).level == "ok"


def test_a_rate_in_a_schedule_is_changed_where_it_stands(tmp_path: Path) -> None:
    optimizer = {
        "type": "adam",
        "learning_rate": {"type": "warmup", "steps": 5, "then": {"type": "cosine", "start": 50.0}},
    }
    remedy = worst("rates", config(tmp_path, optimizer=optimizer)).cures[0]
    assert remedy.sets[0].startswith("optimizer.learning_rate.then.start=")
    assert worst("rates", tmp_path / "net.yaml", remedy.sets).level == "ok"


def test_steps_longer_than_the_weights(tmp_path: Path) -> None:
    ill = worst("steps", config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e3}))
    assert ill.level == "warning"
    assert ill.value is not None
    assert ill.value > 10
    still = worst("steps", config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e-7}))
    assert still.level == "warning"
    assert still.value is not None
    assert still.value < 1e-6
    assert worst("steps", config(tmp_path)).level == "ok"


def test_one_batch_by_heart(tmp_path: Path) -> None:
    one = [{"type": "dense", "units": 1, "activation": "tanh"}, {"type": "dense", "units": 3}]
    x = np.column_stack([X[:, 0], X[:, 0] ** 2, X[:, 0] * 0 + RNG.normal(size=90).round(3)])
    hard = config(tmp_path, x=x[:, 2:], layers=one, optimizer={"type": "sgd", "learning_rate": 1e-3})
    ill = worst("by heart", hard)
    assert ill.level == "warning"
    assert any("units" in s for remedy in ill.cures for s in remedy.sets)
    well = open_context(config(tmp_path))
    assert worst("by heart", tmp_path / "net.yaml").level == "ok"
    assert well.overfit[-1] < 0.02 * well.overfit[0]


def test_dropout_and_penalties_do_not_keep_a_batch_from_being_learned(tmp_path: Path) -> None:
    strong = {"type": "l2", "strength": 5.0}
    layers = [
        {**HIDDEN[0], "regularization": strong},
        {"type": "dropout", "rate": 0.9},
        {**HIDDEN[1], "regularization": strong},
    ]
    file = config(tmp_path, layers=layers, regularization=strong)
    assert worst("by heart", file).level == "ok"


def test_few_rows_of_a_class(tmp_path: Path) -> None:
    t = np.r_[np.zeros(80, int), np.ones(6, int), np.full(4, 2)]
    file = config(tmp_path, t=t)
    ill = worst("classes", file)
    counts = np.bincount(open_context(file).train.t)
    assert ill.level == "warning"
    assert ill.value == counts.max() / counts.min()
    assert worst("classes", file, ill.cures[0].sets).level == "ok"
    assert worst("classes", file, ["loss={type: focal, alpha: balanced}"]).level == "ok"
    assert worst("classes", file, ["loss={type: focal, alpha: 0.5}"]).level == "warning", "a factor for all rows"
    assert worst("classes", config(tmp_path)).level == "ok"


def test_constant_and_duplicate_columns(tmp_path: Path) -> None:
    lines = ["a,b,c,d,kind"]
    for row, k in zip(X, CLASSES, strict=True):
        lines.append(f"{row[0]},{1 - 3 * row[0]:.6f},7,{row[1]},k{k}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    file = config(tmp_path)
    sets = ["data.train={type: csv, path: rows.csv, target: kind}", "data.scale=standardize"]
    found = {s.place: s for s in found_by("columns", open_context(file, sets))}
    assert set(found) == {"constant", "duplicate"}
    assert "c" in found["constant"].figure
    assert found["constant"].cures[0].sets == ("data.train.drop=[c]",)
    assert found["duplicate"].figure.endswith("b with a")
    dropped = [*sets, "data.train.drop=[b, c]"]
    assert [s.level for s in found_by("columns", open_context(file, dropped))] == ["ok"]


def test_the_two_categories_of_a_column_are_no_duplicates(tmp_path: Path) -> None:
    lines = ["a,sex,kind", *(f"{row[0]},{'fm'[i % 2]},k{k}" for i, (row, k) in enumerate(zip(X, CLASSES, strict=True)))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    context = open_context(config(tmp_path), ["data.train={type: csv, path: rows.csv, target: kind}"])
    assert [s.level for s in found_by("columns", context)] == ["ok"]


def test_rows_that_stand_in_two_splits(tmp_path: Path) -> None:
    file = config(tmp_path, x=np.r_[X[:45], X[:45]], t=np.r_[CLASSES[:45], CLASSES[:45]], data={"test": 0.3})
    context = open_context(file)
    train = {row.tobytes() for row in context.splits["train"].x}
    shared = sum(row.tobytes() in train for row in context.splits["test"].x)
    ill = worst("rows", file)
    assert ill.level == "warning"
    assert ill.place == "test"
    assert ill.value == shared / len(context.splits["test"].x)
    assert worst("rows", config(tmp_path, data={"test": 0.3})).level == "ok"


def test_equal_rows_with_different_targets(tmp_path: Path) -> None:
    t = np.r_[CLASSES[:45], (CLASSES[:45] + 1) % 3]
    ill = worst("rows", config(tmp_path, x=np.r_[X[:45], X[:45]], t=t, data={}))
    assert ill.level == "warning"
    assert ill.place == "train"
    assert ill.value == 1.0


def test_no_rows_to_judge_by_and_few_steps(tmp_path: Path) -> None:
    big = np.r_[X, X + 0.5]
    file = config(tmp_path, x=big, t=np.r_[CLASSES, CLASSES], data={}, training={"epochs": 2, "batch_size": 180})
    found = {s.place: s for s in found_by("amounts", open_context(file))}
    assert set(found) == {"validation", "steps"}
    assert {s.level for s in found.values()} == {"notice"}
    assert not found_by("amounts", open_context(config(tmp_path)))


# ---------------------------------------------------------------------------------------------------------------- runs
def trained(folder: Path, file: Path, *sets: str) -> Path:
    runs.start(set_up(file, sets), folder / "run").run()
    return folder / "run"


def test_a_run_that_learned_its_rows_by_heart(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 3, 90)
    run = trained(tmp_path, config(tmp_path, t=noise, data={"validation": 0.3}), "training.epochs=150")
    report = diagnose(run, trying=True)
    (ill,) = [s for s in report.symptoms if s.check == "epochs"]
    assert ill.level == "warning"
    assert ill.place == "validation"
    assert "best in epoch" in ill.figure
    stop = next(remedy for remedy in ill.cures if "early_stopping" in remedy.sets[0])
    assert stop.helps
    assert stop.loss_after is not None
    assert stop.loss_before is not None
    assert stop.loss_after < stop.loss_before
    assert report.overfit == ()
    assert report.rates == ()
    assert all(row.update is None for row in report.layers)


def test_a_run_that_went_well_and_its_model_file(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path, layers=[HIDDEN[0], HIDDEN[1]]))
    report = diagnose(run)
    assert not warned(report)
    assert report.loss < 0.5 * report.constant
    assert diagnose(run / "model.safetensors").symptoms == report.symptoms


def test_a_run_that_diverged(tmp_path: Path) -> None:
    file = values(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e4})
    report = diagnose(trained(tmp_path, file), trying=True)
    ill = next(s for s in report.symptoms if s.check == "epochs")
    assert ill.level == "warning"
    assert "diverged" in ill.figure
    slower = ill.cures[0]
    assert slower.sets[0].startswith("optimizer.learning_rate=")
    assert slower.helps
    assert slower.loss_before is not None
    assert math.isnan(slower.loss_before)


def test_a_run_that_learned_nothing(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path, optimizer={"type": "sgd", "learning_rate": 1e-6}))
    assert "learned next to nothing" in next(s for s in diagnose(run).symptoms if s.check == "epochs").why


def test_a_model_alone_needs_rows(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path))
    alone = tmp_path / "model.safetensors"
    alone.write_bytes((run / "model.safetensors").read_bytes())
    with pytest.raises(Failure) as failure:
        diagnose(alone)
    assert failure.value.exit == Exit.USAGE
    assert "--data FILE" in failure.value.problems[0].help
    rows = "{type: inline, inputs: [[0, 1, 2, 3], [1, 0, 1, 0]], targets: [0, 1]}"
    assert diagnose(alone, data=rows).rows == "all 2 rows of --data"


def test_a_run_takes_no_sets(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path))
    with pytest.raises(Failure) as failure:
        diagnose(run, ["seed=1"])
    assert failure.value.exit == Exit.USAGE


# ------------------------------------------------------------------------------------------------------------ remedies
def test_every_remedy_is_a_setting_that_fits(tmp_path: Path) -> None:
    """Whatever is suggested can be typed: every remedy of every ill config loads."""
    ill = [
        (deep("sigmoid"), {"optimizer": {"type": "sgd", "learning_rate": 1e-5}}),
        (deep("relu", init={"type": "normal", "std": 1.5}), {"x": 100 * X}),
        (deep("tanh", 4, init="zeros"), {"optimizer": {"type": "momentum", "learning_rate": 1e3}}),
    ]
    tried = 0
    for layers, more in ill:
        file = config(tmp_path, layers=layers, **more)
        for symptom in diagnose(file).symptoms:
            for remedy in symptom.cures:
                set_up(file, remedy.sets)
                tried += 1
    assert tried > 15


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


def test_the_same_file_gives_the_same_findings(tmp_path: Path) -> None:
    file = config(tmp_path, layers=deep("sigmoid", 3), optimizer={"type": "sgd", "learning_rate": 30.0})
    first, second = diagnose(file, trying=True), diagnose(file, trying=True)
    assert repr(replace(first, seconds=0)) == repr(replace(second, seconds=0))  # nan too


def test_numbers_that_overflow_are_a_finding_and_no_accident(tmp_path: Path) -> None:
    report = diagnose(config(tmp_path, x=1e30 * X, layers=deep("relu", 2), dtype="float32"))
    assert {"inputs", "start"} <= warned(report)
