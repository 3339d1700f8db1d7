"""Where a finished run is kept when its own folder cannot be written."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import atomic_text
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.new_folder import claim_numbered, create_run, run_files
from bpcli.studies.run.saving.own_files import RECORDS
from bpcli.studies.run.setup import Setup


def cache_folder() -> Path:
    """Returns the folder for files of this program that are not the user's own. Raises Failure where there is none.

    Source    freedesktop.org, XDG Base Directory Specification 0.8
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "bpcli"
    try:
        return Path.home() / ".cache" / "bpcli"
    except RuntimeError:  # nobody knows
        problem = Problem("this user has no home folder, and XDG_CACHE_HOME is not set", code="cannot-create")
        raise Failure(problem, exit=Exit.CANNOT_CREATE) from None


@contextmanager
def second_place(setup: Setup, run: Path, record: Mapping[str, Any]) -> Iterator[RunFolder]:
    """Makes a run folder in the user's cache folder, of the name that `run` has, a fold with that of its
    cross-validation before it. It is removed where the block fails. Raises Failure where it cannot be made."""
    names = dict.fromkeys((resumed_folder(run).absolute().name, run.absolute().name))
    place = claim_numbered(cache_folder() / "runs" / "-".join(names))
    try:
        with create_run("", place, run_files(setup, record)) as (folder, lock):
            yield folder
            lock.release()
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def keep_record(folder: Path, name: str, text: str) -> Path:
    """Writes a record of this folder into one of the same name in the user's cache folder. Returns its file. Raises
    Failure where it cannot be written."""
    place = claim_numbered(cache_folder() / "runs" / folder.absolute().name)
    try:
        atomic_text(place / name, text)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return place / name


def resumed_folder(run: Path) -> Path:
    """Returns the folder by which a run goes on: that of its cross-validation, where it is a fold of one."""
    folds = run.absolute().parent / RECORDS[1]  # os.path: whatever is wrong with its disk
    return run.parent if run.name.startswith("fold-") and os.path.exists(folds) else run


def failed_twice(problem: Problem, others: Sequence[Problem], second: Failure, again: str) -> Failure:
    """Returns the failure where something could be written neither at its place nor in the user's cache folder."""
    text = f"nor could it be kept elsewhere: {second.problems[0].text}"
    last = Problem(text, code="write-failed", file=second.problems[0].file, help=again)
    return Failure(problem, *others, last, exit=Exit.IO_ERROR)
