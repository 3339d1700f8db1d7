"""`bpcli init`."""

import re
import signal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bpcli.cli.endings import check_ending

STDOUT = Path("-")
SECONDS = {"s": 1, "m": 60, "h": 3600}  # of a unit of time


class TaskOption(str, Enum):  # noqa: UP042  (Typer 0.15 lists the values of this form)
    classify = "classify"
    regress = "regress"
    images = "images"


class DateOrderOption(str, Enum):  # noqa: UP042
    dmy = "dmy"
    mdy = "mdy"
    ymd = "ymd"


class ThousandsOption(str, Enum):  # noqa: UP042
    comma = ","
    point = "."
    apostrophe = "'"
    space = " "


class DecimalOption(str, Enum):  # noqa: UP042
    point = "."
    comma = ","


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
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="COL", help="A column that holds text; repeatable.")
    ] = None,
    number: Annotated[
        list[str] | None, typer.Option("--number", metavar="COL", help="A column that holds numbers; repeatable.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="COL", help="A column to leave out; repeatable.")
    ] = None,
    date_order: Annotated[
        DateOrderOption | None, typer.Option(help="The order of day, month and year in dates: found where it shows.")
    ] = None,
    thousands: Annotated[
        ThousandsOption | None, typer.Option(help="What stands between thousands: found where it shows.")
    ] = None,
    decimal: Annotated[
        DecimalOption | None, typer.Option(help="What stands before fractions: found where it shows.")
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
    if data == "-":
        text_ = "a config names a file that is there when it is trained: save the data first, cat > data.csv"
        raise typer.BadParameter(text_, param_hint="DATA")
    of_columns = {"text": text, "number": number, "drop": drop}
    marks = {"date_order": date_order, "thousands": thousands, "decimal": decimal}
    asked = {"target": target, "tune": tune, "seed": seed is not None, **of_columns, **marks}
    if data is None and any(asked.values()):
        option = next(name for name, said in asked.items() if said)
        what = {"tune": "to learn from", "seed": "to divide"}.get(option, "to look for it in")
        raise typer.BadParameter(f"there is no file {what}", param_hint=f"--{option.replace('_', '-')}")
    if data is not None and task is TaskOption.images:
        raise typer.BadParameter("a folder of images says so itself: leave it out", param_hint="--task")
    if budget is not None and not tune:
        raise typer.BadParameter("it is the time for comparing settings: give --tune too", param_hint="--budget")
    if out != STDOUT:
        check_ending(out, "--out", [".yaml", ".yml"])
    seconds = None if budget is None else _seconds(budget)

    from bpcli.render.console import say, show, show_plain, waiting
    from bpcli.render.describe.init import next_step, page
    from bpcli.render.describe.tune import stopped, taken, tuning_status
    from bpcli.studies.init.init import write_config, write_example
    from bpcli.studies.init.options import ColumnOptions
    from bpcli.studies.search.trial import StoppedBySignalError

    kind: Any = None if task is None else task.value
    said: dict[str, Any] = {name: tuple(names or ()) for name, names in of_columns.items()}
    said |= {name: mark.value for name, mark in marks.items() if mark is not None}
    options = ColumnOptions(**said)
    write = partial(write_config, data or "", target or (), kind, out, force=force, seed=seed, options=options)
    if data is None:
        found = write_example(kind or "classify", out, force=force)
    elif tune:
        try:
            with tuning_status(seconds) as tuning:
                found = write(tuning=tuning, budget=budget)
        except StoppedBySignalError as error:
            say(stopped(error.report.signal))
            raise typer.Exit(128 + error.report.signal) from None
        except KeyboardInterrupt:
            say(stopped(signal.SIGINT))
            raise
    else:
        with waiting("looking at the data"):
            found = write()
    if found.comparison is not None:
        say(taken(found.comparison))
    if found.file is None:
        show_plain(found.text)
    else:
        show(*page(found))
        say(next_step(found))


def _seconds(text: str) -> float:
    """Returns a time in seconds. Raises a usage error where it is none."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"`{text}` is no time: write 60s, 2m or 1h", param_hint="--budget")
    return float(found[1]) * SECONDS[found[2]]
