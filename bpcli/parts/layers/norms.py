"""Normalization: rows, or channels over the batch, brought to mean 0 and variance 1."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, Layer, N, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric.axes import as_rows, as_strips, spread_over_strip, sum_strip
from bpcli.parts.layers.group_norm import gain_equations, gain_params


class LayerNorm(Layer):
    """Shifts and scales each row's last axis to mean 0 and variance 1, then by a learned gain and shift.

    Shapes   x, xhat, y: n ... c; mu, var: n ...; gamma, beta: c. The same at training and at evaluation
    Source   Ba, Kiros & Hinton 2016, eq. 3 and section 3; the variance is the biased one, eps stands inside the root
    Numerics the first value is taken off, then the mean, before anything is squared: a constant row is exactly 0,
             however large; the two sums of backward are products with gamma
    """

    rows_are_independent: ClassVar[bool] = True
    normalizes: ClassVar[bool] = True
    type: Literal["layer_norm"] = "layer_norm"
    eps: float = Field(1e-5, gt=0, description="added to the variance, so that a constant row can be divided by it")
    affine: bool = Field(True, description="whether a gain and a shift are learned")

    def plan(self, x: Shape) -> Plan:
        if not x:
            raise ShapeError("layer_norm needs rows of at least one axis")
        each = Slot((N, *x[:-1], 1))
        return Plan(
            y=x,
            params=gain_params(x[-1:]) if self.affine else {},
            keep={"xhat": Slot((N, *x)), "rstd": each},
            scratch={"s": Slot((N, *x)), "a": each, "b": each},
            consts={"eps": self.eps},
            skips_dx=True,
        )

    def forward(self, f: Frame, train: bool) -> None:
        np.subtract(f.x, f.x[..., :1], out=f.xhat)
        np.add.reduce(f.xhat, -1, keepdims=True, out=f.rstd)
        np.divide(f.rstd, f.x.shape[-1], out=f.rstd)
        np.subtract(f.xhat, f.rstd, out=f.xhat)
        np.vecdot(f.xhat, f.xhat, out=f.rstd[..., 0])
        np.divide(f.rstd, f.x.shape[-1], out=f.rstd)
        np.add(f.rstd, self.eps, out=f.rstd)
        np.sqrt(f.rstd, out=f.rstd)
        np.reciprocal(f.rstd, out=f.rstd)
        np.multiply(f.xhat, f.rstd, out=f.xhat)
        if self.affine:
            np.multiply(f.xhat, f.gamma, out=f.y)
            np.add(f.y, f.beta, out=f.y)
        else:
            np.copyto(f.y, f.xhat)

    def backward(self, f: Frame, train: bool) -> None:
        dxhat = f.dy
        if self.affine:
            dy, xhat = as_rows(f.dy), as_rows(f.xhat)
            np.einsum("nc,nc->c", dy, xhat, out=f.dgamma)
            np.add.reduce(dy, 0, out=f.dbeta)
            if f.dx is None:
                return
            dxhat = np.multiply(f.dy, f.gamma, out=f.dx)
        np.add.reduce(dxhat, -1, keepdims=True, out=f.a)
        np.divide(f.a, f.x.shape[-1], out=f.a)
        np.vecdot(dxhat, f.xhat, out=f.b[..., 0])
        np.divide(f.b, f.x.shape[-1], out=f.b)
        np.multiply(f.xhat, f.b, out=f.s)
        np.add(f.s, f.a, out=f.s)
        np.subtract(dxhat, f.s, out=f.dx)
        np.multiply(f.dx, f.rstd, out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("mu[n,...]", "mean(c, x[n,...,c])", "mean of the row"),
            Eq("var[n,...]", "mean(c, (x[n,...,c] - mu[n,...])**2)", "its variance, biased"),
            Eq("xhat[n,...,c]", "(x[n,...,c] - mu[n,...]) / sqrt(var[n,...] + eps)", "mean 0, variance 1"),
            *gain_equations("place" if self.affine else ""),
            Eq(
                "dvar[n,...]",
                "-1 / 2 * sum(c, dxhat[n,...,c] * (x[n,...,c] - mu[n,...])) * (var[n,...] + eps)**(-3/2)",
                "the path through the variance",
            ),
            Eq(
                "dmu[n,...]",
                "-sum(c, dxhat[n,...,c]) / sqrt(var[n,...] + eps)",
                "the path through the mean; its way through the variance is 0",
            ),
            Eq(
                "dx[n,...,c]",
                "dxhat[n,...,c] / sqrt(var[n,...] + eps)"
                " + 2 * dvar[n,...] * (x[n,...,c] - mu[n,...]) / count(c) + dmu[n,...] / count(c)",
                "3 paths, summed",
            ),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (5,))
        yield Sample(cls(), (2, 3, 5), note="images")
        yield Sample(cls(affine=False), (7,), batch=5, note="nothing learned")
        yield Sample(cls(), (3,), batch=1, note="batch of one")
        yield Sample(cls(eps=1e-3), (3,), batch=2, inputs={"x": [[2.0, 2.0, 2.0], [1.0, -1.0, 3.0]]}, note="ties")
        yield Sample(cls(), (3,), batch=2, inputs={"x": [[-800.0, 80.0, 0.5], [800.0, 400.0, -80.0]]}, note="huge")
        yield Sample({"type": "layer_norm", "eps": 0.0}, error="greater than 0")
        yield Sample(cls(), (), error="at least one axis")


class BatchNorm(Layer):
    """Shifts and scales each channel to mean 0 and variance 1 over the batch, then by a learned gain and shift.

    At evaluation it uses running statistics, which follow those of the training batches. A training batch of a single
    value per channel has mean x and variance 0: y is then the shift alone, nothing is learned through it, and the
    running variance is kept, since one value says nothing of it.

    Shapes   x, xhat, y: n ... c; all others: c. A channel's values are those of all rows and of the axes between
    Source   Ioffe & Szegedy 2015, algorithm 1 and section 3.1; as PyTorch's: the batch's variance is the biased one,
             the running variance follows the unbiased one, by running = (1 - momentum) running + momentum batch
    Numerics the first row is taken off, then the mean, before anything is squared: a constant channel is exactly 0,
             however large; gamma / sqrt(var + eps) is one factor
    """

    normalizes: ClassVar[bool] = True
    type: Literal["batch_norm"] = "batch_norm"
    momentum: float = Field(0.1, gt=0, le=1, description="weight of the newest batch in the running statistics")
    eps: float = Field(1e-5, gt=0, description="added to the variance, so that a constant channel can be divided by it")
    affine: bool = Field(True, description="whether a gain and a shift are learned")

    def plan(self, x: Shape) -> Plan:
        if not x:
            raise ShapeError("batch_norm needs rows of at least one axis")
        c = x[-1:]
        return Plan(
            y=x,
            params=gain_params(x[-1:]) if self.affine else {},
            keep={"centred": Slot((N, *x)), "mu": Slot(c), "var": Slot(c), "rstd": Slot(c), "factor": Slot(c)},
            scratch={"a": Slot(c), "b": Slot(c), "wide": Slot((math.prod(x[-2:]),))},
            state={"rmean": Slot(c), "rvar": Slot(c, start=1.0)},
            consts={"eps": self.eps, "momentum": self.momentum},
            skips_dx=True,
        )

    def forward(self, f: Frame, train: bool) -> None:
        x, y, centred, wide = as_strips(f.x), as_strips(f.y), as_strips(f.centred), f.wide
        if train:
            first, count = as_rows(f.x)[0], len(as_rows(f.x))
            spread_over_strip(first, wide)
            np.subtract(x, wide, out=centred)
            np.add.reduce(centred, 0, out=wide)
            sum_strip(wide, f.mu)
            np.divide(f.mu, count, out=f.mu)
            spread_over_strip(f.mu, wide)
            np.subtract(centred, wide, out=centred)
            np.add(f.mu, first, out=f.mu)
            np.einsum("nc,nc->c", centred, centred, out=wide)
            sum_strip(wide, f.var)
            np.divide(f.var, count, out=f.var)
            np.add(f.var, self.eps, out=f.rstd)
        else:
            spread_over_strip(f.rmean, wide)
            np.subtract(x, wide, out=centred)
            np.add(f.rvar, self.eps, out=f.rstd)
        np.sqrt(f.rstd, out=f.rstd)
        np.reciprocal(f.rstd, out=f.rstd)
        if self.affine:
            np.multiply(f.rstd, f.gamma, out=f.factor)
        else:
            np.copyto(f.factor, f.rstd)
        spread_over_strip(f.factor, wide)
        np.multiply(centred, wide, out=y)
        if self.affine:
            spread_over_strip(f.beta, wide)
            np.add(y, wide, out=y)

    def backward(self, f: Frame, train: bool) -> None:
        dy, centred, wide = as_strips(f.dy), as_strips(f.centred), f.wide
        np.einsum("nc,nc->c", dy, centred, out=wide)
        sum_strip(wide, f.a)
        np.multiply(f.a, f.rstd, out=f.a)
        np.add.reduce(dy, 0, out=wide)
        sum_strip(wide, f.b)
        if self.affine:
            np.copyto(f.dgamma, f.a)
            np.copyto(f.dbeta, f.b)
        if f.dx is None:
            return
        dx = as_strips(f.dx)
        if train:  # dx = factor (dy - mean(dy) - centred rstd^2 mean(dy centred))
            count = len(as_rows(f.dy))
            np.multiply(f.a, f.rstd, out=f.a)
            np.divide(f.a, count, out=f.a)
            np.divide(f.b, count, out=f.b)
            spread_over_strip(f.a, wide)
            np.multiply(centred, wide, out=dx)
            spread_over_strip(f.b, wide)
            np.add(dx, wide, out=dx)
            np.subtract(dy, dx, out=dx)
            spread_over_strip(f.factor, wide)
            np.multiply(dx, wide, out=dx)
        else:
            spread_over_strip(f.factor, wide)
            np.multiply(dy, wide, out=dx)

    def commit(self, f: Frame) -> None:
        count = f.x.size // f.x.shape[-1]
        f.rmean *= 1 - self.momentum
        np.multiply(f.mu, self.momentum, out=f.a)
        f.rmean += f.a
        if count > 1:
            f.rvar *= 1 - self.momentum
            np.multiply(f.var, self.momentum * count / (count - 1), out=f.a)
            f.rvar += f.a

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if not train:
            return self._at_evaluation()
        return [
            Eq("mu[c]", "mean(n,..., x[n,...,c])", "mean of the channel over the batch"),
            Eq("var[c]", "mean(n,..., (x[n,...,c] - mu[c])**2)", "its variance, biased"),
            Eq("xhat[n,...,c]", "(x[n,...,c] - mu[c]) / sqrt(var[c] + eps)", "mean 0, variance 1"),
            *gain_equations("channel" if self.affine else ""),
            Eq(
                "dvar[c]",
                "-1 / 2 * sum(n,..., dxhat[n,...,c] * (x[n,...,c] - mu[c])) * (var[c] + eps)**(-3/2)",
                "the path through the variance",
            ),
            Eq(
                "dmu[c]",
                "-sum(n,..., dxhat[n,...,c]) / sqrt(var[c] + eps)",
                "the path through the mean; its way through the variance is 0",
            ),
            Eq(
                "dx[n,...,c]",
                "dxhat[n,...,c] / sqrt(var[c] + eps)"
                " + 2 * dvar[c] * (x[n,...,c] - mu[c]) / count(n,...) + dmu[c] / count(n,...)",
                "3 paths, summed: every row leans on every other",
            ),
            Eq("rmean_new[c]", "(1 - momentum) * rmean[c] + momentum * mu[c]", "what evaluation will use"),
            Eq(
                "rvar_new[c]",
                "where(count(n,...) > 1, (1 - momentum) * rvar[c]"
                " + momentum * var[c] * count(n,...) / (count(n,...) - 1), rvar[c])",
                "of the unbiased variance, which one value does not have",
            ),
        ]

    def _at_evaluation(self) -> list[Eq]:
        return [
            Eq("xhat[n,...,c]", "(x[n,...,c] - rmean[c]) / sqrt(rvar[c] + eps)", "by the running statistics"),
            *gain_equations("channel" if self.affine else ""),
            Eq("dx[n,...,c]", "dxhat[n,...,c] / sqrt(rvar[c] + eps)", "the statistics do not lean on the input"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (5,), batch=7)
        yield Sample(cls(), (2, 3, 5), note="images")
        yield Sample(cls(momentum=0.3, affine=False), (3,), batch=5, note="nothing learned")
        yield Sample(cls(momentum=1.0, eps=0.1), (3,), note="the newest batch alone")
        yield Sample(cls(), (3,), batch=1, note="batch of one")
        yield Sample(cls(), (5, 3), batch=1, note="one row of several values")
        yield Sample(cls(eps=1e-3), (2,), batch=3, inputs={"x": [[2.0, 1.0], [2.0, -1.0], [2.0, 3.0]]}, note="ties")
        yield Sample(cls(), (2,), batch=3, inputs={"x": [[-800.0, 800.0], [80.0, 400.0], [0.5, -80.0]]}, note="huge")
        yield Sample({"type": "batch_norm", "momentum": 1.5}, error="less than or equal to 1")
        yield Sample({"type": "batch_norm", "eps": 0.0}, error="greater than 0")
        yield Sample(cls(), (), error="at least one axis")
