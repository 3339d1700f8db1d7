"""A stated gradient and the one that is derived from the same forward equations: are they one function?

Kernels are compared where they are run, at a few points, and equations that differ elsewhere only go unseen there. Here
the equations are evaluated at many points, without kernels: entries from 1/100 to 1000 in size, of both signs and
positive, and as large as each number that stands in the equations, since that is where branches part. Each number has a
tiny imaginary part, so that the slope of a gradient along a random direction is compared too.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.notation.derive.backward import cells, derived_program
from bpcli.notation.syntax import Number, walk
from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.program_rounding import TO_FLOAT64, rounding_scale
from bpcli.studies.witness.witness import COMPLEX_STEP, SUM_RTOL, max_abs

SIZES = (1.0, 0.01, 30.0, 1000.0)  # of the numbers at a point, whatever the equations are
NUMBERS = 1e-4, 1e6  # least and largest number in the equations that is a size too
MAX_SIZES = 12  # sizes that are tried
TINY = 1e-280  # numbers below have fewer digits
MARGIN = 4  # times what rounding did in a few runs: entries of many points are compared
MAX_CELLS = 4e7  # cells of grids that are evaluated at all points together; at two points in any case


@dataclass(frozen=True)
class FunctionGap:
    """Where a stated gradient and the derived one are farthest apart at a point, next to what rounding allows."""

    name: str  # dx, dW
    size: float  # of the numbers at the point
    slope: bool  # whether slopes of the gradient along a direction are compared, and not its values
    index: tuple[int, ...] = ()
    stated: float = 0.0
    derived: float = 0.0
    allowed: float = math.inf

    @property
    def wrong(self) -> bool:
        """Whether they are two functions."""
        return self.worst > self.allowed

    @property
    def worst(self) -> float:
        """Returns how far they are apart."""
        return abs(self.stated - self.derived)

    @property
    def relative(self) -> float:
        """Returns that as a share of the larger one."""
        return self.worst / max(abs(self.stated), abs(self.derived), 1e-300)


def function_gaps(
    program: Program,
    env: Mapping[str, Any],
    output: str,
    by: Sequence[str],
    rng: np.random.Generator,
    fixed: Collection[str] = (),
) -> Iterator[FunctionGap]:
    """Yields how far stated gradients by `by` are from the derived ones, at each point the worst entry of each.

    `program` states the forward equations of `output` and gradients `d<name>`; `env` has all that it reads, of which
    what is in `by` and not `fixed`, and the error at an output with indices, are drawn anew. Yields nothing where no
    gradient is stated, or the forward equations have no derivative. Entries that are not finite on a side are left out.
    """
    shapes = {name: np.shape(env[name]) for name in by}
    names = [f"d{name}" for name in by if f"d{name}" in program.names]
    derived = derived_program(program, env, output, shapes) if names else None
    if derived is None:
        return
    drawn = {name: shape for name, shape in shapes.items() if name not in fixed}
    error = f"d{output}"
    points = list(product(_sizes(program, env), (False, True)))
    most = max(2, int(MAX_CELLS / max(cells(program) + cells(derived), 1)))
    for size, positive in points[:most]:
        point = dict(env)
        for name, shape in drawn.items():
            values = size * rng.normal(size=shape)
            point[name] = _with_step(np.abs(values) if positive else values, rng)
        if np.ndim(env.get(error, 0)):
            point[error] = _with_step(rng.normal(size=np.shape(env[error])), rng)
        with np.errstate(all="ignore"):
            stated_values, derived_values = program.run(point, names), derived.run(point, names)
            found = [
                _gap(name, size, part, (stated_values[name], derived_values[name]), (program, derived), point, rng)
                for name, part in product(names, (np.real, _slope))
            ]
        yield from found


def _sizes(program: Program, env: Mapping[str, Any]) -> list[float]:
    """Returns how large numbers are tried: the usual sizes, and the numbers in the equations and settings they read."""
    least, largest = NUMBERS
    numbers = [n.value for g in program.grids for n in walk(g.equation.right) if isinstance(n, Number)]
    numbers += [float(v) for v in env.values() if np.ndim(v) == 0]
    found = [abs(v) for v in numbers if least <= abs(v) <= largest]
    return list(dict.fromkeys((*SIZES, *found)))[:MAX_SIZES]


def _with_step(a: Array, rng: np.random.Generator) -> Array:
    """Returns numbers with an imaginary part that is far smaller than each of them, by chance."""
    return np.asarray(a + 1j * COMPLEX_STEP * np.abs(a) * rng.normal(size=a.shape))


def _slope(a: Array) -> Array:
    """Returns the derivative along the direction of the complex step."""
    return np.imag(a) / COMPLEX_STEP


def _gap(
    name: str,
    size: float,
    part: Callable[[Array], Array],
    gradients: tuple[Array, Array],
    programs: Sequence[Program],
    point: Mapping[str, Any],
    rng: np.random.Generator,
) -> FunctionGap:
    """Returns the worst entry of a gradient. What rounding does is looked at only where the plain bound is passed."""
    seen = np.isfinite(gradients).all(axis=0)
    stated, derived = (np.where(seen, part(a), 0.0) for a in gradients)
    gap = np.abs(stated - derived)
    if not gap.size:
        return FunctionGap(name, size, part is _slope)
    index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    allowed = SUM_RTOL * max(max_abs(stated), max_abs(derived), TINY)
    if part is _slope:  # functions such as tanh round theirs by more than the digits of a small slope
        allowed += MARGIN * 64 * EPS * max(size, 1.0) * max_abs(np.real(gradients))
    if gap[index] > allowed:
        allowed += MARGIN * TO_FLOAT64 * sum(rounding_scale(p, point, rng, part)[name] for p in programs)
    return FunctionGap(name, size, part is _slope, index, float(stated[index]), float(derived[index]), allowed)
