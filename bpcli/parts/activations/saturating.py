"""Activations between two bounds."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Activation, Frame, Link, N, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric import stable
from bpcli.parts.activations.cases import HUGE, TIES, standard


class Tanh(Activation):
    """The hyperbolic tangent, a sigmoid between -1 and 1.

    Shapes   x, y: n ...
    Source   LeCun et al. 1998, "Efficient BackProp", section 4.4 (without its factors)
    Numerics the slope is worked out from y, as in the equation: near its ends it has the digits that y has of 1 - |y|
    """

    type: Literal["tanh"] = "tanh"
    rows_are_independent: ClassVar[bool] = True

    def forward(self, f: Frame, train: bool) -> None:
        np.tanh(f.x, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.y, f.y, out=f.dx)
        np.subtract(1, f.dx, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "tanh(x[n,...])", "definition"),
            Eq("dx[n,...]", "dy[n,...] * (1 - y[n,...]**2)", "its slope, from its own output"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())


class Sigmoid(Activation):
    """The logistic function 1 / (1 + e^-x), between 0 and 1.

    Shapes   x, y: n ...
    Source   Rumelhart, Hinton & Williams 1986, eq. 2
    Numerics both tails keep their digits, see numeric/stable.py; the slope is worked out from y, as in the equation:
             near 1 it has the digits that y has of 1 - y
    """

    type: Literal["sigmoid"] = "sigmoid"
    link: ClassVar[Link | None] = "sigmoid"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x))})

    def forward(self, f: Frame, train: bool) -> None:
        stable.sigmoid(f.x, f.y, f.s)

    def backward(self, f: Frame, train: bool) -> None:
        np.subtract(1, f.y, out=f.s)
        np.multiply(f.s, f.y, out=f.s)
        np.multiply(f.dy, f.s, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "1 / (1 + exp(-x[n,...]))", "definition"),
            Eq("dx[n,...]", "dy[n,...] * y[n,...] * (1 - y[n,...])", "its slope, from its own output"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())


class Softsign(Activation):
    """x over 1 + |x|: a sigmoid between -1 and 1 that nears its bounds slowly; its slope at 0 is 1.

    Shapes   x, s, y: n ...
    Source   Bergstra, Desjardins, Lamblin & Bengio 2009; Glorot & Bengio 2010, section 3
    """

    type: Literal["softsign"] = "softsign"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, keep={"s": Slot((N, *x))})

    def forward(self, f: Frame, train: bool) -> None:
        np.abs(f.x, out=f.s)
        np.add(f.s, 1, out=f.s)
        np.divide(f.x, f.s, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.divide(f.dy, f.s, out=f.dx)
        np.divide(f.dx, f.s, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("s[n,...]", "1 + abs(x[n,...])", "the denominator"),
            Eq("y[n,...]", "x[n,...] / s[n,...]", "definition"),
            Eq("dx[n,...]", "dy[n,...] / s[n,...]**2", "quotient rule: (s - |x|) / s^2, and s - |x| is 1"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())
        yield Sample(cls(), (3,), batch=2, inputs={"x": TIES}, kinks=(0.0,), note="at 0, where its curvature jumps")


class Softmax(Activation):
    """Positive numbers that sum to 1 over the last axis: e^x over the sum of them.

    Shapes   x, y: n ... k
    Source   Bridle 1990, eq. 5
    Numerics the row's maximum is subtracted first, which changes nothing and cannot overflow; x - max is rounded: an
             output that lies d below the largest may lose d / 2 units of the last place, as its condition number d
             allows. The slope is worked out from y, as in the equation: where an output is near 1, the difference
             dy - sum dy y has the digits that y has
    """

    type: Literal["softmax"] = "softmax"
    link: ClassVar[Link | None] = "softmax"
    elementwise: ClassVar[bool] = False
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        if len(x) != 1:
            raise ShapeError(f"softmax takes rows of numbers, not rows of shape {x}", "put a `flatten` before it")
        return Plan(y=x, scratch={"r": Slot((N, 1)), "s": Slot((N, *x))})

    def forward(self, f: Frame, train: bool) -> None:
        stable.softmax(f.x, f.y, f.r)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.dy, f.y, out=f.s)
        np.add.reduce(f.s, -1, keepdims=True, out=f.r)
        np.subtract(f.dy, f.r, out=f.s)
        np.multiply(f.s, f.y, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("top[n]", "max(j, x[n,j])", "subtracted so that nothing overflows"),
            Eq("y[n,k]", "exp(x[n,k] - top[n]) / sum(j, exp(x[n,j] - top[n]))", "definition"),
            Eq("dx[n,k]", "y[n,k] * (dy[n,k] - sum(j, dy[n,j] * y[n,j]))", "every output leans on every input"),
            Eq("J[n,j,k]", "y[n,j] * ((j == k) - y[n,k])", "slope of output j by input k", detail="path"),
            Eq("dx[n,k]", "sum(j, dy[n,j] * J[n,j,k])", "one path through each output", detail="path"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (5,))
        yield Sample(cls(), (3,), batch=1, scale=4.0)
        yield Sample(cls(), (3,), batch=2, inputs={"x": HUGE}, note="huge")
        yield Sample(cls(), (3,), batch=2, inputs={"x": TIES}, note="ties")
        yield Sample(cls(), (1,), batch=2, note="one class")
        yield Sample(cls(), (2, 2), error="takes rows of numbers, not rows of shape (2, 2)")
