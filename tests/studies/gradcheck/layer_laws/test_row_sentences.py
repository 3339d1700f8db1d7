"""Where a batch is not what its rows give alone, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single_layers import DENSE, planned, single

from bpcli.family import Array
from bpcli.records.gradcheck import Finding
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch
from bpcli.studies.gradcheck.layer_laws.row_sentences import (
    block_in_words,
    columns_in_words,
    counted_rows,
    describe_rows,
    describe_sum,
    describe_values,
    indices_in_words,
    inputs_in_words,
    relation,
)
from bpcli.studies.gradcheck.layer_laws.single_layer import SingleLayer

RNG = np.random.default_rng(2)

# ------------------------------------------------------------------------------------------------------------- in words
WORDS = [
    ("row", [0], 1, "the only row"), ("row", [0, 1, 2], 3, "all 3 rows"), ("row", [2], 5, "row 2"),
    ("row", [2, 3], 5, "rows 2 to 3"), ("column", [1, 2, 3], 9, "columns 1 to 3"),
    ("row", [1, 3], 5, "rows 1, 3"), ("row", [1, 3, 5], 7, "every second row from 1 on"),
    ("row", [1, 3, 5], 8, "every second row from 1 on, to 5"), ("row", [0, 3, 6], 9, "every third row from 0 on"),
    ("row", [0, 3, 6], 10, "every third row from 0 on, to 6"),
    ("row", [0, 5, 10], 11, "every 5th row from 0 on"), ("row", [0, 1, 3], 9, "rows 0, 1, 3"),
    ("row", [0, 1, 3, 7], 9, "rows 0, 1, 3, 7"), ("row", [0, 1, 3, 7, 8], 9, "rows 0, 1, 3, 7 and 1 more"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "wrong", "count", "words"), WORDS)
def test_rows_in_words(what: str, wrong: list[int], count: int, words: str) -> None:
    assert indices_in_words(what, wrong, count) == words


def test_columns_in_words() -> None:
    wrong = np.zeros((2, 3, 4), bool)
    wrong[:, 1:] = True
    assert columns_in_words(wrong) == ", in index 1 = 1 to 2"
    wrong[..., 0] = False
    assert columns_in_words(wrong) == ", in index 1 = 1 to 2 and channels 1 to 3"
    wrong[...] = True
    assert columns_in_words(wrong) == ""
    flat = np.array([[True, False, False, False], [True, False, True, False]])
    assert columns_in_words(flat) == ", in columns 0, 2"
    assert columns_in_words(flat[:1], "unit") == ", in unit 0"


def test_a_block_in_words() -> None:
    seen = np.ones((4, 3), bool)

    def said(index: Any, first: str = "row", some: Array = seen) -> str:
        wrong = np.zeros((4, 3), bool)
        wrong[index] = True
        return block_in_words(wrong & some, some, first)

    assert said(2) == "in row 2"
    assert said(2, "") == "in index 0 = 2"
    assert said((slice(None), 1)) == "in column 1"
    assert said((slice(1, 3), slice(0, 2))) == "in rows 1 to 2 and in columns 0 to 1"
    assert said(slice(None)) == ""
    assert said([]) == "", "nowhere"
    assert said(([0, 1], [0, 1])) == "", "no block"
    few = seen.copy()
    few[1, 0] = False
    assert said(2, some=few) == "in row 2"
    assert said(1, some=few) == "in row 1 and in columns 1 to 2", "as far as it was looked at"
    deep = np.zeros((2, 3, 4), bool)
    deep[:, 1, 3] = True
    assert block_in_words(deep, np.ones_like(deep), "row") == "in index 1 = 1 and in column 3"


def test_inputs_in_words() -> None:
    x = np.array([[0.0, 1.0], [-0.0, 2.5]])
    bad = x == 0
    assert inputs_in_words(bad, x) == " where x is 0"
    assert inputs_in_words(x == 2.5, x) == " where x is 2.5"
    assert inputs_in_words(x > 0, x) == ""
    assert inputs_in_words(bad, None) == inputs_in_words(bad[0], x) == ""


RELATIONS = [
    (2.0, "; kernel / alone = 2"), (-0.123456789, "; kernel / alone = -0.123457"), (0.0, "; they are 0 there"),
    (np.nan, "; these entries are never written"), (np.inf, "; they are not finite"),
    (6.0, "; kernel / alone = 6, the number of rows"), (1 / 6, "; kernel / alone = 1/6, a mean for a sum"),
]  # fmt: skip


@pytest.mark.parametrize(("factor", "words"), RELATIONS)
def test_how_numbers_are_related(factor: float, words: str) -> None:
    alone = RNG.normal(size=(6, 2))
    wrong = np.ones((6, 2), bool)
    wrong[0] = False
    with np.errstate(invalid="ignore"):
        batch = np.where(wrong, alone * factor, 77.0)
        assert relation(batch, alone, wrong, 6) == words
        if "number of rows" in words:
            assert relation(batch, alone, wrong) == "; kernel / alone = 6"


def test_numbers_that_are_related_in_no_way() -> None:
    alone, every = RNG.normal(size=(6, 2)), np.ones((6, 2), bool)
    assert relation(RNG.normal(size=(6, 2)), alone, every) == ""
    assert relation(np.ones((6, 2)), np.zeros((6, 2)), every) == "; alone they are 0"
    off = 2 * alone * (1 + 5e-7 * np.sign(RNG.normal(size=(6, 2))))
    assert relation(off, alone, every) == "; kernel / alone = 2"
    assert relation(2 * alone + 1e-4, alone, every) == ""
    some = np.full((6, 2), np.nan)
    some[0, 0] = 1.0
    assert relation(some, alone, every) == "; they are not finite"


def rows_mismatch(name: str, batch: Array, alone: Array) -> RowMismatch:
    return RowMismatch(name, len(batch), True, batch, alone, batch != alone)


def test_what_is_said_of_rows() -> None:
    alone = RNG.normal(size=(6, 3))
    batch = alone.copy()
    batch[4:] *= 3
    assert describe_rows("tanh_1.dx", rows_mismatch("dx", batch, alone), "alone") == Finding(
        "tanh_1.dx", "rows",
        "rows 4 to 5 of dx are not what these rows give alone; kernel / alone = 3: what a row gives must depend on "
        "that row only; look in backward for an index, a slice or a fixed number of rows",
    )  # fmt: skip
    batch = alone.copy()
    batch[4, 1] = 0
    found = describe_rows("tanh_1.y", rows_mismatch("y", batch, alone), "alone").text
    assert found.startswith("row 4 of y, in column 1 is not what these rows give alone; they are 0 there: ")
    assert "look in forward for" in found
    every = describe_rows("tanh_1.y", rows_mismatch("y", 2 * alone, alone), "declared").text
    assert every.startswith(
        "the layer declares rows_are_independent, and all 6 rows of y are others beside other rows;"
    )


def test_what_is_said_of_values() -> None:
    alone = RNG.normal(size=(6, 3))
    batch = alone.copy()
    batch[1::2, 2] = np.nan
    found = RowMismatch("dx", 6, True, batch, alone, np.isnan(batch))
    assert describe_values("tanh_1.dx", found, "threads").text.startswith(
        "every second row from 1 on of dx, in column 2 is others where two threads run the kernels"
    )
    b = RNG.normal(size=3)
    other = b * np.array([1, 1, 2])
    text = describe_values("dense_1.db", RowMismatch("db", 6, True, other, b, other != b), "scaled").text
    assert text.startswith("db, in column 2 is not so many times as large where dy is; kernel / alone = 2: ")


def sums(kept: Any, times: float = 1.0) -> str:
    """What is said where some rows are counted so many times in the gradient of a bias."""
    layer, inputs = single(DENSE, 12)
    factors = np.ones(12)
    factors[kept] = times
    alone = inputs.dy.sum(0)
    batch = factors @ inputs.dy
    found = RowMismatch("db", 12, True, batch, alone, batch != alone)
    return describe_sum("dense_1.db", found, layer, inputs).text


def test_which_rows_are_counted() -> None:
    start = "db of 12 rows is not the sum of what these rows give alone"
    assert sums(slice(5, 12), 0).startswith(
        f"{start}; only rows 0 to 4 are counted: every row of the batch counts once"
    )
    assert sums(slice(1, 12), 0).startswith(f"{start}; only rows 0 to 0 are counted")
    assert sums(slice(0, 12), 12).startswith(f"{start}; kernel / alone = 12, the number of rows: ")
    assert sums(slice(0, 12), 1 / 12).startswith(f"{start}; kernel / alone = 1/12, a mean for a sum: ")


def test_which_rows_are_counted_by_many_entries() -> None:
    layer = SingleLayer(planned({"type": "dense", "units": 30}), 12, np.float64)
    inputs = layer.inputs(12, 0)
    layer.take_weights(inputs)
    terms = np.stack([layer.run(inputs, k, k + 1, True)["db"] for k in range(12)])

    def said(rows: list[int], times: float) -> str:
        factors = np.ones(12)
        factors[rows] = times
        batch = factors @ terms
        found = RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool))
        return counted_rows(found, layer, inputs)

    assert said([0], 0) == "; row 0 is not counted"
    assert said([8, 9, 10, 11], 2) == "; rows 8 to 11 are counted 2 times"
    assert said([0, 3, 4], 0) == "; rows 0, 3, 4 are not counted"
    assert said([9], 0) == "", "no group of rows that was run"
    assert said(list(range(12)), 3) == "", "all alike: a ratio says that"
    assert said([8, 9, 10, 11], 0) == "; only rows 0 to 7 are counted"
    batch = terms.sum(0) + RNG.normal(size=30)
    found = RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool))
    assert counted_rows(found, layer, inputs) == ""
    batch[3] = np.nan
    assert counted_rows(RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool)), layer, inputs) == ""
