"""PyTorch as a peer of trainings of convolutional networks, 50 steps in float64.

Odd sizes, strides of 2 and 3, leftover rows, dilation, groups, uneven `same`, batches of one. Single layers are in
test_parts.py, at the samples of the laws.
"""

from typing import Any

import numpy as np
import pytest
from beside_torch import Race
from beside_torch import _double as _double  # as there: torch's default type


def conv(filters: int, kernel: Any, kind: str = "conv2d", **more: Any) -> dict[str, Any]:
    return {"type": kind, "filters": filters, "kernel": kernel, "activation": "tanh", **more}


def back(filters: int, kernel: Any, **more: Any) -> dict[str, Any]:
    return conv(filters, kernel, "conv_transpose2d", **more)


def series(filters: int, kernel: int, **more: Any) -> dict[str, Any]:
    return conv(filters, kernel, "conv1d", **more)


FIRST = conv(3, 3, padding="same")  # learns, so that the dx of what follows is seen
END: list[Any] = ["flatten", {"type": "dense", "units": 3}]
NETS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "odd sizes": ([FIRST, conv(4, [3, 2]), *END], (7, 5, 2)),
    "stride 2": ([FIRST, conv(4, 3, stride=2, padding=1), *END], (9, 6, 1)),
    "stride 3, leftovers": ([FIRST, conv(4, 2, stride=3), *END], (9, 7, 2)),
    "uneven same": ([conv(3, 2, padding="same"), conv(2, 3, stride=2, padding="same"), *END], (8, 5, 2)),
    "dilation": ([FIRST, conv(4, 3, dilation=2, padding=2), conv(2, 2, dilation=[1, 3], stride=2), *END], (7, 8, 1)),
    "groups": ([conv(6, 3, padding="same"), conv(4, 3, groups=2), *END], (6, 5, 2)),
    "depthwise, pointwise": ([conv(5, 1), conv(5, 3, groups=5, stride=2, padding=1), conv(4, 1), *END], (7, 6, 3)),
    "two filters a channel": ([FIRST, conv(6, 3, groups=3, bias=False), *END], (5, 6, 2)),
    "pooled": ([conv(4, 3, padding="same"), "max_pool2d", "batch_norm", conv(3, 3), "global_avg_pool",
                {"type": "dense", "units": 3}], (9, 8, 1)),
    "strips": ([FIRST, conv(4, 3, padding="same"), conv(3, [3, 4], dilation=[2, 1]), "max_pool2d", "batch_norm", *END],
               (17, 13, 3)),
    "there and back": ([conv(4, 3, stride=2), back(3, 3, stride=2, padding=1, output_padding=1), *END], (7, 9, 2)),
    "back with gaps": ([FIRST, back(2, 2, stride=3), *END], (3, 4, 2)),
    "back to the same": ([FIRST, back(2, [4, 3], stride=[2, 3], padding="same"), back(2, 3, dilation=2), *END],
                         (3, 2, 1)),
    "series": ([series(4, 3, padding="same"), series(3, 3, stride=2, dilation=2), *END], (11, 2)),
    "series in groups": ([series(4, 2, padding="same"), series(6, 3, groups=2, stride=3, padding=1), *END], (9, 3)),
    "series, depthwise": ([series(4, 4), series(4, 3, groups=4, padding=1), series(3, 1), *END], (10, 1)),
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
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
