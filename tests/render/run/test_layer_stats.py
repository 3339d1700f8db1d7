"""What is watched, in the table of epochs and at its end."""

from __future__ import annotations

import math

from bpcli.records.training import EpochRow
from bpcli.render.run.layer_stats import layer_stats_table, watch_cell, watch_columns

WATCH = {
    "watch.dense_1.gradient": 5.9e-6, "watch.dense_1.update": math.nan,
    "watch.dense_1.activation.dead": 0.25, "watch.dense_1.activation.saturated": 0.004,
    "watch.batch_norm_1.gradient": 0.5, "watch.batch_norm_1.update": 0.001,
    "watch.sigmoid_1.dead": 0.0, "watch.sigmoid_1.saturated": 1.0,
    "watch.residual_1.a_layer_with_a_long_name.gradient": 12.5,
    "watch.residual_1.a_layer_with_a_long_name.update": 0.0123,
}  # fmt: skip
KEYS = tuple(WATCH)


def row(epoch: int) -> EpochRow:
    return EpochRow(epoch, {}, 0, 0, 0, 1, 0.1, 1, 0.1, False, WATCH)


def test_the_first_and_the_last_layer_and_the_worst_shares() -> None:
    found = watch_columns(KEYS)
    assert [c.header for c in found] == ["|grad|", "update", "|grad|", "update", "dead", "satur."]
    last = "residual_1.a_layer_with_a_long_name"
    assert [c.split for c in found] == ["dense_1"] * 2 + [last] * 2 + [""] * 2
    assert [watch_cell(WATCH, c.key) for c in found] == ["5.9e-06", "nan", "12.500", "0.0123", "25%", "100%"]
    assert [c.name for c in found] == [
        "dense_1 |grad|", "dense_1 update", f"{last} |grad|", f"{last} update", "dead", "satur.",
    ]  # fmt: skip


def test_one_layer_is_told_once_and_what_is_not_there_not_at_all() -> None:
    assert [c.key for c in watch_columns(KEYS[:2])] == ["watch.dense_1.gradient", "watch.dense_1.update"]
    assert watch_columns(()) == []


def test_a_line_for_each_layer_within_eighty_columns() -> None:
    lines = list(layer_stats_table(row(1), row(30)))
    assert max(map(len, lines)) <= 80
    assert lines == [
        "                                epoch 1                      epoch 30",
        "layer                  |grad|  update dead satur.   |grad|  update dead satur.",
        "dense_1               5.9e-06     nan  25%     0%  5.9e-06     nan  25%     0%",
        "batch_norm_1           0.5000  0.0010               0.5000  0.0010",
        "sigmoid_1                               0%   100%                    0%   100%",
        "residual_1.a_laye...   12.500  0.0123               12.500  0.0123",
    ]


def test_one_epoch_is_told_once() -> None:
    assert list(layer_stats_table(row(1), row(1)))[1] == "layer                  |grad|  update dead satur."
