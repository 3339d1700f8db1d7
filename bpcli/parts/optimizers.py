"""Optimizers, easiest first: in place over the flat vectors, elementwise, one NumPy call a term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Optimizer, Schedule
from bpcli.numeric import stable
from bpcli.numeric.notation import Eq
from bpcli.part import OneOf
from bpcli.parts.schedules import Constant
from bpcli.plan import Frame, Sample

FLUSH_EVERY = 128
"""Steps between two sweeps for subnormal numbers. An average of gradients that stay 0 (a closed relu) decays into them,
never to 0, and arithmetic on them is many times slower."""


def _rate(value: float) -> Any:
    return Field(Constant(value=value), description="the size of a step: a number or a schedule")


def _bad(kind: str) -> Iterator[Sample]:
    yield Sample({"type": kind, "learning_rate": 0.0}, error="greater than 0")
    yield Sample({"type": kind, "learning_rate": "fast"}, error="unknown schedule `fast`")


class Sgd(Optimizer):
    """Plain gradient descent: against the gradient, `learning_rate` times its length.

    Shapes   w, g: j
    Source   Rumelhart, Hinton & Williams 1986, eq. 8; as PyTorch's SGD
    """

    type: Literal["sgd"] = "sgd"
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = _rate(0.01)

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.g, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self) -> list[Eq]:
        return [Eq("w_new[j]", "w[j] - lr * g[j]", "downhill")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield from _bad("sgd")


class Momentum(Optimizer):
    """Gradient descent with a velocity that adds up past gradients and forgets them by the factor mu.

    Shapes   w, g, v: j
    Source   Polyak 1964; Rumelhart, Hinton & Williams 1986, eq. 9; in PyTorch's form, the rate outside the velocity
    """

    type: Literal["momentum"] = "momentum"
    slots: ClassVar[tuple[str, ...]] = ("v",)
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = _rate(0.01)
    mu: float = Field(0.9, ge=0, lt=1, description="how much of the velocity stays from step to step")

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.v, self.mu, out=f.v)
        np.add(f.v, f.g, out=f.v)
        np.multiply(f.v, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)
        if t % FLUSH_EVERY == 0:
            stable.flush(f.v, f.u)

    def equations(self) -> list[Eq]:
        return [
            Eq("v_new[j]", "mu * v[j] + g[j]", "the velocity"),
            Eq("w_new[j]", "w[j] - lr * v_new[j]", "along it"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"mu": self.mu}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample({"type": "momentum", "mu": 1.0}, error="less than 1")
        yield from _bad("momentum")


class Adam(Optimizer):
    """A step for each weight by the mean of its gradients over the root of the mean of their squares.

    Shapes   w, g, m, v: j
    Source   Kingma & Ba 2015, algorithm 1; as PyTorch's Adam, eps added to the bias-corrected root
    Numerics the two bias corrections are folded into the rate and into eps; subnormal averages are swept to 0
    """

    type: Literal["adam"] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = _rate(0.001)
    beta1: float = Field(0.9, ge=0, lt=1, description="how much of the mean gradient stays from step to step")
    beta2: float = Field(0.999, ge=0, lt=1, description="how much of the mean squared gradient stays")
    eps: float = Field(1e-8, gt=0, description="keeps the division finite where gradients have been 0")

    def update(self, f: Frame, lr: float, t: int) -> None:
        root = math.sqrt(1 - self.beta2**t)
        np.multiply(f.m, self.beta1, out=f.m)
        np.multiply(f.g, 1 - self.beta1, out=f.u)
        np.add(f.m, f.u, out=f.m)
        np.multiply(f.v, self.beta2, out=f.v)
        np.multiply(f.g, f.g, out=f.g)
        np.multiply(f.g, 1 - self.beta2, out=f.g)
        np.add(f.v, f.g, out=f.v)
        np.sqrt(f.v, out=f.u)
        np.add(f.u, self.eps * root, out=f.u)
        np.divide(f.m, f.u, out=f.u)
        np.multiply(f.u, lr * root / (1 - self.beta1**t), out=f.u)
        np.subtract(f.w, f.u, out=f.w)
        if t % FLUSH_EVERY == 0:
            stable.flush(f.m, f.u)
            stable.flush(f.v, f.u)

    def equations(self) -> list[Eq]:
        return [
            Eq("m_new[j]", "beta1 * m[j] + (1 - beta1) * g[j]", "a running mean of the gradient"),
            Eq("v_new[j]", "beta2 * v[j] + (1 - beta2) * g[j]**2", "and of its square"),
            Eq("mhat[j]", "m_new[j] / (1 - beta1**t)", "bias correction: both began at 0"),
            Eq("vhat[j]", "v_new[j] / (1 - beta2**t)", "bias correction"),
            Eq("w_new[j]", "w[j] - lr * mhat[j] / (sqrt(vhat[j]) + eps)", "a step of about lr, whatever the scale"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.9, eps=1e-3), (5,))
        yield Sample({"type": "adam", "beta2": 1.0}, error="less than 1")
        yield Sample({"type": "adam", "eps": 0.0}, error="greater than 0")
        yield from _bad("adam")
