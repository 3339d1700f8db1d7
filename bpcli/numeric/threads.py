"""Floor 0: one piece of work on several cores.

NumPy lets go of the interpreter's lock while it computes, so plain threads run side by side. A piece of work is always
cut into the same number of chunks, whatever the machine has, and what the chunks find is put together in their order:
results are the same bits on one core and on many. BLAS starts threads of its own for large products and none for small
ones; chunks keep to small ones, so that the two do not stand in each other's way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import cache
from threading import Lock, Thread
from time import sleep
from typing import NamedTuple

__all__ = ["CHUNKS", "Chunk", "chunk_range", "one_thread", "run_chunks", "thread_count"]

CHUNKS = 4
MIN_PARALLEL_MACS = 34_000_000
"""Multiply-adds, about 0.6 ms of one core, from which a second thread pays: to wake one, and to be woken by it, takes
about 0.1 ms."""


@cache
def thread_count() -> int:
    """How many threads work at a time: the cores this process may use, at most CHUNKS, and no more than OMP_NUM_THREADS
    says. (OPENBLAS_NUM_THREADS is about BLAS's own threads alone.)"""
    told = os.environ.get("OMP_NUM_THREADS", "")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(CHUNKS, allowed, int(told) if told.isdecimal() else CHUNKS))


class Chunk(NamedTuple):
    """A chunk: its number, from 0 to CHUNKS - 1, and that of the thread which does it, so that chunks that follow one
    another can share memory, which is in the cache still."""

    number: int
    thread: int


def chunk_range(count: int, chunk: Chunk) -> range:
    """Which of `count` things fall to a chunk; all chunks together have each once, in order."""
    return range(chunk.number * count // CHUNKS, (chunk.number + 1) * count // CHUNKS)


@contextmanager
def one_thread() -> Iterator[None]:
    """As long as it lasts, chunks work one after the other: for measuring what they ask for."""
    with _lent:
        yield


def run_chunks(work: Callable[[Chunk], None], macs: int) -> None:
    """Calls work for every chunk, side by side where about `macs` multiply-adds are worth it; returns when all
    are done. Raises what one of them raises."""
    threads = thread_count()
    if threads == 1 or macs < MIN_PARALLEL_MACS or not _lent.acquire(blocking=False):
        for number in range(CHUNKS):
            work(Chunk(number, 0))
        return
    try:
        others = _helpers(threads - 1)
        for i, other in enumerate(others):
            other.begin(copy_context(), work, [Chunk(n, i + 1) for n in range(i + 1, CHUNKS, threads)])
        try:
            for number in range(0, CHUNKS, threads):
                work(Chunk(number, 0))
        finally:
            errors = [error for other in others if (error := other.wait()) is not None]
        if errors:
            raise errors[0]
    except BaseException:
        _helpers.cache_clear()  # after an interrupt it is not known who waits for what: others serve the next caller
        raise
    finally:
        _lent.release()


class _Helper:
    """A thread that does chunks when it is told to. Two locks hand the work over and back: nothing is allocated."""

    def __init__(self) -> None:
        self._told, self._done = Lock(), Lock()
        self._told.acquire()
        self._done.acquire()
        self._error: BaseException | None = None
        Thread(target=self._live, name="chunks", daemon=True).start()

    def begin(self, context: Context, work: Callable[[Chunk], None], chunks: list[Chunk]) -> None:
        """Starts on the chunks, under the caller's settings (NumPy's about floating-point errors among them)."""
        self._context, self._work, self._lanes, self._busy = context, work, chunks, True
        self._told.release()

    def wait(self) -> BaseException | None:
        """Waits until they are done, also where a signal interrupts it; what they raised, or the signal's handler."""
        try:
            self._done.acquire()
        except BaseException as interrupt:  # Ctrl-C: the chunks are still at work in the caller's memory
            while self._busy:
                sleep(0.001)
            return interrupt
        error, self._error = self._error, None
        return error

    def _live(self) -> None:
        while True:
            self._told.acquire()
            try:
                self._context.run(self._every)
            except BaseException as error:  # it is the caller's, who raises it
                self._error = error
            del self._context, self._work
            self._busy = False
            self._done.release()

    def _every(self) -> None:
        for chunk in self._lanes:
            self._work(chunk)


_lent = Lock()  # the helpers serve one caller at a time; a second one does its chunks alone


@cache
def _helpers(count: int) -> tuple[_Helper, ...]:
    return tuple(_Helper() for _ in range(count))


def _forget() -> None:
    """Threads do not live on in a forked process."""
    global _lent
    _lent = Lock()
    _helpers.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
