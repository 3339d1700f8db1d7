"""A derivation in the form that is asked for, to where it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bpcli.derivation import Derivation
from bpcli.render.console import PIPED, console, show_json, show_plain
from bpcli.render.trace.html import html
from bpcli.render.trace.json import json
from bpcli.render.trace.latex import latex
from bpcli.render.trace.markdown import markdown
from bpcli.render.trace.text import derivation
from bpcli.studies.atomic import atomic_text


def write(d: Derivation, form: str, out: Path | None, width: int | None, ascii: bool) -> None:
    """Draws a derivation on stdout, or into a file. Raises Failure where the file cannot be written."""
    if form == "text":
        _text(d, out, width, ascii)
        return
    text = drawers()[form](d)
    if out is not None:
        atomic_text(out, text)
    elif form == "json":
        show_json(text)
    else:
        show_plain(text)


def drawers() -> dict[str, Callable[[Derivation], str]]:
    """The forms that are one text."""
    return {"json": json, "html": html, "markdown": markdown, "latex": latex}


def _text(d: Derivation, out: Path | None, width: int | None, ascii: bool) -> None:
    screen = console(sys.stdout)
    columns = width or (screen.width if sys.stdout.isatty() else PIPED)
    if out is None:
        screen.width = max(columns, screen.width if sys.stdout.isatty() else columns)
        target = screen
    else:
        target = Console(width=columns, markup=False, highlight=False, emoji=False, no_color=True, color_system=None)
    with target.capture() as captured:
        for item in derivation(d, columns, ascii):
            target.print(item)
    text = "\n".join(line.rstrip() for line in captured.get().split("\n"))
    if out is None:
        sys.stdout.write(text)
    else:
        atomic_text(out, text)
