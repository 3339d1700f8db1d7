"""Floor 1: what follows a training. A callback is no part: no config names it, and it changes no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bpcli.records.training import EpochRow, Problem, TrainReport


class Callback:
    """Follows a training. The hooks of this class do nothing; override those that matter.

    The trainer calls them in this order, and for each hook the callbacks in the order of their list:

        on_train_begin              once, before the first step
            on_batch_end            after every step
            on_checkpoint           after every checkpoint: between steps, and the last one when the model is written
            on_epoch_end            after the last step of an epoch
            on_warning              whenever something has gone wrong that does not end the training
        on_train_end                once, whatever happened, where on_train_begin had come to its end

    A run that goes on begins with `on_train_begin`, in the middle of an epoch where it was stopped there; for one that
    was finished before, nothing is called. What a hook raises ends the training; what was trained until then is in a
    checkpoint, from which `bpcli train --resume` goes on.

    `state` is the training as it stands, `bpcli.studies.run.state.TrainingState`: among others `state.folder.path` (the
    run folder), `state.experiment` (the config), `state.history` (the rows of all epochs until now),
    `state.progress.epoch`, `.batch` and `.step` (how many are done), `state.steps_per_epoch` and
    `state.objective.theta` (all weights). It is to be looked at; what a hook writes there changes the training.
    """

    def on_train_begin(self, state: Any) -> None:
        """Is called before the first step."""

    def on_batch_end(self, state: Any, loss: float) -> None:
        """Is called after each step: `loss` is that of its batch, `state.progress.batch` how many steps of the epoch
        are done."""

    def on_epoch_end(self, state: Any, row: EpochRow) -> None:
        """Is called after each completed epoch, with its figures."""

    def on_checkpoint(self, state: Any, file: Path) -> None:
        """Is called after a checkpoint was written to `file`."""

    def on_warning(self, state: Any, problem: Problem) -> None:
        """Is called when something has gone wrong that does not end the training: a checkpoint cannot be written."""

    def on_train_end(self, state: Any, report: TrainReport | None) -> None:
        """Is called after the model was written; `report` is None where an exception ended the training. Every callback
        is called, whatever another one raises."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
