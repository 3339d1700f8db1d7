"""Columns of a file in dress: found, set, refused with the line, and read in a later file as in training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bpcli.family import ColumnFormat, Table
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure, Problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source(text: str, **settings: Any) -> Csv:
    Path("a.csv").write_text(text, encoding="utf-8")
    return Csv.model_validate({"type": "csv", "path": "a.csv", "target": "y", **settings})


def load(text: str, **settings: Any) -> Table:
    return source(text, **settings).load(Path("."))


def problem(text: str, **settings: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        load(text, **settings)
    (found,) = caught.value.problems
    return found


def column(*cells: str) -> str:
    """A file with a column `x` of these cells."""
    return "x;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells))


def test_a_column_is_decided_by_all_of_its_cells() -> None:
    plain = [str(i) for i in range(250)]
    late = load(column(*plain, *(f"C{i}" for i in range(120))))
    assert late.kind("x") == "text"
    blank = load(column(*[""] * 210, *(f"2020/01/{d:02d}" for d in range(1, 29))), missing="median")
    assert (blank.kind("x"), int(np.isnan(blank.numbers).sum())) == ("date", 210)
    priced = load(column(*plain, "$1,234.5", *(f"${i}" for i in range(2000))), columns={"x": {"unit": "$"}})
    assert priced.numbers[250, 0] == 1234.5
    assert priced.formats["x"] == ColumnFormat("number", "dressed", ".", ",", "$", bare=True)


def test_only_what_is_particular_is_kept() -> None:
    assert load("a,b,c,d,y\n1,red,2020-01-31,yes,1\n2,blue,2020-02-01,no,2\n").formats == {}
    assert load(column("1,5", "2")).formats == {}  # the file's decimal comma is found in each file
    assert load(column("5 %", "6 %")).formats == {"x": ColumnFormat(form="dressed", unit="%")}
    target = load('x,y\n1,"$1,234.50"\n2,$5\n' + "3,$7\n" * 30 + "".join(f"{i},${i}\n" for i in range(30)))
    assert target.target is not None
    assert target.target[:2].tolist() == [[1234.5], [5]]
    assert target.formats["y"].unit == "$"


@pytest.mark.parametrize(
    ("cells", "code", "line", "help"),
    [
        (["1,234", "5,678"], "ambiguous-numbers", 2, 'write `thousands: ","` or `decimal: ","`; to read the column'),
        (["01/02/2020", "03/04/2020"], "ambiguous-dates", 2, "write `date_order: dmy` or `date_order: mdy`; to read"),
        (["2020-01-31"] * 9 + ["31.01.2020"], "two-formats", 11, "write all dates of the column in one way"),
        (["$5"] * 9 + ["€5"], "currency-mix", 11, "convert them to one currency"),
        (["5 kg"] * 9 + ["5 lb"], "unit-change", 11, "convert them to one unit"),
        (["5%"] * 9 + ["5"], "two-formats", 11, 'where they mean the same, write `columns: {x: {unit: "%"}}`; to read'),
        (["5.5", "5,5"], "two-formats", 3, "write all numbers of the column in one way"),
        (["3:15"] * 9 + ["3h 15m"], "two-formats", 11, "write all times of the column in one way"),
        (["$5"] * 9 + ["see note"], "not-a-number", 11, 'or write `missing_values: [see note]`'),
        (["$5"] * 9 + ["oops"], "not-a-number", 11, "or write `missing_values: [oops]`"),
        (["1/31/2020"] * 9 + ["31/2/2020"], "not-a-date", 11, "if the column holds text"),
        (["14:30"] * 9 + ["14:77"], "not-a-number", 11, "if the column holds text"),
    ],
)  # fmt: skip
def test_what_is_open_or_wrong_is_named_with_its_line(cells: list[str], code: str, line: int, help: str) -> None:
    found = problem(column(*cells))
    assert (found.code, found.line, found.column) == (code, line, 1)
    assert help in found.help


@pytest.mark.parametrize(
    ("cells", "settings", "numbers"),
    [
        (["1,234", "5,678"], {"thousands": ","}, [1234, 5678]),
        (["1,234", "5,678"], {"decimal": ","}, [1.234, 5.678]),
        (["1.234", "5.678"], {"thousands": "."}, [1234, 5678]),
        (["1.234", "5.678"], {"columns": {"x": {"decimal": ","}}, "thousands": ","}, [1234, 5678]),
        (["1,234", "5,678"], {"decimal": ",", "columns": {"y": {"decimal": "."}}}, [1.234, 5.678]),
        (["0.5", "0.25"], {"decimal": ","}, [0.5, 0.25]),  # a fraction all the same
        (["01/02/1970", "03/01/1970"], {"date_order": "dmy"}, [31, 2]),
        (["13/01/1970", "14/01/1970"], {"date_order": "mdy"}, [12, 13]),
        (["01/02/1970", "03/01/1970"], {"columns": {"x": {"date_order": "mdy"}}}, [1, 59]),
        (["5%", "5"], {"columns": {"x": {"unit": "%"}}}, [5, 5]),
        (["1", "-999", "-999.0", "soon"], {"missing_values": [-999, "soon"], "missing": "mean"}, [1, *[np.nan] * 3]),
        (["1", "-999"], {"columns": {"x": {"missing_values": -999, "missing": "mean"}}}, [1, np.nan]),
        (["2", "nil", "-", "N.A."], {"missing": "mean"}, [2, *[np.nan] * 3]),
    ],
)
def test_settings_decide(cells: list[str], settings: Mapping[str, Any], numbers: list[float]) -> None:
    assert np.array_equal(load(column(*cells), **settings).numbers[:, 0], numbers, equal_nan=True)


def test_missing_values_of_text() -> None:
    table = load("c,y\nred,1\nsoon,2\nnil,3\n", missing="mode", missing_values=["Soon"])
    assert table.texts["c"].tolist() == ["red", "", "nil"]
    assert problem("c,y\nred,1\nsoon,2\n", missing_values=["soon"]).code == "missing-value"
    assert load("c,y\n1,red\n2,nan\n3,blue\n", missing="drop").rows == 2


def test_words_that_stand_for_no_value_are_named() -> None:
    """In plain numbers and in dress, in text; as the file has them where the decimal mark is a comma."""
    rows = ["1.5,$2,p,1", "nil,$3,n/a,2", ".,n/d,p,3", ",$4,,4", "2.5,$7,nil,NA", "3.5,$6,q,7"]
    table = load("\n".join(["a,b,c,y", *rows, ""]), missing="median", columns={"y": {"missing": "drop"}})
    assert table.missing_words == {"a": (".", "nil"), "b": ("n/d",), "c": ("n/a",), "y": ("NA",)}
    assert table.format_words("a") == "no value: . nil"
    assert table.format_words("b") == "with $, no value: n/d"
    many = ["?", "na", "nil", "unk", "tbd", "nd", "void"]
    table = load("\n".join(["a;y", ".;1", "1,5;2", *(f"{cell};3" for cell in many), ""]), missing="median")
    assert table.format_words("a") == "decimal ,, no value: . ? na nd nil and 3 more"
    table = load("a\tb\ty\n1,5\t2\t1\n2,5\t3\t2,5\n")
    assert [table.format_words(name) for name in "ab"] == ["decimal ,", ""]


def test_a_missing_value_that_is_also_a_value() -> None:
    text = "x,z,y\n" + "".join(f"{i},{i if i != 7 else 1},{100 + i}\n" for i in range(20))
    found = problem(text, missing_values=[7], missing="mean")
    assert (found.code, found.line, found.column) == ("missing-and-value", 9, 1)
    assert "`7` is said to stand for no value, and lies among the values of the column" in found.text
    assert "`columns: {x: {missing_values: [7]}}`" in found.help
    table = load(text, columns={"x": {"missing_values": [7], "missing": "mean"}})
    assert np.isnan(table.numbers[:, 0]).tolist() == [i == 7 for i in range(20)]
    assert [w.code for w in table.warnings] == ["missing-and-value"]
    assert load(text, missing_values=[19], missing="mean").warnings == ()


def test_a_later_file_is_read_as_the_first_one() -> None:
    forms = {"x": ColumnFormat("date", date_order="mdy"), "p": ColumnFormat("number", "dressed", ",", ".", "€")}
    request = ColumnRequest({"x": "date", "p": "number"}, need_target=False, formats=forms)
    here = source("x;p\n01/02/1970;1.234 €\n03/01/1970;5 €\n")
    assert here.load_columns(Path("."), request).numbers.tolist() == [[1, 1234], [59, 5]]
    with pytest.raises(Failure) as caught:
        source("x;p\n01/02/1970;1.234\n").load_columns(Path("."), request)
    assert "`1.234` is not a number as the others of the column (with €, thousands ., decimal ,)" in str(caught.value)
    assert 'write `columns: {p: {unit: "€"}}`' in caught.value.problems[0].help
    plain = ColumnRequest(
        {"p": "number"}, need_target=False, formats={"p": ColumnFormat(form="dressed", thousands=".", decimal=",")}
    )
    assert source("p,x\n1.234,1\n").load_columns(Path("."), plain).numbers.tolist() == [[1234]]


EURO = ColumnFormat("number", "dressed", ",", ".", "€")
DAY_FIRST = ColumnFormat("date", date_order="dmy")
GAPS = ColumnFormat("number", missing_values=("-1",))
HOURS = ColumnFormat("number", "hours")


@pytest.mark.parametrize(
    ("known", "cells", "settings", "numbers"),
    [
        (EURO, ["1.234,50", "5"], {"columns": {"x": {"unit": "€"}}}, [1234.5, 5]),
        (EURO, ["1234.50", "1.5"], {"columns": {"x": {"unit": "€", "decimal": "."}}}, [1234.5, 1.5]),
        (EURO, ["1,234.50 €", "5 €"], {"columns": {"x": {"decimal": "."}}}, [1234.5, 5]),
        (EURO, ["1'234,5 €", "1'000 €"], {"thousands": "'"}, [1234.5, 1000]),
        (EURO, ["1.234,50 €", "1.000 €"], {"decimal": "."}, [1234.5, 1000]),  # as it is written, whatever others are
        (DAY_FIRST, ["01/02/1970", "02/02/1970"], {"columns": {"x": {"date_order": "mdy"}}}, [1, 32]),
        (DAY_FIRST, ["01/02/1970", "02/13/1970"], {"date_order": "mdy"}, [1, 43]),
        (DAY_FIRST, ["01/02/1970", "13/02/1970"], {"date_order": "mdy"}, [31, 43]),
        (GAPS, ["1", "-1", "none at all", "-9"], {"missing_values": ["none at all", -9]}, [1, *[np.nan] * 3]),
        (HOURS, ["1:30", "2:00"], {"decimal": ",", "columns": {"x": {"unit": "h"}}}, [1.5, 2]),
    ],
)
def test_what_is_said_of_a_later_file_overrules_training(
    known: ColumnFormat, cells: list[str], settings: Mapping[str, Any], numbers: list[float]
) -> None:
    later = source(column(*cells), **settings)
    request = ColumnRequest({"x": known.kind}, need_target=False, missing={"x": "mean"}, formats={"x": known})
    found = later.load_columns(Path("."), request).numbers[:, 0]
    assert np.array_equal(found, numbers, equal_nan=True)


def test_what_was_said_in_training_overrules_nothing() -> None:
    here = source(column("1.234 €", "5 €"), decimal=".")
    request = ColumnRequest({"x": "number"}, need_target=False, formats={"x": EURO}, like=here)
    assert here.load_columns(Path("."), request).numbers.tolist() == [[1234], [5]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decimal": ",", "thousands": ","}, "`,` cannot stand both between thousands and before fractions"),
        ({"columns": {"x": {"decimal": ".", "thousands": "."}}}, "`.` cannot stand both"),
        ({"missing_values": [True]}, "write what stands for no value: a word, a number, or a list of them"),
        ({"date_order": "ydm"}, "Input should be 'dmy', 'mdy' or 'ymd'"),
    ],
)
def test_settings_that_do_not_fit(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source("", **settings)
    assert message in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["14:30", "0:05:10", "11 PM", "2:15 am"], "hours"),
        (["14:30", "24:00"], "durations"),
        (["-0:30", "0:30"], "durations"),
        (["1 day, 2:03:04", "2:03:04"], "durations"),  # as Python writes them
        (["1d 7h", "PT1H30M"], "durations"),
    ],
)
def test_times_keep_the_rule_that_they_were_trained_by(cells: list[str], form: str) -> None:
    train = load(column(*cells, ""), missing="mean")
    assert train.formats == {"x": ColumnFormat("number", form)}  # type: ignore[arg-type]
    request = ColumnRequest({"x": "number"}, need_target=False, missing={"x": "mean"}, formats=train.formats)

    def later(*cells: str) -> Problem:
        with pytest.raises(Failure) as caught:
            source(column(*cells)).load_columns(Path("."), request)
        return caught.value.problems[0]

    again = source(column(*cells, "", "-")).load_columns(Path("."), request)
    assert np.array_equal(again.numbers[:-1], train.numbers, equal_nan=True)
    for cell in ("1.5", "noonish"):
        assert f"`{cell}` is not a time or a duration" in later(*cells, cell).text
    assert later("3:15", "3h 15m").code == "two-formats"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1", "5.5", "5,5"], "`5.5` (line 3) and `5,5`"),
        (["nil", "5 kg", "6 kg", "5"], "with `kg` and without: `5 kg` (line 3) and `5`"),
        (["€5", *["$5"] * 9], "amounts of two currencies: `$5` (line 3) and `€5`"),
        (["5 kg", "6 kg", "5 lb"], "`5 kg` (line 2) and `5 lb`"),
        (["31.01.2020", "2020-01-31", "2020-02-28"], "`2020-01-31` (line 3) and `31.01.2020`"),
        (["31.01.2020", "13/01/2020", "13/02/2020"], "`13/01/2020` (line 3) and `31.01.2020`"),
        (["3h 15m", "3:15", "3:20"], "`3:15` (line 3) and `3h 15m`"),
    ],
)
def test_both_of_two_formats_have_their_line(cells: list[str], said: str) -> None:
    assert said in problem(column(*cells)).text
