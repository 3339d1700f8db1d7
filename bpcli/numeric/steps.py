"""Floor 0: calls that are worked out once and done many times.

A kernel that goes through its arrays block by block makes many short calls on views of them. Making the views takes
Python about as long as the calls take NumPy, and as long as one thread makes views all others wait for it. So the calls
are noted with their views the first time, and after that only done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.typing import NDArray

from bpcli.numeric.threads import MIN_PARALLEL_MACS, Chunk, chunk_range, run_chunks

__all__ = ["Steps", "done_in_blocks", "done_in_chunks", "in_chunks", "is_in_chunks", "together"]

Array = NDArray[Any]
Method = TypeVar("Method", bound=Callable[..., Any])

BLOCK = 1 << 18
"""Numbers that are worked on at a time, so that they stay in a level 2 cache from the first step to the last."""
COST = 45
"""Multiply-adds of a product that take about as long as a number takes in a few simple steps."""


class Steps:
    """Calls in their order: `steps(np.add, a, b, out=c)` notes one, `run` does all."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:
        self._calls.append((function, args, named))

    def run(self) -> None:
        for function, args, named in self._calls:
            function(*args, **named)


def in_chunks(method: Method) -> Method:
    """Marks a kernel that does all its work by `done_in_chunks` or `done_in_blocks`, each chunk its share of the rows:
    the next kernel's share of a chunk needs nothing but this one's, so both can be done `together`."""
    method.in_chunks = True  # type: ignore[attr-defined]
    return method


def is_in_chunks(method: Callable[..., Any]) -> bool:
    return getattr(method, "in_chunks", False)


def done_in_chunks(
    notes: dict[Any, Steps], tell: Callable[[Steps, Chunk], None], macs: int, after: Callable[[], None] | None = None
) -> None:
    """Does the steps of every chunk as `run_chunks` does, and keeps them in `notes`; those not there are told first.
    When all chunks are done, calls `after`."""

    def work(chunk: Chunk) -> None:
        if chunk not in notes:
            notes[chunk] = _told(tell, chunk)
        notes[chunk].run()

    if _group.works is None:
        run_chunks(work, macs)
        if after is not None:
            after()
    else:
        _group.works.append((work, macs, after))


def done_in_blocks(notes: dict[Any, Steps], tell: Callable[[Steps, slice], None], x: Array) -> None:
    """Does the steps that `tell` tells for blocks of a few rows of x, in chunks side by side where that pays."""
    macs = x.size * COST
    if macs >= MIN_PARALLEL_MACS or _group.works is not None:
        done_in_chunks(notes, lambda do, chunk: _in_blocks(do, tell, x, chunk_range(len(x), chunk)), macs)
        return
    steps = notes.get(None)
    if steps is None:
        steps = notes[None] = _told(lambda do, rows: _in_blocks(do, tell, x, rows), range(len(x)))
    steps.run()


Work = tuple[Callable[[Chunk], None], int, Callable[[], None] | None]
"""What a chunk does, the multiply-adds of all chunks, and what is done after."""


class _Group(threading.local):
    """What the kernels called `together` by this thread have asked for; None where none are."""

    works: list[Work] | None = None


_group = _Group()


@contextmanager
def together() -> Iterator[None]:
    """Kernels that are called meanwhile, all of them marked, work when it ends: each chunk goes through all of them
    with its rows, which are in its core's cache still, and the threads meet once instead of once a kernel."""
    works: list[Work] = []
    _group.works = works
    try:
        yield
    finally:
        _group.works = None

    def work(chunk: Chunk) -> None:
        for one, _, _ in works:
            one(chunk)

    run_chunks(work, sum(macs for _, macs, _ in works))
    for _, _, after in works:
        if after is not None:
            after()


def _in_blocks(do: Steps, tell: Callable[[Steps, slice], None], x: Array, own: range) -> None:
    block = max(1, BLOCK // max(1, x[:1].size))
    for start in range(own.start, own.stop, block):
        tell(do, slice(start, min(start + block, own.stop)))


def _told(tell: Callable[[Steps, Any], None], share: Any) -> Steps:
    steps = Steps()
    tell(steps, share)
    return steps
