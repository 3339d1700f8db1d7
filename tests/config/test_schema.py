"""The JSON Schema of a file: what it accepts is what we accept, as far as a schema can tell."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel
from small_model import GOOD, Leak, Study

from bpcli.config.fields import families_within
from bpcli.config.schema import DRAFT, json_schema
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.records.training import Failure

SCHEMA = json_schema(Study)
CHECK = jsonschema.Draft7Validator(SCHEMA)
MINIMAL: dict[str, Any] = {"architecture": ["relu"], "loss": "squared"}


def test_it_is_a_schema_of_draft_7() -> None:
    assert SCHEMA["$schema"] == DRAFT
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Every mapping of the schema."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    return [*([schema] if isinstance(schema, dict) else []), *(node for inner in inside for node in nodes(inner))]


def test_it_uses_nothing_that_draft_7_lacks() -> None:
    for node in nodes(SCHEMA):
        assert "prefixItems" not in node
        assert "discriminator" not in node
        assert "$ref" not in node or len(node) == 1  # beside a $ref, draft 7 reads nothing


def test_every_reference_leads_somewhere() -> None:
    for node in nodes(SCHEMA):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {
            "architecture": [
                {"type": "dense", "units": 3, "activation": "relu"},
                {"type": "leaky", "slope": 0.5},
                "leaky",
            ]
        },
        {"architecture": [{"type": "residual", "layers": [{"type": "residual", "layers": ["relu"]}]}]},
        {"architecture": [{"type": "dense", "units": 3, "weights": [[1, 2.5], [3, 4]]}]},
        {"architecture": [{"type": "dense", "units": 3, "activation": None}]},
        {"optimizer": "sgd"},
        {"optimizer": {"type": "sgd", "learning_rate": 0.1}},
        {"optimizer": {"type": "sgd", "learning_rate": {"type": "cosine", "start": 1}}},
        {"validation": 0.5},
        {"validation": {"type": "dropout", "rate": 0.5}},
        {"training": {"batch_size": "full", "betas": [0.9, 0.99], "tags": {"a": 1}}},
    ],
)
def test_good_documents_are_accepted(change: dict[str, Any]) -> None:
    CHECK.validate({**MINIMAL, **change})
    Study.model_validate({**MINIMAL, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"loss": "other"},
        {"loss": None},
        {"seed": -1},
        {"seed": "7"},
        {"architecture": []},
        {"architecture": "relu"},
        {"architecture": ["rleu"]},
        {"architecture": ["dense"]},
        {"architecture": ["residual"]},
        {"architecture": [{"units": 3}]},
        {"architecture": [{"type": "dense"}]},
        {"architecture": [{"type": "dense", "units": 0}]},
        {"architecture": [{"type": "dense", "unit": 3}]},
        {"architecture": [{"type": "dense", "units": 3, "activation": "dropout"}]},
        {"architecture": [{"type": "residual", "layers": [{"type": "residual", "layers": ["rleu"]}]}]},
        {"architecture": ["sgd"]},
        {"optimizer": "relu"},
        {"optimizer": {"type": "sgd", "momentum": 0.9}},
        {"optimizer": {"learning_rate": 0.1}},
        {"optimizer": {"type": "sgd", "learning_rate": "fast"}},
        {"validation": 1.5},
        {"validation": "sgd"},
        {"training": {"batch_size": "half"}},
        {"training": {"betas": [1]}},
        {"training": {"betas": [1, 2, 3]}},
        {"training": {"betas": [1, "x"]}},
        {"training": {"tags": {"a": "x"}}},
    ],
)
def test_bad_documents_are_refused(change: dict[str, Any]) -> None:
    assert not CHECK.is_valid({**MINIMAL, **change})
    with pytest.raises(ValueError, match="validation error"):
        Study.model_validate({**MINIMAL, **change})


@pytest.mark.parametrize("missing", ["architecture", "loss"])
def test_required_keys(missing: str) -> None:
    document = {key: value for key, value in MINIMAL.items() if key != missing}
    assert not CHECK.is_valid(document)


def test_the_file_of_the_examples() -> None:
    document = parse(GOOD, "exp.yaml")
    CHECK.validate(document.data)
    validate(Study, document)


def test_every_setting_is_described_and_no_key_is_free() -> None:
    for name, schema in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name
            for key, setting in schema["properties"].items():
                assert setting.get("description"), f"{name}.{key}"


def test_parts_are_told_by_their_type() -> None:
    leaky = SCHEMA["$defs"]["Leak"]
    assert leaky["required"] == ["type"]
    assert leaky["properties"]["type"] == {"const": "leaky", "description": "Relu with a slope."}
    assert leaky["properties"]["slope"] == {
        "default": 0.01, "description": "the slope below zero", "exclusiveMinimum": 0, "type": "number",
    }  # fmt: skip
    assert leaky["description"] == "Relu with a slope."
    assert "More about it" in str(Leak.__doc__)
    assert SCHEMA["$defs"]["Bend"]["anyOf"][0]["enum"] == ["relu", "leaky"]


def test_families_within_a_model_are_those_it_can_reach() -> None:
    assert [family.__name__ for family in families_within(Study)] == ["Brick", "Mover", "Bend", "Pace"]


def test_a_model_without_parts() -> None:
    class Bare(BaseModel):
        title: int

    assert json_schema(Bare)["properties"] == {"title": {"type": "integer"}}


def test_schema_and_model_agree_on_the_table_of_messages() -> None:
    """A file whose only fault is its shape is refused by the schema too."""
    document = parse(GOOD.replace("units: 16, activation", "unit: 16, activation"), "exp.yaml")
    assert not CHECK.is_valid(document.data)
    with pytest.raises(Failure):
        validate(Study, document)
