"""Global pooling: each channel brought down to one number, whatever axes its values have."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from bpcli.family import Array, DType, Frame, Layer, N, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric.axes import as_positions
from bpcli.parts.layers.flatten import between, offset
from bpcli.parts.layers.windows import TIED, tied

_SIZES = ("A", "B", "C", "D", "E")  # the sizes of the axes between, in the equations


class GlobalMaxPool(Layer):
    """Keeps the largest number of each channel, over all axes between; the first of several largest ones wins.

    Shapes   x: n ... c, y: n c; win: n c, the place of what won, the axes between counted as one, row by row
    Source   Oquab, Bottou, Laptev & Sivic 2015, section 3
    Numerics a winner is found as the first place that equals the largest number
    """

    type: Literal["global_max_pool"] = "global_max_pool"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        positions = _between("global_max_pool", x)
        number: DType = "byte" if positions < 256 else "int"
        each = (N, positions, x[-1])
        return Plan(
            y=x[-1:],
            keep={"win": Slot((N, x[-1]), number)},
            scratch={"same": Slot(each, "bool"), "left": Slot(each, number)},
            consts={size: float(d) for size, d in zip(_SIZES, x[:-1], strict=False)},
        )

    def forward(self, f: Frame, train: bool) -> None:
        x, down = as_positions(f.x), _counting(f.same.shape[1], True, f.win.dtype)
        np.maximum.reduce(x, 1, out=f.y)
        np.equal(x, f.y[:, None], out=f.same)
        np.multiply(f.same, down, out=f.left)  # the first of equals has the largest number
        np.maximum.reduce(f.left, 1, out=f.win)
        np.subtract(len(down), f.win, out=f.win)

    def backward(self, f: Frame, train: bool) -> None:
        np.equal(f.win[:, None], _counting(f.same.shape[1], False, f.win.dtype), out=f.same)
        np.multiply(f.dy[:, None], f.same, out=as_positions(f.dx))

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        letters = between(len(x) - 1)
        stands, over = offset(letters, _SIZES[: len(letters)]), ",".join(letters)
        return [
            Eq("y[n,c]", f"max({over}, x[n,{over},c])", "the largest of the channel"),
            Eq("win[n,c]", f"argmax({over}, x[n,{over},c])", "where it stands: the first of equals, row by row"),
            Eq(f"dx[n,{over},c]", f"dy[n,c] * (win[n,c] == {stands})", "the winner has the whole slope"),
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
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        _between("global_avg_pool", x)
        return Plan(y=x[-1:], scratch={"part": Slot((N, x[-1]))})

    def forward(self, f: Frame, train: bool) -> None:
        x = as_positions(f.x)
        np.add.reduce(x, 1, out=f.y)
        np.divide(f.y, x.shape[1], out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        dx = as_positions(f.dx)
        np.copyto(dx, np.divide(f.dy, dx.shape[1], out=f.part)[:, None])

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        over = ",".join(between(len(x) - 1))
        return [
            Eq("y[n,c]", f"mean({over}, x[n,{over},c])", "the mean of the channel"),
            Eq(f"dx[n,{over},c]", f"dy[n,c] / count({over})", "every place has the same share"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3, 5, 2))
        yield Sample(cls(), (7, 3), batch=1, note="one axis")
        yield Sample(cls(), (2, 3, 2, 2), batch=2, note="three axes")
        yield Sample(cls(), (1, 3), note="nothing between")
        yield Sample(cls(), (5,), error="needs axes between the batch and the channels")
        yield Sample(cls(), (1, 1, 1, 1, 1, 1, 2), error="at most 5 axes")


def _between(kind: str, x: Shape) -> int:
    """Returns how many places a channel has. Raises ShapeError where the rows have no axis before their channels."""
    if len(x) < 2:
        text = f"{kind} needs axes between the batch and the channels, and rows have the shape {x}"
        raise ShapeError(text, "leave it out: there is one number for each channel already")
    if len(x) - 1 > len(_SIZES):
        raise ShapeError(f"{kind} takes rows of at most {len(_SIZES)} axes before the channels, not of shape {x}")
    return math.prod(x[:-1])


@lru_cache(maxsize=64)
def _counting(count: int, down: bool, dtype: np.dtype[Any]) -> Array:
    """Returns 0, 1, ... count - 1, or count, ... 2, 1, as a column."""
    found = np.arange(count, 0, -1, dtype=dtype) if down else np.arange(count, dtype=dtype)
    found.flags.writeable = False
    return found[:, None]
