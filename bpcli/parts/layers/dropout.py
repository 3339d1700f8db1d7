"""Dropout: units that stay away by chance."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, Layer, N, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric.axes import as_positions


def _draw_mask(f: Frame, rate: float, rng: np.random.Generator) -> None:
    rng.random(out=f.u, dtype=np.float32)
    np.greater_equal(f.u, rate, out=f.m)
    f.m *= 1 / (1 - rate)


class Dropout(Layer):
    """Zeroes each entry with probability `rate` while training and scales up the rest, so that the mean stays.

    Shapes   x, m, y: n ...; m is 0 or 1 / (1 - rate); at evaluation y = x
    Source   Srivastava et al. 2014, in the inverted form (scaled at training, untouched at evaluation)
    Numerics the mask is drawn in float32 whatever the run, so that float32 and float64 see the same
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["dropout"] = "dropout"
    rate: float = Field(0.5, ge=0, lt=1, description="probability of zeroing an entry")

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, draws={"u": Slot((N, *x), "float32"), "m": Slot((N, *x))}, consts={"rate": self.rate})

    def draw(self, f: Frame, rng: np.random.Generator) -> None:
        _draw_mask(f, self.rate, rng)

    def forward(self, f: Frame, train: bool) -> None:
        if train:
            np.multiply(f.x, f.m, out=f.y)
        else:
            np.copyto(f.y, f.x)

    def backward(self, f: Frame, train: bool) -> None:
        if train:
            np.multiply(f.dy, f.m, out=f.dx)
        else:
            np.copyto(f.dx, f.dy)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if not train:
            return [Eq("y[n,...]", "x[n,...]", "nothing is dropped at evaluation"), Eq("dx[n,...]", "dy[n,...]")]
        return [
            Eq("y[n,...]", "m[n,...] * x[n,...]", "m is 0 where dropped, else 1 / (1 - rate)"),
            Eq("dx[n,...]", "m[n,...] * dy[n,...]", "the same mask: what was dropped leans on nothing"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(rate=0.4), (7,), batch=5)
        yield Sample(cls(rate=0.25), (2, 3, 5))
        yield Sample(cls(rate=0.0), (3,), batch=1, note="drops nothing")
        yield Sample({"type": "dropout", "rate": 1.0}, error="less than 1")
        yield Sample({"type": "dropout", "rate": -0.1}, error="greater than or equal to 0")


class SpatialDropout(Layer):
    """Zeroes whole channels of a row with probability `rate` while training and scales up the rest.

    Neighbouring pixels hold much the same, so that dropping single ones drops little.

    Shapes   x, y: n ... c; m: n c, which is 0 or 1 / (1 - rate); at evaluation y = x
    Source   Tompson, Goroshin, Jain, LeCun & Bregler 2015, section 3.2, in the inverted form
    Numerics the mask is drawn in float32 whatever the run, so that float32 and float64 see the same
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["spatial_dropout"] = "spatial_dropout"
    rate: float = Field(0.5, ge=0, lt=1, description="probability of zeroing a channel")

    def plan(self, x: Shape) -> Plan:
        if len(x) < 2:
            text = f"spatial_dropout drops channels of images or sequences, not of rows of shape {x}"
            raise ShapeError(text, "write `dropout`")
        c = (N, x[-1])
        return Plan(y=x, draws={"u": Slot(c, "float32"), "m": Slot(c)}, consts={"rate": self.rate})

    def draw(self, f: Frame, rng: np.random.Generator) -> None:
        _draw_mask(f, self.rate, rng)

    def forward(self, f: Frame, train: bool) -> None:
        if train:
            np.multiply(as_positions(f.x), f.m[:, None], out=as_positions(f.y))
        else:
            np.copyto(f.y, f.x)

    def backward(self, f: Frame, train: bool) -> None:
        if train:
            np.multiply(as_positions(f.dy), f.m[:, None], out=as_positions(f.dx))
        else:
            np.copyto(f.dx, f.dy)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if not train:
            return [
                Eq("y[n,...,c]", "x[n,...,c]", "nothing is dropped at evaluation"),
                Eq("dx[n,...,c]", "dy[n,...,c]"),
            ]
        return [
            Eq("y[n,...,c]", "m[n,c] * x[n,...,c]", "m is 0 where a channel is dropped, else 1 / (1 - rate)"),
            Eq("dx[n,...,c]", "m[n,c] * dy[n,...,c]", "the same mask: what was dropped leans on nothing"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(rate=0.4), (2, 3, 5))
        yield Sample(cls(rate=0.25), (3, 4), batch=5, note="sequences")
        yield Sample(cls(rate=0.0), (2, 2), batch=1, note="drops nothing")
        yield Sample(cls(), (5,), error="not of rows of shape (5,)")
        yield Sample({"type": "spatial_dropout", "rate": 1.0}, error="less than 1")
