"""How much memory a kernel asks for in every step, and on which line of a user's own code."""

from __future__ import annotations

import gc
import math
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from bpcli.config.document import Position
from bpcli.family.plan import Shape
from bpcli.numeric.threads import one_thread
from bpcli.studies.custom.source_location import SOURCES, line_spot

LARGEST = 1 << 22  # bytes of the input rows that it is measured with
MOST, LEAST = 4096, 8  # of those rows
TIMES = 3
NOISE = 1000  # bytes: views, numbers, small buffers

Steps = Mapping[str, Callable[[], Any]]


def growth(make: Callable[[int], Steps], x: Shape, dtype: Any) -> Iterator[tuple[str, Position | None, float]]:
    """The steps that ask for memory which grows with the batch: each with its line, if that is in a user's file, and
    the bytes a row. `make` gives the steps for so many rows of shape x, to be run in their order."""
    width = max(1, math.prod(x)) * np.dtype(dtype).itemsize
    large = min(MOST, max(LEAST, LARGEST // width))
    small = large // 4
    with _small_buffers(), one_thread():  # a second thread, which only a large batch is worth, has views of its own
        steps = make(large)
        peaks = [_peaks(make(small)), _peaks(steps)]
        for name, run in steps.items():
            more = peaks[1][name] - peaks[0][name]
            if more > NOISE:
                yield name, heaviest(run), more / (large - small)


@contextmanager
def _small_buffers() -> Iterator[None]:
    """NumPy's buffers for conversions kept so small that they are full whatever the batch."""
    old = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(old)


def _peaks(steps: Steps) -> dict[str, int]:
    for run in steps.values():  # what is made once and kept
        run()
    return {name: _peak(run) for name, run in steps.items()}


def _peak(run: Callable[[], Any]) -> int:
    """The most bytes in use at once while this runs, beyond what was in use before. The least of a few times: what
    another thread of the process asks for meanwhile is counted too."""
    most: list[int] = []
    with _traced():
        run()
        while len(most) < TIMES and min(most, default=NOISE) >= NOISE:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            run()
            most.append(tracemalloc.get_traced_memory()[1] - before)
    return min(most)


@contextmanager
def _traced() -> Iterator[None]:
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def heaviest(run: Callable[[], Any]) -> Position | None:
    """The line of a user's own code that asks for most."""
    asked: dict[tuple[str, int], int] = {}
    at: tuple[str, int] | None = None
    before = 0

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal at, before
        now, peak = tracemalloc.get_traced_memory()
        if at is not None:
            asked[at] = max(asked.get(at, 0), peak - before)
        at = (frame.f_code.co_filename, frame.f_lineno) if event == "line" else None
        tracemalloc.reset_peak()
        before = now
        return step

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return step if frame.f_code.co_filename in SOURCES else None

    old = sys.gettrace()
    with _traced():
        sys.settrace(enter)
        try:
            run()
        finally:
            sys.settrace(old)
    return line_spot(*max(asked, key=lambda place: asked[place])) if asked else None
