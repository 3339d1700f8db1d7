"""The article's worked example, step by step: the numbers were worked out apart from this program, in 60 digits."""

from pathlib import Path

import numpy as np
import pytest
from paths import CONFIGS

from bpcli.engine.objective import Batch, Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import Setup, set_up

ARTICLE = CONFIGS / "article.yaml"
DIGITS = 5e-13
"""Half a unit of the twelfth digit of a number below 1."""

OUTPUTS = {"dense_1.y": 1.0, "dense_1.activation.y": 0.731058578630005,
           "dense_2.y": -0.731058578630005, "dense_2.activation.y": 0.324962472623176}  # fmt: skip
LOSS = 0.455675663367016
SLOPE_OF_LOSS = -1.350075054753647
GRADIENTS = {"dense_1.W": 0.058227603267763, "dense_1.b": 0.058227603267763,
             "dense_2.W": -0.216506639145244, "dense_2.b": -0.296154980563903}  # fmt: skip
UPDATED = {"dense_1.W": 0.941772396732237, "dense_1.b": -0.058227603267763,
           "dense_2.W": -0.783493360854756, "dense_2.b": 0.296154980563903}  # fmt: skip
LOSS_AFTER = 0.318317552644259
LOSS_RAISED = 0.4590196542995


@pytest.fixture
def setup() -> Setup:
    return set_up(ARTICLE)


@pytest.fixture
def objective(setup: Setup) -> Objective:
    e = setup.experiment
    return Objective(setup.network_plan, e.loss, 1, np.dtype(e.dtype), e.seed, retain=True)


def row_at_1(setup: Setup, objective: Objective) -> Batch:
    """The third row alone: x = 1, t = 1."""
    train = setup.prepared.splits["train"]
    batch = objective.batch(1)
    batch.load(train.x, train.t, np.array([2]))
    assert (batch.x.item(), batch.t.item()) == (1, 1)
    return batch


def close(found: float, expected: float) -> bool:
    return found == pytest.approx(expected, rel=0, abs=DIGITS)


def test_one_step_on_one_row(setup: Setup, objective: Objective) -> None:
    batch = row_at_1(setup, objective)
    train_step = FirstOrderStep(objective, setup.experiment.optimizer, setup.experiment.clipping, 1)
    train_step.step(batch, 0)
    outputs = {f"{bound.path}.y": bound.frame.y.item() for bound in batch.chain.walk()}
    assert outputs.keys() == OUTPUTS.keys()
    assert all(close(outputs[k], OUTPUTS[k]) for k in OUTPUTS), outputs
    assert close(train_step.loss, LOSS)
    assert train_step.penalty == 0
    assert close(batch.chain.dy.item(), SLOPE_OF_LOSS)
    gradients = {k: a.item() for k, a in objective.network.gradients().items()}
    assert gradients.keys() == GRADIENTS.keys()
    assert all(close(gradients[k], GRADIENTS[k]) for k in GRADIENTS), gradients
    updated = {k: a.item() for k, a in objective.network.parameters().items()}
    assert all(close(updated[k], UPDATED[k]) for k in UPDATED), updated
    assert close(batch.forward(False), LOSS_AFTER)


def test_the_articles_own_update_raises_the_loss(setup: Setup, objective: Objective) -> None:
    """It adds the gradient of w1 where it has to be subtracted."""
    batch = row_at_1(setup, objective)
    batch.forward(True)
    batch.backward(True)
    objective.network.parameters()["dense_1.W"] += objective.network.gradients()["dense_1.W"]
    assert close(batch.forward(False), LOSS_RAISED)
    assert LOSS_RAISED > LOSS


def test_training_on_all_rows_takes_what_the_comment_says(setup: Setup, tmp_path: Path) -> None:
    said = [line for line in ARTICLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")][-1]
    report = start(setup, tmp_path / "run").run()
    assert report.stopped == "goal"
    first, last = report.epochs[0].metrics["train.loss"], report.epochs[-1].metrics["train.loss"]
    assert f"from {first:.3f} to its goal of 0.01 in {len(report.epochs)} epochs" in said
    assert 0.0099 < last <= 0.01
