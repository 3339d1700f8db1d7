"""Splits by a column, by groups and by time; and that nothing of a row that judges reaches training by any rule."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from data_cases import csv, inline, problem_of, ready, same
from hypothesis import given, settings
from pydantic import ValidationError

from bpcli.config.data import Data, Fold
from bpcli.family import CodedText
from bpcli.records.training import Failure
from bpcli.studies.dataset.prepare import Prepared
from bpcli.studies.dataset.split import split_by_group


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows_of(found: Prepared) -> dict[str, list[int]]:
    return {name: split.rows.tolist() for name, split in found.splits.items()}


# By a column

FOLDS = "a,fold,y\n1,train,0\n2,Test,1\n3,train,1\n4,val,0\n5,TRAIN,0\n6,dev,1\n"


def test_a_column_names_the_splits() -> None:
    found = ready(csv(FOLDS), split={"column": "fold"})
    assert rows_of(found) == {"train": [0, 2, 4], "validation": [3, 5], "test": [1]}
    assert found.preprocessor.columns[0].name == "a"
    assert len(found.preprocessor.columns) == 1  # the column itself is no input
    assert found.splits["test"].x.tolist() == [[2]]


def test_problems_of_a_column_of_splits() -> None:
    found = problem_of(csv(FOLDS.replace("val", "third")), split={"column": "fold"})
    assert (found.text, found.line, found.column) == ("column `fold`: `third` names no split", 5, 3)
    found = problem_of(csv(FOLDS.replace("dev", "")), split={"column": "fold"})
    assert (found.text, found.line) == ("column `fold` has no value here (an empty cell)", 7)
    assert problem_of(csv(FOLDS), split={"column": "flod"}).text == "split: the file has no column `flod`"
    found = problem_of(csv("a,fold,y\n1,test,0\n2,val,1\n"), split={"column": "fold"})
    assert found.text == "column `fold` names no row `train`"
    found = problem_of(csv(FOLDS), split={"column": "fold"}, test=csv(FOLDS, name="b.csv"))
    assert found.text == "column `fold` names test rows, and test has a source"
    found = problem_of(inline([[1], [2]], [0, 1]), split={"column": "fold"})
    assert found.text == "split goes by a column, and inline has no named columns"


def test_later_files_need_no_column_of_splits() -> None:
    other = csv("y,a\n1,7\n0,8\n", name="b.csv")
    found = ready(
        csv(FOLDS.replace("dev", "train").replace("val", "train")), split={"column": "fold"}, validation=other
    )
    assert found.splits["validation"].x.tolist() == [[7], [8]]


# By groups


def test_groups_stay_together() -> None:
    text = "a,who,y\n" + "".join(f"{i},p{i // 5},{i % 2}\n" for i in range(100))
    found = ready(csv(text), split={"group": "who"}, validation=0.2, test=0.1)
    groups = {name: {row // 5 for row in rows} for name, rows in rows_of(found).items()}
    assert {name: len(g) for name, g in groups.items()} == {"train": 14, "validation": 4, "test": 2}
    assert sum(map(len, groups.values())) == 20
    assert len(found.preprocessor.columns) == 1
    again = ready(csv(text), split={"group": "who"}, validation=0.2, test=0.1)
    assert rows_of(again) == rows_of(found)
    other = ready(csv(text), split={"group": "who"}, validation=0.2, test=0.1, seed=8)
    assert rows_of(other) != rows_of(found)


def test_too_few_groups() -> None:
    found = problem_of(csv("a,who,y\n1,p,0\n2,q,1\n3,q,1\n"), split={"group": "who"}, validation=0.2, test=0.2)
    assert found.text == "2 groups cannot be divided into 3 splits"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=6, max_size=80), st.floats(0.01, 0.45), st.floats(0.01, 0.45))
def test_divisions_by_groups_hold_together(groups: list[int], test: float, validation: float) -> None:
    try:
        found = split_by_group(CodedText.of(map(str, groups)), {"test": test, "validation": validation}, 3)
    except Failure:
        assert len(set(groups)) < 3 or len(groups) < 20
        return
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(len(groups)))
    parts = [{groups[i] for i in rows} for rows in found.values()]
    assert all(parts)
    assert sum(map(len, parts)) == len(set(groups))


# By time


@pytest.mark.parametrize("drop", [[], ["day"]])
@pytest.mark.parametrize("dated", [True, False])
def test_the_latest_rows_are_test(dated: bool, drop: list[str]) -> None:
    order = np.random.default_rng(0).permutation(20) + 1
    text = "a,day,y\n" + "".join(f"{i},{f'2024-01-{d:02d}' if dated else d / 2},{i % 2}\n" for i, d in enumerate(order))
    found = ready(csv(text, drop=drop), split={"time": "day"}, validation=0.2, test=0.1)
    days = {name: sorted(order[rows].tolist()) for name, rows in rows_of(found).items()}
    assert days == {"train": list(range(1, 15)), "validation": [15, 16, 17, 18], "test": [19, 20]}
    assert len(found.preprocessor.columns) == 2 - len(drop)  # the time is an input, unless it is dropped


def test_rows_of_one_time_are_not_parted() -> None:
    text = "a,t,y\n" + "".join(f"{i},{min(i, 7)},{i % 2}\n" for i in range(10))
    assert rows_of(ready(csv(text), split={"time": "t"}, test=0.1))["test"] == [7, 8, 9]
    found = problem_of(csv("a,t,y\n1,3,0\n2,3,1\n"), split={"time": "t"}, test=0.5)
    assert found.text == "no rows are left for train: too many have the same `t`"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("soon", "column `t`: `soon` is neither a date nor a number"),
        ("2024-01-01", "column `t`: `2024-01-01` is not a number as those before it"),
        ("nan", "column `t`: `nan` is not a number as those before it"),
    ],
)
def test_what_is_no_time(cell: str, text: str) -> None:
    found = problem_of(csv(f"a,t,y\n1,3,0\n2,{cell},1\n3,4,1\n", drop=["t"]), split={"time": "t"}, test=0.3)
    assert (found.text, found.line) == (text, 3)


# The settings


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"split": {}}, "write one of {column: NAME}, {group: NAME} and {time: NAME}"),
        ({"split": {"group": "a", "time": "b"}}, "write one of {column: NAME}"),
        ({"split": {"group": "a"}}, "split by group wants to know how many rows: write `test: 0.2`"),
        ({"split": {"time": "a"}}, "split by time wants to know how many rows"),
        ({"split": {"column": "a"}, "test": 0.2}, "the column `a` says which rows are test: leave the fraction out"),
        (
            {"split": {"group": "a"}, "test": 0.2, "stratify": True},
            "goes by the column `a` alone: leave `stratify` out",
        ),
    ],
)
def test_settings_that_do_not_fit(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Data.model_validate({"train": {"type": "csv", "path": "a.csv", "target": "y"}, **more})
    (error,) = caught.value.errors()
    assert message in error["msg"]


# Nothing leaks

COLUMNS = ("n", "m", "s", "c", "d", "on")
RULES: dict[str, dict[str, Any]] = {
    "standardize": {"scale": "standardize"},
    "minmax": {"scale": "minmax"},
    "robust": {"scale": "robust"},
    "together": {"scale": {"type": "robust", "per": "all"}},
    "mean": {"missing": "mean", "scale": "standardize"},
    "median": {"missing": "median", "scale": "minmax"},
    "mode": {"missing": "mode", "indicator": True, "scale": "robust"},
    "drop": {"missing": "drop", "scale": "standardize"},
    "one by one": {
        "missing": "median",
        "scale": "standardize",
        "columns": {"n": {"scale": "minmax"}, "m": {"missing": "mean", "indicator": True}, "s": {"scale": "robust"},
                    "d": {"parts": ["days", "month", "hour"]}},
    },
}  # fmt: skip
DIVISIONS: dict[str, dict[str, Any]] = {
    "by chance": {"validation": 0.2, "test": 0.2},
    "by column": {"split": {"column": "fold"}},
    "by group": {"split": {"group": "who"}, "validation": 0.2, "test": 0.2},
    "by time": {"split": {"time": "when"}, "validation": 0.2, "test": 0.2},
}


def table(rng: np.random.Generator, gaps: bool) -> list[list[str]]:
    """60 rows: numbers, a category, a date, a boolean, what rows are divided by, a target."""
    rows = []
    for i in range(60):
        n, m, s = (f"{v:.4f}" for v in rng.normal(size=3))
        row = [n, m, s, f"c{i % 3}", f"2024-{1 + i % 12:02d}-11", ("yes", "no")[i % 2]]
        if gaps and i % 4 == 0:
            row[(i // 4) % 6] = ""
        rows.append(
            [*row, ("train", "train", "train", "val", "test")[i % 5], f"p{i % 10}", str(i), f"{rng.normal():.4f}"]
        )
    return rows


def written(rows: list[list[str]]) -> str:
    return ",".join((*COLUMNS, "fold", "who", "when", "y")) + "\n" + "".join(",".join(row) + "\n" for row in rows)


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("rule", RULES)
def test_no_statistic_of_a_judging_row_reaches_training(rule: str, division: str) -> None:
    """What judges is replaced by something else in every column: not a bit of what is learned from changes."""
    more = dict(RULES[rule])
    source = {key: more.pop(key) for key in ("missing", "indicator", "columns") if key in more}
    source |= {"unseen": "ignore", "drop": ["fold", "who", "when"]}
    settings = {**more, **DIVISIONS[division], "scale_target": "standardize"}
    rows = table(np.random.default_rng(0), "missing" in source)

    def prepared(rows: list[list[str]]) -> Prepared:
        return ready(csv(written(rows), **source), "values", **settings)

    clean = prepared(rows)
    if source.get("missing") == "drop":
        full = [row for row in rows if all(row)]
        assert len(full) == len(clean.splits["train"].rows) + sum(
            len(clean.splits[n].rows) for n in ("validation", "test")
        )
        rows, clean = full, prepared(full)
    judged = np.concatenate([clean.splits[name].rows for name in ("validation", "test")])
    assert len(judged) > 15
    poison = ["1e9", "-1e9", "1e30", "poison", "1801-05-06T07:08", "no"]
    poisoned = [[*poison, *row[6:9], "1e12"] if i in judged else row for i, row in enumerate(rows)]
    found = prepared(poisoned)
    assert same(found.preprocessor, clean.preprocessor)
    for name in ("train", "validation", "test"):
        assert np.array_equal(found.splits[name].rows, clean.splits[name].rows)
    assert np.array_equal(found.splits["train"].x, clean.splits["train"].x)
    assert np.array_equal(found.splits["train"].t, clean.splits["train"].t)
    assert found.columns == clean.columns
    assert not np.array_equal(found.splits["test"].x, clean.splits["test"].x)
    learned = int(clean.splits["train"].rows[0])  # and the test can fail: a training row does reach it
    poisoned[learned] = [*("7", "7", "7", "c0", "2024-01-01", "no"), *rows[learned][6:9], "7"]
    assert not same(prepared(poisoned).preprocessor, clean.preprocessor)


@pytest.mark.parametrize("division", DIVISIONS)
def test_folds_within_what_is_not_test(division: str) -> None:
    """They judge every row that is not test once (by time, all but the first part), and no test row is in any."""
    rows = table(np.random.default_rng(0), True)
    source = {"missing": "median", "unseen": "ignore", "drop": ["fold", "who", "when"]}
    more = {"scale": "standardize", "scale_target": "standardize", **DIVISIONS[division]}

    def prepared(rows: list[list[str]], number: int = 0, of: int = 3) -> dict[str, set[int]]:
        within = Fold(of=of, number=number) if number else None
        found = ready(csv(written(rows), **source), "values", within=within, **more)
        return {name: set(split.rows.tolist()) for name, split in found.splits.items()}

    whole = prepared(rows)
    rest = set(range(60)) - whole["test"]
    if division == "by column":
        rest -= whole["validation"]
    folds = [prepared(rows, number) for number in (1, 2, 3)]
    for fold in folds:
        assert not fold["test"] & (fold["train"] | fold["validation"])
        assert not whole["test"] & set.union(*fold.values())
        if division == "by group":
            assert not {i % 10 for i in fold["test"]} & {i % 10 for i in fold["train"] | fold["validation"]}
        if division == "by column":
            assert fold["validation"] == whole["validation"]
        if division == "by time":
            assert max(fold["train"]) < min(fold["validation"]) < max(fold["validation"]) < min(fold["test"])
    judged = [i for fold in folds for i in fold["test"]]
    assert len(judged) == len(set(judged))
    assert set(judged) == (set(sorted(rest)[12:]) if division == "by time" else rest)


def test_each_fold_of_all_rows_has_its_share_of_every_class() -> None:
    text = "a,y\n" + "".join(f"{i},{i % 4 == 0:d}\n" for i in range(32))
    for number in (1, 2, 3, 4):
        found = ready(csv(text), within=Fold(of=4, number=number))
        assert np.bincount(found.splits["test"].t).tolist() == [6, 2]


def test_a_test_source_is_not_opened_for_folds_of_the_others() -> None:
    text = "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(12))
    gone = {"type": "csv", "path": "gone.csv", "target": "y"}
    found = ready(csv(text), test=gone, within=Fold(of=3, number=1))
    assert {name: len(rows) for name, rows in rows_of(found).items()} == {"train": 8, "test": 4}


def test_a_source_of_its_own_reaches_nothing() -> None:
    rows = table(np.random.default_rng(1), True)
    source = {"missing": "median", "indicator": True, "unseen": "ignore", "drop": ["fold", "who", "when"]}
    train = csv(written(rows), **source)
    poison = ["1e9", "", "1e30", "poison", "1801-05-06", "no", "", "", "", "1e12"]
    other = csv(written([poison] * 3), name="b.csv")
    alone = ready(train, "values", scale="robust", scale_target="minmax")
    beside = ready(train, "values", scale="robust", scale_target="minmax", validation=other, test=other)
    assert same(alone.preprocessor, beside.preprocessor)
    assert np.array_equal(alone.splits["train"].x, beside.splits["train"].x)
    codes = ["unseen-category", "filled"]
    assert [w.code for w in beside.warnings] == codes + codes  # the category that train does not have, and gaps
