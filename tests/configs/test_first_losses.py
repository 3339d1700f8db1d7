"""The losses of the first steps of each quick config are those on record: a refactoring must not move them.

After a change that is meant to move them: `python tests/configs/test_first_losses.py` writes the record anew.
"""

import json
import tempfile
from pathlib import Path

import pytest

from bpcli.family import Callback
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import TrainingState

CONFIGS = Path(__file__).parents[2] / "configs"
RECORD = Path(__file__).with_name("first_losses.json")
STEPS = 20
EPOCHS = {"article": 20, "xor": 20, "iris": 4, "digits": 1, "diabetes": 3}
"""How many are needed for the steps; schedules run over as many."""
TOLERANCE = 1e-10
"""Relative. Sums in another order, as other processors and numbers of threads make them, differ by about 1e-15."""


class Listener(Callback):
    """Remembers the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, state: TrainingState, loss: float) -> None:
        self.losses.append(loss)


def losses(name: str, folder: Path) -> list[float]:
    """The losses of the first steps, in float64."""
    listener = Listener()
    setup = set_up(CONFIGS / f"{name}.yaml", ["dtype=float64", f"training.epochs={EPOCHS[name]}"])
    start(setup, folder / name, [listener]).run()
    return listener.losses[:STEPS]


@pytest.mark.parametrize("name", EPOCHS)
def test_losses_are_those_on_record(name: str, tmp_path: Path) -> None:
    expected = json.loads(RECORD.read_text(encoding="utf-8"))[name]
    assert len(expected) == STEPS
    assert losses(name, tmp_path) == pytest.approx(expected, rel=TOLERANCE, abs=0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {name: [float(f"{v:.12g}") for v in losses(name, Path(folder))] for name in EPOCHS}
    RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
