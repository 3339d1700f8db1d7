"""Residual connections: a branch and a way around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Layer
from bpcli.numeric.notation import Eq
from bpcli.part import OneOf
from bpcli.parts.activations import Relu, Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.dropout import Dropout
from bpcli.plan import Frame, Plan, Sample, Shape, ShapeError


class Residual(Layer):
    """Adds to the input what a branch of layers makes of it: y = x + F(x).

    Shapes   x, y: n ...; the branch must keep the shape
    Source   He et al. 2016, eq. 1
    """

    type: Literal["residual"] = "residual"
    layers: tuple[Annotated[Layer, OneOf()], ...] = Field(
        strict=False, min_length=1, description="the branch; its output has the shape of its input"
    )

    def plan(self, x: Shape) -> Plan:
        y = x
        try:
            for layer in self.layers:
                for _, part in layer.expand():
                    y = part.plan(y).y
        except ShapeError:  # the engine plans the branch next, and says which of its layers it is
            return Plan(y=x, inside={"branch": self.layers})
        if y != x:
            raise ShapeError(
                f"the branch turns rows of shape {x} into {y}, and they are added",
                "a residual branch must keep the shape: change the units of its last layer",
            )
        return Plan(y=x, inside={"branch": self.layers})

    def forward(self, f: Frame, train: bool) -> None:
        f.branch.forward(train)
        np.add(f.x, f.branch.y, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.branch.dy, f.dy)
        f.branch.backward(train)
        np.add(f.dy, f.branch.dx, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "x[n,...] + branch_y[n,...]", "the way around, plus the branch"),
            Eq("branch_dy[n,...]", "dy[n,...]", "a sum hands its slope to both"),
            Eq("dx[n,...]", "dy[n,...] + branch_dx[n,...]", "2 paths, summed"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(layers=(Dense(units=3, activation=Tanh()),)), (3,))
        inner = cls(layers=(Dense(units=5), Relu()))
        yield Sample(cls(layers=(Dense(units=5), Tanh(), inner, Dropout(rate=0.3))), (5,), batch=2, note="nested")
        yield Sample(cls(layers=(Tanh(),)), (2, 3), note="no parameters")
        yield Sample(cls(layers=(Dense(units=2),)), (3,), error="turns rows of shape (3,) into (2,)")
        yield Sample({"type": "residual", "layers": []}, error="at least 1 item")
