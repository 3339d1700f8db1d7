"""`--set optimizer.learning_rate=0.01`: one way to override anything that an experiment says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from bpcli.config.compose import MAX_DEPTH, compose
from bpcli.config.document import Document, Position, SourceText, YamlNode, make_problem
from bpcli.config.fields import default_at, families_at
from bpcli.config.scalars import backticks, describe
from bpcli.family.part import Part
from bpcli.records.printable import FIRST_BYTE, LAST_BYTE
from bpcli.records.training import Exit, Failure


def apply_sets(document: Document, sets: Sequence[str], model: type[BaseModel] | None = None) -> Document:
    """Returns the document with overrides applied in their order, each `path.to.key=value` with a value as in the file.

    Keys that are not there yet are added, and judged when the document is validated. Where a short form stands
    (`optimizer: adam`), or with a `model` where a part stands by default, the path goes on into that part. Raises
    Failure, pointing into the text of the override.
    """
    for order, text in enumerate(sets, start=1):
        override = _Override(document, text, order, model)
        document = replace(document, root=override.put(document.root, 0))
    return document


@dataclass(frozen=True)
class _Step:
    name: str
    position: Position


class _Override:
    def __init__(self, document: Document, text: str, order: int, model: type[BaseModel] | None) -> None:
        self.document = document
        self.model = model
        self.source = SourceText(f"--set {text}", text, order)
        path, equals, value = text.partition("=")
        self.steps: list[_Step] = []
        column = 1
        for name in path.split("."):
            self.steps.append(_Step(name, Position(self.source, 1, column, len(name))))
            column += len(name) + 1
        whole = Position(self.source, 1, 1, len(text))
        if not equals or not all(step.name for step in self.steps) or len(self.steps) > MAX_DEPTH:
            help = "write `--set key=value`, with dots between keys: `--set optimizer.learning_rate=0.01`"
            raise Failure(
                make_problem(whole, "this is not `key=value`", code="bad-override", help=help), exit=Exit.USAGE
            )
        if any(FIRST_BYTE <= c <= LAST_BYTE for c in path):
            raise Failure(make_problem(whole, "a byte that is not UTF-8 does not belong in a key", code="not-text"))
        found = compose(self.source, " " * (len(path) + 1) + value)
        self.value = found or YamlNode(None, Position(self.source, 1, len(path) + 1, 1))

    def put(self, node: YamlNode, depth: int) -> YamlNode:
        """Returns `node` with the value put in below it; nothing is changed in place."""
        if depth == len(self.steps):
            return self.value
        step = self.steps[depth]
        if isinstance(node.value, list):
            index = self.index(node.value, depth)
            items = [*node.value]
            items[index] = self.put(items[index], depth + 1)
            return replace(node, value=items)
        entries = self.entries(node, depth)
        inner = entries.get(step.name)
        if inner is None and depth + 1 < len(self.steps):
            inner = self.default(depth)
        put = self.put(inner or YamlNode({}, step.position), depth + 1)
        return replace(node, value={**entries, step.name: put}, keys={**node.keys, step.name: step.position})

    def index(self, items: list[YamlNode], depth: int) -> int:
        """Returns the place in a list that the path names."""
        step = self.steps[depth]
        index = _index_or_key(step.name)
        if isinstance(index, int) and index < len(items):
            return index
        where = backticks(".".join(s.name for s in self.steps[:depth]))
        size = {0: "is an empty list", 1: "is a list of 1 item, number 0"}.get(
            len(items), f"is a list of {len(items)} items, numbers 0 to {len(items) - 1}"
        )
        raise self.failure(depth, f"{where} {size}; got {backticks(step.name)}", "no-such-item")

    def entries(self, node: YamlNode, depth: int) -> dict[str, YamlNode]:
        """Returns what a mapping, or a short form that stands for one, holds."""
        if isinstance(node.value, dict):
            return node.value
        if node.value is None:
            return {}
        path = self.path(depth)[:-1]
        if self.model is None:
            known = [Part] if isinstance(node.value, str) else []
        else:
            known = families_at(self.model, self.document.data, path)
        for family in known:
            long = family.shorthand(node.value)
            if isinstance(long, dict):
                return {key: _node(value, node.position) for key, value in long.items()}
        where = backticks(".".join(map(str, path)))
        raise self.failure(depth, f"{where} is {describe(node.value)}: it has no settings", "no-such-key")

    def failure(self, depth: int, text: str, code: str) -> Failure:
        return Failure(make_problem(self.steps[depth].position, text, path=self.path(depth), code=code))

    def default(self, depth: int) -> YamlNode | None:
        """Returns the part that stands where the file says nothing, unless its type is about to be set."""
        if self.model is None or self.steps[depth + 1].name == "type":
            return None
        part = default_at(self.model, self.document.data, self.path(depth))
        if not isinstance(part, Part):
            return None
        settings = {"type": part.kind, **part.model_dump(mode="json", exclude_unset=True)}
        return _node(settings, self.steps[depth].position)

    def path(self, depth: int) -> tuple[str | int, ...]:
        """Returns the path so far, places in lists as numbers."""
        path: list[str | int] = []
        node: YamlNode | None = self.document.root
        for step in self.steps[: depth + 1]:
            path.append(_index_or_key(step.name) if node is not None and isinstance(node.value, list) else step.name)
            node = node.child(path[-1]) if node is not None else None
        return tuple(path)


def _index_or_key(name: str) -> int | str:
    """Returns the number that a step into a list should be."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else name


def _node(value: Any, position: Position) -> YamlNode:
    """Returns plain data as nodes that all point at one position."""
    if isinstance(value, dict):
        return YamlNode(
            {key: _node(inner, position) for key, inner in value.items()}, position, dict.fromkeys(value, position)
        )
    if isinstance(value, list):
        return YamlNode([_node(inner, position) for inner in value], position)
    return YamlNode(value, position)
