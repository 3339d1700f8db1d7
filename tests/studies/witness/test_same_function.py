"""Stated gradients and derived ones are one function, or a point where they part is found."""

from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.notation import Eq, compile_equations
from bpcli.studies.witness.cases import DifferentiableCase, LayerCase, LossCase, PenaltyCase, cases
from bpcli.studies.witness.same_function import FunctionGap, function_gaps

FORWARD = "x[n,k]**2 / (1 + x[n,k]**2)"
SLOPE = "dy[n,k] * 2 * x[n,k] / (1 + x[n,k]**2)**2"


def gaps(y: str, dx: str, seed: int = 0, **numbers: float) -> list[FunctionGap]:
    """The gaps of a stated gradient of y by x, at every point."""
    env: dict[str, Any] = {"x": np.ones((3, 4)), "dy": np.ones((3, 4)), **numbers}
    program = compile_equations([Eq("y[n,k]", y), Eq("dx[n,k]", dx)], env)
    return list(function_gaps(program, env, "y", ("x",), np.random.default_rng(seed)))


@pytest.mark.parametrize("dx", [SLOPE, "dy[n,k] * (2 * x[n,k] / (1 + x[n,k]**2) - 2 * x[n,k]**3 / (1 + x[n,k]**2)**2)"])
def test_one_function_however_it_is_written(dx: str) -> None:
    """The second cancels to the eighth digit where numbers are large, and that is no difference."""
    found = gaps(FORWARD, dx)
    assert len(found) >= 16
    assert {gap.slope for gap in found} == {False, True}
    assert not any(gap.wrong for gap in found)


@pytest.mark.parametrize(
    "dx",
    [
        SLOPE.replace("2 * x[n,k]", "2 * abs(x[n,k])"),  # right for positive numbers
        f"where(abs(x[n,k]) < 300, {SLOPE}, 0)",
        f"where(abs(x[n,k]) < 40000, {SLOPE}, 0)",  # beyond the usual sizes: by the number that stands there
        f"where(abs(x[n,k]) < cap, {SLOPE}, 0)",
        f"where(abs(x[n,k]) > 0.003, {SLOPE}, 0)",
        f"{SLOPE} * (1 + 1e-10)",
        f"{SLOPE} + 1e-11",
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_another_function(dx: str, seed: int) -> None:
    assert any(gap.wrong and not gap.slope for gap in gaps(FORWARD, dx, seed, cap=7e4))


def test_equal_values_with_another_slope() -> None:
    found = gaps("x[n,k]**2 / 2", "dy[n,k] * (x[n,k] * big // 1) / big", big=1e14)
    assert {gap.slope for gap in found if gap.wrong} == {True}


def test_where_no_gradient_is_stated_nothing_is_compared() -> None:
    program = compile_equations([Eq("y[n]", "x[n]**2")], {"x": np.ones(3)})
    env = {"x": np.ones(3), "dy": np.ones(3)}
    assert not list(function_gaps(program, env, "y", ("x",), np.random.default_rng(0)))


def test_every_stated_gradient_is_compared() -> None:
    """Of each layer without layers inside, loss and penalty, by its inputs and parameters."""
    compared = 0
    for name, sample in list(good())[::7]:
        for case in cases(sample):
            if isinstance(case, LossCase | PenaltyCase):
                assert [gap.tensor for gap in case.functions()] == ["dx" if isinstance(case, LossCase) else "dw"], name
            elif isinstance(case, LayerCase) and not case.bound.inside:
                assert [gap.tensor for gap in case.functions()] == [f"d{name}" for name in case.tensors], name
            compared += isinstance(case, DifferentiableCase)
    assert compared > 50
