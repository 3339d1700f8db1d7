"""Floor 0: calls that are worked out once and done many times.

A kernel that goes through its arrays block by block makes many short calls on views of them. Making the views takes
Python about as long as the calls take NumPy, and as long as one thread makes views all others wait for it. So the calls
are noted with their views the first time, and after that only done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpcli.numeric.threads import Lane, in_lanes

__all__ = ["Steps", "Tell", "done_in_lanes"]


class Steps:
    """Calls in their order: `steps(np.add, a, b, out)` notes one, `run` does all."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> None:
        self._calls.append((function, args))

    def run(self) -> None:
        for function, args in self._calls:
            function(*args)


Tell = Callable[[Steps, Lane], None]
"""Notes the steps of a lane."""


def done_in_lanes(notes: dict[Lane, Steps], tell: Tell, macs: int) -> None:
    """Does the steps of every lane as `in_lanes` does, and keeps them in `notes`; those not there are told first."""

    def work(lane: Lane) -> None:
        if lane not in notes:
            steps = Steps()
            tell(steps, lane)
            notes[lane] = steps
        notes[lane].run()

    in_lanes(work, macs)
