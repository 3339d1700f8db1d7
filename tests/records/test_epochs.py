"""The epochs of a training in little memory: rows come back as they were."""

import math
import sys
from dataclasses import replace

from bpcli.records.epochs import EpochRows
from bpcli.records.training import EpochRow

ROW = EpochRow(1, {"train.loss": 0.1, "validation.f1": math.inf}, 0.25, 2.0, 0.5, 0.9, 1e-3, 7, 1.5, True)


def test_rows_come_back_as_they_were() -> None:
    rows = [ROW, replace(ROW, epoch=2, best=False), replace(ROW, epoch=3, metrics={"train.loss": -0.0}),
            replace(ROW, epoch=2**40, watch={"watch.dense_1.gradient": 0.3, "watch.dense_1.x": 0.0}), ROW]  # fmt: skip
    found = EpochRows(rows)
    assert list(found) == rows
    assert (found[-1], found[1:3], len(found)) == (rows[-1], rows[1:3], 5)
    assert list(reversed(found)) == rows[::-1]
    assert [type(getattr(found[0], name)) for name in ("epoch", "steps", "best")] == [int, int, bool]
    assert not EpochRows()


def test_a_row_takes_little_memory() -> None:
    found = EpochRows(replace(ROW, epoch=k) for k in range(1000))
    assert len(found._known) == 1
    assert sum(map(sys.getsizeof, (found._values, found._starts, found._names))) < 130 * 1000
