"""Equations with one mistake in them: which are tried, and what each would give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bpcli.notation import compile_equations
from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import Eq, parse
from bpcli.notation.text import Ascii
from bpcli.studies.mistakes.single_mistakes import (
    Mistake,
    first_bound_index,
    larger_mistakes,
    reading_other,
    single_mistakes,
)

A, B, C = np.array([1.0, -2.0, 3.0]), np.array([4.0, 0.5, -1.0]), np.array([2.0, 2.0, -3.0])
M = np.arange(1.0, 10.0).reshape(3, 3)
KNOWN: dict[str, Any] = {"a": A, "b": B, "c": C, "m": M, "w": np.arange(6.0).reshape(2, 3)}


def grid(left: str, right: str, known: Mapping[str, Any] = KNOWN, shape: tuple[int, ...] = (3,)) -> Grid:
    program = compile_equations([Eq(left, right, "")], known, {left.partition("[")[0]: shape} if "[" in left else {})
    (found,) = program.grids
    return found


def drawn(mistake: Mistake) -> str:
    return Ascii(frozenset(KNOWN)).draw(mistake.right).text


def shown(right: str) -> str:
    """An expression as it is drawn."""
    return Ascii(frozenset(KNOWN)).draw(parse(Eq("y[i,j]", right, "")).right).text


def tried(right: str, left: str = "y[i]", shape: tuple[int, ...] = (3,), most: int = 99) -> set[tuple[str, str]]:
    """The mistakes in an equation, each with the right side that it leaves."""
    found = single_mistakes(grid(left, right, shape=shape), {**KNOWN, "y": np.zeros(shape)}, most)
    return {(m.kind if m.term is None else f"{m.kind} {m.term}", drawn(m)) for m in found}


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("a[i] * b[i]", {("factor", "b[i]"), ("factor", "a[i]")}),
        ("a[i] / b[i]", {("divisor", "a[i]"), ("inverted", "a[i] * b[i]"), ("factor", "1 / b[i]")}),
        ("1 / b[i]", {("divisor", "1"), ("inverted", "1 * b[i]")}),
        ("a[i] + b[i]", {("term", "a[i]"), ("term", "b[i]"), ("sign minus", "a[i] - b[i]"),
                         ("twice", "a[i] + b[i] + a[i]"), ("twice", "a[i] + b[i] + b[i]")}),
        ("a[i] - b[i]", {("term", "a[i]"), ("term", "-b[i]"), ("sign plus", "a[i] + b[i]")}),
        ("a[i] + 1", {("term number", "a[i]"), ("term", "1"), ("sign minus", "a[i] - 1"),
                      ("twice", "a[i] + 1 + a[i]")}),
        ("a[i] ** 2", {("power", "a[i]")}),
        ("-a[i]", {("sign lost", "a[i]")}),
        ("exp(a[i])", {("function", "a[i]")}),
        ("where(a[i] > 0, a[i], b[i])", {("edge", "where(a[i] >= 0, a[i], b[i])")}),
        ("where(a[i] <= 0, a[i], b[i])", {("edge", "where(a[i] < 0, a[i], b[i])")}),
        ("where(a[i] == 0, a[i], b[i])", set()),
        ("m[i,j]", {("transposed read", "m[j,i]")}),
    ],
)  # fmt: skip
def test_one_mistake_in_one_place(right: str, expected: set[tuple[str, str]]) -> None:
    matrix = "[i,j]" in right
    found = tried(right, "y[i,j]" if matrix else "y[i]", (3, 3) if matrix else (3,))
    assert found == {(kind, shown(text)) for kind, text in expected}


def test_an_array_that_is_not_square_is_not_read_transposed() -> None:
    assert tried("w[i,j]", "y[i,j]", (2, 3)) == set()
    assert tried("m[i,i]") == set()


def test_a_mistake_may_be_deep_inside() -> None:
    found = {kind for kind, _ in tried("exp(-(a[i] + b[i] * c[i]))")}
    assert found == {"function", "sign lost", "term", "sign minus", "twice", "factor"}
    assert ("factor", shown("exp(-(a[i] + c[i]))")) in tried("exp(-(a[i] + b[i] * c[i]))")
    assert ("factor", shown("a[i] * c[i]")) in tried("a[i] * b[i] * c[i]")


def test_of_a_short_sum_every_term_is_tried() -> None:
    found = tried("sum(j, m[i,j] * a[j])")
    kinds = {kind for kind, _ in found}
    assert kinds == {
        "averaged",
        "factor",
        "transposed read",
        *(f"{k} {t}" for k in ("dropped-term", "factor") for t in range(3)),
    }
    values = {}
    for m in single_mistakes(grid("y[i]", "sum(j, m[i,j] * a[j])"), {**KNOWN, "y": np.zeros(3)}, 99):
        values[m.kind, m.term, drawn(m)] = np.asarray(m.put_in(grid("y[i]", "sum(j, m[i,j] * a[j])")).value(KNOWN))
    dropped = [v for (kind, term, _), v in values.items() if (kind, term) == ("dropped-term", 1)]
    assert np.array_equal(dropped[0], M[:, [0, 2]] @ A[[0, 2]])
    left_out = [v for (kind, term, _), v in values.items() if (kind, term) == ("factor", 2)]
    ones, units = A.copy(), M.copy()
    ones[2], units[:, 2] = 1, 1
    assert {tuple(v) for v in left_out} == {tuple(M @ ones), tuple(units @ A)}
    averaged = next(v for (kind, _, _), v in values.items() if kind == "averaged")
    assert averaged == pytest.approx(M @ A / 3)


@pytest.mark.parametrize(("count", "each"), [(16, True), (17, False), (1, False), (2, True)])
def test_of_a_long_sum_no_single_term_is_left_out(count: int, each: bool) -> None:
    known = {"v": np.ones(count)}
    found = list(single_mistakes(grid("y", "sum(j, v[j])", known), {**known, "y": 0.0}, 99))
    assert sum(m.kind == "dropped-term" for m in found) == (count if each else 0)
    assert sum(m.kind == "averaged" for m in found) == 1


@pytest.mark.parametrize(("most", "each"), [(3, True), (2, False)])
def test_of_large_arrays_no_sum_is_tried_term_by_term(most: int, each: bool) -> None:
    """The terms count as many as entries are allowed: of two, two are tried."""
    found = tried("sum(j, m[i,j] * a[j])", most=most)
    assert ("dropped-term 2" in {kind for kind, _ in found}) is each


def test_means_counts_and_slopes_of_several_outputs() -> None:
    assert ("divisor summed", shown("sum(j, m[i,j])")) in tried("mean(j, m[i,j])")
    assert "unbiased" in {kind for kind, _ in tried("a[i] / count(i<3)")}
    known = {"s": np.ones((3, 3, 3)), "v": np.ones((3, 3))}
    one = grid("y[n,i]", "sum(j, s[n,j,i] * v[n,j])", known, (3, 3))
    found = [m for m in single_mistakes(one, {**known, "y": np.zeros((3, 3))}, 99) if m.kind == "diagonal"]
    assert np.asarray(found[0].put_in(one).value(known)).tolist() == np.ones((3, 3)).tolist()


def larger(right: str, left: str = "y[i]", shape: tuple[int, ...] = (3,)) -> set[tuple[str, str]]:
    return {(m.kind, drawn(m)) for m in larger_mistakes(grid(left, right, shape=shape))}


def test_branches_are_exchanged_or_not_asked_for() -> None:
    assert larger("where(a[i] > 0, b[i], c[i])") == {
        ("branches exchanged", shown("where(a[i] > 0, c[i], b[i])")),
        ("branches not asked", "b[i]"),
        ("branches never true", "c[i]"),
    }


def test_bounds_are_forgotten_one_by_one() -> None:
    found = larger("min(max(a[i], -1), 1)")
    assert {text for kind, text in found if kind == "bound"} == {
        "max(a[i], -1)",
        "1",
        "a[i]",
        "-1",
        "min(a[i], 1)",
        "min(-1, 1)",
    }


def test_several_terms_are_left_out_at_once() -> None:
    found = larger("a[i] + b[i] - c[i] + 1")
    assert {text for kind, text in found if kind == "term only"} >= {"a[i]", "b[i]", "-c[i]", "1", "a[i] + b[i]"}
    assert len(found) == 4 + 6
    assert larger("a[i] + b[i]") == set()


def test_only_the_place_itself_is_counted_or_another_axis_is_summed() -> None:
    assert larger("sum(j, m[i,j])") == {("diagonal term", "m[i,i]")}
    found = {(m.kind, m.letters) for m in larger_mistakes(grid("y[i,k]", "sum(j, m[i,j] * m[j,k])", shape=(3, 3)))}
    assert found == {("diagonal term", ("j", "i")), ("diagonal term", ("j", "k")), ("axis", ("i",)), ("axis", ("k",))}
    one = grid("y[i,k]", "mean(j, w[i,j])", shape=(2, 3))
    (turned,) = [m for m in larger_mistakes(one) if m.kind == "axis"]
    assert turned.letters == ("i",)
    assert turned.size is not None
    assert turned.size["j"] == 2


def test_the_first_index_of_a_sum_and_another_array_read() -> None:
    right = grid("y[i]", "a[i] + sum(j, m[i,j] * a[j])").equation.right
    assert first_bound_index(right) == "j"
    assert first_bound_index(grid("y[i]", "a[i]").equation.right) == ""
    assert Ascii(frozenset(KNOWN)).draw(reading_other(right, "a", "b")).text == shown("b[i] + sum(j, m[i,j] * b[j])")
