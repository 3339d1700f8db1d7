"""The rows of a comma-separated file as lines for NumPy's parser, some thousand at a time: as they stand in the file,
or written anew by Python's csv module where that parser would read them differently, or not at all."""

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bpcli.parts.data.csv.file import CsvLayout, ragged_row
from bpcli.parts.data.csv.parse import WatchedBytes
from bpcli.parts.data.files import open_binary
from bpcli.records.training import Failure

NEW_DELIMITER = "\x1f"
"""Between the cells of lines that are written anew: the unit separator of ASCII."""

QUOTE, LINE_ENDS = ord('"'), (ord("\n"), ord("\r"))


class NotPlainError(Exception):
    """NumPy's parser does not read these rows as the csv module does."""


@dataclass
class LineSource:
    """Where the lines of a file come from; each can be gone through once.

    Lines are not `rewritten` where they can stay as they are: one character apart, quotes only around whole cells.
    What ends a file that is rewritten, the `failure` of a row, is kept until the rows before it have been read. A cell
    may begin with a zero before another digit where `zeros` says so.
    """

    layout: CsvLayout
    rows: int  # at a time
    rewritten: bool
    failure: Failure | None = field(default=None, init=False)
    watch: WatchedBytes | None = field(default=None, init=False)

    @property
    def delimiter(self) -> str:
        return NEW_DELIMITER if self.rewritten else self.layout.delimiter

    @property
    def zeros(self) -> bool:
        """Whether a cell that has been read so far may begin with a zero before another digit."""
        return self.watch is None or self.watch.zeros

    @property
    def is_loose(self) -> bool:
        """Whether `float` could take a cell that is no number as files write them."""
        return self.watch is None or self.watch.loose

    def chunks(self) -> Iterator[list[str]]:
        """Yields lines, each with a whole row. Raises NotPlainError."""
        return self._new_lines() if self.rewritten else self._own_lines()

    def _own_lines(self) -> Iterator[list[str]]:
        layout = self.layout
        with open_binary(layout.path) as file:
            watched = self.watch = WatchedBytes(file, layout.delimiter, layout.encoding)
            # a byte order mark stands in the header, which is not read here: plain UTF-8 is decoded faster
            encoding = "utf-8" if layout.encoding == "utf-8-sig" and layout.skip else layout.encoding
            text = io.TextIOWrapper(watched, encoding, newline="")
            lines: Iterator[str] = itertools.islice(text, layout.skip, None) if layout.skip else text
            if layout.comment is not None:
                comment = layout.comment
                lines = (line for line in lines if not line.startswith(comment))
            try:
                while chunk := list(itertools.islice(lines, self.rows)):
                    while watched.quotes and not self._quotes_close(chunk):
                        more = next(lines, None)
                        if more is None:
                            raise NotPlainError
                        chunk[-1] += more
                    yield chunk
            except UnicodeError:
                raise NotPlainError from None

    def _quotes_close(self, chunk: list[str]) -> bool:
        """Whether the last quoted cell ends in these lines. Raises NotPlainError where a quote does not stand at an end
        of a cell, or twice within one, and where a cell goes over several lines."""
        text = "".join(chunk)
        if '"' not in text:
            return True
        if self.layout.comment is not None:  # what looks like a comment may be part of a cell
            raise NotPlainError
        data = np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)
        quotes = np.flatnonzero(data == QUOTE)
        if len(quotes) % 2:
            return False
        marks = (ord(self.layout.delimiter), *LINE_ENDS, QUOTE)
        before = np.where(quotes[::2] > 0, data[quotes[::2] - 1], LINE_ENDS[0])
        after = np.append(data, LINE_ENDS[:1])[quotes[1::2] + 1]
        if not (np.isin(before, marks).all() and np.isin(after, marks).all()):
            raise NotPlainError
        return True

    def _new_lines(self) -> Iterator[list[str]]:
        layout, found = self.layout, self.layout.lines()
        more = True
        while more:
            chunk = _Written()
            writer = csv.writer(chunk, delimiter=NEW_DELIMITER, lineterminator="\r\n")  # cells with either are quoted
            try:
                rows = 0
                for line, cells in itertools.islice(found, self.rows):
                    if len(cells) != len(layout.names):
                        raise ragged_row(layout.path, line, cells, len(layout.names), layout.encoding, layout.names)
                    writer.writerow(cells)
                    rows += 1
                more = rows == self.rows
            except Failure as failure:
                self.failure, more = failure, False
            if chunk:
                yield chunk


class _Written(list[str]):
    """What the csv module writes, line by line."""

    def write(self, line: str) -> None:
        self.append(line)


def can_stay(layout: CsvLayout) -> bool:
    """Whether the lines of a file may be read as they stand: the delimiter is one byte that is no space and stands in
    no number, and there are several columns (a line of one cell may be blank)."""
    delimiter = layout.delimiter
    return len(layout.names) > 1 and delimiter.isascii() and delimiter not in (" ", layout.decimal, '"')


def is_too_long(cell: str) -> bool:
    """Whether the csv module refuses a cell."""
    return len(cell) > csv.field_size_limit()
