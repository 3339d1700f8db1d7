"""Predictions beside columns of the file that they were made for, under names that are all different."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from bpcli.records.training import Predictions, changed_rows

NO_COLUMNS: tuple[tuple[str, ...], Sequence[tuple[str, ...]]] = ((), ())
"""No columns to be kept: no names, no cells."""


def join_columns(
    found: Predictions, names: tuple[str, ...], cells: Sequence[tuple[str, ...]], *, row_numbers: bool = False
) -> Predictions:
    """Returns the predictions behind the columns `names`, whose `cells` there are for each row, and with `row_numbers`
    behind a first column `row`, which counts them from 0.

    Columns of the file keep their names. Where one of them has the name of a prediction, or another prediction has, the
    prediction is called `predicted_NAME`, and the number of the row `row_number`; with a `_` behind it until it is new.
    """
    taken = set(names)
    if row_numbers:
        taken.add(number := _new_name("row", "row_number", taken))
    columns = []
    for name in found.columns:
        columns.append(_new_name(name, f"predicted_{name}", taken))
        taken.add(columns[-1])
    rows = found.rows
    if names:
        if len(cells) != len(rows):
            raise ValueError(f"{len(cells)} rows of cells for {len(rows)} predictions")
        rows = changed_rows(rows, lambda i, row: (*cells[i], *row))
    if row_numbers:
        rows = changed_rows(rows, lambda i, row: (i, *row))
        names = (number, *names)
    return replace(found, columns=(*names, *columns), rows=rows)


def _new_name(name: str, other: str, taken: Collection[str]) -> str:
    """Returns the name, or where it is taken the other one, longer until it is not."""
    if name not in taken:
        return name
    while other in taken:
        other += "_"
    return other
