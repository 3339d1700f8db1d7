"""Reading the columns of a comma-separated file: numbers, or what the different cells of a column mean.

The plain numbers of a large file are parsed by two processes; every other file by one, which also names what is wrong
in it: line, column and cell.
"""

import codecs
import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bpcli.family import Array, CodedText, ColumnFormat, Kind, Treatment
from bpcli.numeric.threads import thread_count
from bpcli.numeric.vectors import all_finite
from bpcli.parts.data.cells import FormatProblem, cell_values, is_gap, is_missing, number_of
from bpcli.parts.data.columns.formats import Role, column_format, later_format, value_declared_missing
from bpcli.parts.data.columns.loading import GapRules, LoadedColumns
from bpcli.parts.data.csv.cell_errors import format_failure, wrong_cell
from bpcli.parts.data.csv.file import CsvLayout
from bpcli.parts.data.csv.parse import ParserProcess, ParseTask, parse_numbers
from bpcli.parts.data.csv.reading import (
    FileColumns,
    ReadingPlan,
    are_numbers,
    read_file,
)
from bpcli.parts.data.csv.rows import RowBuffer
from bpcli.parts.data.targets import EXACT
from bpcli.records.training import Failure, Problem

NUMBERS_PARSED_AT_ONCE = 1 << 16
"""So many, with the lines they stand in, are in the cache of a core."""

FLOAT32_FILE_BYTES = 32 << 20
"""Bytes of a file from which on its numbers are kept as float32, where that is what they will be."""

OFFSET_SPREADS = 2.0
"""A column whose numbers are this many times their spread away from 0 (a time in seconds, a year) is kept as float32
about the middle of its first rows: nothing is lost that scaling would keep."""


@dataclass(frozen=True)
class WantedColumns:
    """What is wanted of a file, by the positions of columns: inputs, others (targets, weights, what rows are divided
    by), those of both that are text, and the targets that are names of classes."""

    inputs: tuple[int, ...]
    others: tuple[int, ...]
    texts: frozenset[int] = frozenset()
    labels: frozenset[int] = frozenset()


def read_columns(layout: CsvLayout, wanted: WantedColumns, compact: bool = False) -> FileColumns:
    """Returns the columns of a file: numbers, or coded text. `compact` keeps the numbers of the inputs of a large file
    as float32. Raises Failure where its first row is wrong; the columns' `failure` is what is wrong in a later one."""
    packed, size = layout.path.suffix == ".gz", layout.path.stat().st_size
    large = size * (4 if packed else 1) > FLOAT32_FILE_BYTES
    plan = ReadingPlan(
        inputs=wanted.inputs,
        others=wanted.others,
        coded=wanted.texts | wanted.labels,
        dtype=np.float32 if compact and large else np.float64,
        pivot=_pivot(layout, wanted.inputs) if compact and large else None,
        rows=_rows_in(layout, size) if large and not packed else 0,
        chunk=max(64, NUMBERS_PARSED_AT_ONCE // len(layout.names)),
    )
    found = None
    if large and not packed and not wanted.texts and thread_count() > 1:
        found = _by_two(layout, plan, wanted.labels)
    return read_file(layout, plan) if found is None else found


def _by_two(layout: CsvLayout, plan: ReadingPlan, labels: frozenset[int]) -> FileColumns | None:
    """Returns the columns of a file that holds plain numbers only, of which another process parses the second half;
    None of any other file."""
    if not _by_lines(layout) or not all(are_numbers(layout, i) for i in range(len(layout.names))):
        return None
    first, other = _whole_file(layout, plan, labels).halves()
    try:
        second = ParserProcess(other)
    except OSError:
        return None
    stack, rest = RowBuffer(len(plan.inputs), plan.dtype), []
    stack.reserve(plan.rows)
    with suppress(ValueError):  # also UnicodeDecodeError
        try:
            for x, other_values in itertools.chain(parse_numbers(first), second.parse_numbers()):
                stack.add(x)
                rest.append(other_values)
        finally:
            second.stop()
        if stack.count:
            kept = np.concatenate(rest)
            numbers = {index: kept[:, k] for k, index in enumerate(plan.others)}
            return FileColumns(stack.done(), plan.inputs, plan.pivot, numbers)
    return None


def _whole_file(layout: CsvLayout, plan: ReadingPlan, labels: frozenset[int]) -> ParseTask:
    """Returns the task of parsing all of a file."""
    return ParseTask(
        file=str(layout.path),
        # a byte order mark stands in the header, which is not read here: plain UTF-8 is decoded faster
        encoding="utf-8" if layout.encoding == "utf-8-sig" and layout.skip else layout.encoding,
        delimiter=layout.delimiter,
        decimal=layout.decimal,
        comment=layout.comment,
        columns=len(layout.names),
        inputs=plan.inputs,
        others=plan.others,
        labels=tuple(sorted(labels)),
        pivot=() if plan.pivot is None else tuple(plan.pivot.tolist()),
        dtype=np.dtype(plan.dtype).str,
        rows=plan.chunk,
        skip=layout.skip,
    )


def _by_lines(layout: CsvLayout) -> bool:
    """Whether a line ends where the byte of a line feed stands, so that a file can be read from a line on."""
    name = codecs.lookup(layout.encoding).name
    return layout.path.is_file() and name in ("utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252")


def _rows_in(layout: CsvLayout, size: int) -> int:
    """Returns about how many rows a file has, rather too many than too few, by its first ones."""
    with open(layout.path, "rb") as file:
        sample = file.read(1 << 16)
    return int(1.01 * size * (sample.count(b"\n") + 1) / max(1, len(sample))) + 64


def _pivot(layout: CsvLayout, inputs: Sequence[int]) -> Array:
    """Returns what is subtracted from each column before it is kept as float32."""
    sample = [[number_of(cells[i].strip(), layout.decimal) or 0.0 for i in inputs] for _, cells in layout.sample]
    with np.errstate(all="ignore"):
        low, high = np.nanmin(sample, axis=0), np.nanmax(sample, axis=0)
        middle = (low + high) / 2
        found: Array = np.where(np.abs(middle) > OFFSET_SPREADS * (high - low), middle, 0.0)
    return found


class CellColumns:
    """The columns of a file by name, of which it is found what their cells mean."""

    def __init__(self, layout: CsvLayout, cells: FileColumns, position: Mapping[str, int]) -> None:
        self.layout, self.cells, self.position = layout, cells, position
        self.formats: dict[str, ColumnFormat] = {}

    def kind(
        self, name: str, treatment: Treatment, declared: Kind | None = None, role: Role = "input",
        known: ColumnFormat | None = None, *, for_all: bool = False,
    ) -> Kind:  # fmt: skip
        """Returns what a column holds, by all of its cells, or as it is `known` from training, but for what the
        treatment says; `for_all` is whether the treatment's marks are those of all columns. Raises Failure where no
        format fits them; names of classes need none."""
        text = self.cells.texts.get(self.position[name])
        if text is None:
            return "number"
        cells, counts, decimal = text.categories, text.counts.tolist(), self.layout.decimal
        if known is None:
            found = column_format(cells, counts, treatment, declared, role, decimal, for_all)
        else:
            found = later_format(cells, counts, known, treatment, decimal, for_all)
        if isinstance(found, FormatProblem):
            raise self._failure(name, text, found)
        self.formats[name] = found
        return found.kind

    def missing_among_values(self, name: str) -> Problem | None:
        """Returns a warning where a number that is named as missing lies among the values of a column."""
        text, form = self.cells.texts.get(self.position[name]), self.formats.get(name)
        found = value_declared_missing(text.categories, form) if text is not None and form is not None else None
        if text is None or found is None:
            return None
        return self._failure(name, text, found).problems[0]

    def are_numbers(self, name: str) -> bool:
        """Whether all cells of a column that have a value are plain numbers, be they codes or not."""
        text = self.cells.texts.get(self.position[name])
        cells, form = text.categories if text is not None else (), self.formats.get(name)
        named = form.missing_values if form is not None else ()
        return all(
            is_missing(cell, "number", named) or number_of(cell, self.layout.decimal) is not None for cell in cells
        )

    def are_labels(self, name: str) -> bool:
        """Whether the cells of a column of numbers are whole numbers, and one is not written as Python writes it, or
        too large to be exact: as classes they keep their names."""
        text, form = self.cells.texts.get(self.position[name]), self.formats.get(name)
        if text is None or form is None or form.kind != "number":
            return False
        values, wrong = cell_values(text.categories, form)
        known = np.isfinite(values)
        if len(wrong) or not (values[known] == np.floor(values[known])).all():
            return False
        cells = (cell for cell, is_known in zip(text.categories, known, strict=True) if is_known)
        return not all(
            abs(value) < EXACT and cell == str(int(value))
            for cell, value in zip(cells, values[known].tolist(), strict=True)
        )

    def _failure(self, name: str, text: CodedText, found: FormatProblem) -> Failure:
        """Returns the failure of a column for which no format fits, at the first of the cells that show it."""
        (line, cells), *others = (self._first_with(text, cell) for cell in found.cells)
        return format_failure(self.layout, line, cells, self.position[name], found, [n for n, _ in others])

    def _first_with(self, text: CodedText, cell: str) -> tuple[int, list[str]]:
        """Returns the line where the first row with a cell starts, and its cells."""
        known = [category.strip() for category in text.categories]
        return self._row(int(np.argmax(text.codes == known.index(cell.strip()))))

    def _row(self, row: int) -> tuple[int, list[str]]:
        """Returns the line where a row starts, and its cells."""
        return next(itertools.islice(self.layout.lines(), row, None))

    def load(
        self, kinds: Mapping[str, Kind], inputs: Sequence[str], aside: Sequence[str], rules: GapRules
    ) -> LoadedColumns:
        """Returns the columns of `kinds`, and as text those that rows are divided by; what is missing by the rule of
        each. Raises Failure with line and column, at the first cell that its column does not allow."""
        columns: dict[str, Array | CodedText] = {}
        wrong: list[tuple[int, int, str]] = []  # row, column, name
        for name, kind in kinds.items():
            columns[name], odd = self._column(name, kind, rules)
            wrong += [(row, self.position[name], name) for row in odd]
        apart = {name: self.cells.texts[self.position[name]] for name in aside}
        for name, text in apart.items():
            odd = _first_row(text, [not cell or "\0" in cell for cell in text.categories])
            wrong += [(row, self.position[name], name) for row in odd]
        if wrong:
            row, index, name = min(wrong)
            form = self._format(name, kinds.get(name, "text"))
            raise wrong_cell(self.layout, *self._row(row), index, form, rules)
        if self.cells.failure is not None:
            raise self.cells.failure
        numeric = [name for name in inputs if kinds[name] != "text"]
        numbers, pivot = self._stack(numeric, columns)
        found = rules.apply(columns, apart, self.layout.path, numbers, numeric)
        found.pivot = pivot
        forms = {name: self._format(name, kind) for name, kind in kinds.items()}
        found.formats = {name: form for name, form in forms.items() if self._is_particular(form)}
        found.missing_words = {name: words for name in kinds if (words := self._missing_words(name, kinds[name]))}
        return found

    def _missing_words(self, name: str, kind: Kind) -> tuple[str, ...]:
        """Returns the cells of a column that stand for no value, but the empty one."""
        text, form = self.cells.texts.get(self.position[name]), self._format(name, kind)
        cells = self.cells.gaps.get(self.position[name], ()) if text is None else text.categories
        return tuple(cell.strip() for cell in cells if cell.strip() and is_gap(cell, form))

    def _stack(self, names: Sequence[str], columns: dict[str, Array | CodedText]) -> tuple[Array | None, Array | None]:
        """Returns the columns of numbers side by side, and what they are less, where they were read so; else None, and
        these columns are then in full. Where something is missing there is no pivot."""
        stack, pivot = self.cells.stack, self.cells.pivot
        together = [self.position[name] for name in names] == list(self.cells.stacked)
        if pivot is not None and pivot.any() and not (together and self._is_full):
            stack = stack.astype(np.float64) + pivot
            pivot = None
            columns |= {n: stack[:, j] for n in names if (j := self._place(n)) is not None}
        if not together:
            return None, None
        return stack, pivot if self._is_full else None

    @cached_property
    def _is_full(self) -> bool:
        """Whether no number of the stack is missing."""
        return all_finite(self.cells.stack)

    def _place(self, name: str) -> int | None:
        index = self.position[name]
        return self.cells.place.get(index)

    def _is_particular(self, form: ColumnFormat) -> bool:
        """Whether a format says more than what a column holds and what stands before fractions in all of the file: a
        later file is read by it."""
        is_usual = form.decimal == self.layout.decimal and not form.are_times
        usual = replace(form, form="plain", decimal=".") if is_usual else form
        return usual != ColumnFormat(form.kind)

    def _format(self, name: str, kind: Kind) -> ColumnFormat:
        """Returns how a column that is read as `kind` is written."""
        form = self.formats.get(name)
        if form is None:
            return ColumnFormat(kind, decimal=self.layout.decimal if kind == "number" else ".")
        return form if form.kind == kind else ColumnFormat(kind, missing_values=form.missing_values)

    def _column(self, name: str, kind: Kind, rules: GapRules) -> tuple[Array | CodedText, list[int]]:
        """Returns a column, and its first row where it holds what it may not."""
        index, gaps = self.position[name], rules.allow(name)
        text = self.cells.texts.get(index)
        if text is None:
            numbers = self.cells.column(index)
            if gaps or (index in self.cells.place and self._is_full):
                return numbers, []
            lacking = np.isnan(numbers)
            return numbers, [int(np.argmax(lacking))] if lacking.any() else []
        form = self._format(name, kind)
        lost: tuple[str, ...] = ("",)  # `none` may be a label
        lost += ("nan",) if name in rules.outcomes and "" not in form.missing_values else ()
        missing = [is_gap(cell, form) or cell.lower() in lost for cell in text.categories]
        if kind == "text":
            lost += form.missing_values
            if name in rules.outcomes and self.are_numbers(name):  # 01, 1 and N.A.: names of classes, a gap
                lost += tuple(
                    cell.lower() for cell in text.categories if is_missing(cell, "number", form.missing_values)
                )
                missing = [bad or cell.lower() in lost for bad, cell in zip(missing, text.categories, strict=True)]
            odd = ["\0" in cell or (not gaps and cell.lower() in lost) for cell in text.categories]
            names = ["" if gaps and bad else cell for cell, bad in zip(text.categories, missing, strict=True)]
            return CodedText.of_codes(text.codes, names), _first_row(text, odd)
        values, places = cell_values(text.categories, form)
        odd = [not gaps and bad for bad in missing]
        for place in places.tolist():
            odd[place] = True
        return values[text.codes], _first_row(text, odd)


def _first_row(text: CodedText, odd: Sequence[bool]) -> list[int]:
    """Returns the first row that holds one of the odd categories; none where there is none."""
    rows = np.array(odd, bool)[text.codes] if any(odd) else np.zeros(0, bool)
    return [int(np.argmax(rows))] if rows.any() else []
