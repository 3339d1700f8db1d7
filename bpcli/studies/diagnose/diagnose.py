"""The diagnosis put together."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bpcli.records.diagnose import DiagnoseReport
from bpcli.studies.diagnose.case import Case, open_case
from bpcli.studies.diagnose.columns import columns, inputs, targets
from bpcli.studies.diagnose.gradients import begin, dead, gradients, saturated, steps
from bpcli.studies.diagnose.history import past
from bpcli.studies.diagnose.learning_rate import by_heart, rates
from bpcli.studies.diagnose.scene import MOST
from bpcli.studies.diagnose.short_runs import peak_rate
from bpcli.studies.diagnose.splits import amounts, classes, rows
from bpcli.studies.diagnose.try_remedy import SERIOUS, Check, try_all
from bpcli.studies.diagnose.weights import weights

CHECKS: Mapping[str, Check] = {
    "epochs": past,
    "inputs": inputs,
    "targets": targets,
    "weights": weights,
    "start": begin,
    "gradients": gradients,
    "dead": dead,
    "saturated": saturated,
    "steps": steps,
    "rates": rates,
    "by heart": by_heart,
    "classes": classes,
    "rows": rows,
    "columns": columns,
    "amounts": amounts,
}
"""By name: causes before what they lead to."""


def diagnose(
    path: Path, sets: Sequence[str] = (), *, trying: bool = False, data: str | None = None, root: Path | None = None
) -> DiagnoseReport:
    """Looks at a config before it is trained, or at a run or a model with its trained weights; with `trying` measures
    what each cure of a warning does. Raises Failure where there is nothing to look at.

    Nothing is written, and the same file gives the same findings.
    """
    return examine(open_case(path, sets, data, root), trying=trying)


def examine(case: Case, *, trying: bool = False) -> DiagnoseReport:
    """The report of a case."""
    began = time.perf_counter()
    found = [symptom for check in CHECKS.values() for symptom in check(case)]
    found.sort(key=lambda s: -SERIOUS[s.level])  # stable: causes stay before what they lead to
    tried = ""
    if trying:
        found, tried = try_all(case, found, CHECKS)
    learns = not case.trained and case.gradient_optimizer is not None
    return DiagnoseReport(
        name=case.name,
        weights=case.weights,
        rows=_rows(case),
        loss=case.loss,
        constant=case.constant,
        layers=case.health,
        symptoms=tuple(found),
        rate=peak_rate(case),
        rates=case.range.rates if learns and case.range is not None else (),
        overfit=() if case.trained else case.overfit,
        seconds=time.perf_counter() - began,
        tried=tried,
        notes=tuple(_notes(case)),
        warnings=case.warnings,
    )


def _rows(case: Case) -> str:
    shown, all_rows = len(case.probed), case.rows
    what = "training rows" if case.train.name == "train" else "rows of --data"
    return f"all {shown:,} {what}" if shown == all_rows else f"{shown:,} of {all_rows:,} {what}"


def _notes(case: Case) -> list[str]:
    """What was not looked at, and why."""
    found = []
    if case.trained:
        found.append("how it starts, its learning rate and one batch by heart: bpcli diagnose CONFIG")
    elif case.size > MOST:
        found.append(f"single steps saw {MOST} rows of each batch of {case.size:,}")
    if case.experiment.data.augment:
        found.append("images were not changed by chance")
    if not math.isfinite(case.loss):
        found.append("figures of layers are those of numbers that overflowed")
    return found
