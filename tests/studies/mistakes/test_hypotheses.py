"""What a mistake would make of a gradient: each hypothesis with the array that it gives, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.notation import compile_equations
from bpcli.notation.syntax import Eq
from bpcli.studies.mistakes import hypotheses as module
from bpcli.studies.mistakes.hypotheses import GradientHypotheses, _last, axis_choices, listed, same

RNG = np.random.default_rng(5)
X, W, DY = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3))
DENSE = [
    Eq("y[n,o]", "sum(i, x[n,i] * W[i,o])", ""),
    Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])", ""),
    Eq("dx[n,i]", "sum(o, dy[n,o] * W[i,o])", ""),
]


def said(kind: str, *pieces: str, **details: Any) -> tuple[str, str]:
    words = " ".join(
        (
            *pieces,
            *(
                f"{k}={v}"
                for k, v in details.items()
                if k in ("array", "other", "axes", "indices", "at", "setting", "side", "name")
            ),
        )
    )
    return kind, words


def dense(target: str, **more: Any) -> GradientHypotheses:
    env = {"x": X, "W": W, "dy": DY, **more}
    program = compile_equations(DENSE, env, {"y": (4, 3), "dW": (3, 3), "dx": (4, 3)})
    return GradientHypotheses(program, program.complete(env), target, said, ("W",), "y")


def square(target: str = "dx") -> GradientHypotheses:
    """An elementwise function: y = x^2 and its slope."""
    env = {"x": X, "dy": DY}
    equations = [Eq("y[n,i]", "x[n,i] ** 2", ""), Eq("dx[n,i]", "2 * x[n,i] * dy[n,i]", "")]
    program = compile_equations(equations, env, {"y": (4, 3), "dx": (4, 3)})
    return GradientHypotheses(program, program.complete(env), target, said, (), "y")


def holds(found: GradientHypotheses, code: str, value: Any, text: str = "") -> bool:
    return any(h.code == code and text in h.text and same(h.value, value) for h in found.all())


def test_the_gradient_is_searched_in_its_own_equations() -> None:
    assert [g.name for g in dense("dW").searched] == ["dW"]
    assert [g.name for g in dense("dx").searched] == ["dx"]
    assert [g.name for g in square().searched] == ["dx"]


def test_what_is_computed_with_other_arrays() -> None:
    found = dense("dW")
    assert np.allclose(found.run({}), X.T @ DY)
    assert np.allclose(found.run({"x": 2 * X}), 2 * X.T @ DY)
    assert np.allclose(found.gradient_for("dy", 3 * DY), 3 * X.T @ DY)


@pytest.mark.parametrize(
    ("target", "code", "value", "text"),
    [
        ("dW", "averaged", X.T @ DY / 4, ""),
        ("dW", "factor", np.repeat(DY.sum(0)[None], 3, 0), "x[n,i]"),
        ("dW", "dropped-term", X[1:].T @ DY[1:], "at= where n = 0"),
        ("dW", "dropped-term", X[:3].T @ DY[:3], "at= where n = 3"),
        ("dW", "other-array", DY.T @ DY, "other=dy array=x"),
        ("dW", "other-array", X.T @ X, "other=x array=dy"),
        ("dW", "overwritten", X[3][:, None] * DY[3], "indices=n"),
        ("dW", "overwritten", X[0][:, None] * DY[0], "indices=n"),
        ("dW", "first-only", X[0][:, None] * DY[0], "indices=n"),
        ("dx", "transposed parameter", DY @ W, "array=W"),
        ("dx", "flipped parameter", DY @ W[::-1].T, "array=W axes=0"),
        ("dx", "flipped parameter", DY @ W[:, ::-1].T, "array=W axes=1"),
        ("dx", "flipped parameter", DY @ W[::-1, ::-1].T, "array=W axes=0, 1"),
        ("dx", "transposed read", DY @ W, ""),
    ],
)
def test_mistakes_in_a_gradient_of_a_dense_layer(target: str, code: str, value: Any, text: str) -> None:
    assert holds(dense(target), code, value, text)


def test_another_array_is_tried_that_has_an_entry_beside_0() -> None:
    """As where a unit is closed in some rows; one of zeros alone would be no mistake but nothing at all."""
    sparse = np.where(X > 0, X, 0.0)
    found = dense("dW", z=sparse, none=np.zeros_like(X))
    assert holds(found, "other-array", sparse.T @ DY, "other=z array=x")
    assert not any("other=none" in h.text for h in found.all())


def test_arrays_summed_down_to_the_shape_of_a_gradient() -> None:
    env = {"x": X, "b": np.ones(3), "dy": DY}
    equations = [Eq("y[n,o]", "x[n,o] + b[o]", ""), Eq("db[o]", "sum(n, dy[n,o])", ""), Eq("dx[n,o]", "dy[n,o]", "")]
    program = compile_equations(equations, env, {"y": (4, 3), "db": (3,), "dx": (4, 3)})
    found = GradientHypotheses(program, program.complete(env), "db", said, ("b",), "y")
    sums = {h.text: h.value for h in found.all() if h.code == "other-sum"}
    assert np.allclose(sums["array=x axes=0"], X.sum(0))
    assert set(sums) == {"array=x axes=0", "array=dy axes=0", "array=y axes=0", "array=dx axes=0"}


def test_slopes_of_elementwise_functions() -> None:
    assert holds(square(), "no-slope", DY)
    assert holds(square(), "slope-at-y", 2 * X**2 * DY)
    assert holds(square(), "from-gradient", 2 * DY * DY)
    assert not any(h.code == "slope-at-x" for h in square().all())
    assert square().is_elementwise
    assert dense("dx").is_elementwise  # by its shapes
    assert not any(h.code == "no-slope" for h in dense("dx").all()), "what has parameters has other mistakes"
    env = {"x": X, "dy": DY}
    equations = [Eq("y[n,i]", "exp(x[n,i])", ""), Eq("dx[n,i]", "y[n,i] * dy[n,i]", "")]
    program = compile_equations(equations, env, {"y": (4, 3), "dx": (4, 3)})
    by_output = GradientHypotheses(program, program.complete(env), "dx", said, (), "y")
    assert holds(by_output, "slope-at-x", X * DY)
    assert [g.name for g in by_output.searched] == ["dx"], "the forward pass is not searched"


def test_what_changes_the_shape_is_not_elementwise() -> None:
    env = {"x": X, "dy": DY[:, 0]}
    equations = [Eq("y[n]", "sum(i, x[n,i])", ""), Eq("dx[n,i]", "dy[n]", "")]
    program = compile_equations(equations, env, {"y": (4,), "dx": (4, 3)})
    found = GradientHypotheses(program, program.complete(env), "dx", said, (), "y")
    assert not found.is_elementwise
    assert not any(h.code == "no-slope" for h in found.all())


def test_settings_may_be_taken_for_0_or_1() -> None:
    env = {"x": X, "dy": DY, "s": 0.25, "one": 1}
    equations = [Eq("y[n,i]", "s * one * x[n,i]", ""), Eq("dx[n,i]", "(s + one) * dy[n,i]", "")]
    program = compile_equations(equations, env, {"y": (4, 3), "dx": (4, 3)})
    found = GradientHypotheses(program, program.complete(env), "dx", said, (), "y")
    taken = sorted(
        (h.text, round(float(h.value[0, 0] / DY[0, 0]), 6)) for h in found.all() if h.code == "setting taken"
    )
    assert taken == [("setting=one other=0", 0.25), ("setting=s other=0", 1.0), ("setting=s other=1", 2.0)]


def test_weights_that_were_updated_too_early() -> None:
    (found,) = dense("dx").by_updated_weights()
    assert found[0] == "W"
    assert np.allclose(found[1], DY @ (X.T @ DY).T)
    assert list(dense("dW").by_updated_weights()) == []


def test_an_array_that_was_cut_off_at_a_bound() -> None:
    found = square()
    for limited, words in ((np.minimum(X, 0.5), "side=above"), (np.maximum(X, -0.5), "side=below")):
        (cut,) = found.cut_off(2 * limited * DY)
        assert cut.code == "cut"
        assert "array=x" in cut.text
        assert words in cut.text
    assert list(found.cut_off(2 * X * DY)) == []
    assert list(found.cut_off(3 * X * DY)) == []


def test_an_array_that_is_cut_off_is_found_behind_others_that_cannot_be_it() -> None:
    """a goes in squared: no bound on it can be read off the gradient."""
    a = RNG.uniform(0.5, 2.0, size=X.shape)
    equations = [Eq("y[n,i]", "a[n,i] ** 2 * x[n,i] ** 2 / 2", ""), Eq("dx[n,i]", "a[n,i] ** 2 * x[n,i] * dy[n,i]", "")]
    env = {"a": a, "x": X, "dy": DY}
    program = compile_equations(equations, env, {"y": (4, 3), "dx": (4, 3)})
    found = GradientHypotheses(program, program.complete(env), "dx", said, (), "y")
    (cut,) = found.cut_off(a**2 * np.minimum(X, 0.5) * DY)
    assert "array=x" in cut.text


def test_a_sum_that_is_too_large_to_be_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dW: 3 x 3 entries of 4 terms each."""
    for cells, written in ((36, True), (35, False)):
        monkeypatch.setattr(module, "MAX_SUM_CELLS", cells)
        assert any(h.code == "overwritten" for h in dense("dW").all()) is written
    assert module.MAX_SUM_CELLS == 35
    monkeypatch.undo()
    assert module.MAX_SUM_CELLS == 2**21


def test_where_in_a_sum_a_mistake_is_stands_in_its_words() -> None:
    assert GradientHypotheses.in_term.format("n", 2) == " where n = 2"


@pytest.mark.parametrize(
    ("a", "b", "reach", "alike"),
    [([1.0, 2.0], [1.0, 2.0], 0.0, True), ([1.0, 2.0 + 1.9e-9], [1.0, 2.0], 0.0, True),
     ([1.0, 2.0 + 2.1e-9], [1.0, 2.0], 0.0, False), ([1.0 + 1.9e-9, 2.0], [1.0, 2.0], 0.0, True),
     ([0.9e-9], [0.0], 1e6, True), ([1.1e-9], [0.0], 1e6, False), ([0.0], [0.0], 0.0, True),
     ([1.0], [np.inf], 0.0, False), ([1.0, 1.0], [1.0], 0.0, False), ([np.nan], [1.0], 0.0, False)],
)  # fmt: skip
def test_two_arrays_are_the_same_number_for_number(a: Any, b: Any, reach: float, alike: bool) -> None:
    assert same(np.array(a), np.array(b), reach) is alike


def test_choices_of_axes() -> None:
    assert list(axis_choices(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert list(axis_choices(1)) == [(0,)]
    assert listed((0, 2)) == "0, 2"


def test_the_last_term_that_is_not_0() -> None:
    terms = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 4.0]])
    assert _last(terms).tolist() == [2.0, 3.0, 0.0, 4.0]


def test_a_mistake_may_divide_by_0() -> None:
    """With its first term left out the sum below the line is 0; what that gives is infinite and no accident."""
    env = {"x": np.ones(3), "v": np.array([1.0, 0.0]), "dy": np.array([1.0, -2.0, 3.0])}
    equations = [Eq("y[n]", "x[n] / sum(j, v[j])", ""), Eq("dx[n]", "dy[n] / sum(j, v[j])", "")]
    program = compile_equations(equations, env, {"y": (3,), "dx": (3,)})
    found = GradientHypotheses(program, program.complete(env), "dx", said, ("v",), "y")
    values = [h.value for h in found.all() if h.code == "dropped-term"]
    assert any(np.isinf(v).all() for v in values)
    assert any(np.array_equal(v, env["dy"]) for v in values)
