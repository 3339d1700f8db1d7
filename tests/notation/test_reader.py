"""How equations are drawn: symbols, parentheses, and the same sense for every reader."""

from __future__ import annotations

import operator
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.notation import Eq
from bpcli.notation.functions import POINTWISE, REDUCTIONS
from bpcli.notation.latex import Latex
from bpcli.notation.mathml import MathML
from bpcli.notation.symbols import format_number, gradient_of, symbol_of
from bpcli.notation.syntax import Binary, Compare, Expr, Name, Negate, Number, parse, parse_expression
from bpcli.notation.text import Ascii, Text

KNOWN = {"x", "W", "b", "y", "mu", "var", "xhat", "beta", "L", "m", "q"}


def drawn(left: str, right: str, ascii: bool = False) -> str:
    return (Ascii if ascii else Text)(KNOWN).equation(parse(Eq(left, right)))


def right(source: str, ascii: bool = False) -> str:
    return drawn("z", source, ascii).removeprefix("z = ")


def tex(source: str) -> str:
    return Latex(KNOWN).equation(parse(Eq("z", source))).removeprefix("z = ")


class TestSymbols:
    @pytest.mark.parametrize(
        ("name", "parameter"),
        [
            ("dW", "W"),
            ("dmu", "mu"),
            ("dxhat", "xhat"),
            ("decay", None),
            ("delta", None),
            ("d", None),
            ("dropped", None),
        ],
    )
    def test_a_gradient_is_d_and_a_known_name(self, name: str, parameter: str | None) -> None:
        assert gradient_of(name, KNOWN) == parameter
        assert symbol_of(name, KNOWN).gradient == (parameter is not None)

    @pytest.mark.parametrize(
        ("name", "unicode", "ascii", "in_latex"),
        [
            ("x", "x", "x", "x"),
            ("mu", "μ", "mu", r"\mu"),
            ("lr", "η", "lr", r"\eta"),
            ("eps", "ε", "eps", r"\varepsilon"),
            ("strength", "λ", "strength", r"\lambda"),
            ("b1", "β₁", "b1", r"\beta_{1}"),
            ("w12", "w₁₂", "w12", "w_{12}"),
            ("xhat", "x̂", "xhat", r"\hat{x}"),
            ("var", "σ²", "var", r"\sigma^{2}"),
            ("m_new", "m⁺", "m_new", "m^{+}"),
            ("var_new", "σ²⁺", "var_new", r"\sigma^{2+}"),
            ("dW", "∂L/∂W", "dL/dW", r"\frac{\partial L}{\partial W}"),
            ("dvar", "∂L/∂σ²", "dL/dvar", r"\frac{\partial L}{\partial \sigma^{2}}"),
            ("dW_new", "(∂L/∂W)⁺", "dL/dW_new", r"\left(\frac{\partial L}{\partial W}\right)^{+}"),
            ("decay", "decay", "decay", r"\mathrm{decay}"),
            ("delta", "δ", "delta", r"\delta"),
            ("max_norm", "max_norm", "max_norm", r"\mathrm{max\_norm}"),
            ("inf", "∞", "inf", r"\infty"),
            ("chat9", "chat9", "chat9", r"\mathrm{chat9}"),
        ],
    )
    def test_names(self, name: str, unicode: str, ascii: str, in_latex: str) -> None:
        assert right(name) == unicode
        assert right(name, ascii=True) == ascii
        assert tex(name) == in_latex

    @pytest.mark.parametrize(
        ("value", "digits", "expected"),
        [
            (0.7, 6, "0.7"), (0.7, None, "0.7"), (2.0, None, "2"), (1 / 3, 6, "0.333333"), (0.50000001, 6, "0.500000"),
            (-0.0, 6, "0"), (1e-8, None, "1e-8"), (1.5e-7, 6, "1.5e-7"), (1.23456789e-7, 6, "1.23457e-7"),
            (0.0001, 6, "0.0001"), (0.00001, 6, "1e-5"), (1234567.8, 6, "1.23457e6"), (123456.7, 6, "123457"),
            (642400.0, 6, "642400"), (9.9999999, 6, "10.0000"), (float("-inf"), 6, "-inf"), (float("nan"), 6, "nan"),
            (12345678, 3, "12345678"), (0.1 + 0.2, 17, "0.30000000000000004"), (-2.5, 1, "-2"),
        ],
    )  # fmt: skip
    def test_figures(self, value: float, digits: int | None, expected: str) -> None:
        assert format_number(value, digits) == expected

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_seventeen_digits_give_a_double_back(self, value: float) -> None:
        assert float(format_number(value, 17)) == value
        assert float(format_number(value)) == value


class TestText:
    @pytest.mark.parametrize(
        ("left", "source", "unicode", "ascii"),
        [
            ("y[n,o]", "sum(i, x[n,i]*W[i,o]) + b[o]", "y[n,o] = Σ_i x[n,i]·W[i,o] + b[o]",
             "y[n,o] = sum_i x[n,i]*W[i,o] + b[o]"),
            ("dW[i,o]", "sum(n, x[n,i]*dy[n,o])", "∂L/∂W[i,o] = Σ_n x[n,i]·∂L/∂y[n,o]",
             "dL/dW[i,o] = sum_n x[n,i]*dL/dy[n,o]"),
            ("m_new[j]", "b1*m[j] + (1 - b1)*g[j]**2", "m⁺[j] = β₁·m[j] + (1 − β₁)·g[j]²",
             "m_new[j] = b1*m[j] + (1 - b1)*g[j]^2"),
            ("y[n,p]", "pad(x[n, s*p + u - a], -inf)", "y[n,p] = x[n, s·p + u − a]", "y[n,p] = x[n, s*p + u - a]"),
            ("y[n]", "where(x[n] > 0, x[n], a*(exp(x[n]) - 1))",
             "y[n] = {x[n] if x[n] > 0; a·(e^(x[n]) − 1) otherwise}",
             "y[n] = {x[n] if x[n] > 0; a*(e^(x[n]) - 1) otherwise}"),
            ("z", "where(a > 1, 2, where(a != 0, 3, 4))", "z = {2 if a > 1; 3 if a ≠ 0; 4 otherwise}",
             "z = {2 if a > 1; 3 if a != 0; 4 otherwise}"),
            ("z", "where(a, 1, 0)", "z = {1 if a ≠ 0; 0 otherwise}", "z = {1 if a != 0; 0 otherwise}"),
            ("y[n]", "log1pexp(beta*x[n])/beta", "y[n] = log(1 + e^(β·x[n])) / β",
             "y[n] = log(1 + e^(beta*x[n])) / beta"),
            ("L", "mean(n, -sum(k, xlogy(t[n,k], p[n,k])))", "L = (1/N)·Σ_n (−Σ_k t[n,k]·log(p[n,k]))",
             "L = (1/N)*sum_n (-sum_k t[n,k]*log(p[n,k]))"),
            ("l[n]", "logsumexp(k, x[n,k])", "l[n] = log(Σ_k e^(x[n,k]))", "l[n] = log(sum_k e^(x[n,k]))"),
            ("c", "percentile(s, p, h[s])", "c = P_p(h[s] : s)", "c = P_p(h[s] : s)"),
            ("z", "x / count(n,h,e<Cg) - count(n)", "z = x / (N·H·Cg) − N", "z = x / (N*H*Cg) - N"),
            ("z[n,...]", "mean(n,..., x[n,...,c])", "z[n,…] = (1 / (N·…))·Σ_{n,…} x[n,…,c]",
             "z[n,...] = (1 / (N*...))*sum_{n,...} x[n,...,c]"),
            ("z[n,i<K]", "max(u<k, v<k, x[u,v]) + argmax(k, x[k]) * prod(k, 1 + x[k])",
             "z[n,i] = max_{u<k,v<k} x[u,v] + (argmax_k x[k])·Π_k (1 + x[k])",
             "z[n,i] = max_{u<k,v<k} x[u,v] + (argmax_k x[k])*prod_k (1 + x[k])"),
            ("z", "sqrt(x) + sqrt(2*pi) + abs(x - 1) + floor(x/2) + x // 2 % 3 + log1p(x)",
             "z = √x + √(2·π) + |x − 1| + ⌊x/2⌋ + ⌊x/2⌋ mod 3 + log(1 + x)",
             "z = sqrt(x) + sqrt(2*pi) + |x - 1| + floor(x/2) + floor(x/2) mod 3 + log(1 + x)"),
            ("J[k,j]", "y[k] * ((k == j) - y[j])", "J[k,j] = y[k]·([k = j] − y[j])", "J[k,j] = y[k]*([k = j] - y[j])"),
            ("z", "min(erf(x), tanh(x))*sign(x) >= 1", "z = [min(erf(x), tanh(x))·sign(x) ≥ 1]",
             "z = [min(erf(x), tanh(x))*sign(x) >= 1]"),
        ],
    )  # fmt: skip
    def test_equations(self, left: str, source: str, unicode: str, ascii: str) -> None:
        assert drawn(left, source) == unicode
        assert drawn(left, source, ascii=True) == ascii

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("a - (b - c)", "a − (b − c)"), ("a + (b + c)", "a + (b + c)"), ("a - b + c", "a − b + c"),
            ("a*(b + c)*d", "a·(b + c)·d"), ("a*(b*c)", "a·(b·c)"), ("a/b*c", "(a/b)·c"), ("a/(b*c)", "a / (b·c)"),
            ("a/b/c", "(a/b) / c"), ("a/(b/c)", "a / (b/c)"), ("a*b/c", "a·b / c"), ("(a + b)/c", "(a + b) / c"),
            ("-a*b", "−a·b"), ("a*-b", "a·(−b)"), ("a - -b", "a − (−b)"), ("a + -b*c", "a + (−b·c)"),
            ("-(a + b)", "−(a + b)"), ("-(-a)", "−(−a)"), ("(-a)**2", "(−a)²"), ("-a**2", "−a²"),
            ("(a*b)**2", "(a·b)²"), ("a**b**c", "a^(b^c)"), ("(a**b)**c", "(a^b)^c"), ("a**-1", "a^(−1)"),
            ("a**0.5", "a^0.5"), ("a**12", "a¹²"), ("a**(b + 1)", "a^(b + 1)"), ("-1/2*a", "(−1/2)·a"),
            ("exp(-a)**2", "(e^(−a))²"), ("m_new**2", "(m⁺)²"), ("var**2", "(σ²)²"), ("dy**2", "(∂L/∂y)²"),
            ("a/dy", "a / (∂L/∂y)"),
            ("dy*a", "∂L/∂y·a"), ("sum(i, x[i])*a", "(Σ_i x[i])·a"), ("a*sum(i, x[i])", "a·Σ_i x[i]"),
            ("a*sum(i, x[i])*b", "(a·Σ_i x[i])·b"), ("a*sum(i, x[i]) + b", "a·Σ_i x[i] + b"),
            ("sum(i, x[i] + b)", "Σ_i (x[i] + b)"), ("sum(i, x[i]/b)", "Σ_i x[i] / b"),
            ("sum(i, x[i])/b", "(Σ_i x[i]) / b"), ("sum(i, -x[i])", "Σ_i (−x[i])"), ("-sum(i, x[i])", "−Σ_i x[i]"),
            ("a - sum(i, x[i])", "a − Σ_i x[i]"), ("sum(i, x[i])**2", "(Σ_i x[i])²"),
            ("sum(i, sum(j, x[i]*y[j]))", "Σ_i Σ_j x[i]·y[j]"), ("(a % b)*c", "(a mod b)·c"),
            ("(a + b) // (c*d)", "⌊(a + b)/(c·d)⌋"), ("-(a/b)", "−a/b"), ("expm1(a)*b", "(e^(a) − 1)·b"),
            ("xlogy(a, b)*c", "a·log(b)·c"), ("mean(i, x[i])*b", "((1/I)·Σ_i x[i])·b"),
        ],
    )  # fmt: skip
    def test_parentheses(self, source: str, expected: str) -> None:
        assert right(source) == expected


class TestLatex:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("sum(i, x[n,i]*W[i,o]) + b[o]", r"\sum_{i} x_{n,i} \, W_{i,o} + b_{o}"),
            ("dy[n]/(1 + exp(-x[n]/2))", r"\frac{\partial L}{\partial y_{n}} \, \frac{1}{1 + e^{-x_{n} / 2}}"),
            ("-1/2*a", r"-\frac{1}{2} \, a"),
            ("(a/b)**2", r"\left(\frac{a}{b}\right)^{2}"),
            ("a/b/c", r"\frac{\frac{a}{b}}{c}"),
            ("a*2", r"a \cdot 2"),
            ("1e-6*a", r"10^{-6} \, a"),
            ("2.5e-7**2", r"\left(2.5 \cdot 10^{-7}\right)^{2}"),
            ("max(a, b) + argmax(k, x[k])", r"\max\left(a, b\right) + \operatorname*{argmax}_{k} x_{k}"),
            ("where(a >= 0, a, -a)", r"\begin{cases} a & \text{if } a \ge 0 \\ -a & \text{otherwise} \end{cases}"),
            ("abs(a) + floor(a) + sqrt(a + 1)", r"\left|a\right| + \left\lfloor a\right\rfloor + \sqrt{a + 1}"),
            ("(a != b) * erf(a)", r"\left[a \ne b\right] \, \operatorname{erf}\left(a\right)"),
            ("x[n, i // C % W]", r"x_{n,\left\lfloor i / C\right\rfloor \bmod W}"),
            ("mean(n,..., x[n,...,c])", r"\frac{1}{N \, \dots} \, \sum_{n,\dots} x_{n,\dots,c}"),
            ("percentile(s, p, h[s])", r"P_{p}\left(h_{s} : s\right)"),
        ],
    )
    def test_expressions(self, source: str, expected: str) -> None:
        assert tex(source) == expected

    def test_a_left_side(self) -> None:
        eq = parse(Eq("dW[i,o]", "1"))
        assert Latex(KNOWN).equation(eq) == r"\frac{\partial L}{\partial W_{i,o}} = 1"


def namespaced(tag: str) -> str:
    return f"{{http://www.w3.org/1998/Math/MathML}}{tag}"


CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3}


def well_formed(markup: str) -> ET.Element:
    """The element around it, if it can be parsed and every element of fixed size has that many children."""
    root = ET.fromstring(f'<math xmlns="http://www.w3.org/1998/Math/MathML">{markup}</math>')
    assert root.tag == namespaced("math")
    for element in root.iter():
        expected = CHILDREN.get(element.tag.removeprefix(namespaced("")))
        assert expected is None or len(element) == expected, ET.tostring(element)
    return root


class TestMathML:
    def test_what_a_gradient_becomes_is_raised_as_a_whole(self) -> None:
        root = well_formed(MathML(KNOWN).equation(parse(Eq("dW_new", "dW * 2"))))
        (raised,) = root.iter(namespaced("msup"))
        fraction, plus = raised
        assert fraction.find(f".//{namespaced('mfrac')}") is not None
        assert [e.text for e in fraction.iter(namespaced("mo"))] == ["(", ")"]
        assert plus.text == "+"

    def test_it_says_what_the_text_says(self) -> None:
        root = well_formed(MathML(KNOWN).equation(parse(Eq("dW[i,o]", "sum(n, x[n,i]*dy[n,o]) - 0.5*var[o]**2"))))
        words = "".join(t for t in root.itertext() if t not in "\u2061\u2062")
        assert words == "∂L∂Wi,o=∑nxn,i∂L∂yn,o−0.5(σo2)2"

    def test_comparisons_are_escaped(self) -> None:
        root = well_formed(MathML(KNOWN).equation(parse(Eq("z", "sum(i<3, (a < b) + (a > b))"))))
        assert [t for t in root.itertext() if t in "<>"] == ["<", "<", ">"]

    def test_a_square_stands_above_the_index(self) -> None:
        root = well_formed(MathML(KNOWN).equation(parse(Eq("z", "x[i]**2"))))
        assert root.find(namespaced("msubsup")) is not None


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Any expression of the notation, as it is written."""
    if depth == 0:
        return draw(st.sampled_from(["a", "beta", "m_new", "dy", "var", "2", "0.5", "1e-9", "x[n]", "dy[n, t[n] + 1]"]))
    sub = expressions(depth - 1)
    one = st.sampled_from(sorted(POINTWISE.keys() - {"min", "max", "xlogy", "clip"}))
    two = st.sampled_from(["min", "max", "xlogy"])
    over = st.sampled_from(sorted(REDUCTIONS.keys() - {"percentile"}))
    return draw(
        st.one_of(
            st.tuples(sub, st.sampled_from(["+", "-", "*", "/", "**", "//", "%"]), sub).map(
                lambda p: f"({' '.join(p)})"
            ),
            st.tuples(sub, st.sampled_from(["<", ">", "<=", ">=", "==", "!="]), sub).map(lambda p: f"({' '.join(p)})"),
            sub.map(lambda e: f"(-{e})"),
            st.tuples(one, sub).map(lambda p: f"{p[0]}({p[1]})"),
            st.tuples(two, sub, sub).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
            st.tuples(sub, sub, sub).map(lambda p: f"where({p[0]} > 0, {p[1]}, {p[2]})"),
            st.tuples(sub, sub, sub).map(lambda p: f"clip({', '.join(p)})"),
            st.tuples(over, sub).map(lambda p: f"{p[0]}(k<3, {p[1]})"),
            sub.map(lambda e: f"percentile(s, 10, {e})"),
            st.just("count(n, ..., e<C)"),
        )
    )


@settings(max_examples=40, deadline=None)
@given(expressions())
def test_every_expression_can_be_drawn_by_every_reader(source: str) -> None:
    eq = parse(Eq("z[n]", source))
    for line in (Text(KNOWN).equation(eq), Ascii(KNOWN).equation(eq), Latex(KNOWN).equation(eq)):
        assert "\n" not in line
        for left, closing in ("()", "[]", "{}"):
            assert line.count(left) == line.count(closing) + (left == "{") * line.count(r"\{")
    assert Ascii(KNOWN).equation(eq).isascii()
    assert Latex(KNOWN).equation(eq).count(r"\left") == Latex(KNOWN).equation(eq).count(r"\right")
    well_formed(MathML(KNOWN).equation(eq))


def arithmetic(depth: int = 4) -> st.SearchStrategy[Expr]:
    leaf: st.SearchStrategy[Expr] = st.sampled_from([Name("a"), Name("b"), Name("c"), Number(2), Number(0.5)])
    if depth == 0:
        return leaf
    sub = arithmetic(depth - 1)
    return st.one_of(
        leaf,
        sub.map(Negate),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "**", "%"]), sub, sub),
    )


OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "%": operator.mod,
}  # fmt: skip


def evaluated(node: Expr) -> float:
    """A value that tells trees apart."""
    match node:
        case Number(value=value):
            return float(value)
        case Name(id=name):
            return {"a": 1.37, "b": 0.61, "c": 2.29}[name]
        case Negate(operand=operand):
            return -evaluated(operand)
        case Binary(op=op, left=left, right=right):
            return float(OPERATORS[op](evaluated(left), evaluated(right)))
    raise AssertionError(node)


@settings(max_examples=200, deadline=None)
@given(arithmetic())
def test_parentheses_keep_the_sense(tree: Expr) -> None:
    """What is drawn, read by the usual rules, is the value of the tree."""
    line = Ascii().draw(tree).text
    try:
        expected = evaluated(tree)
    except (ArithmeticError, TypeError):  # a power that is no real number, or too large
        return
    read = parse_expression(line.replace("^", "**").replace(" mod ", " % "))
    assert evaluated(read) == pytest.approx(expected, rel=1e-9)


def test_comparisons_keep_their_sides() -> None:
    assert Text().draw(Compare("<", Name("a"), Number(1))).text == "[a < 1]"
