"""The whole network at a point: its gradients, what they are evaluated by, and what moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loaded_objectives import LAYERS, PENALTY, RESIDUAL, T, X, loaded, of_step, without_equations

from bpcli.family import Frame
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.parts.regularizers import L2
from bpcli.studies.gradcheck.layer_point import DATA, RANDOM
from bpcli.studies.gradcheck.network_point import NetworkPoint, perturb_weights
from bpcli.studies.witness.program_rounding import COARSE_EPS

RNG = np.random.default_rng(9)


def test_the_whole_network_at_a_point() -> None:
    objective, batch = loaded(penalty=PENALTY)
    point = NetworkPoint(objective, batch, DATA)
    w = {path: a.copy() for path, a in objective.network.parameters().items()}
    a = np.tanh(X @ w["dense_1.W"] + w["dense_1.b"])
    dy = 2 * (a @ w["dense_2.W"] + w["dense_2.b"] - T) / 6
    squares = sum((w[f"dense_{k}.W"] ** 2).sum() for k in (1, 2))
    assert point.loss == pytest.approx(6 / 4 * (dy**2).sum() + 0.15 * squares, rel=1e-12)
    np.testing.assert_allclose(point.kernel["dense_2.W"], a.T @ dy + 0.3 * w["dense_2.W"])
    np.testing.assert_allclose(point.kernel["dense_2.b"], dy.sum(0))
    dz = dy @ w["dense_2.W"].T * (1 - a * a)
    np.testing.assert_allclose(point.dx, dz @ w["dense_1.W"].T)
    assert point.reach == max(np.abs(g).max() for g in point.kernel.values())
    assert point.finite
    assert point.moved_weights == ()
    assert point.equations is not None


def test_every_gradient_of_a_network_is_handed_on() -> None:
    objective, batch = loaded(RESIDUAL, *LAYERS, penalty=PENALTY)
    point = NetworkPoint(objective, batch, DATA)
    theta = objective.theta.copy()
    gradients = list(point.gradients())
    assert [g.tensor for g in gradients] == [
        "residual_1.dense_1.dW", "residual_1.dense_1.db", "dense_1.dW", "dense_1.db", "dense_2.dW", "dense_2.db",
        "inputs dx",
    ]  # fmt: skip
    for gradient in gradients:
        assert (gradient.scope, gradient.point, gradient.reach) == ("network", DATA, point.reach)
        assert not gradient.always_zero
        assert gradient.equations is None
        assert gradient.rounding > 0
        index = (1,) * gradient.kernel.ndim
        step = of_step(gradient.complex_value, gradient.at, index)
        assert step == pytest.approx(gradient.kernel[index], rel=1e-9, abs=1e-14), gradient.tensor
        value, mass = gradient.value()
        assert value == pytest.approx(point.loss, rel=1e-14)
        assert mass > abs(value)
        old = gradient.at[index]
        gradient.at[index] = old + 1e-6
        above = gradient.value()[0]
        gradient.at[index] = old - 1e-6
        below = gradient.value()[0]
        gradient.at[index] = old
        assert (above - below) / 2e-6 == pytest.approx(gradient.kernel[index], rel=1e-5, abs=1e-8), gradient.tensor
        assert gradient.moved is not None
        with gradient.moved(1e-6) as moved:
            assert 0 < np.abs(moved - gradient.kernel).max() < 1e-3
        np.testing.assert_array_equal(objective.theta, theta)
        np.testing.assert_array_equal(batch.x, X)
        assert gradient.outputs is not None
    first, last = gradients[0].outputs, gradients[-2].outputs
    assert first is not None
    assert last is not None
    every = [bound.frame.y.size for bound in batch.chain.walk()]
    assert first.read().size == sum(every)
    assert last.read().size == 12, "of the layers that may have changed"
    assert gradients[0].value()[1] == pytest.approx(
        batch.forward(True) + objective.penalty() + np.abs(batch.frame.x).max() + point.rounding.loss / COARSE_EPS,
        rel=1e-12,
    )


@pytest.mark.parametrize("part", [Tanh, SquaredError, L2])
def test_without_equations_of_one_part_the_whole_network_has_none(part: type, monkeypatch: pytest.MonkeyPatch) -> None:
    without_equations(monkeypatch, part)
    point = NetworkPoint(*loaded(penalty=PENALTY), DATA)
    assert point.equations is None
    assert next(point.gradients()).complex_value is None


def test_a_network_whose_loss_is_infinite_shows_nothing() -> None:
    with np.errstate(all="ignore"):
        assert not NetworkPoint(*loaded(t=T * 1e200), DATA).finite
        assert NetworkPoint(*loaded(t=T * 1e150), DATA).finite


def test_a_gradient_is_computed_again_from_the_rows_as_they_are() -> None:
    objective, batch = loaded()
    point = NetworkPoint(objective, batch, DATA)
    batch.x += 1
    other = NetworkPoint(objective, batch, DATA)
    batch.x -= 1
    point.evaluate()
    batch.x += 1
    np.testing.assert_array_equal(point.gradient_again("dense_1.b"), other.kernel["dense_1.b"])


def test_a_network_without_parameters_has_the_gradient_of_its_inputs() -> None:
    point = NetworkPoint(*loaded("tanh", t=RNG.normal(size=(6, 3))), DATA)
    assert [g.tensor for g in point.gradients()] == ["inputs dx"]
    assert (point.kernel, point.reach) == ({}, 0.0)


def test_weights_that_a_pass_moves_are_named_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        f.W -= 0.1

    monkeypatch.setattr(Dense, "backward", wrong)
    objective, batch = loaded()
    theta = objective.theta.copy()
    point = NetworkPoint(objective, batch, DATA)
    assert point.moved_weights == ("dense_1.W", "dense_2.W")
    np.testing.assert_array_equal(objective.theta, theta)
    np.testing.assert_array_equal(point.gradient_again("dense_1.W"), point.kernel["dense_1.W"])
    np.testing.assert_array_equal(point.gradient_again("x"), point.dx)


def test_numbers_that_stand_for_things_are_not_moved() -> None:
    x = np.arange(18.0).reshape(6, 3) % 5
    layers = [{"type": "embedding", "tokens": 5, "units": 2}, "flatten", LAYERS[1]]
    point = NetworkPoint(*loaded(*layers, x=x), DATA)
    gradients = {g.tensor: g for g in point.gradients()}
    assert {tensor: g.always_zero for tensor, g in gradients.items()} == {
        "embedding_1.dW": False, "dense_1.dW": False, "dense_1.db": False, "inputs dx": True,
    }  # fmt: skip
    moved = gradients["dense_1.dW"].moved
    assert moved is not None
    with moved(1e-3):
        np.testing.assert_array_equal(point.batch.x, x)


def test_noise_on_weights_keeps_the_scale_of_what_is_computed() -> None:
    layers = [{"type": "dense", "units": 50}, {"type": "dense", "units": 2}]
    objective, _ = loaded(*layers, x=RNG.normal(size=(6, 100)))
    before = {path: w.copy() for path, w in objective.network.parameters().items()}
    perturb_weights(objective, np.random.default_rng(0), 1.0)
    after = objective.network.parameters()
    for path, size in (("dense_1.W", 0.05), ("dense_2.W", 0.5 / np.sqrt(50)), ("dense_1.b", 0.5 / np.sqrt(100))):
        spread = float(np.std(after[path] - before[path]))
        assert spread == pytest.approx(size, rel=0.35), path
    far = after["dense_1.W"].copy()
    objective, _ = loaded(*layers, x=RNG.normal(size=(6, 100)))
    perturb_weights(objective, np.random.default_rng(0), 8.0)
    np.testing.assert_allclose(objective.network.parameters()["dense_1.W"], 8 * far)


def test_a_random_point_of_the_network_is_drawn_by_its_name() -> None:
    names = [NetworkPoint(*loaded(), name).rng.normal() for name in (DATA, RANDOM, DATA)]
    assert names[0] == names[2] != names[1]
