"""Guides on the terminal: their list, and one of them with its Markdown drawn."""

from __future__ import annotations

import re
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
LINK = re.compile(r"\[([^\]]+)\]\((?:\w+/)*(\w+)\.md\)")
"""A link from one guide to another."""
THEME = Theme({"markdown.code": "bold", "markdown.h1": "bold underline", "markdown.h2": "bold", "markdown.h3": "bold"})
"""Without colours of its own: it has to be readable on a light terminal and on a dark one."""


def listing(known: Sequence[Guide]) -> list[RenderableType]:
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
            text = Text(line, "bold" if line.startswith("$ ") else "", overflow="fold")
            yield from console.render(Padding(text, (0, 0, 0, indent)), options.update_width(console.width))


class GuideTable(markdown.TableElement):
    """A table as the commands print theirs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = self.header.row if self.header is not None else None
        found = table(*(cell.content.plain for cell in header.cells) if header is not None else ())
        for row in self.body.rows if self.body is not None else ():
            found.add_row(*(cell.content for cell in row.cells))
        for column in found.columns:
            names = [str(cell) for cell in column.cells]
            column.no_wrap = max(map(cell_len, names), default=0) <= console.width // 2 and " " not in "".join(names)
        yield found


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
