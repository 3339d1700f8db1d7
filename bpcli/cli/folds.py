"""`bpcli train --folds`."""

from pathlib import Path

import typer


def cross_validate(
    config: Path | None,
    resume: Path | None,
    sets: tuple[str, ...],
    count: int,
    out: Path | None,
    *,
    json: bool,
    quiet: bool,
) -> None:
    """Runs a cross-validation, begun (with a config) or gone on with."""
    from bpcli.records.training import Exit, FoldRow, Problem
    from bpcli.render.console import say, show, show_json, show_path, show_problems, waiting
    from bpcli.render.evaluation.cross_validate import fold_line, fold_status, folds_closing, table_of
    from bpcli.render.json_text import dumps
    from bpcli.studies.evaluation import cross_validate as folds

    if resume is not None and sets:
        raise typer.BadParameter("folds that go on are of the experiment they began with", param_hint="--set")
    with waiting("reading the data"):
        study = folds.start(config, sets, count, out) if config is not None else folds.resume(resume or Path())
    if study.remark and not quiet:
        say(study.remark)

    def on_fold_end(row: FoldRow) -> None:
        if not quiet:
            say(fold_line(row, study.count))

    shown: list[Problem] = []
    with fold_status(quiet, shown) as callbacks:
        report = study.run(callbacks, on_fold_end)
    unshown = (w for w in report.warnings if w not in shown)
    show_problems([*unshown, *([report.problem] if report.problem is not None else [])])
    if json:
        show_json(dumps(report))
    elif quiet:
        show_path(report.run)
    elif report.folds:
        show(*table_of(report))
    if not quiet:
        say(folds_closing(report))
    if report.signal:
        raise typer.Exit(128 + report.signal)
    if report.stopped:
        raise typer.Exit(int(Exit.BAD_RESULT))
