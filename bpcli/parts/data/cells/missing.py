"""Words that stand where there is no value, and what the settings name beside them."""

from collections.abc import Collection

import numpy as np

from bpcli.family import Array, Kind

MISSING_WORDS = frozenset({"", "?", "na", "n/a", "#n/a", "null", "none"})
"""What stands where there is no value; `nan` among numbers and `nat` among dates do too. `none` may be a category."""

MISSING_AMONG_NUMBERS = frozenset({
    ".", "..", "...", "-", "--", "---", "–", "—", "_", "*", "??", "???", "nan", "-nan", "+nan", "nat", "nil", "void",
    "n.a.", "n.a", "n.d.", "n.d", "n/d", "nd", "n.v.", "k.a.", "s.d.", "s/d", "unk", "unknown", "unavailable",
    "unspecified", "undefined", "missing", "blank", "(blank)", "empty", "(empty)", "(null)", "(none)", "<na>", "<null>",
    "[null]", "\\n", "tbd", "tba", "not available", "not applicable", "not known", "not reported", "not recorded",
    "no data", "nodata", "no value", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "1.#qnan", "1.#ind",
    "-1.#ind", "0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00", "0000/00/00", "00/00/0000", "00.00.0000",
})  # fmt: skip
"""What can be nothing else than a missing value among numbers, dates and times, in small letters. In a column of text
they may be categories."""


def is_missing(cell: str, kind: Kind, named: Collection[str] = ()) -> bool:
    """Whether a cell of a column says that there is no value; `named` are the words and numbers that the settings name
    beside the usual ones (`is_gap` knows numbers and dates in all ways of writing); where the empty cell is named too,
    they are all."""
    word = cell.strip().lower()
    if named and _is_named(word, kind, named):
        return True
    if "" in named:
        return False
    if kind == "text":
        return word in MISSING_WORDS and word != "none"
    return word in MISSING_WORDS or word == "nan" or (kind != "boolean" and word in MISSING_AMONG_NUMBERS)


def _is_named(word: str, kind: Kind, named: Collection[str]) -> bool:
    """Whether a word is one of those named, or a number that is equal to one of them."""
    if any(word == each.strip().lower() for each in named):
        return True
    if kind == "text":
        return False
    number = _number(word)
    return number is not None and any(number == _number(each) for each in named)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def value_and_gap(values: Array, named: Collection[str]) -> float | None:
    """Returns a number that the settings name as missing although it lies among the values of a column (between the
    least and the greatest of the others); None where there is none. values: n, different numbers, NaN passed over."""
    numbers = [number for each in named if (number := _number(each)) is not None and np.isfinite(number)]
    rest = values[np.isfinite(values) & ~np.isin(values, numbers)]
    here = [number for number in numbers if (values == number).any()]
    return next((n for n in here if len(rest) and float(rest.min()) < n < float(rest.max())), None)
