"""Shifts and scales, and that they need little memory."""

import tracemalloc
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from bpcli.family import Scaler
from bpcli.family.plan import Array
from bpcli.parts import scalers
from bpcli.parts.scalers import MinMax, NoScaling, Robust, Standardize

FITTED = [Standardize(), MinMax(), Robust(), Standardize(per="all"), MinMax(per="all"), Robust(per="all")]


def scaled(scaler: Scaler, x: Array) -> Array:
    shift, scale = scaler.fit(x)
    assert shift.dtype == scale.dtype == np.float64
    assert shift.shape == scale.shape == x.shape[1:]
    out: Array = (x - shift) / scale
    return out


def test_by_hand() -> None:
    x = np.array([[1.0, 10], [3, 10], [5, 40]])
    assert np.allclose(scaled(Standardize(), x)[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5))
    assert scaled(MinMax(), x).tolist() == [[0, 0], [0.5, 0], [1, 1]]
    shift, scale = Standardize(per="all").fit(x)
    assert np.allclose(shift, 11.5)
    assert np.allclose(scale, x.std())
    assert MinMax(per="all").fit(x)[1].tolist() == [39, 39]
    assert scaled(Robust(), x).tolist() == [[-1, 0], [0, 0], [1, 2]]
    assert [a.tolist() for a in Robust(per="all").fit(x)] == [[7.5, 7.5], [6.5, 6.5]]
    assert [a.tolist() for a in NoScaling().fit(x)] == [[0, 0], [1, 1]]


@pytest.mark.parametrize("scaler", [Standardize(), MinMax(), Robust()])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 12345.678])
def test_constant_columns_only_shift(scaler: Scaler, value: float) -> None:
    """0.1 is not the mean of a thousand 0.1s: a variance would be tiny and not 0."""
    shift, scale = scaler.fit(np.full((1000, 1), value))
    assert (shift[0], scale[0]) == (value, 1)


@pytest.mark.parametrize("scaler", FITTED)
def test_one_row_and_no_columns(scaler: Scaler) -> None:
    assert scaled(scaler, np.array([[2.0]])).tolist() == [[0]]
    assert scaler.fit(np.empty((5, 0)))[0].shape == (0,)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (7, 2), elements=st.floats(-1e6, 1e6)), st.sampled_from(FITTED))
def test_what_scaling_is_for(x: Array, scaler: Any) -> None:
    y = scaled(scaler, x)
    _, scale = scaler.fit(x)
    axis = 0 if scaler.per == "column" else None
    assert (scale > 0).all()
    if isinstance(scaler, MinMax):
        assert y.min() >= 0
        assert y.max() <= 1 + 1e-15
    elif isinstance(scaler, Robust):
        low, middle, high = np.percentile(y, (25, 50, 75), axis=axis)
        assert np.allclose(middle, 0, atol=1e-9)
        assert (np.isclose(high - low, 1, atol=1e-6) | ((scale if axis == 0 else scale.max()) == 1)).all()
    elif (x.std(axis=axis) > 1e-6 * np.abs(x).max(axis=axis)).all():
        assert np.allclose(y.mean(axis=axis), 0, atol=1e-9)
        assert np.allclose(y.std(axis=axis), 1)


def test_nothing_cancels() -> None:
    x = 1e9 + np.array([[0.0], [1], [2], [3]])
    assert Standardize().fit(x)[1][0] == pytest.approx(np.sqrt(1.25), rel=1e-12)


@pytest.mark.parametrize("scaler", FITTED)
def test_blocks_do_not_matter(scaler: Scaler, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    whole = scaler.fit(x)
    monkeypatch.setattr(scalers, "NUMBERS_PER_BLOCK", 7)
    assert np.allclose(scaler.fit(x), whole, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("scaler", FITTED)
def test_bytes_stay_bytes(scaler: Scaler) -> None:
    """5,000 images of 784 bytes are 31 MB as float64; no such copy is made, nor does uint8 arithmetic wrap."""
    x = np.random.default_rng(0).integers(0, 256, (5000, 28, 28), np.uint8)
    x[0], x[1] = 0, 255
    tracemalloc.start()
    shift, scale = scaler.fit(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    exact = scaler.fit(x[:500].astype(np.float64))
    assert np.allclose(scaler.fit(x[:500]), exact, rtol=1e-12)
    if isinstance(scaler, MinMax):
        assert (shift == 0).all()
        assert (scale == 255).all()


@pytest.mark.parametrize("scaler", FITTED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.bool_])
def test_everything_is_computed_in_float64(scaler: Scaler, dtype: Any) -> None:
    x = (np.random.default_rng(0).normal(size=(3000, 2)) * 40 + 60).clip(0, 100).astype(dtype)
    assert np.array_equal(scaler.fit(x), scaler.fit(x.astype(np.float64)))


def test_too_large_is_not_hidden() -> None:
    x = np.array([[1e308], [-1e308], [1e308]])
    assert not np.isfinite(Standardize().fit(x)[1]).all()
    assert not np.isfinite(MinMax().fit(x)[1]).all()


@pytest.mark.peers
@pytest.mark.parametrize("shape", [(50, 4), (20_000, 3)])
def test_equal_to_scikit_learn(shape: tuple[int, int]) -> None:
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    x = np.random.default_rng(1).normal(size=shape) * [1, 100, 0.01, 7][: shape[1]] + 3
    x[:, 0] = 0.1
    ours = scaled(Standardize(), x)
    theirs = StandardScaler().fit(x)
    assert np.abs(ours - theirs.transform(x)).max() < 1e-12
    shift, scale = Standardize().fit(x)
    assert np.allclose(shift, theirs.mean_, rtol=1e-12)
    assert np.allclose(scale, theirs.scale_, rtol=1e-12)
    assert np.abs(scaled(MinMax(), x) - MinMaxScaler().fit_transform(x)).max() < 1e-12
    assert np.abs(scaled(Robust(), x) - RobustScaler().fit_transform(x)).max() < 1e-12
