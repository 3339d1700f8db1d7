"""Rows by value and by number: how they are encoded, and what is said where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.numeric import free_memory
from bpcli.numeric.free_memory import NotEnoughMemoryError
from bpcli.records.training import Exit, Failure
from bpcli.render.trace.json import json as as_json
from bpcli.studies.trace import open as opening
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TracedRows, TraceTarget, check_numbers, long_work, open_target

TABLE = """size,kind,born,sold,y
1.5,red,2024-01-01,yes,a
2.5,green,2024-01-03,no,b
3.5,red,2024-01-05,yes,c
4.5,green,2024-01-09,no,a
"""
CSV = {"type": "csv", "path": "rows.csv", "target": "y", "columns": {"born": {"parts": ["days"]}}}
INLINE = {"type": "inline", "inputs": [[0.1, 1.0], [0.2, 2.0], [0.3, 3.0], [0.4, 4.0], [0.5, 5.0]],
          "targets": [[1.0], [2.0], [3.0], [4.0], [5.0]]}  # fmt: skip


def config(folder: Path, **more: Any) -> Path:
    written = {
        "data": {"train": INLINE}, "architecture": [{"type": "dense", "units": 1}], "loss": "mean_squared_error",
        "training": {"epochs": 2, "batch_size": 3}, **more,
    }  # fmt: skip
    (folder / "rows.csv").write_text(TABLE)
    (folder / "net.yaml").write_text(json.dumps(written))
    return folder / "net.yaml"


def table(folder: Path) -> Path:
    return config(
        folder, data={"train": CSV}, architecture=[{"type": "dense", "units": 3}], loss="softmax_cross_entropy"
    )


def by_value(file: Path, x: list[str], t: list[str]) -> TraceTarget:
    return open_target(file, TracedRows(x=tuple(x), t=tuple(t)))


def refused(file: Path, rows: TracedRows, sets: tuple[str, ...] = (), **more: Any) -> tuple[str, str]:
    with pytest.raises(Failure) as failure:
        open_target(file, rows, sets, **more)
    assert failure.value.exit == Exit.USAGE
    (problem,) = failure.value.problems
    return problem.text, problem.help


# ------------------------------------------------------------------------------------------------------------ by number
@pytest.mark.parametrize(
    ("rows", "x", "words"),
    [(TracedRows(), [0.1], "row 0"), (TracedRows(samples=(3,)), [0.4], "row 3"),
     (TracedRows(samples=(4, 0)), [0.5, 0.1], "rows 4, 0")],
)  # fmt: skip
def test_rows_are_counted_from_0_in_file_order(rows: TracedRows, x: list[float], words: str, tmp_path: Path) -> None:
    target = open_target(config(tmp_path), rows)
    assert target.x[:, 0].tolist() == x
    assert target.t[:, 0].tolist() == [10 * v for v in x]
    assert (target.rows, target.weights, target.done) == (words, "as they start", 0)
    assert target.x.dtype == np.float64


@pytest.mark.parametrize("row", [5, -1])
def test_a_row_that_is_not_there(row: int, tmp_path: Path) -> None:
    text, help = refused(config(tmp_path), TracedRows(samples=(0, row)))
    assert text == f"there is no row {row}: the training source has 5 rows"
    assert help == "rows are counted from 0 in file order: --sample 0 to 4"


def test_the_split_of_each_row_is_said_where_there_are_several(tmp_path: Path) -> None:
    file = config(tmp_path, data={"train": INLINE, "test": 0.4})
    words = open_target(file, TracedRows(samples=(0, 1, 2, 3, 4))).rows
    assert words.startswith("rows 0 (")
    assert (words.count("(train)"), words.count("(test)")) == (3, 2)
    other = {"type": "inline", "inputs": [[9.0, 9.0]], "targets": [[9.0]]}
    file = config(tmp_path, data={"train": INLINE, "test": other})
    assert open_target(file, TracedRows(samples=(1,))).rows == "row 1", "another source has rows of its own"


def test_the_first_batch_of_the_training(tmp_path: Path) -> None:
    target = open_target(config(tmp_path), TracedRows(batch=True))
    listed = [round(10 * v) - 1 for v in target.x[:, 0]]
    assert target.rows == f"the first batch of epoch 1: 3 rows ({', '.join(map(str, listed))})"
    many = {"type": "inline", "inputs": [[float(k)] for k in range(9)], "targets": [[1.0]] * 9}
    file = config(tmp_path, data={"train": many}, training={"batch_size": "full"})
    assert open_target(file, TracedRows(batch=True)).rows.endswith(", ...)")
    assert open_target(file, TracedRows(batch=True)).rows.count(",") == 8
    file = config(tmp_path, data={"train": many}, training={"batch_size": 8})
    assert not open_target(file, TracedRows(batch=True)).rows.endswith(", ...)")


# ------------------------------------------------------------------------------------------------------------- by value
def test_rows_by_value(tmp_path: Path) -> None:
    target = by_value(config(tmp_path), ["1, 0.5", "-2,3"], ["4", "5"])
    assert (target.x.tolist(), target.t.tolist()) == ([[1.0, 0.5], [-2.0, 3.0]], [[4.0], [5.0]])
    assert target.rows == "2 rows given by value"
    assert by_value(config(tmp_path), ["1,2"], ["4"]).rows == "1 row given by value"


def test_values_are_encoded_as_the_columns_of_the_file_are(tmp_path: Path) -> None:
    target = by_value(table(tmp_path), ["3.5,red,2024-01-05,yes"], ["c"])
    file = open_target(table(tmp_path), TracedRows(samples=(2,)))
    assert target.x.tolist() == file.x.tolist()
    assert target.t.tolist() == file.t.tolist()


@pytest.mark.parametrize(
    ("x", "t", "text", "help"),
    [
        (["1,2", "3,4"], ["1"], "2 rows of inputs and 1 target are given", "every --x needs its --t"),
        (["1,2"], [], "1 row of inputs and 0 targets are given", "every --x needs its --t"),
        (["1"], ["1"], "--x 1 has 1 value, and a row has 2", "values are apart by commas"),
        (["1,2,3"], ["1"], "--x 1,2,3 has 3 values, and a row has 2", "values are apart by commas"),
        (["1,two"], ["1"], "--x: `two` is not a number", "numbers are apart by commas: 1,0.5"),
        (["1,2"], ["one"], "--t: `one` is not a number", "numbers are apart by commas: 1,0.5"),
        (["1,2"], ["1,2"], "--t has 2 values, and a target has 1", "values are apart by commas"),
    ],
)
def test_values_that_do_not_fit(x: list[str], t: list[str], text: str, help: str, tmp_path: Path) -> None:
    assert refused(config(tmp_path), TracedRows(x=tuple(x), t=tuple(t))) == (text, help)


@pytest.mark.parametrize(
    ("x", "text"),
    [("1,red", "--x 1,red has 2 values, and a row has 4: size, kind, born, sold"),
     ("1,red,soon,yes", "--x: `soon` is not a date, which column `born` holds"),
     ("1,red,2024-01-05,perhaps", "--x: `perhaps` is not yes or no, which column `sold` holds")],
)  # fmt: skip
def test_values_that_do_not_fit_their_column(x: str, text: str, tmp_path: Path) -> None:
    assert refused(table(tmp_path), TracedRows(x=(x,), t=("a",)))[0] == text


# ------------------------------------------------------------------------------------------------ what cannot be traced
def test_one_row_has_no_statistics(tmp_path: Path) -> None:
    file = config(tmp_path, architecture=[{"type": "dense", "units": 2}, "batch_norm", {"type": "dense", "units": 1}])
    text = "batch_norm_1 takes statistics over the rows, and one row has none"
    assert refused(file, TracedRows()) == (text, "trace several rows: --sample 0 --sample 1, or --batch")
    assert len(open_target(file, TracedRows(samples=(0, 1))).x) == 2
    help = "its batches are of one row: --set training.batch_size=8"
    assert refused(file, TracedRows(batch=True), ("training.batch_size=1",)) == (text, help)


def test_a_model_or_a_run_takes_no_settings(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"")
    for path in (tmp_path, tmp_path / "m.safetensors"):
        text, help = refused(path, TracedRows(), ("seed=1",), command="mark")
        assert text == f"--set changes a config, and {path} is trained already"
        assert help == "use the config that it was trained from: bpcli mark CONFIG --set ..."
    model = tmp_path / "m.safetensors"
    assert refused(model, TracedRows()) == (
        f"{model} holds a model and no data", "give a row by value, --x 1,0.5 --t 1, or trace the run folder",
    )  # fmt: skip
    assert refused(model, TracedRows(), command="worksheet")[1] == (
        "use the run folder that it came from: bpcli worksheet RUN"
    )


def test_weights_of_classes_are_those_of_their_names(tmp_path: Path) -> None:
    loss = {"type": "softmax_cross_entropy", "class_weights": {"c": 3.0, "a": 1.0, "b": 2.0}}
    layers = [{"type": "dense", "units": 3}]
    target = open_target(config(tmp_path, data={"train": CSV}, architecture=layers, loss=loss), TracedRows())
    assert dict(target.objective.loss.class_weights) == {"a": 1.0, "b": 2.0, "c": 3.0}  # type: ignore[attr-defined]
    assert [name for name, _ in target.objective.loss.class_weights] == ["a", "b", "c"]  # type: ignore[attr-defined]


def test_rows_that_weigh_differently_in_training_count_the_same_here(tmp_path: Path) -> None:
    assert open_target(config(tmp_path), TracedRows()).warnings == ()
    (tmp_path / "w.csv").write_text("x,w,y\n" + "".join(f"{k},{k + 1},{2 * k}\n" for k in range(6)))
    source = {"type": "csv", "path": "w.csv", "target": "y", "weight": "w"}
    (warning,) = open_target(config(tmp_path, data={"train": source}), TracedRows()).warnings
    assert (warning.code, warning.level) == ("weights-left-out", "warning")


def test_a_step_that_takes_too_long_or_too_much_memory_is_refused_and_a_long_one_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(tmp_path)
    target = open_target(file, TracedRows())
    assert long_work(target) == ()
    terms = sum(node.plan.multiply_adds for node in target.network_plan.walk())
    monkeypatch.setattr(opening, "MANY_TERMS", terms)
    (warning,) = long_work(target)
    assert warning.text == f"to go over the {terms} terms of 1 rows takes minutes"
    monkeypatch.setattr(opening, "MANY_TERMS", terms * opening.TIMES_CHECKED)
    assert long_work(target) == ()
    (warning,) = long_work(target, gradients=True)
    assert warning.text == f"to check the gradients of {terms} terms, in 1 rows, takes a minute or more"
    monkeypatch.setattr(opening, "MAX_TERMS", terms - 1)
    with pytest.raises(Failure, match=f"a row takes {terms} multiply-adds"):
        open_target(file, TracedRows())
    monkeypatch.setattr(opening, "MAX_TERMS", terms)
    open_target(file, TracedRows())
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 100)
    with pytest.raises(NotEnoughMemoryError, match=r"needed to work out a step on 1 rows, and 100 B are"):
        opening._check_size(target.network_plan, 1)


def test_a_derivation_of_too_many_numbers_is_refused_before_it_is_worked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(value: Any) -> int:
        if isinstance(value, list | dict):
            return sum(map(counted, value.values() if isinstance(value, dict) else value))
        return isinstance(value, int | float)

    wide = [{"type": "dense", "units": 40, "activation": "tanh"}, {"type": "dense", "units": 1}]
    target = open_target(config(tmp_path, architecture=wide), TracedRows())
    announced = opening.numbers_written(target, 2)
    written = counted(json.loads(as_json(derive(target, View(steps=2)))))
    assert 0.7 < announced / written < 1.3
    check_numbers(target, 2)
    monkeypatch.setattr(opening, "MAX_NUMBERS", announced - 1)
    check_numbers(target, 1)
    with pytest.raises(Failure, match=rf"2 steps has about {announced:,} numbers, .* most is {announced - 1:,}"):
        check_numbers(target, 2)
    monkeypatch.setattr(opening, "MAX_NUMBERS", announced)
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 100)
    with pytest.raises(NotEnoughMemoryError, match=r"for JSON of .* weights, 1 row and 2 steps, and 100 B are free"):
        check_numbers(target, 2)
