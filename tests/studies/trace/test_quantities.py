"""Which entries of a quantity are worked out, how claims call it, and what is noted of a gradient."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.family import Layer
from bpcli.records.trace import Quantity
from bpcli.studies.trace.derive_step import without_equations
from bpcli.studies.trace.quantities import EntryChoice, _chosen, _first, count_blocked_units, quantities
from bpcli.studies.trace.step_blocks import StepBlock, TakenStep, take_step


def taken(*layers: Any, inputs: Any = ((0.5, -1.0),), targets: Any = ((1.0, 0.0),), **more: Any) -> TakenStep:
    found = list(layers) or [dense(3, "tanh"), dense(2)]
    more = {"optimizer": "sgd", **more}
    return take_step(trace_target(experiment(found, more.pop("loss", "mean_squared_error"), inputs, targets, **more)))


def by_path(step: TakenStep, **choice: Any) -> dict[str, Quantity]:
    return {q.path: q for q in quantities(step, 1, EntryChoice(**choice))}


def names(q: Quantity) -> list[str]:
    return [entry.name for entry in q.entries]


# ----------------------------------------------------------------------------------------------------- which entries
def part(value: Any, **more: Any) -> Any:
    return SimpleNamespace(
        **{"tensor": "", "layer": "dense_1", "part": "layer", "name": "y", "value": np.array(value)} | more
    )


def chosen(value: Any, of: Any = None, **choice: Any) -> list[tuple[int, ...]]:
    q = part(value, **(of or {}))
    return list(_chosen(q, q.value.shape, EntryChoice(**choice)))


def test_a_small_quantity_is_worked_out_whole_and_of_a_large_one_six_entries() -> None:
    assert len(chosen(np.ones((3, 4)))) == 12
    assert chosen(np.ones(13)) == [(k,) for k in range(6)]
    assert chosen(np.ones((2, 3)), entries=4) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert len(chosen(np.ones((2, 3)), entries=99)) == 6
    assert chosen(np.ones((2, 3)), entries=0) == []
    assert chosen(np.array(5.0)) == [()]


def test_only_the_layers_that_are_asked_for_and_what_is_inside_them() -> None:
    for layer, shown in (("dense_1", True), ("dense_1.activation", True), ("dense_10", False), ("dense_2", False)):
        assert bool(chosen([1.0], {"layer": layer}, layers=("dense_1",))) is shown
    assert chosen([1.0], {"layer": "", "tensor": "dense_1.W"}, layers=("dense_1",))
    assert not chosen([1.0], {"layer": "", "tensor": "dense_2.W"}, layers=("dense_1",))
    assert chosen([1.0], {"layer": "dense_2"}, layers=("dense_1", "dense_2"))
    assert chosen([1.0], {"layer": ""}, layers=("dense_1",)), "what belongs to no layer is always shown"


def test_only_the_entries_that_are_wanted() -> None:
    wanted = {("dense_1", "y"): frozenset({(1, 0), (0, 2)}), ("dense_1.W", "*"): frozenset({(0, 1), (3,)}),
              ("loss", "L"): frozenset({()})}  # fmt: skip
    assert chosen(np.ones((2, 3)), wanted=wanted) == [(0, 2), (1, 0)]
    assert chosen(np.ones((2, 3)), wanted=wanted, entries=1) == [(0, 2)]
    assert chosen(np.ones((2, 3)), {"layer": "dense_2"}, wanted=wanted) == []
    of_weights = {"tensor": "dense_1.W", "layer": "", "part": "optimizer", "name": "w_new"}
    assert chosen(np.ones((2, 3)), of_weights, wanted=wanted) == [(0, 1)]
    assert chosen(np.array(1.0), wanted=wanted) == [()], "one number is always shown"
    many = {("dense_1", "y"): frozenset((k,) for k in range(20))}
    assert len(chosen(np.ones(20), wanted=many)) == 12


@pytest.mark.parametrize(
    ("value", "most", "first"),
    [([1, 2, 3, 4, 5], 3, [0, 1, 2]), ([0, 0, 3, 4, 5], 3, [0, 1, 2]), ([0, 0, 0, 0, 0], 3, [0, 1, 2]),
     ([0, 0, 0, 0, 5, 6, 7], 4, [0, 1, 4, 5]), ([0, 0, 0, 0, 5], 4, [0, 1, 2, 4]), ([0, 0, 0, 7], 3, [0, 1, 3])],
)  # fmt: skip
def test_where_the_first_are_all_0_half_give_way_to_some_that_are_not(value: Any, most: int, first: list[int]) -> None:
    assert list(_first(np.array(value), most)) == first


# -------------------------------------------------------------------------------------------------------------- names
def test_how_claims_call_what_a_step_computes() -> None:
    clipping = {"type": "global_norm", "max_norm": 0.01}
    more: dict[str, Any] = {"regularization": {"type": "l2", "strength": 0.1}, "clipping": clipping,
                            "constraint": {"type": "max_norm", "limit": 0.5}}  # fmt: skip
    found = by_path(taken(**more))
    for path in (
        "dense_1.y", "dense_1.activation.dx", "dense_1.dW", "data_loss", "loss.dx", "loss", "learning_rate", "penalty",
        "dense_1.W.penalty_slope", "dense_1.dW_clipped", "dense_1.db_clipped", "dense_1.W_new", "dense_2.b_new",
        "change",
    ):  # fmt: skip
        assert path in found, sorted(found)
    assert all(q.agrees for q in found.values())
    assert found["dense_1.W_new"].value.shape == (2, 3)
    assert found["dense_1.dW_clipped"].tensor == "dense_1.W"


def test_a_flat_vector_is_cut_into_its_tensors() -> None:
    step = taken()
    found = by_path(step)
    theta = step.updated
    flat = np.concatenate(
        [found[f"{path}_new"].value.ravel() for path in ("dense_1.W", "dense_2.W", "dense_1.b", "dense_2.b")]
    )
    assert flat == pytest.approx(theta, rel=1e-12)
    assert names(found["dense_1.b_new"]) == [f"dense_1.b_new[{k}]" for k in range(3)]
    assert found["dense_2.W_new"].entries[1].index == ("dense_2.W[0,1]",)
    assert found["dense_1.y"].entries[1].index == ("0", "1")
    assert found["dense_2.W_new"].id == "1.optimizer.dense_2.W.w_new"
    assert found["dense_1.y"].id == "1.layer.dense_1.y"


def test_where_what_an_equation_reads_comes_from() -> None:
    found = by_path(taken())
    assert found["dense_1.y"].sources == {"x": "the inputs"}
    assert found["dense_2.y"].sources == {"x": "dense_1.activation.y"}
    assert found["dense_1.activation.dx"].sources["dy"] == "dense_2.dx"
    assert found["data_loss"].sources == {"x": "dense_2.y"}
    assert found["dense_1.W_new"].sources == {}


# -------------------------------------------------------------------------------------------------------------- notes
def notes(q: Quantity) -> list[tuple[str, ...]]:
    return [entry.notes for entry in q.entries]


def test_paths_that_are_summed_are_counted() -> None:
    found = by_path(taken())
    assert notes(found["dense_2.dx"]) == [("2 paths, summed",)] * 3
    assert notes(found["dense_2.y"]) == [()] * 2


def test_closed_and_saturated_units_are_noted() -> None:
    """Inputs of 1 to units with weights of -3, 2.4 and 0.1: relu is closed at the first; tanh has slopes of 0.98 %
    and of 3.2 %."""
    weights = [[-3.0, 2.4, 0.1]]
    first = {"type": "dense", "units": 3, "weights": weights, "bias": False}
    last = {"type": "dense", "units": 1, "weights": [[1.0], [1.0], [1.0]], "bias": False}
    more: dict[str, Any] = {"inputs": [[1.0]], "targets": [[9.0]]}
    found = by_path(taken({**first, "activation": "relu"}, last, **more))
    assert notes(found["dense_1.activation.dx"]) == [("closed: no error passes",), (), ()]
    found = by_path(taken({**first, "activation": "tanh"}, last, **more))
    assert notes(found["dense_1.activation.dx"]) == [("saturated: 9.9e-03 of the error passes",), (), ()]
    found = by_path(taken(first, "relu", last, **more))
    assert notes(found["relu_1.dx"])[0] == ("closed: no error passes",)
    found = by_path(taken({**first, "activation": "relu"}, {**last, "weights": [[0.0]] * 3}, **more))
    assert notes(found["dense_1.activation.dx"]) == [(), (), ()], "where no error comes none is stopped"


def test_of_a_softmax_the_paths_are_counted_and_no_end_is_noted() -> None:
    weights = [[0.0, 40.0]]
    first = {"type": "dense", "units": 2, "weights": weights, "bias": False, "activation": "softmax"}
    last = {"type": "dense", "units": 1, "weights": [[1.0], [2.0]], "bias": False}
    found = by_path(taken(first, last, inputs=[[1.0]], targets=[[9.0]]))
    assert notes(found["dense_1.activation.dx"]) == [("2 paths, summed",)] * 2


def block(kind: str, dy: Any) -> Any:
    return SimpleNamespace(kind=kind, env={"dy": np.array(dy)})


def test_units_that_pass_no_error_or_hardly_any_are_counted() -> None:
    dy = [1.0, 1.0, -2.0, 0.0, 1.0, 1.0]
    dx = np.array([0.0, 0.0099, -0.019, 0.0, 0.01, 1.0])
    assert count_blocked_units(block("tanh", dy), dx) == (1, 2)
    assert count_blocked_units(block("dense", dy), dx) == (0, 0)
    assert count_blocked_units(block("tanh", dy), dx[:3]) == (0, 0)


# ---------------------------------------------------------------------------------------------------- largest numbers
def test_the_largest_number_of_a_block_is_that_of_its_arrays() -> None:
    """Settings that are single numbers are no terms of a sum."""
    program: Any = SimpleNamespace(names=())
    env, engine = {"x": np.array([1.0, -7.0]), "rate": 1e6}, {"y": np.array([2.0])}
    assert StepBlock("layer", "dense_1", "dense", program, env, engine).largest == 7.0
    assert StepBlock("layer", "dense_1", "dense", program, {}, {"y": np.array([[9.0]])}).largest == 9.0
    assert StepBlock("layer", "dense_1", "dense", program, {"rate": 5.0}, {}).largest == 1.0


# ------------------------------------------------------------------------------------------------------ what was taken
def test_a_search_begins_with_a_pass_and_its_penalty() -> None:
    strength = {"regularization": {"type": "l2", "strength": 0.1}}
    target = trace_target(
        experiment([dense(2)], "mean_squared_error", [[0.5, -1.0]], [[1.0, 0.0]], optimizer="lbfgs", **strength)
    )
    w, b = (target.objective.network.parameters()[f"dense_1.{p}"].copy() for p in "Wb")
    error = target.x @ w + b - target.t
    step = take_step(target)
    assert step.loss == pytest.approx(np.mean(error**2))
    assert step.penalty == pytest.approx(0.05 * np.sum(w**2))
    data = np.concatenate([(target.x.T @ error).ravel(), error.ravel()])
    assert step.data == pytest.approx(data)
    assert step.gradient == pytest.approx(data + 0.1 * np.concatenate([w.ravel(), np.zeros(2)]))
    assert target.done == 1
    found = by_path(step)
    assert found["loss"].value == pytest.approx(step.loss + step.penalty)
    assert all(q.agrees for q in found.values())


def test_layers_without_some_equations_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    tanh = Layer.parse("tanh")
    usual = tanh.equations(True, (2,))  # type: ignore[attr-defined]
    for kept, words in (
        ([], "tanh has no equations: "),
        ([eq for eq in usual if eq.left.startswith("y[")], "tanh has no equation of dx: "),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(type(tanh), "equations", lambda self, train, x, kept=kept: kept)
            target = trace_target(experiment([dense(2, "tanh")], "mean_squared_error", [[0.5, -1.0]], [[1.0, 0.0]]))
            (warning,) = without_equations(target, take_step(target))
            assert warning.path == ("dense_1.activation",)
            assert warning.text.startswith(words)


def test_parts_without_equations_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    clipping = {"type": "global_norm", "max_norm": 0.01}
    more: dict[str, Any] = {"regularization": {"type": "l2", "strength": 0.1}, "clipping": clipping, "optimizer": "sgd"}
    target = trace_target(experiment([dense(2)], "mean_squared_error", [[0.5, -1.0]], [[1.0, 0.0]], **more))
    step = take_step(target)
    assert list(without_equations(target, step)) == []
    penalty = target.network_plan.penalties[0][0]
    e = target.experiment
    for path, part in (("penalty", penalty), ("clipping", e.clipping), ("optimizer", e.optimizer), ("loss", e.loss),
                       ("learning_rate", e.optimizer.learning_rate)):  # type: ignore[union-attr]  # fmt: skip
        with monkeypatch.context() as changed:
            changed.setattr(type(part), "equations", lambda self, *_: [])
            (warning,) = without_equations(target, step)
            assert (warning.path, warning.level, warning.code) == ((path,), "warning", "no-equations")
            assert warning.text == f"{part.kind} has no equations: its numbers cannot be derived"  # type: ignore[union-attr]
