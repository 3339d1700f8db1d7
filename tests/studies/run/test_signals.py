"""Signals are remembered as a wish to stop; a second one ends the program."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from bpcli.studies.run.signals import STOP_SIGNALS, StopSignals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """What runs in the background of a script ignores SIGINT: here no signal is ignored."""
    before = {which: signal.getsignal(which) for which in STOP_SIGNALS}
    for which in STOP_SIGNALS:
        signal.signal(which, signal.default_int_handler if which == signal.SIGINT else signal.SIG_DFL)
    yield
    for which, handler in before.items():
        signal.signal(which, handler)


@pytest.mark.parametrize("which", STOP_SIGNALS)
def test_a_first_signal_is_remembered_by_its_number_and_name(which: signal.Signals) -> None:
    with StopSignals() as stop:
        assert stop.number == 0
        os.kill(os.getpid(), which)
        assert (stop.number, stop.name) == (which, which.name)


def test_a_second_signal_ends_the_program() -> None:
    for second, error in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)):
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(error) as caught:
                os.kill(os.getpid(), second)
            assert stop.number == signal.SIGTERM, "it stays the first that came"
        if error is SystemExit:
            assert caught.value.code == 128 + signal.SIGTERM  # type: ignore[attr-defined]


def test_handlers_are_as_they_were_behind_it_and_what_was_ignored_stays_so() -> None:
    def own(*_: object) -> None: ...

    signal.signal(signal.SIGTERM, own)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals() as stop:
        assert signal.getsignal(signal.SIGTERM) == stop._remember
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is own
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    with stop:
        pass
    assert signal.getsignal(signal.SIGTERM) is own


def test_in_another_thread_the_signals_stay_the_callers() -> None:
    before, found = [signal.getsignal(which) for which in STOP_SIGNALS], []

    def run() -> None:
        with StopSignals() as stop:
            found.append(stop._old)
        found.append(stop.number)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [{}, 0]
    assert [signal.getsignal(which) for which in STOP_SIGNALS] == before
