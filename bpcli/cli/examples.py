"""`bpcli examples`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import Json


def examples(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="What to copy; left out: list all.", show_default=False),
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; default: here.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Copy every example.")] = False,
    json: Json = False,
) -> None:
    """List the examples that come with bpcli, or copy some.

    Configs go to DIR/configs and their data to DIR/datasets. Files that are there already are never overwritten.
    """
    from bpcli.render.console import say, show_json, show_result
    from bpcli.render.describe.examples import copied, example_list
    from bpcli.render.json_text import dumps
    from bpcli.studies.describe import examples as study

    known = study.examples()
    if to is not None and not names and not all_:
        raise typer.BadParameter("name what to copy, or give --all", param_hint="--to")
    wanted = [e.name for e in known] if all_ else list(names or ())
    if not wanted:
        show_result(list(known), json, lambda: example_list(known))
        return
    folder = to or Path()
    files = [file for name in wanted for file in study.copy_example(name, folder)]
    configs = [folder / "configs" / f"{name}.yaml" for name in wanted]
    if json:
        show_json(dumps([str(file) for file in dict.fromkeys(files)]))
    else:
        say(copied([e for e in known if e.name in wanted], configs, len(set(files))))
