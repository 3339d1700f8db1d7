"""Global pooling: each channel brought down to one number, whatever axes its values have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np

from bpcli.family import Layer
from bpcli.numeric.axes import places
from bpcli.numeric.notation import Eq
from bpcli.numeric.threads import LANES
from bpcli.parts.layers.windows import TIED, images_at_a_time, in_blocks, tied
from bpcli.plan import Array, Frame, N, Plan, Sample, Shape, ShapeError, Slot

_SIZES = ("A", "B", "C", "D", "E")  # the sizes of the axes between, in the equations


class GlobalMaxPool(Layer):
    """Keeps the largest number of each channel, over all axes between; the first of several largest ones wins.

    Shapes   x: n ... c, y: n c; win: n c, the place of what won, the axes between counted as one, row by row
    Source   Oquab, Bottou, Laptev & Sivic 2015, section 3
    Numerics a winner is found as the first place that equals the largest number, on a few rows at a time
    """

    type: Literal["global_max_pool"] = "global_max_pool"

    def plan(self, x: Shape) -> Plan:
        block = (LANES, images_at_a_time(x), _between("global_max_pool", x), x[-1])
        return Plan(
            y=x[-1:],
            keep={"win": Slot((N, x[-1]), "int")},
            scratch={"same": Slot(block, "bool"), "left": Slot(block, "int")},
            consts={size: float(d) for size, d in zip(_SIZES, x[:-1], strict=False)},
        )

    def forward(self, f: Frame, train: bool) -> None:
        left = _counting(f.same.shape[2], True)  # the first of equals has the largest number

        def work(rows: slice, lane: int) -> None:
            x, y, win = places(f.x)[rows], f.y[rows], f.win[rows]
            np.maximum.reduce(x, 1, out=y)
            same = np.equal(x, y[:, None], out=f.same[lane, : len(x)])
            np.maximum.reduce(np.multiply(same, left, out=f.left[lane, : len(x)]), 1, out=win)
            np.subtract(len(left), win, out=win)

        in_blocks(work, len(f.x), f.same.shape[1], f.x.size)

    def backward(self, f: Frame, train: bool) -> None:
        place = _counting(f.same.shape[2], False)

        def work(rows: slice, lane: int) -> None:
            dx, dy, win = places(f.dx)[rows], f.dy[rows], f.win[rows]
            won = np.equal(win[:, None], place, out=f.same[lane, : len(dx)])
            np.multiply(dy[:, None], won, out=dx)

        in_blocks(work, len(f.x), f.same.shape[1], f.x.size)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        letters = _letters(len(x) - 1)
        place = letters[0]
        for letter, size in zip(letters[1:], _SIZES[1:], strict=False):
            place = f"({place}) * {size} + {letter}"
        over = ",".join(letters)
        return [
            Eq("y[n,c]", f"max({over}, x[n,{over},c])", "the largest of the channel"),
            Eq("win[n,c]", f"argmax({over}, x[n,{over},c])", "where it stands: the first of equals, row by row"),
            Eq(f"dx[n,{over},c]", f"dy[n,c] * (win[n,c] == {place})", "the winner has the whole slope"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3, 5, 2))
        yield Sample(cls(), (7, 3), batch=1, note="one axis")
        yield Sample(cls(), (2, 3, 2, 2), batch=2, note="three axes")
        yield Sample(cls(), (1, 3), note="nothing between")
        yield Sample(cls(), (2, 3, 2), batch=2, inputs={"x": tied((2, 2, 3, 2))}, kinks=TIED, note="ties")
        yield Sample(cls(), (5,), error="needs axes between the batch and the channels")
        yield Sample(cls(), (1, 1, 1, 1, 1, 1, 2), error="at most 5 axes")


class GlobalAvgPool(Layer):
    """Takes the mean of each channel, over all axes between.

    Shapes   x: n ... c, y: n c
    Source   Lin, Chen & Yan 2014, section 3.2
    """

    type: Literal["global_avg_pool"] = "global_avg_pool"

    def plan(self, x: Shape) -> Plan:
        _between("global_avg_pool", x)
        return Plan(y=x[-1:], scratch={"part": Slot((N, x[-1]))})

    def forward(self, f: Frame, train: bool) -> None:
        x = places(f.x)
        np.add.reduce(x, 1, out=f.y)
        np.divide(f.y, x.shape[1], out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        dx = places(f.dx)
        np.copyto(dx, np.divide(f.dy, dx.shape[1], out=f.part)[:, None])

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,c]", "mean(..., x[n,...,c])", "the mean of the channel"),
            Eq("dx[n,...,c]", "dy[n,c] / count(...)", "every place has the same share"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3, 5, 2))
        yield Sample(cls(), (7, 3), batch=1, note="one axis")
        yield Sample(cls(), (2, 3, 2, 2), batch=2, note="three axes")
        yield Sample(cls(), (1, 3), note="nothing between")
        yield Sample(cls(), (5,), error="needs axes between the batch and the channels")
        yield Sample(cls(), (1, 1, 1, 1, 1, 1, 2), error="at most 5 axes")


def _letters(count: int) -> tuple[str, ...]:
    return {1: ("t",), 2: ("h", "w"), 3: ("t", "h", "w")}.get(count) or ("t", "h", "w", "p", "q")[:count]


def _between(kind: str, x: Shape) -> int:
    """How many places a channel has. Raises ShapeError where the rows have no axis before their channels."""
    if len(x) < 2:
        text = f"{kind} needs axes between the batch and the channels, and rows have the shape {x}"
        raise ShapeError(text, "leave it out: there is one number for each channel already")
    if len(x) - 1 > len(_SIZES):
        raise ShapeError(f"{kind} takes rows of at most {len(_SIZES)} axes before the channels, not of shape {x}")
    return math.prod(x[:-1])


@lru_cache(maxsize=64)
def _counting(count: int, down: bool) -> Array:
    """0, 1, ... count - 1, or count, ... 2, 1, as a column."""
    found = np.arange(count, 0, -1) if down else np.arange(count)
    found.flags.writeable = False
    return found[:, None]
