"""Reads back a printed line of numbers, `0.7·(−0.11875761) + b`, and says what it comes to.

A worked derivation is true if its printed digits are: whoever types a line into a calculator gets the printed result.
This is that calculator. It knows what `text` prints for expressions of numbers, in Unicode and in ASCII, computes in 50
decimal digits, and evaluates nothing else.
"""

import math
import operator
import re
from collections.abc import Callable
from decimal import ROUND_FLOOR, Context, Decimal, localcontext

from bpcli.notation.syntax import NotationError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?P<word>[A-Za-z]+)|(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<sign><=|>=|!=|==|[-−+·*/^_()\[\]|⌊⌋√π∞:,=≠<>≤≥]))"
)
_PLAIN = str.maketrans({
    "−": "-", "·": "*", "≤": "<=", "≥": ">=", "≠": "!=", "√": "sqrt", "π": "pi", "∞": "inf",
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)),
})  # fmt: skip
_MAX_DEPTH = 100  # brackets inside each other
_NAN = Decimal("nan")


def reevaluate(text: str) -> float:
    """Returns the value of a printed line. Raises NotationError with the place where it cannot be read.

    `[113 more: −0.2]` is the sum (or the largest) of what is not printed one by one; `[1 > 0]` is 1 where it holds and
    else 0; the arguments of argmax carry the number of their place, `argmax(0: 0.3, 1: 0.7)`.
    """
    return float(_Line(text).value())


def _floor(x: Decimal) -> Decimal:
    return x.to_integral_value(ROUND_FLOOR) if x.is_finite() else x


def _in_floats(f: Callable[[float], float]) -> Callable[[Decimal], Decimal]:
    def g(x: Decimal) -> Decimal:
        try:
            return Decimal(repr(f(float(x))))
        except ValueError:  # outside the domain
            return _NAN

    return g


_CLOSING = {"(": ")", "|": "|", "⌊": "⌋"}
_CONSTANTS = {"pi": Decimal("3.14159265358979323846264338327950288419716939937511"), "inf": Decimal("inf"), "nan": _NAN}
_FUNCTIONS: dict[str, Callable[[Decimal], Decimal]] = {
    "log": lambda x: x.ln(),
    "sqrt": lambda x: x.sqrt(),
    "floor": _floor,
    "sign": lambda x: Decimal((x > 0) - (x < 0)),
    "sin": _in_floats(math.sin),
    "cos": _in_floats(math.cos),
    "tanh": _in_floats(math.tanh),
    "erf": _in_floats(math.erf),
    "erfc": _in_floats(math.erfc),
    "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: (1 + x.exp()).ln(),
    "relu": lambda x: max(x, Decimal(0)),
}
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
    ">=": operator.ge,
}  # fmt: skip


class _Line:
    """A recursive descent over the tokens of one line."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens = text, list(self._split(text))
        self.at = self.depth = 0
        small = [int(e) for e in re.findall(r"e-(\d{1,3})", text)]  # log(1 + 1e-300) needs 300 digits and some
        self.context = Context(prec=50 + max(small, default=0), Emax=999_999, Emin=-999_999, traps=[])

    def _split(self, text: str) -> list[tuple[str, str]]:
        found, at, text = [], 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise NotationError(f"{text!r} cannot be read at {text[at : at + 10]!r}")
            kind = str(match.lastgroup)
            found.append((kind, match[kind].translate(_PLAIN)))
            at = match.end()
        return found

    def error(self) -> NotationError:
        found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
        return NotationError(f"{self.text!r} cannot be read at {found!r}")

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        """Takes the next token if it is one of these, and returns it; else an empty text."""
        token = self.peek()
        if token and token in wanted:
            self.at += 1
            return token
        return ""

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self.error()

    def value(self) -> Decimal:
        with localcontext(self.context):
            value = self.sum()
            if self.at < len(self.tokens):
                raise self.error()
            return value

    def sum(self) -> Decimal:
        value = self.product()
        while op := self.take("+", "-"):
            other = self.product()
            value = value + other if op == "+" else value - other
        return value

    def product(self) -> Decimal:
        value = self.signed()
        while op := self.take("*", "/", "mod"):
            other = self.signed()
            if op == "*":
                value *= other
            elif op == "/":
                value /= other
            else:
                value -= other * _floor(value / other)
        return value

    def signed(self) -> Decimal:
        minus = False
        while self.take("-"):
            minus = not minus
        return -self.power() if minus else self.power()

    def power(self) -> Decimal:
        if self.take("e"):
            self.need("^")
            return self.atom().exp()
        base = self.atom()
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "raised":
            exponent = Decimal(self.tokens[self.at][1])
            self.at += 1
        elif self.take("^"):
            exponent = self.atom()
        else:
            return base
        return Decimal(1) if exponent == 0 else base**exponent

    def atom(self) -> Decimal:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotationError(f"more than {_MAX_DEPTH} parentheses inside each other")
        kind, token = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        value = Decimal(token) if kind == "number" else self.other(token)
        self.depth -= 1
        return value

    def other(self, token: str) -> Decimal:
        """Returns an atom that is not a number, its first token being taken."""
        if token in _CLOSING:
            value = self.until(_CLOSING[token])
            if token == "|":
                return abs(value)
            return _floor(value) if token == "⌊" else value
        if token == "[":
            return self.bracket()
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token in ("max", "min", "argmax", "P", "clip"):
            return self.choice(token)
        if token == "sqrt" and self.peek() != "(":
            return self.atom().sqrt()
        if token in _FUNCTIONS:
            self.need("(")
            return _FUNCTIONS[token](self.until(")"))
        self.at -= 1
        raise self.error()

    def until(self, closing: str) -> Decimal:
        value = self.sum()
        self.need(closing)
        return value

    def bracket(self) -> Decimal:
        """Returns `[113 more: value]`, or a comparison."""
        left = self.sum()
        if self.take("more"):
            self.need(":")
            return self.until("]")
        holds = _COMPARE.get(self.take(*_COMPARE))
        if holds is None:
            raise self.error()
        return Decimal(int(holds(left, self.until("]"))))

    def choice(self, fn: str) -> Decimal:
        """Returns max, min, argmax or a percentile of a list; clip's value between its bounds."""
        rank = Decimal(0)
        if fn == "P":
            self.need("_")
            rank = self.atom()
        self.need("(")
        positions: list[Decimal] = []
        values = [self.labelled(positions)]
        while self.take(","):
            values.append(self.labelled(positions))
        self.need(")")
        if any(v.is_nan() for v in values):
            return _NAN
        if fn == "P":
            return _percentile(rank, sorted(values))
        if fn == "clip" and len(values) == 3:
            return min(values[2], max(values[1], values[0]))
        best = min(values) if fn == "min" else max(values)
        return positions[values.index(best)] if fn == "argmax" else best

    def labelled(self, positions: list[Decimal]) -> Decimal:
        """Returns one value of a list; notes the place that stands before it, or how far along it is."""
        value = self.sum()
        positions.append(Decimal(len(positions)))
        if self.take(":"):
            positions[-1], value = value, self.sum()
        return value


def _percentile(rank: Decimal, values: list[Decimal]) -> Decimal:
    """Interpolates linearly between the two nearest values, as NumPy does."""
    position = rank * (len(values) - 1) / 100
    low = int(position)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (position - low)
