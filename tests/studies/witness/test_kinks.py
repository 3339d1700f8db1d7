"""Which claims a kink or a jump excuses: those that a one-sided slope of the function explains, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bpcli.studies.witness.extrapolate import Line
from bpcli.studies.witness.kinks import Outputs, classify_discrepancy, exact_slopes, shows_jump, shows_steepness

NOISE = 1e-13


def line(function: Callable[[float], float], at: float = 0.0) -> Line:
    x = np.array([at])
    return Line(lambda: (float(function(float(x[0]))), 1.0), x, (0,))


def verdict(function: Callable[[float], float], claimed: float, number: float, at: float = 0.0, **more: Any) -> str:
    return classify_discrepancy(
        line(function, at), claimed, number, 1e-9, NOISE, more.get("outputs"), more.get("moved")
    )


def relu(x: float) -> float:
    return max(x, 0.0)


@pytest.mark.parametrize(
    ("claimed", "said"), [(0.0, "kink"), (1.0, "kink"), (0.3, "kink"), (1.1, ""), (-0.1, ""), (5.0, "")]
)
def test_at_a_kink_every_slope_between_those_of_both_sides_is_excused(claimed: float, said: str) -> None:
    assert verdict(relu, claimed, 0.5) == said


@pytest.mark.parametrize("claimed", [0.9, 1.1, 0.0])
def test_where_the_slope_does_not_jump_nothing_is_excused(claimed: float) -> None:
    assert verdict(lambda x: x + x**2, claimed, 1.0) == ""
    assert verdict(np.sin, claimed, 1.0) == ""
    assert verdict(lambda x: x * abs(x) + x, claimed, 1.0) == ""  # the second derivative jumps, the slope does not


def test_a_bend_however_sharp_is_no_kink() -> None:
    """Of a slope that goes from 0 to 1 over a width that small steps see through."""

    def bend(x: float) -> float:
        return float(0.5 * (x + np.sqrt(x**2 + 1e-4)))

    assert verdict(bend, 0.9, 0.5) == ""


@pytest.mark.parametrize(("claimed", "said"), [(2.0, "jump"), (2.5, "WRONG"), (0.0, "WRONG")])
def test_where_the_function_jumps_the_slope_beside_is_right(claimed: float, said: str) -> None:
    assert verdict(lambda x: 2 * x + 3 * (x >= 0), claimed, 1e6) == said


def test_a_kink_may_stand_anywhere_within_a_step_but_not_far() -> None:
    assert verdict(lambda x: relu(x - 0.5), 0.7, 1.0, at=0.5) == "kink"
    assert verdict(lambda x: relu(x - 0.5), 0.7, 1.0, at=3.0) == ""


def test_what_is_not_finite_is_excused_by_nothing() -> None:
    assert verdict(lambda x: float("nan"), 1.0, 0.5) == ""


# ------------------------------------------------------------------------------------------------- by what lies between
class Summed:
    """relu of two entries, x and -x: their sum is |x|; weighed 1 and `other` it has a kink or none at 0."""

    def __init__(self, other: float, slopes: tuple[float, float]) -> None:
        self.x, self.out = np.zeros(1), np.zeros(2)
        self.upstream, self.slopes = np.array([1.0, other]), slopes
        self.line = Line(self.value, self.x, (0,))
        self.neighbours: list[float] = []
        self.visited: set[float] = set()

    def value(self) -> tuple[float, float]:
        self.visited.add(float(self.x[0]))
        self.out[:] = max(self.x[0], 0.0), max(-self.x[0], 0.0)
        return float(self.upstream @ self.out), 1.0

    def gradient_for(self, upstream: Any) -> Any:
        """What the kernel says at 0 of each output."""
        return np.array([upstream @ self.slopes])

    @contextmanager
    def moved(self, share: float) -> Iterator[Any]:
        self.neighbours.append(share)
        self.x[...] = share
        yield self.gradient_for(self.upstream)
        self.x[...] = 0.0

    def said(self) -> str:
        outputs = Outputs(lambda: self.out, self.upstream, self.gradient_for)
        claimed = float(self.gradient_for(self.upstream)[0])
        number = (1 - self.upstream[1]) / 2
        return classify_discrepancy(self.line, claimed, number, 1e-9, NOISE, outputs, self.moved)


@pytest.mark.parametrize(
    ("slopes", "said"),
    [((0.0, 0.0), "kink"), ((1.0, -1.0), "kink"), ((1.0, 0.0), "kink"), ((0.4, -0.2), "kink"), ((1.2, 0.0), ""),
     ((0.0, 0.2), ""), ((0.0, -1.2), "")],
)  # fmt: skip
def test_kinks_that_cancel_in_the_objective_are_found_in_the_outputs(slopes: tuple[float, float], said: str) -> None:
    """relu(x) - relu(-x) is x: its slope does not jump, and each output's does."""
    found = Summed(-1.0, slopes)
    assert found.said() == said
    assert found.neighbours == [1e-5] * 32 + [1.25e-6] * 32
    sides = {sign * multiple * 2.0**power for sign in (1, -1) for multiple in (1, 2, 3, 4) for power in (-22, -20, -16)}
    assert sides <= found.visited


# ------------------------------------------------------------------------------------------------------- exact slopes
def test_exact_slopes_are_asked_at_points_that_nearly_coincide() -> None:
    seen: list[Any] = []
    x = np.array([4.0, -0.5])
    found = exact_slopes(lambda at, along: seen.append((at.copy(), along)) or float(at[0]), x, (1,))
    assert found.shape == (11,)
    assert found[0] == 4.0
    assert all(along == (1,) for _, along in seen)
    far = [float(np.abs(at - x).max()) for at, _ in seen[1:]]
    for share, distance in zip([1e-14, 1e-12, 1e-10, 1e-8, 1e-6] * 2, far, strict=True):
        assert distance < 4 * 4 * share
    assert far[4] > 1e-7
    assert x.tolist() == [4.0, -0.5]


@pytest.mark.parametrize(
    ("claimed", "number", "shown"),
    [(0.5, 0.0, True), (0.0, 0.5, True), (1.0, 0.5, True), (1.1, 0.5, False), (-0.1, 0.5, False), (0.5, 2.4, True),
     (0.5, 2.6, False)],
)  # fmt: skip
def test_a_jump_is_shown_by_slopes_on_both_sides_of_the_claim(claimed: float, number: float, shown: bool) -> None:
    """From 0 to 1: as far apart as half of what the claim is from another witness's number."""
    assert shows_jump(np.array([0.0, 1.0, 0.2]), claimed, number) is shown


def test_at_its_ends_a_jump_has_room_for_rounding() -> None:
    assert shows_jump(np.array([0.0, 1.0]), 1.0 + 0.9e-6, 0.5)
    assert not shows_jump(np.array([0.0, 1.0]), 1.0 + 2e-6, 0.5)


@pytest.mark.parametrize(
    ("slopes", "claimed", "steep"),
    [([2.0, 2.1], 2.0, True), ([2.0, 2.0021], 2.0, True), ([2.0, 2.0019], 2.0, False), ([2.0, 2.1], 2.0 + 1e-7, True),
     ([2.0, 2.1], 2.0 + 3e-7, False), ([2.1, 2.0], 2.0, False), ([-2.0, -2.1], -2.0, True)],
)  # fmt: skip
def test_a_network_is_steep_whose_exact_slope_changes_within_steps(slopes: Any, claimed: float, steep: bool) -> None:
    assert shows_steepness(np.array(slopes), claimed) is steep
