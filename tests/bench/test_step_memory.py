"""Memory of a training step of 784-128-10, batch 128, float32, Adam. Run: pytest -m bench -s tests/bench"""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network, working_bytes
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer, Loss, Optimizer

pytestmark = pytest.mark.bench

BATCH, ROWS = 128, 4096
SMALL = 64 * 1024  # bytes: Python objects, views, the alignment of blocks


def resident() -> int | None:
    """Bytes of this process in memory, where the system says."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_memory_of_a_step() -> None:
    """All that a training takes beside its data is in our own accounts, and a step takes nothing more."""
    rng = np.random.default_rng(0)
    x, y = rng.random((ROWS, 784), dtype=np.float32), rng.integers(0, 10, ROWS)
    layers = [{"type": "dense", "units": 128, "activation": "relu"}, {"type": "dense", "units": 10}]
    network_plan = plan_network([Layer.parse(layer) for layer in layers], (784,))
    loss, adam = Loss.parse("softmax_cross_entropy"), Optimizer.parse("adam")
    np.dot(x[:BATCH], x[:BATCH].T)  # BLAS takes its own memory once
    gc.collect()
    before = resident()
    tracemalloc.start()
    try:
        objective = Objective(network_plan, loss, BATCH, np.float32, 7)
        train_step = FirstOrderStep(objective, adam, None, 1000)
        batch = objective.batch(BATCH)
        gc.collect()
        built, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for k in range(20):
            batch.load(x, y, np.arange(k, k + BATCH))
            train_step.step(batch, k)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    after = resident()
    slots = sum(slot.nbytes for slot in train_step.slots.values())
    arena = objective.network.memory.nbytes
    accounts = {
        f"theta, {network_plan.size:,} parameters": objective.theta.nbytes,
        "gradient": objective.grad.nbytes,
        "what Adam remembers": slots,
        "arena: activations, gradients, scratch, loss": arena,
    }
    total = sum(accounts.values())
    print("\n784-128-10, batch 128, float32, Adam")
    for name, nbytes in {**accounts, "together": total}.items():
        print(f"  {name:<46}{nbytes / 1e6:8.3f} MB")
    print(f"  {'allocated after building (tracemalloc)':<46}{built / 1e6:8.3f} MB")
    print(f"  {'more while 20 steps are taken (tracemalloc)':<46}{(peak - built) / 1e6:8.3f} MB")
    print(f"  {'arena as planned before it is built':<46}{working_bytes(network_plan, BATCH, 4) / 1e6:8.3f} MB")
    if before is not None and after is not None:
        print(f"  {'growth of the process':<46}{(after - before) / 1e6:8.3f} MB")
    scratch = len(adam.scratch) * objective.theta.nbytes
    assert total <= built <= total + scratch + SMALL
    assert peak - built < SMALL
