"""Where equations read: padding and the gaps of a stride are no reads, a closed relu is one; windows; local factors."""

from typing import Any

import numpy as np
import pytest

from bpcli.notation import Eq, Program, compile_equations, local_derivative
from bpcli.notation.entries_read import entries_read, window_spans, zero_by_index
from bpcli.notation.local_derivative import LocalDerivative
from bpcli.notation.syntax import Reduce
from bpcli.notation.text import Ascii
from bpcli.notation.worked import work_out_entry

X = np.arange(1.0, 6.0)  # five pixels, seen three at a time, every second place, a zero on either side
SETTINGS = {"s": 2, "a": 1}
ENV: dict[str, Any] = {"x": X, "W": np.array([10.0, 20.0, 30.0]), "dy": np.array([1.0, 2.0, 3.0]), **SETTINGS}
FORWARD = Eq("y[p]", "sum(u, W[u] * pad(x[s*p + u - a]))")
BACK = Eq("dx[h]", "sum(u<3, where((h + a - u) % s == 0, pad(dy[(h + a - u) // s]) * W[u], 0))")
RELU = Eq("dx[h]", "where(x[h] > 3, dy[h], 0)")


def program(eq: Eq, **shapes: tuple[int, ...]) -> Program:
    return compile_equations([eq], SETTINGS, {"x": (5,), "W": (3,), "y": (3,), "dy": (3,), "dx": (5,), **shapes})


def notes(eq: Eq, at: tuple[int, ...], **more: Any) -> tuple[str, ...]:
    env = {**ENV, **more}
    (grid,) = program(eq, **{k: np.shape(v) for k, v in more.items()}).grids
    return work_out_entry(grid, env, at, ascii=True).notes


def test_what_padding_stands_for_is_not_read() -> None:
    (grid,) = program(FORWARD).grids
    assert entries_read(grid, ENV, {"p": 0})["x"] == {(0,), (1,)}
    assert entries_read(grid, ENV, {"p": 1})["x"] == {(1,), (2,), (3,)}


def test_a_place_between_strides_is_seen_by_no_output() -> None:
    (grid,) = program(BACK).grids
    assert [sorted(entries_read(grid, ENV, {"h": h})["dy"]) for h in range(5)] == [
        [(0,)], [(0,), (1,)], [(1,)], [(1,), (2,)], [(2,)],
    ]  # fmt: skip


def test_a_closed_relu_is_on_the_way_all_the_same() -> None:
    (grid,) = program(RELU, dy=(5,)).grids
    env = {**ENV, "dy": np.ones(5)}
    assert entries_read(grid, env, {"h": 0})["dy"] == {(0,)}


def test_terms_with_nothing_to_read_are_told_from_those_that_happen_to_be_0() -> None:
    (grid,) = program(FORWARD).grids
    assert isinstance(grid.equation.right, Reduce)
    assert zero_by_index(grid, ENV, grid.equation.right.body, {"p": 0}, ["u"]).tolist() == [True, False, False]
    assert notes(FORWARD, (0,)) == ("1 of 3 terms is 0, in the padding", "sees x[-1 to 1]")
    assert notes(FORWARD, (0,), x=X * [0, 1, 1, 1, 1]) == ("2 of 3 terms are 0, 1 of them in the padding",
                                                          "sees x[-1 to 1]")  # fmt: skip
    assert notes(FORWARD, (1,), x=X * [1, 1, 0, 1, 1]) == ("1 of 3 terms is 0", "sees x[1 to 3]")
    assert notes(BACK, (0,)) == ("2 of 3 terms are 0, all of them off the grid",)


def test_windows_are_what_moves() -> None:
    (grid,) = program(FORWARD).grids
    assert isinstance(grid.equation.right, Reduce)
    assert window_spans(grid, ENV, grid.equation.right, {"p": 2}) == [("x", [(3, 5)])]
    (back,) = program(BACK).grids
    assert isinstance(back.equation.right, Reduce)
    assert window_spans(back, ENV, back.equation.right, {"h": 0}) == []


def test_the_winner_is_named() -> None:
    assert notes(Eq("y[p]", "max(u<2, x[s*p + u])"), (1,), y=np.zeros(2)) == ("largest at u = 1: x[3]",)
    padded = Eq("y[p]", "max(u<3, pad(x[s*p + u - a], -inf))")
    assert notes(padded, (0,)) == ("largest at u = 2: x[1]",)
    assert notes(Eq("y", "max(h, x[h])"), (), y=np.zeros(())) == ("largest at h = 4",)


def test_the_row_that_is_looked_up_is_named() -> None:
    look = Eq("y[t]", "W[x[t]]")
    assert notes(look, (2,), x=np.array([1.0, 0.0, 2.0]), y=np.zeros(3)) == ("which is W[2]",)


@pytest.mark.parametrize(
    ("eq", "at", "to", "factor"),
    [
        (BACK, (1,), (0,), "W[2]"),
        (BACK, (1,), (1,), "W[0]"),
        (BACK, (1,), (2,), ""),  # no window of that output has it
        (Eq("dW[u]", "sum(p, dy[p] * pad(x[s*p + u - a]))"), (2,), (1,), "x[3]"),
        (Eq("dx[h]", "sum(u<2, where((h - u) % s == 0, pad(dy[(h - u) // s]), 0)) / (s*s)"), (3,), (1,), "1 / (2*2)"),
        (RELU, (4,), (4,), "{1 if x[4] > 3; 0 otherwise}"),
        (Eq("dx[h]", "dy[h] * (1 - x[h]**2)"), (1,), (1,), "1 - x[1]^2"),
        (Eq("dx[h]", "dy[h // s]"), (3,), (1,), "1"),
        (Eq("dx[h]", "dy[h // s]"), (3,), (2,), ""),
        (Eq("dx[h]", "-(dy[h // s] * x[h])"), (2,), (1,), "-x[2]"),
        (Eq("dx[h]", "-x[h]"), (2,), (1,), ""),
        (Eq("dx[h]", "sum(p, dy[p]) * x[h]"), (3,), (2,), "x[3]"),
        (Eq("dx[h]", "sum(u<3, pad(dy[h + u - 1]) * W[u]) / sum(u<3, W[u])"), (1,), (0,), "W[0] / (sum_{u<3} W[u])"),
    ],
)  # fmt: skip
def test_the_local_factor_of_one_output(eq: Eq, at: tuple[int, ...], to: tuple[int, ...], factor: str) -> None:
    shapes = {"dy": (5,)} if "1 - x" in eq.right or eq is RELU else {}
    env = {**ENV, "dy": np.ones(5)} if shapes else ENV
    (grid,) = program(eq, **({"dW": (3,)} | shapes)).grids
    body = LocalDerivative(grid, env, at, to).factor()
    assert (Ascii().draw(body).text if body is not None else "") == factor


def test_a_place_is_looked_for_among_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more would have to be tried there is no formula, and not that of any place."""
    (grid,) = program(BACK, dy=(3,)).grids
    monkeypatch.setattr(local_derivative, "MAX_INDICES_TRIED", 2)
    assert LocalDerivative(grid, ENV, (1,), (0,)).factor() is None
