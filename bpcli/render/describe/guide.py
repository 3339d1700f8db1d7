"""Guides on the terminal: their list, and one of them with its Markdown drawn."""

import re
import textwrap
from collections.abc import Sequence

from rich import markdown
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

from bpcli.render.console import name_list, table
from bpcli.studies.describe.guides import Guide

MAX_LINE_COLUMNS = 100  # longer lines of prose are hard to follow
MIN_TEXT_COLUMNS = 24  # columns of a text beside a name, from which on it is wrapped there
COLUMN_GAP = 2  # columns between the cells of a table
NAME_AND_TEXT = re.compile(r"(\s*\S+(?: \S+)*\s{2,})(\S+(?: \S+)*)")
"""A line of a listing: a name, at least two spaces, a text."""
LINK = re.compile(r"\[([^\]]+)\]\((?:\w+/)*(\w+)\.md\)")
"""A link from one guide to another."""
THEME = Theme({"markdown.code": "bold", "markdown.h1": "bold underline", "markdown.h2": "bold", "markdown.h3": "bold"})
"""Without colours of its own: it has to be readable on a light terminal and on a dark one."""


def guide_list(known: Sequence[Guide]) -> list[RenderableType]:
    """Returns all guides, a line each."""
    return name_list("guide", "what it is about", ((g.name, g.title) for g in known), "bpcli guide NAME shows one")


class GuideHeading(markdown.Heading):
    """A heading at the left margin."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class GuideListing(markdown.CodeBlock):
    """A block of code or output, indented where all of its lines fit so; the commands in it are bold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = str(self.text).rstrip().split("\n")
        indent = 2 if max(map(cell_len, lines)) <= console.width - 2 else 0
        for line in lines:
            text = Text(_hung(line, console.width), "bold" if line.startswith("$ ") else "", overflow="fold")
            yield from console.render(Padding(text, (0, 0, 0, indent)), options.update_width(console.width))


class GuideTable(markdown.TableElement):
    """A table as the commands print theirs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = self.header.row if self.header is not None else None
        names = (cell.content.plain for cell in header.cells) if header is not None else ()
        rows = self.body.rows if self.body is not None else ()
        found = table(*names, rows=((cell.content for cell in row.cells) for row in rows))
        cells = [[str(column.header), *map(str, column.cells)] for column in found.columns]
        for column, width in zip(found.columns, column_widths(cells, options.max_width), strict=True):
            column.width = width
        yield found


def column_widths(cells: Sequence[Sequence[str]], width: int) -> Sequence[int | None]:
    """Returns how wide each column of a table is, so that no word of its cells is broken; as they come where all fits,
    or where the longest words are too long together."""
    whole = [max(map(cell_len, column)) for column in cells]
    words = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in cells]
    spare = width - COLUMN_GAP * (len(cells) - 1) - sum(words)
    wanted = sum(whole) - sum(words)
    if spare < 0 or wanted <= spare:
        return [None] * len(cells)
    return [least + (most - least) * spare // wanted for least, most in zip(words, whole, strict=True)]


def _hung(line: str, width: int) -> str:
    """Wraps a line such as `name   what it is`, what it is under itself; returns any other line as it is."""
    found = NAME_AND_TEXT.fullmatch(line)
    if found is None or cell_len(line) <= width or width - cell_len(found[1]) < MIN_TEXT_COLUMNS:
        return line
    rest = textwrap.wrap(found[2], width - cell_len(found[1]), break_on_hyphens=False)
    return ("\n" + " " * cell_len(found[1])).join([found[1] + rest[0], *rest[1:]])


class GuidePage(markdown.Markdown):
    """A guide, drawn; a link to another guide becomes the command that shows it."""

    elements = markdown.Markdown.elements | {
        "heading_open": GuideHeading,
        "fence": GuideListing,
        "code_block": GuideListing,
        "table_open": GuideTable,
    }

    def __init__(self, guide: Guide) -> None:
        super().__init__(LINK.sub(_command, guide.text), hyperlinks=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(THEME):
            yield from super().__rich_console__(console, options.update_width(min(options.max_width, MAX_LINE_COLUMNS)))


def _command(link: re.Match[str]) -> str:
    text, name = link.groups()
    return f"`bpcli guide {name}`" if text == name else f"{text} (`bpcli guide {name}`)"
