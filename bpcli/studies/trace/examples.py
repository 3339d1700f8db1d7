"""Built-in derivations: published ones, with the numbers verified in 60 digits, and one step of each optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.config.experiment import Experiment
from bpcli.engine.network_plan import plan_network
from bpcli.family import GradientOptimizer, Optimizer, suggestion
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.dataset.prepare import prepare
from bpcli.studies.trace.open import TracedRows, TraceTarget, target_of_experiment

NO_ROWS = TracedRows()
SQUARED, HALF_SQUARED = ({"type": "squared_error", "factor": factor} for factor in (1, 0.5))


@dataclass(frozen=True)
class TraceExample:
    """A network small enough to follow by hand. `experiment` is as in a file; `rows` is what it is shown.

    `slots` and `done` are what the optimizer remembers, and after how many steps. `verified` are numbers of the
    derivation by address, computed in 60 digits by another author; `remarks` what the source says otherwise.
    """

    name: str
    title: str
    source: str
    experiment: Mapping[str, Any]
    rows: TracedRows = NO_ROWS
    slots: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    verified: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Lines for the header of its derivation: title, source and remarks."""
        about = (("example", self.title), ("source", self.source))
        return (*about, *(("beware" if i == 0 else "", r) for i, r in enumerate(self.remarks)))


def open_example(example: TraceExample, rows: TracedRows = NO_ROWS) -> TraceTarget:
    """Returns what an example traces, on its own rows or on others by value."""
    experiment = Experiment.model_validate({"name": example.name, "dtype": "float64", **example.experiment})
    prepared = prepare(experiment.data, targets=experiment.loss.targets, seed=0, dtype=np.dtype("float64"), root=Path())
    network_plan = plan_network(experiment.architecture, prepared.preprocessor.shape, experiment.regularization)
    target = target_of_experiment(
        experiment, network_plan, prepared.preprocessor, rows if rows.x else example.rows, "as given"
    )
    for name, value in example.slots.items():
        target.train_step.slots[name][...] = value
    target.done = example.done
    return target


def example_named(name: str) -> TraceExample:
    """Returns the example of that name. Raises Failure with the names there are."""
    known = trace_examples()
    if name not in known:
        help = f"{suggestion(name, known)}`bpcli trace --list-examples` shows them all"
        raise Failure(Problem(f"there is no example `{name}`", code="unknown-example", help=help), exit=Exit.USAGE)
    return known[name]


@cache
def trace_examples() -> Mapping[str, TraceExample]:
    """Returns all built-in examples by name."""
    found = [_article(), *_nielsen(), _circle_neuron(), _convolution(), *_published_steps(), *_steps()]
    return {e.name: e for e in found}


def _experiment(inputs: Any, targets: Any, layers: Any, loss: Any, optimizer: Any) -> dict[str, Any]:
    return {
        "data": {"train": {"type": "inline", "inputs": inputs, "targets": targets}},
        "architecture": layers,
        "loss": loss,
        "optimizer": optimizer,
        "training": {"epochs": 1, "batch_size": "full"},
    }


def _unit(weights: Any, bias: Any, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": 1, "weights": weights, "bias": bias, **more}


def _article() -> TraceExample:
    layers = [_unit([[1.0]], [0.0], activation="sigmoid"), _unit([[-1.0]], [0.0], activation="sigmoid")]
    sgd = {"type": "sgd", "learning_rate": 1.0}
    return TraceExample(
        "article",
        "one hidden unit: x = 1, w1 = 1, w2 = -1, both biases 0, target 1, E = (y - o2)^2 without a half",
        "the article on back-propagation that this project began with; every number anew, in 60 digits",
        _experiment([[-1.0], [0.0], [1.0]], [[0.0], [1.0], [1.0]], layers, SQUARED, sgd),
        TracedRows(x=("1",), t=("1",)),
        verified={
            "dense_1.activation.y[0,0]": 0.73105857863000487925,
            "dense_2.y[0,0]": -0.73105857863000487925,
            "dense_2.activation.y[0,0]": 0.32496247262317630317,
            "loss": 0.45567566336701600199,
            "loss.dx[0,0]": -1.3500750547536473937,
            "dense_2.activation.dx[0,0]": -0.29615498056390327722,
            "dense_2.dW[0,0]": -0.21650663914524385075,
            "dense_2.db[0]": -0.29615498056390327722,
            "dense_1.dW[0,0]": 0.058227603267762506704,
            "dense_1.db[0]": 0.058227603267762506704,
            "dense_1.dx[0,0]": 0.058227603267762506704,
            "dense_1.W_new[0,0]": 0.9417723967322374933,
            "dense_1.b_new[0]": -0.058227603267762506704,
            "dense_2.W_new[0,0]": -0.78349336085475614925,
            "dense_2.b_new[0]": 0.29615498056390327722,
            "loss_after": 0.31831755264425896633,
        },
        remarks=(
            "the article says o2 = 0.26894142137: it took w2 alone for the input of the second unit and dropped o1",
            "it says E = 0.07610244617, which does not follow from its own o2 (that gives 0.534446645389)",
            "it says dE/dw1 = 0.25942358493, which is 4.455 times too large; no cause found",
            "it adds the gradient to w1, which raises E to 0.459019654299; descent subtracts it",
        ),
    )


def _nielsen() -> list[TraceExample]:
    title = "one sigmoid neuron that is to learn x = 1 -> 0, from w = {}, b = {}; {}"
    source = "Nielsen, Neural Networks and Deep Learning, chapter 3 (its published numbers recalled, ours computed)"
    found = []
    for name, w, a, delta in (
        ("nielsen_fast", (0.6, 0.9), 0.8175744761936437, 0.12193833242754278),
        ("nielsen_slow", (2.0, 2.0), 0.9820137900379085, 0.017345021070840114),
    ):
        layers = [_unit([[w[0]]], [w[1]], activation="sigmoid")]
        sgd = {"type": "sgd", "learning_rate": 0.15}
        verified = {"dense_1.activation.y[0,0]": a, "dense_1.activation.dx[0,0]": delta, "dense_1.db[0]": delta,
                    "dense_1.dW[0,0]": delta, "dense_1.W_new[0,0]": w[0] - 0.15 * delta}  # fmt: skip
        words = title.format(*w, "the quadratic cost, whose slope dies with the sigmoid's")
        experiment = _experiment([[1.0]], [[0.0]], layers, HALF_SQUARED, sgd)
        found.append(TraceExample(name, words, source, experiment, verified=verified))
    layers = [_unit([[2.0]], [2.0])]
    sgd = {"type": "sgd", "learning_rate": 0.005}
    words = title.format(2.0, 2.0, "cross-entropy, which starts fast where the quadratic cost is stuck")
    a = 0.9820137900379085
    experiment = _experiment([[1.0]], [[0.0]], layers, "binary_cross_entropy", sgd)
    verified = {"loss.p[0,0]": a, "dense_1.db[0]": a, "dense_1.dW[0,0]": a}
    return [*found, TraceExample("nielsen_cross_entropy", words, source, experiment, verified=verified)]


def _circle_neuron() -> TraceExample:
    """Returns a neuron whose L = 1/2 (y - t)^2 with t = y - 1 has the slope 1 that the course sends back."""
    a = 0.7310585786300049
    layers = [_unit([[2.0], [-3.0]], [-3.0], activation="sigmoid")]
    return TraceExample(
        "neuron_2d",
        "a sigmoid neuron of two inputs: w = (2, -3), b = -3, x = (-1, -2); an error of 1 is sent back",
        "Stanford CS231n, notes on back-propagation (optimization-2), its figures rounded to two decimals",
        _experiment([[-1.0, -2.0]], [[a - 1.0]], layers, HALF_SQUARED, {"type": "sgd", "learning_rate": 1.0}),
        verified={
            "dense_1.y[0,0]": 1.0,
            "dense_1.activation.y[0,0]": a,
            "dense_1.activation.dx[0,0]": 0.19661193324148185,
            "dense_1.dW[0,0]": -0.19661193324148185,
            "dense_1.dW[1,0]": -0.3932238664829637,
            "dense_1.db[0]": 0.19661193324148185,
            "dense_1.dx[0,0]": 0.3932238664829637,
            "dense_1.dx[0,1]": -0.5898357997244456,
        },
    )


def _convolution() -> TraceExample:
    """Returns targets that leave the errors 0, 1, 2, 3, under a loss whose slope is the error."""
    image = [[[0.0], [1.0], [2.0]], [[3.0], [4.0], [5.0]], [[6.0], [7.0], [8.0]]]
    kernel = [[[[0.0]], [[1.0]]], [[[2.0]], [[3.0]]]]
    layers = [{"type": "conv2d", "filters": 1, "kernel": 2, "weights": kernel, "bias": [0.0]}, {"type": "flatten"}]
    y, dy, dx = (19.0, 25.0, 37.0, 43.0), (0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 0.0, 4.0, 6.0, 4.0, 12.0, 9.0)
    targets = [[a - b for a, b in zip(y, dy, strict=True)]]
    square = [(i, j) for i in range(2) for j in range(2)]
    return TraceExample(
        "convolution",
        "a 3 x 3 image under a 2 x 2 filter, in whole numbers; the errors 0, 1, 2, 3 are sent back",
        "Zhang et al., Dive into Deep Learning, 7.2 for the outputs, 14.10 for dx, which is the transposed convolution",
        _experiment([image], targets, layers, HALF_SQUARED, {"type": "sgd", "learning_rate": 0.001}),
        verified={
            **{f"conv2d_1.y[0,{i},{j},0]": value for (i, j), value in zip(square, y, strict=True)},
            **{f"conv2d_1.dW[{i},{j},0,0]": value for (i, j), value in zip(square, y, strict=True)},
            **{f"conv2d_1.dx[0,{k // 3},{k % 3},0]": value for k, value in enumerate(dx)},
            "conv2d_1.db[0]": 6.0,
        },
        remarks=("dW has the numbers of y, for here the errors are the filter's own",),
    )


def _published_steps() -> list[TraceExample]:
    """Returns the three optimizers of the course's assignment 2: 20 weights with the gradient given, which here is the
    row of inputs of a unit whose error is 1."""
    n = 20
    w, g = np.linspace(-0.4, 0.6, n), np.linspace(-0.6, 0.4, n)
    layers = [_unit([[float(v)] for v in w], False)]
    source = "Stanford CS231n, assignment 2, FullyConnectedNets, whose eight printed digits these continue"

    memory = np.linspace(0.6, 0.9, n)
    steps: list[tuple[str, dict[str, Any], dict[str, Any], int, dict[str, float]]] = [
        (
            "cs231n_momentum",
            {"type": "momentum", "learning_rate": 1e-3, "mu": 0.9},
            {"v": -memory / 1e-3},  # theirs has the rate inside, and points the way the weights go
            0,
            {"dense_1.W_new[0,0]": 0.14060000000000006, "dense_1.W_new[7,0]": 0.6081263157894736,
             "dense_1.W_new[19,0]": 1.4096000000000002, "dense_1.W.v_new[0,0]": -540.6},
        ),
        (
            "cs231n_rmsprop",
            {"type": "rmsprop", "learning_rate": 1e-2, "alpha": 0.99, "eps": 1e-8},
            {"v": memory},
            0,
            {"dense_1.W_new[0,0]": -0.3922384948433383, "dense_1.W_new[19,0]": 0.5957661882343064,
             "dense_1.W.v_new[0,0]": 0.5976, "dense_1.W.v_new[19,0]": 0.8926000000000001},
        ),
        (
            "cs231n_adam",
            {"type": "adam", "learning_rate": 1e-2},
            {"m": memory, "v": np.linspace(0.7, 0.5, n)},
            5,
            {"dense_1.W_new[0,0]": -0.40094747166840083, "dense_1.W_new[19,0]": 0.5980145902433942,
             "dense_1.W.m_new[0,0]": 0.48000000000000004, "dense_1.W.v_new[19,0]": 0.49966},
        ),
    ]  # fmt: skip
    found = []
    for name, optimizer, slots, done, verified in steps:
        experiment = _experiment([g.tolist()], [[float(g @ w) - 1.0]], layers, HALF_SQUARED, optimizer)
        title = f"one step of {optimizer['type']} on 20 weights, its memory given"
        found.append(TraceExample(name, title, source, experiment, NO_ROWS, slots, done, verified))
    return found


SETTINGS_OF_STEPS: Mapping[str, Mapping[str, Any]] = {"lbfgs": {"pairs": 1}}
PUBLISHED_STEPS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "adam": (
        "the ADAM deep dive of gbasran.github.io, concept 12, which prints 4.9",
        {
            "dense_1.dW[0,0]": 10.0, "dense_1.W.m_new[0,0]": 1.0, "dense_1.W.v_new[0,0]": 0.1,
            "dense_1.W.mhat[0,0]": 10.0, "dense_1.W.vhat[0,0]": 100.0, "dense_1.W_new[0,0]": 4.9000000001,
        },
    ),
}  # fmt: skip
"""Of the steps below, by optimizer: who printed the same one, and the numbers in 60 digits."""


def _steps() -> list[TraceExample]:
    """Returns one step of every optimizer on L = w^2 from w = 5: a unit with one weight, input 1, target 0."""
    found = []
    for kind, leaf in Optimizer.registry.items():
        source, title = "definition; bpcli parts NAME names the paper", f"one step of {kind} on L = w^2 from w = 5"
        optimizer: dict[str, Any] = {"type": kind, **SETTINGS_OF_STEPS.get(kind, {})}
        if issubclass(leaf, GradientOptimizer):
            optimizer["learning_rate"] = 0.1
            title += ", with a learning rate of 0.1"
        experiment = _experiment([[1.0]], [[0.0]], [_unit([[5.0]], False)], SQUARED, optimizer)
        source, verified = PUBLISHED_STEPS.get(kind, (source, {}))
        found.append(TraceExample(f"step_{kind}", title, source, experiment, verified=verified))
    return found
