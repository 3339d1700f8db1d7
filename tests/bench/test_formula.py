"""Training steps with parts that a file states, against the same network of built-in parts, in one process and in turn.

    pytest -m bench -s tests/bench/test_formula.py

784-128-10, batches of 128, float32, softmax cross-entropy, Adam. The bars are those that formula parts were built to:
an activation at least half as fast, a dense layer at least 0.8.
"""

import statistics
from typing import Any

import numpy as np
import pytest
from machine import machine, on_threads
from timing import ratio, seconds_each

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer, Loss, Optimizer

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("ignore")]

ROUNDS, SLICE = 15, 0.05  # seconds
BATCH = 128
SILU = {"type": "formula", "y": "x / (1 + exp(-x))"}
SIGMOID_SILU = {"type": "formula", "y": "x * sigmoid(x)"}


def dense(units: int, activation: Any = None) -> Any:
    return {"type": "dense", "units": units, **({"activation": activation} if activation else {})}


def stated(units: int) -> Any:
    """A dense layer as a formula."""
    params = {
        "W": {"shape": ["i", units], "init": "glorot_uniform", "decays": True},
        "b": {"shape": [units], "init": "zeros"},
    }
    return {"type": "formula", "equations": ["y[n,o] = sum(i, x[n,i] * W[i,o]) + b[o]"], "params": params}


NETWORKS: dict[str, tuple[list[Any], list[Any], float]] = {
    "silu as x * sigmoid(x)": ([dense(128, SIGMOID_SILU), dense(10)], [dense(128, "silu"), dense(10)], 0.5),
    "silu as x / (1 + exp(-x))": ([dense(128, SILU), dense(10)], [dense(128, "silu"), dense(10)], 0.5),
    "tanh": ([dense(128, {"type": "formula", "y": "tanh(x)"}), dense(10)], [dense(128, "tanh"), dense(10)], 0.5),
    "both dense layers": ([stated(128), "relu", stated(10)], [dense(128), "relu", dense(10)], 0.8),
}


def steps(layers: list[Any]) -> Any:
    """A function that makes training steps of a network."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6_000, 784), dtype=np.float32), rng.integers(0, 10, 6_000)
    batches = [rng.permutation(len(x))[:BATCH] for _ in range(40)]
    network_plan = plan_network([Layer.parse(layer) for layer in layers], (784,))
    objective = Objective(network_plan, Loss.parse("softmax_cross_entropy"), BATCH, np.float32, 7)
    train_step = FirstOrderStep(objective, Optimizer.parse("adam"), None, 1_000_000)
    done = 0

    def work(n: int) -> None:
        nonlocal done
        with on_threads(1), np.errstate(all="ignore"):
            for _ in range(n):
                batch = objective.batch(BATCH)
                batch.load(x, y, batches[done % len(batches)])
                train_step.step(batch, done)
                done += 1

    return work


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_with_formulas(name: str) -> None:
    by_formula, built_in, bar = NETWORKS[name]
    times = seconds_each({"formula": steps(by_formula), "built in": steps(built_in)}, ROUNDS, SLICE)
    found = ratio(times["built in"], times["formula"])
    each = {kind: statistics.median(seconds) * 1e6 for kind, seconds in times.items()}
    print(f"\n784-128-10, batch {BATCH}, float32, 1 thread; {machine()[0]}")
    print(f"  {name}: {each['formula']:.0f} us by formula, {each['built in']:.0f} us built in: {found:.2f} (bar {bar})")
    assert found >= bar
