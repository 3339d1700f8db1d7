"""Residual connections: a branch and a way around it."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, Layer, OneOf, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq
from bpcli.parts.activations import Relu, Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.dropout import Dropout
from bpcli.parts.layers.flatten import Flatten


class Residual(Layer):
    """Adds to the input what a branch of layers makes of it: y = x + F(x), or P(x) + F(x) with a projection.

    Shapes   x, y: n ...; the branch must keep the shape, or give the same as the projection on the way around
    Source   He et al. 2016, eq. 1, and eq. 2 for the projection
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["residual"] = "residual"
    layers: tuple[Annotated[Layer, OneOf()], ...] = Field(
        strict=False, min_length=1, description="the branch; its output has the shape of its input"
    )
    projection: tuple[Annotated[Layer, OneOf()], ...] = Field(
        (), strict=False, description="layers on the way around, where the branch changes the shape; default none"
    )

    def plan(self, x: Shape) -> Plan:
        inside: dict[str, tuple[Layer, ...]] = {"branch": self.layers}
        if self.projection:
            inside["projection"] = self.projection
        try:
            shapes = [_end(chain, x) for chain in inside.values()]
        except ShapeError:  # the engine plans the chains next, and says which of their layers it is
            return Plan(y=x, inside=inside)
        if self.projection and shapes[0] != shapes[1]:
            text = f"the branch gives rows of shape {shapes[0]}, the projection rows of shape {shapes[1]}"
            help = "change the units or filters of the last layer of one, and strides alike in both"
            raise ShapeError(f"{text}, and they are added", help)
        if not self.projection and shapes[0] != x:
            raise ShapeError(
                f"the branch turns rows of shape {x} into {shapes[0]}, and they are added",
                "a residual branch must keep the shape: change the units of its last layer, or add a `projection`",
            )
        return Plan(y=shapes[0], inside=inside)

    def forward(self, f: Frame, train: bool) -> None:
        f.branch.forward(train)
        if self.projection:
            f.projection.forward(train)
        np.add(f.projection.y if self.projection else f.x, f.branch.y, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.branch.dy, f.dy)
        f.branch.backward(train)
        if self.projection:
            np.copyto(f.projection.dy, f.dy)
            f.projection.backward(train)
        np.add(f.projection.dx if self.projection else f.dy, f.branch.dx, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if not self.projection:
            return [
                Eq("y[n,...]", "x[n,...] + branch_y[n,...]", "the way around, plus the branch"),
                Eq("branch_dy[n,...]", "dy[n,...]", "a sum hands its slope to both"),
                Eq("dx[n,...]", "dy[n,...] + branch_dx[n,...]", "2 paths, summed"),
            ]
        new, old = _LETTERS[: len(self.plan(x).y)], ",".join(_LETTERS[: len(x)])
        y = ",".join(new)
        return [
            Eq(f"y[n,{y}]", f"projection_y[n,{y}] + branch_y[n,{y}]", "the way around, plus the branch"),
            Eq(f"branch_dy[n,{y}]", f"dy[n,{y}]", "a sum hands its slope to both"),
            Eq(f"projection_dy[n,{y}]", f"dy[n,{y}]", "the same"),
            Eq(f"dx[n,{old}]", f"projection_dx[n,{old}] + branch_dx[n,{old}]", "2 paths, summed"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(layers=(Dense(units=3, activation=Tanh()),)), (3,))
        inner = cls(layers=(Dense(units=5), Relu()))
        yield Sample(cls(layers=(Dense(units=5), Tanh(), inner, Dropout(rate=0.3))), (5,), batch=2, note="nested")
        yield Sample(cls(layers=(Tanh(),)), (2, 3), note="no parameters")
        around = cls(layers=(Dense(units=2), Tanh(), Dense(units=4)), projection=(Dense(units=4, bias=False),))
        yield Sample(around, (3,), batch=5, note="projection")
        shorter = cls(layers=(Flatten(), Dense(units=2)), projection=(Tanh(), Flatten(), Dense(units=2)))
        yield Sample(shorter, (2, 2), batch=2, note="projection to fewer axes")
        yield Sample(cls(layers=(Dense(units=2),)), (3,), error="turns rows of shape (3,) into (2,)")
        apart = cls(layers=(Dense(units=2),), projection=(Dense(units=4),))
        yield Sample(apart, (3,), error="the branch gives rows of shape (2,), the projection rows of shape (4,)")
        yield Sample({"type": "residual", "layers": []}, error="at least 1 item")


_LETTERS = ("h", "w", "c", "t")  # of the axes of a row, in equations where the numbers of axes may change


def _end(layers: tuple[Layer, ...], x: Shape) -> Shape:
    """Returns the shape of the rows that leave a chain of layers. Raises ShapeError."""
    for layer in layers:
        for _, part in layer.expand():
            x = part.plan(x).y
    return x
