"""`bpcli eval`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.endings import check_ending
from bpcli.cli.options import DataFile, Json, Run, With


def evaluate(
    run: Run,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="train, validation or test; default test, else validation, else train."),
    ] = None,
    data: DataFile = None,
    with_: With = None,
    json: Json = False,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the images it errs on worst here, as PNG (extra: images)."),
    ] = None,
) -> None:
    """Score a trained model.

    Prints the loss, the metrics and, for classes, a report for each class and the confusion matrix.
    """
    if split is not None and data is not None:
        raise typer.BadParameter("give --split or --data, not both", param_hint="--data")
    if split not in (None, "train", "validation", "test"):
        raise typer.BadParameter("a split is train, validation or test", param_hint="--split")

    check_ending(sheet, "--sheet", [".png"])

    from bpcli.render.console import say, show_problems, show_result, waiting
    from bpcli.render.evaluation.evaluate import evaluation
    from bpcli.render.json_text import evaluation_record
    from bpcli.studies.custom.load import load
    from bpcli.studies.evaluation.evaluate import open_rows, score

    load(with_ or ())
    with waiting("evaluating"):
        rows = open_rows(run, split, data, Path.cwd())
        report = score(rows)
    show_problems(report.warnings)
    if sheet is not None:
        from bpcli.render.evaluation.contact_sheet import png
        from bpcli.studies.evaluation.contact_sheet import misclassified
        from bpcli.studies.run.atomic import atomic_bytes

        drawn = misclassified(rows)
        atomic_bytes(sheet, png(drawn))
        say(f"{drawn.title}: {sheet}")
    show_result(evaluation_record(report), json, lambda: evaluation(report))
