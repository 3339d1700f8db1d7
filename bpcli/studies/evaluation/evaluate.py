"""How good a trained model is on rows: the report that a scikit-learn user recognises."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bpcli.config.experiment import label
from bpcli.family import Array, Metric, Scored
from bpcli.numeric.free_memory import require_memory
from bpcli.parts.metrics import add_confusion, add_counts, counts_of
from bpcli.records.printable import shell_word
from bpcli.records.training import EvalReport, Exit, Failure, Problem
from bpcli.studies.dataset.data_option import open_data_option
from bpcli.studies.dataset.prepare import Split, prepare_for
from bpcli.studies.evaluation.report import classification_report, notes
from bpcli.studies.evaluation.trained_rows import trained_rows_warning
from bpcli.studies.run import model as models
from bpcli.studies.run.model import Model
from bpcli.studies.run.resume import reopen
from bpcli.studies.run.scoring import Predictor, evaluate_split

MAX_SHARE = 0.2  # of the loss, that one row may make before it is named
CELL_BYTES = 64  # of the confusion matrix: numbers twice, and what is shown of them
MIN_ROWS_TO_RULE = 20  # of fewer, a row makes much by nature

DEFAULT_METRICS = {
    "classification": ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"),
    "regression": ("mse", "rmse", "mae", "r2"),
}
"""Figures that every report has as far as they can be measured, beside those the experiment chose."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationRows(Split):
    """Encoded rows, and a model to be evaluated on them."""

    model: Model
    warnings: tuple[Problem, ...] = ()

    def name_of(self, i: int) -> str:
        """Returns the name of row i."""
        row = int(self.rows[i])
        return self.names[row] if self.names else f"row {row}"


def evaluate(path: Path, split: str | None = None, data: str | None = None, root: Path | None = None) -> EvalReport:
    """Scores a run or a model file on rows (see `open_rows`)."""
    return score(open_rows(path, split, data, root))


def open_rows(
    path: Path, split: str | None = None, data: str | None = None, root: Path | None = None
) -> EvaluationRows:
    """Returns a run or a model file with a split of its run (test where there is one, else validation, else train), or
    with another source, whose relative paths start at `root`.

    Raises Failure: no such split, a model file without data, data that does not fit the model.
    """
    model = models.load(path)
    if data is not None:
        train = model.experiment.data.train
        dtype = np.dtype(model.experiment.dtype)
        with open_data_option(data, train, True, model.preprocessor.shape, root) as source:
            x, t, table = prepare_for(model.preprocessor, source, root or Path(), dtype, True, like=train)
            assert t is not None
            seen = trained_rows_warning(path, train, source, root or Path(), table.origin, x, t)
        rows = Split("data", x, t, np.arange(len(x)), table.row_names, table.weight)
        return EvaluationRows(**vars(rows), model=model, warnings=(*table.warnings, *seen))
    _, folder = models.find_model(path)
    if folder is None:
        text = f"{path} holds a model and no data"
        help = f"bpcli eval {shell_word(path)} --data FILE, or give the run folder"
        raise Failure(Problem(text, code="no-data", help=help), exit=Exit.USAGE)
    splits = reopen(folder, folder.record()).prepared.splits
    name = split or next(n for n in ("test", "validation", "train") if n in splits)
    if name not in splits:
        text = f"the run has no {name} split"
        raise Failure(Problem(text, code="no-split", help=f"it has: {', '.join(splits)}"), exit=Exit.USAGE)
    return EvaluationRows(**vars(splits[name]), model=model)


def score(rows: EvaluationRows) -> EvalReport:
    """Returns the report of a model on the rows it was opened with, of which each counts as much as `w` (N,) says: in
    the loss, in metrics, in the support of classes and in the confusion matrix, as with scikit-learn's
    `sample_weight`."""
    model, predictor = rows.model, rows.model.predictor
    metrics = _metrics(predictor, model.experiment.metrics)
    k = len(predictor.classes)
    add = add_counts if predictor.several else add_confusion
    if not predictor.several:
        require_memory(CELL_BYTES * k * k, f"for the confusion matrix of {k:,} classes", "fewer classes")
    weighed = np.zeros((3, k) if predictor.several else (k, k))
    counted = weighed if rows.w is None else weighed.copy()  # each row once, whatever it weighs

    parts: list[Array] = []  # what each row makes of the sum of losses

    def count(batch: Scored) -> None:
        assert batch.losses is not None
        parts.append(batch.losses * batch.loss_weight)
        if not predictor.classified:
            return
        add(weighed, batch)
        if counted is not weighed:
            add(counted, replace(batch, weight=np.ones(len(batch.output))))

    found = evaluate_split(
        model.objective, predictor, tuple(metrics.values()), rows.x, rows.t, count, rows.w, row_losses=True
    )
    single = _ruling_row(rows, np.concatenate(parts))
    report = EvalReport(
        str(model.path), rows.name, len(rows.x), found.pop("loss"), found, notes=single,
        warnings=(*model.warnings, *rows.warnings),
    )  # fmt: skip
    if not predictor.classified:
        return report
    counts, ones = (table if predictor.several else counts_of(table) for table in (weighed, counted))
    per_class, averages = classification_report(counts, predictor.classes, several=predictor.several)
    number = int if rows.w is None else float
    matrix = () if predictor.several else tuple(tuple(number(v) for v in row) for row in weighed)
    remarks = notes(ones, predictor.classes, several=predictor.several, rows=len(rows.x), metrics=metrics)
    return replace(
        report, per_class=per_class, averages=averages, confusion=matrix, classes=predictor.classes,
        notes=(*single, *remarks),
    )  # fmt: skip


def _ruling_row(rows: EvaluationRows, parts: Array) -> tuple[str, ...]:
    """Returns a note where one row makes more than a fifth of the loss, whose sum has these `parts` (n,): which row,
    and what share. Of few rows each makes much, and of losses below 0 none makes a share."""
    with np.errstate(over="ignore"):  # a sum that is too large tells nothing
        total = float(np.add.reduce(parts))
    if len(parts) < MIN_ROWS_TO_RULE or not (parts >= 0).all() or not 0 < total < np.inf:
        return ()
    worst = int(parts.argmax())
    share = float(parts[worst]) / total
    if share <= MAX_SHARE:
        return ()
    name = rows.name_of(worst) + ("" if rows.names else " of its file (counted from 0)")
    return (f"{name} makes {share:.0%} of the loss: look at its cells".replace("%", " %"),)


def _metrics(predictor: Predictor, chosen: Sequence[Metric]) -> dict[str, Metric]:
    """Returns the usual metrics and the chosen ones, by their labels."""
    task = "classification" if predictor.classified else "regression"
    default = (Metric.parse(name) for name in DEFAULT_METRICS[task])
    about = len(predictor.classes), predictor.several, predictor.loss.gives_probabilities
    return {label(m): m for m in (*(m for m in default if not m.check(*about)), *chosen)}
