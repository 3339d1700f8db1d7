"""The built-in derivations, made anew: the numbers that their authors print, and what their pages say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bpcli.records.training import Exit, Failure
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.examples import TraceExample, example_named, open_example, trace_examples
from bpcli.studies.trace.open import TracedRows


def test_the_page_of_an_example_begins_with_its_title_its_source_and_what_to_beware_of() -> None:
    example = TraceExample("x", "a title", "a book", {}, remarks=("first", "second"))
    assert example.notes == (("example", "a title"), ("source", "a book"), ("beware", "first"), ("", "second"))
    assert TraceExample("x", "a title", "a book", {}).notes == (("example", "a title"), ("source", "a book"))


def test_every_number_that_an_author_prints_is_derived() -> None:
    """The examples are made here and not at the import, so that what makes them is looked at."""
    examples = trace_examples.__wrapped__()  # type: ignore[attr-defined]
    assert {"article", "convolution", "neuron_2d", "step_adam", "cs231n_adam", "nielsen_cross_entropy"} <= set(examples)
    compared = 0
    for example in examples.values():
        if not example.verified:
            continue
        d = derive(open_example(example), View(detail="layer"))
        arrays = {q.path: np.asarray(q.value) for q in d.quantities}
        arrays |= {"loss": np.asarray(d.steps[0].loss), "loss_after": np.asarray(d.steps[0].after)}
        for address, number in example.verified.items():
            path, _, index = address.partition("[")
            at = tuple(map(int, index.rstrip("]").split(","))) if index else ()
            assert arrays[path][at] == pytest.approx(number, rel=1e-12, abs=1e-15), f"{example.name}: {address}"
            compared += 1
    assert compared > 60


def test_what_to_beware_of_in_the_convolution() -> None:
    convolution = trace_examples.__wrapped__()["convolution"]  # type: ignore[attr-defined]
    assert convolution.notes[2:] == (("beware", "dW has the numbers of y, for here the errors are the filter's own"),)


def test_a_step_of_every_optimizer_starts_at_5() -> None:
    examples = trace_examples.__wrapped__()  # type: ignore[attr-defined]
    for kind in ("sgd", "adam", "rmsprop"):
        example = examples[f"step_{kind}"]
        assert example.title == f"one step of {kind} on L = w^2 from w = 5, with a learning rate of 0.1"
        assert example.experiment["optimizer"] == {"type": kind, "learning_rate": 0.1}
        target = open_example(example)
        assert (target.objective.theta.tolist(), target.x.tolist(), target.t.tolist()) == ([5.0], [[1.0]], [[0.0]])
    assert examples["step_lbfgs"].title == "one step of lbfgs on L = w^2 from w = 5"
    assert examples["step_lbfgs"].experiment["optimizer"] == {"type": "lbfgs", "pairs": 1}
    assert examples["step_sgd"].source == "definition; bpcli parts NAME names the paper"
    assert "gbasran" in examples["step_adam"].source


def test_an_example_remembers_what_its_optimizer_did_and_takes_other_rows() -> None:
    target = open_example(example_named("cs231n_adam"))
    assert target.done == 5
    assert target.train_step.slots["m"][[0, 19]] == pytest.approx([0.6, 0.9])
    assert (target.weights, target.rows) == ("as given", "all of the example")
    target = open_example(example_named("article"))
    assert (target.x.tolist(), target.t.tolist(), target.rows) == ([[1.0]], [[1.0]], "1 row given by value")
    rows = open_example(replace(trace_examples.__wrapped__()["article"], rows=TracedRows()))  # type: ignore[attr-defined]
    assert (rows.x.tolist(), rows.t.tolist()) == ([[-1.0], [0.0], [1.0]], [[0.0], [1.0], [1.0]])
    target = open_example(example_named("article"), TracedRows(x=("0.5", "-1"), t=("0", "1")))
    assert (target.x.tolist(), target.rows) == ([[0.5], [-1.0]], "2 rows given by value")


def test_an_unknown_example() -> None:
    with pytest.raises(Failure, match="there is no example `articel`") as failure:
        example_named("articel")
    assert failure.value.problems[0].help == "did you mean `article`? `bpcli trace --list-examples` shows them all"
    assert failure.value.exit == Exit.USAGE
