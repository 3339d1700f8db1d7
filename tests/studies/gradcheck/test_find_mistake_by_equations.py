"""The likeliest mistake, by the equations that a gradient should have followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from wrong_gradients import DY, V, W, X, but, said

from bpcli.family.plan import Array
from bpcli.notation import Program, compile_equations
from bpcli.notation.syntax import Eq
from bpcli.studies.gradcheck.find_mistake import Clues, gradient_hypotheses

RNG = np.random.default_rng(3)

TANH = [
    Eq("y[n,o]", "tanh(x[n,o])", "definition"),
    Eq("dx[n,o]", "dy[n,o] * (1 - y[n,o]**2)", "the slope of tanh"),
]
DENSE = [
    Eq("y[n,o]", "sum(i, x[n,i] * W[i,o]) + b[o]", "definition"),
    Eq("db[o]", "sum(n, dy[n,o])", "rows add"),
    Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])", "rows add"),
    Eq("dx[n,i]", "sum(o, dy[n,o] * W[i,o])", "back through every weight"),
]

DENSE_ENV = {"x": X, "W": W, "b": V, "dy": DY}
DW, DX = X.T @ DY, DY @ W.T


def clues_of(equations: list[Eq], env: Mapping[str, Array], target: str, params: tuple[str, ...], **more: Any) -> Clues:
    shapes = {"dx": env["x"].shape, **{f"d{p}": env[p].shape for p in params}}
    program: Program = compile_equations(equations, env, shapes)
    hypotheses = gradient_hypotheses((program, program), env, target, params, "y")
    assert hypotheses.long_forms is None, "of the same program"
    return Clues({"N": 7, "K": 3}, hypotheses=hypotheses, **more)


def of_dense(target: str, **more: Any) -> Clues:
    return clues_of(DENSE, DENSE_ENV, target, ("W", "b"), **more)


def of_tanh(**more: Any) -> Clues:
    return clues_of(TANH, {"x": X, "dy": X[::-1]}, "dx", (), **more)


def test_a_mistake_in_the_equations_is_named() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    assert said(X[::-1], slope, of_tanh()) == (
        "the error is passed on as it arrives: the slope is forgotten; or the factor 1 - y[n,o]^2 is left out in dx; "
        "or the term y[n,o]^2 is left out in dx"
    ), "three at most"
    assert said(X[::-1] * (1 - np.tanh(X)), slope, of_tanh()) == "the power is left out of y[n,o]^2 in dx"
    assert said(X[-1:].T @ DY[-1:], DW, of_dense("dW")).startswith("the terms over n overwrite each other")


def test_mistakes_that_give_the_same_numbers_are_named_together() -> None:
    text = said(X[:1].T @ DY[:1], DW, of_dense("dW"))
    assert text.count("; or ") == 1, text


def test_a_factor_that_the_equations_explain_is_said_with_them() -> None:
    text = said(-DX, DX, of_dense("dx"))
    assert text.startswith("the sign is turned")
    mean = said(DW / 7, DW, of_dense("dW"))
    assert mean == (
        "kernel / expected = 1/N (N = 7): it is divided by the rows once too often: a mean is taken where a sum is "
        "meant, in dW"
    )


def test_what_explains_nearly_everything_is_said_with_what_is_left() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    a = X[::-1] * (1 - np.tanh(X)) + 1e-4 * np.sin(X)
    text = said(a, slope, of_tanh())
    left = np.abs(1e-4 * np.sin(X)).max() / np.abs(a - slope).max()
    assert text == (
        f"nearly: the power is left out of y[n,o]^2 in dx; what is left of the difference is {left:.0e} of it, "
        "something else"
    )
    assert "nearly" not in said(X[::-1] * (1 - np.tanh(X)) + 0.1 * np.sin(X), slope, of_tanh())


def test_weights_that_were_updated_too_early() -> None:
    moved = DY @ (W - 0.25 * DW).T
    assert said(moved, DX, of_dense("dx")) == (
        "it is computed with a W that was updated already (by 0.25 times its gradient)"
    )


def test_an_array_that_is_cut_off() -> None:
    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    bound = 0.5
    assert said(np.minimum(X[::-1], bound) * (1 - np.tanh(X) ** 2), slope, of_tanh()) == (
        "dy is cut off above at 0.5 in backward, and is not in forward"
    )


def test_numbers_that_no_equation_gives() -> None:
    assert said(RNG.normal(size=(4, 3)), DW, of_dense("dW")) == (
        "100% of the entries are wrong, and no single mistake in the equations gives these numbers"
    )


def test_rows_and_columns_that_see_each_other_by_the_kernel_alone() -> None:
    def clues(kernel: Callable[[Array], Array]) -> Clues:
        return of_tanh(kernel=kernel, at=X[::-1].copy())

    def rows(dy: Array) -> Array:
        return dy - dy.mean(0) + np.sin(X)

    def columns(dy: Array) -> Array:
        return dy - dy.mean(1, keepdims=True) + np.sin(X)

    slope = X[::-1] * (1 - np.tanh(X) ** 2)
    last = ": a sum or a mean goes along the wrong axis, or over one too many or too few"
    assert said(rows(X[::-1]), slope, clues(rows)) == (
        f"dy of one row moves what stands in the others, and must not{last}"
    )
    assert said(columns(X[::-1]), slope, clues(columns)) == (
        f"dy of one column moves what stands in the others, and must not{last}"
    )


def test_rows_that_see_each_other_by_the_equations_alone() -> None:
    centred = [
        Eq("m[o]", "mean(n, x[n,o])", "mean"),
        Eq("y[n,o]", "x[n,o] - m[o]", "definition"),
        Eq("dx[n,o]", "dy[n,o] - mean(m, dy[m,o])", "through the mean"),
    ]
    dy, x = RNG.normal(size=(7, 4)), X
    found = clues_of(centred, {"x": x, "dy": dy}, "dx", (), kernel=lambda e: e * np.exp(X), at=dy)
    assert said(dy * np.exp(X), dy - dy.mean(0), found) == (
        "dy of one row must move what stands in the others, and does not: a sum or a mean goes along the wrong axis, "
        "or over one too many or too few"
    )


def test_columns_of_a_single_row() -> None:
    x, dy = X[:1], DY[:1] @ RNG.normal(size=(3, 4))

    def kernel(e: Array) -> Array:
        return e - e.mean(1, keepdims=True) + np.sin(x)

    found = clues_of(TANH, {"x": x, "dy": dy}, "dx", (), kernel=kernel, at=dy)
    assert said(kernel(dy), dy * (1 - np.tanh(x) ** 2), found).startswith("dy of one column moves")


def test_tiny_gradients_are_explained_too() -> None:
    dy = 1e-17 * X[::-1]
    found = clues_of(TANH, {"x": X, "dy": dy}, "dx", ())
    assert said(dy * (1 - np.tanh(X)), dy * (1 - np.tanh(X) ** 2), found) == "the power is left out of y[n,o]^2 in dx"


def test_a_single_entry_at_a_tie_is_a_branch() -> None:
    relu = [Eq("y[n,o]", "max(x[n,o], 0)", "definition"), Eq("dx[n,o]", "where(x[n,o] > 0, dy[n,o], 0)", "slope")]
    x, dy = but(X, (3, 1), 0.0), X[::-1]
    found = clues_of(relu, {"x": x, "dy": dy}, "dx", ())
    assert said(dy * (x >= 0), dy * (x > 0), found).startswith("where both sides are equal the other branch is taken")


def test_a_count_less_one_is_no_bias_where_it_does_not_follow_the_count() -> None:
    mean = [Eq("y[n,o]", "x[n,o] + b[o]", "definition"), Eq("db[o]", "sum(n, dy[n,o]) / count(n)", "rows")]
    env = {"x": DY, "b": V, "dy": DY}
    a, n = DY.sum(0) / 6, DY.mean(0)
    assert said(a, n, clues_of(mean, env, "db", ("b",))) == "it is divided by N - 1 and not by N, in db"
    fixed = clues_of(mean, env, "db", ("b",), ratio_elsewhere=lambda letter: 7 / 6)
    assert said(a, n, fixed) == "kernel / expected = 1.16667 everywhere: a factor is missing or one too many"
