"""How the kernels of a chain are run: on blocks of rows that stay in cache, and several of them together, shared out to
threads, where that is worth it."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.family import Frame, Layer, N, Plan
from bpcli.numeric import threads
from bpcli.numeric.threads import CHUNKS, Chunk, ChunkedWork, chunk_range, run_together

Kernel = Callable[[Frame, bool], None]

MAX_FUSED = 3
"""Kernels that are run together: a convolution, its activation and a pool."""

GRADIENT_BLOCKS = MAX_FUSED + 1
"""Blocks of memory that serve the gradients of a chain in turn: while threads are at different kernels of those run
together, no two of the gradients between these may share memory."""

KERNEL_BLOCK_ENTRIES = 1 << 18
"""Entries of x that a kernel is run on at a time, so that they stay in a level 2 cache from its first step to its
last."""

MACS_PER_ENTRY = 45
"""Multiply-adds of a product that take about as long as an entry takes in a few simple steps."""


def splits_rows(layer: Layer, plan: Plan) -> bool:
    """Whether the engine runs the layer on some rows of the batch at a time: its rows are independent, nothing in its
    frame is shared by several of them, and it is not a mere pass over memory (it only moves entries, or multiplies them
    by what was drawn), which neither blocks nor threads make faster."""
    slots = (*plan.keep.values(), *plan.scratch.values())
    shared = plan.params or plan.state or plan.inside or any(slot.shape[:1] != (N,) for slot in slots)
    return layer.rows_are_independent and not (shared or layer.moves or plan.draws)


def is_worth_threads(layer: Layer, plan: Plan, rows: int) -> bool:
    """Whether a layer that cuts itself into chunks (a convolution) is worth several threads of ours for so many rows:
    the other products of its network then leave the cores to them. This follows from the network and the size of its
    batches alone: numbers are the same on every machine."""
    macs = rows * max(plan.multiply_adds, math.prod(plan.y) * MACS_PER_ENTRY)
    return hasattr(layer.forward, "chunked") and macs >= threads.MIN_PARALLEL_MACS


@dataclass(frozen=True)
class BoundKernel:
    """The forward or the backward pass of a layer, with its frame for a batch."""

    kernel: Kernel
    layer: Layer
    plan: Plan
    frame: Frame

    @property
    def macs(self) -> int:
        """Returns the multiply-adds, or what takes as long; 0 where it cannot be run on some rows at a time."""
        if hasattr(self.kernel, "chunked"):
            return self.chunked(True).macs
        return self.frame.x.size * MACS_PER_ENTRY if splits_rows(self.layer, self.plan) else 0

    def chunked(self, train: bool) -> ChunkedWork:
        """Returns the work of a kernel that cuts itself into chunks of rows."""
        work: ChunkedWork = self.kernel.chunked(self.layer, self.frame, train)  # type: ignore[attr-defined]
        return work

    def by_chunks(self) -> Callable[[bool], ChunkedWork]:
        """Returns a function that makes the kernel's ChunkedWork."""
        if hasattr(self.kernel, "chunked"):
            return self.chunked
        n, kernel, macs = len(self.frame.x), self.kernel, self.macs
        chunks = tuple(tuple(self._blocks(chunk_range(n, Chunk(number, 0)))) for number in range(CHUNKS))

        def work(train: bool) -> ChunkedWork:
            def run(chunk: Chunk) -> None:
                for block in chunks[chunk.number]:
                    kernel(block, train)

            return ChunkedWork(run, macs)

        return work

    def by_itself(self) -> Kernel:
        """Returns the kernel, wrapped to run block by block where its rows are independent and fill several blocks."""
        if not splits_rows(self.layer, self.plan):
            return self.kernel
        kernel, blocks = self.kernel, tuple(self._blocks(range(len(self.frame.x))))
        if len(blocks) == 1:
            return kernel

        def in_blocks(_: Frame, train: bool) -> None:
            for block in blocks:
                kernel(block, train)

        return in_blocks

    def _blocks(self, rows: range) -> Iterator[Frame]:
        """Yields frames of some rows at a time: views of the same memory."""
        step = max(1, KERNEL_BLOCK_ENTRIES // max(1, self.frame.x[:1].size))
        for start in range(rows.start, rows.stop, step):
            some = slice(start, min(start + step, rows.stop))
            yield Frame(**{name: a[some] if isinstance(a, np.ndarray) else a for name, a in vars(self.frame).items()})


class FusedKernels:
    """Several kernels in the order they are run, as one kernel: each thread carries its rows through all of them."""

    def __init__(self, kernels: Sequence[BoundKernel]) -> None:
        self.works = tuple(kernel.by_chunks() for kernel in kernels)

    def __call__(self, _: Frame, train: bool) -> None:
        run_together([work(train) for work in self.works])


def fused(kernels: Iterable[BoundKernel], rows: int) -> tuple[tuple[Kernel, Frame], ...]:
    """Groups kernels whose work justifies threads, in as few groups as can be; returns all kernels in their order, with
    their frames, for a batch of so many rows. Beside products that are left to BLAS's threads, a group without a kernel
    that cuts itself into chunks justifies none."""
    kernels = tuple(kernels)
    shares_cores = any(is_worth_threads(k.layer, k.plan, rows) for k in kernels)
    shares_cores = shares_cores or not any(k.plan.multiply_adds for k in kernels)
    groups: list[list[BoundKernel]] = []
    for kernel in kernels:
        if groups and rows >= CHUNKS and _joins(groups[-1], kernel):
            groups[-1].append(kernel)
        else:
            groups.append([kernel])
    found: list[tuple[Kernel, Frame]] = []
    for group in groups:
        macs = sum(kernel.macs for kernel in group)
        chunked = any(hasattr(kernel.kernel, "chunked") for kernel in group)
        if macs and macs >= threads.MIN_PARALLEL_MACS and (shares_cores or chunked):
            found.append((FusedKernels(group), group[0].frame))
        else:
            found += [(kernel.by_itself(), kernel.frame) for kernel in group]
    return tuple(found)


def _joins(group: Sequence[BoundKernel], kernel: BoundKernel) -> bool:
    """Whether a kernel can be run together with these: all on some rows at a time, and no two in the same scratch."""
    taken = {name for other in group for name in other.plan.scratch}
    return bool(len(group) < MAX_FUSED and group[0].macs and kernel.macs and not taken & set(kernel.plan.scratch))
