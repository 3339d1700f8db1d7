"""Beginning a training, and going on with one."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bpcli.family import Callback
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.load import changed_files, files_record, missing_callbacks, name_needed_files
from bpcli.studies.run import runfolder
from bpcli.studies.run.fingerprints import fingerprint
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import load_checkpoint
from bpcli.studies.run.saving.environment import other_environment
from bpcli.studies.run.saving.new_folder import create_run, run_files
from bpcli.studies.run.setup import Setup, set_up
from bpcli.studies.run.state import TrainingState
from bpcli.studies.run.trainer import Trainer

FINISHED = ("epochs", "goal", "patience", "converged")
EPOCHS_KEY = "training.epochs"


def start(setup: Setup, out: Path | None = None, callbacks: Iterable[Callback] = ()) -> Trainer:
    """Returns a new training in a new run folder, `out` or one named by the time. Raises Failure where it cannot be
    made."""
    experiment, config, warnings = setup.experiment, setup.document.source.text.encode(), setup.check_used_parts()
    record = runfolder.new_record() | {
        "name": experiment.name,
        "seed": experiment.seed,
        "root": str(setup.root.resolve()),
        "sets": list(setup.sets),
        "steps": experiment.training.epochs * setup.steps_per_epoch,
        "rows": {s.name: len(s.x) for s in setup.prepared.splits.values()},
        "config": hashlib.sha256(config).hexdigest(),
        "data": (setup.fingerprints.of if setup.fingerprints else fingerprint)(setup.prepared.files),
        **files_record(),
    }
    with create_run(experiment.name, out, run_files(setup, record)) as (folder, lock):
        trainer = Trainer(TrainingState(setup, folder), callbacks, lock, record)
        trainer.warnings = (*trainer.warnings, *warnings)
        return trainer


def resume(path: Path, sets: tuple[str, ...] = (), callbacks: Iterable[Callback] = ()) -> Trainer:
    """Returns a training that goes on from the newest checkpoint of a run folder, or from its first step where none is
    left.

    Of the experiment only `training.epochs` may change; schedules keep the length they began with. Raises Failure where
    the data or the config is no longer what it was, where the run diverged, and where another process works on it.
    """
    for text in sets:
        if text.partition("=")[0].strip() != EPOCHS_KEY:
            help = f"of a run that goes on only {EPOCHS_KEY} may change; for anything else start a new run"
            raise Failure(Problem(f"--set {text} would change the experiment", code="resume", help=help))
    folder = RunFolder(path)
    record = folder.record()
    if record.get("status") == "diverged":
        help = "start a new run, with a lower optimizer.learning_rate or with clipping"
        text = f"this run cannot go on: {record.get('reason', 'it diverged')}"
        raise Failure(Problem(text, code="diverged", help=help), exit=Exit.BAD_RESULT)
    lock = Lock(path)
    try:
        return _resumed(folder, folder.record(), sets, callbacks, lock)
    except BaseException:
        lock.release()
        raise


def _resumed(
    folder: RunFolder, record: dict[str, Any], sets: tuple[str, ...], callbacks: Iterable[Callback], lock: Lock
) -> Trainer:
    tensors, meta, warnings = folder.newest_checkpoint()
    setup = reopen(folder, record, sets)
    warnings = (*warnings, *setup.check_used_parts())
    state = TrainingState(setup, folder, int(record.get("steps", 0)) or None)
    record |= {"sets": [*record.get("sets", ()), *sets]}
    trainer = Trainer(state, callbacks, lock, record)
    if tensors:
        load_checkpoint(state, tensors, meta)
    else:
        text = f"{folder.path} has no checkpoint to go on from: training begins anew"
        warnings = (*warnings, Problem(text, "no-checkpoint", level="warning"))
    lines, epoch = folder.lines(), state.progress.epoch
    state.history = lines.until(epoch)
    trainer.finished = record.get("status") in FINISHED and folder.model.exists() and trainer.over() is not None
    trainer.kept = int(record.get("kept", epoch))
    if trainer.finished:
        warnings = (*warnings, *lines.warnings(epoch))
    else:
        folder.tidy()
        warnings = (*warnings, *lines.warnings(epoch, folder.replace_epochs(lines, state.history)))
        folder.write_record(record | {"status": "running"})
        warnings = (*warnings, *_beyond_schedule(state), *other_environment(record), *changed_files(record))
        warnings = (*warnings, *missing_callbacks(record))
    trainer.warnings = (*trainer.warnings, *warnings)
    return trainer


def reopen(folder: RunFolder, record: Mapping[str, Any], sets: tuple[str, ...] = (), *, inputs: bool = True) -> Setup:
    """Returns the experiment and the data of a run, as they were when it began. Raises Failure where they are not."""
    runfolder.check_unchanged(record, folder)
    root = Path(record.get("root", "."))
    try:
        return set_up(folder.config, (*record.get("sets", ()), *sets), root, inputs=inputs)
    except Failure as failure:
        raise name_needed_files(failure, record) from None


def _beyond_schedule(state: TrainingState) -> tuple[Problem, ...]:
    """Returns a warning where the schedule ended before the epochs that are asked for."""
    if state.schedule is None:
        return ()
    total = state.train_step.total
    rate = state.train_step.rate_at(total)
    if rate > 0 or state.experiment.training.epochs * state.steps_per_epoch <= total:
        return ()
    text = f"the learning rate is 0 after step {total:,}, where its schedule was to end: nothing is learned beyond"
    help = f"for a longer schedule start a new run with more {EPOCHS_KEY}"
    return (Problem(text, "schedule", help=help, level="warning"),)
