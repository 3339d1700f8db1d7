"""How the cells of one column are written, and what they mean by it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from bpcli.family import Array, Kind
from bpcli.parts.data.cells.clock import hours_of
from bpcli.parts.data.cells.dates import ORDER_WORDS, days_of
from bpcli.parts.data.cells.dress import MARK_NAMES, NumberStyle, dressed_number, number_text, unit_key, unit_text
from bpcli.parts.data.cells.missing import is_missing
from bpcli.parts.data.cells.plain import TRUTH_VALUES, number_of, values_at_once


@dataclass(frozen=True)
class ColumnFormat:
    """How the cells of a column are written.

    `form` is that of numbers: as `float` takes them, in dress (`thousands` between thousands, `decimal` before the
    fraction, `unit` beside them; `bare` where cells may lack the unit, `magnitudes` where K, M and the like stand
    behind them), or times of day and durations, which become hours. `date_order` is that of day and month where numbers
    alone do not say it. `missing_values` are the words and numbers that stand for no value beside the usual ones.
    """

    kind: Kind = "number"
    form: Literal["plain", "dressed", "hours"] = "plain"
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    bare: bool = False
    magnitudes: bool = False
    date_order: str = ""
    missing_values: tuple[str, ...] = ()

    @cached_property
    def _style(self) -> tuple[NumberStyle, Any]:
        style = NumberStyle(self.thousands, self.decimal)
        return style, style.pattern.fullmatch

    @cached_property
    def _key(self) -> str:
        return unit_key(self.unit)

    def is_missing(self, cell: str) -> bool:
        """Whether a cell says that there is no value."""
        return is_missing(cell, self.kind, self.missing_values)

    def value(self, cell: str) -> float | None:
        """Returns what a cell of numbers, booleans or dates means; None where it means nothing here."""
        cell = cell.strip()
        if self.kind == "boolean":
            return TRUTH_VALUES.get(cell.lower())
        if self.kind == "date":
            return days_of(cell, self.date_order)
        if self.form == "plain":
            return number_of(cell, self.decimal)
        return hours_of(cell) if self.form == "hours" else self._dressed(cell)

    def _dressed(self, cell: str) -> float | None:
        number = dressed_number(cell, self.unit)
        style, is_of_style = self._style
        if number is None or not is_of_style(number.digits):
            return None
        try:
            if self.magnitudes:
                found = float(number_text(number, style, True))
                return found if number.currency == self.unit or not found or self.bare else None
            found = float(number_text(number, style, False))
        except (KeyError, ValueError):
            return None
        key = unit_key(unit_text(number))
        return found if key == self._key or (not key and (self.bare or not found)) else None

    def words(self) -> str:
        """Returns how the cells are written, in words; "" where there is nothing to say."""
        found = []
        if self.kind == "date":
            found += [f"in the order {ORDER_WORDS[self.date_order]}"] if self.date_order else []
        elif self.form == "hours":
            found.append("times, in hours")
        elif self.form == "dressed":
            found += [f"with {self.unit}"] if self.unit else []
            found += ["with K, M"] if self.magnitudes else []
            found += [f"thousands {MARK_NAMES.get(self.thousands, self.thousands)}"] if self.thousands else []
        if self.decimal != ".":
            found.append(f"decimal {self.decimal}")
        if self.missing_values:
            found.append(f"no value: {' '.join(self.missing_values)}")
        return ", ".join(found)

    def to_meta(self) -> dict[str, Any]:
        """Returns the settings that differ from their defaults, as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


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
    values, wrong = np.full(len(cells), np.nan), []
    for i, cell in enumerate(cells):
        if not form.is_missing(cell):
            value = form.value(cell)
            if value is None or not np.isfinite(value):
                wrong.append(i)
            else:
                values[i] = value
    return CellValues(values, np.array(wrong, np.intp))
