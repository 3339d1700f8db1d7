"""`bpcli eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import DataFile, Json, Run


def evaluate(
    run: Run,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="train, validation or test; default test, else validation, else train."),
    ] = None,
    data: DataFile = None,
    json: Json = False,
) -> None:
    """Score a trained model.

    Prints the loss, the metrics and, for classes, a report for each class and the confusion matrix.
    """
    if split is not None and data is not None:
        raise typer.BadParameter("give --split or --data, not both", param_hint="--data")
    if split not in (None, "train", "validation", "test"):
        raise typer.BadParameter("a split is train, validation or test", param_hint="--split")

    from bpcli.render.console import show, show_json, waiting
    from bpcli.render.evaluation import evaluation
    from bpcli.render.jsons import evaluation as as_json
    from bpcli.studies.evaluate import evaluate as study

    with waiting("evaluating"):
        report = study(run, split, data, Path.cwd())
    if json:
        show_json(as_json(report))
    else:
        show(*evaluation(report))
