"""What is said when a training begins and ends, and what is drawn in between."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bpcli.records.training import EpochRow, TrainReport
from bpcli.render.run import epochs
from bpcli.render.run.epochs import EpochLines, LiveTable, Warnings, closing, epoch_table, opening

ROW = EpochRow(1, {"train.loss": 0.5, "train.accuracy": 0.75}, 0.1, 2.0, 0.25, 0.9, 0.1, 7, 0.5)
REPORT = TrainReport("runs/a b", "iris", (ROW, replace(ROW, epoch=2)), "epochs", "all 2 epochs are done", 2, 131, {},
                     1.25, "m")  # fmt: skip
WATCH = {"watch.dense_1.gradient": 0.5, "watch.dense_1.update": 0.001}


def state(epoch: int = 0, batch: int = 0, step: int = 0, steps: int = 7, early: str = "") -> Any:
    split = SimpleNamespace(name="train", x=range(1040))
    return SimpleNamespace(
        objective=SimpleNamespace(penalties=()), validation=None, train_metrics=object(), metrics={"accuracy": None},
        layer_watch=None, steps_per_epoch=steps, batch_size=1600,
        experiment=SimpleNamespace(
            name="iris", clipping=None,
            training=SimpleNamespace(epochs=12, early_stopping=SimpleNamespace(metric=early) if early else None),
        ),
        setup=SimpleNamespace(network_plan=SimpleNamespace(size=1310), prepared=SimpleNamespace(splits={"a": split})),
        progress=SimpleNamespace(epoch=epoch, batch=batch, step=step),
    )  # fmt: skip


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "all 2 epochs are done, in 1.2 s\nkept: the weights of epoch 2\nnext:   bpcli eval 'runs/a b'"),
        ({"best_epoch": 0}, "all 2 epochs are done, in 1.2 s\nkept: the first weights\nnext:   bpcli eval 'runs/a b'"),
        ({"stopped": "patience", "reason": "no better since 1"},
         "no better since 1; 2 epochs in 1.2 s\nkept: the weights of epoch 2\nnext:   bpcli eval 'runs/a b'"),
        ({"stopped": "diverged", "reason": "it diverged"},
         "2 epochs in 1.2 s\nkept: the weights of epoch 2\nnext:   bpcli eval 'runs/a b'"),
        ({"stopped": "diverged", "epochs": (), "best_epoch": 0},
         "no epoch completed\nkept: the first weights\nnext:   bpcli eval 'runs/a b'"),
        ({"stopped": "signal", "reason": "stopped by Ctrl-C"},
         "stopped by Ctrl-C; 2 epochs in 1.2 s\ngo on:  bpcli train --resume 'runs/a b'"),
    ],
)  # fmt: skip
def test_the_last_lines_say_how_it_ended_and_what_to_type(changed: dict[str, Any], text: str) -> None:
    assert closing(replace(REPORT, **changed)).plain == text


def test_what_was_watched_stands_between_them() -> None:
    rows = (replace(ROW, watch=WATCH), replace(ROW, epoch=30, watch=WATCH))
    lines = closing(replace(REPORT, epochs=rows)).plain.split("\n")
    assert lines == [
        "all 2 epochs are done, in 1.2 s",
        "",
        "             epoch 1          epoch 30",
        "layer     |grad|  update   |grad|  update",
        "dense_1   0.5000  0.0010   0.5000  0.0010",
        "",
        "kept: the weights of epoch 2",
        "next:   bpcli eval 'runs/a b'",
    ]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (state(), "iris: 1,310 parameters; rows: train 1,040; 7 steps of 1,600 rows an epoch"),
        (state(steps=1), "iris: 1,310 parameters; rows: train 1,040; 1 step of 1,600 rows an epoch"),
        (state(early="train.loss"),
         "iris: 1,310 parameters; rows: train 1,040; 7 steps of 1,600 rows an epoch; best by train.loss"),
        (state(epoch=3, batch=2, step=23),
         "iris: 1,310 parameters; rows: train 1,040; 7 steps of 1,600 rows an epoch\ngoes on in epoch 4, batch 3"),
        (state(epoch=12, step=84), "iris: 1,310 parameters; rows: train 1,040; 7 steps of 1,600 rows an epoch"),
    ],
)  # fmt: skip
def test_the_first_line_says_what_is_trained_on_what(what: Any, text: str) -> None:
    assert opening(what) == text


def test_quiet_shows_nothing_a_pipe_lines_and_a_terminal_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for terminal, kind in ((True, LiveTable), (False, EpochLines)):
        monkeypatch.setattr(sys, "stderr", Stream(terminal))
        assert [type(callback) for callback in epoch_table(False)] == [kind]
        assert [type(callback) for callback in epoch_table(True)] == [Warnings]


def test_piped_each_epoch_is_a_line_with_names_beside_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(False)
    monkeypatch.setattr(sys, "stderr", err)
    lines = EpochLines()
    lines.on_train_begin(state())
    lines.on_epoch_end(state(), ROW)
    lines.on_epoch_end(state(), replace(ROW, epoch=11, best=True))
    figures = "loss 0.5000  accuracy 0.7500  |grad| 2.0000  seconds 0.5000"
    assert err.getvalue().splitlines() == [
        opening(state()),
        f"epoch  1/12  {figures}",
        f"epoch 11/12  {figures}  best",
    ]


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_the_bar_shows_the_steps_of_the_epoch_and_is_drawn_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two drawings epochs wait; all are printed by the end, in their order."""
    clock, file = Clock(), io.StringIO()
    monkeypatch.setattr(epochs, "time", clock)
    monkeypatch.setattr(
        epochs, "console", lambda _: Console(file=file, width=80, force_terminal=True, color_system=None)
    )
    table, what = LiveTable(), state()
    table.on_train_begin(what)
    assert table._progress is not None
    (task,) = table._progress.tasks
    assert (task.total, task.completed, task.description, task.fields["loss"]) == (7, 0, "epoch 1/12", "")
    what.progress.batch = 3
    table.on_batch_end(what, 0.25)
    assert (task.completed, task.fields["loss"]) == (3, "loss 0.2500")
    what.progress.batch = 4
    clock.now += 0.05
    table.on_batch_end(what, 0.5)
    assert task.completed == 3, "too soon"
    clock.now += 0.06
    table.on_batch_end(what, 0.5)
    assert (task.completed, task.fields["loss"]) == (4, "loss 0.5000")
    table.on_epoch_end(what, ROW)
    assert (task.completed, task.description, task.fields["loss"]) == (0, "epoch 2/12", "")
    assert "0.7500" not in file.getvalue(), "too soon for another drawing"
    clock.now += 0.11
    table.on_epoch_end(what, replace(ROW, epoch=2))
    assert file.getvalue().count("0.7500") == 2
    table.on_epoch_end(what, replace(ROW, epoch=12))
    assert task.description == "epoch 12/12"
    table.on_train_end(what, None)
    assert file.getvalue().count("0.7500") == 3
    assert table._progress.live.is_started is False


def test_a_training_that_ends_before_it_begins_takes_no_bar_away() -> None:
    LiveTable().on_train_end(state(), None)
