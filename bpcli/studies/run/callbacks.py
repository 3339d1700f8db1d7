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
    """Is called as a training goes on. The hooks of this class do nothing; override those that matter.

    They are called in this order, in each of them the callbacks in the order of their list: `on_train_begin`; in each
    epoch `on_batch_end` after every step and `on_epoch_end` after the last one; between steps and at the end, each time
    that a checkpoint was written, `on_checkpoint`; at the very end, once, `on_train_end`. A run that goes on begins
    with `on_train_begin`, in the middle of an epoch where it was stopped there; one that was finished before calls
    nothing. What a hook raises ends the training, which can go on from its last checkpoint.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Before the first step."""

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        """After each step: `loss` is that of its batch, `state.progress.batch` how many steps of the epoch are done."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        """After each completed epoch, with its figures."""

    def on_checkpoint(self, state: TrainingState, file: Path) -> None:
        """After a checkpoint was written to `file`."""

    def on_train_end(self, state: TrainingState, report: TrainReport | None) -> None:
        """After the model was written; `report` is None where an exception ended the training. Every callback is
        called, whatever another one raises."""


class MetricsFile(Callback):
    """Appends each epoch to metrics.jsonl. Raises Failure where it cannot be written."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        state.folder.append_epoch(row)


DEFAULT_CALLBACKS: tuple[Callable[[], Callback], ...] = (MetricsFile,)
"""What makes the callbacks that every training has, before those it is given."""
