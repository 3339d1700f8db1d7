"""Networks as a file spells them, planned and in memory, for the tests of the engine."""

from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Chain, Network
from bpcli.engine.network_plan import NetworkPlan, plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.plan import Array

PLAIN = ["relu", "tanh", "sigmoid", "softplus", "gelu", "softmax", "identity"]


def dense(units: int, **more: object) -> dict[str, object]:
    return {"type": "dense", "units": units, **more}


def residual(*layers: object, **more: object) -> dict[str, object]:
    return {"type": "residual", "layers": list(layers), **more}


def dropout(rate: float = 0.5, **more: object) -> dict[str, object]:
    return {"type": "dropout", "rate": rate, **more}


def parsed(layers: Any) -> list[Layer]:
    return [Layer.parse(layer) for layer in layers]


def plan(*layers: object, x: tuple[int, ...] = (3,), penalty: Regularizer | None = None) -> NetworkPlan:
    return plan_network(parsed(layers), x, penalty)


def network(*layers: object, x: tuple[int, ...] = (3,), rows: int = 5, seed: int = 1, **more: Any) -> Network:
    dtype = more.pop("dtype", np.float64)
    return Network(plan(*layers, x=x), rows, dtype, seed, **more)


def objective(
    *layers: object, x: tuple[int, ...] = (3,), loss: Any = "mean_squared_error", rows: int = 5, seed: int = 1,
    penalty: Any = None, **more: Any,
) -> Objective:  # fmt: skip
    dtype = more.pop("dtype", np.float64)
    under = None if penalty is None else Regularizer.parse(penalty)
    return Objective(plan(*layers, x=x, penalty=under), Loss.parse(loss), rows, dtype, seed, **more)


def fill(net: Network, seed: int = 0, scale: float = 0.7) -> None:
    """Random parameters, biases too, the same for every network of this layout."""
    net.theta[...] = np.random.default_rng(seed).normal(size=net.theta.shape) * scale


def run(net: Network, n: int, seed: int = 0, step: int = 3) -> tuple[Chain, Array]:
    """One training pass on `n` random rows under a random upstream gradient; the chain and that gradient."""
    rng = np.random.default_rng([seed, n])
    chain = net.chain(n)
    chain.x[...] = rng.normal(size=chain.x.shape)
    upstream = rng.normal(size=chain.y.shape).astype(net.dtype)
    net.draw(chain, step)
    chain.forward(True)
    chain.dy[...] = upstream
    chain.backward(True)
    return chain, upstream
