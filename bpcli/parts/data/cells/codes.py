"""Digits that are no numbers: codes with leading zeros, whole numbers that float64 cannot tell apart, dates."""

import math
import re
from collections.abc import Sequence

import numpy as np

from bpcli.family import Array
from bpcli.parts.data.cells.dates import COMPACT_YEARS, written_date

EXACT_DIGITS = 15
"""Digits of a whole number up to which float64 always tells it from the next."""

EXACT_INTEGER = 2**53
"""The whole number from which on float64 does not."""

LEADING_ZEROS_SHARE = 0.01
"""Share of the rows from which on digits with leading zeros make a column of different widths one of codes."""

MOST_NAMES = 1000
"""Different whole numbers up to which they may be names, where their column is not called so."""

ROWS_PER_NAME = 20
"""Rows of each, on average, from which on numbers come back as names do."""

ROWS_PER_CODE = 5
"""Likewise in a column that is called by a word for nothing but codes."""

NAME_DIGITS = 5
"""Digits from which on numbers that are all equally wide may be names, where their column is not called so."""

CODE_DIGITS = 3
"""Digits of the longest of them, where it is."""

SURE_WORDS = frozenset({
    "zip", "zipcode", "postcode", "postal", "plz", "insee", "fips", "naics", "sic", "isco", "sku", "ean", "gtin", "upc",
    "isbn",
})  # fmt: skip
"""Words at the end of the name of a column of codes; its numbers may follow each other without gaps."""

CODE_WORDS = frozenset(("code", "store", "shop", "id"))
"""Other such words: the numbers have gaps between them."""

_OF_NUMBERS = frozenset(("no", "nr", "nbr", "num", "number", "code", "id"))
_WORD = re.compile(r"[^\W\d_]+")
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")

MIN_MONTHS = 6
"""Different numbers of six digits from which on they may be months."""

NAME_STEP = 10
"""Amounts that come back are multiples of this, or more (20000, 25500); names are not."""


def is_called_code(name: str, words: frozenset[str] = CODE_WORDS | SURE_WORDS) -> bool:
    """Whether the name of a column ends in one of the words, which say that it holds codes: `zip`, `PostalCode`,
    `store_nbr`; `store_sales` ends in another."""
    found = [word.lower() for word in _WORD.findall(_INNER_CAPITAL.sub(" ", name))]
    while len(found) > 1 and found[-1] in _OF_NUMBERS - words:
        found.pop()
    return bool(found) and found[-1] in words


def are_names(values: Array, counts: Array, name: str) -> bool:
    """Whether whole numbers seem to be names, of places or products, and no amounts: they come back, without a common
    step, and with wide gaps between them (years have none); all of the same five digits or more, or, where the column
    is called a code, the longest of three or more (another program may have dropped zeros in front). A first guess for
    `init` to say: a file is never read so by itself.

    values: n, the different numbers of a column (NaN is passed over); counts: n, how often each comes.
    """
    known = ~np.isnan(values)
    values, counts = values[known], counts[known]
    sure, called = is_called_code(name, SURE_WORDS), is_called_code(name)
    each = ROWS_PER_CODE if sure else ROWS_PER_NAME
    if len(values) < 3 or counts.sum() < each * len(values) or (len(values) > MOST_NAMES and not called):
        return False
    if (values != np.floor(values)).any() or values.min() < 1 or values.max() >= EXACT_INTEGER:
        return False
    shortest, longest = len(str(int(values.min()))), len(str(int(values.max())))
    if sure:
        return longest >= CODE_DIGITS
    wide = longest >= CODE_DIGITS if called else shortest == longest >= NAME_DIGITS
    numbers = [int(v) for v in values.tolist()]
    return wide and math.gcd(*numbers) < NAME_STEP and max(numbers) - min(numbers) > 3 * len(numbers)


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
    large = sum(len(cell) > EXACT_DIGITS and int(cell[:20]) >= EXACT_INTEGER for cell in digits)
    return 0 < 2 * large >= len(digits)


def are_compact_dates(digits: Sequence[str]) -> bool:
    """Whether all cells are dates of eight digits (or twelve, fourteen: with a time), and differ: 20200131; but for
    what stands for none: 0, 00000000, 99999999, 99991231."""
    dates = [cell for cell in digits if cell[:4] != "9999" and cell.strip("0")]
    return len(dates) > 1 and all(len(cell) in (8, 12, 14) and _is_compact_date(cell) for cell in dates)


def are_compact_months(digits: Sequence[str], least: int = MIN_MONTHS) -> bool:
    """Whether cells are months of six digits, `least` different ones or more, of several years: 201512, 201601. Of six
    other numbers hardly all would end in 01 to 12."""
    found = set(digits)
    months = len(found) >= least and all(len(cell) == 6 and "01" <= cell[4:] <= "12" for cell in found)
    years = {cell[:4] for cell in found}
    return months and (least < 2 or len(years) > 1) and all(int(year) in COMPACT_YEARS for year in years)


def _is_compact_date(cell: str) -> bool:
    if not cell.isdecimal() or int(cell[:4]) not in COMPACT_YEARS:
        return False
    found = written_date(cell)
    return found is not None and found.days("") is not None
