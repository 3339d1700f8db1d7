"""Differences along a line: which step is taken, how far rounding may take it, and how well the limits are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.extrapolate import Line, confirmed, deviation_from_polynomial, extrapolate, one_sided_limit


def same_as(value: Any, rel: float = 1e-6) -> Any:
    """The same but for rounding, however small it is."""
    return pytest.approx(value, rel=rel, abs=0)


def line(function: Callable[[Any], float], x: Any, along: Any = (0,), mass: float = 1.0) -> Line:
    at = np.array(x, np.float64)
    return Line(lambda: (float(function(at)), mass), at, along)


@pytest.mark.parametrize(
    ("x", "along", "unit"),
    [([0.1], (0,), 1.0), ([1.0], (0,), 1.0), ([1.1], (0,), 2.0), ([-3.0], (0,), 4.0), ([5.0, 0.5], (1,), 1.0),
     ([1.0] * 16, np.ones(16), 0.25), ([8.0] + [0.0] * 15, np.ones(16), 2.0), ([0.1] * 4, np.ones(4), 0.5)],
)  # fmt: skip
def test_a_unit_is_a_power_of_two_near_the_size_of_what_moves(x: Any, along: Any, unit: float) -> None:
    assert line(lambda _: 0.0, x, along).unit == unit


def test_a_step_is_taken_after_rounding_and_put_back() -> None:
    seen: list[Any] = []
    found = line(lambda x: seen.append(x.copy()) or x[1] ** 2, [1.0, 1e8], (1,), mass=7.0)
    step, value, mass = found.at(0.3 * EPS * 1e8)
    assert (step, value, mass) == (0.0, 1e16, 7.0)
    step, value, mass = found.at(1.0)
    assert (step, value) == (1.0, (1e8 + 1) ** 2)
    assert [s.tolist() for s in seen] == [[1.0, 1e8], [1.0, 1e8 + 1]]
    assert found.x.tolist() == [1.0, 1e8]
    assert found.evaluations == 2


def test_a_step_along_a_direction_moves_every_entry() -> None:
    found = line(lambda x: x[0] + 10 * x[1], [1.0, 2.0], np.array([1.0, -0.5]))
    step, value, _ = found.at(0.25)
    assert (step, value) == (0.25, 1.25 + 10 * 1.875)
    assert found.x.tolist() == [1.0, 2.0]


def test_a_central_difference_of_a_parabola_is_its_slope() -> None:
    found = line(lambda x: x[0] ** 2, [3.0], mass=5.0)
    slope, rounding = found.central(2.0**-4)
    assert slope == 6.0
    assert rounding == same_as(20 * EPS * 5.0 / (4 * 2.0**-4))
    assert found.central(2.0**-4, noise=0.5)[1] == same_as((20 * EPS * 5.0 + 0.5) / 0.25)
    masses = iter((2.0, 8.0))
    at = np.array([3.0])
    assert Line(lambda: (0.0, next(masses)), at, (0,)).central(1.0)[1] == same_as(20 * EPS * 8.0 / 4)


def test_a_small_step_excludes_what_is_off_by_more_than_rounding_and_its_bend() -> None:
    found = line(lambda x: math.sin(x[0]), [0.5])
    assert not found.excludes(math.cos(0.5), 0.0)
    assert found.excludes(math.cos(0.5) + 1e-7, 0.0)
    assert not found.excludes(math.cos(0.5) + 1e-7, 1e-11)  # by noise of 1.6e-7 at the step 2^-14
    assert found.excludes(math.cos(0.5) + 3e-7, 1e-11)
    assert found.evaluations == 16


def test_values_off_a_line() -> None:
    points = np.arange(5.0)
    assert deviation_from_polynomial(points, 2 * points + 1) < 1e-14
    assert deviation_from_polynomial(points, points**2, 2) < 1e-13
    assert deviation_from_polynomial(points, points**2) == same_as(
        2 * 2.0
    )  # the ends and the middle of a parabola stand off by 2
    assert deviation_from_polynomial(points, np.array([0, 1, math.nan, 3, 4])) == 0.0
    assert deviation_from_polynomial(points, np.array([0, 1, math.inf, 3, 4])) == 0.0


def test_rounding_of_a_value_is_read_off_points_that_nearly_coincide() -> None:
    """A function rounded to multiples of 1e-6, and one that is as exact as its numbers."""
    assert 2e-7 < line(lambda x: round(math.sin(3 * x[0]), 6), [0.4]).scatter() < 3e-6
    assert line(lambda x: math.sin(3 * x[0]), [0.4]).scatter() < 1e-12
    rough = line(lambda x: float(np.float32(math.sin(3 * x[0]))), [0.4])
    assert 1e-8 < rough.scatter() < 5e-7
    assert rough.evaluations == 16
    assert line(lambda x: abs(x[0]), [0.0]).scatter() < 1e-15, "a kink is not taken for rounding"


# ------------------------------------------------------------------------------------------------------ extrapolation
def known(*lines: Line, enough: float = 0.0, near: Any = None, room: float = 1.0, **more: Any) -> Any:
    n = len(lines)
    near = np.full(n, np.nan) if near is None else np.array(near)
    return extrapolate(lines, np.full(n, enough), near, np.full(n, room), **more)


def test_derivatives_are_known_to_ten_digits_and_their_errors_hold() -> None:
    lines = [
        line(lambda x: math.sin(x[0]), [0.5]),
        line(lambda x: math.exp(x[0]), [1.0]),
        line(lambda x: x[0] ** 3, [3.0], mass=27),
    ]
    truth = [math.cos(0.5), math.e, 27.0]
    found = known(*lines, near=truth)
    assert found.number == same_as(truth, rel=1e-10)
    assert (np.abs(found.number - truth) <= found.error).all()
    assert (found.error < 1e-9).all()


def test_it_ends_where_enough_is_known() -> None:
    """And agrees with what a small step gave, as far as `room` allows."""
    counts = []
    for enough in (1e-2, 0.0):
        one = line(lambda x: math.exp(x[0]), [1.0])
        known(one, enough=enough, near=[math.e])
        counts.append(one.evaluations)
    assert counts == sorted(set(counts))
    assert counts[0] <= 8
    assert counts[1] <= 16, "beyond that rounding leaves nothing to gain"
    one = line(lambda x: math.exp(x[0]), [1.0])
    known(one, enough=1e-2, near=[5.0], room=0.1)
    assert one.evaluations > counts[0]


def test_a_straight_line_without_rounding_is_known_at_once() -> None:
    one = line(lambda x: 2 * x[0], [1.0], mass=0.0)
    found = known(one, near=[2.0], room=0.0)
    assert (found.number.tolist(), found.error.tolist()) == ([2.0], [0.0])
    assert one.evaluations == 6


def test_a_kink_within_far_steps_is_crossed_by_none_in_the_end() -> None:
    """|x| seen from 2^-9 beside 0: the finer steps win."""
    found = known(line(lambda x: abs(x[0]) + x[0] ** 2, [2.0**-9]), near=[1 + 2.0**-8], room=1e-6)
    assert found.number[0] == pytest.approx(1 + 2.0**-8, abs=1e-7)
    assert found.error[0] < 1e-6


def test_what_cannot_be_computed_has_no_number() -> None:
    found = known(line(lambda x: math.nan, [1.0]), line(lambda x: math.sin(x[0]), [0.5]))
    assert math.isnan(found.number[0])
    assert found.error[0] == math.inf
    assert found.number[1] == same_as(math.cos(0.5), rel=1e-10)


def test_what_overflows_is_no_accident() -> None:
    found = known(line(lambda x: math.copysign(1.7e308, x[0]), [0.0]))
    assert found.error[0] == math.inf


def test_noise_of_values_is_in_the_error() -> None:
    exact = known(line(lambda x: math.sin(x[0]), [0.5]), near=[math.cos(0.5)])
    noisy = known(line(lambda x: math.sin(x[0]), [0.5]), near=[math.cos(0.5)], noise=1e-9)
    assert exact.error[0] < 1e-11 < noisy.error[0] < 1e-6


def test_the_largest_step_is_a_sixteenth_of_a_unit() -> None:
    seen: list[float] = []
    known(line(lambda x: seen.append(float(x[0])) or 0.0, [0.0]))
    assert max(seen) == 2.0**-4
    seen.clear()
    known(line(lambda x: seen.append(float(x[0])) or 0.0, [0.0]), largest=9)
    assert max(seen) == 2.0**-9


def test_an_estimate_that_small_steps_contradict_is_replaced() -> None:
    def bent(x: Any) -> float:
        return abs(float(x[0]) - 2.0**-12)

    for estimate in (0.7, -0.5):
        assert confirmed(line(bent, [0.0]), estimate, 1e-9)[0] == same_as(-1.0)
    assert confirmed(line(lambda x: math.sin(x[0]), [0.5]), math.cos(0.5), 1e-10) == (math.cos(0.5), 1e-10)
    assert confirmed(line(lambda x: math.sin(x[0]), [0.5]), math.cos(0.5) + 1e-3, 1e-2)[1] == 1e-2  # within its error


# ------------------------------------------------------------------------------------------------------------- one side
@pytest.mark.parametrize("step", [2.0**-6, -(2.0**-6)])
def test_the_limits_from_one_side_of_a_jump_and_a_kink(step: float) -> None:
    """Cubic on either side, so that four points give the limits exactly, but for rounding."""
    sign = math.copysign(1, step)

    def function(x: Any) -> float:
        h = float(x[0]) - 3.0
        return math.nan if h == 0 else 5 * (h > 0) + (2 if h > 0 else -1) * h + h**2 + h**3

    found = one_sided_limit(line(function, [3.0], mass=2.0), step, 0.0)
    assert found.value[0] == pytest.approx(5.0 if sign > 0 else 0.0, abs=1e-12)
    assert found.slope[0] == same_as(2.0 if sign > 0 else -1.0, rel=1e-9)
    h = 4 * 2.0**-6
    assert found.value_error[0] == same_as(6 * h**3, rel=1e-3)  # what the fourth point changes
    assert found.slope_error[0] == same_as(11 * h**2, rel=1e-3)


def test_errors_of_one_side_hold_rounding_and_noise() -> None:
    """The four points weigh 4, -6, 4, -1 in the value, and so 15 together; -26/6, 57/6, -42/6, 11/6 in the slope."""
    found = one_sided_limit(line(lambda x: 0.0, [0.0], mass=3.0), 0.5, 0.0)
    assert found.value_error[0] == same_as(15 * 20 * EPS * 3)
    assert found.slope_error[0] == same_as(136 / 6 * 20 * EPS * 3 / 0.5)
    found = one_sided_limit(line(lambda x: 0.0, [0.0], mass=0.0), 0.5, 1e-3)
    assert found.value_error[0] == same_as(15e-3)


def test_other_arrays_can_be_read_from_one_side() -> None:
    at, out = np.array([1.0]), np.zeros(2)

    def function() -> tuple[float, float]:
        out[:] = at[0], 50 * at[0] ** 2
        return 0.0, 1e9

    found = one_sided_limit(Line(function, at, (0,)), 2.0**-4, 0.0, out.copy)
    assert found.value == same_as([1.0, 50.0])
    assert found.slope == same_as([1.0, 100.0])
    assert found.value_error[0] == same_as(15 * 20 * EPS * 50 * 1.25**2, rel=0.1)
