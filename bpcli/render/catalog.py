"""Parts on the terminal and as the README's table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from bpcli.records import PartRow
from bpcli.render.console import table


def listing(rows: Sequence[PartRow]) -> list[RenderableType]:
    """All parts, a line each, by family."""
    items: list[RenderableType] = []
    for family, members in groupby(rows, key=lambda r: r.family):
        found = table(family, "")
        for row in members:
            found.add_row(Text(row.type, "bold"), row.summary)
        items += [found, Text()]
    return [*items, Text("bpcli parts NAME shows settings and equations")]


def page(row: PartRow) -> list[RenderableType]:
    """One part."""
    items: list[RenderableType] = [Text.assemble((row.type, "bold"), f"  ({row.family})"), Text(row.summary), Text()]
    items += [Padding(Text(row.doc), (0, 0, 0, 2)), Text()]
    if row.fields:
        found = table("setting", "type", "default", "range", "meaning")
        for field in row.fields:
            found.add_row(field.name, field.type, field.default or "required", field.range, field.description)
        items += [found, Text()]
    if row.equations:
        found = table("equations", "")
        for equation, why in row.equations:
            found.add_row(equation, Text(why, "dim"))
        items += [found, Text()]
    if row.example:
        items += [Text("example", "dim"), Padding(Text(row.example), (0, 0, 0, 2)), Text()]
    return items


def markdown(rows: Sequence[PartRow]) -> str:
    """The README's table: a line for each family."""
    lines = ["| family | parts |", "| --- | --- |"]
    for family, members in groupby(rows, key=lambda r: r.family):
        lines.append(f"| {family} | {', '.join(f'`{r.type}`' for r in members)} |")
    return "\n".join(lines)
