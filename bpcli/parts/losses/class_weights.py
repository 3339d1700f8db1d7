"""Weights of classes: written by name, or `balanced`, and completed once the classes of the data are known."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from bpcli.family import ClassMismatchError, ShapeError, join_names, suggestion

NamedWeights = tuple[tuple[str, float], ...]
"""Names of classes with their weights; once completed, of all classes in the order of their ids."""

EXAMPLE = "{oak: 2.0, elm: 1.0}"


def _weights(value: Any, number: bool = False) -> Any:
    """Returns a mapping from class names to positive numbers as pairs, or `balanced`, or what else may stand in its
    place: a `number`, or nothing."""
    if value == "balanced" or (value is None and not number):
        return value
    if number and _is_number(value):
        return _positive(value, "alpha")
    if isinstance(value, tuple):  # as a completed loss holds them
        value = dict(value)
    if not isinstance(value, Mapping) or not value:
        one = "a positive number, " if number else ""
        message = "write {one}a weight for each class, such as {example}, or balanced"
        raise PydanticCustomError("class_weights", message, {"one": one, "example": EXAMPLE})
    return tuple((_name(name), _positive(weight, f"the weight of class `{name}`")) for name, weight in value.items())


POSITIVE = {"type": "number", "exclusiveMinimum": 0}
FORMS = ({"type": "object", "additionalProperties": POSITIVE, "minProperties": 1}, {"const": "balanced"})
AS_MAPPING = PlainSerializer(lambda value: dict(value) if isinstance(value, tuple) else value)
ClassWeights = Annotated[
    NamedWeights | Literal["balanced"] | None,
    PlainValidator(_weights),
    AS_MAPPING,
    WithJsonSchema({"anyOf": [*FORMS, {"type": "null"}]}),
]
Alpha = Annotated[
    float | NamedWeights | Literal["balanced"],
    PlainValidator(partial(_weights, number=True)),
    AS_MAPPING,
    WithJsonSchema({"anyOf": [*FORMS, POSITIVE]}),
]


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
        if len(counts) != len(classes):
            raise ClassMismatchError(setting, "without training rows nothing says how to balance the classes")
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
