"""How the cells of a column of a text file are written: plain settings, found from a file or saved with a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

Kind = Literal["number", "text", "boolean", "date"]
"""What a column holds."""

DateOrder = Literal["dmy", "mdy", "ymd"]
"""In which order a date of three numbers names year, month and day."""

DecimalMark = Literal[".", ","]
"""What stands before the fraction of a number."""

ThousandsMark = Literal[",", ".", " ", "'"]
"""What stands between the thousands of a number."""

ORDER_WORDS: dict[str, str] = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}
MARK_WORDS = {" ": "a space"}
MAX_MISSING_NAMED = 5  # words of a column that stand for no value


@dataclass(frozen=True)
class ColumnFormat:
    """How the cells of a column are written.

    `form` is that of numbers: as `float` takes them, in dress (`thousands` between thousands, `decimal` before the
    fraction, `unit` beside them; `bare` where cells may lack the unit, `magnitudes` where K, M and the like stand
    behind them), times of day, which become `hours`, or `durations`, which do so too; in `minutes`, 58:53 are these and
    seconds. `date_order` is that of day and
    month where numbers alone do not say it. `missing_values` are the words and numbers that stand for no value beside
    the usual ones; they are all of them where "", the empty cell, is one.
    """

    kind: Kind = "number"
    form: Literal["plain", "dressed", "hours", "durations", "minutes"] = "plain"
    decimal: DecimalMark = "."
    thousands: ThousandsMark | Literal[""] = ""
    unit: str = ""
    bare: bool = False
    magnitudes: bool = False
    date_order: DateOrder | Literal[""] = ""
    missing_values: tuple[str, ...] = ()

    @property
    def are_times(self) -> bool:
        """Whether the cells are times of day or durations."""
        return self.form in ("hours", "durations", "minutes")

    def words(self, gaps: Sequence[str] = ()) -> str:
        """Returns how the cells are written, in words; "" where there is nothing to say. `gaps` are the words that were
        found to stand for no value."""
        found = []
        if self.kind == "date" and self.date_order:
            found.append(f"as {ORDER_WORDS[self.date_order]}")
        if self.are_times:
            times = {"hours": "times of day", "minutes": "durations of minutes:seconds"}.get(self.form, "durations")
            found.append(f"{times}, in hours")
        if self.unit:
            found.append(f"with {self.unit}")
        if self.magnitudes:
            found.append("with K, M")
        if self.thousands:
            found.append(f"thousands {MARK_WORDS.get(self.thousands, self.thousands)}")
        if self.decimal != ".":
            found.append(f"decimal {self.decimal}")
        if missing := [*dict.fromkeys((*self.missing_values, *gaps))]:
            more, shown = len(missing) - MAX_MISSING_NAMED, [cell or "empty cells" for cell in missing]
            found.append(f"no value: {' '.join(shown[:MAX_MISSING_NAMED])}{f' and {more} more' if more > 0 else ''}")
        return ", ".join(found)

    def to_meta(self) -> dict[str, Any]:
        """Returns the settings that differ from their defaults, as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
