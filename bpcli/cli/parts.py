"""`bpcli parts`."""

from typing import Annotated

import typer

from bpcli.cli.options import Json, With


def parts(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A part or a family; default all.", show_default=False)
    ] = None,
    with_: With = None,
    json: Json = False,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or markdown.")] = "text",
) -> None:
    """List what can stand in a file.

    With a NAME, shows one part: its settings, its equations, where it comes from.
    """
    if format_ not in ("text", "markdown"):
        raise typer.BadParameter("the formats are text and markdown", param_hint="--format")

    from bpcli.render.console import show, show_json, show_plain
    from bpcli.render.describe.parts import markdown_table, part_list, part_page
    from bpcli.render.json_text import dumps
    from bpcli.studies.custom.load import load
    from bpcli.studies.describe.parts import find_parts, list_parts

    load(with_ or ())
    rows = list_parts() if name is None else find_parts(name)
    single = name is not None and all(row.type == name for row in rows)
    if json:
        show_json(dumps(rows))
    elif format_ == "markdown":
        show_plain(markdown_table(rows))
    elif single:
        show(*(item for row in rows for item in part_page(row)))
    else:
        show(*part_list(rows))
