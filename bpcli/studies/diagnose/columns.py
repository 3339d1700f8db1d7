"""Whether the columns are fit to be learned from: the scale of inputs and targets, constant and duplicate columns."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bpcli.config.dump import flow
from bpcli.family import Activation, Array, join_names
from bpcli.numeric.streams import Stream
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.diagnose import LEVELS, Remedy, Symptom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.gradients import severity, symptom
from bpcli.studies.run.layer_stats import run_alone, stands_alone

INPUT_SIZE = (10.0, 20.0)
"""Root mean square of a column from which on it is a notice, a warning. Weights are drawn for columns of about 1."""

DEVIATION_RATIO = (30.0, 100.0)
"""Largest deviation of a column over the median of all, likewise: one learning rate has to suit both."""

TARGET_SIZE = (5.0, 20.0)
"""Root mean square of the targets, likewise: outputs of about 1 have to reach them."""

MAX_ROWS_EXAMINED = 5_000  # rows of train
MIN_CORRELATION = 1 - 1e-9  # of columns that count as equal
MAX_NAMES_SHOWN = 3  # of columns in a symptom


def _names(context: DiagnosisContext) -> list[tuple[str, bool]]:
    """Returns the name of each encoded input, and whether it is a number."""
    if not context.preprocessor.columns:
        return [(f"input {j}", True) for j in range(math.prod(context.network_plan.x))]
    found: list[tuple[str, bool]] = []
    for column in context.preprocessor.columns:
        found += [(name, j < column.scaled_width) for j, name in enumerate(column.inputs)]
    return found


def _examined(context: DiagnosisContext) -> Array:
    """Returns training rows spread evenly, flat and in float64: n j."""
    rows = context.train.x[:: -(-context.rows // MAX_ROWS_EXAMINED)]
    return rows.reshape(len(rows), math.prod(context.network_plan.x)).astype(np.float64)


def input_sizes(context: DiagnosisContext) -> list[Symptom]:
    """Looks for numeric inputs that are large, or of very different sizes, and not scaled."""
    x, names = _examined(context), _names(context)
    numeric = [j for j, (_, number) in enumerate(names) if number]
    deviation = x.std(axis=0)
    used = [j for j in numeric if deviation[j] > 0]
    if not used:
        return []
    size = np.sqrt(np.mean(np.square(x), axis=0))
    largest = max(used, key=lambda j: size[j])
    widest = max(used, key=lambda j: deviation[j])
    usual = float(np.median(deviation[used]))
    uneven = float(deviation[widest]) / usual if context.preprocessor.scaling is None else 1.0
    worst = float(size[largest])
    levels = severity(worst, *INPUT_SIZE), severity(uneven, *DEVIATION_RATIO) if size[widest] > 1 else "ok"
    level, uneven_is_worse = max(levels, key=LEVELS.index), LEVELS.index(levels[1]) > LEVELS.index(levels[0])
    first = next(n for n in context.network_plan.layers if n.trainable or n.layer.normalizes)
    if first.layer.normalizes:
        level = "ok"
    figure, value, measured = f"inputs are about {worst:.3g} in size", worst, "size of the largest input"
    if uneven_is_worse:
        figure = f"the deviation of {names[widest][0]} is {uneven:.3g} times the usual one"
        value, measured = uneven, "largest over usual deviation"
    elif level != "ok":
        figure = f"{names[largest][0]} is about {worst:.3g} in size, and nothing scales it"
    why = "weights start as suits inputs of about 1; larger ones saturate units, drown the others and make the loss "
    why += "steep in their direction, so that every learning rate is wrong for some weight"
    place = names[widest if uneven_is_worse else largest][0] if level != "ok" else ""
    return [symptom("inputs", place, figure, level, why, remedies.scale_inputs(context), value, measured)]


def target_range(context: DiagnosisContext) -> list[Symptom]:
    """Looks for targets that outputs cannot reach, or only far from where they start."""
    t, loss = context.train.t, context.experiment.loss
    if loss.classifies or loss.link == "exp" or t.ndim == 1:
        return []
    low, high = float(t.min()), float(t.max())
    last = context.network_plan.layers[-1]
    if isinstance(last.layer, Activation) and stands_alone(last.layer, (400,)):
        low_output, high_output = (float(t.dtype.type(end)) for end in _output_range(last.layer))
        if low < low_output or high > high_output:
            figure = f"targets run from {low:.4g} to {high:.4g}, and {last.path} from {low_output:.3g} "
            figure += f"to {high_output:.3g}"
            why = "no weights can make the network say such a value: it is pushed to the end of its range and stays "
            why += "there"
            found = list[Remedy]()
            if last.path.endswith(".activation"):
                text = "let the outputs take any value"
                found.append(Remedy((f"{remedies.setting_path(last.loc, 'activation')}=null",), text))
            if low_output <= 0 and high_output >= 1 and context.preprocessor.target_scaling is None:
                found.append(Remedy(("data.scale_target=minmax",), "bring the targets into the range, from 0 to 1"))
            return [Symptom("targets", last.path, figure, "warning", why, tuple(found), high, "largest target")]
        return []
    size = math.sqrt(float(np.mean(np.square(t.astype(np.float64)))))
    level = severity(size, *TARGET_SIZE)
    figure = f"targets are about {size:.4g} in size"
    why = "outputs start at about 1 and have to grow there step by step; until then the loss and its gradient are huge"
    place = ", ".join(context.preprocessor.target_names[:MAX_NAMES_SHOWN]) if level != "ok" else ""
    return [symptom("targets", place, figure, level, why, remedies.scale_targets(context), size, "size of the targets")]


def _output_range(layer: Activation) -> tuple[float, float]:
    """Returns the least and the greatest output of an activation for inputs from -1e6 to 1e6."""
    x = np.concatenate([-np.logspace(-3, 6, 200), np.logspace(-3, 6, 200)])[None]
    y = run_alone(layer, x, False).y
    return float(y.min()), float(y.max())


def useless_columns(context: DiagnosisContext) -> list[Symptom]:
    """Looks for columns that are the same in every training row, and columns that equal another one up to scale."""
    x, names = _examined(context), _names(context)
    constant = [j for j in range(x.shape[1]) if (x[:, j] == x[0, j]).all()]
    if context.rows > MAX_ROWS_EXAMINED:  # what is the same in some rows may differ in others
        whole = context.train.x.reshape(context.rows, -1)
        constant = [j for j in constant if (whole[:, j] == whole[0, j]).all()]
    found: list[Symptom] = []
    of = f"{x.shape[1]:,} inputs"
    if constant:
        listed = join_names([names[j][0] for j in constant], MAX_NAMES_SHOWN)
        figure = f"{len(constant)} of {of} are the same in every training row: {listed}"
        why = "what never changes tells rows apart no better than a bias does; it costs time, and a row that differs "
        why += "there one day meets weights that were never learned"
        found.append(_columns_symptom(context, "constant", figure, why, [names[j][0] for j in constant]))
    pairs = list(_duplicates(x, names))
    if pairs:
        listed = join_names([f"{names[j][0]} with {names[i][0]}" for i, j in pairs], MAX_NAMES_SHOWN)
        figure = f"{len(pairs)} of {of} rise and fall exactly with another: {listed}"
        why = "a copy adds no knowledge: the weight is shared between both in any way, and steps along it count double"
        found.append(_columns_symptom(context, "duplicate", figure, why, [names[j][0] for _, j in pairs]))
    return found or [Symptom("columns", "", f"no constant or duplicate among {of}", "ok")]


def _columns_symptom(context: DiagnosisContext, place: str, figure: str, why: str, names: list[str]) -> Symptom:
    """Returns the symptom; columns of a file that names them can be dropped."""
    source, known = context.experiment.data.train, {c.name for c in context.preprocessor.columns}
    drop = [n for n in names if n in known]
    found: tuple[Remedy, ...] = ()
    if isinstance(source, ColumnSource) and drop and context.with_settings is not None:
        settings = f"data.train.drop={flow([*source.drop, *drop])}"
        found = (Remedy((settings,), "leave them out"),)
    return Symptom("columns", place, figure, "notice", why, found, float(len(names)), "such columns")


def _duplicates(x: Array, names: list[tuple[str, bool]]) -> Iterator[tuple[int, int]]:
    """Yields pairs i < j of columns whose correlation is 1 or -1, except categories of one column; i is the first of
    those that are alike.

    Columns of length 1 about their mean are projected onto a random direction: equal ones fall on one point, so only
    neighbours there are compared.
    """
    z = x - x.mean(axis=0)
    length = np.sqrt(np.sum(np.square(z), axis=0))
    used = np.flatnonzero(length > 1e-9 * np.sqrt(len(x)) * np.maximum(1.0, np.abs(x).max(axis=0)))
    if len(used) < 2 or len(x) < 3:
        return
    z = z[:, used] / length[used]
    projected = np.abs(Stream(0, "duplicates").at().normal(size=len(x)) @ z)
    order = np.argsort(projected)
    alike = [order[:1].tolist()]
    for here, after in pairwise(order.tolist()):
        if projected[after] - projected[here] > 1e-6 or abs(float(z[:, here] @ z[:, after])) < MIN_CORRELATION:
            alike.append([])
        alike[-1].append(after)
    for group in alike:
        i, *others = sorted(used[group].tolist())
        for j in others:
            if names[i][1] or names[i][0].partition("=")[0] != names[j][0].partition("=")[0]:
                yield i, j
