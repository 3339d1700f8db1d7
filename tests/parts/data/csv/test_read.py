"""Lines as they stand and lines that are written anew, one process and two: the same numbers, the same problems."""

import io
import itertools
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from csv_files import _here as _here
from csv_files import load, problem

from bpcli.parts.data.csv import file as csvfile
from bpcli.parts.data.csv import parse as parsing
from bpcli.parts.data.csv import read as csvread
from bpcli.parts.data.csv import reading
from bpcli.parts.data.csv.reading import FileColumns


def read(
    columns: Sequence[int], others: Sequence[int], compact: bool = False, comment: str | None = None
) -> FileColumns:
    layout = csvfile.scan_layout(Path("a.csv"), csvfile.CsvFormat(comment=comment))
    return csvread.read_columns(layout, csvread.WantedColumns(tuple(columns), tuple(others)), compact)


@pytest.mark.parametrize("rewritten", [False, True])
def test_numbers_are_those_that_were_written(rewritten: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if rewritten:
        monkeypatch.setattr(reading, "can_stay", lambda layout: False)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3)) * 10.0 ** rng.integers(-300, 300, (500, 3))
    text = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    Path("a.csv").write_text(f"a,b,y\n{text}\n")
    found = read([0, 2], [1])
    assert np.array_equal(found.stack, values[:, [0, 2]])
    assert np.array_equal(found.numbers[1], values[:, 1])


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
    comment = "#" if form.startswith("#") else None
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 3 * 70)
    two = read([0, 1], [2], compact, comment)
    assert len(apart) == 1
    monkeypatch.setattr(csvread, "thread_count", lambda: 1)
    one = read([0, 1], [2], compact, comment)
    assert len(apart) == 1
    assert (one.stack.dtype, two.stack.dtype) == ((np.float32 if compact else np.float64),) * 2
    assert np.array_equal(one.stack, two.stack)
    assert np.array_equal(one.numbers[2], two.numbers[2])
    assert np.array_equal(one.pivot, two.pivot) if compact else one.pivot is two.pivot is None
    if "{}" in form:
        assert np.array_equal(two.numbers[2], values[:, 2])


@pytest.mark.parametrize("row", [220, 990])
def test_what_is_no_number_is_found_in_either_half(row: int, apart: list[parsing.ParseTask]) -> None:
    lines = [f"{i},{i}" for i in range(1, 1001)]
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


def test_chunks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvread, "NUMBERS_PARSED_AT_ONCE", 1)  # 64 rows at a time
    table = load("a,c,y\n" + "".join(f"{i},t{i % 100},{i}\n" for i in range(150)))
    assert table.numbers[:, 0].tolist() == list(range(150))
    assert table.texts["c"].tolist() == [f"t{i % 100}" for i in range(150)]


def test_a_parser_whose_parent_was_ended_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.csv").write_text("1,2\n" * 1000)
    task = parsing.ParseTask("a.csv", "utf-8", ",", ".", None, 2, (0,), (1,), (), (), "<f8", 100)
    for parents, written in ((itertools.repeat(7), 1000 * 16), (iter([7, 7, 7, 1]), 200 * 8)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(task))))
        out = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(parsing.os, "getppid", parents.__next__)
        parsing.main()
        assert len(out.buffer.getvalue()) == written
