"""What a training costs by how many threads BLAS has: its own number, one, and as bpcli sets them; on an idle machine
and beside as many processes that compute as there are cores.

    pytest -m bench -s tests/bench/test_threads.py
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from machine import machine
from paths import ROOT

pytestmark = pytest.mark.bench

ROUNDS = 5
PROCESSOR = 1.4  # times one thread's processor, at most, where bpcli leaves threads out: its own, and noise
WALL = 1.25  # times as long as with BLAS's own threads, at most, on an idle machine
UNSET = "import bpcli.engine.network as n; n.fit_threads = lambda macs: None; from bpcli.__main__ import main; main()"
SETTINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    "BLAS's default": (["-c", UNSET], {"OPENBLAS_THREAD_TIMEOUT": "26"}),
    "one thread": (["-m", "bpcli"], {"OPENBLAS_NUM_THREADS": "1"}),
    "as it is": (["-m", "bpcli"], {}),
}
NETS = {  # inputs, rows, hidden units, batch, epochs, and whether threads are left out
    "dense 128, 64, 10 of 8 inputs, 128 rows": (8, 5000, (128, 64), 128, 30, True),
    "dense 128, 10 of 784 inputs, 128 rows": (784, 8000, (128,), 128, 12, True),
    "dense 512, 10 of 784 inputs, 512 rows": (784, 8000, (512,), 512, 5, False),
}


def config(folder: Path, inputs: int, rows: int, hidden: tuple[int, ...], batch: int, epochs: int) -> Path:
    """A config in the folder, and its data."""
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.normal(size=(rows, inputs)).astype(np.float32), t=rng.integers(0, 10, rows))
    layers = "".join(f"  - {{type: dense, units: {units}, activation: relu}}\n" for units in hidden)
    file = folder / "net.yaml"
    file.write_text(
        "data: {train: {type: npz, path: data.npz, inputs: x, targets: t}}\n"
        f"architecture:\n{layers}  - {{type: dense, units: 10}}\n"
        "loss: softmax_cross_entropy\noptimizer: adam\n"
        f"training: {{epochs: {epochs}, batch_size: {batch}}}\n"
    )
    return file


@contextmanager
def loops(count: int) -> Iterator[None]:
    """So many processes that compute, meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def trained(file: Path, setting: str) -> tuple[float, float]:
    """Seconds, and seconds of the processor, that a training takes in a process of its own."""
    words, environment = SETTINGS[setting]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *words, "train", str(file), "--out", str(file.parent / str(began))]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("beside", [0, os.cpu_count() or 1])
@pytest.mark.parametrize("net", NETS)
def test_what_a_training_costs(tmp_path: Path, net: str, beside: int) -> None:
    *sizes, alone = NETS[net]
    file = config(tmp_path, *sizes)  # type: ignore[arg-type]
    found: dict[str, list[tuple[float, float]]] = {setting: [] for setting in SETTINGS}
    with loops(beside):
        for _ in range(ROUNDS):
            for setting in SETTINGS:
                found[setting].append(trained(file, setting))
    wall, processor = ({s: statistics.median(r[k] for r in runs) for s, runs in found.items()} for k in (0, 1))
    print(f"\n{machine()[0]}; {net}; beside {beside} processes: seconds, seconds of the processor (largest)")
    for s, runs in found.items():
        print(f"  {s}: {wall[s]:.2f}; {processor[s]:.2f} ({max(r[1] for r in runs):.1f})")
    if alone:
        assert processor["as it is"] <= PROCESSOR * processor["one thread"]
    if not beside:
        assert wall["as it is"] <= WALL * wall["BLAS's default"]
