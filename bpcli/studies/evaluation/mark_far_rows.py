"""Rows that are far outside of what training saw: predictions of them are guesses."""

from dataclasses import replace

from bpcli.family import Table
from bpcli.records.training import Predictions, Problem, changed_rows
from bpcli.studies.dataset.far_off import far_cells
from bpcli.studies.dataset.preprocessor import Preprocessor

COLUMN = "warning"
"""The column that is added."""


def mark_far_rows(
    predictions: Predictions, preprocessor: Preprocessor, table: Table
) -> tuple[Predictions, tuple[Problem, ...]]:
    """Returns the predictions with a last column, and a line with the count of the rows that it marks: what they have
    far beyond the training rows' numbers with the usual range, or as a category that train does not have; "" for all
    others. A model that holds no limits of its numbers (an earlier version saved it, or its rows have no named columns)
    says so, and marks nothing by them."""
    marks: dict[int, list[str]] = {}
    for cell in far_cells(preprocessor.columns, table):
        marks.setdefault(cell.row, []).append(str(cell))
    for c in preprocessor.columns:
        if c.categories and c.name in table.texts:
            cells = table.texts[c.name]
            known = frozenset(c.categories)
            for code, category in enumerate(cells.categories):
                if category and category not in known:
                    for row in cells.rows_of(code).tolist():
                        marks.setdefault(row, []).append(f"{c.name} {category} (not in train)")
    rows = changed_rows(predictions.rows, lambda i, row: (*row, "; ".join(marks.get(i, ()))))
    text = f"rows far outside of what training saw: {len(marks):,} of {len(rows):,}"
    help = f"the column `{COLUMN}` says in what; such predictions are guesses" if marks else ""
    level = "warning" if marks else "note"
    warnings: tuple[Problem, ...] = (Problem(text, code="far-off", help=help, level=level),)
    of_numbers = [c for c in preprocessor.columns if c.kind in ("number", "date")]
    if not any(c.limits for c in of_numbers) and (of_numbers or not preprocessor.columns):
        text = "the model holds no limits of the numbers that training saw: no row is marked by them"
        help = "limits of named columns of numbers are saved with a model: train it again where an earlier version did"
        warnings = (Problem(text, code="no-limits", help=help, level="warning"), *(warnings if marks else ()))
    return replace(predictions, columns=(*predictions.columns, COLUMN), rows=rows), warnings
