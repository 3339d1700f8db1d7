"""From images to rows."""

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Frame, Layer, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq

SIZES = ("A", "B", "C", "D")
"""The sizes of a row's axes, in the equations."""
_LETTERS = ("t", "h", "w", "c")


def letters(rank: int) -> tuple[str, ...]:
    """Returns the indices of a row with so many axes: i of a flat one, and of others the last of t, h, w, c."""
    return ("i",) if rank == 1 else _LETTERS[4 - rank :]


def between(count: int) -> tuple[str, ...]:
    """Returns the indices of so many axes between the batch and the channels."""
    return {1: ("t",), 2: ("h", "w"), 3: ("t", "h", "w")}.get(count) or ("t", "h", "w", "p", "q")[:count]


def offset(index: Sequence[str], sizes: Sequence[str]) -> str:
    """Writes the offset of an entry in a row laid end to end, the last axis running fastest."""
    found = ""
    for letter, size in zip(index, sizes, strict=True):
        found = f"({found}) * {size} + {letter}" if found else letter
    return found


def entry(flat: str, sizes: Sequence[str]) -> str:
    """Writes the indices of the entry at the place `flat` of a row laid end to end."""
    index = []
    for a, size in enumerate(sizes):
        inner = "*".join(sizes[a + 1 :])
        index.append((f"{flat} // ({inner})" if inner else flat) + (f" % {size}" if a else ""))
    return ", ".join(index)


class Flatten(Layer):
    """Lays the entries of each row end to end, the last axis running fastest.

    Shapes   x: n ..., y: n i with i the product of the axes between
    Source   row-major order, as NumPy's reshape
    """

    moves: ClassVar[bool] = True
    relabels: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True
    type: Literal["flatten"] = "flatten"

    def plan(self, x: Shape) -> Plan:
        if not 1 <= len(x) <= 4:
            raise ShapeError(f"flatten takes rows of at most 4 axes, not rows of shape {x}")
        sizes = {size: float(d) for size, d in zip(SIZES[: len(x)], x, strict=False)}
        return Plan(y=(math.prod(x),), consts={**sizes, "size": float(math.prod(x))})

    def forward(self, f: Frame, train: bool) -> None:
        np.copyto(f.y, f.x.reshape(f.y.shape))

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy.reshape(f.dx.shape))

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        rank = len(x)
        index, sizes = _LETTERS[4 - rank :], SIZES[:rank]
        return [
            Eq("y[n,i<size]", f"x[n, {entry('i', sizes)}]", "row-major: the last axis runs fastest"),
            Eq(f"dx[n,{','.join(index)}]", f"dy[n, {offset(index, sizes)}]",
               "every slope goes back where its entry came from"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (2, 3, 5))
        yield Sample(cls(), (3, 2), batch=1)
        yield Sample(cls(), (7,), note="nothing to do")
        yield Sample(cls(), (1, 1, 1, 1, 2), error="at most 4 axes")
