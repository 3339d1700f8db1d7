"""New run folders: whatever ends the process while one is made, a training can begin in it again."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpcli.config.dump import dump as dump_yaml
from bpcli.records.printable import printable, shell_word
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run import model
from bpcli.studies.run.atomic import atomic_bytes, cannot_create, make_folder, sync_folder
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.runfolder import RunFolder, is_unbegun, record_text, remove
from bpcli.studies.run.saving.own_files import CHECKPOINTS, CONFIGS, RECORDS
from bpcli.studies.run.setup import Setup


def run_files(setup: Setup, record: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns the files that a run begins with: the config as it was given and with everything filled in, and the
    record."""
    head = "# Every setting of this run, defaults and --set included.\n# Paths are relative to "
    root = printable(str(record["root"]))
    return {
        "config.yaml": setup.document.source.text.encode(),
        "config.resolved.yaml": f"{head}{root}\n{dump_yaml(model.dump(setup.experiment))}".encode(),
        "run.json": record_text(record).encode("utf-8", "backslashreplace"),
    }


@contextmanager
def create_run(name: str, out: Path | None, files: Mapping[str, bytes]) -> Iterator[tuple[RunFolder, Lock]]:
    """Makes a new run folder, `out` or runs/<name>-<time>, with these files in it and its lock held. It is removed
    where the block fails. Raises Failure where it cannot be made or is taken."""
    with create_folder(name, out, files, CHECKPOINTS) as (folder, lock):
        yield RunFolder(folder), lock


@contextmanager
def create_folder(name: str, out: Path | None, files: Mapping[str, bytes], *within: str) -> Iterator[tuple[Path, Lock]]:
    """Makes a new folder, `out` or runs/<name>-<time>, with these files and empty folders `within` it and its lock
    held; it is removed where the block fails.

    The last file is the record, by which others know that the folder is whole. The lock comes first and goes last: it
    shows that what stands beside it without a record is a beginning that was cut short, which is begun anew. Raises
    Failure where the folder cannot be made or is taken.
    """
    fresh = out is None or not os.path.exists(out)
    folder = claim_folder(name, out)
    with ExitStack() as undo:
        if fresh:
            undo.callback(_remove_empty, folder)
        lock = Lock(folder)
        undo.callback(lock.release)
        _check_vacant(folder)  # again: nobody else can fill it now
        _clear(folder)
        undo.callback(_clear, folder)
        for inner in within:
            make_folder(folder / inner, "choose another place with --out")
        sync_folder(folder)
        for file, data in files.items():
            atomic_bytes(folder / file, data, follow=False)
        yield folder, lock
        undo.pop_all()


def claim_folder(name: str, out: Path | None) -> Path:
    """Returns a new folder, `out` or runs/<name>-<time>, in which nothing has begun. Raises Failure where it cannot be
    made or is taken."""
    if out is None:
        return claim_numbered(Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    make_folder(_check_vacant(out), "choose another place with --out")
    return out


def _clear(folder: Path) -> None:
    """Removes all but the lock of what a beginning leaves; the record first: without it this is no run any more."""
    for name in (*RECORDS, *CONFIGS):
        remove(folder / name)
    RunFolder(folder).remove_temporaries()
    _remove_empty(folder / CHECKPOINTS)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty
        folder.rmdir()


def _check_vacant(folder: Path) -> Path:
    """Returns the folder. Raises Failure where a run cannot begin in it."""
    try:
        if not folder.exists() or (folder.is_dir() and is_unbegun(folder)):
            return folder
    except OSError as error:
        raise cannot_create(folder, f"cannot look into {folder}: {error.strerror or error}") from None
    if not folder.is_dir():
        what, help = "is not a folder", "choose another --out"
    else:
        what, help = "is not empty, and a run never overwrites anything", "choose another --out"
        if any((folder / name).exists() for name in RECORDS):
            help = f"{help}, or go on with `bpcli train --resume {shell_word(folder)}`"
    raise Failure(Problem(f"{folder} {what}", code="taken", help=help), exit=Exit.CANNOT_CREATE)


def claim_numbered(path: Path) -> Path:
    """Returns `path`, or path-2, path-3... where others began in the same second; made, so that nobody else has it."""
    found, count = path, 1
    while True:
        with suppress(FileExistsError):
            make_folder(found, "choose another place with --out", exist_ok=False)
            return found
        count += 1
        found = path.with_name(f"{path.name}-{count}")
