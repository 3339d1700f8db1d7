"""Floor 0: rows of plain numbers of a large file, by NumPy's C parser; half of them by a process of its own.

That parser holds the interpreter's lock, so a thread would not help. This file is also the other process's program: it
imports NumPy and nothing else, reads what to do as JSON and writes the numbers as they are in memory.

    python -P parse.py < task.json > numbers
"""

import codecs
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

EXACT_INTEGERS = 2.0**53
"""Whole numbers from here on are not all exact in float64."""

BYTES_READ_AT_ONCE = 1 << 17  # bytes
ZERO = np.uint8(ord("0"))
SPACES_AND_QUOTES = np.uint8(ord('"'))  # bytes up to this are spaces, line ends, quotes

MOST_LABELS = 1 << 16  # different names of classes that are whole numbers

EXIT_NOT_NUMBERS = 65
"""The exit code of the other process where it meets what is not a finite number."""


@dataclass(frozen=True)
class ParseTask:
    """Part of a file of numbers, to be parsed: its bytes from `start` to `stop` (0: the end), after `skip` lines, and
    how they are written. Of its `columns` go `inputs` to one array, less `pivot`, of type `dtype`, and `others` to
    another, of which `labels` are names of classes; so many `rows` at a time."""

    file: str
    encoding: str
    delimiter: str
    decimal: str
    comment: str | None
    columns: int
    inputs: tuple[int, ...]
    others: tuple[int, ...]
    labels: tuple[int, ...]
    pivot: tuple[float, ...]
    dtype: str
    rows: int
    skip: int = 0
    start: int = 0
    stop: int = 0

    def halves(self) -> tuple[Self, Self]:
        """Returns the two halves of the work, the second from the beginning of a line on. It is shorter, because
        another process takes its time to start."""
        with open(self.file, "rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(file.tell() * 11 // 20)
            file.readline()
            middle = file.tell()
        return replace(self, stop=middle), replace(self, start=middle, skip=0)


class _Bytes(io.RawIOBase):
    """The bytes of the part of a file that a task is about."""

    def __init__(self, task: ParseTask) -> None:
        self._file = open(task.file, "rb", buffering=0)  # noqa: SIM115  (closed with this)
        self._file.seek(task.start)
        self._left = task.stop - task.start if task.stop else sys.maxsize

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(memoryview(buffer)[: self._left])
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class WatchedBytes(io.BufferedIOBase):
    """The bytes of a file, and what has been seen in them so far: `quotes`; a cell that may begin with a zero before
    another digit (`zeros`); what `float` would take although files write no numbers so, a digit of another script or an
    underscore (`loose`). Each is true from the start where a character is not a byte."""

    name = "a file"

    def __init__(self, file: Any, delimiter: str, encoding: str) -> None:
        name = codecs.lookup(encoding).name
        self.quotes = self.zeros = self.loose = name.startswith(("utf-16", "utf-32")) or not delimiter.isascii()
        self._file, self._delimiter, self._last = file, ord(delimiter), b"\n\n"

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Returns the next bytes, more than are asked for: the decoder asks for few."""
        data: bytes = self._file.read(BYTES_READ_AT_ONCE)
        self.quotes = self.quotes or b'"' in data
        self.loose = self.loose or b"_" in data or not data.isascii()
        if not self.zeros and data:
            found: NDArray[Any] = np.frombuffer(self._last + data, np.uint8)
            before = (found[:-2] <= SPACES_AND_QUOTES) | (found[:-2] == self._delimiter)
            self.zeros = bool((before & (found[1:-1] == ZERO) & (found[2:] - ZERO < 10)).any())
            self._last = (self._last + data[-2:])[-2:]
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


class _WholeNumbers(dict[str, int]):
    """The whole numbers that cells are. Raises ValueError where one is written in another way than Python writes it:
    01 and 1 are two names of classes."""

    def __missing__(self, cell: str) -> int:
        number = int(cell)
        if str(number) != cell or abs(number) >= EXACT_INTEGERS or len(self) > MOST_LABELS:
            raise ValueError("no label")
        self[cell] = number
        return number


def parse_numbers(task: ParseTask) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yields the numbers of a task, some rows at a time: inputs, and others as float64. Raises ValueError where there
    is anything but finite numbers, the same count in every row; and where they could be codes or stand in quotes."""
    inputs = task.inputs
    together = bool(inputs) and list(inputs) == list(range(inputs[0], inputs[-1] + 1))
    where: Any = slice(inputs[0], inputs[-1] + 1) if together else list(inputs)
    pivot = np.array(task.pivot) if any(task.pivot) else None
    watched = WatchedBytes(_Bytes(task), task.delimiter, task.encoding)
    converters: dict[int | str, Any] = {i: _WholeNumbers().__getitem__ for i in task.labels}
    text = io.TextIOWrapper(watched, task.encoding, newline="")
    with warnings.catch_warnings(), text:
        warnings.simplefilter("ignore")  # of blank lines, and of the end of the file
        lines, more = _lines(task, text), True
        while more:
            part: NDArray[Any] = np.loadtxt(
                lines,
                delimiter=task.delimiter,
                comments=None,  # the default would cut a cell at `#`
                ndmin=2,
                dtype=np.float64,
                converters=converters or None,
                max_rows=task.rows,
            )
            more = len(part) == task.rows
            if not len(part):
                return
            if part.shape[1] != task.columns or watched.quotes or watched.zeros or not _are_exact(part):
                raise ValueError("not plain numbers")
            found = part[:, where]
            yield (found if pivot is None else found - pivot), part[:, list(task.others)]


def _are_exact(part: NDArray[Any]) -> bool:
    """Whether the numbers are finite, and none so large that it could be a code of more digits than float64 has."""
    return bool(part.max() < EXACT_INTEGERS and part.min() > -EXACT_INTEGERS)  # false for NaN too


def _lines(task: ParseTask, file: Iterable[str]) -> Iterator[str]:
    """Yields the lines of data. Raises ValueError where a point stands in a file with decimal commas."""
    found: Iterator[str] = itertools.islice(file, task.skip, None)
    comment = task.comment
    if comment is not None:
        found = (line for line in found if not line.startswith(comment))
    return map(_with_points, found) if task.decimal == "," else found


def _with_points(line: str) -> str:
    if "." in line:
        raise ValueError("a point among decimal commas")
    return line.replace(",", ".")


class ParserProcess:
    """A task that another process does meanwhile, by this file alone: an executor of `concurrent.futures` would import
    the whole package there, which takes longer than most files. Raises OSError where none can be started."""

    def __init__(self, task: ParseTask) -> None:
        self._task, self._numbers = task, tempfile.TemporaryFile()  # noqa: SIM115  (closed by `stop`)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=self._numbers,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._numbers.close()
            raise
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as stdin:  # if it has ended already, its exit code says why
            stdin.write(json.dumps(asdict(task)).encode())

    def stop(self) -> None:
        """Ends the process; what it found is lost."""
        self._process.kill()
        self._process.wait()
        self._numbers.close()

    def parse_numbers(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yields what the function `parse_numbers` does, when the process is done. Raises ValueError as that does, and
        parses here what the other process failed to for any other reason."""
        code = self._process.wait()
        if code == EXIT_NOT_NUMBERS:
            raise ValueError("not finite numbers")
        if code:
            yield from parse_numbers(self._task)
            return
        width, others, rows = len(self._task.inputs), len(self._task.others), self._task.rows
        dtype = np.dtype(self._task.dtype)
        with self._numbers as file:
            count = file.seek(0, io.SEEK_END) // (width * dtype.itemsize + others * 8)
            file.seek(count * width * dtype.itemsize)
            rest = np.fromfile(file, np.float64, count * others).reshape(count, others)
            file.seek(0)
            for row in range(0, count, rows):
                n = min(rows, count - row)
                yield np.fromfile(file, dtype, n * width).reshape(n, width), rest[row : row + n]


def main() -> None:
    settings: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in json.load(sys.stdin).items()}
    task = ParseTask(**settings)
    parent = os.getppid()
    rest = []
    try:
        for inputs, others in parse_numbers(task):
            if os.getppid() != parent:  # the process that asked for the numbers has ended
                return
            sys.stdout.buffer.write(np.ascontiguousarray(inputs, task.dtype).data)
            rest.append(others)
    except ValueError:
        sys.exit(EXIT_NOT_NUMBERS)
    if rest:
        sys.stdout.buffer.write(np.concatenate(rest).data)


if __name__ == "__main__":
    main()
