"""Rules applied to later files, and kept in the model file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, inline, ready, same

from bpcli.family import Table
from bpcli.family.plan import Array
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.inline import Inline
from bpcli.parts.data.npz import Npz
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.class_labels import lost_zeros
from bpcli.studies.dataset.prepare import prepare_for
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.dataset.row_errors import row_failure, row_name


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# Later files


@pytest.fixture
def trained() -> Preprocessor:
    return ready(csv("a,colour,zip,y\n1,red,01,no\n3,blue,02,yes\n", text=["zip"]), scale="minmax").preprocessor


def later(
    preprocessor: Preprocessor, text: str, need_target: bool = True, **settings: Any
) -> tuple[Array, Array | None]:
    source = Csv.model_validate(csv(text, name="later.csv", **settings))
    return prepare_for(preprocessor, source, Path("."), np.float64, need_target)[:2]


def test_later_files_may_order_columns_and_hold_others(trained: Preprocessor) -> None:
    x, t = later(trained, "extra,y,zip,a,colour\n,yes,01,3,red\nNA,no,02,2,blue\n")
    assert x.tolist() == [[1, 0, 1, 1, 0], [0.5, 1, 0, 0, 1]]
    assert t is not None
    assert t.tolist() == [1, 0]
    x, t = later(trained, "a,colour,zip\n1,red,02\n", need_target=False)
    assert (x.tolist(), t) == ([[0, 0, 1, 0, 1]], None)


def test_text_classes_that_look_like_numbers_in_a_later_file() -> None:
    preprocessor = ready(csv("a,y\n1,one\n2,two\n3,03\n")).preprocessor
    assert preprocessor.classes == ("03", "one", "two")
    t = later(preprocessor, "a,y\n1,03\n2,03\n")[1]
    assert t is not None
    assert t.tolist() == [0, 0]


def problem_of_later(preprocessor: Preprocessor, text: str, **settings: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        later(preprocessor, text, **settings)
    return caught.value.problems[0]


def test_problems_of_later_files(trained: Preprocessor) -> None:
    found = problem_of_later(trained, "b,color,zip,y\n1,red,01,no\n")
    assert found.text == "later.csv has no column `a`, which the model was trained on"
    found = problem_of_later(trained, "a,zip,y\n1,01,no\n")
    assert found.text == "later.csv has no column `colour`, which the model was trained on"
    found = problem_of_later(trained, "a,colour,zip,y\n1,rad,01,no\n")
    assert found.text == "column `colour`: `rad` does not occur in the training rows"
    assert (found.file, found.line, found.column, found.span) == ("later.csv", 2, 3, 3)
    assert found.help.startswith("did you mean `red`? it knows blue, red; ")
    found = problem_of_later(trained, "a,colour,zip,y\n1,red,1,no\n")
    assert found.help.startswith("`1` is `01` as a number, as programs rewrite it: write it as in training; it knows")
    assert lost_zeros(["7", "1003"], ["01003", "94105"]).startswith("`1003` is `01003` as a number")
    assert lost_zeros(["red", "1", "7"], ["1.0", "01", "red"]) == ""  # two names may be meant, or none
    found = problem_of_later(trained, "a,colour,zip,y\nx,red,01,no\n")
    assert (found.text, found.line) == ("column `a`: `x` is not a number", 2)
    found = problem_of_later(trained, "a,colour,zip,y\n1,red,01,maybe\n")
    assert found.text == "class `maybe` does not occur in the training rows"
    assert (found.file, found.line, found.column) == ("later.csv", 2, 10)
    found = problem_of_later(trained, "a,colour,zip\n1,red,01\n")
    assert found.text == "target: the file has no column `y`"


def test_sources_without_names_are_matched_by_position() -> None:
    preprocessor = ready(csv("a,b,y\n1,2,0\n3,4,1\n")).preprocessor
    source = Inline.model_validate({"type": "inline", "inputs": [[5, 6]]})
    assert prepare_for(preprocessor, source, Path("."), np.float64, False)[0].tolist() == [[5, 6]]
    narrow = Inline.model_validate({"type": "inline", "inputs": [[5]]})
    with pytest.raises(Failure, match="the inline data has rows of 1 values, the model takes 2 values") as caught:
        prepare_for(preprocessor, narrow, Path("."), np.float64, False)
    assert caught.value.problems[0].help == "the model was trained on a, b"
    np.savez("a.npz", x=np.zeros((2, 2, 2)))
    images = ready(inline([[[1, 2], [3, 4]], [[1, 2], [3, 4]]], [0, 1])).preprocessor
    assert prepare_for(images, Npz(path="a.npz"), Path("."), np.float32, False)[0].shape == (2, 2, 2)
    with pytest.raises(Failure, match="with text in column `zip`"):
        prepare_for(ready(csv("zip,y\n1,0\n2,1\n", text=["zip"])).preprocessor, source, Path("."), np.float64, False)


def test_later_targets_of_another_form() -> None:
    preprocessor = ready(inline([[0], [1]], [[0.5, 1], [2, 3]]), "values").preprocessor
    for targets, text in (([[1]], "has 1 targets a row, the model predicts 2"), (["a"], "the model predicts numbers")):
        source = Inline.model_validate(inline([[0]], targets))
        with pytest.raises(Failure, match=text):
            prepare_for(preprocessor, source, Path("."), np.float64, True)


# The model file


def everything() -> list[Preprocessor]:
    table = csv("a,colour,b,y\n1,red,1e-300,no\n3,blue,0.1,yes\n")
    return [
        ready(table, scale="standardize").preprocessor,
        ready(inline([[0], [1]], [[0.1], [0.7]]), "values", scale_target="standardize").preprocessor,
        ready(inline([[[1, 2]], [[3, 5]]], [4, 5]), scale="minmax").preprocessor,
        ready(inline([[0]], [[0, 1]])).preprocessor,
    ]


def test_rules_survive_the_model_file() -> None:
    for preprocessor in everything():
        back = Preprocessor.from_meta(json.loads(json.dumps(preprocessor.to_meta())), preprocessor.tensors())
        assert same(back, preprocessor)
        assert all(a.dtype == np.float64 for a in preprocessor.tensors().values())


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [7]},
        {"shape": "x"},
        {"classes": []},
        {"labels": "none"},
        {"labels": "other"},
        {"outputs": 3},
        {"more": 1},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": 3}]},
        {"columns": None},
    ],
)
def test_damaged_rules(change: dict[str, Any]) -> None:
    preprocessor = everything()[0]
    with pytest.raises(Failure, match="the model file's description of its data is damaged"):
        Preprocessor.from_meta({**preprocessor.to_meta(), **change}, preprocessor.tensors())


@pytest.mark.parametrize("meta", ["x", 5, None, []])
def test_rules_that_are_no_table(meta: Any) -> None:
    with pytest.raises(Failure, match="is damaged: it is no table"):
        Preprocessor.from_meta(meta, {})


def test_damaged_scaling() -> None:
    preprocessor = everything()[0]
    whole = preprocessor.tensors()
    shift, scale = "data.inputs.shift", "data.inputs.scale"
    for wrong in (
        {shift: whole[shift]},
        {**whole, scale: np.zeros(2)},
        {**whole, shift: np.zeros(3)},
        {**whole, shift: np.array([0, np.nan])},
        {**whole, scale: whole[scale].astype(np.float32)},
        {**whole, "data.targets.shift": np.zeros(0)},
    ):
        with pytest.raises(Failure, match="is damaged: the scaling"):
            Preprocessor.from_meta(preprocessor.to_meta(), wrong)


# Rows that cannot be encoded


def failing(call: Any, *arguments: Any, **more: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        call(*arguments, **more)
    (problem,) = caught.value.problems
    return problem


def table_of(numbers: Any, names: tuple[str, ...] = (), **more: Any) -> Table:
    x = np.asarray(numbers, float)
    return Table(x, more.pop("texts", {}), names, names, more.pop("target", None), (), "later", **more)


def test_a_row_is_called_by_its_name_or_by_its_number() -> None:
    named = table_of([[1.0]] * 2, row_names=("a.png", "b.png"))
    assert row_name(named, 1) == "later, b.png"
    assert row_name(table_of([[1.0]] * 2), np.int64(1)) == "later, row 1 (counted from 0)"
    assert failing_text(row_failure(named, 1, "x", "it is odd", "code", "help")) == "later, b.png: it is odd"


def failing_text(failure: Failure) -> str:
    (problem,) = failure.problems
    return problem.text


def test_a_value_that_is_missing_and_nothing_stands_for_it_is_named() -> None:
    """Of a source that knows no lines: the column, and the row counted from 0."""
    numbers = ready(csv("a,b,y\n1,,0\n,4,1\n5,6,1\n", missing="median")).preprocessor
    table = table_of([[1.0, np.nan], [np.nan, 2.0]], ("a", "b"))
    assert numbers.encode_inputs(table, np.float64).tolist() == [[1.0, 5.0], [3.0, 2.0]]
    rules = {"b": {"missing": "median"}, "a": {"missing": "mean"}}
    strict = ready(csv("a,b,c,y\n1,,0,0\n,4,0,1\n5,6,1,1\n", columns=rules))
    bad = table_of([[1.0, np.nan, 2.0], [1.0, 2.0, np.nan]], ("a", "b", "c"))
    found = failing(strict.preprocessor.encode_inputs, bad, np.float64)
    assert found.text == "later, row 1 (counted from 0): column `c` has no value here"
    assert found.code == "missing-value"
    text = ready(csv("colour,y\nred,0\nblue,1\n")).preprocessor
    gaps = table_of(np.empty((2, 0)), (), texts={"colour": np.array(["red", ""], object)})
    found = failing(text.encode_inputs, gaps, np.float64)
    assert found.text == "later, row 1 (counted from 0): column `colour` has no value here"


def test_a_column_of_another_kind_than_in_training_is_named() -> None:
    numbers = ready(csv("a,y\n1,0\n2,1\n")).preprocessor
    text = ready(csv("a,y\nred,0\nblue,1\n")).preprocessor
    as_text = table_of(np.empty((1, 0)), (), texts={"a": np.array(["x"], object)})
    as_number = table_of([[1.0]], ("a",))
    assert failing(numbers.encode_inputs, as_text, np.float64).text == (
        "later: column `a` holds text, in training it held numbers"
    )
    assert failing(text.encode_inputs, as_number, np.float64).text == (
        "later: column `a` holds numbers, in training it held text"
    )
    assert failing(numbers.encode_inputs, table_of([[1.0]], ("b",)), np.float64).code == "missing-column"


def test_numbers_too_large_for_the_type_of_the_run_are_named_by_what_they_are() -> None:
    columns = ready(csv("a,c,b,y\n1,red,2,0\n3,blue,4,1\n")).preprocessor
    bad = Table(np.array([[1.0, 2.0], [1.0, 1e300]]), {"c": np.array(["red", "red"], object)}, ("a", "b"),
                ("a", "c", "b"), None, (), "later")  # fmt: skip
    found = failing(columns.encode_inputs, bad, np.float32)
    assert found.text == "later, row 1 (counted from 0): column `b` is too large for float32"
    assert found.help == "scale it (`scale: standardize`) or set `dtype: float64`"
    plain = ready(inline([[0, 1], [1, 2]], [0, 1])).preprocessor
    assert failing(plain.encode_inputs, table_of([[1.0, 1e300]]), np.float32).text == (
        "later, row 0 (counted from 0): input 1 is too large for float32"
    )
    image = ready(inline([[[0, 1], [1, 2]], [[0, 1], [1, 2]]], [0, 1])).preprocessor
    assert failing(image.encode_inputs, table_of([[[0.0, 1.0], [1e300, 2.0]]]), np.float32).text == (
        "later, row 0 (counted from 0): input (1, 0) is too large for float32"
    )


def test_targets_are_there_and_name_classes_that_are_known() -> None:
    classes = ready(inline([[0], [1]], [4, 7])).preprocessor
    rows = [[0.0], [1.0]]
    assert failing(classes.encode_target, table_of(rows)).text == "later has no target"
    assert classes.encode_target(table_of(rows, target=np.array([7, 4]))).tolist() == [1, 0]
    assert failing(classes.encode_target, table_of(rows, target=np.array([4, 5]))).text.startswith("later, row 1")
    assert failing(classes.encode_target, table_of(rows, target=np.array([[0.5], [1.5]]))).code == "not-classes"
    values = ready(inline([[0], [1]], [[0.5], [2]]), "values").preprocessor
    assert failing(values.encode_target, table_of(rows, target=np.array(["a", "b"], object))).text == (
        "later, row 0 (counted from 0): the target is `a`; the model predicts numbers"
    )
    large = table_of(rows, target=np.array([[1.0], [1e300]]))
    assert failing(values.encode_target, large, np.float32).text == (
        "later, row 1 (counted from 0): the target is too large for float32"
    )
