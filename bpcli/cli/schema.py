"""`bpcli schema`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.endings import check_ending
from bpcli.cli.options import Json


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here; default stdout.")] = None,
    json: Json = False,
) -> None:
    """Print the JSON Schema of a config.

    Editors complete and check YAML by it.
    """
    check_ending(out, "--out", [".json"])

    from bpcli.config.experiment import Experiment
    from bpcli.config.schema import json_schema
    from bpcli.render.console import say, show_json
    from bpcli.render.json_text import dumps
    from bpcli.studies.run.atomic import atomic_text

    text = dumps(json_schema(Experiment))
    if out is None:
        show_json(text)
    else:
        atomic_text(out, text + "\n")
        say(f"the schema is in {out}")
