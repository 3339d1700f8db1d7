"""From the text of a YAML file to nodes that know where they stand.

PyYAML composes them (in pure Python: the C loader crashes on deep nesting); what a plain word means is decided here by
the rules of YAML 1.2, and limits see to it that no file takes much time or memory.
"""

import re
from copy import copy
from dataclasses import replace
from typing import Any

from yaml.composer import Composer
from yaml.error import MarkedYAMLError
from yaml.events import AliasEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from yaml.nodes import MappingNode, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from bpcli.config.document import LINE_BREAK, Position, SourceText, YamlNode, make_problem
from bpcli.config.scalars import ScalarError, backticks, resolve, short_repr
from bpcli.config.syntax import explain
from bpcli.family.part import near
from bpcli.records.printable import FIRST_BYTE, LAST_BYTE
from bpcli.records.training import Failure, Problem

MAX_DEPTH = 64  # levels of lists and mappings
MAX_VALUES = 100_000  # keys and values, those that an alias stands for included
MAX_PROBLEMS = 20  # shown of one file
TOO_MANY = f"this makes more than {MAX_VALUES:,} keys, values or lines"
ELSEWHERE = "keep data in a file of its own (csv, npz, idx) and name it under `data`"
TAG = "tag:yaml.org,2002:"
STRAY = re.compile(Reader.NON_PRINTABLE.pattern.replace("[^", f"[^{FIRST_BYTE}-{LAST_BYTE}", 1))
"""A character that no text file has; the bytes of a path that are not UTF-8, which an argument may have, are none."""
TYPES = {"null": type(None), "int": int, "bool": bool}


def compose(source: SourceText, text: str | None = None) -> YamlNode | None:
    """Returns the tree of a text, None where it holds nothing. `text` differs from the source's own where only a part
    of that is YAML; its lines and columns must be the same.

    Raises Failure: what is not YAML, duplicate keys, merge keys, tags, numbers that cannot be held, more than 64 levels
    or 100,000 keys and values, several documents.
    """
    stray = STRAY.search(source.text)
    if stray:
        before = LINE_BREAK.split(source.text[: stray.start()])
        position = Position(source, len(before), len(before[-1]) + 1, 1)
        text = f"the character U+{ord(stray.group()):04X} does not belong in a text file"
        help = "save it as plain text (UTF-8), or write the character as an escape in double quotes"
        raise Failure(make_problem(position, text, code="not-text", help=help))
    line = _line_beyond_limit(source)
    if line:
        raise Failure(make_problem(Position(source, line, 1, 1), TOO_MANY, code="too-large", help=ELSEWHERE))
    return _LimitedComposer(source, source.text if text is None else text).document()


def _line_beyond_limit(source: SourceText) -> int:
    """Returns the line on which the keys and values that are easily counted exceed the limit, or 0. Scanning that many
    takes seconds; the composer counts exactly, aliases included."""
    marks = 0
    for number, line in enumerate(source.lines, start=1):
        content = line.partition("#")[0].strip()
        if content:
            marks += content.count(",") + content.count(": ") + (content[-1] not in ",:]}")
            if marks > MAX_VALUES:
                return number
    return 0


class _TooDeepError(Exception):
    pass


class _LimitedComposer(Reader, Scanner, Parser, Composer, BaseResolver):
    """Composes one document; problems that leave the rest readable are collected and raised together.

    Each of PyYAML's nodes gets a `result` (its YamlNode, or the text of a key), the `size` (keys and values) and the
    `height` (levels below it).
    """

    def __init__(self, source: SourceText, text: str) -> None:
        Reader.__init__(self, text)
        for base in (Scanner, Parser, Composer, BaseResolver):
            base.__init__(self)
        self.source = source
        self.problems: list[Problem] = []
        self.values_left = MAX_VALUES
        self.depth = 0

    def check_printable(self, data: Any) -> None:
        """Looks at nothing: `compose` has, and a byte of a path passes."""

    def document(self) -> YamlNode | None:
        try:
            root = self.compose_stream()
        except MarkedYAMLError as error:
            mark, width, text, help = explain(error, self.source.lines)
            raise self.failure(self.position(mark, width=width), text, "not-yaml", help) from None
        except _TooDeepError:
            raise self.too_deep(self.position(self.get_mark())) from None
        except (ValueError, OverflowError):  # escapes beyond Unicode, endless numbers in directives
            help = "check the escapes in quotes near it"
            position = self.position(self.get_mark())
            raise self.failure(position, "this is not valid YAML", "not-yaml", help) from None
        if self.problems:
            raise Failure(*self.problems)
        return root

    def compose_stream(self) -> YamlNode | None:
        """Returns the first document. Raises Failure where there is another."""
        if not self.check_node():
            return None
        document: Any = self.compose_document()
        root: YamlNode = document.result
        event: Any = self.get_event()  # type: ignore[no-untyped-call]
        if isinstance(event, DocumentStartEvent):
            position = self.position(event.start_mark, event.end_mark)
            help = "keep the first one; put the others into files of their own"
            raise self.failure(position, "a second document begins here", "several-documents", help)
        return root

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        """Refuses deep brackets where they begin: the time of scanning grows with the square of their depth."""
        if self.flow_level >= MAX_DEPTH:
            raise _TooDeepError
        super().fetch_flow_collection_start(TokenClass)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Returns the next value or, in a mapping where there is no `index`, the next key."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        position = self.position(event.start_mark, event.end_mark)
        if isinstance(parent, MappingNode) and index is None:
            return self.compose_key(parent, event, position)
        if self.depth > MAX_DEPTH:
            raise self.too_deep(position)
        if isinstance(event, AliasEvent):
            return self.compose_alias(position)
        self.spend(1, position)
        if isinstance(event, CollectionStartEvent) and event.tag not in (None, "!", TAG + "seq", TAG + "map"):
            self.report_tag(event, self.position(event.start_mark, width=1))
        self.anchors.pop(event.anchor, None)  # a later one of the same name takes its place
        self.depth += 1
        node: Any = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, ScalarNode):
            return _with_result(node, YamlNode(self.scalar(event, position), position), [])
        children = [pair[1] for pair in node.value] if isinstance(node, MappingNode) else node.value
        keys: dict[str, Position] = vars(node).get("keys", {})
        value: Any = [child.result for child in children]
        first = next(iter(keys.values()), value[0].position if value else None)
        if isinstance(node, MappingNode):
            value = {key.result: inner.result for key, inner in node.value if key.result is not None}
        if node.flow_style or first is None:  # a block stands where its first key or entry does
            position = self.position(node.start_mark, node.end_mark)
        else:
            position = replace(first, whole=False)
        return _with_result(node, YamlNode(value, position, keys), children)

    def compose_key(self, parent: Any, event: Any, position: Position) -> Any:
        """Returns the node of a key; its result is None, and a problem is reported, where it cannot be one."""
        if isinstance(event, AliasEvent):
            raise self.failure(position, "an alias cannot be a key", "bad-key", "write the key itself")
        if not isinstance(event, ScalarEvent):
            text = "a key must be a word, not a list or a mapping"
            raise self.failure(position, text, "bad-key", "put it in quotes")
        self.spend(1, position)
        node: Any = self.compose_scalar_node(None)  # type: ignore[arg-type]
        node.result = None
        keys: dict[str, Position] = vars(parent).setdefault("keys", {})
        if event.anchor is not None or event.tag is not None:
            help = f"write {short_repr(event.value)}"
            self.report(position, "a key cannot have an anchor or a tag", "bad-key", help)
        elif event.value == "<<" and event.implicit[0]:
            help = "repeat the settings, or use an anchor for a whole value: `a: &x 1`, `b: *x`"
            self.report(position, "merge keys are not part of YAML 1.2", "merge-key", help)
        elif event.value == "" and event.implicit[0]:
            self.report(replace(position, width=1), "a key is missing before this `:`", "bad-key")
        elif event.value in keys:
            text = f"the key {backticks(event.value)} stands twice; first on line {keys[event.value].line}"
            self.report(position, text, "duplicate-key", "remove one")
        elif self.text(event.value, position, bytes=False) is not None:
            node.result = event.value
            keys[event.value] = position
        return node

    def compose_alias(self, position: Position) -> Any:
        """Returns a node that stands here, with what its anchor stands for."""
        name = str(self.get_event().anchor)  # type: ignore[no-untyped-call]
        anchored: Any = self.anchors.get(name)
        if anchored is None:
            close = near(name, self.anchors)
            help = f"did you mean {backticks('*' + close)}?" if close else ""
            help = help or f"write {backticks('&' + name)} before a value above"
            raise self.failure(position, f"{backticks('*' + name)} refers to no anchor above", "unknown-alias", help)
        if not hasattr(anchored, "result"):
            text = f"{backticks('*' + name)} stands inside the value it refers to"
            raise self.failure(position, text, "endless-alias", "write the value out")
        if self.depth + anchored.height > MAX_DEPTH:
            raise self.too_deep(position)
        self.spend(anchored.size, position)
        node = copy(anchored)
        node.result = replace(anchored.result, position=position)
        return node

    def scalar(self, event: ScalarEvent, position: Position) -> Any:
        """Returns the value of a scalar: by the core schema where it stands alone, as text where it is quoted."""
        tag = event.tag.removeprefix(TAG) if event.tag is not None else None
        if tag in ("str", "!") or (tag is None and not event.implicit[0]):
            return self.text(event.value, position)
        try:
            value = resolve(event.value)
        except ScalarError as error:
            self.report(position, str(error), "number-too-large", error.help)
            return None
        if tag is None:
            return value if not isinstance(value, str) else self.text(value, position)
        if tag == "float" and type(value) in (int, float):
            return float(value or 0)
        if TYPES.get(tag) is type(value):
            return value
        self.report_tag(event, position)
        return None

    def text(self, value: str, position: Position, *, bytes: bool = True) -> str | None:
        """Returns a text that can be written to a file again; None, and a problem is reported, where it cannot be. With
        `bytes` it may have bytes that are not UTF-8, as a path may."""
        surrogates = (c for c in value if c == "\0" or "\ud800" <= c <= "\udfff")
        stray = next((c for c in surrogates if not (bytes and FIRST_BYTE <= c <= LAST_BYTE)), None)
        if stray is None:
            return value
        text = f"the character U+{ord(stray):04X} does not belong in a text"
        self.report(position, text, "not-text", "remove it")
        return None

    def report_tag(self, event: Any, position: Position) -> None:
        tag = str(event.tag).replace(TAG, "!!")
        self.report(position, f"the tag {backticks(tag)} does not belong here", "unknown-tag", "remove it")

    def spend(self, size: int, position: Position) -> None:
        """Counts keys and values, those that an alias stands for included."""
        self.values_left -= size
        if self.values_left < 0:
            raise self.failure(position, TOO_MANY, "too-large", ELSEWHERE)

    def report(self, position: Position, text: str, code: str, help: str = "") -> None:
        """Collects a problem. Raises Failure where there are 20."""
        self.problems.append(make_problem(position, text, code=code, help=help))
        if len(self.problems) >= MAX_PROBLEMS:
            raise Failure(*self.problems, Problem("there may be more", "and-more", file=self.source.file))

    def failure(self, position: Position, text: str, code: str, help: str = "") -> Failure:
        return Failure(*self.problems, make_problem(position, text, code=code, help=help))

    def too_deep(self, position: Position) -> Failure:
        return self.failure(position, f"nested more than {MAX_DEPTH} levels deep", "too-deep")

    def position(self, start: Any, end: Any = None, width: int = 0) -> Position:
        """Returns the position from a mark to another; only what stands on the first line is underlined."""
        line, column = start.line + 1, start.column + 1
        if end is None:
            return Position(self.source, line, column, width)
        if end.line == start.line:
            return Position(self.source, line, column, end.column - start.column)
        rest = len(self.source.lines[start.line].rstrip()) - start.column
        return Position(self.source, line, column, max(1, rest), whole=False)


def _with_result(node: Any, result: YamlNode, children: list[Any]) -> Any:
    """Returns PyYAML's node with ours as its result, and its size."""
    node.result = result
    node.size = 1 + len(result.keys) + sum(child.size for child in children)
    node.height = max((child.height + 1 for child in children), default=0)
    return node
