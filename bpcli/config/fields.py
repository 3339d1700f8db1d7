"""What a model allows at a place of the file: which settings, of which part, given what stands there."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bpcli.config.document import Location
from bpcli.family.part import Part

ModelType = type[BaseModel]
MAX_NESTING = 8  # levels of settings within settings, where places are listed


def keys_of(model: ModelType) -> dict[str, FieldInfo]:
    """Returns the keys of a model as they are written in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_family(kind: Any) -> TypeGuard[type[Part]]:
    """Whether this is a family (Layer, Optimizer...), not one of its leaves."""
    return isinstance(kind, type) and issubclass(kind, Part) and "type" not in kind.model_fields


def leaf_of(family: type[Part], value: Any) -> type[Part] | None:
    """Returns the member of the family that a value of the file describes, if it says so."""
    if isinstance(value, Part):
        return type(value)
    value = family.shorthand(value)
    kind = value.get("type") if isinstance(value, Mapping) else None
    return family.registry.get(kind) if isinstance(kind, str) else None


def models_at(top: ModelType, data: Any, loc: Location) -> list[ModelType]:
    """Returns the models whose settings may stand at `loc`; the `type` that is written there says which part."""
    kinds = _kinds_at(top, data, loc)
    return [model for kind, value in kinds for model in _models(kind, value)]


def families_at(top: ModelType, data: Any, loc: Location) -> list[type[Part]]:
    """Returns the families of parts that may stand at `loc`."""
    return [kind for kind, _ in _kinds_at(top, data, loc) if is_family(kind)]


def default_at(top: ModelType, data: Any, loc: Location) -> Any:
    """Returns what stands at `loc` where the file says nothing, None where nothing does."""
    for model in models_at(top, data, loc[:-1]):
        field = keys_of(model).get(str(loc[-1]))
        if field is not None and not field.is_required():
            return field.get_default(call_default_factory=True, validated_data={})
    return None


def families_within(top: ModelType) -> list[type[Part]]:
    """Returns every family of parts that can be reached from a model, in the order of its fields."""
    found: list[type[Part]] = []
    seen: set[ModelType] = set()
    waiting: list[ModelType] = [top]
    while waiting:
        model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        for field in model.model_fields.values():
            for kind in _mentioned(field.annotation):
                if is_family(kind):
                    if kind not in found:
                        found.append(kind)
                        waiting.extend(kind.registry.values())
                else:
                    waiting.append(kind)
    return found


def setting_paths(model: ModelType, data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields every place that a setting may have outside of lists, as (path of the mapping, key), given the types that
    are written in the file or stand there by default; `path` is where the model stands."""
    inner: list[tuple[ModelType, Any, str]] = []
    for key, field in keys_of(model).items():
        yield path, key
        value = data.get(key) if isinstance(data, Mapping) else None
        if value is None and not field.is_required():
            value = field.get_default(call_default_factory=True, validated_data={})
        for kind in _options(field.annotation):
            inner.extend((found, value, key) for found in _models(kind, value))
    for found, value, key in inner if len(path) < MAX_NESTING else ():
        yield from setting_paths(found, value, (*path, key))


def _kinds_at(top: ModelType, data: Any, loc: Location) -> list[tuple[Any, Any]]:
    """Returns what may stand at `loc`, families as they are, each with what does stand there."""
    kinds: list[tuple[Any, Any]] = [(top, data)]
    for step in loc:
        kinds = [
            (option, _at(value, step))
            for kind, value in kinds
            for annotation in _inside(kind, value, step)
            for option in _options(annotation)
        ]
    return kinds


def _inside(kind: Any, value: Any, step: str | int) -> Iterator[Any]:
    """Yields the annotations of what stands one step inside."""
    for model in _models(kind, value):
        if step in keys_of(model):
            yield keys_of(model)[str(step)].annotation
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(origin, type):
        if issubclass(origin, Mapping):
            yield arguments[1]
        elif isinstance(step, int):
            fixed = origin is tuple and arguments[-1] is not ...
            yield arguments[min(step, len(arguments) - 1)] if fixed else arguments[0]


def _models(kind: Any, value: Any) -> Iterator[ModelType]:
    if is_family(kind):
        leaf = leaf_of(kind, value)
        if leaf is not None:
            yield leaf
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind


def _options(annotation: Any) -> Iterator[Any]:
    """Yields the branches of a union, or the annotation alone."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _options(branch)
    else:
        yield annotation


def _mentioned(annotation: Any) -> Iterator[ModelType]:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option
        for argument in get_args(option):
            yield from _mentioned(argument)


def _at(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, BaseModel):
        return getattr(value, str(step), None)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
