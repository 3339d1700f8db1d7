"""Tables in Parquet files: columns that know their types."""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, CodedText, ColumnFormat, Kind, Sample, Table
from bpcli.parts.data.cells import days_of, number_of
from bpcli.parts.data.columns.choice import Header, choose_columns, columns_to_keep
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.parts.data.files import data_error, locate, reason, require_for_data, yaml_name
from bpcli.parts.extras import not_installed
from bpcli.records.training import Failure

MICROSECONDS_PER_DAY = 86400 * 10**6  # microseconds


class Parquet(ColumnSource):
    """A Parquet file; reading one needs the extra `parquet` (pyarrow).

    Columns   numbers; text (also as a dictionary), which is one-hot encoded; booleans; dates and times, which become
              the days since 1970-01-01 or the `parts` that are asked for. Any other type has to be dropped
    Missing   null and NaN, and what `missing_values` names, by the rule of the column, as in a csv
    Targets   one column of text, booleans or dates: class labels; one of whole numbers: class ids (or values, as the
              loss wants); numbers else: values (N, K)
    Errors    Failure with the column's name: a missing value (and its row), a type that is no number, an unknown
              column, a damaged file; the extra `parquet` not installed
    Source    Apache Parquet format specification, read by Apache Arrow
    """

    type: Literal["parquet"] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet",)
    file_settings: ClassVar[tuple[str, ...]] = ("path",)
    path: str = Field(min_length=1, description="the file, relative to the one that names it")

    def load_columns(self, root: Path, request: ColumnRequest) -> Table:
        path = locate(root, self.path)
        with _whole(path):
            return self._load_columns(path, request)

    def _load_columns(self, path: Path, request: ColumnRequest) -> Table:
        file = _opened(path)
        names = tuple(file.schema_arrow.names)
        choice = choose_columns(self, request, Header(names, path))
        order, targets, weights, aside = (
            [names[i] for i in c] for c in (choice.inputs, choice.targets, choice.weights, choice.aside)
        )
        outcomes = [*targets, *weights]
        table = _read(file, [*order, *outcomes, *aside], path)
        used = self.kinds_read(order, targets, weights, request, lambda name: _kind(table, name, path))
        known = {n: _text(table, n, path) if k == "text" else _numbers(table, n, k, path) for n, k in used.items()}
        formats = {n: self._format(n, kind, request) for n, kind in used.items()}
        columns = {n: _without_missing(column, formats[n]) for n, column in known.items()}
        divided = {n: _text(table, n, path) for n in aside}
        found = self.gap_rules(order, outcomes, aside, request).apply(columns, divided, path)
        if len(set(map(len, found.columns.values())) - {0}) == 0:
            raise data_error("the file has no rows", path, code="no-rows")
        found.formats = {name: form for name, form in formats.items() if form.missing_values}
        return self.table(found, used, order, targets, weights, path)

    def _format(self, name: str, kind: Kind, request: ColumnRequest) -> ColumnFormat:
        """Returns what stands for no value in a column, as it was in training and as the settings say."""
        known = request.formats.get(name)
        named = (*(known.missing_values if known else ()), *self.treatment(name).missing_values)
        return ColumnFormat(kind, missing_values=tuple(dict.fromkeys(named)))

    def read_cells(self, root: Path, names: Sequence[str] | None) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        path = locate(root, self.path)
        with _whole(path):
            file = _opened(path)
            known = tuple(file.schema_arrow.names)
            chosen = [known[i] for i in columns_to_keep(Header(known, path), names)]
            table = _read(file, chosen, path)
            columns = [_text(table, name, path).tolist() for name in chosen]
            return tuple(chosen), list(zip(*columns, strict=True))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="iris.parquet", target=("species",)))
        yield Sample({"type": "parquet", "path": "a.parquet", "target": "y", "missing": "median", "drop": ["id"]})
        yield Sample({"type": "parquet"}, error="Field required")
        yield Sample({"type": "parquet", "path": "a", "target": "y", "drop": ["y"]}, error="both in target and in drop")


def _kind(table: Any, name: str, path: Path) -> Kind:
    """Returns what a column holds. Raises Failure where no network can take it."""
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
    raise data_error(text, path, code="column-kind", help=f"to leave the column out, write `drop: [{yaml_name(name)}]`")


def _opened(path: Path) -> Any:
    """Returns the file, of which the footer has been read. Raises Failure: no pyarrow, or not such a file."""
    try:
        pa: Any = importlib.import_module("pyarrow")
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise not_installed("pyarrow", "parquet", "reading Parquet") from None
    return pq.ParquetFile(pa.OSFile(os.fsencode(path)))  # a text would have to be UTF-8


def _read(file: Any, names: Sequence[str], path: Path) -> Any:
    """Returns some columns. Raises Failure where so many values need more memory than there is: a few bytes of the file
    may stand for all of a column."""
    rows = file.metadata.num_rows
    help = f"fewer columns: `drop`; or fewer rows: {path.name} says that it has {rows:,}"
    require_for_data(2 * 8 * rows * len(names), f"for {rows:,} rows of {len(names)} columns", path, help)
    return file.read(columns=list(dict.fromkeys(names)), use_threads=False)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Raises Failure in place of what pyarrow raises, at any place of the file, over one that is damaged or none."""
    try:
        yield
    except (OSError, ValueError, TypeError, LookupError, OverflowError, NotImplementedError) as error:
        text = f"this is not a Parquet file, or it is damaged: {reason(error)}"
        raise data_error(text, path, code="not-parquet", help="fetch it again, or write it anew") from None


def _without_missing(column: Array | CodedText, form: ColumnFormat) -> Array | CodedText:
    """Returns a column without the values that are named as missing."""
    if not form.missing_values:
        return column
    if isinstance(column, CodedText):
        named = {each.strip().lower() for each in form.missing_values}
        return column.renamed(lambda text: "" if text.lower() in named else text)
    if form.kind not in ("number", "date"):
        return column
    read = number_of if form.kind == "number" else days_of
    values = [value for each in form.missing_values if (value := read(each.strip())) is not None]
    return np.where(np.isin(column, values), np.nan, column)


def _text(table: Any, name: str, path: Path) -> CodedText:
    """Returns a column as text, "" where it has no value. Raises Failure where it holds neither text nor numbers."""
    pa: Any = importlib.import_module("pyarrow")
    try:
        column = table.column(name).dictionary_encode().combine_chunks()  # one dictionary for all row groups
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong_kind(name, table.column(name).type, "text", path, error) from None
    values = column.dictionary.to_pylist()
    names = ["" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    codes = column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int32)
    return CodedText.of_codes(codes, [*names, ""])


def _numbers(table: Any, name: str, kind: Kind, path: Path) -> Array:
    """Returns a column as float64, NaN where it has no value. Raises Failure where it holds another kind."""
    pa: Any = importlib.import_module("pyarrow")
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if kind == "date":
            micro = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            days: Array = micro.cast(pa.int64()).to_numpy().astype(np.float64) / MICROSECONDS_PER_DAY
            return days
        if kind == "boolean" and pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        found: Array = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong_kind(name, column.type, f"a {kind}", path, error) from None
    if np.isinf(found).any():
        row = int(np.argmax(np.isinf(found)))
        text = f"row {row} (counted from 0), column `{name}`: {found[row]} is not a finite number"
        help = f"to leave the column out, write `drop: [{yaml_name(name)}]`"
        raise data_error(text, path, code="not-finite", help=help)
    return found


def _wrong_kind(name: str, found: Any, wanted: str, path: Path, error: Exception) -> Failure:
    text = f"column `{name}` holds {found}, not what {wanted} is: {reason(error)}"
    help = f"leave its kind out, or leave the column out: `drop: [{yaml_name(name)}]`"
    return data_error(text, path, code="column-kind", help=help)
