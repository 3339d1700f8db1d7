"""What is known of a column before its format is: its different cells, and what the settings say; or why none fits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from bpcli.family.cell_format import DateOrder, DecimalMark, Kind, ThousandsMark

STRANGERS_SHARE = 0.1
"""Share of a column's rows from which on cells of another kind are no typing errors: the column is text. A column whose
tenth cell is wrong is nobody's numbers; in public files with typing errors these stay far below."""

FEW_VALUES = 20
"""Different numbers up to which a word that comes back among them is a category: 2, 3, 4, 5 and `5 or more`."""

SIMILAR_STRANGERS = 4
"""Different cells of letters and digits, all in one pattern, from which on numbers among them are codes: 536365 and
C536379. Typing errors differ from each other."""

_PATTERN = (re.compile(r"[^\W\d_]+"), re.compile(r"\d+"))


@dataclass(frozen=True)
class CellRules:
    """What the settings say of the cells of a column; what is None is found in them. `file_decimal` is what stands
    before fractions in other columns of the file.

    Where marks and the order of dates are said `for_all` columns, they decide what a column leaves open; said for this
    one, they hold, and a cell that is written in another way is wrong.
    """

    kind: Kind | None = None
    decimal: DecimalMark | None = None
    thousands: ThousandsMark | None = None
    date_order: DateOrder | None = None
    unit: str | None = None
    missing_values: tuple[str, ...] = ()
    file_decimal: DecimalMark = "."
    for_all: bool = False


@dataclass(frozen=True)
class FormatProblem:
    """Why no format fits a column: what is wrong with it (to be read after "column `x`: "), cells that show it, and the
    settings that would settle it, key and value; `kind` is what its cells nearly are."""

    code: str
    text: str
    cells: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = field(default=())
    help: str = ""
    kind: Kind = "number"


@dataclass(frozen=True)
class PresentCells:
    """The different cells of a column that are not missing, stripped, and how many rows have each."""

    cells: tuple[str, ...]
    counts: tuple[int, ...]

    def nearly_all(self, fits: Sequence[object]) -> bool:
        """Whether the cells that fit a kind (not None) make the column one of it, so that others are typing errors: one
        row, or one word that comes back among many numbers, or few rows of different cells that are no codes."""
        known = [fit is not None for fit in fits]
        strangers = [cell for cell, fit in zip(self.cells, known, strict=True) if not fit]
        if not strangers:
            return bool(known)
        rows, likes = sum(self.counts), len(known) - len(strangers)
        odd = sum(n for n, fit in zip(self.counts, known, strict=True) if not fit)
        if odd == 1:
            return 2 * odd <= rows
        if likes <= FEW_VALUES and rows - odd >= 2 * likes:
            return False
        if len(strangers) == 1:
            return 2 * odd <= rows
        return odd < STRANGERS_SHARE * rows and not are_codes_alike(strangers)

    def only(self, fits: Sequence[object]) -> "PresentCells":
        """Returns the cells that fit."""
        known = [fit is not None for fit in fits]
        return PresentCells(tuple(compress(self.cells, known)), tuple(compress(self.counts, known)))


def are_codes_alike(cells: Sequence[str]) -> bool:
    """Whether cells of letters and digits follow one pattern, or so many are such that they cannot be errors."""
    mixed = [cell for cell in cells if any(map(str.isdigit, cell)) and any(map(str.isalpha, cell))]
    letters, digits = _PATTERN
    patterns = {digits.sub("9", letters.sub("A", cell)) for cell in mixed}
    return len(mixed) >= SIMILAR_STRANGERS and (len(patterns) == 1 or len(mixed) >= 3 * SIMILAR_STRANGERS)
