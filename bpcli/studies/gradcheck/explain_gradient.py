"""A gradient judged: its row in the report, and where it is wrong what is to say of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np

from bpcli.family import Activation, Array, Layer, Sample
from bpcli.records.gradcheck import EXACT_WITNESSES, VERDICTS, Finding, TensorRow
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.find_mistake import GRADIENT_BEFORE, Clues, find_mistake, gradient_hypotheses, multiple
from bpcli.studies.gradcheck.layer_point import TIES, LayerPoint, tokens_of
from bpcli.studies.gradcheck.loss_point import LossPoint, PenaltyPoint
from bpcli.studies.mistakes.hypotheses import Sentence, same
from bpcli.studies.witness.cases import LayerCase, LossCase, equation_env, layer_program
from bpcli.studies.witness.evidence import COMPLEX_STEP_RTOL, CheckedGradient, Evidence

MAX_ENTRIES_ELSEWHERE = 2000  # entries of a gradient that is computed anew for rows of another number or width
MAX_RATIO_SPREAD = 1e-5  # relative spread up to which a ratio counts as constant, by differences
EXPECTED_RTOL = 1e-6  # relative error of an expected slope
MAX_ENTRIES_SHOWN = 3  # entries at which both slopes are given


def tensor_row(gradient: CheckedGradient, evidence: Evidence) -> TensorRow:
    """Returns the row of a gradient at its point."""
    return TensorRow(
        gradient.scope, gradient.tensor, evidence.entries, gradient.kernel.size, evidence.worst, evidence.index,
        evidence.kernel, evidence.numeric, evidence.witness, gradient.point, evidence.verdict, evidence.gaps,
        evidence.note, evidence.bars, evidence.unresolved,
    )  # fmt: skip


def merged(rows: Sequence[TensorRow]) -> TensorRow:
    """Merges the rows of all points into one: the most serious verdict; dead only where every point says so."""
    alive = [row for row in rows if row.verdict != "dead"] or rows
    worst = max(alive, key=lambda row: (VERDICTS.index(row.verdict), row.witness in EXACT_WITNESSES, row.worst))
    gaps, bars = (
        {witness: max(found.get(witness, 0.0) for found in of_rows) for witness in dict.fromkeys(chain(*of_rows))}
        for of_rows in ([row.gaps for row in rows], [row.bars for row in rows])
    )
    unresolved = sum(row.unresolved for row in rows)
    return replace(worst, entries=max(row.entries for row in rows), gaps=gaps, bars=bars, unresolved=unresolved)


def explain_gradient(
    gradient: CheckedGradient,
    evidence: Evidence,
    clues: Callable[[], Clues],
    layer: Layer | None = None,
    forward_mismatch: str = "",
) -> Finding | None:
    """Returns the likeliest mistake of a gradient that is wrong; None of one that is not. `forward_mismatch` is what of
    its layer's forward pass is wrong too."""
    if evidence.verdict != "WRONG":
        return None
    around = clues()
    expected = evidence.numbers if evidence.numbers is not None else np.full(gradient.kernel.shape, np.nan)
    if evidence.numbers is None and np.isfinite(gradient.kernel).all():
        return None
    if evidence.rtol > COMPLEX_STEP_RTOL:
        around = replace(around, rtol=evidence.rtol, hypotheses=None, forward_mismatch=forward_mismatch)
    found = find_mistake(gradient.tensor, gradient.kernel, expected, around)
    if layer is not None and found.code in ("unknown", "some", "place") and gradient.tensor.endswith(".dx"):
        code, slopes = describe_slopes(layer, gradient.kernel, expected, around.arrays)
        if code and code != "slope":
            return Finding(gradient.tensor, code, slopes)
        found = replace(found, text="; ".join(filter(None, (slopes, found.text))))
    return found


def layer_clues(point: LayerPoint, tensor: str) -> Clues:
    """Gathers what is known around a layer's gradient; the kernels run again first, as the witnesses moved things."""
    bound, name = point.bound, tensor.rpartition(".")[2]
    f, plan = bound.frame, bound.plan
    point.forward()
    np.copyto(f.dy, point.upstream)
    bound.layer.backward(f, point.train)
    env = equation_env(bound)
    scalars = {k: float(v) for k, v in plan.consts.items() if np.ndim(v) == 0}
    arrays = {k: v for k, v in (env | point.kernel).items() if np.ndim(v) and k != name}
    counts = {"N": len(f.x), "K": f.y.shape[-1]}
    tied = point.name == TIES  # the first point at which it is wrong
    if tensor != f"{bound.path}.{name}":  # of a layer inside
        return Clues(counts, scalars, arrays, tied=tied)
    hypotheses = None
    if name in point.equations:
        programs = [layer_program(bound, point.train, detail) for detail in ("", "path")]
        hypotheses = gradient_hypotheses(programs, env, name, tuple(plan.params), "y")
    kernel = partial(point.gradient_for, name)
    elsewhere = partial(_ratio_elsewhere, point, name)
    return Clues(
        counts, scalars, arrays, hypotheses, kernel, "dy", point.upstream, tied=tied, ratio_elsewhere=elsewhere
    )


def _ratio_elsewhere(point: LayerPoint, name: str, letter: str) -> float | None:
    """Returns the constant kernel / expected of a layer's gradient for more rows (N), or wider ones (K); None where
    there is none, or the layer takes no others."""
    bound, x = point.bound, point.bound.planned.x
    rows, width = len(bound.frame.x), bound.frame.y.shape[-1]
    more = {"N": (rows + 2, x), "K": (rows, (*x[:-1], x[-1] + 2))}
    if letter not in more or tokens_of(bound):
        return None
    batch, shape = more[letter]
    try:
        case = LayerCase(Sample(bound.layer, shape, batch=batch), point.train)
    except ValueError:
        return None
    if (letter == "K" and case.chain.y.shape[-1] == width) or case.tensors[name[1:]].size > MAX_ENTRIES_ELSEWHERE:
        return None
    kernel = case.kernel()[name]
    expected = case.equations[name] if name in case.equations else case.differences[name].value
    return multiple(kernel, expected, MAX_RATIO_SPREAD)


def loss_clues(point: LossPoint) -> Clues:
    """Gathers what is known around the gradient of a loss."""
    f = point.frame
    counts = {"N": len(f.x), "K": f.x.shape[-1]}
    scalars = {k: float(v) for k, v in point.env.items() if np.ndim(v) == 0 and k != "K"}
    arrays = {k: v for k, v in point.env.items() if np.ndim(v)}
    hypotheses = None
    if point.env:
        hypotheses = gradient_hypotheses((point.program, point.long_program), point.env, "dx", (), "L")
    elsewhere = partial(_loss_ratio_elsewhere, point)
    return Clues(counts, scalars, arrays, hypotheses, point.gradient_for, "x", f.x.copy(), ratio_elsewhere=elsewhere)


def penalty_clues(point: PenaltyPoint, rows: int) -> Clues:
    """Gathers what is known around the gradient of a penalty, of a network that was checked on so many rows."""
    scalars = {k: float(v) for k, v in point.part.consts().items() if np.ndim(v) == 0}
    arrays = {"w": point.w, GRADIENT_BEFORE: point.before}
    hypotheses = None
    if point.equations:
        hypotheses = gradient_hypotheses((point.program,), point.env, "dw", (), "penalty")
    return Clues({"N": rows}, scalars, arrays, hypotheses)


def _loss_ratio_elsewhere(point: LossPoint, letter: str) -> float | None:
    """Returns the constant kernel / expected of a loss's gradient for twice as many rows (N); None where none is."""
    f = point.frame
    if letter != "N" or f.x.size > MAX_ENTRIES_ELSEWHERE:
        return None
    inputs = {name: np.concatenate([a, a]) for name, a in (("x", f.x), ("t", f.t))}
    inputs["x"] = inputs["x"] * np.linspace(0.9, 1.0, len(inputs["x"])).reshape(-1, *(1,) * (f.x.ndim - 1))
    case = LossCase(Sample(point.loss, f.x.shape[1:], batch=2 * len(f.x), inputs=inputs))
    expected = case.equations["dx"] if point.env else case.differences.value
    return multiple(case.kernel()["dx"], expected, MAX_RATIO_SPREAD)


def describe_slopes(layer: Layer, kernel_dx: Array, expected_dx: Array, arrays: Mapping[str, Array]) -> Sentence:
    """Describes the slopes dx / dy of an activation by the kernel's and the true dx: whose slope it is, or where it is
    taken, and else (code "slope") what both are at some places; nothing of other layers.

    `arrays` holds x, y and dy; entries of `expected_dx` that are NaN were not looked at.
    """
    x, y, dy = arrays.get("x"), arrays.get("y"), arrays.get("dy")
    if not isinstance(layer, Activation) or not layer.elementwise or x is None or y is None or dy is None:
        return "", ""
    with np.errstate(all="ignore"):
        kernel, expected = kernel_dx / dy, expected_dx / dy
    seen = np.isfinite(expected) & np.isfinite(kernel)
    if not seen.any():
        return "", ""
    for kind, slope in _known_slopes(x):
        if kind != layer.kind and same(kernel[seen], slope[seen]):
            return sentence("other-slope", activation=kind)
    twice = _output_of(layer, y)
    for right, at_x, at_y in ((v * (1 - v) for v in (y, x, twice)), (1 - v * v for v in (y, x, twice))):
        if same(right[seen], expected[seen], rtol=EXPECTED_RTOL):
            if same(kernel[seen], at_x[seen]):
                return sentence("slope-at-x")
            if same(kernel[seen], at_y[seen]):
                return sentence("slope-at-y")
    largest = np.abs(expected).max(where=seen, initial=0)
    wrong = np.flatnonzero((seen & (np.abs(kernel - expected) > 1e-6 * largest)).ravel())
    order = wrong[np.argsort(x.ravel()[wrong])]
    chosen = order[np.linspace(0, len(order) - 1, min(MAX_ENTRIES_SHOWN, len(order))).astype(int)]
    flat = {"expected": expected.ravel(), "kernel": kernel.ravel(), "x": x.ravel()}
    places = [sentence("slope place", **{name: a[i] for name, a in flat.items()})[1] for i in chosen]
    return sentence("slope shown", places="; ".join(places)) if places else ("", "")


def _output_of(layer: Layer, x: Array) -> Array:
    """Returns what an activation makes of these inputs."""
    case = LayerCase(Sample(layer, x.shape[1:], batch=len(x), inputs={"x": x}), train=True)
    return case.kernel()["y"]


def _known_slopes(x: Array) -> Iterator[tuple[str, Array]]:
    """Yields the slopes of the activations of this package at `x`."""
    for kind, leaf in Activation.registry.items():
        if not leaf.__module__.startswith("bpcli.") or not leaf.elementwise:
            continue
        sample = Sample(leaf.parse(kind), x.shape[1:], batch=len(x), inputs={"x": x})
        case = LayerCase(sample, train=True)
        case.upstream = np.ones_like(case.upstream)
        yield kind, case.kernel()["dx"]
