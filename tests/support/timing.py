"""Timing things against each other on a machine that has other work too: in turn, round after round."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

REST = 0.04  # seconds; BLAS and OpenMP workers spin for a while after their last task and would disturb what comes next


def seconds_each(
    work: Mapping[Any, Callable[[int], None]], rounds: int, slice_seconds: float
) -> dict[Any, list[float]]:
    """Seconds of one repetition, for each piece of work in each round. `work[name](n)` repeats it n times.

    Each piece gets about `slice_seconds` a round, so that what the machine does beside it hits all alike.
    """
    repeats = {}
    for name, piece in work.items():
        piece(3)
        began = time.perf_counter()
        piece(3)
        repeats[name] = max(3, round(3 * slice_seconds / (time.perf_counter() - began)))
    found: dict[Any, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, piece in work.items():
            time.sleep(REST)
            piece(2)
            began = time.perf_counter()
            piece(repeats[name])
            found[name].append((time.perf_counter() - began) / repeats[name])
    return found


def ratio(slower: list[float], faster: list[float]) -> float:
    """How many times as fast the second is: the median over rounds of the quotient within a round."""
    return statistics.median(s / f for s, f in zip(slower, faster, strict=True))
