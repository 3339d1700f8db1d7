"""Derivatives along lines by differences of many steps, extrapolated; with how well each is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.shapes import EntryIndex
from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.witness import max_abs

ValueFunction = Callable[[], tuple[float, float]]

LARGEST_STEP_EXPONENT, SMALLEST_STEP_EXPONENT = (
    4,
    30,
)  # exponents of 1/2: the first and the last step, in units of a line
MAX_TABLEAU_COLUMNS = 6  # columns of a tableau, at most: more of them only carry rounding on
VALUE_ROUNDINGS = 20  # roundings of what is added up that a value may be off by
CONTRADICTS = 4  # multiple of both errors from which on two estimates exclude each other
SCATTERED_POINTS: Array = 1e-10 * np.arange(10, 18)
"""Points that nearly coincide, in units."""
FLOAT32_POINTS: Array = 2.3e-7 * np.arange(10, 18)
"""The same for numbers of float32."""
EXCLUDING_STEPS = (13, 14)  # exponents of 1/2: steps that are small, and yet above rounding
CONFIRMING_STEPS = (8, 10, 12, 14, 16, 18, 20, 24, 28)
"""Steps, as powers of 1/2, at which an extrapolation must still hold."""


def deviation_from_polynomial(points: Array, values: Array, degree: int = 1) -> float:
    """Returns twice as far as numbers at these points stand off a straight line, or a curve, at most; 0 where they are
    not finite."""
    if not np.isfinite(values).all():
        return 0.0
    return 2 * max_abs(values - np.polynomial.Polynomial.fit(points, values, degree)(points))


class Line:
    """A function along a line through an array: by one of its entries, or along a direction. The array is put back
    after each value.

    `unit` is a power of two near the size of what moves, at least 1; steps are multiples of it.
    """

    def __init__(self, value: ValueFunction, x: Array, along: EntryIndex | Array) -> None:
        self.value, self.x, self.along = value, x, along
        self.kept = x.copy() if isinstance(along, np.ndarray) else x[along].copy()
        share = 1 / np.sqrt(x.size) if isinstance(along, np.ndarray) else 1.0
        self.unit = float(2.0 ** np.ceil(np.log2(max(1.0, max_abs(self.kept)) * share)))
        self.evaluations = 0

    def at(self, step: float) -> tuple[float, float, float]:
        """Returns the step that was taken, after rounding; the value there, and the sizes of what it adds up."""
        if isinstance(self.along, np.ndarray):
            np.add(self.kept, step * self.along, out=self.x)
            value, mass = self.value()
            np.copyto(self.x, self.kept)
        else:
            self.x[self.along] = self.kept + step
            step = float(self.x[self.along] - self.kept)
            value, mass = self.value()
            self.x[self.along] = self.kept
        self.evaluations += 1
        return step, float(value), float(mass)

    def central(self, step: float, noise: float = 0.0) -> tuple[float, float]:
        """Returns the central difference with this step, in units, and how far rounding may take it; `noise` is how
        far off a value is besides."""
        up, above, mass_above = self.at(step * self.unit)
        down, below, mass_below = self.at(-step * self.unit)
        rounding = VALUE_ROUNDINGS * EPS * max(mass_above, mass_below) + noise
        return (above - below) / (up - down), rounding / (step * self.unit)

    def excludes(self, claimed: float, noise: float) -> bool:
        """Whether a small step alone shows that a claimed derivative is wrong. What only far steps see may be bends
        that they cross."""
        (coarse, _), (fine, rounding) = (self.central(2.0**-power, noise) for power in EXCLUDING_STEPS)
        return abs(fine - claimed) > rounding + abs(fine - coarse) / 3

    def scatter(self) -> float:
        """Estimates how far rounding takes a value: how far values at points that nearly coincide stand off a straight
        line, and off a parabola at points as far apart as numbers of float32 (after Moré & Wild 2011). The points lie
        on one side, so that a kink is not taken for rounding."""
        near, apart = (
            np.array([self.at(h * self.unit)[1] for h in points.tolist()])
            for points in (SCATTERED_POINTS, FLOAT32_POINTS)
        )
        return max(
            deviation_from_polynomial(SCATTERED_POINTS, near), deviation_from_polynomial(FLOAT32_POINTS, apart, 2)
        )


@dataclass
class Extrapolated:
    """Derivatives along some lines, and how far off each may be: infinitely where nothing could be computed."""

    number: Array
    error: Array


def extrapolate(
    lines: Sequence[Line],
    enough: Array,
    near: Array,
    room: Array,
    noise: float = 0.0,
    largest: int = LARGEST_STEP_EXPONENT,
) -> Extrapolated:
    """Returns derivatives by Ridders' tableau of central differences (Ridders 1982), of all lines at a time.

    Steps are halved until a derivative is known as well as `enough` and lies within `room` of `near`, what a small step
    gave; or until rounding leaves nothing to gain. Where a finer step contradicts coarser ones, the finer one wins:
    coarse steps cross kinks. An error is how far the estimates of a tableau differ, and from those of the step before;
    and rounding.
    """
    count = len(lines)
    number, error = np.full(count, np.nan), np.full(count, np.inf)
    before, latest = np.zeros((0, count)), np.full(count, np.nan)
    active = np.arange(count)
    with np.errstate(all="ignore"):
        for power in range(largest, SMALLEST_STEP_EXPONENT):
            found = np.array([lines[k].central(2.0**-power, noise) for k in active.tolist()]).reshape(-1, 2)
            rounding = 2 * found[:, 1]
            row = [found[:, 0]]
            best, off = np.full(len(active), np.nan), np.full(len(active), np.inf)
            for j in range(min(len(before), MAX_TABLEAU_COLUMNS)):
                coarser = before[j][active]
                finer = row[j] + (row[j] - coarser) / (4.0 ** (j + 1) - 1)
                apart = np.maximum(np.abs(finer - row[j]), np.abs(finer - coarser)) + rounding
                better = apart < off
                best, off = np.where(better, finer, best), np.where(better, apart, off)
                row.append(finer)
            off = np.maximum(off, np.abs(best - latest[active]))
            latest[active] = best
            contradicts = np.abs(best - number[active]) > CONTRADICTS * (off + error[active])
            taken = np.isfinite(off) & ((off < error[active]) | contradicts)
            number[active] = np.where(taken, best, number[active])
            error[active] = np.where(taken, off, error[active])
            table = np.full((len(row), count), np.nan)
            table[:, active] = row
            before = table
            agrees = np.abs(number[active] - near[active]) <= room[active] + error[active]
            done = (error[active] <= enough[active]) & agrees
            spent = (rounding >= error[active]) & (agrees | (power > CONFIRMING_STEPS[-3]))
            active = active[~(done | spent)]
            if not len(active):
                break
    return Extrapolated(number, error)


def confirmed(line: Line, number: float, error: float, noise: float = 0.0) -> tuple[float, float]:
    """Returns an estimate that holds at small steps, too, and its error: where one step contradicts it, that of this
    step and smaller ones. Far steps may all cross the same bends, or miss a narrow one."""
    for power in CONFIRMING_STEPS:
        (coarse, rounding), (fine, more) = line.central(2.0**-power, noise), line.central(2.0 ** -(power + 1), noise)
        bend = abs(fine - coarse) / 3
        if abs(fine - number) > more + error + 2 * bend:
            room = np.array([rounding + more + bend])
            found = extrapolate([line], np.zeros(1), np.array([fine]), room, noise, power)
            number, error = float(found.number[0]), float(found.error[0])
    return number, error


# ----------------------------------------------------------------------------------------------- on one side of a point
SIDE_POINTS = np.arange(1.0, 5.0)
"""Multiples of a step on one side: the point itself is left out, so that a jump at it is seen."""


def _weights(points: Array) -> Array:
    """Returns what values at these points weigh in the value, and in the slope, that they have at 0: of a polynomial
    through them all."""
    return np.asarray(np.linalg.inv(np.vander(points, increasing=True))[:2])


ALL_POINTS, ALL_BUT_LAST = _weights(SIDE_POINTS), _weights(SIDE_POINTS[:-1])


@dataclass
class OneSidedLimit:
    """The limits from one side of a point of what changes along a line, and of its slope; how far off each may be."""

    value: Array
    value_error: Array
    slope: Array
    slope_error: Array


def one_sided_limit(line: Line, step: float, noise: float, read: Callable[[], Array] | None = None) -> OneSidedLimit:
    """Returns the limits from one side, by values at 1 to 4 times a step, in units; a negative one is the left side.

    `read` returns what is looked at after the function was evaluated, if not the function itself: any array.
    """
    h, found, rounding = step * line.unit, [], 0.0
    for multiple in SIDE_POINTS.tolist():
        _, value, mass = line.at(multiple * h)
        found.append(np.atleast_1d(value) if read is None else read())
        rounding = max(rounding, VALUE_ROUNDINGS * EPS * (mass if read is None else max(1.0, max_abs(found[-1]))))
    values = np.array(found)
    with np.errstate(all="ignore"):
        (value, slope), (less, flatter) = ALL_POINTS @ values, ALL_BUT_LAST @ values[:-1]
        off = (rounding + noise) * np.abs(ALL_POINTS).sum(1)
        return OneSidedLimit(
            value, np.abs(value - less) + off[0], slope / h, (np.abs(slope - flatter) + off[1]) / abs(h)
        )  # fmt: skip
