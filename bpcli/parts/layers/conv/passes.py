"""The passes of a convolution: from images to outputs, back, and to the gradient of its filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from bpcli.family.plan import Array, Frame, ShapeError, Slot
from bpcli.numeric.threads import CHUNKS, Chunk, ChunkedWork, chunk_range
from bpcli.parts.layers.conv.axes import FilterAxis, Phase, phases
from bpcli.parts.layers.conv.correlation import Correlation
from bpcli.parts.layers.conv.depthwise import Depthwise
from bpcli.parts.layers.conv.recorded import RecordedCalls, recorded_work
from bpcli.parts.layers.conv.strips import Strips

MAX_PIECES = 1 << 16  # of an image's windows; what is recorded of each takes about a kilobyte
MAX_STEP = 1 << 31  # pixels of a stride or a dilation: its bytes are counted in 64 bits

MAX_PHASES = 1 << 16
"""Phases of the strides; to plan for so many takes a third of a second."""


@lru_cache(maxsize=512)
def correlation(h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, bias: bool) -> Correlation:
    """Returns the correlation of these sizes, made once."""
    if groups > 1 and channels == filters == 1:
        return Depthwise(h, w, groups, channels, filters, bias)
    return (Strips if Strips.pay(h, w, channels) else Correlation)(h, w, groups, channels, filters, bias)


class _PhaseFilters(NamedTuple):
    """The way back to the pixels of one phase along each axis; `filters` is None where no output sees these pixels."""

    h: Phase
    w: Phase
    filters: Correlation | None
    at: int  # where its matrix begins


@lru_cache(maxsize=256)
def passes(h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, biased: str) -> Passes:
    """Returns the passes of these sizes, made once."""
    return Passes(h, w, groups, channels, filters, biased)


class Passes:
    """Filters W, u v c (g f), that move along axes h and w; `channels` and `filters` are those of one group.

    There, every window of an image is multiplied by the filters. The way back is itself a correlation, of what came
    out with the filters turned round, once for each phase of the stride. It needs no sums of overlapping windows, and
    takes as many multiply-adds. The bias is added `there` (convolution), `back` (transposed convolution) or nowhere.
    """

    def __init__(self, h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, biased: str) -> None:
        self.groups, self.channels, self.filters = groups, channels, filters
        self.taps = (h.kernel, w.kernel)
        if (count := min(h.stride, h.size) * min(w.stride, w.size)) > MAX_PHASES:
            text = (
                f"a stride of {h.stride} x {w.stride} takes {count:,} products on the way back, at most {MAX_PHASES:,}"
            )
            raise ShapeError(text, "a smaller `stride`")
        if (step := max(h.stride, w.stride, h.dilation, w.dilation)) > MAX_STEP:
            raise ShapeError(f"a step of {step:,} pixels is larger than any image", "a smaller `stride` or `dilation`")
        self.there = correlation(h, w, groups, channels, filters, biased == "there")
        if (pieces := -(-h.out // self.there.tall)) > MAX_PIECES:
            text = f"{h.out:,} rows of outputs of a kernel of {h.kernel} x {w.kernel} take {pieces:,} products an image"
            raise ShapeError(f"{text}, at most {MAX_PIECES:,}", "a smaller `kernel`, or less `padding`")
        self.back = tuple(self._phase_filters(h, w, biased == "back"))
        self.cost_backward = sum(phase.filters.cost for phase in self.back if phase.filters is not None)

    def _phase_filters(self, h: FilterAxis, w: FilterAxis, bias: bool) -> Iterator[_PhaseFilters]:
        at = 0
        for a, b in product(phases(h), phases(w)):
            if a.back is None or b.back is None:
                yield _PhaseFilters(a, b, None, at)
            else:
                turned = correlation(a.back, b.back, self.groups, self.filters, self.channels, bias)
                yield _PhaseFilters(a, b, turned, at)
                at += turned.size

    def scratch(self) -> Mapping[str, Slot]:
        """Returns the memory for one pass: the filters as matrices and their gradient, and what each chunk works in."""
        back = [phase.filters for phase in self.back if phase.filters is not None]
        need: dict[str, int] = {}
        for part in (self.there, *back):
            for name, numbers in part.memory(apart=part is not self.there and len(self.back) > 1).items():
                need[name] = max(need.get(name, 0), numbers)
        matrix = max(self.there.size, sum(part.size for part in back))
        chunks = {name: Slot((CHUNKS, numbers)) for name, numbers in need.items()}
        return {**chunks, "matrix": Slot((matrix,)), "slopes": Slot((self.there.size,))}

    def forward(self, f: Frame, x: Array, W: Array, b: Array | None, y: Array) -> ChunkedWork:
        """Returns the work of a convolution: y, n p q (g f), from x, n h w (g c)."""

        def record(calls: RecordedCalls, chunk: Chunk) -> None:
            self._correlate(calls, f, x, y, chunk)

        return recorded_work(f, "forward", record, len(x) * self.there.cost, lambda: self._lay_out_filters(f, W, b))

    def backward(
        self, f: Frame, x: Array, W: Array, dy: Array, dW: Array, db: Array | None, dx: Array | None
    ) -> ChunkedWork:
        """Returns the work of all gradients of a convolution; of dx where it is not None."""

        def prepare() -> None:
            if dx is not None:
                self._lay_out_turned_filters(f, W, None)

        def record(calls: RecordedCalls, chunk: Chunk) -> None:
            self.there.weight_gradient(calls, x, dy, f, chunk)
            if dx is not None:
                self._correlate_back(calls, f, dy, None, dx, chunk)

        cost = len(x) * (self.there.cost + (0 if dx is None else self.cost_backward))
        return recorded_work(f, "backward", record, cost, prepare, lambda: self._write_gradient(f, dW, db))

    def transposed(self, f: Frame, x: Array, W: Array, b: Array | None, y: Array) -> ChunkedWork:
        """Returns the work of a transposed convolution: y, n h w (g c), from x, n p q (g f)."""

        def record(calls: RecordedCalls, chunk: Chunk) -> None:
            self._correlate_back(calls, f, x, b, y, chunk)

        return recorded_work(
            f, "forward", record, len(x) * self.cost_backward, lambda: self._lay_out_turned_filters(f, W, b)
        )

    def transposed_backward(self, f: Frame, x: Array, W: Array, dy: Array, dW: Array, dx: Array | None) -> ChunkedWork:
        """Returns the work of the gradients of a transposed convolution, but for its bias; of dx where it is not
        None."""

        def prepare() -> None:
            if dx is not None:
                self._lay_out_filters(f, W, None)

        def record(calls: RecordedCalls, chunk: Chunk) -> None:
            self.there.weight_gradient(calls, dy, x, f, chunk)
            if dx is not None:
                self._correlate(calls, f, dy, dx, chunk)

        cost = len(x) * self.there.cost * (1 if dx is None else 2)
        return recorded_work(f, "backward", record, cost, prepare, lambda: self._write_gradient(f, dW, None))

    def _lay_out_filters(self, f: Frame, W: Array, b: Array | None) -> None:
        """Lays the filters out as a matrix, for `_correlate`."""
        matrix = f.matrix[: self.there.size].reshape(self.there.shape)
        np.copyto(self._split_taps(matrix), self._split_groups(W))
        if b is not None:
            matrix[:, self.there.taps] = b.reshape(self.groups, self.filters)

    def _correlate(self, record: RecordedCalls, f: Frame, x: Array, y: Array, chunk: Chunk) -> None:
        """Records a chunk's share of y, n p q (g f), from images x, n h w (g c)."""
        self.there.correlate(record, x, f.matrix[: self.there.size].reshape(self.there.shape), y, f, chunk)

    def _lay_out_turned_filters(self, f: Frame, W: Array, b: Array | None) -> None:
        """Turns the filters round and lays them out as matrices, one a phase, for `_send_back`."""
        weights = self._split_groups(W).swapaxes(3, 4)
        for phase in self.back:
            if phase.filters is not None:
                matrix = f.matrix[phase.at : phase.at + phase.filters.size].reshape(phase.filters.shape)
                own = weights[:, phase.h.weights, phase.w.weights][:, ::-1, ::-1]
                np.copyto(matrix[:, : phase.filters.taps].reshape(own.shape), own)
                if b is not None:
                    matrix[:, phase.filters.taps] = b.reshape(self.groups, self.channels)

    def _correlate_back(
        self, record: RecordedCalls, f: Frame, dy: Array, b: Array | None, dx: Array, chunk: Chunk
    ) -> None:
        """Records a chunk's share of dx, n h w (g c), from dy, n p q (g f), phase by phase."""
        for phase in self.back:
            pixels = dx[:, phase.h.pixels, phase.w.pixels]
            if phase.filters is not None:
                matrix = f.matrix[phase.at : phase.at + phase.filters.size].reshape(phase.filters.shape)
                phase.filters.correlate(record, dy, matrix, pixels, f, chunk)
            else:
                own = chunk_range(len(dx), chunk)
                record(np.copyto, pixels[own.start : own.stop], 0 if b is None else b)

    def _write_gradient(self, f: Frame, dW: Array, db: Array | None) -> None:
        """Writes dW, and db where the bias is added there, from the sums of the chunks."""
        slopes = f.slopes[: self.there.size].reshape(self.there.shape)
        self.there.gradient(f, slopes)
        np.copyto(self._split_groups(dW), self._split_taps(slopes))
        if db is not None:
            np.copyto(db.reshape(self.groups, self.filters), slopes[:, self.there.taps])

    def _split_groups(self, W: Array) -> Array:
        """Returns u v c (g f) as g u v c f; a view."""
        return W.reshape(*W.shape[:3], self.groups, self.filters).transpose(3, 0, 1, 2, 4)

    def _split_taps(self, matrix: Array) -> Array:
        """Returns the weights of a matrix, g (u v c) f, as g u v c f; a view."""
        weights = matrix[:, : self.there.taps]
        return weights.reshape(self.groups, *self.taps, self.channels, self.filters)
