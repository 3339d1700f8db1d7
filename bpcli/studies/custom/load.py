"""Parts of a user's own: Python files that a command was given by name (`--with FILE.py`).

This is the only way in which code that is not of this package is ever loaded. Declaring a part registers it, so after
`load` a config may name what the file declares. A run remembers its files by their sha256.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import PydanticUserError

import bpcli.parts  # noqa: F401  (declares the package's own parts before any other)
from bpcli.config.document import Position, SourceText
from bpcli.family import Callback
from bpcli.family.part import DeclarationError, Part, families
from bpcli.parts.formula.derived_passes import add_derived_passes
from bpcli.records.printable import shell_word
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.class_check import callback_problems, callbacks_of, check_plans, class_problems
from bpcli.studies.custom.imports import import_problems, importing_file, missing_name
from bpcli.studies.custom.source_location import (
    SOURCES,
    class_position,
    find_raised,
    first_line,
    line_position,
    problem_at,
)
from bpcli.studies.run.saving.regular_file import read_regular, regular_size

MAX_CODE_BYTES = 16 << 20  # bytes of a file of parts
EXAMPLE_PART = 'a part is a class such as `class Mine(Activation): type: Literal["mine"] = "mine"`'
RECORD_KEY = "with"
"""The key of run.json under which the files of a run stand."""


CALLBACKS_KEY = "callbacks"
"""The key, in the entry of a file, of the names of its callbacks."""


@dataclass(frozen=True, eq=False)
class LoadedFile:
    """A file that was loaded, and the parts that it declares."""

    file: Path  # as it was typed
    absolute: Path
    sha256: str
    parts: tuple[type[Part], ...]
    callbacks: tuple[type[Callback], ...] = ()


_loaded: dict[Path, LoadedFile] = {}

Snapshot = tuple[dict[type[Part], dict[str, type[Part]]], dict[Path, LoadedFile]]


def load(files: Sequence[Path]) -> tuple[type[Part], ...]:
    """Runs these files, so that the parts they declare are registered; returns the parts, in order.

    A file that was loaded before is not run again, unless it has changed. Raises Failure, with all registries as they
    were, where a file is missing (66) or is not Python, raises, declares no part or callback, or one wrongly (65).
    """
    before = registry_snapshot()
    try:
        return tuple(part for file in files for part in _load(file).parts)
    except BaseException:
        restore_registry(before)
        raise


def loaded_files() -> tuple[LoadedFile, ...]:
    """Returns the files that were loaded, in order."""
    return tuple(_loaded.values())


def loaded_classes() -> frozenset[type[Part]]:
    """Returns the parts that the loaded files declare."""
    return frozenset(part for loaded in _loaded.values() for part in loaded.parts)


def loaded_callbacks() -> tuple[type[Callback], ...]:
    """Returns the callbacks of the loaded files, in order."""
    return tuple(callback for loaded in _loaded.values() for callback in loaded.callbacks)


def registry_snapshot() -> Snapshot:
    """Returns the registries and the loaded files as they are now, for `restore_registry`."""
    return {family: dict(family.registry) for family in families() if family.registry}, dict(_loaded)


def restore_registry(before: Snapshot) -> None:
    """Takes out what was registered or loaded since the snapshot."""
    registries, files = before
    for family in families():
        family.registry.clear()
        family.registry.update(registries.get(family, {}))
    _loaded.clear()
    _loaded.update(files)


# -------------------------------------------------------------------------------------------------------------- loading
def _load(file: Path) -> LoadedFile:
    data = _read(file)
    absolute, sha256 = file.resolve(), hashlib.sha256(data).hexdigest()
    known = _loaded.get(absolute)
    if known is not None and known.sha256 == sha256:
        return known
    if known is not None:
        _forget(known)
    before = set(_registered())
    module = _run(file, data, f"with_{re.sub(r'[^A-Za-z0-9]', '_', file.stem)}_{sha256[:8]}")
    parts = tuple(leaf for leaf in _registered() if leaf not in before)
    callbacks = callbacks_of(module)
    for part in parts:
        add_derived_passes(part)
    if not parts and not callbacks:
        raise Failure(_no_part(file, module))
    problems = [problem for part in parts for problem in class_problems(part)]
    problems += [problem for callback in callbacks for problem in callback_problems(callback)]
    if problems:
        raise Failure(*problems)
    for part in parts:
        check_plans(part)
    _loaded[absolute] = LoadedFile(file, absolute, sha256, parts, callbacks)
    return _loaded[absolute]


def _read(file: Path) -> bytes:
    try:
        regular_size(file)
        if file.suffix != ".py":
            text = f"{file} is not a Python file: its name does not end in .py"
            raise Failure(Problem(text, "not-python", help=f"--with runs Python code; {EXAMPLE_PART}"))
        return read_regular(file, MAX_CODE_BYTES)
    except FileNotFoundError:
        problem = Problem(
            f"no such file: {file}", "missing-file", help="--with takes a Python file with parts of your own"
        )
        raise Failure(problem, exit=Exit.NO_INPUT) from None
    except OSError as error:
        problem = Problem(f"cannot read {file}: {error.strerror or error}", "unreadable-file")
        raise Failure(problem, exit=Exit.NO_INPUT) from None


def _run(file: Path, data: bytes, name: str) -> ModuleType:
    """Runs a file as a module. Nothing is written beside it, and what it prints goes to stderr."""
    known_as = str(file)
    SOURCES[known_as] = SourceText(known_as, data.decode("utf-8", "replace"))
    module = ModuleType(name)
    module.__file__ = known_as
    sys.modules[name] = module  # annotations are looked up there
    try:
        code = _compiled(known_as, data)
        with redirect_stdout(sys.stderr):
            exec(code, vars(module))
    except Failure:
        raise
    except (Exception, SystemExit) as error:
        raise Failure(*_load_problems(error, known_as)) from None
    return module


def _compiled(file: str, data: bytes) -> CodeType:
    try:
        return compile(data, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        position = line_position(file, error.lineno or 0)
        if error.offset and error.offset > 0:
            end_column = error.end_offset if error.end_lineno == error.lineno and error.end_offset else error.offset + 1
            position = Position(position.source, position.line, error.offset, max(1, end_column - error.offset))
        raise Failure(problem_at(position, f"this is not Python: {error.msg}", code="not-python")) from None
    except ValueError as error:  # null bytes
        raise Failure(Problem(f"{file} is not Python: {error}", "not-python", file=file)) from None


def _load_problems(error: BaseException, file: str) -> list[Problem]:
    """Returns why a file could not be run to its end, with what to write instead."""
    found = find_raised(error)
    position = found.position if found is not None else line_position(file, 0)
    if isinstance(error, DeclarationError):
        return [problem_at(position, str(error), code="declaration", help=error.help)]
    if isinstance(error, PydanticUserError):  # among them what cannot be a setting
        text = f"the settings of this class cannot be read: {first_line(error).partition('. ')[0]}"
        help = "a setting is `name: float = Field(1.0, description=...)`, a constant `NAME: ClassVar[float] = 1.0`"
        if unread := re.search(r"`type = '(\w+)'`", text):
            help = f'write `type: Literal["{unread[1]}"] = "{unread[1]}"`'
        return [problem_at(position, text, code="declaration", help=help)]
    if isinstance(error, ImportError):
        help = "a file that is loaded can import what is installed; another file of your own is given by a --with too"
        text = f"this cannot be imported: {first_line(error)}"
        return _wrong_imports(error, file) or [problem_at(position, text, code="import", help=help)]
    text = f"loading stops here: {type(error).__name__}: {first_line(error)}"
    help = missing_name(error) or "a file that is loaded only declares parts, and runs to its end"
    return [problem_at(position, text, code="import", help=help)]


def _wrong_imports(error: ImportError, file: str) -> list[Problem]:
    """Returns the imports that do not work, of this file or of one that it imports."""
    found = import_problems(SOURCES[file])
    imported = importing_file(error)
    return found if found or imported is None else import_problems(imported)


def _no_part(file: Path, module: ModuleType) -> Problem:
    """Returns the problem of a file that declares no part."""
    own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    unnamed = [c for c in own if issubclass(c, Part)]
    if unnamed:
        name = unnamed[-1].__name__
        help = f'add `type: Literal["{name.lower()}"] = "{name.lower()}"`: what a config calls it'
        text = f"{name} has no `type`, so it is no part"
        return problem_at(class_position(unnamed[-1]), text, code="no-part", help=help)
    return Problem(f"{file} declares no part", "no-part", help=EXAMPLE_PART)


def _registered() -> Iterator[type[Part]]:
    """Yields every registered part, once."""
    yield from dict.fromkeys(leaf for family in families() for leaf in family.registry.values())


def _forget(loaded: LoadedFile) -> None:
    for family in families():
        for kind in [kind for kind, leaf in family.registry.items() if leaf in loaded.parts]:
            del family.registry[kind]
    del _loaded[loaded.absolute]


# ------------------------------------------------------------------------------------------------- what a run remembers
def files_record() -> dict[str, Any]:
    """Returns the entry of run.json about the files that were loaded; empty where none was."""
    files: list[dict[str, Any]] = []
    for loaded in _loaded.values():
        names = [callback.__name__ for callback in loaded.callbacks]
        files.append(
            {"file": str(loaded.absolute), "sha256": loaded.sha256} | ({CALLBACKS_KEY: names} if names else {})
        )
    return {RECORD_KEY: files} if files else {}


def files_record_by_name() -> dict[str, Any]:
    """Returns the same entry for a model file, which may travel: file names without their folders."""
    return {key: [f | {"file": Path(f["file"]).name} for f in files] for key, files in files_record().items()}


def _files(record: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yields the files that a record names, with their sha256."""
    files = record.get(RECORD_KEY)
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("file"), str):
            yield Path(entry["file"]), str(entry.get("sha256", ""))


def changed_files(record: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Warns where the loaded files are not those that a run was trained with."""
    wanted = {sha256: file for file, sha256 in _files(record)}
    others = [p for p in _loaded.values() if p.sha256 not in wanted]
    found = []
    for sha256, file in wanted.items():
        if any(p.sha256 == sha256 for p in _loaded.values()) or not others:
            continue
        same = next((p for p in others if p.file.name == file.name), None)
        text = f"the run was trained with {file}, not with {others[0].file}"
        text = f"{same.file} has changed since the run began" if same else text
        found.append(Problem(text, "changed", help="its numbers may not be those of the training", level="warning"))
    return tuple(found)


def missing_callbacks(record: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Warns where a run that goes on was followed by callbacks of files that are not loaded."""
    files = record.get(RECORD_KEY)
    entries = [e for e in files if isinstance(e, dict) and e.get(CALLBACKS_KEY)] if isinstance(files, list) else []
    found = []
    for entry in entries:
        file = Path(str(entry.get("file")))
        if not any(p.absolute == file or p.sha256 == entry.get("sha256") for p in _loaded.values()):
            text = (
                f"{', '.join(map(str, entry[CALLBACKS_KEY]))} of {file} followed the run until now, and is not loaded"
            )
            help = f"add --with {shell_word(_short_path(file))}"
            found.append(Problem(text, "callbacks", help=help, level="warning"))
    return tuple(found)


def _short_path(file: Path) -> Path:
    """Returns a path as it is typed here."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def with_options() -> str:
    """Returns the options that load the files that are loaded now."""
    return " ".join(f"--with {shell_word(loaded.file)}" for loaded in _loaded.values())


def name_needed_files(failure: Failure, record: Mapping[str, Any]) -> Failure:
    """Adds to a failure over an unknown type which files its run was trained with."""
    files = [file for file, sha256 in _files(record) if not any(p.sha256 == sha256 for p in _loaded.values())]
    if not files:
        return failure
    options = " ".join(f"--with {shell_word(_short_path(file))}" for file in files)
    help = f"the run was trained with {'a part' if len(files) == 1 else 'parts'} of its own: add {options}"
    problems = (replace(p, help=help) if p.code == "unknown-type" else p for p in failure.problems)
    return Failure(*problems, exit=failure.exit)
