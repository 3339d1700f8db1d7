"""What is kept of the witnesses of a gradient: which entries are looked at, and which finding weighs more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bpcli.studies.witness.evidence import (
    CheckedGradient,
    Effort,
    Evidence,
    along_direction,
    by_size,
    entries_at,
    random_direction,
    relative_gap,
    spread_out,
    unit_of,
)
from bpcli.studies.witness.extrapolate import Line

KERNEL = np.array([[1.0, 2.0], [3.0, -4.0]])


def gradient(**more: Any) -> CheckedGradient:
    usual: dict[str, Any] = {"scope": "layer", "tensor": "W", "point": "p", "at": KERNEL, "kernel": KERNEL,
                             "value": lambda: (0.0, 0.0)}  # fmt: skip
    return CheckedGradient(**(usual | more))


def test_small_tensors_are_looked_at_whole_and_of_large_ones_both_ends_and_a_sample() -> None:
    effort, rng = Effort(sample=5), np.random.default_rng(0)
    assert effort.indices((2, 3), 6, rng) == tuple(np.ndindex(2, 3))
    assert effort.indices((), 1, rng) == ((),)
    found = effort.indices((10, 20), 199, rng)
    assert (found[0], found[-1]) == ((0, 0), (9, 19))
    assert 5 <= len(found) <= 7
    assert found == tuple(sorted(set(found)))
    assert all(type(i) is int for index in found for i in index)
    assert 3 <= len(effort.indices((10, 20), 3, rng)) <= 5  # no more than what is allowed, besides the ends


@pytest.mark.parametrize(
    ("equations", "complex_value", "exact"),
    [(None, None, False), (KERNEL, None, True), (None, abs, True), (KERNEL, abs, True)],
)
def test_equations_and_complex_steps_judge_without_a_step_size(equations: Any, complex_value: Any, exact: bool) -> None:
    assert gradient(equations=equations, complex_value=complex_value).exact is exact


def test_the_most_serious_finding_is_kept_then_an_exact_one_then_the_worst() -> None:
    found = Evidence(gradient())
    found.keep_worst("differences", "ok", (0, 0), 1.1, 0.5)
    assert (found.verdict, found.witness, found.index, found.kernel, found.numeric, found.worst) == (
        "ok", "differences", (0, 0), 1.0, 1.1, 0.5,
    )  # fmt: skip
    found.keep_worst("complex step", "ok", (0, 1), 2.0, 0.1)
    assert (found.witness, found.index, found.kernel) == ("complex step", (0, 1), 2.0)
    found.keep_worst("differences", "ok", (1, 0), 3.0, 0.9)
    assert found.witness == "complex step"
    found.keep_worst("equations", "ok", (1, 1), -4.0, 0.05)
    assert found.witness == "complex step"
    found.keep_worst("equations", "ok", (1, 1), -4.0, 0.1)
    assert found.witness == "equations"
    found.keep_worst("differences", "kink", (1, 0), 7.0, 0.0)
    found.keep_worst("differences", "WRONG", (1, 1), -5.0, 0.2)
    found.keep_worst("complex step", "kink", (0, 0), 0.0, 9.0)
    assert (found.verdict, found.index, found.kernel, found.numeric) == ("WRONG", (1, 1), -4.0, -5.0)
    found.keep_worst("differences", "WRONG", (0, 0), -5.0, 0.1)
    assert found.worst == 0.2


def test_of_a_gradient_that_nobody_looked_at_nothing_is_known() -> None:
    found = Evidence(gradient())
    assert (found.verdict, found.witness, found.index, found.note) == ("ok", "", (), "")
    assert (found.entries, found.unresolved, found.evaluations, found.worst) == (0, 0, 0, 0.0)
    assert (found.gaps, found.bars, found.numbers, found.noise, found.shifts) == ({}, {}, None, None, None)


def test_gaps_and_bars_are_the_largest_of_each_witness() -> None:
    found = Evidence(gradient())
    for gap, bar in ((0.1, 1.0), (0.3, 0.5), (0.2, 2.0)):
        found.keep_gap("differences", gap, bar)
    found.keep_gap("equations", 0.0, 0.0)
    assert found.gaps == {"differences": 0.3, "equations": 0.0}
    assert found.bars == {"differences": 2.0, "equations": 0.0}


def test_a_direction_is_the_fault_of_no_single_entry() -> None:
    found = Evidence(gradient())
    found.keep_along("differences", "ok", (5.0, 5.5), 10.0, 2.0)
    assert (found.gaps, found.bars, found.note) == ({"differences": 0.05}, {"differences": 0.2}, "")
    found.keep_along("differences", "kink", (5.0, 9.0), 10.0, 2.0)
    assert found.gaps == {"differences": 0.05}
    assert (found.verdict, found.note) == ("kink", "along a random direction through the whole tensor")
    found.keep_along("differences", "WRONG", (5.0, 8.0), 10.0, 2.0)
    assert (found.verdict, found.index, found.kernel, found.numeric, found.worst) == ("WRONG", (0, 0), 5.0, 8.0, 0.3)
    assert found.gaps == {"differences": 0.3}
    named = Evidence(gradient())
    named.keep_worst("equations", "WRONG", (1, 0), 0.0, 1.0)
    named.keep_along("differences", "WRONG", (5.0, 8.0), 10.0, 2.0)
    assert (named.index, named.note) == ((1, 0), "")


def test_gaps_are_shares_of_the_larger_value_or_a_thousandth_of_what_cancelled() -> None:
    a, b = np.array([1.0, -2.0, 0.0]), np.array([-3.0, 1.0, 0.0])
    assert unit_of(a, b, 0.0).tolist() == [3.0, 2.0, 1e-300]
    assert unit_of(a, b, 2500.0).tolist() == [3.0, 2.5, 2.5]
    assert relative_gap(a, b, 0.0).tolist() == [4 / 3, 1.5, 0.0]


def test_entries_are_taken_and_put_where_they_belong() -> None:
    assert entries_at(KERNEL, [(1, 0), (0, 1)]).tolist() == [3.0, 2.0]
    assert entries_at(np.array(7.0), [()]).tolist() == [7.0]
    found = spread_out((2, 2), [(1, 0), (0, 1)], np.array([5.0, 6.0]))
    assert np.array_equal(found, [[math.nan, 6.0], [5.0, math.nan]], equal_nan=True)


def test_no_entry_of_a_direction_is_small_and_both_signs_are_there() -> None:
    u = random_direction((40, 50), np.random.default_rng(0))
    assert u.shape == (40, 50)
    assert (np.abs(u).min(), np.abs(u).max()) == (0.5, 1.5)
    assert 0.4 < np.mean(u > 0) < 0.6


def test_along_a_direction_gaps_are_shares_of_the_longest() -> None:
    u = np.array([[1.0, 1.0], [1.0, 1.0]])
    length = math.sqrt(30)
    assert along_direction(KERNEL, u, 1.0) == (2.0, pytest.approx(length))
    assert along_direction(KERNEL, u, -50.0) == (2.0, 50.0)
    assert along_direction(KERNEL, 10 * u, 1.0) == (20.0, 20.0)
    assert along_direction(0 * KERNEL, u, 0.0) == (0.0, 1e-300)


def test_bad_entries_come_by_size_and_equal_ones_in_their_order() -> None:
    bad = np.array([True, False, True, True])
    assert by_size(bad, np.array([1.0, 9.0, 3.0, 2.0])) == [2, 3, 0]
    sizes = np.tile([1.0, 3.0, 2.0], 200)
    assert by_size(np.ones(600, bool), sizes) == [*range(1, 600, 3), *range(2, 600, 3), *range(0, 600, 3)]


def kinked(z: Any) -> Any:
    return np.sum(np.where(np.real(z) > 0, z, 0))


def test_exact_slopes_of_a_network_may_show_a_kink_that_differences_do_not() -> None:
    """A value that is smooth, where the equations jump from a slope of 0 to one of 1."""
    at = np.zeros(1)
    line = Line(lambda: (0.5 * float(at[0]), 1.0), at, (0,))
    more: dict[str, Any] = {"at": at, "kernel": np.array([1.0]), "complex_value": kinked}
    found = Evidence(gradient(scope="network", **more))
    assert found.excused(line, 1.0, 0.5, 1e-9, 1e-13) == "kink"
    assert found.evaluations > 11
    assert found.excused(line, 1.5, 0.5, 1e-9, 1e-13) == ""
    assert Evidence(gradient(scope="layer", **more)).excused(line, 1.0, 0.5, 1e-9, 1e-13) == ""
    more["complex_value"] = None
    assert Evidence(gradient(scope="network", **more)).excused(line, 1.0, 0.5, 1e-9, 1e-13) == ""


def test_a_network_may_be_too_steep_for_differences() -> None:
    at = np.zeros((1, 2))
    more: dict[str, Any] = {"at": at, "kernel": at, "complex_value": lambda z: np.sum(np.sin(1e9 * z))}
    for along, slope in (((0, 1), 1e9), (np.array([[1.0, -0.5]]), 0.5e9)):
        line = Line(lambda: (0.0, 1.0), at, along)
        found = Evidence(gradient(scope="network", **more))
        assert found.is_too_steep(line, slope)
        assert found.evaluations == 11
        assert not found.is_too_steep(line, 1.001 * slope)
        assert not Evidence(gradient(scope="layer", **more)).is_too_steep(line, slope)
    flat = {**more, "complex_value": lambda z: np.sum(3 * z)}
    assert not Evidence(gradient(scope="network", **flat)).is_too_steep(Line(lambda: (0.0, 1.0), at, (0, 1)), 3.0)
