"""`training: {watch: true}`: what it measures is so, it changes nothing, and a run that goes on says the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bpcli.engine.objective import Objective
from bpcli.records.training import EpochRow
from bpcli.studies.run import modelfile, state
from bpcli.studies.run import resume as runs
from bpcli.studies.run import trainer as train
from bpcli.studies.run.layer_stats import LayerStatsProbe, LayerStatsWatch
from bpcli.studies.run.setup import set_up

ROWS = np.round(np.random.default_rng(5).normal(size=(30, 3)), 3)
HEAD = f"""\
name: watched
data:
  train: {{type: inline, inputs: {ROWS.tolist()}, targets: {[[round(float(a * b + c), 3)] for a, b, c in ROWS]}}}
  validation: 0.2
loss: mean_squared_error
"""
PLAIN = (
    "[{type: dense, units: 6, activation: relu}, {type: dense, units: 5, activation: tanh}, {type: dense, units: 1}]"
)
CHANCE = """[{type: dense, units: 6}, batch_norm, sigmoid, {type: dropout, rate: 0.3},
  {type: residual, layers: [{type: dense, units: 6, activation: elu}]}, {type: gaussian_noise, stddev: 0.1},
  {type: dense, units: 1}]"""
SGD = "{type: sgd, learning_rate: 0.1}"
ADAM = "{type: adam, learning_rate: {type: cosine, start: 0.02}}"
STEPS = 4  # of an epoch: 24 rows by 7, the last batch has 3


def written(folder: Path, architecture: str = PLAIN, optimizer: str = SGD, more: str = "", size: Any = 7) -> Path:
    file = folder / "watched.yaml"
    training = f"training: {{epochs: 5, batch_size: {size}, metrics: [r2], watch: true}}"
    file.write_text(f"{HEAD}architecture: {architecture}\noptimizer: {optimizer}\n{training}\n{more}\n")
    return file


def trained(file: Path, *sets: str, out: str = "run") -> list[EpochRow]:
    return list(runs.start(set_up(file, sets), file.parent / out).run().epochs)


def lines(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


CASES = [
    (PLAIN, SGD, ""),
    (CHANCE, ADAM, "regularization: {type: l2, strength: 0.01}\nclipping: {type: percentile}"),
    (CHANCE, "{type: momentum, learning_rate: 0.05}", "constraint: {type: max_norm, limit: 0.5}\ndtype: float64"),
    (PLAIN, "lbfgs", "regularization: {type: l2, strength: 0.01}"),
    (PLAIN, "levenberg_marquardt", ""),
]


@pytest.mark.parametrize(("architecture", "optimizer", "more"), CASES)
def test_watching_changes_no_bit(architecture: str, optimizer: str, more: str, tmp_path: Path) -> None:
    """Of the weights, of the checkpoint, of anything else that is logged."""
    size = 7 if "type" in optimizer else "full"
    file = written(tmp_path, architecture, optimizer, more, size)
    trained(file, out="with")
    trained(file, "training.watch=false", out="without")
    tensors = [modelfile.read(tmp_path / name / "model.safetensors")[0] for name in ("with", "without")]
    assert {n: a.tobytes() for n, a in tensors[0].items()} == {n: a.tobytes() for n, a in tensors[1].items()}
    saved = [sorted((tmp_path / name / "checkpoints").iterdir())[-1] for name in ("with", "without")]
    states = [{n: a.tobytes() for n, a in modelfile.read(file)[0].items()} for file in saved]
    assert states[0] == states[1]
    watched, plain = lines(tmp_path / "with"), lines(tmp_path / "without")
    assert [{k: v for k, v in line.items() if not k.startswith("watch.")} for line in watched] == plain
    assert all(len(w) > len(p) + 6 for w, p in zip(watched, plain, strict=True))


def test_off_it_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LayerStatsWatch", None)  # a call of it would raise
    assert trained(written(tmp_path), "training.watch=false")[0].watch == {}


def test_what_is_measured(tmp_path: Path) -> None:
    keys = set(trained(written(tmp_path, CHANCE, ADAM))[0].watch)
    figures = {"gradient", "update"}
    expected = {(layer, f) for layer in ("dense_1", "batch_norm_1", "residual_1.dense_1", "dense_2") for f in figures}
    expected |= {("sigmoid_1", "dead"), ("sigmoid_1", "saturated"), ("residual_1.dense_1.activation", "dead")}
    assert keys == {f"watch.{layer}.{figure}" for layer, figure in expected}


@pytest.mark.parametrize("architecture", [PLAIN, CHANCE])
def test_the_gradients_make_up_the_gradient(architecture: str, tmp_path: Path) -> None:
    """Of a step on all rows, its own chance included; before clipping."""
    more = "clipping: {type: global_norm, max_norm: 0.01}\ndtype: float64"
    for row in trained(written(tmp_path, architecture, SGD, more, "full")):
        norms = [v for k, v in row.watch.items() if k.endswith(".gradient")]
        assert math.hypot(*norms) == pytest.approx(row.gradient_norm, rel=1e-9)
        assert row.clip_factor < 0.5


def test_the_rows_are_those_of_the_step(tmp_path: Path) -> None:
    """What changes them on their way into the batch is seen too."""
    run = runs.start(set_up(written(tmp_path, more="dtype: float64", size="full")), tmp_path / "run")
    run.state.augmenter = SimpleNamespace(apply=lambda x, step: np.multiply(x, step + 2, out=x))  # type: ignore[assignment]
    for row in run.run().epochs:
        norms = [v for k, v in row.watch.items() if k.endswith(".gradient")]
        assert math.hypot(*norms) == pytest.approx(row.gradient_norm, rel=1e-9)


@pytest.mark.parametrize("clipping", ["null", "{type: global_norm, max_norm: 0.01}"])
def test_layer_by_layer(clipping: str, tmp_path: Path) -> None:
    """The first step against a step made here; the update is what is left by clipping."""
    file = written(tmp_path, PLAIN, SGD, f"clipping: {clipping}\ndtype: float64", "full")
    row = trained(file)[0]
    setup = set_up(file)
    split = setup.prepared.splits["train"]
    objective = Objective(setup.network_plan, setup.experiment.loss, len(split.x), np.float64, setup.experiment.seed)
    batch = objective.batch(len(split.x))
    batch.load(split.x, split.t, np.arange(len(split.x)))
    batch.forward(True)
    batch.backward(True)
    w, g = objective.network.parameters(), objective.network.gradients()
    for layer in ("dense_1", "dense_2", "dense_3"):
        dW, db = g[f"{layer}.W"], g[f"{layer}.b"]
        norm = math.sqrt((dW**2).sum() + (db**2).sum())
        assert row.watch[f"watch.{layer}.gradient"] == pytest.approx(norm, rel=1e-9)
        moved = 0.1 * row.clip_factor * np.linalg.norm(dW) / np.linalg.norm(w[f"{layer}.W"])
        assert row.watch[f"watch.{layer}.update"] == pytest.approx(moved, rel=1e-9)
    y = batch.chain.layers[1].frame.y
    assert row.watch["watch.dense_1.activation.dead"] == (y == 0).all(0).mean()


def test_closed_and_saturated(tmp_path: Path) -> None:
    """Two of five relu units that no row opens, and tanh units driven to their ends."""
    shut = "{type: dense, units: 5, bias: [-50, 1, 1, -50, 1], activation: relu}"
    flat = "{type: dense, units: 2, bias: [30, 0], init: {type: normal, std: 1e-3}, activation: tanh}"
    row = trained(written(tmp_path, f"[{shut}, {flat}, {{type: dense, units: 1}}]"))[0]
    assert row.watch["watch.dense_1.activation.dead"] == 0.4
    assert row.watch["watch.dense_2.activation.saturated"] == 0.5
    assert row.watch["watch.dense_2.activation.dead"] == 0.5


@pytest.mark.parametrize(("size", "place", "rows"), [(7, 2, 7), (24, 0, 24), (100, 0, 24), (5, 3, 5), (1, 23, 1)])
def test_the_last_batch_that_is_full(
    size: int, place: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    honest = LayerStatsWatch.after_step

    def figures(self: LayerStatsWatch, at: Any, step: int) -> dict[str, float]:
        seen.append((step % steps, at.n))
        return honest(self, at, step)

    steps = -(-24 // min(size, 24))
    monkeypatch.setattr(LayerStatsWatch, "after_step", figures)
    trained(written(tmp_path, size=size))
    assert seen == [(place, rows)] * 5


def test_weights_of_nothing_have_no_update(tmp_path: Path) -> None:
    """null in the log, nan where it is read again."""
    file = written(tmp_path, "[{type: dense, units: 1, init: zeros}]", size="full")
    first, second, *_ = trained(file)
    assert math.isnan(first.watch["watch.dense_1.update"])
    assert second.watch["watch.dense_1.update"] > 0
    assert lines(tmp_path / "run")[0]["watch.dense_1.update"] is None
    again = runs.resume(tmp_path / "run", ("training.epochs=6",)).run()
    assert math.isnan(again.epochs[0].watch["watch.dense_1.update"])
    assert lines(tmp_path / "run")[0]["watch.dense_1.update"] is None


@pytest.mark.parametrize("stop", [2, 3, 4, 11])
@pytest.mark.parametrize(("architecture", "optimizer", "more"), CASES)
def test_a_run_that_goes_on_says_the_same(
    architecture: str, optimizer: str, more: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the step that is measured (the third of four), after it, and at the end of its epoch."""
    size = 7 if "type" in optimizer else "full"
    file = written(tmp_path, architecture, optimizer, more, size)
    stop = stop if size == 7 else min(stop, 4)
    trained(file, out="whole")
    honest, steps = train.Trainer._step, 0

    def step(self: train.Trainer, rows: Any) -> None:
        nonlocal steps
        honest(self, rows)
        steps += 1
        self._signals.number = 15 if steps == stop else 0

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "_step", step)
        assert runs.start(set_up(file), tmp_path / "run").run().stopped == "signal"
    runs.resume(tmp_path / "run").run()
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert models[0] == models[1]


def test_one_probe_serves_all_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    honest = LayerStatsProbe.__init__
    monkeypatch.setattr(LayerStatsProbe, "__init__", lambda self, *a, **k: (made.append(1), honest(self, *a, **k))[1])
    trained(written(tmp_path))
    assert len(made) == 1
