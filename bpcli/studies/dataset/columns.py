"""Input columns as they were learned from the training rows: what each becomes, and how its cells become numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np

from bpcli.family import Array, ColumnFormat, Kind, Missing, Table
from bpcli.family.source import CategoryEncoding, DatePart
from bpcli.numeric.vectors import all_finite
from bpcli.parts.data.columns.source import FILLING_RULES
from bpcli.records.training import Problem

MAX_LISTED = 8  # columns that a warning names

PART_INPUTS: dict[str, tuple[str, ...]] = {
    "season": ("season_sin", "season_cos"),
    "weekday_cycle": ("weekday_sin", "weekday_cos"),
    "hour_cycle": ("hour_sin", "hour_cos"),
}
"""The names of the inputs that a part of a date becomes, where they are two."""


@dataclass(frozen=True)
class ColumnEncoder:
    """One input column. A number (or a boolean, 0 or 1) becomes one input, a date one for each of its `parts`, text one
    for each of its `categories` (sorted); an `indicator` is one more, 1 where there was no value.

    Where `counts` are known, the training rows of each category, only those with `min_rows` and more have inputs of
    their own, and of these the `max_categories` most frequent (0 of both: none has), and by the encoding `frequency`
    one more input says how often the category occurs.

    `format` is how the cells of the training file were written, where it was a text file. `fill` stands for a missing
    value: a number (of a date its days since 1970), or one of the categories. `limits` are those of the numbers of the
    training rows (see `far_off`), () where they are not known: of a model that an earlier version has saved, too.
    """

    name: str
    kind: Kind = "number"
    categories: tuple[str, ...] = ()
    parts: tuple[DatePart, ...] = ()
    missing: Missing = "error"
    fill: float | str | None = None
    indicator: bool = False
    unseen: Literal["error", "ignore"] = "error"
    format: ColumnFormat | None = None
    limits: tuple[float, ...] = ()
    encoding: CategoryEncoding = "one_hot"
    counts: tuple[int, ...] = ()
    min_rows: int = 0
    max_categories: int = 0

    @property
    def scaled_width(self) -> int:
        """How many inputs it has that are scaled."""
        return 0 if self.categories else sum(len(PART_INPUTS.get(part, ("",))) for part in self.parts) or 1

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return self.scaled_width + len(self.one_hot) + self.has_frequency + self.indicator

    @cached_property
    def one_hot(self) -> tuple[str, ...]:
        """The categories that have an input of their own, of 0 and 1."""
        if not self.counts:
            return self.categories
        least = self.min_rows or (1 if self.max_categories else max(self.counts) + 1)
        own = [(-n, c) for c, n in zip(self.categories, self.counts, strict=False) if n >= least]
        own = sorted(own)[: self.max_categories or None]  # of equally frequent ones the first by name
        return tuple(sorted(c for _, c in own))

    @property
    def has_frequency(self) -> bool:
        """Whether an input says how often a category occurs in the training rows."""
        return self.encoding == "frequency"

    @cached_property
    def places(self) -> Array:
        """The place of each category's own input, -1 where it has none; at the end that of no category, -1."""
        own = {category: k for k, category in enumerate(self.one_hot)}
        return np.array([*(own.get(category, -1) for category in self.categories), -1], np.int64)

    @cached_property
    def frequencies(self) -> Array:
        """How often each category occurs, and at the end 0 times: log(1 + rows) less its mean over the training rows,
        over its deviation where that is above 1. (Rows of a column whose categories all occur about as often are not
        driven apart, and a category that train does not have stays near.)"""
        counts = np.array(self.counts, np.float64)
        logs, weights = np.log1p(counts), counts / counts.sum()
        mean = float(weights @ logs)
        deviation = float(np.sqrt(weights @ (logs - mean) ** 2))
        return np.append(logs - mean, -mean) / max(1.0, deviation)

    def write_categories(self, codes: Array, out: Array) -> None:
        """Writes what categories (n,), given by their places (-1: none of them), become to the first of the inputs
        `out` (n, inputs), which are 0."""
        own = self.places[codes]
        known = np.flatnonzero(own >= 0)
        out[known, own[known]] = 1
        if self.has_frequency:
            out[:, len(self.one_hot)] = self.frequencies[codes]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        own = tuple(f"{self.name}={c}" for c in self.one_hot)
        own += (f"{self.name} frequency",) if self.has_frequency else ()
        own = own or (self.name,)
        if self.parts not in ((), ("days",)):
            own = tuple(f"{self.name}.{name}" for part in self.parts for name in PART_INPUTS.get(part, (part,)))
        return (*own, f"{self.name} missing") if self.indicator else own

    @property
    def fill_text(self) -> str:
        """What stands for a missing value, as a file has it."""
        if self.fill is None or isinstance(self.fill, str):
            return self.fill or ""
        if self.kind == "boolean":
            return "yes" if self.fill else "no"
        return date_text(self.fill) if self.kind == "date" else f"{self.fill:.6g}"

    @property
    def is_consistent(self) -> bool:
        """Whether its settings fit together, as far as a damaged model file could say otherwise."""
        filled = self.fill is not None
        known = isinstance(self.fill, str) if self.kind == "text" else isinstance(self.fill, float | int)
        return (
            bool(self.categories) == (self.kind == "text")
            and bool(self.parts) == (self.kind == "date")
            and filled == (self.missing in FILLING_RULES)
            and (not filled or (known and (self.kind != "text" or self.fill in self.categories)))
            and (not filled or self.kind == "text" or bool(np.isfinite(float(self.fill or 0))))
            and (filled or not self.indicator)
            and len(self.counts) in (0, len(self.categories))
            and all(n > 0 for n in self.counts)
            and (bool(self.counts) or not (self.min_rows or self.max_categories or self.has_frequency))
            and min(self.min_rows, self.max_categories) >= 0
            and (not self.categories or bool(self.one_hot) or self.has_frequency)
            and len(self.limits) in (0, 4)
            and (not self.limits or self.kind != "text")
            and list(self.limits) == sorted(self.limits)  # nan is in no order
        )

    def to_meta(self) -> dict[str, Any]:
        """Returns the settings that differ from their defaults, as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
        return plain | ({"format": self.format.to_meta()} if self.format is not None else {})


@dataclass(frozen=True)
class InputLayout:
    """Where in an encoded row the numbers of all columns stand, where the categories of each text column start, and
    where the indicators stand."""

    values: Array
    texts: dict[str, int]
    indicators: dict[str, int]

    @classmethod
    def of(cls, columns: Sequence[ColumnEncoder]) -> Self:
        """Returns the places of the inputs that these columns become, one after the other."""
        values: list[int] = []
        texts: dict[str, int] = {}
        indicators: dict[str, int] = {}
        start = 0
        for c in columns:
            values += range(start, start + c.scaled_width)
            if c.categories:
                texts[c.name] = start
            start += c.width
            if c.indicator:
                indicators[c.name] = start - 1
        return cls(np.array(values, np.intp), texts, indicators)


@dataclass(frozen=True, eq=False)
class Scaling:
    """y = (x - shift) / scale, float64, of the numbers of one row."""

    shift: Array
    scale: Array

    def apply(self, x: Array, pivot: Array | None = None) -> Array:
        """Returns scaled values, float64, of x, or of x + pivot."""
        shift = self.shift if pivot is None else self.shift - pivot
        scaled: Array = x.astype(np.float64)
        scaled -= shift
        scaled /= self.scale
        return scaled

    def undo(self, y: Array) -> Array:
        """Returns values in their own units, float64."""
        values: Array = y.astype(np.float64) * self.scale + self.shift
        return values


def expand_columns(columns: Sequence[ColumnEncoder], x: Array) -> Array:
    """Returns the numbers (n, values) that columns (n, columns) of numbers, booleans and dates become: what is missing
    filled in, and dates in parts. NaN where nothing stands for a missing value."""
    if not any(c.parts for c in columns) and (all(c.fill is None for c in columns) or all_finite(x)):
        return x  # as it is: a large table is not copied for what it does not lack
    found: list[Array] = []
    for j, c in enumerate(columns):
        values = x[:, j].astype(np.float64)
        if c.fill is not None:
            values[np.isnan(values)] = c.fill
        found += [x for part in c.parts for x in date_inputs(values, part)] if c.parts else [values]
    return np.column_stack(found) if found else x


def filled_values(columns: Sequence[ColumnEncoder], table: Table) -> tuple[Problem, ...]:
    """Returns a warning of values that a table lacks and for which something stands that was learned from the training
    rows: in which columns, how many, and what it is; nothing where no value is missing."""
    found = []
    for c in columns:
        if c.fill is None:
            continue
        if c.categories:
            lacking = int(table.texts[c.name].gaps.sum()) if c.name in table.texts else 0
        else:
            lacking = int(np.isnan(table.numbers[:, table.at[c.name]]).sum()) if c.name in table.at else 0
        if lacking:
            found.append(f"`{c.name}` in {lacking:,} of {table.rows:,} rows ({c.fill_text}, train's {c.missing})")
    if not found:
        return ()
    more = f", and {len(found) - MAX_LISTED} columns more" if len(found) > MAX_LISTED else ""
    text = f"{table.origin}: missing values are filled in: {', '.join(found[:MAX_LISTED])}{more}"
    return (Problem(text, code="filled", level="warning"),)


def lost_times(columns: Sequence[ColumnEncoder], table: Table) -> tuple[Problem, ...]:
    """Returns a warning for each column of dates that all are at midnight, as a date without a time is read, where the
    hour is an input."""
    found = []
    for c in columns:
        if c.name not in table.at or {"hour", "hour_cycle"}.isdisjoint(c.parts):
            continue
        days = table.numbers[:, table.at[c.name]].astype(np.float64)
        days = days[~np.isnan(days)]
        if len(days) and not (days % 1).any():
            text = f"{table.origin}: column `{c.name}` has no time of day in any row, and its hour is an input: all "
            text += "are read as midnight"
            help = "write the time behind the date, as in the file of training"
            found.append(Problem(text, code="no-times", help=help, level="warning"))
    return tuple(found)


def date_text(days: float) -> str:
    """Returns days since 1970 as they are written."""
    written = str(np.datetime64(round(days * 1440), "m"))
    return written.removesuffix("T00:00").replace("T", " ")


def date_inputs(days: Array, part: DatePart) -> list[Array]:
    """Returns the inputs that a part of dates becomes: the part itself, or the sine and the cosine of the place in the
    year (day and hour of the year, over its length), the week or the day."""
    if part not in PART_INPUTS:
        return [date_part(days, part)]
    if part == "season":
        date = np.where(np.isnan(days), 0.0, np.floor(days)).astype(np.int64).astype("datetime64[D]")
        year = date.astype("datetime64[Y]")
        first, last = (day.astype("datetime64[D]").astype(np.float64) for day in (year, year + np.timedelta64(1, "Y")))
        turn = (days - first) / (last - first)
    elif part == "weekday_cycle":
        turn = date_part(days, "weekday") / 7
    else:
        turn = date_part(days, "hour") / 24
    return [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]


def date_part(days: Array, part: DatePart) -> Array:
    """Returns a part of dates that are given as days since 1970-01-01 (float64, NaN where there is none): the year, the
    month 1 to 12, the day 1 to 31, the weekday 0 (Monday) to 6, the hour 0 to 24 with its fraction."""
    assert part in get_args(DatePart)
    if part == "days":
        return days
    known = np.where(np.isnan(days), 0.0, days)
    whole = np.floor(known)
    date = whole.astype(np.int64).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    found: dict[DatePart, Callable[[], Array]] = {
        "year": lambda: date.astype("datetime64[Y]").astype(np.int64) + 1970.0,
        "month": lambda: month.astype(np.int64) % 12 + 1.0,
        "day": lambda: (date - month).astype(np.int64) + 1.0,
        "weekday": lambda: (whole + 3) % 7,
        "hour": lambda: np.round((known - whole) * 24, 6),
    }
    return np.where(np.isnan(days), np.nan, found[part]())
