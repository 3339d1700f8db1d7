"""Running statistics in checkpoints and model files: a run that is stopped goes on to the bit, and evaluation uses
them."""

import json
import sys

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from safetensors.numpy import load_file

CONFIG = """\
name: normal
seed: 5
data:
  train: {type: csv, path: rows.csv, target: kind}
  validation: 0.25
architecture:
  - batch_norm
  - {type: dense, units: 6, bias: false}
  - {type: batch_norm, momentum: 0.2}
  - relu
  - {type: gaussian_noise, stddev: 0.2}
  - type: residual
    layers:
      - layer_norm
      - {type: dense, units: 6}
      - batch_norm
      - {type: dropout, rate: 0.2}
      - {type: residual, layers: [batch_norm, {type: gaussian_noise, stddev: 0.3}, {type: dropout, rate: 0.3}]}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
training: {epochs: 6, batch_size: 8, early_stopping: {patience: 4, restore_best: true}}
"""
STOP = """
import os, signal
from bpcli.studies.run import trainer as train
steps, old = 0, train.Trainer._step
def stop(self, rows):
    global steps
    old(self, rows)
    steps += 1
    if steps == 20:
        os.kill(os.getpid(), signal.SIGINT)
train.Trainer._step = stop
"""


@pytest.fixture
def normal(lab: Lab) -> Lab:
    """A lab with an experiment full of state, and its unbroken run in `whole`; a batch of one ends each epoch."""
    rng = np.random.default_rng(0)
    x = rng.normal([5, -3], [2, 0.1], (76, 2))
    rows = [f"{a:.4f},{b:.4f},{'oak' if a + 20 * b > -55 else 'elm'}" for a, b in x]
    lab.write("rows.csv", "a,b,kind\n" + "\n".join(rows) + "\n")
    lab.write("normal.yaml", CONFIG)
    lab.good("train", "normal.yaml", "--out", "whole", "-q")
    return lab


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_run_with_running_statistics_goes_on_to_the_bit(normal: Lab) -> None:
    assert normal.apart("train", "normal.yaml", "--out", "run", program=STOP).code == 130
    normal.good("train", "--resume", "run", "-q")
    first, second = (normal.path / run / "model.safetensors" for run in ("whole", "run"))
    assert first.read_bytes() == second.read_bytes()


def test_the_model_file_holds_them_and_evaluation_uses_them(normal: Lab) -> None:
    tensors = load_file(normal.path / "whole" / "model.safetensors")
    states = {name: a for name, a in tensors.items() if name.endswith(("rmean", "rvar"))}
    assert len(states) == 8
    (first,) = (a for name, a in states.items() if name.endswith("batch_norm_1.rmean") and "residual" not in name)
    assert np.abs(first - [5, -3]).max() < 3
    assert np.abs(first).min() > 0.5
    header, *table = (normal.path / "rows.csv").read_text().splitlines()
    _, *whole = normal.good("predict", "whole", "--data", "rows.csv").out.splitlines()
    for row, among in list(zip(table, whole, strict=True))[::30]:  # alone a row is what it is among others
        normal.write("one.csv", f"{header}\n{row}\n")
        _, alone = normal.good("predict", "whole", "--data", "one.csv").out.splitlines()
        kinds, odds = zip(*((kind, odds) for kind, *odds in (r.split(",") for r in (alone, among))), strict=True)
        assert len(set(kinds)) == 1
        assert np.allclose(*np.array(odds, dtype=float), atol=1e-5)
    report = json.loads(normal.good("eval", "whole", "--json").out)
    record = [json.loads(line) for line in (normal.path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert report["split"] == "validation"
    assert report["loss"] == pytest.approx(min(line["validation.loss"] for line in record), rel=1e-6)
