"""What the cells of a table mean: numbers, booleans, dates, missing values, weights; and how files write them."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bpcli.family import Table
from bpcli.family.part import dump
from bpcli.parts.data import cells
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.csv import read as csvread
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.targets import distinct
from bpcli.records.training import Failure, Problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source(content: str | bytes, name: str = "a.csv", **settings: Any) -> Csv:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Csv.model_validate({"type": "csv", "path": name, "target": "y", **settings})


def load(content: str | bytes, name: str = "a.csv", **settings: Any) -> Table:
    return source(content, name, **settings).load(Path("."))


def first_problem(content: str | bytes, **settings: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        load(content, **settings)
    (found,) = caught.value.problems
    return found


# What a column holds


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["1", "2.5", "x"], "number"),
        (["", "?", "NA"], "number"),
        (["yes", "No", "YES"], "boolean"),
        (["true", "false", ""], "boolean"),
        (["f", "t"], "boolean"),
        (["f", "f"], "text"),  # all of one word is no pair
        (["yes", "no", "maybe"], "text"),
        (["yes", "false"], "text"),
        (["0", "1"], "number"),
        (["2024-01-31", "2024-02-01T12:30", "soon"], "date"),
        (["31.01.2024", "01.02.2024"], "date"),
        (["2024", "2025"], "number"),
        (["red", "1"], "number"),  # half of them are: the other one is an error, not a category
        (["red", "blue", "1"], "text"),
    ],
)
def test_kinds(column: list[str], kind: str) -> None:
    found = cells.find_format(column, [1] * len(column))
    assert isinstance(found, cells.ColumnFormat)
    assert found.kind == kind


def test_booleans_and_dates_are_numbers() -> None:
    table = load("a,on,born,y\n1,yes,1970-01-02,0\n2,No,1969-12-31T12:00,1\n3,yes,2000-03-01 06:00:00Z,0\n")
    assert table.names == ("a", "on", "born")
    assert table.numbers.tolist() == [[1, 1, 1], [2, 0, -0.5], [3, 1, 11017.25]]
    assert (table.kind("on"), table.kind("born"), table.kind("a")) == ("boolean", "date", "number")


@pytest.mark.parametrize(
    ("cell", "days"),
    [
        ("2024-02-29", 19782),
        ("1900-03-01", -25508),
        ("2024-01-01T00:00:00+02:00", 19722 + 22 / 24),
        ("2024-01-01 06:00", 19723.25),
        ("2024-01-01T00:00:00.500", 19723 + 0.5 / 86400),
        ("2023-02-29", None),
        ("2024-13-01", None),
        ("20240101", 19723),
        ("2024-W05", 19751),
        ("2024-W55", None),
        ("٢٠٢٤-01-01", None),
        ("", None),
    ],
)
def test_days(cell: str, days: float | None) -> None:
    assert cells.days_of(cell) == days
    found = cells.cell_values([cell, "2024-01-01"], cells.ColumnFormat("date"))
    assert np.isnan(found.values[0]) if days is None else found.values[0] == days
    assert found.wrong.tolist() == ([0] if days is None and cell else [])


def test_what_is_said_of_a_column_holds() -> None:
    table = load("a,b,y\n0,1,0\n1,2,1\n", columns={"a": "boolean", "b": {"kind": "text"}})
    assert (table.kind("a"), table.kind("b")) == ("boolean", "text")
    assert load("c,y\n1,yes\n2,no\n").target.tolist() == ["yes", "no"]  # type: ignore[union-attr]  (labels, not 1 and 0)
    assert load("c,y\n1,2024-01-01\n2,2024-01-02\n").target.dtype == object  # type: ignore[union-attr]
    assert first_problem("a,y\n1,2\n", columns={"b": "text"}).text == "columns: the file has no column `b`"


BAD_CELLS = {
    "boolean": ("a,y\nyes,1\nno,1\nmaybe,2\n" + "yes,1\n" * 9, {"columns": {"a": "boolean"}},
                "column `a`: `maybe` is neither yes nor no", 4),
    "declared boolean": ("a,y\n" + "yes,1\nno,2\n" * 150 + "maybe,1\n", {"columns": {"a": "boolean"}},
                         "column `a`: `maybe` is neither yes nor no", 302),
    "date": ("a,y\n2024-01-01,1\n2024-01-02,2\nsoon,3\n", {}, "column `a`: `soon` is not a date", 4),
    "two forms of dates": (
        "a,y\n2024-01-01,1\n2024-01-02,2\n31.01.2024,3\n", {},
        "column `a`: dates are written in two formats here: `2024-01-01` (line 2) and `31.01.2024`", 4),
    "no such day": ("a,y\n2024-01-01,1\n2023-02-29,2\n", {}, "column `a`: `2023-02-29` is not a date", 3),
    "missing date": ("a,y\n2024-01-01,1\n,2\n", {}, "column `a` has no value here (an empty cell)", 3),
    "missing text": ("a,y\nred,1\n?,2\nblue,1\nNA,2\n,1\n", {}, "column `a` has no value here (an empty cell)", 6),
    "missing target": ("a,y\n1,2\n2,\n", {"missing": "mean"}, "column `y` has no value here (an empty cell)", 3),
    "only weights of 0": ("a,w,y\n1,0,2\n2,-0.0,1\n", {"weight": "w"},
                          "column `w`: every row has the weight 0 and counts nothing", 0),
    "negative weight": ("a,w,y\n1,1,2\n2,0,3\n2,-1,1\n", {"weight": "w"},
                        "column `w`: a weight is 0 or more, and here is -1", 4),
    "negative weight below a gap": ("a,w,y\n1,1,2\n,1,3\n2,-1,1\n", {"weight": "w", "missing": "drop"},
                                    "column `w`: a weight is 0 or more, and here is -1", 4),
    "weight that float32 lacks": ("a,w,y\n1,1,2\n2,1e-50,1\n", {"weight": "w"},
                                  "column `w`: a weight is 0, or from 1e-30 to 1e+30, and here is 1e-50", 3),
    "endless weight": ("a,w,y\n1,1,2\n2,2e38,1\n", {"weight": "w"},
                       "column `w`: a weight is 0, or from 1e-30 to 1e+30, and here is 2e+38", 3),
    "text as weight": ("a,w,y\n1,1,2\n2,x,1\n", {"weight": "w"}, "column `w`: `x` is not a number", 3),
    "missing weight": ("a,w,y\n1,1,2\n2,,1\n", {"weight": "w", "missing": "mean"},
                       "column `w` has no value here (an empty cell)", 3),
    "no weight": ("a,y\n1,2\n", {"weight": "w"}, "weight: the file has no column `w`", 0),
    "nothing left": ("a,b,y\n1,,2\n,2,1\n", {"missing": "drop"},
                     "no row has a value in every column: they are missing in `a`, `b`", 0),
    "infinity": ("a,y\n1,2\n-inf,2\n", {"missing": "mean"}, "column `a`: `-inf` is not a finite number", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_cells(name: str) -> None:
    content, settings, text, line = BAD_CELLS[name]
    found = first_problem(content, **settings)
    assert (found.text, found.line) == (text, line)
    assert found.help


# Missing values


def test_missing_values_are_left_to_the_rules() -> None:
    table = load("a,c,d,b,y\n1,red,2024-01-01,yes,0\n?,NA,,,1\nnan,none,nat,no,0\n", missing="median")
    assert np.isnan(table.numbers).tolist() == [[False] * 3, [True] * 3, [True, True, False]]
    assert table.texts["c"].tolist() == ["red", "", "none"]  # `none` may be a category
    assert (table.treatments["a"].missing, table.warnings) == ("median", ())


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    table = load("a,c,y\n1,u,0\n,v,1\n3,,0\n4,w,\n5,x,1\n", missing="drop")
    assert table.numbers.tolist() == [[1], [5]]
    assert (table.texts["c"].tolist(), table.target is not None and table.target.tolist()) == (["u", "x"], [0, 1])
    (warning,) = table.warnings
    assert warning.text == "a.csv: 3 rows are left out: they have no value in `a` (1), `c` (1), `y` (1)"
    assert table.locate is not None
    assert table.locate(Problem("here"), 1, "c").line == 6  # where the row stands, not which it is


def test_a_rule_for_one_column() -> None:
    rule = {"a": {"missing": "drop"}, "y": {"missing": "drop"}}
    table = load("a,b,y\n1,,0\n,2,1\n3,3,\n4,,0\n", missing="mean", columns=rule)
    assert table.numbers[:, 0].tolist() == [1, 4]
    assert np.isnan(table.numbers[:, 1]).all()


def test_chunks_join_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    content = "a,c,y\n" + "".join(f"{i if i % 3 else ''},{'k' if i % 5 else ''},{i}\n" for i in range(150))
    whole = load(content, missing="drop")
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 1)  # 64 rows at a time
    parts = load(content, missing="drop")
    assert np.array_equal(whole.numbers, parts.numbers)
    assert len(whole.numbers) == sum(1 for i in range(150) if i % 3 and i % 5)


# Weights, and columns aside


def test_weights() -> None:
    table = load("a,w,y\n1,0.5,0\n2,3,1\n", weight="w")
    assert (table.names, table.weight is not None and table.weight.tolist()) == (("a",), [0.5, 3])
    later = source("a,y\n1,0\n", weight="w").load_columns(Path("."), ColumnRequest({"a": "number"}))
    assert later.weight is None
    assert [w.text for w in later.warnings] == ["a.csv has no column `w`: every row counts the same"]
    assert source("a,w\n1,0\n", weight="w").load(Path("."), need_target=False).weight is None


def test_columns_aside() -> None:
    here = source("a,fold,y\n1,train,0\n2,test,1\n", drop=["fold"])
    table = here.load_columns(Path("."), ColumnRequest(aside=("fold",), hidden=("fold",)))
    assert (table.names, table.aside["fold"].tolist()) == (("a",), ["train", "test"])
    both = source("a,day,y\n1,7,0\n2,8,1\n").load_columns(Path("."), ColumnRequest(aside=("day",)))
    assert (both.names, both.aside["day"].tolist()) == (("a", "day"), ["7", "8"])


# How files write them


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas(delimiter: str) -> None:
    text = "a;b;y\n1,5;red;0\n-2,25e3;blue;1\n,5;red;0\n".replace(";", delimiter)
    assert load(text).numbers[:, 0].tolist() == [1.5, -2250, 0.5]
    numeric = "a;y\n1,5;0\n2;1\n".replace(";", delimiter) * 1
    assert load(numeric).numbers.tolist() == [[1.5], [2]]  # NumPy's parser reads them too
    assert load("a;y\n1.5;0,5\n".replace(";", delimiter), decimal=".", text=["y"]).numbers.tolist() == [[1.5]]


def test_decimal_commas_stand_in_quotes() -> None:
    text = 'a,y\n"1,5",0\n"2,5",1\n'
    for settings in ({}, {"decimal": ","}):
        assert load(text, **settings).numbers.tolist() == [[1.5], [2.5]]


ENCODED = "größe,y\n1,ä\n2,ü\n"


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (ENCODED.encode("utf-16"), {}),
        (ENCODED.encode("utf-8-sig"), {}),
        (ENCODED.encode("latin-1"), {"encoding": "latin-1"}),
        (ENCODED.encode("cp1252"), {"encoding": "windows-1252"}),
        (ENCODED.encode("utf-16-le"), {"encoding": "utf-16-le"}),
    ],
)
def test_encodings(content: bytes, settings: dict[str, Any]) -> None:
    table = load(content, **settings)
    assert (table.names, table.numbers.tolist()) == (("größe",), [[1], [2]])
    assert table.target is not None
    assert table.target.tolist() == ["ä", "ü"]
    wide = load(gzip.compress(content), "a.csv.gz", **settings)
    assert wide.numbers.tolist() == [[1], [2]]


def test_comments_are_declared() -> None:
    text = '# made by hand\na,c,y\n# nothing\n1,u,0\n2,"two\n# lines",1\n'
    assert 'add `comment: "#"`' in first_problem(text).help
    table = load(text, comment="#")
    assert table.texts["c"].tolist() == ["u", "two\n# lines"]
    assert first_problem(text.replace("2,", "x,"), comment="#").line == 5
    assert load("#h\na,y\n#1\n1,0\n2,1\n", comment="#").numbers.tolist() == [[1], [2]]


# Large files


def test_large_files_are_kept_as_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    far = 1.7e9 + rng.integers(0, 86400, 700)
    near = rng.normal(size=700)
    content = "t,a,y\n" + "".join(f"{t},{a!r},{k}\n" for t, a, k in zip(far, near.tolist(), range(700), strict=True))
    exact = source(content).load_columns(Path("."), ColumnRequest(compact=True))
    assert (exact.numbers.dtype, exact.pivot) == (np.float64, None)
    monkeypatch.setattr(csvread, "FLOAT32_FILE_BYTES", 0)
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 300)
    small = source(content).load_columns(Path("."), ColumnRequest(compact=True))
    assert small.numbers.dtype == np.float32
    assert small.pivot is not None
    assert small.pivot[0] > 1.6e9
    assert small.pivot[1] == 0
    assert np.array_equal(small.numbers[:, 0].astype(np.float64) + small.pivot[0], far)  # float32 alone: 128 apart
    assert np.array_equal(small.numbers[:, 1], near.astype(np.float32))
    assert small.target is not None
    assert small.target.tolist() == list(range(700))
    assert small.numbers.base is None or small.numbers.base.shape == small.numbers.shape


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 129])
def test_every_row_is_read_once(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 1)  # 64 rows at a time
    monkeypatch.setattr(csvread, "FLOAT32_FILE_BYTES", 0)
    for name in ("a.csv", "a.csv.gz"):
        content = "a,y\n" + "".join(f"{i},{i}\n{'' if i % 7 else chr(10)}" for i in range(rows))
        table = load(gzip.compress(content.encode()) if name.endswith("gz") else content, name)
        assert table.numbers[:, 0].tolist() == list(range(rows))
        again = source(content).load_columns(Path("."), ColumnRequest(compact=True))
        assert again.numbers[:, 0].tolist() == list(range(rows))


def test_distinct() -> None:
    for ids in ([], [5], [3, -2, 3, 7], [10**9, 0, 10**9]):
        here = np.array(ids, np.int64)
        values, places = distinct(here)
        assert values.tolist() == sorted(set(ids))
        assert values[places].tolist() == ids if ids else True


# Settings


def test_settings_come_back() -> None:
    part = source("", columns={"a": "text", 3: {"kind": "date", "parts": ["year"], "scale": "robust"}}, missing="mode",
                  weight=2, unseen="ignore", decimal=",", encoding="latin-1", comment="#")  # fmt: skip
    assert part.weight == "2"
    assert part.columns["3"].parts == ("year",)
    assert Csv.parse(dump(part)) == part


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"a": {"indicator": True}}}, "column `a`: an indicator needs a rule for missing values"),
        ({"columns": {"a": {"indicator": True, "missing": "drop"}}}, "column `a`: an indicator needs a rule"),
        ({"indicator": True}, "an indicator needs a rule, such as `missing: median`"),
        ({"text": ["a"], "columns": {"a": "date"}}, "column `a` is in text, and its kind is date"),
        ({"weight": "w", "drop": ["w"]}, "column `w` is both the weight and in drop"),
        ({"encoding": "utf-99"}, "unknown encoding `utf-99`"),
        ({"encoding": "base64"}, "unknown encoding `base64`"),
        ({"missing": "zero"}, "Input should be 'error', 'drop', 'mean', 'median' or 'mode'"),
        ({"columns": {"a": {"parts": ["century"]}}}, "Input should be 'days', 'year'"),
        ({"columns": {"a": {"parts": []}}}, "name at least one part of the date, and none twice"),
    ],
)
def test_settings_that_do_not_fit(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source("", **settings)
    (error,) = caught.value.errors()
    assert message in error["msg"]


def test_decimal_commas_are_points() -> None:
    table = load("a;c;y\n1,25;k.1,2;3\n-7,5e-3;;4\n", missing="drop")
    assert table.numbers.tolist() == [[1.25]]
    assert table.texts["c"].tolist() == ["k.1,2"]
