"""Kernels that are done together give what they give one after the other, on any number of threads."""

from typing import Any

import numpy as np
import pytest
from registry import good

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine import fusion
from bpcli.engine.fusion import FusedKernels
from bpcli.engine.network import Chain, Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array, Frame, Sample
from bpcli.numeric import threads
from bpcli.parts.activations.piecewise import Relu
from bpcli.parts.layers.conv import recorded

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
    """How many kernels are run at a time."""
    both = (chain._forward, chain._backward)
    return [[len(k.works) if isinstance(k, FusedKernels) else 1 for k, _ in found] for found in both]


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 33])
def test_together_is_one_after_the_other(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many times, for a thread that is ahead of another may only now and then find what it spoils."""
    with monkeypatch.context() as apart:
        apart.setattr(fusion, "MAX_FUSED", 1)
        apart.setattr(threads, "thread_count", lambda: 1)
        assert {size for found in sizes(chain_of(rows)[1]) for size in found} == {1}
        expected = passed(rows)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    for count in (1, 2, 3, 4):
        monkeypatch.setattr(threads, "thread_count", lambda: count)  # noqa: B023
        for times in (1, 2, 30):
            for a, b in zip(passed(rows, times), expected, strict=True):
                assert np.array_equal(a, b)


def test_what_is_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolution, activation and pool; never two that need the same scratch, nor a container or a dense layer."""
    assert {size for found in sizes(chain_of(8)[1]) for size in found} == {1}, "worth no threads"
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    forward, backward = sizes(chain_of(8)[1])
    assert forward[:3] == [3, 2, 1]  # conv relu pool, conv relu, residual
    assert sum(forward) == sum(backward) == 13
    assert max(forward + backward) == 3
    assert {size for found in sizes(chain_of(threads.CHUNKS - 1)[1]) for size in found} == {1}


def test_a_convolution_is_worth_threads_for_its_products_or_for_its_many_entries() -> None:
    """Of one channel and a kernel of one there is a product an entry, and yet each is written."""
    deep = Layer.parse({"type": "conv2d", "filters": 32, "kernel": 5, "padding": "same"})
    flat = Layer.parse({"type": "conv2d", "filters": 1, "kernel": 1})
    for layer, x, macs in ((deep, (10, 10, 32), 100 * 32 * 800), (flat, (100, 100, 1), 10_000 * fusion.MACS_PER_ENTRY)):
        rows = -(-threads.MIN_PARALLEL_MACS // macs)
        assert fusion.is_worth_threads(layer, layer.plan(x), rows)
        assert not fusion.is_worth_threads(layer, layer.plan(x), rows - 1)
    dense = Layer.parse({"type": "dense", "units": 4096})
    assert not fusion.is_worth_threads(dense, dense.plan((4096,)), 4096)


def test_gradients_between_kernels_that_are_together_share_no_memory() -> None:
    """A thread may be at the first of them while another is at the last. Chains longer than that use blocks again."""
    _, chain = chain_of(8)
    between = [chain.layers[0].frame.dx, *(bound.frame.dy for bound in chain.layers)]
    for i in range(len(between)):
        for j in range(i + 1, min(i + fusion.MAX_FUSED + 1, len(between))):
            assert not np.shares_memory(between[i], between[j])
    assert np.shares_memory(between[0], between[fusion.MAX_FUSED + 1])


def test_beside_products_of_blas_nothing_else_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense layers alone keep BLAS's threads and the bits of its sums, whatever stands between them."""
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    layers = [Layer.parse({"type": "dense", "units": 5, "activation": kind}) for kind in ("relu", "tanh", "gelu")]
    net = Network(plan_network(layers, (4,)), 8, np.float32, 0)
    assert net._products is None
    assert {size for found in sizes(net.chain(8)) for size in found} == {1}
    assert chain_of(8)[0]._products is not None
    activations = Network(plan_network([Layer.parse("tanh"), Layer.parse("gelu")], (4,)), 8, np.float32, 0)
    assert sizes(activations.chain(8))[0] == [2]


def test_a_kernel_of_one_s_own_is_done_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads its arrays when it is called: what comes before has to be done by then."""
    expected = passed(8)

    def backward(self: Relu, f: Frame, train: bool) -> None:
        f.dx[...] = f.dy * (f.y > 0)

    monkeypatch.setattr(Relu, "backward", backward)
    for a, b in zip(passed(8), expected, strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_what_fails_in_one_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    _, chain = chain_of(8)
    with monkeypatch.context() as broken:
        broken.setattr(recorded.RecordedCalls, "run", None)
        with pytest.raises(TypeError):
            chain.forward(True)
    chain.forward(True)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 3, 4, 9])
@pytest.mark.parametrize("macs", [0, 1 << 60])
def test_blocks_are_every_row_once(macs: int, rows: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", macs)
    monkeypatch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", 10)  # two rows
    seen: list[int] = []

    def forward(self: Relu, f: Frame, train: bool) -> None:
        seen.append(len(f.x))
        np.multiply(f.x, 2, out=f.y)

    monkeypatch.setattr(Relu, "forward", forward)
    chain = Network(plan_network([Layer.parse("relu")] * 2, (5,)), rows, np.float64, 0).chain(rows)
    for k in range(3):
        seen.clear()
        chain.x[...] = k
        chain.forward(True)
        assert (chain.y == 4 * k).all()
        assert sum(seen) == 2 * rows
        assert max(seen) <= 2


def test_rows_that_do_not_say_that_they_are_independent_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    monkeypatch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", 1)
    monkeypatch.setattr(Relu, "rows_are_independent", False)

    def forward(self: Relu, f: Frame, train: bool) -> None:
        np.subtract(f.x, f.x.mean(0), out=f.y)

    monkeypatch.setattr(Relu, "forward", forward)
    chain = Network(plan_network([Layer.parse("relu")], (5,)), 9, np.float64, 0).chain(9)
    chain.x[...] = np.random.default_rng(0).normal(size=(9, 5))
    chain.forward(True)
    assert np.allclose(chain.y.mean(0), 0)


SPLIT = {name: s for name, s in good() if isinstance(s.part, Layer) and fusion.splits_rows(s.part, s.part.plan(s.x))}


def test_what_is_split_has_rows_that_are_independent() -> None:
    """Softmax and pools do more than one pass over memory; what only moves or drops entries is left in one piece."""
    kinds = {s.part.kind for s in SPLIT.values()}
    assert {"tanh", "softmax", "max_pool2d"} <= kinds
    assert not {"flatten", "dropout", "batch_norm", "dense"} & kinds


@pytest.mark.parametrize(
    ("layer", "x", "split"),
    [
        ("tanh", (5,), True), ("max_pool2d", (4, 4, 2), True), ({"type": "reshape", "shape": [5, 1, 1]}, (5,), False),
        ({"type": "dropout", "rate": 0.5}, (5,), False), ({"type": "dense", "units": 3}, (5,), False),
        ("batch_norm", (5,), False), ("flatten", (2, 2), False),
        ({"type": "residual", "layers": ["tanh"]}, (5,), False),
    ],
)  # fmt: skip
def test_what_is_run_on_some_rows_at_a_time(layer: Any, x: tuple[int, ...], split: bool) -> None:
    """Not what only moves entries, draws, learns, remembers or holds other layers."""
    part = Layer.parse(layer)
    assert fusion.splits_rows(part, part.plan(x)) == split


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("sample", SPLIT.values(), ids=SPLIT)
def test_rows_that_are_split_come_out_as_together(
    sample: Sample, train: bool, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row they come out as all at once, to the last bit."""

    def results() -> list[Array]:
        net = Network(plan_network([sample.part], sample.x), 5, dtype, 0, need_dx=True)
        chain = net.chain(5)
        rng = np.random.default_rng(0)
        chain.x[...], dy = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
        net.draw(chain, 0)
        chain.forward(train)
        chain.dy[...] = dy
        chain.backward(train)
        return [chain.y.copy(), np.array(chain.dx)]

    whole = results()
    monkeypatch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", 1)
    for a, b in zip(results(), whole, strict=True):
        assert np.array_equal(a, b)
