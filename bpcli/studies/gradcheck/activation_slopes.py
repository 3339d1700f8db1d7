"""Elementwise functions: what their slope is where the kernel's is wrong, and whose slope was written instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bpcli.family import Activation, Layer
from bpcli.family.plan import Array, Sample
from bpcli.studies.mistakes.hypotheses import same
from bpcli.studies.witness.cases import LayerCase

SHOWN = 3  # places at which both slopes are told


def slopes(layer: Layer, a: Array, n: Array, arrays: Mapping[str, Array]) -> str:
    """What the kernel's and the true dx say of the slopes dx / dy of an activation; nothing of other layers.

    `arrays` holds x, y and dy; entries of `n` that are NaN were not looked at.
    """
    x, dy = arrays.get("x"), arrays.get("dy")
    if not isinstance(layer, Activation) or x is None or dy is None or layer.kind == "softmax":
        return ""
    with np.errstate(all="ignore"):
        kernel, true = a / dy, n / dy
    seen = np.isfinite(true) & np.isfinite(kernel)
    if not seen.any():
        return ""
    for kind, slope in _known(x):
        if kind != layer.kind and same(kernel[seen], slope[seen]):
            return f"backward computes the slope of {kind}"
    wrong = np.flatnonzero((seen & (np.abs(kernel - true) > 1e-6 * np.abs(true).max(where=seen, initial=0))).ravel())
    order = wrong[np.argsort(x.ravel()[wrong])]
    chosen = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    told = [f"{true.ravel()[i]:.4g} and not {kernel.ravel()[i]:.4g} at x = {x.ravel()[i]:.4g}" for i in chosen]
    return f"the slope is {'; '.join(told)}" if told else ""


def _known(x: Array) -> Iterator[tuple[str, Array]]:
    """The slopes of the activations of this package at `x`."""
    for kind, leaf in Activation.registry.items():
        if not leaf.__module__.startswith("bpcli.") or kind == "softmax":
            continue
        sample = Sample(leaf.parse(kind), x.shape[1:], batch=len(x), inputs={"x": x})
        case = LayerCase(sample, train=True)
        case.upstream = np.ones_like(case.upstream)
        yield kind, case.kernel()["dx"]
