"""Which columns of a file are read, and what for: by the settings of its source, or as a model was trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpcli.family import join_names, near
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.parts.data.files import data_error, yaml_name


@dataclass(frozen=True)
class Header:
    """The names of a file's columns, in its order.

    `line` is where they stand in a text, 0 in other files; `absolute` gives the name that is meant by one in the
    settings, which may count from the end where the file has no names; `hint` is added where a column is not found.
    """

    names: Sequence[str]
    path: Path
    line: int = 0
    absolute: Callable[[str], str] = str
    hint: str = ""


@dataclass(frozen=True)
class ColumnChoice:
    """Columns by their positions in the file: the inputs in its order, the targets, the weight (none, or one), those
    that rows are divided by, and those that are declared to be text."""

    inputs: Sequence[int]
    targets: Sequence[int]
    weights: Sequence[int]
    aside: Sequence[int]
    texts: Sequence[int]

    @property
    def outcomes(self) -> tuple[int, ...]:
        """The targets and the weight."""
        return (*self.targets, *self.weights)


def choose_columns(source: ColumnSource, request: ColumnRequest, header: Header) -> ColumnChoice:
    """Chooses the columns to read. Raises Failure where a setting names no column, nothing is named as the target, no
    input is left, or a column that is used has no name, or that of another."""
    later, names = request.is_later, header.names
    targets = _find(header, source.target, "target", optional=not request.need_target)
    if request.need_target and not targets:
        known = request.like.target if isinstance(request.like, ColumnSource) else ()
        which = ", ".join(map(yaml_name, known))
        which = which if len(known) == 1 else f"[{which}]" if known else "<column>"
        help = f"add `target: {which}`; the columns are {join_names(names)}"
        raise data_error("no target column is named", header.path, code="no-target", help=help)
    texts = _find(header, source.text, "text", optional=later)
    _find(header, tuple(source.columns), "columns", optional=later)
    weights = _find(header, (source.weight,) if source.weight else (), "weight", optional=later)
    aside = _find(header, request.aside, "split")
    ignored = {*_find(header, source.drop, "drop", optional=later), *targets, *weights}
    ignored |= {i for i in aside if names[i] in request.hidden}
    inputs = [i for i, name in enumerate(names) if i not in ignored and (not request.kinds or name in request.kinds)]
    choice = ColumnChoice(inputs, *((targets, weights) if request.need_target else ((), ())), aside, texts)
    _check_names(header, {*inputs, *choice.outcomes, *(i for i in aside if i in ignored)})
    if not inputs and not request.kinds:
        help = "the file needs a column beside the target"
        raise data_error("no input column is left", header.path, code="no-inputs", help=help)
    return choice


def columns_to_keep(header: Header, names: Sequence[str] | None) -> tuple[int, ...]:
    """Returns the positions of the named columns, or of all (None), in the order of the file. Raises Failure where the
    file has no such column, or two of one name."""
    found = range(len(header.names)) if names is None else sorted(set(_find(header, names, "--keep")))
    seen: dict[str, int] = {}
    for i in found:
        name = header.names[i]
        if name in seen:
            where = f"columns {seen[name]} and {i} (counted from 0)"
            text = f"the {'header' if header.line else 'file'} names `{name}` twice: {where}"
            help = "rename one of them" + ("; --keep takes single columns along" if names is None else "")
            raise data_error(text, header.path, code="duplicate-column", line=header.line, help=help)
        seen[name] = i
    return tuple(found)


def _find(header: Header, wanted: Sequence[str], key: str, *, optional: bool = False) -> tuple[int, ...]:
    """Returns where the columns stand; several positions where a name stands twice."""
    found: list[int] = []
    for name in map(header.absolute, wanted):
        positions = [i for i, known in enumerate(header.names) if known == name]
        if not positions and not optional:
            guess = near(name, header.names)
            help = f"did you mean `{guess}`? The columns are " if guess else "the columns are "
            text = f"{key}: the file has no column `{name}`"
            help = help + join_names(header.names) + header.hint
            raise data_error(text, header.path, code="missing-column", help=help)
        found += positions
    return tuple(found)


def _check_names(header: Header, used: set[int]) -> None:
    where = "header" if header.line else "file"
    seen: dict[str, int] = {}
    for i in sorted(used):
        name = header.names[i]
        if not name:
            text, help = (
                f"column {i} (counted from 0) has no name in the {where}",
                'name it, or drop it with `drop: [""]`',
            )
            raise data_error(text, header.path, code="no-name", line=header.line, help=help)
        if name in seen:
            text = f"the {where} names `{name}` twice: columns {seen[name]} and {i} (counted from 0)"
            help = f"rename one of them, or drop both with `drop: [{yaml_name(name)}]`"
            raise data_error(text, header.path, code="duplicate-column", line=header.line, help=help)
        seen[name] = i
