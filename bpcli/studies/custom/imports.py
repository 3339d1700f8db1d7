"""Imports from this package that do not work, in a file of a user's own or in one that it imports."""

import ast
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from bpcli.config.document import Position, SourceText, make_problem
from bpcli.records.training import Problem
from bpcli.studies.custom.moved_names import instead_of_attribute, instead_of_import, instead_of_name


def import_problems(source: SourceText) -> list[Problem]:
    """Returns every import from this package in a file that does not work, each with the line that does."""
    found = []
    for node in _imports(source):
        try:
            exec(ast.unparse(node), {})
        except ImportError as error:
            text = f"this cannot be imported: {str(error).partition(' (')[0]}"  # without the path of our file
            line = source.lines[node.lineno - 1]
            position = Position(source, node.lineno, node.col_offset + 1, len(line.strip()))
            found.append(make_problem(position, text, code="import", help=instead_of_import(node)))
    return found


def importing_file(error: ImportError) -> SourceText | None:
    """Returns the file whose import failed; None where it cannot be read."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    try:
        return SourceText(frames[-1].filename, Path(frames[-1].filename).read_text(encoding="utf-8"))
    except (IndexError, OSError, ValueError):
        return None


def missing_name(error: BaseException) -> str:
    """Returns what to type where a file uses a name of this package that it does not import, or that is elsewhere now;
    nothing of other errors."""
    if isinstance(error, NameError):
        return instead_of_name(error.name or "")
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        ours = error.obj.__name__.partition(".")[0] == "bpcli"
        return instead_of_attribute(error.obj, error.name or "") if ours else ""
    if isinstance(error, ImportError) and (source := importing_file(error)) is not None:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno or 0
        for node in _imports(source):
            if node.lineno <= line <= (node.end_lineno or node.lineno):
                return instead_of_import(node)
    return ""


def _imports(source: SourceText) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yields the imports from this package in a file."""
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""] if not node.level else []
        else:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.Import | ast.ImportFrom) and "bpcli" in {m.partition(".")[0] for m in modules}:
            yield node
