"""The learning rate of each epoch of a training, as the table of epochs shows it."""

from pathlib import Path

import pytest

from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

CONFIG = """\
seed: 1
data:
  train: {type: inline, inputs: [[0], [1], [2], [3], [4], [5]], targets: [[0], [2], [4], [6], [8], [9]]}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
optimizer: {type: sgd, learning_rate: RATE}
training: {epochs: 4, batch_size: 2}
"""


def rates(tmp_path: Path, schedule: str) -> list[float]:
    """Three steps make an epoch; a row has the rate of its last step."""
    file = tmp_path / "a.yaml"
    file.write_text(CONFIG.replace("RATE", schedule))
    return [row.learning_rate for row in start(set_up(file), tmp_path / "run").run().epochs]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0.01", [0.01] * 4),
        ("{type: step, start: 0.01, every: 1, factor: 0.5, per: epoch}", [0.01, 0.005, 0.0025, 0.00125]),
        ("{type: step, start: 0.01, every: 6, factor: 0.5}", [0.01, 0.01, 0.005, 0.005]),
        ("{type: multi_step, start: 0.01, milestones: [1, 3], per: epoch}", [0.01, 0.001, 0.001, 0.0001]),
        ("{type: polynomial, start: 0.01, end: 0.0, power: 1.0, per: epoch}", [0.01, 0.0075, 0.005, 0.0025]),
        ("{type: polynomial, start: 0.012, end: 0.0, power: 1.0}", [0.01, 0.007, 0.004, 0.001]),
    ],
)
def test_a_schedule_counts_steps_or_epochs(tmp_path: Path, schedule: str, expected: list[float]) -> None:
    assert rates(tmp_path, schedule) == pytest.approx(expected, rel=1e-12)
