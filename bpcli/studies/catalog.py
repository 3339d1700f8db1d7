"""Every registered part, described from its own class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import bpcli.parts  # noqa: F401  (declares every part)
from bpcli.config.dump import dump as dump_yaml
from bpcli.family import Layer, Loss
from bpcli.numeric.notation import Eq
from bpcli.part import Part, families, near
from bpcli.records import Exit, Failure, FieldRow, PartRow, Problem


def catalog() -> tuple[PartRow, ...]:
    """All parts, by family; a part of several families under the narrowest (relu: activation, not layer)."""
    rows: dict[type[Part], PartRow] = {}
    for family in families():
        for leaf in family.registry.values():
            rows[leaf] = describe(leaf, family.family)
    order = [f.family for f in families()]
    return tuple(sorted(rows.values(), key=lambda row: order.index(row.family)))


def named(name: str) -> tuple[PartRow, ...]:
    """The parts, or the family, of that name. Raises Failure, with the nearest name, where there is none."""
    rows = catalog()
    found = tuple(r for r in rows if r.type == name) or tuple(r for r in rows if r.family == name)
    if found:
        return found
    words = {r.type for r in rows} | {r.family for r in rows}
    guess = near(name, words)
    help = f"did you mean `{guess}`?" if guess else "`bpcli parts` lists them all"
    raise Failure(Problem(f"no part or family is called `{name}`", code="unknown-part", help=help), exit=Exit.USAGE)


def describe(leaf: type[Part], family: str) -> PartRow:
    """One part: the first sentence, the settings, the equations, an example."""
    doc = inspect.getdoc(leaf) or ""
    summary, _, rest = doc.partition("\n")
    source = re.search(r"^Source +(.*(?:\n {4,}.*)*)", rest, re.MULTILINE)
    sample = next((s.part for s in leaf.samples() if not s.error and isinstance(s.part, leaf)), None)
    return PartRow(
        type=str(get_args(leaf.model_fields["type"].annotation)[0]),
        family=family,
        summary=summary,
        source=" ".join(source.group(1).split()) if source else "",
        doc=rest.strip(),
        fields=tuple(_field(name, f) for name, f in leaf.model_fields.items() if name != "type"),
        equations=tuple((f"{eq.left} = {eq.right}", eq.why) for eq in _equations(sample)),
        example=_example(family, sample) if sample is not None else "",
    )


PLACES = {
    "layer": "architecture: [{}]",
    "activation": "architecture: [{{type: dense, units: 16, activation: {}}}]",
    "loss": "loss: {}",
    "penalty": "regularization: {}",
    "clipping": "clipping: {}",
    "schedule": "optimizer: {{type: adam, learning_rate: {}}}",
    "optimizer": "optimizer: {}",
    "initializer": "architecture: [{{type: dense, units: 16, init: {}}}]",
    "metric": "training: {{metrics: [{}]}}",
    "scaling": "data: {{scale: {}}}",
    "data source": "data: {{train: {}}}",
}
"""Where in a file a part of each family stands."""


def _example(family: str, part: Part) -> str:
    """A line of YAML with the part in its place."""
    data = part.model_dump(mode="json", exclude_defaults=True)
    flow = dump_yaml({"x": {"type": part.kind, **data}}).strip().removeprefix("x:").strip() if data else part.kind
    return PLACES[family].format(flow)


def _equations(part: Any) -> Sequence[Eq]:
    """The short forms, as in training and without sample weights."""
    if not hasattr(part, "equations"):
        return ()
    if isinstance(part, Layer):
        shape = next((s.x for s in type(part).samples() if s.part == part), ())
        eqs = part.equations(True, shape)
    elif isinstance(part, Loss):
        eqs = part.equations(False)
    else:
        eqs = part.equations()
    return [eq for eq in eqs if not eq.detail]


def _field(name: str, field: FieldInfo) -> FieldRow:
    default = "" if field.default is PydanticUndefined else _default(field.default)
    return FieldRow(name, _type(field.annotation), default, _range(field), field.description or "")


def _default(value: Any) -> str:
    """A default as YAML writes it."""
    if isinstance(value, Part):
        data = value.model_dump(mode="json", exclude_defaults=True)
        return value.kind if not data else str(data.get("value", value.kind))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else "none"
    return str(value)


_WORDS = {float: "number", int: "whole number", str: "text", bool: "true or false", type(None): ""}


def _type(annotation: Any) -> str:
    """A type in words of YAML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(str(option) for option in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if inner:
        return " or ".join(word for word in map(_type, inner) if word)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation.family
    return _WORDS.get(annotation, str(annotation))


def _range(field: FieldInfo) -> str:
    signs = {annotated_types.Gt: ">", annotated_types.Ge: ">=", annotated_types.Lt: "<", annotated_types.Le: "<="}
    found = []
    for rule in field.metadata:
        for kind, sign in signs.items():
            if isinstance(rule, kind):
                found.append(f"{sign} {getattr(rule, kind.__name__.lower()):g}")
    return ", ".join(found)
