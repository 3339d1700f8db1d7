"""Sums in products multiplied out, where that is shorter: what stands below the line in a sum cancels with a factor
before it, and like terms of different brackets meet."""

from __future__ import annotations

from collections.abc import Sequence

from bpcli.notation.derive.algebra import sum_of_products
from bpcli.notation.derive.products import Product, as_product, terms
from bpcli.notation.derive.trees import size_of
from bpcli.notation.syntax import Binary, Expr, Name, Number, Read, Reduce, changed

MAX_TERMS = 16
"""Terms of a sum that is multiplied out, at most."""


def shorter(node: Expr) -> Expr:
    """Returns an expression with brackets multiplied out wherever it is shorter then."""
    match node:
        case Number() | Name() | Read():
            return node
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return node if fn == "count" else Reduce(fn, over, shorter(body), extra)
        case Binary(op="+" | "-" | "*" | "/"):
            node = sum_of_products(map(_inside, terms(node)))
            return min([node, *_multiplied_out(node)], key=size_of)
    return changed(node, shorter)


def _inside(p: Product) -> Product:
    """Returns a product of what is shorter."""
    found = Product(p.coefficient)
    for base, exponent in p.powers:
        inner = as_product(shorter(base))
        whole = float(exponent).is_integer() and (inner.coefficient != 0 or exponent > 0)
        found = found.times(inner.to(int(exponent)) if whole else Product(1, ((base, exponent),)))
    return found


def _multiplied_out(node: Expr) -> list[Expr]:
    """Returns a sum with brackets gone: those that have something below the line, and then all of them."""
    first = _distributed(terms(node), below=True)
    if first is None:
        return []
    second = _distributed(first, below=False)
    every = _distributed(terms(node), below=False)
    return [sum_of_products(found) for found in (first, second, every) if found is not None]


def _distributed(products: Sequence[Product], *, below: bool) -> list[Product] | None:
    """Returns products without factors that are sums; with `below` only of those that divide by something. None where
    there are too many terms."""
    waiting, done = list(products), []
    while waiting:
        p = waiting.pop()
        chosen = next((b for b, e in p.powers if e == 1 and _is_sum(b) and (not below or _divides(b))), None)
        if chosen is None:
            done.append(p)
        else:
            rest = p.without([(chosen, 1)])
            waiting += [t.times(rest) for t in terms(chosen)]
        if len(waiting) + len(done) > MAX_TERMS:
            return None
    return done[::-1]


def _is_sum(node: Expr) -> bool:
    return isinstance(node, Binary) and node.op in "+-"


def _divides(node: Expr) -> bool:
    return any(e < 0 for t in terms(node) for _, e in t.powers)
