"""How far the numbers of a column run, and numbers that stand far off: mistyped cells, rows unlike any in training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bpcli.family import Array, Table
from bpcli.parts.data.files import yaml_name
from bpcli.records.training import Problem
from bpcli.studies.dataset.columns import ColumnEncoder, date_text
from bpcli.studies.dataset.row_errors import row_name

MIN_VALUES = 40  # of fewer, none is told from the others, and one is far off from 10 times the usual range on
MAX_SHARE = 0.01  # of the values, as many as stand far off at most on one side
MAX_COUNT = 30  # values that stand far off at most on one side
MAX_LISTED = 5  # cells of a split that are named
MAX_SEEN = 1 << 14  # values of a column from which its limits are learned: of more, as many evenly apart
SIGNIFICANCE = 0.002
"""How likely a gap as wide as that to a number far off is by chance, at most, in a column with tails as heavy as its
own; each of lighter tails is less likely."""

NEARLY_CONSTANT = 1e-6
"""The spread of a column over the size of its numbers, up to which it is all but constant: another program that writes
six digits (as %g does) changes them by as much. Dates are counted from an arbitrary day, and are left alone."""

Limits = tuple[float, ...]
"""Of a column: from where on a number below is far off, the usual range, and from where on one above is; () where
nothing is known."""


def nearly_constant(spread: Any, size: Any) -> Any:
    """Whether numbers of this size and spread, each a number or an array, are all but constant. One that does not
    change at all is constant, and no spread can be made of it."""
    return (spread > 0) & (spread <= NEARLY_CONSTANT * np.abs(size))


def limits_of(values: Array) -> Limits:
    """Returns the limits of values (n,), nan left out, float64.

    A number is far off where it lies further beyond the usual range than that is wide, and so far that the tail on its
    side does not explain it. The tail is that of the largest distances from the median, taken for a power law: their
    logarithms are then spaced exponentially, and the gap between far-off values and the others is held against the mean
    of the spacings below it (Hill's estimate). Lighter tails have smaller gaps.

    Source    Hill 1975, "A simple general approach to inference about the tail of a distribution"; spacings of
              exponential order statistics: Sukhatme 1937, Renyi 1953
    """
    values = values[:: max(1, len(values) // MAX_SEEN)].astype(np.float64)
    values = values[~np.isnan(values)]
    if not len(values):
        return ()
    with np.errstate(over="ignore"):
        middle = float(np.median(values))
    above, below = _Tail(values, middle), _Tail(-values, -middle)
    high, low = above.usual, -below.usual
    width = high - low if high > low else 10 * max(1.0, abs(high))
    width *= 1 if len(values) >= MIN_VALUES else 10
    limits = (min(-below.end, low - width), low, high, max(above.end, high + width))
    return limits if np.isfinite(limits).all() else ()


class _Tail:
    """The upper tail of values (n,) about their median: its largest usual value, and the `end` that it does not reach
    by chance."""

    def __init__(self, values: Array, middle: float) -> None:
        count = len(values)
        self.usual = self.end = float(values.max())
        if count < MIN_VALUES:
            return
        most, below = max(1, min(MAX_COUNT, int(MAX_SHARE * count))), min(30, max(10, count // 10))
        low = float(values.min())
        largest = -np.sort(-np.partition(values, count - most - below - 1)[count - most - below - 1 :])
        step = _resolution(values)
        away = np.log(np.maximum(largest - middle, step))
        for far in range(most, -1, -1):  # so many values may stand far off
            spacing = max(float(np.mean(away[far : far + below] - away[far + below])), _rounding(step, away[far]))
            gap = below * spacing * (SIGNIFICANCE ** (-1 / below) - 1) / max(1, far)
            beyond = largest[far] - low
            if not far or (away[far - 1] - away[far] > gap and largest[far - 1] - largest[far] > beyond):
                break
        gap = below * spacing * (SIGNIFICANCE ** (-1 / below) - 1)
        self.usual = float(largest[far])
        with np.errstate(over="ignore"):
            self.end = middle + float(np.exp(away[far] + gap))


def _resolution(values: Array) -> float:
    """Returns the least difference between values, of some of them: to what they are rounded; 0 is a tiny number."""
    steps = np.diff(np.unique(values[:: max(1, len(values) // 1000)]))
    return float(steps.min()) if len(steps) else float(np.finfo(np.float64).tiny)


def _rounding(step: float, away: float) -> float:
    """Returns the logarithm by which a distance (its logarithm is `away`) differs from the next one, as rounded."""
    return float(np.log1p(step * np.exp(-away)))


@dataclass(frozen=True)
class FarCell:
    """A number that is far off in a column, whose usual numbers run from `low` to `high`."""

    row: int
    column: str
    value: str  # as a file has it
    low: str
    high: str
    times: float  # how many times as wide as that range is the gap to it; infinite where it has no width
    number: float  # what the value means

    def __str__(self) -> str:
        """Returns the cell and the usual range, in words."""
        return f"{self.column} {self.value} ({self.low} to {self.high})"


def far_cells(columns: Sequence[ColumnEncoder], table: Table, rows: Array | None = None) -> list[FarCell]:
    """Returns the cells of these rows of a table (all) that are beyond the limits of their columns, row by row."""
    rows = np.arange(table.rows) if rows is None else rows
    found: list[FarCell] = []
    for c in columns:
        if c.limits and c.name in table.at:
            j = table.at[c.name]
            values = table.numbers[rows, j].astype(np.float64, copy=False)
            values = values if table.pivot is None else values + table.pivot[j]
            found += _beyond(c.limits, values, rows, c.name, c.kind)
    return sorted(found, key=lambda cell: cell.row)


def _beyond(limits: Limits, values: Array, rows: Array, name: str, kind: str = "number") -> Iterator[FarCell]:
    """Yields the cells of a column, its values (n,) in these rows, that are beyond its limits."""
    least, low, high, most = limits
    for i in np.flatnonzero((values < least) | (values > most)):
        value = float(values[i])
        shown, low_text, high_text = (date_text(v) if kind == "date" else f"{v:.6g}" for v in (value, low, high))
        gap = low - value if value < low else value - high
        times = gap / (high - low) if high > low else float("inf")
        yield FarCell(int(rows[i]), name, shown, low_text, high_text, times, value)


def target_values(table: Table) -> list[tuple[str, Array]]:
    """Returns the targets (N,) float64 of a table by their names, none where they are text. Whether whole numbers are
    classes a table does not say."""
    if table.target is None or table.target.dtype == object:
        return []
    values = table.target.reshape(len(table.target), -1).astype(np.float64)
    return list(zip(table.target_names, values.T, strict=False))


def far_off_remarks(table: Table, inputs: Mapping[str, Sequence[float]], *, regresses: bool) -> tuple[str, ...]:
    """Returns a remark on each column of numbers, `inputs` and, of a regression, targets, that holds a few far off from
    its others, in all rows of a table; but those that stand for no value, which are given for each input by its
    name."""
    columns: list[tuple[str, str, Array]] = []
    for name, gaps in inputs.items():
        if name in table.at and table.kind(name) in ("number", "date"):
            values = np.asarray(table.numbers[:, table.at[name]], np.float64)
            values = values + (0.0 if table.pivot is None else table.pivot[table.at[name]])
            columns.append((name, table.kind(name), values[~np.isin(values, gaps)] if gaps else values))
    columns += [(name, "number", values) for name, values in target_values(table)] if regresses else []
    found = []
    for name, kind, values in columns:
        limits = limits_of(values)
        cells = [*_beyond(limits, values, np.arange(len(values)), name, kind)] if limits else []
        if cells:
            far = max(cells, key=lambda cell: cell.times)
            some = f"{len(cells)} values, such as {far.value}, lie" if len(cells) > 1 else f"{far.value} lies"
            found.append(
                f"`{name}`: {some} far off from all others ({far.low} to {far.high}); `bpcli check` says where"
            )
    more = len(found) - MAX_LISTED
    return (*found[:MAX_LISTED], *([f"and {more} more columns with numbers far off"] if more > 0 else []))


def _far_targets(train: tuple[Table, Array], table: Table, rows: Array) -> list[FarCell]:
    """Returns the targets of these rows that are far off from those of the training rows."""
    known, found = dict(target_values(train[0])), list[FarCell]()
    for name, values in target_values(table):
        if name in known and (limits := limits_of(known[name][train[1]])):
            found += _beyond(limits, values[rows], rows, name)
    return found


def far_warnings(
    columns: Sequence[ColumnEncoder],
    origins: Mapping[str, tuple[Table, Array]],
    known: Mapping[str, Sequence[float]] | None = None,
    *,
    regresses: bool,
) -> tuple[Problem, ...]:
    """Returns a warning of each cell, inputs and, of a regression, targets, that is far off from the training rows (of
    many, a few and how many there are): row, column, how far, and in which split. `origins` has the table and the rows
    of each split; numbers that are `known` to stand for no value, of a column by its name, have been warned of."""
    found: list[Problem] = []
    for split, (table, rows) in origins.items():
        cells = far_cells(columns, table, rows)
        cells += _far_targets(origins["train"], table, rows) if regresses else []
        cells = [c for c in cells if known is None or not np.isclose(c.number, known.get(c.column, ()), 1e-6).any()]
        for cell in cells[:MAX_LISTED]:
            usual = f"{cell.low} to {cell.high}"
            far = f"{cell.times:.3g} times the usual range ({usual}) beyond it"
            far = far if cell.times < float("inf") else f"where all training rows have {cell.low}"
            text = f"column `{cell.column}`: a {split} row has {cell.value}, {far}"
            help = "if it is a mistake, correct the cell or leave it empty; a single such row can outweigh all others"
            problem = Problem(text, code="far-off", help=help, level="warning")
            if table.locate is None:
                problem = replace(problem, text=f"{row_name(table, cell.row)}: {problem.text}")
            else:
                problem = table.locate(problem, cell.row, cell.column)
            found.append(problem)
        if len(cells) > MAX_LISTED:
            text = f"and {len(cells) - MAX_LISTED:,} {split} cells more lie far off"
            found.append(Problem(text, code="far-off", level="warning"))
    return tuple(found)


def nearly_constant_warnings(columns: Sequence[ColumnEncoder], table: Table) -> tuple[Problem, ...]:
    """Returns a warning of each column of numbers that are all but the same in the training rows."""
    found = []
    for c in columns:
        low, high = c.limits[1:3] or (0.0, 0.0)
        if c.kind == "number" and nearly_constant(high - low, max(abs(low), abs(high))):
            text = f"column `{c.name}` is all but the same in every row: {low:.15g} to {high:.15g}"
            help = f"write `drop: [{yaml_name(c.name)}]`, or a larger unit less what all rows have; it is shifted, and "
            help += "not scaled"
            found.append(Problem(text, code="nearly-constant", file=table.origin, help=help, level="warning"))
    return tuple(found)
