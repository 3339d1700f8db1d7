"""The kernels in float32 beside those in float64; and backward under errors that are far larger or smaller."""

from dataclasses import replace
from functools import partial

import numpy as np

from bpcli.studies.gradcheck.layer_laws.row_law import (
    ROUNDINGS,
    Roundings,
    RowMismatch,
    entry_gaps,
    largest_of_row,
    largest_share,
    row_scales,
)
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, Results, SingleLayer

DY_FACTORS = (2.0**40, 2.0**-40)
"""By these the errors are multiplied, and the gradients with them: powers of 2, so that nothing is rounded."""
LARGE_FACTOR = 64.0  # times as large are inputs among which exponentials overflow in float32
CONTAINER_RTOL = 1e-2
"""How far float32 may be off in a container, as a share of a row's largest number: what one of its layers rounds, the
next may blow up; each of them is compared by itself too."""


def compare_floats(
    wide: SingleLayer, narrow: SingleLayer, inputs: LayerInputs, n: int, train: bool
) -> tuple[dict[str, float], list[RowMismatch]]:
    """Compares what the kernels compute in float32 with what they compute in float64 on the same n rows, whose numbers
    are exact in both. Returns the largest gap of each array, as a share of a row's largest number (of a parameter's
    gradient: of its largest), and what is farther apart than roundings explain."""
    expected = wide.run(inputs, 0, n, train)
    found = narrow.run(inputs, 0, n, train)
    return _compare(narrow, inputs, found, expected, train, CONTAINER_RTOL if wide.planned.inside else 0.0)


def find_overflow(
    wide: SingleLayer, narrow: SingleLayer, inputs: LayerInputs, n: int, train: bool
) -> list[RowMismatch]:
    """Returns what float32 makes no number on large inputs, that is one in float64 and not too large for float32; where
    y is not too large either."""
    large = replace(inputs, x=inputs.x * LARGE_FACTOR)
    expected, mismatches = wide.run(large, 0, n, train), []
    most = np.finfo(narrow.dtype).max
    fits = (np.abs(expected["y"]) <= most).all(tuple(range(1, expected["y"].ndim)))
    for name, value in narrow.run(large, 0, n, train).items():
        rows = fits.reshape(n, *(1,) * (value.ndim - 1)) if name in ("y", "dx") else fits.all()
        wrong = ~np.isfinite(value) & (np.abs(expected[name]) <= most) & rows
        if wrong.any():
            mismatches.append(RowMismatch(name, n, train, value.astype(np.float64), expected[name], wrong))
    return mismatches


def compare_scaled(layer: SingleLayer, inputs: LayerInputs, n: int, train: bool) -> list[RowMismatch]:
    """Returns what is not so many times as large where the errors are."""
    expected = layer.run(inputs, 0, n, train)
    for factor in DY_FACTORS:
        scaled = layer.run(inputs, 0, n, train, dy=inputs.dy * factor)
        back = {name: a if name == "y" else a / factor for name, a in scaled.items()}
        if found := _compare(layer, inputs, back, expected, train)[1]:
            return found
    return []


def _run(layer: SingleLayer, n: int, train: bool, inputs: LayerInputs) -> Results:
    return layer.run(inputs, 0, n, train)


def _compare(
    layer: SingleLayer, inputs: LayerInputs, found: Results, expected: Results, train: bool, rtol: float = 0.0
) -> tuple[dict[str, float], list[RowMismatch]]:
    """Compares two runs, of which `layer` made the first; they may be apart by `rtol` of a row's largest number, or as
    far as roundings take them."""
    eps = float(np.finfo(layer.dtype).eps)
    worst: dict[str, float] = {}
    mismatches = []
    n = len(expected["y"])
    roundings = Roundings(layer, inputs, partial(_run, layer, n, train))
    scales = row_scales(layer, inputs, expected)
    largest_error = largest_of_row(inputs.dy[:n].reshape(1, -1)).ravel()
    for name, value in found.items():
        wanted = expected[name]
        scale = (
            scales[name] if name in scales else np.maximum(largest_of_row(wanted.reshape(1, -1)).ravel(), largest_error)
        )
        gap = entry_gaps(value.astype(np.float64), wanted)
        gap[np.abs(wanted) > np.finfo(layer.dtype).max] = 0.0  # beyond its numbers
        bar = max(ROUNDINGS * eps, rtol) * scale
        if name == "dx":  # terms that cancel in a slope are as large as slopes are elsewhere
            errors = largest_of_row(inputs.dy[:n]).reshape(n, *(1,) * (bar.ndim - 1))
            slopes = largest_of_row(wanted).reshape(errors.shape) / np.maximum(errors, np.finfo(np.float64).tiny)
            bar = np.maximum(bar, ROUNDINGS * eps * float(slopes.max(initial=0.0)) * errors)
        wrong = roundings.unexplained(name, gap, bar)
        if wrong.any():
            mismatches.append(RowMismatch(name, n, train, value, wanted, wrong))
        worst[name] = largest_share(gap, scale)
    return worst, mismatches
