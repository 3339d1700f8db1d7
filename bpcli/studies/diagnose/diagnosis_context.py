"""What is diagnosed: a network with its rows and weights, the epochs behind it, and what was measured so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.engine.network import Network
from bpcli.records.diagnose import LayerStats
from bpcli.records.printable import shell_word
from bpcli.records.training import EpochRow, Exit, Failure, Problem
from bpcli.studies.dataset.data_option import open_data_option
from bpcli.studies.dataset.prepare import Split, prepare_for
from bpcli.studies.diagnose.lr_range_test import RateRange, lr_range_test
from bpcli.studies.diagnose.short_runs import best_constant, first_step, least_loss, overfit
from bpcli.studies.diagnose.training_context import TrainingContext
from bpcli.studies.run import model as models
from bpcli.studies.run.resume import reopen
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.setup import Setup, set_up

Reopen = Callable[[Sequence[str]], "DiagnosisContext"]
"""Opens the same experiment with more settings."""


@dataclass(eq=False)
class DiagnosisContext(TrainingContext):
    """A training context with its history, and what was measured of it, each thing once.

    `data` is the experiment as it stands in its file. `weights` says in words where they come from. `with_settings`
    returns the context of the same experiment with more settings, before training; None where no file can be changed.
    """

    name: str
    data: Mapping[str, Any]
    weights: str
    history: tuple[EpochRow, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)  # of the run
    with_settings: Reopen | None = None
    warnings: tuple[Problem, ...] = ()

    @cached_property
    def layer_stats(self) -> tuple[LayerStats, ...]:
        """The layers on the probe rows; where nothing is trained yet with the length of the first step."""
        return self.probe.measure(self.theta, self.states, None if self.trained else first_step(self))

    @property
    def loss(self) -> float:
        """The loss of the probe rows without penalties, in training mode with the random draws of the first step."""
        return self.probe.loss if self.layer_stats else 0.0

    @cached_property
    def constant(self) -> float:
        """The least loss that the training rows have where every row gets the same output."""
        return best_constant(self)

    @cached_property
    def least_loss(self) -> float:
        """The least loss that is possible on the batch that is overfitted."""
        return least_loss(self)

    @cached_property
    def overfit(self) -> tuple[float, ...]:
        """The loss of one small batch, step after step, as the network overfits it."""
        return overfit(self, self.least_loss)

    @cached_property
    def rate_range(self) -> RateRange | None:
        """What the range test of learning rates found; None where the optimizer has no learning rate."""
        return lr_range_test(self, self.constant)


def open_context(path: Path, sets: Sequence[str] = (), data: str | None = None) -> DiagnosisContext:
    """Opens a config, a run folder or a model file. `data` names the rows of a model file that has no run folder.
    Raises Failure where there are no rows, or an option does not go with the path."""
    trained = path.is_dir() or path.suffix == ".safetensors"
    if sets and trained:
        text = f"--set changes a config, and {path} is trained already"
        help = "diagnose the config that it was trained from: bpcli diagnose CONFIG --set ..."
        raise Failure(Problem(text, code="sets", help=help), exit=Exit.USAGE)
    if data is not None and not (trained and path.is_file()):
        text = f"{path} brings its own rows"
        raise Failure(Problem(text, code="data", help="--data goes with a model file"), exit=Exit.USAGE)
    if path.is_dir():
        return _of_run(path)
    if trained:
        if data is None and (path.parent / "run.json").exists():
            return _of_run(path.parent)
        return _of_model(path, data)
    return _at_start(set_up(path, sets), lambda more: _at_start(set_up(path, (*sets, *more))))


def _at_start(setup: Setup, with_settings: Reopen | None = None) -> DiagnosisContext:
    experiment = setup.experiment
    network = Network(setup.network_plan, 1, np.float64, experiment.seed)
    return DiagnosisContext(
        name=experiment.name,
        experiment=experiment,
        network_plan=setup.network_plan,
        preprocessor=setup.prepared.preprocessor,
        splits=setup.prepared.splits,
        data=setup.document.data,
        theta=network.theta,
        states=network.states,
        weights="as they start",
        trained=False,
        with_settings=with_settings,
        warnings=setup.warnings,
    )


def _of_run(path: Path) -> DiagnosisContext:
    folder = RunFolder(path)
    record = folder.record()
    model = models.load(path)
    context = _at_start(reopen(folder, record), lambda more: _at_start(reopen(folder, record, tuple(more))))
    context.theta = model.objective.theta.astype(np.float64)
    context.states = model.objective.network.states
    kept, lines = record.get("kept"), folder.lines()
    last = lines.rows[-1].epoch if lines.rows else 0
    context.weights = f"of {path}, after epoch {kept if kept is not None else last}"
    context.trained, context.history, context.record = True, tuple(lines.rows), record
    context.warnings = (*context.warnings, *lines.warnings(last))
    return context


def _of_model(path: Path, data: str | None) -> DiagnosisContext:
    model = models.load(path)
    experiment, network = model.experiment, model.objective.network
    if data is None:
        text = f"{path} holds a model and no data"
        help = f"bpcli diagnose {shell_word(path)} --data FILE, or give the run folder"
        raise Failure(Problem(text, code="no-data", help=help), exit=Exit.USAGE)
    train = experiment.data.train
    with open_data_option(data, train, True) as source:
        x, t, _ = prepare_for(model.preprocessor, source, Path(), np.dtype(experiment.dtype), True, like=train)
    assert t is not None
    return DiagnosisContext(
        name=experiment.name,
        experiment=experiment.model_copy(update={"loss": model.objective.loss}),
        network_plan=model.network_plan,
        preprocessor=model.preprocessor,
        splits={"train": Split("data", x, t, np.arange(len(x)))},
        data=models.dump(experiment),
        theta=network.theta.astype(np.float64),
        states=network.states,
        weights=f"of {path}",
        trained=True,
    )
