"""PyTorch as a peer of trainings of image networks, 50 steps in float64: pools of odd sizes, strides and leftover rows,
normalization with its running statistics, branches with projections, embeddings; batches of one among them."""

from typing import Any

import numpy as np
import pytest
from beside_torch import Race
from beside_torch import _double as _double  # as there: torch's default type
from torch_twin import LAYERS

from bpcli.family import Layer


def pool(kind: str, size: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "size": size, **more}


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **more}


def residual(layers: list[Any], projection: list[Any]) -> dict[str, Any]:
    return {"type": "residual", "layers": layers, "projection": projection}


END: list[Any] = ["flatten", dense(3)]
GAINS: list[Any] = [{"type": "group_norm", "groups": 1}, "tanh"]  # learned before the pool, so that its dx is seen
MOVED: list[Any] = [{"type": "zero_pad", "padding": [[1, 0], [0, 2]]}, {"type": "upsample", "factor": [2, 3]},
                    {"type": "spatial_dropout", "rate": 0.3}, {"type": "reshape", "shape": [-1, 6]}]  # fmt: skip
INNER = residual([dense(4), "gelu"], [dense(4)])
NETS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "leftover": ([*GAINS, "max_pool2d", "batch_norm", "tanh", *END], (7, 9, 2)),
    "overlapping": ([*GAINS, pool("max_pool2d", 3, stride=2, padding=1), "layer_norm", *END], (7, 6, 5)),
    "stride 3": ([*GAINS, pool("max_pool2d", [2, 3], stride=[3, 1]), *END], (8, 5, 3)),
    "same": ([*GAINS, pool("max_pool2d", 3, stride=2, padding="same"), "batch_norm", *END], (6, 5, 2)),
    "average": ([*GAINS, pool("avg_pool2d", 3, stride=2, padding=1), "batch_norm", *END], (8, 7, 2)),
    "global": ([*GAINS, "global_max_pool", dense(3)], (5, 3, 4)),
    "groups": ([{"type": "group_norm", "groups": 2}, "gelu", *MOVED, "layer_norm", "global_avg_pool", dense(3)],
               (3, 4, 6)),
    "projection": ([*GAINS, residual(["max_pool2d", "batch_norm", "tanh"],
                                     ["avg_pool2d", {"type": "group_norm", "groups": 2}]), *END], (6, 7, 2)),
    "nested": ([residual([dense(6), "tanh", INNER, dense(6)], [dense(6, bias=False)]), "tanh", dense(3)], (5,)),
    "embedding": ([{"type": "embedding", "tokens": 11, "units": 4}, "layer_norm",
                   {"type": "spatial_dropout", "rate": 0.2}, "global_max_pool", "tanh", dense(3)], (7,)),
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("layers", "shape"), NETS.values(), ids=NETS)
def test_fifty_steps(layers: list[Any], shape: tuple[int, ...], optimizer: str) -> None:
    """Losses, weights and running statistics; every tenth batch has one row."""
    race = Race(layers, "softmax_cross_entropy", optimizer, shape=shape)
    start = race.objective.theta.copy()
    for k in range(50):
        race.step(k, short=1)
        assert race.total_gap < 1e-9
        assert race.gap() < 1e-9
    assert np.abs(race.objective.theta - start).max() > 0.01, "they went somewhere"
    for path, state in race.objective.network.states.items():
        assert np.allclose(state, race.twin.states[path].numpy(), rtol=0, atol=1e-9), path
        assert np.abs(state - path.endswith("rvar")).max() > 1e-3, "it went somewhere"


@pytest.mark.peers
def test_every_layer_of_an_image_is_in_a_race() -> None:
    """What is new stands in one of the networks above."""
    raced = {Layer.parse(part).kind for layers, _ in NETS.values() for part in layers}
    inside = {"max_pool2d", "avg_pool2d"}
    own = {"max_pool2d", "avg_pool2d", "global_max_pool", "global_avg_pool", "upsample", "zero_pad", "reshape",
           "group_norm", "embedding", "spatial_dropout", "residual"}  # fmt: skip
    assert own <= raced | inside
    assert own <= LAYERS.keys()
