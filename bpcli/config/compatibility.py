"""Whether an experiment fits together and fits its data: found before memory is allocated or a step is taken."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bpcli.config.experiment import Experiment, label
from bpcli.engine.augment import image_shape
from bpcli.engine.network_plan import LayerError, NetworkPlan, PlannedLayer, plan_network, with_following
from bpcli.family import (
    Activation,
    ClassMismatchError,
    Constraint,
    FullBatchOptimizer,
    GradientOptimizer,
    Initializer,
    Loss,
    Regularizer,
)
from bpcli.family.plan import Array, Shape, ShapeError


@dataclass(frozen=True)
class DataFacts:
    """What the data is like, as far as the network has to fit it.

    `row` is the shape of one input row; `classes` the class names, () for values; `outputs` how many values a target
    has; `splits` the names of the splits; `rows` how many rows train has, and `counts` how many of each class; `evenly`
    whether all inputs are scaled alike; `weighted` whether rows count differently; `spread` has the columns that are
    not one number in a row as in the file (text, dates), and how many inputs each becomes.
    """

    row: Shape
    classes: tuple[str, ...]
    outputs: int
    splits: tuple[str, ...]
    rows: int
    counts: tuple[int, ...] = ()
    evenly: bool = True
    weighted: bool = False
    spread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Issue:
    """Something that does not fit, and the place in the experiment that causes it."""

    loc: tuple[str | int, ...]
    text: str
    code: str
    help: str = ""
    level: str = "error"


def resolve_loss(experiment: Experiment, facts: DataFacts) -> tuple[Experiment, list[Issue]]:
    """Returns the experiment with its loss completed by the classes of the data, or as it was and why that cannot
    be."""
    if not facts.classes:
        return experiment, []
    try:
        loss = experiment.loss.with_classes(facts.classes, facts.counts)
    except ClassMismatchError as error:
        return experiment, [Issue(("loss", error.setting), str(error), "class-weights", error.help)]
    return experiment.model_copy(update={"loss": loss}), []


def plan_and_check(experiment: Experiment, facts: DataFacts) -> tuple[NetworkPlan | None, list[Issue]]:
    """Returns the planned network, and everything that does not fit; None where it could not be planned."""
    issues = list(_training(experiment, facts))
    try:
        network_plan = plan_network(experiment.architecture, facts.row, experiment.regularization)
    except LayerError as error:
        return None, [Issue(error.loc, str(error), "shape", error.help), *issues]
    try:
        experiment.loss.plan(network_plan.y)
    except ShapeError as error:
        return None, [Issue(("loss",), str(error), "shape", error.help), *issues]
    if not network_plan.size:
        text = "no layer of this network has anything to learn"
        issues.append(Issue(("architecture",), text, "no-parameters", "add a `dense` layer"))
    issues += _initializers(network_plan)
    issues += _full_batch_objective(experiment, network_plan)
    issues += _augmentation(experiment, facts, network_plan)
    issues += _tokens(facts, network_plan)
    first = [*_outputs(experiment, facts, network_plan.y), *_output_layer(experiment, network_plan)]
    return network_plan, [*first, *issues]


def check_trained(experiment: Experiment, facts: DataFacts, network_plan: NetworkPlan) -> list[Issue]:
    """Returns what keeps a trained network from predicting, and its predictions from being judged."""
    found = (*_outputs(experiment, facts, network_plan.y), *_output_layer(experiment, network_plan))
    return [issue for issue in (*found, *_metrics(experiment, facts)) if issue.level == "error"]


def check_targets(experiment: Experiment, targets: Array) -> list[Issue]:
    """Returns what is wrong with these targets for the loss ((N, K) values or (N,) class ids)."""
    text = experiment.loss.check(targets) if targets.ndim == 2 else ""
    return [Issue(("loss",), text, "targets")] if text else []


def check_inputs(network_plan: NetworkPlan, split: str, x: Array, rows: Array, scaled: bool) -> list[Issue]:
    """Returns what is wrong with these inputs (N, ...) of a split for an embedding; `rows` is where each stands in
    its source."""
    taking = next((node for node in network_plan.walk() if node.plan.tokens == network_plan.tokens), None)
    for start in range(0, len(x) if network_plan.tokens else 0, ROWS_AT_ONCE):
        found = find_bad_token(x[start : start + ROWS_AT_ONCE], network_plan.tokens, scaled)
        if found is not None and taking is not None:
            (i, *_), text, help = found
            where = f"{split}, row {int(rows[start + i])} (counted from 0)"
            return [Issue(taking.loc, f"{where}: {taking.path} {text}", "tokens", help)]
    return []


def _tokens(facts: DataFacts, network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields what conflicts with an embedding, which takes numbers for things: columns that become several inputs or
    fractions, and layers that take the same numbers for amounts."""
    readers = list(_readers(network_plan.layers))
    lookup = next((node for node in readers if node.plan.tokens), None)
    if lookup is None:
        return
    for name, width in facts.spread.items():
        becomes = f"becomes {_count(width, 'input')} of the network" if width > 1 else "is no number"
        text = f"{lookup.path} looks up whole numbers of the data, and the column `{name}` {becomes}"
        help = f"number what stands in `{name}` (0, 1, 2, ...) in the file, or begin with `dense`"
        yield Issue(lookup.loc, text, "tokens", help)
    for node in readers:
        if not node.plan.tokens:
            text = f"{node.path} takes for amounts the whole numbers that {lookup.path} takes for things"
            yield Issue(node.loc, text, "tokens", f"put an `embedding` before {node.path}", "warning")


def _readers(nodes: Sequence[PlannedLayer]) -> Iterator[PlannedLayer]:
    """Yields the layers that take the numbers of the data as they are: the first of each chain that do more than move
    them."""
    for node in nodes:
        if not node.layer.moves:
            for chain in node.inside.values():
                yield from _readers(chain)
            if not node.inside:
                yield node
            return


ROWS_AT_ONCE = 4096
"""Rows that are checked together, so that checking needs little memory."""


def find_bad_token(x: Array, tokens: int, scaled: bool) -> tuple[tuple[int, ...], str, str] | None:
    """Returns the first entry of x that is not a whole number from 0 to `tokens` - 1: where it stands, what is wrong
    with it, and what to do. None where all are. `scaled`: whether the numbers are still those of the file."""
    invalid = (x != np.floor(x)) | (x < 0) | (x >= tokens)
    if not invalid.any():
        return None
    index = tuple(int(i) for i in np.argwhere(invalid)[0])
    value = float(x[index])
    text = f"takes whole numbers from 0 to {tokens - 1}, and here is {value:g}"
    if scaled:
        help = "leave `scale` out of the data: it makes fractions of whole numbers"
    elif value != math.floor(value):
        help = "an embedding looks rows up by whole numbers; `dense` takes any"
    else:
        help = "numbers are counted from 0" if value < 0 else f"write `tokens: {int(value) + 1}`, or more"
    return index, text, help


def _outputs(experiment: Experiment, facts: DataFacts, y: Shape) -> list[Issue]:
    """Returns what is wrong where the last layer has not an output for each class, or for each target."""
    (k,) = y
    last = _last_units(experiment)
    loss = experiment.loss
    if not facts.classes:
        if loss.targets == "classes":
            return [Issue(("loss",), f"{loss.kind} wants class labels, and the targets are numbers", "targets")]
        if k == facts.outputs:
            return []
        text = f"the network has {_count(k, 'output')} and the data has {_count(facts.outputs, 'target')}"
        return [Issue(last, text, "outputs", f"the last layer needs `units: {facts.outputs}`")]
    if loss.link == "exp":
        text = f"{loss.kind} wants counts, and the targets are class labels"
        return [Issue(("loss",), text, "targets", "for classes there is `softmax_cross_entropy`")]
    classes = len(facts.classes)
    if k == classes or (k == 1 and classes == 2 and loss.targets == "values"):
        return []
    text = f"the network has {_count(k, 'output')} and the data has {classes} class{'es' * (classes != 1)}"
    names = ", ".join(facts.classes[:8]) + (", ..." if classes > 8 else "")
    return [Issue(last, text, "outputs", f"the last layer needs `units: {classes}`, one for each of {names}")]


def _output_layer(experiment: Experiment, network_plan: NetworkPlan) -> list[Issue]:
    """Returns what is wrong where the loss does not suit the last layer: probabilities, or scores."""
    loss, (k,) = experiment.loss, network_plan.y
    ahead = (node for node in reversed(network_plan.layers) if not node.layer.relabels)
    last = next(ahead, None)
    link = last.layer.link if last else None
    if loss.link == "probabilities" and link != "softmax":
        text = f"{loss.kind} compares probabilities, and the network does not end in a softmax"
        help = "write `softmax_cross_entropy`, which holds the softmax, or end the architecture with `softmax`"
        return [Issue(("loss",), text, "pairing", help)]
    if last is None or link is None or link != loss.link:
        return []
    written = experiment.architecture[int(last.loc[1])]
    loc = last.loc if written is last.layer else (*last.loc, "activation")
    top = math.e / (math.e + (k - 1 if link == "softmax" else 1))
    found = f"no class can reach a probability above {top:.2g}"
    if link == "sigmoid":
        found = f"every probability lies between 0.5 and {top:.2g}"
    help = f"leave this {last.layer.kind} out"
    if loss.behind_link:
        help += f", or write `loss: {loss.behind_link}`"
    text = f"{loss.kind} holds a {link} of its own: behind this one {found}"
    return [Issue(loc, text, "pairing", help, "warning")]


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _last_units(experiment: Experiment) -> tuple[str | int, ...]:
    """Returns the place in the experiment that sets the number of outputs."""
    with_units = [i for i, layer in enumerate(experiment.architecture) if hasattr(layer, "units")]
    return ("architecture", with_units[-1], "units") if with_units else ("architecture",)


def _metrics(experiment: Experiment, facts: DataFacts) -> Iterator[Issue]:
    """Yields what is wrong where metrics do not suit the task."""
    loss = experiment.loss
    several = loss.link in ("sigmoid", "margin") and not facts.classes and facts.outputs > 1
    classes = len(facts.classes) or (max(2, facts.outputs) if loss.classifies else 0)
    for i, metric in enumerate(experiment.training.metrics):
        task, other = ("classification", "regression") if classes else ("regression", "classification")
        if metric.task == other:
            text = f"{metric.kind} is a figure of {other}s, and this is a {task}"
        else:
            text = metric.check(classes, several, loss.gives_probabilities)
        if text:
            yield Issue(("training", "metrics", i), text, "metric")


def _training(experiment: Experiment, facts: DataFacts) -> Iterator[Issue]:
    """Yields what is wrong where metrics do not suit the task, or what stops training is not measured."""
    yield from _metrics(experiment, facts)
    names = ["loss", *(label(m) for m in experiment.metrics)]
    if len(set(names)) != len(names):
        yield Issue(("training", "metrics"), "a metric is listed twice", "metric")
    early, goal = experiment.training.early_stopping, experiment.training.stop_when
    for loc, watched in ((("training", "early_stopping"), early), (("training", "stop_when"), goal)):
        if watched is not None:
            yield from _watched(watched.metric, loc, names, facts.splits)
    yield from _schedule(experiment, facts, names)
    yield from _full_batches(experiment, facts)
    size = experiment.training.batch_size
    if size != "full" and size > facts.rows:
        text = f"a batch of {size} is larger than the {facts.rows} training rows: every epoch is one step"
        yield Issue(("training", "batch_size"), text, "batch-size", "write `full`", "warning")


def _schedule(experiment: Experiment, facts: DataFacts, names: Sequence[str]) -> Iterator[Issue]:
    """Yields what is wrong where the learning rate's schedule does not end in this training, or its metric is
    unknown."""
    if not isinstance(experiment.optimizer, GradientOptimizer):
        return
    schedule, here = experiment.optimizer.learning_rate, ("optimizer", "learning_rate")
    epochs, size = experiment.training.epochs, experiment.training.batch_size
    steps = 1 if size == "full" else -(-facts.rows // size)
    by_epoch = getattr(schedule, "per", "step") == "epoch"
    total = epochs if by_epoch else epochs * steps
    help = f"the training has {_count(epochs, 'epoch')} of {_count(steps, 'step')}"
    help += "" if by_epoch else "; `per: epoch` counts epochs"
    for path, text in schedule.check(total):
        yield Issue((*here, *path), text, "schedule", help, "warning")
    if metric := schedule.watched():
        inner = ("then",) if hasattr(schedule, "then") else ()
        yield from _watched(metric, (*here, *inner), names, facts.splits)


def _full_batches(experiment: Experiment, facts: DataFacts) -> list[Issue]:
    """Returns what is wrong where the optimizer needs all rows in every step, or rows that count the same."""
    training, optimizer = experiment.training, experiment.optimizer
    if facts.weighted and isinstance(optimizer, FullBatchOptimizer) and optimizer.row_by_row:
        text = f"{optimizer.kind} takes every row alike, and the data has weights"
        other = next(kind for kind, leaf in FullBatchOptimizer.registry.items() if not leaf.row_by_row)
        return [Issue(("optimizer",), text, "weighted", f"leave `weight` out, or write `optimizer: {other}`")]
    size = training.batch_size
    if not optimizer.full_batch or size == "full" or size >= facts.rows:
        return []
    written = "batch_size" in training.model_fields_set
    loc = ("training", "batch_size") if written else ("optimizer",)
    text = f"{optimizer.kind} needs all {facts.rows:,} training rows in every step, and a batch has {size}"
    return [Issue(loc, text, "full-batch", "write `batch_size: full` under `training`")]


def _full_batch_objective(experiment: Experiment, network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields what keeps an optimizer that evaluates the objective at points of its choice from relying on the
    values."""
    optimizer = experiment.optimizer
    if not isinstance(optimizer, FullBatchOptimizer):
        return
    kind = optimizer.kind
    if experiment.clipping is not None:
        text = f"{kind} goes by the gradient as it is, and clipping changes it"
        yield Issue(("clipping",), text, "searching", "leave `clipping` out: it finds the length of a step")
    bound: list[tuple[tuple[str | int, ...], Constraint | None]] = [(("constraint",), experiment.constraint)]
    bound += [((*n.loc, "constraint"), getattr(n.layer, "constraint", None)) for n in network_plan.walk()]
    for loc, constraint in bound:
        if constraint is not None:
            text = f"{kind} goes by the loss where its step ends, and a constraint moves the weights from there"
            yield Issue(loc, text, "searching", "leave `constraint` out, or write `optimizer: adam`")
    for node in network_plan.walk():
        if node.plan.draws:
            text = f"{kind} compares the loss at several points, and {node.path} changes it by chance"
            help = f"leave {node.layer.kind} out; against overfitting there is "
            yield Issue(node.loc, text, "searching", help + "`regularization: {type: l2, strength: 1e-3}`")
        if optimizer.row_by_row and node.plan.state:
            text = f"{kind} tells each row's output apart, and in {node.path} every row depends on all others"
            yield Issue(node.loc, text, "searching", f"leave {node.layer.kind} out, or write `layer_norm`")
    if optimizer.least_squares:
        yield from _least_squares(experiment, network_plan)


def _least_squares(experiment: Experiment, network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields what an optimizer of sums of squares cannot lower: another loss, another penalty."""
    kind, loss = experiment.optimizer.kind, experiment.loss
    if not loss.least_squares:
        text = f"{kind} lowers sums of squared errors, and {loss.kind} is none"
        squares = next(name for name, leaf in Loss.registry.items() if leaf.least_squares)
        other = next(name for name, leaf in FullBatchOptimizer.registry.items() if not leaf.least_squares)
        help = f"write `loss: {squares}`, or `optimizer: {other}`, which takes any loss"
        yield Issue(("loss",), text, "searching", help)
    for penalty in {p.kind: p for p, _ in network_plan.penalties}.values():
        if not penalty.quadratic:
            text = f"{kind} takes a penalty of squares, and {penalty.kind} is none"
            loc = ("regularization",) if experiment.regularization == penalty else ("architecture",)
            squares = next(name for name, leaf in Regularizer.registry.items() if leaf.quadratic)
            yield Issue(loc, text, "searching", f"write `type: {squares}`")


def _augmentation(experiment: Experiment, facts: DataFacts, network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields what is wrong where rows are no images that can be changed as the file says, or pixels differ in
    scale."""
    parts, here = experiment.data.augment, ("data", "augment")
    if not parts:
        return
    shape = image_shape(network_plan)
    if shape is None:
        text = f"augmentation changes images, and a row has the shape {facts.row}"
        side = math.isqrt(facts.row[0]) if len(facts.row) == 1 else 0
        size = f"{side}, {side}" if side * side == math.prod(facts.row) else ", ".join(map(str, facts.row))
        help = "begin the architecture with the layer that makes an image of it (height, width, channels), such as "
        help += f"{{type: reshape, shape: [{size if ',' in size else 'height, width'}, 1]}}"
        yield Issue(here, text, "not-images", help)
        return
    for i, part in enumerate(parts):
        try:
            part.work(shape)
        except ShapeError as error:
            yield Issue((*here, i), f"{part.kind}: {error}", "shape", error.help)
    if not facts.evenly:
        text = "augmentation moves pixels about, and here each has a scale of its own"
        help = f"one scale for all: {{type: {experiment.data.scale.kind}, per: all}}"
        yield Issue(("data", "scale"), text, "scale", help)
    if isinstance(experiment.optimizer, FullBatchOptimizer):
        text = f"{experiment.optimizer.kind} compares the loss of one step with that of the next, and augmentation "
        help = "leave `augment` out, or write `optimizer: adam`"
        yield Issue(here, text + "changes the rows by chance", "searching", help)


def _initializers(network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields warnings of hidden layers whose weights do not start as suits the activation behind them."""
    last = next((node for node in reversed(list(network_plan.walk())) if node.plan.params), None)
    for node, activation in with_following(network_plan.layers):
        if not isinstance(activation, Activation) or node is last:
            continue
        suited = activation.default_init
        wanted = Initializer.registry[suited].signal_gain
        for param in node.plan.params.values():
            init = param.init if param.decays else None
            if isinstance(init, Initializer) and init.signal_gain and wanted and init.signal_gain != wanted:
                what = "shrink" if init.signal_gain < wanted else "grow"
                text = f"{init.kind} before {activation.kind}: signals {what} from layer to layer"
                help = f"write `init: {suited}`, or leave `init` out"
                yield Issue((*node.loc, "init"), text, "initializer", help, "warning")


def _watched(metric: str, loc: Sequence[str], names: Sequence[str], splits: Sequence[str]) -> list[Issue]:
    split, _, name = metric.partition(".")
    where = (*loc, "metric")
    known = [f"{s}.{n}" for s in ("train", "validation") if s in splits for n in names]
    if metric in known:
        return []
    if split == "validation" and "validation" not in splits:
        help = f"add `validation: 0.15` to the data, or watch train.{name or 'loss'}"
        return [Issue(where, f"{metric} is watched, and the data has no validation split", "metric", help)]
    text = f"{metric} is not measured in this training"
    return [Issue(where, text, "metric", f"known: {', '.join(known)}; other figures have to be in training.metrics")]
