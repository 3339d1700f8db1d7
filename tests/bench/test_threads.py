"""What a training costs beside two processes that compute, with BLAS's threads as bpcli sets them and with one.

    pytest -m bench -s tests/bench/test_threads.py

Before bpcli set them, the small net took 2 to 17 times the processor of one thread there, and 1.1 to 10 times as long.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import machine
from paths import ROOT

pytestmark = pytest.mark.bench

ROUNDS = 5
BAR = 1.4  # times one thread's processor: its own, and noise
CONFIG = """\
data: {train: {type: synthetic, shape: spirals, rows: 8000}}
architecture:
  - {type: dense, units: 128, activation: relu}
  - {type: dense, units: 64, activation: relu}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
optimizer: adam
training: {epochs: 20, batch_size: 128}
"""
SETTINGS = {"as it is": {}, "one thread": {"OPENBLAS_NUM_THREADS": "1"}}


@pytest.fixture
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def trained(config: Path, **environment: str) -> tuple[float, float]:
    """Seconds, and seconds of the processor, that a training takes in a process of its own."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "bpcli", "train", str(config), "--out", str(config.parent / str(began))]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, env={**os.environ, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("beside", ["nothing", "as many loops as cores"])
def test_a_small_net_costs_what_it_does_with_one_thread(
    tmp_path: Path, beside: str, request: pytest.FixtureRequest
) -> None:
    if beside != "nothing":
        request.getfixturevalue("busy")
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for _ in range(ROUNDS):
        for name, environment in SETTINGS.items():
            found[name].append(trained(config, **environment))
    wall, processor = ({n: statistics.median(r[k] for r in runs) for n, runs in found.items()} for k in (0, 1))
    print(f"\n{machine()[0]}; beside {beside}")
    for name in SETTINGS:
        print(f"  {name}: {wall[name]:.2f} s, {processor[name]:.2f} s of the processor")
    assert processor["as it is"] <= BAR * processor["one thread"]
