"""Convolution of each channel by itself, and which kernel a convolution takes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bpcli.parts.layers.conv.axes import Axis
from bpcli.parts.layers.conv.correlation import Correlation, Look
from bpcli.plan import Array, Frame

__all__ = ["Depthwise", "correlation"]


@lru_cache(maxsize=512)
def correlation(h: Axis, w: Axis, groups: int, channels: int, filters: int, bias: bool) -> Correlation:
    """The correlation of these sizes, made once."""
    alone = groups > 1 and channels == filters == 1
    return (Depthwise if alone else Correlation)(h, w, groups, channels, filters, bias)


class Depthwise(Correlation):
    """One channel and one filter a group: too little for products of matrices. Weight by weight, and all channels at
    once, the pixels that outputs see at it are multiplied by it and added up.

    Where windows move by one pixel, a row of them sees a row of pixels: it is taken as one long run of numbers.
    """

    @property
    def side(self) -> int:
        return 4 * self.groups

    @property
    def run(self) -> int:
        """Outputs side by side that are worked on as one run."""
        return self.w.out if self.w.stride == 1 else 1

    def memory(self, apart: bool) -> dict[str, int]:
        return {**super().memory(apart), "terms": (self.rows + 1) * self.run * self.groups}

    def lay_on(self, x: Array, matrix: Array, y: Array, f: Frame, lane: int) -> None:
        weights = f.terms[lane, : self.rows * self.run * self.groups].reshape(self.rows, self.run, self.groups)
        weights[...] = matrix.transpose(1, 2, 0)
        weights = weights.reshape(self.rows, -1)
        for piece in self.pieces(len(x), lane):
            look, pixels = self._seen(x, piece, f, lane)
            outputs = y[piece.first : piece.last, piece.top : piece.bottom]
            whole = outputs.flags.c_contiguous
            shape = (*outputs.shape[:2], self.w.out // self.run, self.run * self.groups)
            total = outputs.reshape(shape) if whole else f.made[lane, : outputs.size].reshape(shape)
            term = f.windows[lane, : outputs.size].reshape(shape)
            np.multiply(self._at(0, look, pixels, shape), weights[0], out=total)
            for k in range(1, self.taps):
                np.add(total, np.multiply(self._at(k, look, pixels, shape), weights[k], out=term), out=total)
            if self.bias:
                np.add(total, weights[self.taps], out=total)
            if not whole:
                np.copyto(outputs, total.reshape(outputs.shape))

    def add_up(self, x: Array, dy: Array, f: Frame, lane: int) -> None:
        total = f.totals[lane, : self.size].reshape(self.groups, self.rows)
        total.fill(0)
        for piece in self.pieces(len(x), lane):
            look, pixels = self._seen(x, piece, f, lane)
            slopes = dy[piece.first : piece.last, piece.top : piece.bottom]
            slopes = slopes.reshape(*slopes.shape[:2], self.w.out // self.run, self.run * self.groups)
            term = f.terms[lane, : self.run * self.groups]
            for k in range(self.taps):
                np.einsum("npqg,npqg->g", self._at(k, look, pixels, slopes.shape), slopes, out=term)
                self._add_run(total[:, k], term)
            if self.bias:
                np.einsum("npqg->g", slopes, out=term)
                self._add_run(total[:, self.taps], term)

    def _add_run(self, total: Array, term: Array) -> None:
        for part in term.reshape(self.run, self.groups):
            np.add(total, part, out=total)

    def _at(self, k: int, look: Look, pixels: Array, shape: tuple[int, ...]) -> Array:
        """What outputs see at weight k, n p q g."""
        down, right = look.there[1:3] if self.across else look.there[4:6]
        image, row, column = look.there[4:] if self.across else look.there[1:4]
        start = look.start + k // self.w.kernel * down + k % self.w.kernel * right
        return np.ndarray(shape, pixels.dtype, pixels, start, (image, row, column, look.there[0]))
