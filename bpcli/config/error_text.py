"""Messages for what Pydantic found: what was expected, what stands there, and what to type instead."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bpcli.config.scalars import ScalarError, describe, resolve, short_repr
from bpcli.family.part import near


@dataclass(frozen=True)
class FieldError:
    """One error of Pydantic's, with its place in the file.

    `kind` is Pydantic's name of the error. `tags` are what it puts between the steps of `path` for the branches of a
    union, each with the number of steps before it.
    """

    path: tuple[str | int, ...]
    kind: str
    value: Any
    message: str
    context: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[tuple[int, str], ...] = ()
    on_key: bool = False


@dataclass(frozen=True)
class ErrorText:
    text: str
    code: str
    help: str = ""


EXPECTED = {
    kind: text
    for text, kinds in {
        "a whole number": ("int_type", "int_from_float", "int_parsing"),
        "a number": ("float_type", "float_parsing"),
        "true or false": ("bool_type", "bool_parsing"),
        "text": ("string_type",),
        "a list": ("list_type", "tuple_type", "set_type"),
        "a mapping": ("dict_type", "mapping_type"),
        "a mapping of settings": ("model_type", "model_attributes_type"),
        "nothing": ("none_required",),
    }.items()
    for kind in kinds
}
RANGES = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
YES_NO = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


def expected_kinds(error: FieldError) -> list[str]:
    """Returns what kinds of value were expected, where that is the whole of the error; else nothing."""
    if error.kind in ("literal_error", "enum"):
        return _choices(error) or [str(error.context.get("expected", "another value"))]
    if error.kind == "no_type" and not isinstance(error.value, Mapping):
        return [with_article(str(error.context["family"]))]
    if error.kind == "misfit":
        return list(error.context["expected"])
    return [EXPECTED[error.kind]] if error.kind in EXPECTED else []


def error_text(error: FieldError) -> ErrorText:
    """Returns the message for an error that needs nothing but itself (unknown and missing keys and types need the
    model)."""
    kinds = expected_kinds(error)
    context = error.context
    if kinds:
        return _wrong_kind(error, kinds)
    if error.kind in RANGES:
        name, text = RANGES[error.kind]
        bound = context[name]
        bound = int(bound) if isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e15 else bound
        return ErrorText(f"must be {text} {short_repr(bound)}, got {short_repr(error.value)}", "out-of-range")
    if error.kind == "finite_number":
        return ErrorText(f"must be a finite number, got {short_repr(error.value)}", "out-of-range")
    if error.kind.removeprefix("string_") in ("too_short", "too_long"):
        key, bound = ("min_length", "at least") if error.kind.endswith("short") else ("max_length", "at most")
        limit = f"{bound} {context[key]} {'character' if error.kind.startswith('string') else 'item'}"
        limit += "s" * (context[key] != 1)
        if error.kind.startswith("string"):
            return ErrorText(f"must have {limit}, got {describe(error.value)}", "out-of-range")
        return ErrorText(f"must hold {limit}, holds {context.get('actual_length') or 'none'}", "out-of-range")
    if error.kind == "string_unicode":
        stray = next((f"U+{ord(c):04X}" for c in str(error.value) if "\ud800" <= c <= "\udfff"), "of no text")
        return ErrorText(f"the character {stray} does not belong in a text", "not-text", "only a path may have it")
    if error.kind == "string_pattern_mismatch":
        return ErrorText(f"must match the pattern {context['pattern']}, got {describe(error.value)}", "out-of-range")
    if error.kind in ("value_error", "assertion_error"):
        return ErrorText(str(context.get("error", error.message)), "bad-value")
    code = error.kind.replace("_", "-")
    return ErrorText(error.message, code, str(context.get("help", "")))


def _wrong_kind(error: FieldError, kinds: list[str]) -> ErrorText:
    value = error.value
    text = f"expected {join_words(kinds, 'or')}, got {describe(value)}"
    choices = _choices(error)
    if isinstance(value, str) and choices:
        close = closest(value, choices)
        if close is not None:
            return ErrorText(text, "unknown-value", f"did you mean `{close}`?")
        if len(choices) == len(kinds):
            return ErrorText(text, "unknown-value")
    return ErrorText(text, "wrong-type", _correction(value, kinds))


def _choices(error: FieldError) -> list[str]:
    """Returns the words that a Literal allows."""
    if error.kind == "misfit":
        return list(error.context["choices"])
    expected = str(error.context.get("expected", "")) if error.kind in ("literal_error", "enum") else ""
    return re.findall(r"'([^']*)'", expected)


def _correction(value: Any, kinds: list[str]) -> str:
    """Returns what the writer probably meant, in the form that was expected."""
    numbers = {"a number", "a whole number"} & set(kinds)
    if value is None:
        return "write a value, or remove the key"
    if isinstance(value, str) and numbers and (number := _number(value)):
        return f"write {number}"
    if isinstance(value, str) and "true or false" in kinds and value.lower() in YES_NO:
        return f"write {YES_NO[value.lower()]}"
    if isinstance(value, float) and "a whole number" in kinds and value.is_integer():
        return f"write {int(value)}" if abs(value) < 1e15 else ""
    if isinstance(value, bool | int | float) and "text" in kinds:
        return f'put it in quotes: "{short_repr(value)}"'
    if isinstance(value, str | bool | int | float) and kinds == ["a list"]:
        return f"write [{value if isinstance(value, str) and len(value) < 40 else short_repr(value)}]"
    if isinstance(value, dict) and kinds == ["a list"]:
        return "begin each item of the list with `- `"
    return ""


def _number(text: str) -> str:
    """Returns the number that a text was meant to be: quoted, with a decimal comma, underscores or a percent sign."""
    plain = text.strip().replace("_", "")
    percent = plain.endswith("%")
    plain = plain.rstrip("% ")
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    try:
        value = resolve(plain) if plain else None
    except ScalarError:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return short_repr(value / 100) if percent else plain


def closest(word: str, known: Iterable[str], *, surely: bool = False) -> str | None:
    """Returns the known word that was meant: spelled otherwise (learningRate), by its initials (lr), by a part of it
    (rate), or with a typing error; `surely` asks for more than a resemblance."""
    known = list(known)
    if len(word) > 100:
        return None
    bare = re.sub(r"[\s_-]", "", word.lower())
    for name in known:
        if bare == name.replace("_", ""):
            return name
    initials = [name for name in known if "_" in name and bare == "".join(part[:1] for part in name.split("_"))]
    parts = [name for name in known if word.lower() in name.split("_")]
    meant = initials or parts
    if len(meant) == 1:
        return meant[0]
    found = near(word, known)
    alike = difflib.SequenceMatcher(None, word.lower(), found or "").ratio()
    return found if alike > 0.8 or not surely else None


def join_words(names: Iterable[str], last: str = "and") -> str:
    """Returns words in a row: a, b or c."""
    *rest, final = list(names)
    return f"{', '.join(rest)} {last} {final}" if rest else final


def with_article(noun: str) -> str:
    """Returns the noun with its article."""
    return f"{'an' if noun[:1] in 'aeio' else 'a'} {noun}"
