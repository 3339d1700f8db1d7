"""Equations as they are misread: every way to make one slip in an expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Expr,
    Name,
    Negate,
    Number,
    Read,
    Reduce,
    children,
    walk,
)  # fmt: skip

MOST_TERMS = 16  # of a sum: each of them may have been left out

EDGES = {">": ">=", ">=": ">", "<": "<=", "<=": "<"}
"""Comparisons that differ where both sides are equal only."""


@dataclass(frozen=True)
class Slip:
    """An expression with one slip in it: its kind, and the piece that it concerns."""

    expression: Expr
    kind: str
    piece: Expr
    term: int | None = None  # of a sum, where the slip is in one term only


def slips(node: Expr, size: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Slip]:
    """All slips in an expression, as long as one is made; `size` is the number of values of each index, `shapes` are
    those of the arrays."""
    yield from _here(node, size, shapes)
    for i, child in enumerate(_parts(node)):
        for slip in slips(child, size, shapes):
            yield replace(slip, expression=_with(node, i, slip.expression))


def _here(node: Expr, size: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Slip]:
    match node:
        case Binary(op="*", left=left, right=right):
            yield from (Slip(b, "factor", a) for a, b in ((left, right), (right, left)) if not _is(a, "*"))
        case Binary(op="/", left=left, right=right):
            yield Slip(left, "divisor", right)
            yield Slip(Binary("*", left, right), "times", right)
            if not isinstance(left, Number):
                yield Slip(Binary("/", Number(1), right), "factor", left)
        case Binary(op="+", left=left, right=right):
            yield Slip(left, "term", right)
            yield Slip(right, "term", left)
            yield Slip(Binary("-", left, right), "minus", node)
            for each in (left, right):
                if isinstance(each, Read):
                    yield Slip(Binary("+", node, each), "twice", each)
        case Binary(op="-", left=left, right=right):
            yield Slip(left, "term", right)
            yield Slip(Negate(right), "term", left)
            yield Slip(Binary("+", left, right), "plus", node)
        case Binary(op="**", left=left):
            yield Slip(left, "power", node)
        case Negate(operand=operand):
            yield Slip(operand, "minus-dropped", node)
        case Call(fn=fn, args=(argument,)) if fn != "pad":
            yield Slip(argument, "function", node)
        case Compare(op=op, left=left, right=right) if op in EDGES:
            yield Slip(Compare(EDGES[op], left, right), "edge", node)
        case Reduce(fn="count"):
            yield Slip(Binary("-", node, Number(1)), "unbiased", node)
        case Reduce():
            yield from _in_sum(node, size)
        case Read(array=array, index=(Name(id=a), Name(id=b))):
            rows, columns = shapes.get(array, (0, 1))[:2]
            if rows == columns and a != b:
                yield Slip(Read(array, (Name(b), Name(a))), "transposed", node)


def _in_sum(node: Reduce, size: Mapping[str, int]) -> Iterator[Slip]:
    letters = [b.letter for b in node.over if isinstance(b, Bind)]
    if node.fn == "mean":
        yield Slip(replace(node, fn="sum"), "summed", node)
    if node.fn != "sum":
        return
    yield Slip(replace(node, fn="mean"), "averaged", node)
    for read in walk(node.body):
        if isinstance(read, Read) and len(read.index) > 2:  # a derivative of several outputs by several inputs
            others = [i.id for i in read.index if isinstance(i, Name) and i.id not in letters]
            for letter in letters:
                for other in others:
                    if size.get(letter) == size.get(other) and Name(letter) in read.index:
                        body = Binary("*", node.body, Compare("==", Name(letter), Name(other)))
                        yield Slip(replace(node, body=body), "diagonal", read)
    for letter in letters:
        if not 1 < size[letter] <= MOST_TERMS:
            continue
        for i in range(size[letter]):
            here = Compare("==", Name(letter), Number(i))
            rest = Binary("*", node.body, Compare("!=", Name(letter), Number(i)))
            yield Slip(replace(node, body=rest), "term", node.body, i)
            for read in dict.fromkeys(n for n in walk(node.body) if isinstance(n, Read) and Name(letter) in n.index):
                one = _replaced(node.body, read, Call("where", (here, Number(1), read)))
                yield Slip(replace(node, body=one), "factor", read, i)


def _is(node: Expr, op: str) -> bool:
    return isinstance(node, Binary) and node.op == op


def _parts(node: Expr) -> tuple[Expr, ...]:
    """The expressions inside one, in which slips are made: not the indices of a read, nor the ranges of a sum."""
    if isinstance(node, Read) or (isinstance(node, Reduce) and node.fn == "count"):
        return ()
    return (node.body,) if isinstance(node, Reduce) else children(node)


def _with(node: Expr, i: int, new: Expr) -> Expr:
    """An expression with another part."""
    match node:
        case Negate():
            return Negate(new)
        case Binary(op=op, left=left, right=right):
            return Binary(op, new, right) if i == 0 else Binary(op, left, new)
        case Compare(op=op, left=left, right=right):
            return Compare(op, new, right) if i == 0 else Compare(op, left, new)
        case Call(fn=fn, args=args):
            return Call(fn, (*args[:i], new, *args[i + 1 :]))
        case Reduce():
            return replace(node, body=new)
    return new


def _replaced(node: Expr, old: Expr, new: Expr) -> Expr:
    """An expression with `new` wherever `old` stands."""
    if node == old:
        return new
    for i, part in enumerate(_parts(node)):
        node = _with(node, i, _replaced(part, old, new))
    return node


def swapped(node: Expr, names: Mapping[str, str]) -> Expr:
    """An expression that reads other arrays of the same shapes."""
    if isinstance(node, Read):
        return Read(names.get(node.array, node.array), node.index)
    for i, part in enumerate(_parts(node)):
        node = _with(node, i, swapped(part, names))
    return node
