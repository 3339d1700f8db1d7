"""How much memory a kernel asks for in every step, and on which line of a user's own code."""

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
from bpcli.studies.custom.source_location import SOURCES, line_position

MAX_INPUT_BYTES = 1 << 22  # bytes of the rows that a kernel is measured with
MAX_ROWS, MIN_ROWS = 4096, 8  # of the batch that it is measured with
MAX_REPEATS = 3  # times that a measurement is repeated
NOISE_BYTES = 1000  # views, numbers, small buffers

Calls = Mapping[str, Callable[[], Any]]


def allocation_growth(
    make: Callable[[int], Calls], x: Shape, dtype: Any
) -> Iterator[tuple[str, Position | None, float]]:
    """Yields the calls that ask for memory which grows with the batch: each with its line, if that is in a user's file,
    and the bytes per row. `make` returns the calls for a number of rows of shape x, to be run in their order."""
    width = max(1, math.prod(x)) * np.dtype(dtype).itemsize
    large = min(MAX_ROWS, max(MIN_ROWS, MAX_INPUT_BYTES // width))
    small = large // 4
    with _small_buffers(), one_thread():  # a second thread, which only a large batch is worth, has views of its own
        calls = make(large)
        peaks = [_peaks(make(small)), _peaks(calls)]
        for name, run in calls.items():
            more = peaks[1][name] - peaks[0][name]
            if more > NOISE_BYTES:
                yield name, largest_allocation(run), more / (large - small)


@contextmanager
def _small_buffers() -> Iterator[None]:
    """Keeps NumPy's buffers for conversions so small that they are full whatever the batch."""
    old = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(old)


def _peaks(calls: Calls) -> dict[str, int]:
    for run in calls.values():  # what is made once and kept
        run()
    return {name: _peak(run) for name, run in calls.items()}


def _peak(run: Callable[[], Any]) -> int:
    """Returns the most bytes in use at once while this runs, beyond what was in use before. The least of a few times:
    what another thread of the process asks for meanwhile is counted too."""
    peaks_seen: list[int] = []
    with _traced():
        run()
        while len(peaks_seen) < MAX_REPEATS and min(peaks_seen, default=NOISE_BYTES) >= NOISE_BYTES:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            run()
            peaks_seen.append(tracemalloc.get_traced_memory()[1] - before)
    return min(peaks_seen)


@contextmanager
def _traced() -> Iterator[None]:
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def largest_allocation(run: Callable[[], Any]) -> Position | None:
    """Returns the line of a user's own code that asks for most."""
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
    return line_position(*max(asked, key=lambda line: asked[line])) if asked else None
