"""A derivation on the terminal, as JSON and as HTML, at every level: as it was when somebody last looked at it.

Written anew by `WRITE_SNAPSHOTS=1 pytest tests/render/trace/test_snapshots.py`; read the difference.
"""

from __future__ import annotations

import json as parser
import os
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from derivations import LEVELS, SNAPSHOTS, derived, even
from rich.console import Console

from bpcli.records.trace import Derivation
from bpcli.render.trace.html.document import html
from bpcli.render.trace.json import json
from bpcli.render.trace.text import Terminal

DIGITS = 9  # of numbers that are compared: the last bits are the machine's


def text(d: Derivation) -> str:
    stream = StringIO()
    target = Console(file=stream, width=80, markup=False, highlight=False, emoji=False, no_color=True)
    for item in Terminal(d, 80).draw():
        target.print(item)
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items() if k not in ("gap", "worst_gap", "measured")}
    return value


def numbers(d: Derivation) -> str:
    return parser.dumps(rounded(parser.loads(json(d))), indent=1, ensure_ascii=False) + "\n"


def page(d: Derivation) -> str:
    """The page without its style and its script, which stand in files of their own."""
    return re.sub(r"(<(style|script)>).*?(</\2>)", r"\1\3", html(d), flags=re.DOTALL)


FORMS: dict[str, Callable[[Derivation], str]] = {"txt": text, "json": numbers, "html": page}


EVERY = [(name, detail, form) for name in ("article", "softmax") for detail in LEVELS for form in FORMS]
MORE = [("image", "layer", "txt"), ("twice", "neuron", "txt"), ("twice", "overview", "html")]
"""Arrays of images, and two steps."""


@pytest.mark.parametrize(("name", "detail", "form"), [*EVERY, *MORE])
def test_snapshots(name: str, detail: str, form: str) -> None:
    found = FORMS[form](derived(name, detail))
    file = SNAPSHOTS / f"{name}_{detail}.{form}"
    if os.environ.get("WRITE_SNAPSHOTS"):
        file.write_text(found, encoding="utf-8", newline="\n")
    assert even(found) == even(file.read_text(encoding="utf-8")), f"{file.name} is not what it was"
    if form == "txt":
        assert max(map(len, found.splitlines())) <= 80


@pytest.mark.parametrize("name", ["residual", "image", "wide"])
def test_pictures(name: str) -> None:
    """Branches, images, and a layer of which some units are drawn."""
    whole = page(derived(name, "neuron"))
    start, end = whole.index("<figure>"), whole.index("</figure>")
    found = whole[start:end].replace("><", ">\n<") + "\n"
    file = SNAPSHOTS / f"{name}_picture.html"
    if os.environ.get("WRITE_SNAPSHOTS"):
        file.write_text(found, encoding="utf-8", newline="\n")
    assert even(found) == even(file.read_text(encoding="utf-8")), f"{file.name} is not what it was"
