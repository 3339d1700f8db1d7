"""Symptoms of data in whole experiments: inputs, targets, classes, columns, repeated rows and how many there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from experiments_to_diagnose import CLASSES, HIDDEN, VALUES, X, config, found_by, loaded, values, worst
from own_parts import own as own

from bpcli.studies.diagnose.diagnosis_context import open_context


def test_a_column_that_dwarfs_the_others(tmp_path: Path) -> None:
    x = X * [1e-3, 1e-3, 1e-3, 2.0]
    ill = worst("inputs", config(tmp_path, x=x))
    assert ill.level == "warning"
    assert "input 3" in ill.place
    assert "deviation" in ill.figure


def test_a_norm_in_front_takes_inputs_as_they_are(tmp_path: Path) -> None:
    assert worst("inputs", config(tmp_path, x=60 * X, layers=["batch_norm", *HIDDEN])).level == "ok"


@pytest.mark.parametrize(("without", "level"), [("", "ok"), ("normalizes", "warning")])
def test_a_norm_of_a_users_own_in_front(without: str, level: str, own: Path) -> None:
    loaded(own, without)
    assert worst("inputs", config(own, x=60 * X, layers=["unit", *HIDDEN])).level == level


def test_a_norm_without_gains_in_front_is_one(tmp_path: Path) -> None:
    layers = [{"type": "batch_norm", "affine": False}, *HIDDEN]
    assert worst("inputs", config(tmp_path, x=60 * X, layers=layers)).level == "ok"


def test_targets_far_from_where_outputs_start(tmp_path: Path) -> None:
    file = values(tmp_path, t=(500 + 100 * VALUES))
    ill = worst("targets", file)
    assert ill.level == "warning"
    assert ill.cures[0].sets == ("data.scale_target=standardize",)
    assert worst("targets", file, ["data.scale_target=standardize"]).level == "ok"


def test_targets_that_the_last_activation_cannot_reach(tmp_path: Path) -> None:
    ill = worst("targets", values(tmp_path, t=3 * VALUES, last="sigmoid"))
    assert ill.level == "warning"
    assert "from 0 to 1" in ill.figure
    assert ill.cures[0].sets == ("architecture.1.activation=null",)
    assert not found_by("targets", open_context(values(tmp_path, t=(VALUES + 1) / 2, last="sigmoid")))


def test_few_rows_of_a_class(tmp_path: Path) -> None:
    t = np.r_[np.zeros(80, int), np.ones(6, int), np.full(4, 2)]
    file = config(tmp_path, t=t)
    ill = worst("classes", file)
    counts = np.bincount(open_context(file).train.t)
    assert ill.level == "warning"
    assert ill.value == counts.max() / counts.min()
    assert worst("classes", file, ill.cures[0].sets).level == "ok"
    assert worst("classes", file, ["loss={type: focal, alpha: balanced}"]).level == "ok"
    assert worst("classes", file, ["loss={type: focal, alpha: 0.5}"]).level == "warning", "a factor for all rows"
    assert worst("classes", config(tmp_path)).level == "ok"


def test_constant_and_duplicate_columns(tmp_path: Path) -> None:
    lines = ["a,b,c,d,kind"]
    for row, k in zip(X, CLASSES, strict=True):
        lines.append(f"{row[0]},{1 - 3 * row[0]:.6f},7,{row[1]},k{k}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    file = config(tmp_path)
    sets = ["data.train={type: csv, path: rows.csv, target: kind}", "data.scale=standardize"]
    found = {s.place: s for s in found_by("columns", open_context(file, sets))}
    assert set(found) == {"constant", "duplicate"}
    assert "c" in found["constant"].figure
    assert found["constant"].cures[0].sets == ("data.train.drop=[c]",)
    assert found["duplicate"].figure.endswith("b with a")
    dropped = [*sets, "data.train.drop=[b, c]"]
    assert [s.level for s in found_by("columns", open_context(file, dropped))] == ["ok"]


def test_the_two_categories_of_a_column_are_no_duplicates(tmp_path: Path) -> None:
    lines = ["a,sex,kind", *(f"{row[0]},{'fm'[i % 2]},k{k}" for i, (row, k) in enumerate(zip(X, CLASSES, strict=True)))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    context = open_context(config(tmp_path), ["data.train={type: csv, path: rows.csv, target: kind}"])
    assert [s.level for s in found_by("columns", context)] == ["ok"]


def test_rows_that_stand_in_two_splits(tmp_path: Path) -> None:
    file = config(tmp_path, x=np.r_[X[:45], X[:45]], t=np.r_[CLASSES[:45], CLASSES[:45]], data={"test": 0.3})
    context = open_context(file)
    train = {row.tobytes() for row in context.splits["train"].x}
    shared = sum(row.tobytes() in train for row in context.splits["test"].x)
    ill = worst("rows", file)
    assert ill.level == "warning"
    assert ill.place == "test"
    assert ill.value == shared / len(context.splits["test"].x)
    assert worst("rows", config(tmp_path, data={"test": 0.3})).level == "ok"


def test_equal_rows_with_different_targets(tmp_path: Path) -> None:
    t = np.r_[CLASSES[:45], (CLASSES[:45] + 1) % 3]
    ill = worst("rows", config(tmp_path, x=np.r_[X[:45], X[:45]], t=t, data={}))
    assert ill.level == "warning"
    assert ill.place == "train"
    assert ill.value == 1.0


def test_no_rows_to_judge_by_and_few_steps(tmp_path: Path) -> None:
    big = np.r_[X, X + 0.5]
    file = config(tmp_path, x=big, t=np.r_[CLASSES, CLASSES], data={}, training={"epochs": 2, "batch_size": 180})
    found = {s.place: s for s in found_by("amounts", open_context(file))}
    assert set(found) == {"validation", "steps"}
    assert {s.level for s in found.values()} == {"notice"}
    assert not found_by("amounts", open_context(config(tmp_path)))
