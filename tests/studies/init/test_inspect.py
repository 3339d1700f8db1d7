"""What a column holds and what is done with it, and which targets are classes, on both sides of every bound."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.records.training import Failure
from bpcli.studies.init.columns import FileColumn
from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.init.options import ColumnOptions

CHANCE = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(header: str, *columns: Any, targets: tuple[str, ...] = ("y",), task: Any = None) -> Inspection:
    """What is found in a table of these columns."""
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    Path("a.csv").write_text("\n".join([header, *rows]) + "\n")
    return inspect_data("a.csv", targets, task, Path(), Path())


def column(values: Any, name: str = "v") -> FileColumn:
    """What is found of one column, beside one that is good and a target."""
    n = len(values)
    return found(
        f"{name},z,y", values, CHANCE.normal(size=n).round(4), ["a", "b"] * (n // 2) + ["a"] * (n % 2)
    ).columns[0]


# -------------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("values", "kind", "holds", "treatment", "width"),
    [
        ([1.5, -2.25, 1000000.0] * 8, "number", "-2.25 to 1e+06", "standardized", 1),
        (["yes", "no"] * 12, "boolean", "yes or no", "1 or 0", 1),
        (["2024-02-03", "2023-01-31", "2024-01-01"] * 8, "date", "2023-01-31 to 2024-02-03",
         "days, month and weekday", 3),
        ([7] * 24, "number", "7 to 7", "left out: the same in every row", 1),
        (["2024-02-03"] * 24, "date", "2024-02-03 to 2024-02-03", "left out: the same in every row", 1),
        (range(24), "number", "0 to 23", "left out: it numbers the rows", 1),
        (range(100, 124), "number", "100 to 123", "left out: it numbers the rows", 1),
        ([*range(23), 24], "number", "0 to 24", "standardized", 1),
        (range(0, 48, 2), "number", "0 to 46", "standardized", 1),
        ([v + 0.5 for v in range(24)], "number", "0.5 to 23.5", "standardized", 1),
        ([*range(23), 22], "number", "0 to 22", "standardized", 1),
    ],
)  # fmt: skip
def test_what_a_column_holds(values: Any, kind: str, holds: str, treatment: str, width: int) -> None:
    dropped = treatment.startswith("left out")
    settings = {"parts": ["days", "month", "weekday"]} if kind == "date" and not dropped else {}
    assert column(values) == FileColumn("v", kind, holds, treatment, dropped=dropped, width=width, settings=settings)


@pytest.mark.parametrize(("rows", "dropped"), [(19, False), (20, True)])
def test_from_20_rows_on_a_column_may_number_them(rows: int, dropped: bool) -> None:
    assert column(range(rows)).dropped is dropped


@pytest.mark.parametrize(
    ("name", "dropped"),
    [("id", True), ("ID", True), (" Index ", True), ("user_id", True), ("user id", True), ("userId", True),
     ("userID", True), ("paid", False), ("valid", False), ("idx", False), ("nr", True)],
)  # fmt: skip
def test_whole_numbers_that_all_differ_are_ids_by_their_name(name: str, dropped: bool) -> None:
    assert column(CHANCE.permutation(30) * 7, f'"{name}"').dropped is dropped
    assert column([*range(0, 58, 2), 0], f'"{name}"').dropped is False  # two are the same


def test_gaps_are_counted_and_not_looked_into() -> None:
    values = ["", *range(1, 40)]
    assert column(values) == FileColumn(
        "v", "number", "1 to 39", "left out: it numbers the rows", dropped=True, missing=1 / 40
    )
    assert column(["", 1.5, 2.5, 2.5] * 6).missing == 0.25


def test_a_column_without_a_value_is_left_out() -> None:
    assert column([""] * 24) == FileColumn("v", "number", "no value at all", "left out", dropped=True, missing=1.0)


@pytest.mark.parametrize(("gaps", "indicator"), [(1, False), (2, True)])
def test_where_one_value_in_twenty_is_missing_an_input_says_so(gaps: int, indicator: bool) -> None:
    values = [""] * gaps + [round(float(v), 3) for v in CHANCE.normal(size=40 - gaps)]
    source = found("v,y", values, ["a", "b"] * 20).source
    assert source["missing"] == "median"
    assert source.get("indicator", False) is indicator
    assert found("v,y", [0.5, 1.5, 2.5, 4.5] * 10, ["a", "b"] * 20).source["missing"] == "median"


def test_gaps_of_columns_that_are_left_out_need_nothing() -> None:
    source = found("v,z,y", ["", *range(1, 40)], CHANCE.normal(size=40).round(3), ["a", "b"] * 20).source
    assert source == {"type": "csv", "path": "a.csv", "target": ["y"], "drop": ["v"], "missing": "median"}


# ---------------------------------------------------------------------------------------------------------------- texts
def words(count: int, rows: int) -> list[str]:
    return [f"w{i % count}" for i in range(rows)]


@pytest.mark.parametrize(
    ("cells", "holds", "treatment", "width"),
    [
        (words(2, 24), "2 categories", "one-hot, 2 inputs", 2),
        (words(12, 24), "12 categories", "one-hot, 12 inputs", 12),
        (words(13, 24), "13 different texts", "left out: names or ids", 1),
        (words(13, 19), "13 categories", "one-hot, 13 inputs", 13),
        (words(50, 100), "50 categories", "one-hot, 50 inputs", 50),
        (words(51, 102), "51 categories", "one-hot, 51 inputs", 51),
        (["w"] * 24, "1 category", "left out: the same in every row", 1),
    ],
)  # fmt: skip
def test_categories(cells: list[str], holds: str, treatment: str, width: int) -> None:
    dropped = treatment.startswith("left out")
    assert column(cells) == FileColumn("v", "text", holds, treatment, dropped=dropped, width=width)


def test_gaps_in_texts() -> None:
    assert column(["", "p", "q", "p"] * 6) == FileColumn(
        "v", "text", "2 categories", "one-hot, 2 inputs", width=2, missing=0.25
    )
    alone = column(["", "p", "p", "p"] * 6)
    assert (alone.treatment, alone.missing) == ("an input says where it is missing", 0.25)
    twenty = [f"n{i}" for i in range(20)] + [""] * 20  # of the cells that are there
    assert column(twenty).treatment == "left out: names or ids"
    assert column([f"n{i}" for i in range(19)] + [""] * 20).treatment == "one-hot, 19 inputs"


@pytest.mark.parametrize("cell", ["x", "1", "Yes", "TRUE", "2020-01-01", "5 %"])
def test_where_the_one_value_of_a_column_stands_says_something(cell: str) -> None:
    ticks = found("v,z,y", [cell, ""] * 12, CHANCE.normal(size=24).round(3), ["a", "b", "b", "a"] * 6)
    assert ticks.columns[0].treatment == "an input says where it is missing"
    assert ticks.source["indicator"]
    assert column([cell] * 39 + [""]).treatment.startswith("left out")
    assert column([cell] * 9 + [""] * 15).treatment.startswith("left out")


def test_categories_that_train_does_not_have_are_ignored() -> None:
    source = found("c,v,y", ["p", "q"] * 12, CHANCE.normal(size=24).round(3), ["a", "b"] * 12).source
    assert source == {"type": "csv", "path": "a.csv", "target": ["y"], "missing": "median", "unseen": "ignore"}
    assert "unseen" not in found("v,y", CHANCE.normal(size=24).round(3), ["a", "b"] * 12).source


def test_dates_are_said_to_be_parts() -> None:
    days = [f"2024-01-{i + 1:02}" for i in range(24)]
    f = found("d,v,y", days, CHANCE.normal(size=24).round(3), ["a", "b"] * 12)
    assert f.source["columns"] == {"d": {"parts": ["days", "month", "weekday"]}}
    assert (f.dates, f.shape) == (("d",), (4,))


# -------------------------------------------------------------------------------------------------------------- targets
V = CHANCE.normal(size=400).round(4)


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ([0, 1] * 5, "classify"),
        ([-7, 9000] * 5, "classify"),
        ([0, 1, 2] * 10, "classify"),  # ten rows of each
        ([0, 1, 2] * 9 + [0, 0], "regress"),
        (list(range(20)) * 10, "classify"),
        (list(range(21)) * 10, "regress"),
        ([0, 5, 39] * 10, "classify"),
        ([0, 5, 40] * 10, "regress"),
        ([-20, 5, 19] * 10, "classify"),
        ([0.5, 1.5] * 10, "regress"),
    ],
)
def test_which_numbers_are_classes(target: list[float], task: str) -> None:
    f = found("v,y", V[: len(target)], target)
    assert f.task == task
    assert f.outputs == (len(set(target)) if task == "classify" else 1)
    assert sum(f.classes.values()) == (len(target) if task == "classify" else 0)


@pytest.mark.parametrize(
    ("p", "q", "task", "several"),
    [([0, 1] * 6, [1, 0] * 6, "classify", False), ([0, 1] * 6, [1, 1] * 6, "classify", True),
     ([0, 0] * 6, [1, 0] * 6, "classify", True), ([0, 2] * 6, [1, 0] * 6, "regress", False)],
)  # fmt: skip
def test_several_targets_of_0_and_1_are_labels(p: Any, q: Any, task: str, several: bool) -> None:
    f = found("v,p,q", V[:12], p, q, targets=("p", "q"))
    assert (f.task, f.several, f.outputs, f.targets) == (task, several, 2, ("p", "q"))
    f = found("v,p,q", V[:12], p, q, targets=("p", "q"), task="regress")
    assert (f.task, f.several, f.outputs) == ("regress", False, 2)


@pytest.mark.parametrize(("count", "fits"), [(12, True), (13, False)])
def test_classes_have_two_rows_on_average(count: int, fits: bool) -> None:
    classes = words(count, 24)
    if fits:
        assert len(found("v,y", V[:24], classes).classes) == count
        return
    with pytest.raises(Failure, match=r"has 13 different values in 24 rows") as failure:
        found("v,y", V[:24], classes)
    help = failure.value.problems[0].help
    assert "there are v)" in help
    assert "at best 10 rows and more to each" in help


def test_eight_columns_are_named_where_the_target_has_too_many_classes() -> None:
    header = ",".join(f"c{k}" for k in range(9))
    with pytest.raises(Failure) as failure:
        found(f"{header},y", *[V[:24]] * 9, words(24, 24))
    assert "(there are c0, c1, c2, c3, c4, c5, c6, c7, ...)" in failure.value.problems[0].help
    with pytest.raises(Failure) as failure:
        found(f"{header[3:]},y", *[V[:24]] * 8, words(24, 24))
    assert "(there are c1, c2, c3, c4, c5, c6, c7, c8)" in failure.value.problems[0].help


@pytest.mark.parametrize(("rows", "remarks"), [(30, 0), (29, 1)])
def test_fewer_than_ten_rows_of_each_class_are_remarked(rows: int, remarks: int) -> None:
    f = found("v,y", V[:rows], ["a", "b", "c"] * 9 + ["a", "b", "c"][: rows - 27])
    assert len(f.remarks) == remarks
    if remarks:
        assert f.remarks[0].startswith("29 rows for 3 classes, the smallest with 9: hardly enough to learn from. Join")


def test_imbalance_is_that_of_the_largest_and_the_smallest_class() -> None:
    assert found("v,y", V[:60], ["a"] * 35 + ["b"] * 5 + ["c"] * 20).imbalance == 7.0
    assert found("v,y", V[:60], V[60:120]).imbalance == 1.0


def test_where_no_column_is_left_the_first_eight_are_named() -> None:
    header = ",".join(f"c{k}" for k in range(9))
    with pytest.raises(Failure, match="no column is left to learn from: c0, c1, c2, c3, c4, c5, c6, c7") as failure:
        found(f"{header},y", *[[5] * 24] * 9, ["a", "b"] * 12)
    assert failure.value.problems[0].text.endswith("c7")


def test_a_file_on_another_drive_keeps_its_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def relpath(*_: Any) -> str:
        raise ValueError("path is on mount 'd:', start on mount 'c:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    assert found("v,y", V[:24], ["a", "b"] * 12).source["path"] == Path("a.csv").resolve().as_posix()


def test_a_target_without_a_name_cannot_be_left_out() -> None:
    rows = "".join(f"{v},{k % 2}\n" for k, v in enumerate(V[:24]))
    Path("unnamed.csv").write_text(f"v,\n{rows}")
    with pytest.raises(Failure, match="has no name in the header"):
        inspect_data("unnamed.csv", ("",), None, Path(), Path())


def test_a_file_without_a_header_and_one_with_row_numbers_are_read_as_they_are() -> None:
    Path("bare.csv").write_text("".join(f"{v},{k % 3},{k % 2}\n" for k, v in enumerate(V[:40])))
    source = inspect_data("bare.csv", ("-1",), None, Path(), Path()).source
    assert source == {"type": "csv", "path": "bare.csv", "target": ["-1"], "header": False, "missing": "median"}
    numbered = found(",v,y", range(24), V[:24], ["a", "b"] * 12)
    assert (
        numbered.remarks[0] == "the column without a name is left out: data frames write the numbers of their rows so"
    )
    source = numbered.source
    assert source == {"type": "csv", "path": "a.csv", "target": ["y"], "drop": [""], "missing": "median"}


def test_a_column_without_a_name_is_left_out_for_what_it_holds() -> None:
    empty = found("v,y,", V[:24], ["a", "b"] * 12, [""] * 24)
    assert "the column without a name is left out: it is empty, as where a delimiter ends each line" in empty.remarks
    other = found("v,y,", V[:24], ["a", "b"] * 12, V[24:48])
    assert "the column without a name is left out: name it in the header to have it as an input" in other.remarks
    for options in (ColumnOptions(number=("",)), ColumnOptions(text=("",))):
        with pytest.raises(Failure, match="the column without a name cannot be asked for") as caught:
            inspect_data("a.csv", ("y",), None, Path(), Path(), options)
        assert "give it a name in the header" in caught.value.problems[0].help


def test_classes_are_counted_as_they_are_written() -> None:
    """01 and 1 are two classes for training, and so they are here."""
    cells = ["1", "1.0", "2"] * 20
    assert dict(found("a,y", [i / 7 for i in range(60)], cells).classes) == {"1": 20, "1.0": 20, "2": 20}
    assert found("a,y", [i / 7 for i in range(60)], [f"{i}.0" for i in range(60)]).task == "regress"


def test_numbers_far_off_are_remarked_on_and_what_stands_for_no_value_is_not() -> None:
    v = [*V[:298], 5000, 7000]
    odd = [-999, -999, *V[42:340]]
    remarks = found("v,w,y", v, odd, V[100:400]).remarks
    assert remarks[0].startswith("`w`: -999 stands far apart")
    assert remarks[1:] == (
        f"`v`: 2 values, such as 7000, lie far off from all others ({V[:298].min():.6g} to {V[:298].max():.6g}); "
        "`bpcli check` says where",
    )
    assert found("v,y", V[50:150], [*V[:99], 900]).remarks[0].startswith("`y`: 900 lies far off from all others (")


def test_a_target_in_dress_is_said_to_be_numbers() -> None:
    prices = [f'"${1000.5 + 37 * k:,}"' for k in range(40)]
    assert found("v,y", V[:40], prices).remarks == ("the target `y` is read as numbers: with $, thousands ,",)


def test_a_column_that_gives_the_target_away_is_left_out_by_an_option() -> None:
    price = np.exp(V[:100])
    remarks = found("v,log price,y", V[100:200], np.log(price), price).remarks
    assert remarks[-1].endswith(": `--drop 'log price'`, or write `drop: [log price]` under `data.train`")
