"""Words that stand where there is no value, and numbers that do so because they stand far apart from all others."""

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
    "-1.#ind",
})  # fmt: skip
"""What can be nothing else than a missing value among numbers, dates and times, in small letters. In a column of text
they may be categories."""

SENTINEL_LIMITS = frozenset({32767, -32768, 65535, 2147483647, -2147483648})
"""The ends of the whole numbers of 16 and 32 bits, which programs write for `no value`."""


def is_missing(cell: str, kind: Kind, named: Collection[str] = ()) -> bool:
    """Whether a cell of a column says that there is no value; `named` are the words and numbers that the settings name
    beside the usual ones."""
    word = cell.strip().lower()
    if named and _is_named(word, kind, named):
        return True
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


def find_sentinels(values: Array, counts: Array) -> tuple[float, ...]:
    """Returns the numbers that seem to stand for `no value`: -1, or those of nines alone (-999, 9999), or the ends of
    16 and 32 bits, which come more than once and are further from all other numbers than these are from each other.

    values: n, different numbers (NaN is passed over); counts: n, how often each comes. A number of this form that lies
    among the others, or near them, is a value: 99 in a column of ages is not found, and -1 among 0 and 1 neither.
    """
    known = np.isfinite(values)
    values, counts = values[known], counts[known]
    odd = np.array([looks_like_sentinel(v) for v in values.tolist()], bool)
    rest = values[~odd]
    if not odd.any() or len(rest) < 2:
        return ()
    low, high = float(rest.min()), float(rest.max())
    candidates = sorted(zip(values[odd].tolist(), counts[odd].tolist(), strict=True))
    return tuple(v for v, n in candidates if n > 1 and (low - v > high - low or v - high > high - low))


def looks_like_sentinel(value: float) -> bool:
    """Whether a number has the form of those that stand for no value."""
    if not np.isfinite(value) or value != int(value):
        return False
    digits = str(abs(int(value)))
    return value == -1 or (len(digits) > 1 and set(digits) == {"9"}) or value in SENTINEL_LIMITS


def value_and_gap(values: Array, named: Collection[str]) -> float | None:
    """Returns a number that the settings name as missing although it lies among the values of a column (between the
    least and the greatest of the others); None where there is none. values: n, different numbers, NaN passed over."""
    numbers = [number for each in named if (number := _number(each)) is not None and np.isfinite(number)]
    rest = values[np.isfinite(values) & ~np.isin(values, numbers)]
    here = [number for number in numbers if (values == number).any()]
    return next((n for n in here if len(rest) and float(rest.min()) < n < float(rest.max())), None)
