"""`bpcli init`."""

import re
import signal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

SECONDS = {"s": 1, "m": 60, "h": 3600}  # of a unit of time


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
    tune: Annotated[
        bool, typer.Option("--tune", help="Compare epochs, penalty, width and patience by folds; write the best.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --tune: the longest it may take, 60s, 2m or 1h.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Decides which rows are test, and all other chance.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; default <data>.yaml here. `-` is stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a first config, from a data file or from nothing.

    From a file: what each column holds and what is done with it, loss, scaling, a network of a size that suits the
    number of rows, a word on classes that are uneven. From nothing: an example of the task that trains as it is.

    With --tune some settings around that first guess are compared by folds of the rows that are not test, in a fixed
    order, which --budget can only cut short; the file says what was tried and how it went.
    """
    if data is None and task is None:
        raise typer.BadParameter("name a data file, or say what to do: --task classify", param_hint="DATA")
    for option, asked in (("--target", bool(target)), ("--tune", tune), ("--seed", seed is not None)):
        if data is None and asked:
            what = {"--target": "to look for it in", "--tune": "to learn from"}.get(option, "to divide")
            raise typer.BadParameter(f"there is no file {what}", param_hint=option)
    if data is not None and task is TaskOption.images:
        raise typer.BadParameter("a folder of images says so itself: leave it out", param_hint="--task")
    if budget is not None and not tune:
        raise typer.BadParameter("it is the time for comparing settings: give --tune too", param_hint="--budget")
    seconds = None if budget is None else _seconds(budget)

    from bpcli.render.console import say, show_plain, waiting
    from bpcli.render.describe.examples import next_step
    from bpcli.render.describe.tune import stopped, taken, tuning_status
    from bpcli.studies.init.init import write_config, write_example
    from bpcli.studies.search.trial import StoppedBySignalError

    kind: Any = None if task is None else task.value
    targets = tuple(target or ())
    if data is None:
        found = write_example(kind or "classify", out, force=force)
    elif tune:
        try:
            with tuning_status(seconds) as tuning:
                found = write_config(data, targets, kind, out, force=force, seed=seed, tuning=tuning, budget=budget)
        except StoppedBySignalError as error:
            say(stopped(error.report.signal))
            raise typer.Exit(128 + error.report.signal) from None
        except KeyboardInterrupt:
            say(stopped(signal.SIGINT))
            raise
    else:
        with waiting("looking at the data"):
            found = write_config(data, targets, kind, out, force=force, seed=seed)
    if found.comparison is not None:
        say(taken(found.comparison))
    if found.file is None:
        show_plain(found.text)
    else:
        say(next_step(found.file))


def _seconds(text: str) -> float:
    """Returns a time in seconds. Raises a usage error where it is none."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"`{text}` is no time: write 60s, 2m or 1h", param_hint="--budget")
    return float(found[1]) * SECONDS[found[2]]
