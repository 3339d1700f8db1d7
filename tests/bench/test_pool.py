"""Pooling, and looking embeddings up, forward and backward, against PyTorch's fastest layout, in turn.

    pytest -m bench -s tests/bench/test_pool.py

float32, 64 images of 28 x 28 x 16 behind a relu, windows of 2 x 2. PyTorch has its images with the channels last, which
is several times as fast there as channels first. Against it on one thread pooling comes out at 0.7 to 0.9 (windows) and
1.0 to 1.5 (global), against two at 0.4 to 0.5 and 0.5 to 0.9: NumPy goes over runs of 16 channels, and to wake a
second thread costs a tenth of what there is to do. The bars are what has been reached, less noise.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from timing import ratio, seconds_each

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("ignore")]

ROUNDS, SLICE = 15, 0.03  # seconds
BATCH, SHAPE = 64, (28, 28, 16)
TOKENS, UNITS, STEPS = 5000, 64, 50


def ours(part: Any, x: Any, dy: Any) -> tuple[Callable[[int], None], Network]:
    network = Network(plan_network([Layer.parse(part)], x.shape[1:]), len(x), np.float32, 0, need_dx=True)
    chain = network.chain(len(x))
    chain.x[...] = x

    def work(n: int) -> None:
        for _ in range(n):
            chain.forward(True)
            chain.dy[...] = dy
            chain.backward(True)

    return work, network


def theirs(torch: Any, x: Any, dy: Any, layer: Callable[[Any], Any], leaf: Any, threads: int) -> Callable[[int], None]:
    def work(n: int) -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        for _ in range(n):
            leaf.grad = None
            layer(x).backward(dy)

    return work


def compared(title: str, mine: Callable[[int], None], peers: dict[str, Callable[[int], None]]) -> dict[str, float]:
    """How many times as fast ours is, against each."""
    times = seconds_each({"bpcli": mine, **peers}, ROUNDS, SLICE)
    found = {name: ratio(times[name], times["bpcli"]) for name in peers}
    print(f"\n{title}: bpcli {statistics.median(times['bpcli']) * 1e6:.0f} us")
    for name in peers:
        print(
            f"  {name:<40} {statistics.median(times[name]) * 1e6:7.0f} us, bpcli does {found[name]:.2f} times as many"
        )
    return found


@pytest.mark.parametrize(
    ("kind", "bar"),
    [("max_pool2d", 0.3), ("avg_pool2d", 0.35), ("global_avg_pool", 0.5), ("global_max_pool", 0.4)],
)
def test_pooling(kind: str, bar: float) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((BATCH, *SHAPE), dtype=np.float32), 0)
    function = {
        "max_pool2d": lambda t: torch.nn.functional.max_pool2d(t, 2),
        "avg_pool2d": lambda t: torch.nn.functional.avg_pool2d(t, 2),
        "global_max_pool": lambda t: torch.amax(t, (2, 3)),
        "global_avg_pool": lambda t: torch.mean(t, (2, 3)),
    }[kind]
    there = torch.from_numpy(x).movedim(-1, 1).requires_grad_()  # channels last, as a view
    shape = (len(x), *plan_network([Layer.parse(kind)], SHAPE).y)
    dy = rng.standard_normal(shape, dtype=np.float32)
    work, network = ours(kind, x, dy)
    upstream = torch.from_numpy(dy).movedim(-1, 1)
    work(1)
    function(there).backward(upstream)
    if kind != "global_max_pool":  # amax divides a slope among equals
        assert np.allclose(network.chain(BATCH).dx, there.grad.movedim(1, -1).numpy(), rtol=1e-5, atol=1e-7)
    threads = torch.get_num_threads()
    peers = {f"PyTorch, {n} threads": theirs(torch, there, upstream, function, there, n) for n in (1, threads)}
    found = compared(f"{kind} of {BATCH} x {SHAPE}", work, peers)
    assert min(found.values()) >= bar


def test_embedding() -> None:
    """Rows of 50 numbers out of 5000, repeated as chance has it."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ids = rng.integers(0, TOKENS, (BATCH, STEPS))
    dy = rng.standard_normal((BATCH, STEPS, UNITS), dtype=np.float32)
    work, network = ours({"type": "embedding", "tokens": TOKENS, "units": UNITS}, ids.astype(np.float32), dy)
    weights = torch.tensor(network.theta.reshape(TOKENS, UNITS), requires_grad=True)
    there, upstream = torch.from_numpy(ids), torch.from_numpy(dy)
    work(1)
    torch.nn.functional.embedding(there, weights).backward(upstream)
    assert np.allclose(network.grad.reshape(TOKENS, UNITS), weights.grad.numpy(), rtol=1e-5, atol=1e-6)
    function: Callable[[Any], Any] = lambda t: torch.nn.functional.embedding(t, weights)  # noqa: E731
    threads = torch.get_num_threads()
    peers = {f"PyTorch, {n} threads": theirs(torch, there, upstream, function, weights, n) for n in (1, threads)}
    found = compared(f"embedding of {BATCH} x {STEPS}, {TOKENS} x {UNITS}", work, peers)
    assert min(found.values()) >= 0.5
