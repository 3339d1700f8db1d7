"""Mistakes people make in convolutions.

The wrong backward passes go slowly from window to window; the one without a mistake has to be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.conv.conv1d import Conv1d
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.conv.passes import Passes
from bpcli.parts.layers.conv.transpose import ConvTranspose2d
from wrong_kernels.catalogue import CATALOGUE, EQUATIONS, WrongKernel, then, wrong


class Slow:
    """All gradients of a conv2d, window by window; each method is one line of it that can be got wrong."""

    def __init__(self, part: Conv2d, f: Frame) -> None:
        self.f, self.axes, self.groups = f, part.axes(f.x.shape[1:]), part.groups
        self.biased = part.bias is not False

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - a.before

    def weight(self, u: int, v: int) -> tuple[int, int]:
        """The weight that dx is sent back through."""
        return u, v

    def channels(self, g: int) -> slice:
        each = self.f.x.shape[3] // self.groups
        return slice(g * each, (g + 1) * each)

    def laid(self, there: Array, slope: Array) -> None:
        there += slope

    def bias(self) -> Array:
        return np.asarray(self.f.dy.sum((0, 1, 2)))

    def windows(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """p, q, u, v and the pixel there, where there is one."""
        f = self.f
        for p, q, u, v in product(*(range(n) for n in (*f.y.shape[1:3], *f.W.shape[:2]))):
            h, w = self.pixel(0, p, u), self.pixel(1, q, v)
            if 0 <= h < f.x.shape[1] and 0 <= w < f.x.shape[2]:
                yield p, q, u, v, h, w

    def run(self) -> None:
        f, filters = self.f, self.f.W.shape[3] // self.groups
        dx = np.zeros_like(f.x) if f.dx is None else f.dx  # None where nobody asks for it
        dx[...] = 0
        f.dW[...] = 0
        for p, q, u, v, h, w in self.windows():
            for g in range(self.groups):
                of, c = slice(g * filters, (g + 1) * filters), self.channels(g)
                f.dW[u, v, :, of] += f.x[:, h, w, c].T @ f.dy[:, p, q, of]
                self.laid(dx[:, h, w, c], f.dy[:, p, q, of] @ f.W[(*self.weight(u, v), slice(None), of)].T)
        if self.biased:
            f.db[...] = self.bias()


class NoStride(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p + u * a.dilation - a.before


class NoDilation(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u - a.before


class CroppedOneOff(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - (a.before + 1 if a.before else 0)


class PaddingNotCropped(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation


class CroppedAtTheEnd(Slow):
    """The odd zero of `same` taken off at the wrong side."""

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - a.after


class Overwritten(Slow):
    def laid(self, there: Array, slope: Array) -> None:
        there[...] = slope


class Flipped(Slow):
    def weight(self, u: int, v: int) -> tuple[int, int]:
        return self.f.W.shape[0] - 1 - u, self.f.W.shape[1] - 1 - v


class OffsetsSwapped(Slow):
    def weight(self, u: int, v: int) -> tuple[int, int]:
        rows, columns = self.f.W.shape[:2]
        return min(v, rows - 1), min(u, columns - 1)


class GroupsMixed(Slow):
    """Groups taken from the end."""

    def channels(self, g: int) -> slice:
        return super().channels(self.groups - 1 - g)


class ChannelsInterleaved(Slow):
    """Every groups-th channel for a group's, where they stand side by side."""

    def channels(self, g: int) -> slice:
        return slice(g, None, self.groups)


class BiasOverRows(Slow):
    """Summed over the batch, and of that one pixel."""

    def bias(self) -> Array:
        return np.asarray(self.f.dy.sum(0)[0, 0])


class BiasMean(Slow):
    def bias(self) -> Array:
        return np.asarray(self.f.dy.mean((1, 2)).sum(0))


class BiasOverAll(Slow):
    def bias(self) -> Array:
        return np.full(self.f.dy.shape[3], self.f.dy.sum())


class LastRowForgotten(Slow):
    def windows(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        for window in super().windows():
            if window[0] < max(self.f.y.shape[1] - 1, 1):
                yield window


class LeftoverSeen(Slow):
    """Windows laid against the end of the image, where rows are left over, as if they began there."""

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        left_over = (a.size + a.before + a.after - a.span) % a.stride
        return super().pixel(axis, p, u) + left_over


CONV = Conv2d.backward
DX, DW = "conv2d_1.dx", "conv2d_1.dW"
IN_A_NETWORK = {
    NoStride: ("conv2d", f"{DX}, {DW}", "s = 2 is taken for 1"),
    Overwritten: ("conv2d", DX, "overwrite each other"),
    Flipped: ("conv2d", DX, "W is read back to front along its axes 0, 1"),
}


def backward(slow: type[Slow]) -> Callable[..., None]:
    return lambda self, f, train: slow(self, f).run()


wrong(Conv2d, name="window by window", right=True)(backward(Slow))
for slow in (
    NoStride, NoDilation, CroppedOneOff, CroppedAtTheEnd, Overwritten, Flipped, OffsetsSwapped, GroupsMixed,
    ChannelsInterleaved, BiasOverRows, BiasMean, BiasOverAll, LastRowForgotten, LeftoverSeen,
):  # fmt: skip
    wrong(Conv2d, *IN_A_NETWORK.get(slow, ()), name=slow.__name__)(backward(slow))


@wrong(Conv2d, "conv2d", DX, "a = 1 is taken for 0|moved by one place along axes 1, 2")
def padding_cropped_at_the_wrong_place(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    dW = f.dW.copy()
    PaddingNotCropped(self, f).run()
    f.dW[...] = dW


@wrong(Conv2d, "conv2d", "conv2d_1.db", "only the first term over p, q|first term over")
def bias_of_the_first_place(self: Conv2d, f: Frame, train: bool) -> None:
    CONV(self, f, train)
    f.db[...] = f.dy[:, 0, 0].sum(0)


def scaled(name: str, factor: float) -> Callable[[Any, Frame], None]:
    def change(self: Any, f: Frame) -> None:
        if getattr(f, name, None) is not None:
            getattr(f, name)[...] *= factor

    return change


def one_entry(self: Any, f: Frame) -> None:
    f.dW.reshape(-1)[-1] *= 1.01


def weights_reversed(self: Any, f: Frame) -> None:
    f.dW[...] = np.ascontiguousarray(f.dW[::-1])


# ------------------------------------------------------------------------------------------------ within our own kernel
THERE, BACK, GRADIENT = Passes._lay_out_filters, Passes._lay_out_turned_filters, Passes._write_gradient


def turned(W: Array) -> Array:
    return np.ascontiguousarray(W[::-1, ::-1])


def back_not_turned(self: Passes, f: Frame, W: Array, b: Array | None) -> None:
    """The filters of the way back are not turned round."""
    BACK(self, f, turned(W), b)


def channels_for_filters(self: Passes, f: Frame, W: Array, b: Array | None) -> None:
    """W itself for its transpose, where it is square."""
    BACK(self, f, W.swapaxes(2, 3) if W.shape[2] == W.shape[3] and self.groups == 1 else W, b)


def there_turned(self: Passes, f: Frame, W: Array, b: Array | None) -> None:
    THERE(self, f, turned(W), b)


def gradient_turned(self: Passes, f: Frame, dW: Array, db: Array | None) -> None:
    GRADIENT(self, f, dW, db)
    dW[...] = turned(dW)


SIGNAL_PROCESSING = (THERE, there_turned), (BACK, back_not_turned), (GRADIENT, gradient_turned)
"""The filters turned round on both ways, and so their gradient: another layer, right in itself."""

for part in (Conv1d, Conv2d, ConvTranspose2d):
    for what, change in (
        ("dx 0.1 % too large", scaled("dx", 1.001)), ("dx of the wrong sign", scaled("dx", -1)),
        ("dW 0.1 % too large", scaled("dW", 1.001)), ("dW halved", scaled("dW", 0.5)), ("db doubled", scaled("db", 2)),
        ("one entry 1 % too large", one_entry), ("weights reversed", weights_reversed),
    ):  # fmt: skip
        wrong(part, name=what)(then(part, change))
    if part is not ConvTranspose2d:
        for method in (back_not_turned, channels_for_filters):
            wrong(part, inside=Passes, method=BACK.__name__, name=method.__name__)(method)
    patches = tuple((Passes, right.__name__, method) for right, method in SIGNAL_PROCESSING)
    CATALOGUE.append(WrongKernel(f"{part.__name__} signal processing", part, patches, EQUATIONS))
