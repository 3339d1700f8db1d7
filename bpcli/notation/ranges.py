"""How many values an index has: what the equation says, else the engine, else an array it stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Dots,
    Equation,
    Expr,
    Name,
    NotationError,
    Number,
    Read,
    Reduce,
    changed,
    letters_used,
    walk,
)  # fmt: skip
from bpcli.notation.text import Ascii
from bpcli.numeric.shapes import Shape

WHOLE = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "//": int.__floordiv__, "%": int.__mod__}
"""Arithmetic of whole numbers in ranges and indices."""


def apart(equation: Equation, shapes: Mapping[str, Shape]) -> Equation:
    """Returns an equation in which a letter that a reduction runs over is no other index: one that stands on the left,
    or has another range in another reduction, is replaced by one that is free."""
    names = {n.id for n in walk(equation.right) if isinstance(n, Name)}
    arrays = {n.array for n in walk(equation.right) if isinstance(n, Read)}
    taken = {*equation.letters, *names, *arrays, *letters_used(equation)}
    spans: dict[str, str] = {}

    def go(node: Expr, new: Mapping[str, str], outer: frozenset[str]) -> Expr:
        match node:
            case Name(id=name):
                return Name(new.get(name, name))
            case Read(array=array, index=index):
                return Read(array, tuple(go(i, new, outer) for i in index))
            case Reduce(fn="count", over=over):
                return replace(node, over=tuple(replace(b, letter=new.get(b.letter, b.letter)) for b in binds(over)))
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                inner = dict(new)
                for b in binds(over):
                    span = _span(b, body, shapes)
                    other = b.letter in outer or bool(span and spans.get(b.letter, span) not in ("", span))
                    inner[b.letter] = next(k for k in _SPARE if k not in taken) if other else b.letter
                    taken.add(inner[b.letter])
                    spans[inner[b.letter]] = span or spans.get(inner[b.letter], "")
                bound = tuple(replace(b, letter=inner[b.letter]) for b in binds(over))
                within = outer | {b.letter for b in bound}
                return Reduce(fn, bound, go(body, inner, within), tuple(go(e, inner, within) for e in extra))
        return changed(node, lambda inside: go(inside, new, outer))

    if not any(isinstance(n, Reduce) and n.fn != "count" for n in walk(equation.right)):
        return equation
    return replace(equation, right=go(equation.right, {}, frozenset(equation.letters)))


_SPARE = "klmjihopqrstuvwcdeabfgnxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def binds(over: Sequence[Bind | Dots]) -> list[Bind]:
    """Returns the indices among these, `...` being spelled out already."""
    return [b for b in over if isinstance(b, Bind)]


def _span(b: Bind, body: Expr, shapes: Mapping[str, Shape]) -> str:
    """Returns the range of a reduction's index as far as the reduction itself tells."""
    if b.size is not None:
        return Ascii().draw(b.size).text
    nodes = list(walk(body))
    padded = {id(n.args[0]) for n in nodes if isinstance(n, Call) and n.fn == "pad"}
    for node in nodes:
        if isinstance(node, Read) and id(node) not in padded and len(shapes.get(node.array, ())) == len(node.index):
            for index, d in zip(node.index, shapes[node.array], strict=True):
                if index == Name(b.letter):
                    return str(d)
    return ""


class Ranges:
    """Finds the range of every index of one equation, by the rules of the notation, in their order."""

    def __init__(
        self,
        equation: Equation,
        shapes: Mapping[str, Shape],
        numbers: Mapping[str, int],
        known: Mapping[str, int],
        ranks: Mapping[str, int],
    ) -> None:
        self.equation, self.shapes, self.numbers, self.known, self.ranks = equation, shapes, numbers, known, ranks
        self.free = [b for b in equation.free if isinstance(b, Bind)]
        bound = [b for n in walk(equation.right) if isinstance(n, Reduce) for b in n.over if isinstance(b, Bind)]
        self.binds = [*self.free, *bound]
        self.letters = list(dict.fromkeys(b.letter for b in self.binds))

    def error(self, text: str) -> NotationError:
        return NotationError(f"{self.equation.source.left} = {self.equation.source.right}: {text}")

    def sizes(self) -> dict[str, int]:
        self._check()
        written = self._written()
        engine = self._engine()
        alone = self._alone(set(written))
        size: dict[str, int] = {}
        for letter in self.letters:
            found = [s[letter] for s in (written, engine, alone, self.known) if letter in s]
            if not found:
                raise self.error(f"index {letter} has no range; write {letter}<...")
            size[letter] = found[0]
            if letter in engine and letter in alone and engine[letter] != alone[letter]:
                raise self.error(f"index {letter} is {engine[letter]} on the left and {alone[letter]} on the right")
            if letter in engine and letter in written and engine[letter] != written[letter]:
                raise self.error(f"index {letter} is written with {written[letter]}, is {engine[letter]} on the left")
        return size

    def _check(self) -> None:
        for node in walk(self.equation.right):
            if isinstance(node, Name) and node.id not in self.letters and self.ranks.get(node.id, 0):
                raise self.error(f"{node.id} has {self.ranks[node.id]} axes and is written without indices")
            if isinstance(node, Read):
                if node.array in self.letters:
                    raise self.error(f"{node.array} is an index and an array")
                if node.array not in self.ranks:
                    raise self.error(f"{node.array} is not known")
                if self.ranks[node.array] != len(node.index):
                    raise self.error(
                        f"{node.array} has {self.ranks[node.array]} axes and is written with {len(node.index)}"
                    )

    def _written(self) -> dict[str, int]:
        written: dict[str, int] = {}
        for b in self.binds:
            if b.size is not None:
                n = self._integer(b.size)
                if written.setdefault(b.letter, n) != n:
                    raise self.error(f"index {b.letter} is written with {written[b.letter]} and {n}")
        return written

    def _engine(self) -> dict[str, int]:
        shape = self.shapes.get(self.equation.name)
        if shape is None:
            return {}
        if len(shape) != len(self.free):
            raise self.error(f"the engine's {self.equation.name} has {len(shape)} axes")
        return {b.letter: d for b, d in zip(self.free, shape, strict=True)}

    def _alone(self, written: set[str]) -> dict[str, int]:
        alone: dict[str, int] = {}
        nodes = list(walk(self.equation.right))
        padded = {id(n.args[0]) for n in nodes if isinstance(n, Call) and n.fn == "pad"}  # goes beyond the axes
        for node in nodes:
            if isinstance(node, Read) and id(node) not in padded and node.array in self.shapes:
                for index, d in zip(node.index, self.shapes[node.array], strict=True):
                    letter = index.id if isinstance(index, Name) and index.id not in written else ""
                    if letter in self.letters and alone.setdefault(letter, d) != d:
                        raise self.error(f"index {letter} is {alone[letter]} and {d}")
        return alone

    def _integer(self, node: Expr) -> int:
        match node:
            case Number(value=int() as value):
                return value
            case Name(id=name) if name in self.numbers:
                return self.numbers[name]
            case Reduce(fn="count", over=(Bind(letter=letter, size=None),)) if letter in self.known:
                return self.known[letter]
            case Binary(op="+" | "-" | "*" | "//" as op, left=left, right=right):
                a, b = self._integer(left), self._integer(right)
                if b or op != "//":
                    return WHOLE[op](a, b)
        raise self.error(f"the range {Ascii().draw(node).text} is not an integer known here")
