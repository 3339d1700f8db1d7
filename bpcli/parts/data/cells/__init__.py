"""What the cells of text files mean: numbers, times, dates, words for yes and no, missing values; and how the cells of
one column are written, found from all of them."""

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.dates import days_of
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem
from bpcli.parts.data.cells.find import are_plain_numbers, find_format, present_cells
from bpcli.parts.data.cells.format import CellValues, cell_reader, cell_values, is_gap
from bpcli.parts.data.cells.missing import MISSING_WORDS, is_missing
from bpcli.parts.data.cells.nearly import NearlyMeasured, nearly_measured
from bpcli.parts.data.cells.plain import (
    has_decimal_commas,
    is_meant_as_number,
    number_of,
)
from bpcli.parts.data.cells.sentinels import sentinels_of, usual_sentinels

__all__ = [
    "MISSING_WORDS", "CellRules", "CellValues", "ColumnFormat", "FormatProblem", "NearlyMeasured",
    "are_plain_numbers", "cell_reader", "cell_values", "days_of", "find_format", "has_decimal_commas", "is_gap",
    "is_meant_as_number", "is_missing", "nearly_measured", "number_of", "present_cells", "sentinels_of",
    "usual_sentinels",
]  # fmt: skip
