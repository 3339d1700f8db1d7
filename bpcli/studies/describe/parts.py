"""Every registered part, described from its own class."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import numpy as np
from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

import bpcli.parts  # noqa: F401  (declares every part)
from bpcli.config.dump import dump as dump_yaml
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Activation, Array, Layer, Loss, Part, Schedule, near
from bpcli.family.part import equations_of, families, settings_of
from bpcli.notation import Eq
from bpcli.notation.syntax import parse
from bpcli.records.training import Curve, Exit, Failure, FieldRow, PartRow, Problem


def list_parts() -> tuple[PartRow, ...]:
    """Describes all parts, by family; a part of several families under the narrowest (relu: activation, not layer)."""
    return tuple(part_row(leaf, family) for leaf, family in _parts_by_family().items())


def find_parts(name: str) -> tuple[PartRow, ...]:
    """Describes the parts of that name, with their curves, or those of the family. Raises Failure, with the nearest
    name, where there is none."""
    leaves = _parts_by_family()
    alone = [leaf for leaf in leaves if _kind(leaf) == name]
    if alone:
        for leaf in alone:
            with equations_of(name):
                list(map(parse, _equations(_example_part(leaf))))
        return tuple(replace(part_row(leaf, leaves[leaf]), curves=_curves(_example_part(leaf))) for leaf in alone)
    found = tuple(part_row(leaf, family) for leaf, family in leaves.items() if family == name)
    if found:
        return found
    guess = near(name, {_kind(leaf) for leaf in leaves} | set(leaves.values()))
    help = f"did you mean `{guess}`?" if guess else "`bpcli parts` lists them all"
    raise Failure(Problem(f"no part or family is called `{name}`", code="unknown-part", help=help), exit=Exit.USAGE)


def _parts_by_family() -> dict[type[Part], str]:
    """Returns every part with the narrowest family it is in, by family."""
    found: dict[type[Part], str] = {}
    for family in families():
        found |= dict.fromkeys(family.registry.values(), family.family)
    order = [f.family for f in families()]
    return dict(sorted(found.items(), key=lambda item: order.index(item[1])))


def part_row(leaf: type[Part], family: str) -> PartRow:
    """Describes a part: its first sentence, settings, equations, and an example."""
    doc = inspect.cleandoc(vars(leaf).get("__doc__") or "")
    summary, _, rest = doc.partition("\n")
    source = re.search(r"^Source +(.*(?:\n {4,}.*)*)", rest, re.MULTILINE)
    sample = _example_part(leaf)
    return PartRow(
        type=_kind(leaf),
        family=family,
        summary=summary,
        source=" ".join(source.group(1).split()) if source else "",
        doc=rest.strip(),
        fields=tuple(_field(f.alias or name, f) for name, f in leaf.model_fields.items() if name != "type"),
        equations=tuple((f"{eq.left} = {eq.right}", eq.why) for eq in _equations(sample)),
        example=_example(family, sample) if sample is not None else "",
    )


def _kind(leaf: type[Part]) -> str:
    return str(get_args(leaf.model_fields["type"].annotation)[0])


def _example_part(leaf: type[Part]) -> Part | None:
    """Returns the part of the first good sample, or the part with its default settings; None where it has neither."""
    found = next((s.part for s in leaf.samples() if not s.error and isinstance(s.part, leaf)), None)
    if found is None and not any(field.is_required() for field in settings_of(leaf)):
        return leaf.parse(_kind(leaf))
    return found


CURVE_POINTS, CURVE_STEPS = 161, 100  # inputs of an activation, training steps of a schedule
DEFAULT_ROW_SHAPE = (3,)  # shape of the rows of a layer without samples


def _curves(part: Part | None) -> tuple[Curve, ...]:
    """Returns the curves of an activation and its slope, or of a schedule; none of other parts."""
    if isinstance(part, Activation):
        return _activation_curves(part)
    return _schedule_curves(part) if isinstance(part, Schedule) else ()


def _activation_curves(part: Activation) -> tuple[Curve, Curve]:
    """Returns the curves from -4 to 4, of a row of one number; of a row with a second one, 0, where that is always the
    same (softmax)."""
    size, index, axis = 1, "", "x"
    y, slope = _output_and_slope(part, size)
    if not np.ptp(y):
        size, index, axis = 2, "[0]", "x[0], and x[1] = 0"
        y, slope = _output_and_slope(part, size)
    x = tuple(_points().tolist())
    return (Curve(f"y{index}", axis, x, tuple(y.tolist())),
            Curve(f"slope dy{index}/dx{index}", axis, x, tuple(slope.tolist())))  # fmt: skip


def _points() -> Array:
    return np.linspace(-4, 4, CURVE_POINTS)


def _output_and_slope(part: Activation, size: int) -> tuple[Array, Array]:
    """Returns the first of `size` outputs and its slope by the first input, the other inputs being 0."""
    chain = Network(plan_network([part], (size,)), CURVE_POINTS, np.float64, 0, need_dx=True).chain(CURVE_POINTS)
    chain.x[:, 0] = _points()
    chain.forward(True)
    chain.dy[:, 0] = 1
    chain.backward(True)
    dx: Array = chain.layers[0].frame.dx
    return chain.y[:, 0].copy(), dx[:, 0].copy()


def _schedule_curves(part: Schedule) -> tuple[Curve]:
    """Returns the curves over CURVE_STEPS steps; a schedule that watches a figure observes the same one every time."""
    state = {name: np.asarray(start) for name, start in part.state().items()}
    rates: list[float] = []
    for k in range(CURVE_STEPS + 1):
        rates.append(part.at(k, CURVE_STEPS, state))
        part.observe(state, 1.0, True)
    axis = "epochs without improvement" if part.watched() else f"k steps done, of T = {CURVE_STEPS}"
    return (Curve("lr of the example", axis, tuple(map(float, range(CURVE_STEPS + 1))), tuple(rates)),)


TEMPLATES = {
    "layer": "architecture: [{}]",
    "activation": "architecture: [{{type: dense, units: 16, activation: {}}}]",
    "loss": "loss: {}",
    "penalty": "regularization: {}",
    "constraint": "constraint: {}",
    "clipping": "clipping: {}",
    "schedule": "optimizer: {{type: adam, learning_rate: {}}}",
    "optimizer": "optimizer: {}",
    "initializer": "architecture: [{{type: dense, units: 16, init: {}}}]",
    "metric": "training: {{metrics: [{}]}}",
    "scaling": "data: {{scale: {}}}",
    "data source": "data: {{train: {}}}",
    "augmentation": "data: {{augment: [{}]}}",
}
"""Where in a file a part of each family stands."""


def _example(family: str, part: Part) -> str:
    """Returns a line of YAML with the part in its place."""
    above = (f.family for f in type(part).__mro__ if issubclass(f, Part))  # a family of a user's own is in one of ours
    template = TEMPLATES[next(name for name in (family, *above) if name in TEMPLATES)]
    return template.format(dump_yaml({"x": _short_form(part)}).strip().removeprefix("x:").strip())


def _short_form(part: Part) -> Any:
    """Returns a part as briefly as a file may write it: its name alone where all settings have their defaults."""
    plain = part.model_dump(mode="json")
    settings: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "type" or value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, Part):
            settings[name] = _short_form(value)
        elif isinstance(value, tuple) and any(isinstance(item, Part) for item in value):
            settings[name] = [_short_form(item) for item in value]
        else:
            written = field.alias or name
            settings[written] = plain[written]
    return {"type": part.kind, **settings} if settings else part.kind


def _equations(part: Any) -> Sequence[Eq]:
    """Returns the equations in their short forms, of training and without sample weights."""
    if not hasattr(part, "equations"):
        return ()
    if isinstance(part, Layer):
        shape = next((s.x for s in type(part).samples() if s.part == part), DEFAULT_ROW_SHAPE)
        eqs = part.equations(True, shape)
    elif isinstance(part, Loss):
        eqs = part.equations(False)
    else:
        eqs = part.equations()
    return [eq for eq in eqs if not eq.detail]


def _field(name: str, field: FieldInfo) -> FieldRow:
    default = "" if field.is_required() else _default(field.get_default(call_default_factory=True))
    return FieldRow(name, _type(field.annotation, field.metadata), default, _range(field), field.description or "")


def _default(value: Any) -> str:
    """Returns a default as YAML writes it."""
    if isinstance(value, Part):
        data = value.model_dump(mode="json", exclude_defaults=True)
        return value.kind if not data else str(data.get("value", value.kind))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple | Mapping) and not value:
        return "none"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)


_WORDS = {float: "number", int: "whole number", str: "text", bool: "true or false", type(None): ""}


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Returns a type in words of YAML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0], inner[1:])
    if origin is Literal:
        return " or ".join(str(option) for option in inner)
    if origin is tuple and get_origin(inner[0]) is tuple:
        names, value = get_args(inner[0])[:2]
        if names is not str:
            return "rows of numbers"
        return f"{'a number' if value is float else 'settings'} for each name"
    if origin is tuple:
        return _list(inner[0], metadata)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"{_type(inner[1])} for each name"
    if inner:
        return " or ".join(dict.fromkeys(word for word in (_type(i, metadata) for i in inner) if word))
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation.family
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{{{', '.join(annotation.model_fields)}}}"
    return _WORDS.get(annotation, str(annotation))


def _list(item: Any, metadata: Sequence[Any]) -> str:
    if item is not Any:
        word = _type(item)
        return f"list of ({word})" if " or " in word else f"list of {word}{'s' * (word != 'text')}"
    schemas = [str(m.json_schema) for m in metadata if isinstance(m, WithJsonSchema)]
    return "nested lists of numbers" + " or names" * any("'string'" in s for s in schemas)


def _range(field: FieldInfo) -> str:
    signs = {annotated_types.Gt: ">", annotated_types.Ge: ">=", annotated_types.Lt: "<", annotated_types.Le: "<="}
    found = []
    for rule in field.metadata:
        for kind, sign in signs.items():
            if isinstance(rule, kind):
                found.append(f"{sign} {getattr(rule, kind.__name__.lower()):g}")
    return ", ".join(found)
