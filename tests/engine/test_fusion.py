"""Kernels that are done together give what they give one after the other, on any number of threads."""

from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine import fusion
from bpcli.engine.network import Chain, Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array, Frame
from bpcli.numeric import steps, threads
from bpcli.parts.activations.piecewise import Relu

CONV = {"type": "conv2d", "kernel": 3, "padding": "same", "activation": "relu"}
LAYERS: list[Any] = [
    {**CONV, "filters": 5},
    "max_pool2d",
    {**CONV, "filters": 7, "kernel": 2, "stride": 3, "padding": "valid"},  # pixels nobody sees
    {"type": "residual", "layers": [{**CONV, "filters": 7}, {"type": "max_pool2d", "size": 3, "stride": 1,
                                                             "padding": 1}]},
    "relu",
    {"type": "avg_pool2d", "size": 2, "padding": "same"},
    {"type": "conv_transpose2d", "filters": 3, "kernel": 3, "stride": 2, "activation": "relu"},
    "flatten",
    {"type": "dense", "units": 3, "activation": "relu"},
]  # fmt: skip


def chain_of(rows: int) -> tuple[Network, Chain]:
    net = Network(
        plan_network([Layer.parse(layer) for layer in LAYERS], (20, 17, 2)), rows, np.float32, 0, need_dx=True
    )
    return net, net.chain(rows)


def passed(rows: int, times: int = 1) -> list[Array]:
    """Outputs and all gradients of a batch of noise, the last of several times."""
    net, chain = chain_of(rows)
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
    for i in range(times):
        chain.x[...] = x if i == times - 1 else -2 * x
        chain.forward(True)
        chain.dy[...] = dy if i == times - 1 else 3 * dy
        chain.backward(True)
    assert chain.dx is not None
    return [chain.y.copy(), chain.dx.copy(), net.grad.copy()]


def sizes(chain: Chain) -> list[list[int]]:
    """How many kernels are done at a time."""
    both = (chain._forward, chain._backward)
    return [[len(k.kernels) if isinstance(k, fusion.Group) else 1 for k, _ in found] for found in both]


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 33])
def test_together_is_one_after_the_other(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many times, for a thread that is ahead of another may only now and then find what it spoils."""
    with monkeypatch.context() as apart:
        apart.setattr(fusion, "LONGEST", 1)
        apart.setattr(threads, "thread_count", lambda: 1)
        assert {size for found in sizes(chain_of(rows)[1]) for size in found} == {1}
        expected = passed(rows)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    monkeypatch.setattr(steps, "MIN_PARALLEL_MACS", 0)
    for count in (1, 2, 3, 4):
        monkeypatch.setattr(threads, "thread_count", lambda: count)  # noqa: B023
        for times in (1, 2, 30):
            for a, b in zip(passed(rows, times), expected, strict=True):
                assert np.array_equal(a, b)


def test_what_is_together() -> None:
    """Convolution, activation and pool; never two that need the same scratch, nor a container or a dense layer."""
    forward, backward = sizes(chain_of(8)[1])
    assert forward[:3] == [3, 2, 1]  # conv relu pool, conv relu, residual
    assert sum(forward) == sum(backward) == 13
    assert max(forward + backward) == 3
    assert {size for found in sizes(chain_of(threads.CHUNKS - 1)[1]) for size in found} == {1}


def test_a_kernel_of_one_s_own_is_done_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads its arrays when it is called: what comes before has to be done by then."""
    expected = passed(8)

    def backward(self: Relu, f: Frame, train: bool) -> None:
        f.dx[...] = f.dy * (f.y > 0)

    monkeypatch.setattr(Relu, "backward", backward)
    for a, b in zip(passed(8), expected, strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_what_fails_in_a_group_leaves_no_group_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    _, chain = chain_of(8)
    with monkeypatch.context() as broken:
        broken.setattr(steps, "_in_blocks", None)
        with pytest.raises(TypeError):
            chain.forward(True)
    assert steps._group.works is None
    chain.forward(True)
