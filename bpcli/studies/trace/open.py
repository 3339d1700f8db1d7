"""What is traced: a network in float64, the rows it is shown, and where its training stands."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bpcli.config.experiment import Experiment
from bpcli.engine.full_batch import FullBatchStep, make_step
from bpcli.engine.network_plan import NetworkPlan, network_bytes
from bpcli.engine.objective import Objective
from bpcli.engine.state import network_state, restore
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Array, CodedText, ColumnFormat, Source, Table
from bpcli.numeric.free_memory import require_memory
from bpcli.numeric.shapes import in_bytes
from bpcli.numeric.streams import Stream
from bpcli.parts.data.cells import cell_reader, is_gap
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.contract import check_used_parts
from bpcli.studies.custom.load import changed_files
from bpcli.studies.dataset.columns import ColumnEncoder
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.run import model as models
from bpcli.studies.run.resume import reopen
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import read_progress, restore_step
from bpcli.studies.run.setup import Setup, set_up

DOUBLE = "dtype=float64"
"""Traces are computed in float64, whatever the run is."""

MANY_TERMS, MAX_TERMS = 1_000_000_000, 100_000_000_000
"""Multiply-adds of a pass from which on to work out every term takes minutes, and of a row from which on hours."""
MAX_NUMBERS = 50_000_000
"""Of a derivation as JSON."""
NUMBERS_OF_A_WEIGHT, NUMBERS_OF_AN_OUTPUT = 14, 4
"""Of a derivation: about how many there are for each weight (with Adam) and for each output of a layer, by step."""
JSON_BYTES, NUMBER_BYTES = 32, 200
"""Of a number of a derivation as JSON: on the disk, and in memory while it is written."""
TIMES_CHECKED, FEW_ROWS = 50, 7
"""How often gradcheck goes over a term, as against once, and in how many rows at most."""


@dataclass(frozen=True)
class TracedRows:
    """Which rows to trace: numbers of rows of the training source in file order, its first batch, or values."""

    samples: tuple[int, ...] = ()
    batch: bool = False
    x: tuple[str, ...] = ()
    t: tuple[str, ...] = ()


@dataclass(eq=False)
class TraceTarget:
    """A network with its rows, ready for its next training step.

    `x` (N, *shape) and `t` ((N,) class ids, or (N, K)) are encoded; `done` steps were made before. `weights` and `rows`
    say in words where both come from.
    """

    name: str
    experiment: Experiment
    objective: Objective
    train_step: FirstOrderStep | FullBatchStep
    preprocessor: Preprocessor
    x: Array
    t: Array
    done: int
    weights: str
    rows: str
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def network_plan(self) -> NetworkPlan:
        return self.objective.network.network_plan


def open_target(path: Path, rows: TracedRows, sets: Sequence[str] = (), *, command: str = "trace") -> TraceTarget:
    """Returns the trace target that a config, a run folder or a model file stands for; `command` is what asks for it.
    Raises Failure where there is none."""
    try:
        return _opened(path, rows, sets)
    except Failure as failure:
        found = (replace(p, help=_what_to_type(p, path, rows, command)) for p in failure.problems)
        raise Failure(*found, exit=failure.exit) from None


def _what_to_type(problem: Problem, path: Path, rows: TracedRows, command: str) -> str:
    """Returns the help of a problem, in the options that the command has."""
    trained = path.is_dir() or path.suffix == ".safetensors"
    if problem.code == "sets":
        return f"use the config that it was trained from: bpcli {command} CONFIG --set ..."
    if problem.code == "no-data" and command != "trace":
        return f"use the run folder that it came from: bpcli {command} RUN"
    if problem.code == "one-row" and rows.batch:
        where = f"bpcli {command} CONFIG, of the config that it was trained from, with " if trained else ""
        return f"its batches are of one row: {where}--set training.batch_size=8"
    return problem.help


def _opened(path: Path, rows: TracedRows, sets: Sequence[str]) -> TraceTarget:
    """Returns the target, opened. Raises Failure where there is none."""
    if sets and (path.is_dir() or path.suffix == ".safetensors"):
        text = f"--set changes a config, and {path} is trained already"
        raise Failure(Problem(text, code="sets"), exit=Exit.USAGE)
    if path.is_dir():
        return _of_run(path, rows)
    if path.suffix == ".safetensors":
        return _of_model(path, rows)
    setup = set_up(path, (*sets, DOUBLE), inputs=False)
    chosen = _of_setup(setup, rows, epoch=0)
    return _target(
        setup.experiment, setup.network_plan, setup.prepared.preprocessor, chosen,
        total=setup.experiment.training.epochs * setup.steps_per_epoch, epoch=setup.steps_per_epoch,
        weights="as they start", warnings=(*setup.warnings, *_unweighted(setup)),
    )  # fmt: skip


def target_of_experiment(
    experiment: Experiment, network_plan: NetworkPlan, preprocessor: Preprocessor, rows: TracedRows, words: str
) -> TraceTarget:
    """Returns the trace target of an experiment whose data are its rows: of `rows` those given by value, else all of
    them."""
    if rows.x:
        chosen = _by_value(preprocessor, rows)
    else:
        chosen = (*_encoded(preprocessor, experiment.data.train.load(Path())), "all of the example")
    epochs = experiment.training.epochs
    return _target(experiment, network_plan, preprocessor, chosen, total=epochs, epoch=1, weights=words, warnings=())


def _of_run(path: Path, rows: TracedRows) -> TraceTarget:
    folder = RunFolder(path)
    record = folder.record()
    tensors, meta, warnings = folder.newest_checkpoint()
    if not tensors:
        return _of_model(path, rows)
    progress = read_progress(path, meta)
    if rows.x:
        model = models.load(path)
        experiment, network_plan, preprocessor = model.experiment, model.network_plan, model.preprocessor
        chosen = _by_value(preprocessor, rows)
        steps = max(1, int(record.get("steps", 1)) // max(1, experiment.training.epochs))
    else:
        setup = reopen(folder, record, (DOUBLE,), inputs=False)
        warnings = (*warnings, *_unweighted(setup))
        experiment, network_plan, preprocessor = setup.experiment, setup.network_plan, setup.prepared.preprocessor
        chosen = _of_setup(setup, rows, progress.epoch)
        steps = setup.steps_per_epoch
    words = f"of {path}, after {progress.step:,} steps, with its optimizer's memory"
    target = _target(
        experiment, network_plan, preprocessor, chosen, total=int(record.get("steps", 0)) or steps, epoch=steps,
        weights=words, warnings=(*warnings, *changed_files(record)),
    )  # fmt: skip
    restore_step(path, target.train_step, tensors)
    target.done = progress.step
    return target


def _unweighted(setup: Setup) -> tuple[Problem, ...]:
    """Returns a warning where the rows of the training count differently, and here they do not."""
    if setup.prepared.splits["train"].w is None:
        return ()
    text = "in training each row counts by its weight; here every row counts the same"
    return (Problem(text, code="weights-left-out", level="warning"),)


def _of_model(path: Path, rows: TracedRows) -> TraceTarget:
    chosen = None
    if not rows.x and path.is_dir():
        folder = RunFolder(path)
        chosen = _of_setup(reopen(folder, folder.record(), (DOUBLE,), inputs=False), rows, 0)
    elif not rows.x:
        text = f"{path} holds a model and no data"
        help = "give a row by value, --x 1,0.5 --t 1, or trace the run folder"
        raise Failure(Problem(text, code="no-data", help=help), exit=Exit.USAGE)
    model = models.load(path)
    words = f"of {model.path}, and an optimizer that starts afresh"
    target = _target(
        model.experiment, model.network_plan, model.preprocessor, chosen or _by_value(model.preprocessor, rows),
        total=model.experiment.training.epochs, epoch=1, weights=words, warnings=model.warnings,
    )  # fmt: skip
    restore(network_state(target.objective.network), network_state(model.objective.network))
    return target


def _target(
    experiment: Experiment,
    network_plan: NetworkPlan,
    preprocessor: Preprocessor,
    chosen: tuple[Array, Array, str],
    *,
    total: int,
    epoch: int,
    weights: str,
    warnings: tuple[Problem, ...],
) -> TraceTarget:
    x, t, words = chosen
    for node in network_plan.walk():
        if len(x) == 1 and node.needs_several_rows:
            text = f"{node.path} takes statistics over the rows, and one row has none"
            help = "trace several rows: --sample 0 --sample 1, or --batch"
            raise Failure(Problem(text, code="one-row", help=help), exit=Exit.USAGE)
    _check_size(network_plan, len(x))
    loss = experiment.loss.with_classes(preprocessor.classes, ())
    warnings = (*warnings, *check_used_parts(experiment, network_plan, loss, x, t, np.float64))
    objective = Objective(network_plan, loss, len(x), np.float64, experiment.seed, retain=True, need_dx=True)
    train_step = make_step(
        objective, experiment.optimizer, experiment.clipping, total, epoch=epoch, constraint=experiment.constraint
    )
    return TraceTarget(
        experiment.name, experiment, objective, train_step, preprocessor, x, t, 0, weights, words, warnings
    )


def _check_size(network_plan: NetworkPlan, rows: int) -> None:
    """Raises Failure where a step of the network has too many terms, NotEnoughMemoryError where it takes more memory
    than there is: what the equations give stands beside every array, and what is compared."""
    terms = sum(node.plan.multiply_adds for node in network_plan.walk())
    if terms > MAX_TERMS:
        text = f"a row takes {terms:,} multiply-adds, and to go over {MAX_TERMS:,} terms one by one takes hours"
        raise Failure(Problem(text, code="too-long", help="a smaller network: fewer units, filters or pixels"))
    needed = 3 * network_bytes(network_plan, rows, 8, need_dx=True, retain=True)
    needed += 16 * 8 * network_plan.size  # for what an optimizer's equations say of each parameter
    require_memory(needed, f"to work out a step on {rows:,} rows", "fewer rows, or smaller layers")


def long_work(target: TraceTarget, *, gradients: bool = False) -> tuple[Problem, ...]:
    """Returns a warning, for before it is begun, where it takes minutes to go over the terms of a step, or with
    `gradients` to check the gradients of a few rows."""
    rows = min(len(target.x), FEW_ROWS) if gradients else len(target.x)
    terms = rows * sum(node.plan.multiply_adds for node in target.network_plan.walk())
    if terms < (MANY_TERMS // TIMES_CHECKED if gradients else MANY_TERMS):
        return ()
    text = f"to go over the {terms:,} terms of {rows:,} rows takes minutes"
    if gradients:
        text = f"to check the gradients of {terms:,} terms, in {rows:,} rows, takes a minute or more"
    help = "fewer units, channels or pixels" if gradients else "fewer rows, or a smaller network"
    return (Problem(text, code="long", level="warning", help=help),)


def numbers_written(target: TraceTarget, steps: int) -> int:
    """Returns about how many numbers a derivation has, as JSON holds them."""
    outputs = sum(math.prod(node.plan.y) for node in target.network_plan.walk()) * len(target.x)
    return steps * (NUMBERS_OF_A_WEIGHT * target.network_plan.size + NUMBERS_OF_AN_OUTPUT * outputs)


def check_numbers(target: TraceTarget, steps: int) -> None:
    """Raises Failure where the whole of a derivation has more numbers than a file of JSON should hold,
    NotEnoughMemoryError where there is no room for them: before they are worked out."""
    numbers, rows = numbers_written(target, steps), len(target.x)
    what = f"{target.network_plan.size:,} weights, {rows:,} row{'s' * (rows > 1)} and {steps} step{'s' * (steps > 1)}"
    help = "fewer units, rows or steps; or without --json and --golden: `--layer NAME` shows a part"
    if numbers > MAX_NUMBERS:
        text = f"JSON of {what} has about {numbers:,} numbers, {in_bytes(numbers * JSON_BYTES)}; the most is "
        raise Failure(Problem(f"{text}{MAX_NUMBERS:,}", code="too-long", help=help))
    require_memory(numbers * NUMBER_BYTES, f"for JSON of {what}", help)


def _of_setup(setup: Setup, rows: TracedRows, epoch: int) -> tuple[Array, Array, str]:
    """Returns the rows of an experiment's own data, and in words which they are."""
    if rows.x:
        return _by_value(setup.prepared.preprocessor, rows)
    prepared = setup.prepared
    assert prepared.table is not None, "prepared without inputs, it keeps its table"
    if rows.batch:
        train = prepared.splits["train"]
        order = Stream(setup.experiment.seed, "order").permutation(len(train.rows), epoch + 1)[: setup.batch_size]
        wanted = train.rows[order]
        listed = ", ".join(map(str, wanted[:8])) + (", ..." if len(wanted) > 8 else "")
        words = f"the first batch of epoch {epoch + 1}: {_count(len(wanted), 'row')} ({listed})"
    else:
        wanted = np.array(rows.samples or (0,))
        words = _samples(setup, prepared.table.rows, wanted)
    return *_encoded(prepared.preprocessor, prepared.table, wanted), words


def _encoded(preprocessor: Preprocessor, table: Table, rows: Array | None = None) -> tuple[Array, Array]:
    return preprocessor.encode_inputs(table, np.float64, rows), preprocessor.encode_target(table, np.float64, rows)


def _samples(setup: Setup, count: int, wanted: Array) -> str:
    """Returns which rows of the training source are asked for, with the split each is in. Raises Failure for one that
    is not there."""
    for row in wanted:
        if not 0 <= row < count:
            text = f"there is no row {row}: the training source has {_count(count, 'row')}"
            help = f"rows are counted from 0 in file order: --sample 0 to {count - 1}"
            raise Failure(Problem(text, code="no-sample", help=help), exit=Exit.USAGE)
    data, splits = setup.experiment.data, setup.prepared.splits
    own = [s for n, s in splits.items() if n == "train" or not isinstance(getattr(data, n), Source)]
    named = [str(row) for row in wanted]
    if len(own) > 1:
        named = [f"{row} ({next(s.name for s in own if row in s.rows)})" for row in wanted]
    return f"row{'s' * (len(named) > 1)} {', '.join(named)}"


def _by_value(preprocessor: Preprocessor, rows: TracedRows) -> tuple[Array, Array, str]:
    """Returns rows given on the command line, in the units of the file, encoded by the rules."""
    if len(rows.x) != len(rows.t):
        text = f"{_count(len(rows.x), 'row')} of inputs and {_count(len(rows.t), 'target')} are given"
        raise _wrong_values(text, "every --x needs its --t")
    inputs, targets = [_cells(r) for r in rows.x], [_cells(r) for r in rows.t]
    names = tuple(c.name for c in preprocessor.columns)
    width = len(names) or int(np.prod(preprocessor.shape))
    for text, cells in zip(rows.x, inputs, strict=True):
        if len(cells) != width:
            listed = f": {', '.join(names)}" if names else ""
            problem = f"--x {text} has {_count(len(cells), 'value')}, and a row has {width}{listed}"
            raise _wrong_values(problem, "values are apart by commas")
    numeric = [i for i, c in enumerate(preprocessor.columns) if not c.categories] if names else list(range(width))
    columns = preprocessor.columns or (ColumnEncoder(""),) * width
    numbers = np.array([[_value(cells[i], columns[i]) for i in numeric] for cells in inputs])
    if not names:
        numbers = numbers.reshape(len(inputs), *preprocessor.shape)
    texts = {
        c.name: CodedText.of(cells[i] for cells in inputs) for i, c in enumerate(preprocessor.columns) if c.categories
    }
    table = Table(
        numbers=numbers,
        texts=texts,
        names=tuple(names[i] for i in numeric) if names else (),
        order=names,
        target=_targets(preprocessor, targets),
        target_names=preprocessor.target_names,
        origin="--x",
    )
    x, t = _encoded(preprocessor, table)
    return x, t, f"{_count(len(x), 'row')} given by value"


def _value(cell: str, column: ColumnEncoder) -> float:
    """Returns the number of a cell of an input column; NaN where it has none and something stands for that."""
    form = column.format or ColumnFormat(column.kind)
    if column.fill is not None and is_gap(cell, form):
        return np.nan
    if column.kind == "number" and form.form == "plain":
        return _number(cell, "--x")
    found = cell_reader(form)(cell.strip())
    if found is None or not np.isfinite(found):
        number = "a time or a duration" if form.are_times else f"a number {form.words()}"
        what = {"date": "a date", "boolean": "yes or no"}.get(column.kind, number)
        text = f"--x: `{cell}` is not {what}, which column `{column.name}` holds"
        raise _wrong_values(text, "dates are written as 2024-01-31, times as 14:30, durations as 1h 30m")
    return found


def _targets(preprocessor: Preprocessor, targets: Sequence[Sequence[str]]) -> Array:
    if not all(targets):
        raise _wrong_values("--t names no target", "each row needs one: --t 1")
    if preprocessor.labels == "text":
        return np.array([cells[0] for cells in targets], object)
    if preprocessor.labels == "ids":
        return np.array([_whole(cells[0], "--t") for cells in targets])
    width = len(preprocessor.classes) if preprocessor.labels == "one-hot" else preprocessor.outputs
    for cells in targets:
        if len(cells) != width:
            text = f"--t has {_count(len(cells), 'value')}, and a target has {width}"
            raise _wrong_values(text, "values are apart by commas")
    return np.array([[_number(c, "--t") for c in cells] for cells in targets])


def _cells(text: str) -> list[str]:
    try:
        return [c.strip() for c in next(csv.reader([text], skipinitialspace=True), [])]
    except csv.Error:  # a line break, or a text without end
        raise _wrong_values(f"`{text[:40]}` is not a row of values", "values are apart by commas") from None


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _wrong_values(f"{option}: `{text}` is not a number", "numbers are apart by commas: 1,0.5") from None


def _whole(text: str, option: str) -> int:
    number = _number(text, option)
    if not number.is_integer() or abs(number) >= 2**63:
        raise _wrong_values(f"{option}: `{text}` is no class id", "class ids are whole numbers: 0, 1, ...")
    return int(number)


def _wrong_values(text: str, help: str) -> Failure:
    return Failure(Problem(text, code="values", help=help), exit=Exit.USAGE)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + "s" * (n != 1)
