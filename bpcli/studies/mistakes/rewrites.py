"""Equations written otherwise than they are meant, beyond a single slip: a reduction along another axis, terms left out
together, branches exchanged, another array read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import Binary, Bind, Call, Compare, Expr, Name, Negate, Read, Reduce, walk

Drawn = Callable[[Expr], str]


@dataclass(frozen=True)
class Rewrite:
    """The right side of an equation as it may have been taken, in words; `size` where its indices run otherwise."""

    code: str
    text: str
    right: Expr
    size: Mapping[str, int] | None = None


def rewrites(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    """All of an equation's, the likeliest first."""
    yield from _branches(grid, drawn)
    yield from _bounds(grid, drawn)
    yield from _terms(grid, drawn)
    yield from _own_terms(grid, drawn)
    yield from _axes(grid, drawn)


def renamed(grid: Grid, old: str, new: str) -> Expr:
    """The right side with another array read in place of one."""

    def go(node: Expr) -> Expr:
        return Read(new, node.index) if isinstance(node, Read) and node.array == old else _mapped(node, go)

    return go(grid.equation.right)


def _branches(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    right = grid.equation.right
    for node in _calls(right, "where"):
        condition, then, other = node.args
        turned = Call("where", (condition, other, then))
        shown = drawn(condition)
        yield Rewrite("branches", f"the branches are exchanged where {shown}", _exchanged(right, node, turned))
        for branch, text in ((then, "is not asked"), (other, "is taken as never true")):
            yield Rewrite("branches", f"{shown} {text}, in {grid.name}", _exchanged(right, node, branch))


def _bounds(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    """What is cut off at a bound, or at two, not cut off."""
    right = grid.equation.right
    for node in (*_calls(right, "min"), *_calls(right, "max")):
        inner = {a for arg in node.args for a in (arg, *(arg.args if _cuts(arg) and isinstance(arg, Call) else ()))}
        for each in sorted(inner, key=drawn):
            yield Rewrite("bound", f"{drawn(node)} is not cut off in {grid.name}", _exchanged(right, node, each))


def _cuts(node: Expr) -> bool:
    return isinstance(node, Call) and node.fn in ("min", "max")


def _calls(right: Expr, name: str) -> list[Call]:
    return [n for n in dict.fromkeys(walk(right)) if isinstance(n, Call) and n.fn == name]


def _terms(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    """Several terms of a sum left out at once."""
    terms = list(_added(grid.equation.right))
    for kept in range(1, len(terms) - 1):
        for chosen in combinations(terms, kept):
            right = chosen[0]
            for term in chosen[1:]:
                right = Binary("+", right, term)
            shown = " + ".join(drawn(t) for t in chosen)
            yield Rewrite("term", f"of {grid.name} only {shown} is counted", right)


def _own_terms(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    """A sum over all places of which only the place itself is counted."""
    right = grid.equation.right
    for node, letter in _single(right):
        for k in grid.free:
            if grid.size[k] == grid.size[letter] and node.fn == "sum":
                one = _relettered(node.body, {letter: k})
                text = f"of {drawn(node)} only the term {letter} = {k} is counted: each place by its own input alone"
                yield Rewrite("diagonal", text, _exchanged(right, node, one))


def _axes(grid: Grid, drawn: Drawn) -> Iterator[Rewrite]:
    """A reduction over another axis than the one that is meant."""
    right = grid.equation.right
    for node, letter in _single(right):
        for n in grid.free:
            for k in grid.free:
                if n == k or grid.size[k] != grid.size[letter]:
                    continue
                body = _relettered(node.body, {n: letter, letter: k})
                turned = Reduce(node.fn, node.over, body, node.extra)
                text = f"{drawn(node)} is taken along {n}, the wrong axis"
                yield Rewrite("axis", text, _exchanged(right, node, turned), {**grid.size, letter: grid.size[n]})


def _single(right: Expr) -> Iterator[tuple[Reduce, str]]:
    """The reductions over one index, with it."""
    for node in dict.fromkeys(n for n in walk(right) if isinstance(n, Reduce)):
        letters = [b.letter for b in node.over if isinstance(b, Bind)]
        if len(letters) == 1:
            yield node, letters[0]


def _added(node: Expr) -> Iterator[Expr]:
    """The terms of a sum that is written out."""
    if isinstance(node, Binary) and node.op == "+":
        yield from _added(node.left)
        yield from _added(node.right)
    elif isinstance(node, Binary) and node.op == "-":
        yield from _added(node.left)
        yield Negate(node.right)
    else:
        yield node


def _relettered(node: Expr, letters: Mapping[str, str]) -> Expr:
    """An expression with its indices exchanged."""
    if isinstance(node, Name):
        return Name(letters.get(node.id, node.id))
    if isinstance(node, Read):
        return Read(node.array, tuple(_relettered(i, letters) for i in node.index))
    return _mapped(node, lambda inner: _relettered(inner, letters))


def _exchanged(node: Expr, old: Expr, new: Expr) -> Expr:
    return new if node == old else _mapped(node, lambda inner: _exchanged(inner, old, new))


def _mapped(node: Expr, go: Any) -> Expr:
    """An expression with `go` applied to what is inside it."""
    match node:
        case Negate(operand=operand):
            return Negate(go(operand))
        case Binary(op=op, left=left, right=right):
            return Binary(op, go(left), go(right))
        case Compare(op=op, left=left, right=right):
            return Compare(op, go(left), go(right))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return Reduce(fn, over, go(body), extra)
        case Call(fn=fn, args=args):
            return Call(fn, tuple(go(a) for a in args))
    return node
