"""How far rounding takes equations, a layer, and the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from loaded_objectives import LAYERS, RESIDUAL, loaded, without_equations

from bpcli.family import Array
from bpcli.notation import Eq, compile_equations
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.studies.gradcheck.rounding import NetworkRounding, layer_rounding_scale
from bpcli.studies.witness.program_rounding import (
    COARSE_EPS,
    MAX_COUNT,
    MAX_NOISY_ENTRIES,
    rounding_scale,
    with_noise,
)


def test_noise_is_a_rounding_of_float32() -> None:
    rng = np.random.default_rng(0)
    a = np.array([1.5, -200.25, 0.0, 1e-12])
    moved = np.array([with_noise(a, rng) for _ in range(200)])
    off = np.abs(moved - a).max(0) / np.where(a == 0, 1, np.abs(a))
    assert off[2] == 0
    for k in (0, 1, 3):
        assert 0.9 * COARSE_EPS < off[k] <= COARSE_EPS
    assert 0.4 < (moved[:, 0] > 1.5).mean() < 0.6
    scaled = np.array([with_noise(a, rng, 4.0) for _ in range(200)])
    assert 3.6 * COARSE_EPS < np.abs(scaled - a).max() <= 4.1 * COARSE_EPS


def test_what_counts_or_is_very_large_is_left_as_it_is() -> None:
    rng = np.random.default_rng(0)
    counts, ids, half = np.array([3.0, -7.0]), np.array([1, 2]), np.array([0.5])
    for a in (counts, ids, 2.5, np.full(MAX_NOISY_ENTRIES + 1, 0.5)):
        assert with_noise(a, rng) is a
    assert with_noise(half, rng) != half
    assert (with_noise(np.full(MAX_NOISY_ENTRIES, 0.5), rng) != 0.5).any()
    assert (with_noise(np.full(3, MAX_COUNT), rng) != MAX_COUNT).all(), "beyond, every number is whole"
    assert (with_noise(np.full(3, MAX_COUNT - 1), rng) == MAX_COUNT - 1).all()


def scales(equations: list[Eq], env: Mapping[str, Array]) -> Mapping[str, float]:
    program = compile_equations(equations, env, {})
    return rounding_scale(program, env, np.random.default_rng(0))


def test_how_far_rounding_takes_each_left_side() -> None:
    x = np.array([0.3, -0.7, 0.9])
    found = scales([Eq("y[i]", "x[i] * x[i]", ""), Eq("z[i]", "(1e6 + y[i]) - 1e6", "")], {"x": x})
    assert 0.3 * COARSE_EPS < found["y"] <= 2.1 * 0.81 * COARSE_EPS
    assert found["y"] / 3 < found["z"] < 3 * found["y"], "noise is put on what stands between equations, and not within"
    cancels = scales([Eq("h[i]", "x[i] + 1e6", ""), Eq("z[i]", "h[i] - 1e6", "")], {"x": x})
    assert 1e5 * COARSE_EPS < cancels["z"] < 2e6 * COARSE_EPS


def bound_of(*layers: Any) -> Any:
    _, batch = loaded(*layers)
    batch.backward(True)
    return batch.chain.layers[0]


def test_how_far_rounding_takes_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    found = layer_rounding_scale(bound_of(LAYERS[1]), True, rng)
    assert set(found) >= {"y", "dx", "dW", "db"}
    assert all(0 < found[name] < 100 * COARSE_EPS for name in ("y", "dx", "dW"))
    assert "inside" not in found
    container = layer_rounding_scale(bound_of(RESIDUAL, *LAYERS), True, rng)
    assert 0 < container["inside"] < container["y"] + container["dx"]
    without_equations(monkeypatch, Dense)
    bound = bound_of(LAYERS[1])
    before = {name: np.array(getattr(bound.frame, name)) for name in ("x", "dy", "W", "b", "y")}
    kernels = layer_rounding_scale(bound, True, rng)
    assert {"y", "dx", "dW", "db"} <= kernels.keys()
    assert COARSE_EPS * np.abs(before["dy"]).max() <= kernels["dx"] < 100 * COARSE_EPS
    assert 0.01 * COARSE_EPS < kernels["dW"] < 100 * COARSE_EPS
    for name, a in before.items():
        np.testing.assert_array_equal(getattr(bound.frame, name), a)


def test_how_far_rounding_takes_a_whole_network() -> None:
    objective, batch = loaded(RESIDUAL, *LAYERS)
    batch.backward(True)
    theta, x, y = objective.theta.copy(), batch.x.copy(), batch.chain.y.copy()
    found = NetworkRounding(objective, batch, np.random.default_rng(0))
    np.testing.assert_array_equal(objective.theta, theta)
    np.testing.assert_array_equal(batch.x, x)
    np.testing.assert_array_equal(batch.chain.y, y)
    assert found.gradient.keys() == {*objective.network.parameters(), "x"}
    rng = np.random.default_rng(0)
    inner = next(k for k in batch.chain.walk() if k.path == "residual_1.dense_1")
    own = min(layer_rounding_scale(inner, True, rng)["dW"] for _ in range(20))
    assert found.gradient["residual_1.dense_1.W"] > own / 2, "what the layer inside adds by itself"
    assert all(1e-3 * COARSE_EPS < size < 1e3 * COARSE_EPS for size in found.gradient.values())
    assert 1e-3 * COARSE_EPS < found.loss < 1e3 * COARSE_EPS
    moved = NetworkRounding(objective, batch, np.random.default_rng(0), weights=True)
    assert moved.gradient != found.gradient
    np.testing.assert_array_equal(objective.theta, theta)


def test_without_equations_of_a_loss_its_slopes_are_terms_of_size_1(monkeypatch: pytest.MonkeyPatch) -> None:
    without_equations(monkeypatch, SquaredError)
    objective, batch = loaded()
    batch.backward(True)
    found = NetworkRounding(objective, batch, np.random.default_rng(0))
    assert found.of_loss == {"dx": COARSE_EPS / 6}
    batch.w[...] = np.array([0.1, 0.1, 0.3, 0.2, 0.2, 0.1])
    batch.frame.w = batch.w
    assert NetworkRounding(objective, batch, np.random.default_rng(0)).of_loss == {"dx": COARSE_EPS * 0.3}
