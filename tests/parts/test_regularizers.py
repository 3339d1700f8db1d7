"""Penalties and constraints by hand, at zeros, and against PyTorch's autograd."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from torch_twin import PENALTIES

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Constraint, Regularizer
from bpcli.family.plan import Array

W = np.array([-2.0, 0.0, 0.5, -0.0, 3.0])


def parsed(kind: str, **settings: Any) -> Regularizer:
    return Regularizer.parse({"type": kind, **settings})


def laid(part: Regularizer, w: Array) -> tuple[float, Array]:
    """Value and gradient, added to a gradient of ones."""
    g = np.ones_like(w)
    before = w.copy()
    value = part.value(w, np.full_like(w, math.nan))
    part.add_grad(w, g, np.full_like(w, math.nan))
    assert np.array_equal(w, before)
    return value, g - 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("part", "value", "gradient"),
    [
        (parsed("l2", strength=0.5), 0.25 * 13.25, [-1, 0, 0.25, 0, 1.5]),
        (parsed("l1", strength=0.5), 0.5 * 5.5, [-0.5, 0, 0.5, 0, 0.5]),
        (parsed("elastic_net", strength=0.5), 0.5 * (0.5 * 5.5 + 0.25 * 13.25), [-0.75, 0, 0.375, 0, 1.0]),
        (parsed("elastic_net", strength=1.0, l1_ratio=1.0), 5.5, [-1, 0, 1, 0, 1]),
        (parsed("elastic_net", strength=1.0, l1_ratio=0.0), 13.25 / 2, [-2, 0, 0.5, 0, 3]),
        (parsed("l1", strength=0.0), 0.0, [0] * 5),
    ],
)
def test_by_hand(part: Regularizer, value: float, gradient: list[float], dtype: type) -> None:
    found, g = laid(part, W.astype(dtype))
    assert found == pytest.approx(value, rel=1e-6)
    assert g == pytest.approx(gradient, rel=1e-6)
    assert g.dtype == dtype


def test_elastic_net_lies_between_its_ends() -> None:
    w = np.random.default_rng(0).normal(size=50)
    limits = [laid(parsed(kind, strength=0.3), w) for kind in ("l2", "l1")]
    for ratio in (0.0, 0.25, 0.9, 1.0):
        value, g = laid(parsed("elastic_net", strength=0.3, l1_ratio=ratio), w)
        assert value == pytest.approx((1 - ratio) * limits[0][0] + ratio * limits[1][0], rel=1e-13)
        assert np.allclose(g, (1 - ratio) * limits[0][1] + ratio * limits[1][1], rtol=1e-12, atol=1e-15)


@pytest.mark.peers
@pytest.mark.parametrize(
    "settings",
    [
        {"type": "l2", "strength": 0.2},
        {"type": "l1", "strength": 0.2},
        {"type": "elastic_net", "strength": 0.2},
        {"type": "elastic_net", "strength": 0.7, "l1_ratio": 0.15},
    ],
)
def test_pytorch(settings: dict[str, Any]) -> None:
    """Autograd of the formula, zeros among the weights."""
    torch = pytest.importorskip("torch")
    part = Regularizer.parse(settings)
    rng = np.random.default_rng(4)
    numbers = np.concatenate([rng.normal(size=40) * np.exp(3 * rng.normal(size=40)), W])
    w = torch.tensor(numbers, requires_grad=True)
    loss = PENALTIES[part.kind](part, w)
    loss.backward()
    value, g = laid(part, numbers)
    assert value == pytest.approx(loss.item(), rel=1e-12)
    assert np.allclose(g, w.grad.numpy(), rtol=1e-12, atol=1e-15)


# -------------------------------------------------------------------------------------------------------- constraints
def test_max_norm_by_hand() -> None:
    part = Constraint.parse({"type": "max_norm", "limit": 5.0})
    w = np.array([[3.0, 6.0, 0.0], [4.0, 8.0, 0.0]])
    part.apply(w)
    assert np.allclose(w, [[3, 3, 0], [4, 4, 0]])


def test_max_norm_of_kernels_is_of_each_filter() -> None:
    part = Constraint.parse({"type": "max_norm", "limit": 1.0})
    w = np.random.default_rng(1).normal(size=(3, 3, 2, 4)).astype(np.float32)
    before = w.copy()
    part.apply(w)
    for o in range(4):
        assert np.allclose(w[..., o], before[..., o] / np.linalg.norm(before[..., o].ravel()), rtol=1e-6)


def test_weights_within_the_limit_keep_their_bits() -> None:
    part = Constraint.parse({"type": "max_norm", "limit": 1.0})
    w = np.array([[0.1, 0.3, 3.0], [0.7, 0.2, 4.0]])
    part.apply(w)
    assert np.array_equal(w[:, :2], [[0.1, 0.3], [0.7, 0.2]])
    assert np.allclose(w[:, 2], [0.6, 0.8])


@pytest.mark.peers
def test_max_norm_is_renorm() -> None:
    """torch.renorm by columns; it adds 1e-7 to the length it divides by."""
    torch = pytest.importorskip("torch")
    w = np.random.default_rng(2).normal(size=(20, 30)) * 3
    theirs = torch.renorm(torch.tensor(w), 2, 1, 12.0).numpy()
    Constraint.parse({"type": "max_norm", "limit": 12.0}).apply(w)
    assert np.allclose(w, theirs, rtol=2e-8, atol=0)


@pytest.mark.parametrize("kind", ["l1", "l2", "elastic_net"])
def test_a_penalty_works_in_the_memory_that_it_is_given(kind: str) -> None:
    part = parsed(kind, strength=0.1)
    w, g, scratch = np.ones(100_000), np.zeros(100_000), np.empty(100_000)
    part.value(w, scratch)
    tracemalloc.start()
    try:
        part.value(w, scratch)
        part.add_grad(w, g, scratch)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < w.nbytes / 8


@pytest.mark.parametrize("settings", [{"type": "l2"}, {"type": "l1"}, {"type": "elastic_net", "l1_ratio": 0.25}])
def test_a_penalty_beyond_float32_is_still_a_number(settings: dict[str, Any]) -> None:
    """The weights can be written, and the slope: only a sum in float32 cannot."""
    part = Regularizer.parse({**settings, "strength": 0.5})
    w = np.full(1000, 3e38, np.float32)
    with np.errstate(all="ignore"):  # as the engine has it
        found = part.value(w, np.empty_like(w))
    assert found == pytest.approx(part.value(w.astype(np.float64), np.empty(1000)), rel=1e-7)
    assert np.isfinite(found)
