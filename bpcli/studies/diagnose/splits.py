"""Whether the rows are fit to learn from and to judge by: shares of classes, rows that stand in two splits, equal rows
with different targets, and how many rows and steps there are."""

import numpy as np

from bpcli.family.plan import Array
from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.dataset.preview import row_hashes
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import severity, symptom

IMBALANCE = (3.0, 10.0)
"""Rows of the largest class over those of the smallest, from which on it is a notice, a warning."""

SERIOUS_SHARED = 0.05  # share of the rows of a split that also stand in train
SERIOUS_CONTRADICTING = 0.05  # share of the training rows with equal inputs and different targets
MIN_SERIOUS_ROWS = 3  # fewer are a notice whatever their share
MIN_ROWS_TO_SPLIT = 100  # training rows, from which on some should be kept for validation
MIN_TRAINING_STEPS = 100  # of a training


def class_balance(context: DiagnosisContext) -> list[Symptom]:
    """Looks for classes that have far fewer rows than others."""
    names, t = context.preprocessor.classes, context.train.t
    if not names or t.ndim != 1:
        return []
    counts = np.bincount(t, minlength=len(names))
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most]) / max(1, int(counts[least]))
    loss = context.experiment.loss
    weighted = loss.weighs_classes
    level = "ok" if weighted else severity(ratio, *IMBALANCE)
    figure = f"{names[least]} has {counts[least]:,} training rows, {names[most]} {counts[most]:,}"
    if counts[most] == counts[least]:
        figure = f"every class has {counts[most]:,} training rows"
    if level == "ok":
        figure += ", and the loss weighs classes" if weighted and ratio >= IMBALANCE[0] else ""
        return [Symptom("classes", "", figure, level, value=ratio, measured="largest class over smallest")]
    share = counts[most] / counts.sum()
    why = f"saying {names[most]} for every row is already right in {share:.0%} of them: accuracy looks good and the "
    why += "small class is never learned; look at recall and f1 too"
    found = []
    if hasattr(loss, "class_weights"):
        text = "weigh the rows of each class as if all had equally many"
        found.append(Remedy(("loss.class_weights=balanced",), text))
    return [Symptom("classes", names[least], figure, level, why, tuple(found), ratio, "recall, over all classes")]


def repeated_rows(context: DiagnosisContext) -> list[Symptom]:
    """Looks for rows of other splits that also stand in train, and for equal rows of train with different targets."""
    train = row_hashes(np.asarray(context.train.x)).tolist()
    train_rows, found = set(train), list[Symptom]()
    for name, split in context.splits.items():
        if name == "train":
            continue
        shared = sum(row in train_rows for row in row_hashes(np.asarray(split.x)).tolist())
        share = shared / len(split.x)
        level = "warning" if share >= SERIOUS_SHARED and shared >= MIN_SERIOUS_ROWS else "notice" if shared else "ok"
        figure = f"{shared:,} of {len(split.x):,} {name} rows have the same inputs as a training row"
        why = "such a row is not judged but remembered: the figures of this split are better than the network is; "
        why += "leave one of each in the file"
        found.append(symptom("rows", name, figure, level, why, [], share, "share of rows that also stand in train"))
    contradicting = _contradicting_rows(train, context.train.t)
    if contradicting:
        share = contradicting / len(train)
        level = "warning" if share >= SERIOUS_CONTRADICTING and contradicting >= MIN_SERIOUS_ROWS else "notice"
        figure = f"{contradicting:,} of {len(train):,} training rows share their inputs with a row of another target"
        why = "the network answers equal rows equally, so it is wrong about some of them whatever it learns: a column "
        why += "that tells them apart is missing, or labels are wrong"
        found.append(Symptom("rows", "train", figure, level, why, (), share, "share of such rows"))
    return found


def _contradicting_rows(hashes: list[int], t: Array) -> int:
    """Returns how many rows have the inputs of a row with another target."""
    by: dict[int, list[int]] = {}
    for i, row in enumerate(hashes):
        by.setdefault(row, []).append(i)
    repeated = (t[same] for same in by.values() if len(same) > 1)
    return sum(len(targets) for targets in repeated if (targets != targets[0]).any())


def row_and_step_counts(context: DiagnosisContext) -> list[Symptom]:
    """Looks for a missing validation split, for few steps, and for last batches of one row."""
    found: list[Symptom] = []
    if "validation" not in context.splits and context.rows >= MIN_ROWS_TO_SPLIT and not context.trained:
        figure = f"none of the {context.rows:,} rows is kept from training to judge it"
        why = "a network that learns its rows by heart has a small loss and is of no use; only other rows show it"
        remedy = Remedy(("data.validation=0.15",), "keep some rows to judge each epoch")
        found.append(Symptom("amounts", "validation", figure, "notice", why, (remedy,)))
    full_batch = context.gradient_optimizer is None
    if context.total_steps < MIN_TRAINING_STEPS and not full_batch and not context.trained:
        steps, size = context.steps_per_epoch, context.batch_rows
        figure = f"{context.experiment.training.epochs} epochs of {steps} steps are {context.total_steps} steps in all"
        why = "each step moves the weights a little: few steps end before anything is learned"
        epochs = -(-10 * MIN_TRAINING_STEPS // steps)
        options = [Remedy((f"training.epochs={epochs}",), f"{epochs * steps:,} steps")]
        if size > 64:
            options.append(Remedy(("training.batch_size=32",), f"{-(-context.rows // 32):,} steps an epoch"))
        found.append(Symptom("amounts", "steps", figure, "notice", why, tuple(options)))
    last = context.rows % context.batch_rows
    layers = [node.path for node in context.network_plan.walk() if node.needs_several_rows]
    if last == 1 and layers and context.rows > 1:
        figure = f"the last batch of every epoch has a single row, and {layers[0]} takes statistics over the rows"
        why = "the deviation of one row is 0: what the layer puts out there is its bias alone"
        remedy = Remedy((f"training.batch_size={context.batch_rows + 1}",), "another size of the batches")
        found.append(Symptom("amounts", "batches", figure, "notice", why, (remedy,)))
    return found
