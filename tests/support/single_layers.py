"""One layer that is planned and given inputs by itself, and kernels that are changed behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.family import Frame, Layer
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, SingleLayer

DENSE = {"type": "dense", "units": 3}
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 4, "activation": "tanh"}]}
TOKENS = {"type": "embedding", "tokens": 5, "units": 3}
DROPOUT = {"type": "dropout", "rate": 0.5}


def planned(layer: Any, x: tuple[int, ...] = (4,)) -> PlannedLayer:
    return plan_network([Layer.parse(layer)], x).layers[0]


def single(
    layer: Any, rows: int = 12, dtype: Any = np.float64, x: tuple[int, ...] = (4,)
) -> tuple[SingleLayer, LayerInputs]:
    found = SingleLayer(planned(layer, x), rows, dtype)
    inputs = found.inputs(rows, 0)
    found.take_weights(inputs)
    return found, inputs


def behind(monkeypatch: pytest.MonkeyPatch, part: type, method: str, edit: Callable[..., Any]) -> None:
    right = getattr(part, method)

    def wrong(self: Any, f: Frame, *train: bool) -> Any:
        value = right(self, f, *train)
        edit(f, *train)
        return value

    monkeypatch.setattr(part, method, wrong)
