"""A layer at a point: what stands in it, what its kernels give there, and what its witnesses are handed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Array, Frame, Layer
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.norms import LayerNorm
from bpcli.studies.gradcheck.layer_point import (
    DATA,
    EVALUATION,
    LARGE,
    RANDOM,
    SATURATED,
    SMALL,
    TIES,
    ForwardMismatch,
    LayerPoint,
    mismatch,
    tokens_of,
)
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64

N = 6
DENSE = {"type": "dense", "units": 3}
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 4, "activation": "tanh"}]}
TOKENS = {"type": "embedding", "tokens": 5, "units": 3}


def network_of(layer: Any, x: tuple[int, ...] = (4,), rows: int = N) -> Network:
    return Network(plan_network([Layer.parse(layer)], x), rows, np.float64, 0, retain=True, need_dx=True)


def point_of(
    layer: Any, name: str = RANDOM, x: Array | None = None, shape: tuple[int, ...] = (4,), rows: int = N, **more: Any
) -> LayerPoint:
    network = network_of(layer, shape, rows)
    chain = network.chain(rows)
    return LayerPoint(network, chain, chain.layers[0], name, x, 0, **more)


def spread(a: Array) -> float:
    return float(np.sqrt(np.mean(np.square(a))))


def whole(a: Array) -> bool:
    return bool((a == np.rint(a)).all())


# ---------------------------------------------------------------------------------------------------- what stands in it
def test_at_the_data_weights_and_rows_are_as_they_are() -> None:
    x = np.arange(24.0).reshape(N, 4)
    point = point_of(DENSE, DATA, x)
    np.testing.assert_array_equal(point.bound.frame.x, x)
    np.testing.assert_array_equal(point.network.theta, network_of(DENSE).theta)
    state = point_of("batch_norm", DATA, x).network.states
    fresh = network_of("batch_norm").states
    assert state
    assert all((a == fresh[path]).all() for path, a in state.items())


@pytest.mark.parametrize(
    ("name", "size"), [(RANDOM, 1.0), (EVALUATION, 1.0), (SATURATED, 8.0), (SMALL, 1e-3), (LARGE, 64.0)]
)
def test_at_random_points_everything_is_moved(name: str, size: float) -> None:
    point = point_of({"type": "dense", "units": 30}, name, shape=(40,), rows=50)
    assert spread(point.bound.frame.x) == pytest.approx(size, rel=0.1)
    moved = point.network.theta - network_of({"type": "dense", "units": 30}, (40,)).theta
    assert spread(moved) == pytest.approx(0.5, rel=0.1)
    state = np.concatenate(list(point_of("batch_norm", name, shape=(40,)).network.states.values()))
    assert 0.5 <= state.min() < 0.6 < 1.4 < state.max() <= 1.5
    inside = point_of(RESIDUAL, name).network.theta
    assert (inside != network_of(RESIDUAL).theta).all(), "of layers inside too"


def test_at_ties_everything_is_a_whole_number() -> None:
    point = point_of({"type": "dense", "units": 30}, TIES, shape=(40,), rows=50)
    x, theta = point.bound.frame.x, point.network.theta
    assert whole(x)
    assert whole(theta)
    assert spread(x) == pytest.approx(2.0, rel=0.1)
    assert spread(theta) == pytest.approx(2.0, rel=0.1)
    assert whole(point_of(RESIDUAL, TIES).network.theta)


@pytest.mark.parametrize("name", [RANDOM, SATURATED, LARGE, TIES, EVALUATION])
def test_numbers_that_stand_for_things_stay_among_them(name: str) -> None:
    point = point_of(TOKENS, name, rows=50)
    assert set(np.unique(point.bound.frame.x)) == {0, 1, 2, 3, 4}
    assert whole(point.network.theta) == (name == TIES)


def test_points_are_drawn_by_their_names_and_the_seed() -> None:
    first, again = point_of(DENSE), point_of(DENSE)
    np.testing.assert_array_equal(first.bound.frame.x, again.bound.frame.x)
    np.testing.assert_array_equal(first.upstream, again.upstream)
    other = point_of(DENSE, EVALUATION)
    assert (first.bound.frame.x != other.bound.frame.x).all()
    assert spread(point_of(DENSE, shape=(40,), rows=50).upstream) == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize(
    ("name", "more", "train"),
    [
        (RANDOM, {}, True),
        (EVALUATION, {}, False),
        (DATA, {"train": False}, False),
        (EVALUATION, {"train": True}, True),
    ],
)
def test_chance_is_drawn_and_taken_in_training_alone(name: str, more: dict[str, Any], train: bool) -> None:
    point = point_of({"type": "dropout", "rate": 0.5}, name, np.ones((50, 4)), rows=50, **more)
    assert point.train is train
    zeros = float((point.kernel["y"] == 0).mean())
    assert 0.3 < zeros < 0.7 if train else zeros == 0


# ------------------------------------------------------------------------------------------------ what the kernels give
def test_the_kernels_numbers_are_those_of_the_point() -> None:
    point = point_of(DENSE)
    f = point.bound.frame
    np.testing.assert_allclose(point.kernel["y"], f.x @ f.W + f.b)
    np.testing.assert_allclose(point.kernel["dW"], f.x.T @ point.upstream)
    np.testing.assert_allclose(point.kernel["db"], point.upstream.sum(0))
    np.testing.assert_allclose(point.kernel["dx"], point.upstream @ f.W.T)
    assert point.inner == {}
    np.testing.assert_array_equal(f.dy, point.upstream)


def test_gradients_of_layers_inside_are_kept_by_their_paths() -> None:
    point = point_of(RESIDUAL)
    assert set(point.inner) == {"residual_1.dense_1.W", "residual_1.dense_1.b"}
    gradients = point.network.gradients()
    for path, g in point.inner.items():
        np.testing.assert_array_equal(g, gradients[path])
        assert g is not gradients[path]


def test_what_backward_must_not_change_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        for name in ("x", "dy", "W", "b"):
            getattr(f, name)[...] += 1

    monkeypatch.setattr(Dense, "backward", wrong)
    point, plain = point_of(DENSE), network_of(DENSE)
    f = point.bound.frame
    np.testing.assert_array_equal(f.dy, point.upstream)
    np.testing.assert_allclose(point.kernel["y"], f.x @ f.W + f.b)
    assert spread(point.network.theta - plain.theta) < 1
    inside = point_of(RESIDUAL)
    monkeypatch.undo()
    np.testing.assert_array_equal(inside.network.theta, point_of(RESIDUAL).network.theta)


def test_the_gradient_for_another_error() -> None:
    point = point_of(DENSE)
    dy = np.full((N, 3), 2.0)
    np.testing.assert_allclose(point.gradient_for("db", dy), [2.0 * N] * 3)
    np.testing.assert_allclose(point.gradient_for("dW", dy), point.bound.frame.x.T @ dy)
    np.testing.assert_array_equal(point.bound.frame.dy, point.upstream)


@pytest.mark.parametrize("layer", [DENSE, RESIDUAL, TOKENS])
def test_what_is_moved_by_chance_is_put_back(layer: Any) -> None:
    point = point_of(layer)
    theta, x = point.network.theta.copy(), point.bound.frame.x.copy()
    path = next(iter(point.network.parameters()))
    before = point.network.gradients()[path].copy()
    for share in (1e-3, 1e-6):
        with point.moved(path, share) as gradient:
            moved = np.abs(point.network.theta - theta) / np.maximum(1, np.abs(theta))
            assert share / 10 < moved.max() < 5 * share
            assert (point.bound.frame.x == x).all() == (layer is TOKENS), "numbers that stand for things are not moved"
            if layer is not TOKENS:
                assert share / 30 < np.abs(gradient - before).max() < 100 * share
        np.testing.assert_array_equal(point.network.theta, theta)
        np.testing.assert_array_equal(point.bound.frame.x, x)


def test_every_number_is_moved_by_an_amount_of_its_own_and_run_forward_again() -> None:
    point = point_of("tanh")
    x = point.bound.frame.x.copy()
    with point.moved("x", 1e-3) as gradient:
        moved = point.bound.frame.x
        assert len(np.unique(((moved - x) / np.maximum(1, np.abs(x))).round(12))) == x.size
        np.testing.assert_allclose(gradient, point.upstream * (1 - np.tanh(moved) ** 2), rtol=1e-12)


def test_the_gradient_by_the_inputs_where_all_is_moved() -> None:
    point = point_of(DENSE)
    with point.moved("x", 1e-6) as gradient:
        assert gradient.shape == (N, 4)
        np.testing.assert_allclose(gradient, point.kernel["dx"], rtol=1e-3, atol=1e-4)
        assert (gradient != point.kernel["dx"]).any()


def test_the_objective_is_the_outputs_weighed_by_the_error() -> None:
    point = point_of(DENSE)
    f = point.bound.frame
    value, mass = point.value()
    assert value == pytest.approx(float((point.kernel["y"] * point.upstream).sum()), rel=1e-14)
    terms = np.abs(point.kernel["y"] * point.upstream).sum()
    rounded = np.abs(point.upstream).sum() * point.rounding["y"] / COARSE_EPS
    assert mass == pytest.approx(terms + rounded, rel=1e-12)
    assert rounded > 0
    f.x[0, 0] += 1
    assert point.value()[0] == pytest.approx(value + float(point.upstream[0] @ f.W[0]), rel=1e-12)


# ----------------------------------------------------------------------------------------------------- the forward pass
def add(monkeypatch: pytest.MonkeyPatch, part: type, name: str, off: float, method: str = "forward") -> None:
    right = getattr(part, method)

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        getattr(f, name)[(1,) * getattr(f, name).ndim] += off

    monkeypatch.setattr(part, method, wrong)


@pytest.mark.parametrize("layer", [DENSE, "tanh", RESIDUAL, "batch_norm", "layer_norm", TOKENS, {"type": "dropout"}])
@pytest.mark.parametrize("name", [RANDOM, SATURATED, TIES, EVALUATION])
def test_a_right_forward_pass_is_that_of_the_equations(layer: Any, name: str) -> None:
    assert point_of(layer, name).forward_mismatch() is None


def test_a_wrong_forward_pass_is_shown_where_it_is_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, Tanh, "y", 1e-6)
    point = point_of("tanh")
    found = point.forward_mismatch()
    assert found is not None
    assert (found.name, found.index, found.entries) == ("y", (1, 1), N * 4)
    assert found.kernel == pytest.approx(found.equations + 1e-6, rel=1e-12)
    assert 1e-12 < found.allowed < 1e-11
    assert found.share > found.bar


def test_what_forward_keeps_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, LayerNorm, "xhat", 1e-3)
    found = point_of("layer_norm").forward_mismatch()
    assert found is not None
    assert (found.name, found.index) == ("xhat", (1, 1))


def test_of_several_wrong_arrays_the_output_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, LayerNorm, "xhat", 1e-3)
    add(monkeypatch, LayerNorm, "y", 1e-9)
    found = point_of("layer_norm").forward_mismatch()
    assert found is not None
    assert found.name == "y"


def test_a_wrong_backward_pass_is_no_matter_of_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dx", "dW"):
        add(monkeypatch, Dense, name, 1e-3, "backward")
    assert point_of(DENSE).forward_mismatch() is None


def test_a_layer_without_equations_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tanh, "equations", lambda self, train, x: ())
    add(monkeypatch, Tanh, "y", 1e-3)
    point = point_of("tanh")
    assert point.equations == {}
    assert not point.all_stated
    assert point.forward_mismatch() is None
    assert not point_of(RESIDUAL).all_stated, "of a layer inside"


def test_a_gap_as_a_share_of_the_larger_number() -> None:
    found = ForwardMismatch("y", (0,), 2e-3, -4e-3, 5, 1e-3)
    assert found.bar == pytest.approx(0.25)
    assert found.share == pytest.approx(1.5)
    assert ForwardMismatch("y", (0,), -4e-3, 2e-3, 5, 1e-3).bar == pytest.approx(0.25)
    none = ForwardMismatch("y", (0,), 0.0, 0.0, 5, 0.0)
    assert (none.bar, none.share) == (0, 0)


def test_the_first_of_what_is_farthest_apart() -> None:
    theirs = np.array([[1.0, 2.0, np.inf], [3.0, 4.0, 5.0]])
    ours = theirs + np.array([[0.1, 0.0, 0.0], [0.0, -0.25, 0.2]])
    with np.errstate(invalid="ignore"):
        assert mismatch("y", {"y": theirs.copy()}, {"y": theirs}, 0.0) is None, "the same infinity is no gap"
        assert mismatch("y", {"y": ours}, {"y": theirs}, 0.26) is None
        assert mismatch("y", {"y": ours}, {"y": theirs}, 0.1) == ForwardMismatch("y", (1, 1), 3.75, 4.0, 6, 0.1)
        ours[0, 1] = np.nan
        found = mismatch("y", {"y": ours}, {"y": theirs}, 1.0)
    assert found is not None
    assert found.index == (0, 1)
    assert math.isnan(found.kernel)
    assert mismatch("y", {"y": ours}, {}, 0.0) is None
    assert mismatch("y", {"y": ours}, {"y": theirs.T}, 0.0) is None


# ---------------------------------------------------------------------------------------- what the witnesses are handed
def test_every_gradient_of_a_layer_is_handed_on() -> None:
    point = point_of(DENSE)
    found = {g.tensor: g for g in point.gradients()}
    assert list(found) == ["dense_1.dx", "dense_1.dW", "dense_1.db"]
    f = point.bound.frame
    reach = max(np.abs(a).max() for a in (point.upstream, point.kernel["dx"], point.kernel["dW"], point.kernel["db"]))
    for (tensor, gradient), at in zip(found.items(), (f.x, f.W, f.b), strict=True):
        name = tensor.rpartition(".")[2]
        assert (gradient.scope, gradient.point, gradient.differences) == ("layer", RANDOM, True)
        assert gradient.at is at
        assert gradient.reach == reach
        assert not gradient.always_zero
        assert gradient.rounding == TO_FLOAT64 * point.rounding[name] > 0
        np.testing.assert_array_equal(gradient.kernel, point.kernel[name])
        assert gradient.equations is not None
        np.testing.assert_allclose(gradient.equations, gradient.kernel, rtol=1e-12, atol=1e-14)
        assert gradient.complex_value is not None
        z = at.astype(complex)
        index = (1,) * at.ndim
        z[index] += 1e-30j
        step = float(np.imag(gradient.complex_value(z))) / 1e-30  # type: ignore[call-overload]
        assert step == pytest.approx(gradient.kernel[index], rel=1e-12)
        assert gradient.outputs is not None
        assert gradient.outputs.gradient_for is not None
        np.testing.assert_array_equal(gradient.outputs.gradient_for(point.upstream), gradient.kernel)
        np.testing.assert_array_equal(gradient.outputs.read(), f.y)
        assert gradient.outputs.upstream is point.upstream


def test_gradients_inside_a_container_are_handed_on_too() -> None:
    point = point_of(RESIDUAL)
    found = {g.tensor: g for g in point.gradients()}
    assert list(found) == ["residual_1.dx", "residual_1.dense_1.dW", "residual_1.dense_1.db"]
    inner = found["residual_1.dense_1.dW"]
    assert inner.equations is None
    assert inner.complex_value is not None
    assert inner.rounding > TO_FLOAT64 * COARSE_EPS * 0.1
    np.testing.assert_array_equal(inner.kernel, point.inner["residual_1.dense_1.W"])
    assert inner.outputs is not None
    assert inner.outputs.upstream is None
    read = inner.outputs.read()
    sizes = [k.frame.y.size for k in point.network.chain(N).walk()]
    assert read.size == sum(sizes), "outputs of all layers in it show a kink"
    z = inner.at.astype(complex)
    z[1, 2] += 1e-30j
    step = float(np.imag(inner.complex_value(z))) / 1e-30  # type: ignore[call-overload]
    assert step == pytest.approx(inner.kernel[1, 2], rel=1e-12)


def test_at_ties_differences_are_asked_only_where_nothing_else_can_be() -> None:
    assert [g.differences for g in point_of("tanh", TIES).gradients()] == [False]


def test_at_ties_differences_are_asked_of_a_layer_without_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tanh, "equations", lambda self, train, x: ())
    (gradient,) = point_of("tanh", TIES).gradients()
    assert gradient.differences
    assert gradient.equations is None
    assert gradient.complex_value is None


def test_numbers_that_stand_for_things_have_no_slope() -> None:
    found = {g.tensor: g.always_zero for g in point_of(TOKENS).gradients()}
    assert found == {"embedding_1.dx": True, "embedding_1.dW": False}


def test_how_many_things_a_layer_takes() -> None:
    def of(layer: Any) -> int:
        return tokens_of(network_of(layer).chain(N).layers[0])

    assert [of(layer) for layer in (DENSE, TOKENS, RESIDUAL)] == [0, 5, 0]
