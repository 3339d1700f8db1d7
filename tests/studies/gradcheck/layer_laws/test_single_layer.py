"""A layer alone on some of its rows: what it is given, what it gives, and what it changes of what it only reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single_layers import DENSE, DROPOUT, RESIDUAL, TOKENS, behind, planned, single

from bpcli.family import Array, Frame
from bpcli.parts.layers.dense import Dense
from bpcli.studies.gradcheck.layer_laws.single_layer import (
    MAX_COMPARED_ENTRIES,
    SingleLayer,
    comparable_copy,
    entries_a_row,
    fill_with_nan,
)


def test_what_a_kernel_changes_of_what_it_only_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = single(DENSE)
    assert list(layer.changed(inputs, 12, True)) == []

    def edit(f: Frame, train: bool) -> None:
        f.W[0, 0] += 1
        f.x[3] *= 2

    behind(monkeypatch, Dense, "backward", edit)
    layer, inputs = single(DENSE)
    found = {name: (after, before) for name, after, before in layer.changed(inputs, 12, True)}
    assert set(found) == {"x", "W"}
    after, before = found["x"]
    np.testing.assert_array_equal(before, inputs.x)
    np.testing.assert_array_equal(np.argwhere(after != before)[:, 0], [3] * 4)
    np.testing.assert_array_equal(layer.network.theta, inputs.theta)


def test_a_layer_that_is_not_asked_for_dx() -> None:
    layer = SingleLayer(planned(DENSE), 12, np.float64, need_dx=False)
    inputs = layer.inputs(12, 0)
    layer.take_weights(inputs)
    found = layer.run(inputs, 0, 12, True)
    assert list(found) == ["y", "dW", "db"]
    np.testing.assert_allclose(found["db"], inputs.dy.sum(0))


def is_float32(a: Array) -> bool:
    return bool((a == a.astype(np.float32)).all())


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
    fill_with_nan(bound)
    assert np.isnan(bound.frame.y).all()
    assert (bound.frame.ids == 1).all()


def test_a_very_large_gradient_is_compared_by_sums() -> None:
    small = np.arange(6.0).reshape(2, 3)
    found = comparable_copy(small)
    np.testing.assert_array_equal(found, small)
    assert found is not small
    large = np.ones((4, MAX_COMPARED_ENTRIES // 4 + 1))
    np.testing.assert_allclose(
        comparable_copy(large), np.full(MAX_COMPARED_ENTRIES // 4 + 1, 0.5 + 5 / 6 + 7 / 6 + 1.5)
    )
    large[2, 7] = 2
    assert comparable_copy(large)[7] == pytest.approx(4 + 7 / 6)
    exact = np.ones((4, MAX_COMPARED_ENTRIES // 4))
    assert comparable_copy(exact).shape == exact.shape
    long = np.ones(MAX_COMPARED_ENTRIES + 1)
    assert comparable_copy(long).shape == long.shape


@pytest.mark.parametrize(("layer", "entries"), [("tanh", 16), (DENSE, 14), (DROPOUT, 24), (RESIDUAL, 16 + 16 + 16)])
def test_how_many_numbers_a_row_has(layer: Any, entries: int) -> None:
    found = planned(layer)
    more = sum(np.prod(s.shape[1:]) for n in found.walk() for s in (*n.plan.keep.values(), *n.plan.scratch.values())
               if s.shape[:1] == (-1,))  # fmt: skip
    assert entries_a_row(found) == entries + more
