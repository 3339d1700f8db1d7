"""`bpcli check`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.endings import check_ending
from bpcli.cli.options import Config, Json, Sets, With


def check(
    config: Config,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw training images and what augmentation makes of them (extra: images)."),
    ] = None,
) -> None:
    """Validate an experiment; train nothing.

    Shows the layers with their shapes and costs, the rows of each split, and the first rows.
    """
    check_ending(sheet, "--sheet", [".png"])

    from bpcli.render.console import say, show_problems, show_result, waiting
    from bpcli.render.describe.check import check_page
    from bpcli.studies.custom.load import load
    from bpcli.studies.describe.check import report as study
    from bpcli.studies.run.setup import set_up

    load(with_ or ())
    with waiting("reading the data"):
        setup = set_up(config, tuple(set_ or ()), keep=True)
    report = study(setup)
    show_problems(report.warnings)
    if sheet is not None:
        from bpcli.render.evaluation.contact_sheet import png
        from bpcli.studies.evaluation.contact_sheet import augmented
        from bpcli.studies.run.atomic import atomic_bytes

        atomic_bytes(sheet, png(augmented(setup)))
        say(f"training images: {sheet}")
    show_result(report, json, lambda: check_page(report))
