"""A trained model as it is saved: weights, the experiment, and the preprocessor its data was encoded by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bpcli.config.compatibility import DataFacts, check_trained
from bpcli.config.experiment import Experiment
from bpcli.config.validate import error_line, first_error
from bpcli.engine.network_plan import NetworkPlan, largest_layer, network_bytes, plan_network, slot_bytes
from bpcli.engine.objective import Objective, loss_slots
from bpcli.engine.state import network_state, restore
from bpcli.family import Array, ClassMismatchError, Loss, ShapeError
from bpcli.numeric.free_memory import available_bytes
from bpcli.numeric.shapes import in_bytes
from bpcli.records.printable import shell_word
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.load import changed_files, name_needed_files
from bpcli.studies.custom.source_location import own_code_failure
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.run import modelfile
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.scoring import Predictor

KIND = "model"
ROWS_PER_BATCH = 256  # rows evaluated at a time, where memory is
MAX_EVALUATION_BYTES = 1 << 29
"""Bytes that evaluation keeps to: of larger rows it takes fewer at a time."""


@dataclass(frozen=True, eq=False)
class Model:
    """A network in memory with trained weights, ready to evaluate."""

    path: Path
    experiment: Experiment
    preprocessor: Preprocessor
    network_plan: NetworkPlan
    objective: Objective
    record: Mapping[str, Any]  # how it was made: epoch, metrics, version
    warnings: tuple[Problem, ...] = ()

    @property
    def predictor(self) -> Predictor:
        """What turns the network's outputs into predictions."""
        return Predictor(self.experiment.loss, self.preprocessor, self.network_plan.y[0])


def dump(experiment: Experiment) -> dict[str, Any]:
    """Returns the experiment as plain data, every default filled in."""
    return experiment.model_dump(mode="json", exclude_none=True)


def save(
    path: Path, experiment: Experiment, preprocessor: Preprocessor, network_plan: NetworkPlan,
    weights: Mapping[str, Array], record: Mapping[str, Any],
) -> None:  # fmt: skip
    """Writes the self-contained model file, of weights as `network_state` gives them. Raises Failure where it cannot be
    written."""
    tensors = {**_by_path(network_plan, weights), **preprocessor.tensors()}
    meta = {"kind": KIND, "experiment": dump(experiment), "rules": preprocessor.to_meta(), "record": dict(record)}
    modelfile.write(path, tensors, meta)


def find_model(path: Path) -> tuple[Path, RunFolder | None]:
    """Returns the model file that is meant by a run folder or a file, and the folder. Raises Failure where there is
    none."""
    if path.is_dir():
        folder = RunFolder(path)
        folder.record()
        return folder.model, folder
    return path, None


def load(path: Path) -> Model:
    """Returns the model of a run folder or a model file. Nothing it says is looked up or run: only parts of this
    package.

    Raises Failure: 66 where it is missing, 65 where it is truncated, damaged, foreign or does not fit together.
    """
    file, folder = find_model(path)
    if folder is not None and not file.exists():
        help = f"finish its training: bpcli train --resume {shell_word(path)}"
        raise Failure(Problem(f"{path} has no model yet", code="no-model", help=help), exit=Exit.NO_INPUT)
    tensors, meta = modelfile.read(file)
    if meta.get("kind") != KIND:
        help = "give a run folder or its model.safetensors"
        raise Failure(Problem(f"{file} is a checkpoint, not a model", code="not-a-model", help=help))
    _check_finite(file, tensors)
    record = meta.get("record", {})
    if not isinstance(record, dict):
        raise _damaged(file, "its record is no table")
    trained_with = folder.record() if folder is not None else record
    try:
        experiment = Experiment.model_validate(meta["experiment"])
        preprocessor = _preprocessor(file, meta["rules"], tensors)
        network_plan = plan_network(experiment.architecture, preprocessor.shape, experiment.regularization)
        preprocessor = replace(preprocessor, tokens=network_plan.tokens)
        loss = experiment.loss.with_classes(preprocessor.classes, ())
        loss.plan(network_plan.y)
    except KeyError as error:
        raise own_code_failure(error) or _damaged(file, f"it has no `{error.args[0]}`") from None
    except (TypeError, ShapeError, ClassMismatchError) as error:
        raise own_code_failure(error) or _damaged(file, str(error)) from None
    except ValidationError as error:
        raise _unknown_part(file, error, trained_with) or _damaged(file, error_line(error)) from None
    _check_tensors(file, network_plan, tensors)
    facts = DataFacts(preprocessor.shape, preprocessor.classes, preprocessor.outputs, (), 0)
    if issues := check_trained(experiment, facts, network_plan):
        raise _damaged(file, issues[0].text)
    rows = _rows_that_fit(file, network_plan, loss, np.dtype(experiment.dtype).itemsize)
    objective = Objective(network_plan, loss, rows, np.dtype(experiment.dtype), experiment.seed)
    restore(_by_path(network_plan, network_state(objective.network)), tensors)
    warnings = (*changed_files(trained_with), *_unfinished(path, trained_with, record))
    return Model(file, experiment, preprocessor, network_plan, objective, record, warnings)


def _rows_that_fit(file: Path, network_plan: NetworkPlan, loss: Loss, width: int) -> int:
    """Returns how many rows are evaluated at a time: ROWS_PER_BATCH, or as many as memory has room for. Raises Failure
    where it has none for a single one."""

    def needed(rows: int) -> int:
        own = sum(slot_bytes(slot, rows, width) for slot in loss_slots(loss, network_plan.y).values())
        return network_bytes(network_plan, rows, width) + own

    rows, free = ROWS_PER_BATCH, available_bytes()
    free = MAX_EVALUATION_BYTES if free is None else free
    while rows > 1 and needed(rows) > min(MAX_EVALUATION_BYTES, free):
        rows //= 2
    if needed(rows) > free:
        layer = largest_layer(network_plan, rows, width)
        text = f"{file}: to evaluate one row takes {in_bytes(needed(rows))} of memory and {in_bytes(free)} are free"
        help = "a machine or a limit with more memory"
        raise Failure(Problem(f"{text}; the most is for {layer.path}", code="memory", help=help))
    return rows


def _unfinished(path: Path, run: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Returns a warning where the training goes on, or was killed: by the record of the run, or of the model itself."""
    if "running" not in (run.get("status"), record.get("stopped")):
        return ()
    text = f"its training has not come to its end: this is the model of epoch {record.get('epoch', '?')}"
    help = f"if it was killed, `bpcli train --resume {shell_word(path)}` goes on" if path.is_dir() else ""
    return (Problem(f"{path}: {text}", code="unfinished", help=help, level="warning"),)


def _by_path(network_plan: NetworkPlan, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Returns views of all parameters, by their paths, and all running statistics, `state.<path>`."""
    parameters = {e.path: weights["theta"][e.where].reshape(e.shape) for e in network_plan.layout}
    return parameters | {name: a for name, a in weights.items() if name != "theta"}


def _check_finite(file: Path, tensors: Mapping[str, Array]) -> None:
    """Raises Failure where an array holds a number that is not finite: an earlier version wrote such files."""
    if (name := modelfile.first_non_finite_tensor(tensors)) is not None:
        text = f"{file} cannot be used: {name} holds a number that is not finite"
        help = "train again, with a lower optimizer.learning_rate or with clipping"
        raise Failure(Problem(text, code="not-finite", file=str(file), help=help), exit=Exit.BAD_INPUT)


def _check_tensors(file: Path, network_plan: NetworkPlan, tensors: Mapping[str, Array]) -> None:
    """Compares names and shapes of the weights with what the network needs, before memory is asked for."""
    needed = {e.path: e.shape for e in network_plan.layout}
    for node in network_plan.walk():
        needed |= {f"state.{node.path}.{name}": slot.shape for name, slot in node.plan.state.items()}
    stored = {name: a.shape for name, a in tensors.items() if not name.startswith("data.")}
    for name, shape in needed.items():
        if name not in stored:
            raise _damaged(file, f"the network needs {name}, and the file has none")
        if stored[name] != shape:
            raise _damaged(file, f"{name} is {stored[name]} and the network needs {shape}")
    if extra := sorted(stored.keys() - needed.keys()):
        raise _damaged(file, f"it holds {extra[0]}, and the network has no such tensor")


def _preprocessor(file: Path, rules: Any, tensors: Mapping[str, Array]) -> Preprocessor:
    """Returns what the file says of its data. Raises Failure that names the file."""
    try:
        return Preprocessor.from_meta(rules, tensors)
    except Failure as failure:
        raise Failure(*(replace(p, file=str(file)) for p in failure.problems)) from None


def _unknown_part(file: Path, error: ValidationError, trained_with: Mapping[str, Any]) -> Failure | None:
    """Returns the failure of a part that is none of this package, where that is what is wrong first."""
    found = first_error(error)
    if found.get("type") != "unknown_type":
        return None
    text = f"{file} holds a {found['ctx']['family']} `{found['ctx']['kind']}`, which is no part of this package"
    failure = Failure(Problem(text, code="unknown-type", help="a part of your own is loaded by --with FILE.py"))
    return name_needed_files(failure, trained_with)


def _damaged(file: Path, what: str) -> Failure:
    text = f"{file} does not fit together: {what}"
    help = "the file was changed after it was written: train again, or take it from a backup"
    return Failure(Problem(text, code="damaged-model", help=help), exit=Exit.BAD_INPUT)
