"""An expression as it is typed: `sum(n, x[n,i] * dy[n,o])`, which reads back as the same tree."""

from __future__ import annotations

from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Dots,
    Eq,
    Equation,
    Expr,
    Name,
    Negate,
    NotationError,
    Number,
    Read,
    Reduce,
)  # fmt: skip

_LEVEL = {"+": 2, "-": 2, "*": 3, "/": 3, "//": 3, "%": 3, "**": 5}
_COMPARE, _NEGATE, _ATOM = 1, 4, 6


def typed(node: Expr) -> str:
    """Returns the text of an expression."""
    return _typed(node)[0]


def typed_equation(equation: Equation, why: str = "") -> Eq:
    """Returns an equation as it is typed."""
    free = ",".join(map(_bind, equation.free))
    return Eq(f"{equation.name}[{free}]" if free else equation.name, typed(equation.right), why)


def _typed(node: Expr) -> tuple[str, int]:
    match node:
        case Number(value=value):
            return (repr(value), _NEGATE if value < 0 else _ATOM)
        case Name(id=name):
            return name, _ATOM
        case Dots():
            return "...", _ATOM
        case Read(array=array, index=index):
            return f"{array}[{','.join(map(typed, index))}]", _ATOM
        case Negate(operand=operand):
            product = isinstance(operand, Binary) and operand.op in "*/"  # -2 * x is -(2 * x)
            return "-" + _fit(operand, _LEVEL["*"] if product else _NEGATE), _LEVEL["*"] if product else _NEGATE
        case Binary(op="**", left=left, right=right):
            return f"{_fit(left, _ATOM)}**{_fit(right, _NEGATE)}", _LEVEL["**"]
        case Binary(op=op, left=left, right=right):
            level = _LEVEL[op]
            return f"{_fit(left, level)} {op} {_fit(right, level + 1)}", level
        case Compare(op=op, left=left, right=right):
            return f"{_fit(left, 2)} {op} {_fit(right, 2)}", _COMPARE
        case Call(fn=fn, args=args):
            return f"{fn}({', '.join(map(typed, args))})", _ATOM
        case Reduce(fn="count", over=over):
            return f"count({','.join(map(_bind, over))})", _ATOM
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return f"{fn}({', '.join([','.join(map(_bind, over)), *map(typed, extra), typed(body)])})", _ATOM
    raise NotationError(f"{node!r} cannot be typed")


def _fit(node: Expr, least: int) -> str:
    text, level = _typed(node)
    return text if level >= least else f"({text})"


def _bind(b: Bind | Dots) -> str:
    if isinstance(b, Dots):
        return "..."
    return b.letter if b.size is None else f"{b.letter}<{_fit(b.size, 2)}"
