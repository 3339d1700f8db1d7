"""What the cells of a column mean, by the format of the column."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from bpcli.family import Array
from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.clock import hours_of
from bpcli.parts.data.cells.dates import days_of
from bpcli.parts.data.cells.dress import CURRENCIES, NumberStyle, dressed_number, number_text, unit_key, unit_text
from bpcli.parts.data.cells.missing import is_missing
from bpcli.parts.data.cells.plain import TRUTH_VALUES, number_of, values_at_once


class CellValues(NamedTuple):
    """What cells mean: float64 (n,), NaN where there is no value, and where they mean nothing the places (k,)."""

    values: Array
    wrong: Array


def cell_values(cells: Sequence[str], form: ColumnFormat) -> CellValues:
    """Returns what the cells of a column of numbers, booleans or dates mean by its format. A cell is wrong where it is
    not a missing value and has no finite value either; its value is NaN too."""
    found = None
    if form.form == "plain" and not form.missing_values:
        found = values_at_once(cells, form.kind, form.decimal)
    if found is not None:
        return CellValues(found, np.empty(0, np.intp))
    read = cell_reader(form)
    values, wrong = np.full(len(cells), np.nan), []
    for i, cell in enumerate(cells):
        if not is_gap(cell, form):
            value = read(cell.strip())
            if value is None or not np.isfinite(value):
                wrong.append(i)
            else:
                values[i] = value
    return CellValues(values, np.array(wrong, np.intp))


def is_gap(cell: str, form: ColumnFormat) -> bool:
    """Whether a cell of a column stands for no value by its format: a number or a date that is named does so however it
    is written."""
    if is_missing(cell, form.kind, form.missing_values):
        return True
    named = _named_values(form)
    return bool(named) and cell_reader(form)(cell.strip()) in named


@lru_cache(maxsize=256)
def _named_values(form: ColumnFormat) -> frozenset[float]:
    """Returns the numbers, hours or days that a format names as missing."""
    if form.kind not in ("number", "date"):
        return frozenset()
    named = [each.strip() for each in form.missing_values]
    found = [cell_reader(form)(each) for each in named]
    if form.kind == "number" and not form.are_times:  # without a unit, and as programs write numbers
        found += map(number_of, named)
    return frozenset(value for value in found if value is not None)


@lru_cache(maxsize=256)
def cell_reader(form: ColumnFormat) -> Callable[[str], float | None]:
    """Returns the function from a cell (stripped) of numbers, booleans or dates to what it means; to None where it
    means nothing by this format."""
    if form.kind == "boolean":
        return lambda cell: TRUTH_VALUES.get(cell.lower())
    if form.kind == "date":
        return partial(days_of, order=form.date_order)
    if form.are_times:
        return partial(hours_of, minutes_first=form.form == "minutes")
    return partial(number_of, decimal=form.decimal) if form.form == "plain" else _dressed_reader(form)


def _dressed_reader(form: ColumnFormat) -> Callable[[str], float | None]:
    style = NumberStyle(form.thousands, form.decimal)
    fits, key = style.pattern.fullmatch, unit_key(form.unit)

    def read(cell: str) -> float | None:
        number = dressed_number(cell, form.unit, glued=form.unit in CURRENCIES)
        if number is None or not fits(number.digits):
            return None
        try:
            value = float(number_text(number, style, form.magnitudes))
        except (KeyError, ValueError):  # 1.5X, where K and M stand behind numbers
            return None
        own = unit_key(number.currency if form.magnitudes else unit_text(number))
        return value if own == key or (not own and (form.bare or not value)) else None

    return read
