"""`bpcli diagnose`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import DataFile, Json, Sets, With

Target = Annotated[Path, typer.Argument(metavar="CONFIG|RUN|MODEL", help="What to look at.", show_default=False)]


def diagnose(
    target: Target,
    trying: Annotated[
        bool, typer.Option("--try", help="Train a few hundred steps without and with each remedy of a warning.")
    ] = False,
    data: DataFile = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
) -> None:
    """Find what will train badly, say why, and what to set instead.

    Of a config: the data, how weights start, gradients from layer to layer, closed units, the first step, learning
    rates, and whether one batch can be learned by heart. Of a run: the data, its trained weights and its epochs.
    Nothing is written. Ends with 0 where the diagnosis was made, whatever it found.
    """
    from bpcli.render.console import console_width, show_problems, show_result, waiting
    from bpcli.render.diagnose import diagnosis
    from bpcli.studies.custom.load import load
    from bpcli.studies.diagnose.diagnose import diagnose as study

    load(with_ or ())
    with waiting("looking"):
        report = study(target, tuple(set_ or ()), trying=trying, data=data)
    show_problems(report.warnings)
    show_result(report, json, lambda: diagnosis(report, console_width()))
