"""The experiment file as a JSON Schema, by which editors complete, explain and check YAML while it is typed."""

import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from bpcli.config.fields import families_within
from bpcli.family.part import Part

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, at ease with references to families: those are defined here, after it has run."""

    def handle_ref_overrides(self, json_schema: Schema) -> Schema:
        return json_schema


def json_schema(top: type[BaseModel]) -> Schema:
    """Returns the schema of a file (draft 7: what editors know).

    A family becomes a definition: any of its short forms, or a mapping whose `type` names one of its members. Every
    setting carries its description and default.
    """
    families = families_within(top)
    leaves: dict[type[Part], None] = dict.fromkeys(leaf for f in families for leaf in f.registry.values())
    models: list[Any] = [(model, "validation") for model in (top, *leaves)]
    references, drawn = models_json_schema(models, schema_generator=_Generator)
    names = {model: reference["$ref"].rpartition("/")[2] for (model, _), reference in references.items()}
    definitions: dict[str, Schema] = {name: _draft_7(schema) for name, schema in drawn["$defs"].items()}
    for model, name in names.items():
        definitions[name]["description"] = _summary(model)
    for leaf in leaves:
        definitions[names[leaf]] = _leaf(leaf, definitions[names[leaf]])
    for family in families:
        members = [{"$ref": f"#/$defs/{names[leaf]}"} for leaf in family.registry.values()]
        definitions[family.__name__] = {"description": _summary(family), "anyOf": [*family.short_schemas(), *members]}
    schema = definitions.pop(names[top])
    return {"$schema": DRAFT, "title": "bpcli experiment", **schema, "$defs": dict(sorted(definitions.items()))}


def _leaf(leaf: type[Part], schema: Schema) -> Schema:
    """Returns the schema of a part: `type` comes first and has to be written, or an editor could not tell parts
    apart."""
    properties = dict(schema["properties"])
    kind = properties.pop("type")["const"]
    required = ["type", *(name for name in schema.get("required", []) if name != "type")]
    type_schema = {"const": kind, "description": _summary(leaf)}
    return {**schema, "properties": {"type": type_schema, **properties}, "required": required}


def _draft_7(schema: Any) -> Any:
    """Returns Pydantic's schema (draft 2020-12) in the words of draft 7, without the titles it makes up from names."""
    if not isinstance(schema, dict):
        return [_draft_7(item) for item in schema] if isinstance(schema, list) else schema
    out: Schema = {}
    for word, value in schema.items():
        if word in ("properties", "patternProperties"):
            out[word] = {name: _draft_7(inner) for name, inner in value.items()}
        elif word in ("const", "enum", "default", "examples"):
            out[word] = value
        elif word == "prefixItems":
            out["items"] = _draft_7(value)
            out["additionalItems"] = False
        elif word != "title":
            out[word] = _draft_7(value)
    if "$ref" in out and len(out) > 1:  # draft 7 reads nothing beside a $ref
        out["allOf"] = [{"$ref": out.pop("$ref")}]
    return out


def _summary(model: type[Any]) -> str:
    """Returns the first paragraph of the docstring, on one line."""
    return " ".join((inspect.getdoc(model) or "").partition("\n\n")[0].split())
