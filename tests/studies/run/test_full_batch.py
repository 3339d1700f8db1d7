"""Training with an optimizer that searches: what it refuses, how it ends, and that it goes on to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_parts import changed
from own_parts import own as own
from paths import CONFIGS

from bpcli.records.training import Failure
from bpcli.studies.custom import load as custom
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.run import resume as runs
from bpcli.studies.run import setup
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.setup import set_up, training_bytes

X = np.round(np.random.default_rng(2).normal(size=(24, 2)), 3)
T = [[round(float(a * b + a), 3)] for a, b in X]
CONFIG = f"""\
name: searching
dtype: float64
data: {{train: {{type: inline, inputs: {X.tolist()}, targets: {T}}}}}
architecture: [{{type: dense, units: 3, activation: tanh}}, {{type: dense, units: 1}}]
loss: mean_squared_error
optimizer: OPTIMIZER
training: {{epochs: 6, batch_size: full}}
"""
KINDS = ["lbfgs", "levenberg_marquardt"]
each = pytest.mark.parametrize("kind", KINDS)


def written(folder: Path, kind: str) -> Path:
    file = folder / "searching.yaml"
    file.write_text(CONFIG.replace("OPTIMIZER", kind))
    return file


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_the_sine_is_fitted(seed: int, tmp_path: Path) -> None:
    report = runs.start(set_up(CONFIGS / "sine_lm.yaml", [f"seed={seed}"]), tmp_path / "run").run()
    assert report.stopped == "goal"
    assert 100 < len(report.epochs) < 200


def test_diabetes_is_learned_as_well_as_by_adam_in_fewer_epochs(tmp_path: Path) -> None:
    """The mean of five seeds, on rows that took no part in training."""
    found: dict[str, list[float]] = {"diabetes_lbfgs": [], "diabetes": []}
    epochs = dict.fromkeys(found, 0)
    for name, figures in found.items():
        for seed in range(5):
            run = tmp_path / f"{name} {seed}"
            epochs[name] += len(runs.start(set_up(CONFIGS / f"{name}.yaml", [f"seed={seed}"]), run).run().epochs)
            figures.append(evaluate(run, "test").metrics["r2"])
    assert np.mean(found["diabetes_lbfgs"]) >= max(0.44, np.mean(found["diabetes"]) - 0.02)
    assert epochs["diabetes_lbfgs"] < epochs["diabetes"]


DENSE = "{type: dense, units: 3, activation: tanh}"
REFUSED = {
    "rows in part": (
        KINDS, ["training.batch_size=8"], "KIND needs all 24 training rows in every step, and a batch has 8",
        "write `batch_size: full` under `training`",
    ),
    "clipping": (
        KINDS, ["clipping={type: value, limit: 1.0}"], "KIND goes by the gradient as it is, and clipping changes it",
        "leave `clipping` out: it finds the length of a step",
    ),
    "a constraint": (
        KINDS, ["constraint={type: max_norm, limit: 1.0}"],
        "KIND goes by the loss where its step ends, and a constraint moves the weights from there",
        "leave `constraint` out, or write `optimizer: adam`",
    ),
    "a constraint of a layer": (
        KINDS, ["architecture.1.constraint={type: max_norm, limit: 1.0}"],
        "KIND goes by the loss where its step ends, and a constraint moves the weights from there",
        "leave `constraint` out, or write `optimizer: adam`",
    ),
    "chance": (
        KINDS, [f"architecture=[{DENSE}, {{type: dropout, rate: 0.1}}, {{type: dense, units: 1}}]"],
        "KIND compares the loss at several points, and dropout_1 changes it by chance",
        "leave dropout out; against overfitting there is `regularization: {type: l2, strength: 1e-3}`",
    ),
    "chance inside": (
        KINDS, ["architecture=[{type: residual, layers: [{type: gaussian_noise}]}, {type: dense, units: 1}]"],
        "KIND compares the loss at several points, and residual_1.gaussian_noise_1 changes it by chance",
        "leave gaussian_noise out; against overfitting there is `regularization: {type: l2, strength: 1e-3}`",
    ),
    "rows that depend on rows": (
        KINDS[1:], [f"architecture=[{DENSE}, batch_norm, {{type: dense, units: 1}}]"],
        "KIND tells each row's output apart, and in batch_norm_1 every row depends on all others",
        "leave batch_norm out, or write `layer_norm`",
    ),
    "a loss without squares": (
        KINDS[1:], ["loss=huber"], "KIND lowers sums of squared errors, and huber is none",
        "write `loss: mean_squared_error`, or `optimizer: lbfgs`, which takes any loss",
    ),
    "a penalty without squares": (
        KINDS[1:], ["regularization={type: l1, strength: 0.1}"], "KIND takes a penalty of squares, and l1 is none",
        "write `type: l2`",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sets", "text", "help"),
    [pytest.param(k, s, t, h, id=f"{name}, {k}") for name, (kinds, s, t, h) in REFUSED.items() for k in kinds],
)
def test_what_it_cannot_rely_on_is_refused(kind: str, sets: list[str], text: str, help: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        set_up(written(tmp_path, kind), sets)
    (problem,) = caught.value.problems
    assert (problem.text, problem.help, caught.value.exit) == (text.replace("KIND", kind), help, 65)
    assert problem.line, "it points there"


OWN = """
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Loss, N, Plan, Regularizer, Slot


class Square(Loss):
    type: Literal["own_square"] = "own_square"
    least_squares: ClassVar[bool] = True

    def plan(self, x):
        return Plan(y=x, scratch={"e": Slot((N, *x))})

    def forward(self, f):
        np.subtract(f.x, f.t, out=f.e)
        return 3.0 * float(np.vdot(f.e, f.e)) / len(f.x)

    def backward(self, f):
        np.subtract(f.x, f.t, out=f.dx)
        np.multiply(f.dx, 6.0 / len(f.x), out=f.dx)


class Ridge(Regularizer):
    type: Literal["own_ridge"] = "own_ridge"
    quadratic: ClassVar[bool] = True

    def value(self, w, scratch):
        return 0.1 * float(np.dot(w, w))

    def add_grad(self, w, g, scratch):
        np.multiply(w, 0.2, out=scratch)
        np.add(g, scratch, out=g)
"""
"""A loss and a penalty of a user's own that declare what Levenberg and Marquardt's method needs."""
OWN_SQUARES = ["loss=own_square", "regularization=own_ridge"]


def test_squares_of_a_users_own_are_lowered_like_ours(own: Path) -> None:
    """Three times the squares, and a fifth of half of them as a penalty: a step is that of ours, with a third of it."""
    (own / "mine.py").write_text(OWN)
    custom.load([own / "mine.py"])
    ours = ["loss=squared_error", f"regularization={{type: l2, strength: {0.2 / 3!r}}}"]
    found = {}
    for name, sets in (("own", OWN_SQUARES), ("ours", ours)):
        report = runs.start(set_up(written(own, KINDS[1]), sets), own / name).run()
        found[name] = [row.metrics["train.loss"] + row.penalty for row in report.epochs]
    assert found["own"] == pytest.approx([3 * loss for loss in found["ours"]], rel=1e-9)
    assert found["own"][-1] < 0.8 * found["own"][0]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (
            "    least_squares: ClassVar[bool] = True\n",
            "levenberg_marquardt lowers sums of squared errors, and own_square is none",
        ),
        (
            "    quadratic: ClassVar[bool] = True\n",
            "levenberg_marquardt takes a penalty of squares, and own_ridge is none",
        ),
    ],
)
def test_squares_of_a_users_own_that_are_not_declared_are_refused(own: Path, declared: str, text: str) -> None:
    (own / "mine.py").write_text(OWN.replace(declared, ""))
    custom.load([own / "mine.py"])
    with pytest.raises(Failure) as caught:
        set_up(written(own, KINDS[1]), OWN_SQUARES)
    assert [problem.text for problem in caught.value.problems] == [text]


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (("np.subtract(f.x, f.t, out=f.e)", "f.e[...] = np.sqrt(abs(f.x - f.t))"), "declares least_squares"),
        (("np.multiply(w, 0.2, out=scratch)", "np.multiply(np.sign(w), 0.2, out=scratch)"), "declares quadratic"),
    ],
)  # fmt: skip
def test_squares_of_a_users_own_that_are_none_are_found_before_training(
    own: Path, mistake: tuple[str, str], text: str
) -> None:
    (own / "mine.py").write_text(changed(OWN, mistake))
    custom.load([own / "mine.py"])
    with pytest.raises(Failure, match=text):
        runs.start(set_up(written(own, KINDS[1]), OWN_SQUARES), own / "run")


@pytest.mark.parametrize(
    ("kind", "sets"),
    [
        ("lbfgs", [f"architecture=[{DENSE}, batch_norm, {{type: dense, units: 1}}]"]), ("lbfgs", ["loss=huber"]),
        ("lbfgs", ["regularization={type: l1, strength: 0.1}"]), ("lbfgs", ["training.batch_size=24"]),
        ("levenberg_marquardt", ["regularization={type: l2, strength: 0.1}"]),
        ("levenberg_marquardt", ["architecture.0.regularization={type: l2, strength: 0.1}", "loss=squared_error"]),
        ("levenberg_marquardt", [f"architecture=[{DENSE}, layer_norm, {{type: dense, units: 1}}]"]),
    ],
)  # fmt: skip
def test_what_it_can_rely_on_is_welcome(kind: str, sets: list[str], tmp_path: Path) -> None:
    report = runs.start(set_up(written(tmp_path, kind), sets), tmp_path / "run").run()
    losses = [row.metrics["train.loss"] + row.penalty for row in report.epochs]
    assert losses == sorted(losses, reverse=True)
    assert len(report.epochs) == 6 or report.stopped == "converged"


@each
@pytest.mark.parametrize("sets", [(), ("dtype=float32",)])
def test_a_run_goes_on_to_the_bit(kind: str, sets: tuple[str, ...], tmp_path: Path) -> None:
    """Pairs and damping are in the checkpoint; objective and gradient are found anew, the same."""
    file = written(tmp_path, kind)
    runs.start(set_up(file, sets), tmp_path / "whole").run()
    runs.start(set_up(file, [*sets, "training.epochs=3"]), tmp_path / "run").run()
    runs.resume(tmp_path / "run", ("training.epochs=6",)).run()
    (found, _, _), (expected, _, _) = (RunFolder(tmp_path / name).newest_checkpoint() for name in ("run", "whole"))
    assert {n for n in found if n.startswith("slot.")} == {f"slot.{n}" for n in SLOTS[kind]}
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


SLOTS = {"lbfgs": {"S", "Y", "kept"}, "levenberg_marquardt": {"mu"}}


@each
def test_it_ends_when_there_is_nothing_left_to_do(kind: str, tmp_path: Path) -> None:
    """And stays so: more epochs change nothing."""
    file = written(tmp_path, f"{{type: {kind}, tolerance: 1e-3}}")
    report = runs.start(set_up(file, ["training.epochs=500", "seed=1"]), tmp_path / "run").run()
    assert report.stopped == "converged"
    assert report.reason == "converged: no entry of the gradient is larger than 0.001"
    assert report.problem is None
    assert len(report.epochs) < 200
    assert report.epochs[-1].gradient_norm == report.epochs[-2].gradient_norm < 1e-3 * np.sqrt(13)
    again = runs.resume(tmp_path / "run", ("training.epochs=900",)).run()
    assert again.stopped == "converged"
    assert again.reason.startswith("this run was finished before: converged: ")
    assert len(again.epochs) == len(report.epochs)


@each
def test_the_training_loss_is_that_of_the_weights_that_are_kept(kind: str, tmp_path: Path) -> None:
    training = runs.start(set_up(written(tmp_path, kind)), tmp_path / "run")
    report = training.run()
    p = training.state.objective.network.parameters()
    y = np.tanh(X @ p["dense_1.W"] + p["dense_1.b"]) @ p["dense_2.W"] + p["dense_2.b"]
    assert report.epochs[-1].metrics["train.loss"] == pytest.approx(float(np.mean((y - T) ** 2)), rel=1e-12)


@each
def test_what_is_not_finite_from_the_start_is_said(kind: str, tmp_path: Path) -> None:
    start = "architecture.1.init={type: constant, value: 1e200}"
    report = runs.start(set_up(written(tmp_path, kind), [start]), tmp_path / "run").run()
    assert report.stopped == "diverged"
    assert report.problem is not None
    assert report.problem.text == "training diverged in epoch 1, batch 1 of 1: loss (loss) is not finite"
    assert report.problem.help.startswith("no step was taken: start from smaller weights (`init`), or scale the data")


def test_matrices_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of weights x weights: 13 weights need a few kilobytes, 40,001 need 26 GB."""
    file = written(tmp_path, "levenberg_marquardt")
    small = set_up(file)
    assert training_bytes(small.experiment, small.network_plan, 24) > 8 * (2 * 13**2 + 256 * 13)
    monkeypatch.setattr(setup, "available_bytes", lambda: 2 * 2**30)
    with pytest.raises(Failure) as caught:
        set_up(file, ["architecture.0.units=10000"])
    (problem,) = caught.value.problems
    assert problem.text.startswith("training this network needs 25.7 GB of memory and 2.1 GB are free; it has 40,001 "
                                   "parameters, for which levenberg_marquardt takes 25.7 GB")  # fmt: skip
    assert problem.help == "fewer units, or an optimizer that takes less: lbfgs, adam"
    assert problem.path == ("optimizer",)
