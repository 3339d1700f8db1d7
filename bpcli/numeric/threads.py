"""Floor 0: one piece of work on several cores.

NumPy lets go of the interpreter's lock while it computes, so plain threads run side by side. A piece of work is always
cut into the same number of chunks, whatever the machine has, and what the chunks find is put together in their order:
results are the same bits on one core and on many. BLAS starts threads of its own for large products and none for small
ones; chunks keep to small ones, so that the two do not stand in each other's way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, wraps
from threading import Lock
from time import sleep
from typing import Any, NamedTuple

__all__ = [
    "CHUNKS", "Chunk", "ChunkedWork", "chunk_range", "in_chunks", "one_thread", "run_chunks", "run_together",
    "thread_count",
]  # fmt: skip

CHUNKS = 4
MIN_PARALLEL_MACS = 34_000_000
"""Multiply-adds, about 0.6 ms of one core, from which a second thread pays: to wake one, and to be woken by it, takes
about 0.1 ms."""


@cache
def thread_count() -> int:
    """How many threads work at a time: the cores this process may use, at most CHUNKS, and no more than OMP_NUM_THREADS
    says. (OPENBLAS_NUM_THREADS is about BLAS's own threads alone.)"""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(CHUNKS, allowed, int(limit) if limit.isdecimal() else CHUNKS))


class Chunk(NamedTuple):
    """A chunk: its number, from 0 to CHUNKS - 1, and that of the thread which does it, so that chunks that follow one
    another can share memory, which is in the cache still."""

    number: int
    thread: int


def chunk_range(count: int, chunk: Chunk) -> range:
    """Which of `count` things fall to a chunk; all chunks together have each once, in order."""
    return range(chunk.number * count // CHUNKS, (chunk.number + 1) * count // CHUNKS)


def _nothing() -> None:
    """Has nothing to do."""


class ChunkedWork(NamedTuple):
    """Work of about `macs` multiply-adds: `run` does one chunk, which needs nothing that another chunk does; `prepare`
    is called before all of them, `finish` after all."""

    run: Callable[[Chunk], None]
    macs: int
    prepare: Callable[[], None] = _nothing
    finish: Callable[[], None] = _nothing


def in_chunks(method: Callable[[Any, Any, bool], ChunkedWork]) -> Callable[[Any, Any, bool], None]:
    """Makes a kernel of a method that says how the kernel's work is cut into chunks of rows. The method is its
    attribute `chunked`, for callers that run several kernels together."""

    @wraps(method)
    def kernel(self: Any, f: Any, train: bool) -> None:
        run_together((method(self, f, train),))

    kernel.chunked = method  # type: ignore[attr-defined]
    return kernel


def run_together(works: Sequence[ChunkedWork]) -> None:
    """Does several works, of which one needs of the one before only what the same chunk did: each thread goes through
    all of them chunk by chunk, whose rows are in its core's cache still, and the threads meet once."""
    for work in works:
        work.prepare()

    def run(chunk: Chunk) -> None:
        for work in works:
            work.run(chunk)

    run_chunks(run, sum(work.macs for work in works))
    for work in works:
        work.finish()


def run_chunks(run: Callable[[Chunk], None], macs: int) -> None:
    """Calls `run` for every chunk, side by side where about `macs` multiply-adds are worth it; returns when all are
    done. Raises what one of them raises."""
    threads = thread_count()
    if threads == 1 or macs < MIN_PARALLEL_MACS or not _lent.acquire(blocking=False):
        for number in range(CHUNKS):
            run(Chunk(number, 0))
        return

    def share(thread: int) -> None:
        for number in range(thread, CHUNKS, threads):
            run(Chunk(number, thread))

    try:  # under the caller's settings, NumPy's about floating-point errors among them
        others = [_pool(threads - 1).submit(copy_context().run, share, i) for i in range(1, threads)]
        try:
            share(0)
        finally:
            _wait(others)
        for other in others:
            other.result()
    finally:
        _lent.release()


def _wait(others: Sequence[Future[None]]) -> None:
    """Waits until all are done, also where a signal interrupts it: they are at work in the caller's memory."""
    try:
        for other in others:
            other.exception()
    except BaseException:  # Ctrl-C
        while not all(other.done() for other in others):
            sleep(0.001)
        raise


@contextmanager
def one_thread() -> Iterator[None]:
    """As long as it lasts, chunks are done one after the other: for measuring what they ask for."""
    with _lent:
        yield


_lent = Lock()  # the pool serves one caller at a time; a second one does its chunks alone


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "chunks")


def _forget() -> None:
    """Threads do not live on in a forked process."""
    global _lent
    _lent = Lock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
