"""Where in a user's own files a class, a method or the line that raised an error stands."""

import ast
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np
from pydantic import ValidationError

from bpcli.config.document import Position, SourceText, make_problem
from bpcli.config.validate import error_line
from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import PlannedLayer
from bpcli.family import Frame, Part
from bpcli.notation import NotationError
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.imports import missing_name

SOURCES: dict[str, SourceText] = {}
"""The files that were loaded, by the file name of their code objects."""


def line_position(file: str, line: int) -> Position:
    """Returns the position of a line, from its first character that is not blank."""
    source = SOURCES.get(file, SourceText(file, ""))
    text = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    return Position(source, line, len(text) - len(text.lstrip()) + 1, len(text.strip()))


def class_position(part: type) -> Position:
    """Returns the line on which a class begins."""
    file = str(getattr(sys.modules.get(part.__module__), "__file__", ""))
    source = SOURCES.get(file, SourceText(file, ""))
    named = (n for n in ast.walk(ast.parse(source.text)) if isinstance(n, ast.ClassDef) and n.name == part.__name__)
    return line_position(file, next((n.lineno for n in named), 0))


def method_position(part: type, name: str, *patterns: str) -> Position:
    """Returns the line of a method that the first of the patterns with a match is found on, else its `def`; the class
    where it does not have the method."""
    code = code_of(getattr(part, name, None))
    if code is None or code.co_filename not in SOURCES:
        return class_position(part)
    lines = SOURCES[code.co_filename].lines
    first = code.co_firstlineno
    last = max((n for _, _, n in code.co_lines() if n), default=first)
    while not re.match(r"\s*def\b", lines[first - 1]) and first < last:  # a decorator stands before it
        first += 1
    for pattern in patterns:
        for number in range(first + 1, last + 1):
            if re.search(pattern, lines[number - 1].partition("#")[0]):
                return line_position(code.co_filename, number)
    return line_position(code.co_filename, first)


def code_of(method: Any) -> CodeType | None:
    """Returns the code of a function; None where it is no function."""
    found: CodeType | None = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return found


def problem_at(
    position: Position, text: str, *, code: str, help: str = "", path: Sequence[str] = (), level: str = "error"
) -> Problem:
    """Returns a problem at a position in a user's file; without an excerpt where the position is not known."""
    if not position.line:
        return Problem(text, code, tuple(path), position.source.file, help=help, level=level)
    return make_problem(position, text, path=tuple(path), code=code, help=help, level=level)


# ------------------------------------------------------------------------------------------ errors that own code raised
@dataclass(frozen=True)
class RaisedError:
    """An error that a user's own code raised: where, in which method of which part, and for which layer."""

    position: Position
    method: str  # ScaledTanh.forward
    part: type[Part] | None
    layer: str
    frame: Frame | None


def find_raised(error: BaseException) -> RaisedError | None:
    """Returns where in a user's own files an error was raised; None where none of them took part."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [i for i, (frame, _) in enumerate(frames) if frame.f_code.co_filename in SOURCES]
    if not own:
        return None
    innermost = entry = own[-1]
    while entry - 1 in own:
        entry -= 1
    at = frames[entry][0]
    scope = at.f_locals.get("self", at.f_locals.get("cls"))
    part = scope if isinstance(scope, type) else type(scope)
    frame_of_part = next((v for v in at.f_locals.values() if isinstance(v, Frame)), None)
    above = (frame for frame, _ in reversed(frames[:entry]))
    return RaisedError(
        position=_expression_position(error, innermost),
        method=at.f_code.co_qualname.rpartition("<locals>.")[2],
        part=part if issubclass(part, Part) else None,
        layer=next((path for frame in above if (path := _layer_path(frame, frame_of_part))), ""),
        frame=frame_of_part,
    )


def _expression_position(error: BaseException, index: int) -> Position:
    """Returns the expression that raised."""
    where = traceback.extract_tb(error.__traceback__)[index]
    position = line_position(where.filename, where.lineno or 0)
    if where.colno is None or where.end_colno is None or not position.line:
        return position
    line = position.source.lines[position.line - 1].encode()
    first = len(line[: where.colno].decode(errors="replace"))
    last = len(line[: where.end_colno].decode(errors="replace")) if where.end_lineno == where.lineno else len(line)
    return Position(position.source, position.line, first + 1, max(1, last - first))


def _layer_path(frame: FrameType, frame_of_part: Frame | None) -> str:
    """Returns the path of the layer that a function of the engine was running or planning, or whose frame it passed
    on; or nothing."""
    scope = frame.f_locals
    chain, bound, path = scope.get("self"), scope.get("bound"), scope.get("path")
    if isinstance(chain, Chain):
        return next((k.path for k in chain.layers if k.frame is frame_of_part), "")
    if isinstance(bound, BoundLayer):
        return bound.path
    plans = frame.f_globals.get("__name__") == PlannedLayer.__module__
    return path if plans and isinstance(path, str) else ""


def own_code_failure(error: BaseException, *, layer: str = "") -> Failure | None:
    """Returns the Failure that reports an error of a user's own code; None where other code raised it."""
    found = find_raised(error)
    if found is None:
        return _equation_failure(error)
    text = f"{found.method} raises {type(error).__name__}: {first_line(error)}"
    layer = layer or found.layer
    rule = "" if found.part is None else family_rule(found.part, found.method.rpartition(".")[2])
    notes = getattr(error, "__notes__", ())
    help = missing_name(error) or "; ".join(filter(None, (_frame_shapes(found.frame), rule, *notes)))
    return Failure(problem_at(found.position, text, code="raises", help=help, path=(layer,) if layer else ()))


def _equation_failure(error: BaseException) -> Failure | None:
    """Returns the Failure of an equation that cannot be worked out, where a user's own files were loaded: it is of a
    part in one of them."""
    if not isinstance(error, NotationError) or not SOURCES:
        return None
    text = f"an equation of a part of your own cannot be worked out: {error}"
    file = next(iter(SOURCES)) if len(SOURCES) == 1 else ""
    return Failure(Problem(text, code="equations", file=file, help=error.help))


def first_line(error: BaseException) -> str:
    """Returns what an error says, in one line."""
    if isinstance(error, KeyError):
        return str(error)
    if isinstance(error, ValidationError):
        return error_line(error)
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), "(no message)")


def _frame_shapes(frame: Frame | None) -> str:
    """Returns the shapes of the arrays in a frame, in words."""
    if frame is None:
        return ""
    shapes = [f"f.{name} {np.shape(a)}" for name, a in vars(frame).items() if isinstance(a, np.ndarray)]
    return "here are " + ", ".join(shapes[:12]) if shapes else ""


def family_rule(part: type[Part], name: str) -> str:
    """Returns the first paragraph of the docstring that a method has in its family; nothing where no family has it."""
    for family in families_of(part):
        if name in vars(family):
            rule = (inspect.getdoc(vars(family)[name]) or "").split("\n\n")[0]
            rule = " ".join(rule.split()).rstrip(".")
            return f"the rule of {name}: {rule[:1].lower()}{rule[1:]}" if rule else ""
    return ""


def families_of(part: type[Part]) -> Iterator[type[Part]]:
    """Yields the families of this package that a part belongs to, the nearest first."""
    for cls in part.__mro__:
        if issubclass(cls, Part) and cls.__module__.startswith("bpcli.family"):
            yield cls
