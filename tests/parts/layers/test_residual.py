"""Branches: a layer that its input cannot enter is named with its place, however deep it stands; and each layer inside
has its own memory, statistics and chance."""

from typing import Any

import numpy as np
import pytest
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import LayerError, plan_network
from bpcli.family import Activation, Layer
from bpcli.family.plan import Array

WRONG = {"type": "dense", "units": 2, "weights": [[1.0, 2.0]]}
INNER = {"type": "residual", "layers": ["tanh", WRONG, {"type": "dense", "units": 4}]}


@pytest.mark.parametrize(
    ("branch", "text", "loc"),
    [
        ([WRONG], "residual_1.dense_1: the weights are given as 1 x 2 and must be 4 x 2", ("layers", 0)),
        (["relu", {"type": "dense", "units": 4}, WRONG], "residual_1.dense_2: the weights", ("layers", 2)),
        (["relu", INNER], "residual_1.residual_1.dense_1: the weights", ("layers", 1, "layers", 1)),
        ([{"type": "dense", "units": 3}], "residual_1: the branch turns rows of shape (4,) into (3,)", ()),
        ([INNER, {"type": "dense", "units": 3}], "residual_1: the branch turns rows of shape (4,) into (3,)", ()),
    ],
)
def test_errors_inside_a_branch_say_where(branch: list[object], text: str, loc: tuple[object, ...]) -> None:
    layers = [Layer.parse({"type": "dense", "units": 4}), Layer.parse({"type": "residual", "layers": branch})]
    with pytest.raises(LayerError) as caught:
        plan_network(layers, (2,))
    assert str(caught.value).startswith(text)
    assert caught.value.loc == ("architecture", 1, *loc)


# ---------------------------------------------------------------------------------- what stands inside keeps its own
def normalized(x: Array) -> Array:
    centred = x - x.mean(0)
    return centred / np.sqrt((centred**2).mean(0) + 1e-5)


def test_each_layer_in_nested_branches_keeps_its_own_statistics() -> None:
    """Two in a branch, one in a branch of that branch, and one behind: each follows what it saw, for three batches."""
    inner = {"type": "residual", "layers": ["batch_norm", "tanh"]}
    outer = {"type": "residual", "layers": ["batch_norm", "tanh", {"type": "batch_norm", "momentum": 0.5}, inner]}
    net = Network(plan_network([Layer.parse(part) for part in (outer, "batch_norm")], (3,)), 8, np.float64, 0)
    chain = net.chain(8)
    names = ("residual_1.batch_norm_1", "residual_1.batch_norm_2", "residual_1.residual_1.batch_norm_1", "batch_norm_1")
    assert set(net.states) == {f"{name}.{state}" for name in names for state in ("rmean", "rvar")}
    expected = {name: (np.zeros(3), np.ones(3)) for name in names}
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.normal([1, -2, 3], [0.5, 1, 2], (8, 3))
        first = np.tanh(normalized(x))
        second = normalized(first)
        branch = second + np.tanh(normalized(second))
        seen = dict(zip(names, (x, first, second, x + branch), strict=True))
        for name, values in seen.items():
            m = 0.5 if name.endswith("1.batch_norm_2") else 0.1
            mean, var = expected[name]
            expected[name] = (1 - m) * mean + m * values.mean(0), (1 - m) * var + m * values.var(0, ddof=1)
        chain.x[...] = x
        chain.forward(True)
        assert np.allclose(chain.y, normalized(x + branch), rtol=1e-12, atol=1e-14)
        net.commit(chain)
    for name, (mean, var) in expected.items():
        assert np.allclose(net.states[f"{name}.rmean"], mean, rtol=1e-12, atol=1e-14)
        assert np.allclose(net.states[f"{name}.rvar"], var, rtol=1e-12, atol=1e-14)
    evaluated = chain.x.copy()
    chain.forward(False)

    def at_evaluation(name: str, a: Array) -> Array:
        mean, var = expected[name]
        return (a - mean) / np.sqrt(var + 1e-5)

    second = at_evaluation(names[1], np.tanh(at_evaluation(names[0], evaluated)))
    branch = second + np.tanh(at_evaluation(names[2], second))
    assert np.allclose(chain.y, at_evaluation(names[3], evaluated + branch), rtol=1e-12, atol=1e-14)


def test_memory_in_branches_may_be_shared_without_changing_a_bit() -> None:
    """Every layer that keeps, draws or works in something, twice in a row and in branches: with arrays of its own, and
    with shared ones as in training."""
    kinds = [k for k in named_alone(Activation) if k != "identity"]
    every: list[Any] = [*kinds, "batch_norm", "layer_norm", "dropout", "gaussian_noise"]
    pairs = [layer for kind in every for layer in (kind, kind)]
    layers: list[Any] = [
        {"type": "dense", "units": 3}, *pairs, {"type": "residual", "layers": [*pairs, *reversed(pairs)]},
        {"type": "residual", "layers": [{"type": "residual", "layers": [kind, kind]} for kind in every]},
        {"type": "dense", "units": 2},
    ]  # fmt: skip
    found = []
    for retain in (True, False):
        net = Network(plan_network([Layer.parse(part) for part in layers], (3,)), 6, np.float64, 0, retain=retain)
        chain = net.chain(6)
        chain.x[...] = np.random.default_rng(1).normal(size=(6, 3)) * 3
        for step in (0, 1):
            net.draw(chain, step)
            chain.forward(True)
            chain.dy[...] = np.random.default_rng(2).normal(size=(6, 2))
            chain.backward(True)
            net.commit(chain)
        found.append([chain.y.copy(), net.grad.copy(), *(a.copy() for a in net.states.values())])
    assert np.abs(found[0][1]).max() > 1e-6
    for apart, shared in zip(*found, strict=True):
        assert np.array_equal(apart, shared)


# --------------------------------------------------------------------------------------- a projection on the way around
NARROW = {"type": "residual", "layers": [{"type": "dense", "units": 2}, "tanh"], "projection": [
    {"type": "dense", "units": 2}]}  # fmt: skip


def test_the_two_ways_have_names_of_their_own() -> None:
    """Layers of the branch are called as without a projection; those on the way around say where they are."""
    network_plan = plan_network([Layer.parse(NARROW)], (3,))
    assert [e.path for e in network_plan.layout] == [
        "residual_1.dense_1.W", "residual_1.projection.dense_1.W", "residual_1.dense_1.b",
        "residual_1.projection.dense_1.b",
    ]  # fmt: skip
    net = Network(network_plan, 4, np.float64, 0)
    first, second = (net.parameters()[f"residual_1.{way}dense_1.W"] for way in ("", "projection."))
    assert np.abs(first - second).min() > 0, "each has its own chance"


def test_a_branch_starts_as_it_does_without_a_projection() -> None:
    plain = {"type": "residual", "layers": [{"type": "dense", "units": 3}, "tanh"]}
    around = {**plain, "projection": [{"type": "dense", "units": 3}]}
    one, other = (
        Network(plan_network([Layer.parse(part)], (3,)), 1, np.float64, 0).parameters() for part in (plain, around)
    )
    assert np.array_equal(one["residual_1.dense_1.W"], other["residual_1.dense_1.W"])


@pytest.mark.parametrize(
    ("branch", "projection", "text", "loc"),
    [
        (["tanh"], [{"type": "dense", "units": 2}], "the branch gives rows of shape (4,), the projection rows of", ()),
        ([{"type": "dense", "units": 2}], ["flatten"], "residual_1: the branch gives rows of shape (2,), the", ()),
        (["tanh"], ["relu", WRONG], "residual_1.projection.dense_1: the weights are given", ("projection", 1)),
        ([WRONG], [WRONG], "residual_1.dense_1: the weights are given", ("layers", 0)),
        ([{"type": "residual", "name": "projection", "layers": ["tanh"]}], ["tanh"],
         "a layer of residual_1 is called projection", ()),
    ],
)  # fmt: skip
def test_errors_of_a_projection_say_where(
    branch: list[object], projection: list[object], text: str, loc: tuple[object, ...]
) -> None:
    with pytest.raises(LayerError) as caught:
        plan_network([Layer.parse({"type": "residual", "layers": branch, "projection": projection})], (4,))
    assert text in str(caught.value)
    assert caught.value.loc == ("architecture", 0, *loc)


def test_memory_of_two_ways_may_be_shared_without_changing_a_bit() -> None:
    """Branch and projection hold the same kinds of layers; what they keep and their gradients do not mix."""
    way = [{"type": "dense", "units": 3}, "batch_norm", "tanh", {"type": "dropout", "rate": 0.3}, "layer_norm"]
    inner = {"type": "residual", "layers": way, "projection": [*way, *way]}
    layers = [{"type": "residual", "layers": [inner, *way], "projection": [*way, inner]}, {"type": "dense", "units": 2}]
    found = []
    for retain in (True, False):
        net = Network(plan_network([Layer.parse(part) for part in layers], (3,)), 6, np.float64, 0, retain=retain)
        chain = net.chain(6)
        chain.x[...] = np.random.default_rng(1).normal(size=(6, 3))
        for step in (0, 1):
            net.draw(chain, step)
            chain.forward(True)
            chain.dy[...] = np.random.default_rng(2).normal(size=(6, 2))
            chain.backward(True)
            net.commit(chain)
        found.append([chain.y.copy(), net.grad.copy(), *(a.copy() for a in net.states.values())])
    assert np.abs(found[0][1]).max() > 1e-6
    for apart, shared in zip(*found, strict=True):
        assert np.array_equal(apart, shared)
