"""What follows a training: callbacks, and those that every training has.

Something new that is to be done with the epochs of a training (another log, say) is a class of this file and a name in
DEFAULT_CALLBACKS; something for one training alone is handed to `resume.start` or `resume.resume`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bpcli.records.training import EpochRow, TrainReport
from bpcli.studies.run.state import TrainingState


class Callback:
    """Follows a training. The hooks of this class do nothing; override those that matter.

    The trainer calls them in this order, and for each hook the callbacks in the order of their list:

        on_train_begin              once, before the first step
            on_batch_end            after every step
            on_checkpoint           after every checkpoint: between steps, and the last one when the model is written
            on_epoch_end            after the last step of an epoch
        on_train_end                once, whatever happened

    A run that goes on begins with `on_train_begin`, in the middle of an epoch where it was stopped there; for one that
    was finished before, nothing is called. What a hook raises ends the training, which can go on from its last
    checkpoint.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Is called before the first step."""

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        """Is called after each step: `loss` is that of its batch, `state.progress.batch` how many steps of the epoch
        are done."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        """Is called after each completed epoch, with its figures."""

    def on_checkpoint(self, state: TrainingState, file: Path) -> None:
        """Is called after a checkpoint was written to `file`."""

    def on_train_end(self, state: TrainingState, report: TrainReport | None) -> None:
        """Is called after the model was written; `report` is None where an exception ended the training. Every callback
        is called, whatever another one raises."""


class MetricsFile(Callback):
    """Appends each epoch to metrics.jsonl. Raises Failure where it cannot be written."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        state.folder.append_epoch(row)


DEFAULT_CALLBACKS: tuple[Callable[[], Callback], ...] = (MetricsFile,)
"""What makes the callbacks that every training has, before those it is given."""
