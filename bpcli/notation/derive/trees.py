"""What an expression depends on, and expressions in place of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from bpcli.notation.syntax import (
    Bind,
    Dots,
    Expr,
    Name,
    Number,
    Read,
    Reduce,
    changed,
    children,
    walk,
)  # fmt: skip


@lru_cache(maxsize=1 << 14)
def names(node: Expr) -> frozenset[str]:
    """Returns the names and indices an expression depends on: those it sums over left out."""
    match node:
        case Name(id=name):
            return frozenset((name,))
        case Number() | Dots() | Reduce(fn="count"):  # how many there are does not depend on which one it is
            return frozenset()
        case Reduce(over=over, body=body, extra=extra):
            sizes = [b.size for b in over if isinstance(b, Bind) and b.size is not None]
            return _all(sizes) | (_all([body, *extra]) - set(node.letters))
    return _all(children(node))


def _all(nodes: Iterable[Expr]) -> frozenset[str]:
    return frozenset[str]().union(*map(names, nodes))


def replaced(node: Expr, new: Mapping[str, Expr]) -> Expr:
    """Returns an expression with others in place of some names. What a reduction runs over is not replaced, and must
    not stand in the new expressions."""
    if not new:
        return node
    match node:
        case Name(id=name):
            return new.get(name, node)
        case Read(array=array, index=index):
            return Read(array, tuple(replaced(i, new) for i in index))
        case Reduce(fn="count", over=over):
            return Reduce("count", tuple(_counted(b, new) for b in over), Number(1))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            inner = {k: v for k, v in new.items() if k not in node.letters}
            return Reduce(fn, over, replaced(body, inner), tuple(replaced(e, inner) for e in extra))
    return changed(node, lambda inside: replaced(inside, new))


def _counted(b: Bind | Dots, new: Mapping[str, Expr]) -> Bind | Dots:
    """Returns an index whose values are counted, by its new name where it has one."""
    to = new.get(b.letter) if isinstance(b, Bind) else None
    return replace(b, letter=to.id) if isinstance(b, Bind) and isinstance(to, Name) else b


def size_of(node: Expr) -> int:
    """Returns how many nodes an expression has."""
    return sum(1 for _ in walk(node))
