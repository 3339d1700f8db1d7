"""Adam and its variants: a running mean of the gradient, measured by a running mean of its size."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, GradientOptimizer, OneOf, Sample, Schedule
from bpcli.notation import Eq
from bpcli.parts.optimizers.sgd import FLUSH_EVERY, bad_rates, flush_subnormals, learning_rate_setting

MEANS = (
    Eq("m_new[j]", "beta1 * m[j] + (1 - beta1) * g[j]", "a running mean of the gradient"),
    Eq("v_new[j]", "beta2 * v[j] + (1 - beta2) * g[j]**2", "and of its square"),
)
MHAT = Eq("mhat[j]", "m_new[j] / (1 - beta1**t)", "bias correction: both began at 0")
VHAT = Eq("vhat[j]", "v_new[j] / (1 - beta2**t)", "bias correction")


def _means(f: Frame, beta1: float, beta2: float) -> None:
    """Updates both running means; the gradient stays as it is."""
    m, v, g, u = f.m, f.v, f.g, f.u  # of few weights, every look into a frame counts
    np.multiply(m, beta1, out=m)
    np.multiply(g, 1 - beta1, out=u)
    np.add(m, u, out=m)
    np.multiply(v, beta2, out=v)
    np.multiply(g, g, out=u)
    np.multiply(u, 1 - beta2, out=u)
    np.add(v, u, out=v)


def _step(f: Frame, size: float, square: Any, eps: float) -> None:
    """Takes a step: w -= size m / (sqrt(square) + eps)."""
    np.sqrt(square, out=f.u)
    np.add(f.u, eps, out=f.u)
    np.divide(f.m, f.u, out=f.u)
    np.multiply(f.u, size, out=f.u)
    np.subtract(f.w, f.u, out=f.w)


def _bad_settings(kind: str) -> Iterator[Sample]:
    yield Sample({"type": kind, "beta2": 1.0}, error="less than 1")
    yield Sample({"type": kind, "eps": 0.0}, error="greater than 0")
    yield from bad_rates(kind)


class MomentOptimizer(GradientOptimizer):
    """Keeps running means of the gradient and, most of them, of its square."""

    scratch: ClassVar[tuple[str, ...]] = ("u",)
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.001)
    beta1: float = Field(0.9, ge=0, lt=1, description="how much of the mean gradient stays from step to step")
    beta2: float = Field(0.999, ge=0, lt=1, description="how much of the mean squared gradient stays")
    eps: float = Field(1e-8, gt=0, description="keeps the division finite where gradients have been 0")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")


class Adam(MomentOptimizer):
    """A step for each weight by the mean of its gradients over the root of the mean of their squares.

    Shapes   w, g, m, v, vmax: j
    Source   Kingma & Ba 2015, algorithm 1; `amsgrad`: Reddi, Kale & Kumar 2018, algorithm 2, the largest v taken before
             its bias correction; as PyTorch's Adam, eps added to the bias-corrected root
    Numerics the two bias corrections are folded into the rate and into eps; subnormal averages are swept to 0
    """

    type: Literal["adam"] = "adam"
    amsgrad: bool = Field(False, description="whether the largest mean square so far divides, so that no step grows")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v", "vmax") if self.amsgrad else ("m", "v")

    def update(self, f: Frame, lr: float, t: int) -> None:
        root = math.sqrt(1 - self.beta2**t)
        _means(f, self.beta1, self.beta2)
        if self.amsgrad:
            np.maximum(f.vmax, f.v, out=f.vmax)
        _step(f, lr * root / (1 - self.beta1**t), f.vmax if self.amsgrad else f.v, self.eps * root)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m", "v")

    def equations(self) -> list[Eq]:
        if self.amsgrad:
            largest = Eq("vmax_new[j]", "max(vmax[j], v_new[j])", "the largest so far")
            middle = [largest, MHAT, Eq("vhat[j]", "vmax_new[j] / (1 - beta2**t)", "bias correction")]
        else:
            middle = [MHAT, VHAT]
        last = Eq("w_new[j]", "w[j] - lr * mhat[j] / (sqrt(vhat[j]) + eps)", "a step of about lr, whatever the scale")
        return [*MEANS, *middle, last]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.9, eps=1e-3), (5,))
        yield Sample(cls(beta2=0.5, amsgrad=True), (11,), note="amsgrad")
        yield from _bad_settings("adam")


class AdamW(MomentOptimizer):
    """Adam with decay beside the gradient: every weight first loses the share `learning_rate * decay` of itself.

    Biases and gains do not decay: it takes what a penalty would.

    Shapes   w, g, m, v: j, of which the first D decay
    Source   Loshchilov & Hutter 2019, algorithm 2, the decay times the learning rate, as PyTorch's AdamW (which lets
             biases decay too)
    Numerics as adam
    """

    type: Literal["adamw"] = "adamw"
    decay: float = Field(0.01, ge=0, description="the share, times the learning rate, that each weight loses in a step")

    def update(self, f: Frame, lr: float, t: int) -> None:
        root = math.sqrt(1 - self.beta2**t)
        if f.D:
            weights = f.w[: f.D]
            np.multiply(weights, 1 - lr * self.decay, out=weights)
        _means(f, self.beta1, self.beta2)
        _step(f, lr * root / (1 - self.beta1**t), f.v, self.eps * root)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m", "v")

    def equations(self) -> list[Eq]:
        return [
            Eq("kept[j]", "w[j] * (1 - lr * decay * (j < D))", "decay first, of weights and not of biases"),
            *MEANS,
            MHAT,
            VHAT,
            Eq("w_new[j]", "kept[j] - lr * mhat[j] / (sqrt(vhat[j]) + eps)", "adam's step"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.9, eps=1e-3, decay=2.0), (5,))
        yield Sample({"type": "adamw", "decay": -0.1}, error="greater than or equal to 0")
        yield from _bad_settings("adamw")


_latest: dict[tuple[float, float], tuple[int, float, float, float]] = {}


def momenta(beta1: float, psi: float, t: int) -> tuple[float, float, float]:
    """Returns mu_t, mu_(t+1) and mu_1 mu_2 ... mu_t: functions of t, found from those of the step before where that was
    asked for last."""
    start = 0, 0.0, beta1 * (1 - 0.5 * math.pow(0.96, psi)), 1.0
    done, mu, ahead, product = _latest.get((beta1, psi), start)
    if done > t:
        done, mu, ahead, product = start
    if done < t:
        for i in range(done + 1, t + 1):
            mu, ahead = ahead, beta1 * (1 - 0.5 * math.pow(0.96, (i + 1) * psi))
            product *= mu
        _latest[beta1, psi] = t, mu, ahead, product
    return mu, ahead, product


class Nadam(MomentOptimizer):
    """Adam that looks ahead as nesterov does, with a momentum that warms up to beta1.

    Shapes   w, g, m, v: j
    Source   Dozat 2016, algorithm 2 with its momentum schedule (psi there is 0.004); as PyTorch's NAdam
    Numerics the bias correction of v is folded into the rate and into eps; subnormal averages are swept to 0
    """

    type: Literal["nadam"] = "nadam"
    scratch: ClassVar[tuple[str, ...]] = ("u", "q")
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.002)
    psi: float = Field(4e-3, ge=0, description="how fast the momentum warms up, from half of beta1 to beta1")

    def update(self, f: Frame, lr: float, t: int) -> None:
        root = math.sqrt(1 - self.beta2**t)
        mu, ahead, product = momenta(self.beta1, self.psi, t)
        _means(f, self.beta1, self.beta2)
        np.sqrt(f.v, out=f.u)
        np.add(f.u, self.eps * root, out=f.u)
        np.multiply(f.g, lr * root * (1 - mu) / (1 - product), out=f.g)
        np.multiply(f.m, lr * root * ahead / (1 - product * ahead), out=f.q)
        np.add(f.g, f.q, out=f.g)
        np.divide(f.g, f.u, out=f.u)
        np.subtract(f.w, f.u, out=f.w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m", "v")

    def equations(self) -> list[Eq]:
        return [
            *MEANS,
            Eq("mu", "beta1 * (1 - 0.5 * 0.96**(t * psi))", "momentum that warms up"),
            Eq("ahead", "beta1 * (1 - 0.5 * 0.96**((t + 1) * psi))", "that of the next step"),
            Eq("product", "prod(s<t, beta1 * (1 - 0.5 * 0.96**((s + 1) * psi)))", "all of it so far"),
            VHAT,
            Eq("look[j]", "(1 - mu) * g[j] / (1 - product) + ahead * m_new[j] / (1 - product * ahead)",
               "the gradient, and the mean one step on"),
            Eq("w_new[j]", "w[j] - lr * look[j] / (sqrt(vhat[j]) + eps)", "a step of about lr, whatever the scale"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.9, eps=1e-3, psi=1.0), (5,))
        yield Sample({"type": "nadam", "psi": -1.0}, error="greater than or equal to 0")
        yield from _bad_settings("nadam")


class Adamax(MomentOptimizer):
    """Adam measured by the largest gradient of late in place of the mean square.

    Shapes   w, g, m, r: j
    Source   Kingma & Ba 2015, algorithm 2; eps is added to the gradient's size, as PyTorch's Adamax
    Numerics subnormal averages are swept to 0
    """

    type: Literal["adamax"] = "adamax"
    slots: ClassVar[tuple[str, ...]] = ("m", "r")
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.002)
    beta2: float = Field(0.999, ge=0, lt=1, description="how much of the largest size stays")

    def update(self, f: Frame, lr: float, t: int) -> None:
        m, r, g, u, w, beta1 = f.m, f.r, f.g, f.u, f.w, self.beta1  # of few weights, every look into a frame counts
        np.multiply(m, beta1, out=m)
        np.multiply(g, 1 - beta1, out=u)
        np.add(m, u, out=m)
        np.multiply(r, self.beta2, out=r)
        np.abs(g, out=u)
        np.add(u, self.eps, out=u)
        np.maximum(r, u, out=r)
        np.divide(m, r, out=u)
        np.multiply(u, lr / (1 - beta1**t), out=u)
        np.subtract(w, u, out=w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m")

    def equations(self) -> list[Eq]:
        return [
            MEANS[0],
            Eq("r_new[j]", "max(beta2 * r[j], abs(g[j]) + eps)", "the largest size of late, slowly forgotten"),
            MHAT,
            Eq("w_new[j]", "w[j] - lr * mhat[j] / r_new[j]", "a step of at most about lr"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.7, eps=0.1), (11,))
        yield from _bad_settings("adamax")


class Radam(MomentOptimizer):
    """Adam whose first steps are plain momentum, until the mean square is known well enough to divide by.

    Shapes   w, g, m, v: j
    Source   Liu et al. 2020, algorithm 2, dividing where rho > 5 (the paper: 4) and with eps added to the root before
             its bias correction, as PyTorch's RAdam
    Numerics subnormal averages are swept to 0
    """

    type: Literal["radam"] = "radam"

    def update(self, f: Frame, lr: float, t: int) -> None:
        size, power, last = lr / (1 - self.beta1**t), self.beta2**t, 2 / (1 - self.beta2) - 1
        rho = last - 2 * t * power / (1 - power)
        _means(f, self.beta1, self.beta2)
        if rho > 5:
            rectified = (rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho)
            _step(f, size * math.sqrt(rectified * (1 - power)), f.v, self.eps)
        else:
            np.multiply(f.m, size, out=f.u)
            np.subtract(f.w, f.u, out=f.w)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m", "v")

    def equations(self) -> list[Eq]:
        return [
            *MEANS,
            MHAT,
            Eq("rho_end", "2 / (1 - beta2) - 1", "how many steps v remembers in the end"),
            Eq("rho", "rho_end - 2 * t * beta2**t / (1 - beta2**t)", "and how many by now"),
            Eq("rectify", "where(rho > 5, sqrt((rho - 4) * (rho - 2) * rho_end / "
               "((rho_end - 4) * (rho_end - 2) * rho)), 0)", "small while v is uncertain"),
            Eq("w_new[j]", "w[j] - lr * mhat[j] * where(rho > 5, "
               "rectify * sqrt(1 - beta2**t) / (sqrt(v_new[j]) + eps), 1)", "too few: momentum; enough: adam"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,), note="too early to divide")
        yield Sample(cls(), (11,), note="late", inputs={"t": 40})
        yield Sample(cls(beta1=0.5, beta2=0.9, eps=1e-3), (5,), note="late, other settings", inputs={"t": 40})
        yield from _bad_settings("radam")
