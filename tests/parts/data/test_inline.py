"""Rows written in the experiment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bpcli.family import Source
from bpcli.parts.data.inline import Inline
from bpcli.records.training import Failure


def source(**settings: Any) -> Inline:
    return Inline.model_validate({"type": "inline", **settings})


def test_the_articles_rows() -> None:
    part = source(inputs=[[-1], [0], [1]], targets=[[0], [1], [1]])
    table = part.load(Path("."))
    assert table.numbers.tolist() == [[-1], [0], [1]]
    assert table.target is not None
    assert table.target.tolist() == [0, 1, 1]
    assert (table.names, table.origin) == ((), "the inline data")
    assert Source.parse(part.model_dump(mode="json")) == part


@pytest.mark.parametrize(
    ("targets", "expected", "dtype"),
    [
        (["b", "a"], ["b", "a"], object),
        ([3, 1], [3, 1], np.int64),
        ([0.5, 1], [[0.5], [1]], np.float64),
        ([[0.5], [1]], [[0.5], [1]], np.float64),
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]], np.float64),
    ],
)
def test_forms_of_targets(targets: list[Any], expected: list[Any], dtype: Any) -> None:
    table = source(inputs=[[1.5, 2], [3, 4]], targets=targets).load(Path("."))
    assert table.target is not None
    assert table.target.tolist() == expected
    assert table.target.dtype == dtype


def test_images() -> None:
    assert source(inputs=[[[1, 2], [3, 4], [5, 6]]]).load(Path("."), need_target=False).numbers.shape == (1, 3, 2)


def test_whole_numbers_beyond_64_bits() -> None:
    assert source(inputs=[[2**70]]).load(Path("."), need_target=False).numbers.tolist() == [[2.0**70]]


def test_no_targets() -> None:
    with pytest.raises(Failure, match="the inline data has no targets") as caught:
        source(inputs=[[1]]).load(Path("."))
    assert "add `targets:`" in caught.value.problems[0].help


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": [[1, 2], [3, 4], [5]]}, "inputs[2] has 1 value, inputs[0] has 2 values"),
        ({"inputs": [[1], [[2]]]}, "inputs[1] has 1 x 1 values, inputs[0] has 1 value"),
        ({"inputs": [[1], 2]}, "inputs[1] is a single value, inputs[0] has 1 value"),
        ({"inputs": [[1], []]}, "inputs[1] is empty"),
        ({"inputs": [[None]]}, "inputs[0][0] is null, not a number"),
        ({"inputs": {"a": 1}}, "write a list of rows"),
        ({"inputs": [[1]], "targets": 1}, "write a list with one target a row"),
        ({"inputs": [[1], [2]], "targets": [[0], [1, 2]]}, "targets[1] has 2 values, targets[0] has 1 value"),
        ({"inputs": [[1], [2]], "targets": [0, float("nan")]}, "targets[1] is `nan`: a finite number is expected"),
        ({"inputs": [[1]], "targets": [[[0]]]}, "the targets of a row are one list of numbers"),
    ],
)
def test_bad_rows(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source(**settings)
    (error,) = caught.value.errors()
    assert message in error["msg"]
