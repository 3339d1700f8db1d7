"""Tables as text: one row a line, cells apart by commas, semicolons, tabs or bars."""

import codecs
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Sample, Table
from bpcli.parts.data.column_choice import Header, choose_columns, columns_to_keep
from bpcli.parts.data.columns import ColumnRequest, ColumnSource
from bpcli.parts.data.csv.file import CsvFormat, CsvLayout, scan_layout, with_position
from bpcli.parts.data.csv.read import CellColumns, WantedColumns, read_columns
from bpcli.parts.data.files import locate
from bpcli.records.training import Problem


class Csv(ColumnSource):
    """A text file with a header line and a row a line; gzip where its name ends in .gz.

    Columns   numbers; text, which is one-hot encoded; booleans (yes and no, true and false...: one input of 1 and 0,
              which is not scaled); ISO dates (2024-01-31, or with a time), which become the days since 1970-01-01 (in
              UTC where they name a zone), or the `parts` that are asked for: year, month 1 to 12, day 1 to 31, weekday
              0 (Monday) to 6, hour. What a column holds follows from its first 200 cells, or from `columns`: numbers or
              dates where most are, so that one that is not is named. 0 and 1 are numbers unless `boolean` is said.
    Missing   an empty cell, ?, NA, n/a, null, none (but not as text), NaN. By the rule of the column, the row is left
              out, or something stands for it that is learned from the training rows: mean and median, which mean mode
              for text and booleans; mode, of equals the least. Targets and weights are never filled in.
    Targets   one text column: class labels; one column of whole numbers: class ids (or values, as the loss wants);
              numbers else: values (N, K).
    Weight    the loss, its gradient and all metrics are means weighted by it, as scikit-learn's `sample_weight`; rows
              of weight 0 are left out, as if they were not in the file.
    Header    the first line. `header: false` names the columns 0, 1, 2..., and `target: -1` is then the last. Left out,
              a first line that looks like data is an error, so that no row is lost by mistake.
    Numbers   1234.5; or 1234,5 where the delimiter is not the comma and no number has a point. Those of a file over
              32 MB are kept as float32 where the run is (about the middle of a column that is far from 0).
    Errors    Failure with file, line and column name: text among numbers, a missing or non-finite value, a ragged row,
              an unknown or twice named column, an empty, damaged or wrongly encoded file.
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
    encoding: str | None = Field(None, description="how text is written, such as latin-1; left out: UTF-8, or UTF-16")
    comment: str | None = Field(None, min_length=1, description="what begins lines that are no data, such as #")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            message = 'the delimiter is one character, such as "," or ";"; a tab is "\\t" in double quotes'
            raise PydanticCustomError("delimiter", message)
        return value

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
        texts = {position[n] for n, kind in declared.items() if kind not in (None, "number")} | {*choice.aside}
        labels = choice.targets if request.classes and len(targets) == 1 else ()
        wanted = WantedColumns(
            tuple(choice.inputs), (*choice.outcomes, *choice.aside), frozenset(texts), frozenset(labels)
        )
        cells = CellColumns(layout, read_columns(layout, wanted, request.compact), position)
        kinds = {n: cells.kind(n, kind, is_label=position[n] in labels) for n, kind in declared.items()}
        kinds |= {n: cells.kind(n, "number") for n in weights}
        if request.classes is False:
            kinds |= {n: cells.kind(n, "number") for n in targets if cells.are_numbers(n)}
        used = self.kinds_read(inputs, targets, weights, request, kinds.__getitem__)
        used |= {n: "text" for n in targets if labels and cells.are_labels(n)}
        found = cells.load(used, inputs, aside, self.gap_rules(inputs, [*targets, *weights], aside, request))
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

    def _header(self, layout: CsvLayout) -> Header:
        """Returns the names of the columns; without a header, one in the settings may count from the last."""
        hint, count = "", len(layout.names)
        if count == 1 and (apart := re.search(r"[,;|\t: ]", layout.names[0])):
            hint = f'; if cells are apart by another character, say which: `delimiter: "{apart.group()}"`'

        def absolute(name: str) -> str:
            return str(count + int(name)) if self.header is False and re.fullmatch(r"-\d+", name) else name

        return Header(layout.names, layout.path, 1, absolute, hint)

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


def _locating(layout: CsvLayout, kept: Array | None) -> Callable[[Problem, int, str], Problem]:
    """Returns what puts the place of a row's cell into a problem."""

    def locate(problem: Problem, row: int, name: str) -> Problem:
        record = row if kept is None else int(kept[row])
        line, cells = next(itertools.islice(layout.lines(), record, None))
        return with_position(layout, problem, line, cells, layout.names.index(name))

    return locate
