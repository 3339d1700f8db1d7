"""Checkpoints: everything that a training goes on from, so that a run resumed is the run uninterrupted."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bpcli.engine.state import network_state, prefixed, restore, snapshot, training_state
from bpcli.family.plan import Array
from bpcli.records.training import Failure, Problem
from bpcli.studies.run.state import EpochSums, Progress, TrainingState

CHECKPOINT_SECONDS = 30.0
"""At most so much work is lost when the machine fails; a signal saves at once."""


class Checkpointer:
    """Writes the checkpoints of a training into its run folder."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self._saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint was written long enough ago."""
        return time.monotonic() - self._saved_at > CHECKPOINT_SECONDS

    def save(self) -> Path:
        """Writes a checkpoint and returns its file. Raises Failure where it cannot be written."""
        state, p = self.state, self.state.progress
        tensors = training_state(state.train_step) | prefixed("best", state.best_weights)
        if p.batch:
            tensors |= prefixed("good", state.epoch_weights)
        if state.train_metrics is not None:
            tensors |= prefixed("tally", state.train_metrics.arrays())
        meta = {"kind": "checkpoint", "progress": {**vars(p), "sums": dict(vars(p.sums))}}
        file = state.folder.save_checkpoint(p.step, tensors, meta)
        self._saved_at = time.monotonic()
        return file


def load_checkpoint(state: TrainingState, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Puts everything back. Raises Failure where the checkpoint is of another network."""
    try:
        restore(training_state(state.train_step), tensors)
        if state.train_metrics is not None:
            state.train_metrics.restore(_without("tally.", tensors))
        progress = _figures(meta["progress"])
        sums = _figures(progress["sums"])
        state.progress = Progress(
            **{**progress, "sums": EpochSums(**{**sums, "watch": _figures(sums.get("watch", {}))})}
        )
    except (KeyError, TypeError, ValueError) as error:
        text = f"the checkpoint does not fit this experiment: {error}"
        raise Failure(Problem(text, code="bad-checkpoint", help="train anew: bpcli train CONFIG")) from None
    state.best_weights = _without("best.", tensors)
    state.epoch_weights = _without("good.", tensors) or snapshot(network_state(state.objective.network))


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record with nan where it has None: JSON has no word for it, and writes null."""
    return {name: math.nan if value is None else value for name, value in dict(record).items()}


def _without(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the tensors of this prefix, by their names without it."""
    return {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
