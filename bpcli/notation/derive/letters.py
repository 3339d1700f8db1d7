"""Indices of a derivation: every one has a name of its own until the end, so that none can be mistaken for another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bpcli.notation.derive.algebra import ONE
from bpcli.notation.derive.products import key
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.derive.trees import replaced
from bpcli.notation.syntax import (
    Bind,
    Call,
    Eq,
    Equation,
    Expr,
    Name,
    NotationError,
    Read,
    Reduce,
    changed,
    children,
    walk,
)  # fmt: skip

_USUAL = "jklmihopqrstuvwcdeabfgnxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # in the order in which they stand in for a taken one


@dataclass(frozen=True)
class Letter:
    """An index: the letter it was written with, the range written with it, and the index whose range it shares."""

    base: str
    size: Expr | None
    origin: str


class Letters:
    """The indices of one derivation by their own names, `k#3`."""

    def __init__(self, forward: Sequence[Equation]) -> None:
        self.known: dict[str, Letter] = {}
        self.ranges: dict[str, str] = {}  # of the letters that stand in the equation at hand
        self.written = list(dict.fromkeys(k for e in forward for k in bound_in(e)))
        arrays = {n.array for e in forward for n in walk(e.right) if isinstance(n, Read)}
        names = {n.id for e in forward for n in walk(e.right) if isinstance(n, Name)} - set(self.written)
        self.taken = {*arrays, *names, *(e.name for e in forward)}
        self.sizes: dict[str, int] = {}  # how many values an index has, where that is known

    def new(self, base: str, size: Expr | None = None, like: str = "") -> str:
        """Returns a new index, of the range of `like` where that is one."""
        name = f"{base}#{len(self.known)}"
        if like:
            self.known[name] = replace(self.known[like], base=base)
        else:
            self.known[name] = Letter(base, size, name)
        return name

    def __contains__(self, name: object) -> bool:
        return name in self.known

    def __getitem__(self, name: str) -> Letter:
        return self.known[name]

    def opened(self, equation: Equation) -> Equation:
        """Returns an equation with new indices throughout."""
        binds = [b for b in equation.free if isinstance(b, Bind)]
        new = {b.letter: self.new(b.letter, b.size) for b in binds}
        free = tuple(Bind(new[b.letter], b.size) for b in binds)
        return Equation(equation.name, free, self._opened(equation.right, new), equation.source)

    def _opened(self, node: Expr, new: Mapping[str, str]) -> Expr:
        def go(inside: Expr) -> Expr:
            return self._opened(inside, new)

        match node:
            case Name(id=name):
                return Name(new.get(name, name))
            case Read(array=array, index=index):
                return Read(array, tuple(map(go, index)))
            case Reduce(fn="count", over=over):
                counted = tuple(replace(b, letter=new.get(b.letter, b.letter)) for b in over if isinstance(b, Bind))
                return Reduce("count", counted, ONE)
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                binds = [b for b in over if isinstance(b, Bind)]
                inner = {**new, **{b.letter: self.new(b.letter, b.size) for b in binds}}
                bound = tuple(Bind(inner[b.letter], b.size) for b in binds)
                return Reduce(fn, bound, self._opened(body, inner), tuple(self._opened(e, inner) for e in extra))
        return changed(node, go)

    def again(self, node: Expr) -> Expr:
        """Returns an expression whose reductions run over new indices."""
        match node:
            case Read(array=array, index=index):
                return Read(array, tuple(map(self.again, index)))
            case Reduce(fn=fn, over=over, body=body, extra=extra) if fn != "count":
                binds = [b for b in over if isinstance(b, Bind)]
                new = {b.letter: self.new(self[b.letter].base, like=b.letter) for b in binds}
                bound = tuple(Bind(new[b.letter], b.size) for b in binds)
                names: dict[str, Expr] = {k: Name(v) for k, v in new.items()}
                inside = self.again(replaced(body, names))
                return Reduce(fn, bound, inside, tuple(replaced(e, names) for e in extra))
        return changed(node, self.again)

    # back to single letters

    def finished(self, name: str, free: Sequence[str], right: Expr, *, on_the_way: bool) -> Equation:
        """Returns an equation in single letters; an index whose range nothing else tells says it. That of an array
        which is not `on_the_way` has the array's shape."""
        self.ranges = {}
        used = self.named(free, right)
        body = self.lettered(right, used)
        binds = tuple(Bind(used[k], self._said(k, right, used) if on_the_way else None) for k in free)
        equation = Equation(name, binds, body, Eq("", ""))
        return replace(equation, source=typed_equation(equation))

    def together(self, nodes: Sequence[Expr], free: Sequence[str]) -> list[Expr]:
        """Returns expressions in single letters, the same ones in all of them."""
        self.ranges = {}
        used = self.named(free, Call("", tuple(nodes)))
        return [self.lettered(node, used) for node in nodes]

    def named(self, free: Iterable[str], right: Expr, used: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns single letters for indices that stand free: their own where they can. `used` has some already."""
        found = dict(used or {})
        counted = self._counted(right, {*found, *free})
        for k in free:
            others = {letter for letter, span in counted if (letter, span) != (self[k].base, self._range(k))}
            found[k] = self._letter(k, {*found.values(), *others})
        return found

    def _counted(self, node: Expr, used: Iterable[str]) -> set[tuple[str, str]]:
        """Returns letters and ranges of indices that are counted though they stand nowhere else."""
        standing = {*used, *(k for n in walk(node) if isinstance(n, Reduce) and n.fn != "count" for k in n.letters)}
        counts = [n for n in walk(node) if isinstance(n, Reduce) and n.fn == "count"]
        found = {k for n in counts for k in n.letters if k not in standing}
        return {(self[k].base, self._range(k)) if k in self else (k, self._range_of_all(k)) for k in found}

    def _range_of_all(self, base: str) -> str:
        """Returns the range of all indices that are written with a letter; nothing where they have several."""
        found = {self._range(k) for k, letter in self.known.items() if letter.base == base}
        return found.pop() if len(found) == 1 else ""

    def spare(self) -> Iterator[str]:
        """Yields letters that no forward equation has."""
        return (k for k in _USUAL if k not in self.written and k not in self.taken)

    def _letter(self, k: str, used: set[str]) -> str:
        """Returns a letter for an index, none that is used or stands for another range in the same equation."""
        span = self._range(k)
        order = (self[k].base, *self.written, *_USUAL)
        free = (c for c in order if c not in used and c not in self.taken and self.ranges.get(c, span) == span)
        letter = next(free, None)
        if letter is None:
            raise NotationError("an equation needs more than 52 indices", "give names to quantities on the way")
        self.ranges[letter] = span
        return str(letter)

    def _range(self, k: str) -> str:
        letter = self[k]
        if letter.origin in self.sizes:
            return str(self.sizes[letter.origin])
        return letter.base if letter.size is None else key(letter.size)

    def lettered(self, node: Expr, used: Mapping[str, str]) -> Expr:
        """Returns an expression in single letters, `used` being those of indices that stand free."""

        def go(inside: Expr) -> Expr:
            return self.lettered(inside, used)

        match node:
            case Name(id=name):
                return Name(used.get(name, name))
            case Read(array=array, index=index):
                return Read(array, tuple(map(go, index)))
            case Reduce(fn="count", over=over):
                return Reduce("count", tuple(self._count(b, used) for b in over if isinstance(b, Bind)), ONE)
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                inner = self.named(node.letters, body, used)
                bound = tuple(
                    Bind(inner[b.letter], self._said(b.letter, body, inner)) for b in over if isinstance(b, Bind)
                )
                return Reduce(fn, bound, self.lettered(body, inner), tuple(self.lettered(e, inner) for e in extra))
        return changed(node, go)

    def _count(self, b: Bind, used: Mapping[str, str]) -> Bind:
        if b.letter not in self:  # of another equation
            return b
        size = self[b.letter].size
        if b.letter in used:
            return Bind(used[b.letter], size)
        return Bind(self[b.letter].base if size is None else self._letter(b.letter, set()), size)

    def _said(self, k: str, body: Expr, used: Mapping[str, str]) -> Expr | None:
        """Returns the range that has to be written with an index: as its author wrote it, or because nothing tells."""
        letter = self[k]
        if letter.size is not None:
            return letter.size
        known = self[letter.origin].base  # a letter of the forward equations, whose range they tell
        known_range = _stands_alone(k, body) or used[k] == known
        return None if known_range else Reduce("count", (Bind(known),), ONE)


def _stands_alone(k: str, node: Expr) -> bool:
    """Whether an array is read along the whole range of an index."""
    match node:
        case Call(fn="pad", args=(Read(index=index), *rest)):
            return any(_stands_alone(k, n) for n in (*index, *rest))
        case Read(index=index) if Name(k) in index:
            return True
    return any(_stands_alone(k, n) for n in children(node))


def bound_in(equation: Equation) -> list[str]:
    """Returns the indices of an equation in the order in which they stand: those of the left side first."""
    reductions = (n for n in walk(equation.right) if isinstance(n, Reduce) and n.fn != "count")
    return [*equation.letters, *(k for n in reductions for k in n.letters)]
