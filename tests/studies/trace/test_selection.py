"""One weight by its name, and the entries that its gradient is computed from."""

from __future__ import annotations

from typing import Any

import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.records.training import Exit, Failure
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.trace.selection import check_layers, entries_behind, network_summary, parse_weight
from bpcli.studies.trace.step_blocks import take_step


def target(*layers: Any, inputs: Any = ((0.5, -1.0),), targets: Any = ((1.0, 0.0),)) -> TraceTarget:
    found = list(layers) or [dense(3, "tanh"), dense(2)]
    return trace_target(experiment(found, "mean_squared_error", inputs, targets, optimizer="sgd"))


PLAN = target().network_plan


@pytest.mark.parametrize(
    ("text", "found"),
    [("dense_1.W[0,1]", ("dense_1.W", (0, 1))), (" dense_1.W [ 1 , 2 ] ", ("dense_1.W", (1, 2))),
     ("dense_2.b[1]", ("dense_2.b", (1,))), ("dense_2.W[2,1]", ("dense_2.W", (2, 1)))],
)  # fmt: skip
def test_a_weight_is_named_by_its_tensor_and_its_place(text: str, found: Any) -> None:
    assert parse_weight(PLAN, text) == found


@pytest.mark.parametrize("text", ["dense_1.W[2,0]", "dense_1.W[0,3]", "dense_1.W[0]", "dense_1.W", "dense_1.W[0,0,0]"])
def test_a_place_that_is_not_there(text: str) -> None:
    with pytest.raises(Failure, match="there is no entry") as failure:
        parse_weight(PLAN, text)
    assert failure.value.problems[0].help == ("dense_1.W has entries dense_1.W[0,0] to dense_1.W[1,2], counted from 0")
    assert failure.value.exit == Exit.USAGE


def test_a_tensor_that_is_not_there() -> None:
    listed = "parameters: dense_1.W[2,3], dense_2.W[3,2], dense_1.b[3], dense_2.b[2]"
    for text, help in (
        ("Dense_1.w[0,0]", f"did you mean `dense_1.W`? {listed}"),
        ("qqqqqqqqq", listed),
    ):
        with pytest.raises(Failure, match="there is no parameter") as failure:
            parse_weight(PLAN, text)
        assert failure.value.problems[0].help == help
        assert failure.value.exit == Exit.USAGE
    with pytest.raises(Failure, match="there is no parameter `dense 1`"):
        parse_weight(PLAN, "dense 1")


@pytest.mark.parametrize(("layers", "more"), [(6, False), (7, True)])
def test_twelve_tensors_are_listed(layers: int, more: bool) -> None:
    plan = target(*[dense(2)] * layers).network_plan
    with pytest.raises(Failure) as failure:
        parse_weight(plan, "qqqqqqqqq")
    help = failure.value.problems[0].help
    assert help.count("[") == 12
    assert help.endswith(", ...") is more


def test_layers_that_are_asked_for_are_there() -> None:
    assert check_layers(PLAN, ["dense_2", "dense_1.activation"]) == ("dense_2", "dense_1.activation")
    assert check_layers(PLAN, []) == ()
    with pytest.raises(Failure, match="there is no layer `dens_1`") as failure:
        check_layers(PLAN, ["dense_2", "dens_1"])
    assert failure.value.problems[0].help.startswith("did you mean `dense_1`? ")
    assert failure.value.problems[0].help.endswith("layers: dense_1, dense_1.activation, dense_2")


def behind(tensor: str, at: tuple[int, ...]) -> dict[tuple[str, str], list[tuple[int, ...]]]:
    return {key: sorted(found) for key, found in entries_behind(take_step(target()), tensor, at).items()}


def test_the_gradient_of_a_hidden_weight_reads_its_input_and_all_errors_behind_it() -> None:
    """Of W[0,1] of the first layer: x[0], the unit 1, and of the second layer the errors of both outputs."""
    assert behind("dense_1.W", (0, 1)) == {
        ("dense_1.W", "*"): [(0, 1)],
        ("dense_1", "dW"): [(0, 1)],
        ("dense_1", "y"): [(0, 1)],
        ("dense_1.activation", "dx"): [(0, 1)],
        ("dense_1.activation", "y"): [(0, 1)],
        ("dense_2", "dx"): [(0, 1)],
        ("dense_2", "y"): [(0, 0), (0, 1)],
        ("loss", "dx"): [(0, 0), (0, 1)],
    }


def test_the_gradient_of_a_last_weight_reads_what_comes_in_and_one_error() -> None:
    found = behind("dense_2.W", (2, 1))
    assert found["dense_2", "dW"] == [(2, 1)]
    assert found["loss", "dx"] == [(0, 1)]
    assert found["dense_1.activation", "y"] == [(0, 2)]
    assert found["dense_2", "y"] == [(0, 1)]
    assert ("dense_1", "dW") not in found


def test_a_network_in_a_line() -> None:
    residual = {"type": "residual", "layers": [dense(3)]}
    named = {**dense(2), "name": "last"}
    assert network_summary(target(dense(3, "tanh"), residual, "relu", named).network_plan) == (
        "2 -> dense_1 (3) -> dense_1.activation tanh -> residual_1 -> relu_1 -> last dense (2)"
    )
