"""The likeliest mistake, by where a gradient is wrong and how it is so there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from wrong_gradients import COUNTS, NONE, N, V, W, but, said, unknown

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.find_mistake import GRADIENT_BEFORE, Clues

RNG = np.random.default_rng(2)


def flat_gap(axis: int) -> Array:
    return N + RNG.normal(size=tuple(1 if k == axis else d for k, d in enumerate(N.shape)))


def zeroed(index: Any) -> Array:
    return but(N, index, 0.0)


PATTERNS: Mapping[str, tuple[Array, Array, Clues, str]] = {
    "overwritten": (
        N - W, N, Clues({}, arrays={GRADIENT_BEFORE: W}),
        "what stood in the gradient before is overwritten, and must be added to (+=)",
    ),
    "penalty": (
        N + 0.25 * W, N, Clues({}, arrays={"nothing": np.zeros_like(W), "w": W}),
        "kernel - expected = 0.25 times w: is a penalty on it added or left out?",
    ),
    "penalty on a weight of 0": (
        N + 0.25 * but(W, (0, 0), 0.0), N, Clues({}, arrays={"w": but(W, (0, 0), 0.0)}),
        "kernel - expected = 0.25 times w: is a penalty on it added or left out?",
    ),
    "another share of what stood before": (
        N + W, N, Clues({}, arrays={GRADIENT_BEFORE: W}),
        "kernel - expected = 1 times the gradient before: is a penalty on it added or left out?",
    ),
    "penalty by differences": (
        N + 0.25 * W * (1 + 5e-7 * np.sign(N)), N, Clues({}, arrays={"w": W}, rtol=1e-6),
        "kernel - expected = 0.25 times w: is a penalty on it added or left out?",
    ),
    "a factor twice": (
        N * W, N, Clues({}, arrays={"w": W}), "kernel = expected times w: that factor is one too many",
    ),
    "a factor of a row": (
        N * V, N, Clues({}, arrays={"v": V}), "kernel = expected times v: that factor is one too many",
    ),
    "a factor beside others": (
        N * V, N, Clues({}, arrays={"deep": np.ones((2, 4, 3)), "none": np.zeros(3), "long": np.ones(5), "v": V}),
        "kernel = expected times v: that factor is one too many",
    ),
    "a factor by differences": (
        N * W * (1 + 1e-7 * np.sign(N)), N, Clues({}, arrays={"w": W}, rtol=1e-6),
        "kernel = expected times w: that factor is one too many",
    ),
    "a factor missing by differences": (
        N / W * (1 + 1e-7 * np.sign(N)), N, Clues({}, arrays={"w": W}, rtol=1e-5),
        "expected = kernel times w: that factor is missing",
    ),
    "a factor missing": (
        N / W, N, Clues({}, arrays={"w": W}), "expected = kernel times w: that factor is missing",
    ),
    "a slope of a sigmoid": (
        N * W * (1 - W), N, Clues({}, arrays={"y": W}),
        "kernel = expected times y (1 - y): that factor is one too many",
    ),
    "a slope of tanh": (
        N, N * (1 - W * W), Clues({}, arrays={"y": W}), "expected = kernel times 1 - y^2: that factor is missing",
    ),
    "an array of more axes": (
        N * W * W, N, Clues({}, arrays={"w": np.stack([W, W])}), unknown("100%"),
    ),
    "an array of another size": (
        N * W * W, N, Clues({}, arrays={"w": np.array([1.0, 2.0])}), unknown("100%"),
    ),
    "a wrong tie": (
        but(but(N, (0, 0), 1.5), (2, 2), 2.5), N, Clues({}, tied=True),
        "it is wrong where inputs are equal only: several largest ones win, or the other branch is taken",
    ),
    "no mask": (
        N, but(but(N, (0, 0), 0.0), (2, 2), 0.0), NONE, "it is not 0 where it must be: a mask or a gate is missing",
    ),
    "no mask, where it is nearly 0": (
        N, but(but(N, (0, 0), 1e-13), (2, 2), 1e-13), NONE,
        "it is not 0 where it must be: a mask or a gate is missing",
    ),
    "another mask": (
        but(but(N, (0, 0), 0.0), (1, 2), 0.0), but(but(N, (3, 1), 0.0), (2, 2), 0.0), NONE,
        "it is 0 in other places than it must be, and right elsewhere: another mask than that of forward",
    ),
    "a factor of a column twice": (
        N * V, N, Clues({}, arrays={"v": V[:, None]}),
        "kernel / expected = v, the same all along axis 0: v is one time too many",
    ),
    "a factor of a column beside others": (
        N * V, N, Clues({}, arrays={"few": V[:2, None], "zero": np.array([[2.0], [0.0], [1.0]]), "v": V[:, None]}),
        "kernel / expected = v, the same all along axis 0: v is one time too many",
    ),
    "a factor of a column missing": (
        N / V, N, Clues({}, arrays={"v": V[:, None]}),
        "expected / kernel = v, the same all along axis 0: the factor v is missing",
    ),
    "a factor of a column without a name": (
        N * V, N, NONE,
        "kernel / expected is the same all along axis 0: (2, 5, 0.5); a factor of that shape is missing",
    ),
    "a factor of a row without a name": (
        N * np.array([[1.0], [1], [3], [1]]), N, NONE,
        "it is wrong in index 0 = 2 only; kernel / expected = 3: look for an index, a slice or a fixed number there",
    ),
    "a term of a column": (
        flat_gap(0), N, NONE, "kernel - expected is the same all along axis 0: a term summed over it is wrong",
    ),
    "a term of a row": (
        flat_gap(1), N, NONE, "kernel - expected is the same all along axis 1: a term summed over it is wrong",
    ),
    "no last row": (zeroed(3), N, NONE, "it is 0 wherever index 0 is 3, the last: a slice ends one too early"),
    "no last row, and another entry": (
        but(zeroed(3), (0, 0), 0.0), N, NONE, "where it is wrong it is 0: not everything is written",
    ),
    "a column of one": (
        np.array([[1.0], [5.0], [7.0]]), np.array([[5.0], [7.0], [2.0]]), NONE,
        "the right numbers, moved by one place along axes 0",
    ),
    "no first row": (zeroed(0), N, NONE, "it is 0 wherever index 0 is 0"),
    "no last column": (
        zeroed((slice(None), 2)), N, NONE, "it is 0 wherever index 1 is 2, the last: a slice ends one too early",
    ),
    "some zeros": (
        zeroed(([0, 1, 2], [0, 1, 0])), N, NONE, "where it is wrong it is 0: not everything is written",
    ),
    "most zeros": (
        but(zeroed(([0, 1, 2], [0, 1, 0])), (3, 2), 9.0), N, NONE,
        "of 4 wrong entries 3 are 0: not everything is written, as by a loop that ends early",
    ),
    "back to front": (N[::-1], N, NONE, "the right numbers, back to front along axes 0"),
    "back to front in rows": (N[:, ::-1], N, NONE, "the right numbers, back to front along axes 1"),
    "back to front in both": (N[::-1, ::-1], N, NONE, "the right numbers, back to front along axes 0, 1"),
    "moved by a row": (np.roll(N, 1, 0), N, NONE, "the right numbers, moved by one place along axes 0"),
    "moved back by a column": (
        np.concatenate([N[:, 1:], 9 + W[:, :1]], 1), N, NONE, "the right numbers, moved by one place along axes 1",
    ),
    "moved by both": (
        np.roll(N, (1, 1), (0, 1)) + np.array([[1.0, 2, 3], [4, 0, 0], [5, 0, 0], [6, 0, 0]]), N, NONE,
        "the right numbers, moved by one place along axes 0, 1",
    ),
    "some": (
        but(N, ([0, 1, 2, 3, 3], [0, 1, 0, 1, 2]), [4.0, 5, 9, 7, 8]), N, NONE,
        "5 of 12 entries are wrong, the others right: [0, 0], [1, 1], [2, 0], [3, 1] ...",
    ),
    "nothing known": (W, N, NONE, unknown("100%")),
    "between the layers": (
        W, N, Clues({}, whole_network=True),
        "each layer alone is right: what is wrong lies between them, in what one hands to the next",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_named(name: str) -> None:
    a, n, clues, text = PATTERNS[name]
    assert said(a, n, clues) == text


def test_a_long_factor_is_cut_off() -> None:
    n = RNG.normal(size=(3, 8))
    factors = np.arange(2.0, 10)
    assert said(n * factors, n) == (
        "kernel / expected is the same all along axis 0: (2, 3, 4, 5, 6, 7, ...); a factor of that shape is missing"
    )


def test_a_factor_of_six_columns_is_whole() -> None:
    n = RNG.normal(size=(3, 6))
    assert "(2, 3, 4, 5, 6, 7);" in said(n * np.arange(2.0, 8), n)


def test_a_ratio_beyond_all_numbers_is_none() -> None:
    n = but(N, (0, 0), 1e-305)
    assert said(but(W, (0, 0), 1e10), n) == unknown("100%")


def test_a_ratio_of_a_column_of_zeros_is_unknown() -> None:
    n = but(N, (slice(None), 1), 0.0)
    assert said(n * V, n).startswith("kernel / expected is the same all along axis 0: (2, nan, 0.5)")


def test_what_was_not_looked_at_is_no_pattern() -> None:
    few = np.full(N.shape, np.nan)
    few[0] = N[0]
    assert said(N[::-1], few) == unknown("100%")
    assert said(7 * N, few, COUNTS).startswith("kernel / expected = N (N = 7)")
    assert said(but(N, (0, 1), 9.0), few) == unknown("33%")
