"""What `--data` means: a file of the kind the model was trained on, standard input, or a source spelled out."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from bpcli.config.dump import flow
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.family import OneOf, Settings, Shape, Source
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.parts.data.unchanged import unchanged
from bpcli.records.printable import shell_word
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.dataset.standard_input import STANDARD_INPUT, standard_input

OF_FILE = ("header", "delimiter", "encoding", "comment", "decimal", "thousands", "date_order")
OF_COLUMN = ("decimal", "thousands", "date_order")
"""Settings that say how a file, or a column of it, is written; what stands for no value is saved with the model, and so
are units."""

OF_TRAINING = ("text: ", "drop: ")
"""How settings begin that say which columns a network takes."""

SETTING = re.compile(r"`(\w+): ([^`]+)`")
CLAUSE, WAY = (re.compile(rf"{mark} (?=(?:[^`]*`[^`]*`)*[^`]*$)") for mark in (";", ", or"))
"""What stands between the clauses of a help text, and between the ways that a clause offers; not within a setting."""


class _DataOption(Settings):
    data: Annotated[Source, OneOf()]


@contextmanager
def open_data_option(
    text: str, train: Source, need_target: bool, row: Shape = (), root: Path | None = None
) -> Iterator[Source]:
    """Yields the source that `--data` names (see `source_of`), standard input put into a file. Where a Failure is
    raised meanwhile, its help is one for who types `--data` (see `_option_help`)."""
    source = source_of(text, train, need_target, row, root)
    try:
        with standard_input(source) as opened, unchanged(opened.files(root or Path())):
            yield opened
    except Failure as failure:
        typed = _as_typed(text, source, need_target)
        decided: tuple[str, ...] = OF_TRAINING if isinstance(train, ColumnSource) else ()
        if decided and getattr(train, "header", None) is not False:
            decided += ("header: false",)  # columns are found by their names
        problems = [replace(p, help=_option_help(p.help, typed, decided, type(source))) for p in failure.problems]
        raise Failure(*problems, exit=failure.exit) from None


def source_of(text: str, train: Source | None, need_target: bool, row: Shape = (), root: Path | None = None) -> Source:
    """Returns the source that `--data` names: a path, or `{type: ..., ...}` as in a config.

    `-` is standard input, as CSV (see `standard_input`). A path, and `-`, take over how the training file was written
    (target, header, delimiter), where it is of the same type; the ending says which type it is, and a folder (relative
    to `root`) holds images. `row` is what the model takes: an image of one channel is read gray. Raises Failure where
    the type is unknown.
    """
    if not text:
        raise Failure(Problem("--data names no file", code="usage", help="--data FILE"), exit=Exit.USAGE)
    if text.lstrip().startswith("{"):
        return validate(_DataOption, parse(f"data: {text}", "--data")).data
    root = root or Path()
    if text == STANDARD_INPUT:
        return Source.registry["csv"].of_file(text, train, need_target=need_target, row=row, root=root)
    kinds = Source.registry.values()
    for kind in kinds:
        if kind.reads(root / text):
            return kind.of_file(text, train, need_target=need_target, row=row, root=root)
    zipped, plain = (", ".join(e for kind in kinds if kind.gzipped is gz for e in kind.endings) for gz in (True, False))
    help = f"known endings: {zipped} (each also with .gz), {plain}; or "
    help += f"--data {shell_word(flow({'type': 'csv', 'path': text}))}"
    raise Failure(Problem(f"{Path(text).name}: the ending does not say what it holds", code="ending", help=help))


def _as_typed(text: str, source: Source, need_target: bool) -> dict[str, Any]:
    """Returns the settings that were typed for a source, or would have been instead of its path: those that say how
    it is written (as training's file was) and, where one is needed, its target."""
    if text.lstrip().startswith("{"):
        typed: dict[str, Any] = parse(f"data: {text}", "--data").root.plain()["data"]
        return typed
    said = source.model_dump(mode="json", exclude_defaults=True)
    own = {name: {key: each[key] for key in OF_COLUMN if key in each} for name, each in said.get("columns", {}).items()}
    said["columns"] = {name: each for name, each in own.items() if each}
    if len(said.get("target", ())) == 1:
        said["target"] = said["target"][0]
    keys = (*source.file_settings, *OF_FILE, *(("target", "weight") if need_target else ()), "columns")
    return {"type": source.kind, **{key: said[key] for key in keys if said.get(key) not in (None, {})}}


def _option_help(help: str, typed: Mapping[str, Any], decided: tuple[str, ...], kind: type[Source]) -> str:
    """Returns a help text in which settings of the source (in backquotes, `key: value`) are the whole option that has
    them, other ones are said to need another training, and those that begin as what training has `decided` are not
    offered."""
    clauses = []
    for clause in CLAUSE.split(help):
        ways = [
            way for way in WAY.split(clause) if not any(s[0][1:].startswith(decided) for s in SETTING.finditer(way))
        ]
        clause = ", or ".join(ways)
        keys = [setting[1] for setting in SETTING.finditer(clause)]
        if keys and "train" not in clause:
            of_source = any(key in kind.model_fields for key in keys)
            clause = SETTING.sub(lambda s: _option(s, typed), clause) if of_source else f"{clause}, and train anew"
        clauses += [clause] * bool(clause)
    return "; ".join(clauses)


def _option(setting: re.Match[str], typed: Mapping[str, Any]) -> str:
    """Returns the option, safe in a shell, with a setting put in; the setting as it is where it cannot be read."""
    try:
        said = parse(setting[0].strip("`"), "help").root.plain()
    except Failure:
        return setting[0]
    settings = {**typed, **said}
    if "type" in said:
        settings = {key: value for key, value in settings.items() if key in ("type", "path", "target")}
    if "columns" in said:
        settings["columns"] = _treatments(typed.get("columns"))
        for name, own in _treatments(said["columns"]).items():
            settings["columns"][name] = settings["columns"].get(name, {}) | own
            if "missing_values" in own:  # in place of what stands for no value in all columns
                settings.pop("missing_values", None)
    return f"--data {shell_word(flow(settings))}"


def _treatments(columns: Mapping[Any, Any] | None) -> dict[str, dict[str, Any]]:
    """Returns what is said of single columns, spelled out."""
    return {str(n): {"kind": own} if isinstance(own, str) else dict(own or {}) for n, own in (columns or {}).items()}
