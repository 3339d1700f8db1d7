"""Activations, easiest first. Each is a layer without parameters; as `activation:` it stands behind a dense layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Activation
from bpcli.numeric import stable
from bpcli.numeric.notation import Eq
from bpcli.plan import Frame, N, Plan, Sample, Shape, ShapeError, Slot

HUGE = [[-800.0, -80.0, 0.5], [800.0, 80.0, -0.5]]
"""Inputs at which a careless formula overflows."""
TIES = [[-1.0, 0.0, 1.0], [0.0, 0.0, 2.0]]
"""Inputs exactly on a kink at 0."""


def _standard(part: Activation, **more: Any) -> Iterator[Sample]:
    """The samples every elementwise activation is tried on."""
    yield Sample(part, (5,), **more)
    yield Sample(part, (2, 3, 1), **more, note="images")
    yield Sample(part, (3,), batch=1, scale=4.0, **more, note="batch of one, towards saturation")
    yield Sample(part, (3,), batch=2, inputs={"x": HUGE}, **more, note="huge")


class Identity(Activation):
    """Hands its input on.

    Shapes   x, y: n ...
    Source   the linear unit of Rumelhart, Hinton & Williams 1986
    """

    type: Literal["identity"] = "identity"

    def forward(self, f: Frame, train: bool) -> None:
        np.copyto(f.y, f.x)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [Eq("y[n,...]", "x[n,...]", "unchanged"), Eq("dx[n,...]", "dy[n,...]", "slope 1")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _standard(cls())


class Relu(Activation):
    """The positive part, max(0, x); its slope at 0 is taken as 0.

    Shapes   x, y: n ...
    Source   Nair & Hinton 2010; Glorot, Bordes & Bengio 2011
    """

    type: Literal["relu"] = "relu"
    default_init: ClassVar[str] = "he_normal"

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
        yield from _standard(cls(), kinks=(0.0,))
        yield Sample(cls(), (3,), batch=2, inputs={"x": TIES}, kinks=(0.0,), note="ties")


class Tanh(Activation):
    """The hyperbolic tangent, a sigmoid between -1 and 1.

    Shapes   x, y: n ...
    Source   LeCun et al. 1998, "Efficient BackProp", section 4.4 (without its factors)
    """

    type: Literal["tanh"] = "tanh"

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
        yield from _standard(cls())


class Sigmoid(Activation):
    """The logistic function 1 / (1 + e^-x), between 0 and 1.

    Shapes   x, y: n ...
    Source   Rumelhart, Hinton & Williams 1986, eq. 2
    Numerics neither tail overflows, see numeric/stable.py
    """

    type: Literal["sigmoid"] = "sigmoid"

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x))})

    def forward(self, f: Frame, train: bool) -> None:
        stable.sigmoid(f.x, f.y)

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
        yield from _standard(cls())


class Softplus(Activation):
    """A smooth hinge, log(1 + e^(beta x)) / beta; tends to relu as beta grows.

    Shapes   x, y: n ...
    Source   Dugas et al. 2001, eq. 4
    Numerics max(beta x, 0) + log1p(e^-|beta x|): neither end overflows, and there is no threshold
    """

    type: Literal["softplus"] = "softplus"
    default_init: ClassVar[str] = "he_normal"
    beta: float = Field(1.0, gt=0, description="sharpness of the bend")

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x)), "z": Slot((N, *x))}, consts={"beta": self.beta})

    def forward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, self.beta, out=f.z)
        stable.log1pexp(f.z, f.y, f.s)
        np.divide(f.y, self.beta, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, self.beta, out=f.z)
        stable.sigmoid(f.z, f.s)
        np.multiply(f.dy, f.s, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "log1pexp(beta * x[n,...]) / beta", "definition"),
            Eq("dx[n,...]", "dy[n,...] / (1 + exp(-beta * x[n,...]))", "the slope of softplus is a sigmoid"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _standard(cls())
        yield Sample(cls(beta=2.5), (3,))
        yield Sample({"type": "softplus", "beta": 0.0}, error="greater than 0")


class Gelu(Activation):
    """The input times the chance that a normal variable lies below it, x Phi(x).

    Shapes   x, y: n ...
    Source   Hendrycks & Gimpel 2016, section 2; `approximate: tanh` is their closed form with tanh
    Numerics erf is our own, see numeric/stable.py
    """

    type: Literal["gelu"] = "gelu"
    default_init: ClassVar[str] = "he_normal"
    approximate: Literal["none", "tanh"] = Field("none", description="exact, or with tanh in place of erf")

    def plan(self, x: Shape) -> Plan:
        slots = {name: Slot((N, *x)) for name in ("s", "u", "v")}
        return Plan(y=x, keep={"cdf": Slot((N, *x))}, scratch=slots)

    def forward(self, f: Frame, train: bool) -> None:
        if self.approximate == "tanh":
            self._inner(f)
            np.tanh(f.s, out=f.cdf)
        else:
            np.multiply(f.x, math.sqrt(0.5), out=f.s)
            stable.erf_into(f.s, f.cdf, f.u)
        np.add(f.cdf, 1, out=f.cdf)
        np.multiply(f.cdf, 0.5, out=f.cdf)
        np.multiply(f.x, f.cdf, out=f.y)

    def _inner(self, f: Frame) -> None:
        """s = sqrt(2 / pi) (x + 0.044715 x^3)."""
        np.multiply(f.x, f.x, out=f.s)
        np.multiply(f.s, 0.044715, out=f.s)
        np.add(f.s, 1, out=f.s)
        np.multiply(f.s, f.x, out=f.s)
        np.multiply(f.s, math.sqrt(2 / math.pi), out=f.s)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, f.x, out=f.s)
        if self.approximate == "tanh":  # u = 1 - tanh^2 = 4 cdf (1 - cdf), v = slope of the inner polynomial
            np.subtract(1, f.cdf, out=f.u)
            np.multiply(f.u, f.cdf, out=f.u)
            np.multiply(f.u, 2, out=f.u)
            np.multiply(f.s, 3 * 0.044715, out=f.v)
            np.add(f.v, 1, out=f.v)
            np.multiply(f.v, math.sqrt(2 / math.pi), out=f.v)
            np.multiply(f.u, f.v, out=f.u)
        else:
            np.multiply(f.s, -0.5, out=f.u)
            np.exp(f.u, out=f.u)
            np.multiply(f.u, 1 / math.sqrt(2 * math.pi), out=f.u)
        np.multiply(f.u, f.x, out=f.u)
        np.add(f.u, f.cdf, out=f.u)
        np.multiply(f.dy, f.u, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if self.approximate == "tanh":
            return [
                Eq("u[n,...]", "sqrt(2 / pi) * (x[n,...] + 0.044715 * x[n,...]**3)", "what stands in for x / sqrt(2)"),
                Eq("y[n,...]", "x[n,...] * (1 + tanh(u[n,...])) / 2", "definition"),
                Eq("slope[n,...]", "sqrt(2 / pi) * (1 + 3 * 0.044715 * x[n,...]**2)", "of u"),
                Eq(
                    "dx[n,...]",
                    "dy[n,...] * ((1 + tanh(u[n,...])) / 2 + x[n,...] * (1 - tanh(u[n,...])**2) * slope[n,...] / 2)",
                    "product rule",
                ),
            ]
        return [
            Eq("cdf[n,...]", "(1 + erf(x[n,...] / sqrt(2))) / 2", "Phi, the normal distribution function"),
            Eq("y[n,...]", "x[n,...] * cdf[n,...]", "definition"),
            Eq(
                "dx[n,...]",
                "dy[n,...] * (cdf[n,...] + x[n,...] * exp(-x[n,...]**2 / 2) / sqrt(2 * pi))",
                "product rule; the slope of Phi is the normal density",
            ),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _standard(cls())
        yield from _standard(cls(approximate="tanh"))
        yield Sample({"type": "gelu", "approximate": "erf"}, error="'none' or 'tanh'")


class Softmax(Activation):
    """Positive numbers that sum to 1 over the last axis: e^x over the sum of them.

    Shapes   x, y: n ... k
    Source   Bridle 1990, eq. 5
    Numerics the row's maximum is subtracted first, which changes nothing and cannot overflow
    """

    type: Literal["softmax"] = "softmax"

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
