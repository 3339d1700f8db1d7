"""A student who works a training step out by hand, in plain NumPy and without bpcli, and makes one mistake on the way.

Everything after the mistake follows correctly from it. The student knows nothing of the marker: the networks, the
formulas and the mistakes are written here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

Array = np.ndarray

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "tanh": (np.tanh, lambda z, a: 1 - a**2),
    "relu": (lambda z: np.where(z > 0, z, 0), lambda z, a: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z, a: np.where(z > 0, 1, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z, a: np.where(z > 0, 1, np.exp(z))),
    "softplus": (lambda z: np.log1p(np.exp(z)), lambda z, a: 1 / (1 + np.exp(-z))),
}
"""Each with its slope, from z and from a = f(z)."""
BY_OUTPUT = {"sigmoid", "tanh"}
LOSSES = ("squared_error", "mean_squared_error", "binary_cross_entropy", "softmax_cross_entropy")
MISTAKES = ("sign", "factor 2", "rows", "transposed", "slope forgotten", "slope at a", "new weight", "input dropped")


@dataclass
class Net:
    """Dense layers, all weights by value, and rows with their targets."""

    weights: list[Array]
    biases: list[Array]
    activations: list[str]  # "" where there is none
    loss: str
    rate: float
    x: Array
    t: Array

    @property
    def config(self) -> dict[str, object]:
        """The same as an experiment."""
        layers = []
        for w, b, activation in zip(self.weights, self.biases, self.activations, strict=True):
            layer = {"type": "dense", "units": len(b), "weights": w.tolist(), "bias": b.tolist()}
            layers.append(layer | ({"activation": activation} if activation else {}))
        inline = {"type": "inline", "inputs": self.x.tolist(), "targets": self.t.tolist()}
        return {
            "dtype": "float64",
            "data": {"train": inline},
            "architecture": layers,
            "loss": self.loss,
            "optimizer": {"type": "sgd", "learning_rate": self.rate},
            "training": {"epochs": 1, "batch_size": "full"},
        }


def random_net(rng: np.random.Generator) -> Net:
    """1 to 3 layers of 2 to 4 units, 1 to 4 rows."""
    loss = LOSSES[rng.integers(len(LOSSES))]
    sizes = [int(n) for n in rng.integers(2, 5, rng.integers(2, 5))]
    kinds = list(ACTIVATIONS)
    activations = [kinds[i] for i in rng.integers(len(kinds), size=len(sizes) - 1)]
    if loss.endswith("entropy"):
        activations[-1] = ""
    rows = int(rng.integers(1, 5))
    if loss == "softmax_cross_entropy":
        t = np.eye(sizes[-1])[rng.integers(sizes[-1], size=rows)]
    elif loss == "binary_cross_entropy":
        t = rng.integers(0, 2, (rows, sizes[-1])).astype(float)
    else:
        t = rng.normal(size=(rows, sizes[-1])).round(2)
    pairs = list(pairwise(sizes))
    return Net(
        weights=[rng.normal(size=p).round(2) for p in pairs], biases=[rng.normal(size=o).round(2) for _, o in pairs],
        activations=activations, loss=loss, rate=float(rng.choice([0.1, 0.3, 0.5])),
        x=rng.normal(size=(rows, sizes[0])).round(2), t=t,
    )  # fmt: skip


@dataclass
class Student:
    """What one student writes down, by name. `mistake` is made at `at`; in one `entry` only, where that is given."""

    net: Net
    at: str = ""
    mistake: str = ""
    entry: tuple[int, ...] | None = None
    notes: dict[str, Array] = field(default_factory=dict)
    could: list[tuple[str, str, Array]] = field(default_factory=list)  # mistakes that would show, with what they give

    def say(self, name: str, right: Array | float, **mistakes: Array) -> Array:
        """Writes a result down, with the mistake where it belongs."""
        right = np.asarray(right, float)
        n = len(self.net.x)
        every: Mapping[str, Array] = {"sign": -right, "factor 2": 2 * right, "factor 1/2": right / 2}
        every = {**every, **{k.replace("_", " "): v for k, v in mistakes.items()}}
        if n > 1 and (name.startswith("loss") or ".d" in name):
            every |= {"rows": right * n, "rows again": right / n}
        value = right
        for kind, wrong in every.items():
            shows = np.abs(wrong - right) > 1e-3 * np.maximum(np.abs(right), np.abs(wrong).max())
            if shows.any():
                self.could.append((name, kind, shows))
            if (name, kind) == (self.at, self.mistake):
                value = right.copy()
                where = self.entry if self.entry is not None else ...
                value[where] = wrong[where]
        self.notes[name] = value
        return value

    def work(self) -> dict[str, Array]:
        """All of it; where a mistake leads to numbers too large, with infinities."""
        with np.errstate(all="ignore"):
            return self.step()

    def step(self) -> dict[str, Array]:
        """From the inputs to the loss after the step."""
        net, say, n = self.net, self.say, len(self.net.x)
        inputs, before = [net.x], []
        for i, (w, b, kind) in enumerate(zip(net.weights, net.biases, net.activations, strict=True), start=1):
            x = inputs[-1]
            one = x.copy()
            one[:, 0] = 0
            dropped = {"input_dropped": np.ones_like(x) @ w + b, "term_dropped": one @ w + b}
            z = say(f"dense_{i}.z", x @ w + b, **dropped, **_turned(w, lambda m, x=x, b=b: x @ m + b))
            before.append(z)
            inputs.append(say(f"dense_{i}.a", ACTIVATIONS[kind][0](z)) if kind else z)
        error = self.output(inputs[-1])
        errors: list[Array] = []
        for i in range(len(net.weights), 0, -1):
            z, a, kind, w = before[i - 1], inputs[i], net.activations[i - 1], net.weights[i - 1]
            if kind:
                f, slope = ACTIVATIONS[kind]
                wrong = {"slope_forgotten": error, "slope_at_a": error * slope(a, f(a))}
                if kind in BY_OUTPUT:
                    wrong["slope_at_z"] = error * slope(z, z)
                error = say(f"dense_{i}.activation.dx", error * slope(z, a), **wrong)
            errors.insert(0, error)
            new = w - net.rate * inputs[i - 1].T @ error
            wrong = {"new_weight": error @ new.T, **_turned(w, lambda m, e=error: e @ m.T)}
            error = say(f"dense_{i}.dx", error @ w.T, **wrong)
        slopes, steps = [], []
        for i in range(len(net.weights), 0, -1):
            x, e = inputs[i - 1], errors[i - 1]
            right = x.T @ e
            dw = say(f"dense_{i}.dW", right, input_dropped=np.ones_like(x).T @ e, **_turned(right, lambda m: m))
            slopes.insert(0, (dw, say(f"dense_{i}.db", e.sum(0))))
        say("learning_rate", net.rate)
        for i, (w, (dw, _)) in enumerate(zip(net.weights, slopes, strict=True), start=1):
            steps.append(say(f"dense_{i}.W_new", w - net.rate * dw, added=w + net.rate * dw) - w)
        for i, (b, (_, db)) in enumerate(zip(net.biases, slopes, strict=True), start=1):
            new = say(f"dense_{i}.b_new", b - net.rate * db, added=b + net.rate * db)
            steps.append(new - b)
        grads = [dw for dw, _ in slopes] + [db for _, db in slopes]
        say("change", sum(float((g * s).sum()) for g, s in zip(grads, steps, strict=True)))
        say("loss_after", self.after(n))
        return self.notes

    def output(self, y: Array) -> Array:
        """The loss, and its slope by the outputs."""
        net, say = self.net, self.say
        n, k, t = *y.shape, net.t
        match net.loss:
            case "squared_error":
                say("loss", ((y - t) ** 2).sum() / n)
                return say("loss.dx", 2 * (y - t) / n)
            case "mean_squared_error":
                say("loss", ((y - t) ** 2).mean())
                return say("loss.dx", 2 * (y - t) / k / n)
            case "binary_cross_entropy":
                p = say("loss.p", 1 / (1 + np.exp(-y)))
                say("loss", (np.log1p(np.exp(y)) - y * t).mean())
                return say("loss.dx", (p - t) / k / n)
        lse = say("loss.lse", np.log(np.exp(y).sum(1)))
        p = say("loss.p", np.exp(y - lse[:, None]))
        say("loss", (t * (lse[:, None] - y)).sum(1).mean())
        return say("loss.dx", (p - t) / n)

    def after(self, n: int) -> float:
        """The loss with the weights that were written down."""
        y = self.net.x
        for i, kind in enumerate(self.net.activations, start=1):
            y = y @ self.notes[f"dense_{i}.W_new"] + self.notes[f"dense_{i}.b_new"]
            y = ACTIVATIONS[kind][0](y) if kind else y
        t = self.net.t
        match self.net.loss:
            case "squared_error":
                return float(((y - t) ** 2).sum() / n)
            case "mean_squared_error":
                return float(((y - t) ** 2).mean())
            case "binary_cross_entropy":
                return float((np.log1p(np.exp(y)) - y * t).mean())
        return float((t * (np.log(np.exp(y).sum(1))[:, None] - y)).sum(1).mean())


def _turned(w: Array, then: Callable[[Array], Array]) -> dict[str, Array]:
    return {"transposed": then(w.T)} if w.shape[0] == w.shape[1] else {}
