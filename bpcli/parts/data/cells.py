"""What a cell of a text file means: a number, a word for yes or no, a date, or that there is no value."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from bpcli.family import Array, Kind

MISSING_WORDS = frozenset({"", "?", "na", "n/a", "#n/a", "null", "none"})
"""What stands where there is no value; `nan` among numbers and `nat` among dates do too. `none` may be a category."""

PAIRS = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("on", "off"))
"""Words for yes and no, in small letters."""

TRUTH_VALUES = {"1": 1.0, "0": 0.0, **{yes: 1.0 for yes, _ in PAIRS}, **{no: 0.0 for _, no in PAIRS}}
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
ISO_DAYS = re.compile(r"(?:\d{4}-\d\d-\d\d\n)*", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_missing(cell: str, kind: Kind) -> bool:
    """Whether a cell of a column says that there is no value."""
    word = cell.strip().lower()
    if kind == "text":
        return word in MISSING_WORDS and word != "none"
    return word in MISSING_WORDS or word == "nan" or (kind == "date" and word == "nat")


def number_of(cell: str, decimal: str = ".") -> float | None:
    """Returns the number of a cell; None where it is none as files write it: `1_000`, the digits of other scripts, or
    with a comma where `decimal` is a point. inf and NaN are numbers."""
    if not cell.isascii() or "_" in cell or ("." if decimal == "," else ",") in cell:
        return None
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def is_meant_as_number(cell: str) -> bool:
    """Whether the cell is a number, or would be one without its commas and underscores."""
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Whether cells write 1,5 for one and a half: some do, and none has a point in a number."""
    found = False
    for cell in cells:
        if DECIMAL_COMMA.fullmatch(cell):
            found = True
        elif "." in cell and is_meant_as_number(cell):
            return False
    return found


def column_kind(cells: Sequence[str]) -> Kind:
    """Returns what a column holds, by its first cells (stripped): numbers or dates where most are, so that one that is
    not will be named; a boolean where all are words of one pair for yes and no, and both occur; else text."""
    present = [cell for cell in cells if cell.lower() not in MISSING_WORDS]
    if 2 * sum(map(is_meant_as_number, present)) >= len(present):
        return "number"
    if 2 * sum(map(bool, map(ISO_DATE.fullmatch, present))) >= len(present):
        return "date"
    return "boolean" if {cell.lower() for cell in present} in map(set, PAIRS) else "text"


def days_of(cell: str) -> float | None:
    """Returns the days since 1970-01-01 of an ISO date, with or without a time (UTC where it names no zone)."""
    cell = cell.strip()
    if not ISO_DATE.fullmatch(cell):
        return None
    try:
        date = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - EPOCH).total_seconds() / 86400


def value_of(cell: str, kind: Kind, decimal: str = ".") -> float | None:
    """Returns what a cell of a column of numbers, booleans or dates means, None where it means nothing there."""
    if kind == "boolean":
        return TRUTH_VALUES.get(cell.strip().lower())
    return days_of(cell) if kind == "date" else number_of(cell, decimal)


def values(cells: Sequence[str], kind: Kind, decimal: str, gaps: bool) -> Array | None:
    """Returns a column of numbers, booleans or dates as float64, NaN where a value is missing and `gaps` allows that;
    None where any other cell has no finite value."""
    found = _at_once(cells, kind, decimal)
    if found is None:
        read: Callable[[str], float | None] = lambda cell: (  # noqa: E731
            np.nan if gaps and is_missing(cell, kind) else value_of(cell, kind, decimal)
        )
        known = list(map(read, cells))
        if any(value is None or np.isinf(value) for value in known):
            return None
        found = np.array(known, np.float64)
    return found if gaps or np.isfinite(found).all() else None


def _at_once(cells: Sequence[str], kind: Kind, decimal: str) -> Array | None:
    """Returns the same for a column without gaps, where it can be done fast."""
    joined = "\n".join(cells) + "\n"
    if kind == "date":
        if not ISO_DAYS.fullmatch(joined):
            return None
        try:
            return np.array(cells, "datetime64[D]").astype(np.float64)
        except ValueError:  # the 30th of February
            return None
    other = "." if decimal == "," else ","
    if kind == "boolean" or not joined.isascii() or "_" in joined or other in joined:
        return None
    texts = cells if decimal == "." else [cell.replace(",", ".") for cell in cells]
    try:
        found = np.fromiter(map(float, texts), np.float64, len(cells))
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
