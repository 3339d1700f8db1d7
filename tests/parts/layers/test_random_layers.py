"""Layers that take chance: how much, the same in either precision, new at every step, and each from its own stream."""

import itertools
from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array

ROWS = 400


def network(*layers: Any, dtype: Any = np.float64, seed: int = 0) -> Network:
    return Network(plan_network([Layer.parse(layer) for layer in layers], (5,)), ROWS, dtype, seed)


def of_ones(net: Network, step: int = 0, train: bool = True) -> Array:
    """What the network makes of rows of ones."""
    chain = net.chain(ROWS)
    chain.x[...] = 1
    net.draw(chain, step)
    chain.forward(train)
    return chain.y.copy()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_drops_its_share_and_scales_up_the_rest(rate: float, dtype: Any) -> None:
    y = of_ones(network({"type": "dropout", "rate": rate}, dtype=dtype), train=True)
    dropped = float((y == 0).mean())
    assert abs(dropped - rate) < 5 * np.sqrt(rate * (1 - rate) / y.size)
    assert np.allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("layer", [{"type": "dropout", "rate": 0.5}, {"type": "gaussian_noise", "stddev": 0.5}])
def test_steps_seeds_rows_and_columns_differ_and_precisions_do_not(layer: Any) -> None:
    y = of_ones(network(layer))
    assert np.allclose(y, of_ones(network(layer, dtype=np.float32)), rtol=1e-6, atol=1e-7)
    assert np.array_equal(y, of_ones(network(layer)))
    others = [of_ones(network(layer), step=1), of_ones(network(layer, seed=1)), y[::-1], y[:, ::-1]]
    for other in others:
        assert (y != other).mean() > 0.3
    assert len({row.tobytes() for row in y}) > 30  # dropout has 2^5 different rows
    assert np.array_equal(of_ones(network(layer), train=False), np.ones_like(y))


def test_noise_is_normal() -> None:
    z = (of_ones(network({"type": "gaussian_noise", "stddev": 0.25})) - 1) / 0.25
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = {1: 1, 2: 2, 3: 15, 4: 96}[power]  # variance of z^power
        assert abs((z**power).mean() - moment) < 5 * np.sqrt(spread / z.size)


BRANCH: list[Any] = [
    {"type": "dropout", "rate": 0.5},
    {"type": "dropout", "rate": 0.5},
    {"type": "residual", "layers": [{"type": "dropout", "rate": 0.5}, {"type": "dropout", "rate": 0.5}]},
]


def masks(net: Network, step: int = 0) -> dict[str, Array]:
    of_ones(net, step)
    return {
        bound.path: getattr(bound.frame, "m", getattr(bound.frame, "z", None)).copy()
        for bound in net.chain(ROWS).walk()
        if bound.plan.draws
    }


def test_layers_in_branches_have_streams_of_their_own() -> None:
    """Two in one branch, two in a branch of that branch, the same in a second container: no two draw the same, and
    nobody's chance depends on who else there is."""
    net = network({"type": "dropout", "rate": 0.5}, {"type": "residual", "layers": BRANCH},
                  {"type": "residual", "layers": BRANCH})  # fmt: skip
    found = masks(net)
    assert len(found) == 9
    for (_, a), (_, b) in itertools.combinations(found.items(), 2):
        assert 0.4 < (a != b).mean() < 0.6
    after = masks(net, step=1)
    assert all(0.4 < (found[path] != after[path]).mean() < 0.6 for path in found)
    longer = network({"type": "dropout", "rate": 0.5}, {"type": "residual", "layers": [*BRANCH, "tanh"]},
                     {"type": "residual", "layers": BRANCH}, {"type": "gaussian_noise"})  # fmt: skip
    for path, mask in masks(longer).items():
        assert path not in found or np.array_equal(mask, found[path])
