"""Tables as text: one row a line, cells apart by commas, semicolons, tabs or bars."""

import codecs
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, ColumnFormat, Kind, Sample, Table, Treatment
from bpcli.family.cell_format import DateOrder, ThousandsMark
from bpcli.family.source import check_marks
from bpcli.parts.data.cells import number_of
from bpcli.parts.data.columns.choice import Header, choose_columns, columns_to_keep
from bpcli.parts.data.columns.formats import Role
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.parts.data.csv.file import CsvFormat, CsvLayout, scan_layout, with_position
from bpcli.parts.data.csv.read import CellColumns, WantedColumns, read_columns
from bpcli.parts.data.files import locate
from bpcli.records.training import Failure, Problem


class Csv(ColumnSource):
    """A text file with a header line and a row a line; gzip where its name ends in .gz.

    Columns   numbers; text, one-hot or how often train has each category (`encoding`, `min_rows` and `max_categories`
              of the column); booleans (yes and no...: one input of 1 and 0, which is not scaled); dates in all usual
              orders, which become the days since 1970-01-01 (in UTC where they name a zone), or the `parts` that are
              asked for: year, month 1 to 12, day 1 to 31, weekday 0 (Monday) to 6, hour, and season, weekday and hour
              as sine and cosine. What a column holds follows from all of its cells, or from `columns`: numbers or
              dates where nearly all are, so that one that is not is named. 0 and 1 are numbers unless `boolean` is
              said; digits with leading zeros, and whole numbers beyond 2^53, are text.
    Missing   an empty cell, ?, NA, n/a, null, none (but not as text), NaN; among numbers and dates also -, nil, unknown
              and the like, and what `missing_values` names. By the rule of the column, the row is left
              out, or something stands for it that is learned from the training rows: mean and median, which mean mode
              for text and booleans; mode, of equals the least. Targets and weights are never filled in.
    Targets   one text column: class labels; one column of whole numbers: class ids (or values, as the loss wants);
              numbers else: values (N, K).
    Weight    the loss, its gradient and all metrics are means weighted by it, as scikit-learn's `sample_weight`; rows
              of weight 0 are left out, as if they were not in the file.
    Header    the first line. `header: false` names the columns 0, 1, 2..., and `target: -1` is then the last. Left out,
              a first line that looks like data is an error, so that no row is lost by mistake.
    Numbers   1234.5; or 1234,5 where the delimiter is not the comma and no number has a point; or in dress: with
              currencies, %, one unit, marks between thousands, brackets or a sign behind for what is below zero, as all
              cells of the column show. Times of day and durations are hours. Plain numbers of a file over 32 MB are
              kept as float32 where the run is (about the middle of a column that is far from 0).
    Errors    Failure with file, line and column name: text among numbers, two formats in one column or one that is
              open, a missing or non-finite value, a ragged row, an unknown or twice named column, an empty, damaged or
              wrongly encoded file.
    Source    RFC 4180, with any of `, ; | tab` between the cells; UTF-8, UTF-16 or UTF-32 with a byte order mark, UTF-8
              without, or any other `encoding` that is named
    """

    type: Literal["csv"] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt")
    file_settings: ClassVar[tuple[str, ...]] = ("path",)
    gzipped: ClassVar[bool] = True
    path: str = Field(min_length=1, description="the file, relative to the one that names it")
    header: bool | None = Field(None, description="whether the first line names the columns; left out: it has to")
    delimiter: str | None = Field(None, description="the character between cells; left out: found in the file")
    decimal: Literal[".", ","] | None = Field(None, description="what stands before fractions; left out: found")
    thousands: ThousandsMark | None = Field(
        None, description="what stands between thousands; left out: found in each column"
    )
    date_order: DateOrder | None = Field(
        None, description="the order of day, month and year in dates of numbers; left out: found in each column"
    )
    encoding: str | None = Field(None, description="how text is written, such as latin-1; left out: UTF-8, or UTF-16")
    comment: str | None = Field(None, min_length=1, description="what begins lines that are no data, such as #")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            message = 'the delimiter is one character, such as "," or ";"; a tab is "\\t" in double quotes'
            raise PydanticCustomError("delimiter", message)
        return value

    @model_validator(mode="after")
    def _two_marks(self) -> Self:
        check_marks(self.decimal, self.thousands)
        return self

    def treatment(self, name: str) -> Treatment:
        own = super().treatment(name)
        for_all: dict[str, Any] = {"date_order": self.date_order}
        if own.decimal is None and own.thousands is None:
            for_all |= {"decimal": self.decimal, "thousands": self.thousands}
        return own.model_copy(update={key: getattr(own, key) or value for key, value in for_all.items()})

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                codecs.lookup(value)
                b"a".decode(value, "ignore")  # not of bytes to bytes, as base64 is
            except (LookupError, ValueError):
                message = "unknown encoding `{name}`: usual ones are utf-8, latin-1, cp1252, utf-16-le"
                raise PydanticCustomError("encoding", message, {"name": value}) from None
        return value

    def load_columns(self, root: Path, request: ColumnRequest) -> Table:
        layout = self._layout(root)
        path, names = layout.path, layout.names
        choice = choose_columns(self, request, self._header(layout))
        inputs, targets, weights, aside = (
            [names[i] for i in c] for c in (choice.inputs, choice.targets, choice.weights, choice.aside)
        )
        chosen = (*choice.inputs, *choice.outcomes, *choice.aside)
        position = {names[i]: i for i in chosen}
        declared = {n: request.kinds.get(n) or self.declared_kind(n) for n in (*inputs, *targets)}
        declared |= {n: "text" for n in declared if position[n] in choice.texts and n not in request.kinds}
        treatments = {n: self.treatment(n) for n in position}
        texts = {position[n] for n, kind in declared.items() if kind not in (None, "number")} | {*choice.aside}
        texts |= {position[n] for n, t in treatments.items() if _needs_cells(t, request.formats.get(n))}
        labels = choice.targets if request.classes and len(targets) == 1 else ()
        wanted = WantedColumns(
            tuple(choice.inputs), (*choice.outcomes, *choice.aside), frozenset(texts), frozenset(labels)
        )
        cells = CellColumns(layout, read_columns(layout, wanted, request.compact), position)
        kinds: dict[str, Kind] = {}
        for name, kind in (*declared.items(), *((n, None) for n in weights)):
            role: Role = "weight" if name in weights else "target" if name in targets else "input"
            if role == "target":
                role = "label" if position[name] in labels else "value" if request.classes is False else role
            kind = "number" if role == "value" and cells.are_numbers(name) else kind
            own = self.columns.get(name, Treatment())
            for_all = not (own.decimal or own.thousands or own.date_order)
            known = request.formats.get(name)
            said = treatments[name] if known is None else self.said_otherwise(name, request.like)
            kinds[name] = cells.kind(name, said, kind, role, known, for_all=for_all)
        used = self.kinds_read(inputs, targets, weights, request, kinds.__getitem__)
        used |= {n: "text" for n in targets if labels and cells.are_labels(n)}
        odd = self._missing_among_values(cells, [n for n in used if used[n] == "number"])
        found = cells.load(used, inputs, aside, self.gap_rules(inputs, [*targets, *weights], aside, request))
        found.warnings, found.decimal = odd, layout.decimal
        found.locate = _locating(layout, found.kept)
        found.others = tuple(n for n in names if n not in used or n in (*targets, *weights))
        return self.table(found, used, inputs, targets, weights, path)

    def read_cells(self, root: Path, names: Sequence[str] | None) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        layout = self._layout(root)
        chosen = columns_to_keep(self._header(layout), names)
        rows = [tuple(cells[i] for i in chosen) for _, cells in layout.lines()]
        return tuple(layout.names[i] for i in chosen), rows

    def _layout(self, root: Path) -> CsvLayout:
        form = CsvFormat(self.delimiter, self.header, self.encoding, self.decimal, self.comment)
        return scan_layout(locate(root, self.path), form)

    def unnamed_cells(self, root: Path) -> list[list[str]]:
        layout = self._layout(root)
        return [layout.sample_of(i) for i, name in enumerate(layout.names) if not name]

    def _missing_among_values(self, cells: CellColumns, names: Sequence[str]) -> tuple[Problem, ...]:
        """Returns a warning for each column among whose values a number lies that is named as missing for it. Raises
        Failure where that number is named for all columns."""
        found = []
        for name in names:
            problem = cells.missing_among_values(name)
            if problem is not None and not self.columns.get(name, Treatment()).missing_values:
                raise Failure(problem)
            if problem is not None:
                found.append(replace(problem, level="warning"))
        return tuple(found)

    def _header(self, layout: CsvLayout) -> Header:
        """Returns the names of the columns; without a header, one in the settings may count from the last."""
        hint, count = "", len(layout.names)
        if count == 1 and (apart := re.search(r"[,;|\t: ]", layout.names[0])):
            hint = f'; if cells are apart by another character, say which: `delimiter: "{apart.group()}"`'

        def absolute(name: str) -> str:
            return str(count + int(name)) if self.header is False and re.fullmatch(r"-\d{1,9}", name) else name

        return Header(layout.names, layout.path, layout.header_line, absolute, hint)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="iris.csv", target=("species",)))
        yield Sample(
            {"type": "csv", "path": "a.csv.gz", "target": [3, 4], "header": False, "drop": 0, "delimiter": ";"}
        )
        yield Sample({"type": "csv", "path": "a.csv", "target": "y", "text": ["zip"], "header": True})
        yield Sample(
            {"type": "csv", "path": "a.csv", "target": "y", "weight": "w", "missing": "median", "indicator": True,
             "unseen": "ignore", "columns": {"zip": "text", "born": {"kind": "date", "parts": ["year", "month"]},
                                             "age": {"scale": "minmax", "missing": "drop"}}}
        )  # fmt: skip
        yield Sample({"type": "csv", "path": "a.csv", "encoding": "latin1", "decimal": ",", "comment": "#"})
        yield Sample({"type": "csv", "path": "a.csv", "encoding": "utf-9"}, error="unknown encoding `utf-9`")
        yield Sample({"type": "csv", "path": "a.csv", "columns": {"a": "numbers"}}, error="Input should be 'number'")
        yield Sample({"type": "csv", "path": "a.csv", "indicator": True}, error="an indicator needs a rule")
        yield Sample({"type": "csv", "path": "a.csv", "weight": "y", "target": "y"}, error="the weight and in target")
        yield Sample({"type": "csv"}, error="Field required")
        yield Sample({"type": "csv", "path": ""}, error="at least 1 character")
        yield Sample({"type": "csv", "path": "a.csv", "delimiter": "\\t"}, error='a tab is "\\t" in double quotes')
        yield Sample({"type": "csv", "path": "a.csv", "target": [True]}, error="write a column name")
        yield Sample({"type": "csv", "path": "a.csv", "target": {"y": 1}}, error="write a column name")
        yield Sample({"type": "csv", "path": "a.csv", "target": "y", "drop": ["y"]}, error="both in target and in drop")


def _needs_cells(treatment: Treatment, form: ColumnFormat | None) -> bool:
    """Whether a column of numbers has to be read cell by cell, because `float` may take one that means something
    else: by the settings, or by the format that it had in training."""
    if form is not None and (form.form != "plain" or form.missing_values):
        return True
    named = any(not cell or number_of(cell) is not None for cell in treatment.missing_values)
    return named or treatment.thousands is not None or treatment.decimal is not None


def _locating(layout: CsvLayout, kept: Array | None) -> Callable[[Problem, int, str], Problem]:
    """Returns what puts the place of a row's cell into a problem."""

    def locate(problem: Problem, row: int, name: str) -> Problem:
        record = row if kept is None else int(kept[row])
        line, cells = next(itertools.islice(layout.lines(), record, None))
        return with_position(layout, problem, line, cells, layout.names.index(name))

    return locate
