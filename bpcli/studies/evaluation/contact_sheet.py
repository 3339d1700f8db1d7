"""Contact sheets: the images a network errs on worst, and what training makes of its images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bpcli.engine.augment import image_shape
from bpcli.engine.network_plan import NetworkPlan
from bpcli.family.plan import Array, Shape
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.evaluation.evaluate import EvaluationRows
from bpcli.studies.evaluation.predict import outputs
from bpcli.studies.run.setup import Setup

MAX_MISTAKES = 40
"""Mistakes on a sheet, at most."""
COLUMNS = 8  # images of a row of the sheet
MAX_EXAMPLES = 10
"""Training images on a sheet, at most; of each class the first, where there are classes."""

TileTone = Literal["plain", "right", "wrong", "dim"]


@dataclass(frozen=True, eq=False)
class Tile:
    """One image (h, w, c bytes; c is 1 or 3) and the lines under it."""

    pixels: Array
    lines: tuple[tuple[str, TileTone], ...] = ()


@dataclass(frozen=True, eq=False)
class Sheet:
    """A heading, a line that says how to read the sheet, and images in rows of `columns`."""

    title: str
    note: str
    columns: int
    tiles: Sequence[Tile]


def misclassified(rows: EvaluationRows, limit: int = MAX_MISTAKES) -> Sheet:
    """Returns the images whose true class the model gave the least, worst first. Raises Failure: no images, no
    classes."""
    model = rows.model
    predictor, preprocessor = model.predictor, model.preprocessor
    if not preprocessor.classes:
        text = "a sheet shows images taken for another class, and this model has no classes to choose from"
        raise Failure(Problem(text, code="no-classes", help="leave `--sheet` out"), exit=Exit.USAGE)
    shape = _image_shape(model.network_plan)
    output = outputs(model, rows.x)
    predicted, truth = predictor.classify(output), rows.t
    if output.shape[1] == 1:
        output = np.concatenate([1 - output if predictor.loss.gives_probabilities else -output, output], axis=1)
    wrong = np.flatnonzero(predicted != truth)
    regret = output[wrong, truth[wrong]] - (0 if predictor.loss.gives_probabilities else output[wrong].max(1))
    worst = wrong[np.argsort(regret, kind="stable")][:limit]
    tiles = []
    images = _as_bytes(model.preprocessor, rows.x[worst], shape)
    for row, pixels in zip(worst, images, strict=True):
        found, true = int(predicted[row]), int(truth[row])
        first, second = (
            preprocessor.classes[k] + (f": {100 * output[row, k]:.0f} %" if predictor.loss.gives_probabilities else "")
            for k in (found, true)
        )
        tiles.append(Tile(pixels, ((first, "wrong"), (f"is {second}", "right"), (rows.name_of(int(row)), "dim"))))
    split = "images" if rows.name == "data" else f"{rows.name} images"
    title = f"{len(wrong):,} of {len(truth):,} {split} taken for another class ({100 * len(wrong) / len(truth):.2g} %)"
    note = "worst first: what an image was taken for, and what it is"
    note += ", each with its probability" if predictor.loss.gives_probabilities else ""
    return Sheet(title, note if len(worst) else "there is none to show", COLUMNS, tiles)


def augmented(setup: Setup) -> Sheet:
    """Returns training images as they are, each followed by what augmentation makes of it in the first steps. Raises
    Failure where rows are no images."""
    preprocessor, split = setup.prepared.preprocessor, setup.prepared.splits["train"]
    shape = _image_shape(setup.network_plan)
    chosen = np.arange(min(MAX_EXAMPLES, len(split.x)))
    if preprocessor.classes:
        _, first = np.unique(split.t, return_index=True)
        chosen = first[:MAX_EXAMPLES]
    augmenter = setup.augmenter(len(chosen))
    columns = [split.x[chosen]]
    for step in range(COLUMNS - 1 if augmenter is not None else 0):
        columns.append(split.x[chosen])
        if augmenter is not None:
            augmenter.apply(columns[-1], step)
    images = _as_bytes(preprocessor, np.stack(columns, axis=1).reshape(-1, *split.x.shape[1:]), shape)
    names = [preprocessor.classes[int(split.t[r])] if preprocessor.classes else f"row {split.rows[r]}" for r in chosen]
    lines = [(names[i // len(columns)] if i % len(columns) == 0 else "") for i in range(len(images))]
    tiles = [Tile(pixels, ((line, "plain"),)) for pixels, line in zip(images, lines, strict=True)]
    if augmenter is None:
        return Sheet(f"{setup.experiment.name}: training images", "nothing changes them", COLUMNS, tiles)
    title = f"{setup.experiment.name}: {', '.join(part.kind for part in setup.experiment.data.augment)}"
    return Sheet(title, "each image as it is, then as training changes it, anew in every step", COLUMNS, tiles)


def _image_shape(network_plan: NetworkPlan) -> Shape:
    """Returns the shape of the images that a network takes. Raises Failure where it takes none that can be drawn."""
    shape = image_shape(network_plan)
    if shape is not None and shape[2] in (1, 3):
        return shape
    text = f"a sheet shows images, and a row of this model has the shape {network_plan.x}"
    help = "an image has a height, a width and 1 or 3 channels; leave `--sheet` out"
    raise Failure(Problem(text, code="not-images", help=help), exit=Exit.USAGE)


def _as_bytes(preprocessor: Preprocessor, x: Array, shape: Shape) -> Array:
    """Returns encoded rows as bytes (n, h, w, c), in the file's own numbers: from black, the lowest among them, to
    white."""
    values = (x if preprocessor.scaling is None else preprocessor.scaling.undo(x)).astype(np.float64)
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    scaled = (values - low) * (255 / (high - low) if high > low else 0)
    return np.rint(scaled).astype(np.uint8).reshape(len(x), *shape)
