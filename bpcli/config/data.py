"""The `data` section of an experiment: where rows come from, how they are divided and scaled."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Augmentation, Scaler, Source
from bpcli.family.part import OneOf, Settings, dump
from bpcli.parts.data.columns.settings import column_name  # declares the parts, too


def _fraction_or_source(value: Any) -> float | Source | None:
    """Returns a fraction or a source: one validator, not a union, so that its errors speak of the form that was
    meant."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Mapping | Source):
        message = "write a fraction of the training rows, such as 0.15, or a data source {type: csv, ...}"
        raise PydanticCustomError("share", message)
    if not isinstance(value, int | float):
        return Source.parse(value)
    if value == 0:
        raise PydanticCustomError("share", "0 rows are no split: leave the key out")
    if not 0 < value < 1:
        message = "a fraction of the training rows lies between 0 and 1, and {value} does not"
        raise PydanticCustomError("share", message, {"value": str(value)})
    return float(value)


FRACTION = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
FractionOrSource = Annotated[
    float | Source | None,
    PlainValidator(_fraction_or_source),
    PlainSerializer(lambda value: dump(value) if isinstance(value, Source) else value),
    WithJsonSchema({"anyOf": [FRACTION, {"$ref": "#/$defs/Source"}, {"type": "null"}]}),
]
"""A fraction of the training rows, or a source of its own."""

DivisionColumn = Annotated[
    str | None,
    BeforeValidator(column_name),
    WithJsonSchema({"anyOf": [{"type": ["string", "integer"], "minLength": 1}, {"type": "null"}]}),
]


class Division(Settings):
    """By what the rows of train are divided, where not by chance: by one column of the file."""

    column: DivisionColumn = Field(None, description="a column that says `train`, `validation` or `test` for each row")
    group: DivisionColumn = Field(
        None, description="a column whose rows of the same value stay together: a patient, a speaker; it is no input"
    )
    time: DivisionColumn = Field(
        None, description="a column of dates or numbers: the latest rows are test, those before them validation"
    )

    @property
    def by(self) -> tuple[str, str]:
        """The setting that is given, and the column it names."""
        return next((key, name) for key in ("column", "group", "time") if (name := getattr(self, key)) is not None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        named = [key for key in ("column", "group", "time") if getattr(self, key) is not None]
        if len(named) != 1:
            message = "write one of {column: NAME}, {group: NAME} and {time: NAME}"
            raise PydanticCustomError("division", message)
        return self


class Fold(Settings):
    """One of k parts of the rows, as test; the others are train."""

    of: int = Field(ge=2, le=1000, description="how many parts")
    number: int = Field(ge=1, description="which of them is test, counted from 1")

    @model_validator(mode="after")
    def _number_in_range(self) -> Self:
        if self.number > self.of:
            message = "of {of} folds number {number} is none: they are counted from 1"
            raise PydanticCustomError("fold", message, {"of": self.of, "number": self.number})
        return self


class Data(Settings):
    """Where rows come from. Scaling, categories and class names are learned from the training rows alone, after the
    split, and saved with the model."""

    train: Annotated[Source, OneOf()] = Field(description="the rows to learn from")
    validation: FractionOrSource = Field(
        None, description="rows that judge each epoch: a fraction of train (0.15), or a source of its own"
    )
    test: FractionOrSource = Field(
        None, description="rows for the final judgement only: a fraction of train (0.15), or a source of its own"
    )
    split: Division | None = Field(
        None, description="the column that rows are divided by: {column: fold}, {group: patient} or {time: date}"
    )
    fold: Fold | None = Field(
        None, description="one part of k is test: {of: 5, number: 1}; `bpcli train --folds 5` goes through all of them"
    )
    stratify: bool | None = Field(
        None, description="whether each split gets its share of every class; left out: yes where targets are classes"
    )
    scale: Annotated[Scaler, OneOf()] = Field(
        Scaler.parse("none"), description="how the numbers among the inputs are scaled"
    )
    scale_target: Annotated[Scaler, OneOf()] = Field(
        Scaler.parse("none"),
        description="how numeric targets are scaled; metrics are reported in the target's own units",
    )
    augment: tuple[Annotated[Augmentation, OneOf()], ...] = Field(
        (), strict=False, description="how training images are changed by chance in every step, one way after another"
    )

    @model_validator(mode="after")
    def _some_rows_left(self) -> Self:
        fractions = [f for f in (self.validation, self.test) if isinstance(f, float)]
        if sum(fractions) >= 1:
            message = "validation and test take {sum} of the rows: together they have to stay below 1"
            raise PydanticCustomError("share", message, {"sum": f"{sum(fractions):g}"})
        return self

    @model_validator(mode="after")
    def _divided_once(self) -> Self:
        if self.split is None:
            return self
        key, name = self.split.by
        fractions = [n for n in ("validation", "test") if isinstance(getattr(self, n), float)]
        message = ""
        if self.stratify:
            message = "split by {key} goes by the column `{name}` alone: leave `stratify` out"
        elif key == "column" and fractions:
            message = "the column `{name}` says which rows are {first}: leave the fraction out"
        elif key != "column" and not fractions and self.fold is None:
            message = "split by {key} wants to know how many rows: write `test: 0.2`, `validation: 0.2` or both"
        if message:
            first = next(iter(fractions), "")
            raise PydanticCustomError("division", message, {"key": key, "name": name, "first": first})
        return self

    @model_validator(mode="after")
    def _tested_once(self) -> Self:
        if self.fold is not None and self.test is not None:
            raise PydanticCustomError("fold", "`fold` says which rows are test: leave `test` out")
        if self.fold is not None and self.split is not None and self.split.by[0] != "group":
            message = "folds are drawn by chance, of rows or of groups, and split goes by {key}"
            raise PydanticCustomError("fold", message, {"key": self.split.by[0]})
        return self
