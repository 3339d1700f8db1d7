"""From documents to models: what the table in messages.txt cannot show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import GOOD, Study

from bpcli.config.compose import MAX_PROBLEMS
from bpcli.config.dump import dump
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.records.training import Failure, Problem
from bpcli.render.problems import draw


def problems(text: str) -> Any:
    with pytest.raises(Failure) as caught:
        validate(Study, parse(text, "exp.yaml"))
    return caught.value.problems


def test_a_good_document_is_the_model() -> None:
    study = validate(Study, parse(GOOD, "exp.yaml"))
    assert study.training.batch_size == "full"
    assert [layer.kind for layer in study.architecture] == ["dense", "residual", "dropout", "dense"]
    again = validate(Study, parse(dump(study.model_dump(mode="json", exclude_none=True)), "exp.yaml"))
    assert again == study


def test_at_most_twenty_problems_and_a_count() -> None:
    found = problems("".join(f"k{i}: 1\n" for i in range(50)) + "architecture: [relu]\nloss: squared")
    assert len(found) == MAX_PROBLEMS + 1
    assert [p.line for p in found[:-1]] == list(range(1, MAX_PROBLEMS + 1))
    assert (found[-1].text, found[-1].line) == ("and 30 more", 0)


def test_twenty_problems_are_all_told() -> None:
    found = problems("".join(f"k{i}: 1\n" for i in range(20)) + "architecture: [relu]\nloss: squared")
    assert [p.path for p in found] == [(f"k{i}",) for i in range(20)]


def test_a_missing_key_is_not_told_beside_its_misspelling() -> None:
    (problem,) = problems("architecture: [relu]\nlos: squared")
    assert (problem.path, problem.help) == (("los",), "did you mean `loss`?")


def test_a_key_that_is_set_is_not_suggested() -> None:
    (problem,) = problems("architecture: [relu]\nloss: squared\nlos: squared")
    assert "did you mean" not in problem.help


def test_the_path_is_the_one_of_the_file() -> None:
    text = "architecture: [relu]\nloss: squared\nvalidation: {type: dropout, rate: x}"
    (problem,) = problems(text)
    assert problem.path == ("validation", "rate")
    (problem,) = problems("architecture: [{type: dense, units: 1, weights: {type: leaky, slope: x}}]\nloss: squared")
    assert problem.path == ("architecture", 0, "weights", "slope")


def test_a_problem_of_our_own_points_at_the_nearest_that_is_written() -> None:
    document = parse("name: a\ntraining:\n  epochs: 3\narchitecture:\n  - relu\n  - {type: dense}\n", "exp.yaml")

    def where(*loc: str | int, on: Any = "value") -> tuple[int, int, int]:
        problem = document.problem(loc, "it does not fit", on=on)
        assert problem.path == loc
        return problem.line, problem.column, problem.span

    assert where("training", "epochs") == (3, 11, 1)
    assert where("training", "epochs", on="key") == (3, 3, 6)
    assert where("training") == where("training", "batch_size") == where("training", "name") == (2, 1, 8)
    assert where("training", "epochs", "deeper") == (3, 11, 1)
    assert where("architecture", 1, "units") == where("architecture", 1) == (6, 5, 13)
    assert where("architecture", 0, on="key") == (5, 5, 4)
    assert where("architecture", 9, "units") == (4, 1, 12)
    assert where("optimizer", "name") == where() == (0, 0, 1)
    assert where("architecture", 0, "list[list[float]]") == (5, 5, 4)


def test_containers_inside_containers_to_the_limit() -> None:
    inner = "relu"
    for _ in range(30):
        inner = "{type: residual, layers: [" + inner + "]}"
    validate(Study, parse(f"architecture: [{inner}]\nloss: squared", "exp.yaml"))
    (problem,) = problems(f"architecture: [{inner.replace('relu', 'rleu')}]\nloss: squared")
    assert problem.path == ("architecture", 0, *("layers", 0) * 30)
    assert problem.help == "did you mean `relu`? (a part of your own: --with FILE.py)"


WORDS = [
    "type",
    "dense",
    "relu",
    "units",
    "loss",
    "null",
    "1e400",
    "0.5",
    "-1",
    "[]",
    "{}",
    "*a",
    "&a",
    "!!str",
    "<<",
    ".nan",
]
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.sampled_from(list(":-,[]{}&*!|>'\"%@#? \n\t0x")), max_size=4),
    st.text(max_size=3),
)


@st.composite
def mutated_text(draw: st.DrawFn) -> str:
    """The good file with some tokens cut out, repeated or replaced."""
    tokens = re.findall(r"\w+|\s+|.", GOOD)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["cut", "insert", "replace", "repeat"])):
            case "cut":
                del tokens[at : at + draw(st.integers(1, 5))]
            case "insert":
                tokens.insert(at, draw(TEXTS))
            case "replace":
                tokens[at] = draw(TEXTS)
            case _:
                tokens[at:at] = tokens[at : at + draw(st.integers(1, 20))]
        tokens = tokens or [" "]
    return "".join(tokens)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["relu", "dense", "full", "cosine", ""]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    st.sampled_from([[], {}, [[1.0]], {"type": "relu"}, {"type": 3}, [{"a": "b"}]]).map(deepcopy),
)  # fmt: skip


@st.composite
def mutated_data(draw: st.DrawFn) -> str:
    """The good file with some values replaced, keys renamed, removed or added, anywhere in its tree."""
    data = parse(GOOD, "exp.yaml").data
    for _ in range(draw(st.integers(1, 4))):
        here: Any = data
        while True:
            if not here:
                break
            step = draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
            if isinstance(here[step], dict | list) and draw(st.booleans()):
                here = here[step]
                continue
            value = here[step]
            match draw(st.sampled_from(["replace", "remove", "rename", "wrap"])):
                case "replace":
                    here[step] = draw(VALUES)
                case "remove":
                    del here[step]
                case "rename" if isinstance(here, dict):
                    here[draw(st.sampled_from(["unit", "typ", "kind", "momentum", "lr", "", "a.b", "1"]))] = here.pop(
                        step
                    )
                case _:
                    here[step] = draw(st.sampled_from([[value], {"type": value}, {"value": value}]))
            break
    return dump(data)


@settings(max_examples=300, deadline=None)
@given(st.one_of(mutated_text(), mutated_data()))
def test_a_mutated_file_is_accepted_or_refused_in_messages(text: str) -> None:
    found: Sequence[Problem] = ()
    try:
        validate(Study, parse(text, "exp.yaml"))
    except Failure as failure:
        found = failure.problems
    assert len(found) <= MAX_PROBLEMS + 1
    for problem in found:
        drawn = draw(problem)
        assert problem.text
        assert "Input should" not in drawn
        assert "pydantic" not in drawn.lower()
        if problem.line:
            assert f"exp.yaml:{problem.line}:{problem.column}" in drawn
            assert "^" in drawn


def test_a_list_of_one_wrong_item_is_not_called_empty() -> None:
    found = problems("architecture: [rellu]\nloss: squared\n")
    assert [p.text for p in found] == ["unknown layer `rellu`"]
