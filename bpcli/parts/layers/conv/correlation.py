"""The kernel of all convolutions: filters laid on every window of an image, and the sums of their gradients.

The windows of a few images at a time are copied out side by side as a matrix (im2col), which then is still in the cache
when it is multiplied by the weights; the matrix of a whole batch never exists. Images whose windows are too many are
worked on a few rows of outputs at a time. The bias is one more weight, whose input is always 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bpcli.numeric.threads import LANES, share
from bpcli.parts.layers.conv.axes import Axis
from bpcli.plan import Array, Frame

__all__ = ["Correlation", "correlation"]

BLOCK = 1 << 17
"""Numbers of a matrix of windows: half a megabyte in float32, so that it stays in a level 2 cache."""

PRODUCT = 1_000_000
"""Multiply-adds of one matrix product. Up to so many OpenBLAS does not copy its operands first (on AVX512), which is a
third faster, and starts no threads of its own."""

MOVE = 32
"""Multiply-adds that take as long as to move one number."""

SHORT = 12
"""Neighbouring numbers of a window from which on a window is copied at once; below, a row of pixels at a time is."""


class Piece(NamedTuple):
    """Images `first` to `last`, of them the outputs in rows `top` to `bottom`."""

    first: int
    last: int
    top: int
    bottom: int


@lru_cache(maxsize=512)
def correlation(h: Axis, w: Axis, groups: int, channels: int, filters: int, bias: bool) -> Correlation:
    """The correlation of these sizes, made once."""
    return Correlation(h, w, groups, channels, filters, bias)


class Correlation:
    """Filters that move along axes h and w of images, in groups: each group of `channels` channels has `filters`
    filters of its own, as columns of a matrix: g (u v c) f, with a last row of biases where `bias` is set.

    A frame lends it memory: one row for each lane of `padded`, `windows`, `made`, `terms` and `totals`.
    """

    def __init__(self, h: Axis, w: Axis, groups: int, channels: int, filters: int, bias: bool) -> None:
        self.h, self.w, self.groups, self.channels, self.filters, self.bias = h, w, groups, channels, filters, bias
        self.depth = groups * channels
        self.taps = h.kernel * w.kernel * channels
        self.rows = self.taps + bias
        self.shape = (groups, self.rows, filters)  # of the matrix
        self.size = groups * self.rows * filters
        self.places = h.out * w.out
        numbers = self.places * self.rows * groups  # of an image's windows
        self.images = max(1, BLOCK // numbers)
        self.tall = h.out if numbers <= BLOCK else max(1, BLOCK // (w.out * self.rows * groups))
        whole = groups == 1 and w.dilation == 1
        self.across = channels * (w.kernel if whole else 1) < SHORT
        self.macs = self.places * groups * self.rows * filters  # of one image
        moved = self.places * groups * (self.rows + filters)
        self.cost = self.macs + MOVE * moved
        self.wide = (w.out - 1) * w.stride + w.span

    def memory(self) -> dict[str, int]:
        """Numbers that one lane needs of each array of the frame."""
        places = self.images * self.tall * self.w.out
        high = (self.tall - 1) * self.h.stride + self.h.span
        return {
            "padded": self.images * high * self.wide * self.depth,
            "windows": self.groups * places * self.rows,
            "made": places * self.groups * self.filters,
            "terms": max(self.size, BLOCK),
            "totals": self.size,
        }

    def pieces(self, n: int, lane: int) -> Iterator[Piece]:
        """The lane's share of a batch of n images; the same on every machine."""
        images, high = min(self.images, -(-n // LANES)), -(-self.h.out // self.tall)
        for i in share(-(-n // images) * high, lane):
            first, top = i // high * images, i % high * self.tall
            yield Piece(first, min(first + images, n), top, min(top + self.tall, self.h.out))

    def lay_on(self, x: Array, matrix: Array, y: Array, f: Frame, lane: int) -> None:
        """The lane's share of y, n p q (g f), from images x, n h w (g c)."""
        whole = y.flags.c_contiguous
        for piece in self.pieces(len(x), lane):
            windows = self._windows(x, piece, f, lane)
            places = windows.shape[1]
            outputs = y[piece.first : piece.last, piece.top : piece.bottom]
            size = places * self.groups * self.filters
            made = outputs if whole else f.made[lane, :size]
            out = made.reshape(places, self.groups, self.filters).transpose(1, 0, 2)
            cut = _pieces(places, self.rows * self.filters)
            np.matmul(_cut(windows, cut), matrix[:, None], out=_cut(out, cut))
            if not whole:
                np.copyto(outputs, made.reshape(outputs.shape))

    def add_up(self, x: Array, dy: Array, f: Frame, lane: int) -> None:
        """The lane's share of the matrix's gradient, into its row of `totals`."""
        total = f.totals[lane, : self.size].reshape(self.shape)
        total.fill(0)
        for piece in self.pieces(len(x), lane):
            windows = self._windows(x, piece, f, lane)
            places = windows.shape[1]
            cut = _pieces(places, self.rows * self.filters)
            cut = cut if cut * self.size <= BLOCK else 1
            slopes = dy[piece.first : piece.last, piece.top : piece.bottom]
            slopes = slopes.reshape(places, self.groups, self.filters).transpose(1, 0, 2)
            terms = f.terms[lane, : cut * self.size].reshape(self.groups, cut, self.rows, self.filters)
            np.matmul(_cut(windows, cut).swapaxes(2, 3), _cut(slopes, cut), out=terms)
            for i in range(cut):
                np.add(total, terms[:, i], out=total)

    def gradient(self, f: Frame, out: Array) -> None:
        """The matrix's gradient: the sum over the lanes, in their order."""
        np.add.reduce(f.totals[:, : out.size].reshape(LANES, *out.shape), 0, out=out)

    def _windows(self, x: Array, piece: Piece, f: Frame, lane: int) -> Array:
        """The windows of a piece as matrices: g (n p q) (u v c), with a last column of 1 for the bias."""
        h, w, groups, channels, item = self.h, self.w, self.groups, self.channels, x.itemsize
        n, high = piece.last - piece.first, piece.bottom - piece.top
        pixels, start, row, image = self._pixels(x, piece, f, lane)
        pixel, weight = self.depth * item, self.rows * item
        move = (image, h.stride * row, w.stride * pixel)  # in bytes, from image to image and from output to output
        look = (h.dilation * row, w.dilation * pixel, item)  # from weight to weight
        by_place, by_weight = (n, high, w.out), (h.kernel, w.kernel, channels)
        places = n * high * w.out
        out = f.windows[lane, : groups * places * self.rows]
        matrix: Array
        if self.across:
            matrix = out.reshape(groups, self.rows, places)
            shape = (groups, *by_weight, *by_place)
            target = matrix[:, : self.taps].reshape(shape)
            np.copyto(target, np.ndarray(shape, x.dtype, pixels, start, (channels * item, *look, *move)))
            if self.bias:
                matrix[:, self.taps] = 1
            return matrix.transpose(0, 2, 1)
        matrix = out.reshape(groups, places, self.rows)
        shape = (groups, *by_place, *by_weight)
        steps = (places * weight, high * w.out * weight, w.out * weight, weight)
        target = np.ndarray(shape, x.dtype, out, 0, (*steps, w.kernel * channels * item, channels * item, item))
        np.copyto(target, np.ndarray(shape, x.dtype, pixels, start, (channels * item, *move, *look)))
        if self.bias:
            matrix[:, :, self.taps] = 1
        return matrix

    def _pixels(self, x: Array, piece: Piece, f: Frame, lane: int) -> tuple[Array, int, int, int]:
        """What a piece's windows see, with zeros where they look outside: an array, and in bytes where its first pixel
        stands and the steps from row to row and from image to image."""
        h, w = self.h, self.w
        top = piece.top * h.stride - h.before
        high = (piece.bottom - 1 - piece.top) * h.stride + h.span
        first, last = max(top, 0), min(h.size, top + high)
        left, right = max(-w.before, 0), min(w.size, self.wide - w.before)
        images = x[piece.first : piece.last]
        pixel = self.depth * x.itemsize
        if last - first == high and right - left == self.wide:
            row = w.size * pixel
            return images, first * row + left * pixel, row, h.size * row
        shape = (len(images), high, self.wide, self.depth)
        padded = f.padded[lane, : math.prod(shape)].reshape(shape)
        above, below, before, after = first - top, last - top, left + w.before, right + w.before
        if last <= first or right <= left:
            padded.fill(0)
        else:
            for zeros in (padded[:, :above], padded[:, below:], padded[:, :, :before], padded[:, :, after:]):
                if zeros.size:
                    zeros.fill(0)
            np.copyto(padded[:, above:below, before:after], images[:, first:last, left:right])
        return padded, 0, self.wide * pixel, high * self.wide * pixel


@lru_cache(maxsize=4096)
def _pieces(places: int, macs: int) -> int:
    """Into how many equal parts so many places are cut, `macs` multiply-adds each, so that no product has more than
    PRODUCT; 1 where that would take parts too small to be worth it."""
    parts = -(-places * macs // PRODUCT)
    while parts < places and places % parts:
        parts += 1
    return parts if places // parts >= 16 else 1


def _cut(a: Array, parts: int) -> Array:
    """Matrices g m k as g parts (m / parts) k; a view."""
    g, m, k = a.shape
    return a.reshape(g, parts, m // parts, k)
