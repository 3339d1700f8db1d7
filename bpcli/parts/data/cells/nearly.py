"""Columns of text of which most cells are numbers, times or dates, and not all."""

from collections.abc import Sequence
from dataclasses import dataclass

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.clock import hours_of
from bpcli.parts.data.cells.evidence import FEW_VALUES, CellRules, FormatProblem, PresentCells, are_codes_alike
from bpcli.parts.data.cells.find import CELLS_TRIED, are_codes_among, may_be_measured, present_cells
from bpcli.parts.data.cells.find_dates import date_format, read_dates
from bpcli.parts.data.cells.find_numbers import number_format, read_numbers
from bpcli.parts.data.cells.find_times import time_format


@dataclass(frozen=True)
class NearlyMeasured:
    """A column of text most of whose cells are numbers, times or dates (`what`), in so many of the `rows` that have a
    value; the other cells, the most frequent first."""

    what: str
    count: int
    rows: int
    others: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.count:,} of {self.rows:,} cells are {self.what}"


def nearly_measured(cells: Sequence[str], counts: Sequence[int]) -> NearlyMeasured | None:
    """Returns what most of the different cells of a column are that was found to be text, `counts` rows having each;
    None where it is text by nature: words, codes, or few values of which one is a category (`5 or more`)."""
    rules = CellRules()
    present = present_cells(cells, counts, rules)
    rows = sum(present.counts)
    if len(present.cells) > 2 * CELLS_TRIED and not may_be_measured(present.cells, rules):
        return None
    numbers, dates = read_numbers(present.cells, rules), read_dates(present.cells)
    hours = [hours_of(cell) for cell in present.cells]
    kinds: list[tuple[str, Sequence[object]]] = [("numbers", numbers), ("times", hours), ("dates", dates)]
    what, fits = max(kinds, key=lambda kind: sum(present.only(kind[1]).counts))
    like = present.only(fits)
    others = present.only([True if fit is None else None for fit in fits])
    if not others.cells or len(like.cells) <= FEW_VALUES or 2 * sum(like.counts) <= rows:
        return None
    are_codes = are_codes_alike(others.cells) or are_codes_among(present, numbers)
    if are_codes or _format(like, what, rules) is None:
        return None
    by_count = sorted(zip(others.counts, others.cells, strict=True), key=lambda other: -other[0])
    return NearlyMeasured(what, sum(like.counts), rows, tuple(cell for _, cell in by_count))


def _format(like: PresentCells, what: str, rules: CellRules) -> ColumnFormat | FormatProblem | None:
    """Returns how the cells are written that are like the others, None where they are no such column by themselves."""
    if what == "dates":
        return date_format(like, read_dates(like.cells), rules)
    return time_format(like, rules) if what == "times" else number_format(like, read_numbers(like.cells, rules), rules)
