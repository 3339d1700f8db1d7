"""Stdout and stderr as a command meets them: closed early, on a full disk, or without Unicode."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bpcli.records.printable import FIRST_BYTE, LAST_BYTE


def _bytes_or_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Returns what is written in place of what the encoding lacks, so that of a result nothing is lost: the byte of a
    path that is not UTF-8 as it is, any other character as the escape that JSON and Python read."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    stray = error.object[error.start]
    way = "surrogateescape" if FIRST_BYTE <= stray <= LAST_BYTE else "backslashreplace"
    return stray.encode("ascii", way), error.start + 1


_BYTES_OR_ESCAPES = "bpcli-bytes-or-escapes"
codecs.register_error(_BYTES_OR_ESCAPES, _bytes_or_escapes)


class OutputLostError(Exception):
    """Stdout cannot be written. It is no OSError, so that no caller takes it for an error of a file of its own."""


class NullStream(io.TextIOBase):
    """Takes every text and keeps none."""

    def write(self, text: str) -> int:
        return len(text)


class GuardedStream:
    """A stream that outlives its reader: where a pipe is closed early (`| head -1`), the rest of the text is dropped.

    Any other failure raises OutputLostError where the text is a result, and is passed over where it is a remark: a
    training does not end because its log cannot be written.
    """

    def __init__(self, stream: Any, *, result: bool) -> None:
        self._stream, self._result = stream, result
        self._lost = ""

    def write(self, text: str) -> int:
        with self._guard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._guard():
            self._stream.flush()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Python flushes both streams once more at its end, where the error could not be caught
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if self._result and not isinstance(error, BrokenPipeError):
                self._lost = error.strerror or str(error)
        if self._lost:
            raise OutputLostError(self._lost)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Guards, while it lasts: sys.stdout and sys.stderr cannot raise an OSError, nor fail on a character they do not
    know."""
    old = sys.stdout, sys.stderr
    sys.stdout = _guard_stream(old[0], result=True)
    sys.stderr = _guard_stream(old[1], result=False)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = old


def _guard_stream(stream: Any, *, result: bool) -> Any:
    if stream is None:  # closed before the program began
        return NullStream()
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=_BYTES_OR_ESCAPES if result else "backslashreplace")
    return GuardedStream(stream, result=result)
