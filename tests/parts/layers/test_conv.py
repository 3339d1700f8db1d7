"""Convolutions: where windows stand, there and back; memory; the same result however the work is cut."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry import good

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array, N, Sample
from bpcli.numeric import products, threads
from bpcli.parts.initializers import GlorotUniform, HeNormal
from bpcli.parts.layers.conv import correlation, passes, strips
from bpcli.parts.layers.conv.axes import FilterAxis, phases, same_axis
from bpcli.parts.layers.conv.conv1d import Conv1d
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.conv.transpose import ConvTranspose2d
from bpcli.studies.witness.cases import LayerCase

CONVOLUTIONS = (Conv1d, Conv2d, ConvTranspose2d)
SAMPLES = {name: sample for name, sample in good() if isinstance(sample.part, CONVOLUTIONS)}

axes = st.builds(
    FilterAxis,
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(0, 4),
).filter(lambda axis: axis.out >= 1)


@given(axes)
def test_outputs_are_the_places_where_the_filter_fits(axis: FilterAxis) -> None:
    padded = axis.size + axis.before + axis.after
    starts = [p for p in range(0, padded, axis.stride) if p + axis.span <= padded]
    assert axis.out == len(starts)
    seen = [start + axis.dilation * u - axis.before for start in starts for u in range(axis.kernel)]
    assert axis.inside == all(0 <= h < axis.size for h in seen)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
def test_same_gives_in_over_stride_rounded_up(size: int, kernel: int, stride: int, dilation: int) -> None:
    axis = same_axis(size, kernel, stride, dilation)
    assert axis.out == -(-size // stride)
    assert 0 <= axis.after - axis.before <= 1


@given(axes)
def test_the_way_back_hears_of_every_meeting_once(axis: FilterAxis) -> None:
    """Pixel h, output p, weight u: those of the phases are those of the way there."""
    there = {
        (axis.stride * p + axis.dilation * u - axis.before, p, u)
        for p, u in product(range(axis.out), range(axis.kernel))
    }
    found = []
    pixels = []
    for phase in phases(axis):
        own = range(axis.size)[phase.pixels]
        pixels += own
        if phase.back is None:
            continue
        weights = range(axis.kernel)[phase.weights][::-1]
        assert phase.back.out == len(own)
        assert phase.back.kernel == len(weights)
        for i, k in product(range(len(own)), range(len(weights))):
            p = i + phase.back.dilation * k - phase.back.before
            if 0 <= p < axis.out:
                found.append((own[i], p, weights[k]))
    assert sorted(pixels) == list(range(axis.size))
    assert len(found) == len(set(found))
    assert set(found) == {(h, p, u) for h, p, u in there if 0 <= h < axis.size}


def forget() -> None:
    """Sizes that were worked out from other blocks."""
    for function in (passes.passes, passes.correlation, products.equal_parts, products.cuts):
        function.cache_clear()  # type: ignore[attr-defined]


@pytest.fixture
def fresh() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize(("block", "largest", "least"), [(1, 1, 1), (60, 200, 2), (400, 50, 1), (4000, 50, 1)])
def test_blocks_of_any_size_give_the_same(
    sample: Sample, block: int, largest: int, least: int, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of one image at a time, a few, products cut; windows copied whole or row by row."""
    expected = LayerCase(sample, True).kernel()
    monkeypatch.setattr(correlation, "MAX_MATRIX_ENTRIES", block)
    monkeypatch.setattr(products, "MAX_MACS", largest)
    monkeypatch.setattr(products, "MIN_PART", least)
    for short, places in ((0, 1), (0, 1000), (1000, 1), (1000, 1000)):
        monkeypatch.setattr(correlation, "MIN_RUN_ENTRIES", short)
        monkeypatch.setattr(strips, "MIN_POSITIONS", places)
        forget()
        for name, value in LayerCase(sample, True).kernel().items():
            assert np.allclose(value, expected[name], rtol=1e-12, atol=1e-13), name


def network(layers: list[Any], x: tuple[int, ...], rows: int, dtype: Any = np.float32) -> Network:
    return Network(plan_network([Layer.parse(layer) for layer in layers], x), rows, dtype, 3, need_dx=True)


def passed(layers: list[Any], x: tuple[int, ...], rows: int) -> list[Array]:
    """Outputs and all gradients of a batch of noise."""
    net = network(layers, x, rows)
    chain, rng = net.chain(rows), np.random.default_rng(0)
    chain.x[...] = rng.normal(size=chain.x.shape)
    chain.forward(True)
    chain.dy[...] = rng.normal(size=chain.dy.shape)
    chain.backward(True)
    assert chain.dx is not None
    return [chain.y.copy(), chain.dx.copy(), net.grad.copy()]


BIG: dict[str, tuple[Any, tuple[int, ...]]] = {
    "conv2d": ({"type": "conv2d", "filters": 7, "kernel": 3, "padding": "same"}, (13, 11, 5)),
    "stride": ({"type": "conv2d", "filters": 5, "kernel": 3, "stride": 2, "padding": 1}, (13, 12, 6)),
    "across": ({"type": "conv2d", "filters": 6, "kernel": 3, "dilation": 2}, (13, 12, 1)),
    "depthwise": ({"type": "conv2d", "filters": 6, "kernel": 3, "groups": 6, "padding": "same"}, (13, 12, 6)),
    "transposed": ({"type": "conv_transpose2d", "filters": 6, "kernel": 3, "stride": 2}, (7, 6, 5)),
    "conv1d": ({"type": "conv1d", "filters": 6, "kernel": 5, "groups": 2}, (47, 4)),
}


@pytest.mark.parametrize("rows", [1, 3, 37])
@pytest.mark.parametrize(("layer", "x"), BIG.values(), ids=BIG)
def test_threads_do_not_change_a_bit(
    layer: Any, x: tuple[int, ...], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    expected = passed([layer], x, rows)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    for count in (2, 3, 4):
        monkeypatch.setattr(threads, "thread_count", lambda: count)  # noqa: B023
        for _ in range(3):
            for a, b in zip(passed([layer], x, rows), expected, strict=True):
                assert np.array_equal(a, b)


@pytest.mark.parametrize("x", [(28, 28, 1), (14, 14, 16), (224, 224, 64), (2, 2, 512)])
def test_no_buffer_grows_with_the_batch_and_none_is_a_whole_image_s_windows(x: tuple[int, ...]) -> None:
    plan = Conv2d(filters=64, kernel=3, padding="same").plan(x)
    assert not plan.keep
    for slot in plan.scratch.values():
        assert N not in slot.shape
    windows, weights = np.prod(plan.scratch["windows"].shape), np.prod(plan.params["W"].shape)
    smallest = threads.CHUNKS * x[1] * 9 * 64  # one row of outputs, on the way back
    most = threads.CHUNKS * correlation.MAX_MATRIX_ENTRIES + smallest
    assert windows <= most
    terms = np.prod(plan.scratch["terms"].shape)
    assert terms <= threads.CHUNKS * (correlation.MAX_MATRIX_ENTRIES + weights) + smallest
    assert sum(np.prod(slot.shape) for slot in plan.scratch.values()) <= 4 * most + 20 * weights


def test_fans_are_those_of_a_group() -> None:
    """Receptive field times channels, SEMANTICS."""
    plan = Conv2d(filters=8, kernel=(3, 2), groups=2).plan((9, 9, 6))
    assert (plan.params["W"].fan_in, plan.params["W"].fan_out) == (18, 24)
    assert plan.params["W"].shape == (3, 2, 3, 8)
    assert (plan.params["W"].decays, plan.params["b"].decays) == (True, False)
    series = Conv1d(filters=4, kernel=5).plan((9, 3))
    assert (series.params["W"].fan_in, series.params["W"].fan_out) == (15, 20)


def test_weights_start_as_suits_what_follows() -> None:
    first = {"type": "conv2d", "filters": 2, "kernel": 3, "activation": "relu"}
    second = {"type": "conv2d", "filters": 2, "kernel": 1}
    network_plan = plan_network([Layer.parse(first), Layer.parse(second)], (5, 5, 1))
    assert [node.path for node in network_plan.layers] == ["conv2d_1", "conv2d_1.activation", "conv2d_2"]
    assert isinstance(network_plan.entry("conv2d_1.W").init, HeNormal)
    assert isinstance(network_plan.entry("conv2d_2.W").init, GlorotUniform)


@pytest.mark.parametrize(
    ("part", "x", "y"),
    [
        (Conv2d(filters=4, kernel=3, stride=2, padding="same"), (7, 8, 1), (4, 4, 4)),
        (Conv2d(filters=4, kernel=3, stride=2), (7, 8, 1), (3, 3, 4)),
        (Conv2d(filters=4, kernel=(5, 1), padding=(2, 0), dilation=(1, 3)), (7, 8, 1), (7, 8, 4)),
        (Conv1d(filters=4, kernel=3, stride=3, padding=1), (8, 2), (3, 4)),
        (ConvTranspose2d(filters=4, kernel=3, stride=2, padding="same"), (7, 8, 1), (14, 16, 4)),
        (ConvTranspose2d(filters=4, kernel=2, stride=3, padding="same"), (7, 8, 1), (21, 24, 4)),
        (ConvTranspose2d(filters=4, kernel=3, stride=2, padding=1, output_padding=1), (7, 8, 1), (14, 16, 4)),
    ],
)
def test_sizes(part: Layer, x: tuple[int, ...], y: tuple[int, ...]) -> None:
    assert part.plan(x).y == y


def test_a_transposed_convolution_is_a_convolution_s_way_back() -> None:
    """Its outputs are the dx of conv2d with the same filters, channels and filters exchanged."""
    conv = network(
        [{"type": "conv2d", "filters": 3, "kernel": 3, "stride": 2, "padding": 1, "bias": False}], (7, 9, 2), 2
    )
    back = network(
        [{"type": "conv_transpose2d", "filters": 2, "kernel": 3, "stride": 2, "padding": 1, "bias": False}],
        (4, 5, 3),
        2,
    )
    back.parameters()["conv_transpose2d_1.W"][...] = conv.parameters()["conv2d_1.W"].swapaxes(2, 3)
    there, here = conv.chain(2), back.chain(2)
    there.x[...] = 0
    there.forward(True)
    there.dy[...] = here.x[...] = np.random.default_rng(0).normal(size=there.dy.shape)
    there.backward(True)
    here.forward(True)
    assert here.y.shape == (2, 7, 9, 2)
    assert np.allclose(here.y, there.dx, atol=1e-6)
