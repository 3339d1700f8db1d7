"""A gradient judged: the row that stands for all points, and the mistake that is named where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Array, Frame, Layer, Loss
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.records.gradcheck import Finding, TensorRow
from bpcli.studies.gradcheck.explain_gradient import (
    _loss_ratio_elsewhere,
    describe_slopes,
    explain_gradient,
    layer_clues,
    merged,
    tensor_row,
)
from bpcli.studies.gradcheck.find_mistake import Clues
from bpcli.studies.gradcheck.layer_point import RANDOM, TIES, LayerPoint
from bpcli.studies.gradcheck.loss_point import LossPoint
from bpcli.studies.witness.evidence import CheckedGradient, Evidence

N = 6
RNG = np.random.default_rng(4)
X, DY = RNG.normal(size=(N, 4)), RNG.normal(size=(N, 4))
DENSE = {"type": "dense", "units": 3}
RESIDUAL = {"type": "residual", "layers": [{"type": "dense", "units": 4}]}


def row(**more: Any) -> TensorRow:
    base = TensorRow(
        "layer", "dense_1.dW", 5, 12, 1e-12, (0, 1), 1.0, 2.0, "equations", "random", "ok", {"equations": 1e-12}, "",
        {"equations": 1e-9}, 0,
    )  # fmt: skip
    return replace(base, **more)


# ------------------------------------------------------------------------------------------------------------- the rows
def test_a_row_says_what_the_witnesses_said() -> None:
    gradient = CheckedGradient("layer", "dense_1.dW", RANDOM, X, DY, lambda: (0.0, 0.0))
    evidence = Evidence(
        gradient, "WRONG", (1, 2), 0.5, 0.25, "differences", 0.5, 7, {"differences": 0.5}, {"differences": 1e-7}, 3,
        note="a note",
    )  # fmt: skip
    assert tensor_row(gradient, evidence) == TensorRow(
        "layer", "dense_1.dW", 7, 24, 0.5, (1, 2), 0.5, 0.25, "differences", RANDOM, "WRONG", {"differences": 0.5},
        "a note", {"differences": 1e-7}, 3,
    )  # fmt: skip


ORDER = ("ok", "noise", "kink", "jump", "not covered", "WRONG")


def test_of_all_points_the_most_serious_is_shown() -> None:
    rows = [row(verdict=verdict, point=verdict) for verdict in ORDER]
    for k in range(1, len(rows) + 1):
        assert merged(rows[:k]).verdict == merged(rows[:k][::-1]).point == ORDER[k - 1]


def test_dead_is_only_what_is_dead_at_every_point() -> None:
    dead, right = row(verdict="dead", point="a", worst=0.0), row(point="b")
    assert merged([dead, right]).point == "b"
    assert merged([dead, replace(dead, point="c")]).verdict == "dead"


def test_among_equals_an_exact_witness_and_then_the_worst_is_shown() -> None:
    exact, loose = row(worst=1e-13, point="a"), row(witness="differences", worst=1e-9, point="b")
    step = row(witness="complex step", worst=1e-12, point="c")
    assert merged([loose, exact]).point == "a"
    assert merged([loose, exact, step]).point == "c"
    assert merged([loose, row(witness="differences", worst=1e-8, point="d")]).point == "d"


def test_gaps_bars_and_counts_are_those_of_all_points() -> None:
    one = row(gaps={"equations": 1e-12, "differences": 1e-8}, bars={"equations": 1e-9}, entries=3, unresolved=2)
    two = row(gaps={"equations": 5e-13, "complex step": 1e-13}, bars={"equations": 3e-9}, entries=9, unresolved=1)
    dead = row(verdict="dead", gaps={"equations": 0.0}, bars={"equations": 1.0}, entries=1)
    found = merged([one, two, dead])
    assert list(found.gaps.items()) == [("equations", 1e-12), ("differences", 1e-8), ("complex step", 1e-13)]
    assert found.bars == {"equations": 1.0}
    assert (found.entries, found.unresolved) == (9, 3)


# ---------------------------------------------------------------------------------------------------------- the mistake
def explained(
    kernel: Array, numbers: Array | None, clues: Clues, tensor: str = "tanh_1.dx", layer: Any = None, **more: Any
) -> Finding | None:
    gradient = CheckedGradient("layer", tensor, RANDOM, X, kernel, lambda: (0.0, 0.0))
    evidence = Evidence(gradient, **({"verdict": "WRONG", "numbers": numbers} | more))
    return explain_gradient(gradient, evidence, lambda: clues, layer, "tanh_1.y")


def test_what_is_right_or_was_not_computed_is_not_explained() -> None:
    assert explained(2 * DY, DY, Clues({}), verdict="kink") is None
    assert explained(2 * DY, None, Clues({})) is None
    found = explained(2 * DY, DY, Clues({}))
    assert found is not None
    assert (found.tensor, found.code) == ("tanh_1.dx", "factor-2")


def test_by_differences_a_wrong_forward_pass_is_the_first_suspect() -> None:
    """The equations explain nothing where they and differences disagree: the kernel's backward is theirs."""
    found = explained(2 * DY, DY, Clues({}), rtol=1e-6)
    assert found is not None
    assert found.text == "backward is that of the equations, and forward is not the same function: tanh_1.y is wrong"
    gradient = CheckedGradient("layer", "tanh_1.dx", RANDOM, X, 2 * DY * (1 + 1e-7 * np.sign(DY)), lambda: (0.0, 0.0))
    evidence = Evidence(gradient, "WRONG", numbers=DY, rtol=1e-6)
    known = explain_gradient(gradient, evidence, lambda: Clues({}))
    assert known is not None
    assert known.code == "factor-2", "as well as the numbers are known"


def test_an_unknown_slope_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"x": X, "y": np.tanh(X), "dy": DY}
    slope = 1 - np.tanh(X) ** 2
    sigmoid = 1 / (1 + np.exp(-X))
    tanh = Layer.parse("tanh")
    found = explained(DY * sigmoid * (1 - sigmoid), DY * slope, Clues({}, arrays=arrays), layer=tanh)
    assert found is not None
    assert (found.code, found.text) == ("other-slope", "backward computes the slope of sigmoid")
    wild = slope + np.sin(7 * X) ** 2
    found = explained(DY * wild, DY * slope, Clues({}, arrays=arrays), layer=tanh)
    assert found is not None
    assert found.code == "unknown"
    assert found.text.startswith("the slope is ")
    assert "; 100% of the entries are wrong, and their numbers show no known mistake" in found.text
    other = explained(DY * wild, DY * slope, Clues({}, arrays=arrays), "tanh_1.dW", tanh)
    assert other is not None
    assert other.text.startswith("100% of the entries are wrong"), "of a parameter nothing is a slope"


# --------------------------------------------------------------------------------------------------------------- slopes
def slopes(kernel: Array, expected: Array, y: Array | None = None, layer: str = "tanh", **more: Any) -> tuple[str, str]:
    arrays = {"x": X, "y": np.tanh(X) if y is None else y, "dy": np.ones_like(X)} | more
    with np.errstate(all="ignore"):
        return describe_slopes(Layer.parse(layer), kernel, expected, arrays)


def test_a_slope_of_another_activation() -> None:
    right = 1 - np.tanh(X) ** 2
    assert slopes((X > 0) * 1.0, right) == ("other-slope", "backward computes the slope of relu")
    assert slopes(right, (X > 0) * 1.0, np.maximum(X, 0), "relu") == (
        "other-slope", "backward computes the slope of tanh",
    )  # fmt: skip
    assert slopes(right, right) != ("other-slope", "backward computes the slope of tanh"), "that is its own"


def test_a_slope_that_is_taken_at_the_wrong_place() -> None:
    y, right = np.tanh(X), 1 - np.tanh(X) ** 2
    assert slopes(1 - X * X, right)[0] == "slope-at-x"
    assert slopes(1 - np.tanh(y) ** 2, right)[0] == "slope-at-y"
    s = 1 / (1 + np.exp(-X))
    assert slopes(X * (1 - X), s * (1 - s), s, "sigmoid")[0] == "slope-at-x"
    again = 1 / (1 + np.exp(-s))
    assert slopes(again * (1 - again), s * (1 - s), s, "sigmoid")[0] == "slope-at-y"


def test_a_slope_that_is_wrong_at_some_places_is_shown_there() -> None:
    x = np.array([[3.0, -2.0, 1.0, 0.0, 2.0]])
    right = np.full((1, 5), 3.0)
    kernel = right + np.array([[0.5, 0.25, 0.0, 0.0, 1e-9]])
    arrays = {"x": x, "y": x, "dy": np.ones_like(x)}
    layer = Layer.parse("softplus")
    assert describe_slopes(layer, kernel, right, arrays) == (
        "slope", "the slope is 3 and not 3.25 at x = -2; 3 and not 3.5 at x = 3",
    )  # fmt: skip
    every = right + np.array([[0.5, 0.25, 0.125, 0.0625, 0.75]])
    assert describe_slopes(layer, every, right, arrays) == (
        "slope", "the slope is 3 and not 3.25 at x = -2; 3 and not 3.125 at x = 1; 3 and not 3.5 at x = 3",
    )  # fmt: skip
    assert describe_slopes(layer, right, right, arrays) == ("", "")
    seen = np.where(x == 3, np.nan, right)
    assert describe_slopes(layer, kernel, seen, arrays) == ("slope", "the slope is 3 and not 3.25 at x = -2")


def test_where_there_is_no_slope_nothing_is_said() -> None:
    right = np.ones((N, 4))
    assert slopes(2 * right, np.full((N, 4), np.nan)) == ("", "")
    assert slopes(2 * right, right, layer="softmax") == ("", ""), "its outputs depend on several inputs"
    for name in ("x", "y", "dy"):
        arrays = {"x": X, "y": X, "dy": np.ones_like(X)}
        del arrays[name]
        assert describe_slopes(Layer.parse("tanh"), 2 * right, right, arrays) == ("", "")
    dense: Any = Layer.parse(DENSE)
    assert describe_slopes(dense, 2 * right, right, {"x": X, "y": X, "dy": right}) == ("", "")


# ------------------------------------------------------------------------------------------------------------ the clues
def point_of(layer: Any, name: str = RANDOM, rows: int = N) -> LayerPoint:
    network = Network(plan_network([Layer.parse(layer)], (4,)), rows, np.float64, 0, retain=True, need_dx=True)
    chain = network.chain(rows)
    return LayerPoint(network, chain, chain.layers[0], name, None, 0)


def test_what_is_known_around_a_gradient() -> None:
    point = point_of(DENSE)
    clues = layer_clues(point, "dense_1.dW")
    assert clues.counts == {"N": N, "K": 3}
    assert set(clues.arrays) >= {"x", "dy", "W", "b", "y", "dx", "db"}
    assert "dW" not in clues.arrays
    assert (clues.by, clues.at is point.upstream, clues.tied) == ("dy", True, False)
    assert clues.kernel is not None
    np.testing.assert_array_equal(clues.kernel(point.upstream), point.kernel["dW"])
    assert clues.hypotheses is not None
    assert clues.hypotheses.target == "dW"
    np.testing.assert_allclose(clues.hypotheses.gradient_for("dy", point.upstream), point.kernel["dW"])
    assert layer_clues(point_of(DENSE, TIES), "dense_1.dW").tied
    settings = layer_clues(point_of({"type": "leaky_relu", "slope": 0.25}), "leaky_relu_1.dx").scalars
    assert settings["slope"] == 0.25


def test_of_a_layer_inside_less_is_known() -> None:
    for name in (RANDOM, TIES):
        clues = layer_clues(point_of(RESIDUAL, name), "residual_1.dense_1.dW")
        assert clues.hypotheses is None
        assert clues.kernel is None
        assert clues.ratio_elsewhere is None
        assert clues.tied is (name == TIES)
        assert clues.counts == {"N": N, "K": 4}


def test_without_equations_numbers_alone_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "equations", lambda self, train, x: ())
    clues = layer_clues(point_of(DENSE), "dense_1.dW")
    assert clues.hypotheses is None
    assert clues.kernel is not None


def wrong(monkeypatch: pytest.MonkeyPatch, part: type, edit: Callable[[Frame], Any]) -> None:
    right = part.backward  # type: ignore[attr-defined]

    def backward(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        edit(f)

    monkeypatch.setattr(part, "backward", backward)


@pytest.mark.parametrize("stated", [True, False])
def test_a_ratio_elsewhere_is_that_of_more_rows_or_wider_ones(stated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not stated:
        monkeypatch.setattr(Tanh, "equations", lambda self, train, x: ())
    wrong(monkeypatch, Tanh, lambda f: np.multiply(f.dx, len(f.x) * f.x.shape[-1], out=f.dx))
    elsewhere = layer_clues(point_of("tanh"), "tanh_1.dx").ratio_elsewhere
    assert elsewhere is not None
    assert elsewhere("N") == pytest.approx((N + 2) * 4, rel=1e-5)
    assert elsewhere("K") == pytest.approx(N * 6, rel=1e-5)
    assert elsewhere("M") is None
    dense = layer_clues(point_of(DENSE), "dense_1.dW").ratio_elsewhere
    assert dense is not None
    assert dense("N") == pytest.approx(1, rel=1e-9)
    assert dense("K") is None, "its width is a setting"
    tokens = layer_clues(point_of({"type": "embedding", "tokens": 5, "units": 3}), "embedding_1.dW").ratio_elsewhere
    assert tokens is not None
    assert tokens("N") is None


def test_where_no_ratio_is_constant_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch, Tanh, lambda f: f.dx[0].__imul__(2))
    elsewhere = layer_clues(point_of("tanh"), "tanh_1.dx").ratio_elsewhere
    assert elsewhere is not None
    assert elsewhere("N") is None


def test_a_ratio_of_a_loss_elsewhere_is_that_of_twice_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SquaredError.backward

    def backward(self: Any, f: Frame) -> None:
        right(self, f)
        f.dx *= len(f.x)

    monkeypatch.setattr(SquaredError, "backward", backward)
    network_plan = plan_network([Layer.parse(DENSE)], (4,))
    objective = Objective(network_plan, Loss.parse("squared_error"), N, np.float64, 0, retain=True, need_dx=True)
    batch = objective.batch(N)
    batch.load(X, DY[:, :3], np.arange(N))
    batch.forward(True)
    point = LossPoint(objective, batch, "data", 0)
    assert _loss_ratio_elsewhere(point, "N") == pytest.approx(2 * N, rel=1e-9)
    assert _loss_ratio_elsewhere(point, "K") is None
    monkeypatch.setattr(SquaredError, "equations", lambda self, weighted: ())
    assert _loss_ratio_elsewhere(LossPoint(objective, batch, "data", 0), "N") == pytest.approx(2 * N, rel=1e-5)
