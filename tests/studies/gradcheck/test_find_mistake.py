"""The likeliest mistake, by the numbers of a gradient alone and by the equations that it should have followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from bpcli.family.plan import Array
from bpcli.notation import Program, compile_equations
from bpcli.notation.syntax import Eq
from bpcli.studies.gradcheck.find_mistake import (
    GRADIENT_BEFORE,
    Clues,
    find_mistake,
    gradient_hypotheses,
    multiple,
)

RNG = np.random.default_rng(1)
N = RNG.normal(size=(4, 3))
W, V = RNG.normal(size=(4, 3)), np.array([2.0, 5.0, 0.5])
NONE = Clues({})
COUNTS = Clues({"N": 7, "K": 5})


def said(a: Any, n: Any = N, clues: Clues = NONE) -> str:
    return find_mistake("dense_1.dW", np.asarray(a, np.float64), np.asarray(n), clues).text


def but(a: Array, index: Any, value: Any) -> Array:
    out = a.copy()
    out[index] = value
    return out


def unknown(share: str) -> str:
    return (
        f"{share} of the entries are wrong, and their numbers show no known mistake; equations beside the kernel would "
        "tell more"
    )


# ------------------------------------------------------------------------------------------------------------- a factor
RATIOS: Mapping[float, str] = {
    -1.0: "the sign is turned: kernel / expected = -1 everywhere",
    2.0: "kernel / expected = 2 everywhere: a factor 2 too many, or a 1/2 forgotten",
    0.5: "kernel / expected = 1/2 everywhere: a factor 2 forgotten, or a 1/2 too many",
    -2.0: "the sign is turned, and kernel / expected = 2 everywhere: a factor 2 too many, or a 1/2 forgotten",
    7.0: "kernel / expected = N (N = 7): it is not divided by the rows",
    1 / 7: "kernel / expected = 1/N (N = 7): it is divided by the rows once too often",
    -1 / 7: "the sign is turned, and kernel / expected = 1/N (N = 7): it is divided by the rows once too often",
    49.0: "kernel / expected = N^2 (N = 7)",
    1 / 49: "kernel / expected = 1/N^2 (N = 7)",
    6.0: "kernel / expected = N - 1 (N = 7)",
    7 / 6: "kernel / expected = N/(N - 1) (N = 7)",
    6 / 7: "kernel / expected = (N - 1)/N (N = 7)",
    5.0: "kernel / expected = K (K = 5): it is not divided by the outputs",
    4.0: "kernel / expected = K - 1 (K = 5)",
    35.0: "kernel / expected = N K = 35: it is not divided by the number of values",
    1 / 35: "kernel / expected = 1/(N K): it is divided by the number of values twice",
    7 / 5: "kernel / expected = N/K (7/5)",
    5 / 7: "kernel / expected = K/N (5/7)",
    3.25: "kernel / expected = 3.25 everywhere: a factor is missing or one too many",
    1.00005: "kernel / expected = 1 + 5e-05 everywhere: a factor is missing or one too many",
    0.99995: "kernel / expected = 1 - 5e-05 everywhere: a factor is missing or one too many",
    1.0001234: "kernel / expected = 1.00012 everywhere: a factor is missing or one too many",
}


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_constant_factor_is_named(ratio: float) -> None:
    assert said(ratio * N, clues=COUNTS) == RATIOS[ratio]


def test_of_one_row_no_factor_comes() -> None:
    assert said(3 * N, clues=Clues({"N": 1, "K": 3})).startswith("kernel / expected = K (K = 3)")
    assert said(3.0 * N, clues=Clues({"N": 1})).startswith("kernel / expected = 3 everywhere")


@pytest.mark.parametrize(
    ("ratio", "shown"), [(0.3, "rate"), (1 / 0.3, "1/rate"), (0.7, "1 - rate"), (1 / 0.7, "1/(1 - rate)")]
)
def test_a_setting_as_a_factor_is_named(ratio: float, shown: str) -> None:
    clues = Clues({"N": 7}, {"rate": 0.3})
    assert said(ratio * N, clues=clues) == f"kernel / expected = {shown} (rate = 0.3) everywhere"


def test_settings_of_0_and_1_are_no_factors() -> None:
    clues = Clues({"N": 7}, {"off": 0.0, "on": 1.0})
    assert said(-N, clues=clues) == "the sign is turned: kernel / expected = -1 everywhere"
    assert said(1.5 * N, clues=clues) == "kernel / expected = 1.5 everywhere: a factor is missing or one too many"


def test_a_factor_is_put_down_to_a_count_only_where_it_follows_the_count() -> None:
    def elsewhere(letter: str) -> float | None:
        asked.append(letter)
        return {"N": 7.0005, "K": 3.0}[letter]

    asked: list[str] = []
    clues = Clues({"N": 7, "K": 5}, ratio_elsewhere=elsewhere)
    assert said(7 * N, clues=clues) == "kernel / expected = 7 everywhere: a factor is missing or one too many"
    assert said(5 * N, clues=clues).startswith("kernel / expected = K (K = 5)")
    assert said(35 * N, clues=clues).startswith("kernel / expected = N K = 35")
    assert set(asked) == {"N", "K"}
    same_for_all = Clues({"N": 7, "K": 5}, ratio_elsewhere={"N": 40.0, "K": 35.0}.get)
    assert said(35 * N, clues=same_for_all).startswith("kernel / expected = 35 everywhere")
    cannot = Clues({"N": 7, "K": 5}, ratio_elsewhere=lambda letter: None)
    assert said(7 * N, clues=cannot).startswith("kernel / expected = N (N = 7)")


def test_how_well_the_numbers_are_known_decides_whether_a_factor_is_constant() -> None:
    a = 7 * N * (1 + 1e-7 * RNG.choice((-1, 1), N.shape))
    assert said(a, clues=COUNTS) == unknown("100%")
    assert said(a, clues=Clues({"N": 7}, rtol=1e-6)).startswith("kernel / expected = N (N = 7)")
    assert "it is right to 1e-07 only" in said(a / 7, clues=COUNTS)
    assert "kernel / expected" not in said(N * (1 + 5e-7), clues=Clues({}, rtol=1e-6)), "as good as 1"


def test_a_multiple() -> None:
    assert multiple(3 * N, N) == pytest.approx(3, rel=1e-14)
    assert multiple(3 * N + 1e-6, N) is None
    assert multiple(3 * N + 1e-7, N, rtol=1e-6) == pytest.approx(3, rel=1e-6)
    assert multiple(N, np.zeros_like(N)) is None
    assert multiple(np.zeros_like(N), N) is None, "0 is no factor"
    assert multiple(W, N) is None
    assert multiple(1e-5 * N + 5e-9 * W / 3, N, rtol=1e-5) is not None, "a small factor has a bar of a thousandth"
    assert multiple(1e-3 * N + 1e-9 * W, N, rtol=1e-7) is None


# ------------------------------------------------------------------------------------------ before the numbers are read
NOT_FINITE = "it holds numbers that are not finite: a division by 0, or a number too large"


def test_what_is_not_finite_is_said_first() -> None:
    clues = Clues({}, forward_mismatch="dense_1.y")
    assert said(but(N, (0, 0), np.nan), clues=clues) == NOT_FINITE
    assert said(but(N, (0, 0), np.inf)) == NOT_FINITE


def test_a_forward_pass_that_is_wrong_comes_before_weights_that_moved() -> None:
    clues = Clues({}, forward_mismatch="dense_1.y", moved_weights=("dense_1.W",))
    assert said(2 * N, clues=clues) == (
        "backward is that of the equations, and forward is not the same function: dense_1.y is wrong"
    )
    moved = Clues({}, moved_weights=("dense_1.W", "dense_1.b"))
    assert said(2 * N, clues=moved) == (
        "the pass backward moves dense_1.W, dense_1.b, and what comes after sees updated weights"
    )


def test_a_kernel_that_is_called_twice() -> None:
    dx = np.zeros_like(N)

    def adds(dy: Array) -> Array:
        np.add(dx, N * dy, out=dx)
        return dx.copy()

    def by_chance(dy: Array) -> Array:
        return N + RNG.normal(size=N.shape)

    def adds_nearly(dy: Array) -> Array:
        return adds(dy) * (1 + 1e-8)

    ones, holes = np.ones_like(N), but(N, (0, 0), np.nan)
    assert said(3 * N, clues=Clues({}, kernel=adds, at=ones)) == (
        "it is added to what stood there before (+=): a second call gives it twice"
    )
    assert said(3 * N, clues=Clues({}, kernel=by_chance, at=ones)) == (
        "it is another when computed a second time: backward draws by chance, or changes what it reads"
    )
    assert "a second call" in said(3 * N, clues=Clues({}, kernel=adds_nearly, at=ones, rtol=1e-6))
    assert said(3 * N, clues=Clues({}, kernel=by_chance)).startswith("kernel / expected = 3"), "nothing to call it with"
    assert said(3 * N, clues=Clues({}, at=ones)).startswith("kernel / expected = 3"), "nothing to call"
    assert said(3 * N, clues=Clues({}, kernel=lambda dy: holes, at=ones)).startswith("kernel / expected = 3")
    assert said(W, clues=Clues({}, kernel=lambda dy: dy * W, at=ones)) == unknown("100%"), "and no equations"
    assert said(3 * N, clues=Clues({}, kernel=lambda dy: 3 * N * dy, at=ones)).startswith("kernel / expected = 3")


def test_a_gradient_of_nothing() -> None:
    assert said(np.zeros_like(N)) == "it is all 0: backward never writes it, or nothing arrives"


# ---------------------------------------------------------------------------------------------- numbers that are coarse
def test_rounded_numbers() -> None:
    assert said(np.rint(N)) == "it holds whole numbers only: a buffer of integers"
    assert said(N.astype(np.float32)) == "its numbers are rounded to float32: a buffer or a cast is of that type"
    assert said(N.astype(np.float16)) == "its numbers are rounded to float16: a buffer or a cast is of that type"
    signs = RNG.choice((-1, 1), N.shape)
    largest = np.abs(N).max()
    assert said(N + 1e-7 * largest * signs) == "it is right to 1e-07 only: somewhere on the way numbers are float32"
    assert said(N + 1e-5 * largest * signs) == unknown("100%"), "that is more than float32 takes away"
    assert "right to" not in said(N * (1 + 1e-7)), "a factor is no rounding"
    assert said(but(N, (slice(0, 2),), N[:2] * (1 + 1e-7 * signs[:2]))) != (
        "it is right to 1e-07 only: somewhere on the way numbers are float32"
    ), "half of it is right"


def test_whole_numbers_that_are_far_off_are_not_rounded() -> None:
    assert "whole numbers" not in said(np.rint(N) + 1)
    whole = np.arange(1.0, 13).reshape(4, 3)
    assert "whole numbers" not in said(whole + 0.0 * W + np.eye(4, 3), whole), "where whole numbers are expected"


def test_numbers_beyond_those_of_float16_are_compared() -> None:
    assert said(1e6 * N + 1e3 * W, 1e6 * N) == unknown("100%")


def test_numbers_of_differences_are_too_vague_to_see_rounding_but_not_the_type() -> None:
    vague, signs = Clues({}, rtol=1e-6), np.where(W > 0, 1, -1)
    assert "float32" not in said(N + 1e-7 * np.abs(N).max() * signs, clues=vague)
    assert said(N.astype(np.float32), clues=vague).startswith("its numbers are rounded to float32")


# ------------------------------------------------------------------------------------------------------ where it stands
def test_a_square_that_is_transposed() -> None:
    square = W[:3]
    assert said(square.T, square) == "it is transposed: what belongs to [i,j] stands at [j,i]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "only the entry [2,1] is wrong: it is 0, all others are right"),
        (3 * N[2, 1], "only the entry [2,1] is wrong: kernel / expected = 3, all others are right"),
        (1.00001 * N[2, 1], "only the entry [2,1] is wrong: kernel / expected = 1 + 1e-05, all others are right"),
    ],
)
def test_a_single_entry(value: float, text: str) -> None:
    assert said(but(N, (2, 1), value)) == text


def test_a_single_entry_that_should_be_0() -> None:
    n = but(N, (2, 1), 0.0)
    assert said(but(n, (2, 1), 0.25), n) == "only the entry [2,1] is wrong: 0.25, all others are right"


def test_an_entry_is_wrong_by_what_the_largest_is() -> None:
    """Rounding of the others is none, and a wrong one that is huge hides no other."""
    scale = 1e-9
    n = but(N, (0, 0), 1e-9 * np.abs(N).max()) * scale
    a = but(but(n, (2, 1), 0.0), (0, 0), 1.5 * n[0, 0])
    assert said(a, n) == "only the entry [2,1] is wrong: it is 0, all others are right"
    assert said(but(N, ([0, 1], [0, 1]), [1e9, N[1, 1] + 1])) == (
        "2 of 12 entries are wrong, the others right: [0, 0], [1, 1] ..."
    )


def test_an_entry_that_is_off_by_very_little() -> None:
    """By less than what counts as right elsewhere, but more than the equations leave room for."""
    assert said(but(N, (2, 1), N[2, 1] * (1 + 1e-8))) == (
        "only the entry [2,1] is wrong: kernel / expected = 1 + 1e-08, all others are right"
    )
    more = N * (1 + 1e-8 * np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1], [0, 0, 0]]))
    assert said(more) == "3 of 12 entries are wrong, the others right: [0, 0], [1, 1], [2, 2] ..."


def test_of_two_entries_none_is_single() -> None:
    assert "only the entry" not in said([1.0, 3.0], np.array([1.0, 2.0]))


def test_a_sum_over_everything() -> None:
    text = "every entry is the sum over all of them: it is summed over one axis too many"
    assert said(np.full(N.shape, N.sum())) == text


# ------------------------------------------------------------------------------------------------------------- patterns
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


# --------------------------------------------------------------------------------------------------------- by equations
TANH = [
    Eq("y[n,o]", "tanh(x[n,o])", "definition"),
    Eq("dx[n,o]", "dy[n,o] * (1 - y[n,o]**2)", "the slope of tanh"),
]
DENSE = [
    Eq("y[n,o]", "sum(i, x[n,i] * W[i,o]) + b[o]", "definition"),
    Eq("db[o]", "sum(n, dy[n,o])", "rows add"),
    Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])", "rows add"),
    Eq("dx[n,i]", "sum(o, dy[n,o] * W[i,o])", "back through every weight"),
]
X, DY = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 3))
DENSE_ENV = {"x": X, "W": W, "b": V, "dy": DY}
DW, DX = X.T @ DY, DY @ W.T


def clues_of(equations: list[Eq], env: Mapping[str, Array], target: str, params: tuple[str, ...], **more: Any) -> Clues:
    shapes = {"dx": env["x"].shape, **{f"d{p}": env[p].shape for p in params}}
    program: Program = compile_equations(equations, env, shapes)
    hypotheses = gradient_hypotheses((program, program), env, target, params, "y")
    assert hypotheses.long_forms is None, "of the same program"
    return Clues({"N": 7, "K": 3}, hypotheses=hypotheses, **more)


def of_dense(target: str, **more: Any) -> Clues:
    return clues_of(DENSE, DENSE_ENV, target, ("W", "b"), **more)


def of_tanh(**more: Any) -> Clues:
    return clues_of(TANH, {"x": X, "dy": X[::-1]}, "dx", (), **more)


def test_a_mistake_in_the_equations_is_named() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    assert said(X[::-1], slope, of_tanh()) == (
        "the error is passed on as it arrives: the slope is forgotten; or the factor 1 - y[n,o]^2 is left out in dx; "
        "or the term y[n,o]^2 is left out in dx"
    ), "three at most"
    assert said(X[::-1] * (1 - np.tanh(X)), slope, of_tanh()) == "the power is left out of y[n,o]^2 in dx"
    assert said(X[-1:].T @ DY[-1:], DW, of_dense("dW")).startswith("the terms over n overwrite each other")


def test_mistakes_that_give_the_same_numbers_are_named_together() -> None:
    text = said(X[:1].T @ DY[:1], DW, of_dense("dW"))
    assert text.count("; or ") == 1, text


def test_a_factor_that_the_equations_explain_is_said_with_them() -> None:
    text = said(-DX, DX, of_dense("dx"))
    assert text.startswith("the sign is turned")
    mean = said(DW / 7, DW, of_dense("dW"))
    assert mean == (
        "kernel / expected = 1/N (N = 7): it is divided by the rows once too often: a mean is taken where a sum is "
        "meant, in dW"
    )


def test_what_explains_nearly_everything_is_said_with_what_is_left() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    a = X[::-1] * (1 - np.tanh(X)) + 1e-4 * np.sin(X)
    text = said(a, slope, of_tanh())
    left = np.abs(1e-4 * np.sin(X)).max() / np.abs(a - slope).max()
    assert text == (
        f"nearly: the power is left out of y[n,o]^2 in dx; what is left of the difference is {left:.0e} of it, "
        "something else"
    )
    assert "nearly" not in said(X[::-1] * (1 - np.tanh(X)) + 0.1 * np.sin(X), slope, of_tanh())


def test_weights_that_were_updated_too_early() -> None:
    moved = DY @ (W - 0.25 * DW).T
    assert said(moved, DX, of_dense("dx")) == (
        "it is computed with a W that was updated already (by 0.25 times its gradient)"
    )


def test_an_array_that_is_cut_off() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    bound = 0.5
    assert said(np.minimum(X[::-1], bound) * (1 - np.tanh(X) ** 2), slope, of_tanh()) == (
        "dy is cut off above at 0.5 in backward, and is not in forward"
    )


def test_numbers_that_no_equation_gives() -> None:
    assert said(RNG.normal(size=(4, 3)), DW, of_dense("dW")) == (
        "100% of the entries are wrong, and no single mistake in the equations gives these numbers"
    )


def test_rows_and_columns_that_see_each_other_by_the_kernel_alone() -> None:
    def clues(kernel: Callable[[Array], Array]) -> Clues:
        return of_tanh(kernel=kernel, at=X[::-1].copy())

    def rows(dy: Array) -> Array:
        return dy - dy.mean(0) + np.sin(X)

    def columns(dy: Array) -> Array:
        return dy - dy.mean(1, keepdims=True) + np.sin(X)

    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    last = ": a sum or a mean goes along the wrong axis, or over one too many or too few"
    assert said(rows(X[::-1]), slope, clues(rows)) == (
        f"dy of one row moves what stands in the others, and must not{last}"
    )
    assert said(columns(X[::-1]), slope, clues(columns)) == (
        f"dy of one column moves what stands in the others, and must not{last}"
    )


def test_rows_that_see_each_other_by_the_equations_alone() -> None:
    centred = [
        Eq("m[o]", "mean(n, x[n,o])", "mean"),
        Eq("y[n,o]", "x[n,o] - m[o]", "definition"),
        Eq("dx[n,o]", "dy[n,o] - mean(m, dy[m,o])", "through the mean"),
    ]
    dy, x = RNG.normal(size=(7, 4)), X
    found = clues_of(centred, {"x": x, "dy": dy}, "dx", (), kernel=lambda e: e * np.exp(X), at=dy)
    assert said(dy * np.exp(X), dy - dy.mean(0), found) == (
        "dy of one row must move what stands in the others, and does not: a sum or a mean goes along the wrong axis, "
        "or over one too many or too few"
    )


def test_columns_of_a_single_row() -> None:
    x, dy = X[:1], DY[:1] @ RNG.normal(size=(3, 4))

    def kernel(e: Array) -> Array:
        return e - e.mean(1, keepdims=True) + np.sin(x)

    found = clues_of(TANH, {"x": x, "dy": dy}, "dx", (), kernel=kernel, at=dy)
    assert said(kernel(dy), dy * (1 - np.tanh(x) ** 2), found).startswith("dy of one column moves")


def test_tiny_gradients_are_explained_too() -> None:
    dy = 1e-17 * X[::-1]
    found = clues_of(TANH, {"x": X, "dy": dy}, "dx", ())
    assert said(dy * (1 - np.tanh(X)), dy * (1 - np.tanh(X) ** 2), found) == "the power is left out of y[n,o]^2 in dx"


def test_a_single_entry_at_a_tie_is_a_branch() -> None:
    relu = [Eq("y[n,o]", "max(x[n,o], 0)", "definition"), Eq("dx[n,o]", "where(x[n,o] > 0, dy[n,o], 0)", "slope")]
    x, dy = but(X, (3, 1), 0.0), X[::-1]
    found = clues_of(relu, {"x": x, "dy": dy}, "dx", ())
    assert said(dy * (x >= 0), dy * (x > 0), found).startswith("where both sides are equal the other branch is taken")


def test_a_count_less_one_is_no_bias_where_it_does_not_follow_the_count() -> None:
    mean = [Eq("y[n,o]", "x[n,o] + b[o]", "definition"), Eq("db[o]", "sum(n, dy[n,o]) / count(n)", "rows")]
    env = {"x": DY, "b": V, "dy": DY}
    a, n = DY.sum(0) / 6, DY.mean(0)
    assert said(a, n, clues_of(mean, env, "db", ("b",))) == "it is divided by N - 1 and not by N, in db"
    fixed = clues_of(mean, env, "db", ("b",), ratio_elsewhere=lambda letter: 7 / 6)
    assert said(a, n, fixed) == "kernel / expected = 1.16667 everywhere: a factor is missing or one too many"
