"""What is done about columns without a value, whatever the kind of file, and files of another kind than at training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Array, CodedText, Source
from bpcli.family.source import Table
from bpcli.parts.data.columns.loading import GapRules
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.targets import weigh_rows
from bpcli.records.training import Failure, Problem

NAN = np.nan


def rules(missing: dict[str, Any], outcomes: str = "", aside: str = "", trained: bool = False) -> GapRules:
    return GapRules(missing, frozenset(outcomes.split()), frozenset(aside.split()), trained)


def failure(gaps: GapRules, columns: dict[str, Array], aside: dict[str, CodedText] | None = None) -> Problem:
    with pytest.raises(Failure) as caught:
        gaps.apply(columns, aside or {}, Path("a.csv"))
    (problem,) = caught.value.problems
    return problem


def test_rows_without_a_value_are_left_out_where_the_rule_says_so() -> None:
    columns = {"a": np.array([1.0, NAN, 3.0, 4.0]), "b": CodedText.of(["x", "y", "", "z"]),
               "c": np.array([NAN, 1.0, 2.0, 3.0])}  # fmt: skip
    found = rules({"a": "drop", "b": "drop", "c": "mean"}).apply(columns, {"g": CodedText.of("pqrs")}, Path("a.csv"))
    assert found.columns["a"].tolist() == [1.0, 4.0]
    assert found.columns["b"].tolist() == ["x", "z"]
    assert np.isnan(found.columns["c"]).tolist() == [True, False]
    assert found.aside["g"].tolist() == ["p", "s"]
    whole = {"a": np.array([1.0, 2.0])}
    assert rules({"a": "drop"}).apply(whole, {}, Path("a.csv")).columns is whole


def test_a_gap_in_a_column_that_may_have_none_is_an_error_with_what_to_do() -> None:
    gap = {"a": np.array([1.0, NAN])}
    full = {"b": np.array([1.0, 2.0])}
    found = failure(rules({"a": "error"}), gap)
    assert (found.text, found.code) == ("row 1 (counted from 0), column `a` has no value", "missing-value")
    assert "`missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [a]`" in found.help
    assert "fills them in" not in failure(rules({"a": "error"}, outcomes="a"), gap).help
    assert "drop: [a]" not in failure(rules({"a": "error"}, trained=True), gap).help
    aside = failure(rules({"b": "error"}, aside="g"), full, {"g": CodedText.of(["", "x"])})
    assert aside.text == "row 0 (counted from 0), column `g` has no value"
    assert aside.help == "rows are divided by this column: fill the cell in, or remove the row"


def test_where_no_row_is_left_the_columns_are_named_the_first_eight_of_them() -> None:
    columns = {f"c{i}": np.array([NAN, NAN]) for i in range(9)}
    found = failure(rules(dict.fromkeys(columns, "drop")), columns)
    names = ", ".join(f"`c{i}`" for i in range(8))
    assert found.text == f"no row has a value in every column: they are missing in {names}"
    assert found.help == "fill them in by `missing: median`, or leave the columns out by `drop`"
    assert "train with `missing: median`" in failure(rules(dict.fromkeys(columns, "drop"), trained=True), columns).help
    target = failure(rules(dict.fromkeys(columns, "drop"), outcomes="c3"), columns)
    assert target.help == "no value can stand for a target or a weight: fill the cells in, or name another column"
    half = columns | {"c3": np.array([1.0, NAN])}
    assert "fill them in by" in failure(rules(dict.fromkeys(half, "drop"), outcomes="c3"), half).help


def test_a_file_of_another_kind_is_read_by_what_the_training_source_says_of_columns() -> None:
    like = Source.parse({"type": "parquet", "path": "x.parquet", "target": "y", "drop": ["a"], "missing": "median"})
    found = Csv.of_file("b.csv", like, need_target=True, row=(), root=Path("."))
    assert (found.path, found.target, found.drop, found.missing) == ("b.csv", ("y",), ("a",), "median")
    same = Csv.of_file("c.csv", found, need_target=True, row=(), root=Path("."))
    assert same == found.model_copy(update={"path": "c.csv"})
    other = Csv.of_file("b.csv", Npy(path="a.npy", targets="b.npy"), need_target=True, row=(), root=Path("."))
    assert other == Csv(path="b.csv"), "an array says nothing of columns"


def test_a_weight_that_is_none_is_named_by_its_row_where_the_file_has_no_lines() -> None:
    table = Table(np.zeros((3, 1)), {}, ("x",), ("x",), None, (), "a.parquet")
    with pytest.raises(Failure) as caught:
        weigh_rows(table, np.array([1.0, 0.0, -0.5]), "w", Path("a.parquet"))
    (problem,) = caught.value.problems
    assert problem.text == "row 2 (counted from 0), column `w`: a weight is 0 or more, and here is -0.5"
    assert (problem.code, problem.help) == ("weight", "a row that shall not count has the weight 0")


def test_rows_of_weight_0_are_left_out_of_all_that_a_table_has() -> None:
    texts = np.array(["a", "", "c", "d"], object)
    numbers = np.arange(8.0).reshape(4, 2)
    table = Table(
        numbers, {"t": texts}, ("x", "z"), ("x", "t", "z"), np.array([3, 4, 5, 6]), ("y",), "a.csv",
        row_names=("p", "q", "r", "s"), aside={"g": texts},
        locate=lambda problem, row, name: replace(problem, line=row),
    )  # fmt: skip
    found = weigh_rows(table, np.array([0.0, 2.0, 0.0, 1.0]), "w", Path("a.csv"))
    assert found.weight is not None
    assert found.target is not None
    assert found.locate is not None
    assert (found.numbers.tolist(), found.weight.tolist()) == ([[2, 3], [6, 7]], [2, 1])
    assert (found.target.tolist(), found.row_names) == ([4, 6], ("q", "s"))
    assert list(found.texts["t"]) == list(found.aside["g"]) == ["", "d"]
    assert found.locate(Problem("odd"), 1, "x").line == 3
    assert [w.text for w in found.warnings] == ["a.csv: 2 rows have the weight 0 and count nothing (column `w`)"]
    assert weigh_rows(table, np.ones(4), "w", Path("a.csv")).numbers is numbers, "no row is copied for nothing"
