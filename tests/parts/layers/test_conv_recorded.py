"""Calls that a convolution records once and does many times, and what they are kept by."""

from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Frame
from bpcli.numeric import threads
from bpcli.numeric.threads import Chunk, run_together
from bpcli.parts.layers.conv.recorded import RecordedCalls, recorded_work


@pytest.mark.parametrize("view", ["x", "y", "dx", "dy"])
def test_another_view_is_recorded_anew(view: str) -> None:
    f = Frame(x=np.zeros(3), y=np.zeros(3), dx=np.zeros(3), dy=np.zeros(3))
    recorded: list[int] = []

    def work(name: str) -> None:
        run_together((recorded_work(f, name, lambda _, chunk: recorded.append(chunk.number), 1, lambda: None),))

    work("forward")
    f.x[...] = 5  # what stands in it is not recorded
    work("forward")
    assert recorded == [0, 1, 2, 3]
    work("backward")
    assert recorded == [0, 1, 2, 3] * 2
    setattr(f, view, getattr(f, view).copy())
    work("forward")
    assert recorded == [0, 1, 2, 3] * 3


LAYERS: list[Any] = [
    {"type": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
    {"type": "conv2d", "filters": 2, "kernel": 2, "stride": 3, "groups": 2},
    {"type": "conv_transpose2d", "filters": 3, "kernel": 3, "stride": 2},
    {"type": "conv2d", "filters": 4, "kernel": 3, "groups": 4},
]


@pytest.mark.parametrize("layer", LAYERS)
def test_dx_is_there_again_after_nobody_asked_for_it(layer: Any) -> None:
    """What was recorded for a backward without dx does not serve one with it."""
    net = Network(plan_network([Layer.parse(layer)], (7, 6, 4)), 5, np.float64, 0, need_dx=True)
    chain = net.chain(5)
    (bound,), rng = chain.layers, np.random.default_rng(0)
    chain.x[...] = rng.normal(size=chain.x.shape)
    upstream = rng.normal(size=chain.dy.shape)

    def gradients() -> np.ndarray:
        net.grad[...] = np.nan
        chain.forward(True)
        chain.dy[...] = upstream
        chain.backward(True)
        return net.grad.copy()

    assert chain.dx is not None
    expected, dx = gradients(), chain.dx.copy()
    bound.frame.dx = None
    chain.dx[...] = 7
    assert np.array_equal(gradients(), expected)
    assert (chain.dx == 7).all()
    bound.frame.dx = chain.dx
    assert np.array_equal(gradients(), expected)
    assert np.array_equal(chain.dx, dx)


def test_chunks_of_more_threads_are_recorded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each thread has memory of its own."""
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    f = Frame(x=np.zeros(3), y=np.zeros(3), dx=None, dy=None)
    threads_of: list[int] = []

    def record(calls: RecordedCalls, chunk: Chunk) -> None:
        calls(threads_of.append, chunk.thread)

    for count in (1, 4, 1):
        monkeypatch.setattr(threads, "thread_count", lambda: count)  # noqa: B023
        run_together((recorded_work(f, "forward", record, 1, lambda: None),))
    assert sorted(threads_of) == [0] * 9 + [1, 2, 3]
    assert len(f.recorded[1]["forward"]) == 7, "chunk 0 of the first thread is the same in all"
