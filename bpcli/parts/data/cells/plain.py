"""Cells as programs write them: numbers that `float` takes, words for yes and no, ISO dates; many at a time."""

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bpcli.family import Array, Kind
from bpcli.parts.data.cells.dates import ISO_DATE, ISO_DAYS, days_of
from bpcli.parts.data.cells.missing import MISSING_WORDS, is_missing

PAIRS = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("on", "off"))
"""Words for yes and no, in small letters."""

TRUTH_VALUES = {"1": 1.0, "0": 0.0, **{yes: 1.0 for yes, _ in PAIRS}, **{no: 0.0 for _, no in PAIRS}}
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")

MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


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
    """Whether cells write 1,5 for one and a half: some do (1,234 may be a thousand), and none has a point in a
    number."""
    found = False
    for cell in cells:
        if DECIMAL_COMMA.fullmatch(cell):
            found = found or not MAYBE_THOUSANDS.fullmatch(cell)
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


def value_of(cell: str, kind: Kind, decimal: str = ".") -> float | None:
    """Returns what a cell of a column of numbers, booleans or dates means, None where it means nothing there."""
    if kind == "boolean":
        return TRUTH_VALUES.get(cell.strip().lower())
    return days_of(cell) if kind == "date" else number_of(cell, decimal)


def values(cells: Sequence[str], kind: Kind, decimal: str, gaps: bool) -> Array | None:
    """Returns a column of numbers, booleans or dates as float64, NaN where a value is missing and `gaps` allows that;
    None where any other cell has no finite value."""
    found = values_at_once(cells, kind, decimal)
    if found is None:
        read: Callable[[str], float | None] = lambda cell: (  # noqa: E731
            np.nan if gaps and is_missing(cell, kind) else value_of(cell, kind, decimal)
        )
        known = list(map(read, cells))
        if any(value is None or np.isinf(value) for value in known):
            return None
        found = np.array(known, np.float64)
    return found if gaps or np.isfinite(found).all() else None


def values_at_once(cells: Sequence[str], kind: Kind, decimal: str) -> Array | None:
    """Returns the same for a column without gaps, where it can be done fast; None for any other."""
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
