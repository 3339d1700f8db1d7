"""One tensor before its witnesses: what each of them says of a gradient that is right, or wrong in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sum_objective import EVERYTHING, ONLY_DIFFERENCES, RIGHT, Objective, X, but

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.ask_witnesses import CHUNK_ENTRIES
from bpcli.studies.witness.evidence import Effort, random_direction
from bpcli.studies.witness.witness import complex_steps

ONLY_EQUATIONS = {"complex_value": None, "differences": False}
ONLY_STEPS = {"equations": None, "differences": False}


# ---------------------------------------------------------------------------------------------------- what all agree on
def test_a_right_gradient_agrees_with_every_witness() -> None:
    objective = Objective()
    found = objective.ask(RIGHT)
    assert found.verdict == "ok"
    assert found.entries == X.size
    assert list(found.gaps) == list(found.bars) == ["equations", "complex step", "differences"]
    assert found.gaps["equations"] == 0 <= found.gaps["complex step"] < 1e-14 < found.gaps["differences"] < 1e-8
    assert 1e-9 < found.bars["equations"] < 1.2e-9
    assert found.bars["complex step"] == pytest.approx(found.bars["equations"], rel=1e-9)
    assert 1e-6 < found.bars["differences"] < 3e-6
    assert found.witness in ("equations", "complex step")
    np.testing.assert_array_equal(found.numbers, RIGHT)
    np.testing.assert_array_equal(objective.x, X)


def test_every_evaluation_is_counted() -> None:
    objective = Objective()
    found = objective.ask(RIGHT)
    assert (objective.calls, objective.steps) == (1 + 2 * X.size, X.size)
    assert found.evaluations == objective.calls + objective.steps


@pytest.mark.parametrize("witnesses", [{}, ONLY_STEPS, ONLY_DIFFERENCES])
@pytest.mark.parametrize("kernel", [RIGHT * 1.001, but(RIGHT, (1, 0), 5.0), RIGHT + 2e-9])
def test_every_evaluation_of_a_wrong_gradient_is_counted(kernel: Array, witnesses: dict[str, Any]) -> None:
    for effort in (EVERYTHING, Effort(2, 2, 2, 2)):
        objective = Objective()
        found = objective.ask(kernel, effort=effort, **witnesses)
        assert found.evaluations == objective.calls + objective.steps


def test_every_evaluation_is_counted_where_more_is_wrong_than_is_looked_at_again() -> None:
    x = np.random.default_rng(1).normal(size=(20, 20))
    objective = Objective(x=x)
    found = objective.ask(np.cos(x) * 1.001, **ONLY_DIFFERENCES)
    assert found.verdict == "WRONG"
    assert found.evaluations == objective.calls


# ----------------------------------------------------------------------------------------------------------- not finite
@pytest.mark.parametrize(
    ("kernel", "equations", "verdict", "note"),
    [
        (but(RIGHT, (0, 2), np.nan), RIGHT, "WRONG", "the kernel's gradient is not finite"),
        (but(RIGHT, (0, 2), np.inf), RIGHT, "WRONG", "the kernel's gradient is not finite"),
        (but(RIGHT, (0, 2), np.inf), None, "WRONG", "the kernel's gradient is not finite"),
        (but(RIGHT, (0, 2), np.inf), but(RIGHT, (0, 2), np.inf), "noise", "the gradient is too large for a number"),
        (but(RIGHT, (0, 2), np.inf), but(RIGHT, (0, 2), -np.inf), "WRONG", "the kernel's gradient is not finite"),
    ],
)
def test_a_gradient_that_is_not_finite(kernel: Array, equations: Array | None, verdict: str, note: str) -> None:
    found = Objective().ask(kernel, equations=equations)
    assert (found.verdict, found.note, found.index, found.witness) == (verdict, note, (0, 2), "kernel")
    assert math.isnan(found.numeric)
    assert found.numbers is equations
    assert found.evaluations == (2 if equations is None else 0)


def test_a_number_that_is_none_is_not_excused_by_one_that_is_too_large() -> None:
    kernel = but(but(RIGHT, (0, 1), np.inf), (1, 1), np.nan)
    assert Objective().ask(kernel, equations=but(RIGHT, (0, 1), np.inf)).verdict == "WRONG"


# ------------------------------------------------------------------------------------------------------------ equations
def test_an_entry_off_by_more_than_rounding_is_wrong_by_the_equations() -> None:
    kernel = but(RIGHT, (1, 1), RIGHT[1, 1] * (1 + 3e-9))
    found = Objective().ask(kernel, **ONLY_EQUATIONS)
    assert (found.verdict, found.witness, found.index) == ("WRONG", "equations", (1, 1))
    assert (found.kernel, found.numeric) == (kernel[1, 1], RIGHT[1, 1])
    assert found.worst == found.gaps["equations"] == pytest.approx(3e-9, rel=1e-6)
    assert Objective().ask(RIGHT * (1 + 9e-10), **ONLY_EQUATIONS).verdict == "ok"


def test_the_worst_entry_of_all_that_are_right_is_shown() -> None:
    kernel = but(RIGHT * (1 + 1e-10), (0, 1), RIGHT[0, 1] * (1 + 5e-10))
    found = Objective().ask(kernel, **ONLY_EQUATIONS)
    assert (found.verdict, found.index) == ("ok", (0, 1))
    assert found.worst == pytest.approx(5e-10, rel=1e-6)


def test_of_wrong_entries_the_worst_is_shown_and_none_that_is_right() -> None:
    """An entry of size 1e-3 may be off by more of itself, for what cancels is of size 1."""
    slope = np.array([1e-9, 1.0, 0.5])
    kernel = slope * np.array([1 + 1e-6, 1 + 2e-9, 1 + 4e-9])
    objective = Objective(x=np.zeros(3))
    found = objective.ask(kernel, slope, reach=1e6, **ONLY_EQUATIONS)
    assert found.verdict == "ok"
    found = objective.ask(kernel, slope, reach=0.0, rounding=1e-12, **ONLY_EQUATIONS)
    assert (found.verdict, found.index) == ("WRONG", (2,))


def test_room_for_what_cancelled_and_for_rounding_on_the_way() -> None:
    kernel = RIGHT + 1e-8
    assert Objective().ask(kernel, **ONLY_EQUATIONS).verdict == "WRONG"
    assert Objective().ask(kernel, reach=1e6, **ONLY_EQUATIONS).verdict == "ok", "64 roundings of a million are 1.4e-8"
    assert Objective().ask(kernel, reach=3e5, **ONLY_EQUATIONS).verdict == "WRONG"
    found = Objective().ask(kernel, rounding=2e-8, **ONLY_EQUATIONS)
    assert found.verdict == "ok"
    assert found.bars["equations"] == pytest.approx((2e-8 + 1e-9 * RIGHT.min()) / RIGHT.min(), rel=1e-3)
    large = 1e6 * np.array([[1e-9, 1.0]])
    assert Objective(x=large).ask(large + 5e-7, large, **ONLY_EQUATIONS).verdict == "ok", "1e-12 of the largest entry"


def test_a_number_of_the_equations_that_is_none_is_no_agreement() -> None:
    found = Objective().ask(RIGHT, but(RIGHT, (1, 2), np.nan), **ONLY_EQUATIONS)
    assert (found.verdict, found.index) == ("WRONG", (1, 2))
    assert found.worst == np.inf


def test_a_tensor_of_several_chunks_is_compared_to_its_end() -> None:
    slope = np.ones(2 * CHUNK_ENTRIES + 5)
    objective = Objective(x=slope)
    for at in (3, CHUNK_ENTRIES, 2 * CHUNK_ENTRIES + 4):
        found = objective.ask(but(slope, (at,), 1.5), slope, **ONLY_EQUATIONS)
        assert (found.verdict, found.index, found.kernel, found.numeric) == ("WRONG", (at,), 1.5, 1.0)
    some = but(but(slope, (3,), 1 + 5e-10), (CHUNK_ENTRIES + 1,), 1.25)
    found = objective.ask(but(some, (2 * CHUNK_ENTRIES,), 1.125), slope, **ONLY_EQUATIONS)
    assert (found.verdict, found.index, found.worst) == ("WRONG", (CHUNK_ENTRIES + 1,), 0.2)


# -------------------------------------------------------------------------------------------------------- complex steps
def test_an_entry_off_by_more_than_rounding_is_wrong_by_complex_steps() -> None:
    kernel = but(RIGHT, (0, 2), RIGHT[0, 2] * (1 + 5e-9))
    found = Objective().ask(kernel, **ONLY_STEPS)
    assert (found.verdict, found.witness, found.index) == ("WRONG", "complex step", (0, 2))
    assert found.numeric == pytest.approx(RIGHT[0, 2], rel=1e-15)
    assert found.gaps["complex step"] == found.worst == pytest.approx(5e-9, rel=1e-6)
    np.testing.assert_allclose(found.numbers, RIGHT, rtol=1e-15)
    assert Objective().ask(RIGHT * (1 + 9e-10), **ONLY_STEPS).verdict == "ok"


def test_the_worst_entry_of_all_that_are_right_by_complex_steps_is_shown() -> None:
    kernel = but(RIGHT * (1 + 1e-10), (1, 2), RIGHT[1, 2] * (1 + 6e-10))
    found = Objective().ask(kernel, **ONLY_STEPS)
    assert (found.verdict, found.index, found.witness) == ("ok", (1, 2), "complex step")
    assert found.worst == found.gaps["complex step"] == pytest.approx(6e-10, rel=1e-6)


def test_an_entry_too_small_for_a_step_is_left_to_others() -> None:
    x = np.array([1e-280, 0.0, 0.5])
    objective = Objective(x=x)
    found = objective.ask(np.array([7.0, 1.0, np.cos(0.5)]), effort=Effort(9, 9, 9, 0), **ONLY_STEPS)
    assert found.verdict == "ok"
    assert objective.steps == 2
    assert found.numbers is not None
    np.testing.assert_array_equal(np.isnan(found.numbers), [True, False, False])


def noisy(z: Any) -> Any:
    """e^z, beside terms of a hundred million that cancel."""
    return np.exp(z) + (np.sin(z) * 1.1e8 - np.sin(z) * 1e8 - np.sin(z) * 1e7)


def test_equations_that_cancel_are_no_mistake_of_the_kernel() -> None:
    objective = Objective(noisy)
    found = objective.ask(np.exp(X), **ONLY_STEPS)
    assert found.verdict == "ok"
    assert found.bars["complex step"] > 1e-9, "the bar that was needed is the one that is shown"
    assert found.gaps["complex step"] <= found.bars["complex step"]
    assert found.evaluations == objective.calls + objective.steps
    assert objective.ask(np.exp(X) * (1 + 1e-6), **ONLY_STEPS).verdict == "WRONG"


def test_forty_entries_are_looked_at_again() -> None:
    x = np.linspace(0.5, 1.5, 140)
    objective = Objective(noisy, x)
    steps = complex_steps(objective.complex_value, x, tuple(np.ndindex(x.shape)))
    kernel = np.exp(x)
    assert (np.abs(kernel - steps) > 1e-9 * kernel + 1e-11).sum() > 41
    objective.steps = 0
    objective.ask(kernel, **ONLY_STEPS)
    assert objective.steps == 140 + 8 * 40


def test_at_a_kink_the_kernel_may_take_the_other_side_than_a_step() -> None:
    x = np.array([0.0, 0.7, -0.4])

    def size(z: Any) -> Any:
        return np.where(np.real(z) >= 0, z, -z)

    for slope in (1.0, 0.0, -1.0):
        found = Objective(size, x).ask(np.array([slope, 1.0, -1.0]), **ONLY_STEPS, **around(x, size))
        assert found.verdict == ("ok" if slope == 1 else "kink"), slope
    found = Objective(size, x).ask(np.array([-1.5, 1.0, -1.0]), **ONLY_STEPS, **around(x, size))
    assert (found.verdict, found.index) == ("WRONG", (0,))
    found = Objective(size, x).ask(np.array([-1.0, 1.0, -0.9]), **ONLY_STEPS, **around(x, size))
    assert (found.verdict, found.index) == ("WRONG", (2,))


def around(x: Array, f: Callable[[Any], Any]) -> dict[str, Any]:
    """Nothing lies between the tensor and the objective that could show more than that shows."""
    return {"outputs": None, "moved": None}


def test_where_equations_and_kernel_agree_at_a_kink_a_step_may_take_another_side() -> None:
    x = np.array([0.0, 0.7])
    objective = Objective(lambda z: np.where(np.real(z) >= 0, z, -z), x)
    assert objective.ask(np.array([0.0, 1.0]), np.array([0.0, 1.0]), differences=False).verdict == "kink"
    objective.calls = 0
    found = objective.ask(np.array([0.0, 1.0]), np.array([1.0, 1.0]), differences=False)
    assert found.verdict == "WRONG", "what the equations deny no kink excuses"
    assert objective.calls == 0, "and none is looked for"


# ----------------------------------------------------------------------------------------------------------- directions
FEW = Effort(2, 2, 2, 3)


def test_what_no_entry_shows_a_direction_does() -> None:
    """The first, the last and drawn entries are looked at; here one of 300 is wrong."""
    x = np.linspace(0.1, 1.2, 300)
    kernel = but(np.cos(x), (150,), 3.0)
    right = Objective(x=x).ask(np.cos(x), effort=FEW, **ONLY_STEPS)
    assert right.verdict == "ok"
    assert right.evaluations == 4 + 3
    for witnesses, witness in ((ONLY_STEPS, "complex step"), (ONLY_DIFFERENCES, "differences")):
        found = Objective(x=x).ask(kernel, effort=FEW, **witnesses)
        assert (found.verdict, found.witness, found.index) == ("WRONG", witness, (0,))
        assert found.note == "along a random direction through the whole tensor"
        assert found.gaps[witness] > found.bars[witness]
        assert abs(found.kernel - found.numeric) > 1
    np.testing.assert_array_equal(right.gradient.at, x)


def test_how_many_directions_are_asked() -> None:
    x = np.linspace(0.1, 1.2, 300)
    for directions in (0, 1, 3):
        objective = Objective(x=x)
        objective.ask(np.cos(x), effort=Effort(0, 2, 2, directions), **ONLY_DIFFERENCES)
        assert objective.calls == 1 + 2 * len(np.unique([0, 299, *np.random.default_rng(0).choice(300, 2, False)])) + (
            2 * directions
        )
        objective = Objective(x=x)
        objective.ask(np.cos(x), effort=Effort(0, 0, 0, directions), **ONLY_STEPS)
        assert objective.steps == directions
    objective = Objective(x=x)
    objective.ask(np.cos(x), effort=Effort(0, 2, 2, 3), equations=None)
    exact = objective.calls
    objective = Objective(x=x)
    objective.ask(np.cos(x), effort=Effort(0, 2, 2, 1), **ONLY_DIFFERENCES)
    assert exact == objective.calls, "where complex steps go along directions, differences go along one"


def test_a_direction_has_room_for_the_rounding_of_all_entries() -> None:
    x = np.linspace(0.1, 1.2, 300)
    kernel = np.cos(x) * (1 + 1e-7)
    assert Objective(x=x).ask(kernel, effort=Effort(0, 0, 0, 1), **ONLY_STEPS).verdict == "WRONG"
    loose = Objective(x=x).ask(kernel, effort=Effort(0, 0, 0, 1), rounding=1e-7, **ONLY_STEPS)
    assert loose.verdict == "not covered", "no single entry was looked at"
    along = abs(loose.gradient.kernel @ random_direction((300,), np.random.default_rng(0)))
    unit = max(float(along), float(np.linalg.norm(kernel)))
    assert loose.bars["complex step"] == pytest.approx(1e-9 + math.sqrt(300) * 1e-7 / unit, rel=1e-3)


# ---------------------------------------------------------------------------------------------------------- the verdict
def test_without_a_witness_it_is_not_covered() -> None:
    assert Objective().ask(RIGHT, None, equations=None, complex_value=None, differences=False).verdict == "not covered"


def test_a_gradient_of_nothing_is_dead_unless_that_is_its_nature() -> None:
    nothing = np.zeros_like(X)
    objective = Objective(np.zeros_like)
    assert objective.ask(nothing, nothing, complex_value=None).verdict == "dead"
    assert objective.ask(nothing, nothing, complex_value=None, always_zero=True).verdict == "ok"
    assert Objective().ask(nothing, RIGHT).verdict == "WRONG"
    assert objective.ask(but(nothing, (0, 0), 1e-300), nothing, complex_value=None).verdict == "ok"
