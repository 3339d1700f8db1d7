"""Where text goes: results to stdout, everything else to stderr; plain where it is not a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bpcli.records.training import Problem
from bpcli.render.json_text import dumps
from bpcli.render.problems import printable, rich_text

PIPED_WIDTH = 80  # columns, at least, where there is no terminal to ask
ASCII_HEADER_LINE = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""A line under the header, for terminals that cannot draw one."""


def console(stream: TextIO) -> Console:
    """Returns a console on a stream. Text is never parsed as markup, numbers are not coloured, NO_COLOR is honoured."""
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def console_width() -> int:
    """Returns how many columns results have on stdout."""
    return console(sys.stdout).width


def show(*items: RenderableType) -> None:
    """Prints results on stdout. Piped, a table is as wide as it needs to be: nothing is cut."""
    out = console(sys.stdout)
    if sys.stdout.isatty():
        for item in items:
            out.print(item)
        return
    with out.capture() as captured:
        for item in items:
            needed = Measurement.get(out, out.options.update(max_width=10_000), item).maximum
            out.width = max(PIPED_WIDTH, needed)
            out.print(item)
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def write_to(stream: TextIO, text: str) -> None:
    """Writes a plain line, at once."""
    stream.write(text + "\n")
    stream.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows on a terminal what the program is doing, as long as it does it."""
    if not can_redraw(sys.stderr):
        yield
        return
    with console(sys.stderr).status(what, spinner="line"):
        yield


def can_redraw(stream: TextIO) -> bool:
    """Whether what was written can be drawn over."""
    return stream.isatty() and not console(stream).is_dumb_terminal


def unicode(stream: TextIO) -> bool:
    """Whether the stream takes every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def show_result(record: Any, json: bool, page: Callable[[], Iterable[RenderableType]]) -> None:
    """Prints a result on stdout: as JSON what a record holds, or a page about it."""
    if json:
        show_json(dumps(record))
    else:
        show(*page())


def show_json(text: str) -> None:
    """Prints JSON on stdout; in an encoding that lacks a character, by JSON's own escapes."""
    if not unicode(sys.stdout):
        text = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    show_plain(text)


def show_plain(text: str) -> None:
    """Prints a result on stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def say(text: str | Text = "") -> None:
    """Prints a remark on stderr; a long line is the terminal's to wrap, so that it can be copied whole."""
    console(sys.stderr).print(text, soft_wrap=True)


def show_problems(problems: Sequence[Problem]) -> None:
    """Prints problems on stderr, apart by empty lines."""
    err = console(sys.stderr)
    for i, problem in enumerate(problems):
        if i:
            err.print()
        err.print(rich_text(problem, max(40, err.width - 1)), soft_wrap=not err.is_terminal)


def table(*headers: str, rows: Iterable[Iterable[RenderableType]] = (), ascii: bool = False) -> Table:
    """Returns a table of `rows` with a line under its headers, in ASCII where it has to be; a header that begins with
    `>` is right-aligned."""
    style = box.SIMPLE_HEAD if unicode(sys.stdout) and not ascii else ASCII_HEADER_LINE
    found = Table(box=style, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        right = header.startswith(">")
        found.add_column(header.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        found.add_row(*row)
    return found


def name_list(what: str, about: str, rows: Iterable[tuple[str, str]], next_command: str) -> list[RenderableType]:
    """Returns a table of names, each with a line about it, and what to type for one of them."""
    return [table(what, about, rows=rows), Text(), Text(next_command)]


def clipped(name: str, max_width: int = 32) -> str:
    """Returns a name as a table shows it: the beginning of one that is very long."""
    name = printable(name)
    return name if cell_len(name) <= max_width else set_cell_size(name, max_width - 3).rstrip() + "..."
