"""`bpcli verify-resume`."""

from typing import Annotated

import typer

from bpcli.cli.options import Config, Json, Sets, With


def verify_resume(
    config: Config,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many epochs; default 3, or fewer where the config has.")
    ] = None,
    after: Annotated[
        int | None, typer.Option(min=1, metavar="STEP", help="Save after this step, kill after the next; default half.")
    ] = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
) -> int:
    """Prove that a run that is killed and resumed comes to the same bits.

    Trains without interruption; trains again, is killed (SIGKILL) after a checkpoint, and resumes; compares weights,
    running statistics, the optimizer's state, progress, metrics and models. Ends with 3 where they differ. Works in a
    temporary folder, which it removes.
    """
    from bpcli.records.training import Exit
    from bpcli.render.console import show_result, waiting
    from bpcli.render.evaluation.verify_resume import verdict_page, verdict_record
    from bpcli.studies.evaluation.verify_resume import verify_resume as study

    with waiting("training twice, once with an interruption"):
        found = study(config, tuple(set_ or ()), tuple(with_ or ()), epochs, after)
    show_result(verdict_record(found), json, lambda: verdict_page(found))
    return int(Exit.OK if found.identical else Exit.BAD_RESULT)
