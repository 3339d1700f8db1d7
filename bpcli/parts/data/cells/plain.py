"""Cells as programs write them: numbers that `float` takes, words for yes and no, ISO dates; many at a time."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from bpcli.family import Array, Kind
from bpcli.parts.data.cells.dates import ISO_DAYS

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
        elif "." in cell and is_meant_as_number(cell.strip("$€£¥% ")):
            return False
    return found


def values_at_once(cells: Sequence[str], kind: Kind, decimal: str) -> Array | None:
    """Returns what the cells of a column of plain numbers or ISO dates mean, float64 (n,), where none is missing; None
    where one is no such cell, or not finite."""
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
