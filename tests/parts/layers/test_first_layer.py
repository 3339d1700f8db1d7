"""Which layers leave out the gradient of their input where nobody asks for it, and words of equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from registry import good

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.notation import Eq
from bpcli.parts.layers.conv import transpose

FIRST = {name: s for name, s in good() if isinstance(s.part, Layer) and s.part.kind in Layer.registry}
LEARNING = {"dense", "conv1d", "conv2d", "conv_transpose2d", "embedding", "group_norm", "layer_norm", "batch_norm"}


@pytest.mark.parametrize("name", FIRST)
def test_a_layer_that_learns_computes_no_gradient_of_the_rows(name: str) -> None:
    """Of the first layer nobody needs it. Layers that learn nothing write it whoever asks."""
    sample = FIRST[name]
    plan = sample.part.plan(sample.x)
    learns = bool(plan.params) if sample.part.kind == "formula" else sample.part.kind in LEARNING
    assert plan.skips_dx == learns
    if plan.skips_dx and plan.params:
        assert Network(plan_network([sample.part], sample.x), 3, np.float64, 0).chain(3).dx is None


def test_without_the_gradient_of_its_input_a_transposed_convolution_counts_half_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By what it counts it is decided whether threads are worth it."""
    layer = Layer.parse({"type": "conv_transpose2d", "filters": 3, "kernel": 3})
    counted: list[int] = []
    monkeypatch.setattr(transpose, "run_together", lambda works: counted.append(works[0].macs))
    for need_dx in (False, True):
        net = Network(plan_network([layer], (6, 6, 2)), 4, np.float64, 0, need_dx=need_dx)
        layer.backward(net.chain(4).layers[0].frame, True)
    assert counted[1] == 2 * counted[0] > 0


def words(layer: Any, x: tuple[int, ...], name: str) -> str:
    found = [eq for eq in Layer.parse(layer).equations(True, x) if eq.left.partition("[")[0] == name]
    assert isinstance(found[0], Eq)
    return found[0].why


def test_a_mean_of_a_window_says_what_padding_counts_as() -> None:
    pool = {"type": "avg_pool2d", "size": 2}
    assert words(pool, (4, 4, 1), "y") == "the mean of the window"
    assert words({**pool, "padding": 1}, (4, 4, 1), "y") == "the mean of the window; padding counts as 0"
