"""A comparison of settings as it goes on a terminal, its silence elsewhere, and what is said at its end."""

from __future__ import annotations

import io
import signal
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bpcli.records.search import Comparison, FoldScore, TrialScores
from bpcli.records.training import EpochRow
from bpcli.render.describe import tune
from bpcli.render.describe.tune import stopped, taken, tuning_status


def scores(*losses: float, sets: tuple[str, ...] = (), diverged: str = "") -> TrialScores:
    return TrialScores(sets, tuple(FoldScore(k, {"loss": v}, 3, 1.5, diverged) for k, v in enumerate(losses, 1)))


FIRST = scores(0.5, 0.7)
BETTER = scores(0.25, 0.25, sets=("training.epochs=180", "architecture.0.units=8", "architecture.1.units=4"))
REST = (("training.epochs=9",),)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_nothing_is_said_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with tuning_status(7.0) as tuning:
        tuning.on_start(3, 5, "loss")
        assert list(tuning.callbacks(1, 1)) == []
        tuning.on_trial_end(1, FIRST)
    assert tuning.seconds == 7.0
    assert stream.getvalue() == ""


def test_a_terminal_shows_each_setting_and_which_epoch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    lines: list[str] = []
    monkeypatch.setattr(tune, "say", lines.append)
    updates: list[str] = []
    state: Any = SimpleNamespace(experiment=SimpleNamespace(training=SimpleNamespace(epochs=60)))
    with tuning_status(None) as tuning:
        tuning.on_start(10, 5, "loss")
        (callback,) = tuning.callbacks(2, 4)
        monkeypatch.setattr(callback, "_status", SimpleNamespace(update=updates.append))  # it draws in a thread
        callback.on_epoch_end(state, EpochRow(7, {}, 0, 0, 0, 1, 0.1, 1, 0.1))
        tuning.on_trial_end(2, BETTER)
        tuning.on_trial_end(10, scores(float("nan"), diverged="it diverged"))
    assert updates == ["setting 2 of 10, fold 4 of 5, epoch 7/60"]
    assert lines == [
        "comparing 10 settings by 5 folds of the rows that are not test",
        " 2/10  loss 0.2500 +- 0.0000  epochs 180, units 8, 4  (3.0 s)",
        "10/10  diverged  as first guessed  (1.5 s)",
    ]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Comparison("loss", (), 0, REST, 5), "there was no time to compare settings: the first guess is written as it"),
        (Comparison("loss", (FIRST,), 0, (), 5), "1 setting was tried: none is better than the first guess by more"),
        (
            Comparison("loss", (FIRST, BETTER), 0, REST, 5),
            "2 settings were compared, and 1 was not tried: none is better",
        ),
        (
            Comparison("loss", (FIRST, BETTER), 1, (), 5),
            "2 settings were compared; taken: epochs 180, units 8, 4 (loss 0.2500 where the first guess has 0.6000, by",
        ),
    ],
)
def test_the_end_says_what_was_taken_and_what_that_changed(found: Comparison, text: str) -> None:
    assert taken(found).plain.startswith(text)


def test_a_signal_is_named_and_what_would_have_kept_something() -> None:
    assert stopped(signal.SIGTERM).plain.splitlines() == [
        "stopped by SIGTERM: nothing is written",
        "--budget 60s takes what is found by then; without --tune the first guess is written",
    ]
