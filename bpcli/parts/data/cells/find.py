"""How the cells of a column are written: found from all of its different cells, and what the settings say of it."""

import re
from collections.abc import Sequence
from string import ascii_letters

from bpcli.family import Kind
from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.clock import hours_of
from bpcli.parts.data.cells.codes import are_codes, are_compact_dates, are_compact_months
from bpcli.parts.data.cells.dress import DressedNumber, is_usual_unit
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem, PresentCells
from bpcli.parts.data.cells.find_dates import date_format, read_dates
from bpcli.parts.data.cells.find_numbers import number_format, read_numbers
from bpcli.parts.data.cells.find_times import time_format
from bpcli.parts.data.cells.missing import MISSING_WORDS, is_missing
from bpcli.parts.data.cells.plain import PAIRS, values_at_once

HALF_OR_MINUTES = re.compile(r"[ap]\.?m\.?|h\d\d", re.I)
"""What stands behind hours, and is no unit: 2 pm, 14h30."""

CELLS_TRIED = 1000
"""Different cells that are tried before all of a column with more than twice as many."""


def find_format(
    cells: Sequence[str], counts: Sequence[int], rules: CellRules | None = None
) -> ColumnFormat | FormatProblem:
    """Returns how the cells of a column are written, by all of its different cells and how many rows have each; what
    the settings say holds. A problem where two formats stand in it, or one has to be chosen.

    A column holds numbers, times or dates where nearly all present cells are such (so that one that is not will be
    named), booleans where all are words of one pair for yes and no and both occur, else text.
    """
    rules = rules or CellRules()
    if rules.kind in ("text", "boolean"):
        return ColumnFormat(rules.kind, missing_values=rules.missing_values)
    present = present_cells(cells, counts, rules)
    if rules.kind is not None:
        return _of_kind(present, rules)
    if not present.cells:
        kind: Kind = "number" if all(is_missing(cell, "boolean", rules.missing_values) for cell in cells) else "text"
        return ColumnFormat(kind, missing_values=rules.missing_values)
    return _plain(present, rules) or _measured(present, rules) or _words(cells, rules)


def present_cells(cells: Sequence[str], counts: Sequence[int], rules: CellRules) -> PresentCells:
    """Returns the cells that would have a value in a column of numbers."""
    named = rules.missing_values
    known = [(cell.strip(), n) for cell, n in zip(cells, counts, strict=True) if not is_missing(cell, "number", named)]
    return PresentCells(tuple(cell for cell, _ in known), tuple(n for _, n in known))


def are_plain_numbers(cells: Sequence[str]) -> bool:
    """Whether cells are numbers as `float` takes them and nothing else, as far as these say: no codes, no dates."""
    return values_at_once(cells, "number", ".") is not None and not _are_other_digits(cells, [1] * len(cells))


def _are_other_digits(cells: Sequence[str], counts: Sequence[int]) -> bool:
    whole = all(map(str.isdigit, cells))
    return whole and (are_codes(cells, counts) or are_compact_dates(cells) or are_compact_months(cells, 1))


def _plain(present: PresentCells, rules: CellRules) -> ColumnFormat | None:
    """Returns the format of a column whose cells all are numbers as `float` takes them; None for any other."""
    if rules.unit is not None or values_at_once(present.cells, "number", ".") is None:
        return None
    digits = [cell.lstrip("-") for cell in present.cells]
    if all(map(str.isdigit, digits)):  # marks of numbers say nothing of codes and dates
        dates = are_compact_dates(present.cells) or are_compact_months(present.cells)
        kind: Kind | None = "date" if dates else None
        kind = kind or ("text" if are_codes(digits, present.counts) else None)
        if kind is not None:
            return ColumnFormat(kind, missing_values=rules.missing_values)
    if rules.decimal == "," or rules.thousands is not None:
        return None
    if rules.file_decimal == "," and any("." in cell for cell in present.cells):
        return None
    return ColumnFormat("number", missing_values=rules.missing_values)


def _measured(present: PresentCells, rules: CellRules) -> ColumnFormat | FormatProblem | None:
    """Returns the format of numbers in dress, times or dates; None where a column holds none of them."""
    if len(present.cells) > 2 * CELLS_TRIED and not may_be_measured(present.cells, rules):
        return None
    numbers = read_numbers(present.cells, rules)
    problem = None
    if present.nearly_all(numbers):
        if are_codes_among(present, numbers):
            return ColumnFormat("text", missing_values=rules.missing_values)
        found = number_format(present, numbers, rules)
        if isinstance(found, ColumnFormat) and not HALF_OR_MINUTES.fullmatch(found.unit):
            return found
        problem = found if isinstance(found, FormatProblem) else None
    if present.nearly_all([hours_of(cell) for cell in present.cells]):
        return time_format(present, rules)
    dates = read_dates(present.cells)
    return date_format(present, dates, rules) if present.nearly_all(dates) else problem


def may_be_measured(cells: Sequence[str], rules: CellRules) -> bool:
    """Whether half of some cells, evenly apart, are numbers, times or dates; of words hardly one in a hundred is."""
    some = cells[:: len(cells) // CELLS_TRIED]
    kinds = read_numbers(some, rules), [hours_of(cell) for cell in some], read_dates(some)
    return any(2 * sum(fit is not None for fit in fits) >= len(some) for fits in kinds)


def are_codes_among(present: PresentCells, numbers: Sequence[DressedNumber | None]) -> bool:
    """Whether the cells of digits, alone or with a letter behind them (00259A), are most of a column, and codes."""
    digits = present.only([True if n is not None and cell.rstrip(ascii_letters) == n.digits and _is_code(n) else None
                           for cell, n in zip(present.cells, numbers, strict=True)])  # fmt: skip
    cells = [cell.rstrip(ascii_letters) for cell in digits.cells]
    return 2 * len(cells) > len(present.cells) and are_codes(cells, digits.counts)


def _is_code(number: DressedNumber) -> bool:
    """Whether digits may be a code: alone, or with one letter behind them that is none of a usual unit's."""
    unit = number.unit
    return number.digits.isdigit() and (not unit or (len(unit) == 1 and unit.isascii() and not is_usual_unit(unit)))


def _words(cells: Sequence[str], rules: CellRules) -> ColumnFormat:
    """Returns the format of a column of words."""
    present = {cell.strip().lower() for cell in cells} - ({""} if "" in rules.missing_values else MISSING_WORDS)
    kind: Kind = "boolean" if present in map(set, PAIRS) else "text"
    return ColumnFormat(kind, missing_values=rules.missing_values)


def _of_kind(present: PresentCells, rules: CellRules) -> ColumnFormat | FormatProblem:
    """Returns the format of a column that is declared to hold numbers or dates."""
    if rules.kind == "date":
        return date_format(present, read_dates(present.cells), rules)
    numbers = read_numbers(present.cells, rules)
    hours = [hours_of(cell) for cell in present.cells]
    if sum(h is not None for h in hours) > sum(n is not None for n in numbers):
        return time_format(present, rules)
    found = number_format(present, numbers, rules)
    return found or ColumnFormat("number", missing_values=rules.missing_values)
