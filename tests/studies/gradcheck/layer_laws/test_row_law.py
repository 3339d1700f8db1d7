"""A layer alone on some of its rows, the groups that a batch is put together from, and where the two are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.family import Array, Frame, Layer
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
    MAX_COMPARED_ENTRIES,
    LayerInputs,
    SingleLayer,
    compared,
    entries_a_row,
    spoil,
)

DENSE = {"type": "dense", "units": 3}
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 4, "activation": "tanh"}]}
TOKENS = {"type": "embedding", "tokens": 5, "units": 3}
DROPOUT = {"type": "dropout", "rate": 0.5}


def planned(layer: Any, x: tuple[int, ...] = (4,)) -> PlannedLayer:
    return plan_network([Layer.parse(layer)], x).layers[0]


def single(
    layer: Any, rows: int = 12, dtype: Any = np.float64, x: tuple[int, ...] = (4,)
) -> tuple[SingleLayer, LayerInputs]:
    found = SingleLayer(planned(layer, x), rows, dtype)
    inputs = found.inputs(rows, 0)
    found.take_weights(inputs)
    return found, inputs


def is_float32(a: Array) -> bool:
    return bool((a == a.astype(np.float32)).all())


# -------------------------------------------------------------------------------------------------------- single layers
def test_what_a_layer_is_run_on() -> None:
    layer, inputs = single({"type": "dense", "units": 50}, 60, x=(40,))
    assert inputs.rows == 60
    assert (inputs.x.shape, inputs.dy.shape, inputs.theta.shape) == ((60, 40), (60, 50), (2050,))
    assert all(map(is_float32, (inputs.x, inputs.dy, inputs.theta)))
    sizes = [np.std(inputs.x[k::3]) for k in range(3)]
    assert sizes == pytest.approx([1, 8, 0.125], rel=0.2)
    sizes = [np.std(inputs.dy[k::3]) for k in range(3)]
    assert sizes == pytest.approx([1, 0.125, 8], rel=0.2)
    fresh = SingleLayer(layer.planned, 60, np.float64).network.theta
    assert np.std(inputs.theta - fresh) == pytest.approx(0.5 / np.sqrt(40), rel=0.1)
    np.testing.assert_array_equal(layer.network.theta, inputs.theta)
    other = layer.inputs(60, 1)
    assert (other.x != inputs.x).all()


def test_rows_that_are_given_are_repeated() -> None:
    layer = SingleLayer(planned("tanh"), 5, np.float64)
    inputs = layer.inputs(5, 0, np.array([[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]]))
    np.testing.assert_allclose(inputs.x[::2], [[0.1, 0.2, 0.3, 0.4]] * 3, rtol=1e-7)
    assert is_float32(inputs.x)
    np.testing.assert_array_equal(inputs.x[1::2], [[1, 2, 3, 4]] * 2)


def test_numbers_that_stand_for_things_are_drawn_among_them() -> None:
    _, inputs = single(TOKENS, 60)
    assert set(np.unique(inputs.x)) == {0, 1, 2, 3, 4}


def test_state_and_chance_are_kept_by_their_paths() -> None:
    layer, inputs = single("batch_norm", x=(200,))
    assert inputs.states.keys() == layer.network.states.keys()
    for path, a in inputs.states.items():
        assert 0.5 <= a.min() < a.max() <= 1.5
        np.testing.assert_array_equal(layer.network.states[path], a)
        assert a is not layer.network.states[path]
    _, inputs = single(DROPOUT)
    assert {(path, len(a)) for (path, _), a in inputs.draws.items()} == {("dropout_1", 12)}


def test_rows_that_were_run_alone() -> None:
    layer, inputs = single(DENSE)
    w, b = layer.network.parameters()["dense_1.W"], layer.network.parameters()["dense_1.b"]
    found = layer.run(inputs, 3, 7, True)
    x, dy = inputs.x[3:7], inputs.dy[3:7]
    assert list(found) == ["y", "dx", "dW", "db"]
    np.testing.assert_allclose(found["y"], x @ w + b)
    np.testing.assert_allclose(found["dx"], dy @ w.T)
    np.testing.assert_allclose(found["dW"], x.T @ dy)
    np.testing.assert_allclose(found["db"], dy.sum(0))
    np.testing.assert_array_equal(layer.forward(inputs, 3, 7, True), found["y"])
    other = layer.run(inputs, 3, 7, True, dy=2 * inputs.dy)
    np.testing.assert_allclose(other["db"], 2 * found["db"])
    np.testing.assert_array_equal(other["y"], found["y"])


def test_gradients_inside_a_container_are_named_by_what_is_inside() -> None:
    layer, inputs = single(RESIDUAL)
    assert list(layer.run(inputs, 0, 4, True)) == ["y", "dx", "dense_1.dW", "dense_1.db"]


def test_chance_is_that_of_the_rows() -> None:
    layer, inputs = single(DROPOUT, 40)
    whole = layer.run(inputs, 0, 40, True)["y"]
    np.testing.assert_array_equal(layer.run(inputs, 10, 30, True)["y"], whole[10:30])
    assert 0.2 < (whole == 0).mean() < 0.8
    np.testing.assert_allclose(layer.run(inputs, 0, 40, False)["y"], inputs.x)


def test_what_is_not_written_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "backward", lambda self, f, train: None)
    monkeypatch.setattr(Dense, "forward", lambda self, f, train: None)
    layer, inputs = single(DENSE)
    found = layer.run(inputs, 0, 4, True)
    assert all(np.isnan(a).all() for a in found.values())


def test_memory_is_spoiled_with_numbers_that_are_none_and_places_with_1() -> None:
    layer, _ = single(TOKENS)
    (bound,) = layer.network.chain(3).layers
    spoil(bound)
    assert np.isnan(bound.frame.y).all()
    assert (bound.frame.ids == 1).all()


def test_a_very_large_gradient_is_compared_by_sums() -> None:
    small = np.arange(6.0).reshape(2, 3)
    found = compared(small)
    np.testing.assert_array_equal(found, small)
    assert found is not small
    large = np.ones((4, MAX_COMPARED_ENTRIES // 4 + 1))
    np.testing.assert_allclose(compared(large), np.full(MAX_COMPARED_ENTRIES // 4 + 1, 0.5 + 5 / 6 + 7 / 6 + 1.5))
    large[2, 7] = 2
    assert compared(large)[7] == pytest.approx(4 + 7 / 6)
    exact = np.ones((4, MAX_COMPARED_ENTRIES // 4))
    assert compared(exact).shape == exact.shape
    long = np.ones(MAX_COMPARED_ENTRIES + 1)
    assert compared(long).shape == long.shape


@pytest.mark.parametrize(("layer", "entries"), [("tanh", 16), (DENSE, 14), (DROPOUT, 24), (RESIDUAL, 16 + 16 + 16)])
def test_how_many_numbers_a_row_has(layer: Any, entries: int) -> None:
    found = planned(layer)
    more = sum(np.prod(s.shape[1:]) for n in found.walk() for s in (*n.plan.keep.values(), *n.plan.scratch.values())
               if s.shape[:1] == (-1,))  # fmt: skip
    assert entries_a_row(found) == entries + more


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
