"""The engine and the configuration know families and what a part declares, and no part by its class or its name: one of
a user's own that declares the same is treated the same."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from registry import leaves

CLASSES = {leaf.__name__ for leaf in leaves().values()}
KINDS = {str(leaf.model_fields["type"].default) for leaf in leaves().values()}
OTHER_KINDS = ("error.kind", "dtype.kind")
"""What ends like the name of a part and is that of something else: an error of validation, a type of number."""

FILES = {
    file.relative_to(ROOT / "bpcli").as_posix(): file
    for room in ("engine", "config")
    for file in sorted((ROOT / "bpcli" / room).rglob("*.py"))
}


def asked(source: str) -> list[str]:
    """Returns what in a module names a part or asks for one by its name."""
    return [found for node in ast.walk(ast.parse(source)) for found in _asked(node)]


def _asked(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ImportFrom(names=names):
            yield from (alias.name for alias in names if alias.name in CLASSES)
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in CLASSES:
            yield name
        case ast.Compare(left=left, comparators=others):
            sides = [left, *others]
            known = any(text.value in KINDS for s in sides for text in ast.walk(s) if isinstance(text, ast.Constant))
            if any(_is_kind(s) or (known and _is_type(s)) for s in sides):
                yield ast.unparse(node)
        case ast.Match(subject=asked) if _is_kind(asked) or _is_type(asked):
            yield ast.unparse(asked)
        case ast.Subscript(value=ast.Attribute(attr="registry"), slice=ast.Constant()):
            yield ast.unparse(node)
        case ast.Subscript(value=ast.Dict(), slice=key) if _is_kind(key):
            yield ast.unparse(node)


def _is_kind(node: ast.AST) -> bool:
    """Whether this is the `kind` of a part."""
    return isinstance(node, ast.Attribute) and node.attr == "kind" and not ast.unparse(node).endswith(OTHER_KINDS)


def _is_type(node: ast.AST) -> bool:
    """Whether this is a `type`, of a part or as a file has it."""
    return ast.unparse(node).endswith((".type", "['type']", ".get('type')"))


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_no_part_is_asked_for_by_its_class_or_name(file: Path) -> None:
    assert asked(file.read_text(encoding="utf-8")) == []


def test_no_study_renderer_or_command_imports_the_class_of_a_part() -> None:
    """They may name parts to suggest or to make one (`Layer.parse("dense")`)."""
    imports = {
        f"{file.relative_to(ROOT)}: {alias.name}"
        for room in ("studies", "render", "cli")
        for file in (ROOT / "bpcli" / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bpcli.parts")
        for alias in node.names
        if alias.name in CLASSES
    }
    assert imports == set()


@pytest.mark.parametrize(
    "line",
    [
        "from bpcli.parts.layers.dense import Dense",
        "isinstance(layer, dense.Dense)",
        "layer.kind == 'softmax'",
        "'norm' in node.layer.kind",
        "optimizer.losses and loss.kind not in optimizer.losses",
        "settings.get('type') == 'adam'",
        "written['type'] in ('l1', 'l2')",
        "Loss.registry['huber']",
        "{'relu': 2.0, 'tanh': 1.0}[activation.kind]",
        "match layer.kind:\n    case 'dense': pass",
    ],
)
def test_such_a_line_would_be_seen(line: str) -> None:
    assert asked(line)


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(layer, Activation)",
        "a.dtype.kind == 'f'",
        "error.kind == 'missing'",
        "found['type'] == 'missing'",
        "loss.link == 'softmax'",
        "counts[layer.kind] = 1",
        "Optimizer.parse('adam')",
        "Initializer.registry[activation.default_init]",
    ],
)
def test_what_asks_for_no_part_is_welcome(line: str) -> None:
    assert not asked(line)
