"""Rows that come from standard input: a source whose file is `-`."""

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bpcli.family import Source
from bpcli.parts.data.files import shown_as
from bpcli.records.training import Exit, Failure, Problem

STANDARD_INPUT = "-"
"""What stands for standard input where a file is named; a file of that name is `./-`."""

SHOWN_NAME = "stdin"
"""What messages call it."""


@contextmanager
def standard_input(source: Source) -> Iterator[Source]:
    """Yields the source as it is, or where its file is `-`, one that reads what standard input holds: a table is read
    more than once, so that all of it is written to a temporary file first, which is removed at the end.

    Raises Failure where two files of the source are `-`, and where the temporary file cannot be written.
    """
    settings = [name for name in source.file_settings if getattr(source, name) == STANDARD_INPUT]
    if not settings:
        yield source
        return
    if len(settings) > 1:
        text = f"{' and '.join(settings)} are both `-`, and standard input is one file"
        raise Failure(Problem(text, code="stdin", help="name a file for one of them"), exit=Exit.USAGE)
    with _signals_end_in_order(), TemporaryDirectory(prefix="bpcli-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / SHOWN_NAME
        _copy_to(file)
        with shown_as(file, SHOWN_NAME):
            yield source.model_copy(update={settings[0]: str(file)})


@contextmanager
def _signals_end_in_order() -> Iterator[None]:
    """Makes signals that would end the program at once raise SystemExit, for a while: nothing is left behind."""
    ending = [which for name in ("SIGTERM", "SIGHUP") if (which := getattr(signal, name, None)) is not None]
    changed = [which for which in ending if signal.getsignal(which) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        changed = []  # the caller's signals stay the caller's
    for which in changed:
        signal.signal(which, _end)
    try:
        yield
    finally:
        for which in changed:
            signal.signal(which, signal.SIG_DFL)


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _copy_to(file: Path) -> None:
    if sys.stdin is None:
        raise Failure(Problem("standard input is closed", code="stdin", help="name a file"), exit=Exit.NO_INPUT)
    try:
        with open(file, "wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
    except OSError as error:
        text = f"standard input cannot be copied to {file.parent}: {error.strerror or error}"
        help = "TMPDIR names the folder for temporary files; or name a file"
        raise Failure(Problem(text, code="stdin", help=help), exit=Exit.IO_ERROR) from None
