"""Where an adjoint goes: what reaches `a[p + u - P]` belongs to the entry `a[t]`, so `p` is `t + P - u`.

The entries of an array that an equation reads are named by the array's own indices. An index of the equation that one
of these determines is replaced by it; what an index does not determine is summed over, and what cannot be solved for
stays a bracket, `[x[n] = i]`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bpcli.notation.derive.algebra import ONE, ZERO, add, as_expression, multiply, negate, quotient, sum_over
from bpcli.notation.derive.indices import Indices
from bpcli.notation.derive.products import as_product, terms
from bpcli.notation.derive.trees import names, replaced
from bpcli.notation.syntax import Binary, Bind, Call, Compare, Expr, Name, Negate, Number, Read, Reduce, changed

Guard = tuple[Expr, bool]
_FINITE = {"exp", "abs", "sign", "floor", "sin", "cos", "tanh", "erf", "erfc", "max", "min", "log1pexp", "expm1", "pad"}
"""Functions that are finite wherever their arguments are."""


class Gathering:
    """One read of an array, and what of the adjoint of its equation reaches the array's entries.

    `scope` are the indices that the adjoint depends on, `targets` those of the array.
    """

    def __init__(self, indices: Indices, scope: Sequence[str], targets: Sequence[str]) -> None:
        self.indices, self.letters, self.targets = indices, indices.letters, targets
        self.left = list(scope)
        self.solved: dict[str, Expr] = {}
        self.beyond: set[str] = set()  # indices whose solution may lie outside their range
        self.brackets: list[Expr] = []

    def gather(self, index: Sequence[Expr], adjoint: Expr, guards: Sequence[Guard]) -> Expr:
        """Returns what reaches the array's entries, by their indices."""
        for i, target in zip(index, self.targets, strict=True):
            self._match(self.indices.simplified(replaced(i, self.solved)), Name(target))
        body, guards, outside = self._within(adjoint, guards)
        deltas = tuple((b, e) for b, e in as_product(body).powers if isinstance(b, Compare) and b.op == "==")
        body = as_expression(as_product(body).without(deltas))
        for condition, holds in reversed(guards):
            body = Call("where", (condition, body, ZERO) if holds else (condition, ZERO, body))
        for condition in outside:
            body = Call("where", (condition, body, ZERO))
        body = self._without_deltas(multiply(*self.brackets, *(b for b, _ in deltas), body))
        return sum_over([Bind(k, self.letters[k].size) for k in self.left], self.indices.everywhere(body))

    def _without_deltas(self, body: Expr) -> Expr:
        """Returns a body that is to be summed up without the sums of which a bracket leaves one term, [k = m]."""
        for bracket, exponent in as_product(body).powers:
            match bracket:
                case Compare(op="==", left=Name(id=one), right=Name(id=two)) if exponent > 0:
                    for k, m in ((one, two), (two, one)):
                        if k in self.left and m in self.letters and self.indices.same_range(k, m):
                            self.left.remove(k)
                            rest = as_product(body).without([(bracket, exponent)])
                            return self._without_deltas(replaced(as_expression(rest), {k: Name(m)}))
        return body

    # which index of the equation an entry's index determines

    def _match(self, index: Expr, target: Expr) -> None:
        if isinstance(index, Name) and index.id in self.left:
            self._solve(index.id, target, beyond=self.letters[index.id].size is not None)
        elif not any(rule(index, target) for rule in (self._by_digits, self._by_term, self._by_quotient)):
            self.brackets.append(Compare("==", index, target))

    def _solve(self, letter: str, value: Expr, *, beyond: bool) -> None:
        self.left.remove(letter)
        self.solved = {k: self.indices.simplified(replaced(v, {letter: value})) for k, v in self.solved.items()}
        self.brackets = [replaced(b, {letter: value}) for b in self.brackets]
        self.solved[letter] = value
        if beyond and not self.indices.within(value, letter):
            self.beyond.add(letter)

    def _by_digits(self, index: Expr, target: Expr) -> bool:
        """Whether the index is a*M + b with b below M: then a is the target divided by M, and b the remainder."""
        if not (isinstance(index, Binary) and index.op == "+"):
            return False
        parts = terms(index)
        for last in parts:
            letter = _single(as_expression(last), self.left)
            size = self.letters[letter].size if letter else None
            rest = [p for p in parts if p is not last]
            if size is None or not rest or letter in names(as_expression(rest[0])):
                continue
            quotients = [quotient(as_expression(p), size) for p in rest]
            if all(as_product(q).coefficient == 1 and _whole(q) for q in quotients):
                self._solve(letter, Binary("%", target, size), beyond=False)
                self._match(add(*quotients), Binary("//", target, size))
                return True
        return False

    def _by_term(self, index: Expr, target: Expr) -> bool:
        """Whether an index stands once in a sum, alone or times a step: it is what is left of the target, divided by
        the step where that goes."""
        parts = terms(index)
        for letter in list(self.left):
            standing = [p for p in parts if letter in names(as_expression(p))]
            if len(standing) != 1 or _inside_division(index, letter):
                continue
            step = as_product(quotient(as_expression(standing[0]), Name(letter)))
            if any(e < 0 or self._letters_in(b) for b, e in step.powers):
                continue
            rest = add(target, *(negate(as_expression(p)) for p in parts if p is not standing[0]))
            if abs(step.coefficient) == 1 and not step.powers:
                self._solve(
                    letter, as_expression(as_product(rest).times(step)) if step.coefficient < 0 else rest, beyond=True
                )
                return True
            if isinstance(step.coefficient, int) and step.coefficient > 0:
                every = as_expression(step)
                self._solve(letter, Binary("//", rest, every), beyond=True)
                self.brackets.append(Compare("==", Binary("%", rest, every), ZERO))
                return True
        return False

    def _by_quotient(self, index: Expr, target: Expr) -> bool:
        """Whether the index is k // M: then k is M times the target and some more, less than M."""
        match index:
            case Binary(op="//", left=Name(id=letter), right=size) if letter in self.left and not self._letters_in(
                size
            ):
                more = self.letters.new("e", size)
                self._solve(letter, add(multiply(target, size), Name(more)), beyond=True)
                self.left.append(more)
                return True
        return False

    def _letters_in(self, node: Expr) -> frozenset[str]:
        return names(node) & set(self.letters.known)

    # an index that was solved for has to lie in its range

    def _within(self, adjoint: Expr, guards: Sequence[Guard]) -> tuple[Expr, list[Guard], list[Expr]]:
        """Returns adjoint and guards with the solutions in place, and conditions for those that may lie outside: none
        where a read of the adjoint, which is 0 outside, does as well."""
        outside: list[Expr] = []
        padded = set()
        for letter in self.letters.known:
            if letter in self.beyond:
                if _limits(letter, adjoint):
                    padded.add(letter)
                else:
                    value = self.solved[letter]
                    count = self.letters[letter].size or Reduce("count", (Bind(letter),), ONE)
                    outside += [Compare(">=", value, ZERO), Compare("<", value, count)]
        body = replaced(_padded(adjoint, padded), self.solved)
        return body, [(replaced(_padded(c, padded), self.solved), holds) for c, holds in guards], outside


def _single(node: Expr, among: Sequence[str]) -> str:
    return node.id if isinstance(node, Name) and node.id in among else ""


def _whole(node: Expr) -> bool:
    """Whether a quotient came out whole: nothing is left below the line."""
    return all(e > 0 for _, e in as_product(node).powers) and isinstance(as_product(node).coefficient, int)


def _inside_division(node: Expr, letter: str) -> bool:
    match node:
        case Binary(op="//" | "%"):
            return letter in names(node)
        case Binary(left=left, right=right):
            return _inside_division(left, letter) or _inside_division(right, letter)
        case Negate(operand=operand):
            return _inside_division(operand, letter)
        case Name() | Number():
            return False
    return letter in names(node)


def _limits(letter: str, adjoint: Expr) -> bool:
    """Whether the adjoint is 0 where this index is outside its range, once its reads give 0 there: it is a factor read
    along the index, and nothing else becomes infinite by a 0."""
    powers = as_product(adjoint).powers
    reads = any(isinstance(b, Read) and e > 0 and Name(letter) in b.index for b, e in powers)
    return reads and all(letter not in names(b) or (e > 0 and _finite(b)) for b, e in powers)


def _finite(node: Expr) -> bool:
    match node:
        case Name() | Number() | Read():
            return True
        case Binary(op="+" | "-" | "*", left=left, right=right) | Compare(left=left, right=right):
            return _finite(left) and _finite(right)
        case Binary(op="**", left=left, right=Number(value=value)):
            return value >= 0 and float(value).is_integer() and _finite(left)
        case Negate(operand=operand):
            return _finite(operand)
        case Call(fn=fn, args=args):
            return fn in _FINITE and all(map(_finite, args))
        case Reduce(fn=fn, body=body):
            return fn in ("sum", "mean", "prod", "max", "argmax", "count") and _finite(body)
    return False


def _padded(node: Expr, over: set[str]) -> Expr:
    """Returns an expression whose reads at these indices give 0 outside their array."""
    match node:
        case Read(array=array, index=index):
            inside = Read(array, tuple(_padded(i, over) for i in index))
            return Call("pad", (inside,)) if any(names(i) & over for i in index) else inside
        case Call(fn="pad", args=(Read() as read, *rest)):
            return Call("pad", (read, *rest))
        case Reduce(fn=fn, over=bound, body=body, extra=extra) if fn != "count":
            return Reduce(fn, bound, _padded(body, over), tuple(_padded(e, over) for e in extra))
    return changed(node, lambda inside: _padded(inside, over))
