"""Steps that are told once and done many times, and the notebook of a frame they are kept in."""

from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Frame
from bpcli.numeric import steps, threads
from bpcli.numeric.steps import Steps, done_in_blocks, done_in_chunks


@pytest.mark.parametrize("view", ["x", "y", "dx", "dy"])
def test_another_view_is_another_notebook(view: str) -> None:
    f = Frame(x=np.zeros(3), y=np.zeros(3), dx=np.zeros(3), dy=np.zeros(3))
    f.notes("forward")["a"] = 1
    f.x[...] = 5  # what stands in it is not noted
    assert f.notes("forward") == {"a": 1}
    assert f.notes("backward") == {}
    setattr(f, view, getattr(f, view).copy())
    assert f.notes("forward") == {}


LAYERS: list[Any] = [
    {"type": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
    {"type": "conv2d", "filters": 2, "kernel": 2, "stride": 3, "groups": 2},
    {"type": "conv_transpose2d", "filters": 3, "kernel": 3, "stride": 2},
    {"type": "conv2d", "filters": 4, "kernel": 3, "groups": 4},
]


@pytest.mark.parametrize("layer", LAYERS)
def test_dx_is_there_again_after_nobody_asked_for_it(layer: Any) -> None:
    """What was noted for a backward without dx does not serve one with it."""
    net = Network(plan_network([Layer.parse(layer)], (7, 6, 4)), 5, np.float64, 0, need_dx=True)
    chain = net.chain(5)
    (link,), rng = chain.layers, np.random.default_rng(0)
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
    link.frame.dx = None
    chain.dx[...] = 7
    assert np.array_equal(gradients(), expected)
    assert (chain.dx == 7).all()
    link.frame.dx = chain.dx
    assert np.array_equal(gradients(), expected)
    assert np.array_equal(chain.dx, dx)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 3, 4, 9])
@pytest.mark.parametrize("worth", [0, 1 << 60])
def test_blocks_are_every_row_once(worth: int, rows: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: workers)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", worth)
    monkeypatch.setattr(steps, "MIN_PARALLEL_MACS", worth)
    monkeypatch.setattr(steps, "BLOCK", 10)
    a, told = np.zeros(rows), []
    notes: dict[Any, Steps] = {}

    def tell(do: Steps, part: slice) -> None:
        told.append(part)
        do(np.add, a[part], 1, out=a[part])

    for k in range(3):
        done_in_blocks(notes, tell, np.zeros((rows, 5)))  # two rows a block
        assert (a == k + 1).all()
    assert sorted(i for part in told for i in range(part.start, part.stop)) == list(range(rows)), "told once"


def test_lanes_of_more_threads_are_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each thread has memory of its own."""
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    notes: dict[Any, Steps] = {}
    workers_of: list[int] = []
    for workers in (1, 4, 1):
        monkeypatch.setattr(threads, "thread_count", lambda: workers)  # noqa: B023
        done_in_chunks(notes, lambda do, chunk: do(workers_of.append, chunk.thread), 1)
    assert sorted(workers_of) == [0] * 9 + [1, 2, 3]
    assert len(notes) == 7, "chunk 0 of the first thread is the same in all"
