"""Lanes: each is done once, results do not depend on the threads, errors and settings go along."""

import signal
import threading
import time

import numpy as np
import pytest

from bpcli.numeric import threads
from bpcli.numeric.threads import LANES, Lane, in_lanes, share


@pytest.fixture(params=[1, 2, 3, LANES])
def count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many threads, however many cores there are."""
    monkeypatch.setattr(threads, "workers", lambda: request.param)
    return int(request.param)


def test_every_lane_is_done_once(count: int) -> None:
    done: list[tuple[int, int]] = []
    for _ in range(20):
        done.clear()
        in_lanes(lambda lane: done.append((lane.number, threading.get_ident())), threads.WORTH)
        assert sorted(lane for lane, _ in done) == list(range(LANES))
        assert len({thread for _, thread in done}) == count


def test_a_thread_keeps_its_number(count: int) -> None:
    found: set[tuple[int, int]] = set()
    in_lanes(lambda lane: found.add((lane.worker, threading.get_ident())), threads.WORTH)
    assert sorted(worker for worker, _ in found) == list(range(count))


def test_little_work_is_done_here(count: int) -> None:
    found = set()
    in_lanes(lambda lane: found.add(threading.get_ident()), threads.WORTH - 1)
    assert found == {threading.get_ident()}


def test_shares_cover_everything_in_order() -> None:
    for n in range(30):
        assert [i for lane in range(LANES) for i in share(n, Lane(lane, 0))] == list(range(n))


@pytest.mark.parametrize("bad", range(LANES))
def test_what_a_lane_raises_is_raised_after_all_are_done(count: int, bad: int) -> None:
    done = []

    def work(lane: Lane) -> None:
        if lane.number == bad:
            raise ArithmeticError(f"lane {lane.number}")
        done.append(lane.number)

    with pytest.raises(ArithmeticError, match=f"lane {bad}"):
        in_lanes(work, threads.WORTH)
    in_lanes(lambda lane: done.append(lane.number + 10), threads.WORTH)  # and they work on
    assert sorted(lane for lane in done if lane >= 10) == [lane + 10 for lane in range(LANES)]


def test_settings_of_the_caller_hold_in_every_lane(count: int) -> None:
    """NumPy's, about what an overflow is: an error here, in lane 3 too."""
    huge = np.full(1000, 1e300)

    def work(lane: Lane) -> None:
        if lane.number == LANES - 1:
            np.multiply(huge, huge)

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        in_lanes(work, threads.WORTH)
    with np.errstate(over="ignore"):
        in_lanes(work, threads.WORTH)


def test_a_second_caller_is_served_too(count: int) -> None:
    """Lanes within lanes: the inner caller does its own alone."""
    done: list[int] = []
    in_lanes(
        lambda outer: in_lanes(lambda inner: done.append(10 * outer.number + inner.number), threads.WORTH),
        threads.WORTH,
    )
    assert sorted(done) == [10 * outer + inner for outer in range(LANES) for inner in range(LANES)]


def test_what_the_environment_says_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    original = threads.workers.__wrapped__
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert original() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert original() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert 1 <= original() <= LANES


def test_an_interrupt_leaves_the_threads_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "workers", lambda: 2)
    monkeypatch.setattr(threads, "WORTH", 0)

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    done: list[int] = []
    late: list[int] = []

    def slow(lane: Lane) -> None:
        if lane.worker:
            time.sleep(0.1)
        late.append(lane.number)

    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # while the first thread waits for the second
        with pytest.raises(KeyboardInterrupt):
            in_lanes(slow, 1)
        assert sorted(late) == list(range(LANES)), "nobody is at work any more when in_lanes has returned"

        def work(lane: Lane) -> None:
            time.sleep(0.02 * lane.worker)
            done.append(lane.number)

        for _ in range(3):
            done.clear()
            in_lanes(work, 1)
            assert sorted(done) == list(range(LANES)), "all lanes are done when in_lanes returns"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
