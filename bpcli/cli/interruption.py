"""Ctrl-C, also where other code makes another error of it: an import that was cut short raises what it likes."""

import signal
from typing import Any

_seen = False


def watch_interrupts() -> None:
    """Remembers from now on that an interrupt came. One that is ignored, or is another's, stays so."""
    global _seen
    _seen = False
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def ignore_interrupts() -> None:
    """Ignores interrupts: the program is at its end, and its result is out: an interrupt changes nothing any more."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def was_interrupted() -> bool:
    """Whether an interrupt came, whatever has become of it."""
    return _seen


def _interrupt(number: int, frame: Any) -> None:
    global _seen
    _seen = True
    raise KeyboardInterrupt
