"""Run in a process of its own: how long it takes from a CSV file to the first step, and how much memory; or np.loadtxt.

python tests/support/first_step.py loadtxt FILE [COLUMN ...]  or  python tests/support/first_step.py CONFIG [SET ...]
The columns hold text: np.loadtxt gives each different cell a number, by a converter.
Prints seconds, seconds of the processor, and MiB beyond what the program itself takes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Callback
from bpcli.studies.run import resume as runs
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import TrainingState

SMALL = """\
data: {train: {type: csv, path: small.csv, target: y}, scale: standardize}
architecture: [{type: dense, units: 4, activation: relu}, {type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 1}
"""


class FirstStep(Exception):
    """The first step is done."""


class Stopper(Callback):
    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        raise FirstStep


def first_step(config: Path, sets: tuple[str, ...] = ()) -> None:
    """Everything that `bpcli train` does until it has taken a step."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            runs.start(set_up(config, sets, new_run=True), Path(folder) / "run", [Stopper()]).run()
        except FirstStep:
            return


def peak() -> float:
    """MiB that this program had in memory at most. (`getrusage` also counts the program that started it.)"""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure(work: Callable[[], object]) -> None:
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    work()
    print(time.perf_counter() - began, time.process_time() - cpu, peak() - before)


def main() -> None:
    if sys.argv[1] == "loadtxt":
        texts: dict[int, dict[str, int]] = {int(column): {} for column in sys.argv[3:]}
        converters = {i: lambda cell, known=known: known.setdefault(cell, len(known)) for i, known in texts.items()}
        measure(lambda: np.loadtxt(sys.argv[2], delimiter=",", skiprows=1, converters=converters or None))
        return
    with tempfile.TemporaryDirectory() as folder:  # what is imported late is imported before the clock starts
        Path(folder, "small.csv").write_text("a,y\n1,0\n2,1\n")
        Path(folder, "small.yaml").write_text(SMALL)
        first_step(Path(folder, "small.yaml"))
    measure(lambda: first_step(Path(sys.argv[1]), tuple(sys.argv[2:])))


if __name__ == "__main__":
    main()
