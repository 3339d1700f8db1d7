"""Reading tables as text: what is read, in which forms, and with which settings."""

import gzip
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from csv_files import _here as _here
from csv_files import load, problem, source
from hypothesis import given, settings
from pydantic import ValidationError

from bpcli.family.part import dump
from bpcli.parts.data import cells
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure


def test_numbers_text_and_labels() -> None:
    table = load("a,colour,b,y\n1,red,2.5,no\n-3e2, blue ,4,yes\n")
    assert table.names == ("a", "b")
    assert table.order == ("a", "colour", "b")
    assert table.numbers.tolist() == [[1, 2.5], [-300, 4]]
    assert table.texts["colour"].tolist() == ["red", "blue"]
    assert table.target is not None
    assert table.target.tolist() == ["no", "yes"]
    assert table.target_names == ("y",)
    assert table.origin == "a.csv"
    assert table.rows == 2


@pytest.mark.parametrize(
    ("cells", "expected", "dtype"),
    [
        (["1", "0", "1"], [1, 0, 1], np.int64),
        (["1.0", "2"], [1, 2], np.int64),
        (["16777217"], [16777217], np.int64),  # float32 would lose the last bit
        (["9007199254740993"], ["9007199254740993"], object),  # beyond what float64 counts
        (["0.5", "1"], [[0.5], [1.0]], np.float64),
        (["a", "1", "b"], ["a", "1", "b"], object),
    ],
)
def test_forms_of_targets(cells: list[str], expected: list[Any], dtype: Any) -> None:
    table = load("x,y\n" + "".join(f"1,{cell}\n" for cell in cells))
    assert table.target is not None
    assert table.target.tolist() == expected
    assert table.target.dtype == dtype


def test_several_targets_are_values() -> None:
    table = load("x,y,z\n1,2,3\n4,5,6\n", target=["z", "y"])
    assert table.target is not None
    assert table.target.tolist() == [[3, 2], [6, 5]]
    assert table.target_names == ("z", "y")


@pytest.mark.parametrize(
    "content",
    [
        "a,y\r\n1,2\r\n3,4",
        "a,y\r1,2\r3,4\r",
        "\ufeffa,y\n1,2\n3,4\n",
        "\n\na,y\n\n1,2\n\n   \n3,4\n\n",
        'a, y\n"1", "2"\n 3 ,4\n',
        "a;y\n1;2\n3;4\n",
        "a\ty\n1\t2\n3\t4\n",
        "a|y\n1|2\n3|4\n",
        b"a,y\n1,2\n3,4\n",
    ],
)
def test_ways_to_write_the_same_table(content: str | bytes) -> None:
    table = load(content)
    assert (table.names, table.numbers.tolist()) == (("a",), [[1], [3]])
    assert table.target is not None
    assert table.target.tolist() == [2, 4]


def test_gzip() -> None:
    assert load(gzip.compress(b"a,y\n1,2\n"), "a.csv.gz").numbers.tolist() == [[1]]


def test_delimiter_is_the_consistent_one() -> None:
    table = load("a;y\n1;x, y\n2;z\n")
    assert table.target is not None
    assert table.target.tolist() == ["x, y", "z"]
    assert load("a:y\n1:2\n", delimiter=":").numbers.tolist() == [[1]]


def test_no_header_names_columns_by_number() -> None:
    table = load("1,2,3\n4,5,6\n", header=False, target=-1, drop=0)
    assert (table.names, table.target_names) == (("1",), ("2",))
    assert table.numbers.tolist() == [[2], [5]]


def test_header_of_numbers() -> None:
    assert load("2019,y\n1,2\n", header=True).names == ("2019",)
    assert load("0,1,2,y\n5,6,7,8\n").names == ("0", "1", "2")  # as pandas numbers columns
    found, _ = problem("5.1,3.5,setosa\n4.9,3.0,setosa\n", target="setosa")
    assert found.text == "the first line looks like data, not like a header: 5.1, 3.5, setosa"
    assert "`header: false`" in found.help


def test_dropped_columns_may_hold_anything() -> None:
    table = load("id,a,note,y\nx1,1,,2\nNA,3,nan,4\n", drop=["id", "note"])
    assert table.numbers.tolist() == [[1], [3]]
    assert load("a,b,b,y\n1,2,3,4\n", drop=["b"]).names == ("a",)
    assert load(",a,y\n0,1,2\n", drop=[""]).names == ("a",)


def test_text_where_declared() -> None:
    table = load("zip,y\n01,1\n02,2\n", text=["zip"])
    assert table.texts["zip"].tolist() == ["01", "02"]
    assert table.numbers.shape == (2, 0)


def test_a_comment_sign_is_data() -> None:
    assert load("c,y\n#1,1\nb#2,2\n").texts["c"].tolist() == ["#1", "b#2"]


def test_prediction_ignores_the_target() -> None:
    Path("a.csv").write_text("x,y\n1,?\n2,\n")
    table = source("a.csv").load(Path("."), need_target=False)
    assert (table.numbers.tolist(), table.target) == ([[1], [2]], None)
    Path("a.csv").write_text("x\n1\n")
    assert source("a.csv", text=["y"]).load(Path("."), need_target=False).names == ("x",)


def test_a_later_file_is_read_as_the_first_was() -> None:
    Path("a.csv").write_text("extra,code,x\n,1,5\n?,2,6\n")
    request = ColumnRequest({"x": "number", "code": "text", "lost": "number"}, need_target=False)
    table = source("a.csv", drop=["gone"]).load_columns(Path("."), request)
    assert table.order == ("code", "x")
    assert table.texts["code"].tolist() == ["1", "2"]
    assert table.numbers.tolist() == [[5], [6]]


def test_settings_have_one_meaning_and_come_back() -> None:
    for target in ("y", ["y"]):
        assert source("a.csv", target=target).target == ("y",)
    assert source("a.csv", target=3).target == ("3",)
    assert source("a.csv", target=None).target == ()
    part = source("a.csv", drop=[0, "b"], delimiter=";", header=False)
    assert Csv.parse(dump(part)) == part
    with pytest.raises(ValidationError, match="column `y` is both in target and in drop"):
        source("a.csv", drop=["y"])


cell = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip).filter(bool)
words = cell.filter(lambda s: cells.find_format([s], [1]) == cells.ColumnFormat("text"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), words, st.integers(-(2**52), 2**52)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;\t|"),
)
def test_what_is_written_is_read_back(rows: list[tuple[float, str, int]], delimiter: str) -> None:
    import csv

    with open("r.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows([("number", "word", "y"), *rows])
    table = source("r.csv", delimiter=delimiter, header=True).load(Path("."))
    assert table.numbers[:, 0].tolist() == [row[0] for row in rows]
    assert table.texts["word"].tolist() == [row[1] for row in rows]
    assert table.target is not None
    assert table.target.tolist() == [row[2] for row in rows]


pieces = st.sampled_from(
    [b"a,y\n", b"1", b",", b"\n", b'"', b"x", b";", b"\t", b"\r", b"\0", b"\xff", b"nan", b" ", b"1e999"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=25).map(b"".join) | st.binary(max_size=40), st.sampled_from([None, True, False]))
def test_any_bytes_give_a_table_or_one_problem(content: bytes, header: bool | None) -> None:
    Path("f.csv").write_bytes(content)
    try:
        table = source("f.csv", header=header).load(Path("."))
    except Failure as failure:
        (found,) = failure.problems
        assert found.text
        return
    assert table.rows > 0
    assert np.isfinite(table.numbers).all()


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "\ufeffSEP=;\n"])
@pytest.mark.parametrize("settings", [{}, {"delimiter": ";"}])
@pytest.mark.parametrize("header", [True, False])
def test_a_first_line_may_name_the_delimiter(first: str, settings: dict[str, Any], header: bool) -> None:
    """As Excel writes it: it is no header, and lines are counted on."""
    rows = "".join(f"{i},5;{i % 3};{i}\n" for i in range(300))
    file = first + "a;b;y\n" * header + rows
    more = {} if header else {"header": False, "target": "2"}
    found = load(file, **settings, **more)
    assert found.numbers.tolist() == [[i + 0.5, i % 3] for i in range(300)]
    late, _ = problem(file.replace("250,5;", "250,x;"), **settings, **more)
    assert (late.line, late.code) == (252 + header, "not-a-number")


def test_a_header_below_comments_is_shown_where_it_stands() -> None:
    said, _ = problem("# made by hand\n# in a hurry\na,a,y\n1,2,3\n", comment="#")
    assert said.line == 3
