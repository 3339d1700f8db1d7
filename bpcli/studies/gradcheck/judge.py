"""A gradient judged: its row in the report, and where it is wrong what is to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from bpcli.family import Activation, Array, Layer, Sample
from bpcli.records.gradcheck import Finding, TensorRow
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.find_mistake import Clues, find_mistake, gradient_hypotheses
from bpcli.studies.gradcheck.layer_point import TIES, LayerPoint
from bpcli.studies.mistakes.hypotheses import same
from bpcli.studies.witness.cases import LayerCase, equation_env, layer_program
from bpcli.studies.witness.evidence import COMPLEX_STEP_RTOL, CheckedGradient, Evidence

MAX_PLACES_SHOWN = 3  # at which both slopes are given


def tensor_row(gradient: CheckedGradient, evidence: Evidence) -> TensorRow:
    """Returns the row of a gradient at its point."""
    return TensorRow(
        gradient.scope, gradient.tensor, evidence.entries, gradient.kernel.size, evidence.worst, evidence.index,
        evidence.kernel, evidence.numeric, evidence.witness, gradient.point, evidence.verdict, evidence.gaps,
        evidence.note, evidence.bars, evidence.unresolved,
    )  # fmt: skip


def explain(
    gradient: CheckedGradient,
    evidence: Evidence,
    clues: Callable[[], Clues],
    layer: Layer | None = None,
    forward_mismatch: str = "",
) -> Finding | None:
    """Returns the likeliest mistake of a gradient that is wrong; None of one that is not. `forward_mismatch` is what of
    its layer's forward pass is wrong too."""
    if evidence.verdict != "WRONG" or evidence.numbers is None:
        return None
    around = clues()
    if evidence.rtol > COMPLEX_STEP_RTOL:
        around = replace(around, rtol=evidence.rtol, hypotheses=None, forward_mismatch=forward_mismatch)
    found = find_mistake(gradient.tensor, gradient.kernel, evidence.numbers, around)
    if layer is not None and found.code in ("unknown", "some") and gradient.tensor.endswith(".dx"):
        slopes = describe_slopes(layer, gradient.kernel, evidence.numbers, around.arrays)
        found = replace(found, text="; ".join(filter(None, (slopes, found.text))))
    return found


def layer_clues(point: LayerPoint, tensor: str) -> Clues:
    """Gathers what is known around a layer's gradient; the kernels run again first, as the witnesses moved things."""
    link, name = point.link, tensor.rpartition(".")[2]
    f, plan = link.frame, link.plan
    point.forward()
    np.copyto(f.dy, point.upstream)
    link.layer.backward(f, point.train)
    env = equation_env(link)
    scalars = {k: float(v) for k, v in plan.consts.items() if np.ndim(v) == 0}
    arrays = {k: v for k, v in (env | point.kernel).items() if np.ndim(v) and k != name}
    counts = {"N": len(f.x), "K": f.y.shape[-1]}
    tied = point.name == TIES  # the first point at which it is wrong
    if tensor != f"{link.path}.{name}":  # of a layer inside
        return Clues(counts, scalars, arrays, tied=tied)
    hypotheses = None
    if name in point.equations:
        programs = [layer_program(link, point.train, detail) for detail in ("", "path")]
        hypotheses = gradient_hypotheses(programs, env, name, tuple(plan.params), "y")
    kernel = partial(point.gradient_for, name)
    return Clues(counts, scalars, arrays, hypotheses, kernel, "dy", point.upstream, tied=tied)


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
