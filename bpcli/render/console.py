"""Where text goes: results to stdout, everything else to stderr; plain where it is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bpcli.records import Problem
from bpcli.render.problems import rich_text

PIPED = 80  # columns, at least, where there is no terminal to ask


def console(stream: TextIO) -> Console:
    """A console on a stream. Text is never parsed as markup, numbers are not coloured, NO_COLOR is honoured."""
    width = None if stream.isatty() else PIPED
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def show(*items: RenderableType) -> None:
    """Prints results on stdout. Piped, a table is as wide as it needs to be: nothing is cut."""
    out = console(sys.stdout)
    if out.is_terminal:
        for item in items:
            out.print(item)
        return
    with out.capture() as captured:
        for item in items:
            needed = Measurement.get(out, out.options.update(max_width=10_000), item).maximum
            out.width = max(PIPED, needed)
            out.print(item)
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def write(stream: TextIO, text: str) -> None:
    """A plain line, at once."""
    stream.write(text + "\n")
    stream.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on a terminal what the program is at, as long as it is."""
    err = console(sys.stderr)
    if not err.is_terminal or err.is_dumb_terminal:
        yield
        return
    with err.status(what, spinner="line"):
        yield


def show_plain(text: str) -> None:
    """Prints a result on stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def say(text: str | Text = "") -> None:
    """Prints a remark on stderr."""
    console(sys.stderr).print(text)


def show_problems(problems: Sequence[Problem]) -> None:
    """Prints problems on stderr, apart by empty lines."""
    err = console(sys.stderr)
    for i, problem in enumerate(problems):
        if i:
            err.print()
        err.print(rich_text(problem, max(40, err.width - 1)), soft_wrap=not err.is_terminal)


def table(*headers: str, title: str = "") -> Table:
    """A table with a line under its headers; a header that begins with `>` is right-aligned."""
    found = Table(
        box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for header in headers:
        right = header.startswith(">")
        found.add_column(header.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return found


def clipped(name: str, longest: int = 32) -> str:
    """A name as a table shows it: the beginning of one that is very long."""
    return name if cell_len(name) <= longest else set_cell_size(name, longest - 3).rstrip() + "..."
