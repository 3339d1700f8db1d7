"""The sweep of activations, losses and metrics against mpmath, for the test that makes it and the script that records
its worst places (record_ulp.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import ulp_reference as reference
from mpmath import mp, mpf
from ulp_cases import (
    ACTIVATIONS,
    DTYPES,
    EQUATIONS_END,
    LOSSES,
    Place,
    line,
    loss_cases,
    loss_of,
    metric_cases,
    run_activation,
    run_loss,
    run_metric,
)

from bpcli.family import Activation, Metric

ALL = [*(("activation", a) for a in ACTIVATIONS), ("softmax", "softmax"), *(("loss", a) for a in LOSSES)]
ALL += [("metric", kind) for kind, leaf in Metric.registry.items() if not leaf.of_losses]
"""What is swept: which function of this module sweeps it, and how it is spelled."""


def sweep(family: str, spelled: Any, scale: int = 1) -> Iterator[Place]:
    """Yields the places of a part; `scale` times as many."""
    match family:
        case "activation":
            return activation_places(spelled, 200 * scale)
        case "softmax":
            return softmax_places(200 * scale)
        case "loss":
            return loss_places(spelled, 8 * scale)
        case _:
            return metric_places(spelled, 60 * scale)


def judges(name: str) -> tuple[str, ...]:
    return ("float64", "equations") if name == "float64" else (name,)


def digits(right: Any) -> str:
    """Returns a number in 30 digits; what no float can hold next to 0 is 0."""
    return str(mp.nstr(right, 30)) if abs(right) > mpf("1e-400") else "0"


def activation_places(spelled: Any, many: int) -> Iterator[Place]:
    f = reference.activation(Activation.parse(spelled))
    for name, dtype in DTYPES.items():
        x = line(dtype, many)
        right = [reference.sensitivities(lambda v: f(v[0]), [mpf(float(v))]) for v in x]
        for by in judges(name):
            found = run_activation(spelled, x[:, None], np.ones((len(x), 1)), equations=by == "equations")
            for i, v in enumerate(x):
                for j, output in enumerate(("y", "dx")):
                    if by == name or abs(v) <= EQUATIONS_END:
                        at, size = (digits(right[i][0][j]), float(right[i][1][j]))
                        p = Place(spelled, by, output, {"x": float(v)}, j, at, size)
                        yield p.measured(found[output][i, 0])


def softmax_places(many: int) -> Iterator[Place]:
    for name, dtype in DTYPES.items():
        for which in range(many):
            rng = np.random.default_rng([which, 5])
            x = (rng.normal(size=3) * 10.0 ** rng.uniform(-6, 2.9)).astype(dtype)
            dy = rng.normal(size=3).astype(dtype)
            right, sizes = reference.sensitivities(reference.softmax_row, [mpf(float(v)) for v in (*x, *dy)])
            for by in judges(name):
                found = run_activation("softmax", x[None], dy[None], equations=by == "equations")
                for j, got in enumerate([*found["y"][0], *found["dx"][0]]):
                    case = {"x": x.tolist(), "dy": dy.tolist()}
                    p = Place("softmax", by, "y" if j < 3 else "dx", case, j, digits(right[j]), float(sizes[j]))
                    yield p.measured(got)


def loss_places(spelled: Any, many: int) -> Iterator[Place]:
    for name, dtype in DTYPES.items():
        for case in loss_cases(spelled, dtype, many):
            n, k = case["x"].shape
            inputs = [mpf(float(v)) for key in ("x", "t", "w") if key in case for v in case[key].ravel()]
            right, sizes = reference.sensitivities(reference.loss(loss_of(spelled), n, k, "w" in case), inputs)
            kept = {key: value.tolist() for key, value in case.items()}
            for by in judges(name):
                for j, got in enumerate(run_loss(spelled, case, equations=by == "equations")):
                    p = Place(spelled, by, "dx" if j else "L", kept, j, digits(right[j]), float(sizes[j]))
                    yield p.measured(got)


def metric_places(kind: str, many: int) -> Iterator[Place]:
    for name, dtype in DTYPES.items():
        for case in metric_cases(kind, dtype, many):
            (n, k), labels = case["output"].shape, case.get("labels")
            inputs = [mpf(float(v)) for key in ("output", "target", "weight") if key in case for v in case[key].ravel()]
            function = reference.metric(kind, n, k, None if labels is None else labels.tolist())
            (right,), (size,) = reference.sensitivities(function, inputs)
            kept = {key: value.tolist() for key, value in case.items()}
            for batches in (1, 3):
                p = Place(kind, name, "figure", kept | {"batches": batches}, 0, digits(right), float(size))
                yield p.measured(run_metric(kind, case, batches))
