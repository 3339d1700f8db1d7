"""Predictions as named columns: of values, classes, probabilities and labels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss
from bpcli.studies.evaluation.predict import outputs, prediction_columns, prediction_rows

ONE = np.array([[0.25], [0.75]])
TWO = np.array([[0.1, 0.9], [0.75, 0.25]])


def model(targets: tuple[str, ...] = (), classes: tuple[str, ...] = (), several: bool = False, outputs: int = 1,
          probable: bool = True, said: Any = ()) -> Any:  # fmt: skip
    """A model with these targets, whose loss takes its outputs for the classes `said`."""
    predictor = SimpleNamespace(
        classified=bool(classes), classes=classes, several=several, outputs=outputs,
        loss=SimpleNamespace(gives_probabilities=probable), classify=lambda output: np.array(said),
    )  # fmt: skip
    return SimpleNamespace(predictor=predictor, preprocessor=SimpleNamespace(target_names=targets))


def as_table(model: Any, output: Any) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    return prediction_columns(model), prediction_rows(model, output)


@pytest.mark.parametrize(
    ("targets", "outputs", "names"),
    [
        (("a", "b"), 2, ("a", "b")),
        (("a",), 1, ("a",)),
        ((), 1, ("y",)),
        ((), 2, ("y0", "y1")),
        (("a",), 2, ("y0", "y1")),
    ],
)
def test_values_have_the_names_of_their_targets(targets: Any, outputs: int, names: Any) -> None:
    values = TWO[:, :outputs]
    assert as_table(model(targets, outputs=outputs), values) == (names, [tuple(row) for row in values.tolist()])


@pytest.mark.parametrize(("targets", "name"), [(("kind",), "kind"), ((), "class"), (("p", "q"), "class")])
def test_a_class_has_the_name_of_its_target_and_a_probability_of_each(targets: Any, name: str) -> None:
    found = as_table(model(targets, ("no", "yes"), outputs=2, said=[1, 0]), TWO)
    assert found == ((name, "p(no)", "p(yes)"), [("yes", 0.1, 0.9), ("no", 0.75, 0.25)])


def test_one_output_of_two_classes_gives_both_probabilities() -> None:
    found = as_table(model(("kind",), ("no", "yes"), said=[0, 1]), ONE)
    assert found == (("kind", "p(no)", "p(yes)"), [("no", 0.75, 0.25), ("yes", 0.25, 0.75)])


def test_margins_are_no_probabilities() -> None:
    found = as_table(model(("kind",), ("no", "yes"), said=[0, 1], probable=False), ONE)
    assert found == (("kind",), [("no",), ("yes",)])
    found = as_table(model((), ("p", "q"), True, 2, False, [[0, 1], [1, 0]]), TWO)
    assert found == (("p", "q"), [(0, 1), (1, 0)])


def test_labels_are_0_or_1_with_a_probability_each() -> None:
    found = as_table(model((), ("p", "q"), True, 2, True, [[0, 1], [1, 0]]), TWO)
    assert found == (("p", "q", "p(p)", "p(q)"), [(0, 1, 0.1, 0.9), (1, 0, 0.75, 0.25)])


def test_outputs_are_those_of_evaluation_batch_after_batch() -> None:
    """Nothing is dropped, and statistics are the running ones; the batches hold four rows, the last one three."""
    parts = [{"type": "dense", "units": 3, "activation": "tanh"}, "batch_norm", {"type": "dropout", "rate": 0.5},
             {"type": "dense", "units": 2}]  # fmt: skip
    plan = plan_network([Layer.parse(part) for part in parts], (2,))
    objective = Objective(plan, Loss.parse("mean_squared_error"), 4, np.float64, 0)
    x = np.random.default_rng(0).normal(size=(11, 2))
    predictor = SimpleNamespace(outputs=2, predict=lambda y: 10 * y)
    found = outputs(SimpleNamespace(objective=objective, predictor=predictor), x)  # type: ignore[arg-type]
    p = objective.network.parameters()
    hidden = np.tanh(x @ p["dense_1.W"] + p["dense_1.b"])
    normed = (hidden - 0.0) / np.sqrt(1.0 + 1e-5)  # as they are before any training
    assert found == pytest.approx(10 * (normed @ p["dense_2.W"] + p["dense_2.b"]), rel=1e-6)
