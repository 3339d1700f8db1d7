"""What the cells of text files mean: numbers, times, dates, words for yes and no, missing values; and how the cells of
one column are written, found from all of them."""

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.dates import ISO_DATE, days_of
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem
from bpcli.parts.data.cells.find import are_plain_numbers, find_format
from bpcli.parts.data.cells.format import CellValues, cell_reader, cell_values
from bpcli.parts.data.cells.missing import MISSING_WORDS, find_sentinels, is_missing
from bpcli.parts.data.cells.plain import (
    PAIRS,
    column_kind,
    has_decimal_commas,
    is_meant_as_number,
    number_of,
    value_of,
    values,
)

__all__ = [
    "ISO_DATE", "MISSING_WORDS", "PAIRS", "CellRules", "CellValues", "ColumnFormat", "FormatProblem",
    "are_plain_numbers", "cell_reader", "cell_values", "column_kind", "days_of", "find_format", "find_sentinels",
    "has_decimal_commas", "is_meant_as_number", "is_missing", "number_of", "value_of", "values",
]  # fmt: skip
