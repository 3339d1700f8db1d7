"""PyTorch as a peer of whole trainings: from the same weights, on the same batches, in float64."""

from typing import Any

import numpy as np
import pytest
from beside_torch import TRAINERS, Race
from beside_torch import _double as _double  # torch's default type

DENSE = [{"type": "dense", "units": 9}, {"type": "dense", "units": 7}]


def net(activation: str, *, units: int = 3) -> list[Any]:
    first, second = DENSE
    return [first, activation, second, activation, {"type": "dense", "units": units}]


def residual_net(activation: str) -> list[Any]:
    inner = {"type": "residual", "layers": [DENSE[0], activation, {"type": "dense", "units": 7}]}
    branch = {"type": "residual", "layers": [{"type": "dense", "units": 7}, activation, inner]}
    return [DENSE[1], activation, branch, {"type": "dropout", "rate": 0.2}, {"type": "dense", "units": 3}]


NETS: dict[str, tuple[list[Any], str]] = {
    "tanh, softmax_cross_entropy": (net("tanh"), "softmax_cross_entropy"),
    "sigmoid, softmax_cross_entropy": (net("sigmoid"), "softmax_cross_entropy"),
    "gelu, binary_cross_entropy": (net("gelu"), "binary_cross_entropy"),
    "softplus, binary_cross_entropy": (net("softplus", units=1), "binary_cross_entropy"),
    "tanh, mean_squared_error": (net("tanh"), "mean_squared_error"),
    "softmax, squared_error": (net("softmax"), "squared_error"),
    "residual, softmax_cross_entropy": (residual_net("gelu"), "softmax_cross_entropy"),
    "residual, mean_squared_error": (residual_net("tanh"), "mean_squared_error"),
}


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", TRAINERS)
@pytest.mark.parametrize(("layers", "loss"), NETS.values(), ids=NETS)
def test_whole_networks(layers: list[Any], loss: str, optimizer: str) -> None:
    """100 steps of smooth networks. Where rounding grows all the same (long first steps of rmsprop), the two may part
    by as much as two trainings of our own do whose first weights differ in the last bit: a loss, whose slopes are
    about 1, moves by no more than all weights together."""
    race, nudged = Race(layers, loss, optimizer), Race(layers, loss, optimizer)
    nudged.objective.theta *= 1 + np.finfo(np.float64).eps
    start = race.objective.theta.copy()
    allowed = 1e-10
    for k in range(100):
        race.step(k)
        nudged.step(k)
        allowed = max(allowed, float(np.abs(race.objective.theta - nudged.objective.theta).sum()))
        assert race.total_gap < allowed
    assert race.gap() < allowed < 1e-8
    assert np.abs(race.objective.theta - start).max() > 0.01, "they went somewhere"


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", TRAINERS)
def test_whole_networks_under_a_penalty(optimizer: str) -> None:
    """l2 on the weights and not on the biases, one layer's stronger, added to torch's loss."""
    layers: list[Any] = net("tanh")
    layers[2] = {**layers[2], "regularization": {"type": "l2", "strength": 0.5}}
    race = Race(layers, "softmax_cross_entropy", optimizer, {"type": "l2", "strength": 0.05})
    for k in range(100):
        race.step(k)
        assert race.total_gap < 1e-10
    assert race.gap() < 1e-10


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", TRAINERS)
def test_networks_with_kinks_step_by_step(optimizer: str) -> None:
    """relu's slope jumps: two right programs part ways there by rounding, so each step starts where torch stands."""
    race = Race(residual_net("relu"), "softmax_cross_entropy", optimizer)
    for k in range(100):
        race.step(k)
        assert race.gap() < 1e-12
        for path, w in race.objective.network.parameters().items():
            w[...] = race.twin.parameters[path].detach().numpy()


@pytest.mark.peers
def test_the_comparison_sees_a_wrong_network() -> None:
    """A check is trusted after it was seen to fail: a weight moved by 1e-8 stays seen."""
    race = Race(net("tanh"), "mean_squared_error", "sgd")
    race.objective.theta[3] += 1e-8
    for k in range(20):
        race.step(k)
    assert race.gap() > 1e-10
