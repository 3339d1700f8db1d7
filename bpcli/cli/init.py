"""`bpcli init`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class TaskOption(str, Enum):  # noqa: UP042  (Typer 0.15 lists the values of this form)
    classify = "classify"
    regress = "regress"
    images = "images"


def init(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="A table (.csv, .tsv, .parquet), a folder of images, or '{type: csv, path: ..., ...}'.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="The column to predict; repeatable.")
    ] = None,
    task: Annotated[
        TaskOption | None, typer.Option(help="What to do: found in the data where there is some.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; default <data>.yaml here. `-` is stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a first config, from a data file or from nothing.

    From a file: what each column holds and what is done with it, loss, scaling, a network of a size that suits the
    number of rows, a word on classes that are uneven. From nothing: an example of the task that trains as it is.
    """
    if data is None and task is None:
        raise typer.BadParameter("name a data file, or say what to do: --task classify", param_hint="DATA")
    if data is None and target:
        raise typer.BadParameter("there is no file to look for it in", param_hint="--target")
    if data is not None and task is TaskOption.images:
        raise typer.BadParameter("a folder of images says so itself: leave it out", param_hint="--task")

    from bpcli.render.console import say, show_plain, waiting
    from bpcli.render.describe.examples import next_step
    from bpcli.studies.init.init import write_config, write_example

    with waiting("looking at the data"):
        if data is None:
            found = write_example(task.value if task else "classify", out, force=force)
        else:
            kind = None if task is None else task.value
            found = write_config(data, tuple(target or ()), kind, out, force=force)  # type: ignore[arg-type]
    if found.file is None:
        show_plain(found.text)
    else:
        say(next_step(found.file))
