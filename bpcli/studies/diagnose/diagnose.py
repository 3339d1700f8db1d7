"""The diagnosis put together."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bpcli.records.diagnose import LEVELS, DiagnoseReport
from bpcli.studies.diagnose.columns import input_sizes, target_range, useless_columns
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.gradients import dead_units, first_step_size, gradient_flow, saturated_units, start_loss
from bpcli.studies.diagnose.history import training_history
from bpcli.studies.diagnose.learning_rate import learning_rate, overfit_one_batch
from bpcli.studies.diagnose.short_runs import peak_rate
from bpcli.studies.diagnose.splits import class_balance, repeated_rows, row_and_step_counts
from bpcli.studies.diagnose.training_context import MAX_STEP_ROWS
from bpcli.studies.diagnose.try_remedy import Check, try_remedies
from bpcli.studies.diagnose.weights import initial_weights

CHECKS: Mapping[str, Check] = {
    "epochs": training_history,
    "inputs": input_sizes,
    "targets": target_range,
    "weights": initial_weights,
    "start": start_loss,
    "gradients": gradient_flow,
    "dead": dead_units,
    "saturated": saturated_units,
    "steps": first_step_size,
    "rates": learning_rate,
    "by heart": overfit_one_batch,
    "classes": class_balance,
    "rows": repeated_rows,
    "columns": useless_columns,
    "amounts": row_and_step_counts,
}
"""The checks by the name that a symptom shows: causes before what they lead to."""


@np.errstate(all="ignore")  # what overflows is in the figures
def diagnose(path: Path, sets: Sequence[str] = (), *, trying: bool = False, data: str | None = None) -> DiagnoseReport:
    """Examines a config before it is trained, or at a run or a model with its trained weights; with `trying` measures
    what each remedy of a warning does. Raises Failure where there is nothing to look at.

    Every check is run, and the report has the most serious symptoms first. Nothing is written, and the same file gives
    the same symptoms.
    """
    context = open_context(path, sets, data)
    began = time.perf_counter()
    found = [symptom for check in CHECKS.values() for symptom in check(context)]
    found.sort(key=lambda s: -LEVELS.index(s.level))  # stable: causes stay before what they lead to
    tried = ""
    if trying:
        found, tried = try_remedies(context, found, CHECKS)
    learns = not context.trained and context.gradient_optimizer is not None
    return DiagnoseReport(
        name=context.name,
        weights=context.weights,
        rows=_rows(context),
        loss=context.loss,
        constant=context.constant,
        layers=context.layer_stats,
        symptoms=tuple(found),
        rate=peak_rate(context),
        rates=context.rate_range.rates if learns and context.rate_range is not None else (),
        overfit=() if context.trained else context.overfit,
        seconds=time.perf_counter() - began,
        tried=tried,
        notes=tuple(_notes(context)),
        warnings=context.warnings,
    )


def _rows(context: DiagnosisContext) -> str:
    shown, all_rows = len(context.probe_rows), context.rows
    what = "training rows" if context.train.name == "train" else "rows of --data"
    return f"all {shown:,} {what}" if shown == all_rows else f"{shown:,} of {all_rows:,} {what}"


def _notes(context: DiagnosisContext) -> list[str]:
    """Returns what was not looked at, and why."""
    found = []
    if context.trained:
        found.append("how it starts, its learning rate and one batch by heart: bpcli diagnose CONFIG")
    elif context.batch_rows > MAX_STEP_ROWS:
        found.append(f"single steps saw {MAX_STEP_ROWS} rows of each batch of {context.batch_rows:,}")
    if context.experiment.data.augment:
        found.append("images were not changed by chance")
    if not math.isfinite(context.loss):
        found.append("figures of layers are those of numbers that overflowed")
    return found
