"""Files of data have to stay as they are while they are read: what is learned of half of one file and half of another
is of no data that there ever was."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bpcli.numeric.file_state import FileState, difference, file_state
from bpcli.parts.data.files import data_error
from bpcli.parts.data.images import image_files
from bpcli.records.training import Failure


class UnchangedFiles:
    """Files and folders as they are now, to be compared with what they are later."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._states = _states(self._files)

    def changed(self) -> Failure | None:
        """Returns a Failure that names the first file that is another one now, or was written to; None where none
        is."""
        now = _states(self._files)
        for path in dict.fromkeys((*self._states, *now)):
            if change := _change(path, self._states, now):
                text = f"the file has changed while it was read: {change}"
                return data_error(text, path, code="changed", help="wait until it is whole, and start again")
        return None


@contextmanager
def unchanged(files: Sequence[Path]) -> Iterator[None]:
    """Raises Failure where one of these files changes while something is done that reads them; also in place of what
    was found wrong with it meanwhile."""
    before = UnchangedFiles(files)
    try:
        yield
    except Failure:
        if (failure := before.changed()) is not None:
            raise failure from None
        raise
    if (failure := before.changed()) is not None:
        raise failure


def files_in(folder: Path) -> list[Path]:
    """Returns the images of a folder, or where it has none, which a source of a user's own may read, all its files that
    are not hidden."""
    found = (f for f in folder.rglob("*") if f.is_file())
    return image_files(folder) or sorted(
        f for f in found if not re.search(r"(^|/)\.", f.relative_to(folder).as_posix())
    )


def _states(files: Sequence[Path]) -> dict[Path, FileState | None]:
    return {f: file_state(f) for file in files for f in (files_in(file) if os.path.isdir(file) else [file])}


def _change(path: Path, before: dict[Path, FileState | None], now: dict[Path, FileState | None]) -> str:
    if path not in now:
        return "it is gone"
    return difference(before[path], now[path]) if path in before else "it is new"
