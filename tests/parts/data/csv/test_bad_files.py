"""The message for every bad file and every bad path."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from csv_files import _here as _here
from csv_files import problem, source

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
    "decimal comma": ("a;y\n1,5;2\n2.5;3\n", {},
                      "column `a`: numbers are written in two formats here: `2.5` (line 3) and `1,5`", 2,
                      "write all numbers"),
    "point": ("a;y\n" + "2,5;3\n" * 301 + "2.5;3\n", {},
              "column `a`: numbers are written in two formats here: `2,5` (line 2) and `2.5`", 303,
              "write all numbers"),
    "underscore": ("a,y\n1,3\n2,3\n1_000,2\n", {}, "column `a`: `1_000` is not a number", 4, "numbers as 1234.5"),
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


@pytest.mark.parametrize(
    ("cell", "encoding"),
    [("caf\xe9", "latin-1"), ("5 \x80", "cp1252"), ("\x93a\x94 \xe9", "cp1252")],
)
def test_the_euro_sign_tells_windows_from_latin_1(cell: str, encoding: str) -> None:
    found, _ = problem(b"a,y\n" + cell.encode("latin-1") + b",2\n")
    assert f"`encoding: {encoding}`" in found.help


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_names_of_rows_as_r_writes_them(delimiter: str) -> None:
    """In quotes before each row, and in the header left out."""
    rows = [['"a"', '"k"', '"y"'], ['"1"', "1.5", '"u"', "3"], ['"Mazda RX4"', "2.5", '"v"', "4"]]
    for count in (2, 3):
        Path("a.csv").write_text("".join(delimiter.join(row) + "\n" for row in rows[:count]))
        table = source("a.csv", drop=("",)).load(Path("."))
        assert table.order == ("a", "k")
        assert table.numbers.tolist() == [[1.5], [2.5]][: count - 1]
    found, _ = problem(Path("a.csv").read_bytes())
    assert found.code == "no-name"


@pytest.mark.parametrize(
    ("rows", "help"),
    [
        ("1,2,u,3\n2,4,v,5\n", "write `row,` in front of the header"),  # may be names; or the last name is lacking
        ('"1",2,u,3\n"1",4,v,5\n', "write `row,` in front of the header"),  # names of rows differ
        ('"1",2,u,\n"2",4,v,\n', "it ends in a delimiter"),
        ("1,u,3\n2,4,v,5\n", "a cell that contains the delimiter must stand in quotes"),
    ],
)
def test_rows_that_are_longer_than_the_header(rows: str, help: str) -> None:
    found, _ = problem(f"a,k,y\n{rows}")
    assert found.code == "ragged-row"
    assert help in found.help


def test_utf_32_is_read_and_the_order_of_utf_16_is_told() -> None:
    Path("a.csv").write_bytes("a,y\n1,2\n3,4\n".encode("utf-32"))
    assert source("a.csv").load(Path(".")).numbers.tolist() == [[1.0], [3.0]]
    found, _ = problem("a,y\n1,2\n".encode("utf-16-be"))
    assert found.help.endswith("add `encoding: utf-16-be`")


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
