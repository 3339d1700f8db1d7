"""Products in parts: how they are cut, and that a network's come out the same."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpcli.engine.blueprint import draw_up
from bpcli.engine.network import Network
from bpcli.family import Layer
from bpcli.numeric.products import LARGEST, LEAST, cuts, equal_parts, in_parts, in_tiles
from bpcli.parts.layers import dense
from bpcli.plan import Array

SIZES = st.integers(1, 5000)


@given(SIZES, st.integers(1, 1 << 20))
def test_parts_are_equal_and_not_too_small(rows: int, macs: int) -> None:
    parts = equal_parts(rows, macs)
    assert rows % parts == 0
    assert parts == 1 or rows // parts >= LEAST
    if parts > 1:  # and no smaller than they must be
        fewer = max(p for p in range(1, parts) if rows % p == 0)
        assert rows // fewer * macs > LARGEST


@given(SIZES, SIZES, SIZES, st.integers(1, 20))
def test_a_product_is_cut_small_enough_or_not_at_all(m: int, k: int, n: int, most: int) -> None:
    cut = cuts(m, k, n, most)
    assert cut.terms <= most
    assert m // cut.rows * (k // cut.terms) * (n // cut.columns) <= LARGEST or cut == (1, 1, 1)
    if m * k * n <= LARGEST:
        assert cut == (1, 1, 1)


def test_parts_and_tiles_are_views_of_the_whole() -> None:
    a = np.arange(48.0).reshape(2, 6, 4)
    parts, tiles = in_parts(a, 3), in_tiles(a, 3, 2)
    assert np.shares_memory(parts, a)
    assert np.shares_memory(tiles, a)
    assert np.array_equal(parts[1, 2], a[1, 4:6])
    assert np.array_equal(tiles[1, 2, 1], a[1, 4:6, 2:])


def gradients(crowded: bool, units: int, inputs: int = 480, rows: int = 40) -> list[Array]:
    net = Network(
        draw_up([Layer.parse({"type": "dense", "units": units})], (inputs,)), rows, np.float64, 3, need_dx=True
    )
    chain, rng = net.chain(rows), np.random.default_rng(0)
    if crowded:
        chain.links[0].frame.crowded = True
    chain.x[...], chain.dy[...] = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
    chain.forward(True)
    chain.backward(True)
    return [chain.y.copy(), np.array(chain.dx), net.grad.copy()]


@pytest.mark.parametrize("units", [64, 100, 3])
def test_a_dense_layer_in_parts_is_the_same(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, made = gradients(False, units), []
    real: Any = np.matmul
    monkeypatch.setattr(
        np, "matmul", lambda a, b, out: made.append(a.shape[-2] * a.shape[-1] * b.shape[-1]) or real(a, b, out=out)
    )
    for mine, whole in zip(gradients(True, units), expected, strict=True):
        assert np.allclose(mine, whole, rtol=1e-12, atol=1e-12)
    assert max(made) <= LARGEST or 480 * units < dense.LARGE


PROGRAM = """
import numpy as np, sys
import bpcli.parts
from bpcli.engine.blueprint import draw_up
from bpcli.engine.network import Network
from bpcli.family import Layer
conv = {"type": "conv2d", "kernel": 3, "padding": "same", "activation": "relu"}
layers = [{**conv, "filters": 16}, "max_pool2d", {**conv, "filters": 96}, {**conv, "filters": 96}, "max_pool2d",
          "flatten", {"type": "dense", "units": 96}, {"type": "dense", "units": 10}]
net = Network(draw_up([Layer.parse(layer) for layer in layers], (28, 28, 1)), 64, np.float32, 3)
chain, rng = net.chain(64), np.random.default_rng(0)
chain.x[...], chain.dy[...] = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
chain.forward(True)
chain.backward(True)
sys.stdout.buffer.write(chain.y.tobytes() + net.grad.tobytes())
"""


def test_a_cnn_is_the_same_bits_however_many_threads_blas_has() -> None:
    """All its products are too small to be shared out."""
    found = {subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, "OPENBLAS_NUM_THREADS": str(n)},
                            capture_output=True, check=True).stdout for n in (1, 2, 4)}  # fmt: skip
    assert len(found) == 1
    assert len(found.pop()) > 1_000_000
