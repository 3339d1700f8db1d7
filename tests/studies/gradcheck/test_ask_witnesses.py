"""One tensor before its witnesses: what each of them says of a gradient that is right, or wrong in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bpcli.family.plan import Array
from bpcli.studies.gradcheck.ask_witnesses import CHUNK_ENTRIES, ask_witnesses
from bpcli.studies.witness.evidence import CheckedGradient, Effort, Evidence, random_direction
from bpcli.studies.witness.witness import complex_steps

X = np.array([[0.3, -0.7, 1.1], [0.9, -0.2, 0.5]])
ONLY_EQUATIONS = {"complex_value": None, "differences": False}
ONLY_STEPS = {"equations": None, "differences": False}
ONLY_DIFFERENCES = {"equations": None, "complex_value": None}
EVERYTHING = Effort(2000, 25_000, 500, 3)


class Objective:
    """The sum of a function of each entry of a tensor, with what is asked of it counted."""

    def __init__(self, f: Callable[[Any], Any] = np.sin, x: Array = X) -> None:
        self.f, self.x, self.calls, self.steps = f, x.copy(), 0, 0

    def value(self) -> tuple[float, float]:
        self.calls += 1
        terms = self.f(self.x)
        return math.fsum(terms.ravel()), float(np.abs(terms).sum())

    def complex_value(self, z: Array) -> object:
        self.steps += 1
        return np.sum(self.f(z))

    def gradient(self, kernel: Array, slope: Array | None = None, **more: Any) -> CheckedGradient:
        expected = np.cos(self.x) if slope is None else slope
        settings = {"equations": expected, "complex_value": self.complex_value, "reach": 1.0} | more
        return CheckedGradient("layer", "dense_1.dW", "random", self.x, kernel, self.value, **settings)

    def ask(self, kernel: Array, slope: Array | None = None, effort: Effort = EVERYTHING, **more: Any) -> Evidence:
        with np.errstate(all="ignore"):
            return ask_witnesses(self.gradient(kernel, slope, **more), effort, np.random.default_rng(0))


def but(a: Array, index: tuple[int, ...], value: float) -> Array:
    out = a.copy()
    out[index] = value
    return out


RIGHT = np.cos(X)


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


# ------------------------------------------------------------------------------------------------------- by differences
def moved_by(gradient: Callable[[Array], Array], x: Array) -> Any:
    """What a kernel gives where all that it comes from is off by a share."""
    rng = np.random.default_rng(1)

    @contextmanager
    def moved(share: float) -> Iterator[Array]:
        yield gradient(x * (1 + share * rng.uniform(-1, 1, x.shape)))

    return moved


@pytest.mark.parametrize("off", [1e-3, 1e-5, 1e-6, 3e-7])
def test_differences_alone_see_a_millionth(off: float) -> None:
    kernel = but(RIGHT, (1, 1), RIGHT[1, 1] * (1 + off))
    found = Objective().ask(kernel, **ONLY_DIFFERENCES)
    assert (found.verdict, found.witness, found.index) == ("WRONG", "differences", (1, 1))
    assert found.worst == pytest.approx(off, rel=0.2)
    assert found.numeric == pytest.approx(RIGHT[1, 1], rel=3e-8)
    assert found.bars["differences"] < 2e-6


@pytest.mark.parametrize("off", [0.0, 1e-9, 5e-8])
def test_differences_alone_excuse_a_ten_millionth(off: float) -> None:
    found = Objective().ask(RIGHT * (1 + off), **ONLY_DIFFERENCES)
    assert (found.verdict, found.entries, found.unresolved) == ("ok", 6, 0)
    assert found.gaps["differences"] <= found.bars["differences"] < 2e-7


def test_beside_exact_witnesses_differences_see_what_is_far_off() -> None:
    """The kernels' own forward pass is another function than the equations, whose gradient the kernel gives."""
    objective = Objective(lambda z: np.sin(z) * 1.01)
    found = objective.ask(RIGHT, RIGHT, complex_value=None)
    assert (found.verdict, found.witness) == ("WRONG", "differences")
    assert found.gaps["differences"] == pytest.approx(0.01 / 1.01, rel=1e-3)
    objective = Objective(lambda z: np.sin(z) * (1 + 3e-7))
    assert objective.ask(RIGHT, RIGHT, complex_value=None).verdict == "ok"


def test_right_numbers_of_a_tensor_that_differences_judge() -> None:
    kernel = RIGHT * 1.001
    found = Objective().ask(kernel, **ONLY_DIFFERENCES)
    assert found.numbers is not None
    np.testing.assert_allclose(found.numbers, RIGHT, rtol=1e-8)
    assert found.rtol == 2e-7
    some = Objective(x=np.linspace(0.1, 1.2, 300)).ask(
        np.cos(np.linspace(0.1, 1.2, 300)) * 1.001, effort=Effort(0, 5, 5, 0), **ONLY_DIFFERENCES
    )
    assert some.numbers is not None
    assert np.isfinite(some.numbers).sum() == some.entries


def test_right_numbers_of_very_many_wrong_entries_are_known_less_well() -> None:
    """256 of them are computed as well as can be, the rest by a single step."""
    for count, rtol in ((200, 2e-7), (264, 2e-7), (265, 1e-6)):  # 8 are wrong by themselves
        x = np.linspace(0.1, 1.2, count)
        found = Objective(x=x).ask(np.cos(x) * 1.001, **ONLY_DIFFERENCES)
        assert found.verdict == "WRONG"
        assert found.rtol == rtol
        assert found.numbers is not None
        np.testing.assert_allclose(found.numbers, np.cos(x), rtol=1e-6)


def test_a_kink_and_a_jump_are_told_by_differences_alone() -> None:
    x = np.array([0.0, 0.7, -0.4])
    for slope in (1.0, -0.5, -1.0):
        found = Objective(np.abs, x).ask(np.array([slope, 1.0, -1.0]), **ONLY_DIFFERENCES)
        assert (found.verdict, found.index) == ("kink", (0,)), slope
        assert found.entries == 3
        assert found.gaps["differences"] < 1e-7, "of what was shown"
    assert Objective(np.abs, x).ask(np.array([1.25, 1.0, -1.0]), **ONLY_DIFFERENCES).verdict == "WRONG"
    x = np.array([1.0, 0.7])
    found = Objective(np.floor, x).ask(np.zeros(2), **ONLY_DIFFERENCES)
    assert (found.verdict, found.index) == ("jump", (0,))
    wrong = Objective(np.floor, x).ask(np.array([1.0, 0.0]), **ONLY_DIFFERENCES)
    assert wrong.verdict == "WRONG", "no slope beside"


def test_along_a_direction_a_kernel_may_be_off_as_far_as_all_its_entries() -> None:
    """The length of what rounding does to the whole gradient, and not what it does to one entry."""
    x = np.linspace(0.5, 1.0, 400)
    kernel = np.cos(x) * (1 + 2e-6)
    effort = Effort(0, 0, 0, 1)
    assert Objective(x=x).ask(kernel, effort=effort, **ONLY_DIFFERENCES).verdict == "WRONG"
    steep = moved_by(lambda a: 1e6 * a, x)
    assert Objective(x=x).ask(kernel, effort=effort, moved=steep, **ONLY_DIFFERENCES).verdict != "WRONG"


def test_beside_exact_witnesses_rounding_of_the_objective_is_allowed_along_a_direction() -> None:
    x = np.linspace(0.5, 1.0, 400)
    objective = Objective(lambda z: (np.sin(z) + 1e7) - 1e7, x)
    found = objective.ask(np.cos(x), np.cos(x), effort=Effort(0, 0, 0, 1), complex_value=None)
    assert found.verdict == "ok"
    assert found.bars["differences"] > 1e-6


def test_a_kernel_as_steep_as_rounding_takes_it_is_not_wrong() -> None:
    """Its own number is another where all that it reads is off by a little: so much differences allow."""
    x = np.linspace(0.5, 1.0, 6)
    kernel = np.cos(x) * (1 + 4e-6)
    calm = Objective(x=x).ask(kernel, moved=moved_by(np.cos, x), **ONLY_DIFFERENCES)
    assert calm.verdict == "WRONG"
    first = Objective(x=x).ask(but(np.cos(x), (0,), kernel[0]), moved=moved_by(lambda a: 1e6 * but(a, (1,), 0), x),
                               **ONLY_DIFFERENCES)  # fmt: skip
    assert first.verdict in ("ok", "noise"), "each entry by its own"
    steep = Objective(x=x).ask(kernel, moved=moved_by(lambda a: 1e6 * a, x), **ONLY_DIFFERENCES)
    assert steep.verdict in ("ok", "noise")


def test_differences_that_lose_themselves_in_noise_say_so() -> None:
    objective = Objective(lambda z: (np.sin(z) + 1e10) - 1e10)
    found = objective.ask(RIGHT, **ONLY_DIFFERENCES)
    assert found.verdict == "noise"
    assert found.unresolved > 0
    assert found.evaluations == objective.calls
    assert objective.ask(RIGHT, RIGHT, complex_value=None).verdict == "ok", "exact witnesses see it"


def test_where_a_step_leads_beyond_all_numbers_nothing_is_shown() -> None:
    def steep(z: Any) -> Any:
        return np.where(z > 1.0, np.inf, z)

    x = np.array([1.0, 0.5])
    found = Objective(steep, x).ask(np.ones(2), **ONLY_DIFFERENCES)
    assert (found.verdict, found.index, found.unresolved) == ("noise", (0,), 1)


def test_at_most_so_many_entries_are_looked_at_again() -> None:
    """40, or an eighth; of the others only what a single step excuses is right."""
    x = np.linspace(0.5, 1.0, 100)
    kernel = np.cos(x) * (1 + 4e-7)  # beyond 1e-7, and within what a single step may be off by
    bent = Objective(lambda z: np.sin(z) * (1 + 4e-7) + 3e-7 * np.sin(1e4 * z) / 1e4, x)
    found = bent.ask(kernel, **ONLY_DIFFERENCES)
    assert found.entries <= 100
    wrong = Objective(x=x).ask(kernel, **ONLY_DIFFERENCES)
    assert wrong.verdict == "WRONG"
    assert wrong.entries == 40, "those that were looked at as well as is asked"
    more = Objective(x=np.linspace(0.5, 1.0, 800)).ask(
        np.cos(np.linspace(0.5, 1.0, 800)) * (1 + 4e-7), **ONLY_DIFFERENCES
    )
    assert more.entries == 100
