"""The form in which derivatives come out: that of the textbooks."""

import numpy as np
import pytest
from count_calls import Work

from bpcli.notation import Eq, NotationError, compile_equations
from bpcli.notation.derive.backward import derive_backward, derive_jacobian
from bpcli.notation.syntax import Name, Number


def derived(*forward: str, by: list[str] | None = None) -> list[str]:
    """Returns backward equations as they are typed."""
    found = derive_backward([Eq(*map(str.strip, e.split("=", 1))) for e in forward], by)
    return [f"{e.left} = {e.right}" for e in found.equations]


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (["y[n,o] = tanh(sum(i, x[n,i] * W[i,o]) + b[o])"], [
            "dx[n,i] = sum(o, dy[n,o] * W[i,o] * (1 - y[n,o]**2))",
            "dW[i,o] = sum(n, dy[n,o] * x[n,i] * (1 - y[n,o]**2))",
            "db[o] = sum(n, dy[n,o] * (1 - y[n,o]**2))",
        ]),
        (["y[n] = log(cosh(x[n]))"], ["dx[n] = dy[n] * tanh(x[n])"]),
        (["y[n] = 3 + 1 / cosh(x[n])"], ["dx[n] = -dy[n] * tanh(x[n]) / cosh(x[n])"]),
        (["y[n,i] = 1 / (1 + exp(-x[n,i]))"], ["dx[n,i] = dy[n,i] * y[n,i] * (1 - y[n,i])"]),
        (["y[n,k] = exp(x[n,k]) / sum(k, exp(x[n,k]))"], [
            "dx[n,k] = y[n,k] * (dy[n,k] - sum(j, dy[n,j] * y[n,j]))"
        ]),
        (["top[n] = max(j, x[n,j])", "y[n,k] = exp(x[n,k] - top[n]) / sum(j, exp(x[n,j] - top[n]))"], [
            "dx[n,k] = y[n,k] * (dy[n,k] - sum(j, dy[n,j] * y[n,j]))"
        ]),
        (["y[n,i] = x[n,i] / norm(i, x[n,i])"], [
            "dx[n,i] = (dy[n,i] - y[n,i] * sum(j, dy[n,j] * y[n,j])) / norm(j, x[n,j])"
        ]),
        (["y[n,i] = log(cosh(x[n,i]))"], ["dx[n,i] = dy[n,i] * tanh(x[n,i])"]),
        (["y[n,p,f] = sum(u,c, W[u,c,f] * pad(x[n,p + u - P,c]))"], [
            "dW[u,c,f] = sum(n,p, dy[n,p,f] * pad(x[n,p + u - P,c]))",
            "dx[n,t,c] = sum(f,u, pad(dy[n,t - u + P,f]) * W[u,c,f])",
        ]),
        (["y[n,p] = sum(u, W[u] * x[n,S*p + u])"], [
            "dW[u] = sum(n,p, dy[n,p] * x[n,S * p + u])",
            "dx[n,i] = sum(u, ((i - u) % S == 0) * pad(dy[n,(i - u) // S]) * W[u])",
        ]),
        (["y[n,t,o] = W[x[n,t],o]"], ["dW[i,o] = sum(n,t, (x[n,t] == i) * dy[n,t,o])"]),
        (["L = sum(n, (sum(i, x[n,i] * w[i]) - t[n])**2)"], [
            "dx[n,i] = 2 * w[i] * (sum(j, x[n,j] * w[j]) - t[n])",
            "dw[i] = 2 * sum(n, x[n,i] * (sum(j, x[n,j] * w[j]) - t[n]))",
            "dt[n] = -2 * (sum(i, x[n,i] * w[i]) - t[n])",
        ]),
    ],
)  # fmt: skip
def test_textbook_forms(forward: list[str], backward: list[str]) -> None:
    assert derived(*forward) == backward


def test_a_case_of_a_case_is_one_and_a_bracket_under_a_condition_leaves_one_term() -> None:
    twice = "where(x[n] > 0, where(x[n] > 0, 2 * x[n], log(x[n])), where(x[n] > 0, exp(x[n]), x[n]**3))"
    assert derived(f"y[n] = {twice}") == ["dx[n] = dy[n] * where(x[n] > 0, 2, 3 * x[n]**2)"]
    found = derive_jacobian([Eq("y[n,k]", "where(x[n,k] > 0, sum(j, x[n,j] * A[j,k]), 0)")], ["x"])
    assert [e.right for e in found.equations] == ["(n == l) * where(x[n,m] > 0, A[k,m], 0)"]


def test_an_index_keeps_its_letter_though_its_values_are_counted() -> None:
    assert derived("s[n,j] = sum(d, Q[n,d] * K[j,d]) / sqrt(count(d))", by=["Q"]) == [
        "dQ[n,d] = sum(j, ds[n,j] * K[j,d]) / sqrt(count(d))"
    ]
    q, x = np.ones(4), np.ones((2, 3))  # where d has two ranges, it is the one that is counted
    found = derive_backward([Eq("y[n]", "sum(d, x[n,d]) * sum(d, q[d]) / count(d)")], ["x"], {"q": q, "x": x})
    assert [f"{e.left} = {e.right}" for e in found.equations] != ["dx[n,d] = dy[n] * sum(j, q[j]) / count(d)"]


def test_sizes_are_counted_and_never_numbers() -> None:
    x = np.ones((3, 4))
    found = derive_backward([Eq("y[n]", "mean(i, x[n,i])")], env={"x": x})
    assert [e.right for e in found.equations] == ["dy[n] / count(i)"]


class TestTies:
    """At a tie with a constant the constant wins, in either order; of two variables the first."""

    @pytest.mark.parametrize("form", ["max(x[i], 0)", "max(0, x[i])", "relu(x[i])", "clip(x[i], 0, 9)", "min(x[i], 0)",
                                      "min(0, x[i])", "clip(x[i], -9, 0)"])  # fmt: skip
    def test_a_constant_wins(self, form: str) -> None:
        assert self.slopes(form, x=[0.0, 0.0]) == {"x": [0, 0]}

    def test_of_two_variables_the_first(self) -> None:
        assert self.slopes("max(x[i], w[i])", x=[1.0], w=[1.0]) == {"x": [1], "w": [0]}
        assert self.slopes("min(w[i], x[i])", x=[1.0], w=[1.0]) == {"x": [0], "w": [1]}

    @pytest.mark.parametrize("fn", ["max", "min"])
    def test_of_a_reduction_the_first(self, fn: str) -> None:
        assert self.slopes(f"{fn}(k, x[k]) + 0 * i", x=[2.0, 2, 2]) == {"x": [2, 0, 0]}

    def slopes(self, right: str, **arrays: list[float]) -> dict[str, list[float]]:
        env = {name: np.array(a) for name, a in arrays.items()}
        eqs = [Eq("y[i<2]" if "k" in right else "y[i]", right)]
        found = derive_backward(eqs, env=env)
        y = compile_equations(eqs, env).run(env)["y"]
        known = {**env, "dy": np.ones_like(y)}
        shapes = {f"d{name}": a.shape for name, a in env.items()}
        values = compile_equations([*eqs, *found.equations], known, shapes).run(known)
        return {name: values[f"d{name}"].tolist() for name in arrays}


@pytest.mark.parametrize("size", ["0.5", "1", "0.25", "2"])
def test_what_holds_for_whole_numbers_alone_is_not_done_to_others(size: str) -> None:
    """2 i // 2 is i of an index; x // 0.5 is no 2 x of a number, and x % 0.5 not 0."""
    x, u = np.array([0.3, 1.7, -2.6]), np.array([1.0, 2.0, 3.0])
    env = {"x": x, "u": u, "dy": np.ones(3)}
    for op, value in (("//", np.floor_divide(x, float(size))), ("%", np.mod(x, float(size)))):
        for left in ("x[i]", "(2 * x[i] - x[i])"):
            eqs = [Eq("y[i]", f"({left} {op} {size}) * u[i]")]
            found = derive_backward(eqs, ["u"], env=env)
            values = compile_equations([*eqs, *found.equations], env, {"du": (3,)}).run(env)
            assert np.allclose(values["du"], value), (op, left, found.equations)


class TestWhatIsNotANumber:
    def value(self, right: str, x: list[float]) -> list[float]:
        env = {"x": np.array(x)}
        found = derive_backward([Eq("y", right)], env=env)
        values = compile_equations([Eq("y", right), *found.equations], env, {"dx": (len(x),)}).run(env)
        return [round(float(v), 6) for v in values["dx"]]

    def test_the_slope_stays_inside_the_case(self) -> None:
        assert self.value("sum(i, where(x[i] > 0, log(x[i]), 0))", [0.0, -1, 2]) == [0, 0, 0.5]
        assert self.value("sum(i, where(x[i] > 0, sqrt(x[i]), x[i]))", [0.0, 4]) == [1, 0.25]
        assert self.value("sum(i, max(sqrt(x[i]), 1))", [0.0, 4]) == [0, 0.25]

    def test_a_product_with_zeros(self) -> None:
        assert self.value("prod(i, x[i])", [0.0, 3, 2]) == [6, 0, 0]
        assert self.value("prod(i, x[i])", [0.0, 3, 0]) == [0, 0, 0]

    def test_a_power_of_zero(self) -> None:
        assert self.value("sum(i, x[i]**2)", [0.0, 3]) == [0, 6]

    def test_steps_have_no_slope_and_remainders_one(self) -> None:
        assert self.value("sum(i, floor(x[i]) + sign(x[i]) + x[i] // 2 + (x[i] > 0))", [0.3, -3]) == [0, 0]
        assert self.value("sum(i, x[i] % 2)", [0.3, -3]) == [1, 1]


def _chain(op: str, term: str, length: int) -> str:
    return op.join(term.replace("k", str(k)) for k in range(1, length + 1))


LONG = [
    _chain(" + ", "where(x > k, x, cos(x*k))", 300),
    _chain(" * ", "cos(x*k)", 119),
    _chain(" * ", "cos(x*k)", 300),
    _chain(" / ", "cosh(x + k)", 200),
    _chain(" * ", "(x + k)", 200),
    _chain(" * ", "(x**k + k*x)", 100),
    _chain(" + ", f"({_chain('*', 'cos(x*k)', 20)})", 40),
    _chain(" + ", "norm(i<3, x*k + i)", 100),
    _chain(" * ", "(x % k)", 200),
    _chain(" * ", "sigmoid(x + k)", 200),
]


def test_part_of_a_product_has_a_name() -> None:
    forward = ["q[n] = 2 * x[n]**2", "y[n] = q[n] - 2 * x[n]**3 * z[n]"]
    assert derived(*forward, by=["z"]) == ["dz[n] = -dy[n] * x[n] * q[n]"]


class TestRefusals:
    def test_percentile(self) -> None:
        with pytest.raises(NotationError, match="percentile has no derivative"):
            derived("y = percentile(i, 50, x[i])")

    def test_a_derivation_that_grows_without_bound(self) -> None:
        nested = "x"
        for _ in range(40):
            nested = f"tanh({nested}) * x"
        with pytest.raises(NotationError, match="more than 20,000") as caught:
            derived(f"y = {nested}")
        assert "an equation of its own" in caught.value.help

    @pytest.mark.parametrize("formula", [*LONG[:2], *(pytest.param(f, marks=pytest.mark.slow) for f in LONG[2:])])
    def test_what_is_too_long_is_refused_before_much_is_done(self, formula: str) -> None:
        with Work() as done, pytest.raises(NotationError, match=r"more than [24]0,000"):
            derived(f"y = {formula}")
        assert done.calls < 15_000_000  # some two seconds; without limits, minutes

    @pytest.mark.parametrize("formula", ["1e200*x*1e200", "(1e200*x)**-1*1e-200", "(2*1e200*1e200)*x"])
    def test_numbers_that_are_no_floats(self, formula: str) -> None:
        with pytest.raises(NotationError, match="too large or too small for a float"):
            derived(f"y = {formula}")

    @pytest.mark.parametrize(("formula", "slope"), [("10**400*x", "10**400"), ("(3*x)**-900", "-2700 * (3*x)**-901"),
                                                    ("2**10*x", "1024")])  # fmt: skip
    def test_powers_of_numbers_are_written_out_where_they_are_short(self, formula: str, slope: str) -> None:
        assert derived(f"y = {formula}")[0].replace(" ", "") == f"dx={slope}".replace(" ", "")

    def test_nothing(self) -> None:
        with pytest.raises(NotationError, match="no equation to derive"):
            derive_backward([])


def test_jacobian_of_softmax() -> None:
    found = derive_jacobian([Eq("y[n,k]", "exp(x[n,k]) / sum(k, exp(x[n,k]))")])
    assert [f"{e.left} = {e.right}" for e in found.equations] == [
        "dy_dx[n,k,j,l] = (n == j) * y[n,k] * ((k == l) - y[n,l])"
    ]


def test_steps_are_told() -> None:
    found = derive_backward([Eq("y[n,o]", "exp(sum(i, x[n,i] * W[i,o]))")], ["W"])
    assert [s.rule for s in found.steps] == ["chain rule, exp", "sum", "product rule", "entry"]
    assert found.steps[-1].why == ("W is used at every n: what arrives there adds up",)


def test_what_cancels_is_told_where_it_does() -> None:
    """The third path of batch normalization: the variance leans on the mean, and deviations from it add up to 0."""
    found = derive_backward([Eq("mu", "mean(i, x[i])"), Eq("var", "mean(i, (x[i] - mu)**2)")], ["x"])
    steps = [s for s in found.steps if "deviations from their mean add up to 0" in s.why]
    assert [(s.rule, str(s.at), s.after[0][1]) for s in steps] == [("entry", str(Name("mu")), Number(0))]
