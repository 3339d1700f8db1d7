"""Cases that every elementwise activation is tried on."""

from collections.abc import Iterator
from typing import Any

from bpcli.family import Activation, Sample

HUGE = [[-800.0, -80.0, 0.5], [800.0, 80.0, -0.5]]
"""Inputs at which a careless formula overflows."""
TIES = [[-1.0, 0.0, 1.0], [0.0, 0.0, 2.0]]
"""Inputs exactly on a kink at 0."""


def standard(part: Activation, **more: Any) -> Iterator[Sample]:
    """Yields rows, images, one row towards saturation, and inputs far out."""
    yield Sample(part, (5,), **more)
    yield Sample(part, (2, 3, 1), **more, note="images")
    yield Sample(part, (3,), batch=1, scale=4.0, **more, note="batch of one, towards saturation")
    yield Sample(part, (3,), batch=2, inputs={"x": HUGE}, **more, note="huge")


def bent_at_zero(part: Activation) -> Iterator[Sample]:
    """Yields the standard cases of an activation with a kink at 0, and inputs on it."""
    yield from standard(part, kinks=(0.0,))
    yield Sample(part, (3,), batch=2, inputs={"x": TIES}, kinks=(0.0,), note="ties")
