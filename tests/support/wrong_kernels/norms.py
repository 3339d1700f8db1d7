"""Mistakes people make in normalization: in its backward passes, its forward passes and its running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.group_norm import GroupNorm
from bpcli.parts.layers.norms import BatchNorm, LayerNorm
from wrong_kernels.catalogue import EQUATIONS, then, written, wrong

Formula = Callable[[Any, Frame], Any]
BATCH_NORM, COMMIT, FORWARD = BatchNorm.backward, BatchNorm.commit, BatchNorm.forward


def rows(a: Any) -> Any:
    return a.reshape(-1, a.shape[-1])


def over(axis: int) -> Callable[[Any], Any]:
    return lambda a: a.mean(axis, keepdims=True)


NORMED: list[tuple[str, Callable[..., Any], str, str]] = [
    ("gamma forgotten", lambda d, xh, r, g, mean, other: r * (d - mean(d) - xh * mean(d * xh)),
     "", ""),
    ("statistics as if constant", lambda d, xh, r, g, mean, other: r * g * d, r"of dx only dL/dxhat.* is counted", ""),
    ("no path through the mean", lambda d, xh, r, g, mean, other: r * (g * d - xh * mean(g * d * xh)),
     "dmu.* is left out", "dmu.* is left out"),
    ("no path through the variance", lambda d, xh, r, g, mean, other: r * (g * d - mean(g * d)),
     "dvar.* is left out", ""),
    ("over the other axis", lambda d, xh, r, g, mean, other: r * (g * d - other(g * d) - xh * other(g * d * xh)),
     "axis", "axis"),
    ("sums for means", lambda d, xh, r, g, mean, other: r * (g * d - 2 * mean(g * d) - 2 * xh * mean(g * d * xh)),
     "", ""),
    ("divided twice", lambda d, xh, r, g, mean, other: r * r * (g * d - mean(g * d) - xh * mean(g * d * xh)), "", ""),
    ("gamma outside the means", lambda d, xh, r, g, mean, other: g * r * (d - mean(d) - xh * mean(d * xh)), "", ""),
]  # fmt: skip
"""dx of a normalized axis, from dy, xhat, 1 / sqrt(var + eps), gamma, the mean over that axis, and over another one;
and what gradcheck must say of it in batch_norm, and in layer_norm."""


def with_dx(owner: Any, mistake: Formula) -> Any:
    """A backward whose dx is `mistake`; of batch_norm in training alone, as evaluation has another."""
    honest = owner.backward

    def backward(self: Any, f: Frame, train: bool) -> None:
        honest(self, f, train)
        if f.dx is not None and self.affine and (train or owner is not BatchNorm):
            f.dx[...] = np.reshape(mistake(self, f), f.dx.shape)

    return backward


def of_batch(mistake: Callable[..., Any]) -> Formula:
    return lambda s, f: mistake(rows(f.dy), rows(f.centred) * f.rstd, np.array(f.rstd), f.gamma, over(0), over(-1))


def of_rows(mistake: Callable[..., Any]) -> Formula:
    return lambda s, f: mistake(f.dy, f.xhat, f.rstd, f.gamma, over(-1), over(0))


def grouped(a: Array, s: Any) -> Array:
    """n ... c as n ... g e."""
    return a.reshape(*a.shape[:-1], s.groups, -1)


def of_groups(mistake: Callable[..., Any]) -> Formula:
    """The same of a group of channels; the other mean is over the channels of a place alone."""

    def slope(s: Any, f: Frame) -> Any:
        if f.dx.shape[-1] == s.groups and f.dx.ndim == 2:  # groups of one value
            return f.dx
        r = f.rstd.reshape(len(f.x), *(1,) * (f.x.ndim - 2), s.groups, 1)
        axes = (*range(1, f.x.ndim - 1), -1)
        gamma = grouped(f.gamma[None], s)[0]
        return mistake(grouped(f.dy, s), grouped(f.xhat, s), r, gamma, lambda a: a.mean(axes, keepdims=True), over(-1))

    return slope


for what, mistake, of_batch_norm, of_layer_norm in NORMED:
    for owner, make, cause in (
        (BatchNorm, of_batch, of_batch_norm), (LayerNorm, of_rows, of_layer_norm), (GroupNorm, of_groups, ""),
    ):  # fmt: skip
        if owner is BatchNorm and what == "gamma outside the means":
            continue  # which comes to the same: they are over rows
        kind = owner.model_fields["type"].default
        net = (kind, f"{kind}_1.dx", cause) if cause else ()
        wrong(owner, *net, name=what)(with_dx(owner, make(mistake)))


def over_the_batch_too(d: Array, xh: Array, r: Array, g: Array, mean: Formula, other: Formula) -> Array:
    return r * (g * d - mean(g * d).mean(0) - xh * mean(g * d * xh).mean(0))


wrong(GroupNorm, name="over the batch too")(with_dx(GroupNorm, of_groups(over_the_batch_too)))


def divided_by_one_less(s: Any, f: Frame) -> Any:
    """N - 1 in the backward of batch_norm, as if its variance were the unbiased one."""
    d, xh = rows(f.dy) * f.gamma, rows(f.centred) * f.rstd
    return f.rstd * (d - d.mean(0) - xh * (d * xh).sum(0) / max(len(d) - 1, 1))


BATCH = "batch_norm", "batch_norm_1.dgamma", "x is read where xhat is meant"
wrong(BatchNorm, "batch_norm", "batch_norm_1.dx", "- 1 and not by", name="N - 1 in backward")(
    with_dx(BatchNorm, divided_by_one_less)
)
for owner, gradient, what, mistake, net in (
    (BatchNorm, "dgamma", "of x, not of xhat", lambda s, f: rows(f.dy * f.x).sum(0), BATCH),
    (BatchNorm, "dgamma", "not divided by the deviation", lambda s, f: rows(f.dy * f.centred).sum(0), ()),
    (BatchNorm, "dbeta", "over everything", lambda s, f: np.full_like(f.beta, f.dy.sum()), ()),
    (BatchNorm, "dbeta", "mean over rows", lambda s, f: rows(f.dy).mean(0), ()),
    (LayerNorm, "dgamma", "of x, not of xhat", lambda s, f: rows(f.dy * f.x).sum(0), ()),
    (LayerNorm, "dgamma", "of y", lambda s, f: rows(f.dy * f.y).sum(0), ()),
    (LayerNorm, "dbeta", "first row only", lambda s, f: rows(f.dy)[0], ()),
    (GroupNorm, "dgamma", "of x, not of xhat", lambda s, f: rows(f.dy * f.x).sum(0), ()),
    (GroupNorm, "dbeta", "over everything", lambda s, f: np.full_like(f.beta, f.dy.sum()), ()),
    (GroupNorm, "dbeta", "first row only", lambda s, f: rows(f.dy)[0], ()),
):
    wrong(owner, *net, name=f"{gradient} {what}")(written(owner, gradient, mistake))


@wrong(BatchNorm, "batch_norm of images", "batch_norm_1.dgamma, batch_norm_1.dbeta", "only the (first|last)|overwrite")
def gains_not_summed_over_places(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat = f.centred * f.rstd
    f.dgamma[...] = (f.dy * xhat)[:, 0, 0].sum(0)
    f.dbeta[...] = f.dy[:, 0, 0].sum(0)


@wrong(BatchNorm, "batch_norm", "batch_norm_1.dx", "gamma.* (left out|is missing)")
def gain_ignored(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    if f.dx is not None:
        f.dx /= f.gamma


@wrong(BatchNorm, "batch_norm", "batch_norm_1.dx", "of one row moves")
def evaluation_differentiates_the_batch(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    if f.dx is not None and not train:
        f.dx[...] = of_batch(lambda d, xh, r, g, mean, _: r * (g * d - mean(g * d) - xh * mean(g * d * xh)))(self, f)


@wrong(BatchNorm)
def training_backward_at_evaluation(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, True)


# ------------------------------------------------------------------------------- forward passes, running statistics
@wrong(BatchNorm, method="forward", seen_by=EQUATIONS)
def batch_statistics_at_evaluation(self: BatchNorm, f: Frame, train: bool) -> None:
    """Its backward follows, so that no difference shows it."""
    FORWARD(self, f, True)


def normalized(self: LayerNorm, f: Frame, centred: Array, deviation: Array) -> None:
    f.rstd[...] = 1 / deviation
    f.xhat[...] = centred * f.rstd
    f.y[...] = f.xhat * f.gamma + f.beta if self.affine else f.xhat


@wrong(LayerNorm, method="forward", seen_by=EQUATIONS)
def variance_unbiased(self: LayerNorm, f: Frame, train: bool) -> None:
    centred = f.x - f.x.mean(-1, keepdims=True)
    variance = (centred**2).sum(-1, keepdims=True) / (f.x.shape[-1] - 1)
    normalized(self, f, centred, np.sqrt(variance + self.eps))


@wrong(LayerNorm, method="forward", seen_by=EQUATIONS)
def eps_outside(self: LayerNorm, f: Frame, train: bool) -> None:
    centred = f.x - f.x.mean(-1, keepdims=True)
    normalized(self, f, centred, np.sqrt((centred**2).mean(-1, keepdims=True)) + self.eps)


def all_channels_one_group(s: Any, f: Frame) -> None:
    axes = tuple(range(1, f.x.ndim))
    mean, var = f.x.mean(axes, keepdims=True), f.x.var(axes, keepdims=True)
    f.y[...] = (f.x - mean) / np.sqrt(var + s.eps) * (f.gamma if s.affine else 1) + (f.beta if s.affine else 0)


def groups_of_channels_apart(s: Any, f: Frame) -> None:
    a = f.x.reshape(*f.x.shape[:-1], -1, s.groups)
    axes = tuple(range(1, a.ndim - 1))
    xhat = ((a - a.mean(axes, keepdims=True)) / np.sqrt(a.var(axes, keepdims=True) + s.eps)).reshape(f.x.shape)
    f.y[...] = xhat * (f.gamma if s.affine else 1) + (f.beta if s.affine else 0)


for change in (all_channels_one_group, groups_of_channels_apart):
    wrong(GroupNorm, method="forward", seen_by=EQUATIONS, name=change.__name__)(then(GroupNorm, change, "forward"))


def count(f: Frame) -> int:
    return int(f.x.size // f.x.shape[-1])


RUNNING: list[tuple[str, str, Formula]] = [
    ("biased", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * f.var),
    ("of the deviation", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * np.sqrt(f.var)),
    ("momentum the other way", "rmean", lambda s, f: s.momentum * f.rmean + (1 - s.momentum) * f.mu),
    ("added up", "rmean", lambda s, f: f.rmean + s.momentum * f.mu),
    ("not carried on", "rmean", lambda s, f: f.rmean),
    ("one value changes it", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * f.var * count(f)
     / max(count(f) - 1, 1)),
]  # fmt: skip


def committed(state: str, mistake: Formula) -> Any:
    def commit(self: Any, f: Frame) -> None:
        value = np.array(mistake(self, f))
        COMMIT(self, f)
        getattr(f, state)[...] = value

    return commit


for what, state, mistake in RUNNING:
    wrong(BatchNorm, method="commit", seen_by=EQUATIONS, name=f"{state} {what}")(committed(state, mistake))
