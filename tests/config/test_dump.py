"""What is dumped reads back equal, under YAML 1.2 (ours) and 1.1 (PyYAML's safe_load), and looks as expected."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bpcli.config.dump import dump
from bpcli.config.yamlfile import parse

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["yes", "No", "on", "y", "null", "~", "", "1_000", "12:30", "0o17", "017", "1e3", ".5", ".inf", "<<", "=", "- a",
     "#", " a", "a ", "a: b", "a #b", "[", "*a", "&a", "!a", "|", "%", "@", "2020-01-01", "\u2028", "\x85", "\ufeff",
     "\x1b[31m", "\U0001f600"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=5))
@example({"k" * 2000: {"type": "a"}, "l": [{"\u2028" * 300: 1}, [[[]], {}]]})
@example({"a": [["x" * 200, {"b": "y" * 200}], [[1, 2], ["z" * 120]]]})
def test_what_is_dumped_reads_back(data: dict[str, Any]) -> None:
    text = dump(data)
    assert parse(text, "exp.yaml").data == data
    assert yaml.safe_load(text) == data


def test_kinds_survive() -> None:
    data = {"a": 1, "b": 1.0, "c": True, "d": "1", "e": "true", "f": None, "g": "", "h": -0.0, "i": 1e-300, "j": 1e300}
    found = parse(dump(data), "exp.yaml").data
    assert {key: (type(value), repr(value)) for key, value in found.items()} == {
        key: (type(value), repr(value)) for key, value in data.items()
    }


def test_an_experiment_is_pleasant_to_read() -> None:
    data = {
        "name": "iris",
        "seed": 7,
        "data": {"train": {"type": "csv", "path": "../datasets/iris/iris.csv"}, "validation": 0.15, "test": None},
        "architecture": (
            {"type": "dense", "units": 16, "activation": {"type": "relu"}},
            {"type": "residual", "layers": [{"type": "dense", "units": 16, "activation": {"type": "leaky_relu"}}] * 2},
            {"type": "dense", "units": 1, "weights": [[0.1, 1e-05]] * 5, "bias": [0.0] * 3},
        ),
        "loss": {"type": "squared"},
        "clipping": None,
        "training": {"epochs": 100, "metrics": ["accuracy", "f1"], "tags": {}, "stop_when": {"at_least": 1e400}},
        "inline": {"type": "inline", "inputs": [[-1], [0], [1]], "targets": ["no", "yes: maybe", "a\tb"]},
    }
    assert dump(data) == (
        "name: iris\n"
        "seed: 7\n"
        "data:\n"
        "  train: {type: csv, path: ../datasets/iris/iris.csv}\n"
        "  validation: 0.15\n"
        "  test: null\n"
        "architecture:\n"
        "  - {type: dense, units: 16, activation: {type: relu}}\n"
        "  - type: residual\n"
        "    layers:\n"
        "      - {type: dense, units: 16, activation: {type: leaky_relu}}\n"
        "      - {type: dense, units: 16, activation: {type: leaky_relu}}\n"
        "  - type: dense\n"
        "    units: 1\n"
        "    weights:\n"
        "      - [0.1, 1.0e-05]\n"
        "      - [0.1, 1.0e-05]\n"
        "      - [0.1, 1.0e-05]\n"
        "      - [0.1, 1.0e-05]\n"
        "      - [0.1, 1.0e-05]\n"
        "    bias: [0.0, 0.0, 0.0]\n"
        "loss: {type: squared}\n"
        "clipping: null\n"
        "training:\n"
        "  epochs: 100\n"
        "  metrics: [accuracy, f1]\n"
        "  tags: {}\n"
        "  stop_when: {at_least: .inf}\n"
        'inline: {type: inline, inputs: [[-1], [0], [1]], targets: ["no", "yes: maybe", "a\\tb"]}\n'
    )


def test_nothing_is_an_empty_mapping() -> None:
    assert dump({}) == "{}\n"
