"""The kernel of convolutions of each channel by itself."""

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.numeric.threads import Chunk
from bpcli.parts.layers.conv.correlation import Correlation, WindowLayout
from bpcli.parts.layers.conv.recorded import RecordedCalls


class Depthwise(Correlation):
    """One channel and one filter a group: too little for products of matrices. Weight by weight, and all channels at
    once, the pixels that outputs see at it are multiplied by it and added up.

    Where windows move by one pixel, a row of them sees a row of pixels: it is taken as one long run of numbers.
    """

    def room(self, high: int) -> int:
        return high * self.w.out * 4 * self.groups

    @property
    def run(self) -> int:
        """Outputs side by side that are worked on as one run."""
        return self.w.out if self.w.stride == 1 else 1

    def memory(self, apart: bool) -> dict[str, int]:
        return {**super().memory(apart), "terms": (self.rows + 1) * self.run * self.groups}

    def correlate(self, record: RecordedCalls, x: Array, matrix: Array, y: Array, f: Frame, chunk: Chunk) -> None:
        weights = f.terms[chunk.thread, : self.rows * self.run * self.groups].reshape(self.rows, self.run, self.groups)
        record(np.copyto, weights, matrix.transpose(1, 2, 0))
        weights = weights.reshape(self.rows, -1)
        for piece, layout, pixels, _ in self.seen(record, x, f, chunk):
            outputs = y[piece.first : piece.last, piece.top : piece.bottom]
            whole = outputs.flags.c_contiguous
            shape = (*outputs.shape[:2], self.w.out // self.run, self.run * self.groups)
            total = outputs.reshape(shape) if whole else f.made[chunk.thread, : outputs.size].reshape(shape)
            term = f.windows[chunk.thread, : outputs.size].reshape(shape)
            record(np.multiply, self._at(0, layout, pixels, shape), weights[0], out=total)
            for k in range(1, self.taps):
                record(np.multiply, self._at(k, layout, pixels, shape), weights[k], out=term)
                record(np.add, total, term, out=total)
            if self.bias:
                record(np.add, total, weights[self.taps], out=total)
            if not whole:
                record(np.copyto, outputs, total.reshape(outputs.shape))

    def weight_gradient(self, record: RecordedCalls, x: Array, dy: Array, f: Frame, chunk: Chunk) -> None:
        total = f.totals[chunk.number, : self.size].reshape(self.groups, self.rows)
        record(total.fill, 0)
        for piece, layout, pixels, _ in self.seen(record, x, f, chunk):
            slopes = dy[piece.first : piece.last, piece.top : piece.bottom]
            slopes = slopes.reshape(*slopes.shape[:2], self.w.out // self.run, self.run * self.groups)
            term = f.terms[chunk.thread, : self.run * self.groups]
            for k in range(self.taps):
                record(np.einsum, "npqg,npqg->g", self._at(k, layout, pixels, slopes.shape), slopes, out=term)
                self._add_run(record, total[:, k], term)
            if self.bias:
                record(np.einsum, "npqg->g", slopes, out=term)
                self._add_run(record, total[:, self.taps], term)

    def _add_run(self, record: RecordedCalls, total: Array, term: Array) -> None:
        for part in term.reshape(self.run, self.groups):
            record(np.add, total, part, out=total)

    def _at(self, k: int, layout: WindowLayout, pixels: Array, shape: tuple[int, ...]) -> Array:
        """Returns what outputs see at weight k, n p q g."""
        down, right = layout.there[1:3] if self.across else layout.there[4:6]
        image, row, column = layout.there[4:] if self.across else layout.there[1:4]
        start = layout.start + k // self.w.kernel * down + k % self.w.kernel * right
        return np.ndarray(shape, pixels.dtype, pixels, start, (image, row, column, layout.there[0]))
