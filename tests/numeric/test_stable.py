"""The stable functions against 60-digit decimals, at both ends and in between, without a warning and without memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bpcli.numeric import stable

EPS = {np.float32: float(np.finfo(np.float32).eps), np.float64: float(np.finfo(np.float64).eps)}
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def exact_erf(x: Decimal) -> Decimal:
    """The Taylor series; 100 digits outlast its cancellation up to |x| = 7."""
    with localcontext() as context:
        context.prec = 100
        term = total = x
        n = 0
        while term and abs(term) > abs(total) * Decimal("1e-70"):
            n += 1
            term *= -x * x / n
            total += term / (2 * n + 1)
        return 2 * total / PI.sqrt()


def exact(f: Callable[[Decimal], Decimal], x: np.ndarray) -> np.ndarray:
    with localcontext() as context:
        context.prec = 60
        return np.array([float(f(Decimal(float(v)))) for v in x.ravel()]).reshape(x.shape)


def relative(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.max(np.abs(found.astype(np.float64) - true) / np.abs(true)))


class TestErf:
    def grid(self, top: float, smallest: float) -> np.ndarray:
        x = np.concatenate([np.linspace(0, top, 700)[1:], np.geomspace(smallest, 0.1, 120), [30.0]])
        return np.concatenate([x, -x])

    def test_it_is_within_two_ulp_in_float64(self) -> None:
        x = self.grid(6.5, 1e-300)
        true = exact(lambda v: exact_erf(max(min(v, Decimal(7)), Decimal(-7))), x)
        found = stable.erf(x)
        assert np.abs(found - true).max() <= EPS[np.float64]
        assert (np.abs(found - true) / np.spacing(np.abs(true))).max() <= 2

    def test_it_is_within_two_ulp_in_float32(self) -> None:
        x = np.concatenate([np.linspace(-4.5, 4.5, 100_001), self.grid(5, 1e-30)]).astype(np.float32)
        true = stable.erf(x.astype(np.float64))
        found = stable.erf(x)
        assert found.dtype == np.float32
        off = np.abs(found - true) / np.spacing(np.abs(true).astype(np.float32))
        assert off[x != 0].max() <= 2

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_ends_signs_and_what_is_no_number(self, dtype: Any) -> None:
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38], dtype)
        found = stable.erf(x)
        np.testing.assert_array_equal(found, [0, 0, 1, -1, np.nan, 1, -1])
        assert list(np.signbit(found[:2])) == [False, True]
        y = np.linspace(0, 7, 50).astype(dtype)
        np.testing.assert_array_equal(stable.erf(-y), -stable.erf(y))

    def test_it_writes_into_out(self) -> None:
        x = np.linspace(-2, 2, 12).reshape(3, 4)
        out, scratch, kept = np.empty((3, 4)), np.empty((3, 4)), x.copy()
        assert stable.erf(x, out) is out
        assert stable.erf_into(x, np.empty((3, 4)), scratch) == pytest.approx(out, abs=0)
        np.testing.assert_array_equal(x, kept)

    def test_the_fits_are_the_best_of_their_degree(self) -> None:
        """The error of a minimax polynomial of degree n alternates in sign n + 2 times at its full size."""
        for coefficients, top, largest in ((stable._ERF_32, 4, 4.1e-9), (stable._ERF_64, 6, 8e-17)):
            errors = []
            with localcontext() as context:
                context.prec = 60
                for i in range(1, 400):
                    a = top * (Decimal(i) / 400) ** 2  # closer together near 0
                    erf = exact_erf(a)
                    p = sum(Decimal(c) * a**k for k, c in enumerate(coefficients))
                    errors.append(float((p + 1 + (1 - erf).ln() / a) * a * (1 - erf) / erf))
            assert max(map(abs, errors)) <= largest
            if coefficients is stable._ERF_32:  # in float64 the rounding of the coefficients hides it
                peaks = [e for e in errors if abs(e) > 0.9 * max(map(abs, errors))]
                turns = sum((a > 0) != (b > 0) for a, b in pairwise(peaks))
                assert turns == len(coefficients)

    @pytest.mark.peers
    def test_mpmath_agrees(self) -> None:
        mpmath = pytest.importorskip("mpmath")
        x = np.concatenate([np.linspace(-6.5, 6.5, 4001), np.geomspace(1e-300, 30, 3000)])
        with mpmath.workdps(40):
            true = np.array([float(mpmath.erf(mpmath.mpf(float(v)))) for v in x])
        found = stable.erf(x)
        assert np.abs(found - true).max() <= 4e-16
        assert (np.abs(found - true)[true != 0] / np.abs(true[true != 0])).max() <= 4e-16


class TestSigmoid:
    @pytest.mark.parametrize(("dtype", "left"), [(np.float32, -87.0), (np.float64, -708.0)])
    def test_both_tails_are_accurate(self, dtype: Any, left: float) -> None:
        x = np.concatenate([np.linspace(left, 40, 301), [-1e-9, 0, 1e-9]]).astype(dtype)
        true = exact(lambda v: 1 / (1 + (-v).exp()), x)
        assert relative(stable.sigmoid(x, np.empty_like(x)), true) <= 4 * EPS[dtype]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_huge_inputs(self, dtype: Any) -> None:
        x = np.array([-1e38, -800, 800, 1e38, -np.inf, np.inf, np.nan], dtype)
        found = stable.sigmoid(x, np.empty_like(x))
        tiny = float(np.finfo(dtype).tiny)
        assert np.all((found[[0, 1, 4]] >= tiny) & (found[[0, 1, 4]] < 2 * tiny))
        np.testing.assert_array_equal(found[[2, 3, 5, 6]], [1, 1, 1, np.nan])

    def test_in_place(self) -> None:
        x = np.linspace(-3, 3, 7)
        expected = stable.sigmoid(x, np.empty(7))
        np.testing.assert_array_equal(stable.sigmoid(x, x), expected)


class TestLog1pExp:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_both_tails_are_accurate(self, dtype: Any) -> None:
        x = np.concatenate([np.linspace(-87, 90, 301), [-1e-9, 1e-9]]).astype(dtype)
        true = exact(lambda v: (1 + v.exp()).ln(), x)
        assert relative(stable.log1pexp(x, np.empty_like(x), np.empty_like(x)), true) <= 4 * EPS[dtype]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_huge_inputs_and_in_place(self, dtype: Any) -> None:
        x = np.array([-1e38, -800, 800, 1e38, np.inf], dtype)
        np.testing.assert_array_equal(
            stable.log1pexp(x, x, np.empty_like(x)), np.array([0, 0, 800, 1e38, np.inf], dtype)
        )


class TestRows:
    shapes = pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 7), (4, 1)])

    @shapes
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_softmax_and_logsumexp_are_accurate(self, shape: tuple[int, ...], dtype: Any) -> None:
        x = (np.random.default_rng(3).normal(size=shape) * 5).astype(dtype)
        rows = x.reshape(-1, shape[-1]).astype(np.float64)
        sums = [sum((Decimal(v).exp() for v in row), Decimal(0)) for row in rows.tolist()]
        true = np.array(
            [[float(Decimal(v).exp() / s) for v in row] for row, s in zip(rows.tolist(), sums, strict=True)]
        )
        row = np.empty((*shape[:-1], 1), dtype)
        found = stable.softmax(x, np.empty_like(x), row)
        assert relative(found.reshape(true.shape), true) <= 8 * EPS[dtype] * max(1, np.abs(rows).max())
        out = stable.logsumexp(x, np.empty_like(row), np.empty_like(x), row)
        true_sum = np.array([float(s.ln()) for s in sums])
        assert out.shape == (*shape[:-1], 1)
        assert np.abs(out.ravel() - true_sum).max() <= 8 * EPS[dtype] * max(1, np.abs(true_sum).max())

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rows_that_differ_by_much_and_entries_that_are_out_of_the_race(self, dtype: Any) -> None:
        x = np.array([[800, 799, -800], [-800, -800, -800], [1e38, -1e38, 0], [0, -np.inf, 0]], dtype)
        row = np.empty((4, 1), dtype)
        lse = stable.logsumexp(x, np.empty_like(row), np.empty_like(x), row)
        expected = [800 + np.log1p(np.exp(-1.0)), -800 + np.log(3.0), 1e38, np.log(2.0)]
        np.testing.assert_allclose(lse.ravel(), np.array(expected, dtype), rtol=2 * EPS[dtype])
        p = stable.softmax(x, x, row)  # in place
        np.testing.assert_allclose(p.sum(-1), 1, rtol=4 * EPS[dtype])
        np.testing.assert_array_equal(p[1:], np.array([[1 / 3] * 3, [1, 0, 0], [0.5, 0, 0.5]], dtype))


def test_nothing_is_allocated_that_grows() -> None:
    def peak(n: int, dtype: Any) -> int:
        x, out, scratch = (np.ones((n, 8), dtype) for _ in range(3))
        row, other = np.ones((n, 1), dtype), np.ones((n, 1), dtype)
        tracemalloc.start()
        stable.erf_into(x, out, scratch)
        stable.sigmoid(x, out)
        stable.log1pexp(x, out, scratch)
        stable.softmax(x, out, row)
        stable.logsumexp(x, row, scratch, other)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for dtype in (np.float32, np.float64):
        assert peak(100_000, dtype) <= peak(10_000, dtype) + 4096


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flush_sets_subnormal_numbers_to_0_and_nothing_else(dtype: Any) -> None:
    tiny = np.finfo(dtype).tiny
    x = np.array([0, tiny, -tiny, tiny / 2, -tiny / 4, 1, -np.inf], dtype)
    stable.flush(x, np.empty_like(x))
    np.testing.assert_array_equal(x, np.array([0, tiny, -tiny, 0, 0, 1, -np.inf], dtype))
