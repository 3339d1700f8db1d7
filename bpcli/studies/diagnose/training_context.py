"""What short trainings start from: an experiment with its rows encoded, and weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bpcli.config.experiment import Experiment
from bpcli.engine.network_plan import NetworkPlan
from bpcli.family import Array, FullBatchOptimizer, GradientOptimizer
from bpcli.numeric.streams import Stream
from bpcli.studies.dataset.prepare import Split
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.run.layer_stats import LayerStatsProbe
from bpcli.studies.run.setup import batch_size

MAX_PROBE_ROWS = 256
"""Rows that layers are measured on, at most: enough that a unit closed on all of them is closed."""

MAX_STEP_ROWS = 512
"""Rows in a step of a short training, at most; the batches of the training itself may be larger."""


@dataclass(eq=False)
class TrainingContext:
    """An experiment with its rows; `theta` (flat, float64) and `states` are the weights that are examined, `trained`
    says whether they have been trained."""

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
    def batch_rows(self) -> int:
        """Rows of a batch of the training."""
        return batch_size(self.experiment, self.rows)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.rows // self.batch_rows)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.experiment.training.epochs * self.steps_per_epoch

    @property
    def gradient_optimizer(self) -> GradientOptimizer | None:
        """The optimizer, where it is one that has a learning rate."""
        return self.experiment.optimizer if isinstance(self.experiment.optimizer, GradientOptimizer) else None

    def batches(self, limit: int | None = None) -> Iterator[Array]:
        """Yields the rows of each step, in the order of the training and without end; at most `limit` of a batch."""
        order, epoch = Stream(self.experiment.seed, "order"), 0
        while True:
            epoch += 1
            whole = isinstance(self.experiment.optimizer, FullBatchOptimizer)
            rows = np.arange(self.rows) if whole else order.permutation(self.rows, epoch)
            for start in range(0, self.rows, self.batch_rows):
                yield rows[start : start + self.batch_rows][:limit]

    @cached_property
    def probe_rows(self) -> Array:
        """The rows that layers are measured on: the first of the first epoch."""
        return Stream(self.experiment.seed, "order").permutation(self.rows, 1)[:MAX_PROBE_ROWS]

    @cached_property
    def probe(self) -> LayerStatsProbe:
        x, t = self.train.x[self.probe_rows], self.train.t[self.probe_rows]
        return LayerStatsProbe(self.network_plan, self.experiment.loss, x, t, self.experiment.seed)
