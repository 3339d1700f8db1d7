"""Beginning a training, and going on with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bpcli.config.dump import dump as dump_yaml
from bpcli.records import Failure, Problem
from bpcli.studies import model, runfolder
from bpcli.studies.runfolder import RunFolder
from bpcli.studies.setup import Setup, set_up
from bpcli.studies.train import Training, Watcher


def start(setup: Setup, out: Path | None = None, watcher: Watcher | None = None) -> Training:
    """A new training in a new run folder."""
    resolved = dump_yaml(model.dump(setup.experiment))
    folder = runfolder.create(setup.experiment.name, out, setup.document.text.encode(), resolved)
    record = runfolder.started() | {
        "name": setup.experiment.name,
        "seed": setup.experiment.seed,
        "root": str(setup.root.resolve()),
        "sets": list(setup.sets),
        "rows": {s.name: len(s.x) for s in setup.prepared.splits.values()},
        "data": runfolder.fingerprint(setup.prepared.files),
    }
    folder.write_record(record)
    return Training(setup, folder, watcher)


def resume(path: Path, sets: tuple[str, ...] = (), watcher: Watcher | None = None) -> Training:
    """A training that goes on from the newest checkpoint of a run folder.

    Of the experiment only `training.epochs` may change; schedules keep the length they began with.
    Raises Failure where there is no checkpoint, or the data is no longer what it was.
    """
    for text in sets:
        if text.partition("=")[0].strip() != "training.epochs":
            help = "of a run that goes on only training.epochs may change; for anything else start a new run"
            raise Failure(Problem(f"--set {text} would change the experiment", code="resume", help=help))
    folder = RunFolder(path)
    record = folder.record()
    tensors, meta, warnings = folder.newest_checkpoint()
    setup = reopen(folder, record, sets)
    changed = [
        old["file"]
        for old, new in zip(record.get("data", []), runfolder.fingerprint(setup.prepared.files), strict=False)
        if old["sha256"] != new["sha256"]
    ]
    if changed:
        text = f"{changed[0]} has changed since the run began"
        raise Failure(Problem(text, code="data-changed", help="restore the file, or start a new run"))
    training = Training(setup, folder, watcher, total=int(meta.get("total", 0)) or None)
    training.load_checkpoint(tensors, meta)
    lines = folder.epochs()[: training.progress.epoch]
    folder.write_epochs(lines)
    training.history = lines
    training.warnings = (*training.warnings, *warnings)
    return training


def reopen(folder: RunFolder, record: Mapping[str, Any], sets: tuple[str, ...] = ()) -> Setup:
    """The experiment and the data of a run, as they were when it began."""
    root = Path(record.get("root", "."))
    return set_up(folder.config, (*record.get("sets", ()), *sets), root)
