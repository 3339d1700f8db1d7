"""Random networks of every registered part, all of them right, in conditions that make a careless check cry wolf."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from trace_nets import dense, experiment, targets_of, trace_target

from bpcli.engine.network_plan import plan_network
from bpcli.family import Activation, Layer, Loss, Regularizer
from bpcli.family.part import Part, dump
from bpcli.family.plan import Array, Shape, ShapeError
from bpcli.studies.trace.open import TraceTarget

LARGEST, SMALL = 48, 12  # numbers of a row, so that a check takes a second, or a tenth of one
Rng = np.random.Generator


def good_samples(leaf: type[Part]) -> list[Any]:
    """The samples of a part that must work."""
    return [s for s in leaf.samples() if not s.error and isinstance(s.part, leaf)]


def some_part(family: type[Part], rng: Rng) -> Any:
    """A part of a family with the settings of one of its samples; without weights by value, which fit one shape."""
    leaf = list(family.registry.values())[rng.integers(len(family.registry))]
    parts = [s.part for s in good_samples(leaf) if getattr(s.part, "weights", None) is None]
    return parts[rng.integers(len(parts))]


def fits(part: Any, x: Shape, largest: int) -> Shape:
    """What it makes of rows of shape x; () where they cannot enter, or where too much comes out."""
    try:
        found = plan_network([part], x)
    except (ShapeError, ValueError):
        return ()
    if found.tokens or any(math.prod(node.plan.y) > largest for node in found.walk()):
        return ()
    return found.y


def random_layers(rng: Rng, x: Shape, depth: int, largest: int) -> tuple[list[Any], Shape]:
    """So many layers that follow each other, of whatever fits; half of them dense or activations."""
    layers: list[Any] = []
    while len(layers) < depth:
        part: Any = some_part(Activation if rng.random() < (0.4 if len(x) == 1 else 0.1) else Layer, rng)
        if len(x) == 1 and rng.random() < 0.3:
            part = Layer.parse(dense(int(rng.integers(1, 8))))
        if rng.random() < 0.1:
            part = Layer.parse({"type": "residual", "layers": [dump(some_part(Activation, rng)), "layer_norm"]})
        y = fits(part, x, largest)
        if y and not ("batch_norm" in str(dump(part)) and len(x) == 1 and math.prod(x) == 1):
            layers.append(dump(part))
            x = y
    return layers, x


SHAPES: tuple[Shape, ...] = ((1,), (3,), (7,), (4,), (5, 2), (4, 3), (4, 4, 1), (5, 3, 1), (3, 4, 2), (2, 3, 6))


def random_net(seed: int, small: bool = False) -> tuple[TraceTarget, str]:
    """A network with rows, and in a word what is odd about it."""
    largest = SMALL if small else LARGEST
    rng = np.random.default_rng(seed)
    mood, bend = list(MOODS.items())[seed % len(MOODS)]
    n = 1 if mood == "one row" else int(rng.integers(2, 5 if small else 9))
    shapes = [s for s in SHAPES if math.prod(s) <= largest]
    shape = shapes[rng.integers(len(shapes))]
    depth = int(rng.integers(0, 4 if small else 6))
    if mood == "deep":
        depth = 10 if small else int(rng.integers(15, 40))
    layers, _ = random_layers(rng, shape, depth, largest)
    x = rng.normal(size=(n, *shape))
    if rng.random() < 0.08:
        layers = [{"type": "embedding", "tokens": 5, "units": 2}, "flatten", dense(4, "tanh")]
        shape = (3,)
        x = rng.integers(0, 5, (n, 3)).astype(float)
    if n == 1:
        layers = [k for k in layers if "batch_norm" not in str(k)]
    loss: Any = some_part(Loss, rng)
    if getattr(loss, "class_weights", None) is not None or isinstance(getattr(loss, "alpha", 1.0), tuple):
        loss = Loss.parse(loss.kind)
    k = int(rng.integers(2, 5))
    layers += ["flatten", dense(k, "softmax" if loss.link == "probabilities" else None)]
    more: dict[str, Any] = {"seed": seed}
    if rng.random() < 0.4:
        more["regularization"] = dump(some_part(Regularizer, rng))
    t = np.asarray(targets_of(loss.kind, rng, n, k))
    if not isinstance(layers[0], dict) or layers[0]["type"] != "embedding":
        x, t = bend(x, t, loss, rng)
    found = trace_target(experiment(layers, dump(loss), x, t, **more))
    if mood in ("ties", "saturated"):
        theta = found.objective.theta
        theta += rng.normal(size=theta.shape)
        theta[...] = np.rint(theta) if mood == "ties" else 8 * theta
    return found, mood


def _plain(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    return x, t


def _far(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    return 30 * x, t


def _tiny(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    return 1e-6 * x, 1e-6 * t if loss.targets == "values" and loss.link == "identity" else t


def _tied(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    return np.rint(x), np.rint(t) if loss.link == "identity" else t


def _constant_columns(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    x = x.copy()
    x[:, ..., 0] = 0.1
    x[:, ..., -1] = x[:1, ..., -1]
    return x, t


def _apart(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    """Columns of sizes from 1e-8 to 1e6, off 0."""
    return x * 10.0 ** rng.uniform(-8, 6, x.shape[1:]) + 10.0 ** rng.uniform(-8, 4, x.shape[1:]), t


def _repeated_rows(x: Array, t: Array, loss: Any, rng: Rng) -> tuple[Array, Array]:
    return np.repeat(x[:1], len(x), 0), t


MOODS: dict[str, Callable[[Array, Array, Any, Rng], tuple[Array, Array]]] = {
    "plain": _plain, "saturated": _far, "tiny": _tiny, "ties": _tied, "constant columns": _constant_columns,
    "one row": _plain, "scales apart": _apart, "repeated rows": _repeated_rows, "deep": _plain, "plain again": _plain,
}  # fmt: skip
