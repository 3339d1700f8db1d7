"""Slabs, einsum and single entries: an equation has one value, whichever way it is evaluated."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_equations import run, value

from bpcli.notation import Eq, compile_equations, evaluate
from bpcli.notation.syntax import parse_expression

RNG = np.random.default_rng(5)


class TestWaysOfEvaluating:
    EQUATIONS = (
        ("y[n,o]", "sum(i, x[n,i] * W[i,o]) + b[o]"),
        ("r[n,o]", "where(y[n,o] > 0, y[n,o], 0)"),
        ("p[n,o]", "exp(y[n,o] - logsumexp(k, y[n,k]))"),
        ("m[n]", "max(k, r[n,k])"),
        ("J[n,o,k]", "p[n,o] * ((o == k) - p[n,k])"),
        ("s[k]", "sum(n,o, J[n,o,k] * x[n,0])"),
        ("v[n]", "mean(k, (y[n,k] - m[n])**2)"),
        ("q[n,o]", "pad(y[n - 1, o + 1])"),
    )

    @pytest.mark.parametrize("slab", [1, 7, 40])
    def test_slabs_change_nothing(self, slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
        env = {"x": RNG.normal(size=(5, 4)), "W": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3)}
        whole = run(*self.EQUATIONS, **env)
        monkeypatch.setattr(evaluate, "MAX_GRID_CELLS", slab)
        for name, found in run(*self.EQUATIONS, **env).items():
            np.testing.assert_allclose(found, whole[name], rtol=1e-14, atol=1e-15, err_msg=name)

    @pytest.mark.parametrize("entries", [16, 17])
    def test_large_factors_are_multiplied_in_the_best_order(
        self, entries: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of three matrices the small ones first; of small ones looking for an order would take longest."""
        monkeypatch.setattr(evaluate, "MAX_ENTRIES_UNORDERED", 16)
        honest, asked = np.einsum, []

        def einsum(*operands: Any, optimize: bool) -> Any:
            asked.append(optimize)
            return honest(*operands, optimize=optimize)

        monkeypatch.setattr(evaluate.np, "einsum", einsum)
        x, z = np.ones(8), np.ones((entries - 8, 1))
        assert value("sum(i,k, x[i] * z[k,j])", "y[j]", x=x, z=z).tolist() == [8.0 * (entries - 8)]
        assert asked == [entries > 16]

    def test_a_grid_stays_within_its_slab(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []

        class Spy(evaluate._Evaluation):
            def result(self) -> Any:
                seen.append(math.prod(n for _, n in self.spans.values()))
                return super().result()

        monkeypatch.setattr(evaluate, "_Evaluation", Spy)
        monkeypatch.setattr(evaluate, "MAX_GRID_CELLS", 100)
        value("mean(k, abs(x[n,k] - z[m,k]))", "y[n,m]", x=RNG.normal(size=(9, 10)), z=RNG.normal(size=(8, 10)))
        assert len(seen) > 1
        assert max(seen) <= 100

    def test_a_sum_of_a_product_needs_no_grid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many cells its grid would have, it is one call of einsum."""
        x, W = RNG.normal(size=(9, 10)), RNG.normal(size=(10, 8))
        monkeypatch.setattr(evaluate, "MAX_GRID_CELLS", 1)
        made = []
        honest = evaluate._Evaluation.result
        monkeypatch.setattr(evaluate._Evaluation, "result", lambda self: made.append(self.spans) or honest(self))
        np.testing.assert_allclose(value("sum(i, -x[n,i] * W[i,o])", "y[n,o]", x=x, W=W), -x @ W, rtol=1e-13)
        assert made == [{"n": (0, 9), "o": (0, 8), "i": (0, 10)}]

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_einsum_and_the_grid_agree_on_any_sum_of_a_product(self, data: st.DataObject) -> None:
        size = {"n": 3, "i": 2, "o": 4, "k": 3}
        reads = data.draw(st.lists(st.permutations("niok").map(lambda p: "".join(p)), min_size=2, max_size=3))
        cut = [r[: data.draw(st.integers(1, 4))] for r in reads]
        factors = [f"a{j}[{','.join(r)}]" + data.draw(st.sampled_from(["", "**2"])) for j, r in enumerate(cut)]
        scale = data.draw(st.sampled_from(["", "-", "c * ", "-2 * "]))
        letters = sorted(set("".join(cut)))
        over = data.draw(st.lists(st.sampled_from(letters), min_size=1, unique=True))
        free = [k for k in letters if k not in over]
        eq = Eq(f"y[{','.join(free)}]" if free else "y", f"sum({','.join(over)}, {scale}{' * '.join(factors)})")
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        env = {f"a{j}": rng.normal(size=[size[k] for k in r]) for j, r in enumerate(cut)} | {"c": 0.7}
        fast = run(eq, **env)["y"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate._Evaluation, "_factors", lambda self, node: None)
            slow = run(eq, **env)["y"]
        np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-13)

    def test_one_entry_is_the_arrays(self) -> None:
        env = {"x": RNG.normal(size=(5, 4)), "W": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3)}
        program = compile_equations([Eq(*e) for e in self.EQUATIONS], env)
        out = program.run(env)
        for grid in program.grids:
            for at in itertools.product(*map(range, grid.shape)):
                found = grid.at({**env, **out}, grid.equation.right, dict(zip(grid.free, at, strict=True)))
                assert found == pytest.approx(out[grid.name][at], rel=1e-14, abs=1e-15)

    def test_over_gives_the_terms_of_a_reduction(self) -> None:
        x = RNG.normal(size=(2, 3, 4))
        (grid,) = compile_equations([Eq("y[j]", "sum(k,i, x[i,j,k] * 2)")], {"x": x}).grids
        body = grid.equation.right.body  # type: ignore[union-attr]
        np.testing.assert_array_equal(grid.over({"x": x}, body, {"j": 1}, ["k", "i"]), 2 * x[:, 1, :].T)
        np.testing.assert_array_equal(grid.over({"x": x}, parse_expression("7"), {"j": 1}, ["k"]), [7] * 4)
