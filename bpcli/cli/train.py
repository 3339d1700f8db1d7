"""`bpcli train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bpcli.cli.options import Json, Sets, With

if TYPE_CHECKING:
    from bpcli.records.training import TrainReport


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="The YAML file of the experiment.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run from its newest checkpoint.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, max=1000, metavar="K", help="Cross-validate: K trainings, each tested on another part."),
    ] = None,
    set_: Sets = None,
    with_: With = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run folder; default runs/<name>-<time>.")] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table of epochs.")] = False,
) -> None:
    """Train a network and write a run folder.

    The table of epochs goes to stderr. Stdout gets the path of the run folder where it is piped or with --quiet, and
    the whole report with --json. Ends with 0; with 3 where training diverged; with 130 (Ctrl-C), 143 or 129 where a
    signal stopped it, after saving.

    With --folds the rows are divided into K parts, by class where targets are classes; each part is test once, and the
    folder holds a run for each fold and their figures, with mean and spread, in folds.json.
    """
    _check_together(config, resume, folds, out)

    from bpcli.render.console import show_problems, waiting
    from bpcli.render.run.epochs import epoch_table
    from bpcli.studies.custom.load import load
    from bpcli.studies.run.resume import resume as go_on
    from bpcli.studies.run.resume import start
    from bpcli.studies.run.setup import set_up

    sets = tuple(set_ or ())
    load(with_ or ())
    if folds is not None or (resume is not None and (resume / "folds.json").is_file()):
        from bpcli.cli.folds import cross_validate

        cross_validate(config, resume, sets, folds or 0, out, json=json, quiet=quiet)
        return
    callbacks = epoch_table(quiet)
    with waiting("reading the data"):
        if config is not None:
            trainer = start(set_up(config, sets, new_run=True), out, callbacks)
        else:
            trainer = go_on(resume or Path(), sets, callbacks)
    show_problems(trainer.warnings)
    _report(trainer.run(), json=json, quiet=quiet)


def _check_together(config: Path | None, resume: Path | None, folds: int | None, out: Path | None) -> None:
    """Raises BadParameter where options contradict each other."""
    if config is None and resume is None:
        raise typer.BadParameter("name a file, or give --resume RUN", param_hint="CONFIG")
    if config is not None and resume is not None:
        raise typer.BadParameter("a run that goes on has its CONFIG in its folder", param_hint="--resume")
    if resume is not None and out is not None:
        raise typer.BadParameter("a run that goes on stays in its folder", param_hint="--out")
    if resume is not None and folds is not None:
        raise typer.BadParameter("a folder of folds that goes on knows how many they are", param_hint="--folds")


def _report(report: TrainReport, *, json: bool, quiet: bool) -> None:
    """Shows how a training ended. Raises typer.Exit where that was not by itself, or where it diverged."""
    from bpcli.records.training import Exit
    from bpcli.render.console import say, show_json, show_path, show_problems
    from bpcli.render.json_text import dumps
    from bpcli.render.run.epochs import closing

    if report.problem is not None:
        show_problems([report.problem])
    if not quiet:
        say(closing(report))
    if json:
        show_json(dumps(report))
    elif quiet or not sys.stdout.isatty():
        show_path(report.run)
    if report.stopped == "diverged":
        raise typer.Exit(int(Exit.BAD_RESULT))
    if report.signal:
        raise typer.Exit(128 + report.signal)
