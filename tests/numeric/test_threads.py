"""Chunks: each is done once, results do not depend on the threads, errors and settings go along."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

from bpcli.numeric import threads
from bpcli.numeric.threads import CHUNKS, Chunk, chunk_range, run_chunks


@pytest.fixture(params=[1, 2, 3, CHUNKS])
def count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many threads, however many cores there are."""
    monkeypatch.setattr(threads, "thread_count", lambda: request.param)
    return int(request.param)


def test_every_chunk_is_done_once(count: int) -> None:
    done: list[Chunk] = []
    for _ in range(20):
        done.clear()
        run_chunks(done.append, threads.MIN_PARALLEL_MACS)
        assert sorted(chunk.number for chunk in done) == list(range(CHUNKS))
        assert {chunk.thread for chunk in done} == set(range(count))


def test_a_thread_keeps_its_number(count: int) -> None:
    found: set[tuple[int, int]] = set()
    run_chunks(lambda chunk: found.add((chunk.thread, threading.get_ident())), threads.MIN_PARALLEL_MACS)
    assert sorted(worker for worker, _ in found) == list(range(count))


def test_little_work_is_done_here(count: int) -> None:
    found = set()
    run_chunks(lambda chunk: found.add(threading.get_ident()), threads.MIN_PARALLEL_MACS - 1)
    assert found == {threading.get_ident()}


def test_shares_cover_everything_in_order() -> None:
    for n in range(30):
        assert [i for chunk in range(CHUNKS) for i in chunk_range(n, Chunk(chunk, 0))] == list(range(n))


@pytest.mark.parametrize("bad", range(CHUNKS))
def test_what_a_chunk_raises_is_raised_after_all_are_done(count: int, bad: int) -> None:
    done = []

    def work(chunk: Chunk) -> None:
        if chunk.number == bad:
            raise ArithmeticError(f"chunk {chunk.number}")
        done.append(chunk.number)

    with pytest.raises(ArithmeticError, match=f"chunk {bad}"):
        run_chunks(work, threads.MIN_PARALLEL_MACS)
    run_chunks(lambda chunk: done.append(chunk.number + 10), threads.MIN_PARALLEL_MACS)  # and they work on
    assert sorted(chunk for chunk in done if chunk >= 10) == [chunk + 10 for chunk in range(CHUNKS)]


def test_settings_of_the_caller_hold_in_every_chunk(count: int) -> None:
    """NumPy's, about what an overflow is: an error here, in chunk 3 too."""
    huge = np.full(1000, 1e300)

    def work(chunk: Chunk) -> None:
        if chunk.number == CHUNKS - 1:
            np.multiply(huge, huge)

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        run_chunks(work, threads.MIN_PARALLEL_MACS)
    with np.errstate(over="ignore"):
        run_chunks(work, threads.MIN_PARALLEL_MACS)


def test_a_second_caller_is_served_too(count: int) -> None:
    """Chunks within chunks: the inner caller does its own alone."""
    done: list[int] = []
    run_chunks(
        lambda outer: run_chunks(
            lambda inner: done.append(10 * outer.number + inner.number), threads.MIN_PARALLEL_MACS
        ),
        threads.MIN_PARALLEL_MACS,
    )
    assert sorted(done) == [10 * outer + inner for outer in range(CHUNKS) for inner in range(CHUNKS)]


def test_what_the_environment_says_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    original = threads.thread_count.__wrapped__
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert original() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert original() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert 1 <= original() <= CHUNKS


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (3, 3), (64, CHUNKS), (None, 1)])
def test_there_are_as_many_threads_as_cores_that_this_process_may_use(
    cores: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on a Mac, where all cores are there for all
    assert threads.thread_count.__wrapped__() == expected
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores or 1)), raising=False)
    assert threads.thread_count.__wrapped__() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its parent are not there, and nobody would do their chunks."""
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    run_chunks(lambda chunk: None, threads.MIN_PARALLEL_MACS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads is forked
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        done: list[int] = []
        run_chunks(lambda chunk: done.append(chunk.number), threads.MIN_PARALLEL_MACS)
        os._exit(0 if sorted(done) == list(range(CHUNKS)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_interrupt_leaves_the_threads_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    monkeypatch.setattr(threads, "MIN_PARALLEL_MACS", 0)

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    done: list[int] = []
    late: list[int] = []

    def slow(chunk: Chunk) -> None:
        if chunk.thread:
            time.sleep(0.1)
        late.append(chunk.number)

    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # while the first thread waits for the second
        with pytest.raises(KeyboardInterrupt):
            run_chunks(slow, 1)
        assert sorted(late) == list(range(CHUNKS)), "nobody is at work any more when run_chunks has returned"

        def work(chunk: Chunk) -> None:
            time.sleep(0.02 * chunk.thread)
            done.append(chunk.number)

        for _ in range(3):
            done.clear()
            run_chunks(work, 1)
            assert sorted(done) == list(range(CHUNKS)), "all chunks are done when run_chunks returns"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
