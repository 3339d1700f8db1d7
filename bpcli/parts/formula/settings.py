"""What formulas, their parameters and their settings look like in a file."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Initializer
from bpcli.family.part import OneOf, Settings
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse, parse_expression, sides

WHY = "as the file states it"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


class FormulaParam(Settings):
    """A learned tensor of a formula: a letter in its shape is the size that this letter has in the equations."""

    shape: tuple[int | str, ...] = Field(
        strict=False, description="its sizes: numbers, letters of the equations, or [...]"
    )
    init: Annotated[Initializer, OneOf()] | None = Field(
        None, description="how it starts; default as of a dense layer: weights that a sum runs over at random, others 0"
    )
    decays: bool = Field(False, description="whether a penalty on the weights is laid on it")
    fan_in: int | None = Field(None, gt=0, description="inputs that it weighs, for init; default from its letters")
    fan_out: int | None = Field(None, gt=0, description="outputs that it goes to, for init; default from its letters")

    @field_validator("shape", mode="before")
    @classmethod
    def _sizes(cls, value: Any) -> Any:
        for size in value if isinstance(value, list | tuple) else ():
            letter = isinstance(size, str) and (size == "..." or (len(size) == 1 and size.isalpha()))
            if not letter and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
                message = "a size is a whole number above 0, a letter of the equations, or ...: not {size}"
                raise PydanticCustomError("formula", message, {"size": str(size)})
        return tuple(value) if isinstance(value, list) else value


def _pairs(value: Any, what: str) -> dict[str, Any]:
    """Returns a mapping of names. Raises a Pydantic error where something else stands there, or a name is none."""
    if isinstance(value, tuple):
        value = dict(value)
    if not isinstance(value, Mapping):
        raise PydanticCustomError("formula", "write names with {what}: {{beta: ...}}", {"what": what})
    for name in value:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            message = "`{name}` is no name: a letter, then letters, digits and `_`"
            raise PydanticCustomError("formula", message, {"name": str(name)})
    return dict(value)


def _params(value: Any) -> tuple[tuple[str, FormulaParam], ...]:
    found = _pairs(value, "what they are")
    for name in found:
        if name in ("x", "y", "dx", "dy"):
            raise PydanticCustomError(
                "formula", "`{name}` is what the layer reads and writes: choose another name", {"name": name}
            )
    return tuple(
        (name, param if isinstance(param, FormulaParam) else FormulaParam.model_validate(param))
        for name, param in found.items()
    )


def _numbers(value: Any) -> tuple[tuple[str, float], ...]:
    found = _pairs(value, "numbers")
    for name, number in found.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            message = "the setting `{name}` must be a number, got {number}"
            raise PydanticCustomError("formula", message, {"name": name, "number": str(number)})
    return tuple(found.items())


FormulaParams = Annotated[
    tuple[tuple[str, FormulaParam], ...],
    PlainValidator(_params),
    PlainSerializer(lambda pairs: {name: p.model_dump(mode="json", exclude_none=True) for name, p in pairs}),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object", "required": ["shape"]}}),
]
FormulaNumbers = Annotated[
    tuple[tuple[str, float], ...],
    PlainValidator(_numbers),
    PlainSerializer(lambda pairs: dict(pairs)),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "number"}}),
]


def stated_equation(text: str) -> Eq:
    """Returns one equation as it is typed, `left = right`. Raises a Pydantic error at the place that cannot be read."""
    left, sign, right = sides(text)
    if not (sign and left and right):
        message = "`{text}` is no equation: write left = right, as in y[n,o] = sum(i, x[n,i] * W[i,o])"
        raise PydanticCustomError("formula", message, {"text": text})
    _read(left, text, 0, lambda: parse(Eq(left, "0")))
    _read(right, text, text.index(right, text.index("=")), lambda: parse_expression(right))
    return Eq(left, right, WHY)


def check_expression(text: str) -> str:
    """Returns a right side that can be read. Raises a Pydantic error at the place that cannot."""
    _read(text, text, 0, lambda: parse_expression(text))
    return text


def check_equation(text: str) -> str:
    """Returns a typed equation that can be read. Raises a Pydantic error at the place that cannot."""
    stated_equation(text)
    return text


def _read(side: str, text: str, start: int, reading: Callable[[], object]) -> None:
    try:
        reading()
    except NotationError as error:
        help = "" if "Eq(" in error.help else error.help
        offset, end = error.at if error.at is not None else (0, len(side))
        where = {"text": str(error), "help": help, "offset": start + offset, "length": max(1, end - offset)}
        raise PydanticCustomError("formula", "{text}", where) from None


Expression = Annotated[str, AfterValidator(check_expression)]
"""A right side."""
TypedEquation = Annotated[str, AfterValidator(check_equation)]
"""An equation, left = right."""
