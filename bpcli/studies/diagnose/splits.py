"""Whether the rows are fit to learn from and to judge by: shares of classes, rows that stand in two splits, equal rows
with different targets, and how many rows and steps there are."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from bpcli.family.plan import Array
from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.diagnose.case import Case
from bpcli.studies.diagnose.gradients import level_of

IMBALANCE = (3.0, 10.0)
"""Rows of the largest class over those of the smallest: a notice, a warning."""

SHARED = 0.05  # of the rows of a split that also stand in train: a warning, from FEW rows on
FEW = 3
TORN = 0.05  # of the training rows: equal inputs, different targets
JUDGED = 100  # training rows, from which on some should be kept to judge by
SOME_STEPS = 100  # below, a training is hardly one


def classes(case: Case) -> list[Symptom]:
    """Whether some classes have far fewer rows than others."""
    names, t = case.preprocessor.classes, case.train.t
    if not names or t.ndim != 1:
        return []
    counts = np.bincount(t, minlength=len(names))
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most]) / max(1, int(counts[least]))
    loss = case.experiment.loss
    weighed = any(getattr(loss, name, None) is not None for name in ("class_weights", "alpha"))
    level = "ok" if weighed else level_of(ratio, *IMBALANCE)
    figure = f"{names[least]} has {counts[least]:,} training rows, {names[most]} {counts[most]:,}"
    if counts[most] == counts[least]:
        figure = f"every class has {counts[most]:,} training rows"
    if level == "ok":
        figure += ", and the loss weighs classes" if weighed and ratio >= IMBALANCE[0] else ""
        return [Symptom("classes", "", figure, level, value=ratio, measured="largest class over smallest")]
    share = counts[most] / counts.sum()
    why = f"saying {names[most]} for every row is already right in {share:.0%} of them: accuracy looks good and the "
    why += "small class is never learned; look at recall and f1 too"
    found = []
    if hasattr(loss, "class_weights"):
        text = "weigh the rows of each class as if all had equally many"
        found.append(Remedy(("loss.class_weights=balanced",), text))
    return [Symptom("classes", names[least], figure, level, why, tuple(found), ratio, "recall, over all classes")]


def rows(case: Case) -> list[Symptom]:
    """Rows of other splits that also stand in train, and equal rows of train with different targets."""
    train = _marks(case.train.x)
    known, found = set(train), list[Symptom]()
    for name, split in case.splits.items():
        if name == "train":
            continue
        shared = sum(mark in known for mark in _marks(split.x))
        share = shared / len(split.x)
        level = "warning" if share >= SHARED and shared >= FEW else "notice" if shared else "ok"
        figure = f"{shared:,} of {len(split.x):,} {name} rows have the same inputs as a training row"
        why = "such a row is not judged but remembered: the figures of this split are better than the network is; "
        why += "leave one of each in the file"
        said = why if shared else ""
        found.append(Symptom("rows", name, figure, level, said, (), share, "share of rows that also stand in train"))
    torn = _torn(train, case.train.t)
    if torn:
        share = torn / len(train)
        level = "warning" if share >= TORN and torn >= FEW else "notice"
        figure = f"{torn:,} of {len(train):,} training rows share their inputs with a row of another target"
        why = "the network answers equal rows equally, so it is wrong about some of them whatever it learns: a column "
        why += "that tells them apart is missing, or labels are wrong"
        found.append(Symptom("rows", "train", figure, level, why, (), share, "share of such rows"))
    return found


def _marks(x: Array) -> list[bytes]:
    """A fingerprint of each row: equal for equal rows."""
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    return [blake2b((row + 0).tobytes(), digest_size=16).digest() for row in flat]  # + 0: -0 is 0


def _torn(marks: list[bytes], t: Array) -> int:
    """How many rows have a twin with another target."""
    by: dict[bytes, list[int]] = {}
    for i, mark in enumerate(marks):
        by.setdefault(mark, []).append(i)
    several = (t[same] for same in by.values() if len(same) > 1)
    return sum(len(targets) for targets in several if (targets != targets[0]).any())


def amounts(case: Case) -> list[Symptom]:
    """Whether there are rows to judge by, and steps to learn in."""
    found: list[Symptom] = []
    if "validation" not in case.splits and case.rows >= JUDGED and not case.trained:
        figure = f"none of the {case.rows:,} rows is kept from training to judge it"
        why = "a network that learns its rows by heart has a small loss and is of no use; only other rows tell"
        cure = Remedy(("data.validation=0.15",), "keep some rows to judge each epoch")
        found.append(Symptom("amounts", "validation", figure, "notice", why, (cure,)))
    searches = case.gradient_optimizer is None
    if case.total < SOME_STEPS and not searches and not case.trained:
        steps, size = case.steps_per_epoch, case.size
        figure = f"{case.experiment.training.epochs} epochs of {steps} steps are {case.total} steps in all"
        why = "each step moves the weights a little: few steps end before anything is learned"
        epochs = -(-10 * SOME_STEPS // steps)
        several = [Remedy((f"training.epochs={epochs}",), f"{epochs * steps:,} steps")]
        if size > 64:
            several.append(Remedy(("training.batch_size=32",), f"{-(-case.rows // 32):,} steps an epoch"))
        found.append(Symptom("amounts", "steps", figure, "notice", why, tuple(several)))
    last = case.rows % case.size
    if last == 1 and any(node.plan.state for node in case.network_plan.walk()) and case.rows > 1:
        layer = next(node.path for node in case.network_plan.walk() if node.plan.state)
        figure = f"the last batch of every epoch has a single row, and {layer} takes statistics over the rows"
        why = "the deviation of one row is 0: what the layer puts out there is its bias alone"
        cure = Remedy((f"training.batch_size={case.size + 1}",), "another size of the batches")
        found.append(Symptom("amounts", "batches", figure, "notice", why, (cure,)))
    return found
