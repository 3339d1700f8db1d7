"""Values inside messages: short, on one line, and said for what they are."""

from typing import Any

import pytest

from bpcli.config.scalars import backticks, describe, short_repr


@pytest.mark.parametrize(
    ("value", "short", "described"),
    [
        (None, "null", "nothing"),
        (True, "true", "true"),
        (False, "false", "false"),
        ("ten", "'ten'", "the text 'ten'"),
        ("", "''", "the text ''"),
        ("a\nb", "'a\\nb'", "the text 'a\\nb'"),
        ("x" * 40, "'" + "x" * 40 + "'", "the text '" + "x" * 40 + "'"),
        ("x" * 41, "'" + "x" * 37 + "...'", "the text '" + "x" * 37 + "...'"),
        (3.5, "3.5", "the number 3.5"),
        (0, "0", "the number 0"),
        (10**39, "1" + "0" * 39, "the number 1" + "0" * 39),
        (10**40, "1" + "0" * 36 + "...", "the number 1" + "0" * 36 + "..."),
        ({}, "a mapping", "an empty mapping"),
        ({"a": 1}, "a mapping", "a mapping"),
        ([], "a list", "an empty list"),
        ([1], "a list", "a list"),
        ((1, 2), "'(1, 2)'", "'(1, 2)'"),
    ],
)
def test_a_value_in_a_message(value: Any, short: str, described: str) -> None:
    assert short_repr(value) == short
    assert describe(value) == described


def test_a_name_in_a_message() -> None:
    assert backticks("units") == "`units`"
    assert backticks(3) == "`3`"
    assert backticks("it's") == "`it's`"
