"""Floor 0: calls that are worked out once and done many times.

A kernel that goes through its arrays block by block makes many short calls on views of them. Making the views takes
Python about as long as the calls take NumPy, and as long as one thread makes views all others wait for it. So the calls
are noted with their views the first time, and after that only done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpcli.numeric.threads import WORTH, Lane, in_lanes, share

__all__ = ["Steps", "done_in_blocks", "done_in_lanes"]

BLOCK = 1 << 18
"""Numbers that are worked on at a time, so that they stay in a level 2 cache from the first step to the last."""
COST = 30
"""Multiply-adds of a product that take about as long as a number takes in a few simple steps."""


class Steps:
    """Calls in their order: `steps(np.add, a, b, out=c)` notes one, `run` does all."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:
        self._calls.append((function, args, named))

    def run(self) -> None:
        for function, args, named in self._calls:
            function(*args, **named)


def done_in_lanes(notes: dict[Any, Steps], tell: Callable[[Steps, Lane], None], macs: int) -> None:
    """Does the steps of every lane as `in_lanes` does, and keeps them in `notes`; those not there are told first."""

    def work(lane: Lane) -> None:
        if lane not in notes:
            notes[lane] = _told(tell, lane)
        notes[lane].run()

    in_lanes(work, macs)


def done_in_blocks(notes: dict[Any, Steps], tell: Callable[[Steps, slice], None], rows: int, numbers: int) -> None:
    """Does the steps that `tell` tells for blocks of a few of so many rows, in lanes side by side where that pays; a
    row has so many numbers."""
    macs = rows * numbers * COST
    if macs >= WORTH:
        done_in_lanes(notes, lambda do, lane: _in_blocks(do, tell, share(rows, lane), numbers), macs)
        return
    if None not in notes:
        notes[None] = _told(lambda do, all_of: _in_blocks(do, tell, all_of, numbers), range(rows))
    notes[None].run()


def _in_blocks(do: Steps, tell: Callable[[Steps, slice], None], own: range, numbers: int) -> None:
    together = max(1, BLOCK // max(1, numbers))
    for start in range(own.start, own.stop, together):
        tell(do, slice(start, min(start + together, own.stop)))


def _told(tell: Callable[[Steps, Any], None], share: Any) -> Steps:
    steps = Steps()
    tell(steps, share)
    return steps
