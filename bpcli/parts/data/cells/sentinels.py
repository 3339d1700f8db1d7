"""Numbers and dates that stand for no value, because they come back and lie far apart from all others."""

from collections.abc import Callable, Iterator

import numpy as np

from bpcli.family import Array, Kind

SENTINEL_LIMITS = frozenset({32767, -32768, 65535, 2147483647, -2147483648})
"""The ends of the whole numbers of 16 and 32 bits, which programs write for `no value`."""

USUAL_DATES = frozenset(
    float(np.datetime64(day, "D").astype(np.int64))
    for day in [
        "0001-01-01", "1111-11-11", "1582-10-15", "1601-01-01", "1753-01-01", "1800-01-01", "1899-12-30", "1899-12-31",
        "1900-01-01", "1901-01-01", "1904-01-01", "1970-01-01", "2099-12-31", "2999-12-31", "3000-01-01", "9999-01-01",
        "9999-12-31",
    ]
)  # fmt: skip
"""Days that programs write for `no date`: ends of their calendars, counted from 1970-01-01."""

MIN_COUNT = 3
"""Times that a number of no such form comes back at least."""

SHARES = 0.005, 0.5
"""The least and the greatest share of the values that it makes."""

RANGES = 3.0
"""Ranges of all other values that it lies away from them, at least: a number of sevens, eights or nines (888.8), or
one below zero where no other is, or a date; other numbers may be values of their own (365 among days of a month)."""

CAP_FROM = 1000
"""Numbers beyond this may be caps: an income of 99999 where others are 60000 is one, unless it is RANGES away."""

HUGE = 1e15
"""Numbers beyond this are taken for what stands for no target, where they lie apart."""

MIN_OTHERS = 10
"""Different values that these are, at least."""

MOST_TOGETHER = 3
"""Different sentinels that stand together at one end: 77, 88, 99."""

ANY_RANGES = 1e6
"""Ranges from which on a number of any form does so: 1e30."""

NEAR_END = 0.25
"""Ranges that a usual date lies away which comes back MIN_COUNT times as often as others: births begin near 1900."""

YEAR = 366.0
"""Days that a date lies away from all others at least: the days of one month may begin a year."""


def sentinels_of(values: Array, kind: Kind) -> tuple[float, ...]:
    """Returns which of the numbers or dates of a column (n,), NaN where there is none, seem to stand for no value."""
    single = values.dtype == np.float32
    values = values[np.isfinite(values)]
    if kind not in ("number", "date") or not len(values):
        return ()
    limits = values.min(), values.max()
    if not any(looks_like_sentinel(float(v)) or np.count_nonzero(values == v) > 1 for v in limits):
        return ()
    counted = np.unique(values, return_counts=True)
    found = find_sentinels(*counted) if kind == "number" else find_date_sentinels(*counted)
    return tuple(float(str(np.float32(v))) for v in found) if single else found  # 9999.9 as files have it


def usual_sentinels(values: Array) -> tuple[float, ...]:
    """Returns which of the numbers of a target (n,) seem to stand for no value: those of a usual form alone, since rows
    without a target are left out; so for codes, of which any may be far from the others."""
    found = sentinels_of(values, "number")
    return tuple(v for v in found if looks_like_sentinel(v) or _is_of(v, "9", 1) or abs(v) > HUGE)


def find_sentinels(values: Array, counts: Array) -> tuple[float, ...]:
    """Returns the numbers that seem to stand for `no value`: -1, or those of nines alone (-999, 9999), or the ends of
    16 and 32 bits, which come more than once and are further from all other numbers than these are from each other;
    and those like -9.99, 9999.9, -8888 or 1e30 that come back in a share of the rows, several ranges away.

    values: n, different numbers (NaN is passed over); counts: n, how often each comes. A number of this form that lies
    among the others, or near them, is a value: 99 in a column of ages is not found, and -1 among 0 and 1 neither.
    """
    values, counts = _known(values, counts)
    odd = np.array([looks_like_sentinel(v) for v in values.tolist()], bool)
    rest = values[~odd]
    formed = np.zeros(len(values), bool)
    if odd.any() and len(rest) > 1:
        low, high = float(rest.min()), float(rest.max())
        cap = (values > CAP_FROM) & (10 * high >= values)  # the largest number of so many digits
        above = values - high > np.where(cap, RANGES, 1.0) * (high - low)
        formed = odd & (counts > 1) & ((low - values > high - low) | above)

    def ranges(value: float, count: int, often: bool, lowest: float) -> float:
        below = value < 0 <= lowest
        if count > 1 and below and _is_of(value, "9", 1):
            return 1.0
        return np.inf if not often else RANGES if below or any(_is_of(value, d, 2) for d in "789") else ANY_RANGES

    more = _apart(values[~formed], counts[~formed], ranges)
    return tuple(sorted((*values[formed].tolist(), *more)))


def find_date_sentinels(days: Array, counts: Array) -> tuple[float, ...]:
    """Returns the dates that seem to stand for `no date`: usual ones (1900-01-01, 9999-12-31) and other first and last
    days of a year, which come more than once and lie far from all other dates, and any other that comes back in a share
    of the rows and lies several ranges away. days: n, different days since 1970-01-01; counts: n, how often each
    comes."""
    days, counts = _known(days, counts)
    median = float(np.median(counts)) if len(counts) else 0.0

    def ranges(day: float, count: int, often: bool, _: float) -> float:
        if day in USUAL_DATES and count >= MIN_COUNT * median:
            return NEAR_END
        return 1.0 if count > 1 and (day in USUAL_DATES or _ends_a_year(day)) else RANGES if often else np.inf

    return tuple(sorted(_apart(days, counts, ranges, YEAR)))


def looks_like_sentinel(value: float) -> bool:
    """Whether a number has the form of those that stand for no value."""
    if not np.isfinite(value) or value != int(value):
        return False
    digits = str(abs(int(value)))
    return value == -1 or (len(digits) > 1 and set(digits) == {"9"}) or value in SENTINEL_LIMITS


def _is_of(value: float, digit: str, least: int) -> bool:
    """Whether a number of up to six digits consists of one alone, so many times at `least`: 9999.9 and 888 do."""
    digits = f"{abs(value):.6g}".replace(".", "")
    return set(digits) == {digit} and len(digits) >= least


def _known(values: Array, counts: Array) -> tuple[Array, Array]:
    known = np.flatnonzero(np.isfinite(values))
    known = known[np.argsort(values[known])]
    return values[known].astype(np.float64), counts[known]


def _ends_a_year(day: float) -> bool:
    if day != np.floor(day):
        return False
    return str(np.datetime64(int(day), "D"))[-5:] in ("01-01", "12-31")


def _apart(
    values: Array, counts: Array, ranges: Callable[[float, int, bool, float], float], least: float = 0.0
) -> Iterator[float]:
    """Yields values (n, sorted, different) at either end that lie apart from all others, by more than `least` and by
    more ranges of these than `ranges` says of a value: by its count, whether it comes back often beside many others,
    and the least of these; infinite where it may be none that stands for no value."""
    total, first, last = int(counts.sum()), 0, len(values)

    def enough(place: int, lowest: float) -> float:
        count = int(counts[place])
        often = count >= MIN_COUNT and SHARES[0] <= count / total <= SHARES[1] and values[place] != 0
        return ranges(float(values[place]), count, often and last - first > MIN_OTHERS, lowest)

    while True:
        for at_end in (True, False):
            for k in range(1, min(MOST_TOGETHER, last - first - 2) + 1):
                places = range(last - k, last) if at_end else range(first, first + k)
                low, high = (first, last - k) if at_end else (first + k, last)
                gap = values[high] - values[high - 1] if at_end else values[low] - values[low - 1]
                width = values[high - 1] - values[low]
                if gap > least and all(gap > enough(place, float(values[low])) * width for place in places):
                    break
            else:
                continue
            yield from values[list(places)].tolist()
            first, last = low, high
            break
        else:
            return
