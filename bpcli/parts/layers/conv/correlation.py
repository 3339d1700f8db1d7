"""The kernel of all convolutions: filters laid on every window of an image, and the sums of their gradients.

The windows of a few images at a time are copied out side by side as a matrix (im2col), which then is still in the cache
when it is multiplied by the weights; the matrix of a whole batch never exists. Images whose windows are too many are
worked on a few rows of outputs at a time. The bias is one more weight, whose input is always 1.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bpcli.family.plan import Array, Frame, Shape
from bpcli.numeric.products import MAX_MACS, Cuts, cuts, in_parts, in_tiles
from bpcli.numeric.threads import CHUNKS, Chunk, chunk_range
from bpcli.parts.layers.conv.axes import FilterAxis
from bpcli.parts.layers.conv.recorded import RecordedCalls

MAX_MATRIX_ENTRIES = 1 << 18
"""Numbers of a matrix of windows: a megabyte in float32, so that it stays in a level 2 cache. Much smaller ones are
multiplied so soon that two threads stand in each other's way, asking for the interpreter's lock."""

MAX_PADDED_ENTRIES = 1 << 24
"""Numbers of images with zeros around them, from which on fewer of them are worked on at a time: their windows are so
far apart that the matrix has room for many."""

MACS_PER_MOVE = 10
"""Multiply-adds that take as long as to move one number."""

MIN_RUN_ENTRIES = 12
"""Neighbouring numbers of a window from which on a window is copied at once; below, a row of pixels at a time is."""


class Piece(NamedTuple):
    """Images `first` to `last`, of them the outputs in rows `top` to `bottom`."""

    first: int
    last: int
    top: int
    bottom: int


class WindowLayout(NamedTuple):
    """Where the windows of a piece stand. `shape` has an axis for each of groups, images, rows and columns of outputs,
    rows and columns of weights, channels (or weights first); `there` and `here` are the steps, in bytes, to walk them
    in the images, from `start` on, and in the `matrix`. `padded` is the shape of the images with zeros around them, of
    which `inner` is what is copied from `seen`; None where no window looks outside."""

    shape: Shape
    there: Shape
    here: Shape
    start: int
    matrix: Shape
    padded: Shape | None
    inner: tuple[slice, ...]
    seen: tuple[slice, ...]


class Correlation:
    """Filters that move along axes h and w of images, in groups: each group of `channels` channels has `filters`
    filters of its own, as columns of a matrix: g (u v c) f, with a last row of biases where `bias` is set.

    A frame lends it memory: a row of `totals` for each chunk, and of `padded`, `windows`, `made` and `terms` for each
    thread. What it does is recorded once for the views of a frame.
    """

    def __init__(self, h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, bias: bool) -> None:
        self.h, self.w, self.groups, self.channels, self.filters, self.bias = h, w, groups, channels, filters, bias
        self.depth = groups * channels
        self.taps = h.kernel * w.kernel * channels
        self.rows = self.taps + bias
        self.shape = (groups, self.rows, filters)  # of the matrix
        self.size = groups * self.rows * filters
        self.inside = h.inside and w.inside  # whether no window sees a zero around an image
        self.least = 2  # pieces of a chunk: the windows of a whole batch are never there at once
        self.ones = bias  # whether windows have a last column of 1
        self.positions = h.out * w.out
        self.images, self.tall = self.piece_size()
        whole = groups == 1 and w.dilation == 1
        self.across = channels * (w.kernel if whole else 1) < MIN_RUN_ENTRIES
        moved = self.room(h.out) + self.positions * groups * filters
        self.cost = self.positions * self.size + MACS_PER_MOVE * moved  # of one image
        self._layouts: dict[tuple[int, int, int, int], WindowLayout] = {}

    def piece_size(self) -> tuple[int, int]:
        """Returns how many images make a piece, and how many rows of their outputs: all, unless it is one image's."""
        images, row = MAX_MATRIX_ENTRIES // self.room(self.h.out), self.room(1)
        if not self.inside:
            images = min(images, -(-MAX_PADDED_ENTRIES // self.pixels(self.h.out)))
        return (images, self.h.out) if images else (1, max(1, MAX_MATRIX_ENTRIES // row))

    def pixels(self, high: int) -> int:
        """Returns the numbers of an image that so many rows of outputs look at, with what is between them."""
        tall, wide = (high - 1) * self.h.stride + self.h.span, (self.w.out - 1) * self.w.stride + self.w.span
        return tall * wide * self.depth

    def room(self, high: int) -> int:
        """Returns the numbers of a chunk's `windows` that so many rows of outputs of an image take."""
        return high * self.w.out * self.groups * self.rows

    def memory(self, apart: bool) -> dict[str, int]:
        """Returns how many numbers a chunk needs of each array of the frame; `apart`: outputs are not contiguous."""
        positions = self.images * self.tall * self.w.out
        return {
            "padded": 0 if self.inside else self.images * self.pixels(self.tall),
            "windows": self.images * self.room(self.tall),
            "made": positions * self.groups * self.filters if apart else 0,
            "terms": self.size * self._cut(positions, max(MAX_MATRIX_ENTRIES, self.size)).terms,
            "totals": self.size,
        }

    def pieces(self, n: int, chunk: Chunk) -> Iterator[Piece]:
        """Yields the chunk's share of a batch of n images; of fewer images than chunks each chunk has some rows of
        every one. The same on every machine."""
        if n < CHUNKS:
            high = min(self.tall, -(-self.h.out // CHUNKS))
            bands = -(-self.h.out // high)
            for i in chunk_range(n * bands, chunk):
                first, top = i // bands, i % bands * high
                yield Piece(first, first + 1, top, min(top + high, self.h.out))
            return
        own = chunk_range(n, chunk)
        images = -(-len(own) // max(self.least, -(-len(own) // self.images)))
        for first in range(own.start, own.stop, images):
            for top in range(0, self.h.out, self.tall):
                yield Piece(first, min(first + images, own.stop), top, min(top + self.tall, self.h.out))

    def correlate(self, record: RecordedCalls, x: Array, matrix: Array, y: Array, f: Frame, chunk: Chunk) -> None:
        """Records the chunk's share of y, n p q (g f), from images x, n h w (g c)."""
        whole = y.flags.c_contiguous
        for piece, windows in self.windows(record, x, f, chunk):
            positions = windows.shape[1]
            outputs = y[piece.first : piece.last, piece.top : piece.bottom]
            size = positions * self.groups * self.filters
            made = outputs if whole else f.made[chunk.thread, :size]
            out = made.reshape(positions, self.groups, self.filters).transpose(1, 0, 2)
            cut = cuts(positions, self.rows, self.filters)
            tiles = in_tiles(out, cut.rows, cut.columns)
            record(np.matmul, in_tiles(windows, cut.rows, 1), in_tiles(matrix, 1, cut.columns), out=tiles)
            if not whole:
                record(np.copyto, outputs, made.reshape(outputs.shape))

    def weight_gradient(self, record: RecordedCalls, x: Array, dy: Array, f: Frame, chunk: Chunk) -> None:
        """Records the chunk's share of the matrix's gradient, into its row of `totals`."""
        total = f.totals[chunk.number, : self.size].reshape(self.shape)
        record(total.fill, 0)
        for piece, windows in self.windows(record, x, f, chunk):
            positions = windows.shape[1]
            cut = self._cut(positions, f.terms.shape[1])
            slopes = dy[piece.first : piece.last, piece.top : piece.bottom]
            slopes = slopes.reshape(positions, self.groups, self.filters).transpose(1, 0, 2)
            terms = f.terms[chunk.thread, : cut.terms * self.size]
            terms = terms.reshape(self.groups, cut.terms, self.rows, self.filters)
            seen = in_parts(windows, cut.terms).swapaxes(2, 3)
            slopes = in_tiles(in_parts(slopes, cut.terms), 1, cut.columns)
            for rows in self._cut_rows(cut):
                over = cut.rows if rows.start == 0 else 1
                tiles = in_tiles(terms[:, :, rows], over, cut.columns)
                record(np.matmul, in_tiles(seen[:, :, rows], over, 1), slopes, out=tiles)
            for i in range(cut.terms):
                record(np.add, total, terms[:, i], out=total)

    def gradient(self, f: Frame, out: Array) -> None:
        """Returns the matrix's gradient: the sum over the chunks, in their order."""
        np.add.reduce(f.totals[:, : out.size].reshape(CHUNKS, *out.shape), 0, out=out)

    def _cut(self, positions: int, room: int) -> Cuts:
        """Returns how the gradient over so many places is cut, where there is room for so many numbers of terms."""
        cut = cuts(self.rows, positions, self.filters, room // self.size)
        if self.bias and self.rows * positions * self.filters > MAX_MACS:  # a row more seldom has equal parts
            apart = cuts(self.taps, positions, self.filters, room // self.size)
            return apart if apart.rows > 1 else cut
        return cut

    def _cut_rows(self, cut: Cuts) -> tuple[slice, ...]:
        """Returns the rows of the gradient that are cut: all, or all but the row of biases, which is apart."""
        if self.bias and cut.rows > 1 and self.taps % cut.rows == 0:
            return slice(0, self.taps), slice(self.taps, self.rows)
        return (slice(0, self.rows),)

    def windows(self, record: RecordedCalls, x: Array, f: Frame, chunk: Chunk) -> Iterator[tuple[Piece, Array]]:
        """Records the chunk's share of a batch, piece by piece, with its windows as matrices: g (n p q) (u v c), and a
        last column of 1 for a bias."""
        for piece, layout, pixels, new in self.seen(record, x, f, chunk):
            matrix: Array = f.windows[chunk.thread, : math.prod(layout.matrix)].reshape(layout.matrix)
            target: Array = np.ndarray(layout.shape, x.dtype, matrix, 0, layout.here)
            record(np.copyto, target, np.ndarray(layout.shape, x.dtype, pixels, layout.start, layout.there))
            if self.across:
                matrix = matrix.transpose(0, 2, 1)
            if self.ones and new:
                record(np.copyto, matrix[:, :, self.taps], 1)
            yield piece, matrix

    def seen(
        self, record: RecordedCalls, x: Array, f: Frame, chunk: Chunk
    ) -> Iterator[tuple[Piece, WindowLayout, Array, bool]]:
        """Records the chunk's share of a batch, piece by piece: the pixels it looks at, with the zeros around them; how
        it does, and whether otherwise than the piece before. What stands in the thread's memory beside the copies stays
        there from piece to piece."""
        before = None
        for piece in self.pieces(len(x), chunk):
            layout = self.layout(piece.last - piece.first, piece.top, piece.bottom - piece.top, x.itemsize)
            pixels, new = x[piece.first : piece.last], layout is not before
            if layout.padded is not None:
                padded: Array = f.padded[chunk.thread, : math.prod(layout.padded)].reshape(layout.padded)
                if new:
                    record(padded.fill, 0)
                record(np.copyto, padded[layout.inner], pixels[layout.seen])
                pixels = padded
            yield piece, layout, pixels, new
            before = layout

    def layout(self, n: int, top: int, high: int, item: int) -> WindowLayout:
        """Returns how n images are looked at by `high` rows of outputs from `top` on; numbers have `item` bytes."""
        key = n, top, high, item
        if key not in self._layouts:
            self._layouts[key] = self._work_out(n, top * self.h.stride - self.h.before, high, item)
        return self._layouts[key]

    def _work_out(self, n: int, top: int, high: int, item: int) -> WindowLayout:
        """Computes what `layout` caches, for windows that start at pixel row `top`."""
        h, w, groups, channels = self.h, self.w, self.groups, self.channels
        tall, wide = (high - 1) * h.stride + h.span, (w.out - 1) * w.stride + w.span
        first, last = max(top, 0), max(min(h.size, top + tall), 0)
        left, right = max(-w.before, 0), max(min(w.size, wide - w.before), 0)
        pixel, weight, positions = self.depth * item, self.rows * item, n * high * w.out
        inside = last - first == tall and right - left == wide
        row, start = (w.size * pixel, (first * w.size + left) * pixel) if inside else (wide * pixel, 0)
        move = ((h.size if inside else tall) * row, h.stride * row, w.stride * pixel)  # images, rows, columns
        steps = (h.dilation * row, w.dilation * pixel, item)  # rows and columns of weights, channels
        by_position, by_weight = (n, high, w.out), (h.kernel, w.kernel, channels)
        across, down = (w.kernel * channels, channels, 1), (high * w.out, w.out, 1)
        if self.across:
            shape, there = (groups, *by_weight, *by_position), (channels * item, *steps, *move)
            here = (positions * weight, *(positions * item * step for step in across), *(item * step for step in down))
            matrix = (groups, self.rows, positions)
        else:
            shape, there = (groups, *by_position, *by_weight), (channels * item, *move, *steps)
            here = (positions * weight, *(weight * step for step in down), *(item * step for step in across))
            matrix = (groups, positions, self.rows)
        if inside:
            return WindowLayout(shape, there, here, start, matrix, None, (), ())
        every, padded = slice(None), (n, tall, wide, self.depth)
        inner = (every, slice(first - top, last - top), slice(left + w.before, right + w.before))
        seen = (every, slice(first, last), slice(left, right))
        if last <= first or right <= left:  # nothing but zeros is seen
            inner = seen = (every, slice(0), slice(0))
        return WindowLayout(shape, there, here, 0, matrix, padded, inner, seen)
