"""The table of a training: what stands in it, and how it fits a terminal."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bpcli.records.training import EpochRow
from bpcli.render.numbers import duration, seconds, short
from bpcli.render.run import epochs as training
from bpcli.render.run.epochs import LiveTable, cell, table_columns


def run(
    *, validation: bool = True, penalties: bool = True, clipping: bool = True, early: bool = True, watch: bool = False
) -> Any:
    """What the table reads of a training."""
    split = SimpleNamespace(name="train", x=range(104))
    return SimpleNamespace(
        objective=SimpleNamespace(penalties=[1] * penalties),
        validation=split if validation else None,
        train_metrics=None if validation else object(),
        metrics={"accuracy": None, "f1": None},
        layer_watch=SimpleNamespace(keys=tuple(WATCH)) if watch else None,
        experiment=SimpleNamespace(
            name="iris", clipping=object() if clipping else None,
            training=SimpleNamespace(
                epochs=60, early_stopping=SimpleNamespace(metric="validation.loss") if early else None
            ),
        ),
        setup=SimpleNamespace(
            network_plan=SimpleNamespace(size=131), prepared=SimpleNamespace(splits={"train": split})
        ),
        progress=SimpleNamespace(epoch=0, batch=0, step=0),
        steps_per_epoch=7,
        batch_size=16,
    )  # fmt: skip


WATCH = {
    "watch.dense_1.gradient": 5.9e-6, "watch.dense_1.update": 1.2e-7, "watch.dense_1.activation.dead": 0.25,
    "watch.residual_1.dense_2.gradient": 0.5, "watch.residual_1.dense_2.update": 0.0123,
}  # fmt: skip
METRICS = {
    "train.loss": 0.88334, "train.accuracy": 0.5, "train.f1": 0.25,
    "validation.loss": 12.34567, "validation.accuracy": 1.0, "validation.f1": 0.9555,
}  # fmt: skip


def row(epoch: int, *, best: bool = False) -> EpochRow:
    return EpochRow(epoch, METRICS, 0.00521, 1.0254, 0.571, 0.69, 0.02, 7, 0.00091, best, WATCH)


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, *, encoding: str = "utf-8", **what: bool) -> list[str]:
    """The lines of a table of two epochs on a terminal of this width."""
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=False, markup=False, highlight=False)
    monkeypatch.setattr(Console, "encoding", encoding)
    monkeypatch.setattr(training, "console", lambda _: console)
    table = LiveTable()
    state = run(**what)
    table.on_train_begin(state)
    table.on_epoch_end(state, row(1, best=True))
    table.on_epoch_end(state, row(2))
    table.on_train_end(state, None)
    lines = [line.rstrip() for line in file.getvalue().split("\n")]
    assert max(map(len, lines)) <= width
    return lines


def test_everything_fits_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, monkeypatch)[:6] == [
        "iris: 131 parameters; rows: train 104; 7 steps of 16 rows an epoch; best by",
        "validation.loss",
        "      ──── train ──── ────── validation ──────",
        "epoch    loss penalty    loss accuracy      f1  |grad| clipped  factor seconds",
        "    1  0.8833  0.0052  12.346   1.0000  0.9555  1.0254     57%  0.6900  0.0009*",
        "    2  0.8833  0.0052  12.346   1.0000  0.9555  1.0254     57%  0.6900  0.0009",
    ]


def test_without_validation_the_training_rows_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, monkeypatch, validation=False, penalties=False, clipping=False, early=False)[:4] == [
        "iris: 131 parameters; rows: train 104; 7 steps of 16 rows an epoch",
        "      ──────── train ─────────",
        "epoch    loss accuracy      f1  |grad| seconds",
        "    1  0.8833   0.5000  0.2500  1.0254  0.0009*",
    ]


def test_what_is_watched_takes_the_place_of_what_says_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a layer that is too long for its columns loses its beginning."""
    assert drawn(80, monkeypatch, watch=True, early=False, penalties=False, clipping=False)[1:5] == [
        "+2 columns in metrics.jsonl",
        "       train  ────── validation ────── ─── dense_1 ─── ..ual_1.dense_2",
        "epoch    loss    loss accuracy      f1  |grad|  update  |grad|  update    dead",
        "    1  0.8833  12.346   1.0000  0.9555 5.9e-06 1.2e-07  0.5000  0.0123     25%*",
    ]


def test_a_narrow_terminal_goes_without_what_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(50, monkeypatch, watch=True, early=False)[3:5] == [
        "       train  ────── validation ────── dense_1",
        "epoch    loss    loss accuracy      f1  |grad|",
    ]


@pytest.mark.parametrize(
    ("width", "missing", "header"),
    [
        (75, 1, "epoch    loss penalty    loss accuracy      f1  |grad| clipped seconds"),
        (64, 2, "epoch    loss    loss accuracy      f1  |grad| clipped seconds"),
        (50, 4, "epoch    loss    loss accuracy      f1 seconds"),
        (38, 6, "epoch    loss    loss accuracy"),
        (28, 7, "epoch    loss    loss"),
    ],
)
def test_a_narrow_terminal_goes_without_the_least_telling(
    monkeypatch: pytest.MonkeyPatch, width: int, missing: int, header: str
) -> None:
    lines = drawn(width, monkeypatch, early=False)
    assert lines[lines.index(f"+{missing} columns in metrics.jsonl") + 2] == header


def test_a_terminal_of_no_width_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "epoch" in drawn(5, monkeypatch)


def test_a_terminal_that_draws_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, monkeypatch, encoding="ascii")[2] == "      ---- train ---- ------ validation ------"


def test_what_is_not_there_has_no_column() -> None:
    assert [c.key for c in table_columns(run(penalties=False, clipping=False))] == [
        "train.loss", "validation.loss", "validation.accuracy", "validation.f1", "gradient_norm", "seconds",
    ]  # fmt: skip
    assert [cell(row(1), key) for key in ("clipped", "seconds", "train.loss")] == ["57%", "0.0009", "0.8833"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"), (1.0, "1.0000"), (0.95654, "0.9565"), (9.99999, "10.0000"), (12.3456, "12.346"),
        (123.456, "123.46"), (1234.56, "1234.6"), (12345.6, "12346"), (123456.0, "1.2e+05"), (0.00123, "0.0012"),
        (0.000123, "1.2e-04"), (-0.5, "-0.5000"), (float("nan"), "nan"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert short(value) == text


def test_times() -> None:
    assert [seconds(v) for v in (0.00044, 9.87654, 10.0, 12.3456, 100.0, 123.456)] == [
        "0.0004", "9.8765", "10.000", "12.346", "100.0", "123.5",
    ]  # fmt: skip
    assert [duration(v) for v in (0.123, 1.0, 3.44, 59.94, 59.95, 125.0, 3599.6, 7260.0)] == [
        "0.12 s", "1.0 s", "3.4 s", "59.9 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "2 h 01 min",
    ]  # fmt: skip
