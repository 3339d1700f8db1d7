"""How a comma-separated file is written: its encoding, its delimiter, its columns; its rows one by one, and where
exactly one of them is wrong."""

import codecs
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bpcli.family.cell_format import DecimalMark
from bpcli.parts.data.cells import has_decimal_commas, is_meant_as_number
from bpcli.parts.data.csv.encodings import readings, unmarked_unicode
from bpcli.parts.data.files import data_error, display_path, encoding_of, excerpt, open_binary, open_text, visible
from bpcli.records.training import Failure, Problem

SAMPLE_ROWS = 200  # rows that decide which columns are text
QUOTED_ROWS = 5  # whose first cells stand in quotes, where they are names
START_BYTES = 1 << 12  # of a file, and of a line, that say what a file may be


@dataclass(frozen=True)
class CsvFormat:
    """What is known of how a file is written; None is found in the file."""

    delimiter: str | None = None
    header: bool | None = None
    encoding: str | None = None
    decimal: DecimalMark | None = None
    comment: str | None = None


@dataclass(frozen=True)
class CsvLayout:
    """How a file is written: its delimiter, its columns, the lines before the data, and the first rows."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    skip: int
    sample: tuple[tuple[int, list[str]], ...]  # line number and cells
    encoding: str
    decimal: DecimalMark = "."
    comment: str | None = None
    header_line: int = 1

    def sample_of(self, index: int) -> list[str]:
        """Returns the cells of a column in the first rows."""
        return [cells[index].strip() for _, cells in self.sample]

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yields line number and cells of each row of data. Raises Failure."""
        found = rows(self.path, self.delimiter, self.encoding, self.comment)
        return itertools.dropwhile(lambda row: row[0] <= self.skip, found)


def scan_layout(path: Path, form: CsvFormat | None = None) -> CsvLayout:
    """Returns the layout of a file. A header is expected, and one that looks like data refused, unless `header` says
    otherwise: False names the columns 0, 1, 2. Raises Failure for an empty file, one without rows, and every fault of
    the first 200 rows."""
    form = form or CsvFormat()
    encoding = form.encoding or encoding_of(path)
    encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding  # with or without a mark
    declared = _declared_delimiter(path, encoding)
    delimiter = form.delimiter or declared or _sniff(path, encoding, form.comment)
    lines = rows(path, delimiter, encoding, form.comment)
    first = next(itertools.islice(lines, 1 if declared else 0, None), None)
    if first is None:
        raise data_error("the file is empty", path, code="empty-file", help="it needs a header line and rows of data")
    line, cells = first
    if any("\0" in cell for cell in cells):
        order = "be" if cells[0].startswith("\0") else "le"  # of the two bytes of a letter
        help = f"the file is binary or damaged; if it is written in UTF-16, add `encoding: utf-16-{order}`"
        raise data_error("the first line holds a NUL character", path, code="nul", line=line, help=help)
    names = tuple(cell.strip() for cell in cells)
    if form.header is None and _looks_like_data(names):
        text = f"the first line looks like data, not like a header: {', '.join(names[:4])}{', ...' * (len(names) > 4)}"
        help = "if the file has no header, add a line with the names of its columns, or `header: false`; "
        help += "if these are column names, add `header: true`"
        raise data_error(visible(text), path, code="no-header", line=line, help=help)
    if form.header is False:
        names = tuple(map(str, range(len(cells))))
    sample = tuple(itertools.islice(lines, SAMPLE_ROWS))
    longer = form.header is not False and all(len(row) == len(names) + 1 for _, row in sample)
    front = "`row` and a tab" if delimiter == "\t" else f"`row{delimiter}`"
    names = ("", *names) if longer and _are_named(path, encoding, sample) else names
    for number, row in sample:
        if len(row) != len(names):
            raise ragged_row(path, number, row, len(names), encoding, names, start=front * longer)
    if form.header is False:
        sample = (first, *sample)
    if not sample:
        help = "add rows of data below the header"
        raise data_error("the file has a header but no rows", path, code="no-rows", help=help)
    decimal: DecimalMark = form.decimal or "."
    if form.decimal is None and delimiter != ",":
        decimal = "," if has_decimal_commas(cell.strip() for _, row in sample for cell in row) else "."
    skip = sample[0][0] - 1 if declared or form.header is not False else 0
    return CsvLayout(path, delimiter, names, skip, sample, encoding, decimal, form.comment, line)


def _are_named(path: Path, encoding: str, rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether rows that have a cell more than the header start with their names, as R writes them: all differ, and
    stand in quotes."""
    first = [row[0].strip() for _, row in rows]
    shown = [excerpt(path, number, encoding) for number, _ in rows[:QUOTED_ROWS]]
    quoted = all(lines and lines[0][1].startswith('"') for lines in shown)
    return quoted and len(set(first)) == len(first) and any(row[-1].strip() for _, row in rows)


def _declared_delimiter(path: Path, encoding: str) -> str:
    """Returns the delimiter that the first line names, as Excel writes it: `sep=;`; "" where it names none."""
    with open_text(path, encoding=encoding) as file, _ReadErrors(path, encoding):
        found = re.fullmatch(r'"?sep=(.)"?', file.readline(80).rstrip("\r\n"), re.I)
    return found[1] if found else ""


def _looks_like_data(names: Sequence[str]) -> bool:
    """Whether most of the names are numbers, other than columns counted from 0 or 1."""
    numbers = [name for name in names if is_meant_as_number(name)]
    counted = [[str(i + first) for i in range(len(numbers))] for first in (0, 1)]
    return 2 * len(numbers) > len(names) and numbers not in counted


def _sniff(path: Path, encoding: str, comment: str | None) -> str:
    """Returns the delimiter that cuts the first lines into equally many cells; of several, the one rarest inside
    numbers."""
    with open_text(path, encoding=encoding) as file, _ReadErrors(path, encoding):
        read = (file.readline(1 << 20) for _ in range(20))
        head = [text for text in read if text.strip() and not (comment and text.startswith(comment))]
    widths = {delimiter: _widths(head, delimiter) for delimiter in "\t;|,"}
    for delimiter, found in widths.items():
        if found and found[0] > 1 and len(set(found)) == 1:
            return delimiter
    blanks = _widths(head, " ")
    if blanks and blanks[0] > 1 and head[0].startswith('"') and all(found[:1] == [1] for found in widths.values()):
        return " "  # as R writes a table
    return max(",;\t|", key=lambda d: widths[d][0] if widths[d] else 0)


def _widths(head: Iterable[str], delimiter: str) -> list[int]:
    """Returns how many cells each line has; nothing where they cannot be told apart, which reading will explain."""
    try:
        return [len(cells) for cells in csv.reader(head, delimiter=delimiter) if cells]
    except csv.Error:
        return []


class _ReadErrors:
    """Turns what decoding and the csv module raise into a Failure with the line."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding
        self.start = 1  # line where the record being read starts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeError):
            raise _undecodable(self.path, self.encoding) from None
        if isinstance(error, csv.Error):
            text = "a quoted cell that starts here is not closed, or text follows its closing quote"
            help = 'inside quotes a quote is written twice: ""'
            if "limit" in str(error):
                text = f"a cell that starts here is longer than {csv.field_size_limit()} characters"
                help = "perhaps a quote is not closed, or the delimiter is another one"
            raise data_error(text, self.path, code="bad-quotes", line=self.start, help=help) from None


def _undecodable(path: Path, encoding: str) -> Failure:
    """Returns the failure of a text that is not what it is read as, with the encodings that it may be written in."""
    if encoding != "utf-8-sig":
        text = f"the text is not {encoding.upper()}"
        return data_error(text, path, code="not-text", help="leave `encoding` out, or name the one it was saved in")
    first, start, odd, good = 1, b"", list[bytes](), 0
    with open_binary(path) as file:
        for number, data in enumerate(file, start=1):
            start += data[: START_BYTES - len(start)]
            try:
                data.decode("utf-8")
                good += not data.isascii()
            except UnicodeDecodeError:
                first = first if odd else number
                odd.append(data[:START_BYTES])
                if len(odd) >= SAMPLE_ROWS:
                    break
    help = _encoding_help(start, first, odd, good)
    return data_error("the text is not UTF-8", path, code="not-utf8", line=first, help=help)


def _encoding_help(start: bytes, first: int, odd: Sequence[bytes], good: int) -> str:
    """Returns what to type where a text is not UTF-8: by its `start`, by some of the lines that are not, the `first` of
    which has this number, and how many others are, ASCII left out."""
    if start[:2] == b"\x1f\x8b":
        return "it is compressed with gzip: its name must end in .gz"
    if start[:4] == b"PAR1":
        return "it is a Parquet file: write `type: parquet`"
    if start[:2] == b"PK":
        return "it is a zip archive or a spreadsheet: export the sheet as CSV"
    if unmarked := unmarked_unicode(start):
        return f"it is full of zeros, as {unmarked[:6].upper()} is: if it is that, add `encoding: {unmarked}`"
    if good > len(odd):
        return f"{good:,} other lines are UTF-8: write this one so, too"
    ways = [f"`encoding: {name}` where line {first} holds `{visible(word)}`" for name, word in readings(odd)]
    help = "save it as UTF-8 (a spreadsheet calls that `CSV UTF-8`), or say what it is"
    return help + (f": {', or '.join(ways)}" if ways else " by `encoding`, if it is text at all")


class _DataLines:
    """The lines of a file, but for comments where a row could begin; `start` is where the row being read began."""

    def __init__(self, file: Iterable[str], comment: str | None) -> None:
        self._file, self._comment = file, comment
        self.start, self.between = 1, True

    def __iter__(self) -> Iterator[str]:
        for number, text in enumerate(self._file, start=1):
            if self.between:
                if self._comment and text.startswith(self._comment):
                    continue
                self.start, self.between = number, False
            yield text


def rows(path: Path, delimiter: str, encoding: str, comment: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yields line number (from 1) and cells of each row; blank lines and comments are skipped. Raises Failure."""
    with _ReadErrors(path, encoding) as errors, open_text(path, encoding=encoding) as file:
        lines = _DataLines(file, comment)
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        while True:
            try:
                cells = next(reader, None)
            finally:
                errors.start = lines.start
            if cells is None:
                return
            lines.between = True
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield lines.start, cells


def ragged_row(
    path: Path, line: int, cells: list[str], width: int, encoding: str, names: Sequence[str], start: str = ""
) -> Failure:
    """Returns the failure of a row that has more or fewer cells than the header; where all rows have one more, `start`
    is what the header may lack."""
    text = f"this row has {len(cells)} cell{'s' * (len(cells) != 1)}, {width} expected"
    help = "write all cells of the row, empty ones too: a delimiter between each two; or remove the row"
    if len(cells) > width:
        help = "a cell that contains the delimiter must stand in quotes"
        if start:
            help = "all rows have a cell more than the header has names: where rows start with names or numbers of "
            help += f"their own, as R writes them, write {start} in front of the header; or quote the cells that "
            help += "contain the delimiter"
    if len(cells) == width + 1 and not cells[-1]:
        help = "it ends in a delimiter, and the header does not: remove it, or name one more column"
    if names and names[0].startswith(("#", "%")):
        help = f'if lines that start with {names[0][0]} are comments, add `comment: "{names[0][0]}"`'
    lines = excerpt(path, line, encoding)
    return Failure(Problem(text, code="ragged-row", file=display_path(path), line=line, excerpt=lines, help=help))


def _split_line(text: str, delimiter: str) -> list[str]:
    """Returns a line cut at the delimiters outside quotes, the quotes left in."""
    found, inside, start = [], False, 0
    for i, character in enumerate(text):
        cell = text[start:i].lstrip()
        if character == '"' and (inside or not cell or (cell[0] == cell[-1] == '"')):  # "" is a quote within quotes
            inside = not inside
        elif character == delimiter and not inside:
            found.append(text[start:i])
            start = i + 1
    return [*found, text[start:]]


def with_position(layout: CsvLayout, problem: Problem, line: int, cells: list[str], index: int) -> Problem:
    """Returns the problem at its line, the caret under its cell where the row is one line."""
    lines = excerpt(layout.path, line, layout.encoding)
    problem = replace(problem, file=display_path(layout.path), line=line, excerpt=lines)
    if lines:
        parts = _split_line(lines[0][1], layout.delimiter)
        if layout.delimiter == "\t" and '"' not in lines[0][1]:
            parts = cells  # `visible` has made spaces of the tabs
        if len(parts) == len(cells):
            start = sum(len(part) + 1 for part in parts[:index]) + 1
            return replace(problem, column=start, span=max(1, len(parts[index])))
    return problem
