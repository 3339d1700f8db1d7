"""From the text of a YAML file to nodes that know where they stand.

PyYAML's scanner and parser (the pure Python ones: the C loader crashes on deep nesting) give events; what becomes of
them is decided here, by the rules of YAML 1.2 and with limits, so that no file can take much time or memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from bpcli.config.document import LINE_BREAK, Position, SourceText, YamlNode, make_problem
from bpcli.config.scalars import ScalarError, backticks, resolve, short_repr
from bpcli.config.syntax import explain
from bpcli.family.part import near
from bpcli.records.training import Failure, Problem

__all__ = ["MAX_DEPTH", "MAX_VALUES", "compose"]

MAX_DEPTH = 64
MAX_VALUES = 100_000
MAX_PROBLEMS = 20
TOO_MANY = f"this makes more than {MAX_VALUES:,} keys, values or lines"
ELSEWHERE = "keep data in a file of its own (csv, npz, idx) and name it under `data`"
TAG = "tag:yaml.org,2002:"


def compose(source: SourceText, text: str | None = None) -> YamlNode | None:
    """The tree of a text, None where it holds nothing. `text` differs from the source's own where only a part of that
    is YAML; its lines and columns must be the same.

    Raises Failure: what is not YAML, duplicate keys, merge keys, tags, numbers that cannot be held, more than 64 levels
    or 100,000 keys and values, several documents.
    """
    stray = Reader.NON_PRINTABLE.search(source.text)
    if stray:
        before = LINE_BREAK.split(source.text[: stray.start()])
        code = ord(stray.group())
        raise Failure(
            make_problem(
                Position(source, len(before), len(before[-1]) + 1, 1),
                f"the character U+{code:04X} does not belong in a text file",
                code="not-text",
                help="save it as plain text (UTF-8), or write the character as an escape in double quotes",
            )
        )
    crowded = _crowded(source)
    if crowded:
        raise Failure(make_problem(Position(source, crowded, 1, 1), TOO_MANY, code="too-large", help=ELSEWHERE))
    return _Composer(source, source.text if text is None else text).document()


def _crowded(source: SourceText) -> int:
    """The line on which the keys and values that are easily counted exceed the limit, or 0. Scanning that many takes
    seconds; the composer counts exactly, aliases included."""
    marks = 0
    for number, line in enumerate(source.lines, start=1):
        said = line.partition("#")[0].strip()
        if said:
            marks += said.count(",") + said.count(": ") + (said[-1] not in ",:]}")
            if marks > MAX_VALUES:
                return number
    return 0


class _Events(Reader, Scanner, Parser):
    """PyYAML's events, refusing deep brackets where they begin: scanning time grows with the square of their depth."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        if self.flow_level >= MAX_DEPTH:
            raise _TooDeep
        super().fetch_flow_collection_start(TokenClass)


class _TooDeep(Exception):
    pass


@dataclass(slots=True)
class _Anchor:
    node: YamlNode | None  # None while its value is being read


class _Composer:
    """Reads one document; problems that leave the rest readable are collected and raised together."""

    def __init__(self, source: SourceText, text: str) -> None:
        self.source = source
        self.events = _Events(text)
        self.anchors: dict[str, _Anchor] = {}
        self.problems: list[Problem] = []
        self.left = MAX_VALUES

    def document(self) -> YamlNode | None:
        try:
            root = self.stream()
        except MarkedYAMLError as error:
            mark, width, text, help = explain(error, self.source.lines)
            raise self.stop(self.position(mark, width=width), text, "not-yaml", help) from None
        except _TooDeep:
            raise self.too_deep(self.here()) from None
        except (ValueError, OverflowError):  # escapes beyond Unicode, endless numbers in directives
            help = "check the escapes in quotes near it"
            raise self.stop(self.here(), "this is not valid YAML", "not-yaml", help) from None
        if self.problems:
            raise Failure(*self.problems)
        return root

    def stream(self) -> YamlNode | None:
        self.next()  # the start of the stream
        event = self.next()
        if isinstance(event, StreamEndEvent):
            return None
        root = self.node(self.next(), 0)
        self.next()  # the end of the document
        event = self.next()
        if isinstance(event, DocumentStartEvent):
            help = "keep the first one; put the others into files of their own"
            raise self.stop(
                self.position(event.start_mark, event.end_mark),
                "a second document begins here",
                "several-documents",
                help,
            )
        return root

    def next(self) -> Event:
        event: Event = self.events.get_event()  # type: ignore[no-untyped-call]
        return event

    def node(self, event: Event, depth: int) -> YamlNode:
        """The value that begins with `event`."""
        if depth > MAX_DEPTH:
            raise self.too_deep(self.position(event.start_mark, event.end_mark))
        if isinstance(event, AliasEvent):
            return self.alias(event, depth)
        assert isinstance(event, NodeEvent)
        anchor = _Anchor(None)
        if event.anchor is not None:
            self.anchors[event.anchor] = anchor
        if isinstance(event, ScalarEvent):
            self.spend(1, event)
            node = YamlNode(self.scalar(event), self.position(event.start_mark, event.end_mark))
        elif isinstance(event, SequenceStartEvent):
            self.spend(1, event)
            node = self.sequence(event, depth)
        else:
            assert isinstance(event, MappingStartEvent)
            self.spend(1, event)
            node = self.mapping(event, depth)
        anchor.node = node
        return node

    def sequence(self, start: SequenceStartEvent, depth: int) -> YamlNode:
        self.check_tag(start, "seq")
        items: list[YamlNode] = []
        event = self.next()
        while not isinstance(event, CollectionEndEvent):
            items.append(self.node(event, depth + 1))
            event = self.next()
        node = YamlNode(items, self.extent(start, event, items[0].position if items else None))
        return _measure(node, items)

    def mapping(self, start: MappingStartEvent, depth: int) -> YamlNode:
        self.check_tag(start, "map")
        values: dict[str, YamlNode] = {}
        keys: dict[str, Position] = {}
        event = self.next()
        while not isinstance(event, CollectionEndEvent):
            position = self.position(event.start_mark, event.end_mark)
            key = self.key(event, position)
            if key is not None and key in keys:
                first = keys[key].line
                self.complain(
                    position,
                    f"the key {backticks(key)} stands twice; first on line {first}",
                    "duplicate-key",
                    "remove one",
                )
                key = None
            value = self.node(self.next(), depth + 1)
            if key is not None:
                keys[key] = position
                values[key] = value
            event = self.next()
        node = YamlNode(values, self.extent(start, event, next(iter(keys.values()), None)), keys)
        return _measure(node, values.values())

    def key(self, event: Event, position: Position) -> str | None:
        """The text of a key; None, after a complaint, where it cannot be one."""
        if not isinstance(event, ScalarEvent):
            if isinstance(event, AliasEvent):
                raise self.stop(position, "an alias cannot be a key", "bad-key", "write the key itself")
            raise self.stop(position, "a key must be a word, not a list or a mapping", "bad-key", "put it in quotes")
        self.spend(1, event)
        if event.anchor is not None or event.tag is not None:
            self.complain(
                position, "a key cannot have an anchor or a tag", "bad-key", f"write {short_repr(event.value)}"
            )
            return None
        if event.value == "<<" and event.implicit[0]:
            help = "repeat the settings, or use an anchor for a whole value: `a: &x 1`, `b: *x`"
            self.complain(position, "merge keys are not part of YAML 1.2", "merge-key", help)
            return None
        if event.value == "" and event.implicit[0]:
            self.complain(replace(position, width=1), "a key is missing before this `:`", "bad-key")
            return None
        return self.text(event.value, position)

    def scalar(self, event: ScalarEvent) -> Any:
        """The value of a scalar: by the core schema where it stands alone, as text where it is quoted."""
        position = self.position(event.start_mark, event.end_mark)
        tag = event.tag.removeprefix(TAG) if event.tag is not None else None
        if tag in ("str", "!") or (tag is None and not event.implicit[0]):
            return self.text(event.value, position)
        try:
            value = resolve(event.value)
        except ScalarError as error:
            self.complain(position, str(error), "number-too-large", error.help)
            return None
        if tag is None:
            return value if not isinstance(value, str) else self.text(value, position)
        if tag == "float" and type(value) in (int, float):
            return float(value or 0)
        if {"null": type(None), "int": int, "bool": bool}.get(tag) is type(value):
            return value
        self.foreign(event, position)
        return None

    def text(self, value: str, position: Position) -> str | None:
        """A text that can be written to a file again."""
        bad = next((c for c in value if c == "\0" or "\ud800" <= c <= "\udfff"), None)
        if bad is not None:
            self.complain(
                position, f"the character U+{ord(bad):04X} does not belong in a text", "not-text", "remove it"
            )
            return None
        return value

    def alias(self, event: AliasEvent, depth: int) -> YamlNode:
        position = self.position(event.start_mark, event.end_mark)
        name = str(event.anchor)
        anchor = self.anchors.get(name)
        if anchor is None:
            close = near(name, self.anchors)
            help = (
                f"did you mean {backticks('*' + close)}?"
                if close
                else f"write {backticks('&' + name)} before a value above"
            )
            raise self.stop(position, f"{backticks('*' + name)} refers to no anchor above", "unknown-alias", help)
        if anchor.node is None:
            text = f"{backticks('*' + name)} stands inside the value it refers to"
            raise self.stop(position, text, "endless-alias", "write the value out")
        if depth + anchor.node.height > MAX_DEPTH:
            raise self.too_deep(position)
        self.spend(anchor.node.size, event)
        return replace(anchor.node, position=position)

    def check_tag(self, event: SequenceStartEvent | MappingStartEvent, kind: str) -> None:
        if event.tag is not None and event.tag not in ("!", TAG + kind):
            self.foreign(event, self.position(event.start_mark, event.start_mark, width=1))

    def foreign(self, event: NodeEvent, position: Position) -> None:
        tag = str(getattr(event, "tag", "")).replace(TAG, "!!")
        self.complain(position, f"the tag {backticks(tag)} does not belong here", "unknown-tag", "remove it")

    def spend(self, size: int, event: Event) -> None:
        """Counts keys and values, those that an alias stands for included."""
        self.left -= size
        if self.left < 0:
            raise self.stop(self.position(event.start_mark, event.end_mark), TOO_MANY, "too-large", ELSEWHERE)

    def too_deep(self, position: Position) -> Failure:
        return self.stop(position, f"nested more than {MAX_DEPTH} levels deep", "too-deep")

    def complain(self, position: Position, text: str, code: str, help: str = "") -> None:
        self.problems.append(make_problem(position, text, code=code, help=help))
        if len(self.problems) >= MAX_PROBLEMS:
            raise Failure(*self.problems, Problem("there may be more", "and-more", file=self.source.file))

    def stop(self, position: Position, text: str, code: str, help: str = "") -> Failure:
        return Failure(*self.problems, make_problem(position, text, code=code, help=help))

    def here(self) -> Position:
        return self.position(self.events.get_mark(), width=1)

    def position(self, start: Any, end: Any = None, width: int = 0) -> Position:
        """From a mark to another; only what stands on the first line is underlined."""
        if end is None:
            return Position(self.source, start.line + 1, start.column + 1, width)
        if end.line == start.line:
            return Position(self.source, start.line + 1, start.column + 1, width or end.column - start.column)
        rest = len(self.source.lines[start.line].rstrip()) - start.column
        return Position(self.source, start.line + 1, start.column + 1, max(1, rest), whole=False)

    def extent(self, start: Any, end: Event, first: Position | None) -> Position:
        """Where a collection stands: all of it in brackets, else its first key or entry."""
        if start.flow_style or first is None:
            return self.position(start.start_mark, end.end_mark)
        return replace(first, whole=False)


def _measure(node: YamlNode, children: Any) -> YamlNode:
    for child in children:
        node.size += child.size
        node.height = max(node.height, child.height + 1)
    node.size += len(node.keys)
    return node
