"""From images to rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from bpcli.family import Layer
from bpcli.numeric.notation import Eq
from bpcli.plan import Frame, Plan, Sample, Shape, ShapeError

_SIZES = ("A", "B", "C", "D")  # the sizes of a row's axes, in the equations
_LETTERS = ("t", "h", "w", "c")


class Flatten(Layer):
    """Lays the entries of each row end to end, the last axis running fastest.

    Shapes   x: n ..., y: n i with i the product of the axes between
    Source   row-major order, as NumPy's reshape
    """

    type: Literal["flatten"] = "flatten"

    def plan(self, x: Shape) -> Plan:
        if not 1 <= len(x) <= 4:
            raise ShapeError(f"flatten takes rows of at most 4 axes, not rows of shape {x}")
        sizes = {size: float(d) for size, d in zip(_SIZES[: len(x)], x, strict=False)}
        return Plan(y=(math.prod(x),), consts={**sizes, "size": float(math.prod(x))})

    def forward(self, f: Frame, train: bool) -> None:
        np.copyto(f.y, f.x.reshape(f.y.shape))

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy.reshape(f.dx.shape))

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        rank = len(x)
        letters, sizes = _LETTERS[4 - rank :], _SIZES[:rank]
        index, place = [], ""
        for a in range(rank):
            inner = "*".join(sizes[a + 1 :])
            index.append((f"i // ({inner})" if inner else "i") + (f" % {sizes[a]}" if a else ""))
            place = f"({place}) * {sizes[a]} + {letters[a]}" if place else letters[a]
        return [
            Eq("y[n,i<size]", f"x[n, {', '.join(index)}]", "row-major: the last axis runs fastest"),
            Eq(f"dx[n,{','.join(letters)}]", f"dy[n, {place}]", "every slope goes back where its entry came from"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (2, 3, 5))
        yield Sample(cls(), (3, 2), batch=1)
        yield Sample(cls(), (7,), note="nothing to do")
        yield Sample(cls(), (1, 1, 1, 1, 2), error="at most 4 axes")
