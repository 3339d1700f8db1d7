"""How many values an index has: what the equation says, else the engine, else an array it stands on."""

from collections.abc import Mapping

from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Equation,
    Expr,
    Name,
    NotationError,
    Number,
    Read,
    Reduce,
    walk,
)
from bpcli.notation.text import Ascii
from bpcli.numeric.shapes import Shape

WHOLE = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "//": int.__floordiv__, "%": int.__mod__}
"""Arithmetic of whole numbers in ranges and indices."""


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
        free = {b.letter for b in self.free}
        for node in walk(self.equation.right):
            if isinstance(node, Reduce) and node.fn != "count":
                for b in node.over:
                    if isinstance(b, Bind) and b.letter in free:
                        raise self.error(f"index {b.letter} is on the left and reduced on the right")
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
            case Binary(op="+" | "-" | "*" | "//" as op, left=left, right=right):
                a, b = self._integer(left), self._integer(right)
                if b or op != "//":
                    return WHOLE[op](a, b)
        raise self.error(f"the range {Ascii().draw(node).text} is not an integer known here")
