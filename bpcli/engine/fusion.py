"""The kernels of a chain, in groups that are done together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from bpcli.family.plan import Frame, Plan
from bpcli.numeric.steps import COST, is_in_chunks, together
from bpcli.numeric.threads import CHUNKS, MIN_PARALLEL_MACS

__all__ = ["IN_TURN", "Group", "Kernel", "crowds", "grouped"]

Kernel = Callable[[Frame, bool], None]

LONGEST = 3
"""Kernels of a group: a convolution, its activation and a pool."""

IN_TURN = LONGEST + 1
"""Blocks that serve the gradients of a chain in turn: while threads are at different kernels of a group, no two of the
gradients between these may share memory."""


def crowds(kernel: Kernel, plan: Plan, rows: int) -> bool:
    """Whether a kernel is worth several threads of ours for so many rows. Follows from the network and the size of its
    batches alone: numbers are the same on every machine."""
    return is_in_chunks(kernel) and rows * max(plan.multiply_adds, math.prod(plan.y) * COST) >= MIN_PARALLEL_MACS


class Group:
    """Kernels with their frames, in the order they are done; a kernel itself."""

    def __init__(self, kernel: Kernel, plan: Plan, frame: Frame, rows: int) -> None:
        self.kernels, self._scratch = [(kernel, frame)], set(plan.scratch)
        self._open = is_in_chunks(kernel) and rows >= CHUNKS

    def takes(self, kernel: Kernel, plan: Plan, frame: Frame) -> bool:
        """Adds the kernel where it can be done together with the others: all of them share rows out to chunks, and no
        two work in the same scratch."""
        if not self._open or not is_in_chunks(kernel) or len(self.kernels) == LONGEST:
            return False
        if self._scratch & set(plan.scratch):
            return False
        self.kernels.append((kernel, frame))
        self._scratch |= set(plan.scratch)
        return True

    def __call__(self, _: Frame, train: bool) -> None:
        with together():
            for kernel, frame in self.kernels:
                kernel(frame, train)


def grouped(kernels: Iterable[tuple[Kernel, Plan, Frame]], rows: int) -> tuple[tuple[Kernel, Frame], ...]:
    """Kernels in their order, in as few groups as can be; one that is in no group as it is. `rows` is the size of the
    batch: fewer than chunks cannot be shared out."""
    groups: list[Group] = []
    for kernel, plan, frame in kernels:
        if not groups or not groups[-1].takes(kernel, plan, frame):
            groups.append(Group(kernel, plan, frame, rows))
    return tuple(g.kernels[0] if len(g.kernels) == 1 else (g, g.kernels[0][1]) for g in groups)
