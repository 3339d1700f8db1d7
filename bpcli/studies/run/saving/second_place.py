"""Where a finished run is kept when its own folder cannot be written."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.new_folder import claim_numbered, create_run, run_files
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
    """Makes a run folder in the user's cache folder, of the name that `run` has. It is removed where the block fails.
    Raises Failure where it cannot be made."""
    place = claim_numbered(cache_folder() / "runs" / run.absolute().name)
    try:
        with create_run("", place, run_files(setup, record)) as (folder, lock):
            yield folder
            lock.release()
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
