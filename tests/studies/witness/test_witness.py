"""Complex steps and differences of known functions, and how two witnesses are compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bpcli.numeric.vectors import EPS
from bpcli.studies.witness.witness import central_differences, compare, complex_steps, differences, max_abs


def same_as(value: Any, rel: float = 1e-6) -> Any:
    """The same but for rounding, however small it is."""
    return pytest.approx(value, rel=rel, abs=0)


def test_complex_steps_are_exact_whatever_the_size_of_an_entry() -> None:
    x = np.array([1e-100, 0.5, 3.0, 1e100, 0.0])
    found = complex_steps(lambda z: np.sum(z**2), x, [(i,) for i in range(5)])
    assert found == pytest.approx(2 * x, rel=1e-15, abs=0)
    steps: list[float] = []
    entries = np.array([1e-269, 1e-271, 0.25, 1.0, 8.0])
    complex_steps(lambda z: steps.append(float(np.abs(z.imag).max())) or 1j, entries, [(i,) for i in range(5)])
    assert steps == pytest.approx([1e-299, 1e-30, 2.5e-31, 1e-30, 1e-30], rel=1e-12, abs=0)
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert complex_steps(lambda z: z[1, 0] * z[0, 1], matrix, [(1, 0), (0, 0)]).tolist() == [2.0, 0.0]


def test_differences_of_each_entry_and_what_of_them_is_rounding() -> None:
    x = np.array([3.0, -0.5])

    def function() -> tuple[float, float]:
        return float(x[0] ** 2 + math.sin(x[1])), 7.0

    found = central_differences(function, x)
    assert x.tolist() == [3.0, -0.5]
    assert found.value == same_as([6.0, math.cos(0.5)], rel=1e-9)
    step = EPS ** (1 / 3)
    assert found.noise == same_as([20 * EPS * 7 / (3 * step), 20 * EPS * 7 / step])
    assert found.right - found.value == same_as([3 * step, math.sin(0.5) * step / 2], rel=1e-2)
    assert found.left - found.value == same_as([-3 * step, -math.sin(0.5) * step / 2], rel=1e-2)
    shrunk = differences(function, x, [(1,)], shrink=0.5)
    assert shrunk.noise == same_as([20 * EPS * 7 / (0.5 * step)])


def test_the_noise_is_that_of_the_largest_sum() -> None:
    for masses in ((9.0, 1.0, 2.0), (1.0, 9.0, 2.0), (1.0, 2.0, 9.0)):
        left = list(masses)
        found = central_differences(lambda left=left: (0.0, left.pop(0)), np.zeros(1))
        assert found.noise == same_as([20 * EPS * 9 / EPS ** (1 / 3)])


def test_left_and_right_differ_at_a_kink() -> None:
    x = np.zeros(1)
    found = central_differences(lambda: (float(max(x[0], 0)), 1.0), x)
    assert (found.left.tolist(), found.right.tolist(), found.value.tolist()) == ([0.0], [1.0], [0.5])


# ------------------------------------------------------------------------------------------------------------- compare
def gap(a: Any, b: Any, allowed: Any, excused: Any = None) -> Any:
    excused = None if excused is None else np.array(excused)
    with np.errstate(invalid="ignore"):
        return compare("dW", ("kernel", np.array(a)), ("equations", np.array(b)), allowed, excused)


def test_the_worst_entry_is_that_which_passes_most_what_is_allowed_there() -> None:
    found = gap([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.1], [3.0, 4.5]], [[1.0, 0.01], [1.0, 0.1]])
    assert (found.tensor, found.left, found.right) == ("dW", "kernel", "equations")
    assert (found.index, found.values, found.verdict) == ((0, 1), (2.0, 2.1), "WRONG")
    assert (found.worst, found.allowed) == (same_as(0.1), 0.01)


@pytest.mark.parametrize(("b", "verdict"), [(1.25, "ok"), (1.26, "WRONG"), (0.75, "ok"), (0.74, "WRONG")])
def test_what_is_allowed_is_allowed(b: float, verdict: str) -> None:
    assert gap([1.0], [b], 0.25).verdict == verdict


def test_at_a_kink_a_difference_is_no_error() -> None:
    assert gap([1.0, 2.0], [5.0, 2.0], 0.1, [True, False]).verdict == "kink"
    found = gap([1.0, 2.0], [5.0, 2.2], 0.1, [True, False])
    assert (found.verdict, found.index) == ("WRONG", (1,))
    assert gap([1.0, 2.0], [1.0, 2.0], 0.1, [True, False]).verdict == "ok"
    found = gap([1.0, 2.0], [5.0, 2.05], 0.1, [True, False])
    assert (found.verdict, found.index) == ("kink", (1,))


def test_equal_infinities_and_nans_are_equal_and_others_infinitely_far() -> None:
    assert gap([math.inf, math.nan, -math.inf], [math.inf, math.nan, -math.inf], 0.0).verdict == "ok"
    for a, b in ((math.inf, -math.inf), (math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0)):
        found = gap([0.0, a], [0.0, b], 1e300)
        assert (found.verdict, found.index, found.worst) == ("WRONG", (1,), math.inf)


def test_nothing_is_equal_to_nothing_and_one_number_has_no_index() -> None:
    found = gap(np.zeros((0, 2)), np.zeros((0, 2)), 0.0)
    assert (found.verdict, found.index, found.values, found.worst, found.allowed) == ("ok", (), (0.0, 0.0), 0.0, 0.0)
    found = gap(2.0, 2.5, 1.0)
    assert (found.verdict, found.index, found.values, found.worst, found.allowed) == ("ok", (), (2.0, 2.5), 0.5, 1.0)


def test_the_largest_finite_size() -> None:
    assert max_abs([1.0, -3.0, 2.0]) == 3.0
    assert max_abs([-1.0, 4.0]) == 4.0
    assert max_abs([]) == 0.0
    assert max_abs([math.inf, -2.0, math.nan, -math.inf]) == 2.0
    assert max_abs([math.nan]) == 0.0
    assert max_abs(-5) == 5.0
