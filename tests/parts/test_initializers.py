"""Initializers: their distributions, and what a rotation has to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Initializer, Layer
from bpcli.family.plan import Array


def filled(shape: tuple[int, ...], kind: str, fans: tuple[int, int] = (1, 1), seed: int = 0, **settings: Any) -> Array:
    out = np.full(shape, math.nan)
    Initializer.parse({"type": kind, **settings}).fill(out, *fans, np.random.default_rng(seed))
    return out


@pytest.mark.parametrize("fans", [(30, 50), (50, 30)])
@pytest.mark.parametrize(
    "kind", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"]
)
def test_what_an_initializer_says_of_its_variance_is_so(kind: str, fans: tuple[int, int]) -> None:
    """Of a million numbers the variance is known to 0.15 %."""
    found = filled((1000, 1000), kind, fans).var()
    assert found == pytest.approx(Initializer.parse(kind).variance(*fans), rel=0.006)


# -------------------------------------------------------------------------------------------------------- orthogonal
@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1), (3, 3, 2, 5), (2, 2, 1, 7), (6,), ()])
def test_a_rotation_keeps_lengths(shape: tuple[int, ...], gain: float) -> None:
    """The shorter side of the matrix is orthonormal, times the gain."""
    w = filled(shape, "orthogonal", gain=gain)
    matrix = w.reshape(-1, shape[-1] if shape else 1)
    square = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    assert np.allclose(square, gain**2 * np.eye(len(square)), rtol=0, atol=1e-14)


def test_rotations_are_uniform() -> None:
    """By the signs of R's diagonal: without them LAPACK's Q leans to one side, its diagonal never positive at 2 x 2."""
    corners = np.array([filled((2, 2), "orthogonal", seed=s) for s in range(400)])
    assert np.abs(corners.mean(0)).max() < 5 * math.sqrt(0.5 / 400)
    turned = np.linalg.det(corners)
    assert 0.4 < (turned > 0).mean() < 0.6, "rotations and reflections alike"


def test_a_signal_keeps_its_length_through_many_rotations() -> None:
    x = np.random.default_rng(1).normal(size=32)
    y = x
    for seed in range(50):
        y = y @ filled((32, 32), "orthogonal", seed=seed)
    assert np.linalg.norm(y) == pytest.approx(np.linalg.norm(x), rel=1e-12)


# ------------------------------------------------------------------------------------------------------ distributions
def moments(w: Array) -> tuple[float, float]:
    return float(w.mean()), float(w.std())


@pytest.mark.parametrize("fans", [(7, 300), (300, 7), (100, 100)])
def test_lecun_looks_at_what_comes_in(fans: tuple[int, int]) -> None:
    for kind in ("lecun_uniform", "lecun_normal"):
        _, deviation = moments(filled((400, 500), kind, fans))
        assert deviation == pytest.approx(math.sqrt(1 / fans[0]), rel=0.01)


def test_uniform_fills_its_range() -> None:
    w = filled((300, 300), "uniform", low=-0.5, high=2.0)
    assert -0.5 <= w.min() < -0.499
    assert 1.999 < w.max() < 2.0
    assert moments(w) == pytest.approx((0.75, 2.5 / math.sqrt(12)), rel=0.02)


def test_normal_has_mean_and_deviation() -> None:
    assert moments(filled((300, 300), "normal", mean=3.0, std=0.2)) == pytest.approx((3.0, 0.2), rel=0.02)


def test_truncated_normal_is_the_normal_between_two_deviations() -> None:
    """Redrawn, not cut: nothing gathers at the ends, and the middle is that of the normal, scaled up."""
    w = np.abs(filled((500, 500), "truncated_normal", std=0.1))
    assert w.max() <= 0.2
    assert (w > 0.1999).mean() < 1e-3
    inside = (w < 0.1).mean()
    assert inside == pytest.approx(math.erf(1 / math.sqrt(2)) / math.erf(2 / math.sqrt(2)), abs=0.005)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("kind", "options", "name", "more"),
    [
        ("lecun_uniform", {}, "kaiming_uniform_", {"nonlinearity": "linear", "mode": "fan_in"}),
        ("lecun_normal", {}, "kaiming_normal_", {"nonlinearity": "linear", "mode": "fan_in"}),
        ("he_normal", {}, "kaiming_normal_", {"nonlinearity": "relu", "mode": "fan_in"}),
        ("glorot_uniform", {}, "xavier_uniform_", {}),
        ("truncated_normal", {"std": 0.3}, "trunc_normal_", {"std": 0.3, "a": -0.6, "b": 0.6}),
        ("orthogonal", {"gain": 1.5}, "orthogonal_", {"gain": 1.5}),
        ("uniform", {"low": -0.2, "high": 0.7}, "uniform_", {"a": -0.2, "b": 0.7}),
        ("normal", {"mean": 0.1, "std": 0.3}, "normal_", {"mean": 0.1, "std": 0.3}),
    ],
)
def test_pytorch_draws_from_the_same(kind: str, options: dict[str, Any], name: str, more: dict[str, Any]) -> None:
    """Mean, deviation and quantiles of 120,000 weights; PyTorch's matrices stand the other way."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.empty(300, 400, dtype=torch.float64)
    getattr(torch.nn.init, name)(theirs, **more)
    ours = filled((400, 300), kind, (400, 300), **options)
    quantiles = [1, 10, 25, 50, 75, 90, 99]
    spread = float(ours.std())
    assert np.allclose(moments(ours), moments(theirs.numpy()), rtol=0, atol=0.02 * spread)
    assert np.allclose(np.percentile(ours, quantiles), np.percentile(theirs, quantiles), rtol=0, atol=0.03 * spread)


# ----------------------------------------------------------------------------------------------------- in a network
@pytest.mark.parametrize("kind", ["lecun_normal", "orthogonal", "truncated_normal", "uniform", "normal"])
def test_a_network_starts_with_it(kind: str) -> None:
    """Drawn in float64 and cast, so that both types see the same weights."""
    layers = [Layer.parse({"type": "dense", "units": 5, "init": kind}), Layer.parse({"type": "dense", "units": 2})]
    wide, narrow = (Network(plan_network(layers, (4,)), 3, dtype, 7) for dtype in (np.float64, np.float32))
    w = wide.parameters()["dense_1.W"]
    assert w.shape == (4, 5)
    assert np.ptp(w) > 0
    assert np.array_equal(w.astype(np.float32), narrow.parameters()["dense_1.W"])
