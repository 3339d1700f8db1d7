"""What training lowers: rows loaded, weighted and penalised; and its gradient is the gradient of its value."""

from typing import Any

import numpy as np
import pytest
from nets import dense, dropout, fill, objective, residual
from registry import named_alone

from bpcli.engine.objective import Objective
from bpcli.family import Loss
from bpcli.family.plan import Array
from bpcli.studies.witness.witness import central_differences, max_abs

ROWS = np.random.default_rng(3).normal(size=(9, 3))
IDS = np.array([2, 0, 1, 1, 2, 0, 0, 2, 1])
VALUES = np.random.default_rng(4).uniform(size=(9, 3))
L2 = {"type": "l2", "strength": 0.3}


def targets(loss: Loss | str) -> Array:
    """Targets that suit a loss: class ids for some, numbers between 0 and 1 for all."""
    loss = Loss.parse(loss)
    return IDS if loss.targets == "classes" else VALUES


def ending(loss: Loss | str) -> list[object]:
    """What a network has to end in for a loss: nothing, but for one that compares probabilities."""
    return ["softmax"] if Loss.parse(loss).link == "probabilities" else []


def value(o: Objective, n: int) -> tuple[float, float]:
    found = o.batch(n).forward(True) + o.penalty()
    return found, abs(found) + 1


def gradient(o: Objective, n: int) -> Array:
    o.batch(n).forward(True)
    o.batch(n).backward(True)
    o.add_penalty_gradient()
    return o.grad.copy()


# ------------------------------------------------------------------------------------------------------------ loading
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_class_ids_become_one_hot_rows(dtype: type) -> None:
    o = objective(dense(3), loss="softmax_cross_entropy", dtype=dtype)
    for rows in ([0], [3, 1], [8, 4, 4, 0, 2], [1, 2, 3, 5, 8], [7]):
        batch = o.batch(len(rows))
        batch.load(ROWS.astype(dtype), IDS, np.array(rows))
        assert np.array_equal(batch.t, np.eye(3)[IDS[rows]])
        assert batch.t.dtype == dtype
        assert np.array_equal(batch.x, ROWS[rows].astype(dtype))


def test_class_ids_after_values_and_values_after_class_ids() -> None:
    """The same memory is filled anew each time, whole."""
    batch = objective(dense(3)).batch(4)
    for rows in (np.arange(4), np.arange(4, 8)):
        batch.load(ROWS, VALUES, rows)
        assert np.array_equal(batch.t, VALUES[rows])
        batch.load(ROWS, IDS, rows)
        assert np.array_equal(batch.t, np.eye(3)[IDS[rows]])


def test_two_classes_on_one_output_are_0_and_1() -> None:
    o = objective(dense(1), loss="binary_cross_entropy")
    for rows in ([0, 1, 2, 3, 4], [4, 3], [1]):
        batch = o.batch(len(rows))
        batch.load(ROWS, np.array([1, 0, 0, 1, 1]), np.array(rows))
        assert batch.t.tolist() == [[[1.0], [0.0], [0.0], [1.0], [1.0]][r] for r in rows]


def test_loading_leaves_the_data_alone() -> None:
    x, ids, t, w = ROWS.copy(), IDS.copy(), VALUES.copy(), np.linspace(1, 2, 9)
    o = objective(dense(3), loss="softmax_cross_entropy")
    o.batch(5).load(x, ids, np.arange(5), w)
    o.batch(5).load(x, t, np.arange(5), w)
    gradient(o, 5)
    assert np.array_equal(x, ROWS)
    assert np.array_equal(ids, IDS)
    assert np.array_equal(t, VALUES)
    assert np.array_equal(w, np.linspace(1, 2, 9))


def test_images_keep_their_shape() -> None:
    images = np.arange(9 * 12.0).reshape(9, 2, 3, 2)
    batch = objective("flatten", dense(2), x=(2, 3, 2)).batch(3)
    batch.load(images, IDS % 2, np.array([8, 0, 4]))
    assert np.array_equal(batch.x, images[[8, 0, 4]])


# ------------------------------------------------------------------------------------------------------------ weights
@pytest.mark.parametrize("loss", named_alone(Loss))
def test_weights_of_whole_numbers_are_rows_repeated(loss: str) -> None:
    net = [dense(4), "tanh", dense(3), *ending(loss)]
    weighted, repeated = (objective(*net, loss=loss, rows=9, penalty=L2) for _ in range(2))
    fill(weighted.network)
    fill(repeated.network)
    rows, times = np.array([3, 0, 5, 7]), np.array([2, 1, 0, 3])
    w = np.zeros(9)
    w[rows] = times
    weighted.batch(4).load(ROWS, targets(loss), rows, w)
    repeated.batch(6).load(ROWS, targets(loss), np.repeat(rows, times))
    assert np.allclose(value(weighted, 4)[0], value(repeated, 6)[0], rtol=1e-13)
    expected = gradient(repeated, 6)
    assert np.allclose(gradient(weighted, 4), expected, rtol=1e-11, atol=1e-13 * max_abs(expected))


def test_weights_are_normalised_within_the_batch() -> None:
    batch = objective(dense(3)).batch(3)
    w = np.array([0, 1.0, 2, 5, 0, 0, 0, 0, 3])
    batch.load(ROWS, VALUES, np.array([3, 8, 2]), w)
    assert np.allclose(batch.frame.w, [0.5, 0.3, 0.2])
    batch.load(ROWS, VALUES, np.array([1, 8, 1]), w * 7)
    assert np.allclose(batch.frame.w, [0.2, 0.6, 0.2])


@pytest.mark.parametrize("weights", [None, {"0": 0.5, "1": 1.0, "2": 4.0}])
@pytest.mark.parametrize("w", [None, np.array([0.5, 1, 2, 5, 1, 3, 0.1, 1, 3])])
def test_batches_weigh_what_makes_their_losses_the_whole(w: Array | None, weights: Any) -> None:
    """The loss of all rows is the mean of the losses of batches, each by its weight."""
    o = objective(dense(3), loss={"type": "softmax_cross_entropy", "class_weights": weights}, rows=9)
    fill(o.network)
    found = []
    for rows in (np.arange(9), np.arange(2), np.arange(2, 9)):
        batch = o.batch(len(rows))
        batch.load(ROWS, IDS, rows, w)
        found.append((batch.forward(False), batch.weight()))
    (whole, all_of_it), (first, light), (rest, heavy) = found
    assert np.isclose(all_of_it, light + heavy, rtol=1e-14)
    assert np.isclose(whole, (first * light + rest * heavy) / all_of_it, rtol=1e-13)
    c = np.array([0.5, 1.0, 4.0])[IDS] if weights else np.ones(9)
    assert np.isclose(all_of_it, (c if w is None else c * w).sum(), rtol=1e-14)


@pytest.mark.parametrize("loss", named_alone(Loss))
def test_equal_weights_are_no_weights(loss: str) -> None:
    o = objective(dense(3), *ending(loss), loss=loss)
    rows = np.arange(5)
    o.batch(5).load(ROWS, targets(loss), rows, np.full(9, 7.0))
    weighted = value(o, 5)[0], gradient(o, 5)
    o.batch(5).load(ROWS, targets(loss), rows)  # and are forgotten with the next load
    assert o.batch(5).frame.w is None
    plain = value(o, 5)[0], gradient(o, 5)
    assert np.allclose(weighted[0], plain[0], rtol=1e-13)
    assert np.allclose(weighted[1], plain[1], rtol=1e-12, atol=1e-15)


# ---------------------------------------------------------------------------------------------------------- penalties
LAYERED: list[Any] = [
    dense(4, activation="tanh"),
    dense(4, regularization={"type": "l2", "strength": 0.05}),
    residual(dense(4, activation="gelu"), dense(4, regularization={"type": "l2", "strength": 0.05})),
    dense(4, regularization={"type": "l2", "strength": 0.0}),
    dropout(0.3),
    dense(3),
]


def test_penalties_are_those_of_each_layers_weights() -> None:
    o = objective(*LAYERED, penalty=L2)
    fill(o.network)
    strength = {"dense_1.W": 0.3, "dense_2.W": 0.05, "residual_1.dense_1.W": 0.3, "residual_1.dense_2.W": 0.05,
                "dense_3.W": 0.0, "dense_4.W": 0.3}  # fmt: skip
    parameters = o.network.parameters()
    assert set(strength) == {p for p in parameters if p.endswith("W")}
    expected = sum(s / 2 * float((parameters[p] ** 2).sum()) for p, s in strength.items())
    assert np.isclose(o.penalty(), expected, rtol=1e-13)
    o.grad.fill(0.5)
    o.add_penalty_gradient()
    for path, g in o.network.gradients().items():
        assert np.allclose(g, 0.5 + strength.get(path, 0.0) * parameters[path], rtol=1e-13), path


def test_without_a_penalty_nothing_is_added() -> None:
    o = objective(dense(3))
    o.grad.fill(0.5)
    o.add_penalty_gradient()
    assert o.penalty() == 0
    assert (o.grad == 0.5).all()


def test_the_loss_of_a_batch_is_the_data_term_alone() -> None:
    with_penalty, without = objective(dense(3), penalty=L2), objective(dense(3))
    for o in (with_penalty, without):
        o.batch(5).load(ROWS, VALUES, np.arange(5))
    assert with_penalty.batch(5).forward(True) == without.batch(5).forward(True)


# ---------------------------------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", named_alone(Loss))
def test_the_gradient_is_that_of_loss_plus_penalty(loss: str, weighted: bool, n: int) -> None:
    """Over the whole flat vector, after a batch of another size; 3 outputs."""
    o = objective(*LAYERED, *ending(loss), loss=loss, penalty=L2)
    fill(o.network, seed=2)
    w = np.linspace(0.5, 3, 9) if weighted else None
    o.batch(4).load(ROWS, targets(loss), np.arange(4), w)
    gradient(o, 4)
    o.network.draw(o.batch(n).chain, 2)
    o.batch(n).load(ROWS, targets(loss), np.array([7, 2, 2, 0, 5])[:n], w)
    o.grad.fill(np.nan)
    found = gradient(o, n)
    d = central_differences(lambda: value(o, n), o.theta)
    assert (np.abs(found - d.value) <= 1e-6 * np.abs(found) + d.noise + 1e-9 * max_abs(found)).all()


def test_evaluation_has_no_chance() -> None:
    o = objective(dense(3), dropout(0.5), dense(3))
    o.batch(5).load(ROWS, VALUES, np.arange(5))
    values = set()
    for step in range(3):
        o.network.draw(o.batch(5).chain, step)
        values.add(o.batch(5).forward(False))
    assert len(values) == 1
    assert o.batch(5).forward(True) not in values


def test_a_batch_is_bound_once() -> None:
    o = objective(dense(3))
    assert o.batch(3) is o.batch(3)
    assert o.batch(3).chain is o.network.chain(3)
