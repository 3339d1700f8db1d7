"""What a checkpoint keeps that may be nan or infinite, and is exact on the way back: no file holds such a number.

The totals of a metric may overflow while the training goes on, and the best figure of a schedule begins at infinity. In
place of such a number the file has 0, and beside the array one of the same shape and of the name `<name>.non_finite`:
1 where it was nan, 2 where inf, 3 where -inf.
"""

from collections.abc import Mapping

import numpy as np

from bpcli.family.plan import Array

MAY_BE_NON_FINITE = ("tally.", "schedule.")
"""Prefixes of the arrays that are written so; of all others, one that is not finite is a divergence."""

ENDING = ".non_finite"
NUMBERS = (np.nan, np.inf, -np.inf)


def without_non_finite(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the arrays as they are written."""
    found: dict[str, Array] = {}
    for name, a in tensors.items():
        found[name] = a
        if name.startswith(MAY_BE_NON_FINITE) and a.dtype.kind == "f" and not np.isfinite(a).all():
            kinds = np.select([np.isnan(a), a == np.inf, a == -np.inf], [1, 2, 3], 0).astype(np.uint8)
            found[name], found[name + ENDING] = np.where(kinds == 0, a, 0).astype(a.dtype), kinds
    return found


def with_non_finite(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the arrays as they were before `without_non_finite`. Raises ValueError where they do not fit together."""
    found = {name: a for name, a in tensors.items() if not name.endswith(ENDING)}
    for name, kinds in tensors.items():
        whole = found.get(name.removesuffix(ENDING))
        if name.endswith(ENDING) and whole is not None:
            if kinds.shape != whole.shape or whole.dtype.kind != "f":
                raise ValueError(f"{name} is not of the shape of its array")
            for kind, number in enumerate(NUMBERS, start=1):
                whole[kinds == kind] = number
    return found
