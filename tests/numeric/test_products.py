"""Products in parts: how they are cut, and that a network's come out the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bpcli.parts  # noqa: F401  (declares the layers)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array
from bpcli.numeric.products import MAX_MACS, MIN_PART, MIN_WEIGHTS, CutProducts, cuts, equal_parts, in_parts, in_tiles

SIZES = st.integers(1, 5000)


@given(SIZES, st.integers(1, 1 << 20))
def test_parts_are_equal_and_not_too_small(rows: int, macs: int) -> None:
    parts = equal_parts(rows, macs)
    assert rows % parts == 0
    assert parts == 1 or rows // parts >= MIN_PART
    if parts > 1:  # and no smaller than they must be
        fewer = max(p for p in range(1, parts) if rows % p == 0)
        assert rows // fewer * macs > MAX_MACS


@given(SIZES, SIZES, SIZES, st.integers(1, 20))
def test_a_product_is_cut_small_enough_or_not_at_all(m: int, k: int, n: int, most: int) -> None:
    cut = cuts(m, k, n, most)
    assert cut.terms <= most
    assert m // cut.rows * (k // cut.terms) * (n // cut.columns) <= MAX_MACS or cut == (1, 1, 1)
    if m * k * n <= MAX_MACS:
        assert cut == (1, 1, 1)


def test_the_limit_is_that_of_openblas() -> None:
    """Which gives 2^19 multiply-adds to its threads, and one less to none."""
    assert MAX_MACS == 2**19 - 1
    assert [equal_parts(64, macs) for macs in (2**13 - 1, 2**13)] == [1, 2]


def test_parts_and_tiles_are_views_of_the_whole() -> None:
    a = np.arange(48.0).reshape(2, 6, 4)
    parts, tiles = in_parts(a, 3), in_tiles(a, 3, 2)
    assert np.shares_memory(parts, a)
    assert np.shares_memory(tiles, a)
    assert np.array_equal(parts[1, 2], a[1, 4:6])
    assert np.array_equal(tiles[1, 2, 1], a[1, 4:6, 2:])


def gradients(cut: bool, units: int, inputs: int = 480, rows: int = 40) -> list[Array]:
    net = Network(
        plan_network([Layer.parse({"type": "dense", "units": units})], (inputs,)), rows, np.float64, 3, need_dx=True
    )
    chain, rng = net.chain(rows), np.random.default_rng(0)
    if cut:
        chain.layers[0].frame.matmul = CutProducts(np.float64).matmul
    chain.x[...], chain.dy[...] = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
    chain.forward(True)
    chain.backward(True)
    return [chain.y.copy(), np.array(chain.dx), net.grad.copy()]


@pytest.mark.parametrize("units", [3, 64, 100, 801])
def test_a_dense_layer_in_parts_is_the_same(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, made = gradients(False, units), []
    real: Any = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: made.append(macs(a, b)) or real(a, b, out=out))
    for mine, whole in zip(gradients(True, units), expected, strict=True):
        assert np.allclose(mine, whole, rtol=1e-12, atol=1e-12)
    assert max(made) <= MAX_MACS or 480 * units < MIN_WEIGHTS  # of fewer weights no part is made


def test_no_product_of_a_cnn_wakes_the_threads_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few filters and many, a large dense layer, images large and small."""
    made, real = [], np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: made.append(macs(a, b)) or real(a, b, out=out))
    conv = {"type": "conv2d", "kernel": 3, "padding": "same", "activation": "relu"}
    layers = [{**conv, "filters": 16}, "max_pool2d", {**conv, "filters": 96}, {**conv, "filters": 128}, "max_pool2d",
              {**conv, "filters": 128}, {**conv, "filters": 64, "kernel": 1}, "flatten",
              {"type": "dense", "units": 96}, {"type": "dense", "units": 10}]  # fmt: skip
    net = Network(plan_network([Layer.parse(layer) for layer in layers], (28, 28, 1)), 64, np.float32, 3)
    chain = net.chain(64)
    chain.x[...], chain.dy[...] = 0, 0
    chain.forward(True)
    chain.backward(True)
    assert len(made) > 100
    assert max(made) <= MAX_MACS


def macs(a: Array, b: Array) -> int:
    """Multiply-adds of each of the products of two stacks of matrices."""
    return int(a.shape[-2] * a.shape[-1] * b.shape[-1])


@pytest.mark.parametrize(("inputs", "units", "rows"), [(100, 9000, 4), (20, 8192, 3), (9000, 20, 1)])
def test_more_outputs_of_a_row_than_a_part_holds(inputs: int, units: int, rows: int) -> None:
    for mine, whole in zip(gradients(True, units, inputs, rows), gradients(False, units, inputs, rows), strict=True):
        assert np.allclose(mine, whole, rtol=1e-12, atol=1e-12)
