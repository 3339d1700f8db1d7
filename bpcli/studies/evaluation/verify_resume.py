"""Whether a training that is killed and resumed comes to the same bits as one that is not: tried with processes that
are really killed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpcli
from bpcli.engine.network_plan import NetworkPlan
from bpcli.engine.state import prefixed
from bpcli.family import Callback
from bpcli.family.plan import Array
from bpcli.records.training import EpochRow, Exit, Failure, Problem
from bpcli.records.verify_resume import ResumeVerdict
from bpcli.studies.custom.load import load
from bpcli.studies.evaluation.compare_tensors import computation_order, first_difference, named_tensors
from bpcli.studies.run import modelfile
from bpcli.studies.run.resume import start
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.saving.environment import environment
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.signals import StopSignals
from bpcli.studies.run.state import TrainingState

USUAL_EPOCHS = 3  # trained where nobody says how many
POLL_SECONDS = 0.05  # seconds between two looks whether a process has ended
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which Windows has not
COMMAND = "from bpcli.__main__ import main; main()"
TRAIN_UNTIL_KILLED = "from bpcli.studies.evaluation.verify_resume import train_until_killed; train_until_killed()"


def verify_resume(
    config: Path,
    sets: Sequence[str] = (),
    files: Sequence[Path] = (),
    epochs: int | None = None,
    after: int | None = None,
) -> ResumeVerdict:
    """Trains a config for some epochs (3, or as many as it has), and once more: with a checkpoint `after` so many steps
    (half of them), killed by SIGKILL after one more, and resumed; returns what differs. `files` are parts of a user's
    own. All of it happens in a temporary folder.

    Raises Failure where the config is bad, where there are too few steps, and where a training ends otherwise than it
    should; SystemExit where a signal came meanwhile.
    """
    began = time.monotonic()
    load(files)
    setup = set_up(config, tuple(sets))
    epochs = epochs or max(2, min(USUAL_EPOCHS, setup.experiment.training.epochs))
    steps = epochs * setup.steps_per_epoch
    after = _checkpoint_step(steps, setup.steps_per_epoch) if after is None else after
    if not 0 < after < steps:
        text = f"a training of {steps} step{'s' * (steps > 1)} cannot be killed after a checkpoint of step {after}"
        raise Failure(Problem(text, code="steps", help="more --epochs, or another --after"), exit=Exit.USAGE)
    sets = (*sets, f"training.epochs={epochs}")
    with tempfile.TemporaryDirectory(prefix="bpcli-verify-resume-") as place, StopSignals() as signals:
        whole, resumed = Path(place) / "whole", Path(place) / "resumed"
        options = [word for text in sets for word in ("--set", text)]
        own = [word for file in files for word in ("--with", str(file))]
        trained = _Training(Path(place), signals)
        trained.finishes(COMMAND, ["train", str(config), *options, *own, "--out", str(whole), "--quiet"])
        task = {"config": str(config), "sets": sets, "files": [*map(str, files)], "out": str(resumed), "after": after}
        trained.is_killed(TRAIN_UNTIL_KILLED, [json.dumps(task)], after)
        _check_saved(RunFolder(resumed), after)
        trained.finishes(COMMAND, ["train", "--resume", str(resumed), *own, "--quiet"])
        found = _compared(RunFolder(whole), RunFolder(resumed), setup.network_plan)
    name, seconds = setup.experiment.name, time.monotonic() - began
    return ResumeVerdict(name, epochs, steps, after, **found, environment=environment(), seconds=seconds)


def _checkpoint_step(steps: int, steps_per_epoch: int) -> int:
    """Returns the step after which a checkpoint is written: half way, in the middle of an epoch where one has several
    steps."""
    half = max(1, steps // 2)
    return half + 1 if half % steps_per_epoch == 0 and steps_per_epoch > 1 and half + 1 < steps else half


class _Training:
    """Trainings in processes of their own, one after the other."""

    def __init__(self, place: Path, signals: StopSignals) -> None:
        self.place, self.signals = place, signals

    def finishes(self, program: str, words: Sequence[str]) -> None:
        """Runs a training to its end. Raises Failure where it fails."""
        code, said = self._run(program, words)
        if code:
            raise _failed(code, said)

    def is_killed(self, program: str, words: Sequence[str], after: int) -> None:
        """Runs a training that is killed. Raises Failure where it ends before."""
        code, said = self._run(program, words)
        if code == 0:
            text = f"training was over before it could be killed after step {after + 1}"
            raise Failure(Problem(text, code="steps", help="give an earlier step with --after"), exit=Exit.USAGE)
        if code != -KILL and os.name == "posix":
            raise _failed(code, said)

    def _run(self, program: str, words: Sequence[str]) -> tuple[int, str]:
        """Returns the exit code of a process, and what it said last. Raises SystemExit where a signal came."""
        source = str(Path(bpcli.__file__).parents[1])
        start = f"import sys; sys.path.insert(0, {source!r}); {program}"
        with open(self.place / "said", "w+b") as said:
            command = [sys.executable, "-P", "-c", start, *words]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                if self.signals.number:
                    process.kill()
                    process.wait()
                    raise SystemExit(128 + self.signals.number)
            said.seek(0)
            return process.returncode, said.read().decode("utf-8", "replace").strip()


def _check_saved(run: RunFolder, after: int) -> None:
    """Raises Failure where the training that was killed has not left the checkpoint that it is to go on from."""
    _, meta, _ = run.newest_checkpoint()
    if meta.get("progress", {}).get("step") != after:
        text = f"the training that was killed left no checkpoint of step {after}"
        raise Failure(Problem(text, code="training"), exit=Exit.INTERNAL)


def _failed(code: int, said: str) -> Failure:
    """Returns the failure of a training that ended otherwise than it should."""
    errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    text = f"a training failed (exit code {code}): {(errors or said.splitlines() or ['it said nothing'])[0]}"
    help = "`bpcli train CONFIG` shows it"
    return Failure(Problem(text, code="training", help=help), exit=Exit(code) if code in set(Exit) else Exit.INTERNAL)


def train_until_killed() -> None:
    """Trains as sys.argv says, in JSON, until this process kills itself: the step after that of the checkpoint."""
    task = json.loads(sys.argv[1])
    load([Path(file) for file in task["files"]])
    setup = set_up(Path(task["config"]), tuple(task["sets"]), new_run=True)
    start(setup, Path(task["out"]), [KilledAfterCheckpoint(task["after"])]).run()


class KilledAfterCheckpoint(Callback):
    """Writes a checkpoint after a step, and kills its process after the next one."""

    def __init__(self, after: int, kill: Callable[[], None] = lambda: os.kill(os.getpid(), KILL)) -> None:
        self._after, self._kill = after, kill

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        if state.progress.step == self._after:
            Checkpointer(state).save()
        elif state.progress.step > self._after:
            self._kill()


def _compared(whole: RunFolder, resumed: RunFolder, network_plan: NetworkPlan) -> dict[str, Any]:
    """Returns what of two runs was compared and what differs, as `ResumeVerdict` has it."""
    (first, progress), (second, other) = (_state(run, network_plan) for run in (whole, resumed))
    order = computation_order({**first, **second}, network_plan)
    lines, others = ([_line(row) for row in run.epochs()] for run in (whole, resumed))
    return {
        "tensors": len(order),
        "numbers": sum(a.size for a in first.values()),
        "lines": len(lines),
        "tensor": first_difference(first, second, order),
        "progress": next(_differing(progress, other), ""),
        "metrics": next(_differing(dict(enumerate(lines, 1)), dict(enumerate(others, 1))), ""),
    }


def _state(run: RunFolder, network_plan: NetworkPlan) -> tuple[dict[str, Array], dict[str, Any]]:
    """Returns the tensors of the last checkpoint and of the model of a run, by name, and its progress without times."""
    tensors, meta, _ = run.newest_checkpoint()
    model, _ = modelfile.read(run.model)
    progress = {**meta["progress"], **{f"sums.{key}": value for key, value in meta["progress"]["sums"].items()}}
    timeless = {key: value for key, value in progress.items() if key not in ("sums", "seconds", "sums.seconds")}
    return named_tensors(tensors, network_plan) | prefixed("model", model), timeless


def _line(row: EpochRow) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if key != "seconds"}


def _differing(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> Iterator[str]:
    """Yields where two mappings differ, in words; a nan is itself."""
    for key in (*first, *(key for key in second if key not in first)):
        a, b = first.get(key), second.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from (f"{key}.{text}" for text in _differing(a, b))
        elif repr(a) != repr(b):
            yield f"{key}: {a!r} and {b!r}"
