"""What a gradient check costs: 25,000 parameters one by one, 10 million by samples. pytest -m bench -s tests/bench

Two bars are absolute, as they were set; the ratio says what a check costs in forward passes.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bpcli.studies.gradcheck.check import check_gradients
from bpcli.studies.trace.open import TracedRows, open_target

pytestmark = pytest.mark.bench

NET = """\
data:
  train: {{type: npz, path: rows.npz, inputs: x, targets: t}}
architecture:
{layers}
loss: softmax_cross_entropy
regularization: {{type: l2, strength: 0.01}}
"""
MEASURED = """\
import json, resource, sys
from bpcli.cli.app import run
sys.argv = ["bpcli", "gradcheck", sys.argv[1], "--json"]
code = run()
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "code": code}), file=sys.stderr)
"""


def written(folder: Path, *units: int) -> Path:
    """784 inputs, hidden layers of these sizes, ten classes."""
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.normal(size=(60, 784)), t=rng.integers(0, 10, 60))
    layers = [f"  - {{type: dense, units: {n}, activation: {'relu' if i else 'tanh'}}}" for i, n in enumerate(units)]
    file = folder / "net.yaml"
    file.write_text(NET.format(layers="\n".join([*layers, "  - {type: dense, units: 10}"])))
    return file


def test_25000_parameters_one_by_one(tmp_path: Path) -> None:
    target = open_target(written(tmp_path, 31), TracedRows(batch=True))
    report = check_gradients(target)
    began = time.perf_counter()
    report = check_gradients(target)
    spent = time.perf_counter() - began
    batch = target.objective.batch(report.batch)
    began = time.perf_counter()
    for _ in range(2000):
        batch.forward(True)
    forward = (time.perf_counter() - began) / 2000
    print(
        f"\n{report.parameters:,} parameters: {report.evaluations:,} evaluations in {spent:.2f} s, "
        f"{spent / report.evaluations / forward:.2f} forward passes each (of {forward * 1e6:.0f} us)"
    )
    assert report.passed
    assert all(row.entries == row.of for row in report.tensors if row.scope == "network" and row.tensor != "inputs dx")
    assert spent < 5
    assert spent / report.evaluations < 4 * forward


def test_ten_million_by_samples(tmp_path: Path) -> None:
    file = written(tmp_path, 3000, 2500)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(file)], capture_output=True, text=True, timeout=600, env=os.environ
    )
    spent = time.perf_counter() - began
    report = json.loads(done.stdout)
    usage = json.loads(done.stderr.splitlines()[-1])
    peak = usage["peak"] * 1024  # Linux counts in KiB
    print(f"\n{report['parameters']:,} parameters by samples: {spent:.1f} s, {peak / 2**20:.0f} MB")
    assert usage["code"] == 0
    assert report["parameters"] > 9_500_000
    assert any("entries looked at by differences" in note for note in report["notes"])
    assert spent < 30
    assert peak < 1e9
