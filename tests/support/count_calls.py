"""How much is done, without a clock: calls of functions, which are as many on a slow machine as on a fast one."""

from __future__ import annotations

import cProfile
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self


class Work:
    """Counts the calls of functions, Python's and C's, while it is entered; the collector, which may call some at any
    moment, rests."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def __enter__(self) -> Self:
        self._collected = gc.isenabled()
        gc.disable()
        self._profile.enable()
        return self

    def __exit__(self, *_: object) -> None:
        self._profile.disable()
        if self._collected:
            gc.enable()

    @property
    def calls(self) -> int:
        return sum(entry.callcount for entry in self._profile.getstats())

    def of(self, function: Any) -> int:
        """How many of them are of this function or method."""
        return sum(entry.callcount for entry in self._profile.getstats() if entry.code is function.__code__)


def calls(run: Callable[[], object]) -> int:
    with Work() as done:
        run()
    return done.calls


COUNTED = f"""
import atexit, pathlib, sys
sys.path.append({str(Path(__file__).parent)!r})
from count_calls import Work
done = Work().__enter__()
atexit.register(lambda: (done.__exit__(), pathlib.Path("calls").write_text(str(done.calls))))
"""
"""A program that counts from its place on to the end of its process, and then writes the number into a file `calls`."""
