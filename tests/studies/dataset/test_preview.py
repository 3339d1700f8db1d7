"""Rows that stand in two splits are found by hashes of their bits; numbers that stand for no value are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv

from bpcli.config.data import Data
from bpcli.family.plan import Array
from bpcli.studies.dataset import preview
from bpcli.studies.dataset.prepare import prepare
from bpcli.studies.dataset.preview import duplicate_warnings, row_hashes, sentinel_warnings

RNG = np.random.default_rng(0)


def test_equal_rows_have_equal_hashes_and_others_have_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their type, in one block or in many; -0 is 0."""
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    t = RNG.integers(0, 3, 50)
    hashes = row_hashes(x, t)
    assert len(set(hashes.tolist())) == 50
    assert np.array_equal(row_hashes(x.astype(np.float64), t.astype(np.float64)), hashes)
    assert np.array_equal(row_hashes(x.reshape(50, 3, 1), t[:, None]), hashes)
    monkeypatch.setattr(preview, "NUMBERS_PER_BLOCK", 7)
    assert np.array_equal(row_hashes(x, t), hashes)
    assert row_hashes(np.array([[-0.0]])) == row_hashes(np.array([[0.0]]))
    assert not (row_hashes(x[:, ::-1], t) == hashes).any(), "columns are told apart"
    assert not (row_hashes(x, t + 1) == hashes).any()


def test_numbers_that_differ_in_their_highest_bits_alone_are_told_apart() -> None:
    """The bits 63, 32 and 1: their mixture has the highest bit alone, which an even weight would lose."""
    one = np.array([[1.5]])
    bits = one.view(np.uint64) ^ np.uint64(1 << 63 | 1 << 32 | 1 << 1)
    assert row_hashes(one) != row_hashes(bits.view(np.float64))


def test_numbers_that_differ_in_their_last_bit_alone_are_told_apart() -> None:
    assert row_hashes(np.array([[1.5]])) != row_hashes(np.array([[np.nextafter(1.5, 2.0)]]))


def test_rows_of_train_that_stand_in_another_split_are_counted() -> None:
    def pair(x: Array) -> tuple[Array, Array]:
        return x, np.zeros(len(x), np.int64)

    x = RNG.normal(size=(1200, 2))
    other = np.concatenate([x[:2], RNG.normal(size=(1098, 2))])
    (found,) = duplicate_warnings({"train": pair(x), "validation": pair(RNG.normal(size=(9, 2))), "test": pair(other)})
    assert found.text == "2 of 1,100 test rows stand in train too, inputs and target alike"
    assert (found.code, found.level, found.path) == ("twice", "warning", ("data",))
    assert duplicate_warnings({"train": pair(x)}) == ()
    labelled = {"train": pair(x), "test": (other, np.ones(len(other), np.int64))}
    assert duplicate_warnings(labelled) == (), "the target is another"


@pytest.mark.parametrize(
    "settings", [{"encoding": "frequency"}, {"encoding": "frequency", "min_rows": 5}, {"max_categories": 1}, {}]
)
@pytest.mark.parametrize("other", [False, True], ids=["one file", "two files"])
def test_rows_whose_cells_differ_do_not_repeat_though_the_model_tells_them_not_apart(
    settings: dict[str, Any], other: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streets of a row or two each and a date of which the month is an input; 8 rows do repeat."""
    monkeypatch.chdir(tmp_path)
    rows = [f"s{i % 90},{i % 2},2020-01-{1 + i % 28:02}" for i in range(96)]
    rows += rows[:8]
    if other:
        Path("b.csv").write_text("town,y,when\n" + "\n".join(rows[92:]) + "\n")
    column = [] if other else ["train"] * 92 + ["test"] * 12
    train = (
        csv("\n".join(["town,y,when", *rows[:92]]) + "\n")
        if other
        else csv(
            "\n".join(["town,y,when,part", *(f"{row},{part}" for row, part in zip(rows, column, strict=True))]) + "\n"
        )
    )
    train |= {"unseen": "ignore", "columns": {"town": settings, "when": {"parts": ["month"]}}}
    rest = {"test": {**train, "path": "b.csv"}} if other else {"split": {"column": "part"}}
    data = Data.model_validate({"train": train, **rest})
    found = prepare(data, targets="classes", seed=7, dtype=np.dtype("float64"), root=Path(), keep=True)
    pairs = {name: (split.x, split.t) for name, split in found.splits.items()}
    (warning,) = duplicate_warnings(pairs, 0.0, found.origins, found.preprocessor.columns)
    assert warning.text == "8 of 12 test rows stand in train too, inputs and target alike"
    (blind,) = duplicate_warnings(pairs)
    assert blind.text.startswith("12 of 12")


@pytest.mark.parametrize(
    ("odd", "text", "help"),
    [(("-999",), "-999 stands far apart", "if it does, write"),
     (("-999", "-1"), "-999 and -1 stand far apart", "if they do, write")],
)  # fmt: skip
def test_numbers_that_stand_for_no_value_are_named_with_the_line(odd: tuple[str, ...], text: str, help: str) -> None:
    (problem,) = sentinel_warnings({"x": odd})
    assert problem.text.startswith(f"column `x`: {text} from all other values, as what says that there is no value")
    assert problem.help.startswith(help)
    assert f"missing_values: [{', '.join(odd)}]" in problem.help
