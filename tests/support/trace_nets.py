"""Networks to trace: from plain data, random ones, and one with each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Activation, Clipper, Constraint, Layer, Loss, Optimizer, Regularizer, Schedule
from bpcli.records.trace import Derivation
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.examples import TraceExample, open_example
from bpcli.studies.trace.open import TracedRows, TraceTarget


def trace_target(experiment: Mapping[str, Any]) -> TraceTarget:
    """A trace target that is shown all rows of its inline data."""
    return open_example(TraceExample("net", "", "", experiment, TracedRows()))


def derived(experiment: Mapping[str, Any], detail: Any = "neuron", **more: Any) -> Derivation:
    return derive(trace_target(experiment), View(detail=detail, **more))


def experiment(layers: list[Any], loss: Any, inputs: Any, targets: Any, **more: Any) -> dict[str, Any]:
    data = {"train": {"type": "inline", "inputs": np.asarray(inputs).tolist(), "targets": np.asarray(targets).tolist()}}
    return {"data": data, "architecture": layers, "loss": loss, "training": {"epochs": 3, "batch_size": "full"}, **more}


LOSSES = ("mean_squared_error", "squared_error", "softmax_cross_entropy", "binary_cross_entropy", "huber", "log_cosh")
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "softplus", "gelu", "elu", "silu", "softsign", None)


def targets_of(loss: str, rng: np.random.Generator, n: int, k: int) -> Any:
    """Targets that a loss takes."""
    if loss in ("softmax_cross_entropy", "cross_entropy", "kl_divergence", "focal", "multiclass_hinge"):
        return np.eye(k)[rng.integers(0, k, n)]
    if loss in ("binary_cross_entropy",):
        return rng.integers(0, 2, (n, k)).astype(float)
    if loss in ("hinge", "squared_hinge"):
        return rng.integers(0, 2, (n, k)).astype(float)
    return rng.integers(0, 5, (n, k)).astype(float) if loss == "poisson" else rng.normal(size=(n, k)).round(3)


def random_experiment(seed: int) -> dict[str, Any]:
    """A small network with whatever else a file may hold."""
    rng = np.random.default_rng(seed)

    def pick(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    n, inputs, k = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(2, 4))
    layers: list[Any] = []
    for _ in range(rng.integers(0, 3)):
        units = int(rng.integers(1, 4))
        layers.append({**dense(units, pick(*ACTIVATIONS)), "bias": bool(rng.integers(2))})
        if rng.random() < 0.2:
            layers.append({"type": "dropout", "rate": 0.4})
        if rng.random() < 0.2:
            layers.append({"type": "residual", "layers": [{"type": "dense", "units": units, "activation": "tanh"}]})
        if rng.random() < 0.15:
            layers.append("layer_norm")
        if rng.random() < 0.15 and n > 1:
            layers.append("batch_norm")
    layers.append({"type": "dense", "units": k})
    loss = pick(*LOSSES)
    kind = pick("sgd", "momentum", "adam", "rmsprop", "lion", "adamw")
    more: dict[str, Any] = {"seed": seed, "optimizer": {"type": kind}}
    if rng.random() < 0.4:
        more["regularization"] = {"type": pick("l1", "l2"), "strength": 0.01}
    if rng.random() < 0.4:
        more["clipping"] = {"type": "global_norm", "max_norm": pick(0.1, 100.0)}
    x = (rng.normal(size=(n, inputs)) * pick(0.1, 1.0, 30.0)).round(pick(2, 8))
    return experiment(layers, loss, x, targets_of(loss, rng, n, k), **more)


def dense(units: int, activation: Any = None) -> dict[str, Any]:
    return {"type": "dense", "units": units, **({"activation": activation} if activation else {})}


def with_each_part() -> Iterator[tuple[str, dict[str, Any]]]:
    """A network with each registered part that a step goes through, by family and name."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 3))
    plain = [dense(3, "tanh"), dense(2)]
    values = rng.normal(size=(3, 2))
    for kind, leaf in Layer.registry.items():
        samples = [s for s in leaf.samples() if not s.error and isinstance(s.part, leaf)]
        sample = next((s for s in samples if len(s.x) == 1 and kind != "reshape"), samples[0])
        part, plan = sample.part.model_dump(mode="json", exclude_none=True), sample.part.plan(sample.x)
        family = "activation" if issubclass(leaf, Activation) else "layer"
        before = [] if plan.tokens else [dense(int(np.prod(sample.x)))]
        before += [{"type": "reshape", "shape": list(sample.x)}] if len(sample.x) > 1 else []
        layers = [*before, part, *(["flatten"] if len(plan.y) > 1 else []), dense(2)]
        inputs = rng.integers(0, plan.tokens, (3, *sample.x)).astype(float) if plan.tokens else x
        yield f"{family}/{kind}", experiment(layers, "mean_squared_error", inputs, values)
    for kind in named_alone(Loss):
        links = {"cross_entropy": "softmax", "kl_divergence": "softmax"}
        layers = [dense(3, "tanh"), dense(2, links.get(kind))]
        yield f"loss/{kind}", experiment(layers, kind, x, targets_of(kind, rng, 3, 2))
    stated = {"penalty": "strength * sum(j, w[j]**2 / (1 + w[j]**2))", "settings": {"strength": 0.1}}
    for kind in Regularizer.registry:
        part = {"type": kind, **(stated if kind == "formula" else {"strength": 0.1})}
        yield f"penalty/{kind}", experiment(plain, "mean_squared_error", x, values, regularization=part)
    for kind in Clipper.registry:
        part = {"type": kind, **({"limit": 0.05} if kind == "value" else {"max_norm": 0.1} if "norm" in kind else {})}
        yield f"clipping/{kind}", experiment(plain, "mean_squared_error", x, values, clipping=part)
    for kind in Constraint.registry:
        part = {"type": kind, "limit": 0.3}
        yield f"constraint/{kind}", experiment(plain, "mean_squared_error", x, values, constraint=part)
    for kind, leaf in Schedule.registry.items():
        good = next(s.part for s in leaf.samples() if not s.error and isinstance(s.part, leaf))
        optimizer = {"type": "sgd", "learning_rate": good.model_dump(mode="json", exclude_none=True)}
        yield f"schedule/{kind}", experiment(plain, "mean_squared_error", x, values, optimizer=optimizer)
    for kind in Optimizer.registry:
        yield f"optimizer/{kind}", experiment(plain, "mean_squared_error", x, values, optimizer={"type": kind})
