"""`training: {watch: true}`: how each layer fares, measured once an epoch."""

from __future__ import annotations

import math

import numpy as np

from bpcli.engine.objective import Batch, Objective
from bpcli.family import Activation
from bpcli.family.plan import Array
from bpcli.studies.run.layer_stats import LayerStatsProbe, character

PREFIX = "watch."
"""What the figures begin with in metrics.jsonl: watch.dense_1.gradient."""

FIGURES = ("gradient", "update", "dead", "saturated")


class LayerStatsWatch:
    """Measures one step of every epoch, the one on the last batch that has all its rows (a unit is easily closed on a
    batch of two rows).

    A probe of its own, in float64 and with memory of its own, is shown the rows of the step as they stand in its batch,
    with the weights and the chance that it began with, so that watching changes no bit of the training. It is made at
    the first look.
    """

    def __init__(self, objective: Objective, rows: int, size: int) -> None:
        """Of `rows` training rows in batches of `size`, at most as many as there are rows."""
        self.objective = objective
        self.place = rows // size - 1  # in the epoch, from 0, of the step that is measured
        self.keys = tuple(_keys(objective))
        self._before: Array = np.empty(0, objective.theta.dtype)
        self._states: dict[str, Array] = {}
        self._probe: LayerStatsProbe | None = None

    def begin(self) -> None:
        """Before the step: keeps the weights and the running statistics."""
        self._before = self.objective.theta.copy()
        self._states = {name: state.copy() for name, state in self.objective.network.states.items()}

    def figures(self, batch: Batch, step: int) -> dict[str, float]:
        """After the step on the rows in `batch`, the one after `step` completed ones: by key, the norm of the gradient
        of the data term (before clipping), the norm of the step over the norm of the weights (nan where all are 0), and
        the shares of dead units and of saturated outputs."""
        if self._probe is None:
            o = self.objective
            self._probe = LayerStatsProbe(o.network.network_plan, o.loss, batch.x, batch.t, o.network.seed)
        self._probe.batch.x[...], self._probe.batch.t[...] = batch.x, batch.t
        update = np.subtract(self.objective.theta, self._before, dtype=np.float64)
        found: dict[str, float | None] = {}
        for row in self._probe.look(self._before, self._states, update, step):
            found |= {f"{PREFIX}{row.layer}.{figure}": getattr(row, figure) for figure in FIGURES}
        return {key: math.nan if (value := found[key]) is None else value for key in self.keys}


def _keys(objective: Objective) -> list[str]:
    """What can be measured: of layers that learn their gradient and update, of activations with flat ends the rest."""
    keys = []
    for node in objective.network.network_plan.walk():
        figures = ["gradient", "update"] if node.plan.params else []
        if isinstance(node.layer, Activation):
            figures += {"none": [], "one": ["dead"], "both": ["dead", "saturated"]}[character(node.layer)[1]]
        keys += [f"{PREFIX}{node.path}.{figure}" for figure in figures]
    return keys
