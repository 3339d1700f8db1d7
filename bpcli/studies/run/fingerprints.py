"""Fingerprints of data files, taken while the same files are read: on a machine of two cores they cost no time."""

import hashlib
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bpcli.parts.data.unchanged import UnchangedFiles, files_in
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.saving.regular_file import regular_size

THREAD_NAME = "fingerprints"
"""What the threads are called."""
SUBPROCESS_FILE_BYTES = 32 << 20
"""Bytes of a file from which on another process takes its fingerprint: whoever parses the file meanwhile holds the
interpreter's lock, and two threads that ask for it in turn cost more than the fingerprint."""

HASH_PROGRAM = "import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256').hexdigest())"


class Fingerprints:
    """The fingerprints of `files`, from a thread that begins at once, where one can be started."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._begun = UnchangedFiles(self.files)
        self._found: list[dict[str, Any]] = []
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._take, name=THREAD_NAME, daemon=True)
        if all(f.is_file() or f.is_dir() for f in self.files):  # what is read from a pipe nobody else can read
            with suppress(RuntimeError):  # of a limit on threads or memory: they are taken where they are asked for
                self._thread.start()

    def _take(self) -> None:
        try:
            self._found = fingerprint(self.files, _digest)
        except Exception as error:  # raised where it is asked for: whoever reads a missing file reports it first
            self._failure = error

    def of(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """Returns the fingerprints of these files, which should be those that were taken. Raises what taking them
        raised, and Failure where a file is no longer what it was when they began: others may have read other bytes."""
        if tuple(files) != self.files:
            return fingerprint(files)
        if self._thread.ident is None:
            self._take()
        else:
            self._thread.join()
        if (changed := self._begun.changed()) is not None:
            raise changed
        if self._failure is not None:
            raise self._failure
        return self._found


def _digest(file: Path) -> str:
    if file.is_file() and file.stat().st_size > SUBPROCESS_FILE_BYTES:
        try:
            command = [sys.executable, "-I", "-S", "-c", HASH_PROGRAM, str(file)]
            found = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()
        except OSError:
            found = ""
        if len(found) == 64:
            return found
    return sha256_of(file)


def fingerprint(files: Sequence[Path], digest: Callable[[Path], str] | None = None) -> list[dict[str, Any]]:
    """Returns the data files with their sizes and sha256 (by `digest`, else here), so that a later reader can see
    whether they changed. Raises Failure where one cannot be read."""
    digests = [(f, (digest or sha256_of)(f)) for f in files]  # which says what is wrong with a file, before its size
    return [{"file": str(f.resolve()), "bytes": _bytes(f), "sha256": found} for f, found in digests]


def _bytes(file: Path) -> int:
    return sum(f.stat().st_size for f in (files_in(file) if file.is_dir() else [file]))


def sha256_of(file: Path, limit: int | None = None) -> str:
    """Returns the sha256 of a file, or of the names and bytes of the files in a folder, in hexadecimal; "" where a file
    has more than `limit` bytes. Raises Failure where it cannot be read."""
    digest = hashlib.sha256()
    try:
        if file.is_dir():
            for inner in files_in(file):
                name = inner.relative_to(file).as_posix().encode("utf-8", "surrogateescape")
                digest.update(b"%b\0%b\n" % (name, sha256_of(inner).encode()))
            return digest.hexdigest()
        if regular_size(file) > (limit or math.inf):
            return ""
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        text = f"{file}, which the run began with, {'is gone' if gone else f'cannot be read: {error.strerror}'}"
        help = "put it back where it was"
        raise Failure(Problem(text, code="missing-file", help=help), exit=Exit.NO_INPUT) from None
    return digest.hexdigest()
