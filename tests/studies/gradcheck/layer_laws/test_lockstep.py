"""Two threads that run line by line in turn, and a layer that runs on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Event
from typing import Any

import numpy as np
import pytest
from single_layers import single

from bpcli.family import Array, Frame
from bpcli.parts.activations import Tanh
from bpcli.studies.gradcheck.layer_laws import lockstep
from bpcli.studies.gradcheck.layer_laws.lockstep import _in_turn, compare_threads, runs_on_threads


def test_two_threads_take_turns_line_by_line() -> None:
    log: list[str] = []

    def one() -> None:
        log.append("a")
        log.append("b")
        log.append("c")

    def two() -> None:
        log.append("A")
        log.append("B")
        log.append("C")

    _in_turn(one, two, __file__)
    assert sorted(log) == list("ABCabc")
    assert [x.lower() for x in log] == list("aabbcc"), log


def test_what_a_thread_raises_is_raised() -> None:
    def bad() -> None:
        raise RuntimeError("no")

    done: list[int] = []
    with pytest.raises(RuntimeError, match="no"):
        _in_turn(bad, lambda: done.append(1), __file__)
    assert done == [1]


def test_a_thread_that_waits_for_the_other_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits in the middle of a line for what the other only does some lines on: turns are given up, once."""
    waited: list[bool] = []

    class Waits(Condition):
        def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
            waited.append(super().wait_for(predicate, timeout))
            return waited[-1]

    monkeypatch.setattr(lockstep, "Condition", Waits)
    monkeypatch.setattr(lockstep, "WAIT_SECONDS", 0.05)
    event, log = Event(), list[str]()

    def wait() -> None:
        event.wait()
        log.append("went on")

    def bring() -> None:
        log.append("a")
        log.append("b")
        log.append("c")
        event.set()

    _in_turn(wait, bring, __file__)
    assert log == ["a", "b", "c", "went on"]
    assert waited.count(False) == 1


@pytest.mark.parametrize(
    ("layer", "threads"), [("tanh", True), ("relu", True), ("batch_norm", False), ("flatten", False)]
)
def test_what_the_engine_runs_on_threads(layer: str, threads: bool) -> None:
    assert runs_on_threads(single(layer)[0]) is threads


def test_a_right_layer_is_the_same_on_two_threads() -> None:
    assert list(compare_threads(*single("tanh", 40), 40)) == []


def test_what_two_threads_see_both(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Array] = {}

    def forward(self: Any, f: Frame, train: bool) -> None:
        kept["x"] = f.x.copy()
        time.sleep(0)
        np.tanh(kept["x"] if len(kept["x"]) == len(f.x) else f.x, out=f.y)

    monkeypatch.setattr(Tanh, "forward", forward)
    monkeypatch.setattr("bpcli.studies.gradcheck.layer_laws.lockstep.WAIT_SECONDS", 0.2)
    found = list(compare_threads(*single("tanh", 40), 40))
    assert {m.name for m in found} >= {"y"}
    assert {m.rows for m in found} == {40}
