"""One tensor before its witnesses: where the kernel's gradient, the equations, complex steps and central differences
stand apart, and whether that is a mistake, a kink or rounding."""

import math
from collections.abc import Sequence

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.shapes import EntryIndex
from bpcli.numeric.vectors import EPS
from bpcli.studies.gradcheck.by_differences import against_differences, differences_along
from bpcli.studies.witness.evidence import (
    COMPLEX_STEP_RTOL,
    CheckedGradient,
    Effort,
    Evidence,
    along_direction,
    by_size,
    entries_at,
    random_direction,
    relative_gap,
    spread_out,
    unit_of,
)
from bpcli.studies.witness.extrapolate import SCATTERED_POINTS, Line, deviation_from_polynomial
from bpcli.studies.witness.witness import COMPLEX_STEP, MIN_SCALED_ENTRY, SUM_RTOL, complex_steps, max_abs

CHUNK_ENTRIES = 1 << 18  # entries that are compared at a time
MIN_PLAIN_ENTRY = 1e-15  # magnitude of an entry, from which on a step along a direction is far smaller than it
MAX_ENTRIES_RETRIED = 40  # entries of a tensor that are looked at again, where complex steps disagree


def ask_witnesses(gradient: CheckedGradient, effort: Effort, rng: np.random.Generator) -> Evidence:
    """Holds the kernel's gradient against all its witnesses; returns what they show."""
    found = Evidence(gradient)
    a = gradient.kernel
    if not np.isfinite(a).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        beyond = not np.isnan(a).any() and _is_beyond_numbers(found, np.isinf(a))
        found.keep_worst("kernel", "noise" if beyond else "WRONG", index, math.nan, math.inf)
        found.note = "the gradient is too large for a number" if beyond else "the kernel's gradient is not finite"
        found.numbers = gradient.equations
        return found
    floor = SUM_RTOL * max_abs(a) + 64 * EPS * max(gradient.reach, max_abs(a)) + gradient.rounding
    judged = np.zeros(a.shape, bool)
    if gradient.equations is not None:
        _against_equations(found, "equations", gradient.equations, floor)
        judged[...] = True
    if gradient.derived is not None:
        _against_equations(found, "derived", gradient.derived, floor)
        judged[...] = True
    if gradient.complex_value is not None:
        chosen = effort.indices(a.shape, effort.complex_steps, rng) if effort.complex_steps else ()
        size = np.abs(gradient.at)
        indices = tuple(i for i in chosen if not 0 < size[i] <= MIN_SCALED_ENTRY)  # no step is far smaller than those
        if indices:
            _against_steps(found, indices, floor)
            judged[tuple(np.transpose(indices))] = True
        if len(indices) < a.size:
            _steps_along(found, effort.directions, floor, rng)
    if gradient.differences:
        indices = effort.indices(a.shape, effort.differences, rng)
        found.entries = against_differences(found, indices)
        judged[tuple(np.transpose(indices))] = True
        if found.entries < a.size:
            differences_along(found, 1 if gradient.complex_value is not None else effort.directions, floor, rng)
    if found.verdict == "ok" and not judged.any():
        found.verdict = "not covered"
    elif found.verdict == "ok" and not a.any() and not gradient.always_zero:
        found.verdict = "dead"
    return found


def _is_beyond_numbers(found: Evidence, infinite: Array) -> bool:
    """Whether these entries of the gradient are too large for a number: as the equations say, or without them central
    differences of steps that are a thousandth of what they are taken at."""
    gradient = found.gradient
    if gradient.equations is not None:
        return np.array_equal(gradient.kernel[infinite], gradient.equations[infinite])
    if not gradient.differences or infinite.sum() > MAX_ENTRIES_RETRIED:
        return False
    for index in map(tuple, np.argwhere(infinite)):
        line = Line(gradient.value, gradient.at, index)
        with np.errstate(all="ignore"):
            number, _ = line.central(2.0**-10 * abs(float(gradient.at[index])) / line.unit or 2.0**-10)
        found.evaluations += line.evaluations
        if number != gradient.kernel[index]:
            return False
    return True


def _against_equations(found: Evidence, witness: str, n: Array, floor: float) -> None:
    """Compares every entry with equations, chunk by chunk: a tensor may have millions."""
    a, b = found.gradient.kernel.ravel(), n.ravel()
    found.numbers = n if found.numbers is None else found.numbers
    worst, at, wrong, bar = -1.0, 0, False, 0.0
    for start in range(0, a.size, CHUNK_ENTRIES):
        ours, theirs = a[start : start + CHUNK_ENTRIES], b[start : start + CHUNK_ENTRIES]
        relative = relative_gap(ours, theirs, found.gradient.reach)
        allowed = floor + COMPLEX_STEP_RTOL * np.abs(ours)
        bad = ~(np.abs(ours - theirs) <= allowed)
        bar = max(bar, float((allowed / unit_of(ours, theirs, found.gradient.reach)).max(initial=0.0)))
        relative = np.where(np.isnan(relative), np.inf, relative)
        if bad.any() and not wrong:
            wrong, worst = True, -1.0
        relative = np.where(bad, relative, -1.0) if wrong else relative
        k = int(relative.argmax())
        if relative[k] > worst:
            worst, at = float(relative[k]), start + k
    index = tuple(int(i) for i in np.unravel_index(at, n.shape))
    found.keep_gap(witness, worst, bar)
    found.keep_worst(witness, "WRONG" if wrong else "ok", index, float(n[index]), worst)


def _against_steps(found: Evidence, indices: Sequence[EntryIndex], floor: float) -> None:
    """Compares entries with complex steps; where the kernel follows the equations at a kink, a step takes one of its
    sides."""
    gradient = found.gradient
    assert gradient.complex_value is not None
    n = complex_steps(gradient.complex_value, np.asarray(gradient.at, np.float64), indices)
    found.evaluations += len(indices)
    a = entries_at(gradient.kernel, indices)
    relative, allowed = relative_gap(a, n, gradient.reach), COMPLEX_STEP_RTOL * np.maximum(np.abs(a), np.abs(n)) + floor
    bar = float((allowed / unit_of(a, n, gradient.reach)).max(initial=0.0))
    if found.numbers is None:
        found.numbers = spread_out(gradient.kernel.shape, indices, n)
    bad = np.abs(a - n) > allowed
    found.keep_gap("complex step", float(np.where(bad, 0.0, relative).max(initial=0.0)), bar)
    for k in by_size(bad, relative)[:MAX_ENTRIES_RETRIED]:
        allowed[k] += 2 * _step_scatter(found, indices[k])
        if abs(a[k] - n[k]) <= allowed[k]:
            bad[k], bar = False, max(bar, float(allowed[k] / unit_of(a[k], n[k], gradient.reach)))
            found.keep_gap("complex step", float(relative[k]), bar)
            continue
        agrees = found.verdict != "WRONG"  # the equations, where there are any
        line = Line(gradient.value, gradient.at, indices[k])
        noise = line.scatter() if agrees else 0.0
        found.evaluations += line.evaluations
        verdict = (agrees and found.excused(line, float(a[k]), float(n[k]), 0.0, noise)) or "WRONG"
        found.keep_worst("complex step", verdict, indices[k], float(n[k]), float(relative[k]))
        if verdict == "WRONG":
            found.keep_gap("complex step", float(relative[k]), bar)
            return
    if not bad.any() and len(n):
        k = int(relative.argmax())
        found.keep_worst("complex step", "ok", indices[k], float(n[k]), float(relative[k]))


def _step_scatter(found: Evidence, index: EntryIndex) -> float:
    """Returns how far rounding takes a complex step: how far those at points that nearly coincide stand off a straight
    line. Equations may cancel where kernels do not."""
    value = found.gradient.complex_value
    assert value is not None
    x = np.array(found.gradient.at, np.float64)
    here, steps = float(x[index]), []
    for offset in SCATTERED_POINTS.tolist():
        x[index] = here + offset * max(1.0, abs(here))
        steps.append(float(complex_steps(value, x, [index])[0]))
    found.evaluations += len(steps)
    return deviation_from_polynomial(SCATTERED_POINTS, np.array(steps))


# ----------------------------------------------------------------------------------------------------- along directions
def _steps_along(found: Evidence, directions: int, floor: float, rng: np.random.Generator) -> None:
    """Compares derivatives along directions with complex steps."""
    gradient = found.gradient
    assert gradient.complex_value is not None
    size = np.where(np.abs(gradient.at) > MIN_SCALED_ENTRY, np.abs(gradient.at), 0.0)
    tiny = (gradient.at != 0) & (size < MIN_PLAIN_ENTRY)  # a step has to be far smaller than those, or 0
    for _ in range(directions):
        u = random_direction(gradient.kernel.shape, rng)
        u[tiny] *= size[tiny]
        z = gradient.at.astype(np.complex128)
        np.multiply(u, COMPLEX_STEP, out=z.imag)
        n = float(np.imag(gradient.complex_value(z))) / COMPLEX_STEP  # type: ignore[call-overload]
        found.evaluations += 1
        a, unit = along_direction(gradient.kernel, u, n)
        allowed = COMPLEX_STEP_RTOL * unit + math.sqrt(u.size) * floor
        verdict = "ok"
        if not abs(a - n) <= allowed and found.verdict != "WRONG":
            line = Line(gradient.value, gradient.at, u)
            verdict = found.excused(line, a, n, 0.0, 0.0) or "WRONG"
        found.keep_along("complex step", verdict, (a, n), unit, allowed)
