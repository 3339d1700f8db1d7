"""A layer whose kernels are called in the orders that a training calls them in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from single_layers import DENSE, behind, single

from bpcli.family import Frame
from bpcli.parts.layers.dense import Dense
from bpcli.studies.gradcheck.layer_laws.call_orders import ORDERS, _Calls
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs

CALLS = {
    "alone": "F12 B12",
    "forward twice": "F12 F12 B12",
    "another batch": "F12 B12 f12 b12 F12 B12",
    "another size": "f11 b11 f1 b1 F12 B12",
    "another mode": "f12! F12 B12",
    "backward twice": "F12 b12 B12",
    "another layer": "F12 f12 b12 B12",
}
"""What the engine does, in order: F forward and B backward of the batch, f and b of another, on so many rows; ! in the
other mode."""


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_calls(order: str, train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    def ran(letter: str) -> Callable[..., None]:
        def edit(f: Frame, mode: bool) -> None:
            mine = f.x[0, 0] == inputs.x[0, 0] if letter == "F" else f.dy[0, 0] == inputs.dy[0, 0]
            log.append(f"{letter if mine else letter.lower()}{len(f.x)}{'' if mode is train else '!'}")

        return edit

    behind(monkeypatch, Dense, "forward", ran("F"))
    behind(monkeypatch, Dense, "backward", ran("B"))
    layer, inputs = single(DENSE)
    others = LayerInputs(inputs.x[::-1].copy(), inputs.dy[::-1].copy(), inputs.theta, inputs.states, inputs.draws)
    second, _ = single(DENSE)
    found = ORDERS[order](_Calls(layer, second, inputs, others, 12, train))
    assert " ".join(log) == CALLS[order]
    w = layer.network.parameters()["dense_1.W"]
    np.testing.assert_allclose(found["dx"], inputs.dy @ w.T)
    np.testing.assert_allclose(found["db"], inputs.dy.sum(0))
    np.testing.assert_allclose(found["y"], inputs.x @ w + layer.network.parameters()["dense_1.b"])
