"""`bpcli gradcheck`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import Json, Sets, With

CheckedPath = Annotated[
    Path | None, typer.Argument(metavar="CONFIG|RUN|MODEL", help="Whose gradients to check.", show_default=False)
]


def gradcheck(
    path: CheckedPath = None,
    parts: Annotated[bool, typer.Option("--parts", help="Check every registered part; with --with, those.")] = False,
    with_: With = None,
    external: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Compare gradients computed elsewhere: <layer>.d<param>, x, t, weights."),
    ] = None,
    set_: Sets = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the points that are checked.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on dead paths and on noise, too.")] = False,
    json: Json = False,
) -> int:
    """Prove that gradients are right, or say what is wrong.

    Each tensor is held against four witnesses: the equations that its author states, those that are derived from the
    forward ones, complex steps through them, and central differences through the kernels. A forward and a backward pass
    that are wrong in the same way no gradient check can see; that is what the equations are for.
    """
    if (path is not None) == (parts or (path is None and bool(with_))):
        raise typer.BadParameter("say what to check: a config, a run, or --parts", param_hint="CONFIG")
    if external is not None and path is None:
        raise typer.BadParameter("--external needs the network: a config, a run or a model", param_hint="--external")

    from bpcli.records.training import Exit
    from bpcli.render.console import progress, show, show_json, show_problems, show_result, waiting
    from bpcli.render.gradcheck import gradcheck_report, part_table
    from bpcli.render.json_text import dumps
    from bpcli.studies.custom.load import load
    from bpcli.studies.gradcheck.check import check_gradients
    from bpcli.studies.gradcheck.check_parts import check_own, check_registry
    from bpcli.studies.gradcheck.external import check_external
    from bpcli.studies.trace.open import TracedRows, long_work, open_target

    mine = load(with_ or ())
    if path is None and not mine:
        with waiting("checking every part"):
            table = check_registry()
        show_result({"parts": list(table)}, json, lambda: part_table(table))
        return int(Exit.BAD_RESULT if any(row.verdict in ("WRONG", "not covered") for row in table) else Exit.OK)
    if path is not None:
        with waiting("checking"):
            opened = open_target(path, TracedRows(batch=True), set_ or (), command="gradcheck")
        show_problems(long_work(opened, gradients=external is None))
        with progress("checking") as notify:
            reports = [check_external(opened, external) if external else check_gradients(opened, seed, notify)]
    else:
        with waiting("checking"):
            reports = [check_own(leaf, seed) for leaf in mine]
    for i, report in enumerate(reports):
        show_problems(report.warnings)
        if not json:
            show(*([""] if i else []), *gradcheck_report(report))
    if json:
        show_json(dumps(reports[0] if path is not None else {"parts": reports}))
    failed = any(not r.passed or (strict and r.weak) for r in reports) or not any(r.compared for r in reports)
    return int(Exit.BAD_RESULT if failed else Exit.OK)
