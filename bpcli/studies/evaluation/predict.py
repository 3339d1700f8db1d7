"""The predictions of a trained model for rows whose targets are not needed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.free_memory import require_memory
from bpcli.records.training import Predictions
from bpcli.studies.dataset.data_option import open_data_option
from bpcli.studies.dataset.prepare import prepare_for
from bpcli.studies.evaluation.join_columns import NO_COLUMNS, join_columns
from bpcli.studies.evaluation.mark_far_rows import mark_far_rows
from bpcli.studies.run import model as models
from bpcli.studies.run.model import Model

CELL_BYTES = 48  # of a table of predictions: the number twice, and its place in a row


def predict(
    path: Path,
    data: str,
    root: Path,
    *,
    keep: Sequence[str] = (),
    append: bool = False,
    row_numbers: bool = False,
    warn: bool = False,
) -> Predictions:
    """Returns predictions for every row of the data (see `data_option`), in its order; a target column is not
    needed and not looked at. Before them stand the columns of the file that are to `keep`, or with `append` all of
    them, and before these with `row_numbers` the number of the row (see `join_columns`).

    A classification gives the class and the probability of each class; several labels a row give 0 or 1 and the
    probability of each (a loss of margins gives no probabilities); a regression gives values in the target's own units.
    Rows that have names (the files of images) have them in the first column. With `warn` a last column says of a row
    what in it is far outside of what training saw (see `mark_far_rows`).
    Raises Failure as loading data does, and where a column to keep is not in the file.
    """
    model = models.load(path)
    train = model.experiment.data.train
    with open_data_option(data, train, False, model.preprocessor.shape, root) as source:
        dtype = np.dtype(model.experiment.dtype)
        x, _, rows = prepare_for(model.preprocessor, source, root, dtype, False, like=train, keep=warn)
        kept = source.read_cells(root, None if append else tuple(keep)) if append or keep else NO_COLUMNS
    found = as_table(model, outputs(model, x))
    if rows.row_names:
        named = [(name, *row) for name, row in zip(rows.row_names, found.rows, strict=True)]
        found = Predictions(("file", *found.columns), named)
    found, marked = mark_far_rows(found, model.preprocessor, rows) if warn else (found, ())
    found = join_columns(found, *kept, row_numbers=row_numbers)
    return replace(found, warnings=(*model.warnings, *rows.warnings, *marked))


@np.errstate(all="ignore")
def outputs(model: Model, x: Array) -> Array:
    """Returns probabilities, or values in the target's own units, (N, K) float64; inf or NaN where the network
    overflows."""
    objective, predictor = model.objective, model.predictor
    require_memory(
        CELL_BYTES * len(x) * predictor.outputs, f"for predictions of {len(x):,} rows", "the file in several parts"
    )
    out = np.empty((len(x), predictor.outputs))
    step = objective.network.rows
    for start in range(0, len(x), step):
        rows = x[start : start + step]
        chain = objective.network.chain(len(rows))
        chain.x[...] = rows
        chain.forward(False)
        out[start : start + step] = predictor.predict(chain.y)
    return out


def as_table(model: Model, output: Array) -> Predictions:
    """Returns predictions as named columns."""
    predictor, preprocessor = model.predictor, model.preprocessor
    if not predictor.classified:
        names = preprocessor.target_names if len(preprocessor.target_names) == predictor.outputs else ()
        names = names or tuple(f"y{k}" if predictor.outputs > 1 else "y" for k in range(predictor.outputs))
        return Predictions(names, [tuple(row) for row in output.tolist()])
    predicted = predictor.classify(output)
    classes = predictor.classes
    shown = output if predictor.loss.gives_probabilities else output[:, :0]
    if predictor.several:
        columns = (*classes, *(f"p({c})" for c in classes[: shown.shape[1]]))
        return Predictions(columns, [(*g, *p) for g, p in zip(predicted.tolist(), shown.tolist(), strict=True)])
    name = preprocessor.target_names[0] if len(preprocessor.target_names) == 1 else "class"
    if shown.shape[1] == 1:
        shown = np.concatenate([1 - shown, shown], axis=1)
    columns = (name, *(f"p({c})" for c in classes[: shown.shape[1]]))
    rows = [(classes[g], *p) for g, p in zip(predicted.tolist(), shown.tolist(), strict=True)]
    return Predictions(columns, rows)
