"""Worksheets: every blank has its answer, every variant its own numbers, and a key marks itself."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_nets as nets

from bpcli.family import Param
from bpcli.records.trace import Worksheet
from bpcli.records.training import Exit, Failure
from bpcli.render.trace.latex import latex
from bpcli.render.trace.markdown import markdown
from bpcli.studies.mistakes import claims
from bpcli.studies.mistakes.marking import mark
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.worksheet import (
    _is_usable,
    _remembered,
    _round_multiples,
    _typed,
    _weight_range,
    draw_variant,
    worksheet,
)

COMMAND = "bpcli mark answers.yaml net.yaml --seed 1"
RELU = nets.experiment(
    [nets.dense(3, "relu"), nets.dense(2)], "mean_squared_error", [[1, 2], [3, 4]], [[1, 0], [0, 1]],
    regularization={"type": "l2", "strength": 0.1}, optimizer="adam",
)  # fmt: skip


def sheet(experiment: Any, seed: int, **view: Any) -> Worksheet:
    return worksheet(nets.trace_target(experiment), seed, View(**view), COMMAND)


def marked(experiment: Any, made: Worksheet, folder: Path) -> list[tuple[str, str, str]]:
    """What the key of a worksheet gets wrong, by the trace target that the command rebuilds."""
    file = folder / "key.yaml"
    file.write_text(made.key, encoding="utf-8")
    target = nets.trace_target(experiment)
    draw_variant(target, made.seed)
    marks = mark(target, claims.read_claims(file)).marks
    assert len(marks) == len(made.blanks)
    return [(m.name, m.written, m.verdict) for m in marks if m.verdict != "right"]


@pytest.mark.parametrize("seed", range(12))
def test_a_key_grades_itself(seed: int, tmp_path: Path) -> None:
    experiment = nets.random_experiment(seed)
    assert marked(experiment, sheet(experiment, seed % 4), tmp_path) == []


@pytest.mark.slow
def test_a_key_of_each_part_grades_itself(tmp_path: Path) -> None:
    for name, experiment in nets.with_each_part():
        for seed in (0, 3):
            assert marked(experiment, sheet(experiment, seed), tmp_path) == [], name


def test_another_variant_does_not_pass(tmp_path: Path) -> None:
    made = sheet(RELU, 1)
    other = Worksheet(made.derivation, 2, made.blanks, made.shown, made.key, made.command)
    assert len(marked(RELU, other, tmp_path)) > len(made.blanks) / 2


@pytest.mark.parametrize("seed", [0, 1])
def test_every_blank_has_an_answer_and_every_answer_a_blank(seed: int) -> None:
    made = sheet(RELU, seed)
    lines = [line for line in made.key.split("\n") if line and not line.startswith("#")]
    assert lines == [f"{b.name}: {b.answer}" for b in made.blanks]
    assert made.key.isascii()
    assert "-" in "".join(lines)
    assert len({b.name for b in made.blanks}) == len(made.blanks)
    assert [b.number for b in made.blanks] == list(range(1, len(made.blanks) + 1))
    page, tex = markdown(made), latex(made)
    assert re.findall(r"^\| \((\d+)\) \| `(.*?)` \|  \| `____` \|$", page, re.M) == [
        (str(b.number), b.name) for b in made.blanks
    ]
    drawn = re.findall(r"\\blank\{2.5cm\}\\;\((\d+)\)\}\{\}\{(.*)\}", tex)
    assert [(n, name.replace("\\", "")) for n, name in drawn] == [(str(b.number), b.name) for b in made.blanks]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_answer_stands_on_the_sheet(seed: int) -> None:
    made = sheet(RELU, seed)
    start_values = " ".join(str(v) for g in made.derivation.start_values for v in np.ravel(g.value))
    for page in (markdown(made), latex(made)):
        for b in made.blanks:
            if len(b.answer.lstrip("-0.")) >= 4 and b.answer not in start_values:
                assert b.answer not in page, b


def test_with_a_penalty_the_gradient_that_is_asked_for_has_it() -> None:
    made = sheet(RELU, 1)
    blanks = {b.quantity for b in made.blanks if b.name == "dense_1.dW[0,0]"}
    assert blanks == {"1.gradient.dense_1.W.g"}
    assert markdown(made).count("for you alone: nobody checks it") == 6 + 3 + 6 + 2


def test_everything_to_compute_with_is_given() -> None:
    start_values = {g.path: g.value for g in sheet(RELU, 1).derivation.start_values}
    assert {"x", "t", "dense_1.W", "dense_2.b"} <= set(start_values)
    assert start_values["penalty.strength"] == 0.1
    assert start_values["optimizer.beta1"] == 0.9
    assert start_values["optimizer.t"] == 1
    assert start_values["optimizer.m"] == 0


def test_the_memory_of_an_optimizer_is_given_tensor_by_tensor() -> None:
    target = nets.trace_target(RELU)
    derive(target, View())
    memory = target.train_step.slots["m"].copy()
    start_values = {g.path: g.value for g in worksheet(target, 0, View(), COMMAND).derivation.start_values}
    assert start_values["optimizer.t"] == 2
    entry = target.network_plan.entry("dense_1.W")
    assert np.array_equal(start_values["dense_1.W.m"], memory[entry.where].reshape(entry.shape))


def test_what_no_equation_gives_is_shown() -> None:
    experiment = nets.experiment(
        [nets.dense(1)], "mean_squared_error", [[1.0], [2.0]], [[1.0], [0.5]], optimizer="lbfgs"
    )
    made = sheet(experiment, 0)
    step = next(q for q in made.derivation.quantities if q.part == "optimizer" and q.name == "w_new")
    assert step.id in made.shown
    assert all(b.quantity not in made.shown for b in made.blanks)


# ------------------------------------------------------------------------------------------------------------ variants
def test_seed_0_is_the_network_as_it_is() -> None:
    one, other = nets.trace_target(RELU), nets.trace_target(RELU)
    draw_variant(one, 0)
    assert np.array_equal(one.objective.theta, other.objective.theta)
    assert np.array_equal(one.x, other.x)
    assert (one.weights, one.rows) == (other.weights, other.rows)
    assert "the network as it is" in markdown(sheet(RELU, 0))
    assert "--seed 0" in sheet(RELU, 0).key


def test_a_seed_is_a_variant() -> None:
    first, again, other = nets.trace_target(RELU), nets.trace_target(RELU), nets.trace_target(RELU)
    for target, seed in ((first, 5), (again, 5), (other, 6)):
        draw_variant(target, seed)
    assert np.array_equal(first.objective.theta, again.objective.theta)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.objective.theta, other.objective.theta)
    assert not np.array_equal(first.x, other.x)
    assert "variant 5" in first.weights
    assert "variant 5" in first.rows


@pytest.mark.parametrize("seed", range(1, 9))
def test_numbers_are_friendly_and_in_range(seed: int) -> None:
    target = nets.trace_target(RELU)
    draw_variant(target, seed)
    numbers = [*target.objective.theta, *target.x.ravel()]
    assert all(len(repr(float(v)).lstrip("-")) <= 3 and v for v in numbers), numbers
    assert target.x.min() >= 1
    assert target.x.max() <= 4
    gradient = derive(target, View(detail="overview")).steps[0].gradients
    assert all(np.any(g) for g in gradient.values())  # no dead variant


def test_no_variant_is_dead_or_on_an_edge() -> None:
    """One relu, closed in half of all draws, and at 0 in some."""
    experiment = nets.experiment([nets.dense(1, "relu"), nets.dense(1)], "mean_squared_error", [[1.0]], [[1.0]])
    for seed in range(1, 41):
        target = nets.trace_target(experiment)
        draw_variant(target, seed)
        x, w, b = (target.x, *(target.objective.network.parameters()[f"dense_1.{p}"] for p in "Wb"))
        assert (x @ w + b).item() > 1e-9, seed


@pytest.mark.parametrize("x", [1.0, 0.0, -3.0])
def test_a_single_input_varies_too(x: float) -> None:
    experiment = nets.experiment([nets.dense(1)], "mean_squared_error", [[x]], [[1.0]])
    found = set()
    for seed in range(1, 6):
        target = nets.trace_target(experiment)
        draw_variant(target, seed)
        found.add(float(target.x[0, 0]))
    assert len(found) > 2
    assert max(map(abs, found)) <= max(abs(x), 1)


def test_a_gain_stays_a_gain_and_small_weights_stay_small() -> None:
    experiment = nets.experiment(
        [nets.dense(3, "tanh"), "layer_norm", nets.dense(1)], "mean_squared_error", [[0.1, 0.2]], [[1.0]]
    )
    target = nets.trace_target(experiment)
    target.objective.network.parameters()["dense_2.W"][...] = 0.003
    draw_variant(target, 1)
    parameters = target.objective.network.parameters()
    assert np.all((parameters["layer_norm_1.gamma"] >= 0.5) & (parameters["layer_norm_1.gamma"] <= 1.5))
    assert np.all(np.abs(parameters["dense_2.W"]) <= 0.003)


# ------------------------------------------------------------------------------------------------------------- grading
def test_the_command_stands_at_the_top() -> None:
    for page in (markdown(sheet(RELU, 1)), latex(sheet(RELU, 1))):
        assert COMMAND in page.replace("{}", "").split("Initialize")[0]


def test_nothing_worked_out_is_no_worksheet() -> None:
    with pytest.raises(Failure) as failure:
        sheet(RELU, 1, entries=0)
    assert failure.value.exit == Exit.USAGE
    assert failure.value.problems[0].code == "no-blanks"


# ------------------------------------------------------------------------------------------------ how numbers are drawn
@pytest.mark.parametrize(
    ("low", "high", "choices"),
    [(-0.5, 0.5, [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]), (-2.0, 2.0, range(-20, 21)), (0.5, 1.5, range(5, 16)),
     (-300.0, 300.0, range(-3000, 3001, 1000)), (0.0, 4.9, range(1, 50)), (0.0, 5.0, range(10, 60, 10)),
     (-0.003, 0.003, [-0.03, -0.02, -0.01, 0.01, 0.02, 0.03])],
)  # fmt: skip
def test_numbers_are_multiples_of_a_power_of_ten_between_two_ends_and_not_0(
    low: float, high: float, choices: Any
) -> None:
    found = _round_multiples(np.linspace(0, 1, 20_001)[:-1], low, high)
    expected = [c / 10 for c in choices if c]
    assert np.unique(found) == pytest.approx(expected, rel=1e-12)
    assert all(len(repr(float(v))) <= 7 for v in found)
    assert found[0] == pytest.approx(expected[0])
    counts = np.unique(found, return_counts=True)[1]
    assert counts.max() - counts.min() <= 2, "each as likely as any other"


def test_weights_are_drawn_to_both_sides_and_gains_about_where_they_are() -> None:
    weight, gain = Param((3,), None, 3, 3, decays=True), Param((3,), None, 3, 3, decays=False)
    assert _weight_range(np.array([0.5, -0.7, 0.1]), weight) == (-0.7, 0.7)
    assert _weight_range(np.array([0.5, 9.0]), weight) == (-2.0, 2.0)
    assert _weight_range(np.array([0.5, 9.0]), gain) == (0.25, 13.5)
    assert _weight_range(np.array([0.5, -9.0]), gain) == (-2.0, 2.0)
    assert _weight_range(np.zeros(2), weight) == _weight_range(np.zeros(2), gain) == (-0.5, 0.5)


def test_the_numbers_of_a_seed_are_those_of_the_sheets_that_are_printed() -> None:
    """Whoever marks answers later draws the same variant."""
    target = nets.trace_target(RELU)
    draw_variant(target, 1)
    assert target.x.tolist() == [[1.4, 2.6], [2.7, 3.6]]
    assert target.objective.theta[:6].tolist() == [-1.3, -0.6, -1.5, 0.4, -0.5, 0.7]
    draw_variant(other := nets.trace_target(RELU), 2)
    assert other.x.tolist() == [[1.8, 1.8], [3.6, 1.4]]


def test_whether_a_variant_is_usable_is_seen_with_its_own_draws() -> None:
    """With a mask that drops everything no weight moves the loss; the draws of the step are made anew."""
    layers = [nets.dense(3, "tanh"), {"type": "dropout", "rate": 0.2}, nets.dense(2)]
    target = nets.trace_target(nets.experiment(layers, "mean_squared_error", [[1, 2], [3, 4]], [[1, 0], [0, 1]]))
    bound = next(k for k in target.objective.network.chain(2).walk() if k.path == "dropout_1")
    for done in (0, 1):
        target.done = done
        for name in bound.plan.draws:
            getattr(bound.frame, name)[...] = 0
        assert _is_usable(target)
        assert all(np.any(getattr(bound.frame, name)) for name in bound.plan.draws)
        drawn = {name: np.array(getattr(bound.frame, name)) for name in bound.plan.draws}
        target.objective.network.draw(target.objective.network.chain(2), done)
        assert all(np.array_equal(getattr(bound.frame, name), a) for name, a in drawn.items())


def test_a_variant_is_not_usable_with_a_dead_weight_or_on_an_edge() -> None:
    experiment = nets.experiment([nets.dense(1, "relu"), nets.dense(1)], "mean_squared_error", [[1.0]], [[1.0]])
    for weight, bias, usable in ((1.0, 0.5, True), (-1.0, 0.5, False), (1.0, -1.0, False), (1.0, -1.0 + 2e-9, True)):
        target = nets.trace_target(experiment)
        parameters = target.objective.network.parameters()
        parameters["dense_1.W"][...], parameters["dense_1.b"][...] = weight, bias
        assert _is_usable(target) is usable
    parameters["dense_1.W"][...] = 1e300
    parameters["dense_2.W"][...] = 1e300
    assert not _is_usable(target)


def test_what_a_part_remembers_is_given_as_it_is_before_the_step() -> None:
    target = nets.trace_target(RELU)
    (zeros,) = _remembered(target, "optimizer.m", np.zeros(4))
    assert (zeros.step, zeros.path, zeros.value, zeros.note) == (
        1, "optimizer.m", 0.0, "remembered: 0 everywhere before the step",
    )  # fmt: skip
    (mean,) = _remembered(target, "batch_norm_1.mean", np.array([0.0, 2.0]))
    assert (mean.step, mean.path, mean.value.tolist()) == (1, "batch_norm_1.mean", [0.0, 2.0])
    assert mean.note == "remembered from the steps before"
    memory = np.arange(1.0, target.objective.theta.size + 1)
    found = {g.path: g for g in _remembered(target, "optimizer.m", memory)}
    assert set(found) == {f"{e.path}.m" for e in target.network_plan.layout}
    assert (
        np.concatenate([found[f"{e.path}.m"].value.ravel() for e in target.network_plan.layout]).tolist()
        == memory.tolist()
    )
    assert found["dense_1.W.m"].value.shape == target.network_plan.entry("dense_1.W").shape


def test_results_are_typed_as_yaml_has_them() -> None:
    assert [_typed(text) for text in ("−1.5", "∞", "−∞", "nan", "2e−3")] == ["-1.5", ".inf", "-.inf", ".nan", "2e-3"]


def test_whole_numbers_that_stand_for_things_are_drawn_among_those_there_are() -> None:
    layers = [{"type": "embedding", "tokens": 9, "units": 2}, "flatten", nets.dense(1)]
    net = nets.experiment(layers, "mean_squared_error", [[3, 5, 4]], [[1.0]])
    seen = set()
    for seed in range(1, 9):
        target = nets.trace_target(net)
        draw_variant(target, seed)
        seen |= set(target.x.ravel().tolist())
    assert seen == {3, 4, 5}
