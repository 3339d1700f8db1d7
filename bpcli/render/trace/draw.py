"""A derivation in the form that is asked for, to where it is asked for; and how it compares with a kept one."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from bpcli.records.trace import Derivation, Golden, Worksheet
from bpcli.render.console import console, say, show_json, show_plain, text_line
from bpcli.render.trace.html.document import html
from bpcli.render.trace.json import json
from bpcli.render.trace.latex import latex
from bpcli.render.trace.markdown import markdown
from bpcli.render.trace.text import Terminal
from bpcli.studies.run.atomic import atomic_files, atomic_text, encoded


def write_derivation(d: Derivation, form: str, out: Path | None, width: int | None, ascii: bool) -> None:
    """Draws a derivation on stdout, or into a file. Raises Failure where the file cannot be written."""
    if form == "text":
        write_text(lambda columns: Terminal(d, columns, ascii).draw(), out, width)
        return
    text = renderers()[form](d)
    if out is not None:
        atomic_text(out, text)
    elif form == "json":
        show_json(text)
    else:
        show_plain(text)


def renderers() -> dict[str, Callable[[Any], str]]:
    """Returns what renders a derivation as one text, by format; all but JSON render worksheets too."""
    return {"json": json, "html": html, "markdown": markdown, "latex": latex}


def write_worksheet(found: Worksheet, form: str, out: Path | None) -> None:
    """Draws a worksheet on stdout or into a file, and beside the file its answers. Raises Failure where it cannot."""
    text = renderers()[form](found)
    if out is None:
        show_plain(text)
        say("--out FILE writes the answers too, beside it")
        return
    key = out.with_name(f"{out.stem}.answers.yaml")
    atomic_files({out: encoded(text), key: encoded(found.key)})
    say(f"the worksheet is in {out}, its answers in {key}")


def golden_report(report: Golden) -> Iterator[RenderableType]:
    """Yields what a comparison with a kept derivation found."""
    if report.written:
        yield text_line(f"{report.count} quantities are written to {report.file}; from now on it is compared with")
    elif report.difference is None:
        yield text_line(f"all {report.count} quantities are as in {report.file}", "green")
    else:
        d = report.difference
        yield text_line(f"differs from {report.file}, first at {d.name}: {d.text}", "bold red")


def write_text(draw: Callable[[int], Iterator[RenderableType]], out: Path | None, width: int | None) -> None:
    """Draws what suits so many columns on stdout, or into a file. Raises Failure where the file cannot be written."""
    screen = console(sys.stdout)
    columns = width or screen.width
    if out is None:
        screen.width = columns
        target = screen
    else:
        target = Console(width=columns, markup=False, highlight=False, emoji=False, no_color=True, color_system=None)
    with target.capture() as captured:
        for item in draw(columns):
            target.print(item)
    text = "\n".join(line.rstrip() for line in captured.get().split("\n"))
    if out is None:
        sys.stdout.write(text)
    else:
        atomic_text(out, text)
