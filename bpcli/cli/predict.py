"""`bpcli predict`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.endings import check_ending
from bpcli.cli.options import Json, Run, With


def predict(
    run: Run,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Rows to predict: a file like the training file (no target needed), images, `-` (CSV on stdin), or "
            "'{type: csv, ...}'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, CSV or (ending in .json) JSON; default stdout.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="COL", help="Put this column of the file before the predictions; repeatable."),
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Put all columns of the file before them.")] = False,
    row_numbers: Annotated[
        bool, typer.Option("--row-numbers", help="Put the number of the row before them, counted from 0.")
    ] = False,
    warn: Annotated[
        bool, typer.Option("--warn", help="Add a column that marks rows far outside of what training saw.")
    ] = False,
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="Put ' before cells that a spreadsheet would take for formulas.")
    ] = False,
    with_: With = None,
    json: Json = False,
) -> None:
    """Predict the rows of a file.

    Gives classes with their probabilities, or values in the target's own units; CSV on stdout, or JSON.
    Columns that are kept have their names and cells as they stand in the file, whatever the model makes of them; a
    prediction whose name one of them has is called predicted_NAME.
    """
    check_ending(out, "--out", [".csv", ".json", ".txt"])
    json = json or (out is not None and out.suffix.lower() == ".json")
    if json and escape_formulas:
        raise typer.BadParameter("JSON has no formulas: leave it out", param_hint="--escape-formulas")

    from bpcli.render.console import say, show_parts, show_problems, waiting
    from bpcli.render.evaluation.predict import csv_parts, json_parts
    from bpcli.studies.custom.load import load
    from bpcli.studies.evaluation.predict import predict as study
    from bpcli.studies.run.atomic import NewFile, encoded

    load(with_ or ())
    with waiting("reading the data"):
        joined = {"keep": keep or (), "append": append, "row_numbers": row_numbers}
        predictions = study(run, data, Path.cwd(), warn=warn, **joined)  # type: ignore[arg-type]
    show_problems(predictions.warnings)
    shown = out is None and sys.stdout.isatty()
    csv_options = {"escape_formulas": escape_formulas, "shown": shown}
    parts = json_parts(predictions) if json else csv_parts(predictions, **csv_options)
    if out is None:
        show_parts(parts, json)
        return
    with waiting("predicting"), NewFile(out) as file:
        for part in parts:
            file.write(encoded(part))
    say(f"{len(predictions.rows):,} predictions in {out}")
