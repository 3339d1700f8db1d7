"""From a document to the validated model, or to all that is wrong with it, each error at its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bpcli.config.document import Document
from bpcli.config.error_text import FieldError, closest, error_text, expected_kinds, join_words, with_article
from bpcli.config.fields import families_at, families_within, keys_of, models_at, places
from bpcli.config.scalars import backticks
from bpcli.records.training import Failure, Problem

__all__ = ["MAX_PROBLEMS", "problems_of", "validate"]

MAX_PROBLEMS = 20
OWN = "a part of your own: --with FILE.py"
"""How a type comes to be known that is not of this package."""

Model = type[BaseModel]
M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], document: Document) -> M:
    """The document as a `model`. Raises Failure with everything that is wrong."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise Failure(*problems_of(error, document, model)) from None


def problems_of(error: ValidationError, document: Document, model: Model) -> list[Problem]:
    """What Pydantic found when it made a `model` of the document, in the order of the file: 20 problems at most, then
    one that counts the others."""
    told = [found for found in error.errors(include_url=False) if not _by_others(found)]
    faults = resolve_unions([_fault(found, document.data) for found in told])
    return _Diagnosis(model, document).problems(faults)


def _by_others(found: Any) -> bool:
    """Whether a list is only called too short because what it holds is wrong, which is said of the items."""
    value = found["input"]
    return found["type"] == "too_short" and isinstance(value, list | tuple) and len(value) >= found["ctx"]["min_length"]


def _fault(found: Any, data: Any) -> FieldError:
    """Pydantic's error with its path cleared of everything that the file does not hold."""
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


def resolve_unions(faults: Iterable[FieldError]) -> list[FieldError]:
    """One branch of each union: the one the value was meant for. Where it fits none, one error that names them all."""
    settled: list[FieldError] = []
    unions: dict[tuple[str | int, ...], dict[str, list[FieldError]]] = {}
    for fault in faults:
        if not fault.tags:
            settled.append(fault)
            continue
        (steps, tag), *rest = fault.tags
        branches = unions.setdefault(fault.path[:steps], {})
        branches.setdefault(tag, []).append(replace(fault, tags=tuple(rest)))
    for place, branches in unions.items():
        settled.extend(_meant(place, [resolve_unions(branch) for branch in branches.values()]))
    return settled


def _meant(place: tuple[str | int, ...], branches: list[list[FieldError]]) -> list[FieldError]:
    fitting = [b for b in branches if not all(expected_kinds(fault) and fault.path == place for fault in b)]
    if fitting:
        return min(fitting, key=lambda branch: (len(branch), -max(len(fault.path) for fault in branch)))
    misfits = [fault for branch in branches for fault in branch]
    if len(misfits) == 1:
        return misfits
    choices = [w for fault in misfits if fault.kind == "literal_error" for w in expected_kinds(fault)]
    context = {"expected": dict.fromkeys(w for fault in misfits for w in expected_kinds(fault)), "choices": choices}
    return [FieldError(place, "misfit", misfits[0].value, "", context)]


class _Diagnosis:
    """Words for the faults of one document, with the whole model at hand to suggest from."""

    def __init__(self, model: Model, document: Document) -> None:
        self.model = model
        self.document = document
        self.data = document.data

    def problems(self, faults: list[FieldError]) -> list[Problem]:
        faults = sorted(faults, key=self.order)
        suggested: set[tuple[str | int, ...]] = set()
        found: list[tuple[FieldError, Problem]] = []
        for fault in faults[: 5 * MAX_PROBLEMS]:
            problem, meant = self.problem(fault)
            if meant is not None:
                suggested.add((*fault.path[:-1], meant))
            found.append((fault, problem))
        told = [p for fault, p in found if not (fault.kind == "missing" and fault.path in suggested)]
        left = len(told) + len(faults) - len(found) - MAX_PROBLEMS
        if left > 0:
            told[MAX_PROBLEMS:] = [Problem(f"and {left} more", "and-more", file=self.document.file)]
        return told

    def order(self, fault: FieldError) -> tuple[float, ...]:
        """The order of the file; what stands in none of its lines comes last."""
        position = self.document.position(fault.path, "key" if fault.kind == "extra_forbidden" else "value")
        return (position.source.order, position.line, position.column) if position else (float("inf"),)

    def problem(self, fault: FieldError) -> tuple[Problem, str | None]:
        """What to tell, and the key that was meant in place of an unknown one."""
        meant = None
        if fault.kind == "extra_forbidden":
            help, meant = self.unknown_key(fault)
            problem = self.document.problem(fault.path, "unknown key", code="unknown-key", help=help, on="key")
        elif fault.kind == "missing":
            text = "this key is required"
            problem = self.document.problem(fault.path, text, code="missing-key", help=self.missing_key(fault))
        elif fault.kind == "unknown_type":
            problem = self.unknown_type(fault)
        elif fault.kind == "no_type" and isinstance(fault.value, Mapping):
            problem = self.no_type(fault)
        else:
            said = error_text(fault)
            on: Any = "key" if fault.on_key else "value"
            help = said.help
            if fault.kind == "no_type" and not help:
                help = f"write a name, or {{type: name, ...}}; known: {fault.context['known']}"
            problem = self.document.problem(fault.path, said.text, code=said.code, help=help, on=on)
        return problem, meant

    def unknown_key(self, fault: FieldError) -> tuple[str, str | None]:
        """Where an unknown key was meant to stand, or how it was meant to be spelled."""
        *parent, word = fault.path
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
        """What an unknown key would be in another place of the experiment."""
        for family in families_at(self.model, self.data, parent):
            kinds = [f"`{kind}`" for kind, leaf in family.registry.items() if word in keys_of(leaf)]
            if kinds:
                return f"{backticks(word)} is a setting of the {family.family} {join_words(kinds[:6], 'or')}"
        found = dict.fromkeys(places(self.model, self.data))
        known = [(path, key) for path, key in found if (*path, key) != tuple(parent)[: len(path) + 1]]
        for path, key in known:
            if key == word:
                where = f"under {backticks('.'.join(path))}" if path else "at the top"
                return f"{backticks(word)} belongs {where}"
        for family in families_within(self.model):
            kinds = [f"`{kind}`" for kind, leaf in family.registry.items() if word in keys_of(leaf)]
            if kinds:
                return f"{backticks(word)} is a setting of the {family.family} {join_words(kinds[:6], 'or')}"
        close = closest(word, dict.fromkeys(key for path, key in known if path), surely=True)
        return next((f"did you mean `{'.'.join((*path, key))}`?" for path, key in known if path and key == close), "")

    def missing_key(self, fault: FieldError) -> str:
        *parent, key = fault.path
        for owner in models_at(self.model, self.data, parent):
            field = keys_of(owner).get(str(key))
            if field is not None and field.description:
                return f"add `{key}`: {field.description}"
        return f"add `{key}: ...`"

    def unknown_type(self, fault: FieldError) -> Problem:
        kind, family = str(fault.context["kind"]), str(fault.context["family"])
        written = self.at(fault.path)
        path = (*fault.path, "type") if isinstance(written, Mapping) else fault.path
        known = str(fault.context["known"]).split(", ")
        close = closest(kind, known)
        if close is not None:
            help = f"did you mean `{close}`? ({OWN})"
        else:
            homes = [f.family for f in families_within(self.model) if kind in f.registry]
            help = f"{backticks(kind)} is {with_article(homes[-1])}; " if homes else ""
            help += f"known: {', '.join(known)}" + ("" if homes else f"; {OWN}")
        return self.document.problem(path, f"unknown {family} {backticks(kind)}", code="unknown-type", help=help)

    def no_type(self, fault: FieldError) -> Problem:
        """A mapping that should be a part and does not say which."""
        known, family = str(fault.context["known"]).split(", "), str(fault.context["family"])
        keys = [str(key) for key in fault.value]
        spelled = next((key for key in keys if closest(key, ["type"])), None)
        if spelled is not None:
            path = (*fault.path, spelled)
            return self.document.problem(path, "unknown key", code="unknown-key", help="did you mean `type`?", on="key")
        inverted = next((key for key in keys if key in known), None)
        if inverted is not None:
            help = f"write {{type: {inverted}, ...}}"
        else:
            help = f"add `type`, one of: {', '.join(known)}"
        return self.document.problem(
            fault.path, f"this does not say which {family} it is", code="missing-type", help=help
        )

    def at(self, path: Iterable[str | int]) -> Any:
        here: Any = self.data
        for step in path:
            here = here[step]
        return here
