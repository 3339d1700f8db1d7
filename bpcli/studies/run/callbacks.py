"""The callbacks that every training has.

Something new that is to be done with the epochs of a training (another log, say) is a class of this file and a name in
DEFAULT_CALLBACKS; something for one training alone is handed to `resume.start` or `resume.resume`, or stands in a file
that `--with` loads.
"""

from collections.abc import Callable

from bpcli.family.callback import Callback
from bpcli.records.training import EpochRow
from bpcli.studies.run.state import TrainingState


class MetricsFile(Callback):
    """Writes each epoch to metrics.jsonl, and those that could not be written before. Raises Failure where
    it cannot be written."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        state.folder.log_epochs(state.history)


DEFAULT_CALLBACKS: tuple[Callable[[], Callback], ...] = (MetricsFile,)
"""What makes the callbacks that every training has, before those it is given. Where one cannot write, training goes on:
it is warned, and what they do at the end of an epoch is left out while the disk rests (see `Retry`)."""
