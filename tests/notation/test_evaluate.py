"""What an equation means: its values, names, reads, branches and slopes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest
from run_equations import fails, run, value

from bpcli.notation import Eq, NotationError, compile_equations
from bpcli.notation.functions import POINTWISE, REDUCTIONS

RNG = np.random.default_rng(5)


class TestValues:
    def test_arithmetic_is_pythons(self) -> None:
        assert value("-2**2 + 7 // 2 - 7 % 4 + 2**-1 * 3 / 4 - (1 - 2)") == -(2**2) + 7 // 2 - 7 % 4 + 2**-1 * 3 / 4 + 1

    def test_whole_numbers_have_whole_powers_below_zero(self) -> None:
        np.testing.assert_array_equal(value("(n + 1)**-1", "y[n<3]"), [1, 1 / 2, 1 / 3])

    def test_comparisons_are_brackets_of_value_0_or_1(self) -> None:
        right = "(x[i] > 0) + 10*(x[i] < 0) + 100*(x[i] >= 0) + 1e3*(x[i] <= 0) + 1e4*(x[i] == 0) + 1e5*(x[i] != 0)"
        found = value(right, "y[i]", x=[-1.0, 0, 1])
        np.testing.assert_array_equal(found, [101010, 11100, 100101])

    def test_an_index_is_a_number_too(self) -> None:
        np.testing.assert_array_equal(value("10*i + (i == j)", "y[i<2,j<3]"), [[1, 0, 0], [10, 11, 10]])

    NOT_NUMPYS: ClassVar = {
        "erf": np.vectorize(math.erf), "erfc": np.vectorize(math.erfc), "relu": lambda x: np.maximum(x, 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "softplus": lambda x: np.logaddexp(0, x),
    }  # fmt: skip

    @pytest.mark.parametrize("fn", sorted(set(POINTWISE) - {"min", "max", "xlogy", "log1pexp", "clip"}))
    def test_functions_are_numpys(self, fn: str) -> None:
        x = np.array([0.1, 0.7, 2.5])
        direct = (self.NOT_NUMPYS[fn] if fn in self.NOT_NUMPYS else getattr(np, fn))(x)
        np.testing.assert_allclose(value(f"{fn}(x[i])", "y[i]", x=x), direct, rtol=1e-15)

    def test_functions_of_two_and_stable_ones(self) -> None:
        a, b = np.array([0.0, 2.0, 3.0]), np.array([0.0, 0.5, 3.0])
        np.testing.assert_array_equal(value("min(a[i], b[i])", "y[i]", a=a, b=b), [0, 0.5, 3])
        np.testing.assert_array_equal(value("max(a[i], b[i])", "y[i]", a=a, b=b), [0, 2, 3])
        np.testing.assert_allclose(value("xlogy(a[i], b[i])", "y[i]", a=a, b=b), [0, 2 * np.log(0.5), 3 * np.log(3)])
        bounds = np.array([-2.0, -1, 0.5, 1, 3])
        np.testing.assert_array_equal(value("clip(e[i], -1, 1)", "y[i]", e=bounds), np.clip(bounds, -1, 1))
        x = np.array([-800.0, -1, 0, 1, 800])
        np.testing.assert_allclose(value("sigmoid(x[i])", "y[i]", x=x), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1],
                                   atol=1e-300)  # fmt: skip
        np.testing.assert_allclose(value("log1pexp(x[i])", "y[i]", x=x), np.logaddexp(0, x), rtol=1e-15)

    @pytest.mark.parametrize("fn", sorted(set(REDUCTIONS) - {"percentile", "logsumexp"}))
    def test_reductions_are_numpys_over_axes_in_any_order(self, fn: str) -> None:
        x = RNG.normal(size=(2, 3, 4))
        found = value(f"{fn}(k, i, x[i,j,k])", "y[j]", x=x)
        direct = np.linalg.norm if fn == "norm" else getattr(np, fn)
        np.testing.assert_allclose(found, direct(x.transpose(1, 2, 0).reshape(3, -1), axis=1), rtol=1e-14)

    def test_logsumexp_and_percentile(self) -> None:
        x = np.array([[800.0, 800, -np.inf], [-800, -900, -800]])
        np.testing.assert_allclose(value("logsumexp(k, x[n,k])", "y[n]", x=x), [800 + np.log(2), -800 + np.log(2)])
        h = np.array([3.0, 1, 2, 10, 0.5])
        assert value("percentile(s, pct, h[s])", h=h, pct=10.0) == np.percentile(h, 10)

    def test_an_index_hides_a_number_of_its_name(self) -> None:
        x, w = np.arange(12.0).reshape(3, 4), np.ones(4)
        env = {"x": x, "w": w, "k": 7.0}
        program = compile_equations([Eq("y[n]", "sum(k, k * x[n,k] * w[k])")], env)
        assert np.allclose(program.run(env)["y"], x @ np.arange(4.0))

    def test_a_reduction_over_an_index_its_body_does_not_mention_repeats_it(self) -> None:
        assert value("sum(i<3, sum(j<2, 5))") == 30
        assert value("mean(i<3, 5) + prod(i<3, 2)") == 13

    def test_exp_saturates_and_its_inverse_is_0(self) -> None:
        x = np.array([-np.inf, -800, 0, 800, np.inf])
        np.testing.assert_allclose(value("1 / (1 + exp(-x[i]))", "y[i]", x=x), [0, 0, 0.5, 1, 1], atol=1e-300)

    def test_the_first_maximum_wins(self) -> None:
        x = np.array([[1.0, 5, 5], [5, 5, 5]])
        np.testing.assert_array_equal(value("argmax(k, x[n,k])", "y[n]", x=x), [1, 0])
        # counted along the indices as they are written
        np.testing.assert_array_equal(value("argmax(k, n, x[n,k])", x=x), 1)

    def test_max_of_two_values_is_told_from_max_over_an_index(self) -> None:
        x = np.array([-2.0, 3.0])
        np.testing.assert_array_equal(value("max(c, x[n])", "y[n]", x=x, c=0.0), [0, 3])
        np.testing.assert_array_equal(value("max(n, x[n])", x=x), 3)
        np.testing.assert_array_equal(value("max(i<4, 7)"), 7)

    def test_constants_and_scalars(self) -> None:
        assert value("2*pi*r", r=0.5) == math.pi
        assert value("min(inf, r)", r=0.5) == 0.5

    def test_integers_are_looked_up_and_booleans_count(self) -> None:
        x, t, mask = RNG.normal(size=(3, 4)), np.array([1, 3, 0]), np.array([True, False, True])
        np.testing.assert_array_equal(value("x[n,t[n]]", "y[n]", x=x, t=t), x[np.arange(3), t])
        np.testing.assert_array_equal(value("mask[n] * x[n,0]", "y[n]", x=x, mask=mask), mask * x[:, 0])

    def test_float32_is_promoted_first(self) -> None:
        x = np.array([0.1, 0.2], np.float32)
        assert value("sum(i, x[i])", x=x) == np.float64(x[0]) + np.float64(x[1])


class TestNames:
    def test_new_names_are_names_of_their_own(self) -> None:
        out = run(
            ("m_new[j]", "b*m[j] + (1 - b)*g[j]"), ("w_new[j]", "w[j] - m_new[j]"), m=[1.0], g=[3.0], w=[5.0], b=0.5
        )
        assert out["m_new"] == [2.0]
        assert out["w_new"] == [3.0]

    def test_misuse_of_names(self) -> None:
        x = np.zeros((2, 3))
        fails("x has 2 axes and is written with 1", ("y[n]", "x[n]"), x=x)
        fails("x has 2 axes and is written without indices", ("y[n,k]", "2*x"), x=x, y=x)
        fails("z is not known", ("y[n]", "z[n]"), y=np.zeros(2))
        fails("z is not known", ("y[n<2]", "z"))
        fails("x is an index and an array", ("y[x<2]", "x[x]"), x=[1.0, 2])

    def test_a_letter_that_a_reduction_runs_over_is_its_own(self) -> None:
        x = RNG.normal(size=(3, 4))
        share = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(value("exp(x[n,k]) / sum(k, exp(x[n,k]))", "y[n,k]", x=x), share, rtol=1e-14)
        np.testing.assert_allclose(value("sum(n, x[n,k] + sum(n, x[n,k]))", "y[k]", x=x), 4 * x.sum(axis=0))
        np.testing.assert_allclose(value("x[n,k] - sum(k, n, x[n,k] / count(k))", "y[n,k]", x=x), x - x.sum() / 4)
        assert value("sum(i<3, 1) + 10 * sum(i<2, 1)") == 23
        assert value("sum(k, a[k]) + prod(k, b[k] + 1)", a=[1.0, 2, 3], b=[1.0, 1]) == 10


class TestEllipsis:
    mean = ("mu[c]", "mean(n,..., x[n,...,c])")

    @pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3), (4, 5, 2, 3), (2, 2, 2, 2, 3)])
    def test_it_is_the_axes_between(self, shape: tuple[int, ...]) -> None:
        x = RNG.normal(size=shape)
        out = run(self.mean, ("y[n,...,c]", "x[n,...,c] - mu[c]"), ("m", "count(n,...)"), x=x)
        np.testing.assert_allclose(out["mu"], x.mean(axis=tuple(range(len(shape) - 1))))
        np.testing.assert_allclose(out["y"], x - out["mu"])
        assert out["m"] == x.size // 3

    def test_it_has_one_meaning_in_all_equations_of_a_part(self) -> None:
        out = run(("a[...]", "2*x[...]"), ("s", "sum(..., a[...])"), x=np.ones((2, 3)))
        assert out["s"] == 12

    def test_it_keeps_away_from_letters_in_use(self) -> None:
        x = RNG.normal(size=(2, 3, 4))
        found = run(("y[n,...]", "x[n,...] * h + w"), x=x, h=2.0, w=1.0)["y"]
        np.testing.assert_array_equal(found, 2 * x + 1)

    def test_reductions_over_no_axes_at_all(self) -> None:
        out = run(("s[n]", "sum(..., x[n,...])"), ("a[n]", "argmax(..., x[n,...])"), ("m[n]", "max(..., x[n,...])"),
                  ("c", "count(...)"), x=[3.0, 4])  # fmt: skip
        np.testing.assert_array_equal(out["s"], [3, 4])
        np.testing.assert_array_equal(out["a"], [0, 0])
        np.testing.assert_array_equal(out["m"], [3, 4])
        assert out["c"] == 1

    def test_misuse(self) -> None:
        fails("`...` may stand once", ("y[n]", "x[..., ...]"), x=[1.0])
        fails("x has 1 axes, fewer than written", ("y[n,c]", "x[n,...,c]"), x=[1.0])


class TestReads:
    def test_outside_is_an_error_that_says_what_to_write(self) -> None:
        fails("reads x outside its shape (3,); write pad(x[...])", ("y[p<3]", "x[p + 1]"), x=[1.0, 2, 3])
        fails("reads x outside its shape (3,)", ("y[p<3]", "x[p - 1]"), x=[1.0, 2, 3])  # not the last entry

    def test_pad_gives_0_or_what_it_says(self) -> None:
        np.testing.assert_array_equal(value("pad(x[p - 1])", "y[p<5]", x=[1.0, 2, 3]), [0, 1, 2, 3, 0])
        np.testing.assert_array_equal(value("pad(x[p - 1], -inf)", "y[p<3]", x=[-1.0, -2, -3]), [-np.inf, -1, -2])
        np.testing.assert_array_equal(
            value("pad(x[p, q - 1], p)", "y[p<2,q<2]", x=[[5.0, 6], [7, 8]]), [[0, 5], [1, 7]]
        )


class TestWhere:
    def test_the_branch_not_taken_raises_nothing(self) -> None:
        x = np.array([-1.0, 0, 4])
        np.testing.assert_array_equal(
            value("where(x[i] > 0, 1/x[i] + log(x[i]) - log(4), 0)", "y[i]", x=x), [0, 0, 0.25]
        )
        np.testing.assert_array_equal(value("where(i < 2, x[i + 1], 7)", "y[i<3]", x=x), [0, 4, 7])
        np.testing.assert_array_equal(value("where(i > 0, where(i > 1, x[i - 2], 5), 6)", "y[i<3]", x=x), [6, 5, -1])
        np.testing.assert_array_equal(value("where(i > 0, where(i > 1, 5, x[i - 1]), 6)", "y[i<3]", x=x), [6, -1, 5])

    def test_the_branch_taken_does(self) -> None:
        fails("reads x outside its shape (2,)", ("y[i<2]", "where(i > 0, x[i + 1], 0)"), x=[1.0, 2])
        fails("reads x outside", ("y[i<4]", "where(i > 0, where(i > 2, x[i - 1], 0), x[i])"), x=[1.0, 2])

    def test_inside_a_reduction(self) -> None:
        x = np.array([1.0, 2, 4])
        found = value("sum(u<2, where((h - u) % 2 == 0, x[(h - u) // 2], 0))", "y[h<5]", x=x)
        np.testing.assert_array_equal(found, [1, 1, 2, 2, 4])


class TestComplex:
    """A complex step differentiates the branch that the real parts take, to rounding, however small the step."""

    H = 1e-30

    def slope(self, right: str, x: float, **env: Any) -> float:
        found = value(right, x=complex(x, self.H), **env)
        assert float(np.real(found)) == pytest.approx(float(value(right, x=x, **env)), rel=1e-15, abs=1e-300)
        return float(np.imag(found)) / self.H

    @pytest.mark.parametrize(
        ("right", "x", "expected"),
        [
            ("abs(x)", -2.0, -1), ("abs(x)", 0.0, 1), ("max(0, x)", 0.0, 0), ("max(x, 0)", 0.0, 1),
            ("min(x, 1)", 1.0, 1), ("min(1, x)", 1.0, 0), ("where(x > 0, x, 0)", 0.0, 0), ("sign(x)*x", 3.0, 1),
            ("floor(x)*x", 2.5, 2), ("(x > 1)*x", 2.0, 1), ("x**2", -3.0, -6), ("x**-1", 2.0, -0.25),
            ("sqrt(x)", 4.0, 0.25), ("log(x)", 4.0, 0.25), ("exp(-x)", 800.0, 0), ("1/(1 + exp(-x))", 0.0, 0.25),
            ("1/(1 + exp(-x))", -800.0, 0), ("tanh(x)", 0.5, 1 - math.tanh(0.5) ** 2), ("tanh(x)", 800.0, 0),
            ("erf(x)", 0.5, 2 / math.sqrt(math.pi) * math.exp(-0.25)), ("log1pexp(x)", 0.0, 0.5),
            ("erfc(x)", 9.0, -2 / math.sqrt(math.pi) * math.exp(-81)), ("erfc(x)", 800.0, 0),
            ("log1pexp(x)", -800.0, 0), ("log1pexp(x)", 800.0, 1), ("xlogy(x, x)", 2.0, math.log(2) + 1),
            ("xlogy(0, x)", 0.0, 0), ("log1p(x)", 1e-9, 1 / (1 + 1e-9)), ("expm1(x)", 1e-9, math.exp(1e-9)),
            ("sin(x)*cos(x)", 0.3, math.cos(0.6)), ("exp(x)*0", 900.0, 0),
        ],
    )  # fmt: skip
    def test_slopes(self, right: str, x: float, expected: float) -> None:
        assert self.slope(right, x) == pytest.approx(expected, rel=1e-14, abs=1e-300)

    def test_at_a_tie_the_first_maximum_takes_the_slope(self) -> None:
        x = np.array([1.0, 5, 5, 2], complex)
        for i, expected in enumerate([0, 1, 0, 0]):
            step = x.copy()
            step[i] += 1j * self.H
            out = run(("m", "max(k, x[k])"), ("a", "argmax(k, x[k])"), ("l", "logsumexp(k, x[k])"), x=step)
            assert out["m"].imag == expected * self.H
            assert out["a"] == 1
            assert out["l"].imag / self.H == pytest.approx(float(np.exp(x[i] - out["l"]).real))

    def test_products_and_sums_carry_the_step_through_einsum(self) -> None:
        x, w = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
        step = x.astype(complex)
        step[1, 2] += 1j * self.H
        found = run(("y[n,o]", "sum(i, x[n,i]*W[i,o])"), x=step, W=w)["y"].imag / self.H
        np.testing.assert_allclose(found, np.stack([np.zeros(4), w[2]]), rtol=1e-15)


class TestPrograms:
    def test_equations_run_in_the_order_of_what_they_read(self) -> None:
        out = run(("c", "b + 1"), ("b", "a + 1"), ("a", "x"), x=1.0)
        assert (out["a"], out["b"], out["c"]) == (1, 2, 3)
        assert list(out) == ["a", "b", "c"]

    def test_a_circle_is_an_error(self) -> None:
        fails("these equations read each other in a circle: a, b", ("a", "b"), ("b", "a"))

    def test_a_left_side_stands_once(self) -> None:
        fails("a is defined twice", ("a", "1"), ("a", "2"))

    def test_want_leaves_out_what_is_not_read(self) -> None:
        program = compile_equations([Eq("a", "x"), Eq("b", "1/zero"), Eq("c", "a + 1")], {})
        assert program.run({"x": 1.0, "zero": 0.0}, want=["c"]) == {"a": 1.0, "c": 2.0}
        assert program.needed(["c"]) == {"a", "c"}

    def test_a_missing_name_is_an_error(self) -> None:
        with pytest.raises(NotationError, match="x is not known"):
            compile_equations([Eq("a", "x")], {}).run({})

    @pytest.mark.parametrize("order", [0, 1])
    def test_long_forms_stand_in_only_where_asked_for(self, order: int) -> None:
        eqs = [Eq("a", "1"), Eq("a", "J + 1", detail="path"), Eq("J", "1", detail="path"), Eq("b", "a")]
        eqs = eqs if order == 0 else eqs[::-1]
        assert run(*eqs) == {"a": 1.0, "b": 1.0}
        assert run(*eqs, detail="path") == {"J": 1.0, "a": 2.0, "b": 2.0}

    def test_results_are_float64_and_their_own(self) -> None:
        x = np.array([1.0, 2])
        y = value("x[i]", "y[i]", x=x)
        assert y.dtype == np.float64
        assert not np.shares_memory(x, y)
        assert value("argmax(i, x[i])", x=x).dtype == np.float64


def test_arrays_of_another_shape_than_it_was_compiled_for_are_refused() -> None:
    program = compile_equations([Eq("y[n]", "x[n] * 2")], {}, {"x": (3,)})
    assert program.run({"x": np.ones(3)})["y"].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(NotationError, match=r"x has shape \(4,\); the program was compiled for \(3,\)"):
        program.run({"x": np.ones(4)})
