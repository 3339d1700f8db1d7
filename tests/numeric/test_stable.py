"""The stable functions against 60-digit decimals, at both ends and in between, without a warning and without memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import reduce
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

    def test_ends_signs_and_what_is_no_number(self) -> None:
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38])
        found = stable.erf(x)
        np.testing.assert_array_equal(found, [0, 0, 1, -1, np.nan, 1, -1])
        assert list(np.signbit(found[:2])) == [False, True]
        y = np.linspace(0, 7, 50)
        np.testing.assert_array_equal(stable.erf(-y), -stable.erf(y))

    def test_the_fit_is_that_good(self) -> None:
        for i in range(1, 400):
            with localcontext() as context:
                context.prec = 60
                a = 6 * (Decimal(i) / 400) ** 2  # closer together near 0
                erf = exact_erf(a)
                p = sum(Decimal(c) * a**k for k, c in enumerate(stable._ERF))
                assert abs(float((p + 1 + (1 - erf).ln() / a) * a * (1 - erf) / erf)) <= 8e-17

    @pytest.mark.peers
    def test_mpmath_agrees(self) -> None:
        mpmath = pytest.importorskip("mpmath")
        x = np.concatenate([np.linspace(-6.5, 6.5, 4001), np.geomspace(1e-300, 30, 3000)])
        with mpmath.workdps(40):
            true = np.array([float(mpmath.erf(mpmath.mpf(float(v)))) for v in x])
        found = stable.erf(x)
        assert np.abs(found - true).max() <= 4e-16
        assert (np.abs(found - true)[true != 0] / np.abs(true[true != 0])).max() <= 4e-16


def exact_mills(a: Decimal) -> Decimal:
    """Phi(-a) / phi(a): near 0 by its Taylor series, far out by Laplace's continued fraction."""
    with localcontext() as context:
        context.prec = 100
        if a > 6:
            under = a
            for k in range(600, 0, -1):
                under = a + k / under
            return 1 / under
        term = total = a
        n = 0
        while term > total * Decimal("1e-90"):
            n += 1
            term *= a * a / (2 * n + 1)
            total += term
        return (PI / 2).sqrt() * (a * a / 2).exp() - total


class TestNormalTail:
    def test_the_fits_are_the_best_of_their_degrees(self) -> None:
        """The error of a minimax rational function of n + m + 1 coefficients alternates n + m + 2 times at its full
        size."""
        for (top, bottom), largest in ((stable._TAIL_32, 1.5e-9), (stable._TAIL_64, 1.2e-16)):
            errors, exactly = [], [[Decimal(c) for c in row] for row in (top, bottom)]
            with localcontext() as context:
                context.prec = 60
                for i in range(401):
                    a = 3 * Decimal(i) / (400 - i * Decimal(12) / 13)  # up to 39, closer together near 0
                    p, q = (reduce(lambda v, c, a=a: v * a + c, row[::-1]) for row in exactly)
                    errors.append(float((p / q + a) * exact_mills(a) - 1))
            assert max(map(abs, errors)) <= largest
            if top is stable._TAIL_32[0]:  # in float64 the rounding of the coefficients hides it
                peaks = [e for e in errors if abs(e) > 0.7 * max(map(abs, errors))]
                turns = sum((a > 0) != (b > 0) for a, b in pairwise(peaks))
                assert turns == len(top) + len(bottom) - 1

    @pytest.mark.parametrize(("dtype", "end"), [(np.float32, 14.3), (np.float64, 38.4)])
    def test_the_bell_and_what_is_under_its_tail_are_accurate(self, dtype: Any, end: float) -> None:
        a = np.concatenate([np.linspace(0, end, 1001), np.geomspace(1e-30, 1, 60)]).astype(dtype)
        root, ratio, s, t = (np.empty_like(a) for _ in range(4))
        stable.gauss_root(a, root, s, t)
        stable.mills(a, ratio, s)
        assert relative(root, exact(lambda v: (-v * v / 4).exp(), a)) <= 1.5 * EPS[dtype]
        assert relative(ratio, exact(lambda v: exact_mills(v) / (2 * PI).sqrt(), a)) <= 2 * EPS[dtype]

    def test_erfc(self) -> None:
        x = np.concatenate([np.linspace(-6.5, 26.5, 700), np.geomspace(1e-300, 0.1, 60), [27.2, 30, 800, -30, -800]])
        found = stable.erfc(x)

        def true(v: Decimal) -> Decimal:
            if v < 0:
                return 1 + exact_erf(max(-v, Decimal(-7)) if -v < 7 else Decimal(7))
            return 2 * (-v * v).exp() * exact_mills(v * Decimal(2).sqrt()) / (2 * PI).sqrt()

        right = exact(true, x)
        assert (np.abs(found - right) / np.spacing(right)).max() <= 4
        assert stable.erfc(np.array([np.inf, -np.inf, 0.0])).tolist() == [0, 2, 1]
        assert np.isnan(stable.erfc(np.array([np.nan])))


class TestSigmoid:
    @pytest.mark.parametrize(("dtype", "left"), [(np.float32, -87.0), (np.float64, -708.0)])
    def test_both_tails_are_accurate(self, dtype: Any, left: float) -> None:
        x = np.concatenate([np.linspace(left, 40, 301), [-1e-9, 0, 1e-9]]).astype(dtype)
        true = exact(lambda v: 1 / (1 + (-v).exp()), x)
        p, q, s = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        assert relative(stable.sigmoid(x, p, s), true) <= 4 * EPS[dtype]
        stable.sigmoids(-x, p, q, s)
        assert relative(q, true) <= 4 * EPS[dtype]
        assert relative(p, exact(lambda v: 1 / (1 + v.exp()), x)) <= 4 * EPS[dtype]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_huge_inputs(self, dtype: Any) -> None:
        x = np.array([-1e38, -800, 800, 1e38, -np.inf, np.inf, np.nan], dtype)
        found = stable.sigmoid(x, np.empty_like(x), np.empty_like(x))
        np.testing.assert_array_equal(found, [0, 0, 1, 1, 0, 1, np.nan])

    def test_in_place(self) -> None:
        x = np.linspace(-3, 3, 7)
        expected = stable.sigmoid(x, np.empty(7), np.empty(7))
        np.testing.assert_array_equal(stable.sigmoid(x, x, np.empty(7)), expected)


class TestRows:
    shapes = pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 7), (4, 1)])

    @shapes
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_softmax_is_accurate(self, shape: tuple[int, ...], dtype: Any) -> None:
        x = (np.random.default_rng(3).normal(size=shape) * 5).astype(dtype)
        rows = x.reshape(-1, shape[-1]).astype(np.float64)
        sums = [sum((Decimal(v).exp() for v in row), Decimal(0)) for row in rows.tolist()]
        true = np.array(
            [[float(Decimal(v).exp() / s) for v in row] for row, s in zip(rows.tolist(), sums, strict=True)]
        )
        row = np.empty((*shape[:-1], 1), dtype)
        found = stable.softmax(x, np.empty_like(x), row)
        assert relative(found.reshape(true.shape), true) <= 8 * EPS[dtype] * max(1, np.abs(rows).max())

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rows_that_differ_by_much_and_entries_that_are_out_of_the_race(self, dtype: Any) -> None:
        x = np.array([[800, 799, -800], [-800, -800, -800], [1e38, -1e38, 0], [0, -np.inf, 0]], dtype)
        row = np.empty((4, 1), dtype)
        p = stable.softmax(x, x, row)  # in place
        np.testing.assert_allclose(p.sum(-1), 1, rtol=4 * EPS[dtype])
        np.testing.assert_array_equal(p[1:], np.array([[1 / 3] * 3, [1, 0, 0], [0.5, 0, 0.5]], dtype))


def test_nothing_is_allocated_that_grows() -> None:
    def peak(n: int, dtype: Any) -> int:
        x, out, scratch, other = (np.ones((n, 8), dtype) for _ in range(4))
        row = np.ones((n, 1), dtype)
        tracemalloc.start()
        stable.gauss_root(x, out, scratch, other)
        stable.mills(x, out, scratch)
        stable.sigmoid(x, out, scratch)
        stable.sigmoids(x, out, other, scratch)
        stable.softmax(x, out, row)
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
