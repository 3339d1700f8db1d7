"""Whether numbers are finite, at the price of one look at each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def all_finite(x: Array) -> bool:
    """Whether no entry is inf or NaN; what is not finite shows in the sum, so most arrays are read once and no mask is
    made."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(x.sum())) or bool(np.isfinite(x).all())
