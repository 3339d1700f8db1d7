"""Arithmetic of indices: whole numbers, division that rounds down, remainders, and how far they reach."""

from __future__ import annotations

from collections.abc import Mapping

from bpcli.notation.derive.algebra import add, as_expression, quotient, sum_of_products
from bpcli.notation.derive.letters import Letters
from bpcli.notation.derive.products import Product, as_product, key, terms
from bpcli.notation.syntax import Binary, Expr, Name, Negate, Number, Read, Reduce, changed, walk

Span = tuple[int, int]


class Indices:
    """Simplifies indices; `numbers` are whole numbers by name that are known."""

    def __init__(self, letters: Letters, numbers: Mapping[str, int]) -> None:
        self.letters, self.numbers = letters, numbers

    def simplified(self, node: Expr) -> Expr:
        """Returns an index: (a M + b) // M is a and (a M + b) % M is b, where b is less than M."""
        match node:
            case Binary(op="+" | "-" | "*"):
                return self._whole(add(changed(node, self.simplified)))
            case Binary(op="//" | "%" as op, left=left, right=size):
                left = self.simplified(left)
                quotients: list[Product] = []
                rest: list[Product] = []
                for t in terms(left):
                    q = as_product(quotient(as_expression(t), size))
                    whole = isinstance(q.coefficient, int) and all(e > 0 for _, e in q.powers)
                    (quotients if whole else rest).append(q if whole else t)
                more = sum_of_products(rest)
                below = self._below(more, size)
                if op == "%":
                    return more if below else Binary("%", more, size)
                return add(sum_of_products(quotients), *([] if below else [Binary("//", more, size)]))
            case Read(array=array, index=index):
                return Read(array, tuple(map(self.simplified, index)))
        return changed(node, self.simplified)

    def everywhere(self, node: Expr) -> Expr:
        """Returns an expression with its indices simplified."""
        match node:
            case Read(array=array, index=index):
                return Read(array, tuple(map(self.simplified, index)))
            case Reduce(fn=fn, over=over, body=body, extra=extra) if fn != "count":
                return Reduce(fn, over, self.everywhere(body), tuple(map(self.everywhere, extra)))
            case Binary(op="//" | "%", left=left, right=size) if self._is_index(left, size):
                return self.simplified(node)
        return changed(node, self.everywhere)

    def _is_index(self, node: Expr, size: Expr) -> bool:
        """Whether an expression outside any read is computed from indices and sizes alone, and so a whole number: what
        holds for these, 2 i // 2 = i, does not hold for all numbers."""
        known = {*self.numbers, *(n.id for n in walk(size) if isinstance(n, Name))}
        leaves = [n for side in (node, size) for n in walk(side) if not isinstance(n, Binary | Negate | Reduce)]
        return any(isinstance(n, Name) and n.id in self.letters for n in leaves) and all(
            n.id in self.letters or n.id in known
            if isinstance(n, Name)
            else isinstance(n, Number) and float(n.value).is_integer()
            for n in leaves
        )

    def _whole(self, node: Expr) -> Expr:
        """Returns t for (t // M) M + t % M."""
        parts = terms(node)
        for i, p in enumerate(parts):
            for b, e in p.powers:
                if not (isinstance(b, Binary) and b.op == "//" and e == 1):
                    continue
                sought = key(Binary("%", b.left, b.right))
                for j, other in enumerate(parts):
                    if key(as_expression(other)) == sought and key(as_expression(p.without([(b, 1)]))) == key(b.right):
                        rest = [q for k, q in enumerate(parts) if k not in (i, j)]
                        return self._whole(add(b.left, sum_of_products(rest)))
        return node

    def _below(self, node: Expr, size: Expr) -> bool:
        """Whether an index is surely at least 0 and less than a size."""
        match node:
            case Number(value=0):
                return True
            case Name(id=k) if k in self.letters and (written_size := self.letters[k].size) is not None:
                return key(written_size) == key(size)
            case Binary(op="%", right=right):
                return key(right) == key(size)
            case Binary(op="//", left=Name(id=k), right=right) if k in self.letters:
                whole = self.letters[k].size
                return whole is not None and key(product_of(size, right)) == key(product_of(whole, Number(1)))
        return False

    # how far they reach

    def within(self, value: Expr, letter: str) -> bool:
        """Whether a value is surely one of those of an index."""
        size = self.size(letter)
        span = self._span(value)
        return size is not None and span is not None and span[0] >= 0 and span[1] < size

    def same_range(self, one: str, two: str) -> bool:
        """Whether two indices surely have the same values."""
        if self.letters[one].origin == self.letters[two].origin:
            return True
        size = self.size(one)
        return size is not None and size == self.size(two)

    def size(self, letter: str) -> int | None:
        """Returns how many values an index has, where that is known."""
        known = self.letters[letter]
        if known.origin in self.letters.sizes:
            return self.letters.sizes[known.origin]
        if known.size is not None:
            span = self._span(known.size)
            return span[0] if span is not None and span[0] == span[1] else None
        return None

    def _span(self, node: Expr) -> Span | None:
        """Returns the least and the largest value of an index."""
        match node:
            case Number(value=int() as value):
                return value, value
            case Name(id=name) if name in self.letters:
                size = self.size(name)
                return None if size is None else (0, size - 1)
            case Name(id=name) if name in self.numbers:
                return self.numbers[name], self.numbers[name]
            case Negate(operand=operand):
                span = self._span(operand)
                return None if span is None else (-span[1], -span[0])
            case Binary(op=op, left=left, right=right):
                one, two = self._span(left), self._span(right)
                return None if one is None or two is None else _combined(op, one, two)
        return None


def product_of(*sizes: Expr) -> Expr:
    """Returns a product of sizes."""
    found = as_product(sizes[0])
    for size in sizes[1:]:
        found = found.times(as_product(size))
    return as_expression(found)


def _combined(op: str, one: Span, two: Span) -> Span | None:
    match op:
        case "+":
            return one[0] + two[0], one[1] + two[1]
        case "-":
            return one[0] - two[1], one[1] - two[0]
        case "*":
            corners = [a * b for a in one for b in two]
            return min(corners), max(corners)
        case "//" if two[0] == two[1] > 0:
            return one[0] // two[0], one[1] // two[0]
        case "%" if two[0] == two[1] > 0:
            return (one[0], one[1]) if one[0] >= 0 and one[1] < two[0] else (0, two[0] - 1)
    return None
