"""How each operation of the notation leans on what is inside it: the table of derivatives, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import NamedTuple

from bpcli.notation.derive.algebra import ONE, TWO, ZERO, add, multiply, negate, power, quotient
from bpcli.notation.syntax import Binary, Bind, Call, Compare, Expr, Name, Negate, NotationError, Number, Read, Reduce


@dataclass(frozen=True)
class Slope:
    """What stands inside an operation, the factor by which a change there arrives, and the rule that says so.

    `guard` is a condition and whether it has to hold: elsewhere there is no slope at all, whatever the factor.
    """

    inside: Expr
    factor: Expr
    rule: str
    why: str = ""
    guard: tuple[Expr, bool] | None = None
    over: tuple[Bind, ...] = ()


def _two_over_root_pi(u: Expr) -> Expr:
    return multiply(quotient(TWO, Call("sqrt", (Name("pi"),))), Call("exp", (negate(power(u, TWO)),)))


class _Function(NamedTuple):
    slope: Callable[[Expr, Expr], Expr]  # of the argument, and of the call itself
    why: str


FUNCTIONS: dict[str, _Function] = {
    "exp": _Function(lambda u, f: f, "e^u is its own slope"),
    "expm1": _Function(lambda u, f: Call("exp", (u,)), "e^u is its own slope, and -1 has none"),
    "log": _Function(lambda u, f: quotient(ONE, u), "the slope of log u is 1 / u"),
    "log1p": _Function(lambda u, f: quotient(ONE, add(ONE, u)), "the slope of log u is 1 / u"),
    "sqrt": _Function(lambda u, f: quotient(ONE, multiply(TWO, f)), "the slope of a root is 1 / (2 root)"),
    "abs": _Function(lambda u, f: Call("sign", (u,)), "up or down: the slope of |u| is its sign, 0 at 0"),
    "sin": _Function(lambda u, f: Call("cos", (u,)), "the slope of sin is cos"),
    "cos": _Function(lambda u, f: negate(Call("sin", (u,))), "the slope of cos is -sin"),
    "tanh": _Function(lambda u, f: add(ONE, negate(power(f, TWO))), "the slope of tanh is 1 - tanh^2"),
    "sinh": _Function(lambda u, f: Call("cosh", (u,)), "the slope of sinh is cosh"),
    "cosh": _Function(lambda u, f: Call("sinh", (u,)), "the slope of cosh is sinh"),
    "sigmoid": _Function(lambda u, f: multiply(f, add(ONE, negate(f))), "the slope of a sigmoid s is s (1 - s)"),
    "softplus": _Function(lambda u, f: Call("sigmoid", (u,)), "the slope of log(1 + e^u) is the sigmoid of u"),
    "erf": _Function(lambda u, f: _two_over_root_pi(u), "the slope of erf is the bell curve, times 2 / sqrt(pi)"),
    "erfc": _Function(lambda u, f: negate(_two_over_root_pi(u)), "erfc is 1 - erf"),
    "log1pexp": _Function(
        lambda u, f: quotient(ONE, add(ONE, Call("exp", (negate(u),)))), "the slope of log(1 + e^u) is the sigmoid of u"
    ),
}
"""Functions of one value: the slope, and the rule in words."""

FLAT = {"sign", "floor", "argmax", "argmin", "count"}
"""Functions and reductions that step: their slope is 0 wherever they have one."""


def local_slopes(node: Expr, constant: Callable[[Expr], bool], fresh: Callable[[Expr], Expr]) -> list[Slope]:
    """Returns how an operation leans on each expression directly inside it.

    `constant` says what does not depend on anything that is differentiated by, which decides ties; `fresh` returns an
    expression whose reductions run over new indices. Raises NotationError for percentile, whose slope is that of the
    entries between which it lies.
    """
    match node:
        case Negate(operand=operand):
            return [Slope(operand, Number(-1), "sign", "a minus sign stays")]
        case Binary(op=op, left=left, right=right):
            return _binary(op, left, right, node)
        case Call(fn="pad", args=(Read() as read, *_)):
            return [Slope(read, ONE, "pad", "what is put around leans on nothing")]
        case Call(fn="where", args=(condition, then, other)):
            why = "the branch that is taken has the slope, the other none"
            return [
                Slope(then, ONE, "cases", why, (condition, True)),
                Slope(other, ONE, "cases", why, (condition, False)),
            ]
        case Call(fn="max" | "min" as fn, args=(a, b)):
            return _choice(fn, a, b, constant)
        case Call(fn="relu", args=(u,)):
            return [
                Slope(u, ONE, "cases", "slope 1 where open, 0 where closed, as at 0", (Compare(">", u, ZERO), True))
            ]
        case Call(fn="clip", args=(u, low, high)):
            return _clip(u, low, high)
        case Call(fn="xlogy", args=(a, b)):
            nothing = Call("where", (Compare("==", a, ZERO), Compare("<=", b, ZERO), ZERO))
            return [
                Slope(a, Call("log", (b,)), "product", "the slope of a log b by a is log b", (nothing, False)),
                Slope(b, quotient(a, b), "log", "the slope of log b is 1 / b", (Compare("==", a, ZERO), False)),
            ]
        case Call(fn=fn, args=(u,)) if fn in FUNCTIONS:
            rule = FUNCTIONS[fn]
            return [Slope(u, rule.slope(u, node), f"chain rule, {fn}", rule.why)]
        case Call(fn=fn) if fn in FLAT:
            return []
        case Reduce() if node.fn not in FLAT:
            return [_reduce(node, fresh)]
    return []


def _binary(op: str, a: Expr, b: Expr, node: Expr) -> list[Slope]:
    match op:
        case "+":
            why = "each term has the slope of the whole"
            return [Slope(a, ONE, "sum rule", why), Slope(b, ONE, "sum rule", why)]
        case "-":
            why = "each term has the slope of the whole, what is subtracted with a minus"
            return [Slope(a, ONE, "sum rule", why), Slope(b, Number(-1), "sum rule", why)]
        case "*":
            why = "each factor has the other as its slope"
            return [Slope(a, b, "product rule", why), Slope(b, a, "product rule", why)]
        case "/":
            return [
                Slope(a, quotient(ONE, b), "quotient rule", "above the line: divided by what is below"),
                Slope(b, negate(quotient(node, b)), "quotient rule", "below it: minus the quotient, divided again"),
            ]
        case "**":
            return _power(a, b, node)
        case "%":
            why = "the remainder moves with what is divided, except where it falls back"
            return [Slope(a, ONE, "remainder", why), Slope(b, negate(Binary("//", a, b)), "remainder", why)]
    return []


def _power(a: Expr, r: Expr, node: Expr) -> list[Slope]:
    one_less = Number(r.value - 1) if isinstance(r, Number) else add(r, Number(-1))
    brought_down = "the exponent comes down, and is one less above"
    return [
        Slope(a, multiply(r, power(a, one_less)), "power rule", brought_down),
        Slope(r, multiply(node, Call("log", (a,))), "power rule", "the slope of a^r by r is a^r log a",
              (Compare(">", a, ZERO), True)),
    ]  # fmt: skip


def _choice(fn: str, a: Expr, b: Expr, constant: Callable[[Expr], bool]) -> list[Slope]:
    """Returns the slopes of the larger or smaller of two: at a tie a constant wins, of two variables the first."""
    ahead, level = (">", ">=") if fn == "max" else ("<", "<=")
    why = f"the {'larger' if fn == 'max' else 'smaller'} has the slope; at a tie "
    if constant(b):
        return [Slope(a, ONE, "cases", why + "the constant has it", (Compare(ahead, a, b), True))]
    if constant(a):
        return [Slope(b, ONE, "cases", why + "the constant has it", (Compare(ahead, b, a), True))]
    first = (Compare(level, a, b), True)
    return [
        Slope(a, ONE, "cases", why + "the first has it", first),
        Slope(b, ONE, "cases", why + "the first has it", (first[0], False)),
    ]


def _clip(u: Expr, low: Expr, high: Expr) -> list[Slope]:
    """Returns the slopes of a value between two bounds: on a bound, the bound has it; of two that cross, the upper."""
    below, above = Compare("<", u, high), Compare(">", u, low)
    cut = "between the bounds the value has the slope, elsewhere the bound"
    return [
        Slope(u, ONE, "cases", cut, (Call("where", (below, above, ZERO)), True)),
        Slope(low, ONE, "cases", cut, (Call("where", (above, ZERO, Compare("<", low, high))), True)),
        Slope(high, ONE, "cases", cut, (Call("where", (below, Compare(">=", low, high), ONE)), True)),
    ]


def _reduce(node: Reduce, fresh: Callable[[Expr], Expr]) -> Slope:
    over = tuple(b for b in node.over if isinstance(b, Bind))
    body = node.body
    listed = ", ".join(b.letter.partition("#")[0] for b in over)
    match node.fn:
        case "sum":
            return Slope(body, ONE, "sum", f"every term of the sum over {listed} has its slope", over=over)
        case "mean":
            share = quotient(ONE, Reduce("count", over, ONE))
            return Slope(body, share, "mean", f"every one of the values over {listed} has its share", over=over)
        case "logsumexp":
            share = Call("exp", (add(body, negate(fresh(node))),))
            return Slope(body, share, "logsumexp", "the slope is the softmax: each its share of the sum", over=over)
        case "prod":
            again = fresh(node)
            assert isinstance(again, Reduce)
            same: list[Expr] = [
                Compare("==", Name(n), Name(o.letter)) for n, o in zip(again.letters, over, strict=True)
            ]
            both = reduce(partial(Binary, "*"), same)
            others = Reduce("prod", again.over, Call("where", (both, ONE, again.body)))
            return Slope(body, others, "product rule", "each factor has the product of the others", over=over)
        case "norm":
            share = quotient(body, fresh(node))
            return Slope(body, share, "norm", "each value has its share of the length as its slope", over=over)
        case "max" | "min":
            return _winner(node, over, fresh)
    raise NotationError(
        f"{node.fn} has no derivative here",
        "write it with functions that have one, or state the backward equation by hand",
    )


def _winner(node: Reduce, over: tuple[Bind, ...], fresh: Callable[[Expr], Expr]) -> Slope:
    again = fresh(node)
    assert isinstance(again, Reduce)
    place: Expr = Name(over[0].letter)
    for b in over[1:]:
        place = Binary("+", Binary("*", place, b.size or Reduce("count", (b,), ONE)), Name(b.letter))
    sought = again.body if node.fn == "max" else negate(again.body)
    wins = Compare("==", Reduce("argmax", again.over, sought), place)
    why = f"the {'largest' if node.fn == 'max' else 'smallest'} has the whole slope; of equals, the first"
    plain = isinstance(node.body, Read) or (isinstance(node.body, Call) and node.body.fn == "pad")
    if plain:
        return Slope(node.body, wins, node.fn, why, over=over)
    return Slope(node.body, ONE, node.fn, why, (wins, True), over)
