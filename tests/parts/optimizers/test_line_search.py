"""Where a line search looks next: at the minimum of a cubic, but neither at an end nor out of sight."""

import math
from typing import Any

import numpy as np
import pytest

from bpcli.family import Frame
from bpcli.parts.optimizers.lbfgs import Lbfgs, LinePoint, _next_length


def parabola(at: float, least: float) -> LinePoint:
    """A point of (x - least)^2."""
    return LinePoint(at, (at - least) ** 2, 2 * (at - least))


@pytest.mark.parametrize(
    ("low", "high", "least", "next_"),
    [
        (1.0, 4.0, 3.0, 3.0),
        (4.0, 1.0, 3.0, 3.0),
        (1.0, 4.0, 1.01, 1.3),  # a tenth of the way from either end
        (4.0, 1.0, 1.01, 1.3),
        (1.0, 4.0, 3.99, 3.7),
        (4.0, 1.0, 3.99, 3.7),
    ],
)
def test_between_two_points(low: float, high: float, least: float, next_: float) -> None:
    found = _next_length(parabola(low, least), parabola(high, least), parabola(0.0, least))
    assert found == pytest.approx(next_, rel=1e-12)


@pytest.mark.parametrize(("low", "high"), [(1.0, 4.0), (4.0, 1.0)])
def test_in_the_middle_where_there_is_no_cubic(low: float, high: float) -> None:
    beyond = LinePoint(high, math.inf, math.nan)
    assert _next_length(parabola(low, 2.0), beyond, parabola(0.0, 2.0)) == pytest.approx(2.5, rel=1e-12)


@pytest.mark.parametrize(("least", "next_"), [(3.0, 3.0), (1.2, 2.0), (50.0, 10.0)])
def test_beyond_a_point_at_least_twice_and_at_most_ten_times_as_far(least: float, next_: float) -> None:
    assert _next_length(parabola(1.0, least), None, parabola(0.0, least)) == pytest.approx(next_, rel=1e-12)


def test_ten_times_as_far_where_the_slope_stays_as_it_is() -> None:
    start, low = LinePoint(0.0, 5.0, -1.0), LinePoint(2.0, 3.0, -1.0)
    assert _next_length(low, None, start) == 20.0


def test_a_gradient_whose_square_is_0_ends_the_search() -> None:
    """It is not 0 itself, and tolerance 0 asks for more: but there is no slope to go down."""
    optimizer, w, objective = Lbfgs(tolerance=0.0), np.array([1.0, 2.0]), Any
    slots = {name: np.zeros(slot.shape) for name, slot in {**optimizer.state(2), **optimizer.work(2)}.items()}
    f = Frame(w=w, g=np.array([1e-200, -1e-200]), value=3.0, rate=0.0, **slots)
    assert optimizer.search(f, objective, 1) == "no step against the gradient lowers the loss any more"  # type: ignore[arg-type]
    assert w.tolist() == [1.0, 2.0]
