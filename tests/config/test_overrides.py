"""`--set`: what it changes, and that nothing else changes. Its messages stand in messages.txt."""

from __future__ import annotations

from typing import Any

import pytest
from small_model import GOOD, Study

from bpcli.config.overrides import apply_sets
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.records.training import Exit, Failure


def at(data: Any, path: str) -> Any:
    for step in path.split("."):
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=8", "seed", 8),
        ("seed= 8", "seed", 8),
        ("name=no", "name", "no"),
        ("name=a=b", "name", "a=b"),
        ("name='1 # 2'", "name", "1 # 2"),
        ("training.epochs=1e3", "training.epochs", 1000.0),
        ("training.batch_size=", "training.batch_size", None),
        ("training.betas=[0.5, 0.9]", "training.betas", [0.5, 0.9]),
        ("training.shuffle=false", "training.shuffle", False),
        ("architecture.0.units=64", "architecture.0.units", 64),
        ("architecture.1.layers.0.units=64", "architecture.1.layers.0.units", 64),
        ("architecture.2=relu", "architecture.2", "relu"),
        ("optimizer={type: momentum, momentum: 0.5}", "optimizer", {"type": "momentum", "momentum": 0.5}),
        ("optimizer=type: momentum", "optimizer", {"type": "momentum"}),
        ("optimizer.learning_rate=0.1", "optimizer.learning_rate", 0.1),
        ("optimizer.learning_rate.start=0.1", "optimizer.learning_rate", {"type": "cosine", "start": 0.1}),
        ("training.tags.new=3", "training.tags", {"new": 3}),
    ],
)
def test_a_value_is_set_and_nothing_else(override: str, path: str, value: Any) -> None:
    before = parse(GOOD, "exp.yaml")
    after = apply_sets(before, [override], Study)
    assert at(after.data, path) == value
    assert type(at(after.data, path)) is type(value)
    assert before.data == parse(GOOD, "exp.yaml").data
    top = path.partition(".")[0]
    assert {k: v for k, v in after.data.items() if k != top} == {k: v for k, v in before.data.items() if k != top}
    assert list(after.data) == list(before.data)


MINIMAL = "architecture: [relu, {type: residual, layers: [leaky]}]\nloss: squared\n"


@pytest.mark.parametrize(
    ("text", "sets", "path", "value"),
    [
        (
            MINIMAL + "optimizer: momentum",
            ["optimizer.momentum=0.1"],
            "optimizer",
            {"type": "momentum", "momentum": 0.1},
        ),
        (MINIMAL + "optimizer:", ["optimizer.type=sgd"], "optimizer", {"type": "sgd"}),
        (MINIMAL, ["optimizer.learning_rate=0.1"], "optimizer", {"type": "sgd", "learning_rate": 0.1}),
        (MINIMAL, ["optimizer.type=momentum"], "optimizer", {"type": "momentum"}),
        (
            MINIMAL,
            ["optimizer.type=momentum", "optimizer.momentum=0"],
            "optimizer",
            {"type": "momentum", "momentum": 0},
        ),
        (MINIMAL, ["training.epochs=5", "training.epochs=6"], "training", {"epochs": 6}),
        (MINIMAL, ["training.tags.a=5", "training.tags.b=6"], "training", {"tags": {"a": 5, "b": 6}}),
        (
            MINIMAL,
            ["architecture.1.layers.0.slope=1"],
            "architecture.1",
            {"type": "residual", "layers": [{"type": "leaky", "slope": 1}]},
        ),
        (
            MINIMAL + "optimizer: {type: sgd, learning_rate: 0.5}",
            ["optimizer.learning_rate.value=2"],
            "optimizer.learning_rate",
            {"type": "constant", "value": 2},
        ),
        (
            MINIMAL + "validation: 0.1",
            ["validation={type: dropout, rate: 0.1}"],
            "validation",
            {"type": "dropout", "rate": 0.1},
        ),
    ],
)
def test_a_path_leads_into_short_forms_and_defaults(text: str, sets: list[str], path: str, value: Any) -> None:
    document = apply_sets(parse(text, "exp.yaml"), sets, Study)
    assert at(document.data, path) == value
    validate(Study, document)


def test_without_a_model_a_name_is_a_type() -> None:
    document = apply_sets(parse(MINIMAL + "optimizer: momentum", "exp.yaml"), ["optimizer.momentum=0.1"])
    assert document.data["optimizer"] == {"type": "momentum", "momentum": 0.1}


def test_an_alias_is_not_changed_with_its_copy() -> None:
    document = apply_sets(parse("a: &a {x: 1}\nb: *a\n", "exp.yaml"), ["b.x=2"])
    assert document.data == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("override", ["seed", "=1", "a..b=1", ".a=1", "a.=1", ".".join("a" * 65) + "=1"])
def test_what_is_no_override_is_a_mistake_in_the_command(override: str) -> None:
    with pytest.raises(Failure) as caught:
        apply_sets(parse(MINIMAL, "exp.yaml"), [override], Study)
    assert caught.value.exit == Exit.USAGE


@pytest.mark.parametrize(
    "override",
    [
        "a=[", "a='", "a=@", "a=*b", "a=\x00", "a=\ud800", "a\udcff=1", "\x1b=1", "a={b: 1, b: 2}", "a=1\n---\n2",
        "a=!!python/x 1", "architecture.²=1", "architecture.-1=1", "architecture.99999999999999999999=1",
        "a=" + "[" * 9999,
    ],
)  # fmt: skip
def test_bad_values_point_into_the_override(override: str) -> None:
    with pytest.raises(Failure) as caught:
        apply_sets(parse(MINIMAL, "exp.yaml"), [override], Study)
    (problem,) = caught.value.problems
    assert problem.file == f"--set {override}"
    assert 1 <= problem.column <= len(override) + 1
    assert caught.value.exit == Exit.BAD_INPUT
