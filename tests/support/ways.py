"""Which ways code can take, and which of them it took: counted by machine, from the source.

A way is a function that is entered; a condition, or an operand of one, that is true, and that is false; the argument of
a `min` or `max` that wins; a `next` that finds something, or nothing; a loop that goes round, and where it is over a
range or over what a method yields, once and several times; a loop over blocks, `range(start, stop, step)`, that has one
block, several, a full last one and a partial one; a matrix that is cut in parts. What leads to a `raise` alone is an
error path and no way.

While modules are watched, their functions run the same code with a note at each of these places.
"""

from __future__ import annotations

import ast
import gc
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

CUTTERS = ("in_parts", "in_tiles")
"""Functions whose arguments behind the first say into how many parts a matrix is cut."""

BLOCKS = ("one block", "several blocks", "last block full", "last block partial")
ROUNDS = ("once", "several times")


class Way(NamedTuple):
    """One way: where the code stands, in which function, what it says there, and what happens."""

    file: str
    line: int
    function: str
    code: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: in {self.function}: `{self.code}`: {self.what}"


class Notes:
    """What watched code calls: each note hands on the value that it looks at."""

    def __init__(self) -> None:
        self.ways: list[Way] = []
        self.taken: set[tuple[int, str]] = set()
        self.required: dict[tuple[int, str], Way] = {}

    def place(self, where: tuple[str, int, str], code: str, whats: Iterable[str]) -> int:
        """Returns the number of a new place where one of these things happens."""
        number = len(self.ways)
        file, line, function = where
        self.ways.append(Way(file, line, function, code, ""))
        for what in whats:
            self.required[number, what] = self.ways[number]._replace(what=what)
        return number

    def missing(self) -> list[Way]:
        return [way for key, way in self.required.items() if key not in self.taken]

    def enter(self, number: int) -> None:
        self.taken.add((number, "entered"))

    def truth(self, number: int, value: Any) -> Any:
        self.taken.add((number, "true" if value else "false"))
        return value

    def extreme(self, number: int, function: Callable[..., Any], *values: Any) -> Any:
        found = function(*values)
        best = [i for i, value in enumerate(values) if value == found]
        if len(best) == 1:
            self.taken.add((number, f"argument {best[0] + 1} wins"))
        return found

    def first(self, number: int, items: Iterator[Any], default: Any) -> Any:
        for item in items:
            self.taken.add((number, "found"))
            return item
        self.taken.add((number, "nothing found"))
        return default

    def parts(self, number: int, count: int) -> int:
        self.taken.add((number, "cut" if count > 1 else "left whole"))
        return count

    def rounds(self, number: int, items: Iterable[Any]) -> Iterator[Any]:
        count = 0
        try:
            for item in items:
                count += 1
                yield item
        finally:
            self.taken.update((number, what) for what in (("goes round",) if count else ()))
            self.taken.add((number, ROUNDS[min(count, 2) - 1] if count else "never"))

    def blocks(self, number: int, blocks: range) -> range:
        if blocks:
            self.taken.add((number, BLOCKS[0 if len(blocks) == 1 else 1]))
            self.taken.add((number, BLOCKS[3 if (blocks.stop - blocks.start) % blocks.step else 2]))
        return blocks


class Annotator(ast.NodeTransformer):
    """Puts a call of a note at every place where the ways of a module part. Functions and classes whose name ends as
    one of `passed_over` (`check`, `sgd.learning_rate_setting`) stay as they are."""

    def __init__(self, notes: Notes, module: str, passed_over: Iterable[str]) -> None:
        self.notes, self.module, self.names = notes, module, ["<module>"]
        self.file = module.replace(".", "/") + ".py"
        self.passed_over = tuple(f".{name}" for name in passed_over)

    def _passes_over(self, name: str) -> bool:
        return ".".join([self.module, *self.names[1:], name]).endswith(self.passed_over)

    def _where(self, node: Any) -> tuple[str, int, str]:
        return self.file, node.lineno, ".".join(self.names[1:]) or self.names[0]

    def _note(self, name: str, at: Any, code: str, whats: Iterable[str], *args: ast.expr) -> ast.Call:
        number = self.notes.place(self._where(at), code, whats)
        function = ast.Attribute(ast.Name("__ways__", ast.Load()), name, ast.Load())
        call = ast.Call(function, [ast.Constant(number), *args], [])
        return ast.fix_missing_locations(ast.copy_location(call, at))

    def _entered(self, at: Any, code: str) -> ast.stmt:
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(self._note("enter", at, code, ["entered"])), at))

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self._visit_functions(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if self._passes_over(node.name):
            return node
        self.names.append(node.name)
        self._visit_functions(node)
        self.names.pop()
        return node

    def _visit_functions(self, node: ast.Module | ast.ClassDef) -> None:
        """Visits functions and classes; all else runs once, when the module is imported."""
        node.body = [self.visit(s) if isinstance(s, ast.FunctionDef | ast.ClassDef) else s for s in node.body]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        stub = all(isinstance(getattr(s, "value", None), ast.Constant) or isinstance(s, ast.Pass) for s in node.body)
        if self._passes_over(node.name) or stub:
            return node
        self.names.append(node.name)
        entered = [] if isinstance(node.body[-1], ast.Raise) else [self._entered(node, f"def {node.name}")]
        node.body = [self.visit(s) for s in node.body]
        after = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body[after:after] = entered
        self.names.pop()
        return node

    def _condition(self, test: ast.expr, error_if: str = "") -> ast.expr:
        code = ast.unparse(test)
        if error_if:
            return self._note("truth", test, code, {"true", "false"} - {error_if}, test)
        if isinstance(test, ast.BoolOp):
            return self.visit(test) if self._operands(test, True) else test
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test.operand = self._condition(test.operand)
            return test
        if isinstance(test, ast.Constant):
            return test
        return self._note("truth", test, code, ["true", "false"], self.visit(test))

    def _operands(self, node: ast.BoolOp, last: bool) -> bool:
        for i, value in enumerate(node.values):
            if last or i + 1 < len(node.values):
                node.values[i] = self._condition(value)
            else:
                node.values[i] = self.visit(value)
        return False

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self._operands(node, False)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        error = "true" if _fails(node.body) else "false" if node.orelse and _fails(node.orelse) else ""
        node.test = self._condition(node.test, error)
        if error != "true":
            node.body = [self.visit(s) for s in node.body]
        if error != "false":
            node.orelse = [self.visit(s) for s in node.orelse]
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        node.test = self._condition(node.test)
        node.body = [self.visit(s) for s in node.body]
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        node.test = self._condition(node.test)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.iter = self._blocks(node.iter) if _is_blocked(node.iter) else self.visit(node.iter)
        node.ifs = [self._condition(test) for test in node.ifs]
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        if _is_blocked(node.iter):
            node.iter = self._blocks(node.iter)
        elif not isinstance(node.iter, ast.Tuple):
            code = f"for {ast.unparse(node.target)} in {ast.unparse(node.iter)}"
            node.iter = self._note(
                "rounds", node, code, ROUNDS if _is_counted(node.iter) else ["goes round"], self.visit(node.iter)
            )
        node.body = [self.visit(s) for s in node.body]
        return node

    def _blocks(self, node: ast.expr) -> ast.expr:
        return self._note("blocks", node, ast.unparse(node), BLOCKS, self.visit(node))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if not _fails(node.body):
            node.body = [self.visit(s) for s in node.body]
            node.body.insert(0, self._entered(node, f"except {ast.unparse(node.type) if node.type else ''}"))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        code = ast.unparse(node)
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or any(isinstance(a, ast.Starred) for a in node.args):
            return node
        name, count = node.func.id, len(node.args)
        if name in ("min", "max") and count > 1 and not node.keywords:
            whats = [f"argument {i + 1} wins" for i in range(count)]
            return self._note("extreme", node, code, whats, node.func, *node.args)
        if name == "next" and count == 2:
            return self._note("first", node, code, ["found", "nothing found"], *node.args)
        if name in CUTTERS:
            for i in range(1, count):
                if not isinstance(node.args[i], ast.Constant):
                    node.args[i] = self._note("parts", node, f"{code}, argument {i + 1}", ["cut"], node.args[i])
        return node


def _fails(body: list[ast.stmt]) -> bool:
    """Whether these statements end in an error."""
    return bool(body) and isinstance(body[-1], ast.Raise)


def _is_blocked(node: ast.expr) -> bool:
    """Whether this is a range over blocks: with a step that is not 1."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
    if not named or len(node.args) < 3:  # type: ignore[attr-defined]
        return False
    return ast.unparse(node.args[2]) not in ("1", "-1")  # type: ignore[attr-defined]


def _is_counted(node: ast.expr) -> bool:
    """Whether this goes round as often as some size asks for: a range that is no constant, or what a method yields."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        return not all(isinstance(a, ast.Constant) or ast.unparse(a).isupper() for a in node.args)
    return isinstance(node.func, ast.Attribute) and node.func.attr not in ("items", "values", "walk")


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code and all in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def functions_of(modules: Iterable[ModuleType]) -> dict[str, list[FunctionType]]:
    """Returns every function that was made of the sources of the modules and is alive, closures too, by the file. All
    of memory is looked through, so once for all of them."""
    found: dict[str, list[FunctionType]] = {str(module.__file__): [] for module in modules}
    is_frozen = gc.get_freeze_count() > 0  # tests/conftest.py has done so, which hides what was there before
    gc.unfreeze()
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename in found:
            found[thing.__code__.co_filename].append(thing)
    if is_frozen:
        gc.freeze()
    return found


def forget(modules: Iterable[ModuleType]) -> None:
    """Empties every cache of these modules: what is in it was worked out before."""
    for module in modules:
        for value in list(vars(module).values()):
            if callable(getattr(value, "cache_clear", None)) and getattr(value, "__module__", "") == module.__name__:
                value.cache_clear()


def _numbered(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """All codes of a module by their name and, where several have one, their number."""
    seen: Counter[str] = Counter()
    for inner in codes(code):
        yield (inner.co_qualname, seen[inner.co_qualname]), inner
        seen[inner.co_qualname] += 1


@contextmanager
def replaced(module: ModuleType, tree: ast.Module, functions: Iterable[FunctionType]) -> Iterator[None]:
    """Context manager: the module's `functions`, each by its name, run what `tree` says. What runs when the module is
    imported stays as it was."""
    file = str(module.__file__)
    new = dict(_numbered(compile(tree, file, "exec", dont_inherit=True)))
    old = compile(inspect.getsource(module), file, "exec", dont_inherit=True)
    keys = {(code.co_qualname, code.co_firstlineno): key for key, code in _numbered(old)}
    before = [(f, f.__code__) for f in functions]
    try:
        for f, code in before:
            found = new.get(keys.get((code.co_qualname, code.co_firstlineno), ("", 0)))
            if found is not None and found.co_freevars == code.co_freevars:
                f.__code__ = found
        yield
    finally:
        for f, code in before:
            f.__code__ = code


@contextmanager
def watched(
    modules: Iterable[ModuleType], passed_over: Iterable[str] = (), sources: dict[str, str] | None = None
) -> Iterator[Notes]:
    """Context manager: notes which ways the functions of these modules take. `sources` has other sources of some of
    them, by their names."""
    notes, modules, entered = Notes(), list(modules), []
    forget(modules)
    functions = functions_of(modules)
    try:
        for module in modules:
            source = (sources or {}).get(module.__name__) or inspect.getsource(module)
            tree = Annotator(notes, module.__name__, passed_over).visit(ast.parse(source))
            vars(module)["__ways__"] = notes
            context = replaced(module, ast.fix_missing_locations(tree), functions[str(module.__file__)])
            context.__enter__()
            entered.append((module, context))
        yield notes
    finally:
        for module, context in entered:
            context.__exit__(None, None, None)
            del vars(module)["__ways__"]
        forget(modules)
