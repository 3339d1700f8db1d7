"""Checkpoints: everything that a training goes on from, so that a run resumed is the run uninterrupted."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from bpcli.config.validate import error_line
from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.state import network_state, prefixed, restore, snapshot, training_state
from bpcli.engine.step import FirstOrderStep
from bpcli.family.plan import Array, Slot
from bpcli.records.training import Failure, Problem
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.stored import LARGEST
from bpcli.studies.run.state import Progress, TrainingState


class Checkpointer:
    """Writes the checkpoints of a training, at the intervals that its experiment asks for (`training.checkpoint`).

    Time is that of a clock that is never set, so that one that is put back or forward delays nothing.
    """

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self.settings = state.experiment.training.checkpoint
        self._count, self._unit = self.settings.interval
        self._saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether a checkpoint is due after this step."""
        if self._unit == "steps":
            return self.state.progress.step % self._count == 0
        return self._unit == "seconds" and time.monotonic() - self._saved_at > self._count

    @property
    def due_after_epoch(self) -> bool:
        """Whether a checkpoint is due after the epoch that has just been completed."""
        return self._unit == "epochs" and self.state.progress.epoch % self._count == 0

    def save(self, folder: RunFolder | None = None) -> Path:
        """Writes a checkpoint into the run folder, or another one, and returns its file. Raises Failure where it cannot
        be written."""
        state, p = self.state, self.state.progress
        tensors = training_state(state.train_step) | prefixed("best", state.best_weights)
        if p.batch:
            tensors |= prefixed("good", state.epoch_weights)
        if state.train_metrics is not None:
            tensors |= prefixed("tally", state.train_metrics.arrays())
        meta = {"kind": "checkpoint", "progress": {**vars(p), "sums": dict(vars(p.sums))}}
        file = (folder or state.folder).save_checkpoint(p.step, tensors, meta, self.settings.keep)
        self._saved_at = time.monotonic()
        return file


_PROGRESS = TypeAdapter(Progress)


def load_checkpoint(state: TrainingState, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Puts everything back. Raises Failure where the checkpoint is of another network or says what none does."""
    state.progress = read_progress(state.folder.path, meta, state.steps_per_epoch)
    restore_step(state.folder.path, state.train_step, tensors)
    best, good = _without("best.", tensors), _without("good.", tensors)
    network = network_state(state.objective.network)
    try:
        if state.train_metrics is not None:
            state.train_metrics.restore(_without("tally.", tensors))
        for weights in filter(None, (best, good)):
            restore(snapshot(network), weights)
    except (KeyError, TypeError, ValueError) as error:
        raise _misfit(state.folder.path, str(error)) from None
    state.best_weights, state.epoch_weights = best, good or snapshot(network)


def read_progress(folder: Path, meta: Mapping[str, Any], steps_per_epoch: int = LARGEST) -> Progress:
    """Returns how far the training of a checkpoint had come. Raises Failure where that cannot be."""
    try:
        progress = _PROGRESS.validate_python(meta.get("progress"))
    except ValidationError as error:
        raise _misfit(folder, error_line(error)) from None
    sums, batch = progress.sums, progress.batch
    if batch > steps_per_epoch or sums.steps != batch or (batch and not sums.weight > 0):
        raise _misfit(folder, f"{batch} batches of an epoch of {steps_per_epoch:,} are done, and {sums.steps} count")
    return progress


def restore_step(folder: Path, train_step: FirstOrderStep | FullBatchStep, tensors: Mapping[str, Array]) -> None:
    """Puts back what network, optimizer, clipper and schedule remember. Raises Failure where the checkpoint holds
    something else."""
    try:
        restore(training_state(train_step), tensors)
        _check_limits(train_step)
    except KeyError as error:
        raise _misfit(folder, f"it holds no {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise _misfit(folder, str(error)) from None


def _check_limits(train_step: FirstOrderStep | FullBatchStep) -> None:
    """Raises ValueError where what the optimizer or the clipper remembers is outside the limits of its slot."""
    remembered = [(train_step.slots, train_step.optimizer.state(len(train_step.theta)))]
    if isinstance(train_step, FirstOrderStep) and train_step.clipper is not None:
        remembered.append((train_step.clip_state, train_step.clipper.state()))
    for arrays, slots in remembered:
        for name, slot in slots.items():
            (low, high), a = slot.limits, arrays[name]
            within = slot.limits == Slot(()).limits or ((a >= low) & (a <= high)).all()
            if not within or (slot.whole and (a != np.floor(a)).any()):
                what = "whole, " if slot.whole else ""
                raise ValueError(f"{name} is {a}, and has to be {what}from {low:g} to {high:g}")


def _misfit(folder: Path, what: str) -> Failure:
    text = f"the checkpoint does not fit this experiment: {what}"
    return Failure(Problem(text, code="bad-checkpoint", file=str(folder), help="train anew: bpcli train CONFIG"))


def _without(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the tensors of this prefix, by their names without it."""
    return {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
