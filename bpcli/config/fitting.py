"""Whether an experiment fits together and fits its data: found before memory is allocated or a step is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bpcli.config.experiment import Experiment, label
from bpcli.engine.blueprint import Blueprint, LayerError, draw_up
from bpcli.plan import Array, Shape, ShapeError


@dataclass(frozen=True)
class Facts:
    """What the data is like, as far as the network has to fit it.

    `row` is the shape of one input row; `classes` the class names, () for values; `outputs` how many values a target
    has; `splits` the names of the splits; `rows` how many rows train has.
    """

    row: Shape
    classes: tuple[str, ...]
    outputs: int
    splits: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Complaint:
    """Something that does not fit, and where in the experiment it is said."""

    loc: tuple[str | int, ...]
    text: str
    code: str
    help: str = ""
    level: str = "error"


def fit(experiment: Experiment, facts: Facts) -> tuple[Blueprint | None, list[Complaint]]:
    """The planned network, and everything that does not fit; None where it could not be planned."""
    complaints = _training(experiment, facts)
    try:
        blueprint = draw_up(experiment.architecture, facts.row, experiment.regularization)
    except LayerError as error:
        return None, [Complaint(error.loc, str(error), "shape", error.help), *complaints]
    try:
        experiment.loss.plan(blueprint.y)
    except ShapeError as error:
        return None, [Complaint(("loss",), str(error), "shape", error.help), *complaints]
    if not blueprint.size:
        text = "no layer of this network has anything to learn"
        complaints.append(Complaint(("architecture",), text, "no-parameters", "add a `dense` layer"))
    return blueprint, [*_outputs(experiment, facts, blueprint.y), *complaints]


def targets_fit(experiment: Experiment, targets: Array) -> list[Complaint]:
    """What the loss has against these targets ((N, K) values or (N,) class ids)."""
    text = experiment.loss.check(targets) if targets.ndim == 2 else ""
    return [Complaint(("loss",), text, "targets")] if text else []


def _outputs(experiment: Experiment, facts: Facts, y: Shape) -> list[Complaint]:
    """Whether the last layer has an output for each class, or for each target."""
    (k,) = y
    last = _last_units(experiment)
    loss = experiment.loss
    if not facts.classes:
        if loss.targets == "classes":
            return [Complaint(("loss",), f"{loss.kind} wants class labels, and the targets are numbers", "targets")]
        if k == facts.outputs:
            return []
        text = f"the network has {_some(k, 'output')} and the data has {_some(facts.outputs, 'target')}"
        return [Complaint(last, text, "outputs", f"the last layer needs `units: {facts.outputs}`")]
    classes = len(facts.classes)
    if k == classes or (k == 1 and classes == 2 and loss.targets == "values"):
        return []
    text = f"the network has {_some(k, 'output')} and the data has {classes} classes"
    shown = ", ".join(facts.classes[:8]) + (", ..." if classes > 8 else "")
    return [Complaint(last, text, "outputs", f"the last layer needs `units: {classes}`, one for each of {shown}")]


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _last_units(experiment: Experiment) -> tuple[str | int, ...]:
    """Where the number of outputs is said."""
    for i in range(len(experiment.architecture) - 1, -1, -1):
        if hasattr(experiment.architecture[i], "units"):
            return ("architecture", i, "units")
    return ("architecture",)


def _training(experiment: Experiment, facts: Facts) -> list[Complaint]:
    """Whether the metrics suit the task, and what stops training is measured."""
    found: list[Complaint] = []
    link = experiment.loss.link
    several = link == "sigmoid" and not facts.classes and facts.outputs > 1
    classes = len(facts.classes) or {"identity": 0, "sigmoid": max(2, facts.outputs)}.get(link, facts.outputs)
    for i, metric in enumerate(experiment.training.metrics):
        if metric.task == ("regression" if classes else "classification"):
            text = f"{metric.kind} is a figure of {metric.task}s, and this is a {_other(metric.task)}"
        else:
            text = metric.check(classes, several, link != "identity")
        if text:
            found.append(Complaint(("training", "metrics", i), text, "metric"))
    names = ["loss", *(label(m) for m in experiment.metrics)]
    if len(set(names)) != len(names):
        found.append(Complaint(("training", "metrics"), "a metric is listed twice", "metric"))
    early, goal = experiment.training.early_stopping, experiment.training.stop_when
    for loc, watched in ((("training", "early_stopping"), early), (("training", "stop_when"), goal)):
        if watched is not None:
            found += _watched(watched.metric, loc, names, facts.splits)
    size = experiment.training.batch_size
    if size != "full" and size > facts.rows:
        text = f"a batch of {size} is larger than the {facts.rows} training rows: every epoch is one step"
        found.append(Complaint(("training", "batch_size"), text, "batch-size", "write `full`", "warning"))
    return found


def _other(task: str) -> str:
    return {"regression": "classification", "classification": "regression"}[task]


def _watched(metric: str, loc: Sequence[str], names: Sequence[str], splits: Sequence[str]) -> list[Complaint]:
    split, _, name = metric.partition(".")
    where = (*loc, "metric")
    known = [f"{s}.{n}" for s in ("train", "validation") if s in splits for n in names]
    if metric in known:
        return []
    if split == "validation" and "validation" not in splits:
        help = f"add `validation: 0.15` to the data, or watch train.{name or 'loss'}"
        return [Complaint(where, f"{metric} is watched, and the data has no validation split", "metric", help)]
    text = f"{metric} is not measured in this training"
    return [
        Complaint(where, text, "metric", f"known: {', '.join(known)}; other figures have to be in training.metrics")
    ]
