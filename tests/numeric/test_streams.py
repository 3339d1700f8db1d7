"""Chance is a function of seed, path and position, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.numeric.streams import Stream


def test_the_same_seed_path_and_position_give_the_same_numbers() -> None:
    a = Stream(7, "dense_1", "W").at(3, 1).normal(size=5)
    b = Stream(7, "dense_1", "W").at(3, 1).normal(size=5)
    np.testing.assert_array_equal(a, b)


def test_what_was_drawn_before_does_not_matter() -> None:
    stream = Stream(7, "dropout_1")
    first = stream.at(5).random(4)
    stream.at(2, 9).random(1001)
    stream.at(5).integers(10, size=3)  # leaves half a word behind
    stream.permutation(9)
    np.testing.assert_array_equal(stream.at(5).random(4), first)


@pytest.mark.parametrize(
    ("seed", "path", "position"),
    [
        (8, ("dense_1", "W"), (3,)),
        (7, ("dense_1", "b"), (3,)),
        (7, ("dense_2", "W"), (3,)),
        (7, ("dense_1",), (3,)),
        (7, ("dense_1", "W", 0), (3,)),
        (7, ("dense_1", "W"), (4,)),
        (7, ("dense_1", "W"), (3, 1)),
        (7, ("dense_1", "W"), (0, 3)),
    ],
)
def test_other_seeds_paths_and_positions_are_independent(
    seed: int, path: tuple[str | int, ...], position: tuple[int, ...]
) -> None:
    a = Stream(7, "dense_1", "W").at(3).normal(size=4000)
    b = Stream(seed, *path).at(*position).normal(size=4000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.08  # five standard errors
    assert not np.intersect1d(a, b).size


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_a_permutation_holds_every_row_once(n: int) -> None:
    order = Stream(1, "order").permutation(n, 4)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_permutations_differ_between_epochs_and_put_every_row_everywhere() -> None:
    stream = Stream(1, "order")
    places = np.array([stream.permutation(5, epoch) for epoch in range(2000)])
    counts = np.array([np.bincount(column, minlength=5) for column in places.T])
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_a_permutation_never_changes_with_a_new_version() -> None:
    """Data order is part of a result: were this to change, runs could not be repeated or resumed."""
    assert Stream(7, "order").permutation(10, 3).tolist() == [2, 8, 0, 1, 7, 9, 4, 3, 6, 5]


def test_an_order_is_that_of_a_stable_sort_also_where_draws_repeat() -> None:
    """Two of 64 bits are hardly ever equal: here they are drawn from ten."""

    class Bits:
        state: object = None

        def random_raw(self, n: int) -> np.ndarray:
            return np.random.default_rng(n).integers(0, 10, n).astype(np.uint64)

    stream = Stream(1, "order")
    stream._bits = Bits()  # type: ignore[assignment]
    for n in (0, 1, 50, 3000):
        assert stream.permutation(n).tolist() == np.argsort(Bits().random_raw(n), kind="stable").tolist()
