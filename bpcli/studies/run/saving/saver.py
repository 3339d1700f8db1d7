"""What a training leaves in its run folder while it goes on, and at its end."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpcli.family import Array
from bpcli.records.printable import shell_word
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.load import files_record_by_name
from bpcli.studies.run import model
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.saving.retry import SAVING_ERRORS, Retry, saving_failure
from bpcli.studies.run.saving.second_place import failed_twice, resumed_folder, second_place
from bpcli.studies.run.state import TrainingState


class Saver:
    """Writes checkpoints, and the model of the best epoch so far, from the first one on.

    What fails on the way is a warning (`warn` is called with it) and is tried again; the first checkpoint has to
    succeed, so that a disk that cannot take one is found before hours of work, and all that is written at the end.
    """

    def __init__(self, state: TrainingState, record: Mapping[str, Any], warn: Callable[[Problem], None]) -> None:
        """`record` is what run.json says."""
        self.state, self.record = state, dict(record)
        self.checkpointer = Checkpointer(state)
        self._logs, self._states = Retry("lines of logs", warn), Retry("checkpoints", warn)
        self._model_epoch = 0  # whose model was written, 0 for none

    @property
    def due(self) -> bool:
        """Whether a checkpoint is due after this step."""
        return not self._states.resting if self._states.reason else self.checkpointer.due

    @property
    def due_after_epoch(self) -> bool:
        """Whether a checkpoint is due after the epoch that has just been completed."""
        return not self._states.resting if self._states.reason else self.checkpointer.due_after_epoch

    def save_first_checkpoint(self) -> None:
        """Writes a checkpoint before the first step. Raises Failure where that cannot be."""
        self.checkpoint()

    def log(self, write: Callable[[], None]) -> None:
        """Writes to a log, if it can be written."""
        self._logs.do(write)

    def save_first_model(self) -> None:
        """Writes the model after the first epoch of this process, if it can be written; later ones go with
        checkpoints, and where those cannot be written the first one too: it alone does not say that they can."""
        if not self._model_epoch and not self._states.reason:
            self._states.do(self._write_model)

    def save(self) -> Path | None:
        """Writes a checkpoint and the model so far. Returns its file, None where it could not be written."""
        return self._states.do(self.checkpoint)

    def checkpoint(self) -> Path:
        """Does what `save` does. Raises Failure where it cannot be written."""
        self.state.folder.log_epochs(self.state.history)
        file = self.checkpointer.save()
        self._write_model()
        return file

    def _write_model(self) -> None:
        """Writes the model that would be kept if training ended now, if it has not been written."""
        epoch, weights = self.state.best_so_far()
        if epoch != self._model_epoch:
            self._save_model(self.state.folder, "running", epoch, weights)
            self._model_epoch = epoch

    def finish(self, stopped: str, reason: str, epoch: int, weights: Mapping[str, Array]) -> Path | None:
        """Writes the last checkpoint (unless training diverged), the model of these weights and the record. Returns the
        checkpoint.

        Raises Failure where something cannot be written: then the whole run is kept in the user's cache folder, if it
        can be, and the failure says so.
        """
        self.record |= {"status": stopped, "reason": reason, "epochs": self.state.progress.epoch, "kept": epoch}
        folder = self.state.folder
        try:
            return self._finish(folder, stopped, epoch, weights)
        except SAVING_ERRORS as error:
            raise self._kept_elsewhere(saving_failure(error), stopped, epoch, weights) from None

    def _finish(self, folder: RunFolder, stopped: str, epoch: int, weights: Mapping[str, Array]) -> Path | None:
        """Writes all into a folder, each thing whatever happens to the others, but the record only where nothing did:
        it says that all is there. Raises the first of SAVING_ERRORS."""
        found: list[Path] = []
        failures: list[Failure | OSError | MemoryError] = []

        def save_checkpoint() -> None:
            folder.log_epochs(self.state.history)
            if stopped != "diverged":
                found.append(self.checkpointer.save(folder))

        for write in (
            save_checkpoint,
            lambda: self._save_model(folder, stopped, epoch, weights),
            lambda: folder.write_record(self.record) if not failures else None,
        ):
            try:
                write()
            except SAVING_ERRORS as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return found[0] if found else None

    def _kept_elsewhere(self, failure: Failure, stopped: str, epoch: int, weights: Mapping[str, Array]) -> Failure:
        """Keeps the run in the user's cache folder. Returns the failure with where it is, and what to type."""
        (problem, *others), run = failure.problems, shell_word(resumed_folder(self.state.folder.path))
        when = "there is memory for it" if problem.code == "memory" else f"{run} can be written"
        again = f"once {when}, `bpcli train --resume {run}` writes it there"
        try:
            with second_place(self.state.setup, self.state.folder.path, self.record | {"status": "running"}) as folder:
                self._finish(folder, stopped, epoch, weights)
        except SAVING_ERRORS as error:
            return failed_twice(problem, others, saving_failure(error), again)
        place = shell_word(folder.path)
        help = f"the run is kept in {place}, and its model too: `bpcli eval {place}`; {again}"
        return Failure(replace(problem, help=help), *others, exit=Exit.IO_ERROR)

    def _save_model(self, folder: RunFolder, stopped: str, epoch: int, weights: Mapping[str, Array]) -> None:
        s = self.state
        last = next((row for row in reversed(s.history) if row.epoch == epoch), None)
        meta = {"epoch": epoch, "stopped": stopped, "metrics": dict(last.metrics) if last else {}}
        meta |= files_record_by_name()
        model.save(folder.model, s.experiment, s.setup.prepared.preprocessor, s.setup.network_plan, weights, meta)
