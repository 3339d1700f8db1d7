"""What rounding does to equations: the same computation with every number on the way off by a little, by chance.

Numbers that nearly cancel, roots and exponents blow rounding up, and no bound on the results alone shows by how much.
So the computation is run with errors of COARSE_EPS, far above those of float64, and what they do is scaled down to
these (Monte Carlo arithmetic; Parker 1997).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.witness import max_abs

COARSE_EPS = 2.0**-23  # relative rounding of a number in float32
N_RUNS = 3  # runs, of which the largest effect counts
MAX_COUNT = 2.0**31  # whole numbers below may count or stand for something; beyond 2^53 every number is whole
TO_FLOAT64 = 64 * EPS / COARSE_EPS  # share of what COARSE_EPS does that float64 does, in some dozens of roundings
MAX_NOISY_ENTRIES = 100_000  # larger arrays are taken as they are: a sum over one is disturbed by its other factor

Rng = np.random.Generator
RoundingScale = Mapping[str, float]


def with_noise(a: Any, rng: Rng, scale: Any = 0.0) -> Any:
    """Returns numbers that are off by COARSE_EPS of themselves, or of a scale; whole ones, which count or stand for
    something, and very many are left."""
    if not np.ndim(a) or a.dtype.kind not in "fc" or a.size > MAX_NOISY_ENTRIES:
        return a
    if max_abs(np.real(a)) < MAX_COUNT and bool((a == np.rint(a)).all()):
        return a
    return a + COARSE_EPS * rng.uniform(-1, 1, a.shape) * (scale or a)


def rounding_scale(
    program: Program, env: Mapping[str, Any], rng: Rng, part: Callable[[Array], Array] = np.real
) -> RoundingScale:
    """Returns how far each left side moves, at most, where all that it comes from is off by COARSE_EPS; of complex
    numbers, a real `part` of it."""
    base = program.complete(env)
    found = dict.fromkeys(program.names, 0.0)
    for _ in range(N_RUNS):
        known = {name: with_noise(value, rng) for name, value in base.items() if name not in found}
        for grid in program.grids:
            value = grid.value(known)
            found[grid.name] = max(found[grid.name], max_abs(part(value - base[grid.name])))
            known[grid.name] = with_noise(value, rng)
    return found
