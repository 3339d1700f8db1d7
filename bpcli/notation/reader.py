"""One walk over an equation for all drawings of it: what is said, and where parentheses stand, is decided here; a
reader says how each piece looks."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import partial, reduce
from typing import ClassVar, NamedTuple

from bpcli.notation.symbols import Level, Symbol, format_number, symbol_of, textbook_form
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Dots,
    Equation,
    Expr,
    Name,
    Negate,
    Number,
    Read,
    Reduce,
)  # fmt: skip


class Drawn(NamedTuple):
    """A piece of a drawing, how tightly it holds together, and what it begins with: a minus sign or a digit."""

    text: str
    level: Level = Level.ATOM
    lead: str = ""  # "-", "0" or nothing


class Reader(ABC):
    """Draws expressions. `known` are the arrays and left sides of the part, by which `dW` is no name like `decay`;
    numbers show `digits` significant digits (None: as written); `of` is what gradients are derivatives of."""

    signs: ClassVar[Mapping[str, str]]  # how + - % and the comparisons look, with the space around them
    fences: ClassVar[Mapping[str, tuple[str, str]]]  # ( [ | and floor

    def __init__(self, known: Collection[str] = (), digits: int | None = None, of: str = "L") -> None:
        self.known, self.digits, self.of = known, digits, of
        self._small = False  # inside an exponent or an index, where fractions lie flat

    # how it looks

    @abstractmethod
    def symbol(self, symbol_of: Symbol, index: Sequence[str]) -> Drawn:
        """Draws a name, with the indices it is read at."""

    @abstractmethod
    def numeral(self, text: str) -> str:
        """Draws a printed number without a sign."""

    @abstractmethod
    def times(self, left: str, right: Drawn) -> str:
        """Draws a product."""

    @abstractmethod
    def fraction(self, left: Expr, right: Expr) -> Drawn:
        """Draws left / right, where there is room."""

    @abstractmethod
    def power(self, base: str, exponent: Expr) -> Drawn:
        """Draws base to the exponent."""

    @abstractmethod
    def exponential(self, exponent: Expr) -> Drawn:
        """Draws e to the exponent."""

    @abstractmethod
    def root(self, radicand: Expr) -> Drawn:
        """Draws the square root."""

    @abstractmethod
    def apply(self, fn: str, args: Sequence[str]) -> Drawn:
        """Draws a named function of values."""

    @abstractmethod
    def big(self, fn: str, over: Sequence[str], body: str) -> str:
        """Draws sum, prod, max or argmax over indices."""

    @abstractmethod
    def percentile(self, rank: Expr, over: Sequence[str], values: Sequence[str]) -> Drawn:
        """Draws the percentile of one body over indices, or of the values as they are."""

    @abstractmethod
    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Drawn:
        """Draws values with the conditions they hold under, and the value where none does."""

    @abstractmethod
    def rest(self, count: str, value: str) -> Drawn:
        """Draws the terms of a sum, or the values, that are not shown one by one."""

    @abstractmethod
    def labelled(self, label: str, value: str) -> str:
        """Draws a value with the number of its place."""

    # what is said

    def draw(self, node: Expr) -> Drawn:
        """Returns the drawing of an expression."""
        node = textbook_form(node)
        match node:
            case Number(value=value):
                return self.number(value)
            case Name(id=name):
                return self.symbol(symbol_of(name, self.known), ())
            case Dots():
                return Drawn(self.signs["..."])
            case Read(array=array, index=index):
                return self.symbol(symbol_of(array, self.known), [self.small(i).text for i in index])
            case Negate(operand=operand):
                whole = isinstance(operand, Binary) and operand.op == "%"  # -a mod b would be (-a) mod b
                inner = self.fit(operand, Level.ATOM if whole else Level.QUOTIENT, inner=True)
                return Drawn(self.signs["neg"] + inner.text, min(inner.level, Level.PRODUCT), "-")
            case Binary(op=op, left=left, right=right):
                return self._binary(op, left, right)
            case Compare(op=op, left=left, right=right):
                return Drawn(self._fenced("[", self._relation(op, left, right)))
            case Call(fn=fn, args=args):
                return self._call(fn, args)
            case Reduce():
                return self._reduce(node)

    def equation(self, equation: Equation) -> str:
        """Draws left side = right side."""
        index = [self._letter(b, ranged=False) for b in equation.free]
        left = self.symbol(symbol_of(equation.name, self.known), index)
        return left.text + self.signs["=="] + self.draw(equation.right).text

    def number(self, value: float) -> Drawn:
        """Draws a number; a negative one gets parentheses in products."""
        text = format_number(value, self.digits)
        if text.startswith("-"):
            return Drawn(self.signs["neg"] + self.numeral(text[1:]), Level.SUM, "-")
        return Drawn(self.numeral(text), self.numeral_level(text), "0")

    def numeral_level(self, text: str) -> Level:
        """Returns how tightly a printed number holds together."""
        return Level.ATOM

    def fit(self, node: Expr | Drawn, least: Level, *, inner: bool = False) -> Drawn:
        """Returns the drawing, in parentheses where it is looser than `least`, or begins with a minus inside an
        expression."""
        drawn = node if isinstance(node, Drawn) else self.draw(node)
        if drawn.level < least or (inner and drawn.lead == "-"):
            return Drawn(self._fenced("(", drawn.text))
        return drawn

    def small(self, node: Expr) -> Drawn:
        """Returns the drawing of an exponent or an index."""
        before, self._small = self._small, True
        drawn = self.draw(node)
        self._small = before
        return drawn

    def flat(self, left: Expr, right: Expr) -> Drawn:
        """Draws left / right on one line."""
        over, under = self.fit(left, Level.PRODUCT), self.fit(right, Level.POWER, inner=True)
        return Drawn(over.text + self.slash(over.text, under.text) + under.text, Level.QUOTIENT, over.lead)

    def slash(self, over: str, under: str) -> str:
        """Draws the sign of division between the two."""
        return self.signs["/"]

    def condition(self, node: Expr) -> str:
        """Draws a condition, without the brackets that make it a number."""
        if isinstance(node, Compare):
            return self._relation(node.op, node.left, node.right)
        return self._relation("!=", node, Number(0))

    def _fenced(self, kind: str, text: str) -> str:
        return text.join(self.fences[kind])

    def _relation(self, op: str, left: Expr, right: Expr) -> str:
        return self.draw(left).text + self.signs[op] + self.draw(right).text

    def _binary(self, op: str, left: Expr, right: Expr) -> Drawn:
        if op in "+-":
            first, second = self.draw(left), self.fit(right, Level.QUOTIENT, inner=True)
            return Drawn(first.text + self.signs[op] + second.text, Level.SUM, first.lead)
        if op == "/":
            return self.flat(left, right) if self._small else self.fraction(left, right)
        if op == "**":
            return self.power(self.fit(left, Level.ATOM).text, right)
        first = self.fit(left, Level.PRODUCT)
        if op in ("//", "%"):
            second = self.fit(right, Level.POWER, inner=True)
            if op == "//":
                return Drawn(self._fenced("floor", first.text + self.signs["/"] + second.text))
            return Drawn(first.text + self.signs[op] + second.text, Level.QUOTIENT, first.lead)
        if isinstance(right, Reduce) and self.draw(right).level == Level.QUOTIENT:  # it takes in all that follows
            return Drawn(self.times(first.text, self.draw(right)), Level.QUOTIENT, first.lead)
        return Drawn(self.times(first.text, self.fit(right, Level.FACTOR, inner=True)), Level.PRODUCT, first.lead)

    def _call(self, fn: str, args: tuple[Expr, ...]) -> Drawn:
        match fn, args:
            case "exp", (z,):
                return self.exponential(z)
            case "sqrt", (z,):
                return self.root(z)
            case "abs", (z,):
                return Drawn(self._fenced("|", self.draw(z).text))
            case "floor", (z,):
                return Drawn(self._fenced("floor", self.draw(z).text))
            case "where", (condition, then, other):
                rows = [(self.draw(then).text, self.condition(condition))]
                while isinstance(other, Call) and other.fn == "where":
                    condition, then, other = other.args
                    rows.append((self.draw(then).text, self.condition(condition)))
                return self.cases(rows, self.draw(other).text)
            case "rest", (count, value, *_):
                return self.rest(self.draw(count).text, self.draw(value).text)
            case "at", (label, value):
                return Drawn(self.labelled(self.draw(label).text, self.draw(value).text))
            case "sum", (first, *others):
                first_term = self.fit(first, Level.SUM if isinstance(first, Number) else Level.QUOTIENT)
                parts = [first_term, *(self.fit(term, Level.QUOTIENT, inner=True) for term in others)]
                return Drawn(self.signs["+"].join(p.text for p in parts), Level.SUM, first_term.lead)
            case "percentile", (rank, *values):
                return self.percentile(rank, (), [self.draw(v).text for v in values])
        return self.apply(fn, [self.draw(a).text for a in args])

    def _reduce(self, node: Reduce) -> Drawn:
        if node.fn == "count":
            return self._count(node)
        over = [self._letter(b) for b in node.over]
        if node.fn == "percentile":
            return self.percentile(node.extra[0], over, [self.draw(node.body).text])
        return Drawn(self.big(node.fn, over, self.fit(node.body, Level.QUOTIENT, inner=True).text), Level.QUOTIENT)

    def _count(self, node: Reduce) -> Drawn:
        """Returns how many values: the letters as capitals, or the ranges as they are written."""
        sizes = [b if isinstance(b, Dots) else b.size or Name(b.letter.upper()) for b in node.over]
        return self.draw(reduce(partial(Binary, "*"), sizes) if sizes else Number(1))

    def _letter(self, b: Bind | Dots, *, ranged: bool = True) -> str:
        if isinstance(b, Dots):
            return self.signs["..."]
        letter = self.draw(Name(b.letter)).text
        return letter + self.signs["<"].strip() + self.draw(b.size).text if ranged and b.size is not None else letter


class Stacked(Reader):
    """A reader that sets fractions one above the other, and powers of ten."""

    @abstractmethod
    def stack(self, over: str, under: str) -> str:
        """Draws a fraction."""

    def fraction(self, left: Expr, right: Expr) -> Drawn:
        if isinstance(left, Negate):
            return Drawn(self.signs["neg"] + self.fraction(left.operand, right).text, Level.PRODUCT, "-")
        if isinstance(left, Read | Name) and self.draw(left).level == Level.FACTOR:  # a gradient is a fraction already
            return self.draw(Binary("*", left, Binary("/", Number(1), right)))
        return Drawn(self.stack(self.draw(left).text, self.draw(right).text), Level.FACTOR)

    def numeral_level(self, text: str) -> Level:
        if "e" not in text:
            return Level.ATOM
        return Level.POWER if text.startswith("1e") else Level.PRODUCT
