"""Group normalization: groups of channels of each row brought to mean 0 and variance 1."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Frame, Layer, N, Param, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric.axes import as_positions, spread_over_strip, sum_strip
from bpcli.parts.initializers import ConstantValue


class GroupNorm(Layer):
    """Shifts and scales groups of channels of each row to mean 0 and variance 1, then by a learned gain and shift.

    A group's values are those of its channels, over all axes between; no row leans on another, so that the size of the
    batch does not matter. One group takes all channels together, as many groups as channels take each on its own.

    Shapes   x, xhat, y: n ... c; mu, var: n g, with g = c // (channels of a group); gamma, beta: c
    Source   Wu & He 2018, eqs. 1 to 3; the variance is the biased one, eps stands inside the root
    Numerics the first value of a group is taken off, then the mean, before anything is squared: a constant group is
             exactly 0, however large; the sums of backward are taken by channels first, which gains and groups share
    """

    rows_are_independent: ClassVar[bool] = True
    normalizes: ClassVar[bool] = True
    type: Literal["group_norm"] = "group_norm"
    groups: int = Field(gt=0, description="how many groups the channels make, of neighbours and all of one size")
    eps: float = Field(1e-5, gt=0, description="added to the variance, so that a constant group can be divided by it")
    affine: bool = Field(True, description="whether a gain and a shift are learned for each channel")

    def plan(self, x: Shape) -> Plan:
        if not x:
            raise ShapeError("group_norm needs rows of at least one axis")
        c = x[-1]
        if c % self.groups:
            fitting = ", ".join(str(g) for g in range(1, c + 1) if c % g == 0)
            raise ShapeError(f"{c} channels cannot make {self.groups} groups of one size", f"`groups` of {fitting}")
        each, group = Slot((N, c)), Slot((N, self.groups))
        return Plan(
            y=x,
            params=gain_params(x[-1:]) if self.affine else {},
            keep={"xhat": Slot((N, *x)), "rstd": group},
            scratch={"s": Slot((N, *x)), "a": each, "b": each, "one": group, "wide": Slot((N, 1, math.prod(x[-2:])))},
            consts={"G": float(self.groups), "Cg": float(c // self.groups), "eps": self.eps},
            skips_dx=True,
        )

    def forward(self, f: Frame, train: bool) -> None:
        x, xhat, y, a, wide, groups = _strips(f.x), _strips(f.xhat), _strips(f.y), f.a, f.wide, f.rstd
        grouped = self._groups(a)
        count = math.prod(f.x.shape[1:]) // self.groups
        np.copyto(grouped, self._groups(as_positions(f.x)[:, 0])[:, :, :1])
        self._spread(a, f)
        np.subtract(x, wide, out=xhat)
        self._sum(xhat, a, f)
        np.add.reduce(grouped, 2, out=groups)
        np.divide(groups, count, out=groups)
        np.copyto(grouped, groups[:, :, None])
        self._spread(a, f)
        np.subtract(xhat, wide, out=xhat)
        np.multiply(xhat, xhat, out=y)
        self._sum(y, a, f)
        np.add.reduce(grouped, 2, out=groups)
        np.divide(groups, count, out=groups)
        np.add(groups, self.eps, out=groups)
        np.sqrt(groups, out=groups)
        np.reciprocal(groups, out=groups)
        np.copyto(grouped, groups[:, :, None])
        self._spread(a, f)
        np.multiply(xhat, wide, out=xhat)
        if not self.affine:
            np.copyto(y, xhat)
            return
        spread_over_strip(f.gamma, wide[0, 0])
        np.multiply(xhat, wide[0], out=y)
        spread_over_strip(f.beta, wide[0, 0])
        np.add(y, wide[0], out=y)

    def backward(self, f: Frame, train: bool) -> None:
        dy, xhat, s, a, b = _strips(f.dy), _strips(f.xhat), _strips(f.s), f.a, f.b
        np.multiply(dy, xhat, out=s)
        self._sum(s, a, f)
        self._sum(dy, b, f)
        if self.affine:
            np.add.reduce(a, 0, out=f.dgamma)
            np.add.reduce(b, 0, out=f.dbeta)
            np.multiply(a, f.gamma, out=a)
            np.multiply(b, f.gamma, out=b)
        if f.dx is None:
            return
        dx = _strips(f.dx)
        self._mean_over_groups(a, f)
        np.multiply(xhat, f.wide, out=s)
        self._mean_over_groups(b, f)
        np.add(s, f.wide, out=s)
        np.copyto(self._groups(a), f.rstd[:, :, None])
        if self.affine:
            np.multiply(a, f.gamma, out=a)
        self._spread(a, f)
        np.multiply(dy, f.wide, out=dx)
        np.subtract(dx, s, out=dx)

    def _spread(self, a: Array, f: Frame) -> None:
        """Repeats a per-channel value along the strip."""
        spread_over_strip(a, f.wide[:, 0])

    def _sum(self, values: Array, out: Array, f: Frame) -> None:
        """Writes the sum for each channel of a row, over all its places, into `out`."""
        np.add.reduce(values, 1, keepdims=True, out=f.wide)
        sum_strip(f.wide[:, 0], out)

    def _mean_over_groups(self, a: Array, f: Frame) -> None:
        """Replaces each channel's value by its group's mean divided by the group's deviation."""
        grouped = self._groups(a)
        np.add.reduce(grouped, 2, out=f.one)
        np.divide(f.one, math.prod(f.x.shape[1:]) // self.groups, out=f.one)
        np.multiply(f.one, f.rstd, out=f.one)
        np.copyto(grouped, f.one[:, :, None])
        self._spread(a, f)

    def _groups(self, a: Array) -> Array:
        """Returns the channels as groups: n c becomes n g e."""
        return a.reshape(len(a), self.groups, -1)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("mu[n,g<G]", "mean(...,e<Cg, x[n,...,g*Cg + e])", "mean of the group"),
            Eq("var[n,g<G]", "mean(...,e<Cg, (x[n,...,g*Cg + e] - mu[n,g])**2)", "its variance, biased"),
            Eq("xhat[n,...,c]", "(x[n,...,c] - mu[n,c // Cg]) / sqrt(var[n,c // Cg] + eps)", "mean 0, variance 1"),
            *gain_equations("channel" if self.affine else ""),
            Eq("dvar[n,g<G]", "-1 / 2 * sum(...,e<Cg, dxhat[n,...,g*Cg + e] * (x[n,...,g*Cg + e] - mu[n,g]))"
               " * (var[n,g] + eps)**(-3/2)", "the path through the variance"),
            Eq("dmu[n,g<G]", "-sum(...,e<Cg, dxhat[n,...,g*Cg + e]) / sqrt(var[n,g] + eps)",
               "the path through the mean; its way through the variance is 0"),
            Eq("dx[n,...,c]", "dxhat[n,...,c] / sqrt(var[n,c // Cg] + eps)"
               " + 2 * dvar[n,c // Cg] * (x[n,...,c] - mu[n,c // Cg]) / (Cg * count(...)) + dmu[n,c // Cg]"
               " / (Cg * count(...))", "3 paths, summed"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(groups=2), (2, 3, 6))
        yield Sample(cls(groups=2), (10,), batch=5, note="no axes between")
        yield Sample(cls(groups=1, affine=False), (3, 5), batch=2, note="one group, nothing learned")
        yield Sample(cls(groups=4), (3, 2, 4), batch=1, note="each channel on its own")
        yield Sample(cls(groups=2, eps=1e-3), (2, 2), batch=2, inputs={"x": [[[2, 2], [2, -1]], [[3, 0], [3, 0]]]},
                     note="ties")  # fmt: skip
        yield Sample(cls(groups=1), (3,), batch=2, inputs={"x": [[-800, 80, 0.5], [800, 400, -80]]}, note="huge")
        yield Sample(cls(groups=4), (2, 2, 6), error="6 channels cannot make 4 groups of one size")
        yield Sample(cls(groups=1), (), error="at least one axis")
        yield Sample({"type": "group_norm", "groups": 0}, error="greater than 0")
        yield Sample({"type": "group_norm", "groups": 1, "eps": 0.0}, error="greater than 0")


def _strips(a: Array) -> Array:
    """Returns n ... w c as n (...) (w c), as NumPy works on long rows; n c as n 1 c."""
    return a.reshape(len(a), math.prod(a.shape[1:-2]), -1)


def gain_params(c: Shape) -> dict[str, Param]:
    """Returns a gain of 1 and a shift of 0 for each place; neither decays."""
    return {"gamma": Param(c, ConstantValue(value=1.0)), "beta": Param(c, ConstantValue(value=0.0))}


def gain_equations(each: str) -> list[Eq]:
    """Returns the equations that scale and shift xhat for `each` place or channel; plain ones where `each` is empty."""
    if not each:
        return [Eq("y[n,...,c]", "xhat[n,...,c]", "as it is"), Eq("dxhat[n,...,c]", "dy[n,...,c]", "as it is")]
    return [
        Eq("y[n,...,c]", "gamma[c] * xhat[n,...,c] + beta[c]", f"a gain and a shift for each {each}"),
        Eq("dgamma[c]", "sum(n,..., dy[n,...,c] * xhat[n,...,c])", "a gain is a weight on xhat; rows add"),
        Eq("dbeta[c]", "sum(n,..., dy[n,...,c])", "the shift is a bias"),
        Eq("dxhat[n,...,c]", "dy[n,...,c] * gamma[c]", "back through the gain"),
    ]
