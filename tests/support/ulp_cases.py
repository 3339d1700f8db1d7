"""Where activations and losses are held against the right results: points over the whole range of a float type.

Needs no mpmath: the sweep against it, the script that records its worst places and the test that reads them share
what is here. Errors are counted in units of the last place (ulp) of the right result in the type of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Activation, Loss, Metric, Scored
from bpcli.family.plan import Array, Sample
from bpcli.studies.witness.cases import LayerCase, LossCase

DTYPES: dict[str, Any] = {"float32": np.float32, "float64": np.float64}

ACTIVATIONS: list[Any] = [
    *(kind for kind in named_alone(Activation) if kind != "softmax"),
    {"type": "gelu", "approximate": "tanh"}, {"type": "softplus", "beta": 2.5}, {"type": "softplus", "beta": 0.1},
    {"type": "elu", "alpha": 0.5}, {"type": "leaky_relu", "slope": 0.2},
]  # fmt: skip

THRESHOLDS = (
    0.0, 0.5, 1.0, 3.0, 6.0, 7.07, 15.0, 16.0, 20.0, 30.0, 37.0, 39.0, 40.0, 44.0, 63.0, 87.0, 88.7, 103.9, 355.0,
    372.0, 700.0, 708.0, 709.8, 745.1, 1000.0, 0.7517915246935645, 1.278464542761073795, 1.192431214515495, 2.75, 4.0,
    8.0, 14.4, 38.6,
)  # fmt: skip
"""Where kernels of any version take another way, where functions end, and where slopes are 0; of either sign."""


def label(spelled: Any) -> str:
    """Returns what a part is called in tables: its type, and its settings where it has any."""
    if isinstance(spelled, str):
        return spelled
    rest = ", ".join(f"{key} {value}" for key, value in spelled.items() if key != "type")
    return f"{spelled['type']} ({rest})" if rest else str(spelled["type"])


def around(values: Any, dtype: Any, steps: int = 2) -> Array:
    """Returns numbers of the type and their neighbours, of either sign."""
    found = np.asarray([*values], dtype)
    up = down = found
    near = [found]
    for _ in range(steps):
        up, down = np.nextafter(up, dtype(np.inf)), np.nextafter(down, dtype(-np.inf))
        near += [up, down]
    found = np.concatenate(near)
    return np.concatenate([found, -found])


def line(dtype: Any, many: int, seed: int = 0) -> Array:
    """Returns points over all finite numbers of the type: `many` on each of several scales, and all special ones."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    least, tiny, largest = info.smallest_subnormal, info.tiny, info.max
    end = 106.0 if dtype is np.float32 else 750.0
    decades = 10.0 ** rng.uniform(np.log10(tiny), np.log10(largest) - 0.01, many)
    scales = [rng.uniform(0, top, many) for top in (1.0, 10.0, 45.0, end)]
    positive = np.concatenate([decades, *scales, [least, 3 * least, tiny / 3, tiny, largest, largest / 2, 1e4, 1e12]])
    found = np.concatenate([around(THRESHOLDS, dtype), positive.astype(dtype), -positive.astype(dtype)])
    return found[np.isfinite(found)]


def run_activation(spelled: Any, x: Array, dy: Array, *, equations: bool = False) -> dict[str, Array]:
    """Returns y and dx at rows x (n k) under dy, of the kernel or, in float64, of the equations."""
    part = Activation.parse(spelled)
    case = LayerCase(Sample(part, (x.shape[1],), batch=len(x), inputs={"x": x}), True, x.dtype)
    case.upstream = dy
    found = case.equations if equations else case.kernel()
    return {"y": found["y"], "dx": found["dx"]}


# -------------------------------------------------------------------------------------------------------------- losses
LOSSES: list[Any] = [
    *named_alone(Loss),
    {"type": "squared_error", "factor": 0.5}, {"type": "huber", "delta": 0.3},
    {"type": "softmax_cross_entropy", "label_smoothing": 0.1},
    {"type": "softmax_cross_entropy", "class_weights": {"a": 0.25, "b": 3.0, "c": 1.0}},
    {"type": "softmax_cross_entropy", "label_smoothing": 0.2, "class_weights": {"a": 0.25, "b": 3.0, "c": 1.0}},
    {"type": "focal", "gamma": 0.5, "alpha": {"a": 0.25, "b": 3.0, "c": 1.0}}, {"type": "focal", "gamma": 0.0},
]  # fmt: skip
NAMES = ("a", "b", "c")
SCALES = (1e-30, 1e-6, 1e-3, 0.1, 1.0, 4.0, 12.0, 16.0, 30.0, 80.0, 100.0, 300.0, 720.0, 1e4, 1e12, 1e30)
"""Sizes of outputs; those that do not fit the type are passed over."""


def loss_of(spelled: Any) -> Any:
    return Loss.parse(spelled).with_classes(NAMES, (1, 1, 1))


def targets(part: Any, x: Array, rng: np.random.Generator, which: int) -> Array:
    """Returns targets of every kind that a loss takes, in turn: labels, distributions, shares, counts, values near."""
    n, k = x.shape
    one_hot = np.eye(k)[rng.integers(0, k, n)]
    if part.kind in ("focal", "multiclass_hinge"):
        return one_hot
    if part.kind in ("softmax_cross_entropy", "cross_entropy", "kl_divergence"):
        return (one_hot, rng.dirichlet(np.ones(k) / 3, n), np.eye(k)[x.argmax(1)])[which % 3]
    if part.kind == "binary_cross_entropy":
        labels = rng.integers(0, 2, (n, k)).astype(float)
        return (labels, (x > 0).astype(float), rng.uniform(0, 1, (n, k)), 10.0 ** rng.uniform(-9, -1, (n, k)))[
            which % 4
        ]
    if part.kind in ("hinge", "squared_hinge"):
        return rng.integers(0, 2, (n, k)).astype(float)
    if part.kind == "poisson":
        return rng.poisson(3, (n, k)) * (1.0, 0.5, 0.0)[which % 3]
    shift = rng.normal(size=(n, k)) * 10.0 ** rng.uniform(-8, 1, (n, k))
    return (np.zeros((n, k)), rng.normal(size=(n, k)), x + shift, x * (1 + rng.normal(size=(n, k)) * 1e-3))[which % 4]


def outputs(part: Any, scale: float, rng: np.random.Generator, n: int, k: int) -> Array:
    if part.kind == "cross_entropy":
        p = rng.dirichlet(np.ones(k), n)
        p[:, 0] *= 10.0 ** -rng.uniform(0, 35, n)
        p[:, 1] = 1 - p[:, 0] * scale if scale < 1 else p[:, 1]
        return np.maximum(p, 1e-37)
    x = rng.normal(size=(n, k)) * scale
    if scale >= 4 and part.kind not in ("poisson",):  # one sure class, the others by far not
        x[::2, 0] = scale
    return np.minimum(x, 80.0) if part.kind == "poisson" else x


def loss_cases(spelled: Any, dtype: Any, many: int, seed: int = 0) -> Iterator[dict[str, Array]]:
    """Yields x, t and w: `many` batches at each scale of outputs."""
    part, largest = loss_of(spelled), float(np.finfo(dtype).max)
    for scale in SCALES:
        if scale > largest**0.4:
            continue
        for which in range(many):
            rng = np.random.default_rng([seed, which, int(abs(np.log10(scale)) * 8)])
            n = int(rng.integers(1, 4))
            x = outputs(part, scale, rng, n, 3).astype(dtype)
            case = {"x": x, "t": targets(part, x, rng, which).astype(dtype)}
            if which % 3 == 1:
                case["w"] = rng.dirichlet(np.ones(n)).astype(dtype)
            yield case


def run_loss(spelled: Any, case: dict[str, Array], *, equations: bool = False) -> Array:
    """Returns L and then dx, flat, in float64."""
    n, k = case["x"].shape
    made = LossCase(Sample(loss_of(spelled), (k,), batch=n, inputs=case), case["x"].dtype)
    found = made.kernel()
    if equations:
        found = made.equations
    return np.concatenate([[float(np.real(found["L"]))], np.asarray(found["dx"], np.float64).ravel()])


# ------------------------------------------------------------------------------------------------------------- metrics
def metric_cases(kind: str, dtype: Any, many: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yields outputs, targets or labels, and weights: values far from 0 whose errors and spreads cancel, probabilities
    down to 1e-30 and up to 1, scores that are tied, and weights from 1 to 1e15, as of so many rows."""
    leaf = Metric.registry[kind]
    for which in range(many):
        rng = np.random.default_rng([seed, which, len(kind)])
        n = int(rng.integers(4, 9))
        weight = (np.ones(n), np.floor(10 ** rng.uniform(0, 15, n)), rng.uniform(0.1, 2, n))[which % 3]
        if leaf.task == "regression":
            t = rng.normal(size=(n, 2)) * 10.0 ** rng.uniform(-3, 3)
            t += (0, 1e4, -1e6)[which // 3 % 3] * np.abs(t).max()
            y = t + rng.normal(size=(n, 2)) * 10.0 ** rng.uniform(-6, 1)
            yield {"output": y.astype(dtype), "target": t.astype(dtype), "weight": weight}
            continue
        k = 1 if kind in ("log_loss", "brier") and which % 2 else 3
        labels = rng.permutation(np.resize(np.arange(max(k, 2)), n))
        p = rng.dirichlet(np.full(max(k, 2), 0.3), n)[:, :k]
        if which % 4 == 1:
            p[0, 0] = 10.0 ** -rng.uniform(3, 30)
            p[1, 0] = 1 - 10.0 ** -rng.uniform(3, 7)
        if which % 4 == 2:
            p = p.round(1)
        yield {"output": p.astype(dtype), "labels": labels, "weight": weight}


def run_metric(kind: str, case: dict[str, Any], batches: int = 1) -> float:
    """Returns the figure, the rows in so many batches."""
    labels, output = case.get("labels"), np.asarray(case["output"])
    part, found = Metric.parse(kind), []
    for rows in np.array_split(np.arange(len(output)), batches):
        y, w = output[rows], np.asarray(case["weight"])[rows]
        if labels is None:
            found.append(Scored(y, np.asarray(case["target"])[rows], None, None, w, 0))
            continue
        own = np.asarray(labels)[rows]
        guesses = (y[:, 0] >= 0.5).astype(np.int64) if y.shape[1] == 1 else y.argmax(1)
        classes = max(2, y.shape[1])
        found.append(Scored(y, np.eye(classes)[own], own, guesses, w, classes))
    totals = part.totals(found[0].classes, output.shape[1])
    for batch in found:
        part.add(totals, batch)
    return float(part.result(totals))


# --------------------------------------------------------------------------------------------------------------- bounds
ALLOWED = 4.0
"""Units of the last place that every result may be off, times its condition number where that is above 1: the sum of
|v df/dv| over all inputs v, over |f|."""

MORE: dict[tuple[str, str], float] = {
    ("focal", "dx"): 7.0,  # 1 - q, 1.5 units off, comes in gamma + 1 times
    ("gelu (approximate tanh)", "dx"): 6.0,  # the difference of two terms up to three times as large, near its minimum
}
"""What takes more, and why; a part without its settings stands for all of them."""

STRICT: dict[str, tuple[float, float]] = {
    "identity": (0, 0), "relu": (0, 0), "leaky_relu": (1, 1), "hard_tanh": (0, 0), "hard_sigmoid": (1, 1),
    "tanh": (2, np.inf), "sigmoid": (3, np.inf), "softsign": (2, 3), "softplus": (3, 3), "elu": (2, 2), "selu": (3, 3),
    "gelu": (5, np.inf), "silu": (4, np.inf), "mish": (5, np.inf),
}  # fmt: skip
"""Units that y and dx of an activation are off at most, whatever the condition number; slopes that pass through 0 are
known near there only as their condition number allows."""

TEXTBOOK = {
    ("silu", "dx"): "1 - p", ("mish", "dx"): "1 - u^2",
    ("gelu (approximate tanh)", "y"): "1 + tanh", ("gelu (approximate tanh)", "dx"): "1 - tanh^2",
    ("binary_cross_entropy", "dx"): "p - t", ("softmax_cross_entropy", "L"): "lse - x",
    ("kl_divergence", "L"): "lse - x", ("focal", "L"): "x - lse", ("focal", "dx"): "t - p",
}  # fmt: skip
"""Equations that textbooks write so that digits cancel; they are right to the last digits of what cancels."""

CANCELLING = {
    ("tanh", "dx"): "1 - y^2", ("sigmoid", "dx"): "y (1 - y)", ("softmax", "dx"): "y (dy - sum dy y)",
    ("softmax_cross_entropy", "dx"): "p - t", ("kl_divergence", "dx"): "p - t",
}  # fmt: skip
"""Slopes that kernels and equations work out from outputs that are rounded, which is quicker by half and more: they
are right to `ALLOWED` units of the terms that cancel."""


def softmax_of(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def terms(spelled: Any, case: dict[str, Any], index: int) -> float:
    """Returns the size of what cancels in a slope of `CANCELLING`: `index` counts y and then dx, or L and then dx."""
    kind = label(spelled).partition(" (")[0]
    x = np.atleast_1d(np.asarray(case["x"], np.float64))
    if kind in ("softmax_cross_entropy", "kl_divergence"):
        settings = {} if isinstance(spelled, str) else spelled
        t, n, k = np.asarray(case["t"], np.float64), len(x), x.shape[1]
        smoothing = settings.get("label_smoothing", 0.0)
        c = np.array([settings.get("class_weights", {}).get(name, 1.0) for name in NAMES[:k]])
        w = np.asarray(case.get("w", np.full(n, 1 / n)), np.float64) / (
            float(np.asarray(case.get("w", np.full(n, 1 / n))) @ (t @ c)) if "class_weights" in settings else 1.0
        )
        u = c * ((1 - smoothing) * t + smoothing / k)
        return float(np.ravel(w[:, None] * (softmax_of(x) * u.sum(1, keepdims=True) + u))[index - 1])
    dy = np.atleast_1d(np.asarray(case.get("dy", np.ones(x.shape)), np.float64))
    if kind == "softmax":
        y, i = softmax_of(x), index - len(x)
        return float(y[i] * (abs(dy[i]) + np.abs(dy) @ y))
    i = index - len(x)
    return float(abs(dy[i]) * (1 if kind == "tanh" else 1 / (1 + np.exp(-x[i]))))


EQUATIONS_END = 280.0  # from 700 on exp of the notation saturates, and softplus goes there with beta 2.5


@dataclass(frozen=True)
class Place:
    """One result at one place: who computed it (`float32`, `float64` or `equations`), the right result in 30 digits,
    and by how many units it is off, as it stands and over its condition number."""

    spelled: Any
    by: str
    output: str
    case: dict[str, Any]
    index: int  # of the result, among those of the case
    right: str
    sensitivity: float
    units: float = 0.0

    @property
    def part(self) -> str:
        return label(self.spelled)

    @property
    def dtype(self) -> Any:
        return DTYPES.get("float64" if self.output == "figure" else self.by, np.float64)

    @property
    def conditioned(self) -> float:
        least = ulp(float(self.right), self.dtype)
        return self.units * least / max(least, float(np.finfo(self.dtype).eps) * self.sensitivity)

    def measured(self, found: float) -> Place:
        """Returns it with the units that a result is off; where the right one is too large for the type, 0 if it is
        infinite."""
        right, largest = Decimal(self.right), float(np.finfo(self.dtype).max)
        if abs(right) > Decimal(largest) * (1 + Decimal("1e-20")):
            units = 0.0 if np.isinf(found) and (found > 0) == (right > 0) else np.inf
        elif not np.isfinite(found):
            units = np.inf
        else:
            with localcontext() as context:
                context.prec = 60
                units = float(abs(Decimal(float(found)) - right) / Decimal(ulp(float(right), self.dtype)))
        return replace(self, units=units)

    @property
    def underflows(self) -> float:
        """By how many units it may be off because a factor of it is subnormal: where the product is nearly so."""
        x = self.case.get("x")
        if not isinstance(x, float) or x >= 0 or abs(float(self.right)) > 1e5 * np.finfo(self.dtype).tiny:
            return 0.0
        bend = 1.6 * (1 + 0.134 * min(x * x, 1e3))  # the slope of 2 u in gelu's approximation
        factors = {
            "silu": abs(x) / 2, "mish": abs(x) / 2, "softplus (beta 0.1)": 5.0,
            "gelu (approximate tanh)": abs(x) / 2 * (bend if self.output == "dx" else 1),
        }  # fmt: skip
        if self.by == "equations":
            factors["gelu"] = abs(x)
        return min(factors.get(self.part, 0.0), 1e4)

    @property
    def textbook(self) -> bool:
        """Whether it is of an equation that cancels, as textbooks write it."""
        return self.by == "equations" and bool({(self.part, self.output), (self.kind, self.output)} & set(TEXTBOOK))

    @property
    def kind(self) -> str:
        return self.part.partition(" (")[0]

    @property
    def holds(self) -> bool:
        """Whether it is within its bounds."""
        if {(self.part, self.output), (self.kind, self.output)} & set(CANCELLING):
            least, eps = ulp(float(self.right), self.dtype), float(np.finfo(self.dtype).eps)
            size = terms(self.spelled, self.case, self.index)
            if self.by == "equations":  # exp(x - lse): as many more as x is large
                size *= 1 + float(np.abs(np.asarray(self.case["x"])).max())
            return self.units * least <= ALLOWED * max(least, eps * max(size, self.sensitivity))
        if self.textbook or (self.underflows and self.units <= self.underflows + ALLOWED):
            return True
        bound = MORE.get((self.part, self.output), MORE.get((self.kind, self.output), ALLOWED))
        strict = STRICT.get(self.part) if self.by != "equations" else None
        return self.conditioned <= bound and (strict is None or self.units <= strict[self.output == "dx"] + 1e-9)


# ---------------------------------------------------------------------------------------------------------------- units
def ulp(right: float, dtype: Any) -> float:
    """Returns the spacing of the type's numbers at a result; of one that is too large, that of the largest."""
    size, largest = abs(right), float(np.finfo(dtype).max)
    return float(np.spacing(dtype(size))) if size < 1 else 2 * float(np.spacing(dtype(min(size, largest) / 2)))
