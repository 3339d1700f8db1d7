"""Mistakes people make in pooling: who wins, and what is added up where windows overlap.

At ties a difference shows one side's slope and judges nothing: who has won is caught by the equations, and by complex
steps through them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.global_pooling import GlobalAvgPool, GlobalMaxPool
from bpcli.parts.layers.pooling import AvgPool2d, MaxPool2d
from wrong_kernels.catalogue import EQUATIONS, NO_DIFFERENCES, WITNESSES, then, wrong

Index = tuple[int, ...]


def windows(s: Any, f: Frame) -> Iterator[tuple[Index, list[Index | None]]]:
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


def first_window_only(s: Any, f: Frame) -> None:
    f.dx.fill(0)
    for out, pixels in windows(s, f):
        if out[1:3] == (0, 0):
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


def wide(a: Array, f: Frame) -> Array:
    """n c as n ... c."""
    return a.reshape(len(a), *(1,) * (f.x.ndim - 2), -1)


Change = Callable[[Any, Frame], None]
MAX = "max_pool2d", "max_pool2d_1.dx"
IN_PLACE_OF_BACKWARD: list[tuple[str, Any, Change, frozenset[str], tuple[str, ...]]] = [
    ("overlapping windows overwrite", MaxPool2d, overwritten, WITNESSES, (*MAX, "overwrite each other")),
    ("one image only", MaxPool2d, first_image_only, WITNESSES, ()),
    ("one window only", MaxPool2d, first_window_only, WITNESSES, (*MAX, "loop that ends early")),
    ("shared out as in a mean", MaxPool2d, shared_out, WITNESSES, ()),
    ("every equal wins", MaxPool2d, to_every_equal, NO_DIFFERENCES, (*MAX, "several largest ones win")),
    ("divided among equals", MaxPool2d, divided_among_equals, NO_DIFFERENCES, ()),
    ("the last of equals", MaxPool2d, last_of_equals, NO_DIFFERENCES, ()),
    ("overlapping windows overwrite", AvgPool2d, average_overwritten, WITNESSES, ()),
    ("every equal wins", GlobalMaxPool, lambda s, f: np.copyto(f.dx, wide(f.dy, f) * (f.x == wide(f.y, f))),
     NO_DIFFERENCES, ()),
]  # fmt: skip
BEHIND_BACKWARD: list[tuple[str, Any, Change, tuple[str, ...]]] = [
    ("one to the right", MaxPool2d, one_to_the_right, ()),
    ("one to the right", AvgPool2d, one_to_the_right, ()),
    ("not divided", AvgPool2d, not_divided,
     ("avg_pool2d", "avg_pool2d_1.dx", "division by U ?\\* ?V|division by .*U.*V")),
    ("not divided", GlobalAvgPool, lambda s, f: np.copyto(f.dx, f.dx * f.dx[0, ..., 0].size), ()),
]  # fmt: skip
BEHIND_FORWARD: list[tuple[str, Any, Change, tuple[str, ...]]] = [
    ("padding is 0", MaxPool2d, zeros_around,
     ("max_pool2d padded", "max_pool2d_1.y, max_pool2d_1.dx", "not the same function")),
    ("padding is not counted", AvgPool2d, divided_by_real_pixels, ()),
    ("the first place wins", GlobalMaxPool, lambda s, f: f.win.fill(0), ()),
    ("of one row for all", GlobalMaxPool, lambda s, f: np.copyto(f.win, f.win[:1]), ()),
]  # fmt: skip


def backward(change: Change) -> Callable[..., None]:
    return lambda self, f, train: change(self, f)


for what, part, change, seen_by, net in IN_PLACE_OF_BACKWARD:
    wrong(part, *net, seen_by=seen_by, name=what)(backward(change))
for what, part, change, net in BEHIND_BACKWARD:
    wrong(part, *net, name=what)(then(part, change))
for what, part, change, net in BEHIND_FORWARD:
    wrong(part, *net, method="forward", seen_by=EQUATIONS, name=what)(then(part, change, "forward"))
