"""Activations that bend smoothly from a floor into a straight line."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Activation, Frame, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.numeric import stable
from bpcli.parts.activations.cases import TIES, bent_at_zero, standard


class Softplus(Activation):
    """A smooth hinge, log(1 + e^(beta x)) / beta; tends to relu as beta grows.

    Shapes   x, y: n ...
    Source   Dugas et al. 2001, eq. 4
    Numerics max(x, 0) + log1p(e^-|beta x|) / beta: neither end overflows, and there is no threshold. Where beta is not
             1, beta x is rounded, which costs the left tail up to |beta x| / 2 units of the last place
    """

    type: Literal["softplus"] = "softplus"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True
    beta: float = Field(1.0, gt=0, description="sharpness of the bend")

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x)), "z": Slot((N, *x))}, consts={"beta": self.beta})

    def forward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, self.beta, out=f.z)
        stable.exp_minus_abs(f.z, f.s)
        np.log1p(f.s, out=f.s)
        np.divide(f.s, self.beta, out=f.s)
        np.maximum(f.x, 0, out=f.y)
        np.add(f.y, f.s, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, self.beta, out=f.z)
        stable.sigmoid(f.z, f.z, f.s)
        np.multiply(f.dy, f.z, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "log1pexp(beta * x[n,...]) / beta", "definition"),
            Eq("dx[n,...]", "dy[n,...] / (1 + exp(-beta * x[n,...]))", "the slope of softplus is a sigmoid"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())
        yield Sample(cls(beta=2.5), (3,))
        yield Sample({"type": "softplus", "beta": 0.0}, error="greater than 0")


class Elu(Activation):
    """Straight where positive, and below that a soft floor at -alpha; at 0 the slope is alpha.

    Shapes   x, y: n ...
    Source   Clevert, Unterthiner & Hochreiter 2016, eq. 15
    """

    type: Literal["elu"] = "elu"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True
    alpha: float = Field(1.0, gt=0, description="how deep the floor lies")

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x))}, consts={"alpha": self.alpha})

    def forward(self, f: Frame, train: bool) -> None:
        floored(f, 1.0, self.alpha)

    def backward(self, f: Frame, train: bool) -> None:
        floored_slope(f, 1.0, self.alpha)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "where(x[n,...] > 0, x[n,...], alpha * expm1(x[n,...]))", "from -alpha up to 0, then x"),
            Eq("dx[n,...]", "dy[n,...] * where(x[n,...] > 0, 1, alpha * exp(x[n,...]))", "slope 1, or the floor's"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())
        yield Sample(cls(alpha=0.5), (3,), batch=2, inputs={"x": TIES}, kinks=(0.0,), note="ties")
        yield Sample(cls(alpha=2.0), (3,), scale=2.0, kinks=(0.0,))
        yield Sample({"type": "elu", "alpha": 0.0}, error="greater than 0")


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # without a unit; keep mean 0 and variance 1


class Selu(Activation):
    """elu times a scale, both chosen so that signals keep mean 0 and variance 1 from layer to layer.

    Shapes   x, y: n ...
    Source   Klambauer et al. 2017, eqs. 2 and 14; at 0 the slope is scale alpha, 1.7581
    """

    type: Literal["selu"] = "selu"
    default_init: ClassVar[str] = "lecun_normal"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        return Plan(y=x, scratch={"s": Slot((N, *x))}, consts={"alpha": SELU_ALPHA, "scale": SELU_SCALE})

    def forward(self, f: Frame, train: bool) -> None:
        floored(f, SELU_SCALE, SELU_SCALE * SELU_ALPHA)

    def backward(self, f: Frame, train: bool) -> None:
        floored_slope(f, SELU_SCALE, SELU_SCALE * SELU_ALPHA)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,...]", "scale * where(x[n,...] > 0, x[n,...], alpha * expm1(x[n,...]))", "a scaled elu"),
            Eq("dx[n,...]", "dy[n,...] * scale * where(x[n,...] > 0, 1, alpha * exp(x[n,...]))", "its slope"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from bent_at_zero(cls())


def floored(f: Frame, scale: float, depth: float) -> None:
    """Writes y = scale x where x is positive, else depth (e^x - 1); f.s is scratch."""
    np.minimum(f.x, 0, out=f.s)
    np.expm1(f.s, out=f.s)
    np.multiply(f.s, depth, out=f.s)
    np.maximum(f.x, 0, out=f.y)
    if scale != 1:
        np.multiply(f.y, scale, out=f.y)
    np.add(f.y, f.s, out=f.y)


def floored_slope(f: Frame, scale: float, depth: float) -> None:
    """Writes dx = dy times scale where x is positive, else times depth e^x; f.s is scratch."""
    np.minimum(f.x, 0, out=f.s)
    np.exp(f.s, out=f.s)
    np.multiply(f.s, depth, out=f.s)
    if scale != depth:
        np.greater(f.x, 0, out=f.dx)
        np.multiply(f.dx, scale - depth, out=f.dx)
        np.add(f.s, f.dx, out=f.s)
    np.multiply(f.s, f.dy, out=f.dx)


class Silu(Activation):
    """The input times its own sigmoid, x sigmoid(x); also called swish.

    Shapes   x, p, y: n ...
    Source   Elfwing, Uchibe & Doya 2018, eqs. 11 and 12; Ramachandran, Zoph & Le 2017
    Numerics 1 - p is a sigmoid of its own, so that nothing cancels. Where e^x itself is subnormal, left of -87 in
             float32 and of -708 in float64, y and its slope have its digits: off by up to |x| / 2 of the smallest
             number. Near -1.278 the slope passes through 0 and has the digits of its two terms
    """

    type: Literal["silu"] = "silu"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        slot = Slot((N, *x))
        return Plan(y=x, keep={"p": slot, "q": slot}, scratch={"s": slot})

    def forward(self, f: Frame, train: bool) -> None:
        stable.sigmoids(f.x, f.p, f.q, f.s)
        np.multiply(f.x, f.p, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.q, f.y, out=f.dx)  # q = 1 - p
        np.add(f.dx, f.p, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("p[n,...]", "1 / (1 + exp(-x[n,...]))", "sigmoid"),
            Eq("y[n,...]", "x[n,...] * p[n,...]", "definition"),
            Eq("dx[n,...]", "dy[n,...] * (p[n,...] + x[n,...] * p[n,...] * (1 - p[n,...]))", "product rule"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())


class Mish(Activation):
    """The input times the tanh of its softplus, x tanh(log(1 + e^x)).

    Shapes   x, e, u, y: n ...
    Source   Misra 2020, section 2
    Numerics tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2) with e = e^x, which takes one exponential in place of three
             functions and loses nothing; beyond x = 40 it is 1 and its slope 0 in either precision, so e stays there.
             1 - u^2 is v (2 - v) with v = 1 - u = 2 / (e (e + 2) + 2). Where e^x itself is subnormal, y and its slope
             are off by up to |x| / 2 of the smallest number, as silu's; the slope passes through 0 near -1.192
    """

    type: Literal["mish"] = "mish"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x: Shape) -> Plan:
        slot = Slot((N, *x))
        return Plan(y=x, keep={"e": slot, "u": slot, "v": slot}, scratch={"s": slot})

    def forward(self, f: Frame, train: bool) -> None:
        np.minimum(f.x, 40, out=f.e)
        np.exp(f.e, out=f.e)
        np.add(f.e, 2, out=f.u)
        np.multiply(f.u, f.e, out=f.u)
        np.add(f.u, 2, out=f.v)
        np.divide(f.u, f.v, out=f.u)
        np.divide(2, f.v, out=f.v)
        np.multiply(f.x, f.u, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        np.add(f.e, 1, out=f.s)
        np.divide(f.e, f.s, out=f.s)  # the sigmoid, slope of softplus
        np.minimum(f.x, 40, out=f.dx)
        np.multiply(f.s, f.dx, out=f.s)
        np.subtract(2, f.v, out=f.dx)
        np.multiply(f.dx, f.v, out=f.dx)  # 1 - u^2
        np.multiply(f.dx, f.s, out=f.dx)
        np.add(f.dx, f.u, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("u[n,...]", "tanh(log1pexp(x[n,...]))", "tanh of softplus"),
            Eq("y[n,...]", "x[n,...] * u[n,...]", "definition"),
            Eq(
                "dx[n,...]",
                "dy[n,...] * (u[n,...] + x[n,...] * (1 - u[n,...]**2) / (1 + exp(-x[n,...])))",
                "product rule; the slope of softplus is a sigmoid",
            ),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())


class Gelu(Activation):
    """The input times the chance that a normal variable lies below it, x Phi(x).

    Shapes   x, y: n ...
    Source   Hendrycks & Gimpel 2016, section 2; `approximate: tanh` is their closed form with tanh
    Numerics Phi of -|x| is e^(-x^2 / 2) r, with Mills' ratio r of numeric/stable.py; y = max(x, 0) - |x| Phi(-|x|) and
             its slope keep their digits to where they underflow; near -0.752 the slope passes through 0 and has the
             digits of its two terms. With tanh, Phi is sigmoid(2 u): its left tail has the relative error of u times
             2 u, up to 2 |u| units of the last place, because u is a rounded polynomial
    """

    type: Literal["gelu"] = "gelu"
    default_init: ClassVar[str] = "he_normal"
    rows_are_independent: ClassVar[bool] = True
    approximate: Literal["none", "tanh"] = Field("none", description="exact, or with tanh in place of erf")

    def plan(self, x: Shape) -> Plan:
        slot = Slot((N, *x))
        keep = ("p", "q", "c") if self.approximate == "tanh" else ("r", "root")
        return Plan(y=x, keep=dict.fromkeys(keep, slot), scratch=dict.fromkeys(("a", "s"), slot))

    def forward(self, f: Frame, train: bool) -> None:
        if self.approximate == "tanh":
            self._tanh_forward(f)
            return
        np.abs(f.x, out=f.a)
        np.minimum(f.a, stable.TAIL_END, out=f.a)
        stable.gauss_root(f.a, f.root, f.s, f.r)
        stable.mills(f.a, f.r, f.s)
        np.multiply(f.a, f.r, out=f.s)
        _under_bell(f)
        np.maximum(f.x, 0, out=f.y)
        np.subtract(f.y, f.s, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        if self.approximate == "tanh":
            self._tanh_backward(f)
            return
        np.abs(f.x, out=f.s)
        np.minimum(f.s, stable.TAIL_END, out=f.s)
        np.multiply(f.s, -1 / math.sqrt(2 * math.pi), out=f.s)
        np.add(f.s, f.r, out=f.s)
        _under_bell(f)  # the slope at -|x|, and 1 less the slope at |x|
        np.greater(f.x, 0, out=f.a)
        np.multiply(f.a, -2, out=f.dx)
        np.add(f.dx, 1, out=f.dx)
        np.multiply(f.dx, f.s, out=f.dx)
        np.add(f.dx, f.a, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def _tanh_forward(self, f: Frame) -> None:
        """Writes p = sigmoid(2 u) and q = sigmoid(-2 u), and c, which is x but for what is too far out to matter."""
        np.maximum(f.x, -FLAT, out=f.c)
        np.minimum(f.c, FLAT, out=f.c)
        np.multiply(f.c, f.c, out=f.a)
        np.multiply(f.a, 0.044715, out=f.a)
        np.add(f.a, 1, out=f.a)
        np.multiply(f.a, f.c, out=f.a)
        np.multiply(f.a, 2 * math.sqrt(2 / math.pi), out=f.a)
        stable.sigmoids(f.a, f.p, f.q, f.s)
        np.multiply(f.x, f.p, out=f.y)

    def _tanh_backward(self, f: Frame) -> None:
        np.multiply(f.c, f.c, out=f.s)
        np.multiply(f.s, 3 * 0.044715, out=f.s)
        np.add(f.s, 1, out=f.s)
        np.multiply(f.s, 2 * math.sqrt(2 / math.pi), out=f.s)
        np.multiply(f.s, f.q, out=f.s)
        np.multiply(f.s, f.y, out=f.s)
        np.add(f.s, f.p, out=f.s)
        np.multiply(f.dy, f.s, out=f.dx)

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
            Eq("cdf[n,...]", "erfc(-x[n,...] / sqrt(2)) / 2", "Phi, the normal distribution function"),
            Eq("y[n,...]", "x[n,...] * cdf[n,...]", "definition"),
            Eq(
                "dx[n,...]",
                "dy[n,...] * (cdf[n,...] + x[n,...] * exp(-x[n,...]**2 / 2) / sqrt(2 * pi))",
                "product rule; the slope of Phi is the normal density",
            ),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from standard(cls())
        yield from standard(cls(approximate="tanh"))
        yield Sample({"type": "gelu", "approximate": "erf"}, error="'none' or 'tanh'")


FLAT = 30.0
"""From here on, on either side, gelu with tanh is 0 or x to the last digit."""


def _under_bell(f: Frame) -> None:
    """Multiplies f.s by e^(-x^2 / 2)."""
    np.multiply(f.s, f.root, out=f.s)
    np.multiply(f.s, f.root, out=f.s)
