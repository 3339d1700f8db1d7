"""Forward passes and objectives of whole networks, by the equations of all their layers."""

from __future__ import annotations

import numpy as np
import pytest
from loaded_objectives import LAYERS, PENALTY, RESIDUAL, X, loaded, of_step, without_equations

from bpcli.parts.activations import Tanh
from bpcli.studies.gradcheck.forward_equations import (
    ForwardEquations,
    ObjectiveEquations,
    has_equations,
    loss_program,
    states_all,
)


def test_layers_in_a_row_by_their_equations() -> None:
    _, batch = loaded(RESIDUAL, *LAYERS)
    equations = ForwardEquations(batch.chain.layers, True)
    np.testing.assert_allclose(equations.outputs(X, {}), batch.chain.y, rtol=1e-13)
    first = equations.outputs(X, {}, batch.chain.layers[:1])
    np.testing.assert_allclose(first, batch.chain.layers[0].frame.y, rtol=1e-13)
    other = {"dense_2.b": np.array([1.0, 2.0]), "residual_1.dense_1.b": np.array([0.5, 0.0, -0.5])}
    b = batch.chain.layers[-1].frame.b
    np.testing.assert_allclose(
        equations.outputs(X, {"dense_2.b": other["dense_2.b"]}), batch.chain.y - b + other["dense_2.b"], rtol=1e-12
    )
    inner = next(k for k in batch.chain.walk() if k.path == "residual_1.dense_1")
    inner.frame.b[...] = other["residual_1.dense_1.b"]
    batch.forward(True)
    expected = batch.chain.y.copy()
    inner.frame.b[...] = 0
    np.testing.assert_allclose(
        equations.outputs(X, {"residual_1.dense_1.b": other["residual_1.dense_1.b"]}), expected, rtol=1e-12
    )


def test_a_container_is_stated_where_all_inside_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _, batch = loaded(RESIDUAL, *LAYERS)
    container, dense, *_ = batch.chain.layers
    assert states_all(container.planned, True)
    assert has_equations(dense, False)
    without_equations(monkeypatch, Tanh)
    assert not states_all(container.planned, True)
    assert states_all(batch.chain.layers[-1].planned, True)


def test_the_objective_by_equations() -> None:
    objective, batch = loaded(penalty=PENALTY)
    equations = ObjectiveEquations(objective, batch, True)
    loss = batch.forward(True)
    assert float(np.real(equations.value({}))) == pytest.approx(loss, rel=1e-13), "penalties of nothing that varies"
    w = objective.network.parameters()["dense_1.W"].copy()
    whole = 0.15 * sum((objective.network.parameters()[f"dense_{k}.W"] ** 2).sum() for k in (1, 2))
    assert float(np.real(equations.value({"dense_1.W": w}))) == pytest.approx(loss + whole, rel=1e-13)
    assert float(np.real(equations.value({"dense_1.b": np.zeros(4)}))) == pytest.approx(loss, rel=1e-13)
    twice = float(np.real(equations.value({"x": X * 2})))
    np.multiply(X, 2, out=batch.x)
    assert twice == pytest.approx(batch.forward(True), rel=1e-13)


def test_a_penalty_on_several_tensors_sees_those_that_stay() -> None:
    objective, batch = loaded(penalty=PENALTY)
    equations = ObjectiveEquations(objective, batch, True)
    w = objective.network.parameters()["dense_2.W"]
    step = of_step(lambda z: equations.value({"dense_2.W": z}), w, (1, 1))
    batch.forward(True)
    batch.backward(True)
    objective.add_penalty_gradient()
    assert step == pytest.approx(objective.network.gradients()["dense_2.W"][1, 1], rel=1e-12)


def test_what_a_loss_reads_is_copied() -> None:
    objective, batch = loaded()
    env, program = loss_program(objective, batch)
    batch.frame.x += 1
    assert (env["x"] != batch.frame.x).all()
    assert env["K"] == 2
    assert set(program.names) >= {"L", "dx"}
