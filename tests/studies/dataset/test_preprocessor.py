"""Rules applied to later files, and kept in the model file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, inline, ready, same

from bpcli.family.plan import Array
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.inline import Inline
from bpcli.parts.data.npz import Npz
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.prepare import prepare_for
from bpcli.studies.dataset.preprocessor import Preprocessor


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
