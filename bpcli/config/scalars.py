"""What a plain word of the file is: the core schema of YAML 1.2.2 (section 10.3.2), and how messages call a value."""

import re
from typing import Any

NULLS = {"", "~", "null", "Null", "NULL"}
BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
NAN = {".nan", ".NaN", ".NAN"}

MAX_NUMBER_LENGTH = 1000  # characters; Python itself refuses integers of more than 4300 digits
LENGTH_LIMIT = f"at most {MAX_NUMBER_LENGTH} characters are read"
MAX_INTEGER = 2**1023  # an integer beyond may not fit a float


class ScalarError(ValueError):
    """A number that cannot be held; `help` says what would do."""

    def __init__(self, text: str, help: str = "") -> None:
        super().__init__(text)
        self.help = help


def resolve(text: str) -> bool | int | float | str | None:
    """Returns the value of an unquoted word. Raises ScalarError for a number too large to compute with.

    `no`, `on`, `1_000`, `12:30` and dates are text, `017` is seventeen, `0o17` is fifteen, `1e-4` is a number.
    """
    if text in NULLS:
        return None
    if text in BOOLS:
        return BOOLS[text]
    if text[0] not in "+-.0123456789":
        return text
    if INTEGER.fullmatch(text):
        return _integer(text, 10)
    if OCTAL.fullmatch(text):
        return _integer(text[2:], 8)
    if HEXADECIMAL.fullmatch(text):
        return _integer(text[2:], 16)
    if FLOAT.fullmatch(text):
        return _float(text)
    if INFINITY.fullmatch(text):
        return float("-inf" if text[0] == "-" else "inf")
    if text in NAN:
        return float("nan")
    return text


def _integer(digits: str, base: int) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise ScalarError(f"a number of {len(digits)} digits is too long", LENGTH_LIMIT)
    value = int(digits, base)
    if abs(value) >= MAX_INTEGER:
        raise ScalarError(f"a whole number of {len(digits)} digits is too large", "the largest is about 9e307")
    return value


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ScalarError(f"a number of {len(text)} characters is too long", LENGTH_LIMIT)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        sign = "-" if value < 0 else ""
        raise ScalarError(
            f"{backticks(text)} is too large: it would be read as infinity",
            f"the {'least' if sign else 'largest'} number is about {sign}1.8e308",
        )
    return value


def is_plain_text(text: str) -> bool:
    """Whether the word, unquoted, is that text to readers of YAML 1.2 and of YAML 1.1 alike."""
    return bool(SAFE_TEXT.fullmatch(text)) and text.lower() not in YAML_1_1_WORDS


SAFE_TEXT = re.compile(r"(\.{1,2}/|/|[A-Za-z_])([A-Za-z0-9_./+-]| (?=[A-Za-z0-9_/]))*")
YAML_1_1_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def short_repr(value: Any, max_length: int = 40) -> str:
    """Returns a value inside a message: short, on one line, and text in quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= max_length else value[: max_length - 3] + "...")
    if isinstance(value, int | float):
        text = repr(value)
        return text if len(text) <= max_length else text[: max_length - 3] + "..."
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return short_repr(str(value), max_length)


def backticks(word: Any) -> str:
    """Returns a name inside a message, between back-ticks."""
    return f"`{short_repr(str(word))[1:-1]}`"


def describe(value: Any) -> str:
    """Returns a value inside a message, with its kind: the text 'ten', the number 3.5, a list, nothing."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return short_repr(value)
    if isinstance(value, str):
        return f"the text {short_repr(value)}"
    if isinstance(value, int | float):
        return f"the number {short_repr(value)}"
    if isinstance(value, dict):
        return "an empty mapping" if not value else "a mapping"
    if isinstance(value, list):
        return "an empty list" if not value else "a list"
    return short_repr(value)
