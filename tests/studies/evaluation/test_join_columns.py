"""Predictions beside columns of their file: names that are all different, by one rule."""

from __future__ import annotations

import pytest

from bpcli.records.training import Predictions, Problem
from bpcli.studies.evaluation.join_columns import NO_COLUMNS, join_columns

FOUND = Predictions(("y", "p(a)"), [("a", 0.5), ("b", 0.25)], (Problem("odd"),))


def test_what_is_kept_stands_before_the_predictions_and_the_number_of_the_row_before_all() -> None:
    found = join_columns(FOUND, ("id", "x"), [("007", ""), ("8", "1")], row_numbers=True)
    assert found.columns == ("row", "id", "x", "y", "p(a)")
    assert list(found.rows) == [(0, "007", "", "a", 0.5), (1, "8", "1", "b", 0.25)]
    assert found.warnings == FOUND.warnings
    assert join_columns(FOUND, *NO_COLUMNS) == FOUND
    assert join_columns(FOUND, *NO_COLUMNS, row_numbers=True).columns == ("row", "y", "p(a)")


@pytest.mark.parametrize(
    ("kept", "predicted", "names"),
    [
        (("y",), ("y", "p(a)"), ("row", "y", "predicted_y", "p(a)")),
        (("p(a)", "row"), ("y", "p(a)"), ("row_number", "p(a)", "row", "y", "predicted_p(a)")),
        (("y", "predicted_y"), ("y",), ("row", "y", "predicted_y", "predicted_y_")),
        ((), ("p(a)", "p(a)", "p(b)"), ("row", "p(a)", "predicted_p(a)", "p(b)")),  # a target that is called p(a)
        ((), ("row", "p(a)"), ("row", "predicted_row", "p(a)")),
        (("y",), ("predicted_y", "y"), ("row", "y", "predicted_y", "predicted_y_")),
        (("row", "row_number", "row_number_"), ("y",), ("row_number__", "row", "row_number", "row_number_", "y")),
    ],
)
def test_columns_of_the_file_keep_their_names(
    kept: tuple[str, ...], predicted: tuple[str, ...], names: tuple[str, ...]
) -> None:
    found = Predictions(predicted, [tuple(range(len(predicted)))])
    joined = join_columns(found, kept, [tuple("c" * len(kept))], row_numbers=True)
    assert joined.columns == names
    assert len(set(names)) == len(names) == len(next(iter(joined.rows)))


def test_a_row_that_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 rows of cells for 2 predictions"):
        join_columns(FOUND, ("id",), [("7",)])
