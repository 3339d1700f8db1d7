"""What all sources with named columns share: which are targets, what becomes of the others, and the table they make."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from bpcli.family import Array, CodedText, ColumnFormat, Kind, Missing, Shape, Source, Table, Treatment
from bpcli.family.source import MissingValues
from bpcli.numeric.vectors import all_finite
from bpcli.parts.data.files import data_error, display_path, yaml_name
from bpcli.parts.data.targets import numeric_target, weigh_rows
from bpcli.records.training import Failure, Problem

FILLING_RULES: tuple[Missing, ...] = ("mean", "median", "mode")
"""Rules that put something in the place of a missing value."""
COLUMN_KINDS: tuple[Kind, ...] = ("number", "text", "boolean", "date")
DROP_ADVICE = "`missing: drop` leaves such rows out"
TRAINED_ADVICE = "the rules are those of training, and none is there: fill the cell in, or train with `missing: median`"


def _names(value: Any) -> tuple[str, ...]:
    """Returns a name, a number, or a list of them, as a tuple of names."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    for name in found:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise PydanticCustomError("names", "write a column name, or a list of column names")
    return tuple(map(str, found))


def column_name(value: Any) -> Any:
    """Returns the name of a column: text, or its number where the file has no header."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _named(value: Any) -> Any:
    """Returns the mapping with text as keys: a column may be named by its number."""
    return {column_name(name): each for name, each in value.items()} if isinstance(value, Mapping) else value


class _KindShorthand:
    """`text` alone is short for {kind: text}."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.spelled_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(COLUMN_KINDS), "description": "what the column holds"}, handler(schema)]}

    @staticmethod
    def spelled_out(value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value


NAME: dict[str, Any] = {"type": ["string", "integer"]}
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [NAME, {"type": "array", "items": NAME}, {"type": "null"}]}),
]
ColumnName = Annotated[
    str | None, BeforeValidator(column_name), WithJsonSchema({"type": ["string", "integer", "null"]})
]


class TreatmentMap(dict[str, Treatment]):
    """Treatments by the name of the column; never changed, so that parts that hold them are equal and hashed as
    values."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


Treatments = Annotated[
    dict[str, Annotated[Treatment, _KindShorthand()]], BeforeValidator(_named), AfterValidator(TreatmentMap)
]


@dataclass(frozen=True)
class ColumnRequest:
    """What is to be read of a file.

    For a model that was trained on the columns `kinds` names, only they (and the targets) are read, as the kinds they
    had, written as `formats` has it and with the rules that `missing` has for them; others may hold anything, and what
    the file lacks is left for the model to miss. Columns `aside` are read as text too, and `hidden` ones are no inputs;
    `compact` keeps large numbers of rows as float32. Where targets are compared as
    `classes`, whole numbers not written as Python writes them are labels; as values (False), digits are numbers.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    need_target: bool = True
    missing: Mapping[str, Missing] = field(default_factory=dict)
    aside: Sequence[str] = ()
    hidden: Sequence[str] = ()
    compact: bool = False
    classes: bool | None = None
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)

    @property
    def is_later(self) -> bool:
        """Whether the file follows another one, which has set the columns."""
        return bool(self.kinds) or not self.need_target


@dataclass
class LoadedColumns:
    """Columns by name, one row each: numbers (N,) with NaN where a value is missing, or text (N,) with "" there.

    `aside` are columns that rows are divided by, as text; `dropped` counts the gaps of each column that rows were left
    out for, `lost` these rows; `kept` are the rows of the file that are left (None: all). `numbers` (N, columns) are
    the inputs that are not text, where they were read side by side, less `pivot`; `locate`, `others`, `formats`: the
    Table's; `warnings` go before its own.
    """

    columns: Mapping[str, Array | CodedText]
    aside: Mapping[str, CodedText] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    kept: Array | None = None
    numbers: Array | None = None
    pivot: Array | None = None
    locate: Callable[[Problem, int, str], Problem] | None = None
    others: tuple[str, ...] = ()
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class GapRules:
    """What is done where a column has no value, by its name; a column without a rule has to have one in every row.

    Nothing stands for a value of an `outcomes` column (a target, a weight). The rules of a model that `is_trained` are
    those of its training.
    """

    missing: Mapping[str, Missing] = field(default_factory=dict)
    outcomes: frozenset[str] = frozenset()
    aside: frozenset[str] = frozenset()
    is_trained: bool = False

    def allow(self, name: str) -> bool:
        """Whether a column may have gaps."""
        return self.missing.get(name, "error") != "error"

    def advice(self, name: str) -> str:
        """Returns what to do about a gap in a column that may not have one."""
        if name in self.aside:
            return "rows are divided by this column: fill the cell in, or remove the row"
        if name in self.outcomes:
            return DROP_ADVICE
        leave_out = f"to leave the column out, write `drop: [{yaml_name(name)}]`"
        fill = f"{DROP_ADVICE}, `missing: median` (mean, mode) fills them in; {leave_out}"
        return TRAINED_ADVICE if self.is_trained else fill

    def apply(
        self,
        columns: Mapping[str, Array | CodedText],
        aside: Mapping[str, CodedText],
        path: Path,
        numbers: Array | None = None,
        stacked: Sequence[str] = (),
    ) -> LoadedColumns:
        """Returns the columns without the rows that the rules leave out, of which the `stacked` ones are those of
        `numbers`. Raises Failure at a gap in a column that may not have one, and where no row is left."""
        full = stacked if numbers is not None and all_finite(numbers) else ()
        gaps = {n: _gaps(c) for n, c in columns.items() if n not in full}
        for name, lacking in (*gaps.items(), *((n, _gaps(c)) for n, c in aside.items())):
            if lacking.any() and (name in aside or not self.allow(name)):
                text = f"row {int(np.argmax(lacking))} (counted from 0), column `{name}` has no value"
                raise data_error(text, path, code="missing-value", help=self.advice(name))
        dropped = {n: int(g.sum()) for n, g in gaps.items() if self.missing.get(n) == "drop" and g.any()}
        if not dropped:
            return LoadedColumns(columns, aside, numbers=numbers)
        kept = np.flatnonzero(~np.any([gaps[n] for n in dropped], axis=0))
        if not len(kept):
            raise self._no_rows(dropped, gaps, path)
        if numbers is not None:
            numbers = numbers[kept]
            columns = {n: c for n, c in columns.items() if n not in stacked}
        columns, aside = {n: c[kept] for n, c in columns.items()}, {n: c[kept] for n, c in aside.items()}
        lost = len(next(iter(gaps.values()))) - len(kept)
        return LoadedColumns(columns, aside, dropped, lost, kept, numbers)

    def _no_rows(self, dropped: Collection[str], gaps: Mapping[str, Array], path: Path) -> Failure:
        where = ", ".join(f"`{name}`" for name in list(dropped)[:8])
        help = "fill them in by `missing: median`, or leave the columns out by `drop`"
        outcomes = [gaps[name] for name in dropped if name in self.outcomes]
        if outcomes and np.any(outcomes, axis=0).all():
            help = "no value can stand for a target or a weight: fill the cells in, or name another column"
        elif self.is_trained:
            help = "the rules are those of training: fill the cells in, or train with `missing: median`"
        text = f"no row has a value in every column: they are missing in {where}"
        return data_error(text, path, code="no-rows", help=help)


class ColumnSource(Source):
    """A source with named columns. All are inputs but targets, the weight and those of `drop`."""

    target: Names = Field((), description="the column or columns to predict")
    weight: ColumnName = Field(None, description="a column of numbers from 0: how much each row counts; 0, not at all")
    drop: Names = Field((), description="columns to leave out")
    text: Names = Field((), description="columns to read as text although they look like numbers")
    columns: Treatments = Field(
        default_factory=TreatmentMap,
        description="single columns: what they hold, how they are scaled, what stands for missing values",
    )
    missing: Missing = Field("error", description="what is done where a column has no value")
    missing_values: MissingValues = Field(
        (), description="words and numbers that stand for no value in every column, beside the usual ones"
    )
    indicator: bool = Field(False, description="whether columns with missing values get an input that says where")
    unseen: Literal["error", "ignore"] = Field(
        "error", description="a category that train does not have: an error, or counted as none of those it has"
    )

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        both = set(self.target) & set(self.drop)
        if both:
            raise PydanticCustomError("names", "column `{name}` is both in target and in drop", {"name": min(both)})
        if self.weight is not None and self.weight in {*self.target, *self.drop}:
            where = "target" if self.weight in self.target else "drop"
            context = {"name": self.weight, "where": where}
            raise PydanticCustomError("names", "column `{name}` is both the weight and in {where}", context)
        for name, treatment in self.columns.items():
            kind = treatment.kind
            if name in self.text and kind not in (None, "text"):
                context = {"name": name, "kind": str(kind)}
                raise PydanticCustomError("names", "column `{name}` is in text, and its kind is {kind}", context)
            if treatment.indicator and self.treatment(name).missing not in FILLING_RULES:
                message = "column `{name}`: an indicator needs a rule for missing values, such as `missing: median`"
                raise PydanticCustomError("indicator", message, {"name": name})
        if self.indicator and self.missing not in FILLING_RULES and not any(t.missing for t in self.columns.values()):
            raise PydanticCustomError("indicator", "an indicator needs a rule, such as `missing: median`")
        return self

    def treatment(self, name: str) -> Treatment:
        """Returns what is done with a column, settings for all columns put in."""
        own = self.columns.get(name) or Treatment()
        missing = own.missing or self.missing
        indicator = self.indicator if own.indicator is None else own.indicator
        indicator = indicator and missing in FILLING_RULES
        named = (*own.missing_values, *self.missing_values)
        update = {"missing": missing, "indicator": indicator, "unseen": own.unseen or self.unseen}
        return own.model_copy(update={**update, "missing_values": tuple(dict.fromkeys(named))})

    def declared_kind(self, name: str) -> Kind | None:
        """Returns what a column is said to hold; None where it is to be found in the file."""
        own = self.columns.get(name)
        return own.kind if own is not None and own.kind is not None else "text" if name in self.text else None

    def kinds_read(
        self, inputs: Sequence[str], targets: Sequence[str], weights: Sequence[str], request: ColumnRequest,
        in_file: Callable[[str], Kind],
    ) -> dict[str, Kind]:  # fmt: skip
        """Returns what each column is read as: as a model was trained, as the settings say, or as the file has it. A
        label may be a date or a boolean; a number never is. A weight is a number."""
        used = {n: request.kinds.get(n) or self.declared_kind(n) or in_file(n) for n in (*inputs, *targets)}
        labels: dict[str, Kind] = {n: "number" if used[n] == "number" else "text" for n in targets}
        return used | labels | dict.fromkeys(weights, "number")

    def gap_rules(
        self, inputs: Sequence[str], outcomes: Sequence[str], aside: Sequence[str], request: ColumnRequest
    ) -> GapRules:
        """Returns what is done where a column has no value: as a model was trained, or as the settings say."""
        own = {n: self.treatment(n).missing or "error" for n in (*inputs, *outcomes)}
        own |= {n: "error" for n in outcomes if own[n] != "drop"}
        missing = {n: request.missing.get(n) or rule for n, rule in own.items()}
        return GapRules(missing, frozenset(outcomes), frozenset(aside), bool(request.kinds))

    @classmethod
    def of_file(cls, path: str, like: Source | None, *, need_target: bool, row: Shape, root: Path) -> Self:
        """Returns the source; what `like` says of columns by name holds for a file of another kind too."""
        if isinstance(like, ColumnSource) and not isinstance(like, cls):
            shared = {name: getattr(like, name) for name in ColumnSource.model_fields}
            return cls.model_validate({"path": path, **shared})
        return super().of_file(path, like, need_target=need_target, row=row, root=root)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        return self.load_columns(root, ColumnRequest(need_target=need_target))

    @abstractmethod
    def load_columns(self, root: Path, request: ColumnRequest) -> Table:
        """Returns the rows, with the columns that are requested."""

    def table(
        self,
        found: LoadedColumns,
        kinds: Mapping[str, Kind],
        order: Sequence[str],
        targets: Sequence[str],
        weights: Sequence[str],
        path: Path,
    ) -> Table:
        """Returns the table of a file: its inputs in their `order`, its targets, what each row counts. Raises Failure
        where one of several targets holds text, and at a weight that is none."""
        texts = {n: c for n, c in found.columns.items() if isinstance(c, CodedText)}
        numeric = {n: c for n, c in found.columns.items() if not isinstance(c, CodedText)}
        names = tuple(n for n in order if kinds[n] != "text")
        numbers = found.numbers
        if numbers is None:
            rows = len(next(iter((*found.columns.values(), *found.aside.values())), ()))
            numbers = np.column_stack([numeric[n] for n in names]) if names else np.empty((rows, 0))
        table = Table(
            numbers=numbers,
            texts={n: texts[n] for n in order if kinds[n] == "text"},
            names=names,
            order=tuple(order),
            target=_target(texts, numeric, targets, path) if targets else None,
            target_names=tuple(targets),
            origin=display_path(path),
            warnings=(*found.warnings, *_rows_left_out(found, path)),
            kinds={n: kinds[n] for n in order},
            treatments={n: self.treatment(n) for n in order},
            pivot=found.pivot,
            aside=found.aside,
            locate=found.locate,
            others=found.others,
            formats=found.formats,
        )
        weight = numeric[weights[0]] if weights else None
        if weight is None and self.weight and targets:
            text = f"{table.origin} has no column `{self.weight}`: every row counts the same"
            return replace(table, warnings=(*table.warnings, Problem(text, code="no-weight", level="warning")))
        return table if weight is None else weigh_rows(table, weight, str(self.weight), path)


def _gaps(column: Array | CodedText) -> Array:
    """Returns where a column (N,) has no value."""
    return column.gaps if isinstance(column, CodedText) else np.isnan(column)


def _rows_left_out(found: LoadedColumns, path: Path) -> tuple[Problem, ...]:
    """Returns a warning that says how many rows were left out for want of a value."""
    if not found.lost:
        return ()
    columns = ", ".join(f"`{name}` ({count:,})" for name, count in list(found.dropped.items())[:8])
    rows = "1 row is left out: it has" if found.lost == 1 else f"{found.lost:,} rows are left out: they have"
    return (Problem(f"{display_path(path)}: {rows} no value in {columns}", code="rows-left-out", level="warning"),)


def _target(texts: Mapping[str, CodedText], numeric: Mapping[str, Array], targets: Sequence[str], path: Path) -> Array:
    """Returns the targets in one of the three forms of Table."""
    if len(targets) == 1 and targets[0] in texts:
        return texts[targets[0]].array()
    for name in targets:
        if name in texts:
            text = f"target column `{name}` holds text; several targets have to be numbers"
            help = "name one target column, or encode it as numbers"
            raise data_error(text, path, code="text-target", help=help)
    return numeric_target(np.column_stack([numeric[n] for n in targets]))
