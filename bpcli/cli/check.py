"""`bpcli check`."""

from __future__ import annotations

from bpcli.cli.options import Config, Json, Sets


def check(config: Config, set_: Sets = None, json: Json = False) -> None:
    """Validate an experiment; train nothing.

    Shows the layers with their shapes and costs, the rows of each split, and the first rows.
    """
    from bpcli.render.checking import checking
    from bpcli.render.console import show, show_json, show_problems, waiting
    from bpcli.render.jsons import dumps
    from bpcli.studies.check import check as study

    with waiting("reading the data"):
        report = study(config, tuple(set_ or ()))
    show_problems(report.warnings)
    if json:
        show_json(dumps(report))
    else:
        show(*checking(report))
