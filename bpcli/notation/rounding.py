"""How big the terms are that a number is the sum of: what its rounding error is proportional to."""

import math
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from bpcli.notation.calculator import reevaluate
from bpcli.notation.evaluate import CONSTANTS
from bpcli.notation.functions import POINTWISE
from bpcli.notation.symbols import textbook_form
from bpcli.notation.syntax import Binary, Call, Expr, Name, Negate, Number
from bpcli.notation.text import Text

_SLOPES: dict[str, Callable[[float, float], float]] = {
    "exp": lambda z, f: f,
    "expm1": lambda z, f: f + 1,
    "log": lambda z, f: 1 / z,
    "log1p": lambda z, f: 1 / (1 + z),
    "sqrt": lambda z, f: 0.5 / f,
    "log1pexp": lambda z, f: 1 / (1 + math.exp(-z)),
    "softplus": lambda z, f: 1 / (1 + math.exp(-z)),
    "sigmoid": lambda z, f: f * (1 - f),
    "sinh": lambda z, f: math.cosh(z),
    "cosh": lambda z, f: math.sinh(z),
    "tanh": lambda z, f: 1 - f * f,
}
"""The derivative at z, where the value is f; of the others, 1 bounds it."""


def value_and_scale(node: Expr) -> tuple[float, float]:
    """Returns the value of a tree of numbers, and the sum of its terms' sizes: what rounding errors are proportional
    to."""
    value, size = _value_and_scale(node)
    return value, size if math.isfinite(size) else abs(value)


def _value_and_scale(node: Expr) -> tuple[float, float]:
    match node:
        case Number(value=value):
            return float(value), abs(float(value))
        case Name(id=name):
            return CONSTANTS[name], CONSTANTS[name]
        case Negate(operand=operand):
            value, size = _value_and_scale(operand)
            return -value, size
        case Binary(op=op, left=left, right=right):
            return _of_binary(op, _value_and_scale(left), _value_and_scale(right))
        case Call(fn="xlogy"):
            return _value_and_scale(textbook_form(node))
        case Call(fn="rest", args=(_, Number(value=value), Number(value=size))):
            return value, size
        case Call(fn="sum", args=terms):
            pairs = [_value_and_scale(term) for term in terms]
            return sum(value for value, _ in pairs), sum(size for _, size in pairs)
        case Call(fn="at", args=(_, labelled)):
            return _value_and_scale(labelled)
        case Call(fn="max" | "min" as fn, args=args):
            return (max if fn == "max" else min)(map(_value_and_scale, args), key=lambda pair: pair[0])
        case Call(fn=fn, args=(arg,)) if fn in POINTWISE:
            z, size = _value_and_scale(arg)
            with np.errstate(all="ignore"):
                f = float(POINTWISE[fn][0](z))
            with suppress(ArithmeticError, ValueError):  # no slope there: 1 will do
                size *= abs(_SLOPES[fn](z, f)) if fn in _SLOPES else 1.0
            return f, max(abs(f), size)
    value = reevaluate(Text(digits=17).draw(node).text)
    return value, abs(value)


def _of_binary(op: str, left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float]:
    (a, size_a), (b, size_b) = left, right
    with np.errstate(all="ignore"):
        match op:
            case "+" | "-":
                return (a + b if op == "+" else a - b), size_a + size_b
            case "*":
                return a * b, size_a * size_b
            case "/":
                return float(np.divide(a, b)), float(np.divide(size_a, abs(b)))
            case "**":
                value = float(np.float_power(a, b))
                if a == 0 and b > 1:  # no slope there, but what was rounded to 0 is not 0 to the power either
                    return value, float(np.float_power(size_a, b))
                return value, max(abs(value), abs(b) * float(np.float_power(abs(a), b - 1)) * size_a)
            case "//":
                value = float(np.floor_divide(a, b))
            case _:
                value = float(np.mod(a, b))
    return value, abs(value)
