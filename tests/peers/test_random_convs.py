"""PyTorch as a peer of random networks of convolutions and pools: sizes nobody thought of, in float64.

Each network is asked several times, with other weights and other rows, batches of two sizes in turn, and on memory full
of nan: what was noted at the first call must hold at the next, and nothing may be read that was not written.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from torch_twin import Twin

from bpcli.engine import fusion
from bpcli.engine.network import Network
from bpcli.engine.network_plan import NetworkPlan, plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array, Shape, ShapeError
from bpcli.numeric import products, threads
from bpcli.parts.layers.conv import correlation, passes, strips
from bpcli.parts.layers.conv.conv1d import Conv1d
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.conv.depthwise import Depthwise
from bpcli.parts.layers.conv.transpose import ConvTranspose2d
from bpcli.records.training import Failure

GROUPS, EACH = 8, 14
TIGHT = 1e-9
Chance = np.random.Generator


class Draw:
    """One network by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([6, seed])
        series = self.maybe(0.15)
        channels, most = self.of(1, 2, 3, 4, 6, 8, 13), self.of(9, 16, 23)
        self.x: Shape = (self.upto(60), channels) if series else (self.upto(most), self.upto(most), channels)
        self.layers: list[Any] = []
        self.plan: NetworkPlan | None = None
        kinds = [self.series] if series else [self.conv, self.conv, self.conv, self.back, self.pool, self.branch]
        for _ in range(40):
            self.try_one(self.of(*kinds))
            if len(self.layers) == 3:
                break

    def try_one(self, kind: Callable[[int], Any]) -> None:
        """Adds a layer where it fits and does not make the images large."""
        channels = self.x[-1] if self.plan is None else self.plan.y[-1]
        layers = [*self.layers, kind(channels)]
        try:
            plan = plan_network([Layer.parse(layer) for layer in layers], self.x)
        except (Failure, ShapeError):
            return
        if np.prod(plan.y) < 5000:
            self.layers, self.plan = layers, plan

    def conv(self, channels: int) -> Any:
        more = {"kernel": self.pair(1, 5), "padding": self.of("valid", "same", "same", self.pair(0, 3))}
        more["activation"] = self.of(None, "relu")
        return {"type": "conv2d", **more, **self.grouped(channels, 20), **self.strided(self.pair)}

    def series(self, channels: int) -> Any:
        more = {"kernel": self.upto(5), "padding": self.of("valid", "same", self.upto(3))}
        return {
            "type": "conv1d",
            **more,
            **self.grouped(channels, 8),
            **self.strided(lambda low, high: self.upto(high)),
        }

    def back(self, channels: int) -> Any:
        padding = self.of("valid", "same", self.pair(0, 2))
        layer = {"type": "conv_transpose2d", "filters": self.upto(12), "kernel": self.pair(1, 5), "padding": padding}
        layer |= {"stride": self.pair(1, 3), "bias": self.maybe(0.7), "activation": self.of(None, "relu")}
        more = 0 if padding == "same" else self.upto(int(np.min(layer["stride"]))) - 1
        return layer | {"output_padding": more, "dilation": self.of(1, 1, self.pair(1, 3))}

    def pool(self, channels: int) -> Any:
        layer = {"type": self.of("max_pool2d", "max_pool2d", "avg_pool2d"), "size": self.pair(1, 4)}
        layer["padding"] = self.of("valid", "same", self.pair(0, 1))
        return layer | ({"stride": self.pair(1, 3)} if self.maybe(0.6) else {})

    def branch(self, channels: int) -> Any:
        """Two convolutions, and one on the way around them."""
        end = {"type": "conv2d", "filters": 4, "padding": "same", "stride": 2, "bias": self.maybe(0.5)}
        start = {**self.conv(channels), "padding": "same", "stride": 1, "activation": "relu"}
        return {"type": "residual", "layers": [start, {**end, "kernel": 3}], "projection": [{**end, "kernel": 1}]}

    def grouped(self, channels: int, most: int) -> Any:
        """Half of them in one group; a group to each channel as often as not among the others."""
        groups = self.of(1, self.of(channels, *(d for d in range(1, channels + 1) if channels % d == 0)))
        filters = self.upto(most) if groups == 1 else groups * self.of(1, 1, 2, 3)
        return {"filters": filters, "groups": groups, "bias": self.maybe(0.7)}

    def strided(self, pair: Callable[[int, int], Any]) -> Any:
        found = {"stride": pair(1, 3)} if self.maybe(0.5) else {}
        return found | ({"dilation": pair(1, 3)} if self.maybe(0.3) else {})

    def of(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def upto(self, most: int) -> int:
        return int(self.rng.integers(1, most + 1))

    def pair(self, low: int, high: int) -> Any:
        a, b = (int(n) for n in self.rng.integers(low, high + 1, 2))
        return self.of(a, [a, b])

    def maybe(self, chance: float) -> bool:
        return bool(self.rng.uniform() < chance)


def forget() -> None:
    """Sizes that were worked out from other blocks."""
    for function in (passes.passes, passes.correlation, products.equal_parts, products.cuts):
        function.cache_clear()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    forget()
    yield
    forget()


def cut(rng: Chance, patch: pytest.MonkeyPatch) -> None:
    """Half of the networks as they are; the others in small blocks, by another kernel. On one to four threads."""
    if rng.uniform() < 0.5:
        patch.setattr(correlation, "MAX_MATRIX_ENTRIES", int(rng.choice([1, 100, 1000, 5000])))
        patch.setattr(products, "MAX_MACS", int(rng.choice([200, 2000, 20000])))
        patch.setattr(products, "MIN_PART", int(rng.choice([1, 3, 16])))
        patch.setattr(correlation, "MIN_RUN_ENTRIES", int(rng.choice([0, 4, 40])))
        patch.setattr(strips, "MIN_POSITIONS", int(rng.choice([1, 20])))
        patch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", int(rng.choice([1, 50, 500])))
        forget()
    workers = int(rng.integers(1, 5))
    patch.setattr(threads, "thread_count", lambda: workers)
    worth = int(rng.choice([0, threads.MIN_PARALLEL_MACS]))
    patch.setattr(threads, "MIN_PARALLEL_MACS", worth)


def filled(net: Network) -> Network:
    """With nan wherever nothing was written."""
    for block in net.memory._blocks.values():
        block[: len(block) // 8 * 8].view(np.float64)[...] = np.nan
    return net


def close(ours: Array, theirs: Any, tolerance: float = TIGHT) -> None:
    """Of the largest entry, for sums cancel."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert float(np.abs(ours - theirs).max()) <= tolerance * max(1.0, float(np.abs(theirs).max()))


def race(drawn: Draw) -> None:
    """Outputs and all gradients of five batches; and the outputs of the same network in float32 in between."""
    rng, network_plan = (
        drawn.rng,
        plan_network([Layer.parse(layer) for layer in drawn.layers], drawn.x),
    )  # for blocks as cut
    rows, need_dx = drawn.upto(9), drawn.maybe(0.6)
    net = filled(Network(network_plan, rows, np.float64, 0, need_dx=need_dx, retain=drawn.maybe(0.3)))
    short = filled(Network(network_plan, rows, np.float32, 0))
    twin, other = Twin(net), drawn.upto(rows)
    for n in (rows, rows, other, rows, other):
        net.theta[...] = rng.normal(size=net.theta.shape) * 0.7
        short.theta[...] = net.theta
        chain, brief, x = net.chain(n), short.chain(n), rng.normal(size=(n, *drawn.x))
        x = np.round(x) if drawn.maybe(0.3) else x  # ties
        chain.x[...] = brief.x[...] = x
        upstream = rng.normal(size=chain.y.shape)
        chain.forward(True)
        brief.forward(True)
        net.grad[...] = np.nan
        chain.dy[...] = upstream
        chain.backward(True)
        assert np.array_equal(chain.x, x)
        twin.copy_parameters()
        for w in twin.parameters.values():
            w.grad = None
        leaf, y = twin.forward(chain, True)
        (y * twin.torch.tensor(upstream)).sum().backward()
        close(chain.y, y.detach())
        close(brief.y, y.detach(), 1e-3)
        if need_dx:
            assert chain.dx is not None
            close(chain.dx, leaf.grad)
        theirs = twin.gradients()
        for path, g in net.gradients().items():
            close(g, theirs[path])


@pytest.mark.peers
@pytest.mark.parametrize("group", range(GROUPS))
def test_random_networks(group: int) -> None:
    for seed in range(group * EACH, (group + 1) * EACH):
        drawn = Draw(seed)
        with pytest.MonkeyPatch.context() as patch:
            cut(drawn.rng, patch)
            if drawn.layers:
                try:
                    race(drawn)
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}: {drawn.layers} of {drawn.x}") from error
        forget()


def test_chance_finds_every_kernel() -> None:
    """And every kind of layer; few draws come to nothing."""
    drawn = [Draw(seed) for seed in range(GROUPS * EACH)]
    nodes = [node for d in drawn if d.plan for node in d.plan.walk()]
    kinds = {node.layer.kind for node in nodes}
    assert kinds == {"conv1d", "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "residual", "relu"}
    assert sum(len(d.layers) == 3 for d in drawn) > 0.9 * len(drawn)
    used = set()
    for node in nodes:
        if isinstance(node.layer, Conv1d | Conv2d | ConvTranspose2d):
            ways = node.layer._passes(node.x)
            used |= {type(kernel) for kernel in (ways.there, *(way.filters for way in ways.back))}
    assert {correlation.Correlation, strips.Strips, Depthwise} <= used
