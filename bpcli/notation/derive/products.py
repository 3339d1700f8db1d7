"""Expressions taken apart into sums of products, and told apart.

A product is a coefficient times powers of what is not taken apart further; equal powers are added. What two expressions
have in common is told by `key`, which does not look at the order of terms and factors or at the names of indices that
are summed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from bpcli.notation.derive.trees import names
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
)  # fmt: skip

MAX_DIGITS = 30
"""Digits up to which a power of a number is written as a number, and a whole number exactly."""
Coefficient = int | float | Fraction
Power = int | float


@dataclass(frozen=True)
class Product:
    """A coefficient times powers: (base, exponent), no exponent being 0."""

    coefficient: Coefficient
    powers: tuple[tuple[Expr, Power], ...] = ()

    def times(self, other: Product) -> Product:
        """Returns the product of both, equal bases together."""
        return multiplied([self, other])

    def to(self, exponent: int) -> Product:
        """Returns the product to a whole power."""
        c = self.coefficient
        power = Fraction(c) ** exponent if isinstance(c, int | Fraction) else float(c) ** exponent
        return Product(reduced(power), tuple((b, e * exponent) for b, e in self.powers))

    @property
    def name(self) -> str:
        """What tells products apart that differ by more than their coefficient."""
        return "*".join(sorted(f"{key(b)}^{float(e)!r}" for b, e in self.powers))

    def without(self, taken: Iterable[tuple[Expr, Power]]) -> Product:
        """Returns the product divided by these powers."""
        return self.times(Product(1, tuple((b, -e) for b, e in taken)))


def multiplied(factors: Iterable[Product]) -> Product:
    """Returns the product of products, equal bases together. Raises OverflowError where its coefficient is no float."""
    factors = tuple(factors)
    coefficient = _coefficient([f.coefficient for f in factors])
    powers: dict[str, tuple[Expr, Power]] = {}
    for factor in factors:
        for base, exponent in factor.powers:
            base, exponent = _plain_root(base, exponent)
            name = key(base)
            before = powers.get(name)
            powers[name] = (base, exponent + (before[1] if before else 0))
    if coefficient == 0:
        return Product(0)
    return Product(coefficient, _as_tanh(tuple(_plain_root(b, e) for b, e in powers.values() if e != 0)))


def _coefficient(numbers: Sequence[Coefficient]) -> Coefficient:
    found: Coefficient = 1
    for number in numbers:
        found = reduced(found * number)
    if not _ordinary(found) and all(map(_ordinary, numbers)):
        raise OverflowError
    return found


def _ordinary(number: Coefficient) -> bool:
    return number != 0 and math.isfinite(number)


def _plain_root(base: Expr, exponent: Power) -> tuple[Expr, Power]:
    """Returns a for sqrt(a)**2."""
    if isinstance(base, Call) and base.fn == "sqrt" and exponent % 2 == 0 and exponent != 0:
        return base.args[0], exponent // 2
    return base, exponent


def _as_tanh(powers: tuple[tuple[Expr, Power], ...]) -> tuple[tuple[Expr, Power], ...]:
    """Returns powers with tanh u for sinh u / cosh u, which does not overflow."""
    for base, above in powers:
        if isinstance(base, Call) and base.fn == "sinh" and above > 0:
            cosh, tanh = Call("cosh", base.args), Call("tanh", base.args)
            below = next((-e for b, e in powers if b == cosh and -e >= above), None)
            if below is not None:
                left = [(b, above - below) if b == cosh else (tanh, e) if b == base else (b, e) for b, e in powers]
                return tuple((b, e) for b, e in left if e != 0)
    return powers


def reduced(value: Coefficient) -> Coefficient:
    """Returns a whole number where a fraction is one, and a float for what has very many digits."""
    if isinstance(value, int | Fraction) and _digits(value) > MAX_DIGITS:
        return float(value)
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def _digits(value: Coefficient) -> float:
    """Returns how many digits a number has before the point, or zeros behind it; of a fraction, above or below."""
    numbers = (value.numerator, value.denominator) if isinstance(value, Fraction) else (value,)
    return max((abs(math.log10(abs(n))) for n in numbers if n != 0 and math.isfinite(n)), default=0)


# apart


@lru_cache(maxsize=1 << 14)
def as_product(node: Expr) -> Product:
    """Returns an expression as a product; a sum is one power of it."""
    match node:
        case Number(value=value):
            return Product(value)
        case Negate(operand=operand):
            return as_product(operand).times(Product(-1))
        case Binary(op="*" | "/"):
            factors: list[Product] = []
            inner: Expr = node
            while isinstance(inner, Binary) and inner.op in "*/":
                factor = as_product(inner.right)
                if inner.op == "/" and factor.coefficient == 0:
                    break
                factors.append(factor if inner.op == "*" else factor.to(-1))
                inner = inner.left
            if factors:
                return multiplied([as_product(inner), *reversed(factors)])
        case Binary(op="**", left=left, right=Number(value=value)) if float(value).is_integer() and abs(value) < 1000:
            base = as_product(left)
            written_out = abs(value) == 1 or _digits(base.coefficient) * abs(value) <= MAX_DIGITS
            if (base.coefficient != 0 or value > 0) and written_out:
                return base.to(int(value))
    return Product(1, ((node, 1),))


def terms(node: Expr) -> list[Product]:
    """Returns an expression as a sum of products."""
    found: list[list[Product]] = []
    while isinstance(node, Binary) and node.op in "+-":
        right = terms(node.right)
        found.append(right if node.op == "+" else _negated(right))
        node = node.left
    first = _negated(terms(node.operand)) if isinstance(node, Negate) else [as_product(node)]
    return [t for some in (first, *reversed(found)) for t in some]


def _negated(products: Iterable[Product]) -> list[Product]:
    return [replace(p, coefficient=-p.coefficient) for p in products]


# equality


@lru_cache(maxsize=1 << 14)
def key(node: Expr) -> str:
    """Returns a text that is the same for expressions that are the same up to the order of terms and factors and the
    names of indices that are summed over."""
    return _key(node, {})


def _key(node: Expr, bound: Mapping[str, str]) -> str:
    def go(inside: Expr) -> str:
        return _key(inside, bound) if bound and names(inside) & bound.keys() else key(inside)

    match node:
        case Number(value=value):
            return repr(float(value))
        case Name(id=name):
            return bound.get(name, name)
        case Dots():
            return "..."
        case Read(array=array, index=index):
            return f"{array}[{','.join(map(go, index))}]"
        case Negate() | Binary(op="*" | "/"):
            p = as_product(node)
            if p.powers == ((node, 1),) and isinstance(node, Binary):  # a division by 0 is not taken apart
                return f"({go(node.left)}{node.op}{go(node.right)})"
            listed = sorted(f"{go(b)}^{float(e)!r}" for b, e in p.powers)
            return f"({float(p.coefficient)!r}*{'*'.join(listed)})"
        case Binary(op="**", left=left, right=right):
            p = as_product(node)
            if p.powers != ((node, 1),):
                return f"({float(p.coefficient)!r}*{'*'.join(sorted(f'{go(b)}^{float(e)!r}' for b, e in p.powers))})"
            return f"({go(left)}**{go(right)})"
        case Binary(op="+" | "-"):
            return f"({'+'.join(sorted(_term_key(t, bound) for t in terms(node)))})"
        case Binary(op=op, left=left, right=right):
            return f"({go(left)}{op}{go(right)})"
        case Compare(op=op, left=left, right=right):
            if op in (">", ">="):
                op, left, right = op.replace(">", "<"), right, left
            one, two = go(left), go(right)
            return f"[{op.join(sorted((one, two)) if op in ('==', '!=') else (one, two))}]"
        case Call(fn=fn, args=args):
            return f"{fn}({','.join(map(go, args))})"
        case Reduce(fn="count", over=over):
            return f"count({','.join(sorted(bound.get(b.letter, b.letter) for b in over if isinstance(b, Bind)))})"
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            inner = dict(bound)
            for b in over:
                if isinstance(b, Bind):
                    inner[b.letter] = f"${len(inner)}" + (f"<{go(b.size)}" if b.size is not None else "")
            return f"{fn}{len(over)}({','.join(_key(e, inner) for e in extra)}|{_key(body, inner)})"
    raise TypeError(node)


def _term_key(t: Product, bound: Mapping[str, str]) -> str:
    return f"{float(t.coefficient)!r}*" + "*".join(sorted(f"{_key(b, bound)}^{float(e)!r}" for b, e in t.powers))
