"""The memory that a kernel asks for in every step, measured beside threads that ask for some of their own."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np

from bpcli.studies.custom.allocation import allocation_growth

Calls = dict[str, Callable[[], None]]


def rates(make: Callable[[int], Calls]) -> dict[str, float]:
    return {name: rate for name, _, rate in allocation_growth(make, (4,), np.float64)}


def test_what_another_thread_asks_for_once_is_not_the_kernels() -> None:
    def make(n: int) -> Calls:
        calls = 0

        def backward() -> None:
            nonlocal calls
            calls += 1
            if calls == 3:  # the first that is measured
                np.empty(n * 100)

        return {"backward": backward}

    assert rates(make) == {}


def test_what_every_call_asks_for_is() -> None:
    found = rates(lambda n: {"forward": lambda: None, "backward": lambda: np.add(np.ones(n), 1.0).fill(0)})
    assert list(found) == ["backward"]
    assert gc.isenabled(), "as it was before"
    assert not tracemalloc.is_tracing()
    assert 15.5 < found["backward"] < 16.5
