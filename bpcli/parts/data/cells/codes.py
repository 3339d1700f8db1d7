"""Digits that are no numbers: codes with leading zeros, whole numbers that float64 cannot tell apart, dates."""

from collections.abc import Sequence

from bpcli.parts.data.cells.dates import COMPACT_YEARS, written_date

EXACT_DIGITS = 15
"""Digits of a whole number up to which float64 always tells it from the next."""

EXACT_INTEGER = 2**53
"""The whole number from which on float64 does not."""

LEADING_ZEROS_SHARE = 0.01
"""Share of the rows from which on digits with leading zeros make a column of different widths one of codes."""


def are_codes(digits: Sequence[str], counts: Sequence[int]) -> bool:
    """Whether whole numbers (different cells of digits alone, and how many rows have each) are codes: some have leading
    zeros and all are equally wide (02134, 10001; a number is not written so), or a hundredth of the rows has them; or
    half of them are too large for float64 to tell them apart.

    Digits of equal width alone say nothing: prices from 100,000 on have six digits too.
    """
    zeros = [i for i, cell in enumerate(digits) if cell[0] == "0" and len(cell) > 1]
    if zeros:
        if len(set(map(len, digits))) == 1:
            return True
        return sum(counts[i] for i in zeros) >= LEADING_ZEROS_SHARE * sum(counts)
    large = sum(len(cell) > EXACT_DIGITS and int(cell) >= EXACT_INTEGER for cell in digits)
    return 0 < 2 * large >= len(digits)


def are_compact_dates(digits: Sequence[str]) -> bool:
    """Whether all cells are dates of eight digits (or twelve, fourteen: with a time), and differ: 20200131."""
    if len(digits) < 2 or not all(len(cell) in (8, 12, 14) for cell in digits):
        return False
    return all(map(_is_compact_date, digits))


def _is_compact_date(cell: str) -> bool:
    if not cell.isdigit() or int(cell[:4]) not in COMPACT_YEARS:
        return False
    found = written_date(cell)
    return found is not None and found.days("") is not None
