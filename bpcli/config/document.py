"""A file that was read: its values, and where each of them stands, so that every message can point at the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from bpcli.records.training import Problem

Location = Sequence[str | int]
"""Where in the experiment: keys of mappings and places in lists, counted from 0."""

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True)
class SourceText:
    """A text that values come from: a file, or one `--set` (which has an `order`, counted from 1)."""

    file: str
    text: str
    order: int = 0

    @cached_property
    def lines(self) -> list[str]:
        return LINE_BREAK.split(self.text)


@dataclass(slots=True)
class Position:
    """Where something stands: line and column from 1; `width` in characters, none of them beyond the line."""

    source: SourceText
    line: int
    column: int
    width: int
    whole: bool = True  # nothing of it stands on a later line


@dataclass(slots=True)
class YamlNode:
    """A value and where it stands. `value` holds nodes where it is a mapping or a list, and is a scalar otherwise.

    `keys` says where the keys of a mapping stand.
    """

    value: Any
    position: Position
    keys: dict[str, Position] = field(default_factory=dict)

    def child(self, step: str | int) -> YamlNode | None:
        """Returns what stands under a key, or at a place of a list; None where there is nothing."""
        found: YamlNode | None = None
        if isinstance(self.value, dict) and isinstance(step, str):
            found = self.value.get(step)
        elif isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            found = self.value[step]
        return found

    def plain(self) -> Any:
        """Returns the value as plain data."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


@dataclass(frozen=True)
class Document:
    """The content of a file, with the overrides that were applied to it."""

    root: YamlNode
    source: SourceText

    @cached_property
    def data(self) -> dict[str, Any]:
        """Plain mappings, lists and scalars."""
        plain: dict[str, Any] = self.root.plain()
        return plain

    def problem(
        self,
        loc: Location,
        text: str,
        *,
        code: str = "",
        help: str = "",
        on: Literal["value", "key"] = "value",
        level: str = "error",
    ) -> Problem:
        """Returns a problem that points at `loc`, or at what is nearest to it where a key on the way was left out."""
        path = tuple(loc)
        position = self.position(loc, on)
        if position is None:
            return Problem(text, code, path, self.source.file, help=help, level=level)
        return make_problem(position, text, path=path, code=code, help=help, level=level)

    def inside(self, problem: Problem, loc: Location, offset: int, length: int) -> Problem:
        """Returns a problem that points into the text at `loc`, where it stands on one line as it is read."""
        node: YamlNode | None = self.root
        for step in loc:
            node = node.child(step) if node is not None else None
        if node is None or not node.position.whole:
            return problem
        position = node.position
        written = position.source.lines[position.line - 1][position.column - 1 :]
        quoted = written[:1] in ("'", '"')
        if not written[quoted:].startswith(str(node.value)):
            return problem
        start = position.column + quoted + offset
        return replace(problem, column=start, span=max(1, min(length, len(written) - offset - quoted)))

    def position(self, loc: Location, on: Literal["value", "key"] = "value") -> Position | None:
        """Returns where `loc` stands: the value if it fits on a line, else its key; None for the whole file."""
        node, key = self.root, None
        for step in loc:
            inner = node.child(step)
            if inner is None:
                if isinstance(step, str) and not step.isidentifier():
                    continue  # `list[float]`, `literal['full']`: the branch of a union, which Pydantic puts in between
                on = "value"
                break
            key = node.keys.get(str(step)) if isinstance(node.value, dict) else None
            node = inner
        if node is self.root:
            return None
        if key is not None and (on == "key" or not node.position.whole or node.position.width == 0):
            return key
        return node.position


def make_problem(
    position: Position, text: str, *, path: Location = (), code: str = "", help: str = "", level: str = "error"
) -> Problem:
    """Returns a problem that points at `position`, with the line before it for orientation."""
    lines = position.source.lines
    shown = [number for number in (position.line - 1, position.line) if 1 <= number <= len(lines)]
    if len(shown) == 2 and not lines[shown[0] - 1].strip():
        shown = shown[1:]
    excerpt = tuple((number, lines[number - 1]) for number in shown)
    return Problem(
        text,
        code,
        tuple(path),
        position.source.file,
        position.line,
        position.column,
        max(1, position.width),
        excerpt,
        help,
        level,
    )
