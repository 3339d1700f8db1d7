from typing import Literal

import numpy as np

from bpcli.custom import Eq, Field, Layer, N, Param, Plan, Shape, ShapeError, Slot, Zeros


class Centered(Layer):
    """The mean of the batch taken off and a learned shift added; at evaluation a running mean is taken off."""

    type: Literal["centered"] = "centered"
    momentum: float = Field(0.1, gt=0, le=1, description="weight of the newest batch in the running mean")

    def plan(self, x: Shape) -> Plan:
        if len(x) != 1:
            raise ShapeError(f"centered takes rows of numbers, not {x}", "put `flatten` before it")
        return Plan(
            y=x,
            params={"beta": Param(x, Zeros())},
            keep={"mean": Slot(x)},
            scratch={"part": Slot((N, *x))},
            state={"rmean": Slot(x)},
            consts={"momentum": self.momentum},
        )

    def forward(self, f, train):
        if train:
            np.mean(f.x, axis=0, out=f.mean)
        else:
            np.copyto(f.mean, f.rmean)
        np.subtract(f.x, f.mean, out=f.part)
        np.add(f.part, f.beta, out=f.y)

    def backward(self, f, train):
        np.add.reduce(f.dy, 0, out=f.dbeta)
        np.copyto(f.dx, f.dy)
        if train:
            np.subtract(f.dx, f.dbeta / len(f.dy), out=f.dx)

    def commit(self, f):
        np.multiply(f.rmean, 1 - self.momentum, out=f.rmean)
        f.rmean += self.momentum * f.mean

    def equations(self, train, x):
        mean, back = ("mean(n, x[n,o])", "dy[n,o] - dbeta[o] / count(n)") if train else ("rmean[o]", "dy[n,o]")
        return [
            Eq("mean[o]", mean, "of the batch" if train else "of past batches"),
            Eq("y[n,o]", "x[n,o] - mean[o] + beta[o]", "shifted"),
            Eq("dbeta[o]", "sum(n, dy[n,o])", "rows add"),
            Eq("dx[n,o]", back, "the mean moves with every row" if train else "a shift has slope 1"),
            *([Eq("rmean_new[o]", "(1 - momentum) * rmean[o] + momentum * mean[o]", "remembered")] if train else []),
        ]
