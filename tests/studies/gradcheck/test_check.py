"""A whole gradient check: what is looked at, in which order, and what the report says of what is wrong or was not
shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from trace_nets import dense

from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss
from bpcli.parts.activations import Tanh
from bpcli.records.gradcheck import Finding, GradcheckReport, LawRow, LayerLaws, TensorRow
from bpcli.studies.gradcheck import check as module
from bpcli.studies.gradcheck.check import (
    BRIEF_SECONDS,
    HEAVY_SECONDS,
    THOROUGH_SECONDS,
    Gradcheck,
    GradcheckTarget,
    _effort,
    _forward_seconds,
    check_gradients,
)
from bpcli.studies.gradcheck.find_mistake import Clues
from bpcli.studies.gradcheck.layer_laws.check_layer import LayerCheck
from bpcli.studies.gradcheck.layer_point import ForwardMismatch
from bpcli.studies.run.model import ROWS_PER_BATCH
from bpcli.studies.witness.evidence import CheckedGradient, Effort

RNG = np.random.default_rng(6)
X, T = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 2))
LAYERS = [dense(6, "tanh"), dense(2)]


def target_of(*layers: Any, loss: str = "squared_error", x: Any = X, t: Any = T, rows: int = 9) -> GradcheckTarget:
    network_plan = plan_network([Layer.parse(layer) for layer in layers or LAYERS], np.shape(x)[1:])
    objective = Objective(network_plan, Loss.parse(loss), rows, np.float64, 0, retain=True, need_dx=True)
    return GradcheckTarget("net", objective, x[:rows], t[:rows], "drawn", "given")


def check(*layers: Any, seed: int = 0, **more: Any) -> GradcheckReport:
    return check_gradients(target_of(*layers, **more), seed)


def test_a_right_network_and_what_the_report_says_of_it() -> None:
    target = target_of()
    theta = target.objective.theta.copy()
    report = check_gradients(target, 3)
    assert report.passed
    assert [(row.scope, row.tensor) for row in report.tensors] == [
        ("layer", "dense_1.dx"), ("layer", "dense_1.dW"), ("layer", "dense_1.db"), ("layer", "dense_1.activation.dx"),
        ("layer", "dense_2.dx"), ("layer", "dense_2.dW"), ("layer", "dense_2.db"), ("loss", "loss.dx"),
        ("network", "inputs dx"), ("network", "dense_1.dW"), ("network", "dense_1.db"), ("network", "dense_2.dW"),
        ("network", "dense_2.db"),
    ]  # fmt: skip
    assert {row.verdict for row in report.tensors} == {"ok"}
    assert all(row.entries == row.of for row in report.tensors), "every entry, where there are few"
    assert (report.name, report.weights, report.rows, report.seed) == ("net", "drawn", "given", 3)
    assert (report.batch, report.parameters) == (3, 44)
    assert report.points[:4] == ("data", "random", "saturated", "ties")
    assert "evaluation" in report.points
    assert [law.name for law in report.laws] == ["re-entrant", "linear", "batch", "permutation", "float32", "derived"]
    assert [laws.layer for laws in report.layers] == ["dense_1", "dense_1.activation", "dense_2", "loss"]
    assert report.layers[-1].rows == (3, 9, 33, 130)
    assert (report.findings, report.notes, report.warnings) == ((), (), ())
    assert report.evaluations > 500
    assert report.seconds > 0
    np.testing.assert_array_equal(target.objective.theta, theta)


@pytest.mark.parametrize(
    ("widths", "rows", "batch"),
    [((4, 6, 2), 9, 3), ((4, 3, 2), 9, 5), ((3, 5, 2), 9, 7), ((3, 5, 7), 9, 3), ((4, 3, 2), 4, 4), ((4, 6, 2), 2, 2)],
)
def test_how_many_rows_are_looked_at(widths: tuple[int, int, int], rows: int, batch: int) -> None:
    """No number of rows is a width of the network: no transposed array fits by chance."""
    inputs, hidden, outputs = widths
    x, t = RNG.normal(size=(9, inputs)), RNG.normal(size=(9, outputs))
    target = target_of(dense(hidden), dense(outputs), x=x, t=t, rows=rows)
    assert Gradcheck(target).n == batch


# -------------------------------------------------------------------------------------------------------- what is wrong
def row(tensor: str, verdict: str = "ok", scope: str = "layer", entries: int = 2, **more: Any) -> TensorRow:
    return TensorRow(scope, tensor, entries, more.pop("of", entries), 0.0, (), 0.0, 0.0, "", "", verdict, **more)


def state_of(*rows: TensorRow) -> Gradcheck:
    """A check that found these rows."""
    state = Gradcheck(target_of())
    for each in rows:
        state.tensor_rows.setdefault((each.scope, each.tensor), []).append(each)
    return state


FOLLOWS = row("dense_1.dW", "WRONG", "network"), row("dense_2.dW", "ok", "network")


@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        ((row("dense_1.dW", "WRONG"),), "from dense_1.dW"),
        ((row("dense_2.dW", "WRONG"), row("dense_1.dW", "WRONG")), "from dense_1.dW, dense_2.dW"),
        (
            (row("dense_1.dW", "WRONG"), row("dense_2.dW", "WRONG"), row("loss.dx", "WRONG", "loss")),
            "from loss.dx and others",
        ),
        ((row("dense_2.db", "WRONG"), row("dense_2.dW", "WRONG"), row("a.dx", "WRONG")), "from a.dx and others"),
    ],
)
def test_what_follows_from_what_is_wrong_alone(wrong: tuple[TensorRow, ...], note: str) -> None:
    found = {(each.scope, each.tensor): each for each in state_of(*wrong, *FOLLOWS)._rows()}
    follows = found["network", "dense_1.dW"]
    assert (follows.verdict, follows.note) == ("follows", note)
    assert found["network", "dense_2.dW"].verdict == "ok"


def test_what_is_wrong_in_the_whole_network_alone_follows_from_nothing() -> None:
    found = {each.tensor: each.verdict for each in state_of(*FOLLOWS, row("loss.dx", "ok", "loss"))._rows()}
    assert found == {"dense_1.dW": "WRONG", "dense_2.dW": "ok", "loss.dx": "ok"}


def test_rows_stand_in_the_order_of_the_network() -> None:
    rows = [
        row("dense_2.dW", scope="network"), row("l2.dw", scope="penalty"), row("loss.dx", scope="loss"),
        row("dense_2.dx"), row("dense_1.activation.dx"), row("dense_1.dW"),
        row("inputs dx", scope="network"),
    ]  # fmt: skip
    assert [(each.scope, each.tensor) for each in state_of(*rows)._rows()] == [
        ("layer", "dense_1.dW"), ("layer", "dense_1.activation.dx"), ("layer", "dense_2.dx"), ("loss", "loss.dx"),
        ("penalty", "l2.dw"), ("network", "inputs dx"), ("network", "dense_2.dW"),
    ]  # fmt: skip


def test_layers_stand_in_their_order_and_not_in_that_of_their_names() -> None:
    state = Gradcheck(target_of("tanh", dense(2)))
    for tensor in ("dense_1.dW", "tanh_1.dx"):
        state.tensor_rows["layer", tensor] = [row(tensor)]
    assert [each.tensor for each in state._rows()][:2] == ["tanh_1.dx", "dense_1.dW"]


def test_what_was_shown_nowhere_is_not_covered() -> None:
    rows = state_of(row("dense_1.dW"))._rows()
    assert [(each.scope, each.tensor, each.verdict, each.entries, each.of) for each in rows[1:]] == [
        ("loss", "loss.dx", "not covered", 0, 1), ("network", "every gradient", "not covered", 0, 1),
    ]  # fmt: skip
    assert all(math.isnan(each.kernel) and math.isnan(each.numeric) for each in rows[1:])


def test_a_wrong_forward_pass_has_a_row_and_a_finding() -> None:
    state = state_of(*FOLLOWS)
    state.mismatches = {
        "dense_1.y": (ForwardMismatch("y", (0, 1), 0.75, 0.25, 18, 1e-12), "random"),
        "loss.L": (ForwardMismatch("L", (), 3.0, 1.5, 1, 1e-12), "data"),
    }
    rows = state._rows()
    found = {each.tensor: each for each in rows if each.scope != "network"}
    assert found["dense_1.y"] == TensorRow(
        "layer", "dense_1.y", 18, 18, 2 / 3, (0, 1), 0.75, 0.25, "equations", "random", "WRONG", {"equations": 2 / 3},
        "the forward pass", {"equations": 1e-12 / 0.75},
    )  # fmt: skip
    assert (found["loss.L"].scope, found["loss.L"].index, found["loss.L"].worst) == ("loss", (), 0.5)
    assert {each.note for each in rows if each.verdict == "follows"} == {"from dense_1.y, loss.L"}
    last = "the two are not the same function, so no backward pass can match both"
    assert [(f.tensor, f.text) for f in state._findings(rows, ())] == [
        ("dense_1.y", f"the forward pass computes 0.75 where its equations give 0.25 at [0,1]: {last}"),
        ("loss.L", f"the forward pass computes 3 where its equations give 1.5: {last}"),
    ]


def test_findings_are_of_what_is_wrong_in_the_end() -> None:
    state = state_of(row("dense_1.dW", "WRONG"), row("dense_1.db"))
    state.findings = {name: Finding(name, "code", f"of {name}") for name in ("dense_1.dW", "dense_1.db")}
    laws = (LawRow("linear", False, 1.0, "a note"), LawRow("batch", True, 0.0), LawRow("float32", None, 0.0, "nothing"))
    found = list(state._findings(state._rows(), laws))
    assert found == [Finding("dense_1.dW", "code", "of dense_1.dW"), Finding("linear", "law", "a note")]


# --------------------------------------------------------------------------------------------------- what was not shown
def without_equations(monkeypatch: pytest.MonkeyPatch, part: type) -> None:
    monkeypatch.setattr(part, "equations", lambda self, *args: ())


def test_a_layer_without_equations_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without_equations(monkeypatch, Tanh)
    residual = {"type": "residual", "layers": ["tanh"]}
    state = Gradcheck(target_of(dense(6, "tanh"), residual, dense(2)))
    assert list(state._notes(())) == [
        "no equations are stated for dense_1.activation, residual_1.tanh_1: its kernels are held against differences "
        "alone; what is wrong in forward and backward alike cannot be shown"
    ], "not the container around it"


def test_a_loss_that_is_infinite_on_the_data_shows_nothing() -> None:
    state = Gradcheck(target_of())
    state.infinite = ["random"]
    assert list(state._notes(())) == [], "at other points it is skipped"
    state.infinite = ["random", "data"]
    assert list(state._notes(())) == [
        "the loss, or its slope, is infinite on these rows with these weights: nothing can be shown there"
    ]


def test_dead_paths_are_named() -> None:
    dead = row("a.dW", "dead"), row("b.dW"), row("c.dx", "dead")
    assert list(Gradcheck(target_of())._notes(dead)) == [
        "no gradient at all, at any point: a.dW, c.dx: nothing that stands there can be learned"
    ]


def test_what_was_sampled_or_lost_is_counted() -> None:
    state = Gradcheck(target_of())
    few = [row("a.dW", entries=500, of=12345), row("b.dW"), row("c.dW", "not covered", entries=0, of=9)]
    assert list(state._notes(tuple(few))) == [
        "entries looked at by differences: a.dW (layer) 500 of 12,345; besides, random directions through each"
    ]
    many = [row(f"{name}.dW", entries=1, of=2, unresolved=1000 * k) for k, name in enumerate("abcdef")]
    looked, lost = state._notes(tuple(many))
    assert looked == (
        "entries looked at by differences: a.dW (layer) 1 of 2; b.dW (layer) 1 of 2; c.dW (layer) 1 of 2; d.dW "
        "(layer) 1 of 2 and 2 more tensors; besides, random directions through each"
    )
    assert lost == (
        "entries that differences cannot resolve, so not shown to be right: b.dW (layer) 1,000; c.dW (layer) 2,000; "
        "d.dW (layer) 3,000; e.dW (layer) 4,000 and 1 more tensors"
    )
    four = [row(f"{name}.dW", entries=1, of=2, unresolved=3) for name in "abcd"]
    assert not any("more" in note for note in state._notes(tuple(four)))


# ----------------------------------------------------------------------------------------------- one after the other
def gradient_of(factor: float, point: str) -> CheckedGradient:
    """A gradient that is so many times that of its equations."""
    right = np.array([1.0, -2.0, 0.5])
    return CheckedGradient(
        "layer", "dense_1.db", point, np.zeros(3), factor * right, lambda: (0.0, 0.0), right, differences=False
    )


def test_the_first_mistake_of_a_tensor_is_the_one_that_is_said() -> None:
    state = Gradcheck(target_of())
    for point, factor in (("data", 1.0), ("random", 2.0), ("ties", 3.0)):
        state._judge(gradient_of(factor, point), Effort(), lambda: Clues({}))
    assert [each.verdict for each in state.tensor_rows["layer", "dense_1.db"]] == ["ok", "WRONG", "WRONG"]
    assert state.findings["dense_1.db"].code == "factor-2"


def test_a_wrong_forward_pass_of_the_same_layer_is_taken_into_account(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module, "explain_gradient", lambda *args: asked.append(args[-1]))
    state = Gradcheck(target_of())
    for path in ("", "dense_2.y", "dense_1.y"):
        if path:
            state.mismatches[path] = (ForwardMismatch("y", (), 0.0, 1.0, 1, 0.0), "data")
        state._judge(gradient_of(2.0, "data"), Effort(), lambda: Clues({}))
    assert asked == ["", "", "dense_1.y"]


def test_each_point_begins_with_the_weights_and_the_state_as_they_were() -> None:
    state = Gradcheck(target_of("batch_norm", dense(2)))
    bound = state.batch.chain.layers[0]
    x = np.zeros((state.n, 4))
    first = state._layer_point(bound, "random", x)
    theta, states = state.objective.theta.copy(), {k: a.copy() for k, a in state.network.states.items()}
    again = state._layer_point(bound, "random", x)
    np.testing.assert_array_equal(first.kernel["y"], again.kernel["y"])
    np.testing.assert_array_equal(state.objective.theta, theta)
    assert all((state.network.states[k] == a).all() for k, a in states.items())
    assert (theta != state.theta).any()
    data = state._layer_point(bound, "data", x + 2)
    np.testing.assert_array_equal(data.bound.frame.x, x + 2)
    np.testing.assert_array_equal(state.objective.theta, state.theta)


def test_the_rows_of_the_data_stand_where_layers_and_laws_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of()
    seen: dict[str, Any] = {}

    def spoil(state: Gradcheck) -> None:
        state.objective.batch(state.n).x.fill(0)

    def layer(state: Gradcheck, bound: Any, x: Any) -> None:
        seen[bound.path] = x.copy()
        spoil(state)

    def some_laws(objective: Any, batch: Any, x: Any, t: Any, seed: int) -> tuple[LawRow, ...]:
        seen["laws"], seen["theta"], seen["seed"] = batch.x.copy(), objective.theta.copy(), seed
        return (LawRow("re-entrant", False, 1.0, "no"),)

    def network(state: Gradcheck) -> None:
        spoil(state)
        state.objective.theta.fill(7)

    monkeypatch.setattr(Gradcheck, "_check_layer", layer)
    monkeypatch.setattr(Gradcheck, "_check_loss_and_penalties", spoil)
    monkeypatch.setattr(Gradcheck, "_check_network", network)
    monkeypatch.setattr(module, "laws", some_laws)
    theta = target.objective.theta.copy()
    report = check_gradients(target, 5)
    assert list(seen) == ["dense_1", "dense_1.activation", "dense_2", "laws", "theta", "seed"]
    np.testing.assert_array_equal(seen["dense_1"], X[:3])
    np.testing.assert_array_equal(seen["laws"], X[:3])
    np.testing.assert_array_equal(seen["theta"], theta)
    np.testing.assert_array_equal(target.objective.theta, theta)
    assert (seen["seed"], report.layers, report.wrong) == (5, (), ("re-entrant",))


def test_without_a_seed_it_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gradcheck, "report", lambda self: self)
    state: Any = check_gradients(target_of())
    assert state.seed == 0


# --------------------------------------------------------------------------------------------------------------- effort
def test_how_much_is_looked_at_by_what_it_costs() -> None:
    assert _effort(1e-5, THOROUGH_SECONDS) == Effort(2000, 25_000, 500, 3)
    assert _effort(1e-5, BRIEF_SECONDS) == Effort(937, int(0.15 / 2e-5), 500, 1)
    assert _effort(1e-3, THOROUGH_SECONDS) == Effort(int(1.2 / 1.006e-2), 600, 500, 3)
    heavy = _effort(HEAVY_SECONDS, BRIEF_SECONDS)
    assert heavy == Effort(int(0.05 / (10 * HEAVY_SECONDS + 6e-5)), 12, 500, 0)
    assert _effort(1.0, THOROUGH_SECONDS) == Effort(0, 8, 500, 3)


def test_how_long_a_forward_pass_may_take() -> None:
    def seconds(units: int, inputs: int, rows: int) -> float:
        return _forward_seconds(plan_network([Layer.parse(dense(units))], (inputs,)).layers[0], rows)

    small = seconds(3, 4, 5)
    assert small == pytest.approx(5e-11 * 12 * 5 + 1e-9 * 5 * 7 + 5e-6)
    large = seconds(1000, 1000, 2)
    assert large == pytest.approx(5e-11 * 1e6 * 2 + 1e-9 * (1_001_000 - 100_000) + 1e-9 * 2 * 2000 + 5e-6)


def test_layers_that_are_alike_are_looked_at_in_batches_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []

    def fake(planned: PlannedLayer, sizes: Any, seconds: float, seed: int) -> LayerCheck:
        asked.append((planned.path, tuple(sorted(sizes[True])), tuple(sorted(sizes[False]))))
        laws = LayerLaws(planned.path, (3,), {}, {}, None, None, None, None)
        tensor = f"{planned.path}.dW"
        wrong = TensorRow("layer", tensor, 1, 1, 0.5, (), 0.0, 0.0, "rows alone", "", "WRONG")
        return LayerCheck(laws, [wrong], [Finding(tensor, "rows", "text")])

    monkeypatch.setattr(module, "check_layer", fake)
    layers = dense(4), {**dense(4), "name": "second"}, dense(2), dense(4), dense(2)
    state = Gradcheck(target_of(*layers))
    state.tensor_rows["layer", "dense_3.dW"] = [row("dense_3.dW", "WRONG")]
    state._check_layer_laws()
    training, evaluation = (3, 9, 33, 130), (3, 9, 33, 130, ROWS_PER_BATCH)
    assert asked == [(path, training, evaluation) for path in ("dense_1", "dense_3", "dense_4")]
    assert [laws.layer for laws in state.layers] == ["dense_1", "second", "dense_3", "dense_4", "dense_5"]
    assert [len(state.tensor_rows["layer", f"{path}.dW"]) for path in ("second", "dense_3", "dense_5")] == [1, 1, 1]
    assert state.findings["second.dW"].text == "text"
    asked.clear()
    state._check_layer_laws("dense_4", (16, 64))
    assert asked == [("dense_4", (3, 9, 16, 33, 64, 130), (3, 9, 16, 33, 64, 130, ROWS_PER_BATCH))]
