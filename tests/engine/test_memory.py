"""Blocks and views: aligned, shared by name and by nothing else, one beginning for every batch size."""

import numpy as np
import pytest

from bpcli.engine.memory import ALIGN_BYTES, Memory, aligned
from bpcli.family.plan import N, Slot


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, np.int64, np.uint8])
@pytest.mark.parametrize("n", [0, 1, 7, 64, 1001])
def test_aligned_vectors_are_zeroed_and_begin_at_a_cache_line(n: int, dtype: type) -> None:
    for _ in range(5):
        a = aligned(n, dtype)
        assert a.shape == (n,)
        assert a.dtype == dtype
        assert not a.any()
        assert a.flags.c_contiguous
        assert a.flags.writeable
        assert a.ctypes.data % ALIGN_BYTES == 0 or n == 0
        a[...] = 1  # and hands out no byte of another
    assert not aligned(n, dtype).any()


def test_a_view_is_aligned_contiguous_and_begins_where_its_block_begins() -> None:
    memory = Memory(8, np.float32)
    memory.reserve("a", (N, 3, 5))
    whole = memory.view("a", (N, 3, 5), 8)
    assert whole.shape == (8, 3, 5)
    assert whole.dtype == np.float32
    for batch in (1, 5, 8):
        view = memory.view("a", (N, 3, 5), batch)
        assert view.shape == (batch, 3, 5)
        assert view.flags.c_contiguous
        assert view.ctypes.data == whole.ctypes.data
        assert view.ctypes.data % ALIGN_BYTES == 0
        view[...] = batch
        assert (whole[:batch] == batch).all()


def test_a_batch_axis_that_is_not_the_first_stays_contiguous() -> None:
    memory = Memory(8, np.float64)
    memory.reserve("q", (4, N))
    for batch in (1, 5, 8):
        view = memory.view("q", (4, N), batch)
        assert view.shape == (4, batch)
        assert view.flags.c_contiguous


@pytest.mark.parametrize(
    ("kind", "dtype"), [("float", np.float32), ("float32", np.float32), ("bool", np.bool_), ("int", np.int64)]
)
def test_slots_have_their_own_type(kind: str, dtype: type) -> None:
    memory = Memory(4, np.float32)
    slot = Slot((N, 3), kind)  # type: ignore[arg-type]
    memory.reserve("a", slot.shape, slot.dtype)
    assert memory.slot("a", slot, 2).dtype == dtype
    assert memory.slot("a", slot, 2).shape == (2, 3)
    assert memory.nbytes == 12 * np.dtype(dtype).itemsize


def test_chance_stays_float32_in_a_float64_run() -> None:
    memory = Memory(4, np.float64)
    memory.reserve("u", (N,), "float32")
    assert memory.view("u", (N,), 4, "float32").dtype == np.float32


def test_blocks_are_shared_by_name_and_by_nothing_else() -> None:
    memory = Memory(4, np.float64)
    memory.reserve("shared", (N, 2))
    memory.reserve("shared", (N, 5))
    memory.reserve("shared", (N, 3), "bool")  # smaller: the block keeps its size
    memory.reserve("own", (N, 5))
    first, second = memory.view("shared", (N, 2), 4), memory.view("shared", (N, 5), 4)
    assert np.shares_memory(first, second)
    assert first.ctypes.data == second.ctypes.data
    assert not np.shares_memory(second, memory.view("own", (N, 5), 4))
    assert memory.nbytes == 2 * 4 * 5 * 8


def test_more_rows_than_planned_are_refused() -> None:
    memory = Memory(4, np.float64)
    memory.reserve("a", (N, 2))
    with pytest.raises(ValueError, match="reshape"):
        memory.view("a", (N, 2), 5)
