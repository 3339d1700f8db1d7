"""Embedding: whole numbers that stand for things become rows of numbers that are learned."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Constraint, Initializer, Layer, Regularizer
from bpcli.family.part import OneOf
from bpcli.family.plan import Frame, N, Param, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.parts.initializers import Normal
from bpcli.parts.layers.flatten import between

GRADIENT_BLOCK_ENTRIES = 1 << 15  # numbers of the gradient that are added up at a time


class Embedding(Layer):
    """Looks up a learned row for each whole number of the input: the row of a one-hot input times W, without the zeros.

    The inputs have to be whole numbers from 0 to tokens - 1 as they stand in the data, so only layers that put entries
    elsewhere may stand before it. A whole number has no slope: dx is 0.

    Shapes   x: n ..., W: i o (i below tokens, o below units), y: n ... o
    Source   Bengio, Ducharme, Vincent & Jauvin 2003, section 2 (its C); as PyTorch's, the rows start as normal numbers
    Numerics numbers that come twice add twice: slopes are added into the flat dW one after another, in the order of the
             batch, by their places
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["embedding"] = "embedding"
    tokens: int = Field(gt=0, le=1 << 24, description="how many different whole numbers there are, counted from 0")
    units: int = Field(gt=0, description="how many numbers stand for each")
    init: Annotated[Initializer, OneOf()] | None = Field(
        None, description="how the rows start; default normal numbers of deviation 1"
    )
    regularization: Annotated[Regularizer, OneOf()] | None = Field(
        None, description="the penalty on this layer's weights, in place of the experiment's"
    )
    constraint: Annotated[Constraint, OneOf()] | None = Field(
        None, description="where this layer's weights are put back to after every step, in place of the experiment's"
    )

    def plan(self, x: Shape) -> Plan:
        if len(x) > 5:
            raise ShapeError(f"embedding takes rows of at most 5 axes, not rows of shape {x}")
        block = max(1, GRADIENT_BLOCK_ENTRIES // self.units)
        return Plan(
            y=(*x, self.units),
            params={"W": Param((self.tokens, self.units), self.init or Normal(std=1.0), 1, self.units, decays=True)},
            keep={"ids": Slot((N, *x), "int")},
            scratch={"whole": Slot((N, *x)), "at": Slot((block, self.units), "int"), "first": Slot((block, 1), "int")},
            skips_dx=True,
            tokens=self.tokens,
        )

    def forward(self, f: Frame, train: bool) -> None:
        np.rint(f.x, out=f.whole)
        np.copyto(f.ids, f.whole, casting="unsafe")
        np.take(f.W, f.ids, 0, out=f.y, mode="clip")

    def backward(self, f: Frame, train: bool) -> None:
        f.dW.fill(0)
        ids, dy, dW = f.ids.reshape(-1), f.dy.reshape(-1, self.units), f.dW.reshape(-1)
        unit, step = np.arange(self.units), len(f.at)
        for start in range(0, len(ids), step):
            rows = slice(start, start + step)
            slopes = dy[rows]
            first = np.multiply(ids[rows, None], self.units, out=f.first[: len(slopes)])
            at = np.add(first, unit, out=f.at[: len(slopes)])
            np.add.at(dW, at.reshape(-1), slopes.reshape(-1))
        if f.dx is not None:
            f.dx.fill(0)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        at = ",".join(("n", *between(len(x))))
        return [
            Eq(f"y[{at},o]", f"W[x[{at}], o]", "the row that the number stands for"),
            Eq("dW[i,o]", f"sum({at}, (x[{at}] == i) * dy[{at},o])", "a number that comes twice adds twice"),
            Eq(f"dx[{at}]", f"0 * x[{at}]", "a whole number has no slope"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        ids = [[1, 4, 1], [0, 1, 5], [3, 3, 3]]
        yield Sample(cls(tokens=7, units=2), (3,), inputs={"x": ids}, note="numbers that come again, and some never")
        yield Sample(cls(tokens=3, units=5), (2, 2), batch=1, inputs={"x": [[[2, 0], [0, 1]]]}, note="two axes")
        yield Sample(cls(tokens=1, units=1), (1,), batch=2, inputs={"x": [[0], [0]]}, note="smallest")
        yield Sample(cls(tokens=2, units=1), (1, 1, 1, 1, 1, 1), error="at most 5 axes")
        yield Sample({"type": "embedding", "tokens": 0, "units": 2}, error="greater than 0")
        yield Sample({"type": "embedding", "tokens": 20_000_000, "units": 2}, error="less than or equal to 16777216")
