"""Worked lines: whoever computes what is printed gets what is printed."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpcli.notation import Eq, NotationError, compile_equations
from bpcli.notation.calculator import reevaluate
from bpcli.notation.latex import Latex
from bpcli.notation.mathml import MathML
from bpcli.notation.rounding import value_and_scale
from bpcli.notation.syntax import Call, Number, parse_expression
from bpcli.notation.worked import Worked, work_out_entry

RNG = np.random.default_rng(11)


def work(left: str, right: str, at: tuple[int, ...] = (), **options: Any) -> Worked:
    """The worked entry of one equation; keyword arguments that are no options of it are its arrays and numbers."""
    env = {k: np.asarray(v) if np.ndim(v) else v for k, v in options.items() if k not in ("digits", "terms", "ascii")}
    options = {k: v for k, v in options.items() if k not in env}
    (grid,) = compile_equations([Eq(left, right)], env).grids
    return work_out_entry(grid, env, at, **options)


def closes(w: Worked, digits: int) -> bool:
    """An independent judge: the printed result, to its own last digit, is what the printed line comes to."""
    found = reevaluate(w.substituted)
    printed = float(w.result.replace("−", "-").replace("∞", "inf"))
    if printed == found or (math.isnan(printed) and math.isnan(found)):
        return True
    if printed == 0:
        return abs(found) <= max(10.0**-digits * value_and_scale(w.tree)[1], 1e-300)
    mantissa, _, exponent = w.result.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(found - printed) <= 0.5000001 * unit


class TestLines:
    def test_the_shape_of_a_line(self) -> None:
        w = work("dW[i,o]", "sum(n, x[n,i]*dy[n,o])", (0, 1), x=[[0.7, 1]], dy=[[1.0, -0.12]])
        assert w.line == "dW[0,1] = 0.7·(−0.12) = −0.084"
        assert (w.left, w.substituted, w.result, w.closes) == ("dW[0,1]", "0.7·(−0.12)", "−0.084", True)
        assert w.value == pytest.approx(-0.084, rel=1e-15)

    def test_numbers_get_more_digits_until_the_line_closes(self) -> None:
        """0.7 times -0.118758 is -0.0831306, but the product is -0.0831303."""
        w = work("y", "a*b", a=0.7, b=-0.1187576123)
        assert w.line == "y = 0.7·(−0.1187576) = −0.0831303"
        w = work("y", "-log(p)", p=0.567147654321, digits=5)
        assert w.line == "y = −log(0.5671477) = 0.56714"

    def test_short_decimals_print_as_written(self) -> None:
        assert work("y", "a*b + c", a=0.7, b=2.0, c=-1e-8).line == "y = 0.7·2 + (−1e-8) = 1.40000"
        assert work("y", "a*b", a=0.7, b=0.5).line == "y = 0.7·0.5 = 0.35"
        assert work("y", "a + b", a=0.1, b=0.2).line == "y = 0.1 + 0.2 = 0.3"
        assert work("y", "a + b", a=0.1, b=0.2000000001).line == "y = 0.1 + 0.200000 = 0.300000"
        assert work("y", "t[0] - n", n=12345678, t=np.array([12345679])).line == "y = 12345679 − 12345678 = 1"

    def test_negative_numbers_get_parentheses_in_products_and_powers(self) -> None:
        assert work("y", "a*b**2/c - d", a=-1.0, b=-2.0, c=-4.0, d=-3.0).line == "y = (−1)·(−2)² / (−4) − (−3) = 4"

    def test_ascii(self) -> None:
        w = work("y[n]", "where(x[n] >= 0, sqrt(x[n]*2)*pi, 0)", (0,), x=[0.3], ascii=True)
        assert w.line == "y[0] = sqrt(0.3*2)*pi = 2.43347"
        assert w.notes == ("since 0.3 >= 0",)
        assert "π" in work("y", "2*pi").line

    @pytest.mark.parametrize("digits", [1, 3, 9, 14, 99])
    def test_any_number_of_digits(self, digits: int) -> None:
        w = work("y", "a*b", a=1 / 3, b=1 / 7, digits=digits)
        assert w.closes
        assert len(w.result.removeprefix("0.0")) == min(digits, 15)  # 1/21 as a double is 0.0476190476190476

    def test_other_readers_draw_the_same_numbers(self) -> None:
        x = RNG.normal(size=9)
        w = work("y", "max(i, x[i]) + sum(i, x[i]) / 2 + argmax(i, x[i]) + percentile(i, 40, x[i])", x=x, terms=3)
        for line in (Latex(digits=w.digits).draw(w.tree).text, MathML(digits=w.digits).draw(w.tree).text):
            assert f"{np.sort(x)[-1]:.{w.digits - 1}f}" in line
        ET.fromstring(f"<math>{line}</math>")
        assert r"\underbrace{" in Latex(digits=6).draw(w.tree).text


class TestSums:
    def test_terms_that_are_0_are_counted(self) -> None:
        w = work("y", "sum(i, x[i]*w[i]) + b", x=[0.5, 0, 2, 0], w=[1.0, 7, -3, 0], b=0.25)
        assert w.line == "y = 0.5·1 + 2·(−3) + 0.25 = −5.25"
        assert w.notes == ("2 of 4 terms are 0",)
        w = work("y", "sum(i, x[i]*w[i])", x=[0.0, 0], w=[1.0, 7])
        assert (w.line, w.notes) == ("y = 0 = 0", ("every term is 0",))

    def test_long_sums_keep_the_biggest_terms_and_the_rest_closes(self) -> None:
        x, w = RNG.normal(size=784) * (RNG.random(784) < 0.2), RNG.normal(size=784)
        line = work("z", "sum(i, x[i]*W[i])", x=x, W=w)
        shown = line.substituted.split(" + ")
        assert len(shown) == 6
        assert shown[-1].startswith(f"[{np.count_nonzero(x) - 5} more: ")
        biggest = np.sort(np.abs(x * w))[-5:]
        np.testing.assert_allclose(sorted(abs(reevaluate(t)) for t in shown[:-1]), biggest, rtol=1e-4)
        assert line.closes
        assert reevaluate(line.substituted) == pytest.approx(x @ w, rel=1e-5)

    def test_as_many_terms_as_may_be_shown_are_shown(self) -> None:
        assert "more" not in work("z", "sum(i, x[i])", x=[1.0, 2, 3], terms=3).substituted
        assert work("z", "sum(i, x[i])", x=[1.0, 2, 4, 3], terms=3).substituted == "4 + 3 + [2 more: 3]"

    def test_means_say_how_many(self) -> None:
        w = work("L", "mean(n, (y[n] - t[n])**2)", y=[0.5, 1, 2], t=[1.0, 1, 4])
        assert w.line == "L = ((0.5 − 1)² + (2 − 4)²) / 3 = 1.41667"

    def test_every_term_of_a_sum_of_sums_stands_in_parentheses(self) -> None:
        assert work("z", "sum(n, x[n] - 1)", x=[3.0, 5]).substituted == "(3 − 1) + (5 − 1)"
        inner = work("z", "sum(n, sum(k, x[n,k]))", x=[[1.0, 0], [2, 3]])
        assert inner.substituted == "1 + (2 + 3)"
        assert inner.notes == ("1 of 2 terms of an inner sum is 0",)

    def test_products(self) -> None:
        assert work("z", "prod(n, x[n])", x=[2.0, -3, 0.5]).line == "z = 2·(−3)·0.5 = −3"
        w = work("z", "prod(n, x[n])", x=[2.0, -3, 0.5, 0.1, 7], terms=3)
        assert w.line == "z = (−3)·7·[3 more: 0.1] = −2.1"


class TestBranchesAndWinners:
    def test_only_the_branch_taken_is_printed(self) -> None:
        w = work("y[n]", "where(x[n] > 0, x[n], a*(exp(x[n]) - 1))", (0,), x=[-1.0], a=2.0)
        assert w.line == "y[0] = 2·(e^(−1) − 1) = −1.26424"
        assert w.notes == ("since −1 ≤ 0",)
        w = work("y[n]", "where(n < 1, x[n + 1], where(n == 1, 1/x[n], x[n]))", (2,), x=[1.0, 2, 5])
        assert (w.line, w.notes) == ("y[2] = 5 = 5", ("since 2 ≥ 1", "since 2 ≠ 1"))

    def test_conditions_inside_a_sum_are_not_listed(self) -> None:
        assert work("y", "sum(i, where(x[i] > 0, x[i], 0))", x=[1.0, -1]).notes == ("1 of 2 terms is 0",)

    def test_a_maximum_names_its_winner(self) -> None:
        x = np.array([[0.3, 0.7, -0.2], [0.7, 0.1, 0.2]])
        w = work("y[n]", "max(k, x[n,k])", (0,), x=x)
        assert (w.line, w.notes) == ("y[0] = max(0.3, 0.7, −0.2) = 0.7", ("largest at k = 1",))
        w = work("y", "max(n, k, x[n,k])", x=x)
        assert w.notes == ("largest at n = 0, k = 1",)
        w = work("y", "argmax(k, n, x[n,k])", x=x, terms=3)  # counted along k, then n
        assert (w.line, w.notes) == ("y = argmax(1: 0.7, 2: 0.7, [4 more: 0.3]) = 1", ("largest at k = 0, n = 1",))

    def test_near_ties_get_the_digits_that_tell_them_apart(self) -> None:
        w = work("y", "argmax(k, x[k])", x=[0.12345678, 0.12345679])
        assert w.substituted == "argmax(0: 0.12345678, 1: 0.12345679)"
        assert work("y", "x[0] > x[1]", x=[0.12345679, 0.12345678]).line == "y = [0.12345679 > 0.12345678] = 1"

    def test_padding_reads_as_what_it_gives(self) -> None:
        assert work("y", "max(u<3, pad(x[u - 1], -inf))", x=[-2.0, -1]).line == "y = max(−∞, −2, −1) = −1"

    def test_percentiles(self) -> None:
        h = np.array([3.0, 1, 2, 10, 0.5])
        assert work("c", "percentile(s, p, h[s])", h=h, p=10.0).line == "c = P_10(3, 1, 2, 10, 0.5) = 0.7"
        w = work("c", "percentile(s, p, h[s])", h=h, p=10.0, terms=3)
        assert w.line == "c = 0.5 + 0.4·(1 − 0.5) = 0.7"
        assert w.notes == ("between places 0 and 1 of 5 sorted values, counted from 0",)
        assert work("c", "percentile(s, p, h[s])", h=h, p=100.0, terms=3).line == "c = 10 + 0·(10 − 10) = 10"


class TestEnds:
    def test_stable_functions_print_as_the_textbook_has_them(self) -> None:
        assert work("y", "log1pexp(z)", z=800.0).line == "y = log(1 + e^(800)) = 800"
        assert work("y", "log1pexp(z)", z=-46.0).line == "y = log(1 + e^(−46)) = 1.05306e-20"
        assert work("y", "expm1(z) + log1p(z)", z=1e-200).line == "y = e^(1e-200) − 1 + log(1 + 1e-200) = 2e-200"
        assert work("y", "xlogy(a, b)", a=2.0, b=0.5).line == "y = 2·log(0.5) = −1.38629"
        assert work("y", "xlogy(a, a)", a=0.0).line == "y = 0 = 0"
        assert work("y", "logsumexp(k, x[k])", x=[800.0, 801, -800]).line == (
            "y = log(e^(800) + e^(801) + e^(−800)) = 801.313"
        )
        elided = work("y", "logsumexp(k, x[k])", x=[800.0, 801, 1, 802, 801.5], terms=3)
        assert elided.line == "y = log(e^(802) + e^(801.5) + e^([3 more: 801.313])) = 802.747"
        assert elided.closes

    def test_a_saturated_exponential_says_so(self) -> None:
        w = work("y", "1 / (1 + exp(-x))", x=-800.0)
        assert w.substituted == "1 / (1 + e^(700))"
        assert w.notes == ("e^ saturates at 700",)
        assert w.closes
        assert work("y", "1 / (1 + exp(-x))", x=800.0).line == "y = 1 / (1 + e^(−800)) = 1"

    def test_what_is_nothing_but_rounding_is_0(self) -> None:
        w = work("y", "a + b - c", a=0.1, b=0.2, c=0.3)
        assert w.value == pytest.approx(5.6e-17, rel=0.1)
        assert (w.line, w.notes) == ("y = 0.1 + 0.2 − 0.3 = 0", ("rounding",))
        x = RNG.normal(size=50)
        w = work("y", "sum(n, x[n] - m)/s", x=x, m=x.mean(), s=3.0)
        assert w.result == "0"
        assert w.closes

    def test_what_is_small_but_true_is_not(self) -> None:
        assert work("y", "a*b", a=1e-20, b=2.0).line == "y = 1e-20·2 = 2e-20"
        assert work("y", "exp(-x) - exp(-z)", x=50.0, z=60.0).result == "1.92866e-22"

    def test_cancellation_leaves_the_digits_that_are_true(self) -> None:
        w = work("y", "1 + a - 1", a=1e-13)
        assert w.line == "y = 1 + 1e-13 − 1 = 1.0e-13"
        assert w.notes == ("cancellation leaves 2 digits",)

    def test_no_number_and_infinity(self) -> None:
        with np.errstate(all="ignore"):
            assert work("y", "log(x)", x=0.0).line == "y = log(0) = −∞"
            assert work("y", "log(x)", x=-1.0).result == "nan"
            assert work("y", "log(x)", x=-1.0).closes


class TestReevaluate:
    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("−2²", -4), ("(−2)²", 4), ("2·3 − 4 / 8", 5.5), ("1 − 2 − 3", -4), ("8 / 4 / 2", 1), ("−2·−3", 6),
            ("−7 mod 4", 1), ("|−3 + |−2||·2", 2), ("⌊7/2⌋", 3), ("floor(-7/2)", -4), ("√2·√2", 2), ("sqrt(16)", 4),
            ("e^(−1)·e^(1)", 1), ("2^(−1)", 0.5), ("2¹⁰", 1024), ("0^(0)", 1), ("[1 > 0] + [1 = 2] + [1 ≠ 2]", 2),
            ("[113 more: −0.2]", -0.2), ("max(1, 2·3, 4)", 6), ("min(1, −2)", -2),
            ("argmax(3: 0.5, 7: 0.5, [2 more: 0.1])", 3), ("P_50(3, 1, 2)", 2), ("P_10(3, 1, 2, 10, 0.5)", 0.7),
            ("log(1 + 1e-300)", 1e-300), ("log(e^(800))", 800), ("tanh(0.5)", math.tanh(0.5)),
            ("sin(1)·cos(1)·erf(1)·sign(−2)", -math.sin(1) * math.cos(1) * math.erf(1)), ("2·π", 2 * math.pi),
            ("pi/1", math.pi), ("∞", math.inf), ("1 / 0", math.inf), ("1.5e-7·2", 3e-7),
        ],
    )  # fmt: skip
    def test_values(self, line: str, value: float) -> None:
        assert reevaluate(line) == pytest.approx(value, rel=1e-15)

    @pytest.mark.parametrize(
        "line",
        ["", "2 3", "1 +", "x", "(1", "1)", "[1]", "[1 > 2", "e", "max()", "2 ** 3", "a.b", "__import__('os')", "1;2",
         "P_(1", "⌊1⌋⌋", "f(1)", "log 2", "1 < 2"],
    )  # fmt: skip
    def test_what_it_cannot_read_is_an_error_that_says_where(self, line: str) -> None:
        with pytest.raises(NotationError, match="cannot be read at"):
            reevaluate(line)

    @pytest.mark.parametrize("piece", ["(", "√", "|", "log(", "[", "e^("])
    def test_depth_is_bounded(self, piece: str) -> None:
        with pytest.raises(NotationError, match="more than 100 parentheses inside each other"):
            reevaluate(piece * 100_000)
        assert reevaluate("-" * 100_000 + "1") == 1

    @pytest.mark.parametrize("line", ["sin(∞)", "max(1, nan)", "min(nan, 1)", "argmax(0: nan, 1: 2)", "P_50(1, nan)"])
    def test_what_has_no_value_is_nan(self, line: str) -> None:
        assert math.isnan(reevaluate(line))

    def test_huge_powers_come_to_an_end(self) -> None:
        assert reevaluate("9^(9^(9^(9)))") == math.inf
        assert reevaluate("e^(e^(e^(e^(9))))") == math.inf


READS = {"x[n,i]": "ni", "W[i,o]": "io", "b[o]": "o", "v[n]": "n", "t[n]": "n", "pad(x[n, i + o])": "nio"}
ONE = [
    "tanh({})", "exp(-abs({}))", "log(1 + abs({}))", "sqrt(abs({}))", "sin({})", "cos({})", "erf({})", "erfc({})",
    "log1pexp({})",
    "expm1(tanh({}))", "log1p(abs({}))", "abs({})", "xlogy(abs({0}), 1 + abs({0}))", "({})**2", "({})**3", "(-{})",
    "(1 + abs({}))**-0.5", "(1 + abs({}))**(-3/2)", "0.9**abs({})",
]  # fmt: skip
TWO = ["({} + {})", "({} - {})", "({} * {})", "({} / (1 + abs({})))", "min({}, {})", "max({}, {})"]


@st.composite
def right_sides(draw: st.DrawFn, letters: str = "no", depth: int = 3) -> str:
    """Any expression; what jumps (comparisons, argmax) looks at numbers as they are, not at a sum that may round."""

    def leaf() -> str:
        reads = [r for r, need in READS.items() if set(need) <= set(letters)]
        return draw(st.sampled_from([*reads, "c0", "k3", "0.5", "pi"]))

    def sub() -> str:
        return draw(right_sides(letters, depth - 1))

    kind = draw(st.sampled_from(["leaf", "one", "two", "where", "bracket", "reduce", "reduce"])) if depth else "leaf"
    if kind == "one":
        return draw(st.sampled_from(ONE)).format(sub())
    if kind == "two":
        return draw(st.sampled_from(TWO)).format(sub(), sub())
    if kind == "where":
        return f"where({leaf()} > {leaf()}, {sub()}, {sub()})"
    if kind == "bracket":
        return f"({leaf()} {draw(st.sampled_from(['>', '<', '==', '<=', '!=']))} {leaf()})"
    if kind == "reduce" and "i" not in letters:
        fn = draw(st.sampled_from(["sum", "sum", "mean", "prod", "max", "logsumexp", "argmax", "percentile"]))
        if fn in ("argmax", "percentile"):
            rank = "30, " if fn == "percentile" else ""
            return f"{fn}(i<5, {rank}{draw(right_sides(letters + 'i', 0))})"
        return f"{fn}(i<5, {draw(right_sides(letters + 'i', depth - 1))})"
    return leaf()


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.7, -0.3, 2.5, 0.1, 0.2]),
    st.floats(-3, 3),
    st.floats(-1e-6, 1e-6),
    st.floats(-50, 50),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_printed_line_closes(data: st.DataObject) -> None:
    def array(*shape: int) -> np.ndarray:
        n = math.prod(shape)
        return np.array(data.draw(st.lists(VALUES, min_size=n, max_size=n))).reshape(shape)

    source = data.draw(right_sides())
    env = {"x": array(2, 5), "W": array(5, 2), "b": array(2), "v": array(2), "t": np.array([1, 3])}
    digits = data.draw(st.sampled_from([2, 3, 6]))
    shapes = {k: v.shape for k, v in env.items()}
    (grid,) = compile_equations([Eq("y[n<2,o<2]", source)], {}, shapes).grids
    w = work_out_entry(
        grid, {**env, "c0": data.draw(VALUES), "k3": 3}, (1, 0), digits, data.draw(st.sampled_from([2, 3, 6])),
        data.draw(st.booleans()),
    )  # fmt: skip
    assert w.closes, w
    assert closes(w, digits), w


@pytest.mark.parametrize(
    ("line", "value", "size"),
    [
        ("abs(3 - 2.5)", 0.5, 5.5), ("sin(3 - 2)", math.sin(1), 5), ("exp(3 - 2)", math.e, 5 * math.e),
        ("log(3 - 2)", 0, 5), ("sqrt(3 - 2)", 1, 2.5), ("tanh(3 - 2)", math.tanh(1), 5 / math.cosh(1) ** 2),
        ("expm1(3 - 2)", math.e - 1, 5 * math.e), ("log1p(3 - 2)", math.log(2), 2.5),
        ("log1pexp(3 - 2)", math.log(1 + math.e), 5 / (1 + math.exp(-1))), ("(3 - 2)**3", 1, 15), ("7 // 2", 3, 3),
        ("7 % 4", 3, 3), ("(3 - 2)*(4 + 1)", 5, 25), ("(3 - 2)/-2", -0.5, 2.5), ("-(3 - 2)", -1, 5),
        ("1 / (2 - 2)", math.inf, math.inf), ("log(2 - 2)", -math.inf, math.inf),
        ("max(3 - 2, 4 - 5)", 1, 5), ("sqrt(2 - 2)", 0, 4),
    ],
)  # fmt: skip
def test_rounding_errors_are_those_of_the_terms_times_the_slope_of_what_is_done_to_them(
    line: str, value: float, size: float
) -> None:
    assert value_and_scale(parse_expression(line)) == pytest.approx((value, size), rel=1e-12)


def test_a_power_of_what_was_rounded_to_0() -> None:
    """1 + 2e-110 is 1 to the engine, and its logarithm 0; to a calculator with digits enough it is not."""
    (grid,) = compile_equations([Eq("y", "(tanh(log(1 + abs(c0))))**2")], {}).grids
    w = work_out_entry(grid, {"c0": 2.353416605824022e-110}, (), 3)
    assert w.closes
    assert w.result == "0"
    assert "rounding" in w.notes


def test_every_line_of_a_small_network_closes() -> None:
    x = np.round(RNG.normal(size=(3, 4)), 2)
    env: dict[str, Any] = {"x": x, "W": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3), "t": np.array([2, 0, 1])}
    equations = [
        Eq("y[n,o]", "sum(i, x[n,i] * W[i,o]) + b[o]"),
        Eq("lse[n]", "logsumexp(k, y[n,k])"),
        Eq("p[n,k]", "exp(y[n,k] - lse[n])"),
        Eq("L", "mean(n, lse[n] - y[n,t[n]])"),
        Eq("dy[n,k]", "(p[n,k] - (k == t[n])) / count(n)"),
        Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])"),
        Eq("db[o]", "sum(n, dy[n,o])"),
        Eq("total", "sum(n, k, dy[n,k])"),
        Eq("W_new[i,o]", "W[i,o] - 0.5 * dW[i,o]"),
    ]
    program = compile_equations(equations, env)
    env |= program.run(env)
    for grid in program.grids:
        for at in itertools.product(*map(range, grid.shape)):
            w = work_out_entry(grid, env, at)
            assert w.closes
            assert closes(w, 6), w.line
            assert w.value == pytest.approx(env[grid.name][at], rel=1e-13, abs=1e-15)
            if grid.name == "total":
                assert (w.result, w.notes) == ("0", ("rounding",))


class TestScale:
    """How big the terms are that a value is the sum of."""

    @pytest.mark.parametrize(
        ("source", "value", "scale"),
        [
            ("3 - 2", 1.0, 5.0), ("-(3 - 2)", -1.0, 5.0), ("2 * (3 - 2)", 2.0, 10.0), ("(3 - 2) / 4", 0.25, 1.25),
            ("(3 - 1)**2", 4.0, 16.0), ("(3 - 3)**2", 0.0, 36.0), ("pi - 3", math.pi - 3, math.pi + 3),
            ("exp(3 - 2)", math.e, 5 * math.e), ("sqrt(3 + 1)", 2.0, 2.0), ("tanh(0 * 5)", 0.0, 0.0),
            ("log(2 - 1)", 0.0, 3.0), ("abs(3 - 2)", 1.0, 5.0), ("log(0 * 1)", -math.inf, math.inf),
            ("max(3 - 2, 0)", 1.0, 5.0), ("min(3 - 2, 0)", 0.0, 0.0), ("7 // 2", 3.0, 3.0), ("-7 % 4", 1.0, 1.0),
            ("1 / (1 - 1)", math.inf, math.inf), ("expm1(2 - 1)", math.e - 1, 3 * math.e),
            ("log1p(3 - 2)", math.log(2), 2.5), ("log1pexp(2 - 2)", math.log(2), 2.0),
        ],
    )  # fmt: skip
    def test_of_a_tree_of_numbers(self, source: str, value: float, scale: float) -> None:
        found = value_and_scale(parse_expression(source))
        assert found == pytest.approx((value, scale), rel=1e-12)

    def test_of_sums_of_many_terms(self) -> None:
        """What stands beside a place is the value; what is left of a sum brings its own size."""
        terms = (Number(3.0), Number(-2.0), Call("rest", (Number(5), Number(0.5), Number(4.0))))
        assert value_and_scale(Call("sum", terms)) == (1.5, 9.0)
        assert value_and_scale(Call("at", (Number(7), Number(-0.5)))) == (-0.5, 0.5)
