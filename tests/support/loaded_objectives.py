"""An objective with a batch that has gone forward, parts without equations, and slopes by complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Layer, Loss, Regularizer

RNG = np.random.default_rng(7)
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
LAYERS: tuple[Any, ...] = ({"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 2})
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 3, "activation": "tanh"}]}
PENALTY = Regularizer.parse({"type": "l2", "strength": 0.3})


def loaded(
    *layers: Any, loss: str = "squared_error", penalty: Regularizer | None = None, x: Array = X, t: Array = T
) -> tuple[Objective, Batch]:
    network_plan = plan_network([Layer.parse(layer) for layer in layers or LAYERS], x.shape[1:], penalty)
    objective = Objective(network_plan, Loss.parse(loss), len(x), np.float64, 0, retain=True, need_dx=True)
    batch = objective.batch(len(x))
    batch.load(x, t, np.arange(len(x)))
    batch.forward(True)
    return objective, batch


def without_equations(monkeypatch: pytest.MonkeyPatch, part: type) -> None:
    monkeypatch.setattr(part, "equations", lambda self, *args: ())


def of_step(value: Any, at: Array, index: tuple[int, ...]) -> float:
    """A derivative by a complex step."""
    z = at.astype(complex)
    z[index] += 1e-30j
    return float(np.imag(value(z))) / 1e-30
