"""Penalties on weights (not on biases and gains); their value is part of the loss, and so is differentiated."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Regularizer, Sample
from bpcli.notation import Eq

TIES = [-1.5, 0.0, 0.5, -0.0, 2.0]
"""Weights exactly on the kink at 0."""


def _strength() -> Any:
    return Field(ge=0, description="lambda, how strongly weights are drawn to 0")


class L2(Regularizer):
    """Half the squared size of the weights, (strength / 2) sum w^2; draws every weight towards 0 in proportion to it.

    Shapes   w: j, the weights laid end to end
    Source   SEMANTICS; Krogh & Hertz 1992, eq. 2; PyTorch's weight_decay of the plain optimizers has this gradient
    """

    type: Literal["l2"] = "l2"
    quadratic: ClassVar[bool] = True
    strength: float = _strength()

    def value(self, w: Array, scratch: Array) -> float:
        return 0.5 * self.strength * _total_square(w)

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        np.multiply(w, self.strength, out=scratch)
        np.add(g, scratch, out=g)

    def equations(self) -> list[Eq]:
        return [
            Eq("penalty", "strength / 2 * sum(j, w[j]**2)", "half the squared size"),
            Eq("dw[j]", "strength * w[j]", "the square's 2 cancels the half"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(strength=0.3), (7,))
        yield Sample(cls(strength=0.0), (3,))
        yield Sample({"type": "l2", "strength": -1.0}, error="greater than or equal to 0")


class L1(Regularizer):
    """The size of the weights, strength * sum |w|; draws every weight towards 0 alike, and the useless ones to it.

    Shapes   w: j, the weights laid end to end
    Source   Tibshirani 1996, eq. 1, in its Lagrangian form; the slope at 0 is taken as 0
    """

    type: Literal["l1"] = "l1"
    strength: float = _strength()

    def value(self, w: Array, scratch: Array) -> float:
        return self.strength * _total_size(w, scratch)

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        _add_signs(w, self.strength, g, scratch)

    def equations(self) -> list[Eq]:
        return [
            Eq("penalty", "strength * sum(j, abs(w[j]))", "the size"),
            Eq("dw[j]", "strength * sign(w[j])", "the same for large and small weights, 0 at 0"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(strength=0.3), (7,))
        yield Sample(cls(strength=0.2), (5,), inputs={"w": TIES}, kinks=(0.0,), note="weights of exactly 0")
        yield Sample(cls(strength=0.0), (3,))
        yield Sample({"type": "l1", "strength": -1.0}, error="greater than or equal to 0")


class ElasticNet(Regularizer):
    """l1 and l2 together, strength * (r sum |w| + (1 - r)/2 sum w^2) with r = `l1_ratio`.

    Sparse as l1, and as l2 stable where inputs go together.

    Shapes   w: j, the weights laid end to end
    Source   Zou & Hastie 2005, eq. 3, in scikit-learn's parameters; the slope of the first term at 0 is taken as 0
    """

    type: Literal["elastic_net"] = "elastic_net"
    strength: float = _strength()
    l1_ratio: float = Field(0.5, ge=0, le=1, description="the share of l1: 0 is l2 alone, 1 is l1 alone")

    def value(self, w: Array, scratch: Array) -> float:
        ridge = (1 - self.l1_ratio) / 2 * _total_square(w)
        return self.strength * (self.l1_ratio * _total_size(w, scratch) + ridge)

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        _add_signs(w, self.strength * self.l1_ratio, g, scratch)
        np.multiply(w, self.strength * (1 - self.l1_ratio), out=scratch)
        np.add(g, scratch, out=g)

    def equations(self) -> list[Eq]:
        lasso, ridge = "l1_ratio * sum(j, abs(w[j]))", "(1 - l1_ratio) / 2 * sum(j, w[j]**2)"
        return [
            Eq("penalty", f"strength * ({lasso} + {ridge})", "a share of each"),
            Eq("dw[j]", "strength * (l1_ratio * sign(w[j]) + (1 - l1_ratio) * w[j])", "the slopes of both, 0 at 0"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(strength=0.3), (7,))
        yield Sample(cls(strength=0.2, l1_ratio=0.9), (5,), inputs={"w": TIES}, kinks=(0.0,), note="weights of 0")
        yield Sample(cls(strength=0.3, l1_ratio=0.0), (4,), note="l2 alone")
        yield Sample(cls(strength=0.3, l1_ratio=1.0), (4,), note="l1 alone")
        yield Sample({"type": "elastic_net", "strength": 0.1, "l1_ratio": 1.5}, error="less than or equal to 1")
        yield Sample({"type": "elastic_net", "strength": -0.1}, error="greater than or equal to 0")


def _total_size(w: Array, scratch: Array) -> float:
    """Returns sum |w|."""
    total = float(np.abs(w, out=scratch).sum())
    return total if math.isfinite(total) else float(scratch.sum(dtype=np.float64))


def _total_square(w: Array) -> float:
    """Returns sum w^2, in float64 where float32 overflows: the slope of the penalty does not."""
    square = float(np.vdot(w, w))  # which, unlike dot, does not complain of an overflow
    if math.isfinite(square) or w.dtype == np.float64:
        return square
    wide = w.astype(np.float64)
    return float(np.vdot(wide, wide))


def _add_signs(w: Array, strength: float, g: Array, scratch: Array) -> None:
    """Adds strength * sign(w), 0 at 0, to g."""
    np.sign(w, out=scratch)
    np.multiply(scratch, strength, out=scratch)
    np.add(g, scratch, out=g)
