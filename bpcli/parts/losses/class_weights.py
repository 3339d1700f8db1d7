"""Weights of classes: written by name, or `balanced`, and completed once the classes of the data are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from bpcli.family import ClassMismatchError, ShapeError, join_names, suggestion

NamedWeights = tuple[tuple[str, float], ...]
"""Names of classes with their weights; once completed, of all classes in the order of their ids."""

EXAMPLE = "{oak: 2.0, elm: 1.0}"


class _Weights:
    """Reads a mapping from class names to positive numbers, `balanced`, or what else may stand in its place."""

    def __init__(self, number: bool) -> None:
        self.number = number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(_plain)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        positive = {"type": "number", "exclusiveMinimum": 0}
        mapping = {"type": "object", "additionalProperties": positive, "minProperties": 1}
        return {"anyOf": [mapping, {"const": "balanced"}, positive if self.number else {"type": "null"}]}

    def parse(self, value: Any) -> Any:
        if value == "balanced" or (value is None and not self.number):
            return value
        if self.number and _is_number(value):
            return _positive(value, "alpha")
        if isinstance(value, tuple):  # as a completed loss holds them
            value = dict(value)
        if not isinstance(value, Mapping) or not value:
            one = "a positive number, " if self.number else ""
            message = "write {one}a weight for each class, such as {example}, or balanced"
            raise PydanticCustomError("class_weights", message, {"one": one, "example": EXAMPLE})
        return tuple(
            (_name(name), _positive(weight, f"the weight of class `{name}`")) for name, weight in value.items()
        )


ClassWeights = Annotated[NamedWeights | Literal["balanced"] | None, _Weights(number=False)]
Alpha = Annotated[float | NamedWeights | Literal["balanced"], _Weights(number=True)]


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = "a class is named by text or by a whole number, not by {name}"
        raise PydanticCustomError("class_weights", message, {"name": str(value)})
    return str(value)


def _positive(value: Any, what: str) -> float:
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        message = "{what} must be a number greater than 0, got {value}"
        raise PydanticCustomError("class_weights", message, {"what": what, "value": str(value)})
    return float(value)


def all_weights(
    setting: str, weights: NamedWeights | Literal["balanced"], classes: tuple[str, ...], counts: tuple[int, ...]
) -> NamedWeights:
    """Returns a weight for every class, in the order of ids: 1 where none is set.

    `balanced` is N / (K n_k) for n_k of the N training rows, as in King & Zeng 2001 and scikit-learn. Raises
    ClassMismatchError where a name is no class, and where a class to be balanced has no rows.
    """
    if isinstance(weights, str):
        if 0 in counts:
            text = f"the classes cannot be balanced: no training row is of class `{classes[counts.index(0)]}`"
            raise ClassMismatchError(setting, text, "give weights by name, or rows of that class")
        return tuple((name, sum(counts) / (len(classes) * n)) for name, n in zip(classes, counts, strict=True))
    by_name = dict(weights)
    for name in by_name:
        if name not in classes:
            help = f"{suggestion(name, classes)}the classes are {join_names(classes)}"
            raise ClassMismatchError(setting, f"there is no class `{name}` to weigh", help)
    return tuple((name, by_name.get(name, 1.0)) for name in classes)


def weights_by_id(weights: NamedWeights | Literal["balanced"], classes: int) -> tuple[float, ...]:
    """Returns the completed weights without their names. Raises ShapeError where there is not one for each of so many
    outputs."""
    found = () if isinstance(weights, str) else tuple(weight for _, weight in weights)
    if len(found) == classes:
        return found
    help = f"the last layer needs `units: {len(found)}`" if found else "call Loss.with_classes first"
    raise ShapeError(f"there are weights for {len(found)} classes and {classes} outputs", help)
