"""Tables as text: one row a line, cells apart by commas, semicolons, tabs or bars."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Source, Table
from bpcli.family.part import near
from bpcli.family.plan import Array, Sample
from bpcli.family.source import Kind, Missing
from bpcli.parts.data.columns import Columns
from bpcli.parts.data.csv.file import RULES, CsvFormat, CsvLayout, pointed, scan_layout
from bpcli.parts.data.csv.read import NumberColumns, ParsedColumns, read_columns, read_numbers
from bpcli.parts.data.files import data_error, display_path, locate
from bpcli.parts.data.targets import numeric_target
from bpcli.records.training import Failure, Problem


class Csv(Columns, Source):
    """A text file with a header line and a row a line; gzip where its name ends in .gz.

    Columns   numbers; text, which is one-hot encoded; booleans (yes and no, true and false...: one input of 1 and 0,
              which is not scaled); ISO dates (2024-01-31, or with a time), which become the days since 1970-01-01 (in
              UTC where they name a zone), or the `parts` that are asked for: year, month 1 to 12, day 1 to 31, weekday
              0 (Monday) to 6, hour. What a column holds is told by its first 200 cells, or by `columns`: numbers or
              dates where most are, so that one that is not is named. 0 and 1 are numbers unless `boolean` is said.
    Missing   an empty cell, ?, NA, n/a, null, none (but not as text), NaN. By the rule of the column, the row is left
              out, or something stands for it that is learned from the training rows: mean and median, which mean mode
              for text and booleans; mode, of equals the least. Targets and weights are never filled in.
    Targets   one text column: class labels; one column of whole numbers: class ids (or values, as the loss wants);
              numbers else: values (N, K).
    Weight    the loss, its gradient and all metrics are means weighted by it, as scikit-learn's `sample_weight`.
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

    def files(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        return self.load_columns(root, {}, need_target=need_target)

    def load_columns(
        self,
        root: Path,
        kinds: Mapping[str, Kind],
        *,
        need_target: bool = True,
        missing: Mapping[str, Missing] | None = None,
        aside: Sequence[str] = (),
        hidden: Sequence[str] = (),
        compact: bool = False,
    ) -> Table:
        """As `load`, for a model that was trained on the columns `kinds` names: only they (and the targets) are read,
        as the kinds they had and with the rules that `missing` has for them; others may hold anything. What the file
        lacks is left for the model to miss. Columns `aside` are read as text too, and `hidden` ones are no inputs;
        `compact` keeps large numbers of rows as float32."""
        path = locate(root, self.path)
        layout = scan_layout(path, CsvFormat(self.delimiter, self.header, self.encoding, self.decimal, self.comment))
        targets = self._find(layout, self.target, "target") if need_target else ()
        if need_target and not targets:
            text = "no target column is named"
            raise data_error(
                text, path, code="no-target", help=f"add `target: <column>`; the columns are {_listed(layout)}"
            )
        later = bool(kinds) or not need_target  # a file that another one has set the columns of
        declared = self._find(layout, self.text, "text", optional=later)
        self._find(layout, tuple(self.columns), "columns", optional=later)
        weights = self._find(layout, (self.weight,) if self.weight else (), "weight", optional=later)
        read_aside = self._find(layout, aside, "split")
        ignored = {*self._find(layout, self.drop, "drop", optional=later), *targets, *weights}
        ignored |= {i for i in read_aside if layout.names[i] in hidden}
        if later:
            ignored.update(self._find(layout, self.target, "target", optional=True))
        order = [i for i in range(len(layout.names)) if i not in ignored]
        if kinds:
            order = [i for i in order if layout.names[i] in kinds]
        chosen = set(order)
        last = [*targets, *(weights if need_target else ())]
        _distinct(layout, [*order, *last, *(i for i in read_aside if i in ignored)])
        if not order and not kinds:
            help = "the file needs a column beside the target"
            raise data_error("no input column is left", path, code="no-inputs", help=help)
        used: dict[int, Kind] = {i: kinds.get(layout.names[i]) or self._kind(layout, i, declared) for i in order}
        for i in targets:  # a label may be a date or `yes`; a number never is
            kind = kinds.get(layout.names[i]) or self._kind(layout, i, declared)
            used[i] = "number" if kind == "number" else "text"
        used |= dict.fromkeys(last[len(targets) :], "number")
        rules: dict[int, Missing] = {
            i: (missing or {}).get(layout.names[i]) or self.treatment(layout.names[i]).missing or "error" for i in order
        }
        rules |= {i: (missing or {}).get(layout.names[i]) or self.target_missing(layout.names[i]) for i in last}
        advice = RULES
        if kinds:
            advice = "the rules are those of training, and none is there: fill the cell in, or train with "
            advice += "`missing: median`"
        numbers, cells = _read(layout, used, rules, order, last, read_aside, compact, advice)
        table = Table(
            numbers=numbers.values,
            texts={layout.names[i]: cells.columns[i] for i in order if used[i] == "text"},
            names=tuple(layout.names[i] for i in order if used[i] != "text"),
            order=tuple(layout.names[i] for i in order),
            target=_target(layout, cells.columns, targets, used) if targets else None,
            target_names=tuple(layout.names[i] for i in targets),
            origin=display_path(path),
            warnings=_dropped(layout, cells),
            kinds={layout.names[i]: used[i] for i in order},
            treatments={layout.names[i]: self.treatment(layout.names[i]) for i in order},
            pivot=numbers.pivot,
            aside={layout.names[i]: cells.raw[i] for i in read_aside},
            place=_placing(layout, cells.kept),
            others=tuple(n for i, n in enumerate(layout.names) if i not in chosen),
        )
        return self._weighed(layout, table, cells.columns[weights[0]] if weights and need_target else None)

    def _kind(self, layout: CsvLayout, index: int, declared: Sequence[int]) -> Kind:
        """What a column is said to hold, or what it holds."""
        said = self.columns.get(layout.names[index])
        if said is not None and said.kind is not None:
            return said.kind
        return "text" if index in declared else layout.kind(index)

    def _weighed(self, layout: CsvLayout, table: Table, weight: Array | None) -> Table:
        """The table with what each row counts. Raises Failure at a weight that is not above 0."""
        if weight is None:
            if not self.weight or table.target is None:
                return table
            text = f"{table.origin} has no column `{self.weight}`: every row counts the same"
            warning = Problem(text, code="no-weight", level="warning")
            return replace(table, warnings=(*table.warnings, warning))
        if not (weight > 0).all():
            assert table.place is not None
            row = int(np.argmin(weight > 0))
            text, name = f"column `{self.weight}`: a weight is above 0, and here is {weight[row]:g}", str(self.weight)
            help = "remove rows that shall not count"
            raise Failure(table.place(Problem(text, code="weight", help=help), row, name))
        return replace(table, weight=weight)

    def _find(self, layout: CsvLayout, wanted: Sequence[str], key: str, *, optional: bool = False) -> tuple[int, ...]:
        """Where the columns stand; several places where the header gives a name twice."""
        found: list[int] = []
        for name in wanted:
            if self.header is False and re.fullmatch(r"-\d+", name):
                name = str(len(layout.names) + int(name))
            places = [i for i, known in enumerate(layout.names) if known == name]
            if not places and not optional:
                guess = near(name, layout.names)
                help = f"did you mean `{guess}`? The columns are " if guess else "the columns are "
                help += _listed(layout)
                if len(layout.names) == 1 and (apart := re.search(r"[,;|\t: ]", layout.names[0])):
                    help += f'; if cells are apart by another character, say which: `delimiter: "{apart.group()}"`'
                raise data_error(
                    f"{key}: the file has no column `{name}`", layout.path, code="missing-column", help=help
                )
            found += places
        return tuple(found)

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


def _listed(layout: CsvLayout) -> str:
    names = layout.names
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _distinct(layout: CsvLayout, used: Sequence[int]) -> None:
    seen: dict[str, int] = {}
    for i in sorted(used):
        name = layout.names[i]
        if not name:
            text = f"column {i} (counted from 0) has no name in the header"
            raise data_error(text, layout.path, code="no-name", line=1, help='name it, or drop it with `drop: [""]`')
        if name in seen:
            text = f"the header names `{name}` twice: columns {seen[name]} and {i} (counted from 0)"
            help = f"rename one of them, or drop both with `drop: [{name}]`"
            raise data_error(text, layout.path, code="duplicate-column", line=1, help=help)
        seen[name] = i


def _read(
    layout: CsvLayout,
    used: Mapping[int, Kind],
    missing: Mapping[int, Missing],
    order: Sequence[int],
    last: Sequence[int],
    aside: Sequence[int],
    compact: bool,
    advice: str,
) -> tuple[NumberColumns, ParsedColumns]:
    """The numbers among the inputs side by side, and all other columns."""
    everywhere = {layout.kind(i) for i in range(len(layout.names))} | set(used.values())
    fast = read_numbers(layout, order, last, compact) if everywhere == {"number"} and not aside else None
    if fast is not None:
        return fast, ParsedColumns(fast.rest)
    cells = read_columns(layout, used, missing, aside, last, advice)
    size = len(next(iter((*cells.columns.values(), *cells.raw.values())))) if used or aside else 0
    values = [cells.columns.pop(i) for i in order if used[i] != "text"]
    return NumberColumns(np.column_stack(values) if values else np.empty((size, 0)), {}), cells


def _dropped(layout: CsvLayout, cells: ParsedColumns) -> tuple[Problem, ...]:
    """A warning that says how many rows were left out for want of a value."""
    if not cells.lost:
        return ()
    listed = ", ".join(f"`{layout.names[i]}` ({n:,})" for i, n in list(cells.dropped.items())[:8])
    rows = "1 row is left out: it has" if cells.lost == 1 else f"{cells.lost:,} rows are left out: they have"
    text = f"{display_path(layout.path)}: {rows} no value in {listed}"
    return (Problem(text, code="rows-left-out", level="warning"),)


def _placing(layout: CsvLayout, kept: Array | None) -> Callable[[Problem, int, str], Problem]:
    """What puts the place of a row's cell into a problem."""

    def place(problem: Problem, row: int, name: str) -> Problem:
        record = row if kept is None else int(kept[row])
        line, cells = next(itertools.islice(layout.lines(), record, None))
        return pointed(layout, problem, line, cells, layout.names.index(name))

    return place


def _target(layout: CsvLayout, columns: Mapping[int, Array], targets: Sequence[int], used: Mapping[int, Kind]) -> Array:
    if len(targets) == 1 and used[targets[0]] == "text":
        return columns[targets[0]]
    for i in targets:
        if used[i] == "text":
            text = f"target column `{layout.names[i]}` holds text; several targets have to be numbers"
            raise data_error(
                text, layout.path, code="text-target", help="name one target column, or encode it as numbers"
            )
    return numeric_target(np.column_stack([columns[i] for i in targets]))
