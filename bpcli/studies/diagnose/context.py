"""What short trainings are made on: an experiment with its rows encoded, and the weights it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bpcli.config.experiment import Experiment
from bpcli.engine.network_plan import NetworkPlan
from bpcli.family import FullBatchOptimizer, GradientOptimizer
from bpcli.family.plan import Array
from bpcli.numeric.streams import Stream
from bpcli.studies.dataset.prepare import Split
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.run.layer_stats import LayerStatsProbe
from bpcli.studies.run.setup import batch_size

PROBE_ROWS = 256
"""Rows of the batch that layers are measured on: enough that a unit closed on all of them is closed."""

MAX_STEP_ROWS = 512
"""Rows that a step of a copy sees at most, where the training's own batches are larger."""


@dataclass(eq=False)
class TrainingContext:
    """A network with its rows; `theta` (flat, float64) and `states` are the weights looked at, `trained` says whether
    they have been trained."""

    experiment: Experiment
    network_plan: NetworkPlan
    preprocessor: Preprocessor
    splits: Mapping[str, Split]
    theta: Array
    states: Mapping[str, Array]
    trained: bool

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def rows(self) -> int:
        return len(self.train.x)

    @property
    def size(self) -> int:
        """Rows of a batch of the training."""
        return batch_size(self.experiment, self.rows)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.rows // self.size)

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.experiment.training.epochs * self.steps_per_epoch

    @property
    def gradient_optimizer(self) -> GradientOptimizer | None:
        """The optimizer, where it is one that has a learning rate."""
        return self.experiment.optimizer if isinstance(self.experiment.optimizer, GradientOptimizer) else None

    def batches(self, most: int | None = None) -> Iterator[Array]:
        """Rows of one step after another, in the order of the training; of each at most `most`."""
        order, epoch = Stream(self.experiment.seed, "order"), 0
        while True:
            epoch += 1
            whole = isinstance(self.experiment.optimizer, FullBatchOptimizer)
            rows = np.arange(self.rows) if whole else order.permutation(self.rows, epoch)
            for start in range(0, self.rows, self.size):
                yield rows[start : start + self.size][:most]

    @cached_property
    def probed(self) -> Array:
        """The rows that layers are measured on: the first of the first epoch."""
        return Stream(self.experiment.seed, "order").permutation(self.rows, 1)[:PROBE_ROWS]

    @cached_property
    def probe(self) -> LayerStatsProbe:
        x, t = self.train.x[self.probed], self.train.t[self.probed]
        return LayerStatsProbe(self.network_plan, self.experiment.loss, x, t, self.experiment.seed)
