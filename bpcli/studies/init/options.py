"""What a user says of columns when a first config is written: it goes before what is found in the data."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from bpcli.config.validate import first_error
from bpcli.family import Source, Treatment
from bpcli.parts.data.columns.settings import TreatmentMap
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.parts.data.files import yaml_name
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem

SETTING = re.compile(r"`(\w+): ([^`]+)`")
NAME = re.compile(r'"(?:[^"\\]|\\.)*"|[^,\s"][^,"]*')
ONCE = "name a column once: --target says what is predicted, --text, --number and --drop are about the others"
MARKS = ("date_order", "thousands", "decimal")


@dataclass(frozen=True)
class ColumnOptions:
    """Columns that are text, that are numbers, and that are left out, by name; and for all columns the order of dates
    and the marks between thousands and before fractions (None: found in the file)."""

    text: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    date_order: str | None = None
    thousands: str | None = None
    decimal: str | None = None

    @property
    def kept(self) -> frozenset[str]:
        """The columns that are inputs whatever they look like."""
        return frozenset((*self.text, *self.number))

    def words(self) -> list[str]:
        """Returns the options as they are typed."""
        named = [("text", self.text), ("number", self.number), ("drop", self.drop)]
        found = [option(f"--{kind}", name) for kind, names in named for name in names]
        marks = [(mark, getattr(self, mark)) for mark in MARKS]
        return found + [f"{_flag(mark)} {shell_word(said)}" for mark, said in marks if said is not None]

    def applied(self, source: ColumnSource) -> ColumnSource:
        """Returns the source with what is said. Raises Failure where its files hold no text to be read in some way, or
        where two options contradict each other."""
        marks = {mark: getattr(self, mark) for mark in MARKS if getattr(self, mark) is not None}
        if marks and not marks.keys() <= type(source).model_fields.keys():
            text = f"the columns of {source.kind} know their kinds: there is no text for {_flag(next(iter(marks)))}"
            raise Failure(Problem(text, code="options", help="leave the option out"))
        elsewhere = {*self.drop, *source.target, *source.drop, source.weight}
        for name in sorted(self.kept & elsewhere | {*self.text} & {*self.number}):
            text = f"`{name}` is said to be two things that contradict each other"
            raise Failure(Problem(text, code="options", help=ONCE))
        kinds = {n: source.columns.get(n, Treatment()).model_copy(update={"kind": "number"}) for n in self.number}
        update = {
            "target": tuple(dict.fromkeys(source.target)),
            "text": tuple(dict.fromkeys((*source.text, *self.text))),
            "drop": tuple(dict.fromkeys((*source.drop, *self.drop))),
            "columns": TreatmentMap({**source.columns, **kinds}),
            **marks,
        }
        settings = {name: getattr(source, name) for name in type(source).model_fields}
        try:
            return type(source).model_validate({**settings, **update})
        except ValidationError as error:
            found = first_error(error)
            help = "leave one of the two out" if found["type"] == "marks" else ONCE
            raise Failure(Problem(found["msg"], code="options", help=help)) from None


USUAL = ColumnOptions()


def option(flag: str, name: str) -> str:
    """Returns an option with a name as they are typed, whatever the name begins with."""
    return f"{flag}={shell_word(name)}" if name.startswith("-") else f"{flag} {shell_word(name)}"


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def as_options(failure: Failure, data: str, rest: str, targets: Sequence[str] = ()) -> Failure:
    """Returns the failure with help that can be typed where there is no config yet: a setting of a column becomes an
    option of `init`, any other one part of the source, which is spelled out. `rest` is what was typed after the data,
    `targets` are the columns to predict: to read one as text is to classify."""

    def typed(found: re.Match[str]) -> str:
        key, value = found[1], found[2]
        if key == "text" and {*_names(value)} & {*targets}:
            return "`--task classify`"
        if key in ("text", "drop"):
            return "`" + " ".join(option(f"--{key}", name) for name in _names(value)) + "`"
        if key in MARKS:
            return f"`{_flag(key)} {value}`"
        if key == "target":
            return f"`--target {value}`"
        spelled_out = data.strip()
        kind = next((name for name, source in Source.registry.items() if source.reads(Path(data))), "csv")
        source = spelled_out if spelled_out.startswith("{") else f"{{type: {kind}, path: {yaml_name(data)}}}"
        try:
            return f"`bpcli init {shell_word(_merged(source, f'{{{key}: {value}}}'))}{rest}`"
        except yaml.YAMLError:  # of an alias, or of bytes that are no text: a part of it cannot be read alone
            return found[0]

    without = [f"; to leave the column out, write `drop: [{yaml_name(name)}]`" for name in targets]
    problems = []
    for p in failure.problems:
        kept = p.help
        for clause in without:  # nothing could be predicted then
            kept = kept.replace(clause, "")
        key, _, what = p.text.partition(": ")
        named = p.code == "missing-column" and not data.lstrip().startswith("{")
        text = f"{'--number' if key == 'columns' else _flag(key)}: {what}" if named else p.text
        problems.append(replace(p, text=text, help=SETTING.sub(typed, kept)))
    return Failure(*problems, exit=failure.exit)


def _merged(old: str, new: str) -> str:
    """Returns a setting in YAML's flow style with another one in it: what both have is merged where it is a list or a
    mapping, else it is the new one's."""
    (a, b) = (yaml.compose(text, Loader=yaml.SafeLoader) for text in (old, new))
    if isinstance(a, yaml.SequenceNode) and isinstance(b, yaml.SequenceNode):
        items = [*(_text(old, node) for node in a.value), *(_text(new, node) for node in b.value)]
        return f"[{', '.join(dict.fromkeys(items))}]"
    if not (isinstance(a, yaml.MappingNode) and isinstance(b, yaml.MappingNode)):
        return new
    found = {key.value: (_text(old, key), _text(old, value)) for key, value in a.value}
    for key, value in b.value:
        before = found.get(key.value)
        said = _text(new, value)
        found[key.value] = _text(new, key), said if before is None else _merged(before[1], said)
    return f"{{{', '.join(f'{key}: {value}' for key, value in found.values())}}}"


def _text(source: str, node: yaml.Node) -> str:
    """Returns how a part of a setting is spelled."""
    return source[node.start_mark.index : node.end_mark.index].strip()


def _names(value: str) -> list[str]:
    """Returns the names of a list as a help text writes it."""
    found = NAME.findall(value[1:-1])
    return [json.loads(name) if name.startswith('"') else name.strip() for name in found]
