"""Mistakes people make in pooling, group normalization, dropout of channels, branches and embeddings, each put into the
part and held against the witnesses.

At ties a difference shows one side's slope and judges nothing: who has won is caught by the equations, and by complex
steps through them.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from bpcli.family import Layer
from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.dropout import Dropout, SpatialDropout
from bpcli.parts.layers.embedding import Embedding
from bpcli.parts.layers.global_pooling import GlobalAvgPool, GlobalMaxPool
from bpcli.parts.layers.group_norm import GroupNorm
from bpcli.parts.layers.pooling import AvgPool2d, MaxPool2d
from bpcli.parts.layers.residual import Residual
from bpcli.parts.layers.shaping import Reshape, Upsample, ZeroPad
from bpcli.studies.witness.cases import LayerCase

ALL = {"equations", "complex step", "differences"}
Patch = Callable[[Any], Callable[[pytest.MonkeyPatch], None]]


@cache
def honest(part: type[Layer], train: bool) -> list[LayerCase]:
    """The samples as they are; their derivatives are computed once."""
    return [LayerCase(sample, train) for sample in part.samples() if not sample.error]


def caught(part: type[Layer], patch: Callable[[pytest.MonkeyPatch], None], train: bool = True) -> set[str]:
    """The witnesses that see a change to a part, over its samples."""
    seen: set[str] = set()
    for case in honest(part, train):
        with pytest.MonkeyPatch.context() as patched:
            patch(patched)
            told = LayerCase(case.sample, train).kernel()
        seen |= {g.right for g in case.gaps(told) if g.verdict == "WRONG"}
    return seen


def backward(lie: Callable[[Any, Frame], None]) -> Patch:
    """A backward in place of the part's own."""
    return lambda part: lambda patched: patched.setattr(part, "backward", lambda self, f, train: lie(self, f))


def then(method: str, lie: Callable[[Any, Frame], None]) -> Patch:
    """The part's own method, and something behind it."""

    def patch(part: Any) -> Callable[[pytest.MonkeyPatch], None]:
        honest = getattr(part, method)

        def told(self: Any, f: Frame, train: bool) -> None:
            honest(self, f, train)
            lie(self, f)

        return lambda patched: patched.setattr(part, method, told)

    return patch


@pytest.mark.parametrize(
    "part",
    [MaxPool2d, AvgPool2d, GlobalMaxPool, GlobalAvgPool, GroupNorm, Embedding, Residual, SpatialDropout, Dropout,
     Reshape, Upsample, ZeroPad],
)  # fmt: skip
@pytest.mark.parametrize("train", [True, False])
def test_the_truth_is_not_caught(part: type[Layer], train: bool) -> None:
    assert caught(part, lambda patched: None, train) == set()


# ------------------------------------------------------------------------------------------------------------ pooling
def windows(s: Any, f: Frame) -> Any:
    """The index of every output, and those of the pixels of its window: None for padding."""
    grid = s.grid(f.x.shape[1:])
    for n, c, p, q in product(*(range(d) for d in (len(f.x), f.x.shape[3], grid.rows.out, grid.columns.out))):
        top = p * grid.rows.stride - grid.rows.before
        left = q * grid.columns.stride - grid.columns.before
        places = product(range(top, top + grid.rows.size), range(left, left + grid.columns.size))
        yield (
            (n, p, q, c),
            [(n, h, w, c) if 0 <= h < f.x.shape[1] and 0 <= w < f.x.shape[2] else None for h, w in places],
        )


def overwritten(s: Any, f: Frame) -> None:
    """Windows that overlap: the last one's slope in place of the sum."""
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        f.dx[pixels[int(f.win[out])]] = f.dy[out]


def to_every_equal(s: Any, f: Frame) -> None:
    """All of several largest ones win."""
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        for pixel in pixels:
            if pixel is not None and f.x[pixel] == f.y[out]:
                f.dx[pixel] += f.dy[out]


def divided_among_equals(s: Any, f: Frame) -> None:
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        equal = [pixel for pixel in pixels if pixel is not None and f.x[pixel] == f.y[out]]
        for pixel in equal:
            f.dx[pixel] += f.dy[out] / len(equal)


def last_of_equals(s: Any, f: Frame) -> None:
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        f.dx[[pixel for pixel in pixels if pixel is not None and f.x[pixel] == f.y[out]][-1]] += f.dy[out]


def first_image_only(s: Any, f: Frame) -> None:
    """It returns from within the loop."""
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        if out[0] == 0:
            f.dx[pixels[int(f.win[out])]] += f.dy[out]


def shared_out(s: Any, f: Frame) -> None:
    """As if it were the mean."""
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        for pixel in pixels:
            if pixel is not None:
                f.dx[pixel] += f.dy[out] / len(pixels)


def one_to_the_right(s: Any, f: Frame) -> None:
    f.dx[...] = np.roll(f.dx, 1, 2)


def zeros_around(s: Any, f: Frame) -> None:
    """Padding is 0, and wins over what is negative."""
    for out, pixels in windows(s, f):
        if None in pixels:
            f.y[out] = max(f.y[out], 0)


def not_divided(s: Any, f: Frame) -> None:
    f.dx *= np.prod(s.grid(f.x.shape[1:]).cells[-1].number + 1)


def divided_by_real_pixels(s: Any, f: Frame) -> None:
    """Padding is not counted: another function, and its own right slope."""
    counts = np.ones(f.y.shape)
    for out, pixels in windows(s, f):
        counts[out] = len(pixels) / sum(pixel is not None for pixel in pixels)
    f.y *= counts


def average_overwritten(s: Any, f: Frame) -> None:
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        for pixel in pixels:
            if pixel is not None:
                f.dx[pixel] = f.dy[out] / len(pixels)


POOLS: list[tuple[str, Any, Patch, set[str]]] = [
    ("overlapping windows overwrite", MaxPool2d, backward(overwritten), ALL),
    ("one image only", MaxPool2d, backward(first_image_only), ALL),
    ("shared out as in a mean", MaxPool2d, backward(shared_out), ALL),
    ("one to the right", MaxPool2d, then("backward", one_to_the_right), ALL),
    ("every equal wins", MaxPool2d, backward(to_every_equal), {"equations", "complex step"}),
    ("divided among equals", MaxPool2d, backward(divided_among_equals), {"equations", "complex step"}),
    ("the last of equals", MaxPool2d, backward(last_of_equals), {"equations", "complex step"}),
    ("padding is 0", MaxPool2d, then("forward", zeros_around), {"equations"}),
    ("overlapping windows overwrite", AvgPool2d, backward(average_overwritten), ALL),
    ("not divided", AvgPool2d, then("backward", not_divided), ALL),
    ("one to the right", AvgPool2d, then("backward", one_to_the_right), ALL),
    ("padding is not counted", AvgPool2d, then("forward", divided_by_real_pixels), {"equations"}),
    ("not divided", GlobalAvgPool, then("backward", lambda s, f: np.copyto(f.dx, f.dx * f.dx[0, ..., 0].size)), ALL),
    ("every equal wins", GlobalMaxPool, backward(lambda s, f: np.copyto(f.dx, wide(f.dy, f) * (f.x == wide(f.y, f)))),
     {"equations", "complex step"}),
    ("the first place wins", GlobalMaxPool, then("forward", lambda s, f: f.win.fill(0)), {"equations"}),
    ("of one row for all", GlobalMaxPool, then("forward", lambda s, f: np.copyto(f.win, f.win[:1])), {"equations"}),
]  # fmt: skip


def wide(a: Array, f: Frame) -> Array:
    """n c as n ... c."""
    return a.reshape(len(a), *(1,) * (f.x.ndim - 2), -1)


def named(cases: list[Any]) -> dict[str, Any]:
    return {f"{case[1].__name__} {case[0]}": case[1:] for case in cases}


@pytest.mark.parametrize(("part", "patch", "by"), named(POOLS).values(), ids=named(POOLS))
def test_wrong_pooling_is_caught(part: Any, patch: Patch, by: set[str]) -> None:
    assert by <= caught(part, patch(part))


# ------------------------------------------------------------------------------------------------ group normalization
def grouped(a: Array, s: Any) -> Array:
    """n ... c as n ... g e."""
    return a.reshape(*a.shape[:-1], s.groups, -1)


def normed(lie: Callable[..., Any]) -> Patch:
    """dx from dy, xhat, 1 / deviation and gamma in groups, and the mean over a group."""

    def told(s: Any, f: Frame) -> None:
        if f.dx.shape[-1] == s.groups and f.dx.ndim == 2:
            return
        r = f.rstd.reshape(len(f.x), *(1,) * (f.x.ndim - 2), s.groups, 1)
        gamma = grouped(f.gamma[None], s)[0] if s.affine else 1.0
        axes = (*range(1, f.x.ndim - 1), -1)
        found = lie(grouped(f.dy, s), grouped(f.xhat, s), r, gamma, lambda a: a.mean(axes, keepdims=True))
        f.dx[...] = np.reshape(found, f.dx.shape)

    return then("backward", told)


def of_gain(name: str, lie: Callable[[Frame], Any]) -> Patch:
    def told(s: Any, f: Frame) -> None:
        if s.affine:
            getattr(f, name)[...] = lie(f)

    return then("backward", told)


def rows(a: Array) -> Array:
    return a.reshape(-1, a.shape[-1])


NORMS: list[tuple[str, Any, Patch]] = [
    ("gamma forgotten", GroupNorm, normed(lambda d, xh, r, g, mean: r * (d - mean(d) - xh * mean(d * xh)))),
    ("gamma outside the means", GroupNorm, normed(lambda d, xh, r, g, mean: g * r * (d - mean(d) - xh * mean(d * xh)))),
    ("no path through the mean", GroupNorm, normed(lambda d, xh, r, g, mean: r * (g * d - xh * mean(g * d * xh)))),
    ("no path through the variance", GroupNorm, normed(lambda d, xh, r, g, mean: r * (g * d - mean(g * d)))),
    ("statistics as if constant", GroupNorm, normed(lambda d, xh, r, g, mean: r * g * d)),
    ("over the channels only", GroupNorm, normed(
        lambda d, xh, r, g, mean: r * (g * d - (g * d).mean(-1, keepdims=True)
                                       - xh * (g * d * xh).mean(-1, keepdims=True)))),
    ("over the batch too", GroupNorm, normed(
        lambda d, xh, r, g, mean: r * (g * d - mean(g * d).mean(0) - xh * mean(g * d * xh).mean(0)))),
    ("of x, not of xhat", GroupNorm, of_gain("dgamma", lambda f: rows(f.dy * f.x).sum(0))),
    ("over everything", GroupNorm, of_gain("dbeta", lambda f: np.full_like(f.beta, f.dy.sum()))),
    ("first row only", GroupNorm, of_gain("dbeta", lambda f: rows(f.dy)[0])),
]  # fmt: skip


@pytest.mark.parametrize(("part", "patch"), named(NORMS).values(), ids=named(NORMS))
def test_wrong_gradients_of_group_norm_are_caught(part: Any, patch: Patch) -> None:
    assert caught(part, patch(part)) >= ALL


def by_layer(s: Any, f: Frame) -> None:
    """All channels are one group."""
    axes = tuple(range(1, f.x.ndim))
    mean, var = f.x.mean(axes, keepdims=True), f.x.var(axes, keepdims=True)
    f.y[...] = (f.x - mean) / np.sqrt(var + s.eps) * (f.gamma if s.affine else 1) + (f.beta if s.affine else 0)


def every_other(s: Any, f: Frame) -> None:
    """Groups of channels that are not neighbours."""
    a = f.x.reshape(*f.x.shape[:-1], -1, s.groups)
    axes = tuple(range(1, a.ndim - 1))
    xhat = ((a - a.mean(axes, keepdims=True)) / np.sqrt(a.var(axes, keepdims=True) + s.eps)).reshape(f.x.shape)
    f.y[...] = xhat * (f.gamma if s.affine else 1) + (f.beta if s.affine else 0)


@pytest.mark.parametrize("lie", [by_layer, every_other])
def test_groups_of_other_channels_are_caught(lie: Callable[[Any, Frame], None]) -> None:
    assert "equations" in caught(GroupNorm, then("forward", lie)(GroupNorm))


# ----------------------------------------------------------------------------------- dropout, branches, embeddings
def redrawn(s: Any, f: Frame) -> None:
    """Another mask than that of the way there."""
    m = np.roll(np.asarray(f.m), 1, -1)
    f.dx[...] = f.dy * (m if m.ndim == f.dy.ndim else wide(m, f))


def masked(a: Array, f: Frame) -> Array:
    return a if a.ndim == f.dy.ndim else wide(a, f)


def slope_of_way_around(s: Any, f: Frame) -> Array:
    return np.array(f.projection.dx if s.projection else f.dy)


def added_up(f: Frame) -> Array:
    """dW with every number's slopes."""
    found = np.zeros_like(f.dW)
    np.add.at(found, f.ids.reshape(-1), f.dy.reshape(-1, f.dW.shape[1]))
    return found


def last_one_stays(s: Any, f: Frame) -> None:
    f.dW[...] = 0
    f.dW[f.ids.reshape(-1)] = f.dy.reshape(-1, f.dW.shape[1])


def added_once(s: Any, f: Frame) -> None:
    """`dW[ids] += dy`, which NumPy does once for each number."""
    f.dW[...] = 0
    f.dW[f.ids.reshape(-1)] += f.dy.reshape(-1, f.dW.shape[1])


def averaged(s: Any, f: Frame) -> None:
    counts = np.bincount(f.ids.reshape(-1), minlength=len(f.dW))
    f.dW[...] = added_up(f) / np.maximum(counts, 1)[:, None]


OTHERS: list[tuple[str, Any, Patch]] = [
    ("mask missing", Dropout, backward(lambda s, f: np.copyto(f.dx, f.dy / (1 - s.rate)))),
    ("scale missing", Dropout, backward(lambda s, f: np.copyto(f.dx, f.dy * (np.asarray(f.m) > 0)))),
    ("mask drawn again", Dropout, backward(redrawn)),
    ("mask missing", SpatialDropout, backward(lambda s, f: np.copyto(f.dx, f.dy / (1 - s.rate)))),
    ("scale missing", SpatialDropout, backward(lambda s, f: np.copyto(f.dx, f.dy * (masked(f.m, f) > 0)))),
    ("mask drawn again", SpatialDropout, backward(redrawn)),
    ("the branch overwrites", Residual, then("backward", lambda s, f: np.copyto(f.dx, f.branch.dx))),
    ("the way around overwrites", Residual, then("backward", lambda s, f: np.copyto(f.dx, slope_of_way_around(s, f)))),
    ("halved", Residual, then("backward", lambda s, f: np.divide(f.dx, 2, out=f.dx))),
    ("one to the right", Reshape, then("backward", lambda s, f: np.copyto(f.dx, np.roll(f.dx, 1)))),
    ("one copy only", Upsample, backward(lambda s, f: np.copyto(f.dx, f.dy[:, :: s._factors[0], :: s._factors[1]]))),
    ("the mean of the copies", Upsample, then("backward", lambda s, f: np.divide(f.dx, np.prod(s._factors), out=f.dx))),
    ("the border of dy", ZeroPad, backward(lambda s, f: np.copyto(f.dx, f.dy[tuple(slice(d) for d in f.dx.shape)]))),
]  # fmt: skip


@pytest.mark.parametrize(("part", "patch"), named(OTHERS).values(), ids=named(OTHERS))
def test_wrong_backwards_are_caught(part: Any, patch: Patch) -> None:
    seen = caught(part, patch(part))
    assert {"equations", "differences"} <= seen
    assert "complex step" in seen or part is Residual  # what a branch does is not in a container's own equations


@pytest.mark.parametrize("lie", [last_one_stays, added_once, averaged])
def test_repeated_numbers_that_do_not_add_up_are_caught(lie: Callable[[Any, Frame], None]) -> None:
    assert caught(Embedding, then("backward", lie)(Embedding)) >= ALL


def test_rows_of_their_neighbours_are_caught() -> None:
    def shifted(s: Any, f: Frame) -> None:
        f.y[...] = f.W[np.minimum(f.ids + 1, len(f.W) - 1)]

    assert "equations" in caught(Embedding, then("forward", shifted)(Embedding))
