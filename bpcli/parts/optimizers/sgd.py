"""Down the gradient: plainly, with a velocity, and with a velocity that looks ahead."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, GradientOptimizer, OneOf, Sample, Schedule
from bpcli.notation import Eq
from bpcli.numeric import stable
from bpcli.parts.schedules import Constant

FLUSH_EVERY = 128
"""Steps between two sweeps for subnormal numbers. An average of gradients that stay 0 (a closed relu) decays into them,
never to 0, and arithmetic on them is many times slower."""


def learning_rate_setting(value: float) -> Any:
    """Returns the setting `learning_rate` with this default."""
    return Field(Constant(value=value), description="the size of a step: a number or a schedule")


def bad_rates(kind: str) -> Iterator[Sample]:
    """Yields learning rates that no optimizer takes."""
    yield Sample({"type": kind, "learning_rate": 0.0}, error="greater than 0")
    yield Sample({"type": kind, "learning_rate": "fast"}, error="unknown schedule `fast`")


def flush_subnormals(f: Frame, *averages: str) -> None:
    """Sets what has decayed into the subnormal numbers to 0; works in f.u."""
    for name in averages:
        stable.flush(getattr(f, name), f.u)


class Sgd(GradientOptimizer):
    """Plain gradient descent: against the gradient, `learning_rate` times its length.

    Shapes   w, g: j
    Source   Rumelhart, Hinton & Williams 1986, eq. 8; as PyTorch's SGD
    """

    type: Literal["sgd"] = "sgd"
    one_rate: ClassVar[bool] = True
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.01)

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.g, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self) -> list[Eq]:
        return [Eq("w_new[j]", "w[j] - lr * g[j]", "downhill")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield from bad_rates("sgd")


class VelocityOptimizer(GradientOptimizer):
    """Gradient descent with a velocity that adds up past gradients and forgets them by the factor mu."""

    one_rate: ClassVar[bool] = True
    slots: ClassVar[tuple[str, ...]] = ("v",)
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    looks_ahead: ClassVar[bool]
    step: ClassVar[Eq]
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.01)
    mu: float = Field(0.9, ge=0, lt=1, description="how much of the velocity stays from step to step")

    def update(self, f: Frame, lr: float, t: int) -> None:
        v, g, u, w, mu = f.v, f.g, f.u, f.w, self.mu  # of few weights, every look into a frame counts
        np.multiply(v, mu, out=v)
        np.add(v, g, out=v)
        if self.looks_ahead:
            np.multiply(v, mu, out=u)
            np.add(u, g, out=u)
            np.multiply(u, lr, out=u)
        else:
            np.multiply(v, lr, out=u)
        np.subtract(w, u, out=w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "v")

    def equations(self) -> list[Eq]:
        return [Eq("v_new[j]", "mu * v[j] + g[j]", "the velocity"), self.step]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        kind = str(cls.model_fields["type"].default)
        yield Sample(cls(), (11,))
        yield Sample({"type": kind, "mu": 1.0}, error="less than 1")
        yield from bad_rates(kind)


class Momentum(VelocityOptimizer):
    """Gradient descent with a velocity that adds up past gradients and forgets them by the factor mu.

    Shapes   w, g, v: j
    Source   Polyak 1964; Rumelhart, Hinton & Williams 1986, eq. 9; in PyTorch's form, the rate outside the velocity
    Numerics a velocity that has become subnormal is swept to 0
    """

    type: Literal["momentum"] = "momentum"
    looks_ahead: ClassVar[bool] = False
    step: ClassVar[Eq] = Eq("w_new[j]", "w[j] - lr * v_new[j]", "along it")


class Nesterov(VelocityOptimizer):
    """Momentum that looks ahead: the step is the gradient and what the velocity will make of it.

    Shapes   w, g, v: j
    Source   Nesterov 1983; Sutskever, Martens, Dahl & Hinton 2013, eqs. 3-4, in the variable they look ahead to and
             with the rate outside the velocity, as PyTorch's SGD(nesterov=True)
    Numerics a velocity that has become subnormal is swept to 0
    """

    type: Literal["nesterov"] = "nesterov"
    looks_ahead: ClassVar[bool] = True
    step: ClassVar[Eq] = Eq(
        "w_new[j]", "w[j] - lr * (g[j] + mu * v_new[j])", "the gradient, and the velocity one step on"
    )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls(mu=0.5), (1,), note="one weight")
