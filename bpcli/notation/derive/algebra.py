"""Products and sums of the notation's expressions, simplified: the little algebra that a derivation needs.

Terms that cancel go, what all terms have in common stands before them, factors that a sum does not run over before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from bpcli.notation.derive.products import Coefficient, Power, Product, as_product, key, multiplied, reduced, terms
from bpcli.notation.derive.trees import names
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Expr,
    Name,
    Negate,
    NotationError,
    Number,
    Read,
    Reduce,
)  # fmt: skip

ZERO, ONE, TWO = Number(0), Number(1), Number(2)


def multiply(*factors: Expr) -> Expr:
    """Returns the product of expressions."""
    return as_expression(multiplied(map(as_product, factors)))


def quotient(left: Expr, right: Expr) -> Expr:
    """Returns a quotient. Raises NotationError where it divides by 0, whatever is put in."""
    if as_product(right).coefficient == 0:
        raise NotationError("it divides by 0, whatever is put in", "divide by what is not always 0")
    return multiply(left, Binary("/", ONE, right))


def negate(node: Expr) -> Expr:
    """Returns -a."""
    return multiply(Number(-1), node)


def as_expression(p: Product) -> Expr:
    """Returns a product as an expression: numbers and names first, sums over an index last, what is divided by
    below."""
    c = p.coefficient
    sign, c = (-1, -c) if c < 0 else (1, c)
    over_c, under_c = (c.numerator, c.denominator) if isinstance(c, Fraction) else (c, 1)
    above = [_power(b, e) for b, e in p.powers if e > 0]
    below = [_power(b, -e) for b, e in p.powers if e < 0]
    above.sort(key=_place)
    if over_c != 1 or not above:
        above.insert(0, Number(over_c))
    if under_c != 1:
        below.insert(0, Number(under_c))
    node = _chain(above)
    if below:
        node = Binary("/", node, _chain(below))
    return node if sign > 0 else Number(-node.value) if isinstance(node, Number) else Negate(node)


def _place(factor: Expr) -> int:
    """Returns where a factor stands: what takes in all that follows it goes last."""
    match factor:
        case Binary(op="+" | "-"):
            return 1
        case Call(fn="where"):
            return 2
        case Reduce(fn=fn) if fn != "count":
            return 3
    return 0


def _power(base: Expr, exponent: Power) -> Expr:
    return base if exponent == 1 else Binary("**", base, Number(exponent))


def _chain(factors: Sequence[Expr]) -> Expr:
    node = factors[0]
    for factor in factors[1:]:
        node = Binary("*", node, factor)
    return node


def add(*summands: Expr) -> Expr:
    """Returns the sum of expressions: like terms together, what all have in common before it."""
    return sum_of_products([t for s in summands for t in terms(s)])


def sum_of_products(products: Iterable[Product]) -> Expr:
    """Returns the sum of products."""
    found = _cases_together(_like_together(products))
    if not found:
        return ZERO
    if len(found) == 1:
        return as_expression(found[0])
    common = _common(found)
    if common:
        inner = sum_of_products(p.without(common) for p in found)
        return as_expression(Product(1, common).times(as_product(inner)))
    first = next((i for i, p in enumerate(found) if p.coefficient > 0), 0)
    found.insert(0, found.pop(first))
    node = as_expression(found[0])
    for p in found[1:]:
        if p.coefficient < 0:
            node = Binary("-", node, as_expression(replace(p, coefficient=-p.coefficient)))
        else:
            node = Binary("+", node, as_expression(p))
    return node


def _like_together(products: Iterable[Product]) -> list[Product]:
    like: dict[str, Product] = {}
    for p in products:
        before = like.get(p.name)
        like[p.name] = p if before is None else replace(before, coefficient=reduced(before.coefficient + p.coefficient))
    return [p for p in like.values() if p.coefficient != 0]


def _common(products: Sequence[Product]) -> tuple[tuple[Expr, Power], ...]:
    """Returns the powers that stand in every one of several products."""
    found = []
    for base, exponent in products[0].powers:
        others = [{key(b): e for b, e in p.powers}.get(key(base), 0) for p in products[1:]]
        if all(e * exponent > 0 for e in others):
            least = min((exponent, *others), key=abs)
            found.append((base, least))
    return tuple(found)


def _cases_together(products: list[Product]) -> list[Product]:
    """Returns the sum with `where` of one condition in one: what holds there, and what holds elsewhere."""
    found: dict[str, tuple[Expr, list[Expr], list[Expr]]] = {}
    out: list[Product | str] = []
    for p in products:
        match p.powers:
            case ((Call(fn="where", args=(condition, then, other)), 1),):
                name = key(condition)
                if name not in found:
                    found[name] = (condition, [], [])
                    out.append(name)
                factor = _number(p.coefficient)
                found[name][1].append(multiply(factor, then))
                found[name][2].append(multiply(factor, other))
            case _:
                out.append(p)
    return [t for item in out for t in ([item] if isinstance(item, Product) else _case(*found[item]))]


def _case(condition: Expr, then: Sequence[Expr], other: Sequence[Expr]) -> list[Product]:
    node = where(condition, add(*then), add(*other))
    return [] if node == ZERO else [as_product(node)]


def _number(c: Coefficient) -> Expr:
    return Binary("/", Number(c.numerator), Number(c.denominator)) if isinstance(c, Fraction) else Number(c)


def where(condition: Expr, then: Expr, other: Expr) -> Expr:
    """Returns where(c, a, b): a where both are the same; a plain factor of both before it."""
    then, other = _known(then, condition, 1), _known(other, condition, 2)
    if key(then) == key(other):
        return then
    if isinstance(condition, Number):
        return then if condition.value != 0 else other
    if ZERO in (then, other):
        return Call("where", (condition, then, other))
    one, two = as_product(then), as_product(other)
    common = tuple((b, e) for b, e in _common([one, two]) if _is_count(b) or (isinstance(b, Read | Name) and e > 0))
    inner = Call("where", (condition, as_expression(one.without(common)), as_expression(two.without(common))))
    return as_expression(Product(1, common).times(Product(1, ((inner, 1),)))) if common else inner


def _known(node: Expr, condition: Expr, branch: int) -> Expr:
    """Returns an expression without cases of a condition that is known: the branch that is taken then."""
    p = as_product(node)
    for base, exponent in p.powers:
        if isinstance(base, Call) and base.fn == "where" and key(base.args[0]) == key(condition) and exponent > 0:
            taken = power(base.args[branch], Number(exponent))
            return _known(multiply(as_expression(p.without([(base, exponent)])), taken), condition, branch)
    return node


def _is_count(node: Expr) -> bool:
    return isinstance(node, Reduce) and node.fn == "count"


def sum_over(binds: Sequence[Bind], body: Expr) -> Expr:
    """Returns the sum over indices: what does not depend on them before it, sums inside sums as one."""
    if not binds or body == ZERO:
        return body
    p = as_product(body)
    letters = {b.letter for b in binds}
    outside = tuple((b, e) for b, e in p.powers if not names(b) & letters)
    inside = tuple((b, e) for b, e in p.powers if names(b) & letters)
    factor = Product(p.coefficient, outside)
    used = {k for b, _ in inside for k in names(b)}
    idle = tuple(b for b in binds if b.letter not in used)
    if idle:
        factor = factor.times(Product(1, ((Reduce("count", idle, ONE), 1),)))
    binds = [b for b in binds if b.letter in used]
    if not binds:
        return as_expression(factor)
    match inside:
        case ((Call(fn="where", args=(condition, then, other)), 1),) if not names(condition) & letters:
            both = (sum_over(binds, then), sum_over(binds, other))
            return as_expression(factor.times(as_product(where(condition, *both))))
        case ((Reduce(fn="sum", over=over, body=inner), 1),):
            return as_expression(factor.times(Product(1, ((Reduce("sum", (*binds, *over), inner), 1),))))
    return as_expression(
        factor.times(Product(1, ((Reduce("sum", tuple(binds), as_expression(Product(1, inside))), 1),)))
    )


def power(base: Expr, exponent: Expr) -> Expr:
    """Returns a**b."""
    if exponent == ZERO:
        return ONE
    if isinstance(exponent, Number) and float(exponent.value).is_integer():
        return as_expression(as_product(Binary("**", base, exponent)))
    return Binary("**", base, exponent)
