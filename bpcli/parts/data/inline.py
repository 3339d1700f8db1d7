"""A few rows written in the experiment itself, for worked examples."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Sample, Shape, Source, Table
from bpcli.parts.data.targets import labels, numeric_target
from bpcli.records.training import Failure, Problem


def _row_error(template: str, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("rows", template, context)


def _shape(value: Any, where: str, names: bool) -> Shape:
    """Returns the shape of nested lists of numbers. Raises where a row differs from the first, naming its index."""
    if isinstance(value, list | tuple):
        if not value:
            raise _row_error("{where} is empty", where=where)
        first = _shape(value[0], f"{where}[0]", names)
        for i, inner in enumerate(value[1:], start=1):
            found = _shape(inner, f"{where}[{i}]", names)
            if found != first:
                raise _row_error(
                    "{where}[{i}] {found}, {where}[0] {first}",
                    where=where, i=i, found=_count_text(found), first=_count_text(first),
                )  # fmt: skip
        return (len(value), *first)
    if isinstance(value, str) and names:
        return ()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _row_error("{where} is {value}, not a number", where=where, value=_yaml_text(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise _row_error("{where} is {value}: a finite number is expected", where=where, value=_yaml_text(value))
    return ()


def _yaml_text(value: Any) -> str:
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else f"`{value}`"


def _count_text(shape: Shape) -> str:
    if not shape:
        return "is a single value"
    return f"has {' x '.join(map(str, shape))} value{'s' * (shape != (1,))}"


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _inputs(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise _row_error("write a list of rows, such as [[0, 1], [1, 0]]")
    if len(_shape(value, "inputs", names=False)) < 2:
        raise _row_error("each row is a list: write [[1], [2]] for two rows of one number")
    return _frozen(value)


def _targets(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise _row_error("write a list with one target a row")
    shape = _shape(value, "targets", names=True)
    words = [i for i, item in enumerate(value) if isinstance(item, str)]
    if words and len(words) < len(value):
        raise _row_error("targets mix names and numbers: targets[{i}] is `{name}`", i=words[0], name=value[words[0]])
    if len(shape) > 2:
        raise _row_error("the targets of a row are one list of numbers")
    if len(shape) == 2 and any(isinstance(item, str) for row in value for item in row):
        raise _row_error("class names stand in a plain list: [cat, dog], not [[cat], [dog]]")
    return _frozen(value)


NESTED: dict[str, Any] = {"type": "array", "items": {"type": ["number", "array"]}, "minItems": 1}
LISTED: dict[str, Any] = {"type": ["array", "null"], "items": {"type": ["number", "string", "array"]}}


class Inline(Source):
    """Rows in the file of the experiment: `inputs: [[-1], [0], [1]]`, `targets: [[0], [1], [1]]`.

    Inputs    a list of rows, each a list of numbers (nested deeper for images), all of one shape
    Targets   rows of numbers: values, or one-hot classes; a plain list: class names, class ids or one value a row
    Errors    at the file's line: a row of another shape than the first (with its index), text, a number not finite
    Source    the worked examples of textbooks, whose data is a handful of numbers
    """

    type: Literal["inline"] = "inline"
    inputs: Annotated[tuple[Any, ...], BeforeValidator(_inputs), WithJsonSchema(NESTED)] = Field(
        description="rows of numbers, such as [[0, 1], [1, 0]]"
    )
    targets: Annotated[tuple[Any, ...] | None, BeforeValidator(_targets), WithJsonSchema(LISTED)] = Field(
        None, description="a row of numbers for each row of inputs, or a plain list of class names"
    )

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if self.targets is not None and len(self.targets) != len(self.inputs):
            counts = {"inputs": len(self.inputs), "targets": len(self.targets)}
            raise _row_error("inputs has {inputs} rows and targets {targets}: each row needs one target", **counts)
        return self

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        numbers = np.array(self.inputs)
        if numbers.dtype.kind not in "iuf":  # whole numbers beyond 64 bits
            numbers = numbers.astype(np.float64)
        target = None
        if need_target:
            if self.targets is None:
                help = "add `targets:` with one row for each row of inputs"
                raise Failure(Problem("the inline data has no targets", code="no-target", help=help))
            named = isinstance(self.targets[0], str)
            target = labels(self.targets) if named else numeric_target(np.array(self.targets))
        return Table(numbers, {}, (), (), target, (), "the inline data")

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(inputs=((-1,), (0,), (1,)), targets=((0,), (1,), (1,))))
        yield Sample({"type": "inline", "inputs": [[0.5, 1], [2, 3]], "targets": ["no", "yes"]})
        yield Sample({"type": "inline", "inputs": [[[0, 1], [2, 3]]], "targets": [1]}, note="an image")
        yield Sample({"type": "inline", "inputs": [[1, 2], [3]]}, error="inputs[1] has 1 value, inputs[0] has 2 values")
        yield Sample({"type": "inline", "inputs": [1, 2]}, error="each row is a list")
        yield Sample({"type": "inline", "inputs": []}, error="inputs is empty")
        yield Sample({"type": "inline", "inputs": [[1], ["a"]]}, error="inputs[1][0] is `a`, not a number")
        yield Sample({"type": "inline", "inputs": [[1], [True]]}, error="inputs[1][0] is true, not a number")
        yield Sample({"type": "inline", "inputs": [[math.inf]]}, error="inputs[0][0] is `inf`: a finite number")
        yield Sample({"type": "inline", "inputs": [[1]], "targets": [["a"]]}, error="class names stand in a plain list")
        yield Sample({"type": "inline", "inputs": [[1], [2]], "targets": ["a", 1]}, error="mix names and numbers")
        yield Sample({"type": "inline", "inputs": [[1], [2]], "targets": [1]}, error="inputs has 2 rows and targets 1")
