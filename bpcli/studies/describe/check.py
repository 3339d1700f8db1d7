"""An experiment described before it is trained: its layers with their shapes and costs, and its data."""

from collections.abc import Mapping, Sequence

import numpy as np

from bpcli.engine.network_plan import NetworkPlan, ParamLayout, PlannedLayer, slot_bytes
from bpcli.family.part import Part, dump
from bpcli.family.plan import Array, N, Slot
from bpcli.records.training import CheckReport, LayerRow, Problem
from bpcli.studies.dataset.far_off import far_warnings, nearly_constant_warnings
from bpcli.studies.dataset.judgement import hazard_warnings
from bpcli.studies.dataset.preview import duplicate_warnings, sentinel_text, sentinel_warnings, target_sentinels
from bpcli.studies.dataset.repetitions import chance_of_a_twin
from bpcli.studies.describe.corners import spot_warnings
from bpcli.studies.run.setup import Setup, step_bytes, training_bytes

SECONDS_PER_STEP, MACS_PER_SECOND = 2e-5, 1e11
"""What the smallest step takes, and multiply-adds that a few fast cores do."""
MAX_DAYS = 30  # of a training that nobody asks about


def report(setup: Setup) -> CheckReport:
    """Returns the report of an experiment whose parts fit together."""
    experiment, prepared = setup.experiment, setup.prepared
    rows = {name: (split.x, split.t) for name, split in prepared.splits.items()}
    layers = layer_rows(setup.network_plan, np.dtype(experiment.dtype).itemsize, setup.batch_size)
    return CheckReport(
        file=setup.document.source.file,
        name=experiment.name,
        layers=layers,
        loss=experiment.loss.kind,
        parameters=setup.network_plan.size,
        multiply_adds=sum(row.multiply_adds for row in layers),
        bytes_per_sample=step_bytes(experiment, setup.network_plan, 1),
        bytes_per_batch=step_bytes(experiment, setup.network_plan, setup.batch_size),
        bytes_training=training_bytes(experiment, setup.network_plan, setup.batch_size),
        batch_size=setup.batch_size,
        splits=prepared.split_rows,
        columns=prepared.columns,
        first_rows=prepared.first_rows,
        first_header=prepared.first_header,
        warnings=(
            *setup.warnings,
            *_long_training(setup, sum(row.multiply_adds for row in layers)),
            *sentinel_warnings({c.name: [sentinel_text(v, c.kind) for v in c.sentinels] for c in prepared.columns}),
            *_data_warnings(setup, rows),
            *spot_warnings(setup),
            *setup.check_used_parts(),
        ),
        augmentation=tuple(_settings_text(part) for part in experiment.data.augment),
        division="" if experiment.data.split is None else _division(*experiment.data.split.by),
    )


def _division(key: str, column: str) -> str:
    """Returns how rows are divided by a column, and whether it is an input."""
    if key == "time":
        return f"the rows are divided in the order of `{column}`, the latest last"
    what = (
        f"all rows of one `{column}` are in one split" if key == "group" else f"`{column}` names the split of each row"
    )
    return f"{what}; it is no input"


def _long_training(setup: Setup, multiply_adds: int) -> tuple[Problem, ...]:
    """Returns a warning where training cannot be meant to end: a row takes so many multiply-adds forward, and twice as
    many back."""
    training, rows = setup.experiment.training, len(setup.prepared.splits["train"].x)
    seconds = setup.steps_per_epoch * SECONDS_PER_STEP + 3 * multiply_adds * rows / MACS_PER_SECOND  # of an epoch
    days = training.epochs * seconds / 86_400
    if days < MAX_DAYS:
        return ()
    text = f"training takes {days:,.0f} days or more: each of the epochs {seconds:.2g} seconds"
    help = "fewer epochs, or a smaller network"
    return (setup.document.problem(("training", "epochs"), text, code="long", help=help, level="warning"),)


def _data_warnings(setup: Setup, rows: Mapping[str, tuple[Array, Array]]) -> tuple[Problem, ...]:
    """Returns what the tables show, where they were kept, that may spoil the training or its judgement, and which of
    the encoded `rows` stand in several splits."""
    origins, columns = setup.prepared.origins, setup.prepared.preprocessor.columns
    if not origins or not columns:
        return duplicate_warnings(rows)
    table, train = origins["train"]
    regresses = not setup.prepared.preprocessor.classes
    gaps = target_sentinels(table, train) if regresses else {}
    known = {c.name: c.sentinels for c in setup.prepared.columns} | gaps
    return (
        *sentinel_warnings({name: [*map(sentinel_text, odd)] for name, odd in gaps.items()}, targets=True),
        *far_warnings(columns, origins, known, regresses=regresses),
        *nearly_constant_warnings(columns, table),
        *hazard_warnings(table, setup.experiment.data),
        *duplicate_warnings(rows, chance_of_a_twin(table, len(train)), origins, columns),
    )


def _settings_text(part: Part) -> tuple[str, str]:
    """Returns the type of a part, and its settings in words."""
    settings = dump(part)
    return settings.pop("type"), ", ".join(f"{key}: {value}" for key, value in settings.items())


def layer_rows(network_plan: NetworkPlan, width: int, batch: int) -> tuple[LayerRow, ...]:
    """Returns the layer table; `width` is the bytes of a number, `batch` the rows of a step."""
    entries: dict[str, list[ParamLayout]] = {}
    for e in network_plan.layout:
        entries.setdefault(e.owner.path, []).append(e)
    return tuple(_row(node, width, batch, entries.get(node.path, [])) for node in network_plan.walk())


def _row(node: PlannedLayer, width: int, batch: int, entries: Sequence[ParamLayout]) -> LayerRow:
    slots = (Slot((N, *node.plan.y)), *node.plan.keep.values(), *node.plan.draws.values())
    inits = [e.init.kind for e in entries if e.param.decays]
    return LayerRow(
        path=node.path,
        kind=node.layer.kind,
        input=node.x,
        output=node.plan.y,
        params=sum(e.size for e in entries),
        multiply_adds=node.plan.multiply_adds,
        bytes_per_sample=sum(slot_bytes(s, 1, width) for s in slots),
        bytes_per_batch=sum(slot_bytes(s, batch, width) for s in slots),
        note=", ".join(inits),
    )
