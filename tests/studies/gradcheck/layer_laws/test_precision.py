"""A layer in float32 beside float64, and with an error that is much larger or smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single_layers import DENSE, behind, single

from bpcli.family import Frame
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.studies.gradcheck.layer_laws.precision import compare_floats, compare_scaled, find_overflow


def test_float32_is_float64_up_to_rounding() -> None:
    wide, inputs = single(DENSE)
    narrow, _ = single(DENSE, dtype=np.float32)
    narrow.take_weights(inputs)
    worst, mismatches = compare_floats(wide, narrow, inputs, 12, True)
    assert mismatches == []
    assert list(worst) == ["y", "dx", "dW", "db"]
    assert all(1e-10 < gap < 1e-5 for gap in worst.values())


def test_a_kernel_that_is_another_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(f: Frame, train: bool) -> None:
        if f.x.dtype == np.float32:
            f.dx[3] *= 1.01

    behind(monkeypatch, Tanh, "backward", off)
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    worst, (mismatch,) = compare_floats(wide, narrow, inputs, 12, False)
    assert (mismatch.name, mismatch.rows, mismatch.train, mismatch.index[0]) == ("dx", 12, False, 3)
    assert mismatch.batch.dtype == np.float32
    assert mismatch.alone.dtype == np.float64
    assert worst["dx"] > 1e-4 > worst["y"]


def test_what_overflows_in_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square on the way, of inputs that are 64 times as large."""
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    assert find_overflow(wide, narrow, inputs, 12, True) == []

    def square(f: Frame, train: bool) -> None:
        f.y[...] = f.x * (f.x * f.x.dtype.type(1e36)) / (f.x * f.x.dtype.type(1e36))

    behind(monkeypatch, Tanh, "forward", square)
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    with np.errstate(all="ignore"):
        found = find_overflow(wide, narrow, inputs, 12, True)
    mismatch = next(m for m in found if m.name == "y")
    assert (mismatch.rows, mismatch.train, mismatch.batch.dtype) == (12, True, np.float64)
    np.testing.assert_array_equal(mismatch.wrong, np.square(64 * inputs.x) * 1e36 > np.finfo(np.float32).max)


def test_gradients_are_as_large_as_the_error() -> None:
    assert compare_scaled(*single(DENSE), 12, True) == []
    assert compare_scaled(*single("tanh"), 12, False) == []


@pytest.mark.parametrize(("bound", "factor"), [(np.clip, 2.0**40), (None, 2.0**-40)])
def test_a_bound_on_the_error_is_seen(bound: Any, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(f: Frame, train: bool) -> None:
        if bound is None:
            f.db[np.abs(f.db) < 1e-6] = 0
        else:
            np.clip(f.db, -1e6, 1e6, out=f.db)

    behind(monkeypatch, Dense, "backward", cut)
    (mismatch,) = compare_scaled(*single(DENSE), 12, True)
    assert (mismatch.name, mismatch.rows, mismatch.train) == ("db", 12, True)
    assert np.abs(mismatch.batch) == pytest.approx(1e6 / factor if bound else 0)
