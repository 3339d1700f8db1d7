"""Rows too large for the network: the figures say so, and nothing else is printed. (Warnings are errors here.)"""

import math
from pathlib import Path

import pytest

from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.evaluation.predict import predict
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

ROWS = "a,b,y\n" + "".join(f"{i},{i * i},{3 * i}\n" for i in range(1, 10))
CONFIG = """
data: {train: {type: csv, path: rows.csv, target: y}, validation: 0.3}
architecture: [{type: dense, units: 4, init: {type: constant, value: 2.0}}, {type: dense, units: 1}]
loss: mean_squared_error
optimizer: {type: sgd, learning_rate: 1e-9}
training: {epochs: 1}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "huge.csv").write_text("a,b,y\n3e38,3e38,1\n1,2,3\n")
    (tmp_path / "x.yaml").write_text(CONFIG)
    start(set_up(tmp_path / "x.yaml"), tmp_path / "run").run()
    return tmp_path / "run"


def test_evaluation_reports_what_overflows_in_its_figures(run: Path) -> None:
    report = evaluate(run, None, "huge.csv", run.parent)
    assert report.rows == 2
    assert not math.isfinite(report.loss)


def test_predictions_show_what_overflows_in_its_row(run: Path) -> None:
    (huge,), (usual,) = predict(run, "huge.csv", run.parent).rows
    assert not math.isfinite(huge)
    assert math.isfinite(usual)
