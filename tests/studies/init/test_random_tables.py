"""Tables of strangers, at random: what `init` writes, `check` and `train` accept, the cells are read as they are meant,
and `predict` answers every row, of this file and of another; or one diagnostic says what to type, and it can be."""

from __future__ import annotations

import csv
import functools
import io
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer.main
from cli_lab import Lab, Outcome
from cli_lab import lab as lab
from random_tables import Column, RandomTable, another_file, random_table

from bpcli.config.yamlfile import read
from bpcli.family import CodedText, Source, Table

CODE = re.compile(r"\[([a-z0-9-]+)\]$", re.M)
TYPED = re.compile(r"`((?:--|bpcli init )[^`]+)`")
CODES = {0, 2, 65}
AS_TYPED = {"ambiguous-numbers": ("thousands", ","), "ambiguous-dates": ("date_order", "dmy")}
"""The setting that the first words to type make, by diagnostic; with it, cells mean what the table says."""
READ = {"", *AS_TYPED}
"""Diagnostics of columns whose cells have a meaning."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree of commands is built once and not for each call, and files need not outlast a loss of power."""
    monkeypatch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
    monkeypatch.setattr(os, "fsync", lambda file: None)


def one_diagnostic(done: Outcome) -> str:
    """Returns the code of a refusal, which is one and has something to type."""
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert done.code in CODES, done.err
    assert "[internal]" not in done.err
    assert (len(errors), done.out) == (1, ""), done.err
    assert "help:" in done.err, done.err
    return CODE.findall(done.err)[0]


def first_config(lab: Lab, table: RandomTable) -> list[str]:
    """Runs `init` on t.csv, and again with what its diagnostics say to type. Returns their codes."""
    source = "{type: csv, path: t.csv, weight: " + str(table.weight) + "}" if table.weight else "t.csv"
    words = ["init", source, f"--target={table.target}", "--out", "t.yaml", "--force"]
    codes: list[str] = []
    while (done := lab.run(*words)).code:
        codes.append(one_diagnostic(done))
        said = TYPED.search(done.err.partition("help:")[2].replace("\n", " "))
        assert said, done.err
        assert codes.count(codes[-1]) < 4, done.err
        typed = shlex.split(said[1])
        words = [*words, *typed] if typed[0].startswith("--") else [*typed[1:], "--out", "t.yaml", "--force"]
    return codes


def read_by_config(table: RandomTable) -> Table:
    """Returns the rows, with the columns that say nothing too. What is ambiguous is read as the help says first."""
    settings = read(Path("t.yaml")).data["data"]["train"]
    for column in table.columns:
        if column.problem in AS_TYPED:
            setting, value = AS_TYPED[column.problem]
            assert settings[setting] == value
    unread = {"", *(c.name for c in table.columns if c.problem not in READ)}
    settings["drop"] = [name for name in settings.get("drop", []) if name in unread]
    return Source.parse(settings).load(Path())


def as_meant(column: Column, found: Table, rows: list[int]) -> None:
    """The cells of a column are read as what they mean."""
    kind = found.kind(column.name)
    values = [column.values[i] for i in rows]
    if kind == "text":
        assert column.kind == "text", (column.name, column.kind, column.cells[:9])
        cells = found.texts[column.name]
        assert isinstance(cells, CodedText)
        assert [None if c in (None, "") else c for c in cells.array().tolist()] == [
            v if v is None else str(v).strip() for v in values
        ]
        return
    assert kind == column.kind, (kind, column.name, column.kind, column.cells[:9])
    numbers = found.numbers[:, found.at[column.name]]
    meant = np.array([np.nan if v is None else v for v in values], float)
    np.testing.assert_allclose(numbers, meant, rtol=1e-6, atol=1e-9, err_msg=f"{column.name} {column.cells[:9]}")


def answers(lab: Lab, file: str) -> list[list[str]]:
    done = lab.good("predict", "run", "--data", file)
    return list(csv.reader(io.StringIO(done.out)))


def alike(one: list[str], other: list[str], largest: float) -> bool:
    """Whether two rows are the same but for the rounding of float32, which goes by the number of rows."""
    a, b = (np.array(row[1:] or row, float) for row in (one, other))
    close = bool((abs(a - b) <= 1e-5 * max(1.0, largest)).all())
    tied = len(a) > 1 and np.diff(np.sort(a)[-2:])[0] < 1e-5
    return close and (len(one) == 1 or one[0] == other[0] or tied)


def agrees(lab: Lab, seed: int) -> list[str]:
    """Returns the codes of the diagnostics that `init` gave before all went well."""
    table = random_table(seed)
    lab.write("t.csv", table.data())
    codes = first_config(lab, table)
    assert {*codes} - {"not-utf8"} == {c.problem for c in table.columns if c.problem}
    lab.good("check", "t.yaml")
    shutil.rmtree("run", ignore_errors=True)
    lab.good("train", "t.yaml", "--set", "training.epochs=1", "--out", "run", "--quiet")
    kept = [i for i, v in enumerate(table.column(table.target).values) if v is not None]
    if table.weight:
        kept = [i for i in kept if table.column(table.weight).values[i] != 0]
    found = read_by_config(table)
    for column in table.columns:
        if column.name in found.order and column.problem in READ:
            as_meant(column, found, kept)
    said = answers(lab, "t.csv")
    assert len(said) == table.rows + 1
    other, rows, whole = another_file(table, seed)
    lab.write("u.csv", other.data())
    same = answers(lab, "u.csv")
    assert len(same) == len(rows) + 1
    largest = max(abs(float(row[-1])) for row in said[1:])
    for i in whole:
        assert alike(same[i + 1], said[rows[i] + 1], largest), (i, rows[i], same[i + 1], said[rows[i] + 1])
    return codes


@pytest.mark.parametrize("seeds", [range(25), pytest.param(range(25, 3_000), marks=pytest.mark.slow)])
def test_random_tables(seeds: range, lab: Lab) -> None:
    asked = sum(bool(agrees(lab, seed)) for seed in seeds)
    assert asked < len(seeds) / 2
