"""Activations made of straight lines."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Activation, Frame, Plan, Sample, Shape
from bpcli.notation import Eq
from bpcli.parts.activations.cases import TIES, bent_at_zero, standard


class Identity(Activation):
    """Hands its input on.

    Shapes   x, y: n ...
    Source   the linear unit of Rumelhart, Hinton & Williams 1986
    """

    type: Literal["identity"] = "identity"
    relabels: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True

    def forward(self, f: Frame, train: bool) -> None:
        np.copyto(f.y, f.x)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [Eq("y[n,...]", "x[n,...]", "unchanged"), Eq("dx[n,...]", "dy[n,...]", "slope 1")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())


class Relu(Activation):
    """The positive part, max(0, x); its slope at 0 is taken as 0.

    Shapes   x, y: n ...
    Source   Nair & Hinton 2010; Glorot, Bordes & Bengio 2011
    """

    type: Literal["relu"] = "relu"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True

    def forward(self, f: Frame, train: bool) -> None:
        np.maximum(f.x, 0, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.sign(f.y, out=f.dx)  # 1 where open, 0 where closed
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "where(x[n,...] > 0, x[n,...], 0)", "what is negative is closed off"),
            Eq("dx[n,...]", "where(x[n,...] > 0, dy[n,...], 0)", "slope 1 where open, 0 where closed"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from bent_at_zero(cls())


class LeakyRelu(Activation):
    """relu that leaks: what is negative is multiplied by a small slope, which is also taken at 0.

    Shapes   x, y: n ...
    Source   Maas, Hannun & Ng 2013, section 2
    """

    type: Literal["leaky_relu"] = "leaky_relu"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True
    slope: float = Field(0.01, ge=0, lt=1, description="of the negative side")

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, consts={"slope": self.slope})

    def forward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, self.slope, out=f.y)
        np.maximum(f.x, f.y, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.greater(f.x, 0, out=f.dx)  # 1 where open, 0 where it leaks
        np.maximum(f.dx, self.slope, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "where(x[n,...] > 0, x[n,...], slope * x[n,...])", "what is negative leaks"),
            Eq("dx[n,...]", "where(x[n,...] > 0, dy[n,...], slope * dy[n,...])", "slope 1 where open, else the leak"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls(), kinks=(0.0,))
        yield Sample(cls(slope=0.2), (3,), batch=2, inputs={"x": TIES}, kinks=(0.0,), note="ties")
        yield Sample({"type": "leaky_relu", "slope": 1.0}, error="less than 1")


class HardTanh(Activation):
    """x cut to between -1 and 1; at the corners the slope is 0.

    Shapes   x, y: n ...
    Source   Collobert 2004, section 3.2.2 (thesis); as PyTorch's Hardtanh
    """

    type: Literal["hard_tanh"] = "hard_tanh"
    rows_are_independent: ClassVar[bool] = True

    def forward(self, f: Frame, train: bool) -> None:
        np.maximum(f.x, -1, out=f.y)
        np.minimum(f.y, 1, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.abs(f.y, out=f.dx)
        np.less(f.dx, 1, out=f.dx)  # 1 between the corners, 0 outside
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "where(x[n,...] >= 1, 1, where(x[n,...] <= -1, -1, x[n,...]))", "cut at both ends"),
            Eq("dx[n,...]", "where(abs(x[n,...]) < 1, dy[n,...], 0)", "slope 1 between the corners"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls(), kinks=(-1.0, 1.0))
        yield Sample(cls(), (3,), batch=2, inputs={"x": TIES}, kinks=(-1.0, 1.0), note="ties")


class HardSigmoid(Activation):
    """A sigmoid of three straight lines, x / 6 + 1 / 2 cut to between 0 and 1; at the corners the slope is 0.

    Shapes   x, y: n ...
    Source   Howard et al. 2019, section 5.2 (relu6(x + 3) / 6); as PyTorch's Hardsigmoid, but for its slope, which
             there is 1/6 in float32 and here is exact
    Numerics (x + 3) / 6, which is x / 6 + 1 / 2 without its cancellation near -3
    """

    type: Literal["hard_sigmoid"] = "hard_sigmoid"
    rows_are_independent: ClassVar[bool] = True

    def forward(self, f: Frame, train: bool) -> None:
        np.add(f.x, 3, out=f.y)
        np.maximum(f.y, 0, out=f.y)
        np.minimum(f.y, 6, out=f.y)
        np.divide(f.y, 6, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.abs(f.x, out=f.dx)
        np.less(f.dx, 3, out=f.dx)  # 1 between the corners, 0 outside
        np.multiply(f.dx, f.dy, out=f.dx)
        np.divide(f.dx, 6, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "where(x[n,...] >= 3, 1, where(x[n,...] <= -3, 0, (x[n,...] + 3) / 6))", "three lines"),
            Eq("dx[n,...]", "where(abs(x[n,...]) < 3, dy[n,...] / 6, 0)", "slope 1/6 between the corners"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls(), kinks=(-3.0, 3.0))
        corners = [[-3.0, 0.0, 3.0], [3.0, -3.0, 1.0]]
        yield Sample(cls(), (3,), batch=2, inputs={"x": corners}, kinks=(-3.0, 3.0), note="ties")
