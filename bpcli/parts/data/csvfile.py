"""Reading a comma-separated file: its layout, its cells, and where exactly it is wrong.

Numbers go through NumPy's C parser in one call. Where the file has text, or that parser meets anything it does not
take, Python's csv module reads it again and either succeeds or names the line, the column and the cell.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from bpcli.parts.data.files import bad, excerpt, open_binary, open_text, shown, visible
from bpcli.parts.data.targets import labels
from bpcli.plan import Array
from bpcli.records import Failure, Problem

Kind = Literal["number", "text"]

SAMPLE = 200  # rows that decide which columns are text
MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "null", "none"})
CHUNK = 1 << 14  # rows converted at a time


@dataclass(frozen=True)
class Layout:
    """How a file is written: its delimiter, its columns, the lines before the data, and the first rows."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    skip: int
    sample: tuple[tuple[int, list[str]], ...]  # line number and cells

    def kind(self, index: int) -> Kind:
        """Numbers, where most cells of the sample are numbers: one that is not will be named, not made a category."""
        cells = [cells[index].strip() for _, cells in self.sample]
        present = [cell for cell in cells if cell.lower() not in MISSING]
        return "text" if 2 * sum(map(is_meant_as_number, present)) < len(present) else "number"


def is_number(cell: str) -> bool:
    """Whether the cell is a number as files write it: not `1_000`, `1,5` or the digits of other scripts."""
    return is_meant_as_number(cell) and cell.isascii() and "_" not in cell and "," not in cell


def is_meant_as_number(cell: str) -> bool:
    """Whether the cell is a number, or would be one without its commas and underscores."""
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def scan(path: Path, delimiter: str | None, header: bool | None) -> Layout:
    """The layout of a file. `header` None expects a header and refuses one that looks like data; False names the
    columns 0, 1, 2. Raises Failure for an empty file, one without rows, and every fault of the first 200 rows."""
    delimiter = delimiter or _sniff(path)
    lines = rows(path, delimiter)
    first = next(lines, None)
    if first is None:
        raise bad("the file is empty", path, code="empty-file", help="it needs a header line and rows of data")
    line, cells = first
    if any("\0" in cell for cell in cells):
        help = "the file is binary, damaged, or written in UTF-16: save it as UTF-8 text"
        raise bad("the first line holds a NUL character", path, code="nul", line=line, help=help)
    names = tuple(cell.strip() for cell in cells)
    if header is None and _looks_like_data(names):
        text = f"the first line looks like data, not like a header: {', '.join(names[:4])}{', ...' * (len(names) > 4)}"
        help = "if the file has no header, add `header: false`; if these are column names, add `header: true`"
        raise bad(text, path, code="no-header", line=line, help=help)
    if header is False:
        return Layout(path, delimiter, tuple(map(str, range(len(cells)))), 0, (first, *_some(lines, path, len(cells))))
    sample = _some(lines, path, len(names))
    if not sample:
        raise bad("the file has a header but no rows", path, code="no-rows", help="add rows of data below the header")
    return Layout(path, delimiter, names, sample[0][0] - 1, sample)


def _looks_like_data(names: Sequence[str]) -> bool:
    """Whether most of the names are numbers, other than columns counted from 0 or 1."""
    numbers = [name for name in names if is_number(name)]
    counted = [[str(i + first) for i in range(len(numbers))] for first in (0, 1)]
    return 2 * len(numbers) > len(names) and numbers not in counted


def _some(lines: Iterator[tuple[int, list[str]]], path: Path, width: int) -> tuple[tuple[int, list[str]], ...]:
    found = tuple(itertools.islice(lines, SAMPLE))
    for line, cells in found:
        _same_width(path, line, cells, width)
    return found


def _sniff(path: Path) -> str:
    """The delimiter that cuts the first lines into equally many cells; of several, the one rarest inside numbers."""
    with open_text(path) as file, _Explained(path):
        head = [text for text in (file.readline(1 << 20) for _ in range(20)) if text.strip()]
    widths = {delimiter: _widths(head, delimiter) for delimiter in "\t;|,"}
    for delimiter, found in widths.items():
        if found and found[0] > 1 and len(set(found)) == 1:
            return delimiter
    return max(",;\t|", key=lambda d: widths[d][0] if widths[d] else 0)


def _widths(head: list[str], delimiter: str) -> list[int]:
    """How many cells each line has; nothing where they cannot be told apart, which reading will explain."""
    try:
        return [len(cells) for cells in csv.reader(head, delimiter=delimiter) if cells]
    except csv.Error:
        return []


class _Explained:
    """Turns what decoding and the csv module raise into a Failure with the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = 1  # line where the record being read starts

    def __enter__(self) -> _Explained:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeDecodeError):
            raise _not_utf8(self.path) from None
        if isinstance(error, csv.Error):
            text = "a quoted cell that starts here is not closed, or text follows its closing quote"
            help = 'inside quotes a quote is written twice: ""'
            if "limit" in str(error):
                text = f"a cell that starts here is longer than {csv.field_size_limit()} characters"
                help = "perhaps a quote is not closed, or the delimiter is another one"
            raise bad(text, self.path, code="bad-quotes", line=self.start, help=help) from None


def _not_utf8(path: Path) -> Failure:
    with open_binary(path) as file:
        line, start = 1, b""
        for number, data in enumerate(file, start=1):
            start = start or data[:4]
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                line = number
                break
    help = "save it as UTF-8 (a spreadsheet calls that `CSV UTF-8`)"
    if start[:2] == b"\x1f\x8b":
        help = "it is compressed with gzip: its name must end in .gz"
    elif start[:2] == b"PK":
        help = "it is a zip archive or a spreadsheet: export the sheet as CSV"
    elif start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        help = "it is written in UTF-16: save it as UTF-8"
    return bad("the text is not UTF-8", path, code="not-utf8", line=line, help=help)


def rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and cells of each row; blank lines are skipped. Raises Failure."""
    with _Explained(path) as place, open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
        for cells in reader:
            line, place.start = place.start, reader.line_num + 1
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield line, cells


def _same_width(path: Path, line: int, cells: list[str], width: int) -> None:
    if len(cells) != width:
        text = f"this row has {len(cells)} cell{'s' * (len(cells) != 1)}, {width} expected"
        help = "a cell that contains the delimiter must stand in quotes" if len(cells) > width else ""
        file, lines = shown(path), excerpt(path, line)
        raise Failure(Problem(text, code="ragged-row", file=file, line=line, excerpt=lines, help=help))


def read_numbers(layout: Layout) -> Array | None:
    """All columns as (N, C) float64 by NumPy's C parser; None where anything in the file is not a finite number."""
    try:
        with open_text(layout.path) as file:
            table: Array = np.loadtxt(
                file,
                delimiter=layout.delimiter,
                skiprows=layout.skip,
                comments=None,  # the default would cut a cell at `#`
                quotechar='"',
                ndmin=2,
                dtype=np.float64,
            )
    except ValueError:  # also UnicodeDecodeError
        return None
    return table if table.shape[1] == len(layout.names) and np.isfinite(table).all() else None


def read_columns(layout: Layout, kinds: Mapping[int, Kind]) -> dict[int, Array]:
    """The columns asked for: float64 (N,) or, for text, Python strings (N,). Raises Failure with line and column."""
    pieces: dict[int, list[Array]] = {index: [] for index, kind in kinds.items() if kind == "number"}
    texts: dict[int, list[str]] = {index: [] for index, kind in kinds.items() if kind == "text"}
    lines = rows(layout.path, layout.delimiter)
    if layout.skip:
        next(lines)
    while chunk := list(itertools.islice(lines, CHUNK)):
        for line, cells in chunk:
            if len(cells) != len(layout.names):
                # what is wrong in an earlier row is named first
                _convert(layout, [row for row in chunk if row[0] < line], kinds, pieces, texts)
                _same_width(layout.path, line, cells, len(layout.names))
        _convert(layout, chunk, kinds, pieces, texts)
    numbers = {index: np.concatenate(parts) for index, parts in pieces.items()}
    return {**numbers, **{index: labels(column) for index, column in texts.items()}}


def _convert(
    layout: Layout,
    chunk: Sequence[tuple[int, list[str]]],
    kinds: Mapping[int, Kind],
    pieces: dict[int, list[Array]],
    texts: dict[int, list[str]],
) -> None:
    columns = list(zip(*(cells for _, cells in chunk), strict=True))
    faults: list[tuple[int, int]] = []
    for index, kind in kinds.items() if columns else ():
        column = columns[index]
        if kind == "number":
            numbers = _floats(column)
            if numbers is None:
                faults.append((next(i for i, cell in enumerate(column) if not _finite(cell)), index))
            else:
                pieces[index].append(numbers)
        else:
            stripped = [sys.intern(cell.strip()) for cell in column]
            faults += [(i, index) for i, cell in enumerate(stripped) if not cell or "\0" in cell][:1]
            texts[index] += stripped
    if faults:
        row, index = min(faults)
        raise _wrong_cell(layout, *chunk[row], index, kinds[index])


def _floats(cells: Sequence[str]) -> Array | None:
    joined = "".join(cells)
    if not joined.isascii() or "_" in joined:  # float() takes more than a file should hold
        return None
    try:
        numbers = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _finite(cell: str) -> bool:
    return is_number(cell) and bool(np.isfinite(float(cell)))


def _wrong_cell(layout: Layout, line: int, cells: list[str], index: int, kind: Kind) -> Failure:
    cell, name = cells[index].strip(), layout.names[index]
    value = visible(cell if len(cell) <= 40 else f"{cell[:40]}...")
    leave_out = f"to leave the column out, write `drop: [{name}]`"
    if "\0" in cell:
        code, text = "nul", f"column `{name}` holds a NUL character"
        help = "the file is damaged, or written in UTF-16: save it as UTF-8 text"
    elif cell.lower() in MISSING:
        code, text = "missing-value", f"column `{name}` has no value here ({f'`{cell}`' if cell else 'an empty cell'})"
        help = f"missing values are an error: fill the cell in or remove the row; {leave_out}"
    elif is_number(cell):
        code, text = "not-finite", f"column `{name}`: `{value}` is not a finite number"
        help = f"numbers go up to 1.8e308: correct the cell or remove the row; {leave_out}"
    else:
        code, text = "not-a-number", f"column `{name}`: `{value}` is not a number"
        help = f"if the column holds text, write `text: [{name}]`; {leave_out}"
        if is_meant_as_number(cell):
            help = "write numbers as 1234.5: a decimal point, and nothing between thousands"
    file, lines = shown(layout.path), excerpt(layout.path, line)
    problem = Problem(text, code=code, file=file, line=line, excerpt=lines, help=help)
    return Failure(_pointed(problem, cells, index, layout.delimiter))


def _pointed(problem: Problem, cells: list[str], index: int, delimiter: str) -> Problem:
    """The problem with the caret under its cell, where the line can be cut without knowing about quotes."""
    if problem.excerpt and '"' not in problem.excerpt[0][1]:
        parts = problem.excerpt[0][1].split(delimiter)
        if len(parts) == len(cells):
            place = sum(len(part) + 1 for part in parts[:index]) + 1
            return replace(problem, column=place, span=max(1, len(parts[index])))
    return problem
