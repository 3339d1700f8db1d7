"""Calls that are worked out once and done many times.

A convolution goes through its images piece by piece and makes many short calls on views of them. Making the views takes
Python about as long as the calls take NumPy, and as long as one thread makes views all others wait for it. So the calls
are recorded with their views the first time, and after that only done.
"""

from collections.abc import Callable
from typing import Any

from bpcli.family.plan import Frame
from bpcli.numeric.threads import Chunk, ChunkedWork


class RecordedCalls:
    """Calls in their order: `record(np.add, a, b, out=c)` adds one, `run` does all."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:
        self._calls.append((function, args, named))

    def run(self) -> None:
        for function, args, named in self._calls:
            function(*args, **named)


def recorded_work(
    f: Frame,
    name: str,
    record: Callable[[RecordedCalls, Chunk], None],
    macs: int,
    prepare: Callable[[], None],
    finish: Callable[[], None] | None = None,
) -> ChunkedWork:
    """Returns work whose calls follow from the views of a frame alone: those of a chunk are recorded the first time it
    is done, and kept in the frame by `name`."""
    cache = _cache(f, name)

    def run(chunk: Chunk) -> None:
        calls = cache.get(chunk)
        if calls is None:
            record(calls := RecordedCalls(), chunk)
            cache[chunk] = calls
        calls.run()

    work = ChunkedWork(run, macs, prepare)
    return work if finish is None else work._replace(finish=finish)


def _cache(f: Frame, name: str) -> dict[Chunk, RecordedCalls]:
    """Returns what was recorded for these views; nothing where x, y, dx or dy has become another."""
    views = (f.x, f.y, f.dx, f.dy)
    caches: dict[str, dict[Chunk, RecordedCalls]]
    known, caches = getattr(f, "recorded", (None, {}))
    if known is None or any(a is not b for a, b in zip(views, known, strict=True)):
        caches = {}
        f.recorded = (views, caches)
    return caches.setdefault(name, {})
