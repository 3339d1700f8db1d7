"""The likeliest mistake, by the numbers of a gradient alone: a factor, a type that is too coarse, a single entry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from wrong_gradients import COUNTS, N, W, but, said, unknown

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.find_mistake import Clues, multiple

RNG = np.random.default_rng(4)

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
