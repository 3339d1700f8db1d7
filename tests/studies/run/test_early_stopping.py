"""Early stopping: which epoch counts as better, when it ends, and that the whole of the best network is kept."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bpcli.config.experiment import EarlyStopping
from bpcli.engine.divergence import NonFiniteError
from bpcli.engine.state import network_state, snapshot
from bpcli.family import Array, Callback, Metric
from bpcli.records.training import EpochRow
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.run import model
from bpcli.studies.run import resume as runs
from bpcli.studies.run.early_stopping import EarlyStopper
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import Progress, TrainingState

ROWS = np.round(np.random.default_rng(2).normal(size=(20, 2)), 3)
CONFIG = f"""\
name: stopped
seed: 1
data:
  train: {{type: inline, inputs: {ROWS.tolist()}, targets: {[[round(float(a * b + a), 3)] for a, b in ROWS]}}}
  validation: 0.3
architecture:
  - batch_norm
  - {{type: residual, layers: [{{type: dense, units: 2}}, {{type: batch_norm, momentum: 0.3}}, {{type: dropout}}]}}
  - {{type: dense, units: 1}}
loss: mean_squared_error
optimizer: {{type: adam, learning_rate: 0.03}}
training: {{epochs: 40, batch_size: 5, metrics: [mse, r2], early_stopping: EARLY}}
"""
FIGURES = [1.0, 0.95, 0.89, 0.85, 0.80, math.nan, 0.78, 0.70, math.inf, -math.inf, 0.60]
BETTER_BY = {0.0: [1, 2, 3, 4, 5, 7, 8, 11], 0.1: [1, 3, 7, 11], 0.16: [1, 5, 11], 0.5: [1], 10.0: [1]}
"""In which of these epochs a figure that falls is better by more than so much than the best one before."""


def stopper(name: str, lower: bool, by_mode: bool, min_delta: float) -> EarlyStopper:
    state: Any = SimpleNamespace(progress=Progress(), metrics={"r2": Metric.parse("r2"), "mse": Metric.parse("mse")})
    mode = ("min" if lower else "max") if by_mode else None
    settings = EarlyStopping(metric=name, patience=2, min_delta=min_delta, mode=mode, restore_best=False)
    return EarlyStopper(settings, state)


@pytest.mark.parametrize("min_delta", BETTER_BY)
@pytest.mark.parametrize(
    ("name", "lower", "by_mode"),
    [
        ("validation.loss", True, False), ("train.mse", True, False), ("validation.r2", False, False),
        ("validation.r2", True, True), ("validation.loss", False, True),
    ],
)  # fmt: skip
def test_an_improvement_is_one_by_more_than_min_delta(name: str, lower: bool, by_mode: bool, min_delta: float) -> None:
    """Of the best so far, not of the epoch before; the epochs in between are counted until patience runs out."""
    early, better, waited = stopper(name, lower, by_mode, min_delta), [], []
    for epoch, figure in enumerate(FIGURES, 1):
        early.state.progress.epoch = epoch
        if early.improved({name: figure if lower else -figure}):
            better.append(epoch)
        waited.append(early.state.progress.bad_epochs)
        assert bool(early.reason()) == (waited[-1] >= 2)
    assert better == BETTER_BY[min_delta]
    assert waited == [epoch - max(b for b in better if b <= epoch) for epoch in range(1, len(FIGURES) + 1)]


class Keep(Callback):
    """A copy of the whole network after each epoch."""

    def __init__(self) -> None:
        self.networks: dict[int, dict[str, Array]] = {}

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        self.networks[row.epoch] = snapshot(network_state(state.objective.network))


def start(folder: Path, early: str, *callbacks: Callback, name: str = "run") -> runs.Trainer:
    file = folder / "stopped.yaml"
    file.write_text(CONFIG.replace("EARLY", early))
    return runs.start(set_up(file), folder / name, callbacks)


@pytest.mark.parametrize("metric", ["validation.loss", "train.r2"])
def test_a_training_ends_by_min_delta(metric: str, tmp_path: Path) -> None:
    """After the epoch in which patience ran out, as its own figures say; without min_delta it would have gone on."""

    def recomputed(figures: list[float], min_delta: float) -> tuple[int, int]:
        best = 0
        for epoch, figure in enumerate(figures):
            gain = (figure - figures[best]) * (1 if metric == "train.r2" else -1)
            best = epoch if gain > min_delta else best
            if epoch - best == 4:
                return epoch + 1, best + 1
        return len(figures), best + 1

    early = f"{{metric: {metric}, patience: 4, min_delta: MIN}}"
    free = start(tmp_path, early.replace("MIN", "0.0"), name="free").run()
    report = start(tmp_path, early.replace("MIN", "0.1")).run()
    figures = [row.metrics[metric] for row in free.epochs]
    assert (len(free.epochs), free.best_epoch) == recomputed(figures, 0.0)
    assert (len(report.epochs), report.best_epoch) == recomputed(figures, 0.1)
    assert len(report.epochs) < len(free.epochs)
    assert report.stopped == "patience"


@pytest.mark.parametrize("stop", [0, 10, 24, 31])
def test_the_best_network_is_kept_whole(stop: int, tmp_path: Path) -> None:
    """Weights and running statistics are those of the best epoch, each of them; the model gives that epoch's figures.
    So also where the training was cut, after the best epoch or before it."""

    class Cut(Keep):
        def on_batch_end(self, state: TrainingState, loss: float) -> None:
            if state.progress.step == stop:
                Checkpointer(state).save()
                raise KeyboardInterrupt

    kept = Cut()
    training = start(tmp_path, "{metric: validation.mse, patience: 3}", kept)
    if stop:
        with pytest.raises(KeyboardInterrupt):
            training.run()
        training = runs.resume(tmp_path / "run", callbacks=[kept])
        stop = 0
    report = training.run()
    assert report.stopped == "patience"
    best, last = kept.networks[report.best_epoch], kept.networks[len(report.epochs)]
    assert len(best) == 5
    assert all(not np.array_equal(best[name], last[name]) for name in best), "each could be the wrong one"
    for objective in (training.state.objective, model.load(tmp_path / "run").objective):
        found = network_state(objective.network)
        assert found.keys() == best.keys()
        for name, array in best.items():
            assert np.array_equal(found[name], array), name
    figures = evaluate(tmp_path / "run", "validation").metrics
    expected = report.epochs[report.best_epoch - 1].metrics
    assert expected["validation.mse"] == min(row.metrics["validation.mse"] for row in report.epochs)
    for name in ("mse", "r2"):
        assert figures[name] == pytest.approx(expected[f"validation.{name}"], rel=1e-6)


@pytest.mark.parametrize("restore_best", [True, False])
def test_without_restore_best_the_last_network_is_kept(restore_best: bool, tmp_path: Path) -> None:
    kept = Keep()
    early = f"{{metric: validation.mse, patience: 3, restore_best: {str(restore_best).lower()}}}"
    training = start(tmp_path, early, kept)
    report = training.run()
    assert report.best_epoch == (len(report.epochs) - 3 if restore_best else len(report.epochs))
    for name, array in network_state(training.state.objective.network).items():
        assert np.array_equal(array, kept.networks[report.best_epoch][name]), name


@pytest.mark.parametrize("cut", [0, 11])
def test_where_training_diverges_the_last_whole_epoch_is_kept(cut: int, tmp_path: Path) -> None:
    """Weights and running statistics, also where the run went on in the middle of the epoch that diverges."""

    class Diverge(Keep):
        cut = 0

        def on_batch_end(self, state: TrainingState, loss: float) -> None:
            if state.progress.step == self.cut:
                Checkpointer(state).save()
                raise KeyboardInterrupt
            if state.progress.step == 12 - 1 + (self.cut == 0):
                raise NonFiniteError("dense_1", "W", "weights")

    kept = Diverge()
    kept.cut = cut
    training = start(tmp_path, "{metric: validation.mse, restore_best: false}", kept)
    if cut:
        with pytest.raises(KeyboardInterrupt):
            training.run()
        kept.cut = 0
        training = runs.resume(tmp_path / "run", callbacks=[kept])
    report = training.run()
    assert report.stopped == "diverged"
    assert len(report.epochs) == 3
    found = network_state(model.load(tmp_path / "run").objective.network)
    for name, array in kept.networks[3].items():
        assert np.array_equal(found[name], array), name
