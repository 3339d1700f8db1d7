"""Reading the columns of a comma-separated file.

Numbers go through NumPy's C parser, some thousand rows at a time. Where the file has anything else, or that parser
meets what it does not take, Python's csv module reads it again and either succeeds or names line, column and cell.
"""

from __future__ import annotations

import codecs
import itertools
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.family import Array, Kind, Missing
from bpcli.numeric.threads import thread_count
from bpcli.parts.data import cells as meaning
from bpcli.parts.data.columns import FILL_ADVICE, complete_rows, gaps_of
from bpcli.parts.data.csv.file import CsvLayout, ragged_row, wrong_cell
from bpcli.parts.data.csv.parse import ParserProcess, ParseTask, parse_numbers
from bpcli.parts.data.files import open_text
from bpcli.parts.data.targets import labels

CHUNK_ROWS = 1 << 14  # rows converted at a time
NUMBERS_PARSED_AT_ONCE = 1 << 18  # numbers parsed at a time
DROP_ADVICE = "`missing: drop` leaves such rows out"
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
        """Room for so many rows; memory that is never written costs nothing."""
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


@dataclass
class ParsedColumns:
    """Columns of any kind: float64 (N,) of numbers (booleans, dates) with NaN where a value is missing, or Python
    strings (N,) with "" there. `raw` are columns as they stand, `kept` the rows of the file that are left (None: all),
    `dropped` how many want a value, by column, and `lost` how many are left out."""

    columns: dict[int, Array]
    raw: dict[int, Array] = field(default_factory=dict)
    kept: Array | None = None
    dropped: dict[int, int] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class ColumnRules:
    """What columns hold, what is done where they have no value, which cannot be filled in, and what to say then."""

    kinds: Mapping[int, Kind]
    missing: Mapping[int, Missing]
    targets: frozenset[int]
    advice: str


def read_columns(
    layout: CsvLayout,
    kinds: Mapping[int, Kind],
    missing: Mapping[int, Missing] | None = None,
    raw: Sequence[int] = (),
    targets: Sequence[int] = (),
    advice: str = FILL_ADVICE,
) -> ParsedColumns:
    """Returns the columns asked for; what is missing by the rule of each: an error where it has none, and `advice` says
    what to do. `targets` cannot be filled in. Raises Failure with line and column."""
    missing = missing or {}
    rules = ColumnRules(kinds, missing, frozenset(targets), advice)
    pieces: dict[int, list[Array]] = {index: [] for index, kind in kinds.items() if kind != "text"}
    texts: dict[int, list[str]] = {index: [] for index, kind in kinds.items() if kind == "text"}
    aside: dict[int, list[str]] = {index: [] for index in raw}
    lines = layout.lines()
    while chunk := list(itertools.islice(lines, CHUNK_ROWS)):
        for line, cells in chunk:
            if len(cells) != len(layout.names):
                # what is wrong in an earlier row is named first
                _convert(layout, [row for row in chunk if row[0] < line], rules, pieces, texts, aside)
                raise ragged_row(layout.path, line, cells, len(layout.names), layout.encoding, layout.names)
        _convert(layout, chunk, rules, pieces, texts, aside)
    columns = {index: np.concatenate(parts) for index, parts in pieces.items()}
    columns |= {index: labels(column) for index, column in texts.items()}
    found = ParsedColumns(columns, {index: labels(column) for index, column in aside.items()})
    return _without_gaps(layout, found, [index for index in kinds if missing.get(index) == "drop"])


def _without_gaps(layout: CsvLayout, found: ParsedColumns, required: Sequence[int]) -> ParsedColumns:
    """Returns the columns without the rows that lack a value of one of the required columns."""
    gaps = {i: gaps_of(found.columns[i]) for i in required}
    found.dropped = {i: int(lacking.sum()) for i, lacking in gaps.items() if lacking.any()}
    if not found.dropped:
        return found
    names = [layout.names[i] for i in found.dropped]
    where = ": they are missing in " + ", ".join(f"`{name}`" for name in names[:8])
    kept = complete_rows([gaps[i] for i in found.dropped], layout.path, where)
    for columns in (found.columns, found.raw):
        columns.update({i: column[kept] for i, column in columns.items()})
    found.lost = len(next(iter(gaps.values()))) - len(kept)
    found.kept = kept
    return found


def _convert(
    layout: CsvLayout,
    chunk: Sequence[tuple[int, list[str]]],
    rules: ColumnRules,
    pieces: dict[int, list[Array]],
    texts: dict[int, list[str]],
    aside: dict[int, list[str]],
) -> None:
    columns = list(zip(*(cells for _, cells in chunk), strict=True))
    invalid: list[tuple[int, int, Kind]] = []
    for index, kind in rules.kinds.items() if columns else ():
        column, gaps = columns[index], rules.missing.get(index, "error") != "error"
        if kind != "text":
            numbers = meaning.values(column, kind, layout.decimal, gaps)
            if numbers is None:
                alone = (meaning.values([cell], kind, layout.decimal, gaps) for cell in column)
                bad_ones = (i for i, value in enumerate(alone) if value is None)
                invalid.append((next(bad_ones), index, kind))
            else:
                pieces[index].append(numbers)
        else:
            stripped = [sys.intern(cell.strip()) for cell in column]
            invalid += [(i, index, kind) for i, c in enumerate(stripped) if "\0" in c or not (c or gaps)][:1]
            texts[index] += ["" if meaning.is_missing(c, kind) else c for c in stripped] if gaps else stripped
    for index in aside if columns else ():
        stripped = [sys.intern(cell.strip()) for cell in columns[index]]
        invalid += [(i, index, "text") for i, cell in enumerate(stripped) if not cell or "\0" in cell][:1]
        aside[index] += stripped
    if invalid:
        row, index, kind = min(invalid)
        judged = index in rules.targets or index in aside
        raise wrong_cell(layout, *chunk[row], index, kind, DROP_ADVICE if judged else rules.advice)
