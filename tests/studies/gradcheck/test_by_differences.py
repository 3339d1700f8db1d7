"""What differences alone, and beside exact witnesses, say of a gradient that is right or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sum_objective import ONLY_DIFFERENCES, RIGHT, Objective, but

from bpcli.family.plan import Array
from bpcli.studies.witness.evidence import Effort


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
