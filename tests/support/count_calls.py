"""How much is done, without a clock: calls of functions, which are as many on a slow machine as on a fast one."""

from __future__ import annotations

import cProfile
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
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


class TooMuchWorkError(BaseException):
    """Raised in the middle of what does more than it may: no handler of exceptions catches it."""


@contextmanager
def at_most(lines: int) -> Iterator[None]:
    """Stops what is done inside when it has run more lines of Python than these, turns of loops among them: what has no
    end ends."""
    left = lines

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooMuchWorkError(f"more than {lines:,} lines, now in {frame.f_code.co_qualname}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
