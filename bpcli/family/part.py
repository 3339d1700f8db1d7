"""Floor 1: a part is one frozen class. Declaring it registers it, and that one class is its spelling in YAML, its
validation, its JSON Schema, its kernel and its textbook.

A family is an abstract subclass (Layer, Loss, Optimizer...); a leaf is final and names itself: `type: Literal[...]`. It
is listed in the registry of every abstract class above it, so `relu` is an Activation and a Layer.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from bpcli.notation import NotationError


def near(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that was probably meant, whichever letters are capitals, or None."""
    known = list(known)
    found = difflib.get_close_matches(word.lower(), {name.lower() for name in known}, 1, 0.6)
    alike = [name for name in known if name.lower() in found]
    return max(alike, key=lambda name: sum(map(str.__eq__, name, word)), default=None)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Returns a question that names the known word nearest to this one, where one is near; else nothing."""
    found = near(word, known)
    return f"did you mean `{found}`? " if found else ""


def join_names(names: Sequence[str], most: int = 20) -> str:
    """Returns the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class DeclarationError(TypeError):
    """A part whose class is not declared as parts are; `help` says what to write."""

    def __init__(self, text: str, help: str) -> None:
        super().__init__(text)
        self.help = help


@contextmanager
def equations_of(name: str) -> Iterator[None]:
    """Raises DeclarationError where the equations of this part, which are read inside, cannot be."""
    try:
        yield
    except NotationError as error:
        raise DeclarationError(f"the equations of {name} cannot be read: {error}", error.help) from None


class Settings(BaseModel):
    """Base of everything that stands in a file: frozen, strict, no unknown key, every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=False, allow_inf_nan=False)


class Part(Settings):
    """A registered, frozen description with methods; it holds settings, never arrays."""

    registry: ClassVar[dict[str, type[Self]]] = {}
    family: ClassVar[str] = "part"  # how messages call it
    stated_in_file: ClassVar[bool] = False  # whether its equations are those of the config, and not of its class

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        field = cls.model_fields.get("type")
        if field is None:  # a family
            cls.registry = {}
            return
        kind = _declared(cls, field)
        families = [c for c in cls.__mro__[1:] if isinstance(c, type) and issubclass(c, Part)]
        for family in families:
            if "type" in family.model_fields:
                text = f"{cls.__name__}: {family.__name__} is a part and cannot be subclassed"
                raise DeclarationError(text, f"subclass its family: class {cls.__name__}({_above(family).__name__})")
            if family is not Part and kind in family.registry:
                taken = family.registry[kind]
                text = f"{cls.__name__}: the type `{kind}` is taken by {taken.__module__}.{taken.__name__}"
                raise DeclarationError(text, "choose another `type`")
        for family in families:
            if family is not Part:
                family.registry[kind] = cls

    @classmethod
    def shorthand(cls, value: Any) -> Any:
        """Returns what a short form stands for: `relu` for `{type: relu}`. A family may know more (a number, a
        list)."""
        return {"type": value} if isinstance(value, str) else value

    @classmethod
    def short_schemas(cls) -> list[dict[str, Any]]:
        """Returns JSON Schemas of the short forms, so that editors accept them."""
        bare = [kind for kind, leaf in cls.registry.items() if not any(f.is_required() for f in settings_of(leaf))]
        return [{"enum": bare, "description": f"{cls.family} with its default settings"}] if bare else []

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Returns the part that a value of the file describes. Raises a Pydantic error that names the nearest known
        type."""
        if isinstance(value, cls):
            return value
        value = cls.shorthand(value)
        known = ", ".join(cls.registry)
        if not isinstance(value, Mapping) or "type" not in value:
            raise PydanticCustomError(
                "no_type",
                "this is not a {family}: write a name, or {type: name, ...}; known: {known}",
                {"family": cls.family, "known": known},
            )
        leaf = cls.registry.get(value["type"]) if isinstance(value["type"], str) else None
        if leaf is None:
            raise PydanticCustomError(
                "unknown_type",
                "unknown {family} `{kind}`; known: {known}",
                {"family": cls.family, "kind": str(value["type"]), "known": known,
                 "near": near(str(value["type"]), cls.registry) or ""},
            )  # fmt: skip
        return leaf.model_validate(value)

    @property
    def kind(self) -> str:
        """The name in YAML."""
        return str(getattr(self, "type"))  # noqa: B009  (declared on leaves only)

    def consts(self) -> Mapping[str, float]:
        """Returns the numbers that the equations mention: the settings that are numbers."""
        settings = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: v for name, v in settings.items() if isinstance(v, int | float) and not isinstance(v, bool)}

    @classmethod
    def samples(cls) -> Iterator[Any]:
        """Yields inputs that the laws are tried on: good ones, and bad ones with the message they must give."""
        yield from ()


def _declared(cls: type[Part], field: FieldInfo) -> str:
    """Returns the name that `type: Literal["name"] = "name"` gives a part. Raises DeclarationError where it gives
    none."""
    names = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    name = names[0] if len(names) == 1 else None
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or field.default != name:
        text = f"{cls.__name__}: its `type` is not the Literal of one name (small letters, digits and `_`)"
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        raise DeclarationError(text, f'write `type: Literal["{words}"] = "{words}"`')
    return name


def _above(leaf: type[Part]) -> type[Part]:
    """Returns the nearest family of a part."""
    return next(c for c in leaf.__mro__ if issubclass(c, Part) and "type" not in c.model_fields)


def settings_of(leaf: type[Part]) -> list[FieldInfo]:
    """Returns the fields of a leaf, without `type`."""
    return [f for name, f in leaf.model_fields.items() if name != "type"]


class OneOf:
    """`Annotated[Layer, OneOf()]`: any registered leaf of the family, looked up when validating, so that containers
    recurse and error paths stay clean."""

    def __get_pydantic_core_schema__(self, source: type[Part], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            source.parse,
            metadata={"family": source},
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        metadata: Any = schema.get("metadata", {})
        return {"$ref": f"#/$defs/{metadata['family'].__name__}"}


def dump(part: Part) -> dict[str, Any]:
    """Returns the part as plain data that loads back to an equal part: its type, and the settings that were not left
    out. A default that is not finite is, as no file holds such a number."""
    data = part.model_dump(mode="json", exclude_none=True)
    for name, field in type(part).model_fields.items():
        value = data.get(name)
        if isinstance(value, float) and not math.isfinite(value) and repr(value) == repr(field.default):
            del data[name]
    return {"type": data.pop("type"), **data}


def families() -> list[type[Part]]:
    """Returns every family, in the order of declaration, those inside another (Activation in Layer) after it."""
    found: list[type[Part]] = []

    def visit(cls: type[Part]) -> None:
        for sub in cls.__subclasses__():
            if "registry" in vars(sub):  # a class whose declaration failed has none of its own
                found.append(sub)
                visit(sub)

    visit(Part)
    return found
