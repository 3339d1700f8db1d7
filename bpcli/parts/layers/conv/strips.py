"""The kernel of convolutions that move down by one pixel: strips, one filter row high, in place of windows.

A window of three rows is three strips, and the window below it has two of them in common. So each strip is copied out
once; every row of the filters is multiplied by the strips it sees, and what these products give is added up. Filters of
one pixel see the image as it is: nothing is copied at all.
"""

from collections.abc import Iterator

import numpy as np

from bpcli.family.plan import Array, Frame
from bpcli.numeric.products import Cuts, cuts, in_parts, in_tiles
from bpcli.numeric.threads import Chunk
from bpcli.parts.layers.conv import correlation
from bpcli.parts.layers.conv.axes import FilterAxis
from bpcli.parts.layers.conv.correlation import Correlation, Piece, WindowLayout
from bpcli.parts.layers.conv.recorded import RecordedCalls

MIN_POSITIONS = 128
"""Outputs of an image from which on a product for each image and filter row is large enough to be worth it."""


class Strips(Correlation):
    """A correlation whose windows move down by one pixel. The bias is added by itself."""

    def __init__(self, h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, bias: bool) -> None:
        self.line = Correlation(h._replace(kernel=1, dilation=1), w, groups, channels, 1, False)
        self.plain = groups == 1 and all(a.kernel == a.stride == 1 and not a.before and a.out == a.size for a in (h, w))
        super().__init__(h, w, groups, channels, filters, bias)
        self.ones, self.least = False, 2 if h.kernel == 1 else 1  # strips are a part of the windows

    @staticmethod
    def pay(h: FilterAxis, w: FilterAxis, channels: int) -> bool:
        """Whether this is the faster way for images and filters of these sizes."""
        if h.stride > 1:
            return False
        return h.kernel == 1 or (h.out * w.out >= MIN_POSITIONS and w.kernel * channels >= correlation.MIN_RUN_ENTRIES)

    def piece_size(self) -> tuple[int, int]:
        (images, high), most = super().piece_size(), correlation.MAX_MATRIX_ENTRIES
        terms = self._cut(high * self.w.out, max(most, self.size)).terms * self.size  # of an image
        return (images if self.h.kernel == 1 else max(1, min(images, most // terms))), high

    def room(self, high: int) -> int:
        return self.line.room(high + self.h.span - 1)

    def memory(self, apart: bool) -> dict[str, int]:
        need = super().memory(apart)
        images, positions = self._apart(self.images, self.images * self.tall * self.w.out)
        need["made"] = images * positions * self.groups * self.filters
        terms = self._cut(positions, max(correlation.MAX_MATRIX_ENTRIES, self.size)).terms
        need["terms"] = max((images * terms + 1) * self.size, self.w.out * self.groups * self.filters)
        return {**need, "padded": 0, "windows": 0} if self.plain else need

    def windows(self, record: RecordedCalls, x: Array, f: Frame, chunk: Chunk) -> Iterator[tuple[Piece, Array]]:
        """Records the layout of windows as strips, g (n h q) (v c), for every row h that the piece looks at."""
        if not self.plain:
            yield from super().windows(record, x, f, chunk)
            return
        for piece in self.pieces(len(x), chunk):
            yield piece, x[piece.first : piece.last, piece.top : piece.bottom].reshape(1, -1, self.channels)

    def correlate(self, record: RecordedCalls, x: Array, matrix: Array, y: Array, f: Frame, chunk: Chunk) -> None:
        biases = f.terms[chunk.thread, : self.w.out * self.groups * self.filters].reshape(self.w.out, -1)
        if self.bias:  # for a whole row of outputs: short vectors are added slowly
            record(np.copyto, biases.reshape(self.w.out, self.groups, -1), matrix[:, self.taps])
        for piece, strips in self.windows(record, x, f, chunk):
            outputs = y[piece.first : piece.last, piece.top : piece.bottom]
            part = f.made[chunk.thread, : outputs.size].reshape(outputs.shape)
            images, positions = self._apart(len(outputs), outputs.size // (self.groups * self.filters))
            cut = cuts(positions, self.line.rows, self.filters)
            seen = self._seen_by(strips, images, positions, cut.rows)[:, :, :, :, None]
            for u in range(self.h.kernel):
                made = outputs if u == 0 and outputs.flags.c_contiguous else part
                row = in_tiles(matrix[:, None, u * self.line.rows : (u + 1) * self.line.rows], 1, cut.columns)
                record(np.matmul, seen[:, :, u], row, out=in_tiles(self._flat(made, images), cut.rows, cut.columns))
                if u:
                    record(np.add, outputs, part, out=outputs)
                elif made is part:
                    record(np.copyto, outputs, part)
            if self.bias:
                record(np.add, outputs, biases, out=outputs)

    def weight_gradient(self, record: RecordedCalls, x: Array, dy: Array, f: Frame, chunk: Chunk) -> None:
        total = f.totals[chunk.number, : self.size].reshape(self.shape)
        record(total.fill, 0)
        weights = total[:, : self.taps].reshape(self.groups, self.h.kernel, -1, self.filters)
        for piece, strips in self.windows(record, x, f, chunk):
            slopes = dy[piece.first : piece.last, piece.top : piece.bottom]
            images, positions = self._apart(len(slopes), slopes.size // (self.groups * self.filters))
            cut = self._cut(positions, (f.terms.shape[1] - weights.size) // images)
            seen = in_tiles(self._seen_by(strips, images, positions, cut.terms).swapaxes(4, 5), cut.rows, 1)
            flat = in_parts(self._flat(slopes, images), cut.terms)[:, :, None]
            sums = f.terms[chunk.thread, : weights.size].reshape(weights.shape)
            terms = f.terms[chunk.thread, weights.size : (images * cut.terms + 1) * weights.size]
            terms = terms.reshape(self.groups, images, self.h.kernel, cut.terms, *weights.shape[2:])
            record(np.matmul, seen, in_tiles(flat, 1, cut.columns), out=in_tiles(terms, cut.rows, cut.columns))
            record(np.add.reduce, terms, (1, 3), out=sums)
            record(np.add, weights, sums, out=weights)
            if self.bias:  # in rows of outputs, for numbers side by side are added up fastest
                row = f.terms[chunk.thread, : self.w.out * self.groups * self.filters]
                biases = f.made[chunk.thread, : self.groups * self.filters]
                record(np.add.reduce, slopes.reshape(-1, row.size), 0, out=row)
                record(np.add.reduce, row.reshape(self.w.out, -1), 0, out=biases)
                record(np.add, total[:, self.taps], biases.reshape(self.groups, -1), out=total[:, self.taps])

    def _cut(self, positions: int, room: int) -> Cuts:
        """Returns the cuts; each filter row is one product."""
        return cuts(self.line.rows, positions, self.filters, room // self.size)

    def layout(self, n: int, top: int, high: int, item: int) -> WindowLayout:
        return self.line.layout(n, top, high + self.h.span - 1, item)

    def _apart(self, images: int, positions: int) -> tuple[int, int]:
        """Returns how many products a filter row takes, and the output places of each: strips of different images are
        apart, for there are more of them than outputs."""
        return (1, positions) if self.h.kernel == 1 else (images, positions // images)

    def _flat(self, outputs: Array, images: int) -> Array:
        """Returns outputs n p q (g f) as matrices: g images places f; a view."""
        return outputs.reshape(images, -1, self.groups, self.filters).transpose(2, 0, 1, 3)

    def _seen_by(self, strips: Array, images: int, positions: int, cut: int) -> Array:
        """Returns what each filter row sees of the strips, g images u cut (places / cut) (v c): a view that overlaps
        itself."""
        group, position, number = strips.strides
        image = strips.shape[1] // images * position
        shape = (self.groups, images, self.h.kernel, cut, positions // cut, self.line.rows)
        steps = (group, image, self.h.dilation * self.w.out * position, positions // cut * position, position, number)
        return np.lib.stride_tricks.as_strided(strips, shape, steps)
