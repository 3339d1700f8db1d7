"""A training from its first step to its report: its time, how it ends, what it says where it diverges."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.engine.divergence import NonFiniteError
from bpcli.family import Callback
from bpcli.records.training import Problem
from bpcli.studies.run import trainer as training
from bpcli.studies.run.resume import resume, start
from bpcli.studies.run.scoring import Predictor
from bpcli.studies.run.setup import Setup, optimizer_bytes, set_up, step_bytes, training_bytes
from bpcli.studies.run.trainer import divergence

CONFIG = """\
name: line
data: {train: {type: inline, inputs: [[0], [1], [2], [3]], targets: [[1], [3], [5], [7]]}}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 3, batch_size: 2}
"""


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "line.yaml"
    found.write_text(CONFIG)
    return found


def test_the_time_of_an_epoch_is_that_of_its_steps_and_of_what_follows(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "time", Clock())
    report = start(set_up(file), tmp_path / "run").run()
    assert [row.seconds for row in report.epochs] == [2.0, 2.0, 2.0]
    assert report.seconds == 6.0


class Stopping(Callback):
    """Stops the training after so many steps, as `kill` does."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_batch_end(self, state: Any, loss: float) -> None:
        if state.progress.step == self.after:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_ends_it_within_the_epoch_and_its_time_counts(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "time", Clock())
    report = start(set_up(file), tmp_path / "run", [Stopping(3)]).run()
    assert (report.stopped, report.signal) == ("signal", signal.SIGTERM)
    assert report.reason == "stopped by SIGTERM in epoch 2, after 1 of 2 batches"
    assert report.seconds == 3.0, "two of the first epoch, one of the second"
    assert (report.best_epoch, len(report.epochs)) == (1, 1)


@pytest.mark.parametrize(
    ("more", "stopped", "reason"),
    [
        ("", "epochs", "all 3 epochs are done"),
        ("stop_when: {metric: train.loss, at_most: 1e9}", "goal", "train.loss reached its goal: "),
        ("early_stopping: {metric: train.loss, patience: 1, min_delta: 1e9}", "patience", ""),
    ],
)
def test_how_it_ends(more: str, stopped: str, reason: str, file: Path, tmp_path: Path) -> None:
    file.write_text(CONFIG.replace("batch_size: 2", f"batch_size: 2, {more}" if more else "batch_size: 2"))
    report = start(set_up(file), tmp_path / "run").run()
    assert report.stopped == stopped
    assert report.reason.startswith(reason)
    assert (report.signal, report.problem, report.name, report.parameters) == (0, None, "line", 2)
    assert report.rows == {"train": 4}
    assert report.model == str(tmp_path / "run" / "model.safetensors")


def test_where_it_diverges_it_names_the_place_and_what_to_change(file: Path, tmp_path: Path) -> None:
    state = start(set_up(file), tmp_path / "run").state
    state.progress.epoch, state.progress.batch = 4, 1
    error = NonFiniteError("dense_1", "y", "outputs")
    assert divergence(state, error).help.startswith("no step was taken: start from smaller weights")
    state.progress.step = 9
    text = "training diverged in epoch 5, batch 2 of 2: dense_1.y (outputs) is not finite"
    help = "lower optimizer.learning_rate (it was 0.001), or add clipping: {type: global_norm, max_norm: 1.0}"
    assert divergence(state, error).text == text
    rate = state.train_step.rate_at(0)
    assert divergence(state, error).help == help.replace("0.001", f"{rate:g}")
    state.train_step.rate = 0.5
    state.progress.batch = 2
    found = divergence(state, NonFiniteError("", "loss", "loss"))
    assert found.text == "training diverged in epoch 5, batch 2 of 2: loss (loss) is not finite"
    assert found.help == help.replace("0.001", "0.5")
    assert found.code == "diverged"
    file.write_text(CONFIG + "clipping: {type: value, limit: 1.0}\n")
    clipped = start(set_up(file), tmp_path / "clipped").state
    clipped.progress.step = 1
    assert divergence(clipped, error).help == help.partition(", or")[0].replace("0.001", f"{rate:g}")
    file.write_text(CONFIG.replace("batch_size: 2", "batch_size: full") + "optimizer: lbfgs\n")
    full = start(set_up(file), tmp_path / "full").state
    assert divergence(full, error).help.startswith("no step was taken: start from smaller weights")
    full.progress.step = 1
    assert divergence(full, error).help.startswith("start from smaller weights")


def test_files_are_fingerprinted_for_a_new_run_alone(file: Path) -> None:
    assert set_up(file).fingerprints is None
    assert set_up(file, new_run=True).fingerprints is not None


@pytest.mark.parametrize(("optimizer", "slots"), [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_memory_of_a_training_is_that_of_weights_the_arrays_of_a_step_the_optimizer_and_a_checkpoint(
    optimizer: str, slots: int, file: Path
) -> None:
    """Weights, gradient, those of the last epoch and, with early stopping, the best ones; the optimizer remembers some
    vectors and works in one more. A checkpoint holds all but the gradient and the work, and is copied twice."""
    file.write_text(CONFIG + f"optimizer: {optimizer}\n")
    setup = set_up(file)
    experiment, plan = setup.experiment, setup.network_plan
    vector = plan.size * 4
    assert optimizer_bytes(experiment, plan) == (slots + 1) * vector
    own = 3 + 2 * (2 + slots) + slots + 1
    assert training_bytes(experiment, plan, 2) == own * vector + step_bytes(experiment, plan, 2)
    stopping = set_up(file, ["training.early_stopping={metric: train.loss}"]).experiment
    assert training_bytes(stopping, plan, 2) == (own + 3) * vector + step_bytes(experiment, plan, 2)
    file.write_text(CONFIG.replace("batch_size: 2", "batch_size: 2, watch: true") + f"optimizer: {optimizer}\n")
    watched = set_up(file).experiment
    assert training_bytes(watched, plan, 2) > training_bytes(experiment, plan, 2) + plan.size * 3 * 8


def test_one_output_is_one_label_and_several_are_several(file: Path) -> None:
    """Without classes in the data: 0 and 1 in a column, or in each of several columns."""
    file.write_text(CONFIG.replace("mean_squared_error", "binary_cross_entropy").replace("3], [5], [7", "0], [1], [0"))
    setup = set_up(file)
    y = np.array([[2.0, -2.0], [0.0, 3.0]])
    one = Predictor(setup.experiment.loss, setup.prepared.preprocessor, 1)
    assert (one.several, one.classes) == (False, ("0", "1"))
    assert one.classify(one.predict(y[:, :1])).tolist() == [1, 1]
    assert one.score(y[:, 1:], np.array([[1.0], [0.0]])).several is False
    two = Predictor(setup.experiment.loss, setup.prepared.preprocessor, 2)
    assert two.several
    assert two.classify(two.predict(y)).tolist() == [[1, 0], [1, 1]]
    assert two.score(y, np.zeros((2, 2))).several is True


def test_what_is_found_of_parts_of_ones_own_is_a_warning_of_the_training(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warning = Problem("an odd part", level="warning")
    monkeypatch.setattr(Setup, "check_used_parts", lambda self: (warning,))
    begun = start(set_up(file), tmp_path / "run", [Stopping(1)])
    assert begun.warnings == (warning,)
    assert begun.run().warnings == (warning,)
    assert resume(tmp_path / "run").warnings == (warning,)
