"""Everything that a training remembers is in its checkpoint and is put back: a run that goes on equals the one that was
not stopped, bit for bit, and each single array or number of the checkpoint is needed for that."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.engine.state import network_state, prefixed, training_state
from bpcli.family import Callback, Clipper, Optimizer, Schedule
from bpcli.records.training import Failure
from bpcli.studies.run import resume as runs
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import EpochSums, Progress, TrainingState

ROWS = np.round(np.random.default_rng(2).normal(size=(20, 2)), 3)
TARGETS = [[round(float(a * b + a), 3)] for a, b in ROWS]
CONFIG = f"""\
name: remembered
data: {{train: {{type: inline, inputs: {ROWS.tolist()}, targets: {TARGETS}}}, validation: 0.3}}
architecture: [{{type: dense, units: 2, activation: tanh}}, {{type: dense, units: 1}}]
loss: mean_squared_error
MORE
"""
STEPS = 2  # of an epoch, of 14 rows by 7
FULL = "training: {epochs: 8, batch_size: full, metrics: [mse]}"
PARTS = "training: {epochs: 17, batch_size: 7, metrics: [mse]}"
PLATEAU = "{type: plateau, start: 0.2, patience: 2, factor: 0.5, threshold: 0.1, metric: validation.mse}"


@dataclass(frozen=True)
class Case:
    """An experiment, and after how many steps it is cut; `own` are the beginnings of what it proves."""

    more: str
    cuts: tuple[int, ...]
    own: tuple[str, ...]
    config: str = field(default=CONFIG, repr=False)
    others: tuple[str, ...] = ()  # those of its own that it does not prove


def stepping(optimizer: str, cuts: tuple[int, ...] = (3, 9)) -> Case:
    return Case(f"optimizer: {optimizer}\n{PARTS}", cuts, ("slot.",))


def searching(optimizer: str, cuts: tuple[int, ...] = (4,)) -> Case:
    return Case(f"optimizer: {optimizer}\ndtype: float64\n{FULL}", cuts, ("slot.",))


def clipped(clipping: str, cuts: tuple[int, ...]) -> Case:
    return Case(f"clipping: {clipping}\noptimizer: {{type: sgd, learning_rate: 0.1}}\n{PARTS}", cuts, ("clip.",))


def scheduled(schedule: str, cuts: tuple[int, ...] = tuple(range(1, 17 * STEPS, 3))) -> Case:
    return Case(f"optimizer: {{type: sgd, learning_rate: {schedule}}}\n{PARTS}", cuts, ("schedule.",))


CASES = {
    "momentum": stepping("momentum"),
    "nesterov": stepping("nesterov"),
    "adam": stepping("{type: adam, learning_rate: 0.05}"),
    "adam, amsgrad": stepping("{type: adam, learning_rate: 0.05, beta2: 0.5, amsgrad: true}"),
    "adamw": stepping("{type: adamw, learning_rate: 0.05}"),
    "nadam": stepping("{type: nadam, learning_rate: 0.05}"),
    "adamax": stepping("{type: adamax, learning_rate: 0.05}"),
    "radam": stepping("{type: radam, learning_rate: 0.05, beta2: 0.9}", (1, 9)),  # before it divides, and after
    "adagrad": stepping("adagrad"),
    "rmsprop": stepping("rmsprop"),
    "rmsprop, centered, momentum": stepping("{type: rmsprop, centered: true, momentum: 0.7}"),
    "adadelta": stepping("adadelta"),
    "lion": stepping("{type: lion, learning_rate: 0.01, beta1: 0.5}"),
    "rprop": searching("rprop"),
    "lbfgs": searching("{type: lbfgs, pairs: 3}", (2, 5)),  # while the pairs fill, and once they are full
    "levenberg_marquardt": searching("{type: levenberg_marquardt, damping: 0.3}"),
    "percentile": clipped("{type: percentile, percentile: 40.0, window: 7}", (4, 16)),
    "zscore": clipped("{type: zscore, z_thr: 0.5, max_norm: 3.0}", (12, 28)),  # before its 25th step, and after
    "plateau": scheduled(PLATEAU),
    "warmup of a plateau": scheduled(f"{{type: warmup, steps: 5, then: {PLATEAU}}}"),
}
GENERAL = Case(
    """\
regularization: {type: l2, strength: 0.01}
clipping: {type: global_norm, max_norm: 0.5}
optimizer: {type: adam, learning_rate: 0.05}
training:
  epochs: 30
  batch_size: 5
  metrics: [mse, r2, mae]
  watch: true
  early_stopping: {metric: train.r2, patience: 5, min_delta: 0.02}""",
    (2, 11, 20, 24),  # in the middle of an epoch and, the last, at its end, when its figures are still to be found
    ("theta", "state.", "best.", "tally.", "progress.", "sums."),
    CONFIG.replace(
        "architecture: [",
        "architecture: [batch_norm, {type: residual, layers: [{type: dense, units: 2}, batch_norm, "
        "{type: dropout, rate: 0.2}]}, ",
    ),
    ("progress.ended", "progress.seconds", "sums.seconds"),  # the first has its own case; the others are times
)
"""What every training remembers, whatever moves its weights; it ends by early stopping."""

IMAGES = np.round(np.random.default_rng(3).uniform(size=(9, 4, 4, 1)), 2)
CHANCE = Case(
    PARTS.replace("17", "4").replace("7", "3"), (5, 6), ("progress.step",),
    f"""\
name: remembered
data:
  train: {{type: inline, inputs: {IMAGES.tolist()}, targets: {IMAGES.mean((1, 2)).round(3).tolist()}}}
  augment: [flip, {{type: shift, pixels: 1}}, {{type: rotate, degrees: 20.0}}, {{type: cutout, size: 2}}]
architecture:
  - {{type: conv2d, filters: 2, kernel: 2}}
  - {{type: spatial_dropout, rate: 0.3}}
  - flatten
  - {{type: gaussian_noise, stddev: 0.2}}
  - {{type: dense, units: 1}}
loss: mean_squared_error
MORE
""",
)  # fmt: skip
"""Everything that is drawn by chance: the order of the rows, what images are changed by, masks and noise."""

CONVERGED = Case(
    "optimizer: {type: lbfgs, tolerance: 0.02}\ndtype: float64\ntraining: {epochs: 60, batch_size: full}",
    tuple(range(1, 60)), ("progress.ended",),
)  # fmt: skip


class CopyAtCuts(Callback):
    """Writes a checkpoint after each of some steps, and copies the run folder as a crash right then would leave it."""

    def __init__(self, cuts: tuple[int, ...], target: Path) -> None:
        self.cuts, self.target = cuts, target

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        if state.progress.step in self.cuts:
            Checkpointer(state).save()
            target = self.target / str(state.progress.step)
            shutil.copytree(state.folder.path, target, ignore=shutil.ignore_patterns("train.lock"))


def ended(run: Path) -> dict[str, Any]:
    """Everything that a run leaves behind, but for times."""
    tensors, meta, _ = RunFolder(run).newest_checkpoint()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "run.json").read_text())
    return {
        "model": (run / "model.safetensors").read_bytes(),
        "checkpoint": {name: (a.dtype, a.shape, a.tobytes()) for name, a in tensors.items()},
        "progress": str(_without_times(meta)),
        "log": str(_without_times(lines)),
        "record": {key: record[key] for key in ("status", "reason", "epochs", "kept")},
    }


def _without_times(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_times(v) for k, v in data.items() if k != "seconds"}
    return [_without_times(v) for v in data] if isinstance(data, list) else data


class Cut:
    """A training that was cut, which goes on as often as one likes."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.folder, self.copies = folder, 0
        file = folder / "remembered.yaml"
        file.write_text(case.config.replace("MORE", case.more))
        self.setup = set_up(file)
        runs.start(self.setup, folder / "whole", [CopyAtCuts(case.cuts, folder)]).run()
        self.whole = ended(folder / "whole")
        self.cuts = [cut for cut in case.cuts if (folder / str(cut)).exists()]

    def checkpoint(self, cut: int) -> tuple[dict[str, Any], dict[str, Any]]:
        tensors, meta, _ = RunFolder(self.folder / str(cut)).newest_checkpoint()
        return tensors, meta

    def goes_on(self, cut: int, patch: pytest.MonkeyPatch, change: Callable[[Any, Any], None]) -> dict[str, Any] | None:
        """What the run leaves behind after it went on from a checkpoint that `change` was laid hands on; None where it
        could not."""
        self.copies += 1
        run = self.folder / f"{cut} {self.copies}"
        shutil.copytree(self.folder / str(cut), run)
        tensors, meta = self.checkpoint(cut)
        change(tensors, meta["progress"])
        try:
            with patch.context() as context:
                context.setattr(RunFolder, "newest_checkpoint", lambda self: (tensors, meta, ()))
                training = runs.resume(run)
            training.run()
        except (ArithmeticError, LookupError, ValueError, Failure):
            return None
        return ended(run)

    @cached_property
    def fresh(self) -> dict[str, Any]:
        """What every part of a checkpoint is where nothing was put back, by its name."""
        state = TrainingState(self.setup, RunFolder(self.folder / "none"))
        found: dict[str, Any] = training_state(state.train_step)
        found |= prefixed("best", network_state(state.objective.network))
        if state.train_metrics is not None:
            found |= prefixed("tally", state.train_metrics.arrays())
        sums = {f"sums.{key}": value for key, value in vars(EpochSums()).items()}
        return found | {f"progress.{key}": v for key, v in vars(Progress()).items() if key != "sums"} | sums


def forgets(name: str, fresh: Any) -> Callable[[Any, Any], None]:
    """Makes one array or number of a checkpoint what it is in a new training."""

    def change(tensors: Any, progress: Any) -> None:
        family, _, key = name.partition(".")
        if family in ("progress", "sums"):
            (progress if family == "progress" else progress["sums"])[key] = fresh
        else:
            tensors[name] = np.array(fresh)

    return change


def saved(tensors: Any, meta: Any) -> Iterator[tuple[str, Any]]:
    """Every array and number of a checkpoint, by its name; `good.*` have their own test."""
    yield from ((name, a) for name, a in tensors.items() if not name.startswith("good."))
    yield from ((f"progress.{key}", v) for key, v in meta["progress"].items() if key != "sums")
    yield from ((f"sums.{key}", v) for key, v in meta["progress"]["sums"].items())


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)


@pytest.mark.parametrize(
    "case", [*CASES.values(), GENERAL, CHANCE, CONVERGED], ids=[*CASES, "general", "chance", "converged"]
)
def test_each_part_of_a_checkpoint_is_put_back_and_needed(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From each cut the run goes on to the same bits; and not to them where one single thing is forgotten."""
    cut_run = Cut(case, tmp_path)
    needed, seen = set(), set()
    for cut in cut_run.cuts:
        assert cut_run.goes_on(cut, monkeypatch, lambda tensors, progress: None) == cut_run.whole, f"after step {cut}"
        for name, value in saved(*cut_run.checkpoint(cut)):
            if not name.startswith(case.own) or name in case.others:
                continue
            seen.add(name)
            fresh = cut_run.fresh[name]
            if name not in needed and not same(value, fresh):
                found = cut_run.goes_on(cut, monkeypatch, forgets(name, fresh))
                needed |= {name} if found != cut_run.whole else set()
    assert needed == seen
    assert seen


def test_every_state_that_a_part_declares_is_among_them() -> None:
    """A part with a state of its own, or with one more under some setting, needs a case above."""
    declared = set()
    for _, sample in good():
        part = sample.part
        if isinstance(part, Optimizer):
            declared |= {(part.kind, name) for name in part.state(3)}
        elif isinstance(part, Clipper | Schedule):
            declared |= {(part.kind, name) for name in part.state()}
    tried = set()
    for case in CASES.values():
        experiment = validate(Experiment, parse(case.config.replace("MORE", case.more), "remembered.yaml"))
        optimizer, schedule = experiment.optimizer, getattr(experiment.optimizer, "learning_rate", None)
        tried |= {(optimizer.kind, name) for name in optimizer.state(3)}
        tried |= {(part.kind, name) for part in (experiment.clipping, schedule) if part for name in part.state()}
    assert declared == tried
