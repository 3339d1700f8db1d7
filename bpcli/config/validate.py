"""From a document to the validated model, or to all that is wrong with it, each error at its place in the file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bpcli.config.compose import MAX_PROBLEMS
from bpcli.config.document import Document
from bpcli.config.error_text import FieldError, closest, error_text, expected_kinds, join_words, with_article
from bpcli.config.fields import ModelType, families_at, families_within, keys_of, models_at, setting_paths
from bpcli.config.scalars import backticks
from bpcli.family.part import Part
from bpcli.records.training import Failure, Problem

CUSTOM_PART = "a part of your own: --with FILE.py"
"""How a type that is not of this package becomes known."""

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], document: Document) -> M:
    """Returns the document as a `model`. Raises Failure with everything that is wrong."""
    try:
        try:
            return model.model_validate(document.data)
        except ValidationError as error:
            raise Failure(*problems_of(error, document, model)) from None
    except UnicodeEncodeError as error:  # no message can hold a byte that is not UTF-8, which only a path may have
        raise Failure(_stray_byte(error.object, document)) from None


def _stray_byte(text: str, document: Document) -> Problem:
    """Returns the problem of a text with such a byte in it, at its place."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document.data)]
    for path, value in waiting:
        if isinstance(value, str) and value in text:
            found = error_text(FieldError(path, "string_unicode", value, ""))
            return document.problem(path, found.text, code=found.code, help=found.help)
        inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, step), child) for step, child in inner]
    return document.problem((), "a byte does not belong in a text", code="not-text")


def first_error(error: ValidationError) -> Mapping[str, Any]:
    """Returns what Pydantic found first in what a program wrote."""
    try:
        return error.errors(include_url=False, include_input=False)[0]
    except UnicodeEncodeError:  # it names half of a surrogate pair
        return {"type": "", "loc": (), "msg": "a name in it is no text"}


def error_line(error: ValidationError) -> str:
    """Returns on a line where and what Pydantic found first."""
    found = first_error(error)
    return ": ".join(filter(None, (".".join(map(str, found["loc"])), found["msg"])))


def problems_of(error: ValidationError, document: Document, model: ModelType) -> list[Problem]:
    """Returns what Pydantic found when it made a `model` of the document, in the order of the file: 20 problems at
    most, then one that counts the others."""
    kept = [found for found in error.errors(include_url=False) if not _explained_by_items(found)]
    errors = resolve_unions([_field_error(found, document.data) for found in kept])
    return _ProblemWriter(model, document).problems(errors)


def _explained_by_items(found: Any) -> bool:
    """Whether a list is only called too short because what it holds is wrong, which is said of the items."""
    value = found["input"]
    return found["type"] == "too_short" and isinstance(value, list | tuple) and len(value) >= found["ctx"]["min_length"]


def _field_error(found: Any, data: Any) -> FieldError:
    """Returns Pydantic's error with its path cleared of everything that the file does not hold."""
    steps: Sequence[str | int] = found["loc"]
    missing = [steps[-1]] if found["type"] == "missing" else []
    path: list[str | int] = []
    tags: list[tuple[int, str]] = []
    here = data
    for step in steps[: len(steps) - len(missing)]:
        inside = step in here if isinstance(here, Mapping) else isinstance(here, list) and step in range(len(here))
        if inside:
            path.append(step)
            here = here[step]
        elif step != "[key]":
            tags.append((len(path), str(step)))
    return FieldError(
        (*path, *missing),
        found["type"],
        found["input"],
        found["msg"],
        found.get("ctx", {}),
        tuple(tags),
        on_key=steps[-1:] == ("[key]",),
    )


def resolve_unions(errors: Iterable[FieldError]) -> list[FieldError]:
    """Returns one branch of each union: the one the value was meant for. Where it fits none, one error that names them
    all."""
    resolved: list[FieldError] = []
    unions: dict[tuple[str | int, ...], dict[str, list[FieldError]]] = {}
    for error in errors:
        if not error.tags:
            resolved.append(error)
            continue
        (steps, tag), *rest = error.tags
        branches = unions.setdefault(error.path[:steps], {})
        branches.setdefault(tag, []).append(replace(error, tags=tuple(rest)))
    for location, branches in unions.items():
        resolved.extend(_intended_branch(location, [resolve_unions(branch) for branch in branches.values()]))
    return resolved


def _intended_branch(location: tuple[str | int, ...], branches: list[list[FieldError]]) -> list[FieldError]:
    fitting = [b for b in branches if not all(expected_kinds(error) and error.path == location for error in b)]
    if fitting:
        return min(fitting, key=lambda branch: (len(branch), -max(len(error.path) for error in branch)))
    misfits = [error for branch in branches for error in branch]
    if len(misfits) == 1:
        return misfits
    choices = [w for error in misfits if error.kind == "literal_error" for w in expected_kinds(error)]
    context = {"expected": dict.fromkeys(w for error in misfits for w in expected_kinds(error)), "choices": choices}
    return [FieldError(location, "misfit", misfits[0].value, "", context)]


def _owners(families: Iterable[type[Part]], word: str) -> str:
    """Returns, in words, which parts of the first family that has them have a setting of this name."""
    for family in families:
        kinds = [f"`{kind}`" for kind, leaf in family.registry.items() if word in keys_of(leaf)]
        if kinds:
            return f"{backticks(word)} is a setting of the {family.family} {join_words(kinds[:6], 'or')}"
    return ""


class _ProblemWriter:
    """Makes problems of the errors in one document, with suggestions from the whole model."""

    def __init__(self, model: ModelType, document: Document) -> None:
        self.model = model
        self.document = document
        self.data = document.data

    def problems(self, errors: list[FieldError]) -> list[Problem]:
        errors = sorted(errors, key=self.order)
        suggested: set[tuple[str | int, ...]] = set()
        found: list[tuple[FieldError, Problem]] = []
        for error in errors[: 5 * MAX_PROBLEMS]:
            problem, intended = self.problem(error)
            if intended is not None:
                suggested.add((*error.path[:-1], intended))
            found.append((error, problem))
        kept = [p for error, p in found if not (error.kind == "missing" and error.path in suggested)]
        left = len(kept) + len(errors) - len(found) - MAX_PROBLEMS
        if left > 0:
            kept[MAX_PROBLEMS:] = [Problem(f"and {left} more", "and-more", file=self.document.source.file)]
        return kept

    def order(self, error: FieldError) -> tuple[float, ...]:
        """Returns what sorts errors by their lines in the file; what stands in none comes last."""
        position = self.document.position(error.path, "key" if error.kind == "extra_forbidden" else "value")
        return (position.source.order, position.line, position.column) if position else (float("inf"),)

    def problem(self, error: FieldError) -> tuple[Problem, str | None]:
        """Returns the problem, and the key that was meant in place of an unknown one."""
        intended = None
        if error.kind == "extra_forbidden":
            help, intended = self.unknown_key(error)
            problem = self.document.problem(error.path, "unknown key", code="unknown-key", help=help, on="key")
        elif error.kind == "missing":
            text = "this key is required"
            problem = self.document.problem(error.path, text, code="missing-key", help=self.missing_key(error))
        elif error.kind == "unknown_type":
            problem = self.unknown_type(error)
        elif error.kind == "no_type" and isinstance(error.value, Mapping):
            problem = self.no_type(error)
        else:
            message = error_text(error)
            on: Any = "key" if error.on_key else "value"
            help = message.help
            if error.kind == "no_type" and not help:
                help = f"write a name, or {{type: name, ...}}; known: {error.context['known']}"
            problem = self.document.problem(error.path, message.text, code=message.code, help=help, on=on)
            if "offset" in error.context:
                problem = self.document.inside(problem, error.path, error.context["offset"], error.context["length"])
        return problem, intended

    def unknown_key(self, error: FieldError) -> tuple[str, str | None]:
        """Returns where an unknown key was meant to stand, or how it was meant to be spelled."""
        *parent, word = error.path
        word = str(word)
        allowed = [key for owner in models_at(self.model, self.data, parent) for key in keys_of(owner)]
        here = self.at(parent)
        free = [key for key in dict.fromkeys(allowed) if not isinstance(here, Mapping) or key not in here]
        key, colon, value = word.partition(":")
        if colon and value and key in free:
            return f"put a space after the colon: {backticks(f'{key}: {value}')}", key
        close = closest(word, free)
        if close is not None:
            return f"did you mean `{close}`?", close
        return self.elsewhere(parent, word) or f"known here: {', '.join(dict.fromkeys(allowed))}", None

    def elsewhere(self, parent: Sequence[str | int], word: str) -> str:
        """Returns what an unknown key would be in another place of the experiment."""
        if owners := _owners(families_at(self.model, self.data, parent), word):
            return owners
        found = dict.fromkeys(setting_paths(self.model, self.data))
        known = [(path, key) for path, key in found if (*path, key) != tuple(parent)[: len(path) + 1]]
        for path, key in known:
            if key == word:
                where = f"under {backticks('.'.join(path))}" if path else "at the top"
                return f"{backticks(word)} belongs {where}"
        if owners := _owners(families_within(self.model), word):
            return owners
        close = closest(word, dict.fromkeys(key for path, key in known if path), surely=True)
        return next((f"did you mean `{'.'.join((*path, key))}`?" for path, key in known if path and key == close), "")

    def missing_key(self, error: FieldError) -> str:
        *parent, key = error.path
        for owner in models_at(self.model, self.data, parent):
            field = keys_of(owner).get(str(key))
            if field is not None and field.description:
                return f"add `{key}`: {field.description}"
        return f"add `{key}: ...`"

    def unknown_type(self, error: FieldError) -> Problem:
        kind, family = str(error.context["kind"]), str(error.context["family"])
        written = self.at(error.path)
        path = (*error.path, "type") if isinstance(written, Mapping) else error.path
        known = str(error.context["known"]).split(", ")
        close = closest(kind, known)
        if close is not None:
            help = f"did you mean `{close}`? ({CUSTOM_PART})"
        else:
            homes = [f.family for f in families_within(self.model) if kind in f.registry]
            help = f"{backticks(kind)} is {with_article(homes[-1])}; " if homes else ""
            help += f"known: {', '.join(known)}" + ("" if homes else f"; {CUSTOM_PART}")
        return self.document.problem(path, f"unknown {family} {backticks(kind)}", code="unknown-type", help=help)

    def no_type(self, error: FieldError) -> Problem:
        """Returns the problem of a mapping that should be a part and does not say which."""
        known, family = str(error.context["known"]).split(", "), str(error.context["family"])
        keys = [str(key) for key in error.value]
        spelled = next((key for key in keys if closest(key, ["type"])), None)
        if spelled is not None:
            path = (*error.path, spelled)
            return self.document.problem(path, "unknown key", code="unknown-key", help="did you mean `type`?", on="key")
        inverted = next((key for key in keys if key in known), None)
        if inverted is not None:
            help = f"write {{type: {inverted}, ...}}"
        else:
            help = f"add `type`, one of: {', '.join(known)}"
        return self.document.problem(
            error.path, f"this does not say which {family} it is", code="missing-type", help=help
        )

    def at(self, path: Iterable[str | int]) -> Any:
        here: Any = self.data
        for step in path:
            here = here[step]
        return here
