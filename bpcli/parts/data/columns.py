"""Settings of all sources with named columns: which are targets, and what becomes of each of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

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

from bpcli.family.part import Settings
from bpcli.family.source import Kind, Missing, Treatment

FILLED: tuple[Missing, ...] = ("mean", "median", "mode")
SHORT: tuple[Kind, ...] = ("number", "text", "boolean", "date")


def _names(value: Any) -> tuple[str, ...]:
    """A name, a number, or a list of them, as a tuple of names."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    for name in found:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise PydanticCustomError("names", "write a column name, or a list of column names")
    return tuple(map(str, found))


def _name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _named(value: Any) -> Any:
    """A column may be named by its number."""
    return {_name(name): each for name, each in value.items()} if isinstance(value, Mapping) else value


class _Short:
    """`text` alone is short for {kind: text}."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.spelled_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(SHORT), "description": "what the column holds"}, handler(schema)]}

    @staticmethod
    def spelled_out(value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value


NAME: dict[str, Any] = {"type": ["string", "integer"]}
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [NAME, {"type": "array", "items": NAME}, {"type": "null"}]}),
]
Name = Annotated[str | None, BeforeValidator(_name), WithJsonSchema({"type": ["string", "integer", "null"]})]


class Treated(dict[str, Treatment]):
    """Treatments by the name of the column; never changed, so that parts that hold them are equal and hashed as
    values."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


Treatments = Annotated[dict[str, Annotated[Treatment, _Short()]], BeforeValidator(_named), AfterValidator(Treated)]


class Columns(Settings):
    """What is said of columns by name. All are inputs but targets, the weight and those of `drop`."""

    target: Names = Field((), description="the column or columns to predict")
    weight: Name = Field(None, description="a column of numbers above 0: how much each row counts")
    drop: Names = Field((), description="columns to leave out")
    text: Names = Field((), description="columns to read as text although they look like numbers")
    columns: Treatments = Field(
        default_factory=Treated,
        description="single columns: what they hold, how they are scaled, what stands for missing values",
    )
    missing: Missing = Field("error", description="what is done where a column has no value")
    indicator: bool = Field(False, description="whether columns with missing values get an input that says where")
    unseen: Literal["error", "ignore"] = Field(
        "error", description="a category that train does not have: an error, or counted as none of those it has"
    )

    @model_validator(mode="after")
    def _apart(self) -> Columns:
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
            if treatment.indicator and self.treatment(name).missing not in FILLED:
                message = "column `{name}`: an indicator needs a rule for missing values, such as `missing: median`"
                raise PydanticCustomError("indicator", message, {"name": name})
        if self.indicator and self.missing not in FILLED and not any(t.missing for t in self.columns.values()):
            raise PydanticCustomError("indicator", "an indicator needs a rule, such as `missing: median`")
        return self

    def treatment(self, name: str) -> Treatment:
        """What is done with a column, settings for all columns put in."""
        own = self.columns.get(name) or Treatment()
        missing = own.missing or self.missing
        indicator = self.indicator if own.indicator is None else own.indicator
        known = {"missing": missing, "indicator": indicator and missing in FILLED, "unseen": own.unseen or self.unseen}
        return own.model_copy(update=known)

    def target_missing(self, name: str) -> Missing:
        """What is done where a target (or a weight) is missing: it cannot be filled in."""
        own = self.columns.get(name)
        rule = (own.missing if own is not None else None) or self.missing
        return "drop" if rule == "drop" else "error"
