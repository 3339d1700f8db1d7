"""The groups that a batch is put together from, how large a row is, and where a batch and its rows alone are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single_layers import DENSE, DROPOUT, RESIDUAL, TOKENS, single

from bpcli.family import Frame
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.studies.gradcheck.layer_laws.row_law import (
    BLOCK_SIZES,
    Roundings,
    RowMismatch,
    compare_rows,
    entry_gaps,
    groups,
    largest_of_row,
    largest_share,
    row_scales,
    rows_alone,
)
from bpcli.studies.gradcheck.layer_laws.single_layer import (
    LayerInputs,
    SingleLayer,
)


# ------------------------------------------------------------------------------------------------------ gaps and scales
def test_groups_of_rows() -> None:
    assert list(groups([5], heavy=False)) == [(0, 1), (1, 3), (3, 5)]
    assert list(groups([5], heavy=True)) == [(0, 5)]
    assert list(groups([3, 5], heavy=True)) == [(0, 3), (3, 5)]
    assert list(groups([1], heavy=False)) == [(0, 1)]


@pytest.mark.parametrize("sizes", [(5,), (5, 32, 33, 130), (7, 8, 9), (1000,), (300, 4)])
def test_groups_lie_one_behind_the_other_and_end_at_every_size(sizes: tuple[int, ...]) -> None:
    found = list(groups(sizes, heavy=False))
    starts, stops = zip(*found, strict=True)
    assert starts == (0, *stops[:-1])
    assert stops[-1] == max(sizes)
    assert {1, *sizes, *(b for b in BLOCK_SIZES if b < max(sizes))} <= set(stops)
    assert found[0] == (0, 1)
    assert all(end - start <= max(2 + start // 4, 2) for start, end in found if end <= 256), "small ones first"
    assert len(found) < 10 + 8 * len(set(stops) & {1, *sizes, *BLOCK_SIZES})


def test_gaps_of_entries() -> None:
    a = np.array([1.0, np.inf, np.nan, np.nan, np.inf, -np.inf])
    b = np.array([3.5, np.inf, np.nan, 1.0, 1.0, np.inf])
    with np.errstate(invalid="ignore"):
        found = entry_gaps(a, b)
    np.testing.assert_array_equal(found, [2.5, 0, 0, np.nan, np.inf, np.inf])


def test_the_largest_share() -> None:
    assert largest_share(np.array([1.0, 0.5]), np.array([4.0, 1.0])) == 0.5
    with np.errstate(all="ignore"):
        assert largest_share(np.array([np.nan, 0.25]), np.array([1.0, 1.0])) == 1.0
        assert largest_share(np.array([np.inf]), np.array([1.0])) == 1.0
        assert largest_share(np.array([0.0]), np.array([0.0])) == 0.0
    assert largest_share(np.zeros(0), np.zeros(0)) == 0.0


def test_the_largest_number_of_each_row() -> None:
    a = np.array([[[1.0, -3.0]], [[np.inf, 2.0]], [[np.nan, np.nan]]])
    found = largest_of_row(a)
    np.testing.assert_array_equal(found, [[[3.0]], [[2.0]], [[0.0]]])
    np.testing.assert_array_equal(largest_of_row(np.array([-2.0, 1.0])), [2.0, 1.0])


def test_a_row_is_as_large_as_what_it_comes_from() -> None:
    layer, inputs = single("tanh", 6)
    results = {"y": np.array([[0.5], [100.0]]), "dx": np.array([[1e-9], [1e9]])}
    found = row_scales(layer, inputs, results)
    largest_x, largest_dy = np.abs(inputs.x).max(1), np.abs(inputs.dy).max(1)
    np.testing.assert_array_equal(found["y"], [[max(largest_x[0], 0.5)], [max(largest_x[1], 100.0)]])
    np.testing.assert_array_equal(found["dx"], [[largest_dy[0]], [1e9]])
    tokens, inputs = single(TOKENS, 6)
    found = row_scales(tokens, inputs, {"y": np.full((2, 1), 0.25), "dx": np.zeros((2, 1))})
    np.testing.assert_array_equal(found["y"], [[0.25], [0.25]])


def test_where_two_are_farthest_apart() -> None:
    alone = np.zeros((3, 2))
    batch = np.array([[0.1, 0.0], [0.2, 5.0], [9.0, 0.0]])
    wrong = np.array([[False, False], [True, True], [True, False]])
    assert RowMismatch("dx", 3, True, batch, alone, wrong).index == (1, 1), "in the first row that is wrong"
    assert RowMismatch("dW", 3, True, batch, alone, wrong).index == (2, 0)
    batch[1, 0] = np.nan
    assert RowMismatch("y", 3, True, batch, alone, wrong).index == (1, 0)
    assert RowMismatch("db", 3, True, batch[1], alone[1], wrong[1]).index == (0,)


def test_rows_of_few_weights_are_run_in_small_groups_and_those_of_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    right = SingleLayer.run

    def run(self: SingleLayer, inputs: LayerInputs, start: int, stop: int, *more: Any) -> Any:
        asked.append((start, stop))
        return right(self, inputs, start, stop, *more)

    monkeypatch.setattr(SingleLayer, "run", run)
    rows_alone(*single(DENSE), (5,), True)
    assert asked == [(0, 1), (1, 3), (3, 5)]
    asked.clear()
    rows_alone(*single({"type": "dense", "units": 320}, 5, x=(320,)), (5,), True)
    assert asked == [(0, 5)]


def test_what_rows_give_alone_is_put_together() -> None:
    layer, inputs = single(DENSE)
    found = rows_alone(layer, inputs, (5, 12), True)
    assert list(found) == [5, 12]
    for n, some in found.items():
        whole = layer.run(inputs, 0, n, True)
        assert some.results.keys() == whole.keys()
        for name, value in whole.items():
            np.testing.assert_allclose(some.results[name], value, rtol=1e-12, atol=1e-12)
        terms = np.abs(inputs.dy[:n]).sum(0)
        assert (some.scales["db"] <= terms * (1 + 1e-12)).all()
        assert (some.scales["db"] >= np.abs(whole["db"])).all()
        assert some.scales["y"].shape == (n, 1)


# -------------------------------------------------------------------------------------------------------------- the law
def behind(monkeypatch: pytest.MonkeyPatch, part: type, method: str, edit: Any) -> None:
    right = getattr(part, method)

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        edit(f)

    monkeypatch.setattr(part, method, wrong)


@pytest.mark.parametrize("layer", [DENSE, "tanh", RESIDUAL, TOKENS, DROPOUT, "layer_norm"])
@pytest.mark.parametrize("train", [True, False])
def test_a_right_layer_is_its_rows(layer: Any, train: bool) -> None:
    found = compare_rows(*single(layer), (3, 5, 12), train)
    assert found.mismatches == []
    assert found.independent
    assert found.worst < 1e-12


def test_a_layer_whose_rows_see_each_other_is_not_independent() -> None:
    assert not compare_rows(*single("batch_norm"), (3, 12), True).independent
    assert compare_rows(*single("batch_norm"), (3, 12), False).independent


def test_a_row_that_is_wrong_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Tanh, "backward", lambda f: f.dx[8:].__imul__(1 + 1e-9))
    found = compare_rows(*single("tanh"), (5, 12), True)
    (mismatch,) = found.mismatches
    assert (mismatch.name, mismatch.rows, mismatch.train, mismatch.index[0]) == ("dx", 12, True, 8)
    assert mismatch.wrong[:8].sum() == 0
    assert mismatch.wrong[8:].mean() > 0.5
    assert 1e-11 < found.worst < 1e-8
    assert found.independent, "y is right"
    np.testing.assert_allclose(mismatch.batch[8:], mismatch.alone[8:] * (1 + 1e-9), rtol=1e-13)


def test_a_sum_that_loses_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, "backward", lambda f: np.sum(f.dy[:8], 0, out=f.db))
    found = compare_rows(*single(DENSE), (5, 12), False)
    assert [(m.name, m.rows, m.train) for m in found.mismatches] == [("db", 12, False)]


def test_what_rounding_explains_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms of a million that cancel leave ten digits: so far a row may be from itself, and no farther."""

    def cancel(f: Frame) -> None:
        m = 1e6 * (1 + len(f.x) % 2)
        f.dx += 1.1 * m * f.dy - m * f.dy - 0.1 * m * f.dy

    behind(monkeypatch, Tanh, "backward", cancel)
    layer, inputs = single("tanh")
    assert compare_rows(layer, inputs, (12,), True).mismatches == []
    roundings = Roundings(layer, inputs, lambda moved: layer.run(moved, 0, 12, True))
    bar = np.full((12, 1), 1e-15)
    assert not roundings.unexplained("dx", np.full((12, 4), 1e-16), bar).any()
    far = np.full((12, 4), 1e-16)
    far[3, 2] = 1.0
    np.testing.assert_array_equal(np.argwhere(roundings.unexplained("dx", far, bar)), [[3, 2]])
    np.testing.assert_array_equal(layer.network.theta, inputs.theta)
    far[3, 2] = np.inf
    np.testing.assert_array_equal(np.argwhere(roundings.unexplained("dx", far, bar)), [[3, 2]])
