"""Independent witnesses of a derivative, and how far two of them may stand apart.

Complex steps go through the equations and have no step size to tune (Squire & Trapp 1998); central differences go
through the kernels. What is allowed between two witnesses is derived from the arithmetic: machine epsilon, the step,
and the size of what was added up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.numeric.vectors import EPS
from bpcli.records.training import Gap

SUM_RTOL = 1e-12  # share of a tensor's largest entry: sums in another order
COMPLEX_STEP = 1e-30  # the imaginary part that is added to an entry
MIN_SCALED_ENTRY = 1e-270  # magnitude of an entry, from which on a step is smaller in proportion
DIFFERENCE_RTOL = 1e-6  # relative gap of an entry: a central difference is off by h^2 times a third derivative
DIFFERENCE_STEP = EPS ** (1 / 3)  # balances the truncation h^2 against the rounding EPS / h


def complex_step(program: Program, env: Mapping[str, Any], name: str, want: str, upstream: Array) -> Array:
    """Returns the gradient of sum(`want` * upstream) by `env[name]`, exact to rounding; forward equations only."""

    def value(z: Array) -> Any:
        return np.sum(program.run({**env, name: z}, {want})[want] * upstream)

    x = np.asarray(env[name], dtype=np.float64)
    return complex_steps(value, x, tuple(np.ndindex(x.shape))).reshape(x.shape)


def complex_steps(value: Callable[[Array], Any], x: Array, indices: Sequence[tuple[int, ...]]) -> Array:
    """Returns the derivatives of `value` by the entries of `x` at `indices`, by complex steps, far smaller than the
    entry."""
    z = x.astype(np.complex128)
    out = np.zeros(len(indices))
    for k, index in enumerate(indices):
        size_ = abs(float(x[index]))
        step = COMPLEX_STEP * (size_ if MIN_SCALED_ENTRY < size_ < 1 else 1.0)
        z[index] = x[index] + 1j * step
        out[k] = float(np.imag(value(z))) / step
        z[index] = x[index]
    return out


@dataclass(frozen=True)
class Differences:
    """Central differences of a scalar function by entries of an array, and how much of each is rounding."""

    value: Array
    noise: Array
    left: Array  # one-sided differences: they differ at a kink
    right: Array


def central_differences(function: Callable[[], tuple[float, float]], x: Array) -> Differences:
    """Returns differences of `function` by every entry of `x`, which is changed in place and put back.

    `function` returns its value and the sum of the sizes of what it adds up, which sets the noise.
    """
    found = differences(function, x, tuple(np.ndindex(x.shape)))
    return Differences(*(a.reshape(x.shape) for a in (found.value, found.noise, found.left, found.right)))


def differences(
    function: Callable[[], tuple[float, float]], x: Array, indices: Sequence[tuple[int, ...]], shrink: float = 1.0
) -> Differences:
    """Returns differences by the entries of `x` at `indices`, with steps `shrink` times the usual ones."""
    here, mass = function()
    value, noise, left, right = (np.zeros(len(indices)) for _ in range(4))
    for k, index in enumerate(indices):
        old = x[index].copy()
        step = shrink * DIFFERENCE_STEP * max(1.0, abs(float(old)))
        x[index] = old + step
        up = float(x[index] - old)  # the step that was taken, after rounding
        above, mass_above = function()
        x[index] = old - step
        down = float(old - x[index])
        below, mass_below = function()
        x[index] = old
        value[k] = (above - below) / (up + down)
        right[k] = (above - here) / up
        left[k] = (here - below) / down
        noise[k] = 20 * EPS * max(mass, mass_above, mass_below) / step
    return Differences(value, noise, left, right)


def compare(
    tensor: str, left: tuple[str, Array], right: tuple[str, Array], allowed: Any, excused: Array | None = None
) -> Gap:
    """Returns the worst entry of two witnesses of one tensor, worst by how far it passes what is `allowed` there.

    Entries of `excused` stand on a kink: a difference there is reported as one and is no error.
    """
    a, b = np.asarray(left[1], dtype=np.float64), np.asarray(right[1], dtype=np.float64)
    gap = np.abs(a - b)
    gap = np.where(np.isnan(gap), np.where(np.isnan(a) & np.isnan(b), 0.0, np.inf), gap)
    gap = np.where(a == b, 0.0, gap)  # equal infinities
    limit = np.broadcast_to(allowed, gap.shape)
    wrong = gap > limit
    kink = wrong & excused if excused is not None else np.zeros_like(wrong)
    wrong = wrong & ~kink
    excess = np.where(kink, -1.0, gap / np.maximum(limit, 1e-300))
    index = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), gap.shape)) if gap.size else ()
    verdict = "WRONG" if wrong.any() else "kink" if kink.any() else "ok"
    values = (float(a[index]), float(b[index])) if gap.size else (0.0, 0.0)
    worst, at = (float(gap[index]), float(limit[index])) if gap.size else (0.0, 0.0)
    return Gap(tensor, left[0], right[0], worst, at, index, values, verdict)


def max_abs(a: Any) -> float:
    """Returns the largest finite absolute value, 0 of nothing."""
    a = np.asarray(a, dtype=np.float64)
    if not a.size:
        return 0.0
    largest = max(float(a.max()), -float(a.min()))
    if not np.isfinite(largest):
        a = np.abs(a[np.isfinite(a)])
        largest = float(a.max(initial=0.0))
    return largest
