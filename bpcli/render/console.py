"""Where text goes: results to stdout, everything else to stderr; plain where it is not a terminal.

Nothing that comes from outside (a name, a cell, a path) moves or colours a terminal: what leaves here shows every
character that does not print as an escape, but for the line breaks that are our own.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bpcli.numeric.threads import can_start_thread
from bpcli.records.printable import printable
from bpcli.records.training import Problem
from bpcli.render.json_text import dumps
from bpcli.render.problems import rich_text

QUIET_SECONDS = 10.0
"""How long nothing is said of long work, where nothing can be drawn over."""
PIPED_WIDTH = 80  # columns, at least, where there is no terminal to ask
ASCII_HEADER_LINE = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""A line under the header, for terminals that cannot draw one."""


class SafeConsole(Console):
    """A console that shows what does not print as escapes, whatever text is drawn in whatever way."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields the segments of text and styles; only those of the console's own (a cursor that moves) control it."""
        if isinstance(renderable, Text):
            renderable = escaped_text(renderable)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)


def escaped_text(text: Text) -> Text:
    """Returns a text with its styles, in which what does not print is an escape; line breaks stay."""
    stray = [i for i, c in enumerate(text.plain) if not c.isprintable() and c != "\n"]
    if not stray:
        return text
    found = text.blank_copy()
    for piece in text.divide(sorted({*stray, *(i + 1 for i in stray)})):
        shown = printable_lines(piece.plain)
        if shown != piece.plain:
            piece = Text(shown, piece.spans[-1].style if piece.spans else piece.style)
        found.append_text(piece)
    return found


def printable_lines(text: str) -> str:
    """Returns a text of several lines, each as `printable` has it."""
    return "\n".join(map(printable, text.split("\n")))


def console(stream: TextIO) -> Console:
    """Returns a console on a stream. Text is never parsed as markup, numbers are not coloured, NO_COLOR is honoured."""
    width = None if stream.isatty() else PIPED_WIDTH
    return SafeConsole(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


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
    stream.write(printable_lines(text) + "\n")
    stream.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows on a terminal what the program is doing, as long as it does it."""
    if not can_redraw(sys.stderr):
        yield
        return
    with console(sys.stderr).status(what, spinner="line"):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Yields what says where long work is: on a terminal it is drawn over, elsewhere a line stands on stderr, one in
    QUIET_SECONDS at most."""
    began = said = time.monotonic()
    if can_redraw(sys.stderr):
        with console(sys.stderr).status(what, spinner="line") as status:
            yield lambda step: status.update(printable(f"{what}: {step}"))
        return

    def notify(step: str) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= QUIET_SECONDS:
            said = now
            say(f"{what}: {step}, after {now - began:.0f} s")

    yield notify


def can_redraw(stream: TextIO) -> bool:
    """Whether what was written can be drawn over, and a thread can be started that does it."""
    return stream.isatty() and not console(stream).is_dumb_terminal and can_start_thread()


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
    """Prints JSON on stdout; what does not print, and what the encoding lacks, by JSON's own escapes."""
    _write_result(_with_json_escapes(text))


def show_plain(text: str) -> None:
    """Prints a result on stdout: as it is where that is read by a program, on a terminal without what does not
    print."""
    _write_result(_as_stdout_takes_it(text))


def show_parts(parts: Iterable[str], json: bool) -> None:
    """Prints the parts of a long result on stdout, each as `show_json` or `show_plain` does, whole lines of it."""
    for part in parts:
        sys.stdout.write(_with_json_escapes(part) if json else _as_stdout_takes_it(part))


def _with_json_escapes(text: str) -> str:
    all_ = unicode(sys.stdout)
    stray = (c for c in set(text) if c != "\n" and not (c.isprintable() and (all_ or c.isascii())))
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in stray})


def _as_stdout_takes_it(text: str) -> str:
    return printable_lines(text) if sys.stdout.isatty() else text


def show_path(path: str) -> None:
    """Prints a path on stdout: its very bytes where they are read by a program."""
    if not sys.stdout.isatty():
        path = os.fsencode(path).decode(getattr(sys.stdout, "encoding", None) or "utf-8", "surrogateescape")
    show_plain(path)


def _write_result(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def say(text: str | Text = "") -> None:
    """Prints a remark on stderr, one line where it is plain text; a long line is the terminal's to wrap, so that it can
    be copied whole."""
    console(sys.stderr).print(text_line(text) if isinstance(text, str) else text, soft_wrap=True)


def text_line(text: str, style: str = "") -> Text:
    """Returns a text in which everything that does not print is an escape, line breaks too. (`Text` itself passes line
    breaks on, and drops some controls without a word.)"""
    return Text(printable(text), style)


def show_problems(problems: Sequence[Problem]) -> None:
    """Prints problems on stderr, apart by empty lines."""
    print_problems(console(sys.stderr), problems)


def print_problems(err: Console, problems: Sequence[Problem]) -> None:
    """Prints problems on a console, apart by empty lines; above what is drawn there over and over."""
    for i, problem in enumerate(problems):
        if i:
            err.print()
        err.print(rich_text(problem, max(40, err.width - 1)), soft_wrap=not err.is_terminal)


def table(*headers: str, rows: Iterable[Iterable[RenderableType]] = (), ascii: bool = False) -> Table:
    """Returns a table of `rows` with a line under its headers, in ASCII where it has to be; a header that begins with
    `>` is right-aligned. No text in it is read as markup, and what does not print is an escape."""
    style = box.SIMPLE_HEAD if unicode(sys.stdout) and not ascii else ASCII_HEADER_LINE
    found = PrintableTable(box=style, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        right = header.startswith(">")
        found.add_column(printable(header.removeprefix(">")), justify="right" if right else "left", overflow="fold")
    for row in rows:
        found.add_row(*row)
    return found


class PrintableTable(Table):
    """A table whose cells of text hold nothing that does not print."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def name_list(what: str, about: str, rows: Iterable[tuple[str, str]], next_command: str) -> list[RenderableType]:
    """Returns a table of names, each with a line about it, and what to type for one of them."""
    return [table(what, about, rows=rows), Text(), Text(next_command)]


def clipped(name: str, max_width: int = 32) -> str:
    """Returns a name as a table shows it: the beginning of one that is very long."""
    name = printable(name)
    return name if cell_len(name) <= max_width else set_cell_size(name, max_width - 3).rstrip() + "..."
