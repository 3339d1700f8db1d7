"""Elementwise functions: what their slope is where the kernel's is wrong, and whose slope was written instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bpcli.family import Activation, Array, Layer, Sample
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.mistakes.hypotheses import same
from bpcli.studies.witness.cases import LayerCase

MAX_PLACES_SHOWN = 3  # at which both slopes are given


def describe_slopes(layer: Layer, kernel_dx: Array, expected_dx: Array, arrays: Mapping[str, Array]) -> str:
    """Describes the slopes dx / dy of an activation by the kernel's and the true dx; "" of other layers.

    `arrays` holds x, y and dy; entries of `expected_dx` that are NaN were not looked at.
    """
    x, dy = arrays.get("x"), arrays.get("dy")
    if not isinstance(layer, Activation) or not layer.elementwise or x is None or dy is None:
        return ""
    with np.errstate(all="ignore"):
        kernel, expected = kernel_dx / dy, expected_dx / dy
    seen = np.isfinite(expected) & np.isfinite(kernel)
    if not seen.any():
        return ""
    for kind, slope in _known_slopes(x):
        if kind != layer.kind and same(kernel[seen], slope[seen]):
            return sentence("slope known", activation=kind)[1]
    largest = np.abs(expected).max(where=seen, initial=0)
    wrong = np.flatnonzero((seen & (np.abs(kernel - expected) > 1e-6 * largest)).ravel())
    order = wrong[np.argsort(x.ravel()[wrong])]
    chosen = order[np.linspace(0, len(order) - 1, min(MAX_PLACES_SHOWN, len(order))).astype(int)]
    flat = {"expected": expected.ravel(), "kernel": kernel.ravel(), "x": x.ravel()}
    places = [sentence("slope place", **{name: a[i] for name, a in flat.items()})[1] for i in chosen]
    return sentence("slope shown", places="; ".join(places))[1] if places else ""


def _known_slopes(x: Array) -> Iterator[tuple[str, Array]]:
    """The slopes of the activations of this package at `x`."""
    for kind, leaf in Activation.registry.items():
        if not leaf.__module__.startswith("bpcli.") or not leaf.elementwise:
            continue
        sample = Sample(leaf.parse(kind), x.shape[1:], batch=len(x), inputs={"x": x})
        case = LayerCase(sample, train=True)
        case.upstream = np.ones_like(case.upstream)
        yield kind, case.kernel()["dx"]
