"""The columns of a comma-separated file, as numbers or as coded text, by NumPy's parser with converters.

A column that holds plain numbers is read as such. Where it meets another cell, that is a missing value; or the column
is read again, from the beginning, as text of which each different cell is kept once.
"""

import csv
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.family import Array, CodedText
from bpcli.parts.data.cells import are_plain_numbers, is_missing, number_of
from bpcli.parts.data.csv.file import CsvLayout
from bpcli.parts.data.csv.lines import LineSource, NotPlainError, can_stay, is_too_long
from bpcli.parts.data.csv.parse import EXACT_INTEGERS
from bpcli.parts.data.csv.rows import RowBuffer
from bpcli.records.training import Failure

MOST_DIGITS_KEPT = 1 << 16  # different cells of digits of a column
LEADING_ZERO = re.compile(r"0\d+")
THOUSANDS_OR_DECIMALS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
OTHER_MARK = str.maketrans(".,", ",.")


@dataclass(frozen=True)
class ReadingPlan:
    """What is read of a file, by the positions of columns: `inputs` that are numbers side by side, as `dtype`, less
    `pivot`; `others` each by itself; of both, `coded` ones are kept as text. The file is read a `chunk` at a time."""

    inputs: tuple[int, ...]
    others: tuple[int, ...]
    coded: frozenset[int]
    dtype: Any = np.float64
    pivot: Array | None = None  # (inputs,)
    rows: int = 0  # about how many there are, where that is known
    chunk: int = 1 << 13  # rows at a time

    @cached_property
    def numbers(self) -> Mapping[int, None]:
        """The columns that are read as numbers, in order."""
        return {i: None for i in (*self.inputs, *self.others) if i not in self.coded}


@dataclass
class FileColumns:
    """The columns of a file: its `stack` (N, columns) of inputs that are numbers, at the positions `stacked`, less
    `pivot`; other columns of numbers (N,) float64 and coded ones by position. NaN is a missing value, and `gaps` are
    the cells of columns of numbers that say so. `failure` is what is wrong with the row after these."""

    stack: Array
    stacked: tuple[int, ...]
    pivot: Array | None
    numbers: dict[int, Array] = field(default_factory=dict)
    texts: dict[int, CodedText] = field(default_factory=dict)
    gaps: dict[int, tuple[str, ...]] = field(default_factory=dict)
    failure: Failure | None = None

    def column(self, index: int) -> Array:
        """Returns the numbers (N,) of a column; those of a stacked one less its pivot."""
        return self.numbers[index] if index in self.numbers else self.stack[:, self.place[index]]

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Where each of the `stacked` columns stands in the stack."""
        return {index: k for k, index in enumerate(self.stacked)}


class _Codes(dict[str, int]):
    """The code of each different cell, in the order in which they come; what stands in spaces is the same cell."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, cell: str) -> int:
        text = cell.strip()
        if is_too_long(cell):
            raise ValueError("a cell that is too long")
        if text != cell:
            code = self[cell] = self[text]
        else:
            code = self[cell] = len(self.texts)
            self.texts.append(cell)
        return code


class _Gaps(dict[str, float]):
    """Cells of numbers of which some are missing; those that are known to be, with NaN."""

    __missing__ = float


class _StrictGaps(dict[str, float]):
    """The same where `float` would take what is no number in a file; and, of `digits`, no code with leading zeros."""

    def __init__(self, gaps: Collection[str], digits: bool) -> None:
        super().__init__(dict.fromkeys(gaps, np.nan))
        self._digits = digits

    def __missing__(self, cell: str) -> float:
        number = number_of(cell)
        if number is None or (self._digits and LEADING_ZERO.fullmatch(cell.strip())):
            raise ValueError("no plain number")
        if self._digits and len(self) < MOST_DIGITS_KEPT:
            self[cell] = number
        return number


def read_file(layout: CsvLayout, plan: ReadingPlan) -> FileColumns:
    """Returns the columns of a file. Raises Failure where its first row is wrong; what is wrong in a later one is in
    the columns' `failure`."""
    coded = plan.coded | {i for i in plan.numbers if not are_numbers(layout, i)}
    rewritten = not can_stay(layout)
    while True:
        reading = _Reading(layout, plan, coded, rewritten)
        try:
            reading.run()
        except NotPlainError:
            if rewritten and coded >= set(plan.numbers):  # nothing is left that could be read in another way
                raise
            coded, rewritten = coded | set(plan.numbers if rewritten else ()), True
            continue
        if reading.coded == coded:
            return reading.done()
        coded = frozenset(reading.coded)


def are_numbers(layout: CsvLayout, index: int) -> bool:
    """Whether a column holds plain numbers, by the first rows: nothing that could be a code, a date, or thousands."""
    cells = _present(layout, index)
    if not cells:
        return False
    if layout.decimal == "." or all(map(str.isdigit, cells)):
        return are_plain_numbers(cells)
    with_comma = [cell for cell in cells if "," in cell]
    are_clear = not with_comma or not all(map(THOUSANDS_OR_DECIMALS.fullmatch, with_comma))
    return are_clear and all(number_of(cell, ",") is not None for cell in cells)


def _present(layout: CsvLayout, index: int) -> list[str]:
    """Returns the cells of the first rows that are not missing."""
    return [cell for cell in layout.sample_of(index) if not is_missing(cell, "number")]


class _Reading:
    """One way through a file. A column that turns out to hold other cells than numbers is added to `coded`; then what
    is read only serves to find further ones."""

    def __init__(self, layout: CsvLayout, plan: ReadingPlan, coded: Collection[int], rewritten: bool) -> None:
        self.layout, self.plan = layout, plan
        self.known, self.coded = frozenset(coded), set(coded)
        self.source = LineSource(layout, plan.chunk, rewritten)
        self.stacked = tuple(i for i in plan.inputs if i not in coded)
        self.pivot = None if plan.pivot is None else plan.pivot[[i not in coded for i in plan.inputs]]
        self.stack = RowBuffer(len(self.stacked), plan.dtype)
        self.stack.reserve(plan.rows)
        together = self.stacked == tuple(range(self.stacked[0], self.stacked[-1] + 1)) if self.stacked else False
        self.where: Any = slice(self.stacked[0], self.stacked[-1] + 1) if together else list(self.stacked)
        self.numbers: dict[int, list[Array]] = {i: [] for i in plan.others if i not in coded}
        self.codes = {i: _Codes() for i in (*plan.inputs, *plan.others) if i in coded}
        self.rows_of_codes: dict[int, list[Array]] = {i: [] for i in self.codes}
        self.gaps: dict[int, set[str]] = {}
        self.digits = [i for i in plan.numbers if i not in coded and all(map(str.isdigit, _present(layout, i)))]
        self.may_be_codes = frozenset(self.digits)
        self.state: tuple[bool, bool] | None = None
        self.converters: dict[int | str, Callable[[str], Any]] = {}

    def run(self) -> None:
        """Reads the file. Raises NotPlainError."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of blank lines
            for chunk in self.source.chunks():
                self._add(chunk)

    def done(self) -> FileColumns:
        """Returns what was read. Raises Failure where the first row is wrong."""
        failure = self.source.failure
        if failure is not None and not self.stack.count:
            raise failure
        with_points = self.layout.decimal == "."
        texts = {}
        for i, known in self.codes.items():
            cells = known.texts if with_points else [cell.translate(OTHER_MARK) for cell in known.texts]
            texts[i] = CodedText(np.concatenate(self.rows_of_codes[i]), tuple(cells))
        numbers = {i: np.concatenate(parts) for i, parts in self.numbers.items()}
        gaps = {
            i: tuple(sorted(c if with_points else c.translate(OTHER_MARK) for c in self.gaps[i])) for i in self.gaps
        }
        return FileColumns(self.stack.done(), self.stacked, self.pivot, numbers, texts, gaps, failure)

    def _add(self, chunk: list[str]) -> None:
        lines = chunk if self.layout.decimal == "." else [line.translate(OTHER_MARK) for line in chunk]
        while True:
            try:
                part = self._parsed(lines)
                break
            except ValueError:
                self._examine(chunk)
        if len(part) and self.coded == self.known:
            found = part[:, self.where]
            self.stack.add(found if self.pivot is None else found - self.pivot)
            for i, numbers in self.numbers.items():
                numbers.append(part[:, i].copy())
            for i, codes in self.rows_of_codes.items():
                codes.append(part[:, i].astype(np.int32))

    def _parsed(self, lines: list[str]) -> Array:
        """Returns the cells (n, columns) of lines as numbers: codes of coded columns, and anything of columns that are
        not wanted. Raises ValueError where a cell is neither a finite number nor known to be missing."""
        state = self.source.zeros, self.source.is_loose
        if state != self.state:
            self.state = state
            found = {i: self._converter(i) for i in range(len(self.layout.names))}
            self.converters = {i: convert for i, convert in found.items() if convert is not None}
        part: Array = np.loadtxt(
            lines,
            delimiter=self.source.delimiter,
            comments=None,  # the default would cut a cell at `#`
            quotechar='"',
            ndmin=2,
            dtype=np.float64,
            converters=self.converters or None,
        )
        if len(part) and (
            part.shape[1] != len(self.layout.names)
            or (not np.isfinite(part.sum()) and np.isinf(part).any())
            or (np.abs(part[:, self.digits]) >= EXACT_INTEGERS).any()
        ):
            raise ValueError("not plain numbers")
        return part

    def _converter(self, index: int) -> Callable[[str], Any] | None:
        """Returns what makes a number of a cell; None where NumPy's parser does so."""
        if index in self.codes:
            return self.codes[index].__getitem__
        if index in self.coded or index not in self.plan.numbers:
            return len
        gaps = self.gaps.get(index, ())
        digits = index in self.may_be_codes and self.source.zeros
        if digits or (gaps and self.source.is_loose):
            return _StrictGaps(gaps, digits).__getitem__
        return _Gaps(dict.fromkeys(gaps, np.nan)).__getitem__ if gaps else None

    def _examine(self, chunk: list[str]) -> None:
        """Finds the columns of numbers that hold other cells in these lines: missing values, or what makes them coded.
        Raises NotPlainError where there are none."""
        before, source = self.state, self.source
        try:
            found = list(csv.reader(chunk, delimiter=source.delimiter, strict=True, skipinitialspace=True))
        except csv.Error:
            raise NotPlainError from None
        rows = [cells for cells in found if len(cells) > 1 or (cells and cells[0].strip())]
        if any(len(cells) != len(self.layout.names) for cells in rows):
            raise NotPlainError
        for i in self.plan.numbers:
            if i not in self.coded:
                spelled = {cell if self.layout.decimal == "." else cell.translate(OTHER_MARK): cell
                           for cell in {cells[i] for cells in rows} if not self._is_plain(cell, i)}  # fmt: skip
                new = spelled.keys() - self.gaps.get(i, set())
                if not new:
                    continue
                if all(is_missing(spelled[cell], "number") for cell in new):
                    self.gaps.setdefault(i, set()).update(new)
                else:
                    self.coded.add(i)
                self.state = None
        if self.state == before:
            raise NotPlainError

    def _is_plain(self, cell: str, index: int) -> bool:
        """Whether a cell of a column of numbers is one, and no code."""
        text = cell.strip()
        number = number_of(text, self.layout.decimal)
        if number is None or not np.isfinite(number):
            return False
        return index not in self.may_be_codes or not (abs(number) >= EXACT_INTEGERS or LEADING_ZERO.fullmatch(text))
