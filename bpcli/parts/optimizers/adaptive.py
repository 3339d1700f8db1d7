"""A rate for each weight: the step is measured by the gradients that the weight has seen."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, GradientOptimizer, OneOf, Sample, Schedule
from bpcli.notation import Eq
from bpcli.parts.optimizers.sgd import FLUSH_EVERY, bad_rates, flush_subnormals, learning_rate_setting
from bpcli.parts.schedules import Constant


class Adagrad(GradientOptimizer):
    """A step for each weight by its gradient over the root of the sum of all its squared gradients.

    Shapes   w, g, s: j
    Source   Duchi, Hazan & Singer 2011, fig. 1 with diagonal matrices; s begins at 0 and eps is added to the root, as
             PyTorch's Adagrad (others begin at 0.1, or add eps inside the root)
    """

    type: Literal["adagrad"] = "adagrad"
    slots: ClassVar[tuple[str, ...]] = ("s",)
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.01)
    eps: float = Field(1e-10, gt=0, description="keeps the division finite where gradients have been 0")

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.g, f.g, out=f.u)
        np.add(f.s, f.u, out=f.s)
        np.sqrt(f.s, out=f.u)
        np.add(f.u, self.eps, out=f.u)
        np.divide(f.g, f.u, out=f.u)
        np.multiply(f.u, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self) -> list[Eq]:
        return [
            Eq("s_new[j]", "s[j] + g[j]**2", "every squared gradient so far, added up"),
            Eq("w_new[j]", "w[j] - lr * g[j] / (sqrt(s_new[j]) + eps)", "steps that grow shorter"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(eps=0.3), (5,))
        yield Sample({"type": "adagrad", "eps": 0.0}, error="greater than 0")
        yield from bad_rates("adagrad")


class Rmsprop(GradientOptimizer):
    """A step for each weight by its gradient over the root of a running mean of its squared gradients.

    Shapes   w, g, v, a, b: j
    Source   Tieleman & Hinton 2012, lecture 6e; `centered`: Graves 2013, eqs. 38-40; eps is added to the root, as
             PyTorch's RMSprop
    Numerics where rounding makes the centered mean square negative it counts as 0; subnormal averages are swept to 0
    """

    type: Literal["rmsprop"] = "rmsprop"
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.01)
    alpha: float = Field(0.99, ge=0, lt=1, description="how much of the mean squared gradient stays")
    eps: float = Field(1e-8, gt=0, description="keeps the division finite where gradients have been 0")
    momentum: float = Field(0.0, ge=0, lt=1, description="how much of a velocity stays; 0: there is none")
    centered: bool = Field(False, description="whether the mean gradient is taken off: divides by a deviation")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("v", *("a",) * self.centered, *("b",) * (self.momentum > 0))

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.v, self.alpha, out=f.v)
        np.multiply(f.g, f.g, out=f.u)
        np.multiply(f.u, 1 - self.alpha, out=f.u)
        np.add(f.v, f.u, out=f.v)
        if self.centered:
            np.multiply(f.a, self.alpha, out=f.a)
            np.multiply(f.g, 1 - self.alpha, out=f.u)
            np.add(f.a, f.u, out=f.a)
            np.multiply(f.a, f.a, out=f.u)
            np.subtract(f.v, f.u, out=f.u)
            np.maximum(f.u, 0.0, out=f.u)
            np.sqrt(f.u, out=f.u)
        else:
            np.sqrt(f.v, out=f.u)
        np.add(f.u, self.eps, out=f.u)
        np.divide(f.g, f.u, out=f.u)
        if self.momentum > 0:
            np.multiply(f.b, self.momentum, out=f.b)
            np.add(f.b, f.u, out=f.b)
            np.multiply(f.b, lr, out=f.u)
        else:
            np.multiply(f.u, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, *self.slots)

    def equations(self) -> list[Eq]:
        found = [Eq("v_new[j]", "alpha * v[j] + (1 - alpha) * g[j]**2", "a running mean of the squared gradient")]
        square = "v_new[j]"
        if self.centered:
            found.append(Eq("a_new[j]", "alpha * a[j] + (1 - alpha) * g[j]", "and of the gradient"))
            found.append(Eq("var[j]", "max(v_new[j] - a_new[j]**2, 0)", "their variance"))
            square = "var[j]"
        step = f"g[j] / (sqrt({square}) + eps)"
        if self.momentum > 0:
            found.append(Eq("b_new[j]", f"momentum * b[j] + {step}", "a velocity of scaled gradients"))
            step = "b_new[j]"
        return [*found, Eq("w_new[j]", f"w[j] - lr * {step}", "a step of about lr, whatever the scale")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(alpha=0.5, eps=1e-3, momentum=0.8), (11,))
        means = np.linspace(-0.3, 0.3, 11)
        yield Sample(cls(alpha=0.9, centered=True), (11,), note="centered", inputs={"a": means})
        yield Sample(cls(alpha=0.9, centered=True, momentum=0.5), (11,), note="centered, momentum", inputs={"a": means})
        yield Sample({"type": "rmsprop", "alpha": 1.0}, error="less than 1")
        yield Sample({"type": "rmsprop", "momentum": -0.1}, error="greater than or equal to 0")
        yield from bad_rates("rmsprop")


class Adadelta(GradientOptimizer):
    """A step for each weight in the weight's own unit: the size of its past steps over the size of its gradients.

    Shapes   w, g, v, r: j
    Source   Zeiler 2012, algorithm 1; with a learning rate (1: the paper's), as PyTorch's Adadelta
    Numerics subnormal averages are swept to 0
    """

    type: Literal["adadelta"] = "adadelta"
    slots: ClassVar[tuple[str, ...]] = ("v", "r")
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(1.0)
    rho: float = Field(0.9, ge=0, lt=1, description="how much of the two mean squares stays from step to step")
    eps: float = Field(1e-6, gt=0, description="inside both roots: sets the size of the first steps")

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.v, self.rho, out=f.v)
        np.multiply(f.g, f.g, out=f.u)
        np.multiply(f.u, 1 - self.rho, out=f.u)
        np.add(f.v, f.u, out=f.v)
        np.add(f.v, self.eps, out=f.u)
        np.sqrt(f.u, out=f.u)
        np.divide(f.g, f.u, out=f.g)
        np.add(f.r, self.eps, out=f.u)
        np.sqrt(f.u, out=f.u)
        np.multiply(f.g, f.u, out=f.g)
        np.multiply(f.r, self.rho, out=f.r)
        np.multiply(f.g, f.g, out=f.u)
        np.multiply(f.u, 1 - self.rho, out=f.u)
        np.add(f.r, f.u, out=f.r)
        np.multiply(f.g, lr, out=f.g)
        np.subtract(f.w, f.g, out=f.w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "v", "r")

    def equations(self) -> list[Eq]:
        return [
            Eq("v_new[j]", "rho * v[j] + (1 - rho) * g[j]**2", "a running mean of the squared gradient"),
            Eq("step[j]", "sqrt(r[j] + eps) / sqrt(v_new[j] + eps) * g[j]", "the unit of the weight, not of 1/weight"),
            Eq("r_new[j]", "rho * r[j] + (1 - rho) * step[j]**2", "a running mean of the squared step"),
            Eq("w_new[j]", "w[j] - lr * step[j]", "downhill"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(learning_rate=Constant(value=0.2), rho=0.95, eps=1e-4), (5,))
        yield Sample({"type": "adadelta", "rho": 1.0}, error="less than 1")
        yield from bad_rates("adadelta")
