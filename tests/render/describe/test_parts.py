"""`bpcli parts NAME`: every part's page at every width and in every encoding, and examples that are what they say."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cli_lab import Lab
from cli_lab import lab as lab
from registry import leaves
from rich.console import Console

import bpcli.render.describe.parts as module
from bpcli.family.part import Part, families
from bpcli.records.training import PartRow
from bpcli.studies.describe import parts as studies
from bpcli.studies.describe.parts import find_parts

declared = studies._parts_by_family


def ours() -> dict[type[Part], str]:
    """Without the parts that other tests declare."""
    return {leaf: family for leaf, family in declared().items() if leaf.__module__.startswith("bpcli.")}


@pytest.fixture(autouse=True)
def _only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "_parts_by_family", ours)


ROWS = {f"{row.family}/{row.type}": row for row in (studies.part_row(*found) for found in ours().items())}
PAGES = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def within(data: Any) -> Iterator[Any]:
    """Everything that stands in an example."""
    yield data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from within(inner)


@PAGES
def test_the_example_spells_the_part_in_its_place(row: PartRow) -> None:
    """A line of YAML, in which the part stands by its name alone or in braces, and nothing that is the default."""
    assert "\n" not in row.example
    data = yaml.safe_load(row.example)
    braces = [v for v in within(data) if isinstance(v, dict) and v.get("type") == row.type]
    spelled = (braces or [v for v in within(data) if v == row.type])[-1]
    family = next(f for f in families() if f.family == row.family and f.__module__.startswith("bpcli."))
    part: Part = family.parse(spelled)
    assert part.kind == row.type
    settings = spelled if isinstance(spelled, dict) else {}
    for name, value in settings.items():
        own, field = next((n, f) for n, f in type(part).model_fields.items() if name in (n, f.alias))
        assert name == "type" or getattr(part, own) != field.default, f"{name}: {value} goes without saying"


@PAGES
@pytest.mark.parametrize("columns", [40, 120])
def test_a_page_keeps_within_its_terminal(row: PartRow, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "console_width", lambda: columns)
    out = io.StringIO()
    console = Console(file=out, width=columns, markup=False, highlight=False)
    (found,) = (r for r in find_parts(row.type) if r.family == row.family)
    for item in module.part_page(found):
        console.print(item)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    for said in [row.example, row.summary, *(field.name for field in row.fields)]:
        assert "".join(said.split()) in "".join(text.split())


def test_facts_of_a_field() -> None:
    (row,) = find_parts("batch_norm")
    facts = {f.name: (f.type, f.default, f.range) for f in row.fields}
    assert facts == {
        "name": ("text", "none", ""),
        "momentum": ("number", "0.1", "> 0, <= 1"),
        "eps": ("number", "1e-05", "> 0"),
        "affine": ("true or false", "true", ""),
    }
    assert row.source.startswith("Ioffe & Szegedy 2015")
    assert row.example == "architecture: [batch_norm]"


def test_a_setting_without_default_is_required_and_no_other() -> None:
    required = {(row.type, field.name) for row in ROWS.values() for field in row.fields if not field.default}
    models = [(k.split("/")[1], leaf.model_fields) for k, leaf in leaves().items()]
    fields = {(kind, f.alias or name): f for kind, model in models for name, f in model.items()}
    assert required == {key for key, f in fields.items() if f.is_required()}
    assert next(f.default for f in ROWS["data source/csv"].fields if f.name == "columns") == "none"


def test_types_are_told_in_words() -> None:
    types = {(row.type, field.name): field.type for row in studies.list_parts() for field in row.fields}
    assert types["conv2d", "weights"] == types["inline", "inputs"] == "nested lists of numbers"
    assert types["inline", "targets"] == "nested lists of numbers or names"
    assert types["conv2d", "bias"] == "true or false or list of numbers"
    assert types["zero_pad", "padding"] == "whole number or list of (whole number or list of whole numbers)"
    assert types["csv", "columns"].startswith("{kind, ")
    assert types["csv", "columns"].endswith("} for each name")
    for (part, name), said in types.items():
        assert not re.search(r"typing|<|\bclass\b|Any|pydantic", said), (part, name, said)


@pytest.mark.parametrize(("name", "example"), [
    ("relu", "architecture: [{type: dense, units: 16, activation: relu}]"),
    ("accuracy", "training: {metrics: [accuracy]}"),
    ("residual", "architecture: [{type: residual, layers: [{type: dense, units: 3, activation: tanh}]}]"),
    ("warmup", "optimizer: {type: adam, learning_rate: "
               "{type: warmup, steps: 10, then: {type: cosine, start: 0.1}}}"),
])  # fmt: skip
def test_examples(name: str, example: str) -> None:
    assert find_parts(name)[0].example == example


def test_every_part_has_a_page() -> None:
    assert len(ROWS) == len(leaves())
    assert all(row.example for row in ROWS.values())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["gelu", "cosine"])
def test_a_page_in_any_encoding(lab: Lab, name: str, encoding: str) -> None:
    found = lab.apart("parts", name, PYTHONIOENCODING=encoding, NO_COLOR="1")
    assert (found.code, found.err) == (0, "")
    assert found.out.isascii() == (encoding != "utf-8")
    assert ("*" * 3 in found.out) == (encoding != "utf-8")
    plot = found.out.rpartition("example\n")[2]
    assert max(map(len, plot.splitlines())) <= 80
    assert "\x1b" not in found.out


def test_json_has_the_same_facts(lab: Lab) -> None:
    (row,) = json.loads(lab.good("parts", "leaky_relu", "--json").out)
    assert row["example"] == find_parts("leaky_relu")[0].example
    assert [c["name"] for c in row["curves"]] == ["y", "slope dy/dx"]
    assert row["curves"][1]["y"][0] == 0.01
    assert {f["name"]: f["default"] for f in row["fields"]}["slope"] == "0.01"
