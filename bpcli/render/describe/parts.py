"""Parts on the terminal and as a Markdown table."""

import re
from collections.abc import Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bpcli.records.training import FieldRow, PartRow
from bpcli.render.console import console_width, table
from bpcli.render.run.curve import curves

MIN_MEANING_WIDTH = 24  # characters for what a setting means
NOTE_LABEL = re.compile(r"[A-Z][a-z]+  +|Numerics +")


def part_list(rows: Sequence[PartRow]) -> list[RenderableType]:
    """Returns all parts, a line each, by family."""
    items: list[RenderableType] = []
    for family, members in groupby(rows, key=lambda r: r.family):
        items += [table(family, "", rows=((Text(row.type, "bold"), row.summary) for row in members)), Text()]
    return [*items, Text("bpcli parts NAME shows settings and equations")]


def part_page(row: PartRow) -> list[RenderableType]:
    """Returns all that is said of one part."""
    items: list[RenderableType] = [Text.assemble((row.type, "bold"), f"  ({row.family})"), Text(row.summary), Text()]
    for paragraph in filter(None, row.doc.split("\n\n")):
        items += [Padding(_paragraph(paragraph), (0, 0, 0, 2)), Text()]
    if row.fields:
        items += [*_fields(row.fields), Text()]
    if row.equations:
        items += [*_equations(row.equations), Text()]
    if row.example:
        items += [Text("example", "dim"), Padding(Text(row.example), (0, 0, 0, 2)), Text()]
    if row.curves:
        items += [curves(row.curves, console_width()), Text()]
    return items


def _paragraph(text: str) -> RenderableType:
    """Returns prose, or notes that each begin with a word in a column of its own (Shapes, Source, Numerics)."""
    lines = text.split("\n")
    first = NOTE_LABEL.match(lines[0])
    indent = first.end() if first is not None else 0
    notes: list[list[str]] = []
    for line in lines:
        label, said = line[:indent].strip(), line[indent:]
        if not indent or said[:1].isspace() or (label and not line[:indent].endswith(" ")):
            return Text(" ".join(line.strip() for line in lines))
        if label:
            notes.append([label, said])
        else:
            notes[-1][1] += f" {said}"
    found = Table.grid(padding=(0, 2, 0, 0))
    found.add_column(no_wrap=True)
    found.add_column(overflow="fold")
    for label, said in notes:
        found.add_row(Text(label, "dim"), Text(said))
    return found


def _fields(fields: Sequence[FieldRow]) -> list[RenderableType]:
    """Returns a table, or where it would break words apart each setting with its meaning below it."""
    facts = [(f.name, f.type, f.default or "required", f.range) for f in fields]
    headers = ("setting", "type", "default", "range")
    widths = [max(map(len, column)) for column in zip(headers, *facts, strict=True)]
    if sum(widths) + 2 * len(widths) + MIN_MEANING_WIDTH <= console_width():
        rows = ((*fact, field.description) for fact, field in zip(facts, fields, strict=True))
        return [table(*headers, "meaning", rows=rows)]
    items: list[RenderableType] = [Text("settings", "bold")]
    for (name, type_, default, range_), field in zip(facts, fields, strict=True):
        said = default if default == "required" else f"default {default}"
        items.append(Padding(Text(f"{name}: {', '.join(filter(None, (type_, range_, said)))}"), (0, 0, 0, 2)))
        items.append(Padding(Text(field.description, "dim"), (0, 0, 0, 6)))
    return items


def _equations(equations: Sequence[tuple[str, str]]) -> list[RenderableType]:
    """Returns the equations, each with its reason beside it, or below it where there is no room."""
    if sum(max(map(len, column)) for column in zip(*equations, strict=True)) < console_width() - 2:
        return [table("equations", "", rows=((equation, Text(why, "dim")) for equation, why in equations))]
    items: list[RenderableType] = [Text("equations", "bold")]
    for equation, why in equations:
        items += [Padding(Text(equation), (0, 0, 0, 2)), Padding(Text(why, "dim"), (0, 0, 0, 6))]
    return items


def markdown_table(rows: Sequence[PartRow]) -> str:
    """Returns a Markdown table with a line for each family."""
    lines = ["| family | parts |", "| --- | --- |"]
    for family, members in groupby(rows, key=lambda r: r.family):
        lines.append(f"| {family} | {', '.join(f'`{r.type}`' for r in members)} |")
    return "\n".join(lines)
