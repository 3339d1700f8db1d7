"""What is asked of a gradient, and what its witnesses said of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.shapes import EntryIndex
from bpcli.records.gradcheck import EXACT_WITNESSES, VERDICTS
from bpcli.studies.witness.extrapolate import Line
from bpcli.studies.witness.kinks import (
    Outputs,
    Perturbation,
    classify_discrepancy,
    exact_slopes,
    shows_jump,
    shows_steepness,
)
from bpcli.studies.witness.witness import COMPLEX_STEP, complex_steps

COMPLEX_STEP_RTOL = 1e-9  # relative gap of an entry to a complex step that is allowed


@dataclass(frozen=True)
class Effort:
    """How many entries of a tensor each witness looks at one by one; where a tensor has more, directions too."""

    complex_steps: int = 2000
    differences: int = 25_000
    sample: int = 500  # where a tensor has more entries than that
    directions: int = 3  # through a tensor whose entries are not all looked at

    def indices(self, shape: tuple[int, ...], most: int, rng: np.random.Generator) -> tuple[EntryIndex, ...]:
        """Chooses entries: all of them, or the first, the last and others at random."""
        count = math.prod(shape)
        if count <= most:
            return tuple(np.ndindex(shape))
        drawn = rng.choice(count, min(self.sample, most), replace=False).tolist()
        flat = sorted({0, count - 1, *drawn})
        return tuple(tuple(int(i) for i in np.unravel_index(i, shape)) for i in flat)


@dataclass(frozen=True, eq=False)
class CheckedGradient:
    """A tensor at one point: the kernel's gradient by it, and how its witnesses are asked.

    `at` is the tensor itself; `value` returns the objective, through the kernels, and the sum of the sizes of what it
    adds up; `complex_value` the objective by the equations, at another tensor that may be complex. `equations` is the
    gradient by the equations, `derived` that by equations derived from the forward ones. `reach` is the largest number
    that may have cancelled. `moved` moves all that it comes from by chance, and gives the kernel's gradient there;
    `outputs` is what lies between it and the objective.
    """

    scope: str
    tensor: str
    point: str
    at: Array
    kernel: Array
    value: Callable[[], tuple[float, float]]
    equations: Array | None = None
    complex_value: Callable[[Array], object] | None = None
    reach: float = 0.0
    moved: Perturbation | None = None
    rounding: float = 0.0  # how far off it may be by what rounding does on the way
    always_zero: bool = False  # whether it is 0 by its nature: whole numbers that stand for things have no slope
    differences: bool = True  # whether the kernel is held against them; where every entry is a tie they say nothing
    outputs: Outputs | None = None
    derived: Array | None = None
    mistakes_only: bool = False  # whether it is all the same why a number that agrees is not well known

    @property
    def exact(self) -> bool:
        """Whether a witness without a step size judges it."""
        return self.equations is not None or self.derived is not None or self.complex_value is not None


@dataclass(eq=False)
class Evidence:
    """What the witnesses said of a gradient. `numbers` is the best witness's whole array, where one has it."""

    gradient: CheckedGradient
    verdict: str = "ok"
    index: EntryIndex = ()
    kernel: float = 0.0
    numeric: float = 0.0
    witness: str = ""
    worst: float = 0.0
    entries: int = 0
    gaps: dict[str, float] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)  # by witness: the loosest that a gap was held against
    unresolved: int = 0  # entries that differences could not show well enough
    numbers: Array | None = None  # the gradient as it should be, NaN where nobody looked
    rtol: float = COMPLEX_STEP_RTOL  # how well they are known
    note: str = ""
    evaluations: int = 0
    noise: float | None = None  # how far off a value of the objective is, once it was looked at
    shifts: Array | None = None  # by how much the gradient moves where all that it comes from is off by a little

    def keep_worst(self, witness: str, verdict: str, index: EntryIndex, numeric: float, worst: float) -> None:
        """Keeps what is most serious; where all is well, what an exact witness said; then what is worst apart."""
        if self._weight(witness, verdict, worst) >= self._weight(self.witness, self.verdict, self.worst):
            self.verdict, self.index, self.witness, self.worst = verdict, index, witness, worst
            self.kernel, self.numeric = float(self.gradient.kernel[index]), numeric

    def excused(self, line: Line, claimed: float, number: float, error: float, noise: float) -> str:
        """Returns "kink" or "jump" where the forward pass shows one that explains the claim, "WRONG" where it shows a
        jump that does not; "" elsewhere. Of a whole network, whose layers are compared one by one besides, the exact
        slopes of the equations may show it too."""
        before = line.evaluations
        reason = classify_discrepancy(line, claimed, number, error, noise, self.gradient.outputs, self.gradient.moved)
        self.evaluations += line.evaluations - before
        if reason in ("kink", "jump") or self.gradient.scope != "network" or self.gradient.complex_value is None:
            return reason
        return "kink" if shows_jump(self._exact_slopes(line), claimed, number) else reason

    def is_too_steep(self, line: Line, claimed: float) -> bool:
        """Whether the equations of the whole network confirm a claim that differences exclude, and the network is too
        steep for their steps."""
        if self.gradient.scope != "network" or self.gradient.complex_value is None:
            return False
        return shows_steepness(self._exact_slopes(line), claimed)

    def _exact_slopes(self, line: Line) -> Array:
        return exact_slopes(self._complex_step, np.array(self.gradient.at, np.float64), line.along)

    def _complex_step(self, x: Array, along: EntryIndex | Array) -> float:
        """Returns the derivative by the equations at another tensor, along an entry or a direction."""
        value = self.gradient.complex_value
        assert value is not None
        self.evaluations += 1
        if isinstance(along, tuple):
            return float(complex_steps(value, x, [along])[0])
        return float(np.imag(value(x + 1j * COMPLEX_STEP * along))) / COMPLEX_STEP  # type: ignore[call-overload]

    def keep_gap(self, witness: str, gap: float, bar: float) -> None:
        """Keeps the worst gap to a witness, and the loosest bar."""
        self.gaps[witness] = max(self.gaps.get(witness, 0.0), gap)
        self.bars[witness] = max(self.bars.get(witness, 0.0), bar)

    def keep_along(self, witness: str, verdict: str, values: tuple[float, float], unit: float, allowed: float) -> None:
        """Keeps what a direction showed; it is the fault of no single entry."""
        a, n = values
        gap = abs(a - n) / unit
        if verdict in ("ok", "WRONG"):
            self.keep_gap(witness, gap, allowed / unit)
        if verdict != "ok" and self.verdict != "WRONG":
            self.keep_worst(witness, verdict, (0,) * self.gradient.kernel.ndim, n, gap)
            self.note = "along a random direction through the whole tensor"
            self.kernel = a

    @staticmethod
    def _weight(witness: str, verdict: str, worst: float) -> tuple[int, bool, float]:
        return VERDICTS.index(verdict), verdict == "ok" and witness in EXACT_WITNESSES, worst


def unit_of(a: Array, n: Array, reach: float) -> Array:
    """Returns what gaps and bars are shares of: the larger of two values, or a thousandth of what may have
    cancelled."""
    return np.asarray(np.maximum(np.maximum(np.abs(a), np.abs(n)), max(1e-3 * reach, 1e-300)))


def relative_gap(a: Array, n: Array, reach: float) -> Array:
    """Returns the gap as a share."""
    return np.asarray(np.abs(a - n) / unit_of(a, n, reach))


def entries_at(a: Array, indices: Sequence[EntryIndex]) -> Array:
    """Returns the entries of an array at these places."""
    return np.asarray(a[tuple(np.transpose(indices))] if indices[0] else np.array([float(a)]))


DIRECTION_ENTRIES: Array = np.concatenate([np.linspace(0.5, 1.5, 128), -np.linspace(0.5, 1.5, 128)])
"""The entries of a direction."""


def random_direction(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Returns a random direction; no entry of it is small, so that none is overlooked."""
    return np.asarray(DIRECTION_ENTRIES[rng.integers(0, len(DIRECTION_ENTRIES), shape, np.uint8)])


def along_direction(kernel: Array, u: Array, n: float) -> tuple[float, float]:
    """Returns a gradient along a direction, and what gaps there are shares of: it, or the length of the gradient, which
    is as much as random signs leave of it."""
    a = float(np.vdot(kernel, u))
    return a, max(abs(a), abs(n), float(np.linalg.norm(kernel)), 1e-300)


def by_size(bad: Array, size: Array) -> list[int]:
    """Returns where the bad entries stand, the largest first."""
    found: list[int] = np.flatnonzero(bad)[np.argsort(-size[bad], kind="stable")].tolist()
    return found


def spread_out(shape: tuple[int, ...], indices: Sequence[EntryIndex], values: Array) -> Array:
    """Returns an array of these values at these places, NaN elsewhere."""
    out = np.full(shape, np.nan)
    for index, value in zip(indices, values, strict=True):
        out[index] = value
    return out
