"""Shapes and sizes in words, and rows that are read when they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.numeric.lazy_rows import LazyRows
from bpcli.numeric.shapes import entry_name, in_bytes, written


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (640, "640 B"), (999, "999 B"), (1000, "1.0 KB"), (1234, "1.2 KB"), (99_940, "99.9 KB"),
        (100_000, "100 KB"), (1.5e6, "1.5 MB"), (2e9, "2.0 GB"), (3e12, "3.0 TB"), (4e15, "4 PB"), (5e18, "5,000 PB"),
        (10**600, "over 1,000,000 PB"),
    ],
)  # fmt: skip
def test_bytes_have_a_unit(count: float, text: str) -> None:
    assert in_bytes(count) == text


def test_shapes_and_entries_are_written_as_claims_call_them() -> None:
    assert [written(shape) for shape in ((), (3,), (2, 3, 1))] == ["1", "3", "2 x 3 x 1"]
    assert [entry_name("dense_1.W", at) for at in ((), (0,), (0, 1))] == ["dense_1.W", "dense_1.W[0]", "dense_1.W[0,1]"]


def test_rows_that_say_nothing_of_themselves_cannot_be_read() -> None:
    class Nothing(LazyRows):
        shape, dtype = (3, 2), np.dtype(float)

    with pytest.raises(TypeError, match="Nothing reads nothing"):
        Nothing().read(np.arange(2))
    assert len(Nothing()) == 3
