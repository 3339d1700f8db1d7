"""Where a value is missing, whatever the advice names can be done: in a csv and in Parquet."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from bpcli.family import Table
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.training import Failure, Problem

READERS = ("csv", pytest.param("parquet", marks=pytest.mark.peers))

ROWS: dict[str, list[Any]] = {"x": [1.0, 2.0, 3.0], "w": [1.0, 1.0, 2.0], "g": ["p", "q", "q"], "y": [0.5, 1.5, 2.5]}

REQUESTS = {
    "training": ColumnRequest(aside=("g",), hidden=("g",)),
    "a trained model": ColumnRequest({"x": "number"}, missing={"x": "error"}, aside=("g",), hidden=("g",)),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(reader: str, columns: dict[str, list[Any]], request: ColumnRequest, missing: str = "error") -> Table:
    if reader == "csv":
        with open("a.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    else:
        pa = pytest.importorskip("pyarrow")
        filled = {n: pa.array(c, None if any(c) else pa.float64()) for n, c in columns.items()}
        pytest.importorskip("pyarrow.parquet").write_table(pa.table(filled), "a.parquet")
    settings = {"type": reader, "path": f"a.{reader}", "target": "y", "weight": "w", "missing": missing}
    return ColumnSource.parse(settings).load_columns(Path("."), request)


def gap(reader: str, columns: dict[str, list[Any]], request: ColumnRequest, missing: str = "error") -> Problem:
    with pytest.raises(Failure) as caught:
        load(reader, columns, request, missing)
    (problem,) = caught.value.problems
    return problem


def rules_named(help: str) -> list[str]:
    return re.findall("`missing: ([a-z]+)`", help)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("when", REQUESTS)
def test_a_rule_that_is_advised_helps(reader: str, name: str, when: str) -> None:
    columns = {**ROWS, name: [ROWS[name][0], None, ROWS[name][2]]}
    problem = gap(reader, columns, REQUESTS[when])
    assert f"column `{name}` has no value" in problem.text
    assert bool(rules_named(problem.help)) == (name != "g"), "no rule helps where rows are divided by a column"
    for rule in rules_named(problem.help):
        assert load(reader, columns, REQUESTS["training"], rule).rows == (3 if rule == "median" else 2)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("name", "rules"), [("x", ["median"]), ("w", []), ("y", [])])
def test_a_rule_that_is_advised_where_no_row_is_left_helps(reader: str, name: str, rules: list[str]) -> None:
    half, empty = [1.0, None, None], [None, None, None]
    columns = {**ROWS, "x": half, **({"z": [None, 2.0, 3.0]} if name == "x" else {name: empty})}
    problem = gap(reader, columns, REQUESTS["training"], "drop")
    assert problem.text.startswith("no row has a value in every column: they are missing in `x`, ")
    assert f"`{'z' if name == 'x' else name}`" in problem.text
    assert rules_named(problem.help) == rules
    for rule in rules:
        assert load(reader, columns, REQUESTS["training"], rule).rows == 3


@pytest.mark.peers
def test_a_weight_that_is_text_is_named() -> None:
    problem = gap("parquet", {**ROWS, "w": ["a", "b", "c"]}, REQUESTS["training"])
    assert problem.text.startswith("column `w` holds string, not what a number is")
