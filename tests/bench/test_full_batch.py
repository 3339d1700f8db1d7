"""L-BFGS and Levenberg-Marquardt beside Adam: epochs (iterations) and seconds until the loss of the training rows has
come to a goal. Adam sees all rows too, with the best of five learning rates; a median over seeds.

Run: pytest -m bench -s tests/bench/test_full_batch.py
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from paths import CONFIGS

from bpcli.engine.full_batch import make_step
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Optimizer, Regularizer
from bpcli.family.plan import Array
from bpcli.studies.run.setup import set_up

pytestmark = pytest.mark.bench

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
SEEDS = range(7)
MOST = 20_000  # epochs


class Task(NamedTuple):
    x: Array
    t: Array
    layers: list[dict[str, Any]]
    penalty: Any
    goal: float


def tasks() -> dict[str, Task]:
    """A goal is what the best of all runs finds, and a little: 1e-4 of noise-free data, 1 % above the minimum of
    noisy."""
    x = np.linspace(-3, 3, 60)[:, None]
    diabetes = set_up(CONFIGS / "diabetes.yaml", ["dtype=float64"]).prepared.splits["train"]
    article = set_up(CONFIGS / "article.yaml").prepared.splits["train"]
    hidden = [{"type": "dense", "units": 8, "activation": "tanh"}, {"type": "dense", "units": 1}]
    one = [{"type": "dense", "units": 1, "activation": "sigmoid"}] * 2
    return {
        "sine": Task(x, np.sin(2 * x), hidden, None, 1e-4),
        "diabetes": Task(diabetes.x, diabetes.t, hidden, {"type": "l2", "strength": 0.1}, 0.535),
        "article": Task(article.x, article.t, one, None, 0.01),
    }


def until_the_goal(task: Task, optimizer: Any, seed: int) -> tuple[float, float]:
    """Epochs and seconds, or inf."""
    penalty = None if task.penalty is None else Regularizer.parse(task.penalty)
    network_plan = plan_network([Layer.parse(layer) for layer in task.layers], task.x.shape[1:], penalty)
    objective = Objective(network_plan, Loss.parse("mean_squared_error"), len(task.x), np.float64, seed)
    d, batch = make_step(objective, Optimizer.parse(optimizer), None, MOST), objective.batch(len(task.x))
    batch.load(task.x, task.t, np.arange(len(task.x)))
    began = time.perf_counter()
    for k in range(MOST):
        d.step(batch, k)
        if d.loss + d.penalty <= task.goal:
            return k + 1, time.perf_counter() - began
        if d.ended:
            break
    return math.inf, math.inf


def median(task: Task, optimizer: Any) -> tuple[float, float, int]:
    """Over the seeds, and how many of them came there."""
    found = [until_the_goal(task, optimizer, seed) for seed in SEEDS]
    epochs, seconds = (statistics.median(column) for column in zip(*found, strict=True))
    return epochs, seconds, sum(math.isfinite(e) for e, _ in found)


@pytest.mark.parametrize("name", ["sine", "diabetes", "article"])
def test_epochs_and_seconds_beside_adam(name: str) -> None:
    task = tasks()[name]
    adams = {rate: median(task, {"type": "adam", "learning_rate": rate}) for rate in RATES}
    best = min(adams, key=lambda rate: adams[rate][:2])
    rows = {f"adam {best:g}": adams[best], "lbfgs": median(task, "lbfgs"),
            "levenberg_marquardt": median(task, "levenberg_marquardt")}  # fmt: skip
    print(f"\n{name}: {len(task.x)} rows, to a loss of {task.goal:g}")
    for kind, (epochs, seconds, there) in rows.items():
        print(f"  {kind:<20} {epochs:>8,.0f} epochs {seconds:9.4f} s   {there} of {len(SEEDS)} seeds")
    (epochs, *_), *searches = rows.values()
    assert all(found[0] < epochs and found[2] == len(SEEDS) for found in searches)
