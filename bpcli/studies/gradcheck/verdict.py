"""One tensor before its witnesses: where the kernel's gradient, the equations, complex steps and central differences
stand apart, and whether that is a mistake, a kink or rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bpcli.family.plan import Array
from bpcli.numeric.vectors import EPS
from bpcli.records.gradcheck import EXACT_WITNESSES
from bpcli.studies.gradcheck.extrapolate import ridders, scatter
from bpcli.studies.witness.witness import (
    COMPLEX_STEP,
    DIFFERENCE_RTOL,
    DIFFERENCE_STEP,
    SUM_RTOL,
    Differences,
    complex_steps,
    differences,
    max_abs,
)

COMPLEX_STEP_RTOL = 1e-9  # of an entry, between the kernel and a complex step
PERTURBATIONS = (1e-7, 1e-12)  # of 1 or a larger number: far less than a difference steps; less than deep nets bear
DRAWS_PER_PERTURBATION = 8  # random draws of each size, so that a kink is crossed from both sides
MAX_ENTRIES_RESOLVED = 40  # entries of a tensor that are looked at again, where differences disagree
VERDICTS = ("ok", "dead", "noise", "kink", "not covered", "WRONG")
"""Verdicts, the more serious the later."""

CHUNK_ENTRIES = 1 << 18  # entries that are compared at a time
DIRECTION_ENTRIES: Array = np.concatenate([np.linspace(0.5, 1.5, 128), -np.linspace(0.5, 1.5, 128)])
"""The entries of a direction."""

Index = tuple[int, ...]


@dataclass(frozen=True)
class Effort:
    """How many entries of a tensor each witness looks at one by one; where a tensor has more, directions too."""

    complex_steps: int = 2000
    differences: int = 25_000
    sample: int = 500  # where a tensor has more entries than that
    directions: int = 3  # through a tensor whose entries are not all looked at

    def places(self, shape: tuple[int, ...], most: int, rng: np.random.Generator) -> tuple[Index, ...]:
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
    gradient by the equations. `reach` is the largest number that may have cancelled. `perturbed` is the kernel's
    gradient after all it comes from was moved by chance, by a share of its size: where it is far from `kernel`, a slope
    jumps.
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
    perturbed: Callable[[float], Array] | None = None
    rounding: float = 0.0  # how far off it may be by what rounding does on the way
    always_zero: bool = False  # whether it is 0 by its nature: whole numbers that stand for things have no slope
    differences: bool = True  # whether the kernel is held against them; where every entry is a tie they say nothing


@dataclass(eq=False)
class Evidence:
    """What the witnesses said of a gradient. `numbers` is the best witness's whole array, where one has it."""

    gradient: CheckedGradient
    verdict: str = "ok"
    index: Index = ()
    kernel: float = 0.0
    numeric: float = 0.0
    witness: str = ""
    worst: float = 0.0
    entries: int = 0
    gaps: dict[str, float] = field(default_factory=dict)
    numbers: Array | None = None  # the gradient as it should be, NaN where nobody looked
    rtol: float = COMPLEX_STEP_RTOL  # how well they are known
    note: str = ""
    evaluations: int = 0

    def keep_worst(self, witness: str, verdict: str, index: Index, numeric: float, worst: float) -> None:
        """Keeps what is most serious; where all is well, what an exact witness said; then what is worst apart."""
        if self._weight(witness, verdict, worst) >= self._weight(self.witness, self.verdict, self.worst):
            self.verdict, self.index, self.witness, self.worst = verdict, index, witness, worst
            self.kernel, self.numeric = float(self.gradient.kernel[index]), numeric

    @staticmethod
    def _weight(witness: str, verdict: str, worst: float) -> tuple[int, bool, float]:
        return VERDICTS.index(verdict), verdict == "ok" and witness in EXACT_WITNESSES, worst


def ask_witnesses(gradient: CheckedGradient, effort: Effort, rng: np.random.Generator) -> Evidence:
    """Holds the kernel's gradient against all its witnesses; returns what they show."""
    found = Evidence(gradient)
    a = gradient.kernel
    if not np.isfinite(a).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        beyond = gradient.equations is not None and np.array_equal(a[np.isinf(a)], gradient.equations[np.isinf(a)])
        found.keep_worst("kernel", "noise" if beyond and not np.isnan(a).any() else "WRONG", index, math.nan, math.inf)
        found.note = "the gradient is too large for a number" if beyond else "the kernel's gradient is not finite"
        found.numbers = gradient.equations
        return found
    floor = SUM_RTOL * max_abs(a) + 64 * EPS * max(gradient.reach, max_abs(a)) + gradient.rounding
    judged = np.zeros(a.shape, bool)
    if gradient.equations is not None:
        _against_equations(found, gradient.equations, floor)
        judged[...] = True
    if gradient.complex_value is not None:
        places = effort.places(a.shape, effort.complex_steps, rng) if effort.complex_steps else ()
        if places:
            _against_steps(found, places, floor)
            judged[tuple(np.transpose(places))] = True
        if len(places) < a.size:
            _steps_along(found, effort.directions, floor, rng)
    if gradient.differences:
        places = effort.places(a.shape, effort.differences, rng)
        _against_differences(found, places)
        judged[tuple(np.transpose(places))] = True
        if len(places) < a.size:
            _differences_along(found, 1 if gradient.complex_value is not None else effort.directions, rng)
        found.entries = len(places)
    if not judged.any():
        found.verdict = "not covered"
    elif found.verdict == "ok" and not a.any() and not gradient.always_zero:
        found.verdict = "dead"
    return found


def _relative(a: Array, n: Array, reach: float) -> Array:
    """Returns the gap as a share of the larger of two values, or of a thousandth of what may have cancelled."""
    return np.asarray(np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), max(1e-3 * reach, 1e-300)))


def _against_equations(found: Evidence, n: Array, floor: float) -> None:
    """Compares every entry with the equations, chunk by chunk: a tensor may have millions."""
    a, b = found.gradient.kernel.ravel(), n.ravel()
    found.numbers = n
    worst, at, wrong = -1.0, 0, False
    for start in range(0, a.size, CHUNK_ENTRIES):
        ours, theirs = a[start : start + CHUNK_ENTRIES], b[start : start + CHUNK_ENTRIES]
        relative = _relative(ours, theirs, found.gradient.reach)
        gap = np.abs(ours - theirs)
        bad = ~(gap <= floor + COMPLEX_STEP_RTOL * np.abs(ours))
        relative = np.where(np.isnan(relative), np.inf, relative)
        if bad.any() and not wrong:
            wrong, worst = True, -1.0
        relative = np.where(bad, relative, -1.0) if wrong else relative
        k = int(relative.argmax())
        if relative[k] > worst:
            worst, at = float(relative[k]), start + k
    index = tuple(int(i) for i in np.unravel_index(at, n.shape))
    found.gaps["equations"] = max(worst, 0.0)
    if a.size:
        found.keep_worst("equations", "WRONG" if wrong else "ok", index, float(n[index]), max(worst, 0.0))


def _against_steps(found: Evidence, places: Sequence[Index], floor: float) -> None:
    """Compares entries with complex steps; where the kernel follows the equations at a kink, a step takes one of its
    sides."""
    gradient = found.gradient
    assert gradient.complex_value is not None
    n = complex_steps(gradient.complex_value, np.asarray(gradient.at, np.float64), places)
    found.evaluations += len(places)
    a = gradient.kernel[tuple(np.transpose(places))] if places[0] else np.array([float(gradient.kernel)])
    relative = _relative(a, n, found.gradient.reach)
    found.gaps["complex step"] = max(found.gaps.get("complex step", 0.0), float(relative.max(initial=0.0)))
    if found.numbers is None:
        found.numbers = _spread(gradient.kernel.shape, places, n)
    bad = np.abs(a - n) > COMPLEX_STEP_RTOL * np.maximum(np.abs(a), np.abs(n)) + floor
    for k in _by_size(bad, relative):
        agrees = found.verdict != "WRONG"  # the equations, where there are any
        claimed, gap = float(a[k]), abs(float(a[k] - n[k]))
        kink = agrees and _kink(found, places[k], claimed)
        verdict = "kink" if kink or (agrees and _jumps(gradient, places[k], gap)) else "WRONG"
        found.keep_worst("complex step", verdict, places[k], float(n[k]), float(relative[k]))
        if verdict == "WRONG":
            return
    if not bad.any() and len(n):
        k = int(relative.argmax())
        found.keep_worst("complex step", "ok", places[k], float(n[k]), float(relative[k]))


def _steps_along(found: Evidence, directions: int, floor: float, rng: np.random.Generator) -> None:
    gradient = found.gradient
    assert gradient.complex_value is not None
    for _ in range(directions):
        u = _direction(gradient.kernel.shape, rng)
        z = gradient.at.astype(np.complex128)
        np.multiply(u, COMPLEX_STEP, out=z.imag)
        n = float(np.imag(gradient.complex_value(z))) / COMPLEX_STEP  # type: ignore[call-overload]
        found.evaluations += 1
        _along(found, "complex step", u, n, COMPLEX_STEP_RTOL, math.sqrt(u.size) * floor)


def _differences_along(found: Evidence, directions: int, rng: np.random.Generator) -> None:
    gradient = found.gradient
    kept = gradient.at.copy()
    h = DIFFERENCE_STEP * max(1.0, max_abs(kept)) / math.sqrt(kept.size)
    for _ in range(directions):
        u = _direction(kept.shape, rng)
        np.add(kept, h * u, out=gradient.at)
        above, mass = gradient.value()
        np.subtract(kept, h * u, out=gradient.at)
        below, _ = gradient.value()
        np.copyto(gradient.at, kept)
        found.evaluations += 2
        noise = 20 * EPS * mass / h
        curved = 1e-5 * float(np.abs(gradient.kernel * u).max())  # truncation; a kink or two on the way
        _along(found, "differences", u, (above - below) / (2 * h), 1e-4, noise + curved)


def _along(found: Evidence, witness: str, u: Array, n: float, share: float, floor: float) -> None:
    """Compares a derivative along a direction; what it shows is the fault of no single entry."""
    gradient = found.gradient
    a = float(np.vdot(gradient.kernel, u))
    if abs(a - n) > share * max(abs(a), abs(n), max_abs(gradient.kernel)) + floor and found.verdict != "WRONG":
        relative = abs(a - n) / max(abs(a), abs(n))
        kink = (witness == "differences" and gradient.equations is not None) or _jumps(gradient, u, abs(a - n))
        found.keep_worst(witness, "kink" if kink else "WRONG", (0,) * u.ndim, n, relative)
        found.note = "along a random direction through the whole tensor"
        found.kernel = a


def _direction(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Returns a random direction; no entry of it is small, so that none is overlooked."""
    return np.asarray(DIRECTION_ENTRIES[rng.integers(0, len(DIRECTION_ENTRIES), shape, np.uint8)])


def _against_differences(found: Evidence, places: Sequence[Index]) -> None:
    gradient = found.gradient
    d = differences(gradient.value, gradient.at, places)
    found.evaluations += 2 * len(places) + 1
    a = gradient.kernel[tuple(np.transpose(places))] if places[0] else np.array([float(gradient.kernel)])
    n = d.value
    allowed = DIFFERENCE_RTOL * np.maximum(np.abs(a), np.abs(n)) + d.noise + gradient.rounding
    allowed += 1e-9 * max(gradient.reach, max_abs(gradient.kernel))
    gap = np.abs(a - n)
    relative = _relative(a, n, gradient.reach)
    if found.numbers is None:
        found.numbers, found.rtol = _spread(gradient.kernel.shape, places, n), DIFFERENCE_RTOL
    bad = ~(gap <= allowed)
    found.gaps["differences"] = float(np.where(bad, 0.0, relative).max(initial=0.0))
    for k in _by_size(bad, relative):
        verdict, numeric = resolve_difference(found, places[k], float(a[k]))
        worst = abs(float(a[k]) - numeric) / max(abs(float(a[k])), abs(numeric), 1e-300)
        if verdict in ("WRONG", "kink"):
            found.gaps["differences"] = max(found.gaps["differences"], worst)
        if verdict == "WRONG" and found.verdict != "WRONG":  # the exact witnesses agree with the kernel
            found.numbers, found.rtol = _spread(gradient.kernel.shape, places, n), DIFFERENCE_RTOL
        if verdict != "ok":
            found.keep_worst("differences", verdict, places[k], numeric, worst)
        if verdict == "WRONG":
            return
    if not bad.any() and len(n):
        k = int(relative.argmax())
        found.keep_worst("differences", "ok", places[k], float(n[k]), float(relative[k]))


def resolve_difference(found: Evidence, index: Index, claimed: float) -> tuple[str, float]:
    """Returns the verdict where a difference disagrees with the kernel, and the number that it rests on: other steps,
    then Ridders' extrapolation."""
    gradient = found.gradient
    if _kink(found, index, claimed) or _jumps(
        gradient, index, abs(claimed - float(differences(gradient.value, gradient.at, [index]).value[0]))
    ):
        return "kink", float(differences(gradient.value, gradient.at, [index], 1 / 64).value[0])
    exact = gradient.equations is not None or gradient.complex_value is not None
    number, error, noise = min(
        (ridders(gradient.value, gradient.at, index, s) for s in (64.0, 0.5)), key=lambda r: r[1]
    )
    noise = max(noise, scatter(gradient.value, gradient.at, index))
    found.evaluations += 50
    if not math.isfinite(number):  # a step leads to where the objective is infinite
        return ("ok" if exact else "noise"), number
    allowed = 10 * error + DIFFERENCE_RTOL * max(abs(claimed), abs(number)) + 1e-9 * gradient.reach + gradient.rounding
    if abs(claimed - number) <= allowed:
        decisive = error <= 1e-3 * max(abs(claimed), abs(number), 1e-6 * gradient.reach)
        return ("ok" if decisive or exact else "noise"), number
    near = differences(gradient.value, gradient.at, [index], 1 / 256)  # a kink that the larger steps crossed
    found.evaluations += 3
    if abs(claimed - near.value[0]) <= 1e-4 * max(abs(claimed), abs(near.value[0])) + near.noise[0]:
        return "ok", float(near.value[0])
    if noise > 0.1 * max(abs(claimed), abs(number)):
        return ("ok" if exact else "noise"), number
    return "WRONG", number


def _kink(found: Evidence, index: Index, claimed: float) -> bool:
    """Whether the slopes on the two sides differ, however small the step, with the claimed one between them."""
    gradient = found.gradient
    jumps = []
    for shrink in (1.0, 1 / 16):
        d: Differences = differences(gradient.value, gradient.at, [index], shrink)
        found.evaluations += 3
        jumps.append(abs(float(d.right[0] - d.left[0])))
        low, high = sorted((float(d.left[0]), float(d.right[0])))
    room = 4 * float(d.noise[0]) + 1e-3 * (high - low)
    lasting = jumps[1] > 0.5 * jumps[0] and jumps[1] > 8 * float(d.noise[0])
    return lasting and low - room <= claimed <= high + room


def _jumps(gradient: CheckedGradient, where: Index | Array, gap: float) -> bool:
    """Whether the kernel's own gradient, at an entry or along a direction, jumps here by about as much as it is off.

    Where several kinks meet, the slopes on both sides of one entry do not show it. Of a part without equations the
    gradient has to lie among those around it, too; that of a network need not, as kinks follow on kinks.
    """
    if gradient.perturbed is None:
        return False

    def along(a: Array) -> float:
        return float(np.vdot(a, where) if isinstance(where, np.ndarray) else a[where])

    claimed = along(gradient.kernel)
    if abs(along(gradient.perturbed(0.0)) - claimed) > 1e-6 * gap:  # it is another at every call
        return False
    around = [along(gradient.perturbed(share)) for share in PERTURBATIONS for _ in range(DRAWS_PER_PERTURBATION)]
    among = min(around) - 1e-3 * gap <= claimed <= max(around) + 1e-3 * gap
    alone = gradient.scope != "network" and gradient.equations is None and gradient.complex_value is None
    return any(abs(a - claimed) > 0.1 * gap for a in around) and (among or not alone)


def _by_size(bad: Array, relative: Array) -> list[int]:
    """Returns where the worst of the bad entries stand, the worst first."""
    found: list[int] = np.flatnonzero(bad)[np.argsort(-relative[bad], kind="stable")].tolist()
    return found[:MAX_ENTRIES_RESOLVED]


def _spread(shape: tuple[int, ...], places: Sequence[Index], values: Array) -> Array:
    out = np.full(shape, np.nan)
    for index, value in zip(places, values, strict=True):
        out[index] = value
    return out
