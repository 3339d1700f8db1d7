"""One word, one meaning: no two public classes share a name, and words of a private dialect name nothing."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from paths import ROOT

FILES = sorted((ROOT / "bpcli").rglob("*.py"))
TREES = {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}

DIALECT = {
    "told", "tell", "seat", "vast", "prints", "ends", "blame", "begin", "given", "heard", "misled", "lane", "lanes",
    "stretch", "sway", "ramp", "practice", "practised", "cure", "cures", "scene", "slip", "slips",
}  # fmt: skip
"""Words that said something else than in the field's manuals; the field has a term for each thing they named."""

KEPT = {"cures", "on_train_begin"}
"""A key of `diagnose --json`, which programs read; the hook's name in Keras and PyTorch Lightning."""

STILL_TO_GO: dict[str, set[str]] = {
    "bpcli/cli": {"told"},
    "bpcli/config": {"given", "told"},
    "bpcli/engine": {"begin"},
    "bpcli/family": {"told"},
    "bpcli/notation": {"begin", "ends", "given", "told"},
    "bpcli/numeric": {"begin", "lanes", "tell", "told"},
    "bpcli/parts/activations": {"tell"},
    "bpcli/parts/data": {"begin", "given", "told"},
    "bpcli/parts/data/csv": {"stretch", "told"},
    "bpcli/parts/layers": {"ends", "given", "tell", "told"},
    "bpcli/parts/layers/conv": {"given", "tell", "told"},
    "bpcli/parts/losses": {"given"},
    "bpcli/parts/optimizers": {"ends", "told"},
    "bpcli/parts/schedules": {"told"},
    "bpcli/records": {"given"},
    "bpcli/render/run": {"told"},
    "bpcli/render/trace": {"given", "told"},
    "bpcli/render/trace/html": {"begin", "ends", "given", "told"},
    "bpcli/studies/dataset": {"ends", "given", "vast"},
    "bpcli/studies/mistakes": {"begin", "ends", "given", "slip", "slips", "told"},
    "bpcli/studies/run": {"begin", "ends", "tell", "told"},
    "bpcli/studies/trace": {"ends", "given", "tell", "told"},
}
"""Words of a room that still name something in it; the list only gets shorter."""


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


def test_no_public_class_name_stands_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(file)
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_no_word_of_a_private_dialect_names_anything() -> None:
    found = {f"{file}:{line}: {name}" for file in TREES for name, line in names(file)
             if words(name) & DIALECT - STILL_TO_GO.get(file.rpartition("/")[0], set())
             and name not in KEPT}  # fmt: skip
    assert found == set()


def test_words_are_found_in_every_spelling() -> None:
    assert words("told_rows") == words("ToldRows") == words("_TOLD_ROWS") == {"told", "rows"}
    assert words("StringIO") == {"string", "io"}
