"""Norms and what is finite, where a square, a sum or an entry is not."""

import math
from typing import Any

import numpy as np
import pytest

from bpcli.numeric.vectors import all_finite, as_columns, column_norms, l2_norm


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_finite(dtype: Any) -> None:
    """Neither a sum that overflows nor infinities of both signs mislead it."""
    huge = np.finfo(dtype).max
    for finite in ([], [0.0], [1.0, -2.0], [huge, huge, huge], [-huge, -huge], [[huge, huge], [1.0, 2.0]]):
        assert all_finite(np.array(finite, dtype))
    for bad in ([math.nan], [1.0, math.inf], [-math.inf, 1.0], [math.inf, -math.inf], [huge, huge, math.nan]):
        assert not all_finite(np.array(bad, dtype))


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-15)])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e30])
def test_norms_of_all_entries_and_of_columns(dtype: Any, rtol: float, scale: float) -> None:
    """A square of 1e30 is beyond float32."""
    a = (np.array([[3.0, 1.0, 0.0], [4.0, 2.0, 0.0], [0.0, 2.0, 0.0]]) * scale).astype(dtype)
    np.testing.assert_allclose(column_norms(a), np.array([5.0, 3.0, 0.0]) * scale, rtol=4 * rtol)
    assert l2_norm(a) == pytest.approx(math.sqrt(34) * scale, rel=4 * rtol)


def test_columns_are_units() -> None:
    kernel = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(as_columns(kernel)[:, 1], kernel[:, :, 1].ravel())
    assert as_columns(kernel).shape == (6, 4)
    assert as_columns(np.arange(5.0)).shape == (5, 1)
