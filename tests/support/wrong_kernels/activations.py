"""Mistakes people make in activations: what stands in for the slope dx / dy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.family import Layer
from bpcli.family.plan import Frame
from bpcli.numeric import stable
from bpcli.parts.activations import (
    Elu,
    Gelu,
    HardSigmoid,
    HardTanh,
    LeakyRelu,
    Mish,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from wrong_kernels.catalogue import BOTH_EQUATIONS, wrong

Slope = Callable[[Any, Frame], Any]
CUBE = 0.044715  # in gelu's approximation by tanh


def logistic(z: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


def normal(x: Any) -> Any:
    return stable.erfc(-x / np.sqrt(2)) / 2


def expo(x: Any) -> Any:
    return np.exp(np.minimum(x, 0))


IN_A_NETWORK: list[tuple[str, type[Layer], Slope, str]] = [
    ("of the output", Sigmoid, lambda s, f: logistic(f.y) * (1 - logistic(f.y)), "at the output y"),
    ("without one minus", Sigmoid, lambda s, f: f.y, r"factor \(?1 - y.* left out"),
    ("forgotten", Sigmoid, lambda s, f: 1, "slope is forgotten"),
    ("square of the input", Tanh, lambda s, f: 1 - f.x**2, "x is (put in|read)"),
    ("not squared", Tanh, lambda s, f: 1 - f.y, "power is left out"),
    ("plus for minus", Tanh, lambda s, f: 1 + f.y**2, "sign"),
    ("passes all", Relu, lambda s, f: 1, "slope is forgotten|gate"),
    ("gate turned", Relu, lambda s, f: f.x < 0, "branches are exchanged"),
    ("leak forgotten", LeakyRelu, lambda s, f: f.x > 0, "slope = 0.01 is taken for 0"),
    ("without density", Gelu, lambda s, f: normal(f.x), r"cdf.*only|only.*cdf|left out"),
    ("the sigmoid as if constant", Silu, lambda s, f: f.p, "left out"),
    ("beta forgotten", Softplus, lambda s, f: logistic(f.x), "beta"),
    ("diagonal", Softmax, lambda s, f: f.y * (1 - f.y), "its own input"),
    ("mean not taken off", Softmax, lambda s, f: f.y, "term .* left out"),
]
SLOPES: list[tuple[str, type[Layer], Slope]] = [
    ("leaks where it is open", LeakyRelu, lambda s, f: np.where(f.x > 0, s.slope, 1)),
    ("gate from the gradient", LeakyRelu, lambda s, f: np.where(f.dy > 0, 1, s.slope)),
    ("alpha forgotten", Elu, lambda s, f: np.where(f.x > 0, 1, expo(f.x))),
    ("y + 1 for y + alpha", Elu, lambda s, f: np.where(f.x > 0, 1, f.y + 1)),
    ("slope of the output", Elu, lambda s, f: np.where(f.x > 0, 1, s.alpha * expo(f.y))),
    ("scale forgotten", Selu, lambda s, f: np.where(f.x > 0, 1, 1.6732632423543772 * expo(f.x))),
    ("scale below only", Selu, lambda s, f: np.where(f.x > 0, 1, 1.7580993408473766 * expo(f.x))),
    ("the slope of sigmoid alone", Silu, lambda s, f: f.p * (1 - f.p)),
    ("missing 1 - p", Silu, lambda s, f: f.p + f.x * f.p),
    ("tanh as if constant", Mish, lambda s, f: f.u),
    ("the slope of softplus forgotten", Mish, lambda s, f: f.u + f.x * (1 - f.u**2)),
    ("1 - z^2 for tanh", Mish, lambda s, f: f.u + f.x * (1 - f.x**2) * logistic(f.x)),
    ("not squared", Softsign, lambda s, f: 1 / f.s),
    ("of the output", Softsign, lambda s, f: 1 / (1 + np.abs(f.y)) ** 2),
    ("sign in the denominator", Softsign, lambda s, f: 1 / (1 - np.minimum(f.x, 0)) ** 2),
    ("never closed", HardTanh, lambda s, f: 1),
    ("closed on one side", HardTanh, lambda s, f: f.x < 1),
    ("a slope of 0.2", HardSigmoid, lambda s, f: 0.2 * (np.abs(f.x) < 3)),
    ("closed at 1", HardSigmoid, lambda s, f: (np.abs(f.x) < 1) / 6),
    ("no 3 in the slope of the cube, by its distribution", Gelu,
     lambda s, f: normal(f.x) + f.x * 2 * normal(f.x) * normal(-f.x) * np.sqrt(2 / np.pi) * (1 + CUBE * f.x**2)),
]  # fmt: skip
AT_KINKS: list[tuple[str, type[Layer], Slope]] = [
    ("open at 0", LeakyRelu, lambda s, f: np.where(f.x >= 0, 1, s.slope)),
    ("open at 0", Elu, lambda s, f: np.where(f.x >= 0, 1, s.alpha * expo(f.x))),
    ("open at 0", Selu, lambda s, f: 1.0507009873554805 * np.where(f.x >= 0, 1, 1.6732632423543772 * expo(f.x))),
    ("open at the corners", HardTanh, lambda s, f: np.abs(f.x) <= 1),
    ("open at the corners", HardSigmoid, lambda s, f: (np.abs(f.x) <= 3) / 6),
]


def backward(slope: Slope) -> Callable[..., None]:
    def wrong_backward(self: Any, f: Frame, train: bool) -> None:
        f.dx[...] = f.dy * slope(self, f)

    return wrong_backward


for what, part, slope, cause in IN_A_NETWORK:
    kind = part.model_fields["type"].default
    wrong(part, kind, f"{kind}_1.dx", cause, name=what)(backward(slope))
for what, part, slope in SLOPES:
    wrong(part, name=what)(backward(slope))
for what, part, slope in AT_KINKS:
    wrong(part, seen_by=BOTH_EQUATIONS, name=what)(backward(slope))


@wrong(Relu, "relu", "relu_1.dx", "error dy", "linear")
def relu_gate_from_the_gradient(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.dy > 0)


@wrong(Relu, "relu", "relu_1.dx", "both sides are equal", seen_by=BOTH_EQUATIONS)
def relu_open_at_zero(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.x >= 0)


@wrong(Sigmoid, "sigmoid", "sigmoid_1.dx", "sum over all of them")
def dot_for_times(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = np.vdot(f.dy, f.y * (1 - f.y))


@wrong(Gelu, "gelu tanh", "gelu_1.dx", "x.*2.* left out.* in slope")
def gelu_inner_slope_constant(self: Gelu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.p + 2 * f.x * f.p * f.q * np.sqrt(2 / np.pi))


@wrong(Gelu, "gelu tanh", "gelu_1.dx", "factor 3 is left out")
def gelu_cube_not_differentiated(self: Gelu, f: Frame, train: bool) -> None:
    inner = np.sqrt(2 / np.pi) * (1 + CUBE * f.x**2)
    f.dx[...] = f.dy * (f.p + 2 * f.x * f.p * f.q * inner)


@wrong(Softmax, "softmax", "softmax_1.dx", "axis")
def softmax_along_the_rows(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.y * (f.dy - (f.dy * f.y).sum(0))
