"""The picture of imports: arrows go down the floors only, there is no circle, and each module stands on its own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT

FLOORS = {
    "bpcli": 0, "bpcli.numeric": 0, "bpcli.notation": 0, "bpcli.records": 0,
    "bpcli.family": 1, "bpcli.parts": 2, "bpcli.engine": 3, "bpcli.custom": 3, "bpcli.config": 4,
    "bpcli.studies": 5, "bpcli.render": 6, "bpcli.cli": 7,
    "bpcli.__main__": 7,
}  # fmt: skip
ONLY_IN = {"rich": "bpcli.render", "typer": "bpcli.cli"}
ALLOWED = {"numpy", "pydantic", "pydantic_core", "annotated_types", "yaml", "safetensors", *ONLY_IN}
"""What the package may need besides the standard library (pydantic brings the two after it). Anything else is an extra
and is imported inside the one function that needs it."""


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted((ROOT / "bpcli").rglob("*.py"))}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def floor(module: str) -> int:
    """The floor of a module: that of itself or of the package it is in."""
    parts = module.split(".")
    return next(FLOORS[".".join(parts[:k])] for k in range(len(parts), 0, -1) if ".".join(parts[:k]) in FLOORS)


def imported(module: str, *, at_import: bool = False) -> Iterator[tuple[str, int]]:
    """What a module imports, in functions and for types too, with the line; with `at_import` only what it needs to be
    imported itself."""
    waiting: list[ast.AST] = [TREES[module]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in FILES else node.module, node.lineno)
        skipped = at_import and (
            isinstance(node, ast.FunctionDef | ast.Lambda)
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        )
        if not skipped:
            waiting += ast.iter_child_nodes(node)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle among these arrows, [] where there is none."""
    done: set[str] = set()

    def visit(at: str, path: list[str]) -> list[str]:
        if at in path:
            return [*path[path.index(at) :], at]
        if at in done:
            return []
        for to in sorted(arrows.get(at, ())):
            if found := visit(to, [*path, at]):
                return found
        done.add(at)
        return []

    return next((found for start in sorted(arrows) if (found := visit(start, []))), [])


def test_every_module_has_a_floor() -> None:
    packages = {p.name for p in (ROOT / "bpcli").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert {f"bpcli.{p.removesuffix('.py')}" for p in packages - {"__init__.py"}} == set(FLOORS) - {"bpcli"}


def test_imports_go_down_only() -> None:
    """Also those inside functions, and those for types alone."""
    up = [
        f"{module}:{line} (floor {floor(module)}) imports {target} (floor {floor(target)})"
        for module in FILES
        for target, line in imported(module)
        if target.split(".")[0] == "bpcli" and floor(target) > floor(module)
    ]
    assert up == []


def test_no_circle() -> None:
    arrows = {m: {t for t, _ in imported(m) if t.split(".")[0] == "bpcli" and t != m} for m in FILES}
    assert " -> ".join(circle(arrows)) == ""


MOST_PLACES = {"bpcli/cli": 32, "bpcli/studies": 12}
"""Files and folders of a room, where they may be more or fewer than sixteen: a command is a file of cli."""


def test_no_room_has_too_many_places_to_look() -> None:
    rooms = {file.parent for file in FILES.values()}
    places = {
        room.relative_to(ROOT).as_posix(): len(
            [p for p in room.iterdir() if p.name not in ("__init__.py", "__pycache__") and not p.name.startswith(".")]
        )
        for room in rooms
    }
    assert {room: n for room, n in places.items() if n > MOST_PLACES.get(room, 16)} == {}


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": {"d"}, "d": set()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}) == ["b", "c", "d", "b"]


@pytest.mark.parametrize(("package", "home"), ONLY_IN.items())
def test_rich_and_typer_stay_at_home(package: str, home: str) -> None:
    strays = [
        f"{module}:{line} imports {target}"
        for module in FILES
        for target, line in imported(module)
        if target.split(".")[0] == package and not (module == home or module.startswith(f"{home}."))
    ]
    assert strays == []


def test_nothing_else_is_needed_to_import_the_package() -> None:
    strange = [
        f"{module}:{line} imports {target}"
        for module in FILES
        for target, line in imported(module, at_import=True)
        if target.split(".")[0] not in {*sys.stdlib_module_names, *ALLOWED, "bpcli"}
    ]
    assert strange == []


def test_only_render_prints() -> None:
    """print(), and writing to the standard streams by hand."""
    found = []
    for module, tree in TREES.items():
        if module.startswith("bpcli.render"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == "print" or called in ("sys.stdout.write", "sys.stderr.write", "pprint", "pprint.pprint"):
                    found.append(f"{module}:{node.lineno}: {called}")
    assert found == []


ALONE = """
import importlib, sys
for name, forgotten in {cases!r}:
    for module in [m for m in sys.modules if m.startswith(forgotten)]:
        del sys.modules[module]
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit(f"{{name}} cannot be imported first: {{type(error).__name__}}: {{error}}")
"""


def python(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *args], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )


@pytest.mark.slow
def test_each_module_can_be_imported_first() -> None:
    """Before any other of its floor or above has been: floors below know nothing of it and may stay in memory.

    Of the parts one module a package is enough: whichever is asked for, bpcli.parts declares all of them in one order.
    """
    above = {k: tuple(m for m in FLOORS if FLOORS[m] >= k and m != "bpcli") for k in range(8)}
    names = [m for m in sorted(FILES, key=floor) if floor(m) != 2 and m not in ("bpcli", "bpcli.__main__")]
    first_of_a_package = {m.rpartition(".")[0]: m for m in reversed(FILES) if floor(m) == 2}
    cases = [(m, ("bpcli",)) for m in ("bpcli", *first_of_a_package.values())]  # parts register with the floor below
    cases += [(m, above[floor(m)]) for m in names]
    done = python("-c", ALONE.format(cases=cases))
    assert done.returncode == 0, done.stderr


def test_help_does_not_wait_for_numpy() -> None:
    """What `bpcli --help` needs is read and what it does not need is not."""
    code = (
        "import sys; sys.argv = ['bpcli', '--help']\n"
        "from bpcli.cli.app import run\n"
        "code = run()\n"
        "heavy = {'numpy', 'pydantic', 'yaml', 'safetensors', 'bpcli.parts', 'bpcli.engine'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else code)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_the_module_can_be_run() -> None:
    done = python("-m", "bpcli", "--help")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout
