"""Reading tables as text: what is read, and the message for every bad file."""

import gzip
import io
import itertools
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from bpcli.family import Table
from bpcli.family.part import dump
from bpcli.parts.data import cells
from bpcli.parts.data.columns import ColumnRequest
from bpcli.parts.data.csv import file as csvfile
from bpcli.parts.data.csv import parse as parsing
from bpcli.parts.data.csv import read as csvread
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure, Problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source(path: str, **settings: Any) -> Csv:
    return Csv.model_validate({"type": "csv", "path": path, "target": "y", **settings})


def load(content: str | bytes, name: str = "a.csv", **settings: Any) -> Table:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return source(name, **settings).load(Path("."))


def problem(content: str | bytes | None, name: str = "a.csv", **settings: Any) -> tuple[Problem, int]:
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Failure) as caught:
        source(name, **settings).load(Path("."))
    (found,) = caught.value.problems
    return found, int(caught.value.exit)


# What is read


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
        (["9007199254740993"], [[9007199254740992.0]], np.float64),  # beyond what float64 counts
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


# Both paths give the same numbers


def test_both_paths_agree() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3)) * 10.0 ** rng.integers(-300, 300, (500, 3))
    text = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    Path("a.csv").write_text(f"a,b,y\n{text}\n")
    layout = csvfile.scan_layout(Path("a.csv"))
    fast = csvread.read_numbers(layout, [0, 2], [1], False)
    slow = csvread.read_columns(layout, dict.fromkeys(layout.names, "number")).columns
    assert fast is not None
    assert np.array_equal(fast.values, values[:, [0, 2]])
    assert np.array_equal(fast.rest[1], values[:, 1])
    assert np.array_equal(np.column_stack(list(slow.values())), values)


LARGE_FILES = {
    "plain": ("a,b,y\n{}", ","),
    "mark, CRLF": ("\ufeffa,b,y\r\n{}", ","),
    "comments": ("# from afar\na,b,y\n{}# the end\n", ","),
    "decimal commas": ("a;b;y\n{}", ";"),
    "no line after": ("a,b,y\n1,2,3", ","),
}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[parsing.ParseTask]:
    """Every file is large, and there are two cores. What another process was given."""
    tasks: list[parsing.ParseTask] = []
    start = parsing.ParserProcess.__init__

    def record_task(self: parsing.ParserProcess, task: parsing.ParseTask) -> None:
        tasks.append(task)
        start(self, task)

    monkeypatch.setattr(parsing.ParserProcess, "__init__", record_task)
    monkeypatch.setattr(csvread, "FLOAT32_FILE_BYTES", 0)
    monkeypatch.setattr(csvread, "thread_count", lambda: 2)
    return tasks


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(("form", "delimiter"), LARGE_FILES.values(), ids=LARGE_FILES)
def test_two_processes_read_what_one_reads(
    form: str, delimiter: str, compact: bool, apart: list[parsing.ParseTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also columns far from 0, which are kept about their middle."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(901, 3))
    values[:, 1] += 1e9
    end = "\r\n" if "\r\n" in form else "\n"
    rows = [delimiter.join(map(repr, row)) for row in values.tolist()]
    text = form.format("".join(row.replace(".", "," if delimiter == ";" else ".") + end for row in rows))
    Path("a.csv").write_bytes(text.encode())
    layout = csvfile.scan_layout(Path("a.csv"), csvfile.CsvFormat(comment="#" if form.startswith("#") else None))
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 3 * 70)
    two = csvread.read_numbers(layout, [0, 1], [2], compact)
    assert len(apart) == 1
    monkeypatch.setattr(csvread, "thread_count", lambda: 1)
    one = csvread.read_numbers(layout, [0, 1], [2], compact)
    assert one is not None
    assert two is not None
    assert (one.values.dtype, two.values.dtype) == ((np.float32 if compact else np.float64),) * 2
    assert np.array_equal(one.values, two.values)
    assert np.array_equal(one.rest[2], two.rest[2])
    assert np.array_equal(one.pivot, two.pivot) if compact else one.pivot is two.pivot is None
    if "{}" in form:
        assert np.array_equal(two.rest[2], values[:, 2])


@pytest.mark.parametrize("row", [20, 990])
def test_what_is_no_number_is_found_in_either_half(row: int, apart: list[parsing.ParseTask]) -> None:
    lines = [f"{i},{i}" for i in range(1000)]
    lines[row] = "1,oops"
    found, code = problem("a,y\n" + "\n".join(lines) + "\n")
    assert apart
    assert (found.line, code) == (row + 2, 65)
    assert "oops" in found.text


@pytest.mark.parametrize("program", ["/no/such/program", "false"])
def test_where_no_other_process_helps_this_one_reads_it_all(
    program: str, apart: list[parsing.ParseTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing.sys, "executable", shutil.which(program) or program)
    table = load("a,y\n" + "".join(f"{i},{i}\n" for i in range(1000)))
    assert table.numbers[:, 0].tolist() == list(range(1000))
    assert apart


def test_numbers_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpcli.parts.data.csv.source.read_columns", None)
    assert load("a,y\n" + "1,2\n" * 1000).rows == 1000


def test_chunks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvread, "CHUNK_ROWS", 7)
    table = load("a,c,y\n" + "".join(f"{i},t{i},{i}\n" for i in range(50)))
    assert table.numbers[:, 0].tolist() == list(range(50))
    assert table.texts["c"].tolist() == [f"t{i}" for i in range(50)]


cell = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip).filter(bool)
words = cell.filter(lambda s: not cells.is_meant_as_number(s) and s.lower() not in cells.MISSING_WORDS)


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


# The messages for bad files: content, settings, text, line, part of the help

TAIL = "to leave the column out, write `drop: [a]`"
BAD: dict[str, tuple[str | bytes, dict[str, Any], str, int, str]] = {
    "empty": ("", {}, "the file is empty", 0, "it needs a header line"),
    "blank lines": ("\n\n \n", {}, "the file is empty", 0, "it needs a header line"),
    "header only": ("a,y\n", {}, "the file has a header but no rows", 0, "add rows"),
    "target missing": ("a,yy\n1,2\n", {}, "target: the file has no column `y`", 0, "did you mean `yy`? The"),
    "drop missing": ("a,y\n1,2\n", {"drop": ["q"]}, "drop: the file has no column `q`", 0, "the columns are a, y"),
    "text missing": ("a,y\n1,2\n", {"text": ["q"]}, "text: the file has no column `q`", 0, "the columns are a, y"),
    "no target": ("a,y\n1,2\n", {"target": None}, "no target column is named", 0, "the columns are a, y"),
    "no inputs": ("y\n1\n", {}, "no input column is left", 0, "a column beside the target"),
    "twice": ("a,b,a,y\n1,2,3,4\n", {}, "the header names `a` twice: columns 0 and 2 (counted from 0)", 1, "rename"),
    "unnamed": (",a,y\n1,2,3\n", {}, "column 0 (counted from 0) has no name in the header", 1, '`drop: [""]`'),
    "short row": ("a,b,y\n1,2,3\n1,2\n", {}, "this row has 2 cells, 3 expected", 3, ""),
    "one cell": ("a,b,y\n1,2,3\n1\n", {}, "this row has 1 cell, 3 expected", 3, ""),
    "long row": ("a,y\n1,2\n1,2,3\n", {}, "this row has 3 cells, 2 expected", 3, "stand in quotes"),
    "long row later": ("a,y\n" + "1,2\n" * 400 + "1,2,3\n", {}, "this row has 3 cells, 2 expected", 402, "quotes"),
    "text in numbers": ("a,y\n1,2\nfoo,2\n3,4\n", {}, "column `a`: `foo` is not a number", 3, "`text: [a]`; " + TAIL),
    "text later": ("a,y\n" + "1,2\n" * 400 + "x,2\n", {}, "column `a`: `x` is not a number", 402, TAIL),
    "text before ragged": ("a,y\n" + "1,2\n" * 300 + "x,2\n1\n", {}, "column `a`: `x` is not a number", 302, TAIL),
    "text target": ("a,y\n1,2\n1,2\n2,lots\n", {}, "column `y`: `lots` is not a number", 4, "write `text: [y]`"),
    "text among targets": (
        "a,b,y\n1,u,2\n",
        {"target": ["b", "y"]},
        "target column `b` holds text; several targets have to be numbers",
        0,
        "name one target",
    ),
    "empty cell": ("a,y\n1,2\n,2\n", {}, "column `a` has no value here (an empty cell)", 3, "`missing: drop` leaves"),
    "NA": ("a,y\n1,2\nNA,2\n", {}, "column `a` has no value here (`NA`)", 3, TAIL),
    "question mark": ("a,y\n1,2\n ?,2\n", {}, "column `a` has no value here (`?`)", 3, TAIL),
    "empty text": ("a,y\nred,2\n,2\n", {}, "column `a` has no value here (an empty cell)", 3, TAIL),
    "empty label": ("a,y\n1,no\n2,\n", {}, "column `y` has no value here (an empty cell)", 3, "`missing: drop` leaves"),
    "overflow": ("a,y\n1,2\n1e400,2\n", {}, "column `a`: `1e400` is not a finite number", 3, "1.8e308"),
    "infinity": ("a,y\n1,2\n-inf,2\n", {}, "column `a`: `-inf` is not a finite number", 3, TAIL),
    "nan": ("a,y\n1,2\nnan,2\n", {}, "column `a`: `nan` is not a finite number", 3, TAIL),
    "decimal comma": ("a;y\n1,5;2\n2.5;3\n", {}, "column `a`: `1,5` is not a number", 2, "add `decimal: \",\"`"),
    "point": ("a;y\n" + "2,5;3\n" * 301 + "2.5;3\n", {}, "column `a`: `2.5` is not a number", 303, "1234,5:"),
    "underscore": ("a,y\n1_000,2\n", {}, "column `a`: `1_000` is not a number", 2, "write numbers as 1234.5"),
    "hexadecimal": ("a,y\n1,2\n0x10,2\n", {}, "column `a`: `0x10` is not a number", 3, TAIL),
    "comment": ("a,y\n1,2\n3,4#5\n1,2\n", {}, "column `y`: `4#5` is not a number", 3, "write `text: [y]`"),
    "other digits": ("a,y\n1,2\n٣,2\n", {}, "column `a`: `٣` is not a number", 3, ""),
    "not UTF-8": (b"a,y\n1,2\n\xe9,2\n", {}, "the text is not UTF-8", 3, "save it as UTF-8"),
    "not UTF-8, later": (b"a,y\n" + b"1,2\n" * 5000 + b"\xe9,2\n", {}, "the text is not UTF-8", 5002, "save it as"),
    "UTF-16": ("a,y\n1,2\n".encode("utf-16") + b"\0", {}, "the text is not UTF-16", 0, "leave `encoding` out"),
    "UTF-16, no mark": ("a,y\n1,2\n".encode("utf-16-le"), {}, "the first line holds a NUL character", 1, "utf-16-le"),
    "not ASCII": (b"a,y\n1,2\n\xe9,2\n", {"encoding": "ascii"}, "the text is not ASCII", 0, "name the one it was"),
    "NUL": (b"a,y\n1,2\n\x00,2\n", {}, "column `a` holds a NUL character", 3, "the file is damaged"),
    "NUL in text": (b"a,y\nr,2\nb\x00,2\n", {}, "column `a` holds a NUL character", 3, "the file is damaged"),
    "unnamed gzip": (gzip.compress(b"a,y\n1,2\n"), {}, "the text is not UTF-8", 1, "its name must end in .gz"),
    "spreadsheet": (b"PK\x03\x04\xff\xfe\xff", {}, "the text is not UTF-8", 1, "export the sheet as CSV"),
    "open quote": (
        'a,y\n1,2\n"3,4\n5,6\n',
        {},
        "a quoted cell that starts here is not closed, or text follows its closing quote",
        3,
        "a quote is written twice",
    ),
    "endless cell": (
        "a,y\n1,2\n" + "9" * 140_000 + ",2\n",
        {},
        "a cell that starts here is longer than 131072 characters",
        3,
        "a quote is not closed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str) -> None:
    content, settings, text, line, help = BAD[name]
    found, exit = problem(content, **settings)
    assert (found.text, found.file, found.line, exit) == (text, "a.csv", line, 65)
    assert help in found.help
    assert found.code


def test_utf_32_is_read_and_the_order_of_utf_16_is_told() -> None:
    Path("a.csv").write_bytes("a,y\n1,2\n3,4\n".encode("utf-32"))
    assert source("a.csv").load(Path(".")).numbers.tolist() == [[1.0], [3.0]]
    found, _ = problem("a,y\n1,2\n".encode("utf-16-be"))
    assert found.help.endswith("add `encoding: utf-16-be`")


def test_a_parser_whose_parent_was_ended_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.csv").write_text("1,2\n" * 1000)
    task = parsing.ParseTask("a.csv", "utf-8", ",", ".", None, 2, (0,), (1,), (), "<f8", 100)
    for parents, written in ((itertools.repeat(7), 1000 * 16), (iter([7, 7, 7, 1]), 200 * 8)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(task))))
        out = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(parsing.os, "getppid", parents.__next__)
        parsing.main()
        assert len(out.buffer.getvalue()) == written


def test_the_caret_stands_under_the_cell() -> None:
    found, _ = problem("a,bee,y\n1,2,3\n1,foo,3\n1,2,3\n")
    assert found.excerpt == ((3, "1,foo,3"),)
    assert (found.column, found.span) == (3, 3)
    quoted, _ = problem('a,b,y\n1,2,"3"\n1,foo,"3"\n1,2,3\n')
    assert quoted.excerpt == ((3, '1,foo,"3"'),)
    assert (quoted.column, quoted.span) == (3, 3)
    quoted, _ = problem('a,b,y\n1,2,3\n"x, ""y""",foo,3\n1,2,3\n', drop="a")
    assert (quoted.column, quoted.span) == (12, 3)
    inches, _ = problem('a,b,y\n1,2,3\n5",foo,3\n1,2,3\n', drop="a")
    assert (inches.column, inches.span) == (4, 3)
    lines, _ = problem('a,b,y\n1,2,3\n"x\nz",foo,3\n1,2,3\n', drop="a")
    assert lines.column == 0  # the row goes on in the next line


def test_nothing_in_a_file_reaches_the_terminal_raw() -> None:
    found, _ = problem("a,y\n1,2\n\x1b[31mred,2\n3,4\n")
    assert found.text == "column `a`: `?[31mred` is not a number"
    assert found.excerpt == ((3, "?[31mred,2"),)
    assert "9" * 41 not in problem("a,y\n1,2\n" + "9" * 3000 + "e,2\n")[0].text


def test_the_line_is_where_a_row_starts() -> None:
    found, _ = problem('c,y\n"two\nlines",1\nb,2\n"x\ny",foo\n')
    assert (found.line, found.text) == (5, "column `y`: `foo` is not a number")


# The messages for bad paths


def test_missing_file() -> None:
    Path("iris.csv").touch()
    found, exit = problem(None, "irs.csv")
    assert (found.text, found.help, exit) == ("no such file: irs.csv", "did you mean `iris.csv`?", 66)
    found, exit = problem(None, "no/iris.csv")
    assert (found.text, exit) == ("no such file: no/iris.csv", 66)
    assert "there is no directory no" in found.help
    assert problem(None, "a\0b.csv")[1] == 66


def test_directories_pipes_and_devices() -> None:
    Path("d").mkdir()
    assert problem(None, "d")[0].text == "d is a directory, not a file"
    os.mkfifo("pipe")
    assert problem(None, "pipe")[0].text == "pipe is a pipe or a device, not a regular file"
    assert "device" in problem(None, os.devnull)[0].text


def test_bad_gzip() -> None:
    whole = gzip.compress(b"a,y\n" + b"1,2\n" * 100)
    assert problem(whole[:-9], "a.csv.gz")[0].text == "the gzip file is truncated or damaged"
    assert problem(whole[:12] + b"\xff\xff" + whole[14:], "a.csv.gz")[0].text == "the gzip file is truncated or damaged"
    assert problem(b"a,y\n1,2\n", "a.csv.gz")[0].text == "this is not a gzip file"
    assert problem(b"", "a.csv.gz")[0].text == "the file is empty"


@pytest.mark.parametrize("honest", [True, False])
def test_gzip_bomb(honest: bool) -> None:
    """Refused where its trailer tells its size, and while reading where the last member hides it."""
    bomb = gzip.compress(b"a,y\n" + b"1,2\n" * (9 << 19), 9)
    found, _ = problem(bomb if honest else bomb + gzip.compress(b"1,2\n"), "a.csv.gz")
    assert found.text == "the file expands to more than 16 MiB, over 100 times its size"
    assert "gunzip" in found.help
