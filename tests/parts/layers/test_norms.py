"""Normalization: what it makes of a batch, the running statistics and where they are kept, and PyTorch's opinion."""

from typing import Any

import numpy as np
import pytest
from beside_torch import TRAINERS, Race

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer, Loss, Optimizer, Regularizer
from bpcli.family.plan import Array, Sample
from bpcli.parts.layers.norms import BatchNorm, LayerNorm
from bpcli.studies.witness.cases import LayerCase


def network(*layers: Any, x: tuple[int, ...] = (3,), rows: int = 7, dtype: Any = np.float64, **more: Any) -> Network:
    return Network(plan_network([Layer.parse(layer) for layer in layers], x), rows, dtype, 0, **more)


def train(net: Network, x: Array) -> Array:
    """One pass and its commit; the outputs."""
    chain = net.chain(len(x))
    chain.x[...] = x
    chain.forward(True)
    net.commit(chain)
    return chain.y.copy()


def evaluate(net: Network, x: Array) -> Array:
    chain = net.chain(len(x))
    chain.x[...] = x
    chain.forward(False)
    return chain.y.copy()


@pytest.mark.parametrize("shape", [(3,), (4, 2, 3)])
def test_a_batch_has_mean_0_and_variance_1(shape: tuple[int, ...]) -> None:
    """At the start, with a gain of 1 and a shift of 0: each channel of a batch, each last axis of a row."""
    x = np.random.default_rng(0).normal(3, 5, (7, *shape))
    channels = train(network("batch_norm", x=shape), x).reshape(-1, 3)
    assert np.allclose(channels.mean(0), 0, atol=1e-14)
    assert np.allclose(channels.var(0), 1, atol=1e-5)
    rows = train(network("layer_norm", x=shape), x)
    assert np.allclose(rows.mean(-1), 0, atol=1e-14)
    assert np.allclose(rows.var(-1), 1, atol=1e-2)


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm"])
def test_gains_and_shifts_start_as_nothing_and_do_not_decay(kind: str) -> None:
    penalty = Regularizer.parse({"type": "l2", "strength": 0.1})
    network_plan = plan_network([Layer.parse({"type": "dense", "units": 3}), Layer.parse(kind)], (2,), penalty)
    entries = {e.path: e for e in network_plan.layout}
    assert not entries[f"{kind}_1.gamma"].param.decays
    assert not entries[f"{kind}_1.beta"].param.decays
    assert entries[f"{kind}_1.gamma"].penalty is None
    parameters = Network(network_plan, 1, np.float64, 0).parameters()
    assert parameters[f"{kind}_1.gamma"].tolist() == [1, 1, 1]
    assert parameters[f"{kind}_1.beta"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("part", [BatchNorm(), LayerNorm(), BatchNorm(affine=False), LayerNorm(affine=False)])
@pytest.mark.parametrize("train", [True, False])
def test_vectors_and_images_have_the_same_equations(part: Layer, train: bool) -> None:
    assert part.equations(train, (5,)) == part.equations(train, (2, 3, 5))


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm"])
@pytest.mark.parametrize(("dtype", "offset", "close"), [(np.float64, 1e12, 1e-9), (np.float32, 1e5, 1e-5)])
def test_a_large_mean_does_not_drown_the_spread(kind: str, dtype: Any, offset: float, close: float) -> None:
    """The first value and the mean are taken off before anything is squared; E x^2 - (E x)^2 would leave nothing here,
    and a mean of the values as they are would be off by many roundings of it."""
    x = (np.random.default_rng(1).normal(size=(500, 5)) + offset).astype(dtype)
    axis = 0 if kind == "batch_norm" else -1
    wide = x.astype(np.float64) - offset
    expected = (wide - wide.mean(axis, keepdims=True)) / np.sqrt(wide.var(axis, keepdims=True) + 1e-5)
    y = train(network(kind, x=(5,), rows=500, dtype=dtype), x)
    assert np.allclose(y, expected, rtol=close, atol=close)


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm"])
@pytest.mark.parametrize("value", [0.1, 100.1, -123456.789])
def test_what_is_constant_is_exactly_the_shift(kind: str, value: float) -> None:
    """A column (a row) of one value has variance 0, in float32 too, where the mean of many is not exact."""
    shape = (1000, 3) if kind == "batch_norm" else (2, 1000)
    net = network(kind, x=shape[1:], rows=shape[0], dtype=np.float32)
    net.parameters()[f"{kind}_1.beta"][...] = np.linspace(-1, 1, shape[1])
    y = train(net, np.full(shape, value, np.float32))
    assert np.array_equal(y, np.broadcast_to(net.parameters()[f"{kind}_1.beta"], shape))


# -------------------------------------------------------------------------------------------------- running statistics
def test_running_statistics_by_hand() -> None:
    """From mean 0 and variance 1; the unbiased variance of [0, 2] is 2, and of one value there is none."""
    net = network({"type": "batch_norm", "momentum": 0.25}, x=(1,))
    mean, var = net.states["batch_norm_1.rmean"], net.states["batch_norm_1.rvar"]
    assert (mean.item(), var.item()) == (0, 1)
    train(net, np.array([[0.0], [2.0]]))
    assert (mean.item(), var.item()) == (0.25, 0.75 + 0.25 * 2)
    train(net, np.array([[5.0]]))
    assert (mean.item(), var.item()) == (0.75 * 0.25 + 0.25 * 5, 1.25)
    train(net, np.array([[1.0], [1.0], [4.0]]))
    assert (mean.item(), var.item()) == (0.75 * 1.4375 + 0.25 * 2, 0.75 * 1.25 + 0.25 * 3)
    y = evaluate(net, np.array([[7.0], [-1.0]]))
    assert np.allclose(y, (np.array([[7.0], [-1.0]]) - mean) / np.sqrt(var + 1e-5), rtol=1e-15)


def test_a_batch_of_one_is_the_shift_and_teaches_nothing() -> None:
    net = network("batch_norm")
    net.parameters()["batch_norm_1.beta"][...] = [1, 2, 3]
    assert train(net, np.array([[4.0, -5.0, 6.0]])).tolist() == [[1, 2, 3]]
    case = LayerCase(Sample(BatchNorm(), (3,), batch=1), True)
    found = case.kernel()
    assert not found["dx"].any()
    assert not found["dgamma"].any()
    assert np.array_equal(found["dbeta"], case.upstream[0])


def test_evaluation_leaves_the_statistics_alone() -> None:
    net = network("batch_norm")
    x = np.random.default_rng(2).normal(size=(7, 3))
    train(net, x)
    before = {name: s.copy() for name, s in net.states.items()}
    whole = evaluate(net, x)
    assert np.array_equal(whole[2:3], evaluate(net, x[2:3]))  # a row does not depend on the rows beside it
    for name, value in before.items():
        assert np.array_equal(net.states[name], value)


def test_long_training_on_one_distribution_comes_to_its_statistics() -> None:
    rng = np.random.default_rng(3)
    net = network({"type": "batch_norm", "momentum": 0.01}, rows=100)
    for _ in range(1500):
        train(net, rng.normal([1, -2, 3], [0.5, 1, 2], (100, 3)))
    assert np.allclose(net.states["batch_norm_1.rmean"], [1, -2, 3], atol=0.05)
    assert np.allclose(net.states["batch_norm_1.rvar"], [0.25, 1, 4], rtol=0.05)


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm"])
def test_as_the_first_layer_it_need_not_tell_the_inputs(kind: str) -> None:
    gradients = []
    for need_dx in (True, False):
        net = network(kind, {"type": "dense", "units": 2}, need_dx=need_dx)
        chain = net.chain(5)
        chain.x[...] = np.random.default_rng(4).normal(size=(5, 3))
        chain.forward(True)
        chain.dy[...] = np.random.default_rng(5).normal(size=(5, 2))
        chain.backward(True)
        assert (chain.dx is None) == (not need_dx)
        gradients.append(net.grad.copy())
    assert np.abs(gradients[0]).min() > 0
    assert np.array_equal(*gradients)


def test_chance_is_the_same_in_either_precision_and_new_at_every_step() -> None:
    drawn = []
    for dtype in (np.float32, np.float64):
        net = network({"type": "gaussian_noise", "stddev": 0.5}, dtype=dtype, rows=2000)
        chain = net.chain(2000)
        chain.x[...] = 0
        for step in (0, 1):
            net.draw(chain, step)
            chain.forward(True)
            drawn.append(chain.y.copy())
    first, second, same, _ = drawn
    assert np.allclose(first, same, rtol=1e-6)
    assert not np.allclose(first, second)
    assert abs(first.mean()) < 5 * 0.5 / np.sqrt(first.size)
    assert abs(first.std() / 0.5 - 1) < 5 / np.sqrt(2 * first.size)


def test_a_branch_in_a_residual_keeps_its_statistics() -> None:
    """States are the engine's, by path, inside containers too."""
    layers: list[Any] = [{"type": "residual", "layers": ["batch_norm", "tanh"]}, {"type": "dense", "units": 1}]
    network_plan = plan_network([Layer.parse(layer) for layer in layers], (3,))
    objective = Objective(network_plan, Loss.parse("mean_squared_error"), 8, np.float64, 0)
    train_step = FirstOrderStep(objective, Optimizer.parse("sgd"), None, 10)
    x = np.random.default_rng(6).normal(2, 3, (8, 3))
    batch = objective.batch(8)
    batch.load(x, x[:, :1], np.arange(8))
    train_step.step(batch, 0)
    state = objective.network.states
    assert list(state) == ["residual_1.batch_norm_1.rmean", "residual_1.batch_norm_1.rvar"]
    assert np.allclose(state["residual_1.batch_norm_1.rmean"], 0.1 * x.mean(0), rtol=1e-14)
    assert np.allclose(state["residual_1.batch_norm_1.rvar"], 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-14)


# -------------------------------------------------------------------------------------------------------------- peers
@pytest.mark.peers
@pytest.mark.parametrize("sample", [s for s in BatchNorm.samples() if not s.error], ids=lambda s: s.note or str(s.x))
def test_running_statistics_are_torchs(sample: Sample) -> None:
    from torch_twin import Twin

    case = LayerCase(sample, True)
    found = case.kernel()
    twin = Twin(case.network)
    twin.forward(case.chain, True)
    values = case.chain.x.size // case.chain.x.shape[-1]
    for name in ("rmean", "rvar"):
        if values > 1 or name == "rmean":  # torch refuses a single value, and its arithmetic divides by 0
            theirs = twin.states[f"batch_norm_1.{name}"].numpy()
            assert np.allclose(found[f"{name}_new"], theirs, rtol=1e-12, atol=1e-14)


def hidden(norm: str, activation: str) -> list[Any]:
    """Without the biases that batch_norm takes off again: their gradients are rounding, which Adam would blow up."""
    first, second = ({"type": "dense", "units": units, "bias": norm != "batch_norm"} for units in (9, 7))
    return [first, norm, activation, second, norm, activation, {"type": "dense", "units": 3}]


INNER = {"type": "residual", "layers": ["tanh", "batch_norm", {"type": "dropout", "rate": 0.3}]}
OUTER = {"type": "residual", "layers": [
    {"type": "batch_norm", "momentum": 0.3}, "gelu", {"type": "dense", "units": 7, "bias": False},
    {"type": "batch_norm", "eps": 1e-3}, {"type": "gaussian_noise", "stddev": 0.1}, INNER, "layer_norm",
    {"type": "dropout", "rate": 0.2},
]}  # fmt: skip
NETS: dict[str, tuple[list[Any], str]] = {
    "branches": ([{"type": "dense", "units": 7}, OUTER, "tanh", {"type": "dense", "units": 3}], "mean_squared_error"),
    "layer_norm, gelu": (hidden("layer_norm", "gelu"), "softmax_cross_entropy"),
    "batch_norm, tanh": (hidden("batch_norm", "tanh"), "softmax_cross_entropy"),
    "batch_norm, mish": (hidden("batch_norm", "mish"), "mean_squared_error"),
    "selu": (hidden("identity", "selu"), "softmax_cross_entropy"),
    "silu, softsign": ([*hidden("softsign", "silu"), {"type": "gaussian_noise", "stddev": 0.1}], "mean_squared_error"),
}


@pytest.mark.peers
@pytest.mark.parametrize("optimizer", [name for name in TRAINERS if name in ("sgd", "momentum", "adam")])
@pytest.mark.parametrize(("layers", "loss"), NETS.values(), ids=NETS)
def test_whole_networks(layers: list[Any], loss: str, optimizer: str) -> None:
    """100 steps, short batches among them: weights, losses and running statistics."""
    race = Race(layers, loss, optimizer)
    for k in range(100):
        race.step(k)
        assert race.total_gap < 1e-10
    assert race.gap() < 1e-10
    for path, state in race.objective.network.states.items():
        assert np.allclose(state, race.twin.states[path].numpy(), rtol=0, atol=1e-10), path
        assert np.abs(state - path.endswith("rvar")).max() > 1e-3, "it went somewhere"
