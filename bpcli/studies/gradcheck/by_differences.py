"""A gradient against differences through the kernels: how far off it is, and how far off it may be."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.shapes import EntryIndex
from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.evidence import (
    Evidence,
    along_direction,
    by_size,
    entries_at,
    random_direction,
    relative_gap,
    spread_out,
    unit_of,
)
from bpcli.studies.witness.extrapolate import Line, confirmed, extrapolate
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64
from bpcli.studies.witness.witness import DIFFERENCE_RTOL, differences, max_abs

RESOLVED_RTOL = 1e-7  # relative gap of an entry to differences that is allowed where no exact witness is
LOOSEST_RTOL = 1e-5  # relative error of an entry, above which differences are lost in noise
SMALL_SHARE = 1e-3  # share of a tensor's largest entry: smaller ones count as that large
NEAR_RTOL = 1e-5  # how near to a small step's difference an extrapolated one has to be
MAX_ENTRIES_RESOLVED = 40  # entries of a tensor that are looked at again, at least, where differences disagree
RESOLVED_SHARE = 0.125  # share of the entries looked at that may be looked at again
FIRST_ENTRIES, ENTRIES_AT_A_TIME = 8, 64  # entries looked at again, first and then at a time; none after a wrong one
MAX_WRONG_ENTRIES = 256  # wrong entries whose right numbers are computed, for a diagnosis
N_ROUNDING_RUNS = 4  # runs of a kernel, of which the largest effect counts
N_SCATTERED = 3  # lines on which the rounding of a value is looked at
DIFFERENCE_POWER = 17  # exponent of 1/2: the step of a single difference along a direction


def differences_along(found: Evidence, directions: int, floor: float, rng: np.random.Generator) -> None:
    """Compares derivatives along directions with differences."""
    gradient = found.gradient
    for _ in range(directions):
        u = random_direction(gradient.kernel.shape, rng)
        line = Line(gradient.value, gradient.at, u)
        n, rounding = line.central(2.0**-DIFFERENCE_POWER)
        a, unit = along_direction(gradient.kernel, u, n)
        allowed = (DIFFERENCE_RTOL if gradient.exact else RESOLVED_RTOL) * unit + math.sqrt(u.size) * floor
        if gradient.exact:
            allowed += rounding
        verdict = "ok"
        if abs(a - n) <= allowed:
            found.evaluations += line.evaluations
        else:
            ((verdict, n, allowed),) = _resolved(
                found, [line], *map(np.array, ([a], [n], [rounding], [allowed], [unit]))
            )
        found.keep_along("differences", verdict, (a, n), unit, allowed)


def against_differences(found: Evidence, indices: Sequence[EntryIndex]) -> int:
    """Compares entries with differences: a single small step each, and where that is not enough many, extrapolated.

    Returns how many entries were looked at as well as is asked: to 1e-7 where no exact witness is.
    """
    gradient = found.gradient
    d = differences(gradient.value, gradient.at, indices)
    found.evaluations += 2 * len(indices) + 1
    a, n = entries_at(gradient.kernel, indices), d.value
    unit = unit_of(a, n, gradient.reach)
    largest, noisy = max_abs(gradient.kernel), d.noise + gradient.rounding
    if gradient.exact:
        allowed = DIFFERENCE_RTOL * np.maximum(np.abs(a), np.abs(n)) + noisy + 1e-9 * max(gradient.reach, largest)
    else:
        allowed = RESOLVED_RTOL * unit_of(a, n, max(largest, SMALL_SHARE * gradient.reach))
        allowed += gradient.rounding + 64 * EPS * max(gradient.reach, largest)
    if found.numbers is None:
        found.numbers, found.rtol = spread_out(gradient.kernel.shape, indices, n.copy()), DIFFERENCE_RTOL
    gap = np.abs(a - n)
    order = by_size(~((gap <= allowed) & np.isfinite(n)), np.where(np.isfinite(gap), gap / (allowed + noisy), np.inf))
    most = max(MAX_ENTRIES_RESOLVED, int(RESOLVED_SHARE * len(indices)))
    verdicts = np.full(len(indices), "ok", "<U11")
    verdicts[order[most:]] = "not covered"
    for k in order[most:]:  # what a single step cannot excuse is not passed over
        if not gradient.exact and not gap[k] <= allowed[k] + noisy[k] + DIFFERENCE_RTOL * unit[k]:
            verdicts[k] = "noise"
    starts = [0, *range(FIRST_ENTRIES, min(most, len(order)), ENTRIES_AT_A_TIME), min(most, len(order))]
    for start, stop in pairwise(starts):
        if start == stop:
            break
        ks = order[start:stop]
        lines = [Line(gradient.value, gradient.at, indices[k]) for k in ks]
        judged = _resolved(found, lines, a[ks], n[ks], d.noise[ks], allowed[ks], unit[ks])
        for k, (verdict, number, bar) in zip(ks, judged, strict=True):
            verdicts[k], n[k], allowed[k] = verdict, number, bar
        if (verdicts[ks] == "WRONG").any():
            break
    _keep(found, indices, a, n, allowed, verdicts)
    return int((verdicts != "not covered").sum())


def _resolved(
    found: Evidence, lines: Sequence[Line], a: Array, near: Array, rounding: Array, allowed: Array, unit: Array
) -> list[tuple[str, float, float]]:
    """Returns the verdict of each line whose single difference `near` disagrees with the kernel's `a` by more than is
    allowed; the number that it rests on; and what is allowed there, by how well that number is known."""
    noise = _noise(found, lines)
    room = NEAR_RTOL * np.maximum(np.abs(a), np.abs(near)) + 4 * rounding + 4 * noise / _steps(lines)
    estimates = extrapolate(lines, 0.1 * allowed, near, room, noise)
    judged = []
    for k, line in enumerate(lines):
        claimed, most = float(a[k]), float(allowed[k]) + _kernel_rounding(found, line)
        number, error = float(estimates.number[k]), float(estimates.error[k])
        if not abs(claimed - number) <= most + 2 * error and math.isfinite(number):
            number, error = confirmed(line, number, error, noise)
        judged.append(_judged(found, line, claimed, (number, error), noise, most, float(unit[k])))
    found.evaluations += sum(line.evaluations for line in lines)
    return judged


def _judged(
    found: Evidence, line: Line, claimed: float, known: tuple[float, float], noise: float, most: float, unit: float
) -> tuple[str, float, float]:
    """Returns the verdict of a line, the number that it rests on and what is allowed, where a derivative is known to be
    a number, up to an error."""
    number, error = known
    bar = most + 2 * error
    weak = "ok" if found.gradient.exact else "noise"  # where differences show nothing, exact witnesses do
    if not math.isfinite(number):  # a step leads to where the objective is infinite
        return weak, number, bar
    agrees = abs(claimed - number) <= bar
    if agrees and (bar <= LOOSEST_RTOL * unit or found.gradient.mistakes_only):
        return "ok" if bar <= LOOSEST_RTOL * unit else weak, number, bar
    before = line.evaluations
    reason = found.excused(line, claimed, number, error, noise)
    line.evaluations = before
    if reason in ("kink", "jump") or (reason and not found.is_too_steep(line, claimed)):
        return reason, number, bar
    excluded = abs(claimed - number) > most + 4 * error and line.excludes(claimed, noise)
    excluded = excluded and not found.is_too_steep(line, claimed)
    return ("WRONG" if excluded else weak), number, bar


def _steps(lines: Sequence[Line]) -> Array:
    """Returns the small step of each line."""
    return np.array([line.unit * 2.0**-DIFFERENCE_POWER for line in lines])


def _noise(found: Evidence, lines: Sequence[Line]) -> float:
    """Returns how far off a value of the objective is, besides what the sizes of its terms say."""
    if found.noise is None:
        found.noise = max(line.scatter() for line in lines[:N_SCATTERED])
    return found.noise


def _kernel_rounding(found: Evidence, line: Line) -> float:
    """Returns how far off the kernel's own number may be where no equations say it: how far it moves where all that it
    comes from is off by a little."""
    gradient = found.gradient
    if gradient.exact or gradient.moved is None:
        return 0.0
    if found.shifts is None:
        found.shifts = np.zeros(gradient.kernel.shape)
        for _ in range(N_ROUNDING_RUNS):
            with gradient.moved(COARSE_EPS) as kernel:
                np.maximum(found.shifts, np.abs(kernel - gradient.kernel), out=found.shifts)
    if isinstance(line.along, np.ndarray):
        return TO_FLOAT64 * float(np.linalg.norm(found.shifts))
    return TO_FLOAT64 * float(found.shifts[line.along])


def _keep(found: Evidence, indices: Sequence[EntryIndex], a: Array, n: Array, allowed: Array, verdicts: Array) -> None:
    """Keeps what differences showed of a tensor; where it is wrong by them alone, its right numbers."""
    gradient, relative = found.gradient, relative_gap(a, n, found.gradient.reach)
    bars = allowed / unit_of(a, n, gradient.reach)
    shown = (verdicts == "ok") & np.isfinite(relative)
    if shown.any():
        found.keep_gap("differences", float(relative[shown].max()), float(bars[shown].max()))
    found.unresolved += int((verdicts == "noise").sum())
    before = found.verdict
    left_out = ("ok", "not covered")
    for kind in ("ok", "noise", "kink", "jump", "WRONG"):
        of_kind = np.flatnonzero(verdicts == kind)
        if not len(of_kind) or (kind == "ok" and not np.isin(verdicts, left_out).all()):
            continue
        k = int(of_kind[int(np.nan_to_num(relative[of_kind], nan=np.inf).argmax())])
        found.keep_worst("differences", kind, indices[k], float(n[k]), float(relative[k]))
        if kind == "WRONG":
            found.keep_gap("differences", float(relative[k]), float(bars[k]))
            if before != "WRONG":  # the exact witnesses agree with the kernel
                _keep_right_numbers(found, indices, a, n, allowed, verdicts)


def _keep_right_numbers(
    found: Evidence, indices: Sequence[EntryIndex], a: Array, n: Array, allowed: Array, verdicts: Array
) -> None:
    """Keeps the gradient as it should be, each entry as well as differences can tell it: for a diagnosis."""
    gradient = found.gradient
    unknown = np.flatnonzero((np.abs(a - n) > allowed) & ~np.isin(verdicts, ("WRONG", "kink", "jump"))).tolist()
    lines = [Line(gradient.value, gradient.at, indices[k]) for k in unknown[:MAX_WRONG_ENTRIES]]
    found.rtol = DIFFERENCE_RTOL
    if lines:
        ks = unknown[:MAX_WRONG_ENTRIES]
        room = np.full(len(lines), np.inf)
        estimates = extrapolate(lines, 0.1 * RESOLVED_RTOL * np.abs(a[ks]), n[ks], room, found.noise or 0.0)
        n[ks] = np.where(np.isfinite(estimates.number), estimates.number, n[ks])
        found.evaluations += sum(line.evaluations for line in lines)
    if len(unknown) <= MAX_WRONG_ENTRIES:
        found.rtol = 2 * RESOLVED_RTOL
    excused = np.isin(verdicts, ("kink", "jump"))
    found.numbers = spread_out(gradient.kernel.shape, indices, np.where(excused, a, n))
