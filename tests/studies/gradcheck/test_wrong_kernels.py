"""A check of gradients is trusted after it was seen to fail: every mistake is caught, in its tensor, and named."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import own as own
from published import PUBLISHED, Published
from trace_nets import dense, experiment, trace_target
from wrong_kernels import GRADCHECKED, WrongKernel
from wrong_kernels.nets import nets

from bpcli.records.gradcheck import GradcheckReport
from bpcli.studies.custom import load as custom
from bpcli.studies.gradcheck.check import check_gradients

NETS = nets()
INSIDE = {k.name: k for k in GRADCHECKED}


def check(experiment_: Mapping[str, Any], seed: int = 0) -> GradcheckReport:
    return check_gradients(trace_target(experiment_), seed)


def findings(report: GradcheckReport) -> dict[str, str]:
    return {f.tensor: f.text for f in report.findings}


EVERY_SECOND = [
    pytest.param(wrong, id=name, marks=pytest.mark.slow if place % 2 else ())
    for place, (name, wrong) in enumerate(INSIDE.items())
]
"""All of them; every second one in the test command."""


@pytest.mark.parametrize("wrong", EVERY_SECOND)
def test_a_mistake_is_caught_in_its_tensor_and_named(wrong: WrongKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong.put_in(monkeypatch)
    report = check(NETS[wrong.net])
    broken = {law.name for law in report.laws if law.holds is False}
    assert not report.passed
    assert set(report.wrong) - broken == wrong.tensors, "these tensors and no other"
    assert broken >= wrong.laws
    text = findings(report)
    for where in wrong.tensors or wrong.laws:
        assert re.search(wrong.cause, text[where]), f"{where}: {text[where]}"


def test_the_survey_is_complete() -> None:
    """Fifty-one mistakes of the survey that layers here can make, and as many again of its table of sightings."""
    assert len(INSIDE) == len(GRADCHECKED) >= 95


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("seed", range(3))
def test_what_the_mistakes_are_put_into_is_right(net: str, seed: int) -> None:
    report = check(NETS[net], seed)
    assert report.passed
    assert not report.findings


SMALL = (
    "bias_averaged", "one_weight_off_by_one_percent", "inputs_through_updated_weights", "last_row_skipped",
    "Tanh square of the input", "MeanSquaredError no 2", "BatchNorm no path through the variance",
    "batch_averaged_twice",
    "penalty_on_biases_in_the_gradient", "gradients_never_zeroed",
)  # fmt: skip


@pytest.mark.parametrize("name", [SMALL[0], *(pytest.param(k, marks=pytest.mark.slow) for k in SMALL[1:])])
def test_a_small_loss_hides_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss, and with it every gradient of the whole network, ten thousand times smaller."""
    wrong = INSIDE[name]
    net = NETS[wrong.net]
    data = {key: (np.asarray(value) * 1e-2).tolist() for key, value in net["data"]["train"].items() if key != "type"}
    small = {**net, "data": {"train": {"type": "inline", **data}}}
    wrong.put_in(monkeypatch)
    assert set(check(small).wrong) >= wrong.tensors


# ------------------------------------------------------------------------------------------ gradients that were shipped
@pytest.mark.parametrize("shipped", PUBLISHED, ids=[p.name for p in PUBLISHED])
def test_a_published_wrong_gradient_is_caught_and_named(shipped: Published, own: Path) -> None:
    file = own / "shipped.py"
    file.write_text(shipped.source)
    custom.load([file])
    report = check(shipped.experiment())
    broken = {law.name for law in report.laws if law.holds is False}
    assert set(report.wrong) - broken == {shipped.tensor}
    assert re.search(shipped.cause, findings(report)[shipped.tensor]), findings(report)
    file.write_text(shipped.righted)
    custom.load([file])
    assert check(shipped.experiment()).passed


# ----------------------------------------------------------------------------- ties, dead paths, what was not looked at
SIZE = """\
from typing import Literal
import numpy as np
from bpcli.family import Activation

class Size(Activation):
    type: Literal["size"] = "size"

    def forward(self, f, train):
        np.abs(f.x, out=f.y)

    def backward(self, f, train):
        np.multiply(f.dy, {slope}, out=f.dx)
"""


@pytest.mark.parametrize("slope", ["np.sign(f.x)", "np.where(f.x > 0, 1.0, -1.0)", "np.where(f.x >= 0, 1.0, -1.0)"])
def test_at_a_kink_any_slope_between_is_right(slope: str, own: Path) -> None:
    """|x| at exactly 0, by a part without equations, alone and in the whole network."""
    file = own / "size.py"
    file.write_text(SIZE.format(slope=slope))
    custom.load([file])
    x = [[0.0, 0.0], [1.0, 0.0], [0.0, -1.0], [2.0, 1.0]]
    layers = ["size", {**dense(2), "weights": [[1.0, 0.0], [0.0, -1.0]]}, "size", dense(3)]
    report = check(experiment(layers, "mean_squared_error", x, np.ones((4, 3))))
    assert report.passed
    (alone,) = (r for r in report.tensors if r.scope == "layer" and r.tensor == "size_1.dx")
    assert alone.verdict == ("ok" if "sign" in slope else "kink"), "0 is what a difference over both sides says"
    assert any("differences alone" in note for note in report.notes)


def test_at_a_kink_no_slope_beside_is_right(own: Path) -> None:
    file = own / "size.py"
    file.write_text(SIZE.format(slope="np.sign(f.x) + 3.0 * (f.x == 0)"))
    custom.load([file])
    x = [[0.0, 0.0], [1.0, 0.0], [0.0, -1.0], [2.0, 1.0]]
    report = check(experiment(["size", dense(3)], "mean_squared_error", x, np.ones((4, 3))))
    assert "size_1.dx" in report.wrong


KINKED = [
    ("relu", "mean_squared_error"), ("leaky_relu", "mean_absolute_error"), ("hard_tanh", "huber"),
    ("hard_sigmoid", "hinge"), ("elu", "squared_hinge"), ("selu", "multiclass_hinge"), ("softsign", "huber"),
]  # fmt: skip


@pytest.mark.parametrize(("activation", "loss"), KINKED)
def test_at_ties_the_equations_judge(activation: str, loss: str) -> None:
    """Everything a whole number, so that units stand on their kinks and errors are exactly 0."""
    x = [[1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [-1.0, 2.0]]
    weights = {"weights": [[1.0, -1.0, 0.0], [1.0, 1.0, 2.0]], "bias": [0.0, 0.0, 1.0]}
    layers = [{**dense(3), **weights}, activation, {**dense(3), "weights": np.eye(3).tolist()}]
    targets: Any = np.eye(3)[[0, 1, 2, 0]] if "hinge" in loss else [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]] * 2
    report = check(experiment(layers, loss, x, targets, regularization={"type": "l1", "strength": 0.1}))
    assert report.passed, [r for r in report.tensors if r.verdict == "WRONG"]


def test_a_dead_path_is_noted() -> None:
    x = np.random.default_rng(0).normal(size=(4, 2))
    layers = [{**dense(3), "bias": [-100.0] * 3, "activation": "relu"}, dense(2)]
    report = check(experiment(layers, "mean_squared_error", x, np.ones((4, 2))))
    dead = {r.tensor for r in report.tensors if r.verdict == "dead"}
    assert {"dense_1.dW", "dense_1.db"} <= dead, [(r.tensor, r.scope, r.verdict) for r in report.tensors]
    assert any("dense_1.dW" in note and "no gradient" in note for note in report.notes)


def test_numbers_that_stand_for_things_are_not_dead() -> None:
    report = check(NETS["tokens"])
    assert report.passed
    assert not any(r.verdict == "dead" for r in report.tensors)


def test_what_was_not_looked_at_has_not_passed() -> None:
    report = check(NETS["tanh"])
    (first, *others) = report.tensors
    unseen = replace(report, tensors=(replace(first, verdict="not covered"), *others))
    assert report.passed
    assert not unseen.passed
