"""Pooling against plain loops; what ties, padding and threads must not change; and layers that only move entries."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine import fusion
from bpcli.engine.network import Network
from bpcli.engine.network_plan import LayerError, plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array
from bpcli.numeric import threads


def passed(layer: Any, x: Any, dy: Any = None, dtype: Any = np.float64) -> tuple[Array, Array, Any]:
    """y, dx and the frame of a layer alone; without dy each output has the slope 1."""
    x = np.asarray(x, dtype)
    network = Network(plan_network([Layer.parse(layer)], x.shape[1:]), len(x), dtype, 0, need_dx=True)
    chain = network.chain(len(x))
    chain.x[...] = x
    chain.forward(True)
    chain.dy[...] = 1 if dy is None else dy
    chain.backward(True)
    assert chain.dx is not None
    return chain.y.copy(), chain.dx.copy(), chain.layers[0].frame


def by_loops(x: Array, dy: Array, size: Any, stride: Any, padding: Any) -> tuple[Array, Array]:
    """Max pooling by definition: the largest of what each window sees, the first of equals; nothing outside counts."""
    dx = np.zeros_like(x)
    y = np.zeros_like(dy)
    for n, p, q, c in np.ndindex(*dy.shape):
        seen = [
            (n, h, w, c)
            for u, v in itertools.product(range(size[0]), range(size[1]))
            if 0 <= (h := stride[0] * p + u - padding[0]) < x.shape[1]
            and 0 <= (w := stride[1] * q + v - padding[1]) < x.shape[2]
        ]
        best = seen[int(np.argmax([x[pixel] for pixel in seen]))]
        y[n, p, q, c] = x[best]
        dx[best] += dy[n, p, q, c]
    return y, dx


@pytest.mark.parametrize("high", [1, 4, 7])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (4, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 2)])
def test_max_pooling_is_what_loops_find(high: int, size: Any, stride: Any, padding: Any) -> None:
    """Values in steps of 1, so that equals are everywhere, all of them negative, so that padding could win."""
    rng = np.random.default_rng(1)
    x = rng.integers(-5, 0, (5, high, 6, 3)).astype(float)
    layer = Layer.parse({"type": "max_pool2d", "size": list(size), "stride": list(stride), "padding": list(padding)})
    try:
        shape = layer.plan(x.shape[1:]).y
    except ValueError:
        assert high + 2 * padding[0] < size[0] or padding[0] >= size[0] or padding[1] >= size[1]
        return
    dy = rng.normal(size=(len(x), *shape))
    y, dx, f = passed(layer, x, dy)
    expected = by_loops(x, dy, size, stride, padding)
    assert np.array_equal(y, expected[0])
    assert np.allclose(dx, expected[1], rtol=0, atol=1e-14)  # sums of overlapping windows, in another order
    assert f.win.dtype == np.uint8


def test_windows_of_more_places_than_a_byte_tells_apart() -> None:
    x = np.arange(2 * 18 * 20).reshape(2, 18, 20, 1) % 97.0
    dy = np.ones((2, 1, 1, 1))
    y, dx, f = passed({"type": "max_pool2d", "size": [18, 19]}, x, dy)
    expected = by_loops(x, dy, (18, 19), (18, 19), (0, 0))
    assert f.win.dtype == np.int64
    assert np.array_equal(y, expected[0])
    assert np.array_equal(dx, expected[1])


def test_the_first_of_equals_has_the_whole_slope() -> None:
    _, dx, f = passed("max_pool2d", np.zeros((1, 2, 4, 1)))
    assert f.win.ravel().tolist() == [0, 0]
    assert dx[0, :, :, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]
    image = np.array([[3.0, 5.0, 5.0], [5.0, 1.0, 5.0]])[None, :, :, None]
    _, dx, f = passed({"type": "max_pool2d", "size": 2, "stride": 1}, image)
    assert f.win.ravel().tolist() == [1, 0]  # row by row: above before left
    assert dx[0, :, :, 0].tolist() == [[0, 2, 0], [0, 0, 0]]
    _, dx, f = passed("global_max_pool", image)
    assert f.win.ravel().tolist() == [1]
    assert dx[0, :, :, 0].tolist() == [[0, 1, 0], [0, 0, 0]]


def test_padding_never_wins_and_counts_in_a_mean() -> None:
    x = np.full((1, 2, 2, 1), -4.0)
    options = {"size": 2, "stride": 1, "padding": 1}
    y, dx, _ = passed({"type": "max_pool2d", **options}, x)
    assert (y == -4).all()
    assert dx.sum() == 9
    y, dx, _ = passed({"type": "avg_pool2d", **options}, x)
    assert y[0, :, :, 0].tolist() == [[-1, -2, -1], [-2, -4, -2], [-1, -2, -1]]
    assert (dx == 1).all()


def test_same_has_its_odd_zero_at_the_bottom_and_at_the_right() -> None:
    x = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
    y, _, _ = passed({"type": "avg_pool2d", "size": 3, "stride": 2, "padding": "same"}, x)
    assert np.allclose(y[0, :, :, 0] * 9, [[1 + 2 + 3 + 5 + 6 + 7 + 9 + 10 + 11, 3 + 4 + 7 + 8 + 11 + 12],
                                           [9 + 10 + 11 + 13 + 14 + 15, 11 + 12 + 15 + 16]])  # fmt: skip


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4), (2, 2, 3, 2), (2, 1, 2, 2, 3)])
@pytest.mark.parametrize(("kind", "expected"), [("global_max_pool", np.max), ("global_avg_pool", np.mean)])
def test_global_pools_take_any_number_of_axes(kind: str, expected: Callable[..., Array], shape: Any) -> None:
    x = np.random.default_rng(2).normal(size=(4, *shape, 3))
    y, dx, _ = passed(kind, x)
    between = tuple(range(1, x.ndim - 1))
    assert np.allclose(y, expected(x, between), rtol=1e-14)
    assert np.allclose(dx.sum(between), 1, rtol=1e-14)
    assert (dx != 0).sum() == (y.size if kind == "global_max_pool" else x.size)


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d", "global_max_pool", "global_avg_pool"])
@pytest.mark.parametrize("rows", [1, 3, 13])
def test_the_same_bits_on_one_thread_and_on_many(kind: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of a few images, on two threads, and all at once."""
    layer = Layer.parse(kind if kind.startswith("global") else {"type": kind, "size": 3, "stride": 2, "padding": 1})
    x = np.random.default_rng(3).normal(size=(rows, 7, 6, 5)).astype(np.float32)
    dy = np.random.default_rng(4).normal(size=(rows, *layer.plan(x.shape[1:]).y))
    whole = passed(layer, x, dy, np.float32)
    monkeypatch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", 2 * 7 * 6 * 5)
    blocks = passed(layer, x, dy, np.float32)
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)
    chunks = passed(layer, x, dy, np.float32)
    for a, b, c in zip(whole[:2], blocks[:2], chunks[:2], strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


def test_a_pool_down_to_zero_is_refused_where_it_stands() -> None:
    layers = [Layer.parse("max_pool2d")] * 3
    with pytest.raises(LayerError, match="max_pool2d_3: a window 2 high does not fit into an image 1 high") as caught:
        plan_network(layers, (5, 6, 1))
    assert caught.value.loc == ("architecture", 2)
    assert "padding: same" in caught.value.help


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_settings_of_a_window_are_read_as_a_file_has_them(kind: str) -> None:
    layer = Layer.parse({"type": kind, "size": [3, 2], "stride": 2, "padding": "same"})
    assert layer.plan((7, 5, 2)).y == (4, 3, 2)
    assert layer == Layer.parse({"type": kind, "size": (3, 2), "stride": 2, "padding": "same"})
    for wrong in ({"size": 2.5}, {"size": True}, {"size": "2"}, {"stride": [2]}, {"padding": [-1, 0]}, {"dilation": 2}):
        with pytest.raises(ValidationError):
            Layer.parse({"type": kind, **wrong})


# ---------------------------------------------------------------------------------------- layers that move entries
def test_what_only_moves_entries_is_undone_by_its_backward() -> None:
    x = np.random.default_rng(5).normal(size=(3, 4, 6, 2))
    for layer, expected in (
        ({"type": "reshape", "shape": [6, -1]}, x.reshape(3, 6, 8)),
        ({"type": "zero_pad", "padding": [[1, 0], [2, 3]]}, np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0)))),
        ({"type": "upsample", "factor": [3, 2]}, x.repeat(3, 1).repeat(2, 2)),
    ):
        y, dx, _ = passed(layer, x, expected)
        assert np.array_equal(y, expected)
        copies = 6 if layer["type"] == "upsample" else 1
        assert np.allclose(dx, copies * x, rtol=1e-14)


def test_borders_are_zero_after_a_batch_of_another_size() -> None:
    """Batches of any size are views of one block: what one left there is not the border of the next."""
    network = Network(plan_network([Layer.parse({"type": "zero_pad", "padding": 1})], (2, 2, 1)), 5, np.float64, 0)
    for rows in (5, 2, 3):
        chain = network.chain(rows)
        chain.x[...] = 7
        chain.forward(False)
        assert chain.y.sum() == rows * 4 * 7


@pytest.mark.parametrize("places", [255, 256, 257])
@pytest.mark.parametrize("whole", [False, True])
def test_the_winner_of_a_window_that_a_byte_can_just_or_no_longer_count(places: int, whole: bool) -> None:
    """At either end, and in the middle; the slope goes back to where it stood."""
    layer = Layer.parse("global_max_pool" if whole else {"type": "max_pool2d", "size": [places, 1]})
    winners = [0, 1, 127, places - 2, places - 1]
    chain = Network(plan_network([layer], (places, 1, 1)), 5, np.float64, 0, need_dx=True).chain(5)
    x = np.zeros((5, places, 1, 1))
    x[np.arange(5), winners] = 1.0
    chain.x[...] = x
    chain.forward(True)
    chain.dy[...] = np.arange(1.0, 6.0).reshape(chain.dy.shape)
    chain.backward(True)
    assert chain.y.ravel().tolist() == [1.0] * 5
    assert chain.dx is not None
    assert np.array_equal(chain.dx, x * np.arange(1.0, 6.0).reshape(5, 1, 1, 1))
