"""Floor 0: one piece of work on several cores.

NumPy lets go of the interpreter's lock while it computes, so plain threads run side by side. A piece of work is always
cut into the same number of chunks, whatever the machine has, and what the chunks find is put together in their order:
results are the same bits on one core and on many. BLAS starts threads of its own for large products and none for small
ones; chunks keep to small ones, so that the two do not stand in each other's way.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from functools import cache, wraps
from threading import Lock, Thread
from time import sleep
from typing import Any, NamedTuple

from bpcli.numeric.cgroup import group_folders, read_number

CHUNKS = 4  # pieces of a layer's work, whatever the number of threads
MIN_PARALLEL_MACS = 34_000_000
"""Multiply-adds, about 0.6 ms of one core, from which a second thread pays: to wake one, and to be woken by it, takes
about 0.1 ms."""


def usable_cores() -> int:
    """Returns how many cores this process may use: those it may run on, and no more than the processor time that its
    control groups grant it fills."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *_granted_cores()]))


def _granted_cores() -> Iterator[int]:
    """Yields how many cores the processor time of each group fills, rounded up: so much of each period."""
    for folder in group_folders("cpu"):
        file, period = folder / "cpu.max", None  # version 2: both numbers in one file
        with suppress(OSError, ValueError, IndexError):
            period = int(file.read_text(encoding="ascii").split()[1])
        if period is None:  # version 1
            file, period = folder / "cpu.cfs_quota_us", read_number(folder / "cpu.cfs_period_us")
        quota = read_number(file)
        if quota is not None and quota > 0 and period:
            yield -(-quota // period)


@cache
def thread_count() -> int:
    """Returns how many threads work at a time: the cores this process may use, at most CHUNKS and OMP_NUM_THREADS.
    (OPENBLAS_NUM_THREADS is about BLAS's own threads alone.)"""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(CHUNKS, usable_cores(), int(limit) if limit.isdecimal() else CHUNKS))


def can_start_thread() -> bool:
    """Whether no limit on threads or memory (`ulimit`, a container's) forbids another one."""
    thread = Thread(target=int, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


class Chunk(NamedTuple):
    """A chunk: its number, from 0 to CHUNKS - 1, and that of the thread which does it, so that chunks that follow one
    another can share memory, which is in the cache still."""

    number: int
    thread: int


def chunk_range(count: int, chunk: Chunk) -> range:
    """Returns the range of items in this chunk; all chunks together have each of `count` once, in order."""
    return range(chunk.number * count // CHUNKS, (chunk.number + 1) * count // CHUNKS)


def _nothing() -> None:
    """Does nothing."""


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

    try:
        others = _workers(threads - 1)
        threads = 1 + len(others)
        for i, other in enumerate(others):
            other.start(copy_context(), run, [Chunk(n, i + 1) for n in range(i + 1, CHUNKS, threads)])
        try:
            for number in range(0, CHUNKS, threads):
                run(Chunk(number, 0))
        finally:
            errors = [error for other in others if (error := other.wait()) is not None]
        if errors:
            raise errors[0]
    except BaseException:
        _workers.cache_clear()  # after an interrupt it is not known who waits for what: others serve the next caller
        raise
    finally:
        _lent.release()


class _Worker:
    """A thread that does chunks handed to it. Two locks hand the work over and back: nothing is allocated,
    and a small work takes a twentieth less time than through concurrent.futures."""

    def __init__(self) -> None:
        self._ready, self._done = Lock(), Lock()
        self._ready.acquire()
        self._done.acquire()
        self._error: BaseException | None = None
        Thread(target=self._serve, name="chunks", daemon=True).start()

    def start(self, context: Context, run: Callable[[Chunk], None], chunks: list[Chunk]) -> None:
        """Starts on the chunks, under the caller's settings (NumPy's about floating-point errors among them)."""
        self._context, self._run, self._chunks, self._busy = context, run, chunks, True
        self._ready.release()

    def wait(self) -> BaseException | None:
        """Waits until the chunks are done, also where a signal interrupts it; returns what they raised, or the signal's
        handler."""
        try:
            self._done.acquire()
        except BaseException as interrupt:  # Ctrl-C: the chunks are still at work in the caller's memory
            while self._busy:
                sleep(0.001)
            return interrupt
        error, self._error = self._error, None
        return error

    def _serve(self) -> None:
        while True:
            self._ready.acquire()
            try:
                self._context.run(self._run_all)
            except BaseException as error:  # it is the caller's, who raises it
                self._error = error
            del self._context, self._run
            self._busy = False
            self._done.release()

    def _run_all(self) -> None:
        for chunk in self._chunks:
            self._run(chunk)


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs all chunks within a block in one thread, to measure what they ask for."""
    with _lent:
        yield


_lent = Lock()  # the workers serve one caller at a time; a second one does its chunks alone


@cache
def _workers(count: int) -> tuple[_Worker, ...]:
    """Returns so many threads, or fewer where a limit on threads or memory allows no more."""
    found: list[_Worker] = []
    with suppress(RuntimeError):
        while len(found) < count:
            found.append(_Worker())
    return tuple(found)


def _forget() -> None:
    """Forgets the threads: they do not live on in a forked process."""
    global _lent
    _lent = Lock()
    _workers.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
