"""The numbers of a step flow from one equation to the next: worked out anew they are the same, and from the numbers
of another network they are those of its own step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.studies.trace.graph import LOSS_AFTER, START, StepGraph
from bpcli.studies.trace.step_blocks import take_step

INPUTS, TARGETS = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
RESIDUAL = {"type": "residual", "layers": [dense(3, "tanh"), dense(3)]}
NETS: dict[str, Any] = {
    "plain": {"optimizer": {"type": "sgd", "learning_rate": 0.1}},
    "adam": {"optimizer": "adam", "regularization": {"type": "l2", "strength": 0.1}},
    "clipped": {"clipping": {"type": "global_norm", "max_norm": 0.1},
                "regularization": {"type": "l1", "strength": 0.1}},
    "clipped by tensor": {"clipping": {"type": "norm", "max_norm": 0.05},
                          "constraint": {"type": "max_norm", "limit": 0.5}},
    "residual": {"architecture": [dense(3, "tanh"), RESIDUAL, dense(2)]},
    "normed": {"architecture": [dense(3), "batch_norm", "tanh", {"type": "dropout", "rate": 0.3}, dense(2)]},
    "two penalties": {"architecture": [
        {**dense(3, "tanh"), "regularization": {"type": "l1", "strength": 0.2}},
        {**dense(2), "regularization": {"type": "l2", "strength": 0.3}},
    ]},
}  # fmt: skip


def graph(name: str, moved: float = 0.0, inputs: float = 0.0) -> StepGraph:
    """Of the network, with weights and inputs that are moved by so much."""
    net = {"optimizer": {"type": "sgd", "learning_rate": 0.1}, **NETS[name]}
    layers = net.pop("architecture", [dense(3, "tanh"), dense(2)])
    target = trace_target(experiment(layers, "mean_squared_error", INPUTS, TARGETS, **net))
    target.objective.theta[...] += moved
    target.x[...] += inputs
    return StepGraph(target, take_step(target))


@pytest.mark.parametrize("name", NETS)
def test_every_number_is_worked_out_anew_from_those_before_it(name: str) -> None:
    found = graph(name)
    for key in found.nodes:
        assert found.value(key, found.truth) == pytest.approx(found.truth[key], rel=1e-12, abs=1e-14), key
    assert found.value(LOSS_AFTER, found.truth) == pytest.approx(found.taken.after, rel=1e-12)
    for key, place in found.order.items():
        if key[0] != START:
            assert all(found.order[before] < place for before in found.reads(key)), key


@pytest.mark.parametrize("inputs", [0.0, 0.25])
@pytest.mark.parametrize("name", NETS)
def test_from_the_numbers_of_another_network_its_own_step_follows(name: str, inputs: float) -> None:
    """But for the loss after the step, which is that of the same rows with other weights."""
    one, other = graph(name), graph(name, 0.125, inputs)
    values = {key: (other if key[0] == START else one).truth[key] for key in one.truth}
    before = one.target.objective.theta.copy()
    for key in one.order:
        if key[0] != START:
            values[key] = one.value(key, values)
    if inputs:
        del values[LOSS_AFTER]
    for key, value in values.items():
        assert value == pytest.approx(other.truth[key], rel=1e-9, abs=1e-12), key
    assert np.array_equal(one.target.objective.theta, before), "the engine is left as it was"


@pytest.mark.parametrize("name", NETS)
def test_a_number_reads_only_what_its_array_depends_on(name: str) -> None:
    """With another array among those that are read, it is another; with all others changed it is what it was."""
    found = graph(name)
    for key in found.nodes:
        read = found.reads(key)
        noise = {k: v + 0.5 if k not in read and v.dtype.kind == "f" else v for k, v in found.truth.items() if k != key}
        assert found.value(key, {**noise, key: found.truth[key]}) == pytest.approx(
            found.truth[key], rel=1e-12, abs=1e-14
        ), key


def test_what_a_layer_reads_has_a_key() -> None:
    found = graph("residual")
    assert found.input_key("dense_1", "x") == (START, "", "x")
    assert found.input_key("residual_1", "x") == ("layer", "dense_1.activation", "y")
    assert found.input_key("residual_1.dense_1", "x") == ("layer", "dense_1.activation", "y")
    assert found.input_key("residual_1.dense_2", "x") == ("layer", "residual_1.dense_1.activation", "y")
    assert found.input_key("dense_2", "dy") == ("loss", "", "dx")
    assert found.input_key("dense_1", "W") == (START, "", "dense_1.W")
    assert found.input_key("dense_9", "x") is None
