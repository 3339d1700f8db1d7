"""Wrong backward passes of layers on images and on tokens, by plain loops over the windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mutants import mutant

from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.embedding import Embedding
from bpcli.parts.layers.norms import BatchNorm
from bpcli.parts.layers.pooling import AvgPool2d, MaxPool2d

BATCH_NORM, CONV, MAX_POOL = BatchNorm.backward, Conv2d.backward, MaxPool2d.backward


@mutant("batch_norm of images", BatchNorm, "batch_norm_1.dgamma, batch_norm_1.dbeta", "only the (first|last)|overwrite")
def gains_not_summed_over_places(self: BatchNorm, f: Frame, train: bool) -> None:
    BATCH_NORM(self, f, train)
    xhat = f.centred * f.rstd
    f.dgamma[...] = (f.dy * xhat)[:, 0, 0].sum(0)
    f.dbeta[...] = f.dy[:, 0, 0].sum(0)


# --------------------------------------------------------------------------------------------------------- convolution
def convolved_back(
    f: Frame, stride: int = 2, crop: int = 1, turned: bool = False, add: bool = True
) -> tuple[Array, Array]:
    """dx and dW of a convolution with a padding of 1; with its defaults as they should be for a stride of 2."""
    filters = f.W[::-1, ::-1] if turned else f.W
    high, wide = f.W.shape[:2]
    image = np.pad(f.x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    dx, dW = np.zeros_like(image), np.zeros_like(f.W)
    for p in range(f.dy.shape[1]):
        for q in range(f.dy.shape[2]):
            window = (slice(None), slice(p * stride, p * stride + high), slice(q * stride, q * stride + wide))
            dW += np.einsum("nuvc,nf->uvcf", image[window], f.dy[:, p, q])
            back = np.einsum("nf,uvcf->nuvc", f.dy[:, p, q], filters)
            dx[window] = back + dx[window] if add else back
    return dx[:, crop : crop + f.x.shape[1], crop : crop + f.x.shape[2]], dW


def put(f: Frame, dx: Array, dW: Array) -> None:
    f.dW[...] = dW
    if f.dx is not None:
        f.dx[...] = dx


@mutant("conv2d", Conv2d, "conv2d_1.dx, conv2d_1.dW", "s = 2 is taken for 1")
def stride_missing(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    put(f, *convolved_back(f, stride=1))


@mutant("conv2d", Conv2d, "conv2d_1.dx", "W is read back to front along its axes 0, 1")
def filters_turned(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    put(f, *convolved_back(f, turned=True))


@mutant("conv2d", Conv2d, "conv2d_1.dx", "overwrite each other")
def windows_overwritten(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    put(f, *convolved_back(f, add=False))


@mutant("conv2d", Conv2d, "conv2d_1.dx", "a = 1 is taken for 0|moved by one place along axes 1, 2")
def padding_cropped_at_the_wrong_place(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    put(f, *convolved_back(f, crop=0))


@mutant("conv2d", Conv2d, "conv2d_1.db", "only the first term over p, q|first term over")
def bias_of_the_first_place(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    f.db[...] = f.dy[:, 0, 0].sum(0)


# ------------------------------------------------------------------------------------------------------------- pooling
def windows(f: Frame, size: int = 2) -> Iterator[tuple[Any, Array, Array]]:
    """Each window of a pooling with a stride of 1, its pixels as one axis, and the error that arrives there."""
    for p in range(f.dy.shape[1]):
        for q in range(f.dy.shape[2]):
            here = (slice(None), slice(p, p + size), slice(q, q + size))
            yield here, f.x[here].reshape(len(f.x), -1, f.x.shape[3]), f.dy[:, p, q]


def winners(pixels: Array) -> Array:
    """1 at the first of the largest."""
    found = np.zeros_like(pixels)
    np.put_along_axis(found, pixels.argmax(1)[:, None], 1.0, 1)
    return found


@mutant("max_pool2d", MaxPool2d, "max_pool2d_1.dx", "overwrite each other")
def winners_overwritten(self: MaxPool2d, f: Frame, train: bool) -> None:
    f.dx.fill(0)
    for here, pixels, dy in windows(f):
        back = (winners(pixels) * dy[:, None]).reshape(f.dx[here].shape)
        f.dx[here] = np.where(back != 0, back, f.dx[here])


@mutant("max_pool2d", MaxPool2d, "max_pool2d_1.dx", "loop that ends early")
def returned_after_the_first_window(self: MaxPool2d, f: Frame, train: bool) -> None:
    f.dx.fill(0)
    for here, pixels, dy in windows(f):
        f.dx[here] += (winners(pixels) * dy[:, None]).reshape(f.dx[here].shape)
        return


@mutant("max_pool2d", MaxPool2d, "max_pool2d_1.dx", "several largest ones win")
def ties_all_win(self: MaxPool2d, f: Frame, train: bool) -> None:
    f.dx.fill(0)
    for here, pixels, dy in windows(f):
        won = pixels == pixels.max(1, keepdims=True)
        f.dx[here] += (won * dy[:, None]).reshape(f.dx[here].shape)


FORWARD = MaxPool2d.forward


@mutant("max_pool2d padded", MaxPool2d, "max_pool2d_1.y, max_pool2d_1.dx", "not the same function", method="forward")
def padding_of_zero_wins(self: MaxPool2d, f: Frame, train: bool) -> None:
    FORWARD(self, f, train)
    grid = self.grid(f.x.shape[1:])
    for p in range(f.y.shape[1]):
        for q in range(f.y.shape[2]):
            if not (0 <= 2 * p - 1 <= f.x.shape[1] - 3 and 0 <= 2 * q - 1 <= f.x.shape[2] - 3):
                np.maximum(f.y[:, p, q], 0, out=f.y[:, p, q])
    assert not grid.inside


@mutant("avg_pool2d", AvgPool2d, "avg_pool2d_1.dx", "division by U ?\\* ?V|division by .*U.*V")
def mean_not_divided(self: AvgPool2d, f: Frame, train: bool) -> None:
    f.dx.fill(0)
    high, wide = f.dy.shape[1] * 2, f.dy.shape[2] * 2
    f.dx[:, :high, :wide] = f.dy.repeat(2, axis=1).repeat(2, axis=2)


# -------------------------------------------------------------------------------------------------------------- tokens
@mutant("tokens", Embedding, "embedding_1.dW", "overwrite each other")
def rows_that_come_twice_overwritten(self: Embedding, f: Frame, train: bool) -> None:
    f.dW.fill(0)
    f.dW[f.ids] = f.dy
    if f.dx is not None:
        f.dx.fill(0)
