"""Mutants of a source file: one place each, made wrong in one way.

A mutant is text put in place of text, so that all but that place stays as it was written. What only words an error,
documents, annotates or is read by a checker of types is left alone; so are a part's own `samples`, which are tests.
"""

from __future__ import annotations

import ast
import copy
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from mutation.mutant import Mutant
from mutation.tables import (
    ARITHMETIC,
    COMPARISONS,
    EQUATION_SWAPS,
    EQUATION_TOKENS,
    FOR_CHECKERS,
    FUNCTIONS,
    NOT_MUTATED,
    NOT_RUN,
    SYMMETRIC,
)


class _Finder:
    """Walks one file and collects its mutants."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.source = file, source
        self.tree = ast.parse(source)
        self.starts = [0]
        for text in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(text))
        self.lines = source.splitlines()
        self.names: list[str] = []
        self.body = ""
        self.span = (1, len(self.lines))
        self.found: list[Mutant] = []

    def position(self, line: int, column: int) -> int:
        """Where a position of the tree, whose columns count bytes, is in the text."""
        text = self.lines[line - 1].encode()[:column].decode() if line <= len(self.lines) else ""
        return self.starts[line - 1] + len(text)

    def put(self, node: Any, new: str, kind: str) -> None:
        start = self.position(node.lineno, node.col_offset)
        self.replace(start, self.position(node.end_lineno, node.end_col_offset), new, kind)

    def replace(self, start: int, end: int, new: str, kind: str) -> None:
        """Adds the mutant that has `new` from `start` to `end`."""
        line = bisect_right(self.starts, start)
        if self.source[start:end] == new:
            return
        first = self.starts[line - 1]
        stop = self.source.find("\n", end)
        old_line = self.source[first : stop if stop >= 0 else None]
        new_line = self.source[first:start] + new + self.source[end : stop if stop >= 0 else None]
        place = (self.file, ".".join(self.names), self.body, kind, *self.span, line, start, end, new)
        self.found.append(Mutant(*place, old_line, new_line))

    def changed(self, node: Any, kind: str, change: Callable[[Any], None]) -> None:
        """Adds the mutant whose `node` is a copy that `change` was made to."""
        other = copy.deepcopy(node)
        change(other)
        new = ast.unparse(other)
        wrapped = isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare | ast.IfExp | ast.UnaryOp | ast.Lambda)
        self.put(node, f"({new})" if wrapped else new, kind)

    def visit(self, node: ast.AST) -> None:
        """Mutates `node` and what is in it."""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.definition(node)
            return
        if self.left_alone(node):
            return
        span = self.span
        if self.body and isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            self.span = _header(node)
        method = getattr(self, f"on_{type(node).__name__.lower()}", None)
        if method is not None:
            method(node)
        for child in self.children(node):
            self.visit(child)
        self.span = span

    def definition(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        if isinstance(node, ast.FunctionDef) and node.returns and "Sample]" in ast.unparse(node.returns):
            return  # samples are tests
        span, body = self.span, self.body
        self.names.append(node.name)
        if not body:
            self.span = (node.lineno, node.end_lineno or node.lineno)
        if isinstance(node, ast.FunctionDef):
            for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
                self.visit(default)
            self.body = body or ".".join(self.names)
        for child in node.body:
            self.visit(child)
        self.names.pop()
        self.span, self.body = span, body

    def left_alone(self, node: ast.AST) -> bool:
        match node:
            case ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                return True
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return True
            case ast.Assign(targets=[ast.Name(id=name)]) if name in NOT_MUTATED:
                return True
            case ast.keyword(arg=str(name)) if name in FOR_CHECKERS:
                return True
            case ast.Call(func=ast.Name(id=name)) if name in NOT_RUN or name.endswith(("Error", "Problem")):
                return True
        return False

    def children(self, node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            if isinstance(node, ast.Raise) and name in ("exc", "cause"):
                continue
            yield from (v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST))

    # --- expressions -------------------------------------------------------------------------------------------------

    def on_binop(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant | ast.JoinedStr):
            return
        if isinstance(node.op, ast.Add) and any(_is_text(side) for side in (node.left, node.right)):
            return
        self.changed(node, "arithmetic", lambda n: setattr(n, "op", ARITHMETIC.get(type(n.op), ast.Add)()))

    def on_compare(self, node: ast.Compare) -> None:
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                self.changed(node, "comparison", lambda n, k=k, other=other: n.ops.__setitem__(k, other()))

    def on_boolop(self, node: ast.BoolOp) -> None:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        self.changed(node, "boolean", lambda n: setattr(n, "op", other()))
        for k in range(len(node.values)):
            self.changed(node, "boolean", lambda n, k=k: n.values.pop(k))

    def on_unaryop(self, node: ast.UnaryOp) -> None:
        self.put(node, f"({ast.unparse(node.operand)})", "sign" if isinstance(node.op, ast.USub) else "not")

    def on_constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.put(node, str(not value), "constant")
        elif isinstance(value, int):
            self.put(node, str(value + 1), "constant")
            if value > 0:
                self.put(node, str(value - 1), "constant")
        elif isinstance(value, float) and value == value:
            self.put(node, repr(value + 1.0) if abs(value) < 1e3 else repr(value * 2), "constant")
            if value and abs(value) < 1e3:
                self.put(node, repr(value * 1.01), "constant")

    def on_ifexp(self, node: ast.IfExp) -> None:
        self.put(node, f"({ast.unparse(node.body)})", "branch")
        self.put(node, f"({ast.unparse(node.orelse)})", "branch")

    def on_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.put(test, "True", "filter")

    def on_slice(self, node: ast.Slice) -> None:
        for name in ("lower", "upper", "step"):
            part = getattr(node, name)
            if part is not None:
                self.put(part, "", "slice")
                if not isinstance(part, ast.Constant):
                    self.put(part, f"{ast.unparse(part)} + 1", "slice")

    def on_call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "Eq":
            for argument in node.args[:2]:
                self.equation(argument)
            return
        if name in FUNCTIONS and not any(_is_text(a) for a in node.args):
            end = self.position(node.func.end_lineno or 0, node.func.end_col_offset or 0)
            self.replace(end - len(name), end, FUNCTIONS[name], "function")
        plain = [a for a in node.args if not isinstance(a, ast.Starred)]
        if len(plain) >= 2 and plain == node.args and name not in SYMMETRIC | {"isinstance", "issubclass"}:
            self.changed(node, "arguments", _swap_arguments)
        for k, keyword in enumerate(node.keywords):
            if keyword.arg and keyword.arg not in FOR_CHECKERS:
                self.changed(node, "keyword", lambda n, k=k: n.keywords.pop(k))

    def equation(self, node: ast.expr) -> None:
        """Mutates the mathematics in a string of the notation."""
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return
        start = self.position(node.lineno, node.col_offset)
        text = self.source[start : self.position(node.end_lineno or 0, node.end_col_offset or 0)]
        for token in EQUATION_TOKENS.finditer(text):
            for new in _equation_changes(token):
                self.replace(start + token.start(), start + token.end(), new, "equation")

    # --- statements --------------------------------------------------------------------------------------------------

    def drop(self, node: ast.stmt, kind: str) -> None:
        self.put(node, "pass", kind)

    def on_expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.YieldFrom | ast.Yield):
            self.drop(node, "statement")

    def on_augassign(self, node: ast.AugAssign) -> None:
        if _is_text(node.value):
            return  # the rest of a message
        target, value = ast.unparse(node.target), ast.unparse(node.value)
        self.put(node, f"{target} = {value}", "assignment")
        self.drop(node, "statement")
        other = ARITHMETIC.get(type(node.op))
        if other is not None:
            self.changed(node, "arithmetic", lambda n: setattr(n, "op", other()))

    def on_assign(self, node: ast.Assign) -> None:
        if self.names and all(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets):
            self.drop(node, "statement")

    def on_return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.put(node, "return None", "return")

    def on_raise(self, node: ast.Raise) -> None:
        self.drop(node, "statement")

    def on_break(self, node: ast.Break) -> None:
        self.put(node, "continue", "loop")

    def on_continue(self, node: ast.Continue) -> None:
        self.put(node, "break", "loop")

    def on_if(self, node: ast.If) -> None:
        self.put(node.test, f"(not ({ast.unparse(node.test)}))", "branch")

    def on_while(self, node: ast.While) -> None:
        self.put(node.test, f"({ast.unparse(node.test)}) and False", "loop")


def _header(node: ast.stmt | ast.excepthandler | ast.match_case) -> tuple[int, int]:
    """The lines of a statement without those of the statements in it."""
    first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
    inner = getattr(node, "body", None)
    if inner:
        return first, max(first, inner[0].lineno - 1)
    return first, getattr(node, "end_lineno", None) or first


def _swap_arguments(node: ast.Call) -> None:
    node.args[0], node.args[1] = node.args[1], node.args[0]


def _is_text(node: ast.AST) -> bool:
    """Whether this is text."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _equation_changes(token: re.Match[str]) -> Iterator[str]:
    text = token.group()
    match token.lastgroup:
        case "number":
            yield str(int(text) + 1) if text.isdigit() else repr(float(text) + 1.0)
        case "operator" | "call" if text in EQUATION_SWAPS:
            yield EQUATION_SWAPS[text]
        case "pair":
            first, second = text.split(",")
            yield f"{second.strip()},{first}"
        case "offset":
            yield "0"


def mutants(file: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its text. `file` is its path from the root of the checkout."""
    finder = _Finder(file, source)
    for node in finder.tree.body:
        finder.visit(node)
    unique = {(m.start, m.end, m.new): m for m in finder.found}
    return sorted(unique.values(), key=lambda m: (m.start, m.end, m.new))
