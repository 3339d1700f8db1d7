"""Steps that look at the sign of the gradient and not at its size."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Frame, GradientOptimizer, OneOf, Sample, Schedule
from bpcli.notation import Eq
from bpcli.parts.optimizers.sgd import FLUSH_EVERY, bad_rates, flush_subnormals, learning_rate_setting
from bpcli.parts.schedules import Constant


class Lion(GradientOptimizer):
    """Every weight moves by the learning rate, against the sign of a mix of momentum and gradient.

    Shapes   w, g, m: j
    Source   Chen et al. 2023, algorithm 2, without its weight decay; as Keras' Lion (PyTorch has none)
    Numerics momentum that has become subnormal is swept to 0, and the weight then stands still
    """

    type: Literal["lion"] = "lion"
    slots: ClassVar[tuple[str, ...]] = ("m",)
    scratch: ClassVar[tuple[str, ...]] = ("u", "q")
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(1e-4)
    beta1: float = Field(0.9, ge=0, lt=1, description="the momentum's share in the mix whose sign is taken")
    beta2: float = Field(0.99, ge=0, lt=1, description="how much of the momentum stays from step to step")

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.m, self.beta1, out=f.u)
        np.multiply(f.g, 1 - self.beta1, out=f.q)
        np.add(f.u, f.q, out=f.u)
        np.sign(f.u, out=f.q)  # in place it takes ten times as long: the loop is not vectorized
        np.multiply(f.q, lr, out=f.q)
        np.subtract(f.w, f.q, out=f.w)
        np.multiply(f.m, self.beta2, out=f.m)
        np.multiply(f.g, 1 - self.beta2, out=f.g)
        np.add(f.m, f.g, out=f.m)
        if t % FLUSH_EVERY == 0:
            flush_subnormals(f, "m")

    def equations(self) -> list[Eq]:
        return [
            Eq("w_new[j]", "w[j] - lr * sign(beta1 * m[j] + (1 - beta1) * g[j])", "all steps are equally long"),
            Eq("m_new[j]", "beta2 * m[j] + (1 - beta2) * g[j]", "a running mean of the gradient, slower than the mix"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (11,))
        yield Sample(cls(beta1=0.5, beta2=0.8), (5,))
        yield Sample(cls(), (5,), note="gradients of 0", inputs={"g": np.zeros(5), "m": np.array([0, 1, -1, 0, 1e-30])})
        yield Sample({"type": "lion", "beta1": 1.0}, error="less than 1")
        yield from bad_rates("lion")


class Rprop(GradientOptimizer):
    """A step length for each weight that grows while the gradient keeps its sign and shrinks when the sign changes.

    The learning rate is the length of the first step and nothing more. All rows make one step: the sign of a part of
    them is not the sign of all.

    Shapes   w, g, p, s: j; p is the sign of the gradient before, s the length of the step
    Source   Riedmiller & Braun 1993 in the form without back-tracking, where a gradient that changed its sign counts as
             0 (iRprop-: Igel & Huesken 2000, algorithm 4); as PyTorch's Rprop
    Numerics the sign is kept and not the gradient, so that no product of two small gradients underflows
    """

    type: Literal["rprop"] = "rprop"
    full_batch: ClassVar[bool] = True
    slots: ClassVar[tuple[str, ...]] = ("p", "s")
    scratch: ClassVar[tuple[str, ...]] = ("u", "q")
    learning_rate: Annotated[Schedule, OneOf()] = learning_rate_setting(0.01)
    shrink: float = Field(0.5, gt=0, lt=1, description="what a step is multiplied by where the sign changes")
    grow: float = Field(1.2, gt=1, description="what a step is multiplied by where the sign stays")
    min_step: float = Field(1e-6, gt=0, description="no step is shorter")
    max_step: float = Field(50.0, gt=0, description="no step is longer")

    @model_validator(mode="after")
    def _one_number_and_order(self) -> Self:
        if not isinstance(self.learning_rate, Constant):
            message = "the steps of rprop find their own length: its learning rate is the first one's, a number"
            raise PydanticCustomError("rprop_schedule", message)
        if self.min_step > self.max_step:
            raise PydanticCustomError("rprop_steps", "`min_step` is larger than `max_step`")
        return self

    def update(self, f: Frame, lr: float, t: int) -> None:
        if t == 1:
            f.s.fill(lr)
        np.sign(f.g, out=f.q)
        np.multiply(f.q, f.p, out=f.u)  # 1, 0 or -1: the sign is kept, there is none to compare with, it changed
        np.greater_equal(f.u, 0.0, out=f.p)
        np.multiply(f.p, f.q, out=f.p)
        np.abs(f.u, out=f.q)
        np.multiply(f.q, self.shrink - 1, out=f.q)
        np.add(f.q, 1.0, out=f.q)
        np.multiply(f.u, self.grow, out=f.u)
        np.maximum(f.u, f.q, out=f.u)
        np.multiply(f.s, f.u, out=f.s)
        np.maximum(f.s, self.min_step, out=f.s)
        np.minimum(f.s, self.max_step, out=f.s)
        np.multiply(f.p, f.s, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self) -> list[Eq]:
        return [
            Eq("kept[j]", "p[j] * sign(g[j])", "1: as before; -1: the sign changed, a valley was crossed"),
            Eq("before[j]", "where(t == 1, lr, s[j])", "the first steps are as long as the learning rate"),
            Eq("s_new[j]", "min(max(before[j] * where(kept[j] > 0, grow, where(kept[j] < 0, shrink, 1)), min_step), "
               "max_step)", "longer on the way, shorter after crossing"),
            Eq("p_new[j]", "where(kept[j] < 0, 0, sign(g[j]))", "a gradient that changed its sign counts as 0"),
            Eq("w_new[j]", "w[j] - s_new[j] * p_new[j]", "against the sign"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        before = {"p": np.array([1, -1, 0, 1, -1, 1, 0, -1, 1, -1, 1.0])}
        limits = {"g": np.array([1, -1, 1, 0, 1e-30]), "p": np.array([1, 1, 0, 1, 1.0]),
                "s": np.array([49, 1.5e-6, 1, 1, 1.0])}  # fmt: skip
        yield Sample(cls(), (11,), inputs=before)
        yield Sample(cls(shrink=0.3, grow=1.4, min_step=1e-3, max_step=0.3), (11,), inputs=before)
        yield Sample(cls(), (5,), note="at both ends", inputs=limits)
        yield Sample({"type": "rprop", "grow": 1.0}, error="greater than 1")
        yield Sample({"type": "rprop", "min_step": 1.0, "max_step": 0.5}, error="`min_step` is larger than `max_step`")
        yield Sample({"type": "rprop", "learning_rate": {"type": "cosine", "start": 0.1}}, error="a number")
        yield from bad_rates("rprop")
