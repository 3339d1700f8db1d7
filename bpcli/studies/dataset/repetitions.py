"""Rows that stand in a table twice: how often chance repeats them where there are few possible rows."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from bpcli.family import Array, Table
from bpcli.numeric.streams import Stream
from bpcli.studies.dataset.coded_columns import CodedColumn, some_rows

MAX_COLUMNS_COMPARED = 100  # columns of a table, target and first inputs, in which alone rows are found to differ


def chance_of_a_twin(table: Table, rows: int) -> float:
    """Returns how likely it is that a row of a table has a twin among so many `rows`, target and all, by chance.

    Chance that makes equal rows makes many more that differ in one column, as copying does not. From the pairs of rows
    that differ the greater of two estimates is taken: of the two columns in which alone they differ most often, pairs
    that differ in the first times those in the second over those in both (as if, where all else is equal, the one were
    independent of the other); and, of a column of numbers, half the pairs that differ by its least step. Pairs of a row
    with many twins weigh less, so that these count as one. No copy is counted, and columns may depend on each other.

    Source    Bishop, Fienberg and Holland 1975, "Discrete multivariate analysis", chapter 6: the cell of a table that
              nobody could count, from the others
    """
    if not table.order or table.target is None or table.rows < 2:
        return 0.0
    whole = np.zeros(1, np.uint64)
    for column, factor in _columns_and_factors(table):
        whole = whole + _marks(column.codes, factor)
    same = _twins(whole)
    if not same.any():
        return 0.0
    share = rows / (len(same) - 1)
    weights = share / np.maximum(1, share * same)
    by_step, alone = 0.0, []
    for column, factor in islice(_columns_and_factors(table), MAX_COLUMNS_COMPARED):
        rest = whole - _marks(column.codes, factor)
        alone.append((float(np.mean(weights * (_twins(rest) - same))), rest))
        if column.kind == "number":
            by_step = max(by_step, float(np.mean(weights * _twins(rest + _marks(_grid(column), factor), factor))))
    (first, without_first), (second, without_second) = sorted(alone, key=lambda pair: pair[0])[-2:]
    apart = _twins(without_first + without_second - whole) - _twins(without_first) - _twins(without_second) + same
    both = float(np.mean(weights * apart))
    return min(1.0, max(first * second / both if both else 0.0, by_step))


def _columns_and_factors(table: Table) -> Iterator[tuple[CodedColumn, np.uint64]]:
    """Yields the targets and the inputs of a table, each with an odd factor of its own: sums of codes times factors are
    equal for equal rows, and for others all but never."""
    factors = Stream(0, "marks").at()
    for column in _columns(table, some_rows(table)):
        yield column, np.uint64(2 * int(factors.integers(0, 1 << 63)) + 1)


def _marks(codes: Array, factor: np.uint64) -> Array:
    return codes.astype(np.uint64) * factor


def _columns(table: Table, rows: slice) -> Iterator[CodedColumn]:
    target = CodedColumn.of_target(table, rows)
    if target is not None:
        yield target
    elif table.target is not None:
        for values in np.asarray(table.target[rows], np.float64).T:
            yield CodedColumn("target", "number", values, np.isnan(values))
    for name in table.order:
        yield CodedColumn.of(table, name, rows)


def _grid(column: CodedColumn) -> Array:
    """Returns the values of a column of numbers in least steps from one to another, int64 (n,); gaps far below."""
    steps = np.diff(np.unique(column.values[~column.gaps]))
    largest = np.abs(column.values).max(where=~column.gaps, initial=0.0)
    step = steps[steps > 1e-9 * largest].min(initial=np.inf)
    grid: Array = np.round(np.nan_to_num(column.values / step, nan=-(2.0**50))).astype(np.int64)
    return grid


def _twins(marks: Array, apart: np.uint64 | None = None) -> Array:
    """Returns how many other rows have the mark of each row, or one that is so far `apart`."""
    known, ranks, counts = np.unique(marks, return_inverse=True, return_counts=True)
    if apart is None:
        counts = counts - 1
    else:
        at = np.searchsorted(known, known + apart).clip(max=len(known) - 1)
        counts = np.where(known[at] == known + apart, counts[at], 0)
    found: Array = counts[ranks]
    return found
