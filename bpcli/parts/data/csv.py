"""Tables as text: one row a line, cells apart by commas, semicolons, tabs or bars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Source, Table
from bpcli.part import near
from bpcli.parts.data.csvfile import Kind, Layout, read_columns, read_numbers, scan
from bpcli.parts.data.files import bad, locate, shown
from bpcli.parts.data.targets import numeric_target
from bpcli.plan import Array, Sample


def _names(value: Any) -> tuple[str, ...]:
    """A name, a number, or a list of them, as a tuple of names."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    for name in found:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise PydanticCustomError("names", "write a column name, or a list of column names")
    return tuple(map(str, found))


NAME: dict[str, Any] = {"type": ["string", "integer"]}
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [NAME, {"type": "array", "items": NAME}, {"type": "null"}]}),
]


class Csv(Source):
    """A text file with a header line and a row a line; gzip where its name ends in .gz.

    Columns   numbers, or text, which is one-hot encoded: text where most of the first 200 cells are not numbers, or
              where `text` says so. All columns are inputs but the targets and those of `drop`.
    Targets   one text column: class labels; one column of whole numbers: class ids (or values, as the loss wants);
              numbers else: values (N, K).
    Header    the first line. `header: false` names the columns 0, 1, 2..., and `target: -1` is then the last. Left out,
              a first line that looks like data is an error, so that no row is lost by mistake.
    Errors    Failure with file, line and column name: text among numbers, a missing or non-finite value, a ragged row,
              an unknown or twice named column, an empty, damaged or wrongly encoded file.
    Source    RFC 4180, with any of `, ; | tab` between the cells; UTF-8, with or without a byte order mark
    """

    type: Literal["csv"] = "csv"
    path: str = Field(min_length=1, description="the file, relative to the one that names it")
    target: Names = Field((), description="the column or columns to predict")
    header: bool | None = Field(None, description="whether the first line names the columns; left out: it has to")
    drop: Names = Field((), description="columns to leave out")
    text: Names = Field((), description="columns to read as text although they look like numbers")
    delimiter: str | None = Field(None, description="the character between cells; left out: found in the file")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            message = 'the delimiter is one character, such as "," or ";"; a tab is "\\t" in double quotes'
            raise PydanticCustomError("delimiter", message)
        return value

    @model_validator(mode="after")
    def _apart(self) -> Csv:
        both = set(self.target) & set(self.drop)
        if both:
            raise PydanticCustomError("names", "column `{name}` is both in target and in drop", {"name": min(both)})
        return self

    def files(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        return self.load_columns(root, {}, need_target=need_target)

    def load_columns(self, root: Path, kinds: Mapping[str, Kind], *, need_target: bool = True) -> Table:
        """As `load`, for a model that was trained on the columns `kinds` names: only they (and the targets) are read,
        as the kinds they had; others may hold anything. What the file lacks is left for the model to miss."""
        path = locate(root, self.path)
        layout = scan(path, self.delimiter, self.header)
        targets = self._find(layout, self.target, "target") if need_target else ()
        if need_target and not targets:
            text = "no target column is named"
            raise bad(text, path, code="no-target", help=f"add `target: <column>`; the columns are {_listed(layout)}")
        later = bool(kinds) or not need_target  # a file that another one has set the columns of
        declared = self._find(layout, self.text, "text", optional=later)
        ignored = {*self._find(layout, self.drop, "drop", optional=later), *targets}
        if later:
            ignored.update(self._find(layout, self.target, "target", optional=True))
        order = [i for i in range(len(layout.names)) if i not in ignored]
        if kinds:
            order = [i for i in order if layout.names[i] in kinds]
        _distinct(layout, [*order, *targets])
        if not order and not kinds:
            help = "the file needs a column beside the target"
            raise bad("no input column is left", path, code="no-inputs", help=help)
        used: dict[int, Kind] = {
            i: kinds.get(layout.names[i]) or ("text" if i in declared else layout.kind(i)) for i in (*order, *targets)
        }
        columns = _read(layout, used)
        numbers = [i for i in order if used[i] == "number"]
        size = len(next(iter(columns.values()))) if columns else 0
        return Table(
            numbers=np.column_stack([columns[i] for i in numbers]) if numbers else np.empty((size, 0)),
            texts={layout.names[i]: columns[i] for i in order if used[i] == "text"},
            names=tuple(layout.names[i] for i in numbers),
            order=tuple(layout.names[i] for i in order),
            target=_target(layout, columns, targets, used) if targets else None,
            target_names=tuple(layout.names[i] for i in targets),
            origin=shown(path),
        )

    def _find(self, layout: Layout, wanted: Sequence[str], key: str, *, optional: bool = False) -> tuple[int, ...]:
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
                raise bad(f"{key}: the file has no column `{name}`", layout.path, code="missing-column", help=help)
            found += places
        return tuple(found)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="iris.csv", target=("species",)))
        yield Sample(
            {"type": "csv", "path": "a.csv.gz", "target": [3, 4], "header": False, "drop": 0, "delimiter": ";"}
        )
        yield Sample({"type": "csv", "path": "a.csv", "target": "y", "text": ["zip"], "header": True})
        yield Sample({"type": "csv"}, error="Field required")
        yield Sample({"type": "csv", "path": ""}, error="at least 1 character")
        yield Sample({"type": "csv", "path": "a.csv", "delimiter": "\\t"}, error='a tab is "\\t" in double quotes')
        yield Sample({"type": "csv", "path": "a.csv", "target": [True]}, error="write a column name")
        yield Sample({"type": "csv", "path": "a.csv", "target": {"y": 1}}, error="write a column name")
        yield Sample({"type": "csv", "path": "a.csv", "target": "y", "drop": ["y"]}, error="both in target and in drop")


def _listed(layout: Layout) -> str:
    names = layout.names
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _distinct(layout: Layout, used: Sequence[int]) -> None:
    seen: dict[str, int] = {}
    for i in sorted(used):
        name = layout.names[i]
        if not name:
            text = f"column {i} (counted from 0) has no name in the header"
            raise bad(text, layout.path, code="no-name", line=1, help='name it, or drop it with `drop: [""]`')
        if name in seen:
            text = f"the header names `{name}` twice: columns {seen[name]} and {i} (counted from 0)"
            help = f"rename one of them, or drop both with `drop: [{name}]`"
            raise bad(text, layout.path, code="duplicate-column", line=1, help=help)
        seen[name] = i


def _read(layout: Layout, used: Mapping[int, Kind]) -> dict[int, Array]:
    everywhere = {layout.kind(i) for i in range(len(layout.names))} | set(used.values())
    table = read_numbers(layout) if everywhere == {"number"} else None
    return read_columns(layout, used) if table is None else {i: table[:, i] for i in used}


def _target(layout: Layout, columns: Mapping[int, Array], targets: Sequence[int], used: Mapping[int, Kind]) -> Array:
    if len(targets) == 1 and used[targets[0]] == "text":
        return columns[targets[0]]
    for i in targets:
        if used[i] == "text":
            text = f"target column `{layout.names[i]}` holds text; several targets have to be numbers"
            raise bad(text, layout.path, code="text-target", help="name one target column, or encode it as numbers")
    return numeric_target(np.column_stack([columns[i] for i in targets]))
