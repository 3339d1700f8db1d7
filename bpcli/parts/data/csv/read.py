"""Reading the columns of a comma-separated file.

Numbers go through NumPy's C parser, some thousand rows at a time. Where the file has anything else, or that parser
meets what it does not take, Python's csv module reads it again and either succeeds or names line, column and cell.
"""

import codecs
import itertools
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bpcli.family import Array, CodedText, Kind
from bpcli.numeric.threads import thread_count
from bpcli.parts.data import cells as meaning
from bpcli.parts.data.columns import GapRules, LoadedColumns
from bpcli.parts.data.csv.file import CsvLayout, ragged_row, wrong_cell
from bpcli.parts.data.csv.parse import ParserProcess, ParseTask, parse_numbers
from bpcli.parts.data.files import open_text

CHUNK_ROWS = 1 << 14  # rows converted at a time
NUMBERS_PARSED_AT_ONCE = 1 << 18  # numbers parsed at a time
FLOAT32_FILE_BYTES = 32 << 20
"""Bytes of a file from which on its numbers are kept as float32, where that is what they will be."""

OFFSET_SPREADS = 2.0
"""A column whose numbers are this many times their spread away from 0 (a time in seconds, a year) is kept as float32
about the middle of its first rows: nothing is lost that scaling would keep."""


@dataclass
class NumberColumns:
    """Columns that are all numbers: those of `inputs` side by side (plus `pivot`, where there is one), and others."""

    values: Array
    rest: dict[int, Array]
    pivot: Array | None = None


def read_numbers(
    layout: CsvLayout, inputs: Sequence[int], others: Sequence[int], compact: bool
) -> NumberColumns | None:
    """Returns the inputs (N, columns) and each of the others (N,), by NumPy's C parser; float64, but `compact` keeps
    the inputs of a large file as float32. Of a large file that is not compressed another process parses the second
    half. None where anything in the file is not a finite number."""
    packed, size = layout.path.suffix == ".gz", layout.path.stat().st_size
    large = size * (4 if packed else 1) > FLOAT32_FILE_BYTES
    pivot = _pivot(layout, inputs) if compact and large else None
    stack = RowBuffer(len(inputs), np.float32 if compact and large else np.float64)
    task = _whole_file(layout, inputs, others, pivot, stack.dtype)
    first, second = task, None
    if large and not packed and layout.path.is_file() and _by_lines(layout.encoding) and thread_count() > 1:
        first, other = task.halves()
        with suppress(OSError):
            second = ParserProcess(other)
        first = task if second is None else first
    rest: list[Array] = []
    text = open_text(layout.path, encoding=task.encoding) if second is None else None
    try:
        for x, other_values in itertools.chain(parse_numbers(first, text), second.parse_numbers() if second else ()):
            if not stack.count and large and not packed:
                stack.reserve(_rows_in(layout, size))
            stack.add(x)
            rest.append(other_values)
    except ValueError:  # also UnicodeDecodeError
        return None
    finally:
        if second is not None:
            second.stop()
    if not stack.count:
        return None
    kept = np.concatenate(rest)
    return NumberColumns(stack.done(), {index: kept[:, k] for k, index in enumerate(others)}, pivot)


def _whole_file(
    layout: CsvLayout, inputs: Sequence[int], others: Sequence[int], pivot: Array | None, dtype: Any
) -> ParseTask:
    """Returns the task of parsing all of a file."""
    return ParseTask(
        file=str(layout.path),
        # a byte order mark stands in the header, which is not read here: plain UTF-8 is decoded faster
        encoding="utf-8" if layout.encoding == "utf-8-sig" and layout.skip else layout.encoding,
        delimiter=layout.delimiter,
        decimal=layout.decimal,
        comment=layout.comment,
        columns=len(layout.names),
        inputs=tuple(inputs),
        others=tuple(others),
        pivot=() if pivot is None else tuple(pivot.tolist()),
        dtype=np.dtype(dtype).str,
        rows=max(64, NUMBERS_PARSED_AT_ONCE // len(layout.names)),
        skip=layout.skip,
    )


def _by_lines(encoding: str) -> bool:
    """Whether a line ends where the byte of a line feed stands, so that a file can be read from a line on."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252")


def _rows_in(layout: CsvLayout, size: int) -> int:
    """Returns about how many rows a file has, rather too many than too few, by its first ones."""
    with open(layout.path, "rb") as file:
        sample = file.read(1 << 16)
    return int(1.01 * size * (sample.count(b"\n") + 1) / max(1, len(sample))) + 64


class RowBuffer:
    """Rows put below each other in one array, which grows where it stands."""

    def __init__(self, width: int, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._array, self.count = np.empty((0, width), dtype), 0

    def reserve(self, rows: int) -> None:
        """Makes room for so many rows; memory that is never written costs nothing."""
        self._array = np.empty((rows, self._array.shape[1]), self._array.dtype)

    def add(self, rows: Array) -> None:
        end = self.count + len(rows)
        if end > len(self._array):
            self._array.resize((end + end // 8, self._array.shape[1]), refcheck=False)
        self._array[self.count : end] = rows
        self.count = end

    def done(self) -> Array:
        """Returns the rows, in no more memory than they need."""
        self._array.resize((self.count, self._array.shape[1]), refcheck=False)
        return self._array


def _pivot(layout: CsvLayout, inputs: Sequence[int]) -> Array:
    """Returns what is subtracted from each column before it is kept as float32."""
    sample = [
        [meaning.number_of(cells[i].strip(), layout.decimal) or 0.0 for i in inputs] for _, cells in layout.sample
    ]
    with np.errstate(all="ignore"):
        low, high = np.min(sample, axis=0), np.max(sample, axis=0)
        middle = (low + high) / 2
        found: Array = np.where(np.abs(middle) > OFFSET_SPREADS * (high - low), middle, 0.0)
    return found


def read_columns(
    layout: CsvLayout, kinds: Mapping[str, Kind], aside: Sequence[str] = (), rules: GapRules | None = None
) -> LoadedColumns:
    """Returns the columns asked for, and as text those that rows are divided by; what is missing by the rule of each.
    Raises Failure with line and column."""
    rules = rules or GapRules()
    pieces: dict[str, list[Array]] = {name: [] for name, kind in kinds.items() if kind != "text"}
    texts: dict[str, list[str]] = {name: [] for name, kind in kinds.items() if kind == "text"}
    apart: dict[str, list[str]] = {name: [] for name in aside}
    convert = partial(_convert, layout, kinds, rules, pieces, texts, apart)
    lines = layout.lines()
    while chunk := list(itertools.islice(lines, CHUNK_ROWS)):
        for line, cells in chunk:
            if len(cells) != len(layout.names):
                convert([row for row in chunk if row[0] < line])  # what is wrong in an earlier row is named first
                raise ragged_row(layout.path, line, cells, len(layout.names), layout.encoding, layout.names)
        convert(chunk)
    columns = {n: np.concatenate(pieces[n]) if n in pieces else CodedText.of(texts[n]) for n in kinds}
    return rules.apply(columns, {name: CodedText.of(column) for name, column in apart.items()}, layout.path)


def _convert(
    layout: CsvLayout,
    kinds: Mapping[str, Kind],
    rules: GapRules,
    pieces: dict[str, list[Array]],
    texts: dict[str, list[str]],
    aside: dict[str, list[str]],
    chunk: Sequence[tuple[int, list[str]]],
) -> None:
    if not chunk:
        return
    columns = dict(zip(layout.names, zip(*(cells for _, cells in chunk), strict=True), strict=True))
    invalid: list[tuple[int, int, Kind]] = []
    for name, kind in kinds.items():
        column, gaps, index = columns[name], rules.allow(name), layout.names.index
        if kind != "text":
            numbers = meaning.values(column, kind, layout.decimal, gaps)
            if numbers is None:
                alone = (meaning.values([cell], kind, layout.decimal, gaps) for cell in column)
                bad_ones = (i for i, value in enumerate(alone) if value is None)
                invalid.append((next(bad_ones), index(name), kind))
            else:
                pieces[name].append(numbers)
        else:
            stripped = [sys.intern(cell.strip()) for cell in column]
            invalid += [(i, index(name), kind) for i, c in enumerate(stripped) if "\0" in c or not (c or gaps)][:1]
            texts[name] += ["" if meaning.is_missing(c, kind) else c for c in stripped] if gaps else stripped
    for name, column_aside in aside.items():
        stripped = [sys.intern(cell.strip()) for cell in columns[name]]
        invalid += [(i, layout.names.index(name), "text") for i, c in enumerate(stripped) if not c or "\0" in c][:1]
        column_aside += stripped
    if invalid:
        row, number, kind = min(invalid)
        raise wrong_cell(layout, *chunk[row], number, kind, rules.advice(layout.names[number]))
