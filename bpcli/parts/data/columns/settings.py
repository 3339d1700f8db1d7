"""How columns are named in a config: a name or a list of them, and what is said of single columns."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from bpcli.family import Kind, Treatment

COLUMN_KINDS: tuple[Kind, ...] = ("number", "text", "boolean", "date")


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
