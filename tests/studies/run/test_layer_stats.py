"""Health of layers: every figure against NumPy alone, and which activations can be closed or saturated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import own as own
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.family import Activation, Layer, Loss
from bpcli.studies.custom.load import load
from bpcli.studies.run.layer_stats import DEAD_SLOPE, LayerStatsProbe, slope_and_ends

RNG = np.random.default_rng(4)
X, T = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
W1, B1 = RNG.normal(size=(3, 5)), RNG.normal(size=5)
W2, B2 = RNG.normal(size=(5, 2)), RNG.normal(size=2)


def probe(*layers: Any, loss: str = "mean_squared_error", x: Any = X, t: Any = T) -> LayerStatsProbe:
    network_plan = plan_network([Layer.parse(layer) for layer in layers], x.shape[1:])
    return LayerStatsProbe(network_plan, Loss.parse(loss), x, t)


def dense(units: int, activation: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **({"activation": activation} if activation else {}), **more}


def probe_and_weights() -> tuple[LayerStatsProbe, np.ndarray]:
    found = probe(dense(5, "relu"), dense(2))
    parameters = {"dense_1.W": W1, "dense_1.b": B1, "dense_2.W": W2, "dense_2.b": B2}
    theta = np.empty(found.objective.network.network_plan.size)
    for e in found.objective.network.network_plan.layout:
        theta[e.where] = parameters[e.path].reshape(-1)
    return found, theta


def test_every_figure_is_that_of_numpy() -> None:
    found, theta = probe_and_weights()
    update = np.linspace(-0.1, 0.1, len(theta))
    rows = {row.layer: row for row in found.measure(theta, {}, update)}
    z = X @ W1 + B1
    a = np.maximum(z, 0)
    y = a @ W2 + B2
    dy = 2 * (y - T) / T.size
    da = dy @ W2.T
    dz = da * (z > 0)
    assert found.loss == pytest.approx(np.mean((y - T) ** 2), rel=1e-14)
    first, relu, last = rows["dense_1"], rows["dense_1.activation"], rows["dense_2"]
    assert first.gradient == pytest.approx(np.sqrt(np.sum((X.T @ dz) ** 2) + np.sum(dz.sum(0) ** 2)), rel=1e-12)
    assert last.gradient == pytest.approx(np.sqrt(np.sum((a.T @ dy) ** 2) + np.sum(dy.sum(0) ** 2)), rel=1e-12)
    assert first.weights == pytest.approx(np.linalg.norm(W1), rel=1e-12)
    e = found.objective.network.network_plan.entry("dense_2.W")
    assert last.update == pytest.approx(np.linalg.norm(update[e.where]) / np.linalg.norm(W2), rel=1e-12)
    assert (first.error, relu.error) == pytest.approx((np.sqrt(np.mean(dz**2)), np.sqrt(np.mean(da**2))), rel=1e-12)
    assert (relu.output_mean, relu.output_deviation) == pytest.approx((a.mean(), a.std()), rel=1e-12)
    assert relu.dead == np.mean((z <= 0).all(axis=0))
    assert relu.saturated is None
    assert first.dead is None
    assert relu.gradient is None


def test_a_penalty_is_no_part_of_the_gradient() -> None:
    found, theta = probe_and_weights()
    plain = found.measure(theta, {})[0].gradient
    layers = [Layer.parse(dense(5, "relu", regularization={"type": "l2", "strength": 9.0})), Layer.parse(dense(2))]
    other = LayerStatsProbe(plan_network(layers, (3,)), Loss.parse("mean_squared_error"), X, T)
    parameters = {"dense_1.W": W1, "dense_1.b": B1, "dense_2.W": W2, "dense_2.b": B2}
    weights = np.concatenate([parameters[e.path].reshape(-1) for e in other.objective.network.network_plan.layout])
    assert other.measure(weights, {})[0].gradient == pytest.approx(plain, rel=1e-14)


@pytest.mark.parametrize(
    ("kind", "flat_ends"),
    [("identity", "none"), ("leaky_relu", "none"), ("softmax", "none"), ("relu", "one"), ("elu", "one"),
     ("softplus", "one"), ("gelu", "one"), ("silu", "one"), ("sigmoid", "both"), ("tanh", "both"),
     ("hard_tanh", "both"), ("softsign", "both")],
)  # fmt: skip
def test_flat_ends_are_found_by_the_slope(kind: str, flat_ends: str) -> None:
    assert slope_and_ends(Activation.parse(kind))[1] == flat_ends


@pytest.mark.parametrize(("kind", "steepest"), [("sigmoid", 0.25), ("tanh", 1.0), ("relu", 1.0)])
def test_the_steepest_slope(kind: str, steepest: float) -> None:
    assert slope_and_ends(Activation.parse(kind))[0] == pytest.approx(steepest, rel=1e-12)


def test_every_registered_activation_has_a_character() -> None:
    kinds = named_alone(Activation)
    assert len(kinds) > 10
    for kind in kinds:
        assert slope_and_ends(Activation.parse(kind))[1] in ("none", "one", "both")


@pytest.mark.parametrize(("kind", "slope"), [("tanh", lambda z: 1 - np.tanh(z) ** 2),
                                             ("sigmoid", lambda z: 4 / (2 + np.exp(z) + np.exp(-z)))])  # fmt: skip
def test_saturated_is_where_the_slope_is_under_a_twentieth(kind: str, slope: Any) -> None:
    found = probe(dense(4, kind), dense(2), x=3 * X)
    rows = {row.layer: row for row in found.measure(found.objective.theta.copy(), {})}
    z = found.batch.chain.layers[0].frame.y
    expected = np.mean(slope(z) <= 0.05)
    assert 0 < expected < 1
    assert rows["dense_1.activation"].saturated == expected


def test_units_are_dead_where_no_row_opens_them() -> None:
    found, theta = probe_and_weights()
    e = found.objective.network.network_plan.entry("dense_1.b")
    theta[e.where] = [-100, 0, -100, 0, 0]
    assert {row.layer: row.dead for row in found.measure(theta, {})}["dense_1.activation"] >= 0.4  # type: ignore[operator]
    theta[e.where] = 100
    assert {row.layer: row.dead for row in found.measure(theta, {})}["dense_1.activation"] == 0


def test_weights_that_overflowed_are_measured_too() -> None:
    found, theta = probe_and_weights()
    rows = found.measure(theta * 1e200, {})
    assert not np.isfinite(found.loss)
    assert len(rows) == 3


def test_looking_changes_nothing_of_what_it_is_given() -> None:
    found, theta = probe_and_weights()
    before = theta.copy()
    first = found.measure(theta, {})
    assert (theta == before).all()
    assert found.measure(theta, {}) == first


@pytest.mark.peers
def test_gradient_norms_are_those_of_torch() -> None:
    import torch

    found, theta = probe_and_weights()
    rows = {row.layer: row for row in found.measure(theta, {})}
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)).double()
    with torch.no_grad():
        for layer, (w, b) in zip((net[0], net[2]), ((W1, B1), (W2, B2)), strict=True):
            layer.weight.copy_(torch.tensor(w.T))
            layer.bias.copy_(torch.tensor(b))
    loss = torch.nn.functional.mse_loss(net(torch.tensor(X)), torch.tensor(T))
    loss.backward()
    assert found.loss == pytest.approx(loss.item(), rel=1e-13)
    for name, layer in (("dense_1", net[0]), ("dense_2", net[2])):
        norm = torch.sqrt(sum((p.grad**2).sum() for p in layer.parameters())).item()
        assert rows[name].gradient == pytest.approx(norm, rel=1e-12)


def test_chance_is_drawn_as_for_the_step_that_is_asked_for_and_for_the_first_if_none_is() -> None:
    found = probe(dense(5), {"type": "dropout", "rate": 0.5}, dense(2))
    theta = found.objective.theta.copy()
    first, second = found.measure(theta, {}, None, 0), found.measure(theta, {}, None, 1)
    assert first != second
    assert found.measure(theta, {}) == first


def test_class_ids_are_targets_too() -> None:
    ids = np.array([0, 1, 1, 0, 1, 0, 0])
    found = probe(dense(2), loss="softmax_cross_entropy", t=ids)
    found.measure(found.objective.theta.copy(), {})
    y = found.batch.chain.y
    assert found.loss == pytest.approx(np.mean(np.log(np.exp(y).sum(1)) - y[np.arange(7), ids]), rel=1e-12)


STEEP = """\
from typing import Literal

import numpy as np

from bpcli.custom import Activation


class Steep(Activation):
    type: Literal["steep"] = "steep"

    def forward(self, f, train):
        np.exp(f.x * f.x, out=f.y)

    def backward(self, f, train):
        f.dx[...] = f.dy * 2 * f.x * np.exp(f.x * f.x)
"""


def test_an_activation_that_overflows_is_looked_at_without_a_warning(own: Path) -> None:
    (own / "steep.py").write_text(STEEP)
    (leaf,) = load([own / "steep.py"])
    assert slope_and_ends(leaf())[1] == "none"  # type: ignore[arg-type]


CLIPPED = """\
from typing import Literal

import numpy as np

from bpcli.custom import Activation, Layer, Plan, Slot


class Clipped(Activation):
    type: Literal["clipped"] = "clipped"
    end: float

    def forward(self, f, train):
        np.clip(f.x, -self.end, self.end, out=f.y)

    def backward(self, f, train):
        np.multiply(f.dy, np.abs(f.x) < self.end, out=f.dx)


class Slanted(Activation):
    type: Literal["slanted"] = "slanted"
    slope: float

    def forward(self, f, train):
        np.multiply(f.x, np.where(f.x > 0, 1.0, self.slope), out=f.y)

    def backward(self, f, train):
        np.multiply(f.dy, np.where(f.x > 0, 1.0, self.slope), out=f.dx)


class Shifted(Layer):
    type: Literal["shifted"] = "shifted"

    def plan(self, x):
        return Plan(y=x, state={"mean": Slot(x)})

    def forward(self, f, train):
        np.subtract(f.x, f.mean, out=f.y)

    def backward(self, f, train):
        np.copyto(f.dx, f.dy)
"""


def test_the_ends_of_an_activation_are_looked_for_at_60(own: Path) -> None:
    (own / "clipped.py").write_text(CLIPPED)
    clipped, slanted, _ = load([own / "clipped.py"])
    found = [slope_and_ends(clipped(end=end))[1] for end in (59.5, 60.5)]  # type: ignore[call-arg, arg-type]
    assert found == ["both", "none"]
    slanting = [slope_and_ends(slanted(slope=slope))[1] for slope in (DEAD_SLOPE, 1.01 * DEAD_SLOPE)]  # type: ignore[call-arg, arg-type]
    assert slanting == ["one", "none"], "a thousandth of the steepest slope is flat"


def test_running_statistics_are_those_that_are_given(own: Path) -> None:
    (own / "clipped.py").write_text(CLIPPED)
    load([own / "clipped.py"])
    found = probe("shifted", dense(2))
    rows = [found.measure(found.objective.theta.copy(), {"shifted_1.mean": np.full(3, m)})[0] for m in (0.0, 2.0, 5.0)]
    assert [row.output_mean for row in rows] == pytest.approx([X.mean(), X.mean() - 2, X.mean() - 5], rel=1e-12)
