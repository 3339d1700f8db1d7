"""The tree of an equation: what the notation can say, parsed once.

Python's own parser reads the text (the notation is a subset of Python's expressions); the nodes below are what is left
of it, small enough that evaluation and every renderer can match on them exhaustively.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, dataclass_transform

from bpcli.notation.functions import POINTWISE, REDUCTIONS


class NotationError(ValueError):
    """An equation that does not say anything, or says it about arrays that do not fit; `help` says what to write, and
    `at` from where to where, in the text of one side, it cannot be read."""

    def __init__(self, text: str, help: str = "", at: tuple[int, int] | None = None) -> None:
        super().__init__(text)
        self.at = at
        self.help = help or 'an equation is Eq(left, right, why): Eq("y[n,...]", "g * x[n,...]", "scaled")'


T = TypeVar("T")


@dataclass(frozen=True)
class Eq:
    """One textbook equation: `left` = `right`, and `why` in a few words.

    `detail="path"` marks a long form (softmax's Jacobian, say) that is shown, and evaluated, only where one path of
    the chain rule is followed; it may give a second equation for a left side.
    """

    left: str
    right: str
    why: str = ""
    detail: str = ""


@dataclass_transform(frozen_default=True)
def tree_node(cls: type[T]) -> type[T]:
    """Makes a class a node of the tree: a frozen dataclass that computes its hash, that of all inside it, only once."""
    made = dataclass(frozen=True)(cls)
    of_fields = made.__hash__

    def __hash__(self: T) -> int:
        found = self.__dict__.get("_hash")
        if found is None:
            found = of_fields(self)
            self.__dict__["_hash"] = found
        return int(found)

    def __getstate__(self: T) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_hash"}  # it is another in every process

    for method in (__hash__, __getstate__):
        setattr(made, method.__name__, method)
    return made


@tree_node
class Number:
    value: float | int


@tree_node
class Name:
    """A scalar, an index letter, or one of the constants `pi` and `inf`."""

    id: str


@tree_node
class Read:
    """One entry of an array: `array[index, ...]`."""

    array: str
    index: tuple[Expr, ...]


@tree_node
class Negate:
    operand: Expr


@tree_node
class Binary:
    """`op` is one of + - * / ** // %."""

    op: str
    left: Expr
    right: Expr


@tree_node
class Compare:
    """An Iverson bracket, 1 where it holds and 0 elsewhere; `op` is one of > < >= <= == !=."""

    op: str
    left: Expr
    right: Expr


@tree_node
class Call:
    """A function of values: those of `functions.POINTWISE`, and `pad` and `where`."""

    fn: str
    args: tuple[Expr, ...]


@tree_node
class Bind:
    """An index that ranges: `k`, or `k < K`."""

    letter: str
    size: Expr | None = None


@tree_node
class Dots:
    """The axes between, before they are spelled out in letters."""


@tree_node
class Reduce:
    """`fn` over `over` of `body`; `extra` holds percentile's rank; `count` has no body."""

    fn: str
    over: tuple[Bind | Dots, ...]
    body: Expr
    extra: tuple[Expr, ...] = ()

    @property
    def letters(self) -> tuple[str, ...]:
        """The indices that it runs over."""
        return tuple(b.letter for b in self.over if isinstance(b, Bind))


Expr = Number | Name | Read | Negate | Binary | Compare | Call | Reduce | Dots


@dataclass(frozen=True)
class Equation:
    """A parsed `Eq`: the name and the indices of its left side, and its right side."""

    name: str
    free: tuple[Bind | Dots, ...]
    right: Expr
    source: Eq

    @property
    def letters(self) -> tuple[str, ...]:
        """The indices of its left side."""
        return tuple(b.letter for b in self.free if isinstance(b, Bind))


def sides(text: str) -> tuple[str, str, str]:
    """Returns the left side, `=` and the right side of a typed equation; empty texts where it has no `=`."""
    found = re.search(r"(?<![=!<>])=(?!=)", text)
    return ("", "", "") if found is None else (text[: found.start()].strip(), "=", text[found.end() :].strip())


BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
COMPARE = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}

_OTHER = {
    ast.BitXor: "a power is written x[n]**2",
    ast.MatMult: "a product of matrices is a sum: sum(i, x[n,i] * W[i,o])",
}

MAX_KEPT_CHARACTERS = 500
"""Of an equation whose tree is kept: up to here 4096 of them take 100 MB at most. (The longest of any part has 195.)"""


def parse(eq: Eq) -> Equation:
    """Returns the tree of an equation. Raises NotationError with the text of the part that cannot be read."""
    return _kept(eq) if len(eq.left) + len(eq.right) <= MAX_KEPT_CHARACTERS else _equation(eq)


def _equation(eq: Eq) -> Equation:
    left = _python(eq.left)
    if isinstance(left, ast.Name):
        return Equation(left.id, (), parse_expression(eq.right), eq)
    if not (isinstance(left, ast.Subscript) and isinstance(left.value, ast.Name)):
        raise NotationError(f"{eq.left!r}: a left side is a name or name[index,...]")
    free = tuple(_bind(i) for i in _indices(left))
    letters = [b.letter for b in free if isinstance(b, Bind)]
    if len(set(letters)) != len(letters):
        raise NotationError(f"{eq.left!r}: an index occurs twice")
    return Equation(left.value.id, free, parse_expression(eq.right), eq)


def parse_expression(text: str) -> Expr:
    """Returns the tree of an expression. Raises NotationError."""
    return _kept_expression(text) if len(text) <= MAX_KEPT_CHARACTERS else _expression(text)


def _expression(text: str) -> Expr:
    try:
        return _expr(_python(text))
    except NotationError as error:
        if error.at is not None:
            before = len(text) - len(text.lstrip())
            error.at = (error.at[0] + before, error.at[1] + before)
        raise
    except RecursionError:
        raise NotationError(f"{text[:40]!r}... is nested too deep") from None


_kept = lru_cache(maxsize=4096)(_equation)
_kept_expression = lru_cache(maxsize=4096)(_expression)


def _python(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        start = error.offset - 1 if error.offset else len(text.strip())  # 0: more was expected at the end
        raise NotationError(f"{text!r} cannot be read: {error.msg}", at=(start, start + 1)) from None
    except (ValueError, MemoryError, RecursionError) as error:  # no text, or nested too deep
        raise NotationError(f"{text[:40]!r}... cannot be read: {error or type(error).__name__}") from None


def _indices(node: ast.Subscript) -> list[ast.expr]:
    found = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if sum(map(_is_dots, found)) > 1:
        raise NotationError(f"{ast.unparse(node)!r}: `...` may stand once in an array's indices")
    return found


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _is_bind(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return len(node.id) == 1
    if isinstance(node, ast.Compare):
        return [type(op) for op in node.ops] == [ast.Lt] and isinstance(node.left, ast.Name) and len(node.left.id) == 1
    return _is_dots(node)


def _bind(node: ast.expr) -> Bind | Dots:
    if _is_dots(node):
        return Dots()
    if isinstance(node, ast.Name) and len(node.id) == 1:
        return Bind(node.id)
    if isinstance(node, ast.Compare) and _is_bind(node) and isinstance(node.left, ast.Name):
        return Bind(node.left.id, _expr(node.comparators[0]))
    raise NotationError(f"{ast.unparse(node)!r} is not an index: one letter, or letter < size")


def _reduction(fn: str, args: list[ast.expr]) -> Reduce | None:
    """Returns the call as a reduction, or None where `max(a, b)` is meant as a function of two values."""
    if fn == "count":
        return Reduce("count", tuple(_bind(a) for a in args), Number(1))
    if fn not in REDUCTIONS or not args:
        return None
    extra: tuple[Expr, ...] = ()
    over = args[:-1]
    if fn == "percentile" and over:
        extra, over = (_expr(over[-1]),), over[:-1]
    if not over or not all(_is_bind(a) for a in over):
        return None
    if fn in POINTWISE and not any(isinstance(a, ast.Compare) or _is_dots(a) for a in over):
        letters = {a.id for a in over if isinstance(a, ast.Name)}
        if not any(isinstance(n, ast.Name) and n.id in letters for n in ast.walk(args[-1])):
            return None
    found = Reduce(fn, tuple(_bind(a) for a in over), _expr(args[-1]), extra)
    if len(set(found.letters)) != len(found.letters):
        raise NotationError(f"{fn}({', '.join(map(ast.unparse, args))}): an index occurs twice")
    return found


def _expr(node: ast.expr) -> Expr:
    try:
        return _of_python(node)
    except NotationError as error:
        error.at = error.at or (node.col_offset, node.end_col_offset or node.col_offset + 1)
        raise


def _of_python(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            if isinstance(value, int) and abs(value) >= 2**63:
                raise NotationError("a whole number is too large to compute with", "write it as 1e30")
            return Number(value)
        case ast.Constant(value=value) if value is Ellipsis:
            return Dots()
        case ast.Name(id=name):
            return Name(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Negate(_expr(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return Binary(BINARY[type(op)], _expr(left), _expr(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
            return Compare(COMPARE[type(op)], _expr(left), _expr(right))
        case ast.Subscript(value=ast.Name(id=name)):
            return Read(name, tuple(_expr(i) for i in _indices(node)))
        case ast.Call(func=ast.Name(id=fn), args=args, keywords=[]):
            reduction = _reduction(fn, args)
            if reduction is not None:
                return reduction
            _check_call(fn, args, node)
            return Call(fn, tuple(_expr(a) for a in args))
    help = _OTHER.get(type(node.op), "") if isinstance(node, ast.BinOp) else ""
    raise NotationError(f"{ast.unparse(node)!r} is not in the notation", help)


def _check_call(fn: str, args: list[ast.expr], node: ast.expr) -> None:
    arity = {"pad": (1, 2), "where": (3, 3)}.get(fn) or POINTWISE.get(fn, (None, None))[1]
    if arity is None and fn in REDUCTIONS:
        raise NotationError(f"{ast.unparse(node)!r}: {fn} needs an index: {fn}(i, ...)")
    if arity is None:
        text = f"{ast.unparse(node)!r}: no function or reduction is called {fn}"
        raise NotationError(text, _known_functions(fn), (node.col_offset, node.col_offset + len(fn)))
    low, high = arity
    if not low <= len(args) <= high:
        raise NotationError(f"{ast.unparse(node)!r}: {fn} takes {low if low == high else f'{low} to {high}'} arguments")
    if fn == "pad" and not isinstance(args[0], ast.Subscript):
        raise NotationError(f"{ast.unparse(node)!r}: pad takes one read, pad(x[...])")


def _known_functions(fn: str) -> str:
    """Returns which functions and reductions there are, with the one that was probably meant."""
    known = sorted({*POINTWISE, *REDUCTIONS, "count", "pad", "where"})
    near = difflib.get_close_matches(fn, known, 1, 0.65)
    return "".join(f"did you mean `{name}`? " for name in near) + f"known: {', '.join(known)}"


def children(node: Expr) -> tuple[Expr, ...]:
    """Returns the expressions directly inside an expression, ranges of bound indices included."""
    match node:
        case Read(index=index):
            return index
        case Negate(operand=operand):
            return (operand,)
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            return (left, right)
        case Call(args=args):
            return args
        case Reduce(over=over, body=body, extra=extra):
            sizes = tuple(b.size for b in over if isinstance(b, Bind) and b.size is not None)
            return (*sizes, *extra, body)
    return ()


def changed(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Returns a negation, an operation, a comparison or a call with all that stands directly inside it changed; any
    other expression as it is."""
    match node:
        case Negate(operand=operand):
            return Negate(change(operand))
        case Binary(op=op, left=left, right=right) | Compare(op=op, left=left, right=right):
            return type(node)(op, change(left), change(right))
        case Call(fn=fn, args=args):
            return Call(fn, tuple(map(change, args)))
    return node


def walk(node: Expr) -> Iterator[Expr]:
    """Yields the expression and all expressions inside it, each before what is inside it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def reads(equation: Equation) -> set[str]:
    """Returns names of everything the right side reads: arrays, and names that stand bare (scalars and indices)."""
    found = {n.array for n in walk(equation.right) if isinstance(n, Read)}
    return found | {n.id for n in walk(equation.right) if isinstance(n, Name)}


def letters_used(equation: Equation) -> set[str]:
    """Returns index letters that stand in the equation."""
    return {*equation.letters, *(k for n in walk(equation.right) if isinstance(n, Reduce) for k in n.letters)}


def spell_out(equation: Equation, letters: tuple[str, ...]) -> Equation:
    """Returns the equation with every `...` written out in these letters."""
    middle = tuple(Bind(i) for i in letters)
    names = tuple(Name(i) for i in letters)

    def binds(over: tuple[Bind | Dots, ...]) -> tuple[Bind | Dots, ...]:
        return tuple(b for item in over for b in (middle if isinstance(item, Dots) else (item,)))

    def go(node: Expr) -> Expr:
        match node:
            case Read(array=array, index=index):
                out = tuple(e for i in index for e in (names if isinstance(i, Dots) else (go(i),)))
                return Read(array, out) if out else Name(array)
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                spelled = binds(over)
                if not spelled and fn != "count":
                    return Number(0) if fn == "argmax" else go(body)  # a sum over no axes is its body
                return Reduce(fn, spelled, go(body), tuple(go(e) for e in extra))
        return changed(node, go)

    return Equation(equation.name, binds(equation.free), go(equation.right), equation.source)
