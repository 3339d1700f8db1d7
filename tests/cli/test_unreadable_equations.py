"""What is said of equations of a part of this package that cannot be read: which part, and what there is to write."""

from __future__ import annotations

from typing import Any

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Clipper, Constraint, Layer, Loss, Optimizer, Part, Regularizer, Schedule
from bpcli.notation import Eq

CONFIG = """
data: {train: {type: inline, inputs: [[0.1, 0.2], [0.3, -0.4]], targets: [[1], [0]]}}
architecture: [{type: dense, units: 2, activation: tanh}, {type: dense, units: 1}]
loss: squared_error
regularization: {type: l2, strength: 0.1}
constraint: {type: max_norm, limit: 1.0}
clipping: {type: value, limit: 1.0}
optimizer: {type: sgd, learning_rate: {type: constant, value: 0.1}}
"""
HELP = "known: abs, argmax, clip, cos, cosh, count, erf, erfc, exp,"
FAMILIES: dict[str, type[Part]] = {
    "tanh": Layer, "squared_error": Loss, "l2": Regularizer, "max_norm": Constraint, "value": Clipper, "sgd": Optimizer,
    "constant": Schedule,
}  # fmt: skip


@pytest.mark.parametrize("kind", FAMILIES)
def test_it_is_named_with_what_there_is(kind: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf: Any = FAMILIES[kind].registry[kind]
    monkeypatch.setattr(leaf, "equations", lambda self, *args: [Eq("y", "2 * sqart(3)"), Eq("lr", "sqart(4)")])
    lab.write("a.yaml", CONFIG)
    for command in (("trace", "a.yaml"), ("parts", kind)):
        found = lab.run(*command)
        assert found.code == 1
        assert f"error: the equations of {kind} cannot be read: 'sqart(" in found.err
        assert "no function or reduction is called sqart [declaration]\n" in found.err
        assert f"help: did you mean `sqrt`? {HELP}" in found.err


def test_a_name_that_nothing_has_is_no_mistake_of_the_program(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layer.registry["tanh"], "equations", lambda *args: [Eq("y[n,o]", "tanh(betta * x[n,o])")])
    lab.write("a.yaml", CONFIG)
    found = lab.run("gradcheck", "a.yaml")
    assert (found.code, "[internal]" in found.err) == (1, False)
    assert "error: y[n,o] = tanh(betta * x[n,o]): betta is not known [declaration]\n" in found.err
