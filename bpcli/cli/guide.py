"""`bpcli guide`."""

import sys
from typing import Annotated

import typer

from bpcli.cli.options import Json


def guide(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The guide to show; default: list all.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show a guide, or list them all.

    On a terminal the text is laid out for it; piped, it is the Markdown of the guide.
    """
    from bpcli.render.console import show, show_json, show_plain
    from bpcli.render.describe.guide import GuidePage, guide_list
    from bpcli.render.json_text import dumps
    from bpcli.studies.describe import guides as study

    found = study.guides() if name is None else (study.guide(name),)
    if json and name is None:
        show_json(dumps([{"name": g.name, "title": g.title, "summary": g.summary} for g in found]))
    elif json:
        show_json(dumps(found))
    elif name is None:
        show(*guide_list(found))
    elif sys.stdout.isatty():
        show(GuidePage(found[0]))
    else:
        show_plain(found[0].text)
