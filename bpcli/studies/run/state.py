"""A training as it stands: the experiment and its rows, the network and its optimizer, and how far they have come."""

import math
from dataclasses import dataclass, field

import numpy as np
from pydantic import ConfigDict

from bpcli.config.experiment import label
from bpcli.engine.divergence import first_in_memory
from bpcli.engine.full_batch import FullBatchStep, make_step
from bpcli.engine.objective import Objective
from bpcli.engine.state import network_state, snapshot
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Array, GradientOptimizer
from bpcli.records.epochs import EpochRows
from bpcli.records.training import EpochRow, Failure, Problem
from bpcli.studies.run.layer_stats import LayerStatsWatch
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.stored import Count, Figure
from bpcli.studies.run.scoring import MetricAccumulator, Predictor
from bpcli.studies.run.setup import Setup


@dataclass
class EpochSums:
    """What is added up over the steps of one epoch."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    loss: Figure = 0.0
    penalty: Figure = 0.0
    norm: Figure = 0.0
    factor: Figure = 0.0
    rate: Figure = 0.0  # learning rate of the last step
    clipped: Count = 0
    steps: Count = 0
    weight: Figure = 0.0  # total weight of the rows: their number, or their class weights
    seconds: Figure = 0.0
    watch: dict[str, Figure] = field(default_factory=dict)  # figures of the one step that is measured

    def add(self, train_step: FirstOrderStep | FullBatchStep, weight: float) -> None:
        """Adds the figures of the last step, on rows of this weight."""
        self.loss += train_step.loss * weight
        self.weight += weight
        self.penalty += train_step.penalty
        self.norm += train_step.norm
        self.factor += train_step.factor
        self.rate = train_step.rate
        self.clipped += train_step.factor < 1
        self.steps += 1

    def row(self, epoch: int, metrics: dict[str, float], *, best: bool) -> EpochRow:
        """Returns the line of the epoch in the training table."""
        n = self.steps
        return EpochRow(
            epoch=epoch, metrics=metrics, penalty=self.penalty / n, gradient_norm=self.norm / n,
            clipped=self.clipped / n, clip_factor=self.factor / n, learning_rate=self.rate, steps=n,
            seconds=self.seconds, best=best, watch=self.watch,
        )  # fmt: skip


@dataclass
class Progress:
    """How far a training has come; all of it goes into a checkpoint, under these names."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    epoch: Count = 0  # completed
    step: Count = 0  # completed, over all epochs
    batch: Count = 0  # completed in this epoch
    best: Figure = math.nan
    best_epoch: Count = 0
    bad_epochs: Count = 0  # without improvement, in a row
    seconds: Figure = 0.0
    ended: str = ""  # why the optimizer has nothing left to do
    sums: EpochSums = field(default_factory=EpochSums)


class TrainingState:
    """What a trainer works on and what its callbacks are shown.

    `train` and `validation` (or None) are the rows; `batch_size` of them make a step, `steps_per_epoch` steps an epoch.
    `train_metrics` collects the metrics of the training rows as they are seen, None where nobody asks for them;
    `layer_watch` measures the layers, None where they are not watched. `epoch_weights` are the weights that the last
    completed epoch left, `best_weights` those of the best epoch ({} where none is kept).
    """

    def __init__(self, setup: Setup, folder: RunFolder, total: int | None = None) -> None:
        """`total` is how many steps schedules run over, by default those of all epochs."""
        experiment = setup.experiment
        self.setup, self.folder, self.experiment = setup, folder, experiment
        self.train, self.validation = setup.prepared.splits["train"], setup.prepared.splits.get("validation")
        self.batch_size, self.steps_per_epoch = setup.batch_size, setup.steps_per_epoch
        total = experiment.training.epochs * self.steps_per_epoch if total is None else total
        dtype, optimizer = np.dtype(experiment.dtype), experiment.optimizer
        self.objective = Objective(setup.network_plan, experiment.loss, self.batch_size, dtype, experiment.seed)
        self._check_first_weights()
        self.train_step = make_step(
            self.objective, optimizer, experiment.clipping, total, epoch=self.steps_per_epoch,
            constraint=experiment.constraint,
        )  # fmt: skip
        self.schedule = optimizer.learning_rate if isinstance(optimizer, GradientOptimizer) else None
        self.augmenter = setup.augmenter()
        self.predictor = Predictor(experiment.loss, setup.prepared.preprocessor, setup.network_plan.y[0])
        self.metrics = {label(m): m for m in experiment.metrics}
        self.train_metrics = self.new_accumulator()
        self.layer_watch: LayerStatsWatch | None = None
        if experiment.training.watch:
            self.layer_watch = LayerStatsWatch(self.objective, len(self.train.x), self.batch_size)
        self.progress = Progress()
        self.history = EpochRows()
        self.best_weights: dict[str, Array] = {}
        self.epoch_weights = snapshot(network_state(self.objective.network))

    def _check_first_weights(self) -> None:
        """Raises Failure where an initializer (of the user's own: settings are checked before) draws a weight that is
        not finite."""
        found = first_in_memory(self.objective.network, {}, {})
        if found is not None and found.what == "weights":
            text = f"the first weights are not finite, in {found}"
            raise Failure(Problem(text, code="not-finite", help="begin with another `init` there"))

    def check_memory(self) -> None:
        """Raises NonFiniteError where a number that a checkpoint would hold of network, optimizer or clipping is not
        finite. An array that once held one seldom loses it again, so that a look now and then is enough."""
        found = first_in_memory(self.objective.network, self.train_step.slots, self.train_step.clip_state)
        if found is not None:
            raise found

    def best_so_far(self) -> tuple[int, dict[str, Array]]:
        """Returns the epoch whose weights would be kept if training ended now (0: the first weights), and these
        weights: of the best epoch where early stopping looks for one, else of the last that was completed."""
        early = self.experiment.training.early_stopping
        if early is not None and early.restore_best and self.best_weights:
            return self.progress.best_epoch, self.best_weights
        return self.progress.epoch, self.epoch_weights

    def new_accumulator(self) -> MetricAccumulator | None:
        """Returns what collects the metrics of the training rows in one epoch: where there is no validation, or early
        stopping, the goal or the schedule looks at one of them; else None."""
        training = self.experiment.training
        asked = [w.metric for w in (training.early_stopping, training.stop_when) if w is not None]
        asked += [self.schedule.watched()] if self.schedule is not None else []
        wanted = self.validation is None or any(w.startswith("train.") and w != "train.loss" for w in asked)
        return MetricAccumulator(self.predictor, tuple(self.metrics.values())) if wanted and self.metrics else None
