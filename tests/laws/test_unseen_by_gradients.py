"""What no check of gradients can see: forward and backward that are wrong alike.

Elsewhere: masks that keep the mean (parts/layers/test_random_layers.py), running statistics by hand and torch's
(parts/layers/test_norms.py), losses worked on paper with their halves and means (parts/test_losses.py), optimizers
against textbooks and torch (parts/optimizers/test_optimizers.py, peers/test_parts.py), the sign of the update
(configs/test_article.py), losses of a whole training (configs/test_first_losses.py). Here are the others.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer, Loss
from bpcli.family.plan import Array, Sample
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up
from bpcli.studies.witness.cases import LossCase


def outputs(layer: Any, x: Any) -> Array:
    x = np.asarray(x, np.float64)
    network = Network(plan_network([Layer.parse(layer)], x.shape[1:]), len(x), np.float64, 0)
    chain = network.chain(len(x))
    np.copyto(chain.x, x)
    chain.forward(False)
    return chain.y.copy()


def loss(kind: Any, x: Any, t: Any) -> float:
    x = np.asarray(x, np.float64)
    return float(LossCase(Sample(Loss.parse(kind), x.shape[1:], len(x), inputs={"x": x, "t": t})).kernel()["L"])


APART = np.array([[0.5, -1.0, 2.0], [800.5, 799.0, 802.0], [-799.5, -801.0, -798.0]])
"""The same row three times, each far from the others."""


def test_softmax_is_taken_row_by_row_wherever_the_row_lies() -> None:
    """With one maximum for the whole batch the smaller rows would be 0 / 0."""
    found = outputs("softmax", APART)
    assert np.allclose(found, found[0], rtol=1e-12, atol=0)
    assert np.allclose(found.sum(1), 1, rtol=1e-15)


@pytest.mark.parametrize("kind", ["softmax_cross_entropy", "kl_divergence", "focal"])
def test_a_loss_of_logits_does_not_see_what_is_added_to_all(kind: str) -> None:
    t = np.eye(3)[[2, 2, 2]]
    each = [loss(kind, APART[i : i + 1], t[:1]) for i in range(3)]
    assert each == pytest.approx([each[0]] * 3, rel=1e-12)
    assert loss(kind, APART, t) == pytest.approx(each[0], rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_who_knows_nothing_pays_the_logarithm_of_the_classes(classes: int) -> None:
    """A second softmax somewhere, or another base, would show here; 2.302585 for ten."""
    t = np.eye(classes)[np.arange(6) % classes]
    nothing = np.zeros((6, classes))
    assert loss("softmax_cross_entropy", nothing, t) == pytest.approx(math.log(classes), rel=1e-15)
    assert loss("cross_entropy", outputs("softmax", nothing), t) == pytest.approx(math.log(classes), rel=1e-15)
    assert loss("binary_cross_entropy", nothing, t) == pytest.approx(math.log(2), rel=1e-15)
    sure = loss("softmax_cross_entropy", 20 * t, t)
    assert sure == pytest.approx(math.log1p((classes - 1) * math.exp(-20)), rel=1e-9), "and not ln(1 + (K - 1) / e)"


def test_a_class_that_is_all_but_impossible_costs_much_and_not_everything() -> None:
    assert loss("cross_entropy", [[1e-300, 1.0]], [[1.0, 0.0]]) == pytest.approx(300 * math.log(10), rel=1e-12)
    assert loss("softmax_cross_entropy", [[-700.0, 700.0]], [[1.0, 0.0]]) == pytest.approx(1400, rel=1e-12)
    assert loss("binary_cross_entropy", [[-700.0]], [[1.0]]) == pytest.approx(700, rel=1e-12)


def test_a_filter_is_not_turned_round() -> None:
    """The integers of the textbooks: the upper left pixel meets the upper left weight."""
    image = np.arange(9.0).reshape(1, 3, 3, 1)
    filters = [[[[0.0]], [[1.0]]], [[[2.0]], [[3.0]]]]
    layer = {"type": "conv2d", "filters": 1, "kernel": 2, "weights": filters, "bias": False}
    assert outputs(layer, image)[0, :, :, 0].tolist() == [[19, 25], [37, 43]]
    grown = outputs({**layer, "padding": 1}, image)[0, :, :, 0].tolist()
    assert grown == [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]


def test_four_points_are_learned_by_heart(tmp_path: Path) -> None:
    """Labels that part from their rows when these are shuffled, or a batch that is stale, cannot be learned."""
    config = tmp_path / "four.yaml"
    config.write_text("""\
data:
  train:
    type: inline
    inputs: [[0.1, 0.9], [0.8, 0.3], [-0.7, 0.2], [0.4, -0.6]]
    targets: [[1, 0], [0, 1], [0, 0], [1, 1]]
architecture: [{type: dense, units: 16, activation: tanh}, {type: dense, units: 2}]
loss: mean_squared_error
optimizer: {type: adam, learning_rate: 0.02}
training: {epochs: 600, batch_size: 1}
""")
    report = start(set_up(config), tmp_path / "run").run()
    assert min(e.metrics["train.loss"] for e in report.epochs) < 1e-6
