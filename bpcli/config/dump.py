"""Plain data as YAML that is pleasant to read, and that readers of YAML 1.2 and 1.1 alike read back as it was."""

from collections.abc import Mapping
from typing import Any

from bpcli.config.scalars import is_plain_text

MAX_LINE_LENGTH = 110  # characters
MAX_KEY_LENGTH = 1000  # characters; beyond, YAML needs a `?` before the key
YAML_INDENT = "  "


def dump(data: Mapping[str, Any]) -> str:
    """Returns the mapping as YAML: a setting a line, a part in braces where it fits on one, a row of numbers a line."""
    if not data:
        return "{}\n"
    return "\n".join(_block(data, "", top=True)) + "\n"


def _block(value: Any, indent: str, top: bool = False) -> list[str]:
    """Returns the lines of a mapping or a list."""
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = _text(key)
            head = f"{indent}{name}:"
            if len(name) > MAX_KEY_LENGTH:
                lines.append(f"{indent}? {name}")
                head = f"{indent}:"
            # sections of the file stay open; what is inside them is in braces where it is short
            lines.extend(
                _entry(head, inner, indent, open_up=top and isinstance(inner, Mapping) and "type" not in inner)
            )
    else:
        for inner in value:
            first, *rest = _entry(f"{indent}-", inner, indent, open_up=False)
            if rest:  # `- type: dense`, not the dash on a line of its own
                first = f"{first} {rest.pop(0).lstrip()}"
            lines.extend((first, *rest))
    return lines


def _entry(head: str, value: Any, indent: str, open_up: bool) -> list[str]:
    """Returns the lines of a key or a dash, with its value behind it or below."""
    line = flow(value)
    if not isinstance(value, Mapping | list | tuple) or not value:
        return [f"{head} {line}"]
    items = () if isinstance(value, Mapping) else value
    parts = any(isinstance(item, Mapping) for item in items)
    nested = any(isinstance(item, list | tuple) for item in items)
    row = bool(items) and not parts and not nested
    table = len(items) > 4 and nested  # a line for each of its rows
    fits = len(head) + 1 + len(line) <= MAX_LINE_LENGTH
    if not open_up and (row or (fits and not table and not parts)):
        return [f"{head} {line}"]
    return [head, *_block(value, indent + YAML_INDENT)]


def flow(value: Any) -> str:
    """Returns the value as YAML on one line: what stands behind `--set key=`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float(value) if isinstance(value, float) else str(int(value))


def _float(value: float) -> str:
    if value != value:
        return ".nan"
    if value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0e{exponent}"  # YAML 1.1 wants the point


def _text(value: str) -> str:
    if is_plain_text(value):
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else character.encode("unicode_escape").decode()
