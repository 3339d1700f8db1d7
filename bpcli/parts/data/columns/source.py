"""What all sources with named columns share: which are targets, what becomes of the others, and the table they make."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, CodedText, Kind, Missing, Shape, Source, Table, Treatment
from bpcli.family.source import MissingValues
from bpcli.parts.data.columns.loading import ColumnRequest, GapRules, LoadedColumns
from bpcli.parts.data.columns.settings import ColumnName, Names, TreatmentMap, Treatments
from bpcli.parts.data.files import data_error, display_path, visible
from bpcli.parts.data.targets import numeric_target, weigh_rows
from bpcli.records.training import Problem

FILLING_RULES: tuple[Missing, ...] = ("mean", "median", "mode")
"""Rules that put something in the place of a missing value."""

MAX_NAMED = 8
"""Columns, and words of one, that a warning names."""

WRITING = ("decimal", "thousands", "date_order", "unit")
"""Settings that say how the cells of a column are written."""


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

    def said_otherwise(self, name: str, like: Source | None) -> Treatment:
        """Returns how the cells of a column are written as far as these settings say other than those of `like`, and
        what stands for no value."""
        own = self.treatment(name)
        other = like.treatment(name) if isinstance(like, ColumnSource) else Treatment()
        said = {key: value for key in WRITING if (value := getattr(own, key)) != getattr(other, key)}
        return Treatment(**said, missing_values=own.missing_values)

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

    def unnamed_cells(self, root: Path) -> list[list[str]]:
        """Returns the first cells of each column without a name, of which a text file may have some."""
        return []

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
            missing_words=found.missing_words,
            decimal=found.decimal,
        )
        weight = numeric[weights[0]] if weights else None
        if weight is None and self.weight and targets:
            text = f"{table.origin} has no column `{self.weight}`: every row counts the same"
            return replace(table, warnings=(*table.warnings, Problem(text, code="no-weight", level="warning")))
        return table if weight is None else weigh_rows(table, weight, str(self.weight), path)


def _rows_left_out(found: LoadedColumns, path: Path) -> tuple[Problem, ...]:
    """Returns a warning that says how many rows were left out for want of a value."""
    if not found.lost:
        return ()
    columns = ", ".join(
        f"`{name}` ({count:,}{_as_words(found.missing_words.get(name, ()))})"
        for name, count in list(found.dropped.items())[:MAX_NAMED]
    )
    rows = "1 row is left out: it has" if found.lost == 1 else f"{found.lost:,} rows are left out: they have"
    return (Problem(f"{display_path(path)}: {rows} no value in {columns}", code="rows-left-out", level="warning"),)


def _as_words(words: Sequence[str]) -> str:
    """Returns the words of cells that stand for no value, as a list behind a number of rows."""
    return f": {' '.join(f'`{visible(word)}`' for word in words[:MAX_NAMED])}" if words else ""


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
