"""Claims by the names that textbooks use, and what is said where a name is none."""

from __future__ import annotations

from typing import Any

import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.config.yamlfile import parse
from bpcli.records.training import Failure
from bpcli.studies.mistakes.addresses import Addresses
from bpcli.studies.mistakes.claims import Claim, _claim
from bpcli.studies.trace.graph import START, StepGraph
from bpcli.studies.trace.quantities import EntryChoice, quantities
from bpcli.studies.trace.step_blocks import take_step


def addresses(*layers: Any, rows: int = 1, **more: Any) -> Addresses:
    found = list(layers) or [dense(3, "tanh"), dense(2)]
    inputs, targets = [[0.5, -1.0]] * rows, [[1.0, 0.0][: found[-1]["units"]]] * rows
    target = trace_target(experiment(found, "mean_squared_error", inputs, targets, optimizer="sgd", **more))
    taken = take_step(target)
    return Addresses(StepGraph(target, taken), list(quantities(taken, 1, EntryChoice(entries=0))))


def claim(name: str, number: str = "1") -> Claim:
    position = parse(f"a: {number}\n", "claims.yaml").root.keys["a"]
    return _claim(name, number, None, position)


@pytest.mark.parametrize(
    ("name", "address", "key", "index"),
    [
        ("dense_1.y[0,2]", "dense_1.y[0,2]", ("layer", "dense_1", "y"), 2),
        ("dense_1.z[0,2]", "dense_1.y[0,2]", ("layer", "dense_1", "y"), 2),
        ("dense_1.z[2]", "dense_1.y[0,2]", ("layer", "dense_1", "y"), 2),
        ("dense_1.a[1]", "dense_1.activation.y[0,1]", ("layer", "dense_1.activation", "y"), 1),
        ("dense_2.a[1]", "dense_2.y[0,1]", ("layer", "dense_2", "y"), 1),
        ("dense_1.delta[1]", "dense_1.activation.dx[0,1]", ("layer", "dense_1.activation", "dx"), 1),
        ("dense_2.delta[0,1]", "loss.dx[0,1]", ("loss", "", "dx"), 1),
        ("dense_2.x[2]", "dense_1.activation.y[0,2]", ("layer", "dense_1.activation", "y"), 2),
        ("dense_1.x[1]", "x[0,1]", (START, "", "x"), 1),
        ("x[1]", "x[0,1]", (START, "", "x"), 1),
        ("t[0]", "t[0,0]", (START, "", "t"), 0),
        ("dense_1.W[1,2]", "dense_1.W[1,2]", (START, "", "dense_1.W"), 5),
        (" dense_1.W [ 1 , 2 ] ", "dense_1.W[1,2]", (START, "", "dense_1.W"), 5),
        ("dense_1.dW[1,2]", "dense_1.dW[1,2]", ("layer", "dense_1", "dW"), 5),
        ("loss", "data_loss", ("loss", "", "L"), 0),
        ("loss_after", "loss_after", ("after", "", "loss_after"), 0),
        ("learning_rate", "learning_rate", ("schedule", "", "lr"), 0),
        ("dense_1.W_new[0,1]", "dense_1.W_new[0,1]", ("optimizer", "", "w_new"), 1),
        ("dense_2.W_new[0,1]", "dense_2.W_new[0,1]", ("optimizer", "", "w_new"), 7),
        ("dense_1.b_new[1]", "dense_1.b_new[1]", ("optimizer", "", "w_new"), 13),
    ],
)
def test_a_claim_is_about_an_entry(name: str, address: str, key: Any, index: int) -> None:
    (found,) = addresses().entries_of([claim(name)])
    assert (found.key, found.index) == (key, index)
    assert found.address in (address, name.strip(), "loss")


def test_the_row_may_be_left_out_where_there_is_one_and_all_of_a_single_number() -> None:
    one, two = addresses(dense(1)), addresses(dense(1), rows=2)
    assert one.entries_of([claim("dense_1.y")])[0].address == "dense_1.y[0,0]"
    assert one.entries_of([claim("dense_1.b_new")])[0].address == "dense_1.b_new[0]"
    with pytest.raises(Failure, match="there is no such entry") as failure:
        two.entries_of([claim("dense_1.y")])
    assert failure.value.problems[0].help == "dense_1.y has entries dense_1.y[0,0] to dense_1.y[1,0], counted from 0"
    with pytest.raises(Failure) as failure:
        two.entries_of([claim("dense_1.y[0]")])
    with pytest.raises(Failure) as failure:
        one.entries_of([claim("dense_1.b[1]")])
    assert failure.value.problems[0].help == "dense_1.b is one number, dense_1.b[0]"
    with pytest.raises(Failure) as failure:
        one.entries_of([claim("loss[0]")])
    assert "loss is one number, loss" in failure.value.problems[0].help


def test_claims_come_in_the_order_of_the_derivation() -> None:
    names = ["dense_1.W_new[0,0]", "loss", "dense_1.y[1]", "dense_1.y[0]", "x[0]", "loss_after"]
    found = [t.address for t in addresses().entries_of([claim(name) for name in names])]
    assert found[0] == "x[0,0]"
    assert found[1:3] == ["dense_1.y[0,0]", "dense_1.y[0,1]"]
    assert found[-2:] == ["dense_1.W_new[0,0]", "loss_after"]


def test_all_that_is_wrong_is_said_at_once_and_the_names_only_once() -> None:
    with pytest.raises(Failure) as failure:
        addresses().entries_of([claim(n) for n in ("dense_1.q", "dense_1.Y[0,0]", "dense_1.y[0]", "dense_1.z[0,0]")])
    first, second, third = failure.value.problems
    assert first.text == second.text == "this names nothing in this derivation"
    assert "there are, with their shapes: " in first.help
    assert second.help == "did you mean `dense_1.y`?"
    assert third.text == "this is the same number as dense_1.y[0] on line 1"
    assert third.help == "remove one"


def listed(found: Addresses) -> tuple[int, bool]:
    with pytest.raises(Failure) as failure:
        found.entries_of([claim("qqqqqqqqq")])
    help = failure.value.problems[0].help
    names = help.partition("their shapes: ")[2]
    return names.replace(", ...", "").count(", ") + 1, names.endswith(", ...")


def test_sixteen_names_are_listed() -> None:
    found = addresses()
    assert len(found.arrays) > 16
    assert listed(found) == (16, True)
    found.arrays = dict(list(found.arrays.items())[:16])
    found.aliases = {}
    assert listed(found) == (16, False)
