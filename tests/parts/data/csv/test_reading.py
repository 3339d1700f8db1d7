"""Columns as numbers or coded text: NumPy's parser reads what the csv module does, and all cells of a column count."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from count_calls import calls
from csv_files import _here as _here
from csv_files import load, problem
from hypothesis import example, given, settings

from bpcli.parts.data.cells import is_missing, number_of
from bpcli.parts.data.csv import file as csvfile
from bpcli.parts.data.csv import reading
from bpcli.parts.data.csv.lines import LineSource
from bpcli.parts.data.csv.parse import WatchedBytes
from bpcli.parts.data.csv.reading import ReadingPlan, read_file
from bpcli.records.training import Failure

CELLS = ["1", "2.5", "-3e2", "07", "", " 4 ", "NA", "nan", "inf", "1_0", "x", '"q"', '"a ""b"""', '"two\nlines"',
         ' "s"', '5"', '"o', '"x"y', "é", "٣", "a b", "9007199254740993", "#c", "1.5", "-"]  # fmt: skip


def read(content: bytes, chunk: int) -> Any:
    """What is read of a file, or what is wrong with it: by position the cells of each column, or its numbers."""
    Path("f.csv").write_bytes(content)
    try:
        layout = csvfile.scan_layout(Path("f.csv"), csvfile.CsvFormat(delimiter=",", header=True))
        found = read_file(layout, ReadingPlan((0, 1), (2,), frozenset(), chunk=chunk))
    except Failure as failure:
        return failure.problems
    columns = [found.texts[i].tolist() if i in found.texts else found.column(i).tolist() for i in range(3)]
    return [[repr(cell) for cell in column] for column in columns], found.failure and found.failure.problems


FILES = (
    st.lists(st.lists(st.sampled_from(CELLS), min_size=3, max_size=3), min_size=1, max_size=9),
    st.integers(0, 3),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\n", "\n\n"]),
    st.integers(1, 4),
)
"""Rows, how many plain ones stand before them, ends of lines, the end of the file, and rows read at a time."""


@settings(max_examples=60, deadline=None)
@given(*FILES)
@example([['"o', "1.5", "-"], ['5"', "2.5", "x"]], 1, "\r", "\n", 4)  # a line feed of old within a cell
def test_lines_as_they_stand_are_read_as_the_csv_module_reads_them(
    rows: list[list[str]], plain: int, end: str, tail: str, chunk: int
) -> None:
    both_ways(rows, plain, end, tail, chunk)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(*FILES)
def test_many_files_are_read_as_the_csv_module_reads_them(
    rows: list[list[str]], plain: int, end: str, tail: str, chunk: int
) -> None:
    both_ways(rows, plain, end, tail, chunk)


def both_ways(rows: list[list[str]], plain: int, end: str, tail: str, chunk: int) -> None:
    """Asserts the law, also where the first `plain` rows, by which columns are taken for numbers, say nothing of the
    later ones."""
    lines = ["a,b,y", *["1,2,3"] * plain, *map(",".join, rows)]
    content = (end.join(lines) + tail).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile, "SAMPLE_ROWS", max(1, plain))
        found = read(content, chunk)
        patch.setattr(reading, "can_stay", lambda layout: False)
        assert found == read(content, chunk)


@pytest.mark.parametrize(
    "content",
    [
        "a,b,y\n1,2.5,3\n-4,-.5,6e2\n",
        'a,b,y\n1,"oak, old",3\n2,elm,4\n',
        "a;b;y\r\n0,5;é;1\r\n2,25;ü;2,5\r\n",
        "a\tb\ty\n$1,000.50\tx y\t2020-01-31\n$2\tz\t2020-02-01\n",
    ],
    ids=["numbers", "text", "semicolons", "tabs"],
)
def test_lines_that_can_stay_are_not_rewritten(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The csv module, five times as slow, is only for what NumPy's parser reads differently."""

    def rewritten(source: LineSource) -> Any:
        raise AssertionError("lines are written anew")

    monkeypatch.setattr(LineSource, "_new_lines", rewritten)
    assert load(content).rows == 2


def test_a_column_is_what_all_of_its_cells_say() -> None:
    """Cells that come after the first 200 rows."""
    cells: dict[str, Callable[[int], object]] = {
        "late": lambda i: f"C{i}" if i > 300 else 100 + i,
        "nil": lambda i: "nil" if i in (250, 390) else i / 4,
        "blank": lambda i: "" if i < 210 else i / 2,
        "words": lambda i: "" if i < 210 else "ab"[i % 2],
        "zip": lambda i: f"{501 + i:05}" if i > 230 else 10000 + i,
        "long": lambda i: 2**53 + 1 + i if i > 190 else i,
        "y": lambda i: i % 3,
    }
    file = io.StringIO()
    csv.writer(file).writerows([list(cells), *([cell(i) for cell in cells.values()] for i in range(400))])
    table = load(file.getvalue(), missing="median")
    assert table.names == ("nil", "blank")
    assert np.isnan(table.numbers).sum(axis=0).tolist() == [2, 210]
    for name, column in table.texts.items():
        assert column.tolist() == [str(cells[name](i)) for i in range(400)]
    assert set(table.texts) == {"late", "words", "zip", "long"}


@pytest.mark.parametrize("late", ["00501", "9007199254740993", "inf", "", "x"])
def test_one_late_cell_alone_is_noticed(late: str) -> None:
    """No other cell makes the parser stop there. What stands for a number in a column of numbers is no code."""
    rows = [f"{10000 + i % 90},{i / 4},{i}\n" for i in range(300)]
    Path("f.csv").write_text("zip,x,y\n" + "".join(rows) + f"{late},0.5,3\n" * 4)
    layout = csvfile.scan_layout(Path("f.csv"))
    found = read_file(layout, ReadingPlan((0, 1), (2,), frozenset(), chunk=64))
    assert found.stacked == ((1,) if late else (0, 1))
    cells = found.texts[0].tolist() if late else found.stack[:, 0].tolist()
    assert repr(cells) == repr([row.split(",")[0] if late else float(row[:5]) for row in rows] + [late or np.nan] * 4)
    assert found.stack[:, -1].tolist() == [i / 4 for i in range(300)] + [0.5] * 4


def test_what_is_wrong_is_named_where_it_stands_in_a_row_before_one_that_cannot_be_read() -> None:
    start = "a,b,y\n" + "1,2,3\n" * 300
    assert problem(start + "1,x,3\n" + "1,2,3\n" * 90 + '1,"2,3\n')[0].line == 302
    assert problem(start + '1,"2"2,3\n')[0].line == 302
    found, _ = problem(start + "1,2\n1,x,3\n")
    assert (found.line, found.text) == (302, "this row has 2 cells, 3 expected")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["0", "07", "1", ",", ";", " ", '"', "\n", "_", ".", "é", "0.5"]), max_size=12),
       st.integers(1, 3))  # fmt: skip
def test_bytes_are_watched_wherever_they_are_cut(parts: list[str], size: int) -> None:
    text = "".join(parts)

    class Slow(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            return super().read(size)

    watched = WatchedBytes(Slow(text.encode()), ",", "utf-8")
    while watched.read1():
        pass
    starts = [i for i, c in enumerate(text[:-1]) if c == "0" and text[i + 1].isdigit()]
    assert watched.zeros or not any(i == 0 or text[i - 1] in ', \n"' for i in starts)
    assert not watched.zeros or bool(starts)
    assert (watched.quotes, watched.loose) == ('"' in text, "_" in text or not text.isascii())


def test_every_missing_word_is_a_gap_in_a_large_column_of_numbers() -> None:
    """Whatever the spelling: the column stays one of numbers."""
    words = ["", "NA", "Null", "n/a", "NaN", "nil", "-"]
    content = "a,c,y\n" + "".join(
        f"{words[i % 7] if i > 220 and i % 5 == 0 else i},é_{i % 3},{i}\n" for i in range(600)
    )
    table = load(content, missing="mean")
    lacking = [i for i in range(600) if i > 220 and i % 5 == 0]
    assert np.flatnonzero(np.isnan(table.numbers[:, 0])).tolist() == list(lacking)
    assert all(is_missing(word, "number") or number_of(word) is not None for word in words)


def test_dates_of_digits_below_many_gaps_are_dates() -> None:
    rows = ["day,y", *[",1"] * 210, *(f"202001{i:02d},{i}" for i in range(10, 30))]
    assert load("\n".join(rows), missing="median").kinds["day"] == "date"


def test_a_wide_table_takes_time_in_proportion() -> None:
    """Of genes, say: more columns than rows, of numbers, of numbers with gaps and of words."""

    def work(columns: int) -> int:
        parts = [["1", "2.5", "3", "red"], ["2", "", "01", "blue"], ["-3", "7", "2", "red"]]
        rows = [[f"c{i}" for i in range(columns)], *(part * (columns // 4) for part in parts)]
        text = "\n".join(",".join([*row, str(k or "y")]) for k, row in enumerate(rows))
        return calls(lambda: load(text, missing="median"))

    work(16)  # what is done once
    assert work(1200) < 6 * work(300)
