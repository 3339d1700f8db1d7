"""Quantities that already have a name: where the right side of a forward equation stands, its left side is written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bpcli.notation.derive.algebra import ONE, ZERO, add, as_expression, multiply, negate, power, sum_over
from bpcli.notation.derive.letters import Letters
from bpcli.notation.derive.products import Power, Product, as_product, key, terms
from bpcli.notation.derive.simplify import simplified
from bpcli.notation.derive.trees import names, replaced
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Equation,
    Expr,
    Name,
    Negate,
    Number,
    Read,
    Reduce,
    changed,
    children,
)  # fmt: skip

Binding = Mapping[str, str]
MAX_COMPARED = 50_000
"""Expressions that are compared with what has a name, of one derivation; after them, what follows is written out."""


@dataclass(frozen=True)
class Named:
    """A right side by whose name it may be called: `value` reads the left side at the indices `free`."""

    free: tuple[str, ...]
    sized: frozenset[str]
    right: Expr
    value: Expr


def named_quantities(opened: Sequence[Equation]) -> list[Named]:
    """Returns the forward equations' right sides, and the rests: where y is a / (a + b), b / (a + b) is 1 - y."""
    found = []
    for equation in opened:
        free = equation.letters
        sized = frozenset(b.letter for b in equation.free if isinstance(b, Bind) and b.size is not None)
        right = simplified(equation.right)
        if isinstance(right, Read | Name | Number) or not set(free) <= names(right):
            continue
        value: Expr = Read(equation.name, tuple(map(Name, free))) if free else Name(equation.name)
        found.append(Named(free, sized, right, value))
        found += [Named(free, sized, rest, add(ONE, negate(value))) for rest in _rests(right, value)]
    return sorted(found, key=lambda q: -len(as_product(q.right).powers))


def _rests(right: Expr, value: Expr) -> Iterator[Expr]:
    """Yields b / (a + b), and the same as b y / a, where y is a / (a + b)."""
    p = as_product(right)
    for base, exponent in p.powers:
        if exponent == -1 and isinstance(base, Binary) and base.op in "+-":
            above = p.without([(base, -1)])
            parts = terms(base)
            if len(parts) == 2 and any(key(as_expression(t)) == key(as_expression(above)) for t in parts):
                rest = next(t for t in parts if key(as_expression(t)) != key(as_expression(above)))
                yield as_expression(rest.times(Product(1, ((base, -1),))))
                yield as_expression(rest.times(as_product(value)).without(above.powers))


def adding_up(opened: Sequence[Equation]) -> set[tuple[str, int]]:
    """Returns which quantities add up to 1, and over which of their indices: y is e_k / sum_j e_j."""
    found = set()
    for equation in opened:
        p = as_product(simplified(equation.right))
        for base, exponent in p.powers:
            if exponent == -1 and isinstance(base, Reduce) and base.fn == "sum" and len(base.over) == 1:
                above = as_expression(p.without([(base, -1)]))
                for place, k in enumerate(equation.letters):
                    if key(replaced(above, {k: Name(base.letters[0])})) == key(base.body):
                        found.add((equation.name, place))
    return found


class Naming:
    """Writes names for what has one; `said` gathers what was used of them beyond their names."""

    def __init__(self, opened: Sequence[Equation], letters: Letters) -> None:
        self.quantities, self.letters = named_quantities(opened), letters
        self.shares = adding_up(opened)
        self.said: list[str] = []
        self.compared = 0

    def name(self, node: Expr) -> Expr:
        """Returns an expression with names in place of what they stand for."""
        whole = self._whole(node)
        found = _inside(node, self.name) if whole is None else whole
        return self._known_sum(found) if isinstance(found, Reduce) and found.fn == "sum" else found

    def _known_sum(self, node: Reduce) -> Expr:
        """Returns a sum without the indices over which shares add up to 1; 0 where deviations from a mean add up."""
        p = as_product(node.body)
        for base, exponent in p.powers:
            if isinstance(base, Read) and exponent == 1:
                for place, index in enumerate(base.index):
                    if not (
                        isinstance(index, Name) and index.id in node.letters and (base.array, place) in self.shares
                    ):
                        continue
                    others = p.without([(base, 1)])
                    if index.id not in names(as_expression(others)) and base.index.count(index) == 1:
                        self.said.append(f"{base.array} adds up to 1")
                        over = [b for b in node.over if isinstance(b, Bind) and b.letter != index.id]
                        return self.name(sum_over(over, as_expression(others)))
        return ZERO if self._deviations(node) else node

    def _deviations(self, node: Reduce) -> bool:
        parts = terms(node.body)
        for value, centre in itertools.permutations(parts) if len(parts) == 2 else ():
            mean = as_product(negate(as_expression(centre)))
            if mean.coefficient != 1 or len(mean.powers) != 1:
                continue
            sought = simplified(Reduce("mean", node.over, as_expression(value)))
            if key(self.name(sought)) == key(as_expression(mean)):
                self.said.append("deviations from their mean add up to 0")
                return True
        return False

    def _whole(self, node: Expr) -> Expr | None:
        for quantity in self.quantities:
            binding = next(self._unify(quantity, quantity.right, node, {}), None)
            if binding is not None:
                return _renamed(quantity.value, binding)
        return self._part_of_product(node)

    def _part_of_product(self, node: Expr) -> Expr | None:
        """Returns a product in which some factors are a named quantity, with its name."""
        if not isinstance(node, Binary) and not isinstance(node, Call):
            return None
        p = as_product(node)
        if sum(abs(e) for _, e in p.powers) < 2:
            return None
        for quantity in self.quantities:
            wanted = as_product(quantity.right)
            if wanted.powers == ((quantity.right, 1),) or len(wanted.powers) > len(p.powers):
                continue
            if wanted.coefficient not in (1, p.coefficient, -p.coefficient):
                continue
            coefficient = p.coefficient if wanted.coefficient == 1 else 1 if wanted.coefficient == p.coefficient else -1
            for binding, rest in self._take(quantity, list(wanted.powers), list(p.powers), {}):
                value = as_product(_renamed(quantity.value, binding))
                return self.name(as_expression(Product(coefficient, tuple(rest)).times(value)))
        return None

    def _take(
        self, q: Named, wanted: list[tuple[Expr, Power]], among: list[tuple[Expr, Power]], binding: Binding
    ) -> Iterator[tuple[Binding, list[tuple[Expr, Power]]]]:
        """Yields bindings under which the wanted powers are among some, and what is left of these."""
        if not wanted:
            yield binding, among
            return
        (base, exponent), *others = wanted
        for i, (b, e) in enumerate(among):
            if e * exponent > 0 and abs(e) >= abs(exponent) and _skeleton(b) == _skeleton(base):
                for bound in self._unify(q, base, b, binding):
                    left = [(b, e - exponent)] if e != exponent else []
                    yield from self._take(q, others, [*among[:i], *left, *among[i + 1 :]], bound)

    def _unify(self, q: Named, pattern: Expr, node: Expr, binding: Binding) -> Iterator[Binding]:
        """Yields for which indices the pattern is the expression."""
        self.compared += 1
        if self.compared > MAX_COMPARED:
            return
        match pattern, node:
            case Name(id=free), Name(id=found) if free in q.free:
                if binding.get(free, found) == found and self._may_stand(q, free, found):
                    yield {**binding, free: found}
            case Name(id=one), Name(id=two):
                if binding.get(one, one) == two:
                    yield binding
            case Number(value=one), Number(value=two):
                if one == two:
                    yield binding
            case Read(array=one, index=index), Read(array=two, index=at) if one == two and len(index) == len(at):
                yield from self._unify_all(q, index, at, binding)
            case Binary(op="+" | "-"), Binary(op="+" | "-"):
                yield from self._unify_terms(q, terms(pattern), terms(node), binding)
            case ((Negate() | Binary()), (Negate() | Binary())) if as_product(pattern).powers != ((pattern, 1),):
                left, right = as_product(pattern), as_product(node)
                if left.coefficient == right.coefficient and len(left.powers) == len(right.powers):
                    for bound, rest in self._take(q, list(left.powers), list(right.powers), binding):
                        if not rest:
                            yield bound
            case Binary(op=one), Binary(op=two) if one == two:
                yield from self._unify_all(q, children(pattern), children(node), binding)
            case Compare(op=one), Compare(op=two) if one == two:
                yield from self._unify_all(q, children(pattern), children(node), binding)
            case Call(fn=one), Call(fn=two) if one == two and len(pattern.args) == len(node.args):
                yield from self._unify_all(q, pattern.args, node.args, binding)
            case Reduce(fn="count"), Reduce(fn="count"):
                if pattern == node:
                    yield binding
            case Reduce(fn=one), Reduce(fn=two) if one == two and len(pattern.over) == len(node.over):
                if pattern.extra == node.extra and self._ranges(pattern) == self._ranges(node):
                    same = dict(zip(pattern.letters, node.letters, strict=True))
                    for bound in self._unify(q, pattern.body, node.body, {**binding, **same}):
                        yield {k: v for k, v in bound.items() if k not in same}

    def _unify_all(
        self, q: Named, patterns: Sequence[Expr], nodes: Sequence[Expr], binding: Binding
    ) -> Iterator[Binding]:
        if not patterns:
            yield binding
            return
        for bound in self._unify(q, patterns[0], nodes[0], binding):
            yield from self._unify_all(q, patterns[1:], nodes[1:], bound)

    def _unify_terms(
        self, q: Named, patterns: Sequence[Product], among: Sequence[Product], binding: Binding
    ) -> Iterator[Binding]:
        if len(patterns) != len(among):
            return
        if not patterns:
            yield binding
            return
        first, *others = patterns
        for i, t in enumerate(among):
            if t.coefficient == first.coefficient and len(t.powers) == len(first.powers):
                for bound, rest in self._take(q, list(first.powers), list(t.powers), binding):
                    if not rest:
                        yield from self._unify_terms(q, others, [*among[:i], *among[i + 1 :]], bound)

    def _may_stand(self, q: Named, free: str, found: str) -> bool:
        """Whether an index surely has no more values than the one that it stands for."""
        if found not in self.letters:
            return False
        one, two = self.letters[free], self.letters[found]
        if one.origin == two.origin:
            return True
        return one.size is None and two.size is None and _read_whole(free, q.right)

    def _ranges(self, node: Reduce) -> list[str]:
        return [key(b.size) if isinstance(b, Bind) and b.size is not None else "" for b in node.over]


@lru_cache(maxsize=1 << 14)
def _skeleton(node: Expr) -> str:
    """Returns what expressions have in common that differ in the names of their indices alone."""
    return key(replaced(node, dict.fromkeys(names(node), Name("?"))))


def _read_whole(letter: str, node: Expr) -> bool:
    """Whether an array is read along the whole axis by this index."""
    match node:
        case Call(fn="pad", args=(Read(index=index), *_)):
            return any(_read_whole(letter, i) for i in index)
        case Read(index=index) if Name(letter) in index:
            return True
    return any(_read_whole(letter, n) for n in children(node))


def _renamed(node: Expr, binding: Binding) -> Expr:
    match node:
        case Name(id=name):
            return Name(binding.get(name, name))
        case Read(array=array, index=index):
            return Read(array, tuple(_renamed(i, binding) for i in index))
    return changed(node, lambda inside: _renamed(inside, binding))


def _inside(node: Expr, go: Callable[[Expr], Expr]) -> Expr:
    """Returns an expression with what stands inside it changed; indices stay."""
    match node:
        case Read() | Reduce(fn="count") | Call(fn="pad"):
            return node
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return Reduce(fn, over, go(body), extra)
        case Binary(op="*" | "/") if (p := as_product(node)).powers != ((node, 1),):
            return multiply(as_expression(Product(p.coefficient)), *(power(go(b), Number(e)) for b, e in p.powers))
    return changed(node, go)
