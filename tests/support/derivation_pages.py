"""Derivations to be drawn as pages, and what must hold of any page."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from paths import CONFIGS

from bpcli.records.trace import Derivation
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TracedRows, open_target

ARTICLE = CONFIGS / "article.yaml"
TWO_THREE_ONE = """
name: two-three-one
data: {train: {type: inline, inputs: [[0.5, -1], [1, 2]], targets: [[0], [1]]}}
architecture:
  - {type: dense, units: 3, activation: relu}
  - {type: dense, units: 1, activation: sigmoid}
loss: {type: squared_error, factor: 0.5}
optimizer: {type: momentum, learning_rate: 0.1}
"""
RESIDUAL = """
name: residual
data: {train: {type: inline, inputs: [[0.5, -1], [1, 2]], targets: [[0], [1]]}}
architecture:
  - {type: dense, units: 2, activation: tanh}
  - {type: residual, layers: [{type: dense, units: 2, activation: relu}]}
  - {type: layer_norm}
  - {type: dense, units: 1}
loss: binary_cross_entropy
regularization: {type: l2, strength: 0.01}
clipping: {type: global_norm, max_norm: 0.1}
optimizer: {type: adam, learning_rate: 0.1}
"""
WIDE = """
name: wide
data: {{train: {{type: inline, inputs: {inputs}, targets: [a, b, c, d, e, f, g, h, i, j]}}}}
architecture:
  - {{type: dense, units: 256, activation: relu}}
  - {{type: dense, units: 10}}
loss: softmax_cross_entropy
regularization: {{type: l2, strength: 0.01}}
clipping: {{type: global_norm, max_norm: 1.0}}
optimizer: adam
"""

VOID = {"meta", "link", "input", "br"}

Make = Callable[..., Derivation]


@pytest.fixture
def derived(tmp_path: Path) -> Make:
    def make(text: str, detail: str = "neuron", samples: tuple[int, ...] = (0,), **view: object) -> Derivation:
        file = tmp_path / "net.yaml"
        file.write_text(text, encoding="utf-8")
        return derive(open_target(file, TracedRows(samples=samples)), View(detail=detail, **view))  # type: ignore[arg-type]

    return make


def article(detail: str = "neuron", **view: object) -> Derivation:
    return derive(open_target(ARTICLE, TracedRows(samples=(2,))), View(detail=detail, **view))  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {tag} {attrs}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag, f"</{tag}> closes something else at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def choices(self) -> dict[str, dict[str, str]]:
        return {a["data-title"]: a for _, a in self.tags if "data-title" in a}


def check(page: str) -> Reader:
    """All that must hold of any page."""
    read = Reader(page)
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for choice in read.choices.values():
        assert (choice["role"], choice["tabindex"]) == ("button", "0")
        assert choice["aria-label"]
        missing = set(choice.get("data-lines", "").split()) - set(ids)
        assert not missing, f"{choice['data-title']} shows lines that are not there: {missing}"
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    for tag, attributes in read.tags:
        assert "src" not in attributes
        assert tag not in ("iframe", "object", "embed", "base")
        assert attributes.get("href", "#").startswith(("#", "data:,"))
        assert not any(name.startswith("on") for name in attributes)
    for match in re.finditer(r"<(math|svg)\b.*?</\1>", page, re.S):
        ET.fromstring(match[0])
    return read
