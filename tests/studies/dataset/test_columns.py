"""Rules of columns: missing values, parts of dates, indicators, unseen categories, scales of their own."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, problem_of, ready, same

from bpcli.family.plan import Array
from bpcli.family.source import DatePart
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import ColumnRow, Failure
from bpcli.studies.dataset.columns import ColumnEncoder, InputLayout, date_part
from bpcli.studies.dataset.prepare import Prepared, prepare_for
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.dataset.preview import duplicate_warnings


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def encoded(found: Prepared) -> Any:
    return found.splits["train"].x.tolist()


def later(
    preprocessor: Preprocessor, text: str, need_target: bool = False, **settings: Any
) -> tuple[Array, tuple[str, ...]]:
    source = Csv.model_validate(csv(text, name="later.csv", **settings))
    x, _, table = prepare_for(preprocessor, source, Path("."), np.float64, need_target)
    return x, tuple(w.text for w in table.warnings)


# Missing values

GAPS = "a,c,y\n1,red,0\n,blue,1\n4,,0\n4,red,1\n"


@pytest.mark.parametrize(("rule", "fill"), [("mean", 3), ("median", 4), ("mode", 4)])
def test_what_stands_for_a_missing_value(rule: str, fill: float) -> None:
    found = ready(csv(GAPS, missing=rule))
    assert encoded(found) == [[1, 0, 1], [fill, 1, 0], [4, 0, 1], [4, 0, 1]]
    limits = found.preprocessor.columns[0].limits
    assert found.preprocessor.columns[0] == ColumnEncoder("a", missing=rule, fill=fill, limits=limits)  # type: ignore[arg-type]
    assert limits[1:3] == (1, 4)
    assert found.preprocessor.columns[1].fill == "red"
    assert found.columns == (
        ColumnRow("a", "number", 1, 4, 0, f"as it is, missing as {fill}", 0.25),
        ColumnRow("c", "text", None, None, 2, "one-hot, 2 inputs, missing as red", 0.25),
    )
    assert found.first_rows[1] == ("", "blue", "1")
    assert later(found.preprocessor, "c,a\n,\nblue,2\n")[0].tolist() == [[fill, 0, 1], [2, 1, 0]]


FULL = "a,c,on,born,y\n1,red,yes,2024-01-01,0\n5,blue,no,2024-01-03,1\n6,red,yes,2024-01-03,0\n"


def test_what_stands_for_a_value_is_learned_where_train_lacks_none() -> None:
    found = ready(csv(FULL, missing="median"))
    x, said = later(found.preprocessor, "c,a,born,on\n,,,\nred,2,2024-01-02,no\n,,2024-01-02,no\n")
    day = float(np.datetime64("2024-01-02").astype("datetime64[D]").astype(np.int64))
    assert x.tolist() == [[5, 0, 1, 1, day + 1], [2, 0, 1, 0, day], [5, 0, 1, 0, day]]
    assert said == (
        "later.csv: missing values are filled in: `a` in 2 of 3 rows (5, train's median), `c` in 2 of 3 rows (red, "
        "train's mode), `on` in 1 of 3 rows (yes, train's mode), `born` in 1 of 3 rows (2024-01-03, train's median)",
    )
    assert later(found.preprocessor, "c,a,born,on\nred,2,2024-01-02,no\n")[1] == (), "nothing was missing"
    names = ",".join(f"x{i}" for i in range(10))
    many = ready(csv(f"{names},y\n" + "1," * 10 + "0\n" + "2," * 10 + "1\n", missing="mean"))
    _, said = later(many.preprocessor, names + "\n" + "," * 9 + "\n")
    assert said[0].endswith("`x7` in 1 of 1 rows (1.5, train's mean), and 2 columns more")


def test_what_stands_for_numbers_that_are_kept_about_their_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files are: their numbers are float32, less a middle."""
    content = "t,x,y\n" + "".join(f"{1_700_000_000 + 100 * i},{i},{i % 2}\n" for i in range(101))
    more: Any = {"dtype": "float32", "scale": "standardize", "test": 0.2}
    small = ready(csv(content, missing="median"), **more)
    monkeypatch.setattr("bpcli.parts.data.csv.read.FLOAT32_FILE_BYTES", 0)
    rule, plain = (ready(csv(content, **settings), **more) for settings in ({"missing": "median"}, {}))
    assert [c.fill for c in rule.preprocessor.columns] == [c.fill for c in small.preprocessor.columns]
    for split in rule.splits:
        assert rule.splits[split].x.tobytes() == plain.splits[split].x.tobytes()
    x, _ = later(rule.preprocessor, "t,x\n,\n")
    expected = later(small.preprocessor, "t,x\n,\n")[0]
    assert x == pytest.approx(expected, abs=1e-6)


def test_the_most_frequent_and_of_equals_the_least() -> None:
    found = ready(csv("a,on,y\n3,yes,0\n1,no,1\n3,,0\n1,yes,1\n,no,0\n9,yes,1\n", missing="mode"))
    assert [c.fill for c in found.preprocessor.columns] == [1, 1]
    assert ready(csv("c,y\nb,0\na,1\n,0\n", missing="mean")).preprocessor.columns[0].fill == "a"


def test_indicators_stand_where_training_rows_lack_values() -> None:
    found = ready(csv("a,b,c,y\n1,1,u,0\n,2,,1\n3,3,v,0\n", missing="median", indicator=True), scale="minmax")
    assert [c.indicator for c in found.preprocessor.columns] == [True, False, True]
    assert encoded(found) == [[0, 0, 0, 1, 0, 0], [0.5, 1, 0.5, 1, 0, 1], [1, 0, 1, 0, 1, 0]]
    assert [name for c in found.preprocessor.columns for name in c.inputs] == [
        "a", "a missing", "b", "c=u", "c=v", "c missing",
    ]  # fmt: skip
    assert found.columns[0].treatment == "minmax, missing as 2, an input says where"
    assert found.columns[0].missing == pytest.approx(1 / 3)
    x, _ = later(found.preprocessor, "a,b,c\n,,\n")
    assert x.tolist() == [[0.5, 1, 0.5, 1, 0, 1]]


def test_rows_are_left_out_for_learning_and_judging_and_not_for_answers() -> None:
    found = ready(csv("a,c,y\n1,u,0\n,v,1\n2,v,1\n", missing="drop"))
    assert encoded(found) == [[1, 1, 0], [2, 0, 1]]
    assert [w.code for w in found.warnings] == ["rows-left-out"]
    assert found.columns[0].treatment == "as it is, rows without it left out"
    x, warnings = later(found.preprocessor, "a,c,y\n1,u,1\n,u,0\n3,u,\n", need_target=True)
    assert x.tolist() == [[1, 1, 0]]
    assert warnings == ("later.csv: 2 rows are left out: they have no value in `a` (1), `y` (1)",)
    with pytest.raises(Failure) as caught:
        later(found.preprocessor, "a,c\n1,u\n,u\n")
    assert (caught.value.problems[0].text, caught.value.problems[0].line) == (
        "column `a` has no value here (an empty cell)", 3,
    )  # fmt: skip


def test_a_later_gap_where_there_was_no_rule() -> None:
    preprocessor = ready(csv("a,y\n1,0\n2,1\n")).preprocessor
    with pytest.raises(Failure, match="column `a` has no value here"):
        later(preprocessor, "a,b\n,1\n1,1\n", missing="mean")  # the model's rule counts, not the file's


def test_a_column_without_any_value() -> None:
    found = problem_of(csv("a,b,y\n,1,0\n,2,1\n", missing="mean"))
    assert (found.text, found.help) == (
        "column `a` has no value in any training row", "leave it out with `drop: [a]`",
    )  # fmt: skip
    assert (
        problem_of(csv("c,b,y\n,1,0\n,2,1\n", columns={"c": {"kind": "text", "missing": "mode"}})).code == "no-values"
    )


# Dates and booleans


@pytest.mark.parametrize("part", ["year", "month", "day", "weekday", "hour"])
def test_parts_of_dates_are_those_of_the_calendar(part: DatePart) -> None:
    rng = np.random.default_rng(0)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    minutes = rng.integers(-40_000_000, 40_000_000, 500)
    dates = [epoch + timedelta(minutes=int(m)) for m in minutes]
    days = minutes / 1440
    expected = [
        d.hour + d.minute / 60 if part == "hour" else d.weekday() if part == "weekday" else getattr(d, part)
        for d in dates
    ]
    assert np.allclose(date_part(days, part), expected, atol=1e-6)
    assert np.isnan(date_part(np.array([math.nan]), part)).all()


def test_dates_become_their_parts() -> None:
    text = "born,y\n2024-02-29,0\n,1\n2024-03-02,0\n2024-03-01,1\n"
    found = ready(csv(text, missing="median", columns={"born": {"parts": ["year", "month", "weekday"]}}))
    assert encoded(found) == [[2024, 2, 3], [2024, 3, 4], [2024, 3, 5], [2024, 3, 4]]
    assert found.columns[0].treatment == "year and month and weekday, as it is, missing as 2024-03-01"
    assert found.preprocessor.columns[0].inputs == ("born.year", "born.month", "born.weekday")
    plain = ready(csv(text, missing="drop"), scale="minmax")
    assert np.allclose(encoded(plain), [[0], [1], [0.5]])
    assert plain.first_rows[0] == ("2024-02-29", "0")
    assert plain.columns[0].treatment == "days since 1970, minmax, rows without it left out"
    assert later(found.preprocessor, "born\n2023-12-25\n")[0].tolist() == [[2023, 12, 0]]


def test_booleans_are_not_scaled() -> None:
    text = "on,a,y\nyes,5,0\nno,10,1\n"
    found = ready(csv(text), scale="standardize")
    assert encoded(found) == [[1, -1], [0, 1]]
    assert [c.treatment for c in found.columns] == ["as it is", "standardize"]
    assert found.first_rows[0][0] == "yes"
    asked = ready(csv(text, columns={"on": {"scale": "standardize"}}), scale="minmax")
    assert encoded(asked) == [[1, 0], [-1, 1]]


# Scaling


def test_columns_are_scaled_one_by_one() -> None:
    text = "a,b,c,y\n0,0,0,0\n5,1,5,1\n10,5,10,0\n"
    columns = {"b": {"scale": "robust"}, "c": {"scale": "none"}}
    found = ready(csv(text, columns=columns), scale="minmax")
    assert encoded(found) == [[0, -0.4, 0], [0.5, 0, 5], [1, 1.6, 10]]
    assert [c.treatment for c in found.columns] == ["minmax", "robust", "as it is"]
    only = ready(csv(text, columns={"b": {"scale": "minmax"}}))
    assert encoded(only) == [[0, 0, 0], [5, 0.2, 5], [10, 1, 10]]
    assert [c.treatment for c in only.columns] == ["as it is", "minmax", "as it is"]


def test_one_scale_for_all_leaves_out_those_with_their_own() -> None:
    text = "a,b,c,y\n0,100,0,0\n4,200,10,1\n"
    found = ready(csv(text, columns={"b": {"scale": "minmax"}}), scale={"type": "minmax", "per": "all"})
    assert encoded(found) == [[0, 0, 0], [0.4, 1, 1]]


@pytest.mark.parametrize("kind", ["standardize", "minmax", "robust"])
def test_a_scale_of_all_that_no_column_has_is_not_asked_for(kind: str) -> None:
    columns = {"a": {"scale": "minmax"}, "b": {"scale": "none"}}
    found = ready(csv("a,b,y\n1,5,0\n3,7,1\n2,9,0\n", columns=columns), scale={"type": kind, "per": "all"})
    np.testing.assert_array_equal(found.splits["train"].x, [[0, 5], [1, 7], [0.5, 9]])


def test_text_is_not_scaled() -> None:
    found = problem_of(csv("c,y\nu,0\nv,1\n", columns={"c": {"scale": "minmax"}}))
    assert found.text == "column `c` holds text: it becomes one-hot inputs of 0 and 1, which are not scaled"
    assert found.path == ("data", "train", "columns", "c", "scale")


def test_numbers_kept_as_float32_are_scaled_as_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = zip(1.7e9 + rng.integers(0, 10**7, 400), rng.normal(size=400).tolist(), strict=True)
    text = "t,a,y\n" + "".join(f"{int(t)},{a!r},{i % 2}\n" for i, (t, a) in enumerate(rows))
    for scale in ("standardize", "minmax", "robust", "none"):
        settings: dict[str, Any] = {"scale": scale, "dtype": "float32", "validation": 0.25}
        exact = ready(csv(text), **settings)
        with monkeypatch.context() as patch:
            patch.setattr("bpcli.parts.data.csv.read.FLOAT32_FILE_BYTES", 0)
            small = ready(csv(text), **settings)
        for name, split in exact.splits.items():
            assert np.allclose(small.splits[name].x, split.x, rtol=3e-7, atol=3e-7), (scale, name)
            assert np.array_equal(small.splits[name].t, split.t)
        assert [c.low for c in small.columns] == pytest.approx([c.low for c in exact.columns], rel=1e-7)
        assert small.splits["train"].x.flags.c_contiguous


# Categories that were never seen


def test_unseen_categories_are_ignored_and_counted() -> None:
    found = ready(csv("c,d,y\nu,p,0\nv,q,1\n", columns={"c": {"unseen": "ignore"}}))
    assert found.columns[0].treatment == "one-hot, 2 inputs, unseen ignored"
    x, warnings = later(found.preprocessor, "c,d\nw,p\nv,q\nz,p\nw,p\n")
    assert x.tolist() == [[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0]]
    assert warnings == (
        "later.csv: column `c`: 3 of 4 rows hold `w`, `z`, which train does not: they count as none of its categories",
    )
    with pytest.raises(Failure, match="column `d`: `r` does not occur in the training rows"):
        later(found.preprocessor, "c,d\nu,r\n")


def test_unseen_categories_of_the_splits() -> None:
    lines = [f"{'rare' if i == 3 else 'c' + str(i % 2)},{i % 2}\n" for i in range(20)]
    for seed in range(20):
        found = ready(csv("c,y\n" + "".join(lines), unseen="ignore"), validation=0.3, seed=seed)
        if 3 in found.splits["validation"].rows:
            (warning,) = found.warnings
            assert warning.text.startswith("a.csv: column `c`: 1 of 6 rows hold `rare`")
            return
    raise AssertionError("row 3 never was in validation")


# Saved with the model


def mixed() -> Preprocessor:
    text = "a,c,d,on,y\n1,u,2024-01-01,yes,0\n,,,no,1\n5,v,2024-02-01,,0\n"
    settings: dict[str, Any] = {"missing": "median", "indicator": True, "unseen": "ignore"}
    settings["columns"] = {"d": {"parts": ["month", "day"]}, "a": {"scale": "robust"}}
    return ready(csv(text, **settings), scale="standardize").preprocessor


def test_all_of_it_survives_the_model_file() -> None:
    preprocessor = mixed()
    back = Preprocessor.from_meta(json.loads(json.dumps(preprocessor.to_meta())), preprocessor.tensors())
    assert same(back, preprocessor)
    assert back.columns == preprocessor.columns
    text = "a,c,d,on\n,w,,\n2,u,2024-03-04,no\n"
    assert np.array_equal(later(preprocessor, text)[0], later(back, text)[0])


@pytest.mark.parametrize(
    "change",
    [
        {"fill": None},
        {"fill": "x"},
        {"fill": math.inf},
        {"missing": "error"},
        {"missing": "guess"},
        {"kind": "text"},
        {"kind": "date"},
        {"parts": ["day"]},
        {"indicator": "maybe"},
        {"unseen": "worry"},
        {"name": 3},
    ],
)
def test_damaged_columns(change: dict[str, Any]) -> None:
    preprocessor = mixed()
    meta = preprocessor.to_meta()
    meta["columns"][0] = {k: v for k, v in {**meta["columns"][0], **change}.items() if v is not None}
    with pytest.raises(Failure, match="the model file's description of its data is damaged"):
        Preprocessor.from_meta(meta, preprocessor.tensors())


def test_places() -> None:
    columns = (
        ColumnEncoder("a", indicator=True, missing="mean", fill=1.0),
        ColumnEncoder("c", "text", ("u", "v")),
        ColumnEncoder("d", "date", parts=("year", "day")),
        ColumnEncoder("e", "text", ("p",), indicator=True),
    )
    layout = InputLayout.of(columns)
    assert (layout.values.tolist(), layout.texts, layout.indicators) == (
        [0, 4, 5], {"c": 2, "e": 6}, {"a": 1, "e": 7},
    )  # fmt: skip
    assert sum(c.width for c in columns) == 8
    assert all(c.width == len(c.inputs) for c in columns)


# Rows that stand twice


def test_rows_that_stand_twice() -> None:
    x, t = np.array([[1.0, 2], [3, 4], [-0.0, 5]]), np.array([0, 1, 0])
    splits = {"train": (x, t), "validation": (np.array([[3.0, 4], [0, 5], [9, 9]]), np.array([1, 0, 0])),
              "test": (x[:1], np.array([1]))}  # fmt: skip
    (found,) = duplicate_warnings(splits)
    assert found.text == "2 of 3 validation rows stand in train too, inputs and target alike"
    assert found.level == "warning"
    assert duplicate_warnings({"train": (x, t)}) == ()


@pytest.mark.parametrize("missing", ["mean", "median"])
def test_what_stands_for_a_gap_has_to_be_a_number(missing: str) -> None:
    """A sum of three is beyond float64; one of them is not."""
    text = "a,y\n1.5e308,0\n1.7e308,1\n1.6e308,0\n1.6e308,0\n,1\n"
    found = problem_of(csv(text, columns={"a": {"missing": missing}}))
    assert found.text == f"column `a` holds numbers too large to compute their {missing}"
    assert found.help == "write it in a larger unit, or `missing: mode`"
    assert ready(csv(text, columns={"a": {"missing": "mode"}})).splits["train"].x[-1, 0] == 1.6e308
