"""How single values and single errors are put into words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from bpcli.config.dump import flow
from bpcli.config.error_text import FieldError, error_text
from bpcli.config.fields import _at
from bpcli.config.overrides import _node
from bpcli.config.scalars import is_plain_text
from bpcli.config.validate import _intended_branch, validate
from bpcli.config.yamlfile import parse
from bpcli.records.training import Failure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, ".nan"), (math.inf, ".inf"), (-math.inf, "-.inf"), (0.5, "0.5"), (1e16, "1.0e+16"),
        (1.5e-7, "1.5e-07"), (3, "3"), (True, "true"), (False, "false"), (None, "null"), ("relu", "relu"),
        ("1", '"1"'), ("a: b", '"a: b"'), ([1, "x", [2.0]], "[1, x, [2.0]]"), ((), "[]"),
        ({"type": "sgd", "k": [1]}, "{type: sgd, k: [1]}"), ({}, "{}"),
    ],
)  # fmt: skip
def test_a_value_behind_set(value: Any, text: str) -> None:
    assert flow(value) == text


@pytest.mark.parametrize(("text", "plain"), [("relu", True), ("a b", True), ("1e5", False), ("", False), ("no", False)])
def test_text_that_needs_no_quotes(text: str, plain: bool) -> None:
    assert is_plain_text(text) == plain


def error(kind: str, value: Any, message: str = "m", **context: Any) -> tuple[str, str, str]:
    found = error_text(FieldError(("a",), kind, value, message, context))
    return found.text, found.code, found.help


def test_errors_in_words() -> None:
    assert error("value_error", 3, error="no such thing") == ("no such thing", "bad-value", "")
    assert error("value_error", 3) == ("m", "bad-value", "")
    assert error("assertion_error", 3, error="not so") == ("not so", "bad-value", "")
    assert error("a_kind_of_ours", 3, help="do this") == ("m", "a-kind-of-ours", "do this")
    assert error("a_kind_of_ours", 3) == ("m", "a-kind-of-ours", "")
    assert error("greater_than", -1.5, gt=0.0) == ("must be greater than 0, got -1.5", "out-of-range", "")
    assert error("greater_than", -1.5, gt=0.25)[0] == "must be greater than 0.25, got -1.5"
    assert error("less_than", 3, lt=1e300)[0] == "must be less than 1e+300, got 3"


def test_a_place_is_followed_through_mappings_lists_and_models() -> None:
    class Inner(BaseModel):
        units: int = 3

    assert _at({"a": 1}, "a") == 1
    assert _at({"a": 1}, "b") is None
    assert _at([1, 2], 1) == 2
    assert _at([1, 2], 2) is None
    assert _at([1, 2], "x") is None
    assert _at(Inner(), "units") == 3
    assert _at(Inner(), "width") is None
    assert _at(7, "a") is None


def test_data_of_an_override_points_at_one_position() -> None:
    place: Any = object()
    node = _node({"a": [1, {"b": "x"}]}, place)
    assert node.position is place
    inner = node.value["a"].value
    assert [one.value for one in inner[:1]] == [1]
    assert inner[1].value["b"].value == "x"
    assert all(one.position is place for one in (node.value["a"], *inner, inner[1].value["b"]))


def test_of_the_branches_of_a_union_that_is_told_which_was_meant() -> None:
    """The one that fits in kind; where none does, one error says what all of them expect."""
    wrong = FieldError(("a",), "int_parsing", "x", "m")
    deep = FieldError(("a", "b"), "missing", None, "m")
    assert _intended_branch(("a",), [[wrong], [deep]]) == [deep]
    assert _intended_branch(("a",), [[wrong]]) == [wrong]
    (found,) = _intended_branch(("a",), [[wrong], [FieldError(("a",), "bool_parsing", "x", "m")]])
    assert (found.kind, found.path, found.value) == ("misfit", ("a",), "x")
    assert len(found.context["expected"]) == 2


class Bare(BaseModel):
    """Settings of which one says nothing of itself."""

    steps: int
    rate: float = Field(description="how fast")

    @field_validator("steps")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number is wanted")
        return value


def problems(text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(Failure) as caught:
        validate(Bare, parse(text, "a.yaml"))  # type: ignore[type-var]
    return [(p.text, p.code, p.help) for p in caught.value.problems]


def test_a_key_that_is_missing_is_shown_with_what_it_is_where_that_is_known() -> None:
    assert problems("{}\n") == [
        ("this key is required", "missing-key", "add `steps: ...`"),
        ("this key is required", "missing-key", "add `rate`: how fast"),
    ]
    assert problems("steps: 3\nrate: 1.0\n") == [("an even number is wanted", "bad-value", "")]
    with pytest.raises(ValidationError):
        Bare.model_validate({})
