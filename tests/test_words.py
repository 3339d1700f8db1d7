"""One word, one meaning: no two public types share a name, and words of a private dialect name nothing."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from paths import ROOT

FILES = [file for room in ("bpcli", "tests") for file in sorted((ROOT / room).rglob("*.py"))]
TREES = {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}

ALONE = {"begin", "ends", "given", "prints"}
"""Plain English within a longer name (`on_train_begin`), which said too little as a name by itself."""

DIALECT = {
    "told", "tell", "seat", "vast", "blame", "heard", "misled", "lane", "lanes", "stretch", "sway", "ramp", "practice",
    "practised", "cure", "cures", "scene", "slip", "slips", "held", "past", "subject", "stepped", "stepper", "steppers",
    "settle", "settled", "wording", "foretold",
}  # fmt: skip
"""Words that said something else than in the field's manuals; the field has a term for each thing they named."""

KEPT = {"cures"}
"""A key of `diagnose --json`, which programs read."""


def names(file: str) -> Iterator[tuple[str, int]]:
    """What a file names, with the line: itself, functions, classes, parameters, variables, attributes, imports."""
    yield Path(file).stem, 1
    for node in ast.walk(TREES[file]):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)):
                yield name, node.lineno


def words(name: str) -> set[str]:
    """The words that a name is made of: `told_rows`, `ToldRows` and `TOLD_ROWS` hold `told`."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def dialect(name: str) -> set[str]:
    """The words of the dialect that a name uses."""
    found = words(name)
    return (found & DIALECT) | (found & ALONE if len(found) == 1 else set())


def types(tree: ast.Module) -> Iterator[str]:
    """The public types of a module: its classes, and what else is assigned to a name that is spelled like a class."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                found = [name]
            case ast.Assign(targets=targets):
                found = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found = [name]
            case _:
                continue
        yield from (name for name in found if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name))


def homes(names: Callable[[ast.Module], Iterable[str]]) -> dict[str, list[str]]:
    """The names of the package that stand in several files, each with those files."""
    found: dict[str, list[str]] = defaultdict(list)
    for file, tree in TREES.items():
        for name in names(tree) if file.startswith("bpcli/") else ():
            found[name].append(file)
    return {name: files for name, files in found.items() if len(files) > 1}


def test_no_public_type_has_two_homes() -> None:
    assert homes(types) == {}


SAID_WITH_THEIR_MODULE = {"dump", "load", "parse", "read", "main"}
"""Functions that a module of a format has, as those of the standard library do: `yamlfile.read`, `idx.read`."""
ALIKE = {"erf", "erfc", "sigmoid", "resume", "start", "page", "compare"}
"""Functions that do the same to other things: numbers and complex steps, runs and folds, configs and derivations."""


def public_functions(tree: ast.Module) -> Iterator[str]:
    yield from (node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_")


def test_no_public_function_has_two_homes() -> None:
    """But for a command, which bears the name of the study that it runs."""
    found = homes(public_functions)
    rest = {name: [f for f in files if not f.startswith("bpcli/cli/")] for name, files in found.items()}
    twice = {name for name, files in rest.items() if len(files) > 1}
    assert twice <= SAID_WITH_THEIR_MODULE | ALIKE, {name: rest[name] for name in twice}


def test_classes_and_aliases_are_types() -> None:
    text = "class A1b: ...\nRow = int\nCell: TypeAlias = int\nPI = N = 3\n_Own = int\ndef f() -> None: ..."
    assert list(types(ast.parse(text))) == ["A1b", "Row", "Cell"]


def test_no_word_of_a_private_dialect_names_anything() -> None:
    """Tests included, but for the sentences that test functions are called."""
    every = ((file, line, name) for file in TREES for name, line in names(file) if not name.startswith("test_"))
    found = {f"{file}:{line}: {name}" for file, line, name in every if dialect(name) and name not in KEPT}
    assert found == set()


VERB_LIST = """
Adds Appends Applies Asks Calls Carries Changes Checks Chooses Collects Compares Compiles Computes Connects
Converts Copies Counts Decides Deletes Describes Divides Does Draws Ends Estimates Evaluates Examines Extends Fills
Finds Flushes Follows Forgets Forwards Gathers Gives Goes Groups Guards Handles Holds Ignores Inspects
Interpolates Is Joins Keeps Lays Learns Leaves Lets Loads Looks Makes Marks Measures Merges Moves Multiplies Names
Opens Orders Plans Plots Prepares Prints Puts Raises Ranks Reads Records Refuses Releases Remembers Removes Renders
Repeats Replaces Reports Returns Runs Saves Says Scales Scores Searches Sees Sends Sets Shortens Shows Sorts Splits
Starts Stops Stores Sums Takes Trains Tries Turns Updates Waits Warns Wraps Writes Works Yields Whether
"""
VERBS = set(VERB_LIST.split())
"""What a docstring begins with. A word that is mostly a noun (`Views`, `Inputs`, `Errors`, `Lists`) is not here."""


def lacks_verb(node: ast.FunctionDef) -> bool:
    """Whether a docstring does not begin with what the function does. A property is a thing, and `__init__` speaks of
    its arguments."""
    first = (ast.get_docstring(node) or "Does").split()[0].rstrip(".,:;")
    is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
    return not is_property and node.name != "__init__" and first not in VERBS


def is_command(node: ast.FunctionDef) -> bool:
    """Whether a function of `cli` is a command: its docstring is the help, which tells the reader what to do."""
    return any("typer.Option" in text or "Sets" in text or "Json" in text for text in map(ast.unparse, node.args.args))


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    """But for those of commands."""
    found = [
        f"{file}:{node.lineno}: {node.name}"
        for file, tree in TREES.items()
        if file.startswith("bpcli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and lacks_verb(node)
        if not (file.startswith("bpcli/cli/") and is_command(node))
    ]
    assert found == []


def test_a_docstring_without_a_verb_is_found() -> None:
    tree = ast.parse(
        'def f():\n    """The sum."""\ndef g():\n    """Returns it."""\n@property\ndef h():\n    """A sum."""'
    )
    assert [lacks_verb(node) for node in tree.body if isinstance(node, ast.FunctionDef)] == [True, False, False]


def test_words_are_found_in_every_spelling() -> None:
    assert words("told_rows") == words("ToldRows") == words("_TOLD_ROWS") == {"told", "rows"}
    assert words("StringIO") == {"string", "io"}
    assert dialect("_begin") == {"begin"}
    assert dialect("on_train_begin") == set()
