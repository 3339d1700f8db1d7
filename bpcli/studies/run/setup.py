"""From a file to an experiment that is known to fit together: what every command that needs data begins with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.config.compatibility import DataFacts, Issue, check_inputs, check_targets, plan_and_check, resolve_loss
from bpcli.config.compose import MAX_PROBLEMS
from bpcli.config.data import Fold
from bpcli.config.document import Document
from bpcli.config.experiment import Experiment
from bpcli.config.overflow import check_initial_weights, check_settings
from bpcli.config.overrides import apply_sets
from bpcli.config.validate import validate
from bpcli.config.yamlfile import read
from bpcli.engine.augment import Augmenter, augmenting_bytes, image_shape
from bpcli.engine.network_plan import NetworkPlan, largest_layer, slot_bytes, working_bytes
from bpcli.engine.objective import loss_slots
from bpcli.family import FullBatchOptimizer, Source
from bpcli.numeric.free_memory import NotEnoughMemoryError, available_bytes
from bpcli.numeric.shapes import in_bytes
from bpcli.parts.data.unchanged import unchanged
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.load import loaded_files
from bpcli.studies.dataset.prepare import Prepared, files_of, prepare
from bpcli.studies.run import modelfile
from bpcli.studies.run.fingerprints import Fingerprints

MANY_MADE_UP_ROWS = 1_000_000
"""Rows up to which they are made in a moment."""
TRIED_ROWS = 10_000, 20_000


@dataclass(frozen=True, eq=False)
class Setup:
    """An experiment with its data prepared and its network planned; `root` is what its paths are relative to.
    `fingerprints` are those of its files, where they were taken meanwhile."""

    document: Document
    experiment: Experiment
    prepared: Prepared
    network_plan: NetworkPlan
    root: Path
    sets: tuple[str, ...]
    warnings: tuple[Problem, ...]
    fingerprints: Fingerprints | None = None

    @property
    def batch_size(self) -> int:
        """How many rows a step learns from."""
        return batch_size(self.experiment, len(self.prepared.splits["train"].x))

    @property
    def steps_per_epoch(self) -> int:
        """How many steps go once over all training rows."""
        return -(-len(self.prepared.splits["train"].x) // self.batch_size)

    def augmenter(self, rows: int | None = None) -> Augmenter | None:
        """Returns what changes the images of training batches (of up to `rows` rows), where the file says that they are
        changed."""
        experiment, parts = self.experiment, self.experiment.data.augment
        shape, even = image_shape(self.network_plan), self.prepared.preprocessor.even_scale
        if not parts or shape is None or even is None:
            return None
        rows = self.batch_size if rows is None else rows
        return Augmenter(parts, shape, rows, np.dtype(experiment.dtype), experiment.seed, *even)

    def check_used_parts(self) -> tuple[Problem, ...]:
        """Returns warnings about parts of the user's own, found on the first training rows (see
        `contract.check_used_parts`).

        Raises Failure where one breaks a rule.
        """
        if not loaded_files():
            return ()
        from bpcli.studies.custom.contract import check_used_parts  # nobody else waits for it

        train, experiment = self.prepared.splits["train"], self.experiment
        return check_used_parts(
            experiment, self.network_plan, experiment.loss, train.x, train.t, np.dtype(experiment.dtype)
        )


def load_document(file: Path, sets: Sequence[str] = ()) -> tuple[Document, Experiment]:
    """Returns the validated experiment of a file. Raises Failure with everything that is wrong in it."""
    try:
        document = read(file)
    except Failure:
        if not (file.is_file() and any(kind.reads(file) for kind in Source.registry.values())):
            raise
        text, help = "this is a file of data, not an experiment", f"bpcli init {shell_word(file)} --target COLUMN"
        help = f"`{help}` writes an experiment for it"
        raise Failure(Problem(text, code="not-settings", file=str(file), help=help)) from None
    return override(document, sets)


def override(document: Document, sets: Sequence[str] = ()) -> tuple[Document, Experiment]:
    """Returns a document with overrides, and its validated experiment. Raises Failure with everything that is wrong in
    it."""
    document = apply_sets(document, sets, Experiment)
    if "name" not in document.data:
        name = _default_name(Path(document.source.file))
        document = apply_sets(document, [f'name="{name}"'])  # quoted: 2024.yaml is not a number
    experiment = validate(Experiment, document)
    if beyond := [_problem(document, replace(c, loc=_written(document, c.loc))) for c in check_settings(experiment)]:
        raise Failure(*beyond[:MAX_PROBLEMS])
    return document, experiment


def _written(document: Document, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Returns the part of a place that stands in the file: a number alone may be short for a part with a setting."""
    node = document.root
    for k, step in enumerate(loc):
        inner = node.child(step)
        if inner is None:
            return loc[:k]
        node = inner
    return loc


def _default_name(file: Path) -> str:
    """Returns what an experiment without a name is called: as its file, where that can name a folder anywhere."""
    stem = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in file.stem)
    return stem.lstrip("._-")[:64] or "experiment"


def set_up(
    file: Path,
    sets: Sequence[str] = (),
    root: Path | None = None,
    *,
    inputs: bool = True,
    new_run: bool = False,
    keep: bool = False,
) -> Setup:
    """Reads, validates, loads the data (without `inputs`, its rows are not encoded; with `keep`, its tables are kept)
    and plans the network; for a `new_run` the files are fingerprinted meanwhile.

    Raises Failure where anything does not fit.
    """
    document, experiment = load_document(file, sets)
    root = file.parent if root is None else root
    _refuse_for_any_rows(document, experiment, root)
    fingerprints = Fingerprints(files_of(experiment.data, root)) if new_run else None
    prepared = prepare_data(document, experiment, root, inputs=inputs, keep=keep)
    return replace(fit_together(document, experiment, prepared, root, sets), fingerprints=fingerprints)


def _refuse_for_any_rows(document: Document, experiment: Experiment, root: Path) -> None:
    """Raises Failure where a network does not fit made-up rows however many they are: what is wrong in the same words
    with two small numbers of them is found before many are made."""
    source, found = experiment.data.train, list[Failure]()
    if not source.made_up or getattr(source, "rows", 0) <= MANY_MADE_UP_ROWS:
        return
    for rows in TRIED_ROWS:
        data = experiment.data.model_copy(update={"train": source.model_copy(update={"rows": rows})})
        small = experiment.model_copy(update={"data": data})
        try:
            prepared = prepare_data(document, small, root)
        except Failure:  # which may be of rows that are too few
            return
        try:
            fit_together(document, small, prepared, root)
            return
        except Failure as failure:
            found.append(failure)
    if found[0].problems == found[1].problems:
        raise found[0]


def fit_together(
    document: Document, experiment: Experiment, prepared: Prepared, root: Path, sets: Sequence[str] = ()
) -> Setup:
    """Plans the network of an experiment for its prepared data. Raises Failure where anything does not fit."""
    train = prepared.splits["train"]
    facts = DataFacts(
        train.x.shape[1:],
        prepared.preprocessor.classes,
        train.t.shape[1] if train.t.ndim == 2 else 1,
        tuple(prepared.splits),
        len(train.x),
        tuple(prepared.split_rows[0].classes.values()),
        prepared.preprocessor.even_scale is not None,
        train.w is not None,
        {c.name: c.width for c in prepared.preprocessor.columns if c.kind in ("text", "date") or c.indicator},
    )
    experiment, issues = resolve_loss(experiment, facts)
    if issues:
        raise Failure(*(_problem(document, c) for c in issues))
    network_plan, issues = plan_and_check(experiment, facts)
    issues += check_initial_weights(experiment, network_plan) if network_plan is not None else ()
    targets = (check_targets(experiment, split.t) for split in prepared.splits.values())
    issues = next((found for found in targets if found), []) + issues
    if network_plan is not None and network_plan.tokens:
        prepared = replace(prepared, preprocessor=replace(prepared.preprocessor, tokens=network_plan.tokens))
        scaled, splits = prepared.preprocessor.scaling is not None, prepared.splits.items()
        looked = (check_inputs(network_plan, name, split.x, split.rows, scaled) for name, split in splits)
        issues = next((found for found in looked if found), []) + issues
    problems = [_problem(document, c) for c in issues]
    if network_plan is None or any(p.level == "error" for p in problems):
        raise Failure(*problems)
    _check_memory(document, experiment, network_plan, len(train.x))
    return Setup(document, experiment, prepared, network_plan, root, tuple(sets), (*prepared.warnings, *problems))


def batch_size(experiment: Experiment, rows: int) -> int:
    """Returns how many rows a step learns from."""
    size = experiment.training.batch_size
    return rows if size == "full" else min(size, rows)


def training_bytes(experiment: Experiment, network_plan: NetworkPlan, batch: int) -> int:
    """Returns bytes that training needs besides the data: weights, gradient, the weights of the last epoch and the best
    ones, what the optimizer remembers, the arrays of a step, and a checkpoint on its way to the disk; where layers are
    watched, also the probe's copy of these arrays in float64."""
    width = np.dtype(experiment.dtype).itemsize
    step = step_bytes(experiment, network_plan, batch) + optimizer_bytes(experiment, network_plan)
    image = image_shape(network_plan)
    step += augmenting_bytes(experiment.data.augment, image, batch, width) if image else 0
    if experiment.training.watch:
        step += network_plan.size * (width + 3 * 8) + 2 * working_bytes(network_plan, batch, 8)
    kept = 2 if experiment.training.early_stopping is not None else 1  # besides the weights themselves
    saved = network_plan.size * width * (1 + kept) + _state_bytes(experiment, network_plan)
    return network_plan.size * width * (2 + kept) + step + modelfile.COPIES * saved


def step_bytes(experiment: Experiment, network_plan: NetworkPlan, batch: int) -> int:
    """Returns bytes of the arrays of a step on so many rows, besides the weights and their gradient."""
    width = np.dtype(experiment.dtype).itemsize
    loss = sum(slot_bytes(slot, batch, width) for slot in loss_slots(experiment.loss, network_plan.y).values())
    return working_bytes(network_plan, batch, width) + loss


def optimizer_bytes(experiment: Experiment, network_plan: NetworkPlan) -> int:
    """Returns bytes of what the optimizer remembers and of what it works in."""
    work = experiment.optimizer.work(network_plan.size).values()
    return _state_bytes(experiment, network_plan) + sum(slot_bytes(slot, 0, _slot_width(experiment)) for slot in work)


def _state_bytes(experiment: Experiment, network_plan: NetworkPlan) -> int:
    state = experiment.optimizer.state(network_plan.size).values()
    return sum(slot_bytes(slot, 0, _slot_width(experiment)) for slot in state)


def _slot_width(experiment: Experiment) -> int:
    return 8 if isinstance(experiment.optimizer, FullBatchOptimizer) else np.dtype(experiment.dtype).itemsize


def prepare_data(
    document: Document,
    experiment: Experiment,
    root: Path,
    *,
    inputs: bool = True,
    within: Fold | None = None,
    keep: bool = False,
) -> Prepared:
    """Returns the data (see `prepare`); a failure that says where in the experiment it comes from points there."""
    try:
        with unchanged(files_of(experiment.data, root)):
            return prepare(
                experiment.data,
                targets=experiment.loss.targets,
                seed=experiment.seed,
                dtype=np.dtype(experiment.dtype),
                root=root,
                inputs=inputs,
                within=within,
                keep=keep,
            )
    except NotEnoughMemoryError as error:
        raise Failure(document.problem(("data", "train"), str(error), code="memory", help=error.help)) from None
    except Failure as failure:
        raise Failure(*(_positioned(document, p) for p in failure.problems), exit=failure.exit) from None


def _positioned(document: Document, problem: Problem) -> Problem:
    path = ("loss",) if problem.code in ("not-classes", "not-one-hot") else problem.path
    if problem.line or not path:
        return problem
    return document.problem(path, problem.text, code=problem.code, help=problem.help, level=problem.level)


def _problem(document: Document, c: Issue) -> Problem:
    return document.problem(c.loc, c.text, code=c.code, help=c.help, level=c.level)


def _check_memory(document: Document, experiment: Experiment, network_plan: NetworkPlan, rows: int) -> None:
    batch, width = batch_size(experiment, rows), np.dtype(experiment.dtype).itemsize
    needed = training_bytes(experiment, network_plan, batch)
    free = available_bytes()
    if free is None or needed <= free:
        return
    text = (
        f"training this network needs {in_bytes(needed)} of memory and {in_bytes(free)} are free; "
        f"it has {network_plan.size:,} parameters"
    )
    taken = optimizer_bytes(experiment, network_plan)
    if 2 * taken > needed:
        kind = experiment.optimizer.kind
        text += f", for which {kind} takes {in_bytes(taken)}"
        help = "fewer units, or an optimizer that takes less: lbfgs, adam"
        raise Failure(document.problem(("optimizer",), text, code="memory", help=help))
    largest: Any = max(network_plan.layout, key=lambda e: e.size, default=None)
    if largest is None or needed - step_bytes(experiment, network_plan, batch) <= free:  # it is what the layers work in
        layer = largest_layer(network_plan, batch, width)
        text = f"{text}, and for {batch:,} rows at a time the most is for {layer.path}"
        help = "a smaller batch_size, or smaller sizes, here or in the layers before"
        raise Failure(document.problem(layer.loc, text, code="memory", help=help))
    loc = largest.owner.loc
    if hasattr(largest.owner.layer, "units"):
        loc = (*loc, "units")
    text += f", {largest.size:,} of them in {largest.path}"
    raise Failure(document.problem(loc, text, code="memory", help="fewer units, or a smaller batch_size"))
