"""Formulas as parts: the same weights as their built-in twins, and every mistake of a file at its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import CONFIG, Lab
from cli_lab import lab as lab

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.part import dump
from bpcli.records.training import Exit

SILU = {"type": "formula", "y": "x[n,...] * sigmoid(x[n,...])"}
SOFTMAX_ENTROPY = "logsumexp(k, x[n,k]) - sum(k, t[n,k] * x[n,k])"
NORM = [
    "mu[c] = mean(n, x[n,c])",
    "var[c] = mean(n, (x[n,c] - mu[c])**2)",
    "xhat[n,c] = (x[n,c] - mu[c]) / sqrt(var[c] + eps)",
    "y[n,c] = gamma[c] * xhat[n,c] + beta[c]",
]


def dense(inputs: int, units: int) -> dict[str, Any]:
    """Returns a dense layer by formula, whose parameters are called as those of its twin."""
    weights = {"shape": ["i", units], "init": "glorot_uniform", "decays": True}
    stated = ["y[n,o] = sum(i, x[n,i] * W[i,o]) + b[o]"]
    return {"type": "formula", "equations": stated, "params": {"W": weights, "b": {"shape": [units]}}}


def norm(places: int) -> dict[str, Any]:
    one = {"shape": [places], "init": {"type": "constant", "value": 1.0}}
    return {"type": "formula", "equations": NORM, "params": {"gamma": one, "beta": {"shape": [places]}},
            "settings": {"eps": 1e-5}}  # fmt: skip


TWINS: dict[str, tuple[list[Any], list[Any]]] = {
    "dense": (
        [{"type": "dense", "units": 5}, "tanh", {"type": "dense", "units": 3}], [dense(4, 5), "tanh", dense(5, 3)],
    ),
    "silu": ([{"type": "dense", "units": 3}, "silu"], [{"type": "dense", "units": 3}, SILU]),
    "batch norm": (
        [{"type": "dense", "units": 3}, {"type": "batch_norm"}], [{"type": "dense", "units": 3}, norm(3)],
    ),
    "layer norm": (
        [{"type": "dense", "units": 3}, {"type": "layer_norm", "affine": False}],
        [{"type": "dense", "units": 3}, {"type": "formula", "settings": {"eps": 1e-5}, "equations": [
            "m[n] = mean(c, x[n,c])", "y[n,c] = (x[n,c] - m[n]) / sqrt(mean(c, (x[n,c] - m[n])**2) + eps)",
        ]}],
    ),
}  # fmt: skip
LOSSES: dict[str, tuple[Any, Any]] = {
    "cross-entropy": (
        "softmax_cross_entropy", {"type": "formula", "L": SOFTMAX_ENTROPY, "targets": "classes", "predicts": "softmax"},
    ),
    "log cosh": ("log_cosh", {"type": "formula", "L": "mean(k, log(cosh(x[n,k] - t[n,k])))"}),
}  # fmt: skip
L2 = {"type": "l2", "strength": 0.01}
L2_STATED = {"type": "formula", "penalty": "s / 2 * sum(j, w[j]**2)", "settings": {"s": 0.01}}


def trained(layers: list[Any], loss: Any, penalty: Any, weighted: bool, steps: int = 50) -> np.ndarray:
    """Returns the weights after steps of plain gradient descent on the same rows, in float64."""
    rng = np.random.default_rng(3)
    plan = plan_network([Layer.parse(layer) for layer in layers], (4,), Regularizer.parse(penalty))
    objective = Objective(plan, Loss.parse(loss), 6, np.float64, 1)
    objective.theta[...] = np.random.default_rng(1).normal(size=objective.theta.shape) * 0.5
    x, t = rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, 6)]
    w = rng.uniform(0.5, 2, 6) if weighted else None
    for _ in range(steps):
        batch = objective.batch(6)
        batch.load(x, t, np.arange(6), w)
        batch.forward(True)
        batch.backward(True)
        objective.add_penalty_gradient()
        objective.theta -= 0.1 * objective.grad
    return objective.theta.copy()


@pytest.mark.parametrize("name", TWINS)
def test_a_layer_trains_to_the_weights_of_its_twin(name: str) -> None:
    built_in, stated = (trained(layers, "softmax_cross_entropy", L2, False) for layers in TWINS[name])
    np.testing.assert_allclose(stated, built_in, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_a_penalty_train_to_the_weights_of_their_twins(name: str, weighted: bool) -> None:
    layers = [{"type": "dense", "units": 3}]
    built_in, stated = LOSSES[name]
    np.testing.assert_allclose(
        trained(layers, stated, L2_STATED, weighted), trained(layers, built_in, L2, weighted), rtol=0, atol=1e-12
    )


def test_fans_and_shapes_follow_from_the_letters() -> None:
    plan = Layer.parse(dense(4, 3)).plan((4,))
    assert (plan.y, plan.params["W"].shape, plan.params["b"].shape) == ((3,), (4, 3), (3,))
    assert (plan.params["W"].fan_in, plan.params["W"].fan_out, plan.params["W"].decays) == (4, 3, True)
    chained = {"type": "formula", "equations": ["h[n,j] = sum(i, x[n,i] * U[i,j])", "y[n,o] = sum(j, h[n,j] * V[j,o])"],
               "params": {"V": {"shape": ["j", 2]}, "U": {"shape": ["i", 7]}}}  # fmt: skip
    plan = Layer.parse(chained).plan((5,))
    assert (plan.params["U"].shape, plan.params["V"].shape, plan.y) == ((5, 7), (7, 2), (2,))
    gain = {"type": "formula", "y": "g[...] * x[n,...]", "params": {"g": {"shape": ["..."], "init": "zeros"}}}
    assert Layer.parse(gain).plan((2, 3)).params["g"].shape == (2, 3)


@pytest.mark.parametrize("part", [dense(4, 3), SILU, norm(3)])
def test_it_is_written_as_it_was_read(part: dict[str, Any]) -> None:
    layer = Layer.parse(part)
    assert Layer.parse(dump(layer)) == layer
    assert hash(layer) == hash(Layer.parse(part))


LINE = '  - {type: formula, y: "x[n,...] * sigmoid(beta * x[n,...])", params: {beta: {shape: []}}}\n'


@pytest.mark.parametrize(
    ("old", "new", "said", "column"),
    [
        ("sigmoid(beta * x[n,...])", "sigmoid(beta * x[n,...]", "'(' was never closed", 43),
        ("sigmoid", "sigmoyd", "no function or reduction is called sigmoyd", 36),
        ("beta * x", "betta * x", "no equation reads the parameter `beta`", 5),
        ("* sigmoid", "* k * sigmoid", "the index k does not run over anything", 5),
        ("x[n,...] * sigmoid", "y[n,...] * sigmoid", "these equations read each other in a circle: y", 5),
        ("x[n,...] * sigmoid", "percentile(k, 50, x[n,k]) * sigmoid", "percentile has no derivative", 5),
    ],
)  # fmt: skip
def test_mistakes_are_said_at_their_place(lab: Lab, old: str, new: str, said: str, column: int) -> None:
    assert old in LINE
    text = CONFIG.replace("  - {type: dense, units: 2}\n", LINE.replace(old, new) + "  - {type: dense, units: 2}\n")
    lab.write("bad.yaml", text)
    ended = lab.run("check", "bad.yaml")
    assert ended.code == Exit.BAD_INPUT
    assert said in ended.err
    line = 1 + text[: text.index("type: formula")].count("\n")
    assert f"bad.yaml:{line}:{column}" in ended.err


def test_a_formula_is_trained_checked_and_worked_out(lab: Lab, tmp_path: Path) -> None:
    lab.write("f.yaml", CONFIG.replace("  - {type: dense, units: 2}\n", LINE + "  - {type: dense, units: 2}\n"))
    for words in (["train", "f.yaml", "--out", "run", "-q"], ["eval", "run"], ["gradcheck", "f.yaml"],
                  ["trace", "f.yaml", "--detail", "layer"]):  # fmt: skip
        ended = lab.run(*words)
        assert ended.code == Exit.OK, (words, ended.err)
        assert "WRONG" not in ended.out
    assert "derived by " in ended.out
