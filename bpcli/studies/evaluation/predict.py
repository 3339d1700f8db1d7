"""The predictions of a trained model for rows whose targets are not needed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.free_memory import require_memory
from bpcli.records.training import GeneratedRows, Predictions, changed_rows
from bpcli.studies.dataset.data_option import open_data_option
from bpcli.studies.dataset.prepare import prepare_for
from bpcli.studies.evaluation.join_columns import NO_COLUMNS, join_columns
from bpcli.studies.evaluation.mark_far_rows import mark_far_rows
from bpcli.studies.run import model as models
from bpcli.studies.run.model import Model

CELL_BYTES = 48  # of a table of predictions: the number twice, and its place in a row
CELLS_PER_BLOCK = 1 << 16  # of rows that are in memory as such at a time
FLOAT64_BYTES = 8


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
    """Returns predictions for every row of the data (see `data_option`), in its order, made while they are gone
    through; a target column is not needed and not looked at. Before them stand the columns of the file that are to
    `keep`, or with `append` all of them, and before these with `row_numbers` the number of the row (see
    `join_columns`).

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
    found = Predictions(prediction_columns(model), _answers(model, x))
    if names := rows.row_names:
        named = changed_rows(found.rows, lambda i, row: (names[i], *row))
        found = Predictions(("file", *found.columns), named)
    found, marked = mark_far_rows(found, model.preprocessor, rows) if warn else (found, ())
    found = join_columns(found, *kept, row_numbers=row_numbers)
    return replace(found, warnings=(*model.warnings, *rows.warnings, *marked))


def _answers(model: Model, x: Array) -> GeneratedRows:
    """Returns the rows of the answer to x (N, ...), made block after block. Raises NotEnoughMemoryError where there is
    no room for one."""
    width = model.predictor.outputs
    batch, block = min(model.objective.network.rows, len(x)), max(1, CELLS_PER_BLOCK // width)
    needed = 2 * FLOAT64_BYTES * batch * width + CELL_BYTES * block * width
    require_memory(needed, f"for predictions of {batch:,} rows at a time", "other programs closed, or more memory")

    def generate() -> Iterator[tuple[Any, ...]]:
        for output in output_batches(model, x):
            for start in range(0, len(output), block):
                yield from prediction_rows(model, output[start : start + block])

    return GeneratedRows(len(x), generate)


def outputs(model: Model, x: Array) -> Array:
    """Returns probabilities, or values in the target's own units, of all rows at once, (N, K) float64; inf or NaN where
    the network overflows. Raises NotEnoughMemoryError where there is no room for them."""
    width = model.predictor.outputs
    require_memory(CELL_BYTES * len(x) * width, f"for predictions of {len(x):,} rows", "the file in several parts")
    return np.concatenate([np.empty((0, width)), *output_batches(model, x)])


def output_batches(model: Model, x: Array) -> Iterator[Array]:
    """Yields what `outputs` returns, for as many rows at a time as the network takes."""
    step = model.objective.network.rows
    for start in range(0, len(x), step):
        rows = x[start : start + step]
        with np.errstate(all="ignore"):
            chain = model.objective.network.chain(len(rows))
            chain.x[...] = rows
            chain.forward(False)
            yield model.predictor.predict(chain.y)


def prediction_columns(model: Model) -> tuple[str, ...]:
    """Returns the names of the columns of predictions."""
    predictor, names = model.predictor, model.preprocessor.target_names
    if not predictor.classified:
        names = names if len(names) == predictor.outputs else ()
        return names or tuple(f"y{k}" if predictor.outputs > 1 else "y" for k in range(predictor.outputs))
    classes = predictor.classes
    probabilities = tuple(f"p({c})" for c in classes) if predictor.loss.gives_probabilities else ()
    if predictor.several:
        return (*classes, *probabilities)
    return (names[0] if len(names) == 1 else "class", *probabilities)


def prediction_rows(model: Model, output: Array) -> list[tuple[Any, ...]]:
    """Returns outputs (n, K) as rows of the columns that `prediction_columns` names."""
    predictor = model.predictor
    if not predictor.classified:
        return [tuple(row) for row in output.tolist()]
    predicted = predictor.classify(output).tolist()
    shown = output if predictor.loss.gives_probabilities else output[:, :0]
    if predictor.several:
        return [(*g, *p) for g, p in zip(predicted, shown.tolist(), strict=True)]
    if shown.shape[1] == 1:
        shown = np.concatenate([1 - shown, shown], axis=1)
    classes = predictor.classes
    return [(classes[g], *p) for g, p in zip(predicted, shown.tolist(), strict=True)]
