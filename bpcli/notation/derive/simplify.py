"""Expressions simplified throughout, from the innermost outwards."""

from __future__ import annotations

from collections.abc import Callable

from bpcli.notation.derive.algebra import ONE, add, multiply, negate, power, quotient, sum_over, where
from bpcli.notation.derive.products import key
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Dots,
    Expr,
    Name,
    Negate,
    Number,
    Read,
    Reduce,
    changed,
)  # fmt: skip


def simplified(node: Expr) -> Expr:
    """Returns an expression simplified throughout."""
    match node:
        case Number() | Name() | Dots() | Read():
            return node
        case Negate(operand=operand):
            return negate(simplified(operand))
        case Binary(op="+" | "-"):
            return add(*_chain(node, "+-", negate))
        case Binary(op="*" | "/"):
            return multiply(*_chain(node, "*/", lambda factor: quotient(ONE, factor)))
        case Binary(op="**", left=left, right=right):
            return power(simplified(left), simplified(right))
        case Call(fn="where", args=(condition, then, other)):
            return where(simplified(condition), simplified(then), simplified(other))
        case Compare(op=op, left=left, right=right):
            left, right = simplified(left), simplified(right)
            if key(left) == key(right):
                return Number(int(op in ("==", ">=", "<=")))
            return Compare(op, left, right)
        case Reduce(fn="sum", over=over, body=body):
            return sum_over([b for b in over if isinstance(b, Bind)], simplified(body))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return Reduce(fn, over, body if fn == "count" else simplified(body), tuple(map(simplified, extra)))
    return changed(node, simplified)


def _chain(node: Expr, ops: str, inverse: Callable[[Expr], Expr]) -> list[Expr]:
    """Returns the terms of a chain of sums and differences, or the factors of one of products and quotients, each
    simplified; what the second of the two operations stands before, inverted."""
    found = []
    while isinstance(node, Binary) and node.op in ops:
        part = simplified(node.right)
        found.append(part if node.op == ops[0] else inverse(part))
        node = node.left
    return [simplified(node), *reversed(found)]
