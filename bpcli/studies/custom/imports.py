"""What to type in place of an import from this package that does not work: rooms move, `bpcli.custom` stays."""

from __future__ import annotations

import ast

from bpcli import custom
from bpcli.records.training import Problem
from bpcli.studies.custom.source_location import SOURCES, line_position, problem_at

RENAMED = {
    "Searcher": "FullBatchOptimizer",
    "Stepper": "GradientOptimizer",
    "Surface": "ObjectiveView",
    "UnsettledError": "ClassMismatchError",
}
"""Names that files of an earlier version import, and what they are called now."""


def import_problems(file: str) -> list[Problem]:
    """Every import from this package in a loaded file that does not work, each with the line that does."""
    found = []
    for node in ast.walk(ast.parse(SOURCES[file].text)):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        statement = ast.unparse(node)
        if not statement.startswith(("from bpcli", "import bpcli")):
            continue
        try:
            exec(statement, {})
        except ImportError as error:
            text = f"this cannot be imported: {str(error).partition(' (')[0]}"  # without the path of our file
            found.append(problem_at(line_position(file, node.lineno), text, code="import", help=_instead(node)))
    return found


def _instead(node: ast.Import | ast.ImportFrom) -> str:
    """The line to type. A name that was changed is imported under the one that the file knows it by."""
    known, unknown = [], []
    for alias in node.names if isinstance(node, ast.ImportFrom) else ():
        name = RENAMED.get(alias.name, alias.name)
        here = alias.asname or alias.name
        if name in custom.__all__:
            known.append(name if name == here else f"{name} as {here}")
        else:
            unknown.append(alias.name)
    absent = f"bpcli.custom has no {' or '.join(f'`{name}`' for name in unknown)}" if unknown else ""
    if known:
        return "; ".join(filter(None, (f"write `from bpcli.custom import {', '.join(known)}`", absent)))
    return "; ".join(filter(None, ("what a part of your own needs is in bpcli.custom", absent)))
