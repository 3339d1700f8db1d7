"""Tables in Parquet files: columns that know their types."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Source, Table
from bpcli.family.part import near
from bpcli.family.plan import Array, Sample
from bpcli.family.source import Kind, Missing
from bpcli.parts.data.columns import Columns
from bpcli.parts.data.files import data_error, display_path, locate
from bpcli.parts.data.targets import labels, numeric_target
from bpcli.parts.extras import missing as not_installed
from bpcli.records.training import Problem

DAY = 86400 * 10**6  # microseconds


class Parquet(Columns, Source):
    """A Parquet file; reading one needs the extra `parquet` (pyarrow).

    Columns   numbers; text (also as a dictionary), which is one-hot encoded; booleans; dates and times, which become
              the days since 1970-01-01 or the `parts` that are asked for. Any other type has to be dropped
    Missing   null and NaN, by the rule of the column, as in a csv
    Targets   one column of text, booleans or dates: class labels; one of whole numbers: class ids (or values, as the
              loss wants); numbers else: values (N, K)
    Errors    Failure with the column's name: a missing value (and its row), a type that is no number, an unknown
              column, a damaged file; the extra `parquet` not installed
    Source    Apache Parquet format specification, read by Apache Arrow
    """

    type: Literal["parquet"] = "parquet"
    path: str = Field(min_length=1, description="the file, relative to the one that names it")

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
        """As `load`, for a model that was trained on the columns `kinds` names; see Csv.load_columns."""
        path = locate(root, self.path)
        file = _opened(path)
        later = bool(kinds) or not need_target
        names = tuple(file.schema_arrow.names)
        targets = self._known(names, self.target, "target", path) if need_target else ()
        if need_target and not targets:
            help = f"add `target: <column>`; the columns are {_listed(names)}"
            raise data_error("no target column is named", path, code="no-target", help=help)
        told = (*self.drop, *self.text, *self.columns) if not later else ()
        self._known(names, told, "columns", path)
        self._known(names, aside, "split", path)
        weight = self.weight if self.weight in names else None
        ignored = {*self.drop, *self.target, *([self.weight] if self.weight else []), *hidden}
        order = [n for n in names if n not in ignored and (not kinds or n in kinds)]
        if not order and not kinds:
            help = "the file needs a column beside the target"
            raise data_error("no input column is left", path, code="no-inputs", help=help)
        last = [*targets, *([weight] if weight and need_target else [])]
        _distinct(names, [*order, *last, *aside], path)
        table = _read(file, [*order, *last, *aside], path)
        used = {n: kinds.get(n) or self._kind(table, n, path) for n in (*order, *last)}
        for n in targets:  # a label may be a date or a boolean; a number never is
            used[n] = "number" if used[n] == "number" else "text"
        columns = {n: _column(table, n, kind, path) for n, kind in used.items()}
        rules = {n: (missing or {}).get(n) or self.treatment(n).missing or "error" for n in order}
        rules |= {n: (missing or {}).get(n) or self.target_missing(n) for n in last}
        kept, warnings = _without_gaps(columns, rules, path)
        columns = {n: c if kept is None else c[kept] for n, c in columns.items()}
        if len(set(map(len, columns.values())) - {0}) == 0:
            raise data_error("the file has no rows", path, code="no-rows")
        others = {n: _column(table, n, "text", path) for n in aside}
        numbers = [n for n in order if used[n] != "text"]
        size = len(next(iter((*columns.values(), *others.values())), ()))
        found = Table(
            numbers=np.column_stack([columns[n] for n in numbers]) if numbers else np.empty((size, 0)),
            texts={n: columns[n] for n in order if used[n] == "text"},
            names=tuple(numbers),
            order=tuple(order),
            target=_target(columns, targets, used, path) if targets else None,
            target_names=tuple(targets),
            origin=display_path(path),
            warnings=warnings,
            kinds={n: used[n] for n in order},
            treatments={n: self.treatment(n) for n in order},
            aside={n: c if kept is None else c[kept] for n, c in others.items()},
        )
        return self._weighed(found, columns[weight] if weight and need_target else None, path)

    def _kind(self, table: Any, name: str, path: Path) -> Kind:
        """What a column is said to hold, or what it holds. Raises Failure where no network can take it."""
        said = self.columns.get(name)
        if said is not None and said.kind is not None:
            return said.kind
        if name in self.text:
            return "text"
        types: Any = importlib.import_module("pyarrow").types
        kind = table.schema.field(name).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return "number"
        if types.is_boolean(kind):
            return "boolean"
        if types.is_date(kind) or types.is_timestamp(kind):
            return "date"
        if types.is_string(kind) or types.is_large_string(kind):
            return "text"
        text = f"column `{name}` holds {kind}, which is neither numbers, text, booleans nor dates"
        raise data_error(text, path, code="column-kind", help=f"to leave the column out, write `drop: [{name}]`")

    def _known(self, names: Sequence[str], wanted: Sequence[str], key: str, path: Path) -> tuple[str, ...]:
        for name in wanted:
            if name not in names:
                guess = near(name, names)
                help = f"did you mean `{guess}`? The columns are " if guess else "the columns are "
                text = f"{key}: the file has no column `{name}`"
                raise data_error(text, path, code="missing-column", help=help + _listed(names))
        return tuple(wanted)

    def _weighed(self, table: Table, weight: Array | None, path: Path) -> Table:
        if weight is None:
            if not self.weight or table.target is None:
                return table
            text = f"{table.origin} has no column `{self.weight}`: every row counts the same"
            return replace(table, warnings=(*table.warnings, Problem(text, code="no-weight", level="warning")))
        if not (weight > 0).all():
            row = int(np.argmin(weight > 0))
            text = f"row {row} (counted from 0): the weight is {weight[row]:g}, and it has to be above 0"
            raise data_error(text, path, code="weight", help="remove rows that shall not count")
        return replace(table, weight=weight)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="iris.parquet", target=("species",)))
        yield Sample({"type": "parquet", "path": "a.parquet", "target": "y", "missing": "median", "drop": ["id"]})
        yield Sample({"type": "parquet"}, error="Field required")
        yield Sample({"type": "parquet", "path": "a", "target": "y", "drop": ["y"]}, error="both in target and in drop")


def _opened(path: Path) -> Any:
    """The file's footer has been read. Raises Failure: no pyarrow, or not such a file."""
    try:
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise not_installed("pyarrow", "parquet", "reading Parquet") from None
    try:
        return pq.ParquetFile(path)
    except Exception as error:  # whatever a foreign file makes the parser raise
        text = f"this is not a Parquet file, or it is damaged: {_first_line(error)}"
        raise data_error(text, path, code="not-parquet", help="fetch it again, or write it anew") from None


def _read(file: Any, names: Sequence[str], path: Path) -> Any:
    try:
        return file.read(columns=list(dict.fromkeys(names)), use_threads=False)
    except Exception as error:  # damaged pages raise what they like
        text = f"the Parquet file is damaged: {_first_line(error)}"
        raise data_error(text, path, code="not-parquet", help="fetch it again, or write it anew") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _column(table: Any, name: str, kind: Kind, path: Path) -> Array:
    """A column as float64, NaN where it has no value, or as text, "" there. Raises Failure where it holds another
    kind."""
    pa: Any = importlib.import_module("pyarrow")
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if kind == "text":
            return labels("" if v is None else _written(v) for v in column.to_pylist())
        if kind == "date":
            micro = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            days: Array = micro.cast(pa.int64()).to_numpy().astype(np.float64) / DAY
            return days
        if kind == "boolean" and pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        found: Array = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        text = f"column `{name}` holds {column.type}, not what a {kind} is: {_first_line(error)}"
        help = f"leave its kind out, or leave the column out: `drop: [{name}]`"
        raise data_error(text, path, code="column-kind", help=help) from None
    if np.isinf(found).any():
        row = int(np.argmax(np.isinf(found)))
        text = f"row {row} (counted from 0), column `{name}`: {found[row]} is not a finite number"
        raise data_error(text, path, code="not-finite", help=f"to leave the column out, write `drop: [{name}]`")
    return found


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_gaps(
    columns: Mapping[str, Array], rules: Mapping[str, Missing], path: Path
) -> tuple[Array | None, tuple[Problem, ...]]:
    """The rows that are left (None: all) and a warning for the others. Raises Failure at a value that may not be
    missing."""
    gaps = {n: c == "" if c.dtype == object else np.isnan(c) for n, c in columns.items()}
    for name, lacking in gaps.items():
        if rules[name] == "error" and lacking.any():
            text = f"row {int(np.argmax(lacking))} (counted from 0), column `{name}` has no value"
            help = "`missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; "
            help += f"to leave the column out, write `drop: [{name}]`"
            raise data_error(text, path, code="missing-value", help=help)
    dropping = {n: int(g.sum()) for n, g in gaps.items() if rules[n] == "drop" and g.any()}
    if not dropping:
        return None, ()
    kept = np.flatnonzero(~np.any([gaps[n] for n in dropping], axis=0))
    if not len(kept):
        help = "fill them in by `missing: median`, or leave the columns out by `drop`"
        raise data_error("no row has a value in every column", path, code="no-rows", help=help)
    lost = len(next(iter(gaps.values()))) - len(kept)
    listed = ", ".join(f"`{n}` ({count:,})" for n, count in list(dropping.items())[:8])
    rows = "1 row is left out: it has" if lost == 1 else f"{lost:,} rows are left out: they have"
    text = f"{display_path(path)}: {rows} no value in {listed}"
    return kept, (Problem(text, code="rows-left-out", level="warning"),)


def _target(columns: Mapping[str, Array], targets: Sequence[str], used: Mapping[str, Kind], path: Path) -> Array:
    if len(targets) == 1 and used[targets[0]] == "text":
        return columns[targets[0]]
    for name in targets:
        if used[name] == "text":
            text = f"target column `{name}` holds text; several targets have to be numbers"
            raise data_error(text, path, code="text-target", help="name one target column, or encode it as numbers")
    return numeric_target(np.column_stack([columns[n] for n in targets]))


def _distinct(names: Sequence[str], used: Sequence[str], path: Path) -> None:
    for name in used:
        if names.count(name) > 1:
            text = f"the file has {names.count(name)} columns `{name}`"
            raise data_error(
                text, path, code="duplicate-column", help=f"rename one, or drop both with `drop: [{name}]`"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
