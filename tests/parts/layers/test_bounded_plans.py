"""A plan is arithmetic: it takes as long whatever the numbers of the settings are, and no table is made for it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from count_calls import at_most
from whole_settings import enlarged_layers

from bpcli.family import ShapeError
from bpcli.numeric.products import MAX_MACS, MIN_PART, equal_parts
from bpcli.parts.layers.conv.axes import FilterAxis, phases
from bpcli.parts.layers.conv.conv1d import Conv1d
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.pooling import AvgPool2d, MaxPool2d

ENLARGED = list(enlarged_layers(range(3, 19, 3)))
LINES = 1_000_000  # of Python, a third of a second; most plans take less than 1,000


def test_no_setting_makes_a_plan_long() -> None:
    assert len(ENLARGED) > 200
    for layer, x, name in ENLARGED:
        with at_most(LINES), suppress(ShapeError):
            assert all(d > 0 for d in layer.plan(x).y), name


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("before", [-1, 0, 1, 4])
def test_the_phases_of_a_stride_are_those_that_a_search_finds(size: int, before: int) -> None:
    for stride in range(1, 8):
        for dilation in range(1, 6):
            for kernel in range(1, 6):
                for phase in phases(FilterAxis(size, kernel, stride, dilation, before, before)):
                    start = phase.first + before
                    seen = [u for u in range(kernel) if (start - dilation * u) % stride == 0]
                    assert list(range(kernel))[phase.weights] == seen or phase.back is None
                    assert (phase.back is None) == (not seen)


@pytest.mark.parametrize("macs", [0, 1, 100, 5000, 10**6])
def test_parts_are_the_divisors_that_a_search_finds(macs: int) -> None:
    for rows in (*range(300), 720, 4096, 5040, 9973):
        ways = [parts for parts in range(1, rows // MIN_PART + 1) if rows % parts == 0] or [1]
        assert equal_parts(rows, macs) == next((n for n in ways if rows * macs <= n * MAX_MACS), ways[-1])


@pytest.mark.parametrize("size", [(3, 5), (9, 2), (40, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (9, 7)])
@pytest.mark.parametrize("padding", ["same", "valid", (0, 1)])
def test_the_cells_of_a_window_are_those_where_an_output_sees_a_pixel(
    size: tuple[int, int], stride: tuple[int, int], padding: str | tuple[int, int]
) -> None:
    try:
        grid = AvgPool2d.model_validate({"size": size, "stride": stride, "padding": padding}).grid((8, 6, 2))
    except ShapeError:
        return
    (rows, columns), wide = (grid.rows, grid.columns), size[1]
    seen = {
        u * wide + v
        for u in range(size[0]) if any(0 <= rows.stride * p + u - rows.before < 8 for p in range(rows.out))
        for v in range(wide) if any(0 <= columns.stride * q + v - columns.before < 6 for q in range(columns.out))
    }  # fmt: skip
    numbers = [cell.number for cell in grid.cells]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= seen
    assert len(numbers) <= len(seen) + 8 * 6  # a few between them, at which a gap lies


def test_a_window_larger_than_its_image_has_few_cells() -> None:
    with at_most(LINES):
        for size in (10**3, 10**5, 10**7):
            assert len(MaxPool2d(size=size, padding="same").grid((8, 8, 1)).cells) == 64


def test_memory_for_zeros_is_asked_for_where_zeros_are_seen() -> None:
    """Far strides over a large image leave windows that are small and far apart: not 4 GB of images side by side."""

    def padded(padding: int) -> int:
        plan = Conv2d(filters=8, kernel=3, stride=64, padding=padding).plan((512, 512, 3))
        return plan.scratch["padded"].shape[1]

    assert padded(0) == 0
    assert 0 < padded(1) < 1 << 25


def test_strides_whose_bytes_cannot_be_counted_are_refused() -> None:
    Conv2d(filters=1, kernel=1, stride=1 << 31).plan((2, 2, 1))
    for more in ({"stride": 10**18}, {"kernel": 1, "dilation": 10**10}):
        with pytest.raises(ShapeError, match=r"a step of [\d,]+ pixels is larger than any image"):
            Conv2d.model_validate({"type": "conv2d", "filters": 1, "kernel": 1, **more}).plan((2, 2, 1))


def test_windows_that_take_too_many_pieces_are_refused() -> None:
    with pytest.raises(ShapeError, match="kernel of 1000000 x 1 take 1,000,008 products an image, at most 65,536"):
        Conv1d(filters=3, kernel=10**6, padding=10**6).plan((7, 2))
    Conv1d(filters=3, kernel=9, padding=10**6).plan((7, 2))


def test_strides_that_take_too_many_products_are_refused() -> None:
    with pytest.raises(ShapeError, match="a stride of 1000 x 1000 takes 1,000,000 products on the way back"):
        Conv2d(filters=1, kernel=1, stride=1000).plan((2000, 2000, 1))
