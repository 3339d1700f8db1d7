"""Rows that stand in a table twice: how often chance repeats them where there are few possible rows."""

from collections.abc import Sequence

import numpy as np

from bpcli.family import Table
from bpcli.studies.dataset.coded_columns import CodedColumn, some_rows


def chance_of_a_twin(table: Table, rows: int) -> float:
    """Returns how likely it is that a row of a table has a twin among so many `rows`, target and all, by chance: as if
    columns were independent of each other in the rows of each class; of a regression, as if they were in all rows, and
    targets of equal inputs were spread as they are, and rounded."""
    if not table.order or table.target is None or table.rows < 2:
        return 0.0
    every = some_rows(table)
    columns = [CodedColumn.of(table, name, every) for name in table.order]
    target = CodedColumn.of_target(table, every)
    groups = np.zeros(len(columns[0].codes), np.int64)
    alike = 1.0
    if target is not None and target.kind == "text":
        groups = target.codes - target.codes.min()
    elif target is not None:
        alike = _chance_of_equal_targets(columns, target)
    sizes = np.bincount(groups)
    likely = alike * (sizes[groups] - 1) / max(1, len(groups) - 1)
    for c in columns:
        _, ranks, counts = np.unique(groups * (c.count + 1) + c.codes + 1, return_inverse=True, return_counts=True)
        likely = likely * (counts[ranks] - 1) / np.maximum(1, sizes[groups] - 1)
    return float(np.mean(-np.expm1(rows * np.log1p(-np.minimum(likely, 1 - 1e-12)))))


def _chance_of_equal_targets(columns: Sequence[CodedColumn], target: CodedColumn) -> float:
    """Returns how likely two rows of equal inputs have equal targets by chance: to what they are rounded over how far
    apart those are that differ, by half; 1 where no inputs are equal, or all targets of equal inputs are."""
    order = np.lexsort([c.codes for c in columns])
    same = np.all([np.diff(c.codes[order]) == 0 for c in columns], axis=0)
    apart = np.abs(np.diff(target.values[order]))[same]
    apart = apart[apart > 0]
    if not len(apart):
        return 1.0
    steps = np.diff(np.unique(target.values[~target.gaps]))
    rounded = float(steps[steps > 1e-9 * np.abs(target.values).max()].min(initial=np.inf))
    return min(1.0, rounded / (2 * float(np.median(apart))))
