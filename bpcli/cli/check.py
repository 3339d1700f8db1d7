"""`bpcli check`."""

from __future__ import annotations

from bpcli.cli.options import Config, Json, Sets


def check(config: Config, set_: Sets = None, json: Json = False) -> None:
    """Validate an experiment and show its layers, data and costs; trains nothing."""
    from bpcli.render.checking import checking
    from bpcli.render.console import show, show_plain, show_problems
    from bpcli.render.jsons import dumps
    from bpcli.studies.check import check as study

    report = study(config, tuple(set_ or ()))
    show_problems(report.warnings)
    if json:
        show_plain(dumps(report))
    else:
        show(*checking(report))
