"""Whether a gradient that is not the derivative stands at a kink: a jump of the slope, shown by forward passes alone.

A backward pass that jumps by itself proves nothing of the function, and excuses nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.shapes import EntryIndex
from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.extrapolate import VALUE_ROUNDINGS, Line, extrapolate, one_sided_limit
from bpcli.studies.witness.witness import max_abs

SIDE_STEPS = (2.0**-22, 2.0**-18, 2.0**-14, 2.0**-10, 2.0**-7, 2.0**-5, 2.0**-3)
"""Steps of one-sided slopes, in units: a jump is shown by two that follow each other."""
OUTPUT_STEPS = (2.0**-20, 2.0**-16)  # the same of outputs, which are less noisy than their sum
MAX_JUMP_STEP = 2.0**-18  # of the smaller one of two that show a jump of the function itself
LASTING = 0.5
"""Share of a jump that must be left at the next smaller step, 4 to 16 times smaller; of a bend less is left."""
DECISIVE = 0.5  # of a gap: errors of slopes that are larger show nothing
WITHIN_STEP = 4  # times what a kink within the step can add to a value: beyond, the value itself jumps
NEIGHBOUR_SHARE = 1e-5  # how far from a kink its neighbours are, of 1 or a larger number
NEIGHBOUR_STEP = 24  # as a power of 1/2: far smaller
NEARER = 8  # times nearer are neighbours whose slopes are as far apart at a kink, and not at a bend
N_NEIGHBOURS = 32  # draws at a distance, so that each piece is met
CHECKED_NEIGHBOURS = ((0.5, 7), (0.1, 9), (1e-2, 13), (1e-3, 16), (1e-5, 22)) * 2
"""Neighbours at which a gradient has to be right, to be excused between them: how far they are, and the largest step of
differences there as a power of 1/2."""
MAX_OUTPUTS = 64  # that bend at a place and are looked at one by one

STEP_SHARES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6) * 2
"""How far points are, of 1 or a larger number, at which complex steps show a jump: from rounding to a difference."""
EXACT_RTOL = 1e-7  # of a derivative, by which a complex step through a steep network confirms it
STEEP_SHARE = 1e-3  # of a slope, by which it changes within the steps of differences where a network is steep

Perturbation = Callable[[float], AbstractContextManager[Array]]
"""Moves all that a gradient comes from by chance, by a share of its size; inside, the kernel's gradient there."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What lies between a tensor and the objective: `read` returns it after the objective was evaluated.

    Of a layer it is its outputs, weighed by `upstream`, and `gradient_for` computes the kernel's gradient for another
    upstream; of layers in a row, the outputs of them all.
    """

    read: Callable[[], Array]
    upstream: Array | None = None
    gradient_for: Callable[[Array], Array] | None = None


def classify_discrepancy(
    line: Line,
    claimed: float,
    number: float,
    error: float,
    noise: float,
    outputs: Outputs | None,
    moved: Perturbation | None,
) -> str:
    """Returns why a claimed derivative along a line may differ from the number that differences give, if only by their
    error: "kink" where the slope jumps, "jump" where the function does and the claim is the slope beside, "WRONG" where
    it is not; "" where neither was shown, or the claim is none of those that a kink explains."""
    gap = max(abs(claimed - number), error)
    shown, verdict = _of_objective(line, claimed, gap, noise)
    if verdict or outputs is None or moved is None:
        return verdict
    bends = _bends(line, outputs, noise)
    if outputs.gradient_for is not None and isinstance(line.along, tuple):
        bends = _bends_around(line, bends, outputs, moved, noise)
        return "kink" if _of_each_output(line, bends, claimed, gap, outputs) else ""
    if not (shown or bends.kinked.any()):
        return ""
    return "kink" if _right_around(line, gap, noise, moved) else ""


def _of_objective(line: Line, claimed: float, gap: float, noise: float) -> tuple[bool, str]:
    """Returns whether the objective's slope or value jumps, and the verdict where the claim is at or between the slopes
    on both sides. The smallest step whose slopes are known well enough decides."""
    decided: tuple[float, float] | None = None  # jumps of the slope and of the value at the smaller step
    verdict = ""
    for step in SIDE_STEPS:
        left, right = one_sided_limit(line, -step, noise), one_sided_limit(line, step, noise)
        low, high = sorted((float(left.slope[0]), float(right.slope[0])))
        off = float(left.slope_error[0] + right.slope_error[0])
        apart = float(np.abs(right.value - left.value)[0])
        most = WITHIN_STEP * step * line.unit * (abs(low) + abs(high) + off)
        most += float(left.value_error[0] + right.value_error[0])
        if not (off <= DECISIVE * gap and np.isfinite(high - low)):
            if decided is not None:
                return False, ""
            continue
        if decided is None:
            if high - low <= off and apart <= most:
                return False, ""
            decided = (high - low, apart if apart > most else 0.0)
            between = low - off <= claimed <= high + off
            verdict = ("jump" if between else "WRONG") if apart > most else "kink" if between else ""
            if apart > most and step > MAX_JUMP_STEP:  # a function may be as steep as that
                return False, ""
            continue
        jumps = decided[1] > 0 and apart > most and LASTING * apart <= decided[1]
        bends = decided[1] == 0 and high - low > off and decided[0] >= LASTING * (high - low)
        return jumps or bends, verdict if jumps or bends else ""
    return False, ""


@dataclass(frozen=True, eq=False)
class _Bends:
    """One-sided slopes of outputs, flat: where they differ, and how far off they are; and between which numbers a
    derivative may lie."""

    kinked: Array
    low: Array
    high: Array
    error: Array
    between: tuple[Array, Array]


def _bends(line: Line, outputs: Outputs, noise: float) -> _Bends:
    kinked, jumps = None, []
    for step in OUTPUT_STEPS:
        left, right = (one_sided_limit(line, h, noise, lambda: np.ravel(outputs.read()).copy()) for h in (-step, step))
        error = left.slope_error + right.slope_error
        jumps.append(np.abs(right.slope - left.slope))
        shown = jumps[-1] > error
        if kinked is None:
            low, high = np.minimum(left.slope, right.slope), np.maximum(left.slope, right.slope)
            kinked, first = shown, _Bends(shown, low, high, error, (low - error, high + error))
        else:
            kinked = kinked & shown & (jumps[0] >= LASTING * jumps[1])
    assert kinked is not None
    return replace(first, kinked=kinked)


def _bends_around(line: Line, bends: _Bends, outputs: Outputs, moved: Perturbation, noise: float) -> _Bends:
    """Returns the bends with what slopes at points around say: they are apart at a kink, as far near by as less near;
    along the line itself nothing shows where the middle one of three equal numbers is moved."""
    low, high, spreads, off = bends.low - bends.error, bends.high + bends.error, [], 0.0
    for share in (NEIGHBOUR_SHARE, NEIGHBOUR_SHARE / NEARER):
        found = [_slopes_beside(line, outputs, moved, share) for _ in range(N_NEIGHBOURS)]
        slopes = np.array([slope for slope, _ in found])
        off = max(off, noise / (2.0**-NEIGHBOUR_STEP * line.unit), *(error for _, error in found))
        low, high = np.minimum(low, slopes.min(0) - off), np.maximum(high, slopes.max(0) + off)
        spreads.append(np.ptp(slopes, axis=0))
    around = (spreads[1] > 4 * off) & (spreads[1] >= LASTING * spreads[0])
    return replace(bends, kinked=bends.kinked | around, between=(low, high))


def _of_each_output(line: Line, bends: _Bends, claimed: float, gap: float, outputs: Outputs) -> bool:
    """Whether the kernel's derivative of every output that bends is one of those around it, and of the others that of
    the output. Several outputs that bend at a time show no slopes between which their sum has to lie."""
    assert outputs.gradient_for is not None
    assert outputs.upstream is not None
    assert isinstance(line.along, tuple)
    bent = np.flatnonzero(bends.kinked)
    if not 0 < len(bent) <= MAX_OUTPUTS:
        return False
    low, high = bends.between
    upstream = np.ravel(outputs.upstream)
    rest = claimed
    for k in bent.tolist():
        one = np.zeros(upstream.shape)
        one[k] = 1.0
        own = float(outputs.gradient_for(one.reshape(np.shape(outputs.upstream)))[line.along])
        if not low[k] <= own <= high[k]:
            return False
        rest -= float(upstream[k]) * own
    smooth = ~bends.kinked
    others = float(np.sum((upstream * (bends.low + bends.high) / 2)[smooth]))
    off = float(np.sum((np.abs(upstream) * bends.error)[smooth]))
    return abs(rest - others) <= off + DECISIVE * gap


def _slopes_beside(
    line: Line, outputs: Outputs, moved: Perturbation, share: float = NEIGHBOUR_SHARE
) -> tuple[Array, float]:
    """Returns the slopes of all outputs at a point beside, so far away, and how far rounding may take them."""
    with moved(share):
        beside = Line(line.value, line.x, line.along)
        h = 2.0**-NEIGHBOUR_STEP
        up = beside.at(h * beside.unit)[0]
        above = np.ravel(outputs.read()).copy()
        down = beside.at(-h * beside.unit)[0]
        below = np.ravel(outputs.read()).copy()
    line.evaluations += beside.evaluations
    return (above - below) / (up - down), VALUE_ROUNDINGS * EPS * max(1.0, max_abs(above)) / (h * beside.unit)


def _right_around(line: Line, gap: float, noise: float, moved: Perturbation) -> bool:
    """Whether the kernel's gradient is the derivative at points beside this one: at most of those, near and less near,
    where differences can tell."""
    right = wrong = 0
    for share, power in CHECKED_NEIGHBOURS:
        with moved(share) as kernel:
            own = float(np.vdot(kernel, line.along) if isinstance(line.along, np.ndarray) else kernel[line.along])
            beside = Line(line.value, line.x, line.along)
            near, off = beside.central(2.0 ** -(power + 2), noise)
            found = extrapolate(
                [beside], np.array([0.01 * gap]), np.array([near]), np.array([4 * off + 0.1 * gap]), noise, power
            )
        line.evaluations += beside.evaluations
        number, error = float(found.number[0]), float(found.error[0])
        if error <= DECISIVE * gap:
            agrees = abs(own - number) <= 0.1 * gap + error
            right, wrong = right + agrees, wrong + (not agrees)
    return right > max(1, wrong)


def exact_slopes(
    derivative: Callable[[Array, EntryIndex | Array], float], x: Array, along: EntryIndex | Array
) -> Array:
    """Returns complex steps along an entry or a direction, at a point and at others that nearly coincide with it."""
    rng, found = np.random.default_rng(0), [derivative(x, along)]
    for share in STEP_SHARES:
        found.append(derivative(x + share * np.maximum(1, np.abs(x)) * rng.normal(size=x.shape), along))
    return np.array(found)


def shows_jump(slopes: Array, claimed: float, number: float) -> bool:
    """Whether exact slopes of points that nearly coincide lie on both sides of what is claimed, and as far apart as it
    is from another witness's number: the slope jumps within rounding, or within a step."""
    room = 1e-6 * abs(claimed)
    spread = float(np.ptp(slopes))
    return bool(spread >= DECISIVE * abs(claimed - number) and slopes.min() - room <= claimed <= slopes.max() + room)


def shows_steepness(slopes: Array, claimed: float) -> bool:
    """Whether the exact slope at the point is what is claimed, and another within the steps of differences: these say
    nothing then."""
    agrees = abs(float(slopes[0]) - claimed) <= EXACT_RTOL * abs(claimed)
    return bool(agrees and np.ptp(slopes) >= STEEP_SHARE * abs(claimed))
