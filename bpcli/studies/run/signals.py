"""SIGINT, SIGTERM and SIGHUP as a wish to stop: remembered, so that the work at hand is finished and saved."""

import signal
from types import TracebackType
from typing import Any, Self

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a polite kill, and a terminal that is closed (which Windows does not report)."""


class StopSignals:
    """While entered, a first signal is remembered in `number`; a second one ends the program at once, by
    KeyboardInterrupt or SystemExit, so that the terminal is left in order.

    A signal that is ignored (a job in the background of a script, nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        self._old: dict[int, Any] = {}

    @property
    def name(self) -> str:
        """The name of the signal that came."""
        return signal.Signals(self.number).name

    def __enter__(self) -> Self:
        try:
            for which in STOP_SIGNALS:
                if signal.getsignal(which) != signal.SIG_IGN:
                    self._old[which] = signal.signal(which, self._remember)
        except ValueError:  # not the main thread: the caller's signals stay the caller's
            self._old.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for which, handler in self._old.items():
            signal.signal(which, handler)
        self._old.clear()

    def _remember(self, number: int, frame: Any) -> None:
        if self.number:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        self.number = number
