"""Losses, penalties and optimizers that break a rule: each is found, at its line, by the rule that it breaks; and no
part that keeps them is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examined_parts import APART, WRITE, look, shown
from own_parts import SQUARE, STEP, changed
from own_parts import own as own
from registry import good

from bpcli.family import GradientOptimizer, Layer, Loss, Regularizer
from bpcli.family.plan import Sample
from bpcli.studies.custom.contract import examine

FAMILIES = Layer | Loss | Regularizer | GradientOptimizer
GOOD = {name: s for name, s in good() if isinstance(s.part, FAMILIES) and "huge" not in s.note}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sample", GOOD.values(), ids=GOOD)
def test_no_part_of_the_package_is_blamed(sample: Sample, dtype: Any) -> None:
    inputs = {k: np.asarray(v, float) for k, v in sample.inputs.items() if k in ("x", "t")}
    assert examine(sample.part, sample.x, sample.batch, dtype, inputs) == ()


def test_a_good_loss_and_a_good_optimizer(own: Path) -> None:
    assert look(SQUARE) == ()
    assert look(STEP, (), learning_rate={"type": "constant", "value": 0.1}) == ()


LOSSES = {
    "gives nothing back": (
        [("return 0.5 *", "0.5 *")],
        "Square.forward returns nothing",
        "it returns one number: the mean over the rows",
    ),
    "gives a number a row": (
        [("return 0.5 * float(np.vdot(f.e, f.e)) / len(f.x)", "return (f.e**2).sum(1)")],
        "Square.forward returns ndarray",
        "it returns one number: the mean over the rows",
    ),
    "is not a number": (
        [("float(np.vdot(f.e, f.e))", "float('nan')")],
        "Square.forward returns nan",
        "here f.x is (3, 4) and f.t (3, 4), all finite",
    ),
    "changes the targets": (
        [("np.subtract(f.x, f.t, out=f.dx)", "np.subtract(f.x, f.t, out=f.t)\n        np.copyto(f.dx, f.t)")],
        "Square.backward changes f.t, which are the targets",
        APART + "the rule of backward: writes dx",
    ),
    "binds its gradient": (
        [("np.divide(f.dx, len(f.x), out=f.dx)", "f.dx = f.dx / len(f.x)")],
        "Square.backward binds f.dx to an object of its own, and the engine's array stays as it was",
        WRITE.format("dx"),
    ),
    "reads too early": (
        [("        np.subtract(f.x, f.t, out=f.e)\n", "")],
        "what Square.forward returns depends on what stood in memory before",
        "keep and scratch are written before they are read",
    ),
}


@pytest.mark.parametrize(("changes", "text", "help"), LOSSES.values(), ids=LOSSES)
def test_a_loss_that_breaks_a_rule(own: Path, changes: Sequence[tuple[str, str]], text: str, help: str) -> None:
    (problem,) = look(changed(SQUARE, *changes))
    assert (problem.level, problem.text, problem.help) == ("error", text, help)


SQUARES = ("class Square(Loss):", "class Square(Loss):\n    least_squares = True")


def test_a_loss_that_says_it_is_a_sum_of_squares_is_compared_with_one(own: Path) -> None:
    found = look(changed(SQUARE, SQUARES))
    assert [p for p in found if p.level == "error"] == []
    weighed = ("        return 0.5", "        f.e[:, 0] *= 1.5\n        return 0.5")
    (problem,) = look(changed(SQUARE, SQUARES, weighed))
    assert problem.level == "error"
    assert problem.text.startswith("Square declares least_squares, and forward returns ")
    assert problem.help.startswith("it is then a number times the mean over rows of sum_k (x - t)^2")


LOSSES_WITHOUT_SQUARES = {n: s for n, s in GOOD.items() if isinstance(s.part, Loss) and not s.part.least_squares}
PENALTIES_WITHOUT_SQUARES = {
    name: s
    for name, s in GOOD.items()
    if isinstance(s.part, Regularizer) and not s.part.quadratic and s.part.consts().get("l1_ratio", 1)
    and s.part.consts()["strength"]
}  # fmt: skip


@pytest.mark.parametrize("sample", LOSSES_WITHOUT_SQUARES.values(), ids=LOSSES_WITHOUT_SQUARES)
def test_no_other_loss_is_taken_for_a_sum_of_squares(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sample.part), "least_squares", True)
    inputs = {k: np.asarray(v, float) for k, v in sample.inputs.items() if k in ("x", "t")}
    (problem,) = examine(sample.part, sample.x, sample.batch, np.float64, inputs)
    weights = "forward raises ZeroDivisionError" in problem.text  # of classes, which targets of 0 have none of
    assert "declares least_squares, and forward returns" in problem.text or weights


@pytest.mark.parametrize("sample", PENALTIES_WITHOUT_SQUARES.values(), ids=PENALTIES_WITHOUT_SQUARES)
def test_no_other_penalty_is_taken_for_a_sum_of_squares(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sample.part), "quadratic", True)
    (problem,) = examine(sample.part, sample.x)
    assert "declares quadratic, and its gradient does not grow with each weight" in problem.text


STEPS = {
    "binds the weights": (
        [("np.subtract(f.w, f.s, out=f.w)", "f.w = f.w - f.s")],
        "Downhill.update binds f.w to an object of its own, and the engine's array stays as it was",
        "f.w = f.w - f.s",
    ),
    "moves nothing": (
        [("        np.subtract(f.w, f.s, out=f.w)\n", "")],
        "Downhill.update leaves f.w as it was, in 3 steps",
        "def update(self, f, lr, t):",
    ),
    "reads too early": (
        [("        np.multiply(f.g, lr, out=f.s)\n", "")],
        "f.w depends on what stood in memory before Downhill.update",
        "np.subtract(f.w, f.s, out=f.w)",
    ),
}


@pytest.mark.parametrize(("changes", "text", "line"), STEPS.values(), ids=STEPS)
def test_an_optimizer_that_breaks_a_rule(own: Path, changes: Sequence[tuple[str, str]], text: str, line: str) -> None:
    (problem,) = look(changed(STEP, *changes), (), learning_rate={"type": "constant", "value": 0.1})
    assert (problem.level, problem.text, shown(problem)) == ("error", text, line)
